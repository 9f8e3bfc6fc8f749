// SPDX-License-Identifier: MIT
/*
 * The typed operations: every result, for each CPU, with their words and what lies
 * around them checked.
 */
#include <sys/syscall.h>
#include <unistd.h>

#include "test.h"

/* More than 32 bits, where a word has more. */
#define LARGE	((intptr_t)INT64_C(0x123456789))

/* Two words among others that nobody may touch. */
static struct {
	intptr_t before[8];
	intptr_t v;
	intptr_t between[8];
	intptr_t v2;
	intptr_t after[8];
} mem;

static void set(intptr_t v, intptr_t v2)
{
	intptr_t *w = (intptr_t *)&mem;
	size_t i;

	for (i = 0; i < sizeof(mem) / sizeof(*w); i++)
		w[i] = CANARY;
	mem.v = v;
	mem.v2 = v2;
}

static void check(intptr_t v, intptr_t v2)
{
	intptr_t *w = (intptr_t *)&mem;
	size_t i;

	assert_int_equal(mem.v, v);
	assert_int_equal(mem.v2, v2);
	mem.v = mem.v2 = CANARY;
	for (i = 0; i < sizeof(mem) / sizeof(*w); i++)
		assert_int_equal(w[i], CANARY);
}

static void check_addv(int cpu)
{
	static const struct { intptr_t v, count, sum; } cases[] = {
		{ 5, 1, 6 }, { 5, -6, -1 }, { 5, 0, 5 },
		{ INTPTR_MAX, 1, INTPTR_MIN }, { 0, INTPTR_MIN, INTPTR_MIN },
		{ 1, LARGE, LARGE + 1 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		set(cases[i].v, 7);
		assert_int_equal(rseq_op_addv(&mem.v, cases[i].count, cpu), 0);
		check(cases[i].sum, 7);
	}
}

static void check_cmpeqv_storev(int cpu)
{
	uintptr_t bit;

	set(5, 7);
	assert_int_equal(rseq_op_cmpeqv_storev(&mem.v, 5, LARGE, cpu), 0);
	check(LARGE, 7);
	set(5, 7);
	assert_int_equal(rseq_op_cmpeqv_storev(&mem.v, 6, 9, cpu), 1);
	check(5, 7);
	/* Every bit counts. */
	set(5, 7);
	for (bit = 1; bit; bit <<= 1)
		assert_int_equal(rseq_op_cmpeqv_storev(&mem.v, (intptr_t)(5 ^ bit), 9, cpu), 1);
	check(5, 7);
}

static void check_cmpeqv_storev_storev(int cpu)
{
	set(5, 7);
	assert_int_equal(rseq_op_cmpeqv_storev_storev(&mem.v, 5, &mem.v2, 8, 6, cpu), 0);
	check(6, 8);
	set(5, 7);
	assert_int_equal(rseq_op_cmpeqv_storev_storev(&mem.v, 4, &mem.v2, 8, 6, cpu), 1);
	check(5, 7);
}

static void check_ops(int cpu)
{
	check_addv(cpu);
	check_cmpeqv_storev(cpu);
	check_cmpeqv_storev_storev(cpu);
}

static void test_this_cpu(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < nr_allowed_cpus(); i++) {
		pin_to(allowed_cpu(i));
		assert_int_equal(rseq_op_current_cpu(), allowed_cpu(i));
		check_ops(allowed_cpu(i));
	}
	unpin();
}

static void test_other_cpus(void **state)
{
	int i;

	(void)state;
	pin_to(allowed_cpu(0));
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_ops(allowed_cpu(i));
	unpin();
}

/* -1 and -2 are what struct rseq says where a thread is not registered. */
static void check_invalid_cpus(void)
{
	int nonsense[] = { -1, -2, INT32_MIN, INT32_MAX, INT32_MIN + 1, rseq_op_nr_cpus(),
			   RSEQ_OP_CPU_MAX - 1, RSEQ_OP_CPU_MAX,
			   RSEQ_OP_CPU_MAX + allowed_cpu(0), RSEQ_OP_CPU_MAX + 1 + allowed_cpu(0),
			   INT32_MIN + allowed_cpu(0) };
	size_t i;

	set(5, 7);
	for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
		assert_int_equal(rseq_op_addv(&mem.v, 1, nonsense[i]), -EINVAL);
		assert_int_equal(rseq_op_cmpeqv_storev(&mem.v, 5, 6, nonsense[i]), -EINVAL);
		assert_int_equal(rseq_op_cmpeqv_storev_storev(&mem.v, 5, &mem.v2, 8, 6,
							      nonsense[i]), -EINVAL);
	}
	check(5, 7);
}

static void test_invalid_cpu_einval(void **state)
{
	(void)state;
	pin_to(allowed_cpu(0));
	check_invalid_cpus();
	unpin();
}

/* In the sequence a bad pointer is a SIGSEGV; out of it, an error. */
static void test_invalid_pointer_other_cpu_efault(void **state)
{
	intptr_t *volatile nowhere = (intptr_t *)8;	/* or gcc warns of it */
	int cpu = allowed_cpu(0), other = other_cpu(cpu);

	(void)state;
	if (other < 0)
		skip_because("only one CPU");
	pin_to(cpu);
	set(5, 7);
	assert_int_equal(rseq_op_addv(nowhere, 1, other), -EFAULT);
	assert_int_equal(rseq_op_cmpeqv_storev(nowhere, 5, 6, other), -EFAULT);
	assert_int_equal(rseq_op_cmpeqv_storev_storev(&mem.v, 5, nowhere, 8, 6, other), -EFAULT);
	check(5, 7);
	unpin();
}

static void test_errno_left_alone(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < nr_allowed_cpus(); i++) {
		errno = 1234;
		check_ops(allowed_cpu(i));
		assert_int_equal(errno, 1234);
	}
}

/* What libc has registered for the thread is taken away, and given back. */
static void test_unregistered_thread(void **state)
{
	char *area = rseq_op_thread_pointer() + rseq_op_offset;
	struct rseq_op_stats before, after;
	int i;

	(void)state;
	if (getenv("GLIBC_TUNABLES"))
		skip_because("the library registers threads itself in this run");
	rseq_op_stats(&before, sizeof(before));
	assert_int_equal(syscall(SYS_rseq, area, 32, 1 /* RSEQ_FLAG_UNREGISTER */,
				 RSEQ_OP_SIG), 0);
	assert_int_equal(rseq_op_current_cpu(), 0);
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_ops(allowed_cpu(i));
	check_invalid_cpus();
	assert_int_equal(syscall(SYS_rseq, area, 32, 0, RSEQ_OP_SIG), 0);
	rseq_op_stats(&after, sizeof(after));
	assert_true(after.unregistered + after.forced > before.unregistered + before.forced);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_this_cpu),
		cmocka_unit_test(test_other_cpus),
		cmocka_unit_test(test_invalid_cpu_einval),
		cmocka_unit_test(test_invalid_pointer_other_cpu_efault),
		cmocka_unit_test(test_errno_left_alone),
		cmocka_unit_test(test_unregistered_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * rseq_op(): every result and errno of vectors, on the backend of this run.
 */
#include <sys/mman.h>

#include "vectors.h"

/* What is accessible decides in the backend; in a sequence, it is a SIGSEGV. */
static void test_vectors_this_cpu(void **state)
{
	(void)state;
	pin_to(allowed_cpu(0));
	check_vectors(rseq_op, allowed_cpu(0), -EFAULT);
	unpin();
}

static void test_vectors_other_cpus(void **state)
{
	int i;

	(void)state;
	pin_to(allowed_cpu(0));
	for (i = 1; i < nr_allowed_cpus(); i++)
		check_vectors(rseq_op, allowed_cpu(i), 0);
	unpin();
}

static const struct cpu_op two_words[2] = {
	{ .op = CPU_STORE_IMM_OP, .len = 8, .u.immediate_op = { .p = 8 } },
	{ .op = CPU_STORE_IMM_OP, .len = 8, .u.immediate_op = { .p = 8 } },
};

/* Try: a sequence here, or nothing at all. */
static void test_try_eagain_instead_of_backend(void **state)
{
	intptr_t word = 5;
	struct cpu_op ops[] = {
		{ .op = CPU_COMPARE_EQ_IMM_OP, .len = sizeof(word),
		  .u.immediate_op = { .p = (uintptr_t)&word, .value = 5 } },
		{ .op = CPU_ADD_OP, .len = sizeof(word),
		  .u.arithmetic_op = { .p = (uintptr_t)&word, .count = 1 } },
	};
	struct rseq_op_stats before, after;
	int cpu = allowed_cpu(0), other = other_cpu(cpu);

	(void)state;
	if (getenv("RSEQ_OP_FORCE_FALLBACK") || rseq_op_backend(NULL) == RSEQ_OP_BACKEND_GUARD)
		skip_because("the backend is taken all the same");
	rseq_op_stats(&before, sizeof(before));
	pin_to(cpu);
	assert_int_equal(rseq_op(ops, 2, cpu, RSEQ_OP_TRY), 0);
	assert_int_equal(rseq_op(ops, 2, cpu, RSEQ_OP_TRY), 1);
	ops[0].u.immediate_op.value = 6;
	if (other >= 0)
		assert_int_equal(rseq_op(ops, 2, other, RSEQ_OP_TRY), -EAGAIN);
	assert_int_equal(rseq_op(two_words, 2, cpu, RSEQ_OP_TRY), -EAGAIN);
	assert_int_equal(rseq_op(NULL, 0, cpu, RSEQ_OP_TRY), -EAGAIN);
	assert_int_equal(rseq_op(ops, 2, -1, RSEQ_OP_TRY), -EINVAL);
	assert_int_equal(rseq_op(ops, CPU_OP_VEC_LEN_MAX + 1, cpu, RSEQ_OP_TRY), -EINVAL);
	assert_int_equal(rseq_op(&(struct cpu_op){ .op = NR_CPU_OPS }, 1, cpu, RSEQ_OP_TRY),
			 -EINVAL);
	unpin();
	assert_int_equal(word, 6);
	rseq_op_stats(&after, sizeof(after));
	assert_int_equal(after.vector, before.vector);
	assert_int_equal(after.remote, before.remote);
}

static void test_invalid_cpu_einval(void **state)
{
	static const int nonsense[] = { -1, -2, INT32_MIN, INT32_MAX, RSEQ_OP_CPU_MAX,
					RSEQ_OP_CPU_MAX - 1 };
	int64_t word = 5;
	struct cpu_op add = { .op = CPU_ADD_OP, .len = 8,
		.u.arithmetic_op = { .p = (uintptr_t)&word, .count = 1 } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(nonsense); i++)
		assert_int_equal(rseq_op(&add, 1, nonsense[i], 0), -EINVAL);
	assert_int_equal(rseq_op(&add, 1, rseq_op_nr_cpus(), 0), -EINVAL);
	assert_int_equal(word, 5);
}

static void test_flags_einval(void **state)
{
	int64_t word = 5;
	struct cpu_op add = { .op = CPU_ADD_OP, .len = 8,
		.u.arithmetic_op = { .p = (uintptr_t)&word, .count = 1 } };
	int bit;

	(void)state;
	for (bit = 0; bit < 32; bit++) {
		if (1U << bit == RSEQ_OP_TRY)
			continue;
		assert_int_equal(rseq_op(&add, 1, allowed_cpu(0), 1U << bit), -EINVAL);
	}
	assert_int_equal(word, 5);
}

static void test_ops_pointer_efault(void **state)
{
	const char *forced = getenv("RSEQ_OP_FORCE_FALLBACK");

	(void)state;
	if (forced && !strcmp(forced, "1"))
		assert_int_equal(rseq_op((void *)8, 1, allowed_cpu(0), 0), -EFAULT);
	if (forced && !strcmp(forced, "1"))
		assert_int_equal(rseq_op((void *)8, 1, allowed_cpu(0), RSEQ_OP_TRY), -EFAULT);
	assert_int_equal(rseq_op(NULL, 16, allowed_cpu(0), 0), -EFAULT);
	assert_int_equal(rseq_op(NULL, 16, allowed_cpu(0), RSEQ_OP_TRY), -EFAULT);
	assert_int_equal(rseq_op(NULL, 17, allowed_cpu(0), RSEQ_OP_TRY), -EINVAL);
	assert_int_equal(rseq_op(NULL, 0, allowed_cpu(0), 0), 0);
}

static void test_errno_left_alone(void **state)
{
	int64_t word = 5;
	struct cpu_op op = { .op = CPU_ADD_OP, .len = 8,
		.u.arithmetic_op = { .p = (uintptr_t)&word, .count = 1 } };

	int other = other_cpu(allowed_cpu(0));

	(void)state;
	if (other < 0)
		skip_because("only one CPU");
	pin_to(allowed_cpu(0));
	errno = 1234;
	assert_int_equal(rseq_op(&op, 1, allowed_cpu(0), 0), 0);
	op.u.arithmetic_op.p = 8;
	assert_int_equal(rseq_op(&op, 1, other, 0), -EFAULT);
	unpin();
	assert_int_equal(errno, 1234);
	assert_int_equal(word, 6);
}

/*
 * Memory that is there but not to be written, or not to be read. A vector with two stores is
 * never a sequence, so nothing is taken for granted that an operation has found before.
 */
static void test_protected_memory_efault(void **state)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int64_t word = 5, flag = 0;
	struct cpu_op set_flag = { .op = CPU_STORE_IMM_OP, .len = 8,
		.u.immediate_op = { .p = (uintptr_t)&flag, .value = 1 } };
	struct cpu_op to_page[] = { set_flag, { .op = CPU_MEMCPY_OP, .len = 8,
		.u.memcpy_op = { .dst = (uintptr_t)page, .src = (uintptr_t)&word } } };
	struct cpu_op from_page[] = { set_flag, { .op = CPU_MEMCPY_OP, .len = 8,
		.u.memcpy_op = { .dst = (uintptr_t)&word, .src = (uintptr_t)page } } };

	int other = other_cpu(allowed_cpu(0));

	(void)state;
	if (other < 0)
		skip_because("only one CPU");
	pin_to(allowed_cpu(0));
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(rseq_op(to_page, 2, other, 0), -EFAULT);
	assert_int_equal(rseq_op(to_page + 1, 1, other, 0), -EFAULT);
	assert_int_equal(flag, 0);
	assert_int_equal(rseq_op(from_page + 1, 1, other, 0), 0);
	assert_int_equal(rseq_op(from_page, 2, other, 0), 0);
	assert_int_equal(word, 0);
	assert_int_equal(flag, 1);
	assert_int_equal(mprotect(page, 4096, PROT_NONE), 0);
	word = 5;
	flag = 0;
	assert_int_equal(rseq_op(from_page, 2, other, 0), -EFAULT);
	from_page[1].u.memcpy_op.expect_fault_src = 1;
	assert_int_equal(rseq_op(from_page, 2, other, 0), -EAGAIN);
	assert_int_equal(rseq_op(from_page + 1, 1, other, 0), -EAGAIN);
	assert_int_equal(word, 5);
	assert_int_equal(flag, 0);
	unpin();
	munmap(page, 4096);
}

/* The second page is missing: nothing happens to the first. */
static void test_straddle_into_unmapped_efault(void **state)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int64_t word = 5, flag = 0;
	struct cpu_op set_flag = { .op = CPU_STORE_IMM_OP, .len = 8,
		.u.immediate_op = { .p = (uintptr_t)&flag, .value = 1 } };
	struct cpu_op add[] = { set_flag, { .op = CPU_ADD_OP, .len = 8,
		.u.arithmetic_op = { .count = -1 } } };
	struct cpu_op from[] = { set_flag, { .op = CPU_MEMCPY_OP, .len = 8,
		.u.memcpy_op = { .dst = (uintptr_t)&word } } };
	int cpu = allowed_cpu(0);

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(munmap(p + 4096, 4096), 0);
	add[1].u.arithmetic_op.p = (uintptr_t)p + 4092;
	from[1].u.memcpy_op.src = (uintptr_t)p + 4089;
	assert_int_equal(rseq_op(add, 2, cpu, 0), -EFAULT);
	assert_int_equal(rseq_op(from, 2, cpu, 0), -EFAULT);
	assert_int_equal(flag, 0);
	assert_int_equal(word, 5);
	assert_int_equal(*(int32_t *)(void *)(p + 4092), 0);
	add[1].u.arithmetic_op.p = (uintptr_t)p + 4088;
	assert_int_equal(rseq_op(add, 2, cpu, 0), 0);
	assert_int_equal(flag, 1);
	munmap(p, 4096);
}

static void test_vector_changes_itself_runs_as_it_was(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_vector_changes_itself(rseq_op, allowed_cpu(i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_this_cpu),
		cmocka_unit_test(test_vectors_other_cpus),
		cmocka_unit_test(test_try_eagain_instead_of_backend),
		cmocka_unit_test(test_invalid_cpu_einval),
		cmocka_unit_test(test_flags_einval),
		cmocka_unit_test(test_ops_pointer_efault),
		cmocka_unit_test(test_errno_left_alone),
		cmocka_unit_test(test_protected_memory_efault),
		cmocka_unit_test(test_straddle_into_unmapped_efault),
		cmocka_unit_test(test_vector_changes_itself_runs_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

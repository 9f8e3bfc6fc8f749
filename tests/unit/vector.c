// SPDX-License-Identifier: MIT
/*
 * rseq_op(): every result and errno of vectors, on the backend of this run.
 */
#include <sys/mman.h>

#include "vectors.h"

static void test_vectors_this_cpu(void **state)
{
	(void)state;
	pin_to(allowed_cpu(0));
	check_vectors(rseq_op, allowed_cpu(0));
	unpin();
}

static void test_vectors_every_cpu(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_vectors(rseq_op, allowed_cpu(i));
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
	for (bit = 0; bit < 32; bit++)
		assert_int_equal(rseq_op(&add, 1, allowed_cpu(0), 1U << bit), -EINVAL);
	assert_int_equal(word, 5);
}

static void test_ops_pointer_efault(void **state)
{
	(void)state;
	assert_int_equal(rseq_op((void *)8, 1, allowed_cpu(0), 0), -EFAULT);
	assert_int_equal(rseq_op(NULL, 16, allowed_cpu(0), 0), -EFAULT);
	assert_int_equal(rseq_op(NULL, 0, allowed_cpu(0), 0), 0);
}

static void test_errno_left_alone(void **state)
{
	int64_t word = 5;
	struct cpu_op op = { .op = CPU_ADD_OP, .len = 8,
		.u.arithmetic_op = { .p = (uintptr_t)&word, .count = 1 } };

	(void)state;
	errno = 1234;
	assert_int_equal(rseq_op(&op, 1, allowed_cpu(0), 0), 0);
	op.u.arithmetic_op.p = 8;
	assert_int_equal(rseq_op(&op, 1, allowed_cpu(0), 0), -EFAULT);
	assert_int_equal(errno, 1234);
	assert_int_equal(word, 6);
}

/* Memory that is there but not to be written, or not to be read. */
static void test_protected_memory_efault(void **state)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int64_t word = 5;
	struct cpu_op to_page = { .op = CPU_MEMCPY_OP, .len = 8,
		.u.memcpy_op = { .dst = (uintptr_t)page, .src = (uintptr_t)&word } };
	struct cpu_op from_page = { .op = CPU_MEMCPY_OP, .len = 8,
		.u.memcpy_op = { .dst = (uintptr_t)&word, .src = (uintptr_t)page } };

	(void)state;
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(rseq_op(&to_page, 1, allowed_cpu(0), 0), -EFAULT);
	assert_int_equal(rseq_op(&from_page, 1, allowed_cpu(0), 0), 0);
	assert_int_equal(word, 0);
	assert_int_equal(mprotect(page, 4096, PROT_NONE), 0);
	word = 5;
	assert_int_equal(rseq_op(&from_page, 1, allowed_cpu(0), 0), -EFAULT);
	from_page.u.memcpy_op.expect_fault_src = 1;
	assert_int_equal(rseq_op(&from_page, 1, allowed_cpu(0), 0), -EAGAIN);
	assert_int_equal(word, 5);
	munmap(page, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_this_cpu),
		cmocka_unit_test(test_vectors_every_cpu),
		cmocka_unit_test(test_invalid_cpu_einval),
		cmocka_unit_test(test_flags_einval),
		cmocka_unit_test(test_ops_pointer_efault),
		cmocka_unit_test(test_errno_left_alone),
		cmocka_unit_test(test_protected_memory_efault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

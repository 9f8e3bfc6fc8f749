// SPDX-License-Identifier: MIT
/*
 * The functions of rseq_op/cpu_op.h: each makes the operation that the kernel's header describes, and
 * leaves every other byte zero.
 */
#include <rseq_op/cpu_op.h>

#include "test.h"

#define P	((void *)(uintptr_t)0x1230)
#define Q	((void *)(uintptr_t)0x4560)
#define P64	UINT64_C(0x1230)
#define Q64	UINT64_C(0x4560)
#define NUMBER	UINT64_C(0x8877665544332211)

static const struct {
	const char *name;
	struct cpu_op expected;
} forms[] = {
	{ "compare_eq", { CPU_COMPARE_EQ_OP, 4096, { .compare_op = { .a = P64, .b = Q64 } } } },
	{ "compare_ne", { CPU_COMPARE_NE_OP, 1, { .compare_op = { .a = P64, .b = Q64 } } } },
	{ "compare_eq_imm", { CPU_COMPARE_EQ_IMM_OP, 8,
			      { .immediate_op = { .p = P64, .value = NUMBER } } } },
	{ "compare_ne_imm", { CPU_COMPARE_NE_IMM_OP, 4,
			      { .immediate_op = { .p = P64, .value = NUMBER } } } },
	{ "memcpy", { CPU_MEMCPY_OP, 17, { .memcpy_op = { .dst = P64, .src = Q64 } } } },
	{ "memcpy_release", { CPU_MEMCPY_RELEASE_OP, 8,
			      { .memcpy_op = { .dst = P64, .src = Q64 } } } },
	{ "store_imm", { CPU_STORE_IMM_OP, 2, { .immediate_op = { .p = P64, .value = NUMBER } } } },
	{ "store_release_imm", { CPU_STORE_RELEASE_IMM_OP, 8,
				 { .immediate_op = { .p = P64, .value = NUMBER } } } },
	{ "add", { CPU_ADD_OP, 8, { .arithmetic_op = { .p = P64, .count = -5 } } } },
	{ "add_release", { CPU_ADD_RELEASE_OP, 4, { .arithmetic_op = { .p = P64, .count = 5 } } } },
	{ "or", { CPU_OR_OP, 8, { .bitwise_op = { .p = P64, .mask = NUMBER } } } },
	{ "and", { CPU_AND_OP, 8, { .bitwise_op = { .p = P64, .mask = NUMBER } } } },
	{ "xor", { CPU_XOR_OP, 8, { .bitwise_op = { .p = P64, .mask = NUMBER } } } },
	{ "lshift", { CPU_LSHIFT_OP, 8, { .shift_op = { .p = P64, .bits = 63 } } } },
	{ "rshift", { CPU_RSHIFT_OP, 1, { .shift_op = { .p = P64, .bits = 7 } } } },
	{ "mb", { CPU_MB_OP, 0, { .padding = { 0 } } } },
	{ "expect_fault of compare_ne, first", { CPU_COMPARE_NE_OP, 1,
		{ .compare_op = { .a = P64, .b = Q64, .expect_fault_a = 1 } } } },
	{ "expect_fault of compare_ne, second", { CPU_COMPARE_NE_OP, 1,
		{ .compare_op = { .a = P64, .b = Q64, .expect_fault_b = 1 } } } },
	{ "expect_fault of memcpy, dst", { CPU_MEMCPY_OP, 17,
		{ .memcpy_op = { .dst = P64, .src = Q64, .expect_fault_dst = 1 } } } },
	{ "expect_fault of memcpy, src", { CPU_MEMCPY_OP, 17,
		{ .memcpy_op = { .dst = P64, .src = Q64, .expect_fault_src = 1 } } } },
	{ "expect_fault of add", { CPU_ADD_OP, 8,
		{ .arithmetic_op = { .p = P64, .count = -5, .expect_fault_p = 1 } } } },
	{ "expect_fault of and", { CPU_AND_OP, 8,
		{ .bitwise_op = { .p = P64, .mask = NUMBER, .expect_fault_p = 1 } } } },
	{ "expect_fault of rshift", { CPU_RSHIFT_OP, 1,
		{ .shift_op = { .p = P64, .bits = 7, .expect_fault_p = 1 } } } },
	{ "expect_fault of store_imm", { CPU_STORE_IMM_OP, 2,
		{ .immediate_op = { .p = P64, .value = NUMBER, .expect_fault_p = 1 } } } },
};

static void test_functions_make_what_the_kernel_header_says(void **state)
{
	const struct cpu_op made[] = {
		cpu_op_compare_eq(P, Q, 4096),
		cpu_op_compare_ne(P, Q, 1),
		cpu_op_compare_eq_imm(P, 8, NUMBER),
		cpu_op_compare_ne_imm(P, 4, NUMBER),
		cpu_op_memcpy(P, Q, 17),
		cpu_op_memcpy_release(P, Q, 8),
		cpu_op_store_imm(P, 2, NUMBER),
		cpu_op_store_release_imm(P, 8, NUMBER),
		cpu_op_add(P, 8, -5),
		cpu_op_add_release(P, 4, 5),
		cpu_op_or(P, 8, NUMBER),
		cpu_op_and(P, 8, NUMBER),
		cpu_op_xor(P, 8, NUMBER),
		cpu_op_lshift(P, 8, 63),
		cpu_op_rshift(P, 1, 7),
		cpu_op_mb(),
		cpu_op_expect_fault(cpu_op_compare_ne(P, Q, 1), 0),
		cpu_op_expect_fault(cpu_op_compare_ne(P, Q, 1), 1),
		cpu_op_expect_fault(cpu_op_memcpy(P, Q, 17), 0),
		cpu_op_expect_fault(cpu_op_memcpy(P, Q, 17), 1),
		cpu_op_expect_fault(cpu_op_add(P, 8, -5), 0),
		cpu_op_expect_fault(cpu_op_and(P, 8, NUMBER), 0),
		cpu_op_expect_fault(cpu_op_rshift(P, 1, 7), 0),
		cpu_op_expect_fault(cpu_op_store_imm(P, 2, NUMBER), 0),
	};
	size_t i;

	(void)state;
	assert_int_equal(ARRAY_SIZE(made), ARRAY_SIZE(forms));
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		print_message("# %s\n", forms[i].name);
		assert_memory_equal(&made[i], &forms[i].expected, sizeof(made[i]));
	}
}

static void test_vector_of_made_operations_runs(void **state)
{
	intptr_t version = 7, first = 0, node = 5;
	const struct cpu_op ops[] = {
		cpu_op_compare_eq_imm(&version, sizeof(version), 7),
		cpu_op_memcpy(&first, &node, sizeof(first)),
		cpu_op_mb(),
		cpu_op_add(&version, sizeof(version), -1),
	};

	(void)state;
	assert_int_equal(rseq_op(ops, 4, rseq_op_current_cpu(), 0), 0);
	assert_int_equal(version, 6);
	assert_int_equal(first, 5);
	assert_int_equal(rseq_op(ops, 4, rseq_op_current_cpu(), 0), 1);
	assert_int_equal(version, 6);
}

static void test_number_of_the_system_call(void **state)
{
	(void)state;
	assert_int_equal(__NR_cpu_opv, 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions_make_what_the_kernel_header_says),
		cmocka_unit_test(test_vector_of_made_operations_runs),
		cmocka_unit_test(test_number_of_the_system_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

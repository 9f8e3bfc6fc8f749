// SPDX-License-Identifier: MIT
#include "vectors.h"

uint8_t vector_memory[VECTOR_MEMORY] __attribute__((aligned(4096)));

#define AT(i)		((uintptr_t)vector_memory + (i))
#define NOWHERE		((uintptr_t)8)		/* never mapped: vm.mmap_min_addr */
#define KERNEL_SPACE	0xffff888000000000

#define COMPARE(op_, len_, a_, b_, ...) \
	{ .op = op_, .len = len_, .u.compare_op = { .a = a_, .b = b_, ##__VA_ARGS__ } }
#define EQ(len, a, b, ...)	COMPARE(CPU_COMPARE_EQ_OP, len, a, b, ##__VA_ARGS__)
#define NE(len, a, b, ...)	COMPARE(CPU_COMPARE_NE_OP, len, a, b, ##__VA_ARGS__)
#define COPY(op_, len_, dst_, src_, ...) \
	{ .op = op_, .len = len_, .u.memcpy_op = { .dst = dst_, .src = src_, ##__VA_ARGS__ } }
#define CPY(len, dst, src, ...)	COPY(CPU_MEMCPY_OP, len, dst, src, ##__VA_ARGS__)
#define CPY_REL(len, dst, src)	COPY(CPU_MEMCPY_RELEASE_OP, len, dst, src)
#define ARITH(op_, len_, p_, count_, ...) \
	{ .op = op_, .len = len_, .u.arithmetic_op = { .p = p_, .count = count_, ##__VA_ARGS__ } }
#define ADD(len, p, count, ...)	ARITH(CPU_ADD_OP, len, p, count, ##__VA_ARGS__)
#define ADD_REL(len, p, count)	ARITH(CPU_ADD_RELEASE_OP, len, p, count)

/* Bytes 8 to 15 as a word, and so on. */
#define WORD8		UINT64_C(0x0f0e0d0c0b0a0908)
#define WORD16		UINT64_C(0x1716151413121110)
#define WORD24		UINT64_C(0x1f1e1d1c1b1a1918)

#define VEC(...)	.ops = { __VA_ARGS__ }, \
	.nr_ops = sizeof((struct cpu_op []){ __VA_ARGS__ }) / sizeof(struct cpu_op)

/* Byte 251 * k + i holds what byte i holds. */
#define SAME(i)		AT(251 + (i))

const struct vector_case vector_cases[] = {
	/* Each operation */
	{ "empty", .nr_ops = 0, .result = 0 },
	{ "eq_holds", VEC(EQ(8, AT(8), SAME(8))), 0 },
	{ "eq_fails", VEC(EQ(8, AT(8), AT(16))), 1 },
	{ "eq_fails_in_last_byte", VEC(CPY(7, AT(64), AT(8)), EQ(8, AT(64), AT(8))), 2,
		{ { 64, 4, 0x0b0a0908 }, { 68, 2, 0x0d0c }, { 70, 1, 0x0e } } },
	{ "eq_itself", VEC(EQ(8, AT(8), AT(8))), 0 },
	{ "eq_1", VEC(EQ(1, AT(3), SAME(3))), 0 },
	{ "eq_odd_length", VEC(EQ(13, AT(3), SAME(3))), 0 },
	{ "eq_4096", VEC(EQ(4096, AT(1), SAME(1))), 0 },
	{ "ne_holds", VEC(NE(8, AT(8), AT(16))), 0 },
	{ "ne_fails", VEC(NE(8, AT(8), SAME(8))), 1 },
	{ "copy_1", VEC(CPY(1, AT(64), AT(8))), 0, { { 64, 1, 0x08 } } },
	{ "copy_2", VEC(CPY(2, AT(64), AT(8))), 0, { { 64, 2, 0x0908 } } },
	{ "copy_4", VEC(CPY(4, AT(64), AT(8))), 0, { { 64, 4, 0x0b0a0908 } } },
	{ "copy_8", VEC(CPY(8, AT(64), AT(8))), 0, { { 64, 8, WORD8 } } },
	{ "copy_8_unaligned", VEC(CPY(8, AT(65), AT(8))), 0, { { 65, 8, WORD8 } } },
	{ "copy_8_across_pages", VEC(CPY(8, AT(4093), AT(8))), 0, { { 4093, 8, WORD8 } } },
	{ "copy_from_across_pages", VEC(CPY(4, AT(64), AT(4094))), 0,
		{ { 64, 4, 0x51504f4e } } },
	{ "copy_adjacent", VEC(CPY(8, AT(16), AT(8))), 0, { { 16, 8, WORD8 } } },
	{ "copy_release", VEC(CPY_REL(8, AT(64), AT(8))), 0, { { 64, 8, WORD8 } } },
	{ "copy_release_2", VEC(CPY_REL(2, AT(66), AT(8))), 0, { { 66, 2, 0x0908 } } },
	{ "add_1_wraps", VEC(ADD(1, AT(64), 0x1ff)), 0, { { 64, 1, 0x3f } } },
	{ "add_2", VEC(ADD(2, AT(64), 0x10001)), 0, { { 64, 2, 0x4141 } } },
	{ "add_4_negative", VEC(ADD(4, AT(64), -1)), 0, { { 64, 4, 0x4342413f } } },
	{ "add_8", VEC(ADD(8, AT(64), 1)), 0, { { 64, 8, UINT64_C(0x4746454443424141) } } },
	{ "add_8_across_pages", VEC(ADD(8, AT(4092), 1)), 0,
		{ { 4092, 8, UINT64_C(0x535251504f4e4d4d) } } },
	{ "add_release", VEC(ADD_REL(8, AT(64), -2)), 0,
		{ { 64, 8, UINT64_C(0x474645444342413e) } } },

	/* Order: each sees what those before it did; a comparison stops the rest */
	{ "copy_then_compare", VEC(CPY(8, AT(64), AT(8)), EQ(8, AT(64), AT(8)),
		ADD(8, AT(80), 1)), 0,
		{ { 64, 8, WORD8 }, { 80, 8, UINT64_C(0x5756555453525151) } } },
	{ "copy_then_copy_on", VEC(CPY(8, AT(64), AT(8)), CPY(8, AT(128), AT(64))), 0,
		{ { 64, 8, WORD8 }, { 128, 8, WORD8 } } },
	{ "copy_then_copy_part", VEC(CPY(4, AT(66), AT(8)), CPY(8, AT(128), AT(64))), 0,
		{ { 66, 4, 0x0b0a0908 }, { 128, 8, UINT64_C(0x47460b0a09084140) } } },
	{ "copy_across_pages_then_copy_on", VEC(CPY(8, AT(4092), AT(8)),
		CPY(8, AT(64), AT(4092))), 0, { { 4092, 8, WORD8 }, { 64, 8, WORD8 } } },
	{ "add_twice", VEC(ADD(8, AT(64), 1), ADD(8, AT(64), 2)), 0,
		{ { 64, 8, UINT64_C(0x4746454443424143) } } },
	{ "add_then_copy", VEC(ADD(8, AT(64), 1), CPY(8, AT(80), AT(64))), 0,
		{ { 64, 8, UINT64_C(0x4746454443424141) },
		  { 80, 8, UINT64_C(0x4746454443424141) } } },
	{ "swap_through_third", VEC(CPY(8, AT(64), AT(8)), CPY(8, AT(8), AT(16)),
		CPY(8, AT(16), AT(64))), 0,
		{ { 64, 8, WORD8 }, { 8, 8, WORD16 }, { 16, 8, WORD8 } } },
	{ "second_compare_stops", VEC(EQ(8, AT(8), SAME(8)), EQ(8, AT(8), AT(16)),
		ADD(8, AT(64), 1)), 2 },
	{ "stores_before_a_failed_compare_stay", VEC(ADD(1, AT(64), 1), NE(8, AT(8), AT(8)),
		ADD(8, AT(80), 1)), 2, { { 64, 1, 0x41 } } },
	{ "three_stores_three_pages", VEC(EQ(8, AT(8), SAME(8)), CPY(8, AT(64), AT(8)),
		CPY(8, AT(4160), AT(16)), CPY_REL(8, AT(8256), AT(24))), 0,
		{ { 64, 8, WORD8 }, { 4160, 8, WORD16 }, { 8256, 8, WORD24 } } },

	/* Limits */
	{ "16_operations", VEC(ADD(1, AT(64), 1), ADD(1, AT(64), 1), ADD(1, AT(64), 1),
		ADD(1, AT(64), 1), ADD(1, AT(64), 1), ADD(1, AT(64), 1), ADD(1, AT(64), 1),
		ADD(1, AT(64), 1), ADD(1, AT(64), 1), ADD(1, AT(64), 1), ADD(1, AT(64), 1),
		ADD(1, AT(64), 1), ADD(1, AT(64), 1), ADD(1, AT(64), 1), ADD(1, AT(64), 1),
		ADD(1, AT(64), 1)), 0, { { 64, 1, 0x50 } } },
	{ "17_operations", .nr_ops = 17, .result = -EINVAL },
	{ "4216_bytes", VEC(EQ(4096, AT(1), SAME(1)), EQ(120, AT(1), SAME(1))), 0 },
	{ "4217_bytes", VEC(EQ(4096, AT(1), SAME(1)), EQ(121, AT(1), SAME(1))), -EINVAL },
	{ "eq_4097", VEC(EQ(4097, AT(1), SAME(1))), -EINVAL },
	{ "copy_4097", VEC(CPY(4097, AT(0), AT(8192))), -EINVAL },
	{ "copy_0", VEC(CPY(0, AT(64), AT(8))), -EINVAL },
	{ "eq_0", VEC(EQ(0, AT(64), AT(8))), -EINVAL },
	{ "length_wraps", VEC(CPY(0xffffffff, AT(64), AT(8))), -EINVAL },
	{ "add_3", VEC(ADD(3, AT(64), 1)), -EINVAL },
	{ "add_0", VEC(ADD(0, AT(64), 1)), -EINVAL },
	{ "add_16", VEC(ADD(16, AT(64), 1)), -EINVAL },
	{ "copy_release_3", VEC(CPY_REL(3, AT(64), AT(8))), -EINVAL },
	{ "copy_release_unaligned_dst", VEC(CPY_REL(8, AT(68), AT(8))), -EINVAL },
	{ "copy_release_unaligned_src", VEC(CPY_REL(8, AT(64), AT(12))), -EINVAL },
	{ "add_release_unaligned", VEC(ADD_REL(4, AT(66), 1)), -EINVAL },
	{ "copy_overlap_forward", VEC(CPY(8, AT(15), AT(8))), -EINVAL },
	{ "copy_overlap_backward", VEC(CPY(8, AT(1), AT(8))), -EINVAL },
	{ "copy_onto_itself", VEC(CPY(8, AT(8), AT(8))), -EINVAL },

	/* Nonsense; what stands before it does not take effect either */
	{ "unknown_op", VEC(ADD(8, AT(64), 1), ARITH(1000, 8, AT(64), 1)), -EINVAL },
	{ "next_op", VEC(ADD(8, AT(64), 1), ARITH(NR_CPU_OPS, 8, AT(64), 1)), -EINVAL },
	{ "negative_op", VEC(ARITH(-1, 8, AT(64), 1)), -EINVAL },
	{ "expect_fault_2", VEC(ADD(8, AT(64), 1, .expect_fault_p = 2)), -EINVAL },
	{ "expect_fault_without_operand", VEC({ .op = CPU_ADD_OP, .len = 8,
		.u.compare_op = { .a = AT(64), .b = 1, .expect_fault_b = 1 } }), -EINVAL },
	{ "unmapped_add", VEC(ADD(8, AT(64), 1), ADD(8, NOWHERE, 1)), -EFAULT },
	{ "unmapped_dst", VEC(ADD(8, AT(64), 1), CPY(8, NOWHERE, AT(8))), -EFAULT },
	{ "unmapped_src", VEC(ADD(8, AT(64), 1), CPY(8, AT(80), NOWHERE)), -EFAULT },
	{ "unmapped_a", VEC(ADD(8, AT(64), 1), EQ(8, NOWHERE, AT(8))), -EFAULT },
	{ "unmapped_b", VEC(ADD(8, AT(64), 1), NE(8, AT(8), NOWHERE)), -EFAULT },
	{ "unmapped_behind_a_failed_compare", VEC(EQ(8, AT(8), AT(16)), ADD(8, NOWHERE, 1)),
		-EFAULT },
	{ "unmapped_expected_dst", VEC(CPY(8, NOWHERE, AT(8), .expect_fault_dst = 1)), -EAGAIN },
	{ "unmapped_expected_src", VEC(CPY(8, AT(64), NOWHERE, .expect_fault_src = 1)), -EAGAIN },
	{ "unmapped_expected_other", VEC(CPY(8, AT(64), NOWHERE, .expect_fault_dst = 1)), -EFAULT },
	{ "unmapped_expected_a", VEC(EQ(8, NOWHERE, AT(8), .expect_fault_a = 1)), -EAGAIN },
	{ "unmapped_expected_b", VEC(EQ(8, AT(8), NOWHERE, .expect_fault_b = 1)), -EAGAIN },
	{ "unmapped_expected_p", VEC(ADD(8, NOWHERE, 1, .expect_fault_p = 1)), -EAGAIN },
	{ "expected_and_mapped", VEC(ADD(8, AT(64), 1, .expect_fault_p = 1)), 0,
		{ { 64, 8, UINT64_C(0x4746454443424141) } } },
	{ "kernel_src", VEC(CPY(8, AT(64), KERNEL_SPACE)), -EFAULT },
	{ "kernel_dst", VEC(CPY(8, KERNEL_SPACE, AT(8))), -EFAULT },
	{ "end_of_addresses", VEC(ADD(8, UINT64_MAX - 3, 1)), -EFAULT },
	{ "end_of_addresses_src", VEC(CPY(8, AT(64), UINT64_MAX - 3)), -EFAULT },
	{ "invalid_before_unmapped", VEC(ADD(8, NOWHERE, 1), ADD(3, AT(64), 1)), -EINVAL },
};

const size_t nr_vector_cases = ARRAY_SIZE(vector_cases);

static void fill(uint8_t *mem)
{
	unsigned int i;

	for (i = 0; i < VECTOR_MEMORY; i++)
		mem[i] = (uint8_t)(i % 251);
}

static void expect(uint8_t *mem, const struct vector_case *c)
{
	size_t i;

	fill(mem);
	for (i = 0; i < ARRAY_SIZE(c->changes) && c->changes[i].len; i++)
		memcpy(mem + c->changes[i].at, &c->changes[i].value, c->changes[i].len);
}

/* Report each byte that is not as it should be, at most four of them. */
static bool same_memory(const uint8_t *expected, const char *name, int cpu)
{
	int shown = 0;
	unsigned int i;

	for (i = 0; i < VECTOR_MEMORY; i++) {
		if (vector_memory[i] != expected[i] && shown++ < 4)
			print_error("# %s for CPU %d: byte %u is %#x, expected %#x\n", name, cpu,
				    i, vector_memory[i], expected[i]);
	}
	return !shown;
}

static bool check_vector(vector_fn run, const struct vector_case *c, int cpu)
{
	static uint8_t expected[VECTOR_MEMORY];
	int result;

	fill(vector_memory);
	expect(expected, c);
	errno = 0;
	result = run(c->ops, c->nr_ops, cpu, 0);
	if (result != c->result) {
		print_error("# %s for CPU %d: result %d, expected %d\n", c->name, cpu, result,
			    c->result);
		same_memory(expected, c->name, cpu);
		return false;
	}
	return same_memory(expected, c->name, cpu);
}

void check_vectors(vector_fn run, int cpu)
{
	unsigned int failed = 0;
	size_t i;

	for (i = 0; i < nr_vector_cases; i++)
		failed += !check_vector(run, &vector_cases[i], cpu);
	if (failed)
		fail_msg("%u of %zu vectors", failed, nr_vector_cases);
}

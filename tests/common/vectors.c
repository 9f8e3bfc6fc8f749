// SPDX-License-Identifier: MIT
#include <sys/mman.h>
#include <unistd.h>

#include "vectors.h"

uint8_t vector_memory[VECTOR_MEMORY] __attribute__((aligned(4096)));

/* Stands for vector_memory, whose address is no constant of 64 bits everywhere. */
#define MEMORY		UINT64_C(0x4d454d4f52590000)
#define AT(i)		(MEMORY + (i))
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
#define BITS(op_, len_, p_, mask_, ...) \
	{ .op = op_, .len = len_, .u.bitwise_op = { .p = p_, .mask = mask_, ##__VA_ARGS__ } }
#define OR(len, p, mask, ...)	BITS(CPU_OR_OP, len, p, mask, ##__VA_ARGS__)
#define AND(len, p, mask)	BITS(CPU_AND_OP, len, p, mask)
#define XOR(len, p, mask)	BITS(CPU_XOR_OP, len, p, mask)
#define SHIFT(op_, len_, p_, bits_, ...) \
	{ .op = op_, .len = len_, .u.shift_op = { .p = p_, .bits = bits_, ##__VA_ARGS__ } }
#define LSH(len, p, bits, ...)	SHIFT(CPU_LSHIFT_OP, len, p, bits, ##__VA_ARGS__)
#define RSH(len, p, bits, ...)	SHIFT(CPU_RSHIFT_OP, len, p, bits, ##__VA_ARGS__)
#define MB(...)			{ .op = CPU_MB_OP, ##__VA_ARGS__ }
#define IMM(op_, len_, p_, value_, ...) \
	{ .op = op_, .len = len_, .u.immediate_op = { .p = p_, .value = value_, ##__VA_ARGS__ } }
#define EQ_IMM(len, p, value, ...)	IMM(CPU_COMPARE_EQ_IMM_OP, len, p, value, ##__VA_ARGS__)
#define NE_IMM(len, p, value, ...)	IMM(CPU_COMPARE_NE_IMM_OP, len, p, value, ##__VA_ARGS__)
#define SET(len, p, value, ...)		IMM(CPU_STORE_IMM_OP, len, p, value, ##__VA_ARGS__)
#define SET_REL(len, p, value)		IMM(CPU_STORE_RELEASE_IMM_OP, len, p, value)

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
	{ "eq_13_fails_in_first_byte", VEC(ADD(1, AT(3), 1), EQ(13, AT(3), SAME(3))), 2,
		{ { 3, 1, 0x04 } } },
	{ "eq_13_fails_in_last_byte", VEC(ADD(1, AT(15), 1), EQ(13, AT(3), SAME(3))), 2,
		{ { 15, 1, 0x10 } } },
	{ "eq_13_ends_there", VEC(ADD(1, AT(16), 1), EQ(13, AT(3), SAME(3))), 0,
		{ { 16, 1, 0x11 } } },
	{ "eq_4096", VEC(EQ(4096, AT(1), SAME(1))), 0 },
	{ "eq_4096_fails_in_last_byte", VEC(ADD(1, SAME(4096), 1), EQ(4096, AT(1), SAME(1))), 2,
		{ { 4347, 1, 0x51 } } },
	{ "eq_1_fails", VEC(EQ(1, AT(8), AT(9)), SET(8, AT(64), 1)), 1 },
	{ "eq_9_fails_in_first_byte", VEC(SET(1, AT(8), 0), EQ(9, AT(8), SAME(8))), 2,
		{ { 8, 1, 0 } } },
	{ "eq_9_fails_in_last_byte", VEC(SET(1, AT(16), 0), EQ(9, AT(8), SAME(8))), 2,
		{ { 16, 1, 0 } } },
	{ "eq_9_holds_beside_a_difference", VEC(SET(1, AT(7), 0), SET(1, AT(17), 0),
		EQ(9, AT(8), SAME(8))), 0, { { 7, 1, 0 }, { 17, 1, 0 } } },
	{ "eq_4096_fails_in_last_byte_again", VEC(SET(1, AT(4096), 1), EQ(4096, AT(1), SAME(1))), 2,
		{ { 4096, 1, 1 } } },
	{ "eq_4096_fails_in_first_byte", VEC(SET(1, AT(1), 0), EQ(4096, AT(1), SAME(1))), 2,
		{ { 1, 1, 0 } } },
	{ "ne_4096_holds_in_last_byte", VEC(SET(1, AT(4096), 1), NE(4096, AT(1), SAME(1)),
		SET(1, AT(0), 7)), 0, { { 4096, 1, 1 }, { 0, 1, 7 } } },
	{ "ne_4096_fails", VEC(NE(4096, AT(1), SAME(1)), SET(1, AT(0), 7)), 1 },
	{ "ne_1_holds_by_one_bit", VEC(NE(1, AT(8), AT(9)), SET(1, AT(64), 7)), 0,
		{ { 64, 1, 7 } } },
	{ "ne_holds", VEC(NE(8, AT(8), AT(16))), 0 },
	{ "ne_fails", VEC(NE(8, AT(8), SAME(8))), 1 },
	{ "ne_holds_in_last_byte", VEC(ADD(1, AT(15), 1), NE(8, AT(8), SAME(8))), 0,
		{ { 15, 1, 0x10 } } },
	{ "ne_13_holds_in_last_byte", VEC(ADD(1, AT(15), 1), NE(13, AT(3), SAME(3))), 0,
		{ { 15, 1, 0x10 } } },
	{ "ne_13_fails", VEC(NE(13, AT(3), SAME(3))), 1 },
	{ "copy_1", VEC(CPY(1, AT(64), AT(8))), 0, { { 64, 1, 0x08 } } },
	{ "copy_2", VEC(CPY(2, AT(64), AT(8))), 0, { { 64, 2, 0x0908 } } },
	{ "copy_4", VEC(CPY(4, AT(64), AT(8))), 0, { { 64, 4, 0x0b0a0908 } } },
	{ "copy_8", VEC(CPY(8, AT(64), AT(8))), 0, { { 64, 8, WORD8 } } },
	{ "copy_13", VEC(CPY(13, AT(65), AT(8))), 0, .copied = { 65, 8, 13 } },
	{ "copy_100", VEC(CPY(100, AT(300), AT(8))), 0, .copied = { 300, 8, 100 } },
	{ "copy_4096", VEC(CPY(4096, AT(4099), AT(1))), 0, .copied = { 4099, 1, 4096 } },
	{ "copy_8_unaligned", VEC(CPY(8, AT(65), AT(8))), 0, { { 65, 8, WORD8 } } },
	{ "copy_8_across_pages", VEC(CPY(8, AT(4093), AT(8))), 0, { { 4093, 8, WORD8 } } },
	{ "copy_from_across_pages", VEC(CPY(4, AT(64), AT(4094))), 0,
		{ { 64, 4, 0x51504f4e } } },
	{ "copy_adjacent", VEC(CPY(8, AT(16), AT(8))), 0, { { 16, 8, WORD8 } } },
	{ "copy_3", VEC(CPY(3, AT(65), AT(8))), 0, { { 65, 1, 0x08 }, { 66, 2, 0x0a09 } } },
	{ "copy_9", VEC(CPY(9, AT(64), AT(8))), 0, { { 64, 9, 8 } } },
	{ "copy_130_across_pages", VEC(CPY(130, AT(4000), AT(8191))), 0, { { 4000, 130, 8191 } } },
	{ "copy_4096", VEC(CPY(4096, AT(8193), AT(17))), 0, { { 8193, 4096, 17 } } },
	{ "copy_4096_to_below", VEC(CPY(4096, AT(17), AT(8193))), 0, { { 17, 4096, 8193 } } },
	{ "copy_release_1", VEC(CPY_REL(1, AT(67), AT(9))), 0, { { 67, 1, 0x09 } } },
	{ "copy_release_4", VEC(CPY_REL(4, AT(68), AT(8))), 0, { { 68, 4, 0x0b0a0908 } } },
	{ "copy_release", VEC(CPY_REL(8, AT(64), AT(8))), 0, { { 64, 8, WORD8 } } },
	{ "copy_release_2", VEC(CPY_REL(2, AT(66), AT(8))), 0, { { 66, 2, 0x0908 } } },
	{ "add_1_wraps", VEC(ADD(1, AT(64), 0x1ff)), 0, { { 64, 1, 0x3f } } },
	{ "add_2", VEC(ADD(2, AT(64), 0x10001)), 0, { { 64, 2, 0x4141 } } },
	{ "add_4_negative", VEC(ADD(4, AT(64), -1)), 0, { { 64, 4, 0x4342413f } } },
	{ "add_8", VEC(ADD(8, AT(64), 1)), 0, { { 64, 8, UINT64_C(0x4746454443424141) } } },
	{ "add_8_all_bytes", VEC(ADD(8, AT(64), INT64_C(0x0102030405060708))), 0,
		{ { 64, 8, UINT64_C(0x4848484848484848) } } },
	{ "add_4_cuts_the_count", VEC(ADD(4, AT(64), INT64_C(0x100000001))), 0,
		{ { 64, 4, 0x43424141 } } },
	{ "add_8_across_pages", VEC(ADD(8, AT(4092), 1)), 0,
		{ { 4092, 8, UINT64_C(0x535251504f4e4d4d) } } },
	{ "add_release", VEC(ADD_REL(8, AT(64), -2)), 0,
		{ { 64, 8, UINT64_C(0x474645444342413e) } } },
	{ "add_release_1_wraps", VEC(ADD_REL(1, AT(65), 0x1ff)), 0, { { 65, 1, 0x40 } } },
	{ "add_release_2", VEC(ADD_REL(2, AT(66), 0x100)), 0, { { 66, 2, 0x4442 } } },
	{ "add_release_4_negative", VEC(ADD_REL(4, AT(68), -0x45)), 0, { { 68, 4, 0x474644ff } } },
	{ "add_8_carries", VEC(SET(4, AT(64), 0xffffffff), ADD(8, AT(64), 1)), 0,
		{ { 64, 8, UINT64_C(0x4746454500000000) } } },
	{ "or_2", VEC(OR(2, AT(8), 0xf0f000)), 0, { { 8, 2, 0xf908 } } },
	{ "or_4", VEC(OR(4, AT(8), UINT64_C(0xfff0000000))), 0, { { 8, 4, 0xfb0a0908 } } },
	{ "and_1", VEC(AND(1, AT(9), 0xff01)), 0, { { 9, 1, 1 } } },
	{ "and_4", VEC(AND(4, AT(8), 0xff0000ff)), 0, { { 8, 4, 0x0b000008 } } },
	{ "xor_1", VEC(XOR(1, AT(9), 0xff0f)), 0, { { 9, 1, 6 } } },
	{ "xor_2", VEC(XOR(2, AT(8), 0xf0000f)), 0, { { 8, 2, 0x0907 } } },
	{ "or_8", VEC(OR(8, AT(8), 0xf0)), 0, { { 8, 1, 0xf8 } } },
	{ "or_8_all_bytes", VEC(OR(8, AT(8), UINT64_C(0x8172635445362718))), 0,
		{ { 8, 8, UINT64_C(0x8f7e6f5c4f3e2f18) } } },
	{ "xor_8_all_bytes", VEC(XOR(8, AT(8), UINT64_C(0x8172635445362718))), 0,
		{ { 8, 8, UINT64_C(0x8e7c6e584e3c2e10) } } },
	{ "add_release_2_again", VEC(ADD_REL(2, AT(64), 0x0303)), 0, { { 64, 2, 0x4443 } } },
	{ "or_1_cuts_the_mask", VEC(OR(1, AT(8), 0xfff0)), 0, { { 8, 1, 0xf8 } } },
	{ "and_8", VEC(AND(8, AT(8), UINT64_C(0xff00ff00ff00ff00))), 0,
		{ { 8, 8, UINT64_C(0x0f000d000b000900) } } },
	{ "and_2", VEC(AND(2, AT(8), ~UINT64_C(8))), 0, { { 8, 1, 0x00 } } },
	{ "xor_4", VEC(XOR(4, AT(8), UINT64_MAX)), 0, { { 8, 4, 0xf4f5f6f7 } } },
	{ "xor_8_across_pages", VEC(XOR(8, AT(4092), 0xff)), 0, { { 4092, 1, 0xb3 } } },
	{ "lshift_8", VEC(LSH(8, AT(8), 8)), 0, { { 8, 8, UINT64_C(0x0e0d0c0b0a090800) } } },
	{ "lshift_1_drops_bits", VEC(LSH(1, AT(0xc0), 1)), 0, { { 0xc0, 1, 0x80 } } },
	{ "lshift_by_0", VEC(LSH(8, AT(8), 0)), 0 },
	{ "lshift_by_63", VEC(LSH(8, AT(9), 63)), 0, { { 9, 8, UINT64_C(1) << 63 } } },
	{ "rshift_8", VEC(RSH(8, AT(8), 8)), 0, { { 8, 8, UINT64_C(0x000f0e0d0c0b0a09) } } },
	{ "rshift_1_no_sign", VEC(RSH(1, AT(0xc0), 4)), 0, { { 0xc0, 1, 0x0c } } },
	{ "rshift_2_no_sign", VEC(RSH(2, AT(0xc0), 8)), 0, { { 0xc0, 2, 0x00c1 } } },
	{ "rshift_4_no_sign", VEC(RSH(4, AT(0xc0), 8)), 0, { { 0xc0, 4, 0x00c3c2c1 } } },
	{ "rshift_8_no_sign", VEC(RSH(8, AT(0xc0), 8)), 0,
		{ { 0xc0, 8, UINT64_C(0x00c7c6c5c4c3c2c1) } } },
	{ "lshift_2", VEC(LSH(2, AT(8), 4)), 0, { { 8, 2, 0x9080 } } },
	{ "lshift_4_by_31", VEC(LSH(4, AT(9), 31)), 0, { { 9, 4, 0x80000000 } } },
	{ "rshift_2", VEC(RSH(2, AT(0xc0), 15)), 0, { { 0xc0, 2, 1 } } },
	{ "rshift_8_by_63", VEC(RSH(8, AT(0xc0), 63)), 0, { { 0xc0, 8, 1 } } },
	{ "rshift_4_keeps_neighbours", VEC(RSH(4, AT(8), 31)), 0, { { 8, 4, 0 } } },
	{ "barrier", VEC(MB()), 0 },
	{ "barrier_between", VEC(SET(8, AT(64), 1), MB(), SET(8, AT(80), 2)), 0,
		{ { 64, 8, 1 }, { 80, 8, 2 } } },
	{ "eq_imm_holds", VEC(EQ_IMM(8, AT(8), WORD8), SET(8, AT(64), 1)), 0, { { 64, 8, 1 } } },
	{ "eq_imm_fails", VEC(EQ_IMM(8, AT(8), WORD16), SET(8, AT(64), 1)), 1 },
	{ "eq_imm_fails_in_high_byte", VEC(EQ_IMM(8, AT(8), WORD8 ^ UINT64_C(1) << 63)), 1 },
	{ "eq_imm_2_cuts_the_value", VEC(EQ_IMM(2, AT(8), 0xffff0908)), 0 },
	{ "eq_imm_1_fails", VEC(EQ_IMM(1, AT(8), 0x0908 ^ 0x80), SET(1, AT(64), 1)), 1 },
	{ "eq_imm_1_cuts_the_value", VEC(EQ_IMM(1, AT(8), 0xff08)), 0 },
	{ "eq_imm_2_fails_in_high_byte", VEC(EQ_IMM(2, AT(8), 0x8908)), 1 },
	{ "eq_imm_4_fails_in_high_byte", VEC(EQ_IMM(4, AT(8), 0x8b0a0908)), 1 },
	{ "eq_imm_4_cuts_the_value", VEC(EQ_IMM(4, AT(8), UINT64_C(0xf0b0a0908))), 0 },
	{ "ne_imm_2_holds_in_high_byte", VEC(NE_IMM(2, AT(8), 0x8908), SET(1, AT(64), 1)), 0,
		{ { 64, 1, 1 } } },
	{ "eq_imm_4_unaligned", VEC(EQ_IMM(4, AT(9), 0x0c0b0a09)), 0 },
	{ "eq_imm_8_across_pages", VEC(EQ_IMM(8, AT(4092), UINT64_C(0x535251504f4e4d4c))), 0 },
	{ "ne_imm_holds", VEC(NE_IMM(8, AT(8), 0)), 0 },
	{ "ne_imm_fails", VEC(NE_IMM(1, AT(8), 8)), 1 },
	{ "ne_imm_holds_in_high_byte", VEC(NE_IMM(8, AT(8), WORD8 ^ UINT64_C(1) << 63)), 0 },
	{ "ne_imm_2_cuts_the_value", VEC(NE_IMM(2, AT(8), 0xffff0908)), 1 },
	{ "eq_imm_1_only_that_byte", VEC(EQ_IMM(1, AT(8), 8), SET(8, AT(64), 1)), 0,
		{ { 64, 8, 1 } } },
	{ "eq_imm_4_fails_in_high_byte", VEC(EQ_IMM(4, AT(8), 0x8b0a0908), SET(4, AT(64), 1)), 1 },
	{ "store_if_ne_imm", VEC(NE_IMM(8, AT(8), 0), SET(8, AT(64), 5)), 0, { { 64, 8, 5 } } },
	{ "store_if_ne", VEC(NE(8, AT(8), AT(16)), SET(8, AT(64), 5)), 0, { { 64, 8, 5 } } },
	{ "no_store_if_eq_imm", VEC(NE_IMM(4, AT(8), 0x0b0a0908), SET(4, AT(64), 5)), 1 },
	{ "set_1", VEC(SET(1, AT(64), 0x1ff)), 0, { { 64, 1, 0xff } } },
	{ "set_2", VEC(SET(2, AT(64), 0x1234)), 0, { { 64, 2, 0x1234 } } },
	{ "set_4", VEC(SET(4, AT(64), 0x12345678)), 0, { { 64, 4, 0x12345678 } } },
	{ "set_8_unaligned", VEC(SET(8, AT(67), WORD8)), 0, { { 67, 8, WORD8 } } },
	{ "set_8_across_pages", VEC(SET(8, AT(4090), WORD8)), 0, { { 4090, 8, WORD8 } } },
	{ "set_release_1", VEC(SET_REL(1, AT(65), 0x1fe)), 0, { { 65, 1, 0xfe } } },
	{ "set_release_2", VEC(SET_REL(2, AT(66), 0x11234)), 0, { { 66, 2, 0x1234 } } },
	{ "set_release_4", VEC(SET_REL(4, AT(68), UINT64_C(0x912345678))), 0,
		{ { 68, 4, 0x12345678 } } },
	{ "set_release", VEC(SET_REL(8, AT(64), WORD8)), 0, { { 64, 8, WORD8 } } },
	{ "set_release_4_again", VEC(SET_REL(4, AT(68), WORD8)), 0, { { 68, 4, 0x0b0a0908 } } },

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
	{ "set_then_compare_imm", VEC(SET(8, AT(64), 5), EQ_IMM(8, AT(64), 5),
		SET(8, AT(80), 6)), 0, { { 64, 8, 5 }, { 80, 8, 6 } } },
	{ "set_part_then_compare_imm", VEC(SET(2, AT(8), 0), EQ_IMM(8, AT(8), WORD8)), 2,
		{ { 8, 2, 0 } } },
	{ "compare_imm_then_set_the_same", VEC(EQ_IMM(8, AT(8), WORD8), SET(8, AT(8), 0)), 0,
		{ { 8, 8, 0 } } },
	{ "modify_in_turn", VEC(SET(4, AT(64), 1), LSH(4, AT(64), 4), OR(4, AT(64), 3),
		XOR(4, AT(64), 2), ADD(4, AT(64), -1), RSH(4, AT(64), 1), AND(4, AT(64), 8)), 0,
		{ { 64, 4, 8 } } },
	{ "set_then_modify_across_pages", VEC(SET(8, AT(4092), 1), LSH(8, AT(4092), 33)), 0,
		{ { 4092, 8, UINT64_C(1) << 33 } } },
	{ "second_compare_stops", VEC(EQ(8, AT(8), SAME(8)), EQ(8, AT(8), AT(16)),
		ADD(8, AT(64), 1)), 2 },
	{ "second_of_three_aligned_compares_stops", VEC(EQ_IMM(8, AT(8), WORD8),
		EQ_IMM(8, AT(16), WORD8), NE_IMM(8, AT(24), WORD24), SET(8, AT(64), 1)), 2 },
	{ "third_of_three_aligned_compares_stops", VEC(EQ_IMM(4, AT(8), WORD8),
		EQ(4, AT(16), AT(16)), NE_IMM(4, AT(24), WORD24), SET(4, AT(64), 1)), 3 },
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
	{ "lshift_too_far", VEC(LSH(4, AT(64), 32)), -EINVAL },
	{ "rshift_too_far", VEC(RSH(8, AT(64), 64)), -EINVAL },
	{ "shift_upper_half_used", VEC(LSH(8, AT(64), 1, .zero_bits = 1)), -EINVAL },
	{ "or_3", VEC(OR(3, AT(64), 1)), -EINVAL },
	{ "set_0", VEC(SET(0, AT(64), 1)), -EINVAL },
	{ "set_16", VEC(SET(16, AT(64), 1)), -EINVAL },
	{ "eq_imm_5", VEC(EQ_IMM(5, AT(64), 1)), -EINVAL },
	{ "set_release_unaligned", VEC(SET_REL(8, AT(65), 1)), -EINVAL },
	{ "barrier_with_length", VEC(MB(.len = 8)), -EINVAL },
	{ "barrier_with_address", VEC(MB(.u.immediate_op.p = AT(64))), -EINVAL },
	{ "barrier_with_value", VEC(MB(.u.immediate_op.value = 1)), -EINVAL },
	{ "barrier_with_expect_fault", VEC(MB(.u.immediate_op.expect_fault_p = 1)), -EINVAL },
	{ "set_with_rest", VEC(SET(8, AT(64), 1, .zero = { 0, 0, 0, 0, 0, 0, 1 })), -EINVAL },
	{ "lshift_1_too_far", VEC(LSH(1, AT(64), 8)), -EINVAL },
	{ "rshift_2_too_far", VEC(RSH(2, AT(64), 16)), -EINVAL },
	{ "shift_by_2_to_the_32", VEC(LSH(8, AT(64), 1, .zero_bits = 0x80000000)), -EINVAL },
	{ "copy_release_9", VEC(CPY_REL(9, AT(64), AT(8))), -EINVAL },
	{ "copy_release_0", VEC(CPY_REL(0, AT(64), AT(8))), -EINVAL },
	{ "copy_release_4_unaligned", VEC(CPY_REL(4, AT(66), AT(8))), -EINVAL },
	{ "copy_release_2_unaligned_src", VEC(CPY_REL(2, AT(66), AT(9))), -EINVAL },
	{ "copy_release_overlap", VEC(CPY_REL(8, AT(8), AT(8))), -EINVAL },
	{ "set_release_2_unaligned", VEC(SET_REL(2, AT(65), 1)), -EINVAL },
	{ "ne_4097", VEC(NE(4097, AT(1), SAME(1))), -EINVAL },
	{ "ne_0", VEC(NE(0, AT(64), AT(8))), -EINVAL },
	{ "ne_imm_16", VEC(NE_IMM(16, AT(64), 1)), -EINVAL },
	{ "copy_100_overlap_in_last_byte", VEC(CPY(100, AT(107), AT(8))), -EINVAL },
	{ "copy_100_overlap_in_first_byte", VEC(CPY(100, AT(8), AT(107))), -EINVAL },
	{ "copy_100_adjacent", VEC(CPY(100, AT(108), AT(8))), 0, { { 108, 100, 8 } } },
	{ "copy_100_adjacent_below", VEC(CPY(100, AT(8), AT(108))), 0, { { 8, 100, 108 } } },
	{ "copy_overlap_forward", VEC(CPY(8, AT(15), AT(8))), -EINVAL },
	{ "copy_overlap_backward", VEC(CPY(8, AT(1), AT(8))), -EINVAL },
	{ "copy_onto_itself", VEC(CPY(8, AT(8), AT(8))), -EINVAL },

	/* Nonsense; what stands before it does not take effect either */
	{ "unknown_op", VEC(ADD(8, AT(64), 1), ARITH(1000, 8, AT(64), 1)), -EINVAL },
	{ "next_op", VEC(ADD(8, AT(64), 1), ARITH(NR_CPU_OPS, 8, AT(64), 1)), -EINVAL },
	{ "next_op_without_operands", VEC({ .op = NR_CPU_OPS }), -EINVAL },
	{ "negative_op_without_operands", VEC({ .op = -1 }), -EINVAL },
	{ "negative_op", VEC(ARITH(-1, 8, AT(64), 1)), -EINVAL },
	{ "expect_fault_2", VEC(ADD(8, AT(64), 1, .expect_fault_p = 2)), -EINVAL },
	{ "expect_fault_without_operand", VEC({ .op = CPU_ADD_OP, .len = 8,
		.u.compare_op = { .a = AT(64), .b = 1, .expect_fault_b = 1 } }), -EINVAL },
	{ "expect_fault_a_2", VEC(EQ(8, AT(8), SAME(8), .expect_fault_a = 2)), -EINVAL },
	{ "expect_fault_b_2", VEC(NE(8, AT(8), AT(16), .expect_fault_b = 255)), -EINVAL },
	{ "expect_fault_src_2", VEC(CPY(8, AT(64), AT(8), .expect_fault_src = 2)), -EINVAL },
	{ "unmapped_add", VEC(ADD(8, AT(64), 1), ADD(8, NOWHERE, 1)), -EFAULT },
	{ "unmapped_dst", VEC(ADD(8, AT(64), 1), CPY(8, NOWHERE, AT(8))), -EFAULT },
	{ "unmapped_src", VEC(ADD(8, AT(64), 1), CPY(8, AT(80), NOWHERE)), -EFAULT },
	{ "unmapped_a", VEC(ADD(8, AT(64), 1), EQ(8, NOWHERE, AT(8))), -EFAULT },
	{ "unmapped_b", VEC(ADD(8, AT(64), 1), NE(8, AT(8), NOWHERE)), -EFAULT },
	{ "unmapped_behind_a_failed_compare", VEC(EQ(8, AT(8), AT(16)), ADD(8, NOWHERE, 1)),
		-EFAULT },
	{ "unmapped_set_behind_a_failed_compare", VEC(EQ_IMM(8, AT(8), 0), SET(8, NOWHERE, 1)),
		-EFAULT },
	{ "unmapped_set", VEC(SET(8, NOWHERE, 1)), -EFAULT },
	{ "unmapped_eq_imm", VEC(EQ_IMM(8, NOWHERE, 1), SET(8, AT(64), 1)), -EFAULT },
	{ "unmapped_expected_set", VEC(SET(8, NOWHERE, 1, .expect_fault_p = 1)), -EAGAIN },
	{ "unmapped_expected_shift", VEC(RSH(8, NOWHERE, 1, .expect_fault_p = 1)), -EAGAIN },
	{ "unmapped_expected_or", VEC(OR(8, NOWHERE, 1, .expect_fault_p = 1)), -EAGAIN },
	{ "unmapped_expected_ne_imm", VEC(NE_IMM(8, NOWHERE, 1, .expect_fault_p = 1)), -EAGAIN },
	{ "first_of_two_faults_counts", VEC(EQ(8, AT(8), NOWHERE, .expect_fault_b = 1),
		CPY(8, NOWHERE, AT(8)), ADD(8, AT(64), 1)), -EAGAIN },
	{ "kernel_set", VEC(SET(8, KERNEL_SPACE, 1)), -EFAULT },
	{ "kernel_set_behind_a_failed_compare", VEC(NE_IMM(1, AT(8), 8), SET(8, KERNEL_SPACE, 1)),
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

static void change(uint8_t *mem, const struct vector_change *c)
{
	unsigned int i;

	if (c->len <= sizeof(c->value)) {
		memcpy(mem + c->at, &c->value, c->len);
		return;
	}
	for (i = 0; i < c->len; i++)
		mem[c->at + i] = (uint8_t)((c->value + i) % 251);
}

static void expect(uint8_t *mem, const struct vector_case *c)
{
	size_t i;

	fill(mem);
	memmove(mem + c->copied.to, mem + c->copied.from, c->copied.len);
	for (i = 0; i < ARRAY_SIZE(c->changes) && c->changes[i].len; i++)
		change(mem, &c->changes[i]);
}

static void place(__u64 *field)
{
	if (*field - MEMORY < VECTOR_MEMORY)
		*field += (uintptr_t)vector_memory - MEMORY;
}

/* All addresses of operands are where those of a copy are. */
static void place_operands(struct cpu_op *ops, const struct vector_case *c)
{
	unsigned int i;

	memcpy(ops, c->ops, sizeof(c->ops));
	for (i = 0; i < c->nr_ops; i++) {
		place(&ops[i].u.memcpy_op.dst);
		place(&ops[i].u.memcpy_op.src);
	}
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
	struct cpu_op ops[ARRAY_SIZE(c->ops)];
	int result;

	fill(vector_memory);
	expect(expected, c);
	place_operands(ops, c);
	result = run(ops, c->nr_ops, cpu, 0);
	if (result != c->result) {
		print_error("# %s for CPU %d: result %d, expected %d\n", c->name, cpu, result,
			    c->result);
		same_memory(expected, c->name, cpu);
		return false;
	}
	return same_memory(expected, c->name, cpu);
}

void check_vectors(vector_fn run, int cpu, int but)
{
	unsigned int failed = 0;
	size_t i;

	for (i = 0; i < nr_vector_cases; i++) {
		if (!but || vector_cases[i].result != but)
			failed += !check_vector(run, &vector_cases[i], cpu);
	}
	if (failed)
		fail_msg("%u of %zu vectors", failed, nr_vector_cases);
}

/*
 * Each operation by itself
 */

/* The operands of an operation. Of NUMBER and BITS, the first one is in memory. */
enum operands { NOTHING, PAIR, NUMBER, BITS };

static const enum operands operands_of[NR_CPU_OPS] = {
	[CPU_COMPARE_EQ_OP] = PAIR, [CPU_COMPARE_NE_OP] = PAIR,
	[CPU_MEMCPY_OP] = PAIR, [CPU_MEMCPY_RELEASE_OP] = PAIR,
	[CPU_ADD_OP] = NUMBER, [CPU_ADD_RELEASE_OP] = NUMBER,
	[CPU_OR_OP] = NUMBER, [CPU_AND_OP] = NUMBER, [CPU_XOR_OP] = NUMBER,
	[CPU_LSHIFT_OP] = BITS, [CPU_RSHIFT_OP] = BITS, [CPU_MB_OP] = NOTHING,
	[CPU_COMPARE_EQ_IMM_OP] = NUMBER, [CPU_COMPARE_NE_IMM_OP] = NUMBER,
	[CPU_STORE_IMM_OP] = NUMBER, [CPU_STORE_RELEASE_IMM_OP] = NUMBER,
};

static int64_t word_a, word_b, flag;

/* A vector that stores twice, or compares behind a store: no sequence, so no SIGSEGV either. */
static void make_vector(struct cpu_op *ops, int op)
{
	word_a = 1;
	word_b = 2;
	flag = 0;
	ops[0] = (struct cpu_op)SET(8, (uintptr_t)&flag, 1);
	ops[1] = (struct cpu_op){ .op = op };
	if (operands_of[op] == NOTHING)
		return;
	ops[1].len = 8;
	ops[1].u.memcpy_op.dst = (uintptr_t)&word_a;
	ops[1].u.memcpy_op.src = operands_of[op] == PAIR ? (uintptr_t)&word_b : 1;
}

static void expect_refused(vector_fn run, const struct cpu_op *ops, int cpu, int expected,
			   const char *what, unsigned int which)
{
	int ret = run(ops, 2, cpu, 0);

	if (ret != expected || word_a != 1 || word_b != 2 || flag)
		fail_msg("operation %d, %s %u: result %d, expected %d; the words are %d, %d, %d",
			 ops[1].op, what, which, ret, expected, (int)word_a, (int)word_b,
			 (int)flag);
}

void check_unused_bits(vector_fn run, int cpu)
{
	/* Bit i: byte i of the operands is used; of expect_fault only the lowest bit is. */
	static const int used[] = {
		[NOTHING] = 0, [PAIR] = 0x03ffff, [NUMBER] = 0x01ffff, [BITS] = 0x010fff,
	};
	struct cpu_op ops[2];
	unsigned int bit;
	int op;

	for (op = 0; op < NR_CPU_OPS; op++) {
		make_vector(ops, op);
		assert_in_range(run(ops, 2, cpu, 0), 0, 2);
		for (bit = 0; bit < 24 * 8; bit++) {
			if (used[operands_of[op]] >> bit / 8 & 1 && (bit < 16 * 8 || bit % 8 == 0))
				continue;
			make_vector(ops, op);
			ops[1].u.padding[bit / 8] = (char)(ops[1].u.padding[bit / 8] ^ 1 << bit % 8);
			expect_refused(run, ops, cpu, -EINVAL, "bit", bit);
		}
	}
}

static __u64 *address(struct cpu_op *op, unsigned int operand)
{
	return operand ? &op->u.memcpy_op.src : &op->u.memcpy_op.dst;
}

static void expect_fault(struct cpu_op *op, unsigned int operand)
{
	if (operand)
		op->u.memcpy_op.expect_fault_src = 1;
	else
		op->u.memcpy_op.expect_fault_dst = 1;
}

static bool stores_to(int op, unsigned int operand)
{
	return operand == 0 && op != CPU_COMPARE_EQ_OP && op != CPU_COMPARE_NE_OP &&
	       op != CPU_COMPARE_EQ_IMM_OP && op != CPU_COMPARE_NE_IMM_OP;
}

static bool is_release(int op)
{
	return op == CPU_MEMCPY_RELEASE_OP || op == CPU_ADD_RELEASE_OP ||
	       op == CPU_STORE_RELEASE_IMM_OP;
}

/* One operand of one operation, with three pages: read-only, writable, not accessible. */
static void check_inaccessible(vector_fn run, int cpu, int op, unsigned int operand,
			       uintptr_t pages)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	struct cpu_op ops[2];

	make_vector(ops, op);
	*address(&ops[1], operand) = NOWHERE;
	expect_refused(run, ops, cpu, -EFAULT, "operand", operand);
	if (operands_of[op] == PAIR)
		expect_fault(&ops[1], !operand);
	expect_refused(run, ops, cpu, -EFAULT, "other than operand", !operand);
	expect_fault(&ops[1], operand);
	expect_refused(run, ops, cpu, -EAGAIN, "expected at operand", operand);

	make_vector(ops, op);
	*address(&ops[1], operand) = pages;
	if (stores_to(op, operand))
		expect_refused(run, ops, cpu, -EFAULT, "read-only operand", operand);
	else
		assert_in_range(run(ops, 2, cpu, 0), 0, 2);

	make_vector(ops, op);
	*address(&ops[1], operand) = pages + 2 * page - 4;
	expect_refused(run, ops, cpu, is_release(op) ? -EINVAL : -EFAULT, "half of operand",
		       operand);
}

void check_inaccessible_operands(vector_fn run, int cpu)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, 3 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int op;

	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + page, page, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(mprotect(pages + 2 * page, page, PROT_NONE), 0);
	for (op = 0; op < NR_CPU_OPS; op++) {
		if (operands_of[op] != NOTHING)
			check_inaccessible(run, cpu, op, 0, (uintptr_t)pages);
		if (operands_of[op] == PAIR)
			check_inaccessible(run, cpu, op, 1, (uintptr_t)pages);
	}
	munmap(pages, 3 * page);
}

void check_vector_changes_itself(vector_fn run, int cpu)
{
	static struct cpu_op ops[3];
	int64_t a = 1, b = 2;

	/* The first makes the second a store of 77 to b; it does not take effect. */
	ops[0] = (struct cpu_op)SET(8, (uintptr_t)&ops[1].u.immediate_op.value, 77);
	ops[1] = (struct cpu_op)SET(8, (uintptr_t)&a, 33);
	ops[2] = (struct cpu_op)SET(8, (uintptr_t)&b, 44);
	assert_int_equal(run(ops, 3, cpu, 0), 0);
	assert_int_equal(ops[1].u.immediate_op.value, 77);
	assert_int_equal(a, 33);
	assert_int_equal(b, 44);
}

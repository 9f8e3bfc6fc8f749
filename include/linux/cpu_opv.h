/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
#ifndef _UAPI_LINUX_CPU_OPV_H
#define _UAPI_LINUX_CPU_OPV_H

/*
 * linux/cpu_opv.h
 *
 * cpu_opv(2): run a vector of memory operations as if on a given CPU,
 * atomically with respect to the restartable sequences of that CPU.
 */

#include <linux/types.h>

/* Operations in a vector, bytes in an operation, bytes in a vector. */
#define CPU_OP_VEC_LEN_MAX		16
#define CPU_OP_DATA_LEN_MAX		4096
#define CPU_OP_VEC_DATA_LEN_MAX		(CPU_OP_DATA_LEN_MAX + 15 * 8)

/**
 * enum cpu_op_type - what an element of the vector does
 *
 * @CPU_COMPARE_EQ_OP:		stop here unless @len bytes are equal.
 * @CPU_COMPARE_NE_OP:		stop here if @len bytes are equal.
 * @CPU_MEMCPY_OP:		copy @len bytes; the two ranges do not overlap.
 * @CPU_MEMCPY_RELEASE_OP:	copy a word; the store is a release.
 * @CPU_ADD_OP:			add a number to a word.
 * @CPU_ADD_RELEASE_OP:		the same; the store is a release.
 * @CPU_OR_OP:			set the bits of a mask in a word.
 * @CPU_AND_OP:			clear the bits of a word that a mask has not.
 * @CPU_XOR_OP:			invert the bits of a mask in a word.
 * @CPU_LSHIFT_OP:		shift a word left, towards its high bits.
 * @CPU_RSHIFT_OP:		shift a word right; zeroes come in.
 * @CPU_MB_OP:			a memory barrier, but what the vector only reads is
 *				loaded before its first store; no operand.
 * @CPU_COMPARE_EQ_IMM_OP:	stop here unless a word is the number given.
 * @CPU_COMPARE_NE_IMM_OP:	stop here if a word is the number given.
 * @CPU_STORE_IMM_OP:		store a number in a word.
 * @CPU_STORE_RELEASE_IMM_OP:	the same; the store is a release.
 * @NR_CPU_OPS:			the number of operations.
 */
enum cpu_op_type {
	CPU_COMPARE_EQ_OP		= 0,
	CPU_COMPARE_NE_OP		= 1,
	CPU_MEMCPY_OP			= 2,
	CPU_MEMCPY_RELEASE_OP		= 3,
	CPU_ADD_OP			= 4,
	CPU_ADD_RELEASE_OP		= 5,
	CPU_OR_OP			= 6,
	CPU_AND_OP			= 7,
	CPU_XOR_OP			= 8,
	CPU_LSHIFT_OP			= 9,
	CPU_RSHIFT_OP			= 10,
	CPU_MB_OP			= 11,
	CPU_COMPARE_EQ_IMM_OP		= 12,
	CPU_COMPARE_NE_IMM_OP		= 13,
	CPU_STORE_IMM_OP		= 14,
	CPU_STORE_RELEASE_IMM_OP	= 15,

	NR_CPU_OPS,
};

/**
 * struct cpu_op - one element of a vector
 *
 * The caller writes it, the kernel only reads it: it is copied once, before
 * anything else is done. Every byte that an operation does not use is zero.
 *
 * @op:		&enum cpu_op_type.
 * @len:	Bytes of each operand in memory: 1 to %CPU_OP_DATA_LEN_MAX for the
 *		comparisons of memory and %CPU_MEMCPY_OP; 0 for %CPU_MB_OP; 1, 2,
 *		4 or 8 for the others. Operands of the release operations are
 *		naturally aligned.
 * @u:		The operands, by operation. Addresses are 64 bits wide on every
 *		architecture, so that one layout serves all. Of the numbers count,
 *		mask and value, the low @len bytes count; bits is less than 8 * @len.
 *		expect_fault_x is 0, or 1 where operand x may have been freed under
 *		the caller: an access to it that fails is then EAGAIN instead of
 *		EFAULT. The rest has a name too, so that an initializer clears it.
 */
struct cpu_op {
	__s32 op;
	__u32 len;
	union {
		struct {
			__u64 a;
			__u64 b;
			__u8 expect_fault_a;
			__u8 expect_fault_b;
			__u8 zero[6];
		} compare_op;
		struct {
			__u64 dst;
			__u64 src;
			__u8 expect_fault_dst;
			__u8 expect_fault_src;
			__u8 zero[6];
		} memcpy_op;
		struct {
			__u64 p;
			__s64 count;
			__u8 expect_fault_p;
			__u8 zero[7];
		} arithmetic_op;
		struct {
			__u64 p;
			__u64 mask;
			__u8 expect_fault_p;
			__u8 zero[7];
		} bitwise_op;
		struct {
			__u64 p;
			__u32 bits;
			__u32 zero_bits;
			__u8 expect_fault_p;
			__u8 zero[7];
		} shift_op;
		struct {
			__u64 p;
			__u64 value;
			__u8 expect_fault_p;
			__u8 zero[7];
		} immediate_op;
		char padding[24];
	} u;
};

/**
 * enum cpu_opv_flags - questions about the call itself
 *
 * Each wants @ops NULL, @nr_ops 0, @cpu 0 and no other flag.
 *
 * @CPU_OP_NR_FLAG:		return the number of operations known.
 * @CPU_OP_VEC_LEN_MAX_FLAG:	return the number of operations in the longest
 *				vector.
 */
enum cpu_opv_flags {
	CPU_OP_NR_FLAG		= (1U << 0),
	CPU_OP_VEC_LEN_MAX_FLAG	= (1U << 1),
};

#endif /* _UAPI_LINUX_CPU_OPV_H */

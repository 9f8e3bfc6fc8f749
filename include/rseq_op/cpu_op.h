/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_CPU_OP_H
#define RSEQ_OP_CPU_OP_H

/*
 * cpu_op(3): the operations of a vector, for rseq_op(3) and cpu_opv(2).
 *
 * Each function returns one operation, with every byte that it does not use zero:
 *
 *	const struct cpu_op ops[] = {
 *		cpu_op_compare_eq_imm(&list->version, sizeof(list->version), 7),
 *		cpu_op_memcpy(&list->first, &node, sizeof(node)),
 *		cpu_op_add(&list->version, sizeof(list->version), 1),
 *	};
 *
 *	ret = rseq_op(ops, 3, cpu, 0);
 *
 * @len is the length of each operand in bytes: 1 to CPU_OP_DATA_LEN_MAX for compare_eq, compare_ne
 * and memcpy; 1, 2, 4 or 8 for the others. The operands of the others are words in the byte order
 * of the machine, and naturally aligned if the name contains "release". Only the low @len bytes of
 * @value, @count and @mask are used. These functions check nothing, and any context may call them.
 * For an invalid operation rseq_op() returns -EINVAL, and cpu_opv(2) fails with EINVAL.
 */
#include <stdint.h>

#include <linux/cpu_opv.h>

/* The number of cpu_opv(2), where the kernel's headers do not have it. */
#ifndef __NR_cpu_opv
# define __NR_cpu_opv	600
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The forms that operations have; not an interface. */

static inline struct cpu_op rseq_op_make_number(__s32 op, const void *p, __u32 len, __u64 number)
{
	struct cpu_op o = { op, len, { { 0, 0, 0, 0, { 0 } } } };

	o.u.immediate_op.p = (uintptr_t)p;
	o.u.immediate_op.value = number;
	return o;
}

static inline struct cpu_op rseq_op_make_pair(__s32 op, const void *a, const void *b, __u32 len)
{
	return rseq_op_make_number(op, a, len, (uintptr_t)b);
}

/* cpu_op_compare_eq() - stop the vector here unless the @len bytes at @a equal those at @b */
static inline struct cpu_op cpu_op_compare_eq(const void *a, const void *b, __u32 len)
{
	return rseq_op_make_pair(CPU_COMPARE_EQ_OP, a, b, len);
}

/* cpu_op_compare_ne() - stop the vector here if the @len bytes at @a equal those at @b */
static inline struct cpu_op cpu_op_compare_ne(const void *a, const void *b, __u32 len)
{
	return rseq_op_make_pair(CPU_COMPARE_NE_OP, a, b, len);
}

/* cpu_op_compare_eq_imm() - stop the vector here unless the word at @p equals @value */
static inline struct cpu_op cpu_op_compare_eq_imm(const void *p, __u32 len, __u64 value)
{
	return rseq_op_make_number(CPU_COMPARE_EQ_IMM_OP, p, len, value);
}

/* cpu_op_compare_ne_imm() - stop the vector here if the word at @p equals @value */
static inline struct cpu_op cpu_op_compare_ne_imm(const void *p, __u32 len, __u64 value)
{
	return rseq_op_make_number(CPU_COMPARE_NE_IMM_OP, p, len, value);
}

/* cpu_op_memcpy() - copy @len bytes from @src to @dst; the two areas do not overlap */
static inline struct cpu_op cpu_op_memcpy(void *dst, const void *src, __u32 len)
{
	return rseq_op_make_pair(CPU_MEMCPY_OP, dst, src, len);
}

/* cpu_op_memcpy_release() - copy the word at @src to @dst; the store is a release */
static inline struct cpu_op cpu_op_memcpy_release(void *dst, const void *src, __u32 len)
{
	return rseq_op_make_pair(CPU_MEMCPY_RELEASE_OP, dst, src, len);
}

/* cpu_op_store_imm() - store @value to the word at @p */
static inline struct cpu_op cpu_op_store_imm(void *p, __u32 len, __u64 value)
{
	return rseq_op_make_number(CPU_STORE_IMM_OP, p, len, value);
}

/* cpu_op_store_release_imm() - store @value to the word at @p; the store is a release */
static inline struct cpu_op cpu_op_store_release_imm(void *p, __u32 len, __u64 value)
{
	return rseq_op_make_number(CPU_STORE_RELEASE_IMM_OP, p, len, value);
}

/* cpu_op_add() - add @count to the word at @p, wrapping around */
static inline struct cpu_op cpu_op_add(void *p, __u32 len, __s64 count)
{
	return rseq_op_make_number(CPU_ADD_OP, p, len, (__u64)count);
}

/* cpu_op_add_release() - add @count to the word at @p, wrapping around; the store is a release */
static inline struct cpu_op cpu_op_add_release(void *p, __u32 len, __s64 count)
{
	return rseq_op_make_number(CPU_ADD_RELEASE_OP, p, len, (__u64)count);
}

/* cpu_op_or() - set the bits of @mask in the word at @p */
static inline struct cpu_op cpu_op_or(void *p, __u32 len, __u64 mask)
{
	return rseq_op_make_number(CPU_OR_OP, p, len, mask);
}

/* cpu_op_and() - clear the bits of the word at @p that are clear in @mask */
static inline struct cpu_op cpu_op_and(void *p, __u32 len, __u64 mask)
{
	return rseq_op_make_number(CPU_AND_OP, p, len, mask);
}

/* cpu_op_xor() - invert the bits of @mask in the word at @p */
static inline struct cpu_op cpu_op_xor(void *p, __u32 len, __u64 mask)
{
	return rseq_op_make_number(CPU_XOR_OP, p, len, mask);
}

/* cpu_op_lshift() - shift the word at @p left by @bits, 0 to 8 * @len - 1 */
static inline struct cpu_op cpu_op_lshift(void *p, __u32 len, __u32 bits)
{
	struct cpu_op o = rseq_op_make_number(CPU_LSHIFT_OP, p, len, 0);

	o.u.shift_op.bits = bits;
	return o;
}

/* cpu_op_rshift() - shift the word at @p right by @bits, 0 to 8 * @len - 1; zeroes come in */
static inline struct cpu_op cpu_op_rshift(void *p, __u32 len, __u32 bits)
{
	struct cpu_op o = rseq_op_make_number(CPU_RSHIFT_OP, p, len, 0);

	o.u.shift_op.bits = bits;
	return o;
}

/* cpu_op_mb() - a memory barrier; see cpu_opv(2) for what it does not order */
static inline struct cpu_op cpu_op_mb(void)
{
	return rseq_op_make_number(CPU_MB_OP, 0, 0, 0);
}

/*
 * cpu_op_expect_fault() - say that an operand may have been freed
 * @op:		An operation.
 * @operand:	0 for the first operand of @op (@dst of a copy); 1 for the second operand of
 *		compare_eq, compare_ne, memcpy or memcpy_release (@src of a copy).
 *
 * If the operand cannot be accessed, the vector fails with EAGAIN instead of EFAULT.
 *
 * Return: the operation, changed.
 */
static inline struct cpu_op cpu_op_expect_fault(struct cpu_op op, int operand)
{
	if (operand)
		op.u.compare_op.expect_fault_b = 1;
	else
		op.u.compare_op.expect_fault_a = 1;	/* the same byte in all operations */
	return op;
}

#ifdef __cplusplus
}
#endif

#endif /* RSEQ_OP_CPU_OP_H */

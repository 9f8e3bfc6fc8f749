/* SPDX-License-Identifier: MIT */
/*
 * The typed operations: a template, for variants.h. Each tries its sequence once, in the
 * caller's code, and goes on in the library.
 */
#include <rseq_op/sequences.h>

#if RSEQ_OP_BY_CID
# define RSEQ_OP_TAGS		rseq_op_cid_tags()
#else
# define RSEQ_OP_TAGS		rseq_op_tags()
#endif

/* What rseq_op_slow() is told: the operation, its variant, and how its sequence ended. */
#define RSEQ_OP_WHAT(op, ret)							\
	((unsigned int)RSEQ_OP_DO_##op |					\
	 (RSEQ_OP_POINTERS ? 0 : RSEQ_OP_DO_WORD_32) |				\
	 (RSEQ_OP_RELEASE ? RSEQ_OP_DO_RELEASE : 0) |				\
	 (RSEQ_OP_BY_CID ? RSEQ_OP_DO_BY_CID : 0) |				\
	 ((ret) == RSEQ_OP_ABORTED ? RSEQ_OP_DO_ABORTED : 0))

/**
 * rseq_op_storev() - *v = newv
 * @v:		A word of @cpu's data.
 * @newv:	What it is to hold.
 * @cpu:	Whose data it is; any possible CPU.
 *
 * Return: 0, or -errno.
 */
static inline int RSEQ_OP_NAME(storev)(RSEQ_OP_T *v, RSEQ_OP_T newv, int cpu)
{
	int ret = RSEQ_OP_NAME(seq_storev)(v, newv, cpu, RSEQ_OP_TAGS);

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow(v, (intptr_t)newv, cpu, RSEQ_OP_WHAT(STOREV, ret));
	return ret;
}

/**
 * rseq_op_xchgv() - *old = *v, *v = newv
 * @v:		A word of @cpu's data.
 * @newv:	What it is to hold.
 * @old:	A word of the caller's own; may be changed too where the result is not 0.
 * @cpu:	Whose data @v is; any possible CPU.
 *
 * Return: 0, or -errno.
 */
static inline int RSEQ_OP_NAME(xchgv)(RSEQ_OP_T *v, RSEQ_OP_T newv, RSEQ_OP_T *old, int cpu)
{
	int ret = RSEQ_OP_NAME(seq_xchgv)(v, newv, old, cpu, RSEQ_OP_TAGS);

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow(v, (intptr_t)newv, cpu, RSEQ_OP_WHAT(XCHGV, ret),
				    (intptr_t)old);
	return ret;
}

/**
 * rseq_op_addv() - *v += count
 * @v:		A word of @cpu's data.
 * @count:	Added to it, wrapping around.
 * @cpu:	Whose data it is; any possible CPU.
 *
 * Return: 0, or -errno.
 */
static inline int RSEQ_OP_NAME(addv)(RSEQ_OP_T *v, RSEQ_OP_T count, int cpu)
{
	int ret = RSEQ_OP_NAME(seq_addv)(v, count, cpu, RSEQ_OP_TAGS);

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow(v, (intptr_t)count, cpu, RSEQ_OP_WHAT(ADDV, ret));
	return ret;
}

/**
 * rseq_op_orv() - *v |= mask
 * @v:		A word of @cpu's data.
 * @mask:	The bits.
 * @cpu:	Whose data it is; any possible CPU.
 *
 * Return: 0, or -errno.
 */
static inline int RSEQ_OP_NAME(orv)(RSEQ_OP_T *v, RSEQ_OP_T mask, int cpu)
{
	int ret = RSEQ_OP_NAME(seq_orv)(v, mask, cpu, RSEQ_OP_TAGS);

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow(v, (intptr_t)mask, cpu, RSEQ_OP_WHAT(ORV, ret));
	return ret;
}

/**
 * rseq_op_andv() - *v &= mask
 * @v:		A word of @cpu's data.
 * @mask:	The bits.
 * @cpu:	Whose data it is; any possible CPU.
 *
 * Return: 0, or -errno.
 */
static inline int RSEQ_OP_NAME(andv)(RSEQ_OP_T *v, RSEQ_OP_T mask, int cpu)
{
	int ret = RSEQ_OP_NAME(seq_andv)(v, mask, cpu, RSEQ_OP_TAGS);

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow(v, (intptr_t)mask, cpu, RSEQ_OP_WHAT(ANDV, ret));
	return ret;
}

/**
 * rseq_op_xorv() - *v ^= mask
 * @v:		A word of @cpu's data.
 * @mask:	The bits.
 * @cpu:	Whose data it is; any possible CPU.
 *
 * Return: 0, or -errno.
 */
static inline int RSEQ_OP_NAME(xorv)(RSEQ_OP_T *v, RSEQ_OP_T mask, int cpu)
{
	int ret = RSEQ_OP_NAME(seq_xorv)(v, mask, cpu, RSEQ_OP_TAGS);

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow(v, (intptr_t)mask, cpu, RSEQ_OP_WHAT(XORV, ret));
	return ret;
}

/**
 * rseq_op_fetch_addv() - *old = *v, *v += count
 * @v:		A word of @cpu's data.
 * @count:	Added to it, wrapping around.
 * @old:	A word of the caller's own; may be changed too where the result is not 0.
 * @cpu:	Whose data @v is; any possible CPU.
 *
 * Return: 0, or -errno.
 */
static inline int RSEQ_OP_NAME(fetch_addv)(RSEQ_OP_T *v, RSEQ_OP_T count, RSEQ_OP_T *old,
					   int cpu)
{
	int ret = RSEQ_OP_NAME(seq_fetch_addv)(v, count, old, cpu, RSEQ_OP_TAGS);

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow(v, (intptr_t)count, cpu, RSEQ_OP_WHAT(FETCH_ADDV, ret),
				    (intptr_t)old);
	return ret;
}

/**
 * rseq_op_cmpeqv_storev() - if (*v == expect) *v = newv
 * @v:		A word of @cpu's data.
 * @expect:	What it must hold.
 * @newv:	What it is to hold.
 * @cpu:	Whose data it is; any possible CPU.
 *
 * Return: 0, 1 if *v differs from @expect, or -errno.
 */
static inline int RSEQ_OP_NAME(cmpeqv_storev)(RSEQ_OP_T *v, RSEQ_OP_T expect,
					      RSEQ_OP_T newv, int cpu)
{
	int ret = RSEQ_OP_NAME(seq_cmpeqv_storev)(v, expect, newv, cpu, RSEQ_OP_TAGS);

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow(v, (intptr_t)expect, cpu, RSEQ_OP_WHAT(CMPEQV_STOREV, ret),
				    (intptr_t)newv);
	return ret;
}

/**
 * rseq_op_cmpeqv_cmpeqv_storev() - if (*v == expect && *v2 == expect2) *v = newv
 * @v:		A word of @cpu's data.
 * @expect:	What it must hold.
 * @v2:		Another word of @cpu's data, or one that nobody changes meanwhile.
 * @expect2:	What *v2 must hold.
 * @newv:	What *v is to hold.
 * @cpu:	Whose data they are; any possible CPU.
 *
 * Return: 0, 1 if *v differs from @expect, 2 if only *v2 differs from @expect2, or
 * -errno.
 */
static inline int RSEQ_OP_NAME(cmpeqv_cmpeqv_storev)(RSEQ_OP_T *v, RSEQ_OP_T expect,
						     RSEQ_OP_T *v2, RSEQ_OP_T expect2,
						     RSEQ_OP_T newv, int cpu)
{
	int ret = RSEQ_OP_NAME(seq_cmpeqv_cmpeqv_storev)(v, expect, v2, expect2, newv, cpu,
							 RSEQ_OP_TAGS);

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow(v, (intptr_t)expect, cpu,
				    RSEQ_OP_WHAT(CMPEQV_CMPEQV_STOREV, ret), (intptr_t)v2,
				    (intptr_t)expect2, (intptr_t)newv);
	return ret;
}

/**
 * rseq_op_cmpeqv_storev_storev() - if (*v == expect) { *v2 = newv2; *v = newv; }
 * @v:		A word of @cpu's data.
 * @expect:	What it must hold.
 * @v2:		Another word of @cpu's data, which nobody reads before *v says so:
 *		where an attempt was aborted, *v2 may hold @newv2 although the
 *		operation ends with a result other than 0.
 * @newv2:	What *v2 is to hold.
 * @newv:	What *v is to hold.
 * @cpu:	Whose data they are; any possible CPU.
 *
 * Return: 0, 1 if *v differs from @expect, or -errno.
 */
static inline int RSEQ_OP_NAME(cmpeqv_storev_storev)(RSEQ_OP_T *v, RSEQ_OP_T expect,
						     RSEQ_OP_T *v2, RSEQ_OP_T newv2,
						     RSEQ_OP_T newv, int cpu)
{
	int ret = RSEQ_OP_NAME(seq_cmpeqv_storev_storev)(v, expect, v2, newv2, newv, cpu,
							 RSEQ_OP_TAGS);

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow(v, (intptr_t)expect, cpu,
				    RSEQ_OP_WHAT(CMPEQV_STOREV_STOREV, ret), (intptr_t)v2,
				    (intptr_t)newv2, (intptr_t)newv);
	return ret;
}

/**
 * rseq_op_cmpeqv_memcpy_storev() - if (*v == expect) { copy; *v = newv; }
 * @v:		A word of @cpu's data.
 * @expect:	What it must hold.
 * @dst:	Where to copy; as v2 of rseq_op_cmpeqv_storev_storev().
 * @src:	Where from. The two do not overlap.
 * @len:	How many bytes: 0 to 4096.
 * @newv:	What *v is to hold.
 * @cpu:	Whose data they are; any possible CPU.
 *
 * Return: 0, 1 if *v differs from @expect, or -errno; -EINVAL is also said of @len,
 * and of areas that overlap, but that not by a sequence.
 */
static inline int RSEQ_OP_NAME(cmpeqv_memcpy_storev)(RSEQ_OP_T *v, RSEQ_OP_T expect,
						     void *dst, const void *src, size_t len,
						     RSEQ_OP_T newv, int cpu)
{
	int ret;

	if (len > CPU_OP_DATA_LEN_MAX)
		return -EINVAL;
	ret = RSEQ_OP_NAME(seq_cmpeqv_memcpy_storev)(v, expect, dst, src, len, newv, cpu,
						     RSEQ_OP_TAGS);
	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow(v, (intptr_t)expect, cpu,
				    RSEQ_OP_WHAT(CMPEQV_MEMCPY_STOREV, ret), (intptr_t)dst,
				    (intptr_t)src, (intptr_t)len, (intptr_t)newv);
	return ret;
}

#if RSEQ_OP_POINTERS
/**
 * rseq_op_cmpnev_storeoffp_load() - take the first node of a list
 * @v:		A word of @cpu's data: the address of the first node.
 * @expectnot:	What it holds when there is none.
 * @voffp:	Offset, in a node, of the word with the address of the next one.
 * @load:	A word of the caller's own; may be changed too where the result is not 0.
 * @cpu:	Whose data @v is; any possible CPU.
 *
 * if (*v != expectnot) { *load = *v; *v = *(intptr_t *)(*v + voffp); }
 *
 * A node may be unmapped by whoever took it: where this operation then looks at it all
 * the same, it is a SIGSEGV in the sequence. Nodes that are reused are no danger.
 *
 * Return: 0, 1 if *v is @expectnot, or -errno.
 */
static inline int RSEQ_OP_NAME(cmpnev_storeoffp_load)(RSEQ_OP_T *v, RSEQ_OP_T expectnot,
						      intptr_t voffp, RSEQ_OP_T *load,
						      int cpu)
{
	int ret = RSEQ_OP_NAME(seq_cmpnev_storeoffp_load)(v, expectnot, voffp, load, cpu,
							  RSEQ_OP_TAGS);

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow(v, (intptr_t)expectnot, cpu,
				    RSEQ_OP_WHAT(CMPNEV_STOREOFFP_LOAD, ret), (intptr_t)voffp,
				    (intptr_t)load);
	return ret;
}

/**
 * rseq_op_offset_deref_addv() - add to the word that a field of what is pointed to points to
 * @ptr:	A word that holds an address, as of a structure.
 * @off:	Offset from that address, in bytes, of a word that holds an address.
 * @inc:	Added to the word at that one, wrapping around.
 * @cpu:	Whose data all three words are; any possible CPU.
 *
 * **(intptr_t **)(*ptr + off) += inc
 *
 * All is loaded in the sequence: who replaces what @ptr points to, and then waits for a
 * fence, knows that nobody adds by the old one any more. As librseq's
 * rseq_load_add_load_load_add_store__ptr(). What the addresses lead to stays mapped; if not,
 * it is a SIGSEGV in the sequence.
 *
 * Return: 0, or -errno.
 */
static inline int RSEQ_OP_NAME(offset_deref_addv)(RSEQ_OP_T *ptr, intptr_t off,
						  RSEQ_OP_T inc, int cpu)
{
	int ret = RSEQ_OP_NAME(seq_offset_deref_addv)(ptr, off, inc, cpu, RSEQ_OP_TAGS);

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow(ptr, (intptr_t)off, cpu,
				    RSEQ_OP_WHAT(OFFSET_DEREF_ADDV, ret), (intptr_t)inc);
	return ret;
}
#endif

#undef RSEQ_OP_WHAT
#undef RSEQ_OP_TAGS

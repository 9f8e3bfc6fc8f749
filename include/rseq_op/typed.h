/* SPDX-License-Identifier: MIT */
/*
 * The typed operations: a template, for variants.h. Each one tries its sequence once, in the
 * caller's code. If that attempt does not end the operation, the operation goes on in the library.
 *
 * The first line of each comment is the operation as pseudo-code. If an operation fails, it returns
 * -errno and has not changed *@v. It may have changed *@old, *@v2, *@dst or *@load, as is said
 * there. See also rseq_op.h.
 */
#include <rseq_op/detail/sequences.h>

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
 * @v:		A word of the data of @cpu.
 * @newv:	The value to store to *@v.
 * @cpu:	Any possible CPU.
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
 * @v:		A word of the data of @cpu.
 * @newv:	The value to store to *@v.
 * @old:	A word that only the caller uses. It gets the value of *@v before the operation. It may
 *		also change if the result is not 0.
 * @cpu:	Any possible CPU.
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
 * @v:		A word of the data of @cpu.
 * @count:	The number to add, wrapping around.
 * @cpu:	Any possible CPU.
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
 * @v:		A word of the data of @cpu.
 * @mask:	The operand of the bitwise operation.
 * @cpu:	Any possible CPU.
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
 * @v:		A word of the data of @cpu.
 * @mask:	The operand of the bitwise operation.
 * @cpu:	Any possible CPU.
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
 * @v:		A word of the data of @cpu.
 * @mask:	The operand of the bitwise operation.
 * @cpu:	Any possible CPU.
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
 * @v:		A word of the data of @cpu.
 * @count:	The number to add, wrapping around.
 * @old:	A word that only the caller uses. It gets the value of *@v before the operation. It may
 *		also change if the result is not 0.
 * @cpu:	Any possible CPU.
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
 * @v:		A word of the data of @cpu.
 * @expect:	The value that *@v must have.
 * @newv:	The value to store to *@v.
 * @cpu:	Any possible CPU.
 *
 * Return: 0; 1 if *@v differs from @expect; or -errno.
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
 * @v:		A word of the data of @cpu.
 * @expect:	The value that *@v must have.
 * @v2:		Another word of the data of @cpu, or a word that no thread changes during the call.
 * @expect2:	The value that *@v2 must have.
 * @newv:	The value to store to *@v.
 * @cpu:	Any possible CPU.
 *
 * Return: 0; 1 if *@v differs from @expect; 2 if only *@v2 differs from @expect2; or -errno.
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
 * @v:		A word of the data of @cpu.
 * @expect:	The value that *@v must have.
 * @v2:		Another word of the data of @cpu. No thread may use its value before the store to *@v
 *		says so: *@v2 may have changed although the result is not 0, because a sequence that
 *		was aborted has stored to it.
 * @newv2:	The value to store to *@v2.
 * @newv:	The value to store to *@v.
 * @cpu:	Any possible CPU.
 *
 * Return: 0; 1 if *@v differs from @expect; or -errno.
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
 * @v:		A word of the data of @cpu.
 * @expect:	The value that *@v must have.
 * @dst:	The area to copy to. The rule for @v2 of rseq_op_cmpeqv_storev_storev() applies to it.
 * @src:	The area to copy from. The two areas must not overlap.
 * @len:	The number of bytes to copy, 0 to 4096.
 * @newv:	The value to store to *@v.
 * @cpu:	Any possible CPU.
 *
 * Return: 0; 1 if *@v differs from @expect; or -errno. -EINVAL is also returned for an invalid
 * @len. A backend returns it for areas that overlap, too; a sequence does not check that.
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
 * @v:		A word of the data of @cpu: the address of the first node.
 * @expectnot:	The value of *@v if the list is empty.
 * @voffp:	The offset in bytes, in a node, of the word with the address of the next node.
 * @load:	A word that only the caller uses. It gets the address of the node. It may also change
 *		if the result is not 0.
 * @cpu:	Any possible CPU.
 *
 * if (*v != expectnot) { *load = *v; *v = *(intptr_t *)(*v + voffp); }
 *
 * Nodes may be reused at any time. But if a thread unmaps a node that it has taken, another thread
 * that is just taking the same node may get a SIGSEGV in its sequence.
 *
 * Return: 0; 1 if *@v equals @expectnot; or -errno.
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
 * rseq_op_offset_deref_addv() - add through two pointers
 * @ptr:	A word that holds an address, for example of a structure.
 * @off:	The offset in bytes, from that address, of a second word that holds an address.
 * @inc:	The number to add to the word at the second address, wrapping around.
 * @cpu:	Any possible CPU. All three words are data of it.
 *
 * **(intptr_t **)(*ptr + off) += inc
 *
 * The sequence loads both pointers itself. So if a thread stores another address to *@ptr and then
 * calls rseq_op_fence(), no operation adds through the old address any more. This is the operation
 * rseq_load_add_load_load_add_store__ptr() of librseq. The memory at both addresses must stay
 * mapped; otherwise the sequence gets a SIGSEGV.
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

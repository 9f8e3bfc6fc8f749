/* SPDX-License-Identifier: MIT */
/*
 * The sequences: a template, for typed.h and the library. Each is written once, from the
 * primitives of arch/; they are not an interface.
 *
 * Each makes one attempt, if its CPU or concurrency ID, @id, is open by tags[id] and the
 * thread has it; and returns 0 where it committed, the 1-based index of the comparison that
 * stopped it, RSEQ_OP_ABORTED or RSEQ_OP_ELSEWHERE.
 */
#ifndef RSEQ_OP_T
# error "include <rseq_op/rseq_op.h>: this is a part of it"
#endif

#define RSEQ_OP_SEQUENCE(op)	RSEQ_OP_NAME(seq_##op)

#if RSEQ_OP_BY_CID
# define RSEQ_OP_ASM_BEGIN	RSEQ_OP_ASM_BEGIN_CID
# define RSEQ_OP_IN_SECTION	RSEQ_OP_IN_CID
#else
# define RSEQ_OP_ASM_BEGIN	RSEQ_OP_ASM_BEGIN_CPU
# define RSEQ_OP_IN_SECTION	RSEQ_OP_IN_CPU
#endif

static inline int RSEQ_OP_SEQUENCE(storev)(RSEQ_OP_T *v, RSEQ_OP_T newv, int id,
					   const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_COMMIT_STORE(v, newv)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(id, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_WORD(newv, newv)
		: RSEQ_OP_CLOBBERS
		: aborted, elsewhere);
	return 0;
aborted:
	return RSEQ_OP_ABORTED;
elsewhere:
	return RSEQ_OP_ELSEWHERE;
}

static inline int RSEQ_OP_SEQUENCE(xchgv)(RSEQ_OP_T *v, RSEQ_OP_T newv, RSEQ_OP_T *old,
					  int id, const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_FETCH(v, old)
		RSEQ_OP_ASM_COMMIT_STORE(v, newv)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(id, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_WORD(newv, newv),
		  RSEQ_OP_IN_MEM(old, old)
		: RSEQ_OP_CLOBBERS
		: aborted, elsewhere);
	return 0;
aborted:
	return RSEQ_OP_ABORTED;
elsewhere:
	return RSEQ_OP_ELSEWHERE;
}

static inline int RSEQ_OP_SEQUENCE(addv)(RSEQ_OP_T *v, RSEQ_OP_T count, int id,
					 const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_COMMIT_MODIFY(ADD, v, count)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(id, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_WORD(count, count)
		: RSEQ_OP_CLOBBERS
		: aborted, elsewhere);
	return 0;
aborted:
	return RSEQ_OP_ABORTED;
elsewhere:
	return RSEQ_OP_ELSEWHERE;
}

static inline int RSEQ_OP_SEQUENCE(orv)(RSEQ_OP_T *v, RSEQ_OP_T mask, int id,
					const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_COMMIT_MODIFY(OR, v, mask)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(id, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_WORD(mask, mask)
		: RSEQ_OP_CLOBBERS
		: aborted, elsewhere);
	return 0;
aborted:
	return RSEQ_OP_ABORTED;
elsewhere:
	return RSEQ_OP_ELSEWHERE;
}

static inline int RSEQ_OP_SEQUENCE(andv)(RSEQ_OP_T *v, RSEQ_OP_T mask, int id,
					 const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_COMMIT_MODIFY(AND, v, mask)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(id, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_WORD(mask, mask)
		: RSEQ_OP_CLOBBERS
		: aborted, elsewhere);
	return 0;
aborted:
	return RSEQ_OP_ABORTED;
elsewhere:
	return RSEQ_OP_ELSEWHERE;
}

static inline int RSEQ_OP_SEQUENCE(xorv)(RSEQ_OP_T *v, RSEQ_OP_T mask, int id,
					 const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_COMMIT_MODIFY(XOR, v, mask)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(id, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_WORD(mask, mask)
		: RSEQ_OP_CLOBBERS
		: aborted, elsewhere);
	return 0;
aborted:
	return RSEQ_OP_ABORTED;
elsewhere:
	return RSEQ_OP_ELSEWHERE;
}

static inline int RSEQ_OP_SEQUENCE(fetch_addv)(RSEQ_OP_T *v, RSEQ_OP_T count,
					       RSEQ_OP_T *old, int id,
					       const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_FETCH(v, old)
		RSEQ_OP_ASM_COMMIT_MODIFY(ADD, v, count)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(id, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_WORD(count, count),
		  RSEQ_OP_IN_MEM(old, old)
		: RSEQ_OP_CLOBBERS
		: aborted, elsewhere);
	return 0;
aborted:
	return RSEQ_OP_ABORTED;
elsewhere:
	return RSEQ_OP_ELSEWHERE;
}

static inline int RSEQ_OP_SEQUENCE(cmpeqv_storev)(RSEQ_OP_T *v, RSEQ_OP_T expect,
						  RSEQ_OP_T newv, int id,
						  const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_EXIT(differs)
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_CMPEQ(v, expect, differs)
		RSEQ_OP_ASM_COMMIT_STORE(v, newv)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(id, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_EXPECT(expect, expect),
		  RSEQ_OP_IN_WORD(newv, newv)
		: RSEQ_OP_CLOBBERS
		: aborted, elsewhere, differs);
	return 0;
aborted:
	return RSEQ_OP_ABORTED;
elsewhere:
	return RSEQ_OP_ELSEWHERE;
differs:
	return 1;
}

static inline int RSEQ_OP_SEQUENCE(cmpeqv_cmpeqv_storev)(RSEQ_OP_T *v, RSEQ_OP_T expect,
							 RSEQ_OP_T *v2, RSEQ_OP_T expect2,
							 RSEQ_OP_T newv, int id,
							 const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_EXIT(differs)
		RSEQ_OP_ASM_EXIT(differs2)
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_CMPEQ(v, expect, differs)
		RSEQ_OP_ASM_CMPEQ(v2, expect2, differs2)
		RSEQ_OP_ASM_COMMIT_STORE(v, newv)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(id, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_EXPECT(expect, expect),
		  RSEQ_OP_IN_MEM(v2, v2),
		  RSEQ_OP_IN_EXPECT(expect2, expect2),
		  RSEQ_OP_IN_WORD(newv, newv)
		: RSEQ_OP_CLOBBERS
		: aborted, elsewhere, differs, differs2);
	return 0;
aborted:
	return RSEQ_OP_ABORTED;
elsewhere:
	return RSEQ_OP_ELSEWHERE;
differs:
	return 1;
differs2:
	return 2;
}

static inline int RSEQ_OP_SEQUENCE(cmpeqv_storev_storev)(RSEQ_OP_T *v, RSEQ_OP_T expect,
							 RSEQ_OP_T *v2, RSEQ_OP_T newv2,
							 RSEQ_OP_T newv, int id,
							 const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_EXIT(differs)
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_CMPEQ(v, expect, differs)
		RSEQ_OP_ASM_STORE(v2, newv2)
		RSEQ_OP_ASM_COMMIT_STORE(v, newv)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(id, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_EXPECT(expect, expect),
		  RSEQ_OP_IN_MEM(v2, v2),
		  RSEQ_OP_IN_WORD(newv2, newv2),
		  RSEQ_OP_IN_WORD(newv, newv)
		: RSEQ_OP_CLOBBERS
		: aborted, elsewhere, differs);
	return 0;
aborted:
	return RSEQ_OP_ABORTED;
elsewhere:
	return RSEQ_OP_ELSEWHERE;
differs:
	return 1;
}

static inline int RSEQ_OP_SEQUENCE(cmpeqv_memcpy_storev)(RSEQ_OP_T *v, RSEQ_OP_T expect,
							 void *dst, const void *src,
							 size_t len, RSEQ_OP_T newv,
							 int id, const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_EXIT(differs)
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_CMPEQ(v, expect, differs)
		RSEQ_OP_ASM_COPY(dst, src, len)
		RSEQ_OP_ASM_COMMIT_STORE(v, newv)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(id, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_EXPECT(expect, expect),
		  RSEQ_OP_IN_ANY(dst, dst),
		  RSEQ_OP_IN_ANY(src, src),
		  RSEQ_OP_IN_ANY(len, len),
		  RSEQ_OP_IN_WORD(newv, newv)
		: RSEQ_OP_CLOBBERS_COPY
		: aborted, elsewhere, differs);
	return 0;
aborted:
	return RSEQ_OP_ABORTED;
elsewhere:
	return RSEQ_OP_ELSEWHERE;
differs:
	return 1;
}

#if RSEQ_OP_POINTERS
static inline int RSEQ_OP_SEQUENCE(cmpnev_storeoffp_load)(RSEQ_OP_T *v, RSEQ_OP_T expectnot,
							  intptr_t voffp, RSEQ_OP_T *load,
							  int id, const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_EXIT(equal)
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_LOAD_POINTER(v)
		RSEQ_OP_ASM_CMPNE_POINTER(expectnot, equal)
		RSEQ_OP_ASM_STORE_POINTER(load)
		RSEQ_OP_ASM_COMMIT_FOLLOWED(voffp, v)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(id, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_WORD(expectnot, expectnot),
		  RSEQ_OP_IN_WORD(voffp, voffp),
		  RSEQ_OP_IN_MEM(load, load)
		: RSEQ_OP_CLOBBERS
		: aborted, elsewhere, equal);
	return 0;
aborted:
	return RSEQ_OP_ABORTED;
elsewhere:
	return RSEQ_OP_ELSEWHERE;
equal:
	return 1;
}

static inline int RSEQ_OP_SEQUENCE(offset_deref_addv)(RSEQ_OP_T *ptr, intptr_t off,
						      RSEQ_OP_T inc, int id,
						      const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_LOAD_POINTER(ptr)
		RSEQ_OP_ASM_FOLLOW(off)
		RSEQ_OP_ASM_COMMIT_ADD_POINTED(inc)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(id, tags),
		  RSEQ_OP_IN_MEM(ptr, ptr),
		  RSEQ_OP_IN_WORD(off, off),
		  RSEQ_OP_IN_WORD(inc, inc)
		: RSEQ_OP_CLOBBERS
		: aborted, elsewhere);
	return 0;
aborted:
	return RSEQ_OP_ABORTED;
elsewhere:
	return RSEQ_OP_ELSEWHERE;
}
#endif

#undef RSEQ_OP_SEQUENCE
#undef RSEQ_OP_ASM_BEGIN
#undef RSEQ_OP_IN_SECTION

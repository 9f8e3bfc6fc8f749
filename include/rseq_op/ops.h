/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_OPS_H
#define RSEQ_OP_OPS_H

/*
 * The sequences, each written once from the primitives of arch/.
 *
 * Not an interface: callers use rseq_op.h, the library retries with these. Each
 * makes one attempt for that CPU, if tags[cpu] says that it is open, and returns 0
 * where it committed, the 1-based index of the comparison that stopped it, or:
 */
#define RSEQ_OP_ABORTED		(-1)	/* preempted, migrated, signalled */
#define RSEQ_OP_ELSEWHERE	(-2)	/* not on that CPU, or it is closed */

#define RSEQ_OP_STR_(x)		#x
#define RSEQ_OP_STR(x)		RSEQ_OP_STR_(x)

/* The calling thread's struct rseq, relative to the thread pointer. */
extern ptrdiff_t rseq_op_offset __attribute__((visibility("default")));

#if defined(__x86_64__) && !defined(__ILP32__)
# include <rseq_op/arch/x86-64.h>
#else
# error "rseq_op: no sequences for this architecture"
#endif

static inline int rseq_op_seq_addv(intptr_t *v, intptr_t count, int cpu,
				   const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_COMMIT_ADD(v, count)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(cpu, tags),
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

static inline int rseq_op_seq_cmpeqv_storev(intptr_t *v, intptr_t expect, intptr_t newv,
					    int cpu, const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_EXIT(differs)
		RSEQ_OP_ASM_BEGIN
		RSEQ_OP_ASM_CMPEQ(v, expect, differs)
		RSEQ_OP_ASM_COMMIT_STORE(v, newv)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_SECTION(cpu, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_WORD(expect, expect),
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

static inline int rseq_op_seq_cmpeqv_storev_storev(intptr_t *v, intptr_t expect,
						   intptr_t *v2, intptr_t newv2,
						   intptr_t newv, int cpu,
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
		: RSEQ_OP_IN_SECTION(cpu, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_WORD(expect, expect),
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

#endif /* RSEQ_OP_OPS_H */

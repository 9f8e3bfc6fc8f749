/* SPDX-License-Identifier: MIT */
/*
 * The sequence that runs a program: a template, for variants.h, included by program.c.
 */
#ifdef RSEQ_OP_BY_LEASE
# define ATTEMPT	RSEQ_OP_NAME(leased)
# define ID		int64_t
# define BEGIN		RSEQ_OP_ASM_BEGIN_LEASE
# define IN_SECTION	RSEQ_OP_IN_LEASE
#else
# define ATTEMPT	RSEQ_OP_NAME(attempt)
# define ID		int
# define BEGIN		RSEQ_OP_ASM_BEGIN_CPU
# define IN_SECTION	RSEQ_OP_IN_CPU
#endif

#if !RSEQ_OP_BY_CID
static int ATTEMPT(struct program *p, ID id, const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_EXIT(stopped)
		BEGIN
		RSEQ_OP_ASM_COMPARE_STEPS(program, stopped)
		RSEQ_OP_ASM_COMMIT_LAST(program)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: IN_SECTION(id, tags),
		  RSEQ_OP_IN_ANY(program, p)
		: RSEQ_OP_CLOBBERS_COPY
		: aborted, elsewhere, stopped);
	return 0;
aborted:
	return RSEQ_OP_ABORTED;
elsewhere:
	return RSEQ_OP_ELSEWHERE;
stopped:
	return 1;
}
#endif

#undef ATTEMPT
#undef ID
#undef BEGIN
#undef IN_SECTION

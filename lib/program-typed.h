/* SPDX-License-Identifier: MIT */
/*
 * The sequence that runs a program: a template, for variants.h, included by program.c.
 */
#if !RSEQ_OP_BY_CID
static int RSEQ_OP_NAME(attempt)(struct program *p, int cpu, const int64_t *tags)
{
	__asm__ goto (
		RSEQ_OP_ASM_EXIT(stopped)
		RSEQ_OP_ASM_BEGIN_CPU
		RSEQ_OP_ASM_COMPARE_STEPS(program, stopped)
		RSEQ_OP_ASM_COMMIT_LAST(program)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_CPU(cpu, tags),
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

// SPDX-License-Identifier: MIT
#include "wide.h"

#define TIMES4(x)	x x x x
#define TIMES256(x)	TIMES4(TIMES4(TIMES4(TIMES4(x))))

/* Compares another word, which is 0, many times: time passes, and *v is not looked at. */
#define RSEQ_OP_BITS	64
#define RSEQ_OP_RELEASE	0

static int attempt(intptr_t *v, intptr_t expect, intptr_t newv, int cpu, const int64_t *tags)
{
	static intptr_t zero;

	__asm__ goto (
		RSEQ_OP_ASM_EXIT(differs)
		RSEQ_OP_ASM_BEGIN_CPU
		RSEQ_OP_ASM_CMPEQ(v, expect, differs)
		TIMES256(RSEQ_OP_ASM_CMPEQ(zero, nothing, differs))
		RSEQ_OP_ASM_COMMIT_STORE(v, newv)
		RSEQ_OP_ASM_END
		: /* no outputs */
		: RSEQ_OP_IN_CPU(cpu, tags),
		  RSEQ_OP_IN_MEM(v, v),
		  RSEQ_OP_IN_EXPECT(expect, expect),
		  RSEQ_OP_IN_MEM(zero, &zero),
		  RSEQ_OP_IN_WORD(nothing, (intptr_t)0),
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

bool wide_increment(intptr_t *v, int cpu, uint64_t *aborts)
{
	for (;;) {
		intptr_t old = __atomic_load_n(v, __ATOMIC_RELAXED);
		int ret = attempt(v, old, old + 1, cpu, rseq_op_tags());

		if (ret == 0)
			return true;
		if (ret == RSEQ_OP_ELSEWHERE)
			return false;
		if (ret == RSEQ_OP_ABORTED && aborts)
			(*aborts)++;
	}
}

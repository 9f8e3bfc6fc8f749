/* SPDX-License-Identifier: MIT */
#ifndef BARE_H
#define BARE_H

/*
 * What one would write by hand: each sequence as the library has it, but with the CPU
 * compared as a value in a register, and no tag in memory that could close it. From the
 * same template, so that nothing else differs: bare_seq_addv() and so on. They return
 * < 0 where they did not commit; the last argument is unused.
 */
#include <rseq_op/rseq_op.h>

#undef RSEQ_OP_ASM_BEGIN_CPU
#define RSEQ_OP_ASM_BEGIN_CPU							\
	RSEQ_OP_ASM_ANNOUNCE							\
	"cmpl	%k[index], %%fs:4(%[rseq])\n\t"					\
	"jne	%l[elsewhere]\n\t"

#undef RSEQ_OP_IN_CPU
#define RSEQ_OP_IN_CPU(cpu, tags)						\
	[rseq] "r" (RSEQ_OP_OFFSET), [index] "r" (cpu)

#define RSEQ_OP_NAME(op)	bare_##op
#define RSEQ_OP_T		intptr_t
#define RSEQ_OP_BITS		64
#define RSEQ_OP_POINTERS	1
#define RSEQ_OP_RELEASE		0
#define RSEQ_OP_BY_CID		0
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <rseq_op/typed.h>
#pragma GCC diagnostic pop

#endif /* BARE_H */

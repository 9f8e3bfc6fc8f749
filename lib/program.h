/* SPDX-License-Identifier: MIT */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "internal.h"

/*
 * A program is an operation as data, which one generic sequence interprets. It has steps, which
 * compare words or copy bytes, and a last step, which stores a word and so commits. The sequence
 * (program.c, and RSEQ_OP_ASM_RUN_STEPS and RSEQ_OP_ASM_COMMIT_LAST in arch/) knows the layout.
 *
 * A step may copy into the program itself, for example into the address of a later step. That is
 * how an operation follows pointers.
 */
struct step {
	uintptr_t a, offset;	/* the first operand: the address is the sum */
	uintptr_t b;		/* the address of the second operand */
	intptr_t kind;		/* STEP_DIFFER, STEP_EQUAL or STEP_COPY() */
};

/* Stop unless the two words differ, or unless they are equal. */
#define STEP_DIFFER	0
#define STEP_EQUAL	1
/* Copy len bytes, at least one, from the first operand to the second. */
#define STEP_COPY(len)	(-(intptr_t)(len))

struct program {
	/* The last step: *to = ((*(from + offset) & keep) ^ flip) + plus. */
	struct {
		uintptr_t from, offset, keep, flip, plus, to;
	} last;
	struct step *end;
	struct step *at;	/* the sequence stores here how far it got */
	struct step *begin;
	uint32_t len;		/* of every word that is compared, and of the last one */
	bool release;		/* the last store is a release */
};

/*
 * Make a program of a vector of the caller's own: comparisons of words, and then the only store.
 * Returns false if the vector has another form; then only a backend can run it.
 * @steps has room for @nr_ops - 1 steps.
 */
bool program_of_vector(struct program *p, struct step *steps, const struct cpu_op *ops,
		       unsigned int nr_ops);

/*
 * Make a program of the vector of a typed operation. Such a vector may also store before its last
 * operation: to memory of the caller's own, or to memory that no thread reads before the last
 * store. If the vector begins with a memory barrier (CPU_MB_OP), the last store is a release.
 */
bool program_of_typed(struct program *p, struct step *steps, const struct cpu_op *ops,
		      unsigned int nr_ops);

/*
 * Make one attempt: by the tags of all CPUs, or of all concurrency IDs; or by the one tag that is a
 * lease. Returns 0 if the program has committed, the number of the comparison that stopped it,
 * counted from 1, RSEQ_OP_ABORTED or RSEQ_OP_ELSEWHERE.
 */
int program_attempt(struct program *p, struct place at, const int64_t *tags);
int program_leased(struct program *p, int64_t lease, const int64_t *tag);

#endif /* PROGRAM_H */

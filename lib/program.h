/* SPDX-License-Identifier: MIT */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "internal.h"

/*
 * A vector that one sequence can run: comparisons of words, then a store. What the
 * sequence reads is laid out for it here, and known to arch/ by its offsets in words.
 */
struct program {
	/* The store: *to = ((*from & keep) ^ flip) + plus. */
	struct {
		const void *from;
		uintptr_t keep, flip, plus;
		void *to;
	} last;
	struct step *end;
	struct step *at;	/* how far the sequence got */
	/* Stop where (*a == *b) != equal. */
	struct step {
		const void *a, *b;
		uintptr_t equal;
	} steps[CPU_OP_VEC_LEN_MAX];
	uint32_t len;		/* of every word */
	bool release;
};

/* Make one of a vector; false if it has another shape. */
bool program_make(struct program *p, const struct cpu_op *ops, unsigned int nr_ops);

/* An attempt: as those of the typed operations. */
int program_attempt(struct program *p, int cpu, const int64_t *tags);
int program_leased(struct program *p, int64_t lease, const int64_t *tag);

#endif /* PROGRAM_H */

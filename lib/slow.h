/* SPDX-License-Identifier: MIT */
#ifndef SLOW_H
#define SLOW_H

#include "internal.h"

/* An operation in the slow path. */
struct slow {
	struct place at;
	uintptr_t site;		/* of the caller's call */
	const int64_t *tags;	/* for the next attempt */
	int outcome;		/* of the last attempt, or the result */
	unsigned int aborts;
	bool waited;		/* for the place to be open */
	bool leasing;
	int64_t lease;
	bool entered;		/* RSEQ_OP_FORCE_FALLBACK has been looked at */
	bool counted;
	enum counter reason;
};

/* After an attempt with the tags that callers see. */
struct slow slow_begin(enum by by, int index, int outcome, uintptr_t site);

/* Is another attempt worth while? If not, the outcome or the reason is final. */
bool slow_retry(struct slow *s);

/*
 * Is an attempt by s->lease worth while? If so, ask again after it: if the answer is no, the
 * lease has been ended. What the sequence accesses are the operands of the vector.
 */
bool slow_lease(struct slow *s, const struct cpu_op *ops, unsigned int nr_ops);

/*
 * Open a guard that has no owner and is not open. A fork leaves a guard so, and so does a thread
 * that died, or left by siglongjmp(). Returns whether another attempt is worth while.
 */
bool slow_reopen(const struct slow *s);

/* The outcome, if it is a result, or that of the backend. */
int slow_end(struct slow *s, const struct cpu_op *ops, unsigned int nr_ops);

/* The backend, for s->reason. The array is readable where trusted says so. */
int slow_backend(struct slow *s, const struct cpu_op *ops, unsigned int nr_ops, bool trusted);

#endif /* SLOW_H */

/* SPDX-License-Identifier: MIT */
#ifndef SLOW_H
#define SLOW_H

#include "program.h"

/* An operation in the slow path. */
struct slow {
	struct place at;
	uintptr_t site;		/* of the caller's call */
	const int64_t *tags;	/* for the next attempt */
	int outcome;		/* of the last attempt, or the result */
	unsigned int aborts;
	bool waited;		/* for the guard to be open */
	bool entered;		/* RSEQ_OP_FORCE_FALLBACK has been looked at */
	bool counted;
	enum counter reason;
};

/* Begin after an attempt by the tags that callers see; @outcome is what it returned. */
struct slow slow_begin(struct place at, int outcome, uintptr_t site);

/* Make further attempts, while one may succeed. s->outcome is >= 0 if one did. */
void slow_try(struct slow *s, struct program *p);

/*
 * If no attempt has succeeded, make one by lease, where that is possible. The operands of the vector
 * are what the program accesses. If @allowed is not NULL, it is called with @args once the lease is
 * taken, and may forbid the attempt.
 */
void slow_try_by_lease(struct slow *s, struct program *p, const struct cpu_op *ops,
		       unsigned int nr_ops, bool (*allowed)(const intptr_t *args),
		       const intptr_t *args);

/*
 * Open a guard that has no owner and is not open. A fork leaves a guard so, and so does a thread
 * that died, or left by siglongjmp(). Returns whether another attempt is worth while.
 */
bool slow_reopen(const struct slow *s);

/* Return the outcome, if it is a result; otherwise run the vector by the backend. */
int slow_end(struct slow *s, const struct cpu_op *ops, unsigned int nr_ops);

/* Run the vector by the backend, for s->reason. The array is readable if trusted says so. */
int slow_backend(struct slow *s, const struct cpu_op *ops, unsigned int nr_ops, bool trusted);

#endif /* SLOW_H */

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

/* Make further attempts, while one may end the operation. If one did, s->outcome is >= 0. */
void slow_try(struct slow *s, struct program *p);

/*
 * If no attempt has ended the operation, make one by lease, where that is possible. The program
 * accesses exactly the operands of the vector. If @allowed is not NULL, the function calls it with
 * @args while it holds the lease. If @allowed returns false, there is no attempt.
 */
void slow_try_by_lease(struct slow *s, struct program *p, const struct cpu_op *ops,
		       unsigned int nr_ops, bool (*allowed)(const intptr_t *args),
		       const intptr_t *args);

/*
 * Open the tag of a guard that has no owner but is not open. A tag stays closed or leased after a
 * fork, after the death of the owner, or when siglongjmp() left a sequence that had a lease.
 * Returns whether another attempt is worth while.
 */
bool slow_reopen(const struct slow *s);

/* Return the outcome, if it is a result; otherwise run the vector by the backend. */
int slow_end(struct slow *s, const struct cpu_op *ops, unsigned int nr_ops);

/* Run the vector by the backend, for s->reason. @trusted: see backend_fn in internal.h. */
int slow_backend(struct slow *s, const struct cpu_op *ops, unsigned int nr_ops, bool trusted);

#endif /* SLOW_H */

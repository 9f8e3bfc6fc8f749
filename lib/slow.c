// SPDX-License-Identifier: MIT
/*
 * Where an operation goes on when its sequence did not commit: a bounded number of further
 * attempts, where one may succeed; then an attempt by lease (guard.c, F); then the backend. The
 * reason for the backend is counted.
 */
#include <errno.h>

#include "slow.h"
#include "usdt.h"

struct slow slow_begin(struct place at, int outcome, uintptr_t site)
{
	library_ready();
	return (struct slow){
		.at = at, .site = site, .tags = guard_tags(at.by), .outcome = outcome,
	};
}

static bool give_up(struct slow *s, enum counter reason)
{
	s->reason = reason;
	return false;
}

/* Is it this operation's turn to take the backend? */
static bool forced(void)
{
	static _Atomic unsigned int operations;

	return (atomic_fetch_add_explicit(&operations, 1, memory_order_relaxed) + 1) %
	       config.force_fallback == 0;
}

static bool retry_aborted(struct slow *s)
{
	count(COUNT_ABORTS, s->site);
	USDT(aborted, s->site, s->at.index, (int)s->at.by);
	return ++s->aborts < config.max_aborts || give_up(s, COUNT_ABORTED);
}

/* The attempt found another place, no registration, or a closed tag. Is one more worth while? */
static bool retry_elsewhere(struct slow *s)
{
	int index = thread_index(s->at.by);

	if (index < 0)
		return thread_register() || give_up(s, COUNT_UNREGISTERED);
	if (index != s->at.index)
		return give_up(s, COUNT_REMOTE);
	if (s->waited)
		return give_up(s, COUNT_CLOSED);
	s->waited = true;
	guard_wait_open(s->at);
	return true;
}

static bool valid(struct place at)
{
	return at.by == BY_CPU ? cpus_possible(at.index) :
		at.index >= 0 && at.index < rseq_op_cpus;
}

/* Is one more attempt worth while? If not, s->outcome is the result, or s->reason says why not. */
static bool retry(struct slow *s)
{
	if (s->outcome >= 0)
		return false;
	DELAY_POINT();
	if (!s->entered) {
		s->entered = true;
		if (!valid(s->at))
			return give_up(s, COUNT_REMOTE);
		/*
		 * After an attempt in an unregistered thread, retry_elsewhere() registers the
		 * thread. If there may be no attempt, the thread is registered here, because
		 * rseq_op_current_cpu() needs the registration.
		 */
		if (thread_cpu() < 0 && (config.force_fallback || fence_method() == FENCE_NOTHING))
			thread_register();
		if (fence_method() == FENCE_NOTHING)
			return give_up(s, thread_cpu() < 0 ? COUNT_UNREGISTERED : COUNT_CLOSED);
		if (config.force_fallback)
			return !forced() || give_up(s, COUNT_FORCED);
	}
	if (s->outcome == RSEQ_OP_ABORTED)
		return retry_aborted(s);
	return retry_elsewhere(s);
}

/* An operation may take several vectors. It is counted once. Not inline: few probes. */
__attribute__((noinline))
static void entered_backend(struct slow *s)
{
	if (!s->counted) {
		count(s->reason, s->site);
		USDT(backend, s->site, s->at.index, (int)s->at.by, (int)s->reason);
	}
	s->counted = true;
}

__attribute__((noinline))
static void left_backend(const struct slow *s, int ret)
{
	(void)s, (void)ret;	/* where there are no probes */
	USDT(done, s->site, s->at.index, (int)s->at.by, ret);
}

bool slow_reopen(const struct slow *s)
{
	return s->reason == COUNT_CLOSED && fence_method() != FENCE_NOTHING &&
	       !guard_is_owned(s->at) && !emulation_run(NULL, 0, s->at, false);
}

int slow_backend(struct slow *s, const struct cpu_op *ops, unsigned int nr_ops, bool trusted)
{
	int ret;

	entered_backend(s);
	ret = fence_moved() ? -ENOTRECOVERABLE :
		backend_run(s->at.by)(ops, nr_ops, s->at, trusted);
	left_backend(s, ret);
	return ret;
}

/* A lease helps if the thread was at another place or the tag was closed, not against aborts. */
static bool may_lease(const struct slow *s)
{
	return s->outcome < 0 && valid(s->at) &&
	       (s->reason == COUNT_REMOTE || s->reason == COUNT_CLOSED) &&
	       backend_run(s->at.by) == emulation_run && fence_method() == FENCE_MEMBARRIER;
}

void slow_try(struct slow *s, struct program *p)
{
	while (retry(s))
		s->outcome = program_attempt(p, s->at, s->tags);
}

void slow_try_by_lease(struct slow *s, struct program *p, const struct cpu_op *ops,
		       unsigned int nr_ops, bool (*allowed)(const intptr_t *args),
		       const intptr_t *args)
{
	int64_t lease;

	DELAY_POINT();
	if (!may_lease(s))
		return;
	entered_backend(s);
	if (!emulation_lease(ops, nr_ops, s->at, &lease))
		return;
	do {
		DELAY_POINT();
		s->outcome = !allowed || allowed(args) ?
			program_leased(p, lease, &s->tags[s->at.index]) : RSEQ_OP_ELSEWHERE;
		DELAY_POINT();
	} while (s->outcome == RSEQ_OP_ABORTED && retry_aborted(s));
	emulation_end_lease(s->at, lease, !s->outcome);
	if (s->outcome >= 0)
		left_backend(s, s->outcome);
}

int slow_end(struct slow *s, const struct cpu_op *ops, unsigned int nr_ops)
{
	if (s->outcome >= 0)
		return s->outcome;
	if (!valid(s->at))
		return -EINVAL;
	return slow_backend(s, ops, nr_ops, true);
}

// SPDX-License-Identifier: MIT
/*
 * Where an operation goes on when its sequence did not do it: a bounded number of
 * further attempts, where that has a chance; then the backend, and why is counted.
 */
#include <errno.h>

#include "slow.h"
#include "usdt.h"

struct slow slow_begin(enum by by, int index, int outcome, uintptr_t site)
{
	library_ready();
	return (struct slow){
		.at = { by, index }, .site = site, .tags = guard_tags(by), .outcome = outcome,
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

/* Not at the place, not registered, or the place is closed: which, and will it pass? */
static bool retry_elsewhere(struct slow *s)
{
	int index = area_index(s->at.by);

	if (index < 0)
		return area_register_thread() || give_up(s, COUNT_UNREGISTERED);
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

bool slow_retry(struct slow *s)
{
	if (s->outcome >= 0)
		return false;
	DELAY_POINT();
	if (!s->entered) {
		s->entered = true;
		if (!valid(s->at))
			return give_up(s, COUNT_REMOTE);
		/*
		 * An attempt that finds the thread unregistered registers it. Where there is no
		 * attempt it is done here: rseq_op_current_cpu() relies on the registration.
		 */
		if (area_cpu() < 0 && (config.force_fallback || fence_method() == FENCE_NOTHING))
			area_register_thread();
		if (fence_method() == FENCE_NOTHING)
			return give_up(s, area_cpu() < 0 ? COUNT_UNREGISTERED : COUNT_CLOSED);
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
	       !guard_is_owned(s->at) && !membarrier_run(NULL, 0, s->at, false);
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

/* Sequences do not abort time and again: the thread just is not at the place, or it was closed. */
static bool may_lease(const struct slow *s)
{
	return s->outcome < 0 && valid(s->at) &&
	       (s->reason == COUNT_REMOTE || s->reason == COUNT_CLOSED);
}

static bool begin_lease(struct slow *s, const struct cpu_op *ops, unsigned int nr_ops)
{
	if (!may_lease(s))
		return false;
	entered_backend(s);
	if (!membarrier_lease(ops, nr_ops, s->at, &s->lease))
		return false;
	s->leasing = true;
	return true;
}

bool slow_lease(struct slow *s, const struct cpu_op *ops, unsigned int nr_ops)
{
	DELAY_POINT();
	if (!s->leasing)
		return begin_lease(s, ops, nr_ops);
	if (s->outcome == RSEQ_OP_ABORTED && retry_aborted(s))
		return true;
	membarrier_end_lease(s->at, s->lease, !s->outcome);
	if (s->outcome >= 0)
		left_backend(s, s->outcome);
	return false;
}

int slow_end(struct slow *s, const struct cpu_op *ops, unsigned int nr_ops)
{
	if (s->outcome >= 0)
		return s->outcome;
	if (!valid(s->at))
		return -EINVAL;
	return slow_backend(s, ops, nr_ops, true);
}

/*
 * The operations as vectors
 */

/* Those with an address and a number have one layout. */
static struct cpu_op number(int op, void *p, uint32_t len, intptr_t value)
{
	return (struct cpu_op){ .op = op, .len = len,
		.u.immediate_op = { .p = (uintptr_t)p, .value = (uint64_t)value } };
}

static struct cpu_op copy(int op, void *dst, const void *src, size_t len)
{
	return (struct cpu_op){ .op = op, .len = (uint32_t)len,
		.u.memcpy_op = { .dst = (uintptr_t)dst, .src = (uintptr_t)src } };
}

/*
 * Operations that follow a pointer: what it was is compared again in the vector, and
 * what it points to may have gone.
 */

/* A pointer that stays the same and leads nowhere is the caller's fault. */
#define FOLLOWS_MAX	100

struct follow {
	intptr_t pointer, next;
	unsigned int nowhere;	/* times that they led there */
};

/* Let a vector read a pointer. */
static int follow(struct slow *s, struct follow *f, const struct cpu_op *ops,
		  unsigned int nr_ops)
{
	struct follow was = *f;
	int ret = slow_end(s, ops, nr_ops);

	if (f->pointer != was.pointer || f->next != was.next)
		f->nowhere = 0;
	return ret;
}

/*
 * By lease, a pointer that never led anywhere is an error, as in a vector. What it leads to stays
 * while the lease lasts; so it is not accessed here, where it goes unnoticed that it does not
 * last. (Of two pointers, the second cannot be looked at so.)
 */
static bool may_follow(const intptr_t *v, intptr_t end, intptr_t offset)
{
	intptr_t pointer = __atomic_load_n(v, __ATOMIC_RELAXED);

	return pointer == end || !operand_find((uintptr_t)pointer + (uintptr_t)offset,
					       sizeof(pointer));
}

/* The operand behind the pointer may be freed by others. */
static struct cpu_op expect_fault(struct cpu_op op, int operand)
{
	if (operand)
		op.u.memcpy_op.expect_fault_src = 1;
	else
		op.u.arithmetic_op.expect_fault_p = 1;
	return op;
}

/*
 * A pointer has changed, as often as others please, or leads nowhere: -EFAULT where it
 * has done so time and again.
 */
static bool start_over(struct follow *f, int *ret)
{
	if (*ret != -EAGAIN)
		return *ret > 0;
	if (++f->nowhere < FOLLOWS_MAX)
		return true;
	*ret = -EFAULT;
	return false;
}

#define RSEQ_OP_BY_LEASE
#define RSEQ_OP_TEMPLATE <rseq_op/sequences.h>
#include <rseq_op/variants.h>
#undef RSEQ_OP_BY_LEASE

#define RSEQ_OP_TEMPLATE "slow-typed.h"
#include <rseq_op/variants.h>

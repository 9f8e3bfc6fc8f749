// SPDX-License-Identifier: MIT
/*
 * Where an operation goes on when its sequence did not do it: a bounded number of
 * further attempts, where that has a chance; then the backend, and why is counted.
 */
#include <errno.h>

#include "internal.h"

/* An operation in the slow path. */
struct slow {
	int cpu;
	int outcome;		/* of the last attempt, or the result */
	unsigned int aborts;
	bool waited;		/* for the CPU to be open */
	bool entered;		/* RSEQ_OP_FORCE_FALLBACK has been looked at */
	enum counter reason;
};

static struct slow slow_begin(int cpu, int outcome)
{
	return (struct slow){ .cpu = cpu, .outcome = outcome };
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
	count(COUNT_ABORTS);
	return ++s->aborts < config.max_aborts || give_up(s, COUNT_ABORTED);
}

/* Not on the CPU, not registered, or the CPU is closed: which, and will it pass? */
static bool retry_elsewhere(struct slow *s)
{
	int cpu = area_cpu();

	if (cpu < 0)
		return area_register_thread() || give_up(s, COUNT_UNREGISTERED);
	if (cpu != s->cpu)
		return give_up(s, COUNT_REMOTE);
	if (s->waited)
		return give_up(s, COUNT_CLOSED);
	s->waited = true;
	guard_wait_open(cpu);
	return true;
}

/* Is another attempt worth while? If not, the outcome or the reason is final. */
static bool slow_retry(struct slow *s)
{
	if (s->outcome >= 0)
		return false;
	if (!s->entered) {
		s->entered = true;
		if (!cpus_possible(s->cpu))
			return give_up(s, COUNT_REMOTE);
		if (config.force_fallback)
			return !forced() || give_up(s, COUNT_FORCED);
	}
	if (s->outcome == RSEQ_OP_ABORTED)
		return retry_aborted(s);
	return retry_elsewhere(s);
}

static int slow_end(struct slow *s, const struct cpu_op *ops, unsigned int nr_ops)
{
	if (s->outcome >= 0)
		return s->outcome;
	if (!cpus_possible(s->cpu))
		return -EINVAL;
	count(s->reason);
	return backend_run()(ops, nr_ops, s->cpu, true);
}

/*
 * The operations as vectors
 */

static uint64_t address(const void *p)
{
	return (uintptr_t)p;
}

static struct cpu_op add(intptr_t *v, intptr_t count)
{
	return (struct cpu_op){ .op = CPU_ADD_OP, .len = sizeof(*v),
		.u.arithmetic_op = { .p = address(v), .count = count } };
}

static struct cpu_op compare_eq(const intptr_t *v, const intptr_t *expect)
{
	return (struct cpu_op){ .op = CPU_COMPARE_EQ_OP, .len = sizeof(*v),
		.u.compare_op = { .a = address(v), .b = address(expect) } };
}

static struct cpu_op store(intptr_t *v, const intptr_t *newv)
{
	return (struct cpu_op){ .op = CPU_MEMCPY_OP, .len = sizeof(*v),
		.u.memcpy_op = { .dst = address(v), .src = address(newv) } };
}

int rseq_op_slow_addv(intptr_t *v, intptr_t count, int cpu, int outcome)
{
	struct slow s = slow_begin(cpu, outcome);

	while (slow_retry(&s))
		s.outcome = rseq_op_seq_addv(v, count, cpu, guard_tags());
	return slow_end(&s, (struct cpu_op []){ add(v, count) }, 1);
}

int rseq_op_slow_cmpeqv_storev(intptr_t *v, intptr_t expect, intptr_t newv, int cpu,
			       int outcome)
{
	struct slow s = slow_begin(cpu, outcome);

	while (slow_retry(&s))
		s.outcome = rseq_op_seq_cmpeqv_storev(v, expect, newv, cpu, guard_tags());
	return slow_end(&s, (struct cpu_op []){
			compare_eq(v, &expect), store(v, &newv) }, 2);
}

int rseq_op_slow_cmpeqv_storev_storev(intptr_t *v, intptr_t expect, intptr_t *v2,
				      intptr_t newv2, intptr_t newv, int cpu, int outcome)
{
	struct slow s = slow_begin(cpu, outcome);

	while (slow_retry(&s))
		s.outcome = rseq_op_seq_cmpeqv_storev_storev(v, expect, v2, newv2, newv,
							     cpu, guard_tags());
	return slow_end(&s, (struct cpu_op []){
			compare_eq(v, &expect), store(v2, &newv2), store(v, &newv) }, 3);
}

int rseq_op(const struct cpu_op *ops, unsigned int nr_ops, int cpu, unsigned int flags)
{
	if (flags || !cpus_possible(cpu))
		return -EINVAL;
	count(COUNT_VECTOR);
	return backend_run()(ops, nr_ops, cpu, false);
}

// SPDX-License-Identifier: MIT
/*
 * Which backend this process uses. The choice is made at the first need, not at
 * start: a process that never leaves the sequences makes no unusual system call.
 */
#include <errno.h>
#include <pthread.h>

#include "internal.h"

struct choice {
	enum rseq_op_backend backend;
	backend_fn run;
	const char *why;
};

static int none_run(const struct cpu_op *ops, unsigned int nr_ops, struct place at, bool trusted)
{
	(void)ops, (void)nr_ops, (void)at, (void)trusted;
	return -ENOSYS;
}

static const struct choice kernel = {
	RSEQ_OP_BACKEND_KERNEL, cpu_opv_run, "this kernel has cpu_opv(2)",
};

static const struct choice kernel_asked = {
	RSEQ_OP_BACKEND_KERNEL, cpu_opv_run, "RSEQ_OP_BACKEND asks for it",
};

static const struct choice membarrier = {
	RSEQ_OP_BACKEND_MEMBARRIER, emulation_run,
	"this kernel has no cpu_opv(2), but membarrier(2) with RSEQ",
};

static const struct choice membarrier_asked = {
	RSEQ_OP_BACKEND_MEMBARRIER, emulation_run, "RSEQ_OP_BACKEND asks for it",
};

static const struct choice nothing = {
	RSEQ_OP_BACKEND_NONE, none_run,
	"there is neither cpu_opv(2) nor membarrier(2) with RSEQ, or a filter refuses them",
};

static const struct choice kernel_missing = {
	RSEQ_OP_BACKEND_NONE, none_run,
	"RSEQ_OP_BACKEND asks for cpu_opv(2), which is not there, or refused",
};

static const struct choice membarrier_missing = {
	RSEQ_OP_BACKEND_NONE, none_run,
	"RSEQ_OP_BACKEND asks for membarrier(2) with RSEQ, which is not there, or refused",
};

static const struct choice affinity = {
	RSEQ_OP_BACKEND_AFFINITY, emulation_run,
	"this kernel has neither cpu_opv(2) nor membarrier(2) with RSEQ, or a filter "
	"refuses them; but threads may choose their CPU",
};

static const struct choice affinity_asked = {
	RSEQ_OP_BACKEND_AFFINITY, emulation_run, "RSEQ_OP_BACKEND asks for it",
};

static const struct choice affinity_missing = {
	RSEQ_OP_BACKEND_NONE, none_run,
	"RSEQ_OP_BACKEND asks for sched_setaffinity(2), which is refused, or does not "
	"reach all CPUs",
};

static const struct choice guard = {
	RSEQ_OP_BACKEND_GUARD, emulation_run,
	"nothing waits for sequences, or the kernel has none: there are none in this process",
};

static const struct choice guard_asked = {
	RSEQ_OP_BACKEND_GUARD, emulation_run, "RSEQ_OP_BACKEND asks for it",
};

static _Atomic(const struct choice *) chosen;

/* Ask once more: a filter may have been installed since the fence was chosen. */
static bool by_membarrier(void)
{
	return fence_method() == FENCE_MEMBARRIER && fence_membarrier_still_works() && !fence_register();
}

static const struct choice *choose_by_fence(void)
{
	switch (fence_method()) {
	case FENCE_AFFINITY:
		return &affinity;
	case FENCE_NOTHING:
		return &guard;
	default:
		return by_membarrier() ? &membarrier : &nothing;
	}
}

static const struct choice *choose(void)
{
	switch (config.backend) {
	case RSEQ_OP_BACKEND_KERNEL:
		return cpu_opv_probe() ? &kernel_missing : &kernel_asked;
	case RSEQ_OP_BACKEND_MEMBARRIER:
		return by_membarrier() ? &membarrier_asked : &membarrier_missing;
	case RSEQ_OP_BACKEND_AFFINITY:
		return fence_method() == FENCE_AFFINITY ? &affinity_asked : &affinity_missing;
	case RSEQ_OP_BACKEND_GUARD:
		return &guard_asked;
	default:
		return cpu_opv_probe() ? choose_by_fence() : &kernel;
	}
}

/* Threads that choose at once may see a filter arrive in between: the first choice counts. */
static const struct choice *choice(void)
{
	const struct choice *c = atomic_load_explicit(&chosen, memory_order_acquire);

	if (!c) {
		library_ready();
		const struct choice *seen = NULL;

		c = choose();
		DELAY_POINT();
		if (!atomic_compare_exchange_strong(&chosen, &seen, c))
			c = seen;
	}
	return c;
}

/* The system call knows CPUs only. */
backend_fn backend_run(enum by by)
{
	const struct choice *c = choice();

	return c->run == cpu_opv_run && by == BY_CID ? emulation_run : c->run;
}

enum rseq_op_backend rseq_op_backend(const char **why)
{
	const struct choice *c = choice();

	if (why)
		*why = c->why;
	return c->backend;
}

// SPDX-License-Identifier: MIT
/*
 * Which backend this process uses. The choice is made at the first need, not at
 * start: a process that never leaves the sequences makes no unusual system call.
 */
#include <errno.h>
#include <pthread.h>

#include "internal.h"

static int none_run(const struct cpu_op *ops, unsigned int nr_ops, struct place at, bool trusted)
{
	(void)ops, (void)nr_ops, (void)at, (void)trusted;
	return -ENOSYS;
}

static const struct {
	backend_fn run;
	const char *why;	/* it is chosen, if RSEQ_OP_BACKEND asks for none */
	const char *missing;	/* why there is no backend, if RSEQ_OP_BACKEND asks for this one */
} backends[] = {
	[RSEQ_OP_BACKEND_NONE] = {
		none_run,
		"there is neither cpu_opv(2) nor membarrier(2) with RSEQ, or a filter refuses them",
		NULL,
	},
	[RSEQ_OP_BACKEND_KERNEL] = {
		cpu_opv_run,
		"this kernel has cpu_opv(2)",
		"RSEQ_OP_BACKEND asks for cpu_opv(2), which is not there, or refused",
	},
	[RSEQ_OP_BACKEND_MEMBARRIER] = {
		emulation_run,
		"this kernel has no cpu_opv(2), but membarrier(2) with RSEQ",
		"RSEQ_OP_BACKEND asks for membarrier(2) with RSEQ, which is not there, or refused",
	},
	[RSEQ_OP_BACKEND_AFFINITY] = {
		emulation_run,
		"this kernel has neither cpu_opv(2) nor membarrier(2) with RSEQ, or a filter "
		"refuses them; but threads may choose their CPU",
		"RSEQ_OP_BACKEND asks for sched_setaffinity(2), which is refused, or does not "
		"reach all CPUs",
	},
	[RSEQ_OP_BACKEND_GUARD] = {
		emulation_run,
		"nothing waits for sequences, or the kernel has none: there are none in this process",
		NULL,
	},
};

/* A backend that RSEQ_OP_BACKEND asks for, or the library's own choice. */
enum reason { UNCHOSEN, CHOSEN, ASKED, MISSING };

struct choice {
	uint8_t backend;	/* with MISSING: the one that is asked for */
	uint8_t reason;
};

/* Ask once more: a filter may have been installed since the fence was chosen. */
static bool by_membarrier(void)
{
	return fence_method() == FENCE_MEMBARRIER && fence_membarrier_still_works() && !fence_register();
}

static enum rseq_op_backend choose_by_fence(void)
{
	switch (fence_method()) {
	case FENCE_AFFINITY:
		return RSEQ_OP_BACKEND_AFFINITY;
	case FENCE_NOTHING:
		return RSEQ_OP_BACKEND_GUARD;
	default:
		return by_membarrier() ? RSEQ_OP_BACKEND_MEMBARRIER : RSEQ_OP_BACKEND_NONE;
	}
}

static bool is_available(enum rseq_op_backend backend)
{
	switch (backend) {
	case RSEQ_OP_BACKEND_KERNEL:
		return !cpu_opv_probe();
	case RSEQ_OP_BACKEND_MEMBARRIER:
		return by_membarrier();
	case RSEQ_OP_BACKEND_AFFINITY:
		return fence_method() == FENCE_AFFINITY;
	default:
		return true;
	}
}

static struct choice choose(void)
{
	enum rseq_op_backend backend = config.backend;

	if (backend != RSEQ_OP_BACKEND_NONE)
		return (struct choice){ (uint8_t)backend, is_available(backend) ? ASKED : MISSING };
	backend = is_available(RSEQ_OP_BACKEND_KERNEL) ? RSEQ_OP_BACKEND_KERNEL : choose_by_fence();
	return (struct choice){ (uint8_t)backend, CHOSEN };
}

/* Threads that choose at once may see a filter arrive in between: the first choice counts. */
static struct choice choice(void)
{
	static _Atomic struct choice chosen;
	struct choice c = atomic_load_explicit(&chosen, memory_order_acquire), seen = { 0 };

	if (c.reason == UNCHOSEN) {
		library_ready();
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
	struct choice c = choice();
	backend_fn run = c.reason == MISSING ? none_run : backends[c.backend].run;

	return run == cpu_opv_run && by == BY_CID ? emulation_run : run;
}

enum rseq_op_backend rseq_op_backend(const char **why)
{
	struct choice c = choice();

	if (why && c.reason == ASKED)
		*why = "RSEQ_OP_BACKEND asks for it";
	else if (why)
		*why = c.reason == MISSING ? backends[c.backend].missing : backends[c.backend].why;
	return c.reason == MISSING ? RSEQ_OP_BACKEND_NONE : (enum rseq_op_backend)c.backend;
}

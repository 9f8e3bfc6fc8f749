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
	RSEQ_OP_BACKEND_KERNEL, kernel_run, "this kernel has cpu_opv(2)",
};

static const struct choice kernel_asked = {
	RSEQ_OP_BACKEND_KERNEL, kernel_run, "RSEQ_OP_BACKEND asks for it",
};

static const struct choice membarrier = {
	RSEQ_OP_BACKEND_MEMBARRIER, membarrier_run,
	"this kernel has no cpu_opv(2), but membarrier(2) with RSEQ",
};

static const struct choice membarrier_asked = {
	RSEQ_OP_BACKEND_MEMBARRIER, membarrier_run, "RSEQ_OP_BACKEND asks for it",
};

static const struct choice nothing = {
	RSEQ_OP_BACKEND_NONE, none_run,
	"this kernel has neither cpu_opv(2) nor membarrier(2) with RSEQ",
};

static const struct choice kernel_missing = {
	RSEQ_OP_BACKEND_NONE, none_run,
	"RSEQ_OP_BACKEND asks for cpu_opv(2), which this kernel does not have",
};

static const struct choice membarrier_missing = {
	RSEQ_OP_BACKEND_NONE, none_run,
	"RSEQ_OP_BACKEND asks for membarrier(2) with RSEQ, which this kernel does not have",
};

static _Atomic(const struct choice *) chosen;

static const struct choice *choose(void)
{
	switch (config.backend) {
	case RSEQ_OP_BACKEND_KERNEL:
		return kernel_probe() ? &kernel_missing : &kernel_asked;
	case RSEQ_OP_BACKEND_MEMBARRIER:
		return fence_register() ? &membarrier_missing : &membarrier_asked;
	default:
		if (!kernel_probe())
			return &kernel;
		return fence_register() ? &nothing : &membarrier;
	}
}

/* Threads that get here at once all come to the same conclusion. */
static const struct choice *choice(void)
{
	const struct choice *c = atomic_load_explicit(&chosen, memory_order_acquire);

	if (!c) {
		c = choose();
		atomic_store_explicit(&chosen, c, memory_order_release);
	}
	return c;
}

/* The system call knows CPUs only. */
backend_fn backend_run(enum by by)
{
	const struct choice *c = choice();

	return c->run == kernel_run && by == BY_CID ? membarrier_run : c->run;
}

enum rseq_op_backend rseq_op_backend(const char **why)
{
	const struct choice *c = choice();

	if (why)
		*why = c->why;
	return c->backend;
}

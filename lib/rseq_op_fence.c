// SPDX-License-Identifier: MIT
/*
 * The fences that callers use. They wait for the sequences, as fence() does, and for vectors that are
 * being emulated: see guard.c, scenario C.
 */
#include <errno.h>

#include "internal.h"

/* fence() does not wait for an emulated vector. An empty vector for the same place does. */
static int wait_for_vector(struct place at)
{
	return emulation_run(NULL, 0, at, false);
}

/* Called after a fence for all CPUs, which has also reached the sequences that have a lease. */
static int wait_for_vectors(enum by by)
{
	int index, ret = 0;

	for (index = 0; index < rseq_op_cpus && !ret; index++) {
		struct place at = { by, index };

		/* While the tag is a lease, the owner of the lock has not begun its vector. */
		if (guard_is_owned(at) && !guard_is_leased(at))
			ret = wait_for_vector(at);
	}
	return ret;
}

static int fence_emulated(struct place at)
{
	int ret = fence(at);	/* guard.c, scenario C: (g) */

	DELAY_POINT();
	/*
	 * The empty vector also takes away a lease, whose sequence may run on any CPU. Load the tag
	 * first, by an acquire load, and the lock afterwards. If another thread closes the guard
	 * over the lease in between, this thread finds that the lock is owned.
	 */
	if (!ret && (guard_is_leased(at) || guard_is_owned(at)))
		ret = wait_for_vector(at);
	atomic_thread_fence(memory_order_acquire);	/* scenario C: (f) */
	return ret;
}

int rseq_op_fence(int cpu)
{
	struct place at = { BY_CPU, cpu };
	backend_fn run;

	library_ready();
	if (!cpus_possible(cpu))
		return -EINVAL;
	if (fence_moved())
		return -ENOTRECOVERABLE;
	run = backend_run(BY_CPU);
	return run == emulation_run ? fence_emulated(at) : run(NULL, 0, at, false);
}

int rseq_op_fence_all(void)
{
	int ret;

	library_ready();
	if (rseq_op_backend(NULL) == RSEQ_OP_BACKEND_NONE)
		return -ENOSYS;
	ret = fence_all();	/* guard.c, scenario C: (g) */
	DELAY_POINT();
	if (!ret)
		ret = wait_for_vectors(BY_CPU);
	if (!ret)
		ret = wait_for_vectors(BY_CID);
	atomic_thread_fence(memory_order_acquire);	/* scenario C: (f) */
	return ret;
}

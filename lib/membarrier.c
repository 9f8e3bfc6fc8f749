// SPDX-License-Identifier: MIT
/*
 * The backend for a kernel without the system call, and for concurrency IDs: exclude
 * the sequences of the place with the guard (see guard.c for why that works), and run
 * the vector here.
 *
 *	check, bring operands in		everything that can fail
 *	block all signals			a handler's operation on the same CPU
 *						would wait for us for ever
 *	close the guard
 *	fence, unless this is the place
 *	run
 *	open the guard, restore signals
 *
 * It works for one process: what is shared with others is not excluded.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

int membarrier_fetch(struct cpu_op *copy, const struct cpu_op *ops, unsigned int nr_ops)
{
	size_t size = nr_ops * sizeof(*ops);

	if (nr_ops > CPU_OP_VEC_LEN_MAX)
		return -EINVAL;
	if (!size)
		return 0;
	if (operand_ask((uintptr_t)ops, (uint32_t)size, ACCESS_READ, false))
		return -EFAULT;
	memcpy(copy, ops, size);
	return 0;
}

/* Nobody else is in a sequence at the place where we are: guard.c, scenario E. */
static int fence_elsewhere(struct place at, bool area_is_ours)
{
	if (!area_is_ours || area_index(at.by) != at.index)
		return fence(at);
	atomic_thread_fence(memory_order_seq_cst);	/* scenario C: (g) */
	return 0;
}

static int run_guarded(const struct cpu_op *ops, unsigned int nr_ops, struct place at,
		       bool area_is_ours)
{
	uint64_t signals;
	bool sequences;
	int ret;

	block_signals(&signals);
	sequences = guard_close(at);	/* scenario A: (a) */
	DELAY_POINT();
	ret = fence_elsewhere(at, area_is_ours);	/* scenario A: (b) */
	DELAY_POINT();
	if (!ret) {
		ret = interp_run(ops, nr_ops);
		sequences = !RSEQ_OP_LOADS_PASS_LOADS ||
			    !fence_elsewhere(at, area_is_ours);		/* scenario A: (e) */
	}
	DELAY_POINT();
	guard_open(at, sequences);	/* scenario A: (d) */
	restore_signals(&signals);
	return ret;
}

int membarrier_run(const struct cpu_op *ops, unsigned int nr_ops, struct place at,
		   bool trusted)
{
	struct cpu_op copy[CPU_OP_VEC_LEN_MAX];
	int ret;

	if (!trusted) {
		ret = membarrier_fetch(copy, ops, nr_ops);
		if (ret)
			return ret;
		ops = copy;
	}
	ret = interp_check(ops, nr_ops);
	if (!ret)
		ret = interp_for_each_operand(ops, nr_ops, trusted ? operand_touch : operand_ask);
	return ret ? ret : run_guarded(ops, nr_ops, at, trusted);
}

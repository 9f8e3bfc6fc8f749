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
 * An operation that is a sequence, but not at the place where it runs, needs neither the vector
 * nor blocked signals: it gets a lease of the guard.
 *
 * It works for one process: what is shared with others is not excluded.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "internal.h"

int emulation_fetch(struct cpu_op *copy, const struct cpu_op *ops, unsigned int nr_ops)
{
	size_t size = nr_ops * sizeof(*ops);
	int ret;

	if (nr_ops > CPU_OP_VEC_LEN_MAX)
		return -EINVAL;
	if (!size)
		return 0;
	ret = operand_ask((uintptr_t)ops, (uint32_t)size, ACCESS_READ, false);
	if (!ret)
		memcpy(copy, ops, size);
	return ret;
}

/* Nobody else is in a sequence at the place where we are: guard.c, scenario E. */
static int fence_elsewhere(struct place at, bool area_is_ours)
{
	if (!area_is_ours || thread_index(at.by) != at.index)
		return fence(at);
	atomic_thread_fence(memory_order_seq_cst);	/* scenario C: (g) */
	return 0;
}

/* The fence before opening. What begins then has not loaded anything yet. */
static bool fence_again(struct place at, bool area_is_ours)
{
	return !RSEQ_OP_LOADS_PASS_LOADS ||
	       !fence_elsewhere(at, area_is_ours);	/* scenario A: (e) */
}

/*
 * gettid(2). Where the area of the calling thread is its own, so is the rest of its thread-local
 * storage, and the ID can be kept there; but not beyond a fork, and not where that goes unnoticed.
 */
static uint32_t thread_id(bool area_is_ours)
{
	static __thread struct {
		uint32_t tid;
		uint16_t incarnation;
	} kept __attribute__((tls_model("initial-exec")));
	uint16_t now = incarnation();
	uint32_t tid;

	if (area_is_ours && now && kept.incarnation == now)
		return kept.tid;
	tid = (uint32_t)raw_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
	if (area_is_ours) {
		kept.incarnation = now;
		kept.tid = tid;
	}
	return tid;
}

/*
 * Fence one CPU, scenario A: (b). If the guard was leased, or was left closed, a sequence may run
 * anywhere, so fence all, scenarios F and G: (k).
 */
static int fence_closed(struct place at, int64_t was, bool area_is_ours)
{
	return guard_was_open(at, was) ? fence_elsewhere(at, area_is_ours) : fence_all();
}

static int run_guarded(const struct cpu_op *ops, unsigned int nr_ops, struct place at,
		       bool area_is_ours)
{
	uint64_t signals;
	int64_t was;
	int ret;

	block_signals(&signals);
	was = guard_close(at, thread_id(area_is_ours));	/* scenario A: (a) */
	DELAY_POINT();
	ret = fence_closed(at, was, area_is_ours);
	DELAY_POINT();
	if (ret) {
		guard_undo(at, was);
	} else {
		bool sequences;

		ret = interp_run(ops, nr_ops);
		sequences = fence_method() != FENCE_NOTHING && fence_again(at, area_is_ours);
		DELAY_POINT();
		guard_open(at, sequences);	/* scenario A: (d) */
	}
	restore_signals(&signals);
	return ret;
}

static int bring_in(const struct cpu_op *ops, unsigned int nr_ops, operand_fn how)
{
	int ret = interp_check(ops, nr_ops);

	return ret ? ret : interp_for_each_operand(ops, nr_ops, how);
}

int emulation_run(const struct cpu_op *ops, unsigned int nr_ops, struct place at,
		   bool trusted)
{
	struct cpu_op copy[CPU_OP_VEC_LEN_MAX];
	int ret;

	if (!trusted) {
		ret = emulation_fetch(copy, ops, nr_ops);
		if (ret)
			return ret;
		ops = copy;
	}
	ret = bring_in(ops, nr_ops, trusted ? operand_touch : operand_ask);
	return ret ? ret : run_guarded(ops, nr_ops, at, trusted);
}

bool emulation_lease(const struct cpu_op *ops, unsigned int nr_ops, struct place at,
		      int64_t *lease)
{
	if (bring_in(ops, nr_ops, operand_touch) || !guard_lease(at, lease))
		return false;
	DELAY_POINT();
	if (!fence_elsewhere(at, true))		/* scenario F: (b) */
		return true;
	guard_end_lease(at, *lease, true);
	return false;
}

void emulation_end_lease(struct place at, int64_t lease, bool committed)
{
	bool sequences = !committed || fence_again(at, true);

	DELAY_POINT();
	guard_end_lease(at, lease, sequences);
}

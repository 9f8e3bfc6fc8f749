// SPDX-License-Identifier: MIT
/*
 * The backend for a kernel without the system call, and for concurrency IDs: exclude
 * the sequences of the place with the guard (see guard.c for why that works), and run
 * the vector here.
 *
 *	check, make operands accessible		everything that can fail
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
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

#include "internal.h"

/* A page has at least so many bytes, and an operand at most. */
#define PAGE		4096

_Static_assert(CPU_OP_DATA_LEN_MAX <= PAGE && CPU_OP_VEC_LEN_MAX * sizeof(struct cpu_op) <= PAGE,
	       "what begins in one page ends in that or the next");

/* A value that no word is likely to have. */
#define UNLIKELY	(-2048)

/*
 * Can the byte be accessed? The kernel, unlike a plain access, says if not. It is asked to
 * or 0 to the word, which changes nothing whoever else stores there, and would wake who
 * waits for one that has a certain value; or to read a set of signals, for it knows not what.
 */
static bool touch(uintptr_t addr, enum access access)
{
	uintptr_t word = (addr & ~(uintptr_t)15) | 8;	/* never NULL, which is no set of signals */
	uint32_t nobody = 0;
	long ret;

	if (access == ACCESS_READ)
		return raw_syscall(SYS_rt_sigprocmask, -1, (long)word, 0, sizeof(uint64_t),
				   0, 0) == -EINVAL;
	ret = raw_syscall(SYS_futex, (long)&nobody, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, 0,
			  (long)word, FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, UNLIKELY));
	return ret >= 0 || ret == -EAGAIN;
}

/* Make an operand accessible, if that can be. */
static int touch_operand(uint64_t addr, uint32_t len, enum access access)
{
	uintptr_t first = (uintptr_t)addr, last = first + len - 1;

	if (last < addr || !touch(first, access))
		return -EFAULT;
	return first / PAGE == last / PAGE || touch(last, access) ? 0 : -EFAULT;
}

int membarrier_fetch(struct cpu_op *copy, const struct cpu_op *ops, unsigned int nr_ops)
{
	size_t size = nr_ops * sizeof(*ops);

	if (nr_ops > CPU_OP_VEC_LEN_MAX)
		return -EINVAL;
	if (!size)
		return 0;
	if (touch_operand((uintptr_t)ops, (uint32_t)size, ACCESS_READ))
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
		ret = interp_for_each_operand(ops, nr_ops, touch_operand);
	return ret ? ret : run_guarded(ops, nr_ops, at, trusted);
}

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
 *	fence
 *	run
 *	open the guard, restore signals
 *
 * It works for one process: what is shared with others is not excluded.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "internal.h"

/* Since Linux 5.14. */
#ifndef MADV_POPULATE_READ
# define MADV_POPULATE_READ	22
# define MADV_POPULATE_WRITE	23
#endif

static int populate(uint64_t addr, uint32_t len, enum access access)
{
	static long page_size;
	uintptr_t start, end = (uintptr_t)addr + len;

	if (!page_size)
		page_size = sysconf(_SC_PAGESIZE);
	if (end < addr)
		return -EFAULT;
	start = (uintptr_t)addr & -(uintptr_t)page_size;
	return raw_syscall(SYS_madvise, (long)start, (long)(end - start),
			   access == ACCESS_WRITE ? MADV_POPULATE_WRITE : MADV_POPULATE_READ,
			   0, 0, 0) ? -EFAULT : 0;
}

/* Copy a vector that may lie anywhere. */
static int fetch(struct cpu_op *copy, const struct cpu_op *ops, unsigned int nr_ops)
{
	size_t size = nr_ops * sizeof(*ops);

	if (nr_ops > CPU_OP_VEC_LEN_MAX)
		return -EINVAL;
	if (!size)
		return 0;
	if (populate((uintptr_t)ops, (uint32_t)size, ACCESS_READ))
		return -EFAULT;
	memcpy(copy, ops, size);
	return 0;
}

/* The raw call also blocks the signals that libc keeps for itself. */
static void block_signals(uint64_t *old)
{
	const uint64_t all = ~UINT64_C(0);

	raw_syscall(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, (long)&all, (long)old,
		    sizeof(*old), 0, 0);
}

static void restore_signals(const uint64_t *old)
{
	raw_syscall(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, (long)old, 0, sizeof(*old), 0, 0);
}

static int run_guarded(const struct cpu_op *ops, unsigned int nr_ops, struct place at)
{
	uint64_t signals;
	int ret;

	block_signals(&signals);
	guard_close(at);		/* scenario A: (a) */
	ret = fence(at);		/* scenario A: (b) */
	if (!ret)
		ret = interp_run(ops, nr_ops);
	if (RSEQ_OP_LOADS_PASS_LOADS)
		fence(at);		/* scenario A: (e) */
	guard_open(at);		/* scenario A: (d) */
	restore_signals(&signals);
	return ret;
}

int membarrier_run(const struct cpu_op *ops, unsigned int nr_ops, struct place at,
		   bool trusted)
{
	struct cpu_op copy[CPU_OP_VEC_LEN_MAX];
	int ret;

	if (!trusted) {
		ret = fetch(copy, ops, nr_ops);
		if (ret)
			return ret;
		ops = copy;
	}
	ret = interp_check(ops, nr_ops);
	if (!ret)
		ret = interp_for_each_operand(ops, nr_ops, populate);
	return ret ? ret : run_guarded(ops, nr_ops, at);
}

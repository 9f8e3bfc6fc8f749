// SPDX-License-Identifier: MIT
/*
 * The backend for a kernel without the system call: exclude the sequences of the
 * CPU with the guard (see guard.c for why that works), and run the vector here.
 *
 *	check, make operands accessible		everything that can fail
 *	block all signals			a handler's operation on the same CPU
 *						would wait for us for ever
 *	close the guard
 *	fence					membarrier(PRIVATE_EXPEDITED_RSEQ)
 *	run
 *	open the guard, restore signals
 *
 * membarrier works for one process: what is shared with others is not excluded.
 */
#include <errno.h>
#include <linux/membarrier.h>
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

static long membarrier(int cmd, unsigned int flags, int cpu)
{
	return raw_syscall(SYS_membarrier, cmd, flags, cpu, 0, 0, 0);
}

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

/* Sequences that began on the CPU before have committed or will abort. */
static int fence(int cpu)
{
	return (int)membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU,
			       cpu);
}

static int run_guarded(const struct cpu_op *ops, unsigned int nr_ops, int cpu)
{
	uint64_t signals;
	int ret;

	block_signals(&signals);
	guard_close(cpu);		/* scenario A: (a) */
	ret = fence(cpu);		/* scenario A: (b) */
	if (!ret)
		ret = interp_run(ops, nr_ops);
	guard_open(cpu);		/* scenario A: (d) */
	restore_signals(&signals);
	return ret;
}

int membarrier_run(const struct cpu_op *ops, unsigned int nr_ops, int cpu, bool trusted)
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
	return ret ? ret : run_guarded(ops, nr_ops, cpu);
}

/* 0, or -errno where the fence is not to be had. */
int membarrier_probe(void)
{
	return (int)membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0);
}

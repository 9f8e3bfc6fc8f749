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
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

/* Since Linux 5.14. */
#ifndef MADV_POPULATE_READ
# define MADV_POPULATE_READ	22
# define MADV_POPULATE_WRITE	23
#endif

static uintptr_t page_mask(void)
{
	static _Atomic long page_size;
	long size = atomic_load_explicit(&page_size, memory_order_relaxed);

	if (!size) {
		size = sysconf(_SC_PAGESIZE);
		atomic_store_explicit(&page_size, size, memory_order_relaxed);
	}
	return -(uintptr_t)size;
}

static long populate_range(uintptr_t start, size_t len, enum access access)
{
	return raw_syscall(SYS_madvise, (long)start, (long)len,
			   access == ACCESS_WRITE ? MADV_POPULATE_WRITE : MADV_POPULATE_READ,
			   0, 0, 0);
}

/* Does the kernel know how? Asked of memory that is there. */
static bool can_populate(void)
{
	static _Atomic int can = -1;	/* not asked */
	int ret = atomic_load_explicit(&can, memory_order_relaxed);

	if (ret < 0) {
		uintptr_t here = (uintptr_t)&can & page_mask();

		ret = !populate_range(here, ~page_mask() + 1, ACCESS_READ);
		atomic_store_explicit(&can, ret, memory_order_relaxed);
	}
	return ret;
}

/*
 * Before Linux 5.14: let the kernel compare the word with 0, and wake and requeue nobody;
 * or or 0 to it, which changes nothing whoever else stores to it. The kernel, unlike a plain
 * access, says what cannot be done.
 */
static int touch_page(uintptr_t addr, enum access access)
{
	uintptr_t word = addr & ~(uintptr_t)3;
	uint32_t unused = 0;
	long ret;

	if (access == ACCESS_WRITE)
		ret = raw_syscall(SYS_futex, (long)&unused, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG,
				  0, 0, (long)word, FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0));
	else
		ret = raw_syscall(SYS_futex, (long)word, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG,
				  0, 0, (long)&unused, 0);
	return ret < 0 && ret != -EAGAIN ? -EFAULT : 0;
}

static int touch(uintptr_t start, uintptr_t end, enum access access)
{
	int ret = 0;

	for (; start != end && !ret; start += ~page_mask() + 1)
		ret = touch_page(start, access);
	return ret;
}

static int populate(uint64_t addr, uint32_t len, enum access access)
{
	uintptr_t start = (uintptr_t)addr & page_mask(), end = (uintptr_t)addr + len;

	if (end < addr)
		return -EFAULT;
	if (can_populate())
		return populate_range(start, end - start, access) ? -EFAULT : 0;
	return touch(start, ((end - 1) & page_mask()) + ~page_mask() + 1, access);
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

static int run_guarded(const struct cpu_op *ops, unsigned int nr_ops, struct place at)
{
	uint64_t signals;
	bool sequences;
	int ret;

	block_signals(&signals);
	sequences = guard_close(at);	/* scenario A: (a) */
	DELAY_POINT();
	ret = fence(at);		/* scenario A: (b) */
	DELAY_POINT();
	if (!ret) {
		ret = interp_run(ops, nr_ops);
		sequences = !RSEQ_OP_LOADS_PASS_LOADS || !fence(at);	/* scenario A: (e) */
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

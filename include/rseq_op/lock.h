/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_LOCK_H
#define RSEQ_OP_LOCK_H

/*
 * A spinlock for each CPU: for what is too long to be an operation. Its holder may be
 * preempted and move; it then holds the lock of the CPU that it was on.
 *
 * @l is an item of a pool, see rseq_op_pool(3), zero at first.
 */
#include <sched.h>

#include <rseq_op/pool.h>

struct rseq_op_lock {
	intptr_t held;
};

/**
 * rseq_op_lock_cpu() - take the lock of a CPU
 * @l:		The lock.
 * @cpu:	Any possible CPU.
 *
 * Waits while somebody else holds it, and gives the processor away now and then.
 *
 * Return: 0, or -errno as rseq_op_cmpeqv_storev().
 */
static inline int rseq_op_lock_cpu(struct rseq_op_lock *l, int cpu)
{
	intptr_t *held = &rseq_op_ptr(l, cpu)->held;
	unsigned int tries = 0;
	int ret;

	for (;;) {
		ret = rseq_op_cmpeqv_storev(held, 0, 1, cpu);
		if (ret != 1)
			break;
		if (++tries % 64)
			rseq_op_cpu_relax();
		else
			sched_yield();
	}
	/* What the last holder stored is seen: matches rseq_op_unlock_cpu(). */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return ret;
}

/**
 * rseq_op_lock_current() - take the lock of the current CPU
 * @l:		The lock.
 *
 * Return: the CPU whose lock it is, or -errno as rseq_op_cmpeqv_storev().
 */
static inline int rseq_op_lock_current(struct rseq_op_lock *l)
{
	int cpu = rseq_op_current_cpu();
	int ret = rseq_op_lock_cpu(l, cpu);

	return ret ? ret : cpu;
}

/**
 * rseq_op_unlock_cpu() - give it back
 * @l:		The lock, held by the caller.
 * @cpu:	What it was taken for.
 *
 * A plain store does: nobody stores to the word while it is held.
 */
static inline void rseq_op_unlock_cpu(struct rseq_op_lock *l, int cpu)
{
	__atomic_store_n(&rseq_op_ptr(l, cpu)->held, 0, __ATOMIC_RELEASE);
}

#endif /* RSEQ_OP_LOCK_H */

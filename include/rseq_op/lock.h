/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_LOCK_H
#define RSEQ_OP_LOCK_H

/*
 * A lock for each CPU, for critical sections that are too long to be an operation. The holder
 * may be preempted and may move to another CPU; it still holds the lock of the CPU for which
 * it took the lock.
 *
 * A lock is an item of a pool, see rseq_op_pool(3). Its word is 0 at first: the lock is free.
 *
 * A waiter reads the word about 100 times and then sleeps between two reads: 50 microseconds
 * at first, then twice as long each time, at most 1 millisecond. So a waiter notices the
 * release at the latest 1 millisecond later, plus the time that the kernel takes to wake and
 * to run the waiter (the timer slack, see PR_SET_TIMERSLACK in prctl(2), and the scheduler's
 * latency). Another thread may take the lock first: the lock is not fair, and no bound for
 * the time to get the lock follows.
 *
 * There is no priority inheritance. A waiter of high priority sleeps, so the holder runs, even
 * on the waiter's CPU. But a third thread whose priority is between the two may keep the
 * holder from running for as long as it likes, and so delays the waiter. Where that must not
 * happen, use a pthread mutex for each CPU with the protocol PTHREAD_PRIO_INHERIT.
 *
 * In a child of fork(), a lock that another thread of the parent held stays held, but the child
 * does not have the holder. So take the lock around fork() (see pthread_atfork(3)). Or repair
 * the data and set the word to 0 in the child, before the child has a second thread, and only
 * if parent and child do not share the memory of the pool.
 */
#include <rseq_op/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rseq_op_lock {
	intptr_t held;
};

#pragma GCC visibility push(default)

/* Wait until the word is 0, by loads and sleeps only; not an interface. */
void rseq_op_lock_wait(const intptr_t *held);

#pragma GCC visibility pop

/**
 * rseq_op_lock_cpu() - take the lock of a CPU
 * @l:		The lock.
 * @cpu:	Any possible CPU.
 *
 * Waits while another thread holds the lock. A thread that already holds the lock waits for
 * ever.
 *
 * Context: any thread; not in a signal handler that may interrupt the holder.
 *
 * Return: 0, or -errno as rseq_op_cmpeqv_storev().
 */
static inline int rseq_op_lock_cpu(struct rseq_op_lock *l, int cpu)
{
	intptr_t *held = &rseq_op_ptr(l, cpu)->held;
	int ret;

	if (!rseq_op_cpu_in_range(cpu))
		return -EINVAL;
	do {
		/* An operation for another CPU interrupts that CPU, so load the word first. */
		if (__atomic_load_n(held, __ATOMIC_RELAXED))
			rseq_op_lock_wait(held);
		ret = rseq_op_cmpeqv_storev(held, 0, 1, cpu);
	} while (ret == 1);
	/*
	 * Matches the release in rseq_op_unlock_cpu(): what the last holder stored before it
	 * released the lock is visible from here on.
	 */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return ret;
}

/**
 * rseq_op_lock_current() - take the lock of the current CPU
 * @l:		The lock.
 *
 * As rseq_op_lock_cpu() for rseq_op_current_cpu(). The thread may move to another CPU at any
 * time.
 *
 * Return: the CPU whose lock the caller holds now, or -errno as rseq_op_cmpeqv_storev().
 */
static inline int rseq_op_lock_current(struct rseq_op_lock *l)
{
	int cpu = rseq_op_current_cpu();
	int ret = rseq_op_lock_cpu(l, cpu);

	return ret ? ret : cpu;
}

/**
 * rseq_op_unlock_cpu() - release the lock
 * @l:		The lock, held by the caller.
 * @cpu:	The CPU for which the caller took the lock.
 *
 * This is an exception to the rule of rseq_op(3) that only operations change such a word. An
 * operation on the word compares it with 0 before it stores 1. So no operation stores to the
 * word while the lock is held, and no update is lost. The store is a release and pairs with
 * the acquire fence in rseq_op_lock_cpu().
 */
static inline void rseq_op_unlock_cpu(struct rseq_op_lock *l, int cpu)
{
	__atomic_store_n(&rseq_op_ptr(l, cpu)->held, 0, __ATOMIC_RELEASE);
}

#ifdef __cplusplus
}
#endif

#endif /* RSEQ_OP_LOCK_H */

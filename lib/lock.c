// SPDX-License-Identifier: MIT
/*
 * Waiting for the lock of a CPU, see rseq_op/lock.h.
 *
 * A waiter only reads the word until the word is 0, so it sends no interrupt to the CPU of
 * the lock. It soon sleeps instead of giving the processor away by sched_yield(2): a real-time
 * thread that yields is chosen again at once, and a holder of lower priority on the same CPU
 * would not run until the kernel throttles the waiter.
 */
#include <rseq_op/lock.h>

#include "delay.h"
#include "syscall.h"

/* Reads before the first sleep: some microseconds, as long as a short critical section. */
#define SPINS		100

/* The pauses, in nanoseconds. rseq_op/lock.h and rseq_op_structures(3) name both. */
#define FIRST_PAUSE	50000
#define LONGEST_PAUSE	1000000

/* By the system call: libc's function is a point where pthread_cancel(3) may end the thread. */
static void pause_for(long ns)
{
	const long timespec[2] = { 0, ns };

	raw_syscall(SYS_clock_nanosleep, 1 /* CLOCK_MONOTONIC */, 0, (long)timespec, 0, 0, 0);
}

void rseq_op_lock_wait(const intptr_t *held)
{
	long pause = FIRST_PAUSE;
	int spins = 0;

	while (__atomic_load_n(held, __ATOMIC_RELAXED)) {
		DELAY_POINT();
		if (spins < SPINS) {
			rseq_op_cpu_relax();
			spins++;
			continue;
		}
		pause_for(pause);
		pause = pause < LONGEST_PAUSE / 2 ? 2 * pause : LONGEST_PAUSE;
	}
}

/* SPDX-License-Identifier: MIT */
#ifndef BUSY_H
#define BUSY_H

/* What another CPU is doing: it runs a thread of ours, or another process. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "bench.h"

/*
 * A thread of ours that keeps the CPU busy. A VM that executes its CPUs in turn
 * goes on to the next one at each pause: without it, the other CPU would spin to the
 * end of its turn while the one that we measure has long had its answer.
 */

static atomic_ulong spinner_turns;
static atomic_bool spinner_end;
static int spinner_cpu;
static pthread_t spinner;

static inline void *spin(void *arg)
{
	(void)arg;
	pin(spinner_cpu);
	while (!atomic_load_explicit(&spinner_end, memory_order_relaxed)) {
		atomic_fetch_add_explicit(&spinner_turns, 1, memory_order_relaxed);
		__builtin_ia32_pause();
	}
	return NULL;
}

/* Wait until the thread runs, which the call before may have interrupted. */
static inline void spinner_wait(void)
{
	unsigned long turns = atomic_load(&spinner_turns);

	while (atomic_load(&spinner_turns) == turns)
		__builtin_ia32_pause();
}

static inline void spinner_start(int cpu)
{
	spinner_cpu = cpu;
	atomic_store(&spinner_end, false);
	errno = pthread_create(&spinner, NULL, spin, NULL);
	if (errno)
		fail("pthread_create");
}

static inline void spinner_stop(void)
{
	atomic_store(&spinner_end, true);
	pthread_join(spinner, NULL);
}

/* Another process that keeps it busy, on memory of its own. */

static pid_t foreign;

static inline void foreign_start(int cpu)
{
	foreign = fork();
	if (foreign < 0)
		fail("fork");
	if (!foreign) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(cpu);
		for (;;)
			__builtin_ia32_pause();
	}
	usleep(100000);
}

static inline void foreign_stop(void)
{
	kill(foreign, SIGKILL);
	waitpid(foreign, NULL, 0);
}

#endif /* BUSY_H */

/* SPDX-License-Identifier: MIT */
#ifndef BENCH_H
#define BENCH_H

/* What the programs that measure cpu_opv(2) share. A source defines PROGRAM, its name. */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/cpu_opv.h>

#define NR_CPU_OPV	600
#define EXIT_ABSENT	77	/* the kernel lacks the call, or what else is needed */

static inline void fail(const char *what)
{
	fprintf(stderr, PROGRAM ": %s: %s\n", what, strerror(errno));
	exit(1);
}

static inline void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("sched_setaffinity");
}

static inline double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static inline bool have_call(void)
{
	return syscall(NR_CPU_OPV, NULL, 0, 0, CPU_OP_NR_FLAG) >= 0 || errno != ENOSYS;
}

#endif /* BENCH_H */

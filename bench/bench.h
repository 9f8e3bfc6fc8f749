/* SPDX-License-Identifier: MIT */
#ifndef BENCH_H
#define BENCH_H

/* What the programs share. A source defines PROGRAM, its name. */
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rseq_op/cpu_op.h>

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

/* The CPUs that the process may use; how many. */
static inline int allowed_cpus(int *cpus, int max)
{
	cpu_set_t set;
	int cpu, nr = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		fail("sched_getaffinity");
	for (cpu = 0; cpu < CPU_SETSIZE && nr < max; cpu++) {
		if (CPU_ISSET(cpu, &set))
			cpus[nr++] = cpu;
	}
	return nr;
}

static inline FILE *open_csv(const char *path)
{
	FILE *csv = fopen(path, "w");

	if (!csv)
		fail(path);
	return csv;
}

static inline void close_csv(FILE *csv)
{
	if (csv && fclose(csv))
		fail("writing CSV");
}

/* A field of a table, and one of a CSV: empty where nothing was measured. */
static inline void print_field(int width, int digits, double x)
{
	isnan(x) ? printf(" %*s", width, "-") : printf(" %*.*f", width, digits, x);
}

static inline void print_csv(FILE *csv, double x)
{
	isnan(x) ? fprintf(csv, ",") : fprintf(csv, ",%.6g", x);
}

/* On a terminal, how far it is; NULL: it is done. */
static inline void progress(const char *what, int i, int n)
{
	if (!isatty(STDERR_FILENO))
		return;
	if (what)
		fprintf(stderr, "\r" PROGRAM ": %s %d of %d ", what, i + 1, n);
	else
		fprintf(stderr, "\r\033[K");
}

enum bound { AT_MOST, AT_LEAST };

/*
 * The line that bench/run collects. What was not measured has not been reached, and is
 * not said to have been missed.
 */
static inline void print_target(const char *what, double figure, int digits,
				enum bound bound, double target)
{
	bool reached = bound == AT_MOST ? figure <= target : figure >= target;

	printf("target: %-52s", what);
	print_field(8, digits, figure);
	printf("  %s %6.*f  %s\n", bound == AT_MOST ? "at most " : "at least", digits, target,
	       isnan(figure) ? "not measured" : reached ? "reached" : "NOT reached");
}

static inline bool have_call(void)
{
	return syscall(__NR_cpu_opv, NULL, 0, 0, CPU_OP_NR_FLAG) >= 0 || errno != ENOSYS;
}

#endif /* BENCH_H */

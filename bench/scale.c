// SPDX-License-Identifier: MIT
/*
 * What a vector costs when several CPUs call at once: each for its own CPU, and all
 * for the same one, whose lock they wait for.
 *
 * Meant for a VM that counts each instruction as a nanosecond (tools/vm --icount) and
 * executes its CPUs in turn. The figure is then what all CPUs together execute for a
 * vector, waiting included. Elsewhere it is the time from start to end divided by the
 * vectors of one caller, in nanoseconds.
 */
#include <getopt.h>
#include <pthread.h>

#define PROGRAM "scale"
#include "bench.h"

#define MAX_CPUS	1024
#define VECTORS		2000	/* of each caller */

enum target { OWN, SAME, NR_TARGETS };

static const char *const target_names[NR_TARGETS] = { "own", "same" };

struct caller {
	pthread_t thread;
	int cpu, target_cpu;
	double start, end;
	_Alignas(4096) int64_t count;
};

static struct caller callers[MAX_CPUS];
static int64_t shared_count;
static pthread_barrier_t begin;
static int cpus[MAX_CPUS], nr_cpus;
static enum target target;

static void *call(void *arg)
{
	struct caller *c = arg;
	struct cpu_op op = cpu_op_add(target == SAME ? &shared_count : &c->count, 8, 1);
	int i;

	pin(c->cpu);
	pthread_barrier_wait(&begin);
	c->start = now_ns();
	for (i = 0; i < VECTORS; i++) {
		if (syscall(__NR_cpu_opv, &op, 1, c->target_cpu, 0))
			fail("cpu_opv");
	}
	c->end = now_ns();
	return NULL;
}

/* Each increment must be there; that none is lost is a test's business, not silence's. */
static void check(int n)
{
	int64_t sum = shared_count;
	int i;

	for (i = 0; i < n; i++)
		sum += callers[i].count;
	if (sum != (int64_t)n * VECTORS) {
		fprintf(stderr, "scale: %d callers, %s CPU: %lld increments of %lld\n", n,
			target_names[target], (long long)sum, (long long)n * VECTORS);
		exit(1);
	}
}

/* The CPU that all call for is one that none of them runs on, while there is one. */
static double measure(int n)
{
	double start, end;
	int i;

	shared_count = 0;
	pthread_barrier_init(&begin, NULL, (unsigned int)n);
	for (i = 0; i < n; i++) {
		callers[i].cpu = cpus[i];
		callers[i].target_cpu = target == OWN ? cpus[i] : cpus[nr_cpus - 1];
		callers[i].count = 0;
		errno = pthread_create(&callers[i].thread, NULL, call, &callers[i]);
		if (errno)
			fail("pthread_create");
	}
	for (i = 0; i < n; i++)
		pthread_join(callers[i].thread, NULL);
	check(n);
	start = callers[0].start;
	end = callers[0].end;
	for (i = 1; i < n; i++) {
		start = callers[i].start < start ? callers[i].start : start;
		end = callers[i].end > end ? callers[i].end : end;
	}
	return end - start;
}

static void usage(FILE *f)
{
	fprintf(f, "Usage: scale [--csv FILE] [--instructions]\n\n"
		"Measure a vector of one add, called by 1, 2, 4 ... CPUs at once.\n\n"
		"  --csv FILE      write the figures there too\n"
		"  --instructions  the clock counts instructions of all CPUs in turn\n"
		"                  (tools/vm --kernel perf --icount)\n\n"
		"Exit status: 0; %d where the kernel does not have the call; 1 on an error;\n"
		"2 for wrong usage.\n", EXIT_ABSENT);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "csv", required_argument, NULL, 'c' },
		{ "instructions", no_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	bool instructions = false;
	FILE *csv = NULL;
	int opt, n;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'c') {
			csv = open_csv(optarg);
		} else if (opt == 'i') {
			instructions = true;
		} else {
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? 0 : 2;
		}
	}
	if (!have_call()) {
		fprintf(stderr, "scale: this kernel does not have cpu_opv(2)\n");
		return EXIT_ABSENT;
	}
	nr_cpus = allowed_cpus(cpus, MAX_CPUS);
	printf("%s for a vector\n%-10s %12s %12s\n",
	       instructions ? "Instructions of all CPUs" : "Nanoseconds", "callers",
	       "own CPU", "same CPU");
	if (csv)
		fprintf(csv, "callers,own,same\n");
	for (n = 1; n <= nr_cpus; n = n < nr_cpus && 2 * n > nr_cpus ? nr_cpus : 2 * n) {
		double cost[NR_TARGETS];

		for (target = OWN; target < NR_TARGETS; target++)
			cost[target] = measure(n) / VECTORS / (instructions ? n : 1);
		printf("%-10d %12.0f %12.0f\n", n, cost[OWN], cost[SAME]);
		fflush(stdout);
		if (csv)
			fprintf(csv, "%d,%.0f,%.0f\n", n, cost[OWN], cost[SAME]);
	}
	close_csv(csv);
	return 0;
}

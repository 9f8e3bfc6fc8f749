// SPDX-License-Identifier: MIT
/*
 * opener LIBRARY: a program without a copy of the library opens the shared one, and runs
 * operations in threads that were started before and after that. It includes no header of the
 * library, so that no inline code of it can refer to a copy. Prints TAP.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/cpu_opv.h>

#define THREADS		8	/* half of them before */
#define OPERATIONS	50000
#define CPUS_MAX	8192

/* The counters of the library, by enum rseq_op_backend and struct rseq_op_stats. */
enum { NR_COUNTERS = 7, UNREGISTERED = 3, GUARD = 4 };

static int (*vector)(const struct cpu_op *ops, unsigned int nr_ops, int cpu, unsigned int flags);
static int (*nr_cpus)(void);
static int (*backend)(const char **why);
static void (*read_stats)(uint64_t *stats, size_t size);

static int64_t words[CPUS_MAX][8];	/* a cache line for each CPU */
static pthread_barrier_t opened;
static int nr_tests, nr_failed;

/* Print the result of a test, and why it failed. */
static void result(bool good, const char *name, const char *why)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++nr_tests, name);
	if (!good) {
		printf("# %s\n", why);
		nr_failed++;
	}
}

/* A pointer to a function, from dlsym(3). */
static bool find(void *library, const char *name, void *function)
{
	void *symbol = dlsym(library, name);

	memcpy(function, &symbol, sizeof(symbol));
	return symbol;
}

static bool open_library(const char *name)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		result(false, "the library opens", dlerror());
		return false;
	}
	result(true, "the library opens", NULL);
	return find(library, "rseq_op", &vector) && find(library, "rseq_op_nr_cpus", &nr_cpus) &&
	       find(library, "rseq_op_backend", &backend) &&
	       find(library, "rseq_op_stats", &read_stats);
}

/* Adds to this CPU's word, and now and then to that of CPU 0. Returns what went wrong. */
static void *add(void *arg)
{
	struct cpu_op op = { .op = CPU_ADD_OP, .len = sizeof(long) };
	int i, ret = 0;

	(void)arg;
	op.u.arithmetic_op.count = 1;
	pthread_barrier_wait(&opened);
	for (i = 0; i < OPERATIONS && !ret && vector; i++) {
		int cpu = i % 100 ? sched_getcpu() : 0;

		op.u.arithmetic_op.p = (uintptr_t)words[cpu];
		ret = vector(&op, 1, cpu, 0);
	}
	return (void *)(intptr_t)ret;
}

/* Where it has not, as in an emulator of programs, no thread can be registered. */
static bool kernel_has_rseq(void)
{
	return syscall(SYS_rseq, NULL, 0, 0, 0) >= 0 || errno != ENOSYS;
}

static long long sum(void)
{
	long long total = 0;
	int i;

	for (i = 0; vector && i < nr_cpus(); i++)
		total += words[i][0];
	return total;
}

int main(int argc, char **argv)
{
	uint64_t stats[NR_COUNTERS] = { 0 };
	pthread_t threads[THREADS];
	bool found, all_good = true;
	int i;

	if (argc != 2) {
		fprintf(stderr, "usage: opener LIBRARY\n");
		return 2;
	}
	printf("1..4\n");
	pthread_barrier_init(&opened, NULL, THREADS);
	for (i = 0; i < THREADS / 2; i++)
		pthread_create(&threads[i], NULL, add, NULL);
	found = open_library(argv[1]);
	result(found, "its functions are found", "dlsym() did not find them");
	for (; i < THREADS; i++)
		pthread_create(&threads[i], NULL, add, NULL);
	for (i = 0; i < THREADS; i++) {
		void *ret;

		pthread_join(threads[i], &ret);
		all_good = all_good && !ret;
	}
	result(found && all_good && sum() == (long long)THREADS * OPERATIONS,
	       "no addition fails or is lost", "a wrong sum or an error");
	if (found)
		read_stats(stats, sizeof(stats));
	result(found && (!stats[UNREGISTERED] || backend(NULL) == GUARD || !kernel_has_rseq()),
	       "threads that were there before are registered", "the backend did their operations");
	return nr_failed != 0;
}

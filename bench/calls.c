// SPDX-License-Identifier: MIT
/*
 * What cpu_opv(2) costs, call by call, beside the null system call and beside
 * the other way to get at another CPU's data, sched_setaffinity() there and back.
 *
 * Meant for a VM that counts each instruction as a nanosecond (tools/vm --icount):
 * then every figure is a number of instructions, the same in every run. Elsewhere
 * it measures nanoseconds, and says so.
 *
 * A figure is the least of many batches, less an empty loop: a batch that a timer
 * tick or another thread got into is never the least. Where the other CPU has to be
 * interrupted, it is the median of single calls, what that CPU executes included.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
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
#define EXIT_ABSENT	77	/* the kernel does not have the call */

#define BATCHES		40
#define BATCH		32	/* calls in a batch */

#define TARGET_LOCAL	2000	/* instructions of one add, this CPU, at most */
#define TARGET_REMOTE	1.1	/* times that on an idle CPU, at most */

static _Alignas(4096) char dst[4096], src[4096];
static _Alignas(4096) int64_t words[CPU_OP_VEC_LEN_MAX];
static int64_t expected;

static int self_cpu, other_cpu = -1;

/* A row of the table: a vector for a CPU, or no vector but a function. */
struct row {
	const char *name;
	void (*run)(const struct row *row);
	struct cpu_op ops[CPU_OP_VEC_LEN_MAX];
	unsigned int nr_ops;
	bool other, busy;	/* for the other CPU; while our thread runs there */
	double cost;
};

static void fail(const char *what)
{
	fprintf(stderr, "calls: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("sched_setaffinity");
}

static void run_nothing(const struct row *row)
{
	__asm__ volatile ("" : : "r" (row));
}

static void run_null(const struct row *row)
{
	(void)row;
	syscall(SYS_getppid);
}

static void run_vector(const struct row *row)
{
	if (syscall(NR_CPU_OPV, row->ops, row->nr_ops, row->other ? other_cpu : self_cpu, 0))
		fail(row->name);
}

static void run_there_and_back(const struct row *row)
{
	(void)row;
	pin(other_cpu);
	pin(self_cpu);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static double time_batch(const struct row *row)
{
	double start = now_ns();
	int i;

	for (i = 0; i < BATCH; i++)
		row->run(row);
	return now_ns() - start;
}

static double least_batch(const struct row *row)
{
	double least = time_batch(row);
	int i;

	for (i = 1; i < BATCHES; i++) {
		double t = time_batch(row);

		least = t < least ? t : least;
	}
	return least;
}

/* Does the clock count instructions? A loop of two, 100,000 times. */
static bool counts_instructions(void)
{
	long n = 100000;
	double start = now_ns(), t;

	__asm__ volatile ("1: decq %0; jnz 1b" : "+r" (n) : : "cc");
	t = now_ns() - start;
	return t > 190000 && t < 220000;
}

/*
 * A thread of ours that keeps the other CPU busy. A VM that executes its CPUs in turn
 * goes on to the next one at each pause: without it, the other CPU would spin to the
 * end of its turn while the one that we measure has long had its answer.
 */

static atomic_ulong spinner_turns;
static atomic_bool spinner_end;
static pthread_t spinner;

static void *spin(void *arg)
{
	(void)arg;
	pin(other_cpu);
	while (!atomic_load_explicit(&spinner_end, memory_order_relaxed)) {
		atomic_fetch_add_explicit(&spinner_turns, 1, memory_order_relaxed);
		__builtin_ia32_pause();
	}
	return NULL;
}

/* Wait until the thread runs, which the call before may have interrupted. */
static void spinner_wait(void)
{
	unsigned long turns = atomic_load(&spinner_turns);

	while (atomic_load(&spinner_turns) == turns)
		__builtin_ia32_pause();
}

static void spinner_start(void)
{
	atomic_store(&spinner_end, false);
	errno = pthread_create(&spinner, NULL, spin, NULL);
	if (errno)
		fail("pthread_create");
}

static void spinner_stop(void)
{
	atomic_store(&spinner_end, true);
	pthread_join(spinner, NULL);
}

/* Rows */

static struct row rows[32];
static int nr_rows;

static struct row *add_row(const char *name, void (*run)(const struct row *row))
{
	struct row *row = &rows[nr_rows++];

	row->name = name;
	row->run = run;
	return row;
}

static struct row *add_adds(const char *name, unsigned int nr)
{
	struct row *row = add_row(name, run_vector);

	for (; row->nr_ops < nr; row->nr_ops++) {
		row->ops[row->nr_ops] = (struct cpu_op){ .op = CPU_ADD_OP, .len = 8,
			.u.arithmetic_op = { .p = (uintptr_t)&words[row->nr_ops], .count = 1 } };
	}
	return row;
}

static struct row *add_copy(const char *name, uint32_t len)
{
	struct row *row = add_row(name, run_vector);

	row->nr_ops = 1;
	row->ops[0] = (struct cpu_op){ .op = CPU_MEMCPY_OP, .len = len,
		.u.memcpy_op = { .dst = (uintptr_t)dst, .src = (uintptr_t)src } };
	return row;
}

/* Compare and store; both leave the memory as it was, so that it can be repeated. */
static struct row *add_compare_copy(const char *name)
{
	struct row *row = add_row(name, run_vector);

	row->nr_ops = 2;
	row->ops[0] = (struct cpu_op){ .op = CPU_COMPARE_EQ_OP, .len = 8,
		.u.compare_op = { .a = (uintptr_t)dst, .b = (uintptr_t)&expected } };
	row->ops[1] = (struct cpu_op){ .op = CPU_MEMCPY_OP, .len = 8,
		.u.memcpy_op = { .dst = (uintptr_t)dst, .src = (uintptr_t)src } };
	return row;
}

enum { NOTHING, NULL_CALL, EMPTY, ADD_LOCAL };

static struct row *add_remote, *there_and_back;

static void make_rows(void)
{
	add_row("nothing", run_nothing);
	add_row("null call (getppid)", run_null);
	add_row("empty vector", run_vector);
	add_adds("add 8 bytes", 1);
	add_adds("2 adds", 2);
	add_adds("4 adds", 4);
	add_adds("16 adds", 16);
	add_compare_copy("compare 8 bytes, copy 8 bytes");
	add_copy("copy 8 bytes", 8);
	add_copy("copy 64 bytes", 64);
	add_copy("copy 512 bytes", 512);
	add_copy("copy 4096 bytes", 4096);
	if (other_cpu < 0)
		return;
	add_row("empty vector, idle CPU", run_vector)->other = true;
	add_remote = add_adds("add 8 bytes, idle CPU", 1);
	add_remote->other = true;
	add_compare_copy("compare, copy 8 bytes, idle CPU")->other = true;
	there_and_back = add_row("setaffinity there and back", run_there_and_back);
	add_row("empty vector, CPU runs our thread", run_vector);
	rows[nr_rows - 1].other = rows[nr_rows - 1].busy = true;
	add_adds("add 8 bytes, CPU runs our thread", 1);
	rows[nr_rows - 1].other = rows[nr_rows - 1].busy = true;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* One by one, as each must find the thread running; the median. */
static double measure_busy(const struct row *row)
{
	double clock = now_ns(), sample[BATCHES];
	int i;

	clock = now_ns() - clock;
	spinner_start();
	for (i = 0; i < BATCHES; i++) {
		double start;

		spinner_wait();
		start = now_ns();
		row->run(row);
		sample[i] = now_ns() - start - clock;
	}
	spinner_stop();
	qsort(sample, BATCHES, sizeof(*sample), compare);
	return sample[BATCHES / 2];
}

static void measure(void)
{
	double loop = least_batch(&rows[NOTHING]);
	int i;

	for (i = NULL_CALL; i < nr_rows; i++) {
		if (rows[i].busy)
			rows[i].cost = measure_busy(&rows[i]);
		else
			rows[i].cost = (least_batch(&rows[i]) - loop) / BATCH;
	}
}

static void print_table(bool csv, const char *unit)
{
	double null = rows[NULL_CALL].cost;
	int i;

	printf(csv ? "operation,%s,less_null_call\n" : "%-36s %12s %14s\n",
	       csv ? unit : "operation", unit, "less null call");
	for (i = NULL_CALL; i < nr_rows; i++) {
		printf(csv ? "\"%s\",%.0f,%.0f\n" : "%-36s %12.0f %14.0f\n",
		       rows[i].name, rows[i].cost, rows[i].cost - null);
	}
}

static const char *verdict(bool reached)
{
	return reached ? "reached" : "NOT reached";
}

static void print_targets(bool instructions)
{
	double local = rows[ADD_LOCAL].cost, ratio;

	printf("\n");
	if (instructions)
		printf("one add, this CPU: %.0f instructions (target: at most %d): %s\n",
		       local, TARGET_LOCAL, verdict(local <= TARGET_LOCAL));
	if (!add_remote)
		return;
	ratio = add_remote->cost / local;
	printf("one add, idle CPU: %.3f times that (target: at most %.1f): %s\n",
	       ratio, TARGET_REMOTE, verdict(ratio <= TARGET_REMOTE));
	printf("sched_setaffinity there and back: %.1f times that\n",
	       there_and_back->cost / local);
}

/* This CPU is the first that we may use, the other one the last. */
static void choose_cpus(void)
{
	cpu_set_t set;
	int cpu;

	self_cpu = -1;
	if (sched_getaffinity(0, sizeof(set), &set))
		fail("sched_getaffinity");
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &set))
			continue;
		if (self_cpu < 0)
			self_cpu = cpu;
		else
			other_cpu = cpu;
	}
	pin(self_cpu);
}

static void usage(FILE *f)
{
	fprintf(f, "Usage: calls [--csv]\n\n"
		"Measure cpu_opv(2), in instructions where the clock counts them\n"
		"(tools/vm --kernel perf --icount -- build/bench/calls), else in ns.\n\n"
		"Exit status: 0; %d where the kernel does not have the call; 1 on an error;\n"
		"2 for wrong usage.\n", EXIT_ABSENT);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "csv", no_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	bool csv = false, instructions;
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt != 'c') {
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? 0 : 2;
		}
		csv = true;
	}
	if (syscall(NR_CPU_OPV, NULL, 0, 0, CPU_OP_NR_FLAG) < 0 && errno == ENOSYS) {
		fprintf(stderr, "calls: this kernel does not have cpu_opv(2); try\n"
			"calls: tools/vm --kernel perf --icount -- build/bench/calls\n");
		return EXIT_ABSENT;
	}
	choose_cpus();
	memset(src, 0, sizeof(src));
	memset(dst, 0, sizeof(dst));
	memset(words, 0, sizeof(words));
	make_rows();
	instructions = counts_instructions();
	measure();
	print_table(csv, instructions ? "instructions" : "ns");
	if (!csv)
		print_targets(instructions);
	return 0;
}

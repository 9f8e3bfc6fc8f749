// SPDX-License-Identifier: MIT
/*
 * Each operation by 1, 2, 4 ... threads at once, up to one on each CPU: how much each form
 * costs and how many all of them do together.
 */

#define PROGRAM "threads"
#include "options.h"
#include "sample.h"
#include "forms/forms.h"

#define THREADS_MAX	1024
#define COUNTS_MAX	16
#define OPERATIONS_MAX	32
#define ROUNDS_MAX	1000
#define SAMPLE_NS	1000000	/* of one loop in one round, alone */

static intptr_t common;

LOOPS(common, __atomic_fetch_add(&common, 1, __ATOMIC_SEQ_CST);)

enum { COMMON = NR_FORMS, NR_CONTENDERS };

static const char *const names[NR_CONTENDERS] = {
	[PLAIN] = "plain", [LOCKED] = "lock", [GETCPU_LOCKED] = "getcpu+lock",
	[GETCPU_MUTEX] = "mutex", [BY_HAND] = "by hand", [LIBRSEQ] = "librseq",
	[RSEQ_OP] = "rseq_op", [COMMON] = "one word",
};

static int cpus[THREADS_MAX], nr_cpus;
static int counts[COUNTS_MAX], nr_counts;	/* of threads */

/* Operations of all threads in a ns. */
static double samples[OPERATIONS_MAX][COUNTS_MAX][NR_CONTENDERS][ROUNDS_MAX];
static long length[OPERATIONS_MAX][NR_CONTENDERS];
static int nr_samples;

static const loop_fn *loops_of(int op, int contender)
{
	const char *name = operations[op].name;

	if (contender == COMMON)
		return strcmp(name, "addv") ? NULL : common_loops;
	if (contender == LIBRSEQ)
		return librseq_loops ? librseq_loops(name) : NULL;
	return operations[op].loops[contender];
}

/* The threads stay, and run what they are told between two barriers. */

static struct worker {
	_Alignas(128) pthread_t thread;
	int cpu;
	double start, end;
} workers[THREADS_MAX];

static pthread_barrier_t all, active;
static int nr_active;
static loop_fn loop;
static long loop_length;

static void *work(void *arg)
{
	struct worker *w = arg;

	pin(w->cpu);
	for (;;) {
		pthread_barrier_wait(&all);
		if (!loop)
			return NULL;
		if (w - workers < nr_active) {
			pthread_barrier_wait(&active);
			w->start = now_ns();
			loop(loop_length);
			w->end = now_ns();
		}
		pthread_barrier_wait(&all);
	}
}

static void start_workers(void)
{
	int i;

	pthread_barrier_init(&all, NULL, (unsigned int)nr_cpus + 1);
	for (i = 0; i < nr_cpus; i++) {
		workers[i].cpu = cpus[i];
		errno = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
		if (errno)
			fail("pthread_create");
	}
}

static void stop_workers(void)
{
	int i;

	loop = NULL;
	pthread_barrier_wait(&all);
	for (i = 0; i < nr_cpus; i++)
		pthread_join(workers[i].thread, NULL);
}

/* From the first start to the last end, in ns. */
static double run(int threads, loop_fn fn, long n)
{
	double start = INFINITY, end = 0;
	int i;

	nr_active = threads;
	loop = fn;
	loop_length = n;
	pthread_barrier_init(&active, NULL, (unsigned int)threads);
	pthread_barrier_wait(&all);
	pthread_barrier_wait(&all);
	pthread_barrier_destroy(&active);
	for (i = 0; i < threads; i++) {
		start = fmin(start, workers[i].start);
		end = fmax(end, workers[i].end);
	}
	return end - start;
}

static long calibrate(loop_fn fn)
{
	long n = 1024;

	while (run(1, fn, n) < SAMPLE_NS / 2.0)
		n *= 2;
	return n;
}

static void sample(int op, int contender, int shift)
{
	const loop_fn *loops = loops_of(op, contender);
	long *n = &length[op][contender];
	int i;

	if (loops && !*n)
		*n = calibrate(loops[0]);
	for (i = 0; i < nr_counts; i++)
		samples[op][i][contender][nr_samples] = !loops ? (double)NAN :
			counts[i] * (double)*n / run(counts[i], loops[shift], *n);
}

static void measure(int rounds)
{
	int op, c;

	start_workers();
	for (nr_samples = 0; nr_samples < rounds; nr_samples++) {
		progress("round", nr_samples, rounds);
		for (op = 0; op < nr_operations; op++) {
			for (c = 0; c < NR_CONTENDERS; c++)
				sample(op, c, nr_samples % NR_SHIFTS);
		}
	}
	progress(NULL, 0, 0);
	stop_workers();
}

static int find_add(void)
{
	int op;

	for (op = 0; strcmp(operations[op].name, "addv"); op++)
		;
	return op;
}

/* Millions of operations in a second. */
static double rate(int op, int i, int contender)
{
	return 1000 * median(samples[op][i][contender], NULL, nr_samples);
}

static void print_heads(const char *title, int width, const char *first)
{
	int c;

	printf("%s\n\n%-*s", title, width, first);
	for (c = 0; c < NR_CONTENDERS; c++)
		printf(" %11s", names[c]);
	printf("\n");
}

static void print_rates(int op)
{
	int i, c;

	print_heads("An add, by all threads together: millions a second", 8, "threads");
	for (i = 0; i < nr_counts; i++) {
		printf("%-8d", counts[i]);
		for (c = 0; c < NR_CONTENDERS; c++)
			print_field(11, 0, rate(op, i, c));
		printf("\n");
	}
	printf("\n");
}

/* ns for an operation, by so many threads. */
static void print_costs(int i)
{
	char title[64];
	int op, c;

	snprintf(title, sizeof(title), "By %d thread%s: ns for an operation, of each", counts[i],
		 counts[i] == 1 ? "" : "s");
	print_heads(title, 23, "");
	for (op = 0; op < nr_operations; op++) {
		printf("%-23s", operations[op].name);
		for (c = 0; c < NR_CONTENDERS; c++)
			print_field(11, 2, 1000 * counts[i] / rate(op, i, c));
		printf("\n");
	}
	printf("\n");
}

static void write_csv(FILE *csv)
{
	int op, i, c;

	fprintf(csv, "operation,threads");
	for (c = 0; c < NR_CONTENDERS; c++)
		fprintf(csv, ",%s", names[c]);
	fprintf(csv, "\n");
	for (op = 0; op < nr_operations; op++) {
		for (i = 0; i < nr_counts; i++) {
			fprintf(csv, "\"%s\",%d", operations[op].name, counts[i]);
			for (c = 0; c < NR_CONTENDERS; c++)
				print_csv(csv, rate(op, i, c));
			fprintf(csv, "\n");
		}
	}
}

static void usage(FILE *f)
{
	fprintf(f, "Usage: threads [--rounds N] [--csv FILE]\n\n"
		"Measure each operation by 1, 2, 4 ... threads, up to one on each CPU.\n\n"
		"  --rounds N  1 to %d (default 50)\n"
		"  --csv FILE  write the rates there too, in millions a second\n\n"
		"Exit status: 0; 1 on an error; 2 for wrong usage.\n", ROUNDS_MAX);
}

int main(int argc, char **argv)
{
	struct options o = parse_options(argc, argv, ROUNDS_MAX);
	int n;

	forms_init();
	nr_cpus = allowed_cpus(cpus, THREADS_MAX);
	for (n = 1; n < nr_cpus; n *= 2)
		counts[nr_counts++] = n;
	counts[nr_counts++] = nr_cpus;
	measure(o.rounds);
	printf("Threads on a CPU each; median of %d rounds\n\n", nr_samples);
	print_rates(find_add());
	for (n = 0; n < nr_counts; n++)
		print_costs(n);
	printf("one word: a word that all threads add to, lock prefix. The others as in fast.\n");
	if (o.csv)
		write_csv(o.csv);
	close_csv(o.csv);
	return 0;
}

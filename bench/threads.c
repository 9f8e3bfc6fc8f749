// SPDX-License-Identifier: MIT
/*
 * An add by 1, 2, 4 ... threads at once, up to one on each CPU: how much each form costs
 * and how many all of them do together.
 */

#define PROGRAM "threads"
#include "options.h"
#include "sample.h"
#include "forms/forms.h"

#define THREADS_MAX	1024
#define COUNTS_MAX	16
#define ROUNDS_MAX	(SAMPLES_MAX / NR_SHIFTS)
#define SAMPLE_NS	2000000	/* of one loop in one round, alone */

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
static double samples[COUNTS_MAX][NR_CONTENDERS][SAMPLES_MAX];
static long length[NR_CONTENDERS];
static int nr_samples;

static const loop_fn *loops_of(int contender)
{
	int op;

	if (contender == COMMON)
		return common_loops;
	if (contender == LIBRSEQ)
		return librseq_loops ? librseq_loops("addv") : NULL;
	for (op = 0; strcmp(operations[op].name, "addv"); op++)
		;
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

static void sample_all(int shift)
{
	int c, i;

	for (c = 0; c < NR_CONTENDERS; c++) {
		const loop_fn *loops = loops_of(c);

		if (loops && !length[c])
			length[c] = calibrate(loops[0]);
		for (i = 0; i < nr_counts; i++)
			samples[i][c][nr_samples] = !loops ? (double)NAN :
				counts[i] * (double)length[c] /
				run(counts[i], loops[shift], length[c]);
	}
	nr_samples++;
}

static void measure(int rounds)
{
	int round;

	start_workers();
	for (round = 0; round < rounds; round++) {
		progress("round", round, rounds);
		sample_all(round % NR_SHIFTS);
	}
	progress(NULL, 0, 0);
	stop_workers();
}

/* Millions of operations in a second. */
static double rate(int i, int contender)
{
	return 1000 * median(samples[i][contender], NULL, nr_samples);
}

static void print_table(const char *title, bool each)
{
	int i, c;

	printf("%s\n\n%-8s", title, "threads");
	for (c = 0; c < NR_CONTENDERS; c++)
		printf(" %11s", names[c]);
	printf("\n");
	for (i = 0; i < nr_counts; i++) {
		printf("%-8d", counts[i]);
		for (c = 0; c < NR_CONTENDERS; c++)
			print_field(11, each ? 2 : 0,
				    each ? 1000 * counts[i] / rate(i, c) : rate(i, c));
		printf("\n");
	}
	printf("\n");
}

static void write_csv(FILE *csv)
{
	int i, c;

	fprintf(csv, "threads");
	for (c = 0; c < NR_CONTENDERS; c++)
		fprintf(csv, ",%s", names[c]);
	fprintf(csv, "\n");
	for (i = 0; i < nr_counts; i++) {
		fprintf(csv, "%d", counts[i]);
		for (c = 0; c < NR_CONTENDERS; c++)
			print_csv(csv, rate(i, c));
		fprintf(csv, "\n");
	}
}

static void usage(FILE *f)
{
	fprintf(f, "Usage: threads [--rounds N] [--csv FILE]\n\n"
		"Measure an add by 1, 2, 4 ... threads, up to one on each CPU.\n\n"
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
	printf("An add, by threads on a CPU each; median of %d rounds\n\n", nr_samples);
	print_table("All together, millions a second", false);
	print_table("Each thread, ns for an add", true);
	printf("one word: a word that all threads add to, lock prefix. The others as in fast.\n");
	if (o.csv)
		write_csv(o.csv);
	close_csv(o.csv);
	return 0;
}

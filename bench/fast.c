// SPDX-License-Identifier: MIT
/*
 * The fast path: what an operation costs when its sequence commits, in one thread that is
 * pinned to its CPU, beside the other ways to do the same.
 */

#define PROGRAM "fast"
#include "options.h"
#include "sample.h"
#include "forms/forms.h"

#define OPERATIONS_MAX	32
#define ROUNDS_MAX	(SAMPLES_MAX / NR_SHIFTS)
#define SAMPLE_NS	100000	/* of one loop in one round */

#define TARGET_LIBRSEQ	1.00	/* each operation: times librseq's, geometric mean, at most */
#define TARGET_COPY	10.0	/* 4096 bytes, one by one: times as a sequence, at least */

static const char *const form_names[NR_FORMS] = {
	[PLAIN] = "plain", [LOCKED] = "lock", [GETCPU_LOCKED] = "getcpu+lock",
	[GETCPU_MUTEX] = "mutex", [BY_HAND] = "by hand", [LIBRSEQ] = "librseq",
	[RSEQ_OP] = "rseq_op",
};

/* ns for an operation. The last operation is the copy byte by byte, which is plain. */
static double samples[OPERATIONS_MAX + 1][NR_FORMS][SAMPLES_MAX];
static long length[OPERATIONS_MAX + 1][NR_FORMS];
static int nr_samples;

static const loop_fn *loops_of(int op, enum form form)
{
	if (op == nr_operations)
		return form == PLAIN ? byte_copy_loops : NULL;
	if (form == LIBRSEQ)
		return librseq_loops ? librseq_loops(operations[op].name) : NULL;
	return operations[op].loops[form];
}

static double time_loop(loop_fn loop, long n)
{
	double start = now_ns();

	loop(n);
	return (now_ns() - start) / (double)n;
}

/* How often to run a loop so that it takes SAMPLE_NS. */
static long calibrate(loop_fn loop)
{
	long n = 16;

	while (time_loop(loop, n) * (double)n < SAMPLE_NS / 2.0)
		n *= 2;
	return n;
}

static void sample_all(int shift)
{
	int op, form;

	for (op = 0; op <= nr_operations; op++) {
		for (form = 0; form < NR_FORMS; form++) {
			const loop_fn *loops = loops_of(op, form);

			if (loops && !length[op][form])
				length[op][form] = calibrate(loops[0]);
			samples[op][form][nr_samples] = loops ?
				time_loop(loops[shift], length[op][form]) : (double)NAN;
		}
	}
	nr_samples++;
}

static void measure(int rounds)
{
	int round, shift;

	for (round = 0; round < rounds; round++) {
		progress("round", round, rounds);
		for (shift = 0; shift < NR_SHIFTS; shift++)
			sample_all(shift);
	}
	progress(NULL, 0, 0);
}

static double typical(int op, enum form form)
{
	return median(samples[op][form], NULL, nr_samples);
}

/* An operation of ours, times that form of it. */
static double ratio(int op, enum form form)
{
	return median(samples[op][RSEQ_OP], samples[op][form], nr_samples);
}

static bool copies(int op)
{
	return !strncmp(operations[op].name, "copy ", strlen("copy "));
}

/* The geometric mean, over the operations that have both; how many do. */
static double mean_ratio(enum form form, bool with_copies, int *nr)
{
	double sum = 0;
	int op;

	*nr = 0;
	for (op = 0; op < nr_operations; op++) {
		if (isnan(ratio(op, form)) || (copies(op) && !with_copies))
			continue;
		sum += log(ratio(op, form));
		++*nr;
	}
	return *nr ? exp(sum / *nr) : (double)NAN;
}

static double copy_speedup(void)
{
	int op;

	for (op = 0; op < nr_operations; op++) {
		if (!strcmp(operations[op].name, "copy 4096 bytes, storev"))
			return median(samples[nr_operations][PLAIN], samples[op][RSEQ_OP],
				      nr_samples);
	}
	return (double)NAN;
}

static void print_table(void)
{
	int op, form;

	printf("One thread: ns for an operation, median of %d samples\n\n%-23s", nr_samples, "");
	for (form = 0; form < NR_FORMS; form++)
		printf(" %*s", form == GETCPU_LOCKED ? 11 : 7, form_names[form]);
	printf(" %7s %8s\n", "/hand", "/librseq");
	for (op = 0; op < nr_operations; op++) {
		printf("%-23s", operations[op].name);
		for (form = 0; form < NR_FORMS; form++)
			print_field(form == GETCPU_LOCKED ? 11 : 7, 2, typical(op, form));
		print_field(7, 2, ratio(op, BY_HAND));
		print_field(8, 2, ratio(op, LIBRSEQ));
		printf("\n");
	}
	printf("%-23s", "4096 bytes, one by one");
	print_field(7, 2, typical(nr_operations, PLAIN));
	printf("\n\n"
	       "plain: unprotected. lock: lock prefix. getcpu+lock: sched_getcpu(), lock prefix.\n"
	       "mutex: sched_getcpu(), a mutex for each CPU. by hand: a bare sequence, which\n"
	       "nothing can close. The last columns: rseq_op, times that; median of the ratios\n"
	       "within a round.\n");
}

static void print_mean(enum form form)
{
	int nr, of_words;
	double mean = mean_ratio(form, true, &nr), words = mean_ratio(form, false, &of_words);

	if (nr)
		printf("geometric mean of %d operations, rseq_op times %s: %.3f; of the %d that "
		       "copy nothing: %.3f\n", nr, form_names[form], mean, of_words, words);
}

static void print_targets(void)
{
	int nr;

	printf("\n");
	print_mean(BY_HAND);
	print_mean(LIBRSEQ);
	if (librseq_loops)
		printf("librseq: from %s\n", librseq_origin);
	else
		printf("librseq: there was none, nor the kernel's source, when this was built\n");
	print_target("operations, times librseq's (geometric mean)",
		     mean_ratio(LIBRSEQ, true, &nr), 3, AT_MOST, TARGET_LIBRSEQ);
	print_target("4096 bytes one by one, times copy 4096 bytes, storev", copy_speedup(), 1,
		     AT_LEAST, TARGET_COPY);
}

static void write_csv(FILE *csv)
{
	int op, form;

	fprintf(csv, "operation");
	for (form = 0; form < NR_FORMS; form++)
		fprintf(csv, ",%s", form_names[form]);
	fprintf(csv, ",rseq_op least,rseq_op/by hand,rseq_op/librseq\n");
	for (op = 0; op < nr_operations; op++) {
		fprintf(csv, "\"%s\"", operations[op].name);
		for (form = 0; form < NR_FORMS; form++)
			print_csv(csv, typical(op, form));
		print_csv(csv, least(samples[op][RSEQ_OP], nr_samples));
		print_csv(csv, ratio(op, BY_HAND));
		print_csv(csv, ratio(op, LIBRSEQ));
		fprintf(csv, "\n");
	}
}

static void usage(FILE *f)
{
	fprintf(f, "Usage: fast [--rounds N] [--csv FILE]\n\n"
		"Measure the fast path of rseq_op in one thread that is pinned to its CPU.\n\n"
		"  --rounds N  1 to %d (default 50), each at %d alignments\n"
		"  --csv FILE  write the figures there too\n\n"
		"Exit status: 0; 1 on an error; 2 for wrong usage.\n",
		ROUNDS_MAX, NR_SHIFTS);
}

int main(int argc, char **argv)
{
	struct options o = parse_options(argc, argv, ROUNDS_MAX);

	forms_init();
	pin(sched_getcpu());
	measure(o.rounds);
	print_table();
	print_targets();
	if (o.csv)
		write_csv(o.csv);
	close_csv(o.csv);
	return 0;
}

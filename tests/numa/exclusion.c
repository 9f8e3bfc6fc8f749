// SPDX-License-Identifier: MIT
/*
 * Vectors for one CPU exclude each other, whoever runs them, and the sequences of
 * that CPU.
 *
 *	on CPU n:	threads that increment by sequences, so that CPU n is busy with
 *			our process and remote vectors take the way through it
 *	on CPU n:	a thread with vectors of its own
 *	anywhere:	threads with vectors for n; every other time CPU n happens to
 *			run one of them, its lock-holder or none of us
 *
 * Each vector finds two words equal and leaves them equal, with a stretch of work
 * between its two stores: if any two vectors overlap, one of them finds them
 * different and says so at once. The words in between, which every vector adds to,
 * and the word of the sequences show lost updates at the end.
 */
#include "threads.h"

#define PADS	13
#define RUN_MS	3000

static struct {
	int64_t x;
	int64_t pad[PADS];
	int64_t y;
	intptr_t sequences;
} mem __attribute__((aligned(64)));

static int target;

static void run_vectors(struct worker *w)
{
	struct cpu_op ops[3 + PADS] = {
		cpu_op_compare_eq(&mem.x, &mem.y, 8),
		cpu_op_add(&mem.x, 8, 1),
	};
	int i;

	for (i = 0; i < PADS; i++)
		ops[2 + i] = cpu_op_add(&mem.pad[i], 8, 1);
	ops[2 + PADS] = cpu_op_add(&mem.y, 8, 1);
	while (!workers_stopping()) {
		int ret = rseq_op(ops, ARRAY_SIZE(ops), target, 0);

		if (ret)
			wrong(w, "two words found different, or an error: %d", ret);
		else
			w->done++;
	}
}

static void run_sequences(struct worker *w)
{
	while (!workers_stopping()) {
		int ret = rseq_op_addv(&mem.sequences, 1, target);

		if (ret)
			wrong(w, "rseq_op_addv: %d", ret);
		else
			w->done++;
	}
}

static int on_target(int index)
{
	(void)index;
	return target;
}

static uint64_t sum(struct worker *w, int n)
{
	uint64_t done = 0;

	while (n--)
		done += w[n].done;
	return done;
}

static void check_exclusion(int sequences, int own, int others)
{
	struct worker s[MAX_THREADS], o[MAX_THREADS], r[MAX_THREADS];
	uint64_t vectors;
	int i;

	memset(&mem, 0, sizeof(mem));
	start_workers(s, sequences, run_sequences, NULL, on_target);
	start_workers(o, own, run_vectors, NULL, on_target);
	start_workers(r, others, run_vectors, NULL, NULL);
	sleep_ms(RUN_MS);
	stop_workers();
	finish_workers(s, sequences);
	finish_workers(o, own);
	finish_workers(r, others);
	vectors = sum(o, own) + sum(r, others);
	print_message("# %lu vectors, %lu sequences\n", (unsigned long)vectors,
		      (unsigned long)sum(s, sequences));
	assert_true(vectors > 0);
	assert_int_equal(mem.x, vectors);
	assert_int_equal(mem.y, vectors);
	for (i = 0; i < PADS; i++)
		assert_int_equal(mem.pad[i], vectors);
	assert_int_equal(mem.sequences, sum(s, sequences));
}

static void test_busy_cpu(void **state)
{
	(void)state;
	target = allowed_cpu(0);
	check_exclusion(2, 1, 4);
}

static void test_idle_cpu(void **state)
{
	(void)state;
	target = allowed_cpu(nr_allowed_cpus() - 1);
	check_exclusion(0, 0, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_busy_cpu),
		cmocka_unit_test(test_idle_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

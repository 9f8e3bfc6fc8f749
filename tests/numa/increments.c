// SPDX-License-Identifier: MIT
/*
 * increments [THREADS [OPERATIONS [REMOTE_EVERY]]]: per-CPU counters, incremented
 * for the current CPU, and one time in REMOTE_EVERY for a CPU drawn at random.
 *
 * Each thread keeps count of what it added for which CPU, so that an increment which
 * went to another CPU's counter shows, and not only one that was lost. Between the
 * counters lie words that nobody changes.
 */
#include "threads.h"

static int nr_threads = 16;
static long operations = 2000000;
static unsigned int remote_every = 16;

static struct counter {
	intptr_t before[3];
	intptr_t count;
	intptr_t after[4];
} *counters;

static uint64_t (*added)[RSEQ_OP_CPU_MAX];	/* [thread][cpu] */

static void increment(struct worker *w)
{
	long n = operations / nr_threads;
	int nr_cpus = rseq_op_nr_cpus();

	for (w->done = 0; (long)w->done < n; w->done++) {
		int ret, cpu = rseq_op_current_cpu();
		uint32_t r = next_random(&w->random);

		if (r % remote_every == 0)
			cpu = (int)(r / remote_every) % nr_cpus;
		ret = rseq_op_addv(&counters[cpu].count, 1, cpu);
		if (ret)
			wrong(w, "rseq_op_addv for CPU %d: %d", cpu, ret);
		else
			added[w->index][cpu]++;
	}
}

static void check_counters(void)
{
	uint64_t total = 0;
	int cpu, i, bad = 0;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		struct counter *c = &counters[cpu];
		uint64_t expected = 0;

		for (i = 0; i < nr_threads; i++)
			expected += added[i][cpu];
		total += (uint64_t)c->count;
		if ((uint64_t)c->count != expected && bad++ < 8)
			print_error("# CPU %d: %ld, expected %lu\n", cpu, (long)c->count,
				    (unsigned long)expected);
		for (i = 0; i < 4; i++) {
			if (c->after[i] != CANARY || (i < 3 && c->before[i] != CANARY))
				bad++;
		}
	}
	assert_int_equal(bad, 0);
	assert_int_equal(total, (uint64_t)(operations / nr_threads * nr_threads));
}

static void test_increments_none_lost(void **state)
{
	struct worker workers[MAX_THREADS];
	struct rseq_op_stats s;
	size_t i, words = (size_t)rseq_op_nr_cpus() * sizeof(*counters) / sizeof(intptr_t);

	(void)state;
	counters = aligned_alloc(64, (size_t)rseq_op_nr_cpus() * sizeof(*counters));
	added = calloc((size_t)nr_threads, sizeof(*added));
	assert_non_null(counters);
	assert_non_null(added);
	for (i = 0; i < words; i++)
		((intptr_t *)counters)[i] = CANARY;
	for (i = 0; i < (size_t)rseq_op_nr_cpus(); i++)
		counters[i].count = 0;
	start_workers(workers, nr_threads, increment, NULL, NULL);
	finish_workers(workers, nr_threads);
	check_counters();
	rseq_op_stats(&s, sizeof(s));
	if (rseq_op_nr_cpus() > 1 && rseq_op_backend(NULL) != RSEQ_OP_BACKEND_GUARD)
		assert_true(s.remote + s.forced > 0);
	free(counters);
	free(added);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_increments_none_lost),
	};

	if (argc > 1)
		nr_threads = atoi(argv[1]);
	if (argc > 2)
		operations = atol(argv[2]);
	if (argc > 3)
		remote_every = (unsigned int)atoi(argv[3]);
	if (nr_threads < 1 || nr_threads > MAX_THREADS || operations < nr_threads ||
	    !remote_every) {
		fprintf(stderr, "usage: increments [THREADS [OPERATIONS [REMOTE_EVERY]]]\n");
		return 2;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

/* Longer than any call takes, also in a slow virtual machine. */
#define STUCK_SECONDS	60

/*
 * Watching
 */

static struct {
	pthread_t thread;
	const struct options *options;
	sem_t stop;
} watch;

/* Of the vector that runs; in memory that a parent sees when the vector kills. */
static volatile uint64_t *running;

void run_init(void)
{
	void *p = mmap(NULL, sizeof(*running), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	running = p;
}

uint64_t run_index(void)
{
	return *running;
}

static void show_progress(uint64_t last)
{
	fprintf(stderr, "\r%llu vectors, %llu/s ", (unsigned long long)*running,
		(unsigned long long)(*running - last));
}

/* False after a second without. */
static bool told_to_stop(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec++;
	return !sem_timedwait(&watch.stop, &t);
}

/* A call that does not end can be reported by somebody else only. */
static void *watch_main(void *arg)
{
	unsigned int still = 0;
	uint64_t last = 0;

	(void)arg;
	while (!told_to_stop()) {
		if (watch.options->progress)
			show_progress(last);
		still = *running == last ? still + 1 : 0;
		if (still == STUCK_SECONDS) {
			fprintf(stderr, "# seed %#llx, vector %llu does not end\n",
				(unsigned long long)watch.options->seed,
				(unsigned long long)*running);
			_exit(1);
		}
		last = *running;
	}
	return NULL;
}

static void watch_start(const struct options *options)
{
	watch.options = options;
	*running = options->first;
	if (sem_init(&watch.stop, 0, 0) ||
	    pthread_create(&watch.thread, NULL, watch_main, NULL)) {
		perror("the thread that watches");
		_exit(2);
	}
}

static void watch_stop(void)
{
	sem_post(&watch.stop);
	pthread_join(watch.thread, NULL);
	if (watch.options->progress)
		fprintf(stderr, "\r%40s\r", "");
}

/*
 * Running
 */

static void count_op(struct stats *stats, const struct cpu_op *op)
{
	int k;

	stats->completed[op->op]++;
	for (k = 0; k < 2; k++) {
		if (forms[op->op].field[k] == ADDRESS)
			stats->used[page_at(const_args_of(op)->arg[k])->kind]++;
	}
}

static void count(struct stats *stats, const struct call *call, const struct verdict *v,
		  int result)
{
	unsigned int i;

	stats->vectors++;
	switch (result) {
	case -EINVAL:
		stats->einval++;
		return;
	case -EFAULT:
		stats->efault++;
		return;
	case -EAGAIN:
		stats->eagain++;
		return;
	}
	if (result < 0)
		stats->other++;
	else if (call->flags)
		stats->answered++;
	else if (result)
		stats->stopped++;
	else
		stats->ran++;
	for (i = 0; v->runs && !result && i < call->nr_ops; i++)
		count_op(stats, &v->ops[i]);
}

/* The result, and whether it and all memory are right. */
static int run_call(const struct options *options, const struct call *call, bool *right,
		    struct stats *stats)
{
	uint64_t at;
	struct verdict verdict;
	int result;

	remember_memory(call);
	at = execute_place(call, !options->inject || stats->vectors % 2);
	judge(&verdict, call, at, options->executor);
	if (options->inject)
		inject_begin();
	result = execute(options->executor, call, at, options->lie);
	if (options->inject)
		inject_end();
	stats->refused += options->inject && verdict.runs && result == -EFAULT;
	*right = result_right(&verdict, call, result, options->inject);
	if (!execute_vector_same()) {
		fprintf(stderr, "# the vector itself was changed\n");
		*right = false;
	}
	if (!layout_same(false))
		*right = false;
	count(stats, call, &verdict, result);
	return result;
}

static void report(const struct options *options, const struct call *call, uint64_t layout_seed)
{
	fprintf(stderr, "# %s%s%s differs from the interpreter:\n",
		executor_names[options->executor], options->raw ? ", raw" : "",
		options->inject ? ", inject" : "");
	print_call(stderr, TEXT_PREFIX, call, layout_seed);
}

/* What is looked at only now may have been stored by any vector of the round. */
static bool rest_same(const struct options *options, uint64_t round)
{
	if (layout_same(true))
		return true;
	fprintf(stderr, "# seed %#llx, one of the vectors %llu to %llu, %s%s%s stored there\n",
		(unsigned long long)options->seed, (unsigned long long)round * ROUND_VECTORS,
		(unsigned long long)*running, executor_names[options->executor],
		options->raw ? ", raw" : "", options->inject ? ", inject" : "");
	return false;
}

/*
 * A round depends on nothing but the seed and its number: a vector of it comes back
 * when the round is run from its start.
 */
static void run_round(const struct options *options, uint64_t round, struct stats *stats)
{
	uint64_t layout_seed = mix(options->seed, 2 * round), end = options->first + options->count;
	struct random r = { mix(options->seed, 2 * round + 1) };
	static struct corpus corpus;
	unsigned int i;
	bool right = true;

	corpus.nr = 0;
	layout_make(layout_seed);
	for (i = 0; i < ROUND_VECTORS && right; i++) {
		uint64_t index = round * ROUND_VECTORS + i;
		struct call call;

		if (index >= end)
			break;
		if (chance(&r, 1, 24))
			layout_disturb(&r);
		generate(&call, &r, &corpus, options->raw);
		*running = index;
		if (!run_call(options, &call, &right, stats))
			corpus_add(&corpus, &r, &call);
		if (!right) {
			fprintf(stderr, "# seed %#llx, vector %llu\n",
				(unsigned long long)options->seed, (unsigned long long)index);
			report(options, &call, layout_seed);
		} else if (options->print && index >= options->first) {
			print_call(stdout, "", &call, layout_seed);
		}
	}
	stats->different = !right || !rest_same(options, round);
	layout_remove();
}

static uint64_t seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec;
}

static bool time_left(const struct options *options, uint64_t start)
{
	return !options->seconds || seconds() - start < options->seconds;
}

void run_vectors(const struct options *options, struct stats *stats)
{
	uint64_t end = options->first + options->count, start = seconds();
	uint64_t round = options->first / ROUND_VECTORS;

	memset(stats, 0, sizeof(*stats));
	watch_start(options);
	for (; round * ROUND_VECTORS < end && !stats->different; round++) {
		run_round(options, round, stats);
		if (!time_left(options, start))
			break;
	}
	watch_stop();
}

void run_replay(const struct options *options, const struct call *call, uint64_t layout_seed,
		struct stats *stats)
{
	bool right;
	int result;

	memset(stats, 0, sizeof(*stats));
	watch_start(options);
	result = run_call(options, call, &right, stats);
	watch_stop();
	if (!right)
		report(options, call, layout_seed);
	else
		fprintf(stderr, "# result %s\n", result_name(result));
	stats->different = !right || !layout_same(true);
	layout_remove();
}

void print_stats(const struct stats *s)
{
	fprintf(stderr, "# %llu vectors: %llu ran, %llu stopped at a comparison, %llu questions, "
		"%llu EINVAL, %llu EFAULT, %llu EAGAIN, %llu other errors\n",
		(unsigned long long)s->vectors, (unsigned long long)s->ran,
		(unsigned long long)s->stopped, (unsigned long long)s->answered,
		(unsigned long long)s->einval, (unsigned long long)s->efault,
		(unsigned long long)s->eagain, (unsigned long long)s->other);
}

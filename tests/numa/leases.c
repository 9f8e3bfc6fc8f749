// SPDX-License-Identifier: MIT
/*
 * leases [MILLISECONDS]: threads draw numbers, each once, from one CPU's word:
 *
 *	where they are on that CPU	by a sequence
 *	elsewhere			by one with a lease of the CPU, where the backend has them
 *	now and then			by a vector that stores twice
 *
 * and lose their leases: to signal handlers, which interrupt them anywhere and draw a number
 * themselves, stay for a while, or leave by siglongjmp(); to the threads on the CPU, to those
 * with vectors, and to each other. A number drawn twice is an update lost; one that nobody has
 * drawn is accounted for by a jump out of the operation that drew it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "threads.h"

#define THREADS		6
#define NUMBERS		(1U << 26)

static int run_ms = 2000;
static int target;		/* a CPU, or a concurrency ID */

static intptr_t next_number, by_vector;
static _Atomic uint32_t *drawn;	/* a bit for each number */

struct drawer {
	struct worker *w;
	sigjmp_buf out;
	volatile sig_atomic_t may_jump;
	uint64_t jumps, signals, vectors;
};

static struct drawer drawers[THREADS];
static __thread struct drawer *self;

struct how {
	int (*draw)(intptr_t *number);
	bool vectors;
};

static int draw_cpu(intptr_t *number)
{
	return rseq_op_fetch_addv(&next_number, 1, number, target);
}

static int draw_cid(intptr_t *number)
{
	return rseq_op_fetch_addv_cid(&next_number, 1, number, target);
}

static int draw_by_vector(intptr_t *number)
{
	const struct cpu_op ops[] = {
		cpu_op_memcpy(number, &next_number, sizeof(*number)),
		cpu_op_add(&by_vector, sizeof(*number), 1),
		cpu_op_add(&next_number, sizeof(*number), 1),
	};

	return rseq_op(ops, 3, target, 0);
}

static void mark(struct worker *w, int ret, intptr_t number)
{
	uint32_t bit = UINT32_C(1) << (number % 32);

	if (ret)
		wrong(w, "%d", ret);
	else if (number < 0 || number >= (intptr_t)NUMBERS)
		wrong(w, "number %ld", (long)number);
	else if (atomic_fetch_or(&drawn[number / 32], bit) & bit)
		wrong(w, "number %ld was drawn twice", (long)number);
}

static const struct how *how;

static void handler(int sig)
{
	struct drawer *d = self;
	intptr_t number = -1;
	int ret = how->draw(&number);

	(void)sig;
	mark(d->w, ret, number);
	if (++d->signals % 16 == 0)
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	if (d->signals % 4 == 0 && d->may_jump) {
		d->may_jump = false;
		siglongjmp(d->out, 1);
	}
}

static void draw(struct drawer *d)
{
	volatile intptr_t number = -1;
	int ret;

	if (sigsetjmp(d->out, 1)) {
		d->jumps++;
		return;
	}
	d->may_jump = true;
	if (how->vectors && next_random(&d->w->random) % 64 == 0) {
		ret = draw_by_vector((intptr_t *)&number);
		d->may_jump = false;
		d->vectors += !ret;
	} else {
		ret = how->draw((intptr_t *)&number);
		d->may_jump = false;
	}
	mark(d->w, ret, number);
	d->w->done++;
}

static void run(struct worker *w)
{
	sigset_t set;

	self = &drawers[w->index];
	*self = (struct drawer){ .w = w };
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	while (!workers_stopping() && next_number < (intptr_t)NUMBERS / 2)
		draw(self);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void signal_all(struct worker *w)
{
	uint64_t end = now_ms() + (uint64_t)run_ms;
	int i;

	while (now_ms() < end) {
		for (i = 0; i < THREADS; i++)
			pthread_kill(w[i].id, SIGUSR1);
		nanosleep(&(struct timespec){ 0, 200000 }, NULL);
	}
}

static uint64_t count_drawn(void)
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < (int)(NUMBERS / 32); i++)
		n += (unsigned int)__builtin_popcount(drawn[i]);
	return n;
}

static uint64_t total_of(uint64_t (*of)(const struct drawer *d))
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < THREADS; i++)
		n += of(&drawers[i]);
	return n;
}

static uint64_t jumps_of(const struct drawer *d) { return d->jumps; }
static uint64_t vectors_of(const struct drawer *d) { return d->vectors; }
static uint64_t drawn_by(const struct drawer *d) { return d->w->done + d->signals; }

static int cpu_of(int index)
{
	return allowed_cpu(index % nr_allowed_cpus());
}

static void check(const struct how *h, int index, int (*where)(int))
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct worker w[THREADS];
	uint64_t jumps, marked;
	sigset_t set;

	how = h;
	target = index;
	next_number = by_vector = 0;
	drawn = calloc(NUMBERS / 32, sizeof(*drawn));
	assert_non_null(drawn);
	assert_int_equal(sigaction(SIGUSR1, &sa, NULL), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	start_workers(w, THREADS, run, NULL, where);
	signal_all(w);
	stop_workers();
	finish_workers(w, THREADS);

	jumps = total_of(jumps_of);
	marked = count_drawn();
	print_message("# %ld numbers, %lu by vectors, %lu jumps\n", (long)next_number,
		      (unsigned long)by_vector, (unsigned long)jumps);
	assert_true(jumps > 0 && marked > 0);
	assert_int_equal(marked, total_of(drawn_by));
	assert_in_range(next_number, marked, marked + jumps);
	assert_in_range(by_vector, total_of(vectors_of), total_of(vectors_of) + jumps);
	free(drawn);
}

static void test_of_a_cpu(void **state)
{
	static const struct how h = { draw_cpu, true };

	(void)state;
	check(&h, allowed_cpu(0), cpu_of);
}

/* Vectors are for CPUs only. */
static void test_of_a_concurrency_id(void **state)
{
	static const struct how h = { draw_cid, false };

	(void)state;
	check(&h, 0, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_a_cpu),
		cmocka_unit_test(test_of_a_concurrency_id),
	};

	if (argc > 1)
		run_ms = atoi(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

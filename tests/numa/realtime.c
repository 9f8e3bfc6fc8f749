// SPDX-License-Identifier: MIT
/*
 * CPUs that real-time threads keep busy, and throttling that takes them off again. A
 * vector always completes: an interrupt and the stopper go before every real-time thread,
 * and nobody else has to run. What is throttled may stop inside a sequence, and go on a second
 * later.
 */
#include <sched.h>

#include "cpus.h"
#include "hog.h"
#include "tally.h"
#include "threads.h"

#define RUN_MS	2500		/* the share of other threads is 50 ms in 1000 */
#define WAIT_MS	5000		/* but a scheduler may be late with it */
#define LIMIT	"/proc/sys/kernel/sched_rt_runtime_us"

/* Who keeps the target busy. */
struct load {
	const char *limit;	/* for LIMIT */
	bool hog;		/* a process, SCHED_FIFO */
	int workers;		/* with sequences; the others call for vectors */
	int need;		/* as many of them must have done something */
	int policies[2];	/* of the workers */
};

static struct tally *tally;
static int target;		/* -1: all CPUs */
static const struct load *load;

static void sequences(struct worker *w)
{
	while (!workers_stopping()) {
		int ret = tally_sequence(tally, w->index,
					 target < 0 ? rseq_op_current_cpu() : target);

		if (ret)
			wrong(w, "sequence: %d", ret);
	}
}

static void vectors(struct worker *w)
{
	while (!workers_stopping()) {
		int turn = (int)(next_random(&w->random) % (unsigned int)nr_allowed_cpus());
		int ret = tally_vector(tally, w->index, target < 0 ? allowed_cpu(turn) : target);

		if (ret)
			wrong(w, "vector: %d", ret);
	}
}

static void work(struct worker *w)
{
	int policy = w->index < load->workers ? load->policies[w->index] : SCHED_OTHER;

	if (policy != SCHED_OTHER && !set_policy(policy))
		wrong(w, "policy %d: %s", policy, strerror(errno));
	if (w->index < load->workers)
		sequences(w);
	else
		vectors(w);
}

/* All others elsewhere, so that they are not what is throttled. */
static int cpu_of(int index)
{
	return index < load->workers ? target : allowed_cpu(1 + index - load->workers);
}

/* Refused for a moment after a deadline thread has ended: its share is still taken. */
static void set_limit(const char *limit)
{
	uint64_t end = now_ms() + 60000;

	while (!write_to(LIMIT, "%s", limit)) {
		assert_int_equal(errno, EBUSY);
		assert_true(now_ms() < end);
		sleep_ms(10);
	}
}

static bool enough_have_run(void)
{
	int i, ran = 0;

	for (i = 0; i < load->workers; i++)
		ran += tally_done(tally, i) > 0;
	return ran >= load->need;
}

static void drop_tally(void)
{
	if (tally)
		free_tally(tally);
	tally = NULL;
}

/* Leaves the tally to be freed. */
static bool run_once(void)
{
	const int n = load->workers;
	struct worker w[4];
	uint64_t end;

	set_limit(load->limit);
	pin_to(allowed_cpu(0));
	if (load->hog)
		hog_by_process(target, SCHED_FIFO);
	tally = new_tally(false, n + 2);
	start_workers(w, n + 2, work, NULL, cpu_of);
	sleep_ms(RUN_MS);
	for (end = now_ms() + WAIT_MS; !enough_have_run() && now_ms() < end; )
		sleep_ms(100);
	stop_workers();
	stop_hogs();	/* without a limit they never let a worker end */
	finish_workers(w, n + 2);
	check_tally(tally);
	assert_true(tally_done(tally, n) > 0);
	assert_true(tally_done(tally, n + 1) > 0);
	return enough_have_run();
}

/*
 * Again where the scheduler gave the workers nothing. On Linux 6.12 a CPU's other threads
 * may get nothing for seconds beside a real-time thread: their server is queued, and the
 * real-time thread goes on. It has been seen where the CPU was stopped time and again: by
 * sched_setaffinity() for up to 5 s, by vectors also for as long as the test looked.
 */
static void run(const struct load *l)
{
	int left = 5;

	load = l;
	while (!run_once() && --left) {
		print_message("# the scheduler forgot the workers\n");
		drop_tally();
	}
	assert_true(left > 0);
}

static void need_cpus(void)
{
	need_kernel();
	need_vm();
	if (nr_allowed_cpus() < 4)
		skip_because("fewer than four CPUs");
	target = allowed_cpu(nr_allowed_cpus() - 1);
}

static int leave(void **state)
{
	(void)state;
	stop_hogs();
	unpin();
	drop_tally();
	set_limit("950000");
	return 0;
}

/*
 * The other thread gets its turn by throttling alone. What interrupts take may count for
 * neither, so a limit near 1000000 might never be reached.
 */
static void test_own_fifo_throttled(void **state)
{
	(void)state;
	need_cpus();
	run(&(struct load){ .limit = "300000", .workers = 2, .need = 2,
			    .policies = { SCHED_FIFO, SCHED_OTHER } });
	print_message("# the throttled thread: %lu, the other: %lu\n",
		      (unsigned long)tally_done(tally, 0), (unsigned long)tally_done(tally, 1));
}

static void test_own_fifo_unlimited(void **state)
{
	(void)state;
	need_cpus();
	run(&(struct load){ .limit = "-1", .workers = 2, .need = 1,
			    .policies = { SCHED_FIFO, SCHED_OTHER } });
	assert_true(tally_done(tally, 0) > 0);
}

/* Our thread is inside a sequence, and not on the CPU, for most of the time. */
static void test_other_fifo_throttled(void **state)
{
	(void)state;
	need_cpus();
	run(&(struct load){ .limit = "950000", .hog = true, .workers = 1, .need = 1,
			    .policies = { SCHED_OTHER } });
}

static void test_other_fifo_unlimited(void **state)
{
	(void)state;
	need_cpus();
	run(&(struct load){ .limit = "-1", .hog = true, .workers = 1,
			    .policies = { SCHED_OTHER } });
}

/*
 * Two that overrun their time every 10 ms, on whatever CPUs they choose. Where they stay
 * on one, the scheduler may leave one of them to starve.
 */
static void test_own_deadline_throttled(void **state)
{
	(void)state;
	need_cpus();
	target = -1;
	run(&(struct load){ .limit = "950000", .workers = 2, .need = 1,
			    .policies = { SCHED_DEADLINE, SCHED_DEADLINE } });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_own_fifo_throttled, leave),
		cmocka_unit_test_teardown(test_own_fifo_unlimited, leave),
		cmocka_unit_test_teardown(test_other_fifo_throttled, leave),
		cmocka_unit_test_teardown(test_other_fifo_unlimited, leave),
		cmocka_unit_test_teardown(test_own_deadline_throttled, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

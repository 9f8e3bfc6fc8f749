// SPDX-License-Identifier: MIT
/*
 * CPUs that real-time threads keep busy, and throttling that takes them off again. A
 * vector always completes: the stopper goes before every real-time thread, and nobody
 * else has to run. What is throttled may stop inside a sequence, and go on a second
 * later.
 */
#include <sched.h>

#include "cpus.h"
#include "hog.h"
#include "tally.h"
#include "threads.h"

#define RUN_MS	2500		/* the share of other threads is 50 ms in 1000 */
#define LIMIT	"/proc/sys/kernel/sched_rt_runtime_us"

static struct tally *tally;
static int target;		/* -1: all CPUs */
static const int *policies;	/* of the worker on the target, by index */
static int on_target;		/* workers */

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
	int policy = w->index < on_target ? policies[w->index] : SCHED_OTHER;

	if (policy != SCHED_OTHER && !set_policy(policy))
		wrong(w, "policy %d: %s", policy, strerror(errno));
	if (w->index >= on_target)
		vectors(w);
	else
		sequences(w);
}

/* All others elsewhere, so that they are not what is throttled. */
static int cpu_of(int index)
{
	return index < on_target ? target : allowed_cpu(1 + index - on_target);
}

/* Leaves the tally to be freed. */
static void run(const char *limit, const int *on_target_policies, int n)
{
	struct worker w[4];

	policies = on_target_policies;
	on_target = n;
	assert_true(write_to(LIMIT, "%s", limit));
	pin_to(allowed_cpu(0));
	tally = new_tally(false, n + 2);
	start_workers(w, n + 2, work, NULL, cpu_of);
	sleep_ms(RUN_MS);
	stop_workers();
	stop_hogs();	/* without a limit they never let a worker end */
	finish_workers(w, n + 2);
	check_tally(tally);
	assert_true(tally_done(tally, n) > 0);
	assert_true(tally_done(tally, n + 1) > 0);
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
	if (tally)
		free_tally(tally);
	tally = NULL;
	return !write_to(LIMIT, "950000");
}

static const int fifo_and_fair[] = { SCHED_FIFO, SCHED_OTHER };

/*
 * The other thread gets its turn by throttling alone. What the stopper takes counts for
 * neither, so a limit near 1000000 might never be reached.
 */
static void test_own_fifo_throttled(void **state)
{
	(void)state;
	need_cpus();
	run("300000", fifo_and_fair, 2);
	print_message("# the throttled thread: %lu, the other: %lu\n",
		      (unsigned long)tally_done(tally, 0), (unsigned long)tally_done(tally, 1));
	assert_true(tally_done(tally, 0) > 0);
	assert_true(tally_done(tally, 1) > 0);
}

static void test_own_fifo_unlimited(void **state)
{
	(void)state;
	need_cpus();
	run("-1", fifo_and_fair, 2);
	assert_true(tally_done(tally, 0) > 0);
}

/* Our thread is inside a sequence, and not on the CPU, for most of the time. */
static void test_other_fifo_throttled(void **state)
{
	(void)state;
	need_cpus();
	hog_by_process(target, SCHED_FIFO);
	run("950000", &fifo_and_fair[1], 1);
	assert_true(tally_done(tally, 0) > 0);
}

static void test_other_fifo_unlimited(void **state)
{
	(void)state;
	need_cpus();
	hog_by_process(target, SCHED_FIFO);
	run("-1", &fifo_and_fair[1], 1);
}

/*
 * Two that overrun their time every 10 ms, on whatever CPUs they choose. Where they stay
 * on one, the scheduler may leave one of them to starve.
 */
static void test_own_deadline_throttled(void **state)
{
	static const int deadlines[] = { SCHED_DEADLINE, SCHED_DEADLINE };

	(void)state;
	need_cpus();
	target = -1;
	run("950000", deadlines, 2);
	assert_true(tally_done(tally, 0) + tally_done(tally, 1) > 0);
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

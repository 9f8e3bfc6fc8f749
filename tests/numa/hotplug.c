// SPDX-License-Identifier: MIT
/*
 * CPUs that are possible but offline, that go down and come up under the call, and
 * that come up for the first time. CPUs are taken down only in a VM of ours.
 */
#include <sched.h>

#include "cpus.h"
#include "tally.h"
#include "threads.h"

#define RUN_MS	5000

static struct tally *tally;
static int target;

static void pick_target(void)
{
	need_vm();
	target = allowed_cpu(nr_allowed_cpus() - 1);
}

static void test_offline_cpu(void **state)
{
	intptr_t words[2] = { 0, 0 }, one = 1;
	const struct cpu_op ops[] = {
		cpu_op_compare_eq(&words[0], &one, sizeof(one)),
		cpu_op_memcpy(&words[1], &words[0], sizeof(one)),
	};

	(void)state;
	pick_target();
	assert_true(set_online(target, false));
	assert_int_equal(rseq_op(ops, 2, target, 0), 1);
	assert_int_equal(rseq_op_addv(&words[0], 1, target), 0);
	assert_int_equal(rseq_op(ops, 2, target, 0), 0);
	assert_int_equal(words[0], 1);
	assert_int_equal(words[1], 1);
	assert_int_equal(rseq_op(NULL, 0, target, 0), 0);
	assert_true(set_online(target, true));
	assert_int_equal(rseq_op_addv(&words[0], 1, target), 0);
	assert_int_equal(words[0], 2);
}

static void stay_on_target(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(target, &set);
	sched_setaffinity(0, sizeof(set), &set);	/* it may be down */
}

/*
 * By affinity a CPU that stays half up for a second is one that cannot be reached; and a CPU
 * of this machine may well be held up so long. The library has to wait half of that.
 */
#define WAITED_MS	500
#define MAX_PATIENCE	(rseq_op_backend(NULL) == RSEQ_OP_BACKEND_AFFINITY ? 20 : 1)

/*
 * Every other worker goes back to the CPU whenever it was thrown off it, and keeps it
 * busy with sequences; the others are for it from anywhere.
 */
static void update(struct worker *w)
{
	while (!workers_stopping()) {
		bool vector = next_random(&w->random) % 64 == 0;
		int patience = MAX_PATIENCE, ret;
		uint64_t start;

		if (w->index % 2 == 0 && rseq_op_current_cpu() != target)
			stay_on_target();
		do {
			start = now_ms();
			ret = vector || w->index % 4 == 1 ?
				tally_vector(tally, w->index, target) :
				tally_sequence(tally, w->index, target);
		} while (ret == -EPERM && now_ms() - start >= WAITED_MS && --patience);
		if (ret)
			wrong(w, "%s: %d", vector ? "vector" : "sequence", ret);
	}
}

static void finish(struct worker *w, int n)
{
	stop_workers();
	finish_workers(w, n);
	check_tally(tally);
	free_tally(tally);
}

static void test_cpu_goes_down_and_up_under_load(void **state)
{
	struct worker w[4];
	int cycles = 0;
	uint64_t end;

	(void)state;
	pick_target();
	tally = new_tally(false, ARRAY_SIZE(w));
	start_workers(w, ARRAY_SIZE(w), update, NULL, NULL);
	for (end = now_ms() + RUN_MS; now_ms() < end || cycles < 2;) {
		cycles += set_online(target, false);
		sleep_ms(50);
		set_online(target, true);
		sleep_ms(50);
	}
	print_message("# %d times down\n", cycles);
	finish(w, ARRAY_SIZE(w));
}

static uint64_t done_by_two(void)
{
	return tally_done(tally, 0) + tally_done(tally, 1);
}

static void wait_for_more_than(uint64_t before)
{
	uint64_t end = now_ms() + LIMIT_S * 1000;

	while (done_by_two() <= before && now_ms() < end)
		sleep_ms(10);
	assert_true(done_by_two() > before);
}

/* The argument maxcpus= of the kernel leaves such CPUs. */
static void test_cpu_comes_up_for_the_first_time(void **state)
{
	struct worker w[4];
	uint64_t before;

	(void)state;
	need_vm();
	target = never_booted_cpu();
	if (target < 0)
		skip_because("each possible CPU has been up: boot with maxcpus=");
	tally = new_tally(false, ARRAY_SIZE(w));
	start_workers(w, ARRAY_SIZE(w), update, NULL, NULL);
	wait_for_more_than(0);
	sleep_ms(500);
	assert_int_equal(never_booted_cpu(), target);
	before = done_by_two();
	assert_true(set_online(target, true));
	wait_for_more_than(before);
	sleep_ms(1000);
	finish(w, ARRAY_SIZE(w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offline_cpu),
		cmocka_unit_test(test_cpu_goes_down_and_up_under_load),
		cmocka_unit_test(test_cpu_comes_up_for_the_first_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * Threads that come and go while others use the same CPUs: many that do one operation and
 * end, and ones that are cancelled at any moment, also inside an operation. What is left
 * behind is whole: no CPU stays closed, no update is lost, and at most one is done by a
 * thread that could not count it any more.
 */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

#define THREADS		8
#define ROUNDS		400

static intptr_t words[RSEQ_OP_CPU_MAX][8];

static intptr_t sum_of_words(void)
{
	intptr_t sum = 0;
	int cpu;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++)
		sum += words[cpu][0];
	return sum;
}

/* Every CPU takes an operation from anywhere. */
static void check_open(void)
{
	int i;

	for (i = 0; i < nr_allowed_cpus(); i++) {
		int cpu = allowed_cpu(i);
		intptr_t before = words[cpu][0];

		assert_int_equal(rseq_op_addv(&words[cpu][0], 1, cpu), 0);
		assert_int_equal(words[cpu][0], before + 1);
		assert_int_equal(rseq_op_addv(&words[cpu][0], -1, cpu), 0);
	}
}

static void *add_once(void *arg)
{
	int cpu = arg ? allowed_cpu((int)(intptr_t)arg % nr_allowed_cpus()) :
			rseq_op_current_cpu();

	return rseq_op_addv(&words[cpu][0], 1, cpu) ? words : NULL;
}

static void test_short_threads_none_lost(void **state)
{
	pthread_t t[THREADS];
	intptr_t round, i;

	(void)state;
	memset(words, 0, sizeof(words));
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&t[i], NULL, add_once,
							(void *)(i % 3)), 0);
		for (i = 0; i < THREADS; i++) {
			void *failed;

			assert_int_equal(pthread_join(t[i], &failed), 0);
			assert_null(failed);
		}
	}
	assert_int_equal(sum_of_words(), THREADS * ROUNDS);
	check_open();
}

struct victim {
	volatile intptr_t done;
	volatile int failed;
};

static void *add_until_cancelled(void *arg)
{
	struct victim *v = arg;
	uint32_t random = 1;

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	for (;;) {
		int cpu = allowed_cpu((int)(next_random(&random) % (unsigned int)nr_allowed_cpus()));
		int ret = rseq_op_addv(&words[cpu][0], 1, cpu);

		if (ret)
			v->failed = ret;
		v->done++;
	}
	return NULL;
}

static void test_cancelled_threads_leave_no_cpu_closed(void **state)
{
	struct timespec pause = { 0, 0 };
	uint32_t random = 7;
	int round;

	(void)state;
	for (round = 0; round < ROUNDS; round++) {
		struct victim v = { 0, 0 };
		pthread_t t;

		memset(words, 0, sizeof(words));
		pause.tv_nsec = (long)(next_random(&random) % 1000000);
		assert_int_equal(pthread_create(&t, NULL, add_until_cancelled, &v), 0);
		nanosleep(&pause, NULL);
		assert_int_equal(pthread_cancel(t), 0);
		assert_int_equal(pthread_join(t, NULL), 0);
		assert_int_equal(v.failed, 0);
		assert_in_range(sum_of_words() - v.done, 0, 1);
	}
	check_open();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_threads_none_lost),
		cmocka_unit_test(test_cancelled_threads_leave_no_cpu_closed),
	};

	nr_allowed_cpus();	/* looked up once */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

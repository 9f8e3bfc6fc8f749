// SPDX-License-Identifier: MIT
/*
 * Operations in a signal handler that interrupts operations on the same data: in
 * the sequence, in the backend's system calls, while the guard is closed. None is
 * lost and none waits for itself.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "threads.h"

#define RUN_MS	2000

static intptr_t counters[RSEQ_OP_CPU_MAX];
static _Atomic uint64_t in_handlers, failures;

static void handler(int sig)
{
	static _Atomic unsigned int turn;
	int i = (int)(turn++ % (unsigned int)nr_allowed_cpus()), saved = errno;

	(void)sig;
	errno = 77;
	if (rseq_op_addv(&counters[allowed_cpu(i)], 1, allowed_cpu(i)) || errno != 77)
		failures++;
	in_handlers++;
	errno = saved;
}

/* Every other operation is for another CPU: half the signals find the slow path. */
static void run_operations(struct worker *w)
{
	while (!workers_stopping()) {
		int cpu = allowed_cpu((int)(w->done++ % (unsigned int)nr_allowed_cpus()));
		int ret = rseq_op_addv(&counters[cpu], 1, cpu);

		if (ret)
			wrong(w, "rseq_op_addv for CPU %d: %d", cpu, ret);
	}
}

static void test_handlers_on_same_data(void **state)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct worker w[4];
	uint64_t done = 0;
	intptr_t sum = 0;
	int i, ms;

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &sa, NULL), 0);
	start_workers(w, 4, run_operations, NULL, NULL);
	for (ms = 0; ms < RUN_MS; ms++) {
		for (i = 0; i < 4; i++)
			pthread_kill(w[i].id, SIGUSR1);
		usleep(1000);
	}
	stop_workers();
	finish_workers(w, 4);
	for (i = 0; i < 4; i++)
		done += w[i].done;
	for (i = 0; i < RSEQ_OP_CPU_MAX; i++)
		sum += counters[i];
	print_message("# %lu operations, %lu in handlers\n", (unsigned long)done,
		      (unsigned long)in_handlers);
	assert_true(in_handlers > 0);
	assert_int_equal(failures, 0);
	assert_int_equal(sum, done + in_handlers);
}

/* The signal mask is the caller's again after an operation in the backend. */
static void test_signal_mask_restored(void **state)
{
	struct cpu_op fence[1];
	sigset_t set, now;
	int sig;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &set, NULL), 0);
	assert_int_equal(rseq_op(fence, 0, allowed_cpu(0), 0), 0);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
	for (sig = 1; sig < SIGRTMAX; sig++)
		assert_int_equal(sigismember(&now, sig), sigismember(&set, sig));
	sigemptyset(&set);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handlers_on_same_data),
		cmocka_unit_test(test_signal_mask_restored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

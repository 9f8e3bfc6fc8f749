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

/* What may take the backend, for a CPU. */

static int add(int cpu)
{
	return rseq_op_addv(&counters[cpu], 1, cpu);
}

static int add_by_id(int cpu)
{
	return rseq_op_addv_cid(&counters[cpu], 1, cpu);
}

static int add_twice(int cpu)
{
	const struct cpu_op add = cpu_op_add(&counters[cpu], sizeof(intptr_t), 1);
	const struct cpu_op adds[] = { add, add };

	return rseq_op(adds, 2, cpu, 0);
}

static int bad_operand(int cpu)
{
	const struct cpu_op add = cpu_op_add((void *)8, sizeof(intptr_t), 1);
	const struct cpu_op adds[] = { add, add };

	return rseq_op(adds, 2, cpu, 0) != -EFAULT;
}

static int fence_all(int cpu)
{
	(void)cpu;
	return rseq_op_fence_all();
}

/* The signal mask is the caller's again after an operation in the backend. */
static void check_mask(int (*operation)(int cpu), const sigset_t *set)
{
	sigset_t now;
	int i, sig;

	for (i = 0; i < nr_allowed_cpus(); i++) {
		assert_int_equal(pthread_sigmask(SIG_SETMASK, set, NULL), 0);
		assert_int_equal(operation(allowed_cpu(i)), 0);
		assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
		for (sig = 1; sig <= SIGRTMAX; sig++)
			assert_int_equal(sigismember(&now, sig), sigismember(set, sig));
	}
}

static void test_signal_mask_restored(void **state)
{
	static int (*const operations[])(int cpu) = {
		add, add_by_id, add_twice, bad_operand, rseq_op_fence, fence_all,
	};
	sigset_t none, some, all_but_some;
	size_t i;

	(void)state;
	sigemptyset(&none);
	sigemptyset(&some);
	sigaddset(&some, SIGUSR2);
	sigaddset(&some, SIGRTMAX);
	sigfillset(&all_but_some);
	sigdelset(&all_but_some, SIGKILL);
	sigdelset(&all_but_some, SIGSTOP);
	sigdelset(&all_but_some, SIGRTMIN);
	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		check_mask(operations[i], &all_but_some);
		check_mask(operations[i], &some);
		check_mask(operations[i], &none);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handlers_on_same_data),
		cmocka_unit_test(test_signal_mask_restored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * fork() while other threads are in the backend: the child finds every CPU open,
 * sees none of the operations that the parent goes on with, and keeps its own to
 * itself. A signal that comes right at its start finds them open, too.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "threads.h"

#define FORKS		60

static intptr_t *counters;	/* a page of its own */

static void run_remote(struct worker *w)
{
	while (!workers_stopping()) {
		int cpu = allowed_cpu((int)(next_random(&w->random) %
					    (uint32_t)nr_allowed_cpus()));
		int ret = rseq_op_addv(&counters[cpu], 1, cpu);

		if (ret)
			wrong(w, "rseq_op_addv for CPU %d: %d", cpu, ret);
		else
			w->done++;
	}
}

static int in_child(void)
{
	static intptr_t seen[512];
	int i, turn;

	alarm(LIMIT_S);
	memcpy(seen, counters, sizeof(seen));
	for (turn = 0; turn < 20; turn++) {
		for (i = 0; i < nr_allowed_cpus(); i++) {
			if (rseq_op_addv(&counters[allowed_cpu(i)], 1, allowed_cpu(i)))
				return 1;
			seen[allowed_cpu(i)]++;
		}
		if (memcmp(seen, counters, sizeof(seen)))
			return 2;
	}
	return 0;
}

static void test_fork_under_load(void **state)
{
	struct worker w[4];
	uint64_t done = 0;
	intptr_t sum = 0;
	int i, status;

	(void)state;
	if (rseq_op_nr_cpus() > 512)
		skip_because("more than 512 CPUs");
	start_workers(w, 4, run_remote, NULL, NULL);
	for (i = 0; i < FORKS; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(in_child());
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status)
			break;
	}
	stop_workers();
	finish_workers(w, 4);
	assert_int_equal(status, 0);	/* 0x100: an error, 0x200: foreign stores, 14: hung */
	for (i = 0; i < 4; i++)
		done += w[i].done;
	for (i = 0; i < 512; i++)
		sum += counters[i];
	assert_int_equal(sum, done);
}

/*
 * Signals
 *
 *	a group of processes of its own: the parent, its children, and one that sends
 *	SIGUSR1 to all the time
 *
 *	T: remote adds, signals blocked		main thread
 *	closes a CPU
 *						fork()
 *						child: SIGUSR1, adds for each CPU
 */

#define SIGNAL_FORKS	300
#define SIGNAL_FORKS_MIN 20
#define SIGNAL_RUN_MS	60000	/* or fewer, where the signals leave little time */
#define SIGNAL_LIMIT_S	200

static void on_signal(int sig)
{
	int i;

	(void)sig;
	for (i = 0; i < nr_allowed_cpus(); i++)
		rseq_op_addv(&counters[allowed_cpu(i)], 1, allowed_cpu(i));
}

static void send_signals(pid_t group)
{
	signal(SIGUSR1, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		kill(-group, SIGUSR1);
		usleep(20);
	}
}

/* SIGUSR1 is blocked: in the worker, which inherits that, and here but around each fork. */
static int fork_under_signals(void)
{
	static struct worker w[1];	/* works to the end of the process */
	uint64_t end = now_ms() + SIGNAL_RUN_MS;
	sigset_t usr1;
	int i, status = 0;
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setpgid(0, 0))
		return 1;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	signal(SIGUSR1, on_signal);
	start_workers(w, 1, run_remote, NULL, NULL);
	pid = fork();
	if (!pid)
		send_signals(getppid());
	for (i = 0; i < SIGNAL_FORKS && !status && now_ms() < end; i++) {
		sigprocmask(SIG_UNBLOCK, &usr1, NULL);
		pid = fork();
		if (!pid)
			_exit(0);
		sigprocmask(SIG_BLOCK, &usr1, NULL);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return 2;
	}
	if (!status && i < SIGNAL_FORKS_MIN)
		return 4;
	return status ? 3 : 0;
}

static void test_signal_at_the_start_of_a_child(void **state)
{
	int i, status = 0;
	pid_t pid, done = 0;

	(void)state;
	if (rseq_op_nr_cpus() > 512)
		skip_because("more than 512 CPUs");
	pid = fork();
	if (!pid)
		_exit(fork_under_signals());
	for (i = 0; i < 10 * SIGNAL_LIMIT_S && !done; i++) {
		sleep_ms(100);
		done = waitpid(pid, &status, WNOHANG);
	}
	kill(-pid, SIGKILL);
	if (!done)
		waitpid(pid, NULL, 0);
	assert_int_equal(done, pid);	/* or a child of it waits for ever */
	assert_int_equal(status, 0);
}

static int map_counters(void **state)
{
	(void)state;
	counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return counters == MAP_FAILED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fork_under_load),
		cmocka_unit_test(test_signal_at_the_start_of_a_child),
	};

	return cmocka_run_group_tests(tests, map_counters, NULL);
}

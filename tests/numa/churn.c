// SPDX-License-Identifier: MIT
/*
 * churn [SEED]: all states of CPUs at once and in no order. Threads of one process and
 * two processes of one thread add to data of their own and to shared data, for the CPU
 * that they are on and for any other, while CPUs go down and come up, another process
 * comes to a CPU and goes, cpusets change, and the workers go from CPU to CPU. Each
 * addition must be there at the end, once, for its CPU.
 *
 * None of them is a real-time thread: those and CPUs that go down are too much for the
 * scheduler of 6.12 alone ("Dying CPU not properly vacated", its deadline server).
 */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpus.h"
#include "cpuset.h"
#include "hog.h"
#include "tally.h"
#include "threads.h"

#define RUN_MS		8000
#define THREADS		4
#define PROCESSES	2

/* These stay up. */
#define CPUS_UP		3

static struct tally *own, *shared;
static volatile bool *stop_processes;
static pid_t processes[PROCESSES];
static uint32_t seed;

static int any_cpu(uint32_t r)
{
	return (int)(r % (uint32_t)rseq_op_nr_cpus());
}

/* What a worker does to itself; some of it may be impossible just then. */
static void change_self(uint32_t r)
{
	cpu_set_t set;

	switch (r % 4) {
	case 0:
		CPU_ZERO(&set);
		CPU_SET(any_cpu(r / 4), &set);
		sched_setaffinity(0, sizeof(set), &set);
		break;
	case 1:
		memset(&set, 0xff, sizeof(set));
		sched_setaffinity(0, sizeof(set), &set);
		break;
	case 2:
		sleep_ms(1);
	}
}

static int one_step(int worker, uint32_t r)
{
	struct tally *t = r & 1 ? own : shared;
	int cpu = rseq_op_current_cpu();

	r /= 2;
	if (r % 32 == 0)
		cpu = any_cpu(r / 32);
	return r % 64 < 3 ? tally_vector(t, worker, cpu) : tally_sequence(t, worker, cpu);
}

static int one_turn(int worker, uint32_t *random)
{
	int i, ret = 0;

	change_self(next_random(random));
	for (i = 0; i < 256 && !ret; i++)
		ret = one_step(worker, next_random(random));
	return ret;
}

static void run_thread(struct worker *w)
{
	while (!workers_stopping()) {
		int ret = one_turn(w->index, &w->random);

		if (ret)
			wrong(w, "result %d", ret);
	}
}

/* Exit status: 0, 1 for a result, 2 for its copy of the data that is its own. */
static void run_process(int worker)
{
	uint32_t random = 0x9e3779b9 * (uint32_t)(worker + 1);
	int status = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!*stop_processes)
		status |= one_turn(worker, &random) != 0;
	_exit(status | (tally_differences(own) ? 2 : 0));
}

static void change_cpuset(uint32_t r)
{
	int first = any_cpu(r / 2), last = first + any_cpu(r / 32);
	const char *name = r % 2 ? "a" : "b";

	set_cpuset(name, first, last < rseq_op_nr_cpus() ? last : rseq_op_nr_cpus() - 1);
	enter_cpuset(name, r / 256 % 2 ? getpid() : processes[r / 512 % PROCESSES]);
}

static void change_cpu(uint32_t r)
{
	int cpu = any_cpu(r);

	if (cpu >= CPUS_UP)
		set_online(cpu, !cpu_is_in("online", cpu));
}

static void change_occupant(uint32_t r)
{
	stop_hogs();
	if (r % 4)
		start_hog_process((int)(r / 4 % CPUS_UP), SCHED_OTHER);
}

static void change_something(uint32_t r)
{
	static void (*const changes[])(uint32_t r) = {
		change_cpu, change_cpuset, change_cpu, change_occupant,
	};

	changes[r % ARRAY_SIZE(changes)](r / ARRAY_SIZE(changes));
}

static void finish_processes(void)
{
	int i, status, bad = 0;

	*stop_processes = true;
	for (i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(processes[i], &status, 0), processes[i]);
		if (status)
			print_error("# process %d: status %#x\n", i, status);
		bad += status != 0;
	}
	assert_int_equal(bad, 0);
}

static void test_everything_changes_none_lost(void **state)
{
	struct worker w[THREADS];
	uint32_t random = seed;
	uint64_t end;
	int i, changes;

	(void)state;
	need_kernel();
	need_vm();
	assert_true(make_cpusets());
	stop_processes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			      -1, 0);
	assert_ptr_not_equal(stop_processes, MAP_FAILED);
	own = new_tally(false, THREADS + PROCESSES);
	shared = new_tally(true, THREADS + PROCESSES);
	for (i = 0; i < PROCESSES; i++) {
		processes[i] = fork();
		if (!processes[i])
			run_process(THREADS + i);
	}
	start_workers(w, THREADS, run_thread, NULL, NULL);
	print_message("# seed %u\n", seed);
	for (changes = 0, end = now_ms() + RUN_MS; now_ms() < end; changes++) {
		change_something(next_random(&random));
		sleep_ms(10);
	}
	stop_workers();
	stop_hogs();
	finish_processes();
	finish_workers(w, THREADS);
	print_message("# %d changes\n", changes);
	check_tally(own);
	check_tally(shared);
}

static int leave(void **state)
{
	int cpu;

	(void)state;
	stop_hogs();
	if (!shared)
		return 0;
	for (cpu = CPUS_UP; cpu < rseq_op_nr_cpus(); cpu++)
		set_online(cpu, true);
	unpin();
	free_tally(own);
	free_tally(shared);
	remove_cpusets();
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_everything_changes_none_lost, leave),
	};

	seed = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : (uint32_t)now_ms();
	if (!seed)
		seed = 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

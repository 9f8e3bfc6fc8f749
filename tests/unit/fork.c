// SPDX-License-Identifier: MIT
/*
 * fork() while other threads are in the backend: the child finds every CPU open,
 * sees none of the operations that the parent goes on with, and keeps its own to
 * itself.
 */
#include <sys/mman.h>
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
	counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(counters, MAP_FAILED);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fork_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * Processes that share per-CPU data: sequences of one, vectors of the other, for the
 * same CPUs. With cpu_opv(2) they exclude each other; membarrier(2) works for one
 * process only.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "threads.h"

#define PROCESSES	4
#define OPERATIONS	100000
#define REMOTE_EVERY	32

static struct shared {
	intptr_t counters[512];
	uint64_t added[PROCESSES][512];
} *shared;

static int update(int index)
{
	uint32_t random = 0x9e3779b9 * (uint32_t)(index + 1);
	int i;

	for (i = 0; i < OPERATIONS; i++) {
		uint32_t r = next_random(&random);
		int cpu = rseq_op_current_cpu();

		if (r % REMOTE_EVERY == 0)
			cpu = allowed_cpu((int)(r / REMOTE_EVERY % (uint32_t)nr_allowed_cpus()));
		if (rseq_op_addv(&shared->counters[cpu], 1, cpu))
			return 1;
		shared->added[index][cpu]++;
	}
	return 0;
}

static void test_processes_none_lost(void **state)
{
	int i, p, status;
	pid_t pid[PROCESSES];

	(void)state;
	need_kernel();
	if (rseq_op_nr_cpus() > 512)
		skip_because("more than 512 CPUs");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	nr_allowed_cpus();
	for (p = 0; p < PROCESSES; p++) {
		pid[p] = fork();
		if (!pid[p])
			_exit(update(p));
	}
	for (p = 0; p < PROCESSES; p++) {
		assert_int_equal(waitpid(pid[p], &status, 0), pid[p]);
		assert_int_equal(status, 0);
	}
	for (i = 0; i < 512; i++) {
		uint64_t expected = 0;

		for (p = 0; p < PROCESSES; p++)
			expected += shared->added[p][i];
		assert_int_equal(shared->counters[i], expected);
	}
	munmap(shared, sizeof(*shared));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processes_none_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * The fence by sched_setaffinity(2): the caller comes back to where it may run, whatever
 * that was; a CPU that is offline needs no fence; one that is online and not in the
 * cpuset is a clear no, and stays open. Run with RSEQ_OP_BACKEND=affinity.
 */
#include <sched.h>
#include <unistd.h>

#include "cpus.h"
#include "cpuset.h"

static intptr_t words[RSEQ_OP_CPU_MAX][8];

static void need_affinity(void)
{
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_AFFINITY)
		skip_because("RSEQ_OP_BACKEND is not affinity");
}

/* A vector that is no sequence, wherever the caller is. */
static int add_two(int cpu)
{
	struct cpu_op add = { .op = CPU_ADD_OP, .len = sizeof(intptr_t),
		.u.arithmetic_op = { .p = (uintptr_t)&words[cpu][0], .count = 1 } };
	struct cpu_op adds[] = { add, add };

	return rseq_op(adds, 2, cpu, 0);
}

static void check_mask(int nr, const int *cpus)
{
	cpu_set_t before, after;
	int i;

	CPU_ZERO(&before);
	for (i = 0; i < nr; i++)
		CPU_SET(cpus[i], &before);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	for (i = 0; i < nr_allowed_cpus(); i++)
		assert_int_equal(add_two(allowed_cpu(i)), 0);
	assert_int_equal(rseq_op_fence_all(), 0);
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&before, &after));
	assert_true(CPU_ISSET(sched_getcpu(), &before));
}

static void test_caller_comes_back(void **state)
{
	int cpus[RSEQ_OP_CPU_MAX], i;

	(void)state;
	need_affinity();
	memset(words, 0, sizeof(words));
	for (i = 0; i < nr_allowed_cpus() && i < CPU_SETSIZE; i++) {
		cpus[i] = allowed_cpu(i);
		check_mask(1, &cpus[i]);
	}
	check_mask(i, cpus);
	unpin();
	for (i = 0; i < nr_allowed_cpus(); i++)
		assert_int_equal(words[allowed_cpu(i)][0], 2 * (nr_allowed_cpus() + 1));
}

static void test_offline_cpu(void **state)
{
	int cpu = allowed_cpu(nr_allowed_cpus() - 1);

	(void)state;
	need_affinity();
	need_vm();
	if (nr_allowed_cpus() < 2)
		skip_because("only one CPU");
	words[cpu][0] = 0;
	assert_true(set_online(cpu, false));
	assert_int_equal(add_two(cpu), 0);
	assert_int_equal(rseq_op_fence_all(), 0);
	assert_true(set_online(cpu, true));
	assert_int_equal(add_two(cpu), 0);
	assert_int_equal(words[cpu][0], 4);
}

static void test_outside_of_cpuset_eperm(void **state)
{
	int first = allowed_cpu(0), last = allowed_cpu(nr_allowed_cpus() - 1);

	(void)state;
	need_affinity();
	need_vm();
	if (last - first < 1)
		skip_because("only one CPU");
	words[first][0] = words[last][0] = 0;
	assert_true(make_cpusets());
	assert_true(set_cpuset("a", first, last - 1));
	assert_true(enter_cpuset("a", getpid()));
	assert_int_equal(add_two(first), 0);
	assert_int_equal(add_two(last), -EPERM);
	assert_int_equal(rseq_op_fence_all(), -EPERM);
	assert_int_equal(words[last][0], 0);
	assert_true(set_cpuset("a", first, last));
	assert_int_equal(add_two(last), 0);
	assert_true(words[first][0] == 2 && words[last][0] == 2);
}

static int leave(void **state)
{
	(void)state;
	if (getenv("TEST_VM")) {
		set_online(allowed_cpu(nr_allowed_cpus() - 1), true);
		remove_cpusets();
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_caller_comes_back),
		cmocka_unit_test_teardown(test_offline_cpu, leave),
		cmocka_unit_test_teardown(test_outside_of_cpuset_eperm, leave),
	};

	nr_allowed_cpus();	/* looked up once */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * The fence by sched_setaffinity(2): the caller may run where it might before, whatever
 * happens to CPUs and cpusets meanwhile; a CPU that is offline needs no fence; one that is
 * online and not in the cpuset is a clear no, and stays open. Run with
 * RSEQ_OP_BACKEND=affinity.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpus.h"
#include "cpuset.h"
#include "notify.h"
#include "threads.h"

#define RUN_MS	4000

static intptr_t words[RSEQ_OP_CPU_MAX][8];

static void need_affinity(void)
{
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_AFFINITY)
		skip_because("RSEQ_OP_BACKEND is not affinity");
}

/* The test changes the system, and needs so many CPUs with consecutive numbers. */
static void need_system_with(int cpus)
{
	need_affinity();
	need_vm();
	if (allowed_cpu(nr_allowed_cpus() - 1) - allowed_cpu(0) + 1 < cpus)
		skip_because("not enough CPUs");
}

/* A vector that is no sequence, wherever the caller is. */
static int add_two(int cpu)
{
	struct cpu_op add = cpu_op_add(&words[cpu][0], sizeof(intptr_t), 1);
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

static void test_caller_runs_where_it_did(void **state)
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
	need_system_with(2);
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
	need_system_with(2);
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

/*
 * A container may see a list of its own at /sys/devices/system/cpu/online, which leaves out
 * CPUs that other threads of the process run on. Here it leaves out the last CPU, and so does
 * the cpuset of the caller, while a thread in another cpuset runs sequences there: a vector
 * of the caller has to fail, as its fence cannot reach that thread.
 */

#define CPUS	"/sys/devices/system/cpu"
#define LIST	"/tmp/online"

static void add_in_other_cpuset(struct worker *w)
{
	int cpu = allowed_cpu(nr_allowed_cpus() - 1);

	if (!enter_cpuset_as_thread("b")) {
		wrong(w, "not in the other cpuset");
		return;
	}
	pin_to(cpu);
	while (!workers_stopping()) {
		int ret = rseq_op_addv(&words[cpu][0], 1, cpu);

		if (ret)
			wrong(w, "%d", ret);
		__atomic_store_n(&w->done, w->done + 1, __ATOMIC_RELEASE);
	}
}

static bool replace_list(const char *list)
{
	return !unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount(list, CPUS "/online", NULL, MS_BIND, NULL);
}

static void check_with_list(const char *list)
{
	int first = allowed_cpu(0), last = allowed_cpu(nr_allowed_cpus() - 1), i;
	struct worker w[1];
	intptr_t added = 0;
	pid_t pid;
	int status;

	assert_true(make_cpusets_of_threads());
	assert_true(set_cpuset("a", first, last - 1));
	assert_true(set_cpuset("b", first, last));
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid) {
		words[last][0] = 0;
		if (!replace_list(list) || !enter_cpuset_as_thread("a"))
			_exit(1);
		start_workers(w, 1, add_in_other_cpuset, NULL, NULL);
		while (!__atomic_load_n(&w->done, __ATOMIC_ACQUIRE) && !w->wrong)
			sleep_ms(1);
		for (i = 0; i < 3; i++) {
			int ret = add_two(last);

			if (!ret)
				added += 2;
			if (ret != -EPERM)
				wrong(w, "vector: %d", ret);
		}
		if (rseq_op_fence_all() != -EPERM)
			wrong(w, "a fence that does not reach the thread succeeds");
		stop_workers();
		finish_workers(w, 1);
		_exit(words[last][0] == (intptr_t)w->done + added ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	remove_cpusets();
}

/* A file of the container, and another file of sysfs: the CPUs that are offline, none. */
static void test_list_of_container_online_cpu_eperm(void **state)
{
	int first = allowed_cpu(0), last = allowed_cpu(nr_allowed_cpus() - 1);

	(void)state;
	need_system_with(2);
	assert_true(write_to(LIST, "%d-%d\n", first, last - 1));
	check_with_list(LIST);
	check_with_list(CPUS "/offline");
}

/*
 * The visitor is moved to another CPU before it has run on the CPU of the fence, as a change of a
 * cpuset may do. Here its sched_setaffinity(2) succeeds without effect, so it stays where it was
 * created. The fence has to send another visitor.
 */
static void *fence_under_filter(void *arg)
{
	int *ret = arg;

	pin_to(allowed_cpu(0));
	ret[1] = notify_install(SYS_sched_setaffinity);
	ret[0] = rseq_op_fence(allowed_cpu(1));
	return NULL;
}

static void test_visitor_elsewhere_another_sent(void **state)
{
	int ret[2] = { 1, -2 }, visitors = 0;
	struct pollfd p = { .events = POLLIN };
	pthread_t t;

	(void)state;
	need_affinity();
	if (nr_allowed_cpus() < 2)
		skip_because("only one CPU");
	assert_int_equal(pthread_create(&t, NULL, fence_under_filter, ret), 0);
	while (__atomic_load_n(&ret[1], __ATOMIC_ACQUIRE) == -2)
		sleep_ms(1);
	assert_true(ret[1] >= 0);
	p.fd = ret[1];
	while (poll(&p, 1, 1000 * LIMIT_S) == 1 && p.revents & POLLIN) {
		uint64_t call = notify_wait(ret[1], NULL);

		if (visitors++ == 0)
			notify_skip(ret[1], call);
		else
			notify_answer(ret[1], call, 0);
	}
	assert_int_equal(pthread_join(t, NULL), 0);
	close(ret[1]);
	assert_int_equal(ret[0], 0);
	assert_int_equal(visitors, 2);
}

static void ask_for(const int *cpus, int nr)
{
	cpu_set_t set;
	int i;

	CPU_ZERO(&set);
	for (i = 0; i < nr; i++)
		CPU_SET(cpus[i], &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

static void get_mask(pid_t pid, cpu_set_t *set)
{
	CPU_ZERO(set);
	assert_true(sched_getaffinity(pid, sizeof(*set), set) >= 0);
}

/*
 * What hotplug and cpusets make of a mask differs from kernel to kernel. The fences must
 * not change it: in the end it is that of a control, which began alike and ran none.
 */

static pid_t start_control(const int *cpus, int nr)
{
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ask_for(cpus, nr);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	return pid;
}

static void test_mask_outlasts_offline_cpu(void **state)
{
	int last = allowed_cpu(nr_allowed_cpus() - 1), cpus[] = { allowed_cpu(0), last }, nr;

	(void)state;
	need_system_with(3);
	for (nr = 1; nr <= 2; nr++) {
		pid_t control = start_control(cpus, nr);
		cpu_set_t mine, expected;

		ask_for(cpus, nr);
		assert_true(set_online(last, false));
		assert_int_equal(add_two(allowed_cpu(1)), 0);
		assert_int_equal(add_two(last), 0);
		assert_true(set_online(last, true));
		get_mask(0, &mine);
		get_mask(control, &expected);
		kill(control, SIGKILL);
		waitpid(control, NULL, 0);
		assert_true(CPU_EQUAL(&mine, &expected));
	}
	unpin();
}

/* The cpuset shrinks and grows under fences. Workers 1 and 3 are the controls of 0 and 2. */

static cpu_set_t masks[4];

static void add_two_anywhere(struct worker *w)
{
	int first = allowed_cpu(0);

	if (w->index >= 2)
		ask_for(&first, 1);
	while (!workers_stopping()) {
		int cpu = allowed_cpu((int)(next_random(&w->random) % (uint32_t)nr_allowed_cpus()));
		int ret;

		if (w->index % 2) {
			sleep_ms(1);
			continue;
		}
		ret = add_two(cpu);
		if (!ret)
			w->done += 2;
		else if (ret != -EPERM)
			wrong(w, "CPU %d: %d", cpu, ret);
	}
	get_mask(0, &masks[w->index]);
}

static void test_cpuset_shrinks_and_grows_under_fences(void **state)
{
	int first = allowed_cpu(0), last = allowed_cpu(nr_allowed_cpus() - 1), i;
	uint32_t random = 1;
	struct worker w[4];
	uint64_t done = 0, end;
	intptr_t sum = 0;

	(void)state;
	need_system_with(5);
	memset(words, 0, sizeof(words));
	assert_true(make_cpusets());
	assert_true(set_cpuset("a", first, last));
	assert_true(enter_cpuset("a", getpid()));
	start_workers(w, 4, add_two_anywhere, NULL, NULL);
	for (end = now_ms() + RUN_MS; now_ms() < end; sleep_ms(20))
		assert_true(set_cpuset("a", first, first + 2 +
				       (int)(next_random(&random) % (uint32_t)(last - first - 1))));
	assert_true(set_cpuset("a", first, last));
	stop_workers();
	finish_workers(w, 4);
	for (i = 0; i < 4; i++)
		done += w[i].done;
	for (i = 0; i < nr_allowed_cpus(); i++)
		sum += words[allowed_cpu(i)][0];
	print_message("# %lu done\n", (unsigned long)done);
	assert_true(done > 0);
	assert_int_equal(sum, done);
	assert_true(CPU_EQUAL(&masks[0], &masks[1]));
	assert_true(CPU_EQUAL(&masks[2], &masks[3]));
}

static int leave(void **state)
{
	(void)state;
	if (getenv("TEST_VM")) {
		set_online(allowed_cpu(nr_allowed_cpus() - 1), true);
		remove_cpusets();
		unpin();
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_caller_runs_where_it_did),
		cmocka_unit_test_teardown(test_offline_cpu, leave),
		cmocka_unit_test_teardown(test_outside_of_cpuset_eperm, leave),
		cmocka_unit_test_teardown(test_list_of_container_online_cpu_eperm, leave),
		cmocka_unit_test(test_visitor_elsewhere_another_sent),
		cmocka_unit_test_teardown(test_mask_outlasts_offline_cpu, leave),
		cmocka_unit_test_teardown(test_cpuset_shrinks_and_grows_under_fences, leave),
	};

	nr_allowed_cpus();	/* looked up once */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

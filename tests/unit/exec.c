// SPDX-License-Identifier: MIT
/*
 * Children that share the memory of their parent until they end or run a program, made by
 * vfork(), posix_spawn() and clone(), and programs started by a thread that is one of many
 * in the backend. A child may use vectors that the backend runs, as such a child is not
 * registered with rseq(2); afterwards the parent goes on with sequences, and a program
 * starts with every CPU open.
 */
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "threads.h"

#define CHILDREN	60
#define VECTORS		20

static intptr_t words[RSEQ_OP_CPU_MAX][8];

/* No sequence: it adds twice. */
static int add_two(int cpu)
{
	struct cpu_op add = cpu_op_add(&words[cpu][0], sizeof(intptr_t), 1);
	struct cpu_op adds[] = { add, add };

	return rseq_op(adds, 2, cpu, 0);
}

static intptr_t sum_of_words(void)
{
	intptr_t sum = 0;
	int cpu;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++)
		sum += words[cpu][0];
	return sum;
}

/* Sequences on this CPU, and now and then a vector anywhere. */
static void add(struct worker *w)
{
	while (!workers_stopping()) {
		uint32_t r = next_random(&w->random);
		int cpu = rseq_op_current_cpu(), ret;

		if (r % 64 == 0) {
			ret = add_two(allowed_cpu((int)(r / 64 % (uint32_t)nr_allowed_cpus())));
			w->done++;
		} else {
			ret = rseq_op_addv(&words[cpu][0], 1, cpu);
		}
		if (ret)
			wrong(w, "%d", ret);
		w->done++;
	}
}

static int add_vectors(void *unused)
{
	int i, ret = 0;

	(void)unused;
	for (i = 0; i < VECTORS && !ret; i++)
		ret = add_two(allowed_cpu(i % nr_allowed_cpus()));
	return ret != 0;
}

static pid_t by_vfork(void)
{
	pid_t pid = vfork();

	if (!pid)
		_exit(add_vectors(NULL));
	return pid;
}

static pid_t by_clone(void)
{
	static _Alignas(16) char stack[256 * 1024];

	return clone(add_vectors, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
}

/* This program, as one that does little. */
static pid_t by_spawn(void)
{
	char *argv[] = { "exec", "work", NULL };
	pid_t pid;

	return posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) ? -1 : pid;
}

/* A thread that makes children adds by sequences between them, too. */
static void check_children(pid_t (*make)(void), intptr_t adds_of_child)
{
	struct worker w[4];
	intptr_t done = 0;
	int i, status = 0;

	memset(words, 0, sizeof(words));
	start_workers(w, 4, add, NULL, NULL);
	for (i = 0; i < CHILDREN && !status; i++) {
		int cpu = rseq_op_current_cpu();
		pid_t pid = make();

		assert_int_not_equal(pid, -1);
		assert_int_equal(rseq_op_addv(&words[cpu][0], 1, cpu), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		done += adds_of_child + 1;
	}
	stop_workers();
	finish_workers(w, 4);
	assert_int_equal(status, 0);
	for (i = 0; i < 4; i++)
		done += (intptr_t)w[i].done;
	assert_int_equal(sum_of_words(), done);
}

static void test_vectors_in_vfork_child(void **state)
{
	(void)state;
	check_children(by_vfork, 2 * VECTORS);
}

static void test_vectors_in_clone_child(void **state)
{
	(void)state;
	check_children(by_clone, 2 * VECTORS);
}

static void test_spawn_under_load(void **state)
{
	(void)state;
	check_children(by_spawn, 0);
}

/*
 * A child of vfork() on another CPU than its parent. Its struct rseq is its parent's, and says
 * that it runs on its parent's CPU. Sequences of other threads run there, so a vector for that
 * CPU has to wait for them: where the fence is refused to the child, the vector must fail.
 */

static bool refuse_fences(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { .len = ARRAY_SIZE(code), .filter = code };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static bool move_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

/* In the child: what it may use, for each CPU, with fences and without them. */
static int vectors_on_other_cpu(int parent_cpu, int cpu)
{
	if (!move_to(cpu))
		return 1;
	if (add_two(parent_cpu) || add_two(cpu) || rseq_op_fence(parent_cpu) ||
	    rseq_op_fence(cpu) || rseq_op_fence_all())
		return 2;
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_MEMBARRIER)
		return 0;
	if (!refuse_fences())
		return 3;
	return add_two(parent_cpu) != -EDOM || rseq_op_fence(parent_cpu) != -EDOM ||
	       rseq_op_fence_all() != -EDOM ? 4 : 0;
}

static void test_vfork_child_on_other_cpu_waits_for_sequences(void **state)
{
	int parent_cpu = allowed_cpu(0), cpu = other_cpu(parent_cpu), status;
	pid_t pid;

	(void)state;
	if (cpu < 0)
		skip_because("only one CPU");
	memset(words, 0, sizeof(words));
	pin_to(parent_cpu);
	assert_int_equal(rseq_op_addv(&words[0][1], 1, parent_cpu), 0);	/* it is registered */
	pid = vfork();
	if (!pid)
		_exit(vectors_on_other_cpu(parent_cpu, cpu));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(words[parent_cpu][0], 2);
	assert_int_equal(words[cpu][0], 2);
	assert_int_equal(rseq_op_addv(&words[parent_cpu][0], 1, parent_cpu), 0);
	assert_int_equal(words[parent_cpu][0], 3);
	unpin();
}

/* The program that is started: everything is open, and nothing has happened yet. */
static int work(void)
{
	struct rseq_op_stats stats;
	int i;

	rseq_op_stats(&stats, sizeof(stats));
	if (stats.remote || stats.vector || stats.aborts || sum_of_words())
		return 1;
	for (i = 0; i < nr_allowed_cpus(); i++) {
		int cpu = allowed_cpu(i);

		pin_to(cpu);
		if (rseq_op_addv(&words[cpu][0], 1, cpu) || add_two(cpu) || words[cpu][0] != 3)
			return 2;
	}
	unpin();
	for (i = 0; i < nr_allowed_cpus(); i++) {
		if (add_two(allowed_cpu(i)) || words[allowed_cpu(i)][0] != 5)
			return 3;
	}
	rseq_op_stats(&stats, sizeof(stats));
	return stats.vector != 2 * (uint64_t)nr_allowed_cpus() ? 4 : 0;
}

/* A thread of a child that has others in the backend, on all CPUs, just then. */
static void run_program(struct worker *w)
{
	(void)w;
	add_vectors(NULL);
	sleep_ms(5);
	execl("/proc/self/exe", "exec", "work", (char *)NULL);
	_exit(127);
}

static void exec_from_thread(void)
{
	struct worker w[5];

	start_workers(w, 4, add, NULL, NULL);
	start_workers(w + 4, 1, run_program, NULL, NULL);
	for (;;)
		pause();
}

static void test_exec_from_thread_starts_fresh(void **state)
{
	int i, status = 0;

	(void)state;
	for (i = 0; i < CHILDREN && !status; i++) {
		pid_t pid = fork();

		if (!pid)
			exec_from_thread();
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_in_vfork_child),
		cmocka_unit_test(test_vectors_in_clone_child),
		cmocka_unit_test(test_vfork_child_on_other_cpu_waits_for_sequences),
		cmocka_unit_test(test_spawn_under_load),
		cmocka_unit_test(test_exec_from_thread_starts_fresh),
	};

	if (argc > 1 && !strcmp(argv[1], "work"))
		return work();
	nr_allowed_cpus();	/* looked up once */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

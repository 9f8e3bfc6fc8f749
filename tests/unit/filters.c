// SPDX-License-Identifier: MIT
/*
 * Seccomp filters that refuse what the library would like to use, or kill who asks: each
 * time the operations work, and the backend is the best that is left. A filter is installed
 * before a program, this one, is started, so that it is there when the library is loaded.
 */
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rseq_op/lock.h>
#include <rseq_op/pool.h>

#include "notify.h"
#include "test.h"

#define KILL		(-1)
#define TRAP		(-2)	/* SIGSYS */
#define THREADS		4
#define ADDS		2000
#define GOOD		40	/* + the backend: the status of a program that worked */
#define MAX_CALLS	4

struct refusal {
	int calls[MAX_CALLS];	/* 0: no more */
	int how;		/* an errno, KILL or TRAP */
	int no_children;	/* the errno for clone(2) that makes a process, or 0 */
};

/* What a program does under a filter. */

static intptr_t words[RSEQ_OP_CPU_MAX][8];

static void *add(void *arg)
{
	uint32_t random = *(uint32_t *)arg;
	int i;

	for (i = 0; i < ADDS; i++) {
		int cpu = next_random(&random) % 8 ? rseq_op_current_cpu() :
			  (int)(next_random(&random) % (unsigned int)rseq_op_nr_cpus());

		if (!rseq_op_cpu_possible(cpu))
			cpu = 0;
		if (rseq_op_addv(&words[cpu][0], 1, cpu))
			return arg;
	}
	return NULL;
}

/* Of a vector with two stores and a comparison, on every CPU. */
static bool vectors_right(void)
{
	intptr_t pair[2];
	int cpu;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		pair[0] = 5, pair[1] = 6;
		if (!rseq_op_cpu_possible(cpu))
			continue;
		if (rseq_op_cmpeqv_storev_storev(&pair[0], 4, &pair[1], 9, 9, cpu) != 1 ||
		    rseq_op_cmpeqv_storev_storev(&pair[0], 5, &pair[1], 8, 7, cpu) ||
		    pair[0] != 7 || pair[1] != 8)
			return false;
	}
	return true;
}

/*
 * Waiters try to store to the lock's word while its holder gives it back by a plain store:
 * whatever the backend does to the word before it compares, it must not undo that.
 */
static struct rseq_op_lock lock;	/* of CPU 0 */
static intptr_t locked_adds;

static void *add_locked(void *arg)
{
	int i;

	for (i = 0; i < ADDS / 4; i++) {
		if (rseq_op_lock_cpu(&lock, 0))
			return arg;
		locked_adds++;
		rseq_op_unlock_cpu(&lock, 0);
	}
	return NULL;
}

static bool run_threads(void *(*run)(void *arg))
{
	uint32_t seeds[THREADS] = { 1, 2, 3, 4 };
	pthread_t t[THREADS];
	bool good = true;
	size_t i;

	for (i = 0; i < THREADS; i++) {
		if (pthread_create(&t[i], NULL, run, &seeds[i]))
			return false;
	}
	for (i = 0; i < THREADS; i++) {
		void *failed;

		good = !pthread_join(t[i], &failed) && !failed && good;
	}
	return good;
}

static bool lock_works(void)
{
	return run_threads(add_locked) && locked_adds == THREADS * (ADDS / 4) && !lock.held;
}

static bool adds_none_lost(void)
{
	intptr_t sum = 0;
	int cpu;

	if (!run_threads(add))
		return false;
	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++)
		sum += words[cpu][0];
	return sum == THREADS * ADDS;
}

/* Memory that is not there, or not to be written, is an error, and nothing else. */
static bool errors_right(void)
{
	long size = sysconf(_SC_PAGESIZE);
	intptr_t *p = mmap(NULL, (size_t)size * 2, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	intptr_t word = 1, one = 1;
	char *second = (char *)p + size;
	struct cpu_op add = cpu_op_add(&word, sizeof(word), 1);
	struct cpu_op add_second = cpu_op_add(second, sizeof(word), 1);
	struct cpu_op equal = cpu_op_compare_eq(second, &one, sizeof(word));
	struct cpu_op store[] = { add, add_second }, read[] = { equal, add, add };
	int cpu = rseq_op_current_cpu();

	return p != MAP_FAILED && !rseq_op(store, 2, cpu, 0) && *(intptr_t *)second == 1 &&
	       !mprotect(second, (size_t)size, PROT_READ) &&
	       rseq_op(store, 2, cpu, 0) == -EFAULT && !rseq_op(read, 3, cpu, 0) &&
	       !munmap(second, (size_t)size) && rseq_op(store, 2, cpu, 0) == -EFAULT &&
	       rseq_op(read, 3, cpu, 0) == -EFAULT && word == 4;
}

static int work(void)
{
	if (!adds_none_lost())
		return 1;
	if (!vectors_right())
		return 2;
	if (!errors_right())
		return 3;
	if (!lock_works())
		return 4;
	return GOOD + (int)rseq_op_backend(NULL);
}

/* A signal handler of the program, which the program does not expect in another process. */
static _Atomic int *handled;	/* in memory that is shared with children */

static void count_signal(int sig)
{
	(void)sig;
	(*handled)++;
}

static int work_trapped(void)
{
	const struct sigaction sa = { .sa_handler = count_signal };
	int ret;

	handled = mmap(NULL, sizeof(*handled), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (handled == MAP_FAILED || sigaction(SIGSYS, &sa, NULL))
		return 127;
	ret = work();
	return *handled ? 5 : ret;
}

/* The process may have no child and no second thread. There is no such limit for root. */
static int work_limited(void)
{
	const struct rlimit none = { 0, 0 };
	int cpu;

	if (setuid(65534))
		return 126;
	if (setrlimit(RLIMIT_NPROC, &none))
		return 127;
	for (cpu = 0; cpu < nr_allowed_cpus(); cpu++) {
		if (rseq_op_addv(&words[0][cpu], 1, allowed_cpu(cpu)) || words[0][cpu] != 1)
			return 1;
	}
	return vectors_right() ? GOOD + (int)rseq_op_backend(NULL) : 2;
}

/* A thread that libc has not registered: its first operation registers it. */
static int work_registered(void)
{
	struct rseq_op_stats stats;
	int cpu = allowed_cpu(0);

	pin_to(cpu);
	if (rseq_op_addv(&words[cpu][0], 1, cpu) || words[cpu][0] != 1)
		return 1;
	rseq_op_stats(&stats, sizeof(stats));
	return stats.unregistered ? 2 : GOOD;
}

/* Where the refusals are made. */

static unsigned int action(int how)
{
	switch (how) {
	case KILL:
		return SECCOMP_RET_KILL_PROCESS;
	case TRAP:
		return SECCOMP_RET_TRAP;
	default:
		return SECCOMP_RET_ERRNO | (unsigned int)how;
	}
}

static bool install(const struct refusal *r)
{
	/* Threads may be made: libc of aarch64 does that by clone(2), too. */
	struct sock_filter code[2 * MAX_CALLS + 8] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, r->no_children ? 4 : 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		r->no_children ?
			(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action(r->no_children)) :
			(struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						     offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog filter = { .len = 6, .filter = code };
	int i;

	for (i = 0; i < MAX_CALLS && r->calls[i]; i++) {
		code[filter.len++] = (struct sock_filter)
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)r->calls[i], 0, 1);
		code[filter.len++] = (struct sock_filter)
			BPF_STMT(BPF_RET | BPF_K, action(r->how));
	}
	code[filter.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static int status_under(const struct refusal *r, const char *what)
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (!pid) {
		alarm(LIMIT_S);
		unsetenv("RSEQ_OP_BACKEND");
		if (r->calls[0] == SYS_rseq)	/* libc would be killed first */
			setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
		if (!(r->calls[0] || r->no_children) || install(r))
			execl("/proc/self/exe", "filters", what, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* A program that was killed. */
	if (!WIFEXITED(status))
		return -WTERMSIG(status);
	return WEXITSTATUS(status);
}

static void check(int call, int call2, int call3, enum rseq_op_backend expected)
{
	static const int hows[] = { ENOSYS, EPERM, KILL };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hows); i++) {
		struct refusal r = { .calls = { call, call2, call3 }, .how = hows[i] };

		print_message("# %d, %d, %d refused: %d\n", call, call2, call3, hows[i]);
		assert_int_equal(status_under(&r, "work"), GOOD + (int)expected);
	}
}

static enum rseq_op_backend best(enum rseq_op_backend otherwise)
{
	return cpu_opv(NULL, 0, 0, CPU_OP_NR_FLAG) > 0 ? RSEQ_OP_BACKEND_KERNEL : otherwise;
}

static void test_cpu_opv_refused(void **state)
{
	(void)state;
	check(__NR_cpu_opv, 0, 0, RSEQ_OP_BACKEND_MEMBARRIER);
}

static void test_membarrier_refused(void **state)
{
	(void)state;
	check(SYS_membarrier, 0, 0, best(RSEQ_OP_BACKEND_AFFINITY));
}

static void test_both_refused(void **state)
{
	(void)state;
	check(SYS_membarrier, __NR_cpu_opv, 0, RSEQ_OP_BACKEND_AFFINITY);
}

static void test_all_refused(void **state)
{
	(void)state;
	check(SYS_membarrier, __NR_cpu_opv, SYS_sched_setaffinity, RSEQ_OP_BACKEND_GUARD);
}

/* A kernel that says that it has no rseq(2) is not asked for cpu_opv(2). */
static void test_rseq_refused(void **state)
{
	const struct refusal no_rseq = { .calls = { SYS_rseq }, .how = ENOSYS };
	const struct refusal refused = { .calls = { SYS_rseq }, .how = EPERM };
	const struct refusal killed = { .calls = { SYS_rseq }, .how = KILL };

	(void)state;
	assert_int_equal(status_under(&no_rseq, "work"), GOOD + RSEQ_OP_BACKEND_MEMBARRIER);
	assert_int_equal(status_under(&refused, "work"), GOOD + best(RSEQ_OP_BACKEND_MEMBARRIER));
	assert_int_equal(status_under(&killed, "work"), GOOD + best(RSEQ_OP_BACKEND_MEMBARRIER));
	check(SYS_rseq, __NR_cpu_opv, 0, RSEQ_OP_BACKEND_MEMBARRIER);
}

/* No child can be made that asks first, so the library asks for nothing that may be refused. */
static void test_clone_refused(void **state)
{
	static const struct refusal refusals[] = {
		{ .no_children = EPERM },
		{ .no_children = ENOSYS, .calls = { __NR_cpu_opv }, .how = ENOSYS },
		{ .no_children = EPERM, .calls = { __NR_cpu_opv, SYS_membarrier }, .how = KILL },
		{ .no_children = EPERM, .how = KILL,
		  .calls = { SYS_sched_setaffinity, SYS_sched_getaffinity } },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(refusals); i++)
		assert_int_equal(status_under(&refusals[i], "work"),
				 GOOD + RSEQ_OP_BACKEND_GUARD);
}

/*
 * A program that sandboxes itself before its first operation that needs the backend. The library was
 * loaded without a filter, so the kernel has said what it has.
 */
static int work_sandboxed(void)
{
	const struct refusal r = { .no_children = EPERM };

	return install(&r) ? work() : 127;
}

/* After the backend is chosen, the library makes no child; nor do pools. */
static int work_alone(void)
{
	const struct refusal r = { .no_children = KILL };
	struct rseq_op_pool *pool;
	void *item;
	int i;

	rseq_op_backend(NULL);
	if (!install(&r))
		return 127;
	if (rseq_op_pool_create(&pool, RSEQ_OP_STRIDE / 2, 0))
		return 6;
	for (i = 0; i < 5; i++) {	/* several ranges */
		if (rseq_op_pool_alloc(pool, &item))
			return 7;
	}
	rseq_op_pool_destroy(pool);
	return work();
}

static void test_clone_refused_after_load_library_works(void **state)
{
	static const struct refusal none;

	(void)state;
	assert_int_equal(status_under(&none, "sandboxed"),
			 GOOD + (int)RSEQ_OP_BACKEND_MEMBARRIER);
	assert_int_equal(status_under(&none, "alone"),
			 GOOD + (int)best(RSEQ_OP_BACKEND_MEMBARRIER));
}

/*
 * Another thread of the program, or a handler, may wait for the child that asks: wait4(2) of the
 * library fails with ECHILD. Here a supervisor makes every second wait4(2) of the program fail so.
 */
struct stolen {
	int listener;
	pid_t pid;
};

static void *start_supervised(void *arg)
{
	struct stolen *s = arg;

	s->listener = notify_install(SYS_wait4);
	s->pid = fork();
	if (!s->pid) {
		alarm(LIMIT_S);
		unsetenv("RSEQ_OP_BACKEND");
		execl("/proc/self/exe", "filters", "work", (char *)NULL);
		_exit(127);
	}
	return NULL;
}

/* Until the process has ended. (Before Linux 6.11 a zombie keeps its filter.) */
static int answer_all(int listener, pid_t pid)
{
	struct pollfd p[2] = {
		{ .fd = listener, .events = POLLIN },
		{ .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN },
	};
	int waits = 0;

	assert_true(p[1].fd >= 0);
	while (poll(p, 2, 1000 * LIMIT_S) > 0 && p[0].revents & POLLIN) {
		struct seccomp_data data;
		uint64_t call = notify_wait(listener, &data);

		notify_answer(listener, call,
			      data.nr == SYS_wait4 && waits++ % 2 == 0 ? ECHILD : 0);
	}
	close(p[1].fd);
	return waits;
}

static void test_child_waited_for_by_others_asked_again(void **state)
{
	struct stolen s;
	pthread_t t;
	int status;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, start_supervised, &s), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_true(s.listener >= 0 && s.pid > 0);
	assert_true(answer_all(s.listener, s.pid) > 0);
	assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
	close(s.listener);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), GOOD + (int)best(RSEQ_OP_BACKEND_MEMBARRIER));
}

/* The kernel that has no rseq(2) has the rest neither; a filter that refuses all, too. */
static void test_everything_refused(void **state)
{
	const struct refusal r = { .calls = { SYS_rseq, SYS_membarrier, __NR_cpu_opv,
				     SYS_sched_setaffinity }, .how = ENOSYS };

	(void)state;
	assert_int_equal(status_under(&r, "work"), GOOD + RSEQ_OP_BACKEND_GUARD);
}

/* The question whether there is a filter is one that a filter may kill for. */
static void test_prctl_refused(void **state)
{
	(void)state;
	check(SYS_prctl, 0, 0, best(RSEQ_OP_BACKEND_MEMBARRIER));
	check(SYS_prctl, __NR_cpu_opv, 0, RSEQ_OP_BACKEND_MEMBARRIER);
	check(SYS_prctl, __NR_cpu_opv, SYS_membarrier, RSEQ_OP_BACKEND_AFFINITY);
}

/* No child can be made to ask, and a filter that kills may be there: the library does not ask. */
static void test_no_more_processes_program_runs(void **state)
{
	static const int calls[] = { SYS_membarrier, __NR_cpu_opv, SYS_rseq };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		const struct refusal r = { .calls = { calls[i] }, .how = KILL };
		int status = status_under(&r, "limited");

		if (status == 126)
			skip_because("this user cannot become another");
		assert_int_equal(status, GOOD + RSEQ_OP_BACKEND_GUARD);
	}
}

/* A filter that sends SIGSYS: the program's handler never sees what the library asks for. */
static void test_trapped_handler_does_not_run(void **state)
{
	const struct refusal r = { .calls = { SYS_membarrier, __NR_cpu_opv }, .how = TRAP };

	(void)state;
	assert_int_equal(status_under(&r, "trapped"), GOOD + RSEQ_OP_BACKEND_AFFINITY);
}

/*
 * Two threads of a child of fork() contend for one CPU, after the parent has run operations. One of
 * them is the thread that forked: the library must not use the thread ID that it kept in the parent.
 */
static intptr_t pair[2];

static void *add_pairs(void *arg)
{
	const struct cpu_op adds[] = { cpu_op_add(&pair[0], sizeof(pair[0]), 1),
				       cpu_op_add(&pair[1], sizeof(pair[1]), 1) };
	int i, cpu;

	for (i = 0; i < ADDS; i++) {
		if (rseq_op(adds, 2, 0, 0))
			return arg;
		/* With RSEQ_OP_FORCE_FALLBACK=1 these are vectors, too. */
		for (cpu = 0; cpu < nr_allowed_cpus(); cpu++) {
			if (rseq_op_addv(&words[cpu][0], 1, allowed_cpu(cpu)))
				return arg;
		}
	}
	return NULL;
}

static int in_forked_child(void)
{
	pthread_t other;
	void *failed;

	alarm(LIMIT_S);
	pair[0] = pair[1] = 0;
	if (pthread_create(&other, NULL, add_pairs, &pair) || add_pairs(&pair) ||
	    pthread_join(other, &failed) || failed)
		return 1;
	return pair[0] != 2 * ADDS || pair[1] != 2 * ADDS;
}

static int work_forked(void)
{
	int status;
	pid_t pid;

	if (add_pairs(&pair))
		return 1;
	pid = fork();
	if (!pid)
		_exit(in_forked_child());
	return pid < 0 || waitpid(pid, &status, 0) != pid || status ? 1 : GOOD;
}

/* Then a child of fork() is not told from its parent. (libc itself dies where madvise(2) kills.) */
static void test_madvise_refused(void **state)
{
	static const int hows[] = { ENOSYS, EPERM, EINVAL };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(hows); i++) {
		struct refusal r = { .calls = { SYS_madvise, __NR_cpu_opv }, .how = hows[i] };

		assert_int_equal(status_under(&r, "work"), GOOD + RSEQ_OP_BACKEND_MEMBARRIER);
		setenv("RSEQ_OP_FORCE_FALLBACK", "1", 1);
		assert_int_equal(status_under(&r, "forked"), GOOD);
		unsetenv("RSEQ_OP_FORCE_FALLBACK");
	}
}

/* A filter refuses the check whether an operand is accessible: the operand is not to blame. */
static int work_late_futex(void)
{
	const struct refusal r = { .calls = { SYS_futex }, .how = ENOSYS };
	struct cpu_op add = cpu_op_add(&pair[0], sizeof(pair[0]), 1);
	struct cpu_op adds[] = { add, cpu_op_expect_fault(add, 0) };

	if (rseq_op(adds, 2, 0, 0))
		return 1;
	pair[0] = 0;
	if (!install(&r))
		return 127;
	return rseq_op(adds, 2, 0, 0) == -ENOSYS && !pair[0] ? GOOD : 2;
}

static void test_futex_refused_is_the_error(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (rseq_op_backend(NULL) == RSEQ_OP_BACKEND_KERNEL)
		skip_because("the backend does not ask");
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid) {
		alarm(LIMIT_S);
		_exit(work_late_futex());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, GOOD << 8);
}

/* A filter that is installed after the backend is chosen need only allow what the backend uses. */
static int work_chosen(void)
{
	const struct refusal r = {
		.calls = { SYS_openat, SYS_clone, SYS_madvise, SYS_mmap }, .how = KILL,
	};

	rseq_op_backend(NULL);
	if (!install(&r))
		return 127;
	return !add_pairs(&pair) && pair[0] == ADDS && pair[1] == ADDS ? GOOD : 1;
}

static void test_refused_after_backend_is_chosen_vectors_run(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid) {
		alarm(LIMIT_S);
		_exit(work_chosen());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, GOOD << 8);
}

/* A program that is linked with the library and runs no operation. */
static void test_load_calls_refused_program_runs(void **state)
{
	static const int calls[] = {
		SYS_prctl, SYS_seccomp, SYS_membarrier, __NR_cpu_opv, SYS_rseq, SYS_madvise,
		SYS_sched_setaffinity, SYS_clone, SYS_clone3, SYS_rt_sigprocmask, SYS_futex,
		SYS_gettid, SYS_getpid, SYS_getcpu, SYS_nanosleep, SYS_wait4, SYS_kcmp, SYS_tkill,
		SYS_tgkill, SYS_kill, SYS_memfd_create, SYS_get_robust_list, SYS_mbind,
		SYS_get_mempolicy, SYS_set_mempolicy, SYS_getdents64, SYS_sched_getaffinity,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		struct refusal r = { .calls = { calls[i] }, .how = KILL };

		print_message("# %d kills\n", calls[i]);
		assert_int_equal(status_under(&r, "load"), GOOD);
	}
}

/*
 * A thread that registers with membarrier(2) when there are several waits for 10 ms or more.
 * Without a filter the process is registered before main() begins.
 */
static long fence_at_start;
static bool filter_at_start;

static void test_load_without_filter_registers_with_membarrier(void **state)
{
	(void)state;
	if (filter_at_start)
		skip_because("this process has a filter");
	if (!(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) &
	      MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ))
		skip_because("no membarrier(2) with RSEQ");
	assert_int_equal(fence_at_start, 0);
}

/*
 * rr and gVisor accept only the original size of struct rseq. Other sizes are EINVAL here.
 * The lower half of the size comes first; the upper half is 0.
 */
static bool install_only_32_bytes(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rseq, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 32, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { .len = ARRAY_SIZE(code), .filter = code };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static void test_only_32_bytes_accepted_thread_is_registered(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_int_not_equal(pid, -1);
	if (!pid) {
		alarm(LIMIT_S);
		setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
		unsetenv("RSEQ_OP_BACKEND");
		if (install_only_32_bytes())
			execl("/proc/self/exe", "filters", "registered", (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, GOOD << 8);
}

/* A process that shuts itself in, after the library has chosen membarrier for its fence. */
static int work_late(int how)
{
	const struct refusal r = { .calls = { SYS_membarrier, __NR_cpu_opv }, .how = how };
	int cpu = allowed_cpu(0);

	pin_to(cpu);
	if (!install(&r))
		return 127;
	if (rseq_op_addv(&words[0][0], 1, cpu) || rseq_op_addv(&words[0][0], 1, !cpu) != -ENOSYS)
		return 1;
	return GOOD + (int)rseq_op_backend(NULL);
}

static void test_refused_later(void **state)
{
	static const int hows[] = { ENOSYS, EPERM, KILL };
	size_t i;

	(void)state;
	if (!rseq_op_cpu_possible(!allowed_cpu(0)))
		skip_because("there is one CPU");
	for (i = 0; i < ARRAY_SIZE(hows); i++) {
		pid_t pid = fork();
		int status;

		assert_int_not_equal(pid, -1);
		if (!pid) {
			alarm(LIMIT_S);
			_exit(work_late(hows[i]));
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, (GOOD + RSEQ_OP_BACKEND_NONE) << 8);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpu_opv_refused),
		cmocka_unit_test(test_membarrier_refused),
		cmocka_unit_test(test_both_refused),
		cmocka_unit_test(test_all_refused),
		cmocka_unit_test(test_rseq_refused),
		cmocka_unit_test(test_clone_refused),
		cmocka_unit_test(test_clone_refused_after_load_library_works),
		cmocka_unit_test(test_child_waited_for_by_others_asked_again),
		cmocka_unit_test(test_everything_refused),
		cmocka_unit_test(test_refused_later),
		cmocka_unit_test(test_prctl_refused),
		cmocka_unit_test(test_no_more_processes_program_runs),
		cmocka_unit_test(test_trapped_handler_does_not_run),
		cmocka_unit_test(test_madvise_refused),
		cmocka_unit_test(test_futex_refused_is_the_error),
		cmocka_unit_test(test_refused_after_backend_is_chosen_vectors_run),
		cmocka_unit_test(test_load_calls_refused_program_runs),
		cmocka_unit_test(test_load_without_filter_registers_with_membarrier),
		cmocka_unit_test(test_only_32_bytes_accepted_thread_is_registered),
	};

	if (argc > 1 && !strcmp(argv[1], "load"))
		return GOOD;
	if (argc > 1 && !strcmp(argv[1], "forked"))
		return work_forked();
	if (argc > 1 && !strcmp(argv[1], "limited"))
		return work_limited();
	if (argc > 1 && !strcmp(argv[1], "trapped"))
		return work_trapped();
	if (argc > 1 && !strcmp(argv[1], "sandboxed"))
		return work_sandboxed();
	if (argc > 1 && !strcmp(argv[1], "alone"))
		return work_alone();
	if (argc > 1 && !strcmp(argv[1], "work"))
		return work();
	filter_at_start = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0;
	fence_at_start = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0);
	if (argc > 1 && !strcmp(argv[1], "registered"))
		return work_registered();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * Tests of guards whose owner does not go on: the owner is stopped, preempted or killed, or it is a
 * thread of the parent, which a forked child does not have.
 *
 * notify.h stops an owner at its fence. There the owner has closed the guard of a CPU and blocked
 * its signals. No test depends on time: each step waits for the state that the previous step must
 * lead to.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "notify.h"
#include "threads.h"

static intptr_t words[2];	/* data of the CPU "there" */
static int here, there;		/* the CPU of the threads; the CPU whose guard they close */

static int set_up(void **state)
{
	(void)state;
	words[0] = words[1] = 0;
	if (nr_allowed_cpus() < 2)
		return 0;
	here = allowed_cpu(0);
	there = allowed_cpu(1);
	pin_to(here);
	return 0;
}

static void need_emulation(void)
{
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_MEMBARRIER)
		skip_because("no emulation by membarrier(2)");
	if (nr_allowed_cpus() < 2)
		skip_because("only one CPU");
}

/* This vector has two stores, so it cannot run as a sequence. */
static int add_both(void)
{
	struct cpu_op ops[2] = {
		cpu_op_add(&words[0], sizeof(intptr_t), 1),
		cpu_op_add(&words[1], sizeof(intptr_t), 2),
	};

	return rseq_op(ops, 2, there, 0);
}

static bool open_to_sequences(void)
{
	return __atomic_load_n(&rseq_op_tags()[there], __ATOMIC_RELAXED) == there;
}

/* A thread or process of a test: its orders and its state. */
struct actor {
	pthread_t thread;
	_Atomic int tid;
	_Atomic int listener;	/* -2: not yet */
	_Atomic bool may_end;
	int fifo;		/* priority; 0: not real-time */
	int ret;
};

static void *be_owner(void *arg)
{
	struct actor *a = arg;

	a->tid = (int)syscall(SYS_gettid);
	a->listener = notify_install(0);
	a->ret = add_both();
	/* The kernel also wakes waiters when a thread ends, which would hide a missing wake-up. */
	while (!a->may_end)
		sleep_ms(1);
	return NULL;
}

static void *be_waiter(void *arg)
{
	struct sched_param param = { .sched_priority = ((struct actor *)arg)->fifo };
	struct actor *a = arg;

	a->ret = 1;
	a->tid = (int)syscall(SYS_gettid);
	if (a->fifo && pthread_setschedparam(pthread_self(), SCHED_FIFO, &param))
		return NULL;
	a->ret = add_both();
	return NULL;
}

static void start(struct actor *a, void *(*run)(void *arg))
{
	a->tid = 0;
	a->listener = -2;
	a->may_end = false;
	assert_int_equal(pthread_create(&a->thread, NULL, run, a), 0);
}

/* Wait until the owner has closed the guard. Returns the system call that it is stopped in. */
static uint64_t wait_for_owner(struct actor *a)
{
	uint64_t call;

	while (a->listener == -2)
		sleep_ms(1);
	assert_true(a->listener >= 0);
	call = notify_wait(a->listener, NULL);
	assert_false(open_to_sequences());
	return call;
}

/* A line of /proc/self/task/<tid>/<name>. */
static void read_line(int tid, const char *name, char *line, size_t size)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, name);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, (int)size, f));
	fclose(f);
}

static void wait_until_asleep_in_futex(const struct actor *a)
{
	char line[200];

	do {
		sleep_ms(1);
		if (!a->tid)
			continue;
		read_line(a->tid, "syscall", line, sizeof(line));
	} while (!a->tid || atoi(line) != SYS_futex);
}

/* As the scheduler sees it now: -2 for real-time priority 1, 0 to 39 for others. */
static int priority_of(int tid)
{
	char line[1000], *p;
	int field;

	read_line(tid, "stat", line, sizeof(line));
	p = strrchr(line, ')');		/* of field 2 */
	for (field = 3; p && field <= 18; field++)
		p = strchr(p + 1, ' ');
	assert_non_null(p);
	return atoi(p);
}

static void let_owner_go_on(struct actor *a, uint64_t call)
{
	notify_answer(a->listener, call, 0);
	/* Where the processor reorders loads the owner calls a second fence: guard.c, A: (e). */
	if (RSEQ_OP_LOADS_PASS_LOADS)
		notify_answer(a->listener, notify_wait(a->listener, NULL), 0);
}

static void join_owner(struct actor *a)
{
	a->may_end = true;
	assert_int_equal(pthread_join(a->thread, NULL), 0);
	assert_int_equal(a->ret, 0);
	close(a->listener);
}

static void check_words(intptr_t times)
{
	assert_int_equal(words[0], times);
	assert_int_equal(words[1], 2 * times);
	assert_true(open_to_sequences());
}

static void test_owner_stopped_waiters_all_go_on_when_it_does(void **state)
{
	struct actor owner = { 0 }, waiter[4] = { { 0 } };
	uint64_t call;
	int i;

	(void)state;
	need_emulation();
	start(&owner, be_owner);
	call = wait_for_owner(&owner);
	for (i = 0; i < 4; i++)
		start(&waiter[i], be_waiter);
	for (i = 0; i < 4; i++)
		wait_until_asleep_in_futex(&waiter[i]);
	assert_int_equal(words[0], 0);
	let_owner_go_on(&owner, call);
	for (i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(waiter[i].thread, NULL), 0);
		assert_int_equal(waiter[i].ret, 0);
	}
	join_owner(&owner);
	check_words(5);
}

static void test_owner_stopped_realtime_waiter_lends_priority(void **state)
{
	struct actor owner = { 0 }, waiter = { .fifo = 10 };
	struct sched_param param = { .sched_priority = 10 };
	uint64_t call;

	(void)state;
	need_emulation();
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		skip_because("no right to real-time priorities");
	param.sched_priority = 0;
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &param), 0);
	start(&owner, be_owner);
	call = wait_for_owner(&owner);
	assert_true(priority_of(owner.tid) >= 0);
	start(&waiter, be_waiter);
	wait_until_asleep_in_futex(&waiter);
	while (priority_of(owner.tid) != -1 - waiter.fifo)
		sleep_ms(1);
	let_owner_go_on(&owner, call);
	assert_int_equal(pthread_join(waiter.thread, NULL), 0);
	assert_int_equal(waiter.ret, 0);
	join_owner(&owner);
	check_words(2);
}

/* A process that shares memory, as a child of vfork() does, and its files, for notify.h. */

static struct actor child_actor;

static int be_child(void *arg)
{
	be_owner(arg);
	syscall(SYS_exit, 1);
	return 0;
}

static pid_t start_child(void)
{
	static _Alignas(16) char stack[1 << 16];
	pid_t pid;

	child_actor = (struct actor){ .listener = -2, .may_end = true };
	pid = clone(be_child, stack + sizeof(stack), CLONE_VM | CLONE_FILES | SIGCHLD, &child_actor);
	assert_true(pid > 0);
	return pid;
}

/* Kill the child, and leave it a zombie. */
static void kill_child(pid_t pid)
{
	siginfo_t info;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_code, CLD_KILLED);
}

static void reap(pid_t pid)
{
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(child_actor.listener);
}

/* Let a child close the guard and die. Returns the child, which is a zombie. */
static pid_t leave_dead_owner(void)
{
	pid_t pid = start_child();

	wait_for_owner(&child_actor);
	kill_child(pid);
	return pid;
}

static void test_owner_process_killed_next_vector_takes_over(void **state)
{
	int reaped;

	(void)state;
	need_emulation();
	for (reaped = 0; reaped < 2; reaped++) {
		pid_t pid = leave_dead_owner();

		assert_false(open_to_sequences());
		if (reaped)
			reap(pid);
		assert_int_equal(add_both(), 0);
		if (!reaped)
			reap(pid);
		check_words(reaped + 1);
	}
}

static void test_owner_process_killed_sleeping_waiters_take_over(void **state)
{
	struct actor waiter[3] = { { 0 } };
	pid_t pid;
	int i;

	(void)state;
	need_emulation();
	pid = start_child();
	wait_for_owner(&child_actor);
	for (i = 0; i < 3; i++)
		start(&waiter[i], be_waiter);
	for (i = 0; i < 3; i++)
		wait_until_asleep_in_futex(&waiter[i]);
	kill_child(pid);
	for (i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(waiter[i].thread, NULL), 0);
		assert_int_equal(waiter[i].ret, 0);
	}
	reap(pid);
	check_words(3);
}

/* The next caller's operation would normally run as a sequence, or with a lease. */
static void test_owner_process_killed_typed_operation_takes_over(void **state)
{
	bool on_it;

	(void)state;
	need_emulation();
	for (on_it = false;; on_it = true) {
		pid_t pid = leave_dead_owner();

		pin_to(on_it ? there : here);
		words[0] = 5;
		assert_int_equal(rseq_op_addv(&words[0], 3, there), 0);
		assert_int_equal(words[0], 8);
		assert_true(open_to_sequences());
		assert_int_equal(words[1], 0);
		reap(pid);
		if (on_it)
			break;
	}
	pin_to(here);
}

static void test_owner_process_killed_fence_ends(void **state)
{
	pid_t pid;

	(void)state;
	need_emulation();
	pid = leave_dead_owner();
	assert_int_equal(rseq_op_fence_all(), 0);
	assert_true(open_to_sequences());
	reap(pid);
	pid = leave_dead_owner();
	assert_int_equal(rseq_op_fence(there), 0);
	assert_true(open_to_sequences());
	reap(pid);
	check_words(0);
}

/*
 * The owner's thread alone ends: a filter kills the thread at its fence. The process goes on. The
 * thread is not joined: no libc can know that it has ended.
 */

static bool kill_at_fence(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { .len = ARRAY_SIZE(code), .filter = code };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

static void *be_killed(void *arg)
{
	struct actor *a = arg;

	a->tid = (int)syscall(SYS_gettid);
	if (kill_at_fence())
		add_both();
	a->ret = 1;	/* it lives */
	return NULL;
}

static void wait_until_dead(const struct actor *a)
{
	while (!a->tid || !syscall(SYS_tgkill, getpid(), a->tid, 0)) {
		assert_int_equal(__atomic_load_n(&a->ret, __ATOMIC_RELAXED), 0);
		sleep_ms(1);
	}
}

static void test_owner_thread_killed_others_go_on(void **state)
{
	static struct actor owner;
	int i;

	(void)state;
	need_emulation();
	for (i = 0; i < 3; i++) {
		owner.ret = 0;
		start(&owner, be_killed);
		wait_until_dead(&owner);
		assert_false(open_to_sequences());
		if (i == 0)
			assert_int_equal(add_both(), 0);
		else if (i == 1)
			assert_int_equal(rseq_op_addv(&words[0], 1, there), 0);
		else
			assert_int_equal(rseq_op_fence_all(), 0);
		assert_true(open_to_sequences());
	}
	assert_int_equal(words[0], 2);
	assert_int_equal(words[1], 2);
}

/*
 * A waiter learns that the owner is dead (ESRCH), and before the waiter takes the lock, a second
 * waiter takes it:
 *
 *	first waiter			second waiter
 *	load lock: dead owner
 *	FUTEX_LOCK_PI: begins
 *					takes the lock, is stopped at its fence
 *	FUTEX_LOCK_PI: ESRCH
 *	must not take the lock
 *
 * notify.h stops the first waiter in FUTEX_LOCK_PI, and answers ESRCH in place of the kernel.
 */

static void *be_waiter_in_futex(void *arg)
{
	struct actor *a = arg;

	a->tid = (int)syscall(SYS_gettid);
	a->listener = notify_install(SYS_futex);
	a->ret = add_both();
	return NULL;
}

/* The first waiter makes other calls of futex(2), too: with them it accesses operands. */
static uint64_t wait_for_lock_pi(const struct actor *a)
{
	struct seccomp_data data;

	for (;;) {
		uint64_t call = notify_wait(a->listener, &data);

		assert_int_equal(data.nr, SYS_futex);	/* not membarrier(2): it has the lock */
		if ((data.args[1] & FUTEX_CMD_MASK) == FUTEX_LOCK_PI)
			return call;
		notify_answer(a->listener, call, 0);
	}
}

static void answer_all(const struct actor *a)
{
	struct pollfd p = { .fd = a->listener, .events = POLLIN };

	while (poll(&p, 1, 1000 * LIMIT_S) == 1 && !(p.revents & POLLHUP))
		notify_answer(a->listener, notify_wait(a->listener, NULL), 0);
}

static void test_owner_dead_two_waiters_one_takes_over(void **state)
{
	struct actor first = { 0 }, second = { 0 };
	uint64_t call, fence;
	pid_t pid;

	(void)state;
	need_emulation();
	pid = leave_dead_owner();
	reap(pid);
	start(&first, be_waiter_in_futex);
	while (first.listener == -2)
		sleep_ms(1);
	call = wait_for_lock_pi(&first);
	start(&second, be_owner);
	fence = wait_for_owner(&second);
	notify_answer(first.listener, call, ESRCH);
	notify_answer(first.listener, wait_for_lock_pi(&first), 0);
	let_owner_go_on(&second, fence);
	answer_all(&first);
	assert_int_equal(pthread_join(first.thread, NULL), 0);
	assert_int_equal(first.ret, 0);
	close(first.listener);
	join_owner(&second);
	check_words(2);
}

/*
 * A new thread gets the ID of the dead owner. The kernel regards the new thread as the owner, so
 * waiters wait for it. When the new thread wants the guard itself, it must take the guard, and wake
 * the waiters when it releases the guard, not only when it ends.
 */

#define NAMESAKE_TRIES	1000

static _Atomic int may_run, wanted_tid;

static void *be_namesake(void *arg)
{
	struct actor *a = arg;

	a->tid = (int)syscall(SYS_gettid);
	while (a->tid == wanted_tid && !may_run)
		sleep_ms(1);
	if (a->tid == wanted_tid)
		a->ret = add_both();
	while (a->tid == wanted_tid && !a->may_end)
		sleep_ms(1);
	return NULL;
}

/* Start threads until one of them gets the ID. */
static bool start_namesake(struct actor *a, int tid)
{
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	bool found = false;
	char last[20];
	int i, len;

	if (fd < 0)
		return false;
	len = snprintf(last, sizeof(last), "%d", tid - 1);
	wanted_tid = tid;
	may_run = 0;
	for (i = 0; i < NAMESAKE_TRIES && !found; i++) {
		if (pwrite(fd, last, (size_t)len, 0) != len)
			break;
		start(a, be_namesake);
		while (!a->tid)
			sched_yield();
		found = a->tid == tid;
		if (!found)
			pthread_join(a->thread, NULL);
	}
	close(fd);
	return found;
}

static void test_owner_id_used_again_waiters_go_on(void **state)
{
	struct actor namesake = { 0 }, waiter = { 0 };
	pid_t pid;

	(void)state;
	need_emulation();
	pid = leave_dead_owner();
	reap(pid);
	if (!start_namesake(&namesake, pid)) {
		assert_int_equal(add_both(), 0);
		skip_because("no thread gets the ID of another that has ended");
	}
	start(&waiter, be_waiter);
	wait_until_asleep_in_futex(&waiter);
	may_run = 1;
	assert_int_equal(pthread_join(waiter.thread, NULL), 0);
	assert_int_equal(waiter.ret, 0);
	namesake.may_end = true;
	assert_int_equal(pthread_join(namesake.thread, NULL), 0);
	assert_int_equal(namesake.ret, 0);
	check_words(2);
}

/* fork() while another thread owns the guard. */

static pid_t fork_raw(void)
{
#ifdef __aarch64__
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#else
	return (pid_t)syscall(SYS_fork);
#endif
}

static pid_t fork_of_libc(void)
{
	return fork();
}

#ifdef __GLIBC__
# if __GLIBC_PREREQ(2, 34)
#  define HAVE__FORK
# endif
#endif
#ifdef HAVE__FORK
# define fork_without_handlers _Fork
#else
# define fork_without_handlers fork_raw
#endif

/* With RSEQ_OP_TRY, this vector runs as a sequence or fails. */
static int try_to_add(void)
{
	struct cpu_op add = cpu_op_add(&words[0], sizeof(intptr_t), 1);

	return rseq_op(&add, 1, there, RSEQ_OP_TRY);
}

/* The CPU is closed. Operations with RSEQ_OP_TRY must open it without help by any other. */
static int try_in_child(void)
{
	int ret, tries = 0;

	pin_to(there);
	do
		ret = try_to_add();
	while (ret == -EAGAIN && ++tries < 1000);
	return ret || words[0] != 1 || !open_to_sequences();
}

static int in_child(void)
{
	if (add_both() || words[0] != 1 || words[1] != 2)
		return 1;
	if (!open_to_sequences())
		return 2;
	if (rseq_op_addv(&words[0], 1, there) || words[0] != 2)
		return 3;
	pin_to(there);
	if (rseq_op_addv(&words[0], 1, there) || words[0] != 3)
		return 4;
	return rseq_op_fence_all() ? 5 : 0;
}

static void test_fork_guard_owned_by_another_thread_child_goes_on(void **state)
{
	pid_t (*const forks[])(void) = { fork_of_libc, fork_raw, fork_without_handlers };
	struct actor owner = { 0 };
	uint64_t call;
	size_t i;

	(void)state;
	need_emulation();
	start(&owner, be_owner);
	call = wait_for_owner(&owner);
	for (i = 0; i < ARRAY_SIZE(forks); i++) {
		pid_t pid = forks[i]();
		int status;

		assert_int_not_equal(pid, -1);
		if (!pid) {
			alarm(LIMIT_S);
			_exit(in_child());
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);	/* 14, SIGALRM: the child waits for the owner */
	}
	/* The parent's guard is as it was. */
	assert_false(open_to_sequences());
	assert_int_equal(words[0], 0);
	let_owner_go_on(&owner, call);
	join_owner(&owner);
	check_words(1);
}

static void test_fork_guard_owned_by_another_thread_child_tries(void **state)
{
	struct actor owner = { 0 };
	uint64_t call;
	int status;
	pid_t pid;

	(void)state;
	need_emulation();
	start(&owner, be_owner);
	call = wait_for_owner(&owner);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid) {
		alarm(LIMIT_S);
		_exit(try_in_child());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	let_owner_go_on(&owner, call);
	join_owner(&owner);
	check_words(1);
}

/*
 * The child runs a vector for another CPU, and so gets its own incarnation (incarnation.c). Then
 * the child forks. In the grandchild the lock is as the grandparent left it.
 */
static int in_child_that_forks(void)
{
	struct cpu_op ops[2] = {
		cpu_op_add(&words[0], sizeof(intptr_t), 1),
		cpu_op_add(&words[0], sizeof(intptr_t), -1),
	};
	int status;
	pid_t pid;

	if (rseq_op(ops, 2, here, 0) || open_to_sequences())
		return 10;
	pid = fork();
	if (!pid) {
		alarm(LIMIT_S);
		_exit(in_child());
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		return 11;
	return in_child();
}

static void test_fork_of_a_fork_grandchild_goes_on(void **state)
{
	struct actor owner = { 0 };
	uint64_t call;
	int status;
	pid_t pid;

	(void)state;
	need_emulation();
	start(&owner, be_owner);
	call = wait_for_owner(&owner);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid) {
		alarm(2 * LIMIT_S);
		_exit(in_child_that_forks());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	let_owner_go_on(&owner, call);
	join_owner(&owner);
	check_words(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_owner_stopped_waiters_all_go_on_when_it_does, set_up),
		cmocka_unit_test_setup(test_owner_stopped_realtime_waiter_lends_priority, set_up),
		cmocka_unit_test_setup(test_owner_process_killed_next_vector_takes_over, set_up),
		cmocka_unit_test_setup(test_owner_process_killed_sleeping_waiters_take_over,
				       set_up),
		cmocka_unit_test_setup(test_owner_process_killed_typed_operation_takes_over,
				       set_up),
		cmocka_unit_test_setup(test_owner_process_killed_fence_ends, set_up),
		cmocka_unit_test_setup(test_owner_thread_killed_others_go_on, set_up),
		cmocka_unit_test_setup(test_owner_dead_two_waiters_one_takes_over, set_up),
		cmocka_unit_test_setup(test_owner_id_used_again_waiters_go_on, set_up),
		cmocka_unit_test_setup(test_fork_guard_owned_by_another_thread_child_goes_on,
				       set_up),
		cmocka_unit_test_setup(test_fork_guard_owned_by_another_thread_child_tries, set_up),
		cmocka_unit_test_setup(test_fork_of_a_fork_grandchild_goes_on, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * A supervisor sees each system call that the backend makes for a thread, before it is
 * carried out, and changes data just then, or refuses it.
 */
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake-list.h"
#include "notify.h"
#include "threads.h"

/* What is done at the n-th call: 0, an errno to refuse it with, or INTERRUPTED. */
typedef int (*meddle_fn)(int n);

/* A signal has interrupted the call, so nobody waits for an answer. */
#define INTERRUPTED	(-1)

static void need_calls(void)
{
	enum rseq_op_backend backend = rseq_op_backend(NULL);

	if (backend != RSEQ_OP_BACKEND_KERNEL && backend != RSEQ_OP_BACKEND_MEMBARRIER)
		skip_because("neither cpu_opv(2) nor membarrier(2)");
	if (nr_allowed_cpus() < 2)
		skip_because("only one CPU");
}

static int calls_per_vector(void)
{
	return rseq_op_backend(NULL) == RSEQ_OP_BACKEND_MEMBARRIER && RSEQ_OP_LOADS_PASS_LOADS ?
		2 : 1;
}

/* Of the calling thread; the file to supervise it with, or -1. */
static int install_filter(void)
{
	const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_cpu_opv, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return notify_install_filter(code, ARRAY_SIZE(code));
}

/* Calls that are not counted: registrations for fences, and files that are opened. */
static int registrations;
static const char *possible_cpus;	/* what is read as that list, or NULL: what is there */

/* The supervisor is of the same process. */
static bool replace_file(int listener, const struct seccomp_notif *call)
{
	struct seccomp_notif_addfd addfd = { .id = call->id, .flags = SECCOMP_ADDFD_FLAG_SEND };
	int fd = -1;

	if (possible_cpus)
		fd = fake_list_open((const char *)(uintptr_t)call->data.args[1], possible_cpus);
	if (fd < 0)
		return false;
	addfd.srcfd = (uint32_t)fd;
	assert_true(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd) >= 0);
	close(fd);
	return true;
}

static bool is_counted(const struct seccomp_notif *call)
{
	bool registration = call->data.nr == SYS_membarrier &&
		call->data.args[0] == MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ;

	registrations += registration;
	return !registration && call->data.nr != SYS_openat;
}

static struct seccomp_data last_call;	/* that was counted */

/* Answers the next call. n: how many have been counted. */
static void answer(int listener, int *n, meddle_fn meddle)
{
	struct seccomp_notif call = { 0 };
	struct seccomp_notif_resp response = { 0 };
	int error = 0;

	assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call), 0);
	if (call.data.nr == SYS_openat && replace_file(listener, &call))
		return;
	response.id = call.id;
	if (is_counted(&call)) {
		last_call = call.data;
		error = meddle((*n)++);
	}
	if (error == INTERRUPTED)
		return;
	response.error = -error;
	if (!error)
		response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response), 0);
}

struct supervised {
	int (*run)(void);
	int ret;
	_Atomic int listener;	/* -2: not yet */
};

static pthread_t supervised_thread;

static void *supervised_main(void *arg)
{
	struct supervised *s = arg;

	pin_to(allowed_cpu(0));
	s->listener = install_filter();
	s->ret = s->run();
	return NULL;
}

/* Until the thread has ended. Returns what run() does. */
static int supervise(int (*run)(void), meddle_fn meddle)
{
	struct supervised s = { .run = run, .listener = -2 };
	struct pollfd p;
	pthread_t t;
	int n = 0;

	assert_int_equal(pthread_create(&t, NULL, supervised_main, &s), 0);
	supervised_thread = t;
	while (s.listener == -2)
		sleep_ms(1);
	assert_true(s.listener >= 0);
	for (p = (struct pollfd){ s.listener, POLLIN, 0 }; poll(&p, 1, 60000) == 1 &&
	     !(p.revents & POLLHUP);)
		answer(s.listener, &n, meddle);
	assert_int_equal(pthread_join(t, NULL), 0);
	close(s.listener);
	return s.ret;
}

/*
 * A pointer that has changed whenever what it leads to is to be changed, and is what it was
 * when it is looked at again, leads somewhere all the same. There are two on the way.
 */

#define CHANGES	150

static intptr_t first, second, to_first, to_second, pointer;

static int add_behind_pointer(void)
{
	return rseq_op_offset_deref_addv(&pointer, 0, 1, allowed_cpu(1));
}

/* One vector looks at the pointer, one at the next, the third follows both. */
static void change(int n, intptr_t *word, intptr_t *is, intptr_t *while_followed)
{
	int vector = n / calls_per_vector();
	bool follows = vector % 3 == 2 && vector < 3 * CHANGES;

	if (n % calls_per_vector() == 0)
		__atomic_store_n(word, (intptr_t)(follows ? while_followed : is),
				 __ATOMIC_RELAXED);
}

static int change_pointer(int n)
{
	change(n, &pointer, &to_first, &to_second);
	return 0;
}

static int change_next(int n)
{
	change(n, &to_first, &first, &second);
	return 0;
}

/*
 * The same where it leads nowhere each time, and has changed the next time: more often than
 * one that stays is followed. The vector that finds nowhere makes a call only by cpu_opv(2).
 */
static void lead_nowhere(int n, intptr_t *word, intptr_t *in_the_end, int vectors)
{
	bool by_kernel = rseq_op_backend(NULL) == RSEQ_OP_BACKEND_KERNEL;
	int attempt = n / calls_per_vector() / (by_kernel ? vectors : vectors - 1);

	__atomic_store_n(word, attempt < CHANGES ? 64 + 64 * (attempt % 2) : (intptr_t)in_the_end,
			 __ATOMIC_RELAXED);
}

static int lead_pointer_nowhere(int n)
{
	lead_nowhere(n, &pointer, &to_first, 2);
	return 0;
}

static int lead_next_nowhere(int n)
{
	lead_nowhere(n, &to_first, &first, 3);
	return 0;
}

static void check_followed(meddle_fn meddle)
{
	first = second = 0;
	to_first = (intptr_t)&first;
	to_second = (intptr_t)&second;
	pointer = (intptr_t)&to_first;
	assert_int_equal(supervise(add_behind_pointer, meddle), 0);
	assert_int_equal(first, 1);
	assert_int_equal(second, 0);
}

static void test_pointer_that_changes_back_is_followed(void **state)
{
	(void)state;
	need_calls();
	check_followed(change_pointer);
	check_followed(change_next);
	check_followed(lead_pointer_nowhere);
	check_followed(lead_next_nowhere);
}

/* A pointer that stays, and leads nowhere, is an error in the end. */
static int leave_alone(int n)
{
	(void)n;
	return 0;
}

static void test_pointer_to_nowhere_efault(void **state)
{
	(void)state;
	need_calls();
	pointer = 64;
	assert_int_equal(supervise(add_behind_pointer, leave_alone), -EFAULT);
	assert_int_equal(pointer, 64);
	pointer = (intptr_t)&to_first;
	to_first = 64;
	assert_int_equal(supervise(add_behind_pointer, leave_alone), -EFAULT);
	assert_int_equal(to_first, 64);
}

/*
 * Where loads pass loads, the second fence of a vector is refused: no sequence begins on
 * that CPU until a vector has had both.
 */

static intptr_t word;

static int add_from_elsewhere(void)
{
	return rseq_op_addv(&word, 1, allowed_cpu(1));
}

static int refuse_second(int n)
{
	return n == 1 ? ENOSYS : 0;
}

static uint64_t closed(void)
{
	struct rseq_op_stats stats;

	rseq_op_stats(&stats, sizeof(stats));
	return stats.closed;
}

static void test_second_fence_refused_no_sequences(void **state)
{
	uint64_t before;

	(void)state;
	need_calls();
	if (calls_per_vector() != 2)
		skip_because("no second fence here");
	word = 0;
	assert_int_equal(supervise(add_from_elsewhere, refuse_second), 0);
	pin_to(allowed_cpu(1));
	before = closed();
	assert_int_equal(add_from_elsewhere(), 0);
	assert_int_equal(closed() - before, 1);
	assert_int_equal(add_from_elsewhere(), 0);
	assert_int_equal(closed() - before, 1);
	assert_int_equal(word, 3);
	unpin();
}

/*
 * What others may do while a thread of the emulation is stopped in the fence, which is in the
 * middle of its operation for another CPU:
 *
 *	supervised thread, CPU 0	main thread		others, CPU 1
 *	operation for CPU 1: closes
 *	it, or has a lease of it
 *	fence				meddles: starts		operations for CPU 1
 *					others, or a signal
 *	goes on
 */

static intptr_t pair[2];

static void need_emulation(void)
{
	need_calls();
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_MEMBARRIER)
		skip_because("the emulation is not used for CPUs");
	if (getenv("RSEQ_OP_FORCE_FALLBACK"))
		skip_because("an operation may be a vector without need");
	pair[0] = pair[1] = word = 0;
	alarm(LIMIT_S);		/* whoever waits for ever ends the test */
}

/* Two stores: it closes the CPU. */
static int add_both(void)
{
	const struct cpu_op adds[] = { cpu_op_add(&pair[0], sizeof(pair[0]), 1),
				       cpu_op_add(&pair[1], sizeof(pair[1]), 1) };

	return rseq_op(adds, 2, allowed_cpu(1), 0);
}

struct other {
	pthread_t thread;
	_Atomic int tid;
	int ret;
	intptr_t found;		/* the second word of the pair, as the operation found it */
};

/* One store, on its own CPU: a sequence, but for the closed CPU. */
static void *fetch_on_its_cpu(void *arg)
{
	struct other *o = arg;

	pin_to(allowed_cpu(1));
	o->tid = (int)syscall(SYS_gettid);
	o->ret = rseq_op_fetch_addv(&pair[1], 100, &o->found, allowed_cpu(1));
	return NULL;
}

static void start_other(struct other *o)
{
	assert_int_equal(pthread_create(&o->thread, NULL, fetch_on_its_cpu, o), 0);
	while (!o->tid)
		sleep_ms(1);
}

static struct other others[2];

static int others_wait(int n)
{
	int i;

	if (n)
		return 0;
	for (i = 0; i < 2; i++) {
		start_other(&others[i]);
		while (call_of_sleeper(others[i].tid) != SYS_futex)
			sleep_ms(1);
	}
	return 0;
}

/* Two threads sleep until the guard opens: both are woken, and counted for this reason. */
static void test_waiters_for_a_vector_are_woken(void **state)
{
	uint64_t before = closed();
	int i;

	(void)state;
	need_emulation();
	memset(others, 0, sizeof(others));
	assert_int_equal(supervise(add_both, others_wait), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(others[i].thread, NULL), 0);
		assert_int_equal(others[i].ret, 0);
	}
	assert_int_equal(others[0].found + others[1].found, 1 + 101);
	assert_int_equal(pair[0], 1);
	assert_int_equal(pair[1], 201);
	assert_int_equal(closed() - before, 2);
	alarm(0);
}

static int fetch_from_elsewhere(void)
{
	intptr_t old = -1;
	int ret = rseq_op_fetch_addv(&pair[1], 1, &old, allowed_cpu(1));

	pair[0] = old;
	return ret;
}

static int others_do_not_wait(int n)
{
	if (!n) {
		start_other(&others[0]);
		assert_int_equal(pthread_join(others[0].thread, NULL), 0);
	}
	return 0;
}

/* An operation that could be a sequence keeps nobody waiting, even while it is stopped. */
static void test_stopped_lease_keeps_nobody_waiting(void **state)
{
	(void)state;
	need_emulation();
	memset(others, 0, sizeof(others));
	assert_int_equal(supervise(fetch_from_elsewhere, others_do_not_wait), 0);
	assert_int_equal(others[0].ret, 0);
	assert_int_equal(others[0].found, 0);
	assert_int_equal(pair[0], 100);		/* what the stopped one found, when it went on */
	assert_int_equal(pair[1], 101);
	alarm(0);
}

/*
 * rseq_op_fence() takes a lease away: the sequence that has it may run on any CPU, and the fence is
 * for one.
 */
static int fence_meanwhile(int n)
{
	const int64_t *tag = &rseq_op_tags()[allowed_cpu(1)];

	if (n)
		return 0;
	assert_int_not_equal(__atomic_load_n(tag, __ATOMIC_RELAXED), allowed_cpu(1));
	assert_int_equal(rseq_op_fence(allowed_cpu(1)), 0);
	assert_int_equal(__atomic_load_n(tag, __ATOMIC_RELAXED), allowed_cpu(1));
	return 0;
}

static void test_fence_takes_lease_away(void **state)
{
	(void)state;
	need_emulation();
	assert_int_equal(supervise(fetch_from_elsewhere, fence_meanwhile), 0);
	assert_int_equal(pair[0], 0);
	assert_int_equal(pair[1], 1);
	alarm(0);
}

/* A fence that is refused is the error of the operation: nothing is stored, nothing stays closed. */

static int refuse(int n)
{
	(void)n;
	return EPERM;
}

static int fence_of_other_cpu(void)
{
	return rseq_op_fence(allowed_cpu(1));
}

/* For an ID of another thread. The kernel may change the one of this thread: then once more. */
static int add_by_id(void)
{
	int cid, ret;

	do {
		cid = rseq_op_current_cid();
		ret = rseq_op_addv_cid(&pair[0], 1, (cid + 1) % rseq_op_nr_cpus());
	} while (rseq_op_current_cid() != cid);
	return ret;
}

/*
 * A fence for one CPU reaches that CPU. Where the thread runs that has a concurrency ID is not
 * known, so a fence for an ID reaches all.
 */

static bool by_membarrier_for_all(void)
{
	return last_call.nr == SYS_membarrier && !(last_call.args[1] & MEMBARRIER_CMD_FLAG_CPU);
}

static void test_fence_reaches_the_place(void **state)
{
	static int (*const for_cpu[])(void) = {
		add_both, fetch_from_elsewhere, fence_of_other_cpu,
	};
	size_t i;

	(void)state;
	need_emulation();
	for (i = 0; i < ARRAY_SIZE(for_cpu); i++) {
		last_call.nr = -1;
		assert_int_equal(supervise(for_cpu[i], leave_alone), 0);
		assert_int_equal(last_call.nr, SYS_membarrier);
		assert_true(by_membarrier_for_all() ||
			    (int)last_call.args[2] == allowed_cpu(1));
	}
	last_call.nr = -1;
	assert_int_equal(supervise(add_by_id, leave_alone), 0);
	assert_true(by_membarrier_for_all());
	last_call.nr = -1;
	assert_int_equal(supervise(rseq_op_fence_all, leave_alone), 0);
	assert_true(by_membarrier_for_all());
	alarm(0);
}

static int (*refused)(void);

static int refused_leaves_errno_alone(void)
{
	int ret;

	errno = 1234;
	ret = refused();
	return errno == 1234 ? ret : 77;
}

static void test_refused_fence_is_the_error(void **state)
{
	static int (*const operations[])(void) = {
		add_both, add_from_elsewhere, fence_of_other_cpu, rseq_op_fence_all, add_by_id,
	};
	uint64_t before;
	size_t i;

	(void)state;
	need_emulation();
	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		refused = operations[i];
		assert_int_equal(supervise(refused_leaves_errno_alone, refuse), -EPERM);
	}
	assert_true(!pair[0] && !pair[1] && !word);
	pin_to(allowed_cpu(1));
	before = closed();
	for (i = 0; i < 10; i++)
		assert_int_equal(rseq_op_addv(&word, 1, allowed_cpu(1)), 0);
	assert_int_equal(word, 10);
	assert_int_equal(closed(), before);
	unpin();
	alarm(0);
}

/*
 * Signals
 */

static sigjmp_buf out;
static bool jumps;
static volatile sig_atomic_t handled;
static volatile intptr_t seen[2];

/* An operation on the same data. */
static void on_signal(int sig)
{
	(void)sig;
	seen[0] = pair[0];
	seen[1] = pair[1];
	if (!rseq_op_addv(&pair[1], 1000, allowed_cpu(1)))
		handled++;
	if (jumps)
		siglongjmp(out, 1);
}

static int signal_once(int n)
{
	return n || pthread_kill(supervised_thread, SIGUSR1) ? 0 : INTERRUPTED;
}

static int signal_blocked(int n)
{
	if (!n)
		pthread_kill(supervised_thread, SIGUSR1);
	return 0;
}

static void set_up_signals(bool jump)
{
	const struct sigaction action = { .sa_handler = on_signal };

	need_emulation();
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	jumps = jump;
	handled = 0;
}

/* Operations for the CPU work, and are sequences on it. */
static void check_open(intptr_t found)
{
	uint64_t before;

	memset(others, 0, sizeof(others));
	start_other(&others[0]);
	assert_int_equal(pthread_join(others[0].thread, NULL), 0);
	assert_int_equal(others[0].ret, 0);
	assert_int_equal(others[0].found, found);
	assert_int_equal(rseq_op_fence(allowed_cpu(1)), 0);
	assert_int_equal(rseq_op_fence_all(), 0);
	pin_to(allowed_cpu(1));
	before = closed();
	assert_int_equal(rseq_op_addv(&pair[1], 1, allowed_cpu(1)), 0);
	assert_int_equal(closed(), before);
	unpin();
	alarm(0);
}

/* The handler interrupts the operation, which then goes on. */
static void test_handler_interrupts_lease_both_done(void **state)
{
	(void)state;
	set_up_signals(false);
	assert_int_equal(supervise(fetch_from_elsewhere, signal_once), 0);
	assert_int_equal(handled, 1);
	assert_int_equal(seen[1], 0);
	assert_int_equal(pair[0], 1000);
	assert_int_equal(pair[1], 1001);
	check_open(1001);
}

static int fetch_and_be_left(void)
{
	return sigsetjmp(out, 1) ? 77 : fetch_from_elsewhere();
}

/* The operation is not carried out, as the handler never returns to it. */
static void test_handler_that_jumps_out_of_lease_leaves_cpu_open(void **state)
{
	(void)state;
	set_up_signals(true);
	assert_int_equal(supervise(fetch_and_be_left, signal_once), 77);
	assert_int_equal(handled, 1);
	assert_int_equal(pair[1], 1000);
	check_open(1000);
}

static int add_both_and_be_left(void)
{
	return sigsetjmp(out, 1) ? 77 : add_both();
}

/* Signals are blocked until the vector has ended, and then the handler may jump, too. */
static void test_handler_waits_for_vector(void **state)
{
	(void)state;
	set_up_signals(true);
	assert_int_equal(supervise(add_both_and_be_left, signal_blocked), 77);
	assert_int_equal(handled, 1);
	assert_int_equal(seen[0], 1);
	assert_int_equal(seen[1], 1);
	assert_int_equal(pair[1], 1001);
	check_open(1001);
}

/*
 * A process that is restored from a checkpoint may have lost its registration for fences: the
 * first fence is EPERM, until the process registers again.
 */

static void need_membarrier(void)
{
	need_calls();
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_MEMBARRIER)
		skip_because("the backend is not membarrier(2)");
}

static int refuse_first(int n)
{
	return n == 0 ? EPERM : 0;
}

static int refuse_all(int n)
{
	(void)n;
	return EPERM;
}

static int two_from_elsewhere(void)
{
	struct cpu_op add = cpu_op_add(&word, sizeof(word), 1);
	struct cpu_op adds[] = { add, add };

	return rseq_op(adds, 2, allowed_cpu(1), 0);
}

static int fence_elsewhere(void)
{
	return rseq_op_fence(allowed_cpu(1));
}

static const struct {
	int (*run)(void);
	intptr_t adds;
} fenced[] = {
	{ add_from_elsewhere, 1 },	/* one CPU */
	{ two_from_elsewhere, 2 },
	{ fence_elsewhere, 0 },
	{ rseq_op_fence_all, 0 },	/* all CPUs */
};

static void test_registration_lost_registers_again(void **state)
{
	size_t i;

	(void)state;
	need_membarrier();
	assert_int_equal(fence_elsewhere(), 0);		/* it has registered once */
	for (i = 0; i < ARRAY_SIZE(fenced); i++) {
		registrations = 0;
		word = 0;
		assert_int_equal(supervise(fenced[i].run, refuse_first), 0);
		assert_int_equal(registrations, 1);
		assert_int_equal(word, fenced[i].adds);
	}
}

/* A filter refuses the fence, and not the registration: no endless repetition. */
static void test_fence_refused_for_good_eperm(void **state)
{
	size_t i;

	(void)state;
	need_membarrier();
	assert_int_equal(fence_elsewhere(), 0);
	for (i = 0; i < ARRAY_SIZE(fenced); i++) {
		word = 0;
		assert_int_equal(supervise(fenced[i].run, refuse_all), -EPERM);
		assert_int_equal(word, 0);
	}
	for (i = 0; i < ARRAY_SIZE(fenced); i++)
		assert_int_equal(fenced[i].run(), 0);
}

/* The machine that the process is restored on has other CPUs. */
static void check_restored_elsewhere(void)
{
	struct cpu_op fence_op = cpu_op_mb();
	int cpu = allowed_cpu(0);
	size_t i;

	assert_int_equal(fence_elsewhere(), 0);
	possible_cpus = "0-5000\n";
	word = 0;
	assert_int_equal(supervise(two_from_elsewhere, refuse_first), -ENOTRECOVERABLE);
	pin_to(cpu);	/* on the other CPU an operation would be a sequence */
	for (i = 0; i < ARRAY_SIZE(fenced); i++)
		assert_int_equal(fenced[i].run(), -ENOTRECOVERABLE);
	assert_int_equal(rseq_op(&fence_op, 1, cpu, 0), -ENOTRECOVERABLE);
	assert_int_equal(rseq_op_fence(cpu), -ENOTRECOVERABLE);
	assert_int_equal(word, 0);
	/* A sequence excludes others as before. An operation that is not one fails. */
	if (getenv("RSEQ_OP_FORCE_FALLBACK")) {
		assert_int_equal(rseq_op_addv(&word, 1, cpu), -ENOTRECOVERABLE);
		assert_int_equal(word, 0);
	} else {
		assert_int_equal(rseq_op_addv(&word, 1, cpu), 0);
		assert_int_equal(word, 1);
	}
}

static void test_restored_with_other_cpus_enotrecoverable(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	need_membarrier();
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid) {
		check_restored_elsewhere();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pointer_that_changes_back_is_followed),
		cmocka_unit_test(test_pointer_to_nowhere_efault),
		cmocka_unit_test(test_second_fence_refused_no_sequences),
		cmocka_unit_test(test_waiters_for_a_vector_are_woken),
		cmocka_unit_test(test_stopped_lease_keeps_nobody_waiting),
		cmocka_unit_test(test_fence_takes_lease_away),
		cmocka_unit_test(test_fence_reaches_the_place),
		cmocka_unit_test(test_refused_fence_is_the_error),
		cmocka_unit_test(test_handler_interrupts_lease_both_done),
		cmocka_unit_test(test_handler_that_jumps_out_of_lease_leaves_cpu_open),
		cmocka_unit_test(test_handler_waits_for_vector),
		cmocka_unit_test(test_registration_lost_registers_again),
		cmocka_unit_test(test_fence_refused_for_good_eperm),
		cmocka_unit_test(test_restored_with_other_cpus_enotrecoverable),
	};

	nr_allowed_cpus();	/* looked up once */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

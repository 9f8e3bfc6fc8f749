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
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "threads.h"

/* What is done at the n-th call: 0, or an errno to refuse it with. */
typedef int (*meddle_fn)(int n);

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
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NR_CPU_OPV, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { .len = ARRAY_SIZE(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}

/* Calls that are not counted: registrations for fences, and files that are opened. */
static int registrations;
static const char *possible_cpus;	/* what is read as that list, or NULL: what is there */

/* Open a file with that text in place of the list. The supervisor is of the same process. */
static bool replace_file(int listener, const struct seccomp_notif *call)
{
	struct seccomp_notif_addfd addfd = { .id = call->id, .flags = SECCOMP_ADDFD_FLAG_SEND };
	int fd;

	if (!possible_cpus || strcmp((const char *)(uintptr_t)call->data.args[1],
				     "/sys/devices/system/cpu/possible"))
		return false;
	fd = memfd_create("possible", 0);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, possible_cpus, strlen(possible_cpus), 0),
			 strlen(possible_cpus));
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

/* Answers the next call. n: how many have been counted. */
static void answer(int listener, int *n, meddle_fn meddle)
{
	struct seccomp_notif call = { 0 };
	struct seccomp_notif_resp response = { 0 };

	assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call), 0);
	if (call.data.nr == SYS_openat && replace_file(listener, &call))
		return;
	response.id = call.id;
	if (is_counted(&call))
		response.error = -meddle((*n)++);
	if (!response.error)
		response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response), 0);
}

struct supervised {
	int (*run)(void);
	int ret;
	_Atomic int listener;	/* -2: not yet */
};

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
	struct cpu_op add = { .op = CPU_ADD_OP, .len = sizeof(word),
		.u.arithmetic_op = { .p = (uintptr_t)&word, .count = 1 } };
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
	struct cpu_op fence_op = { .op = CPU_MB_OP };
	int cpu = allowed_cpu(0);
	size_t i;

	assert_int_equal(fence_elsewhere(), 0);
	possible_cpus = "0-5000\n";
	word = 0;
	assert_int_equal(supervise(two_from_elsewhere, refuse_first), -ENOTRECOVERABLE);
	for (i = 0; i < ARRAY_SIZE(fenced); i++)
		assert_int_equal(fenced[i].run(), -ENOTRECOVERABLE);
	pin_to(cpu);
	assert_int_equal(rseq_op(&fence_op, 1, cpu, 0), -ENOTRECOVERABLE);
	assert_int_equal(rseq_op_fence(cpu), -ENOTRECOVERABLE);
	assert_int_equal(word, 0);
	/* A sequence excludes others as before. */
	assert_int_equal(rseq_op_addv(&word, 1, cpu), 0);
	assert_int_equal(word, 1);
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
		cmocka_unit_test(test_registration_lost_registers_again),
		cmocka_unit_test(test_fence_refused_for_good_eperm),
		cmocka_unit_test(test_restored_with_other_cpus_enotrecoverable),
	};

	nr_allowed_cpus();	/* looked up once */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

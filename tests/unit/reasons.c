// SPDX-License-Identifier: MIT
/*
 * Why an operation left the sequence: each reason is counted, and no other; and
 * what the environment asks for is done. Run without RSEQ_OP_FORCE_FALLBACK: the
 * tests set it for the programs that they start, which are this one.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define ERRNO	1234	/* set before operations, which leave it alone */

static intptr_t word;

static struct rseq_op_stats stats_now(void)
{
	struct rseq_op_stats s;

	rseq_op_stats(&s, sizeof(s));
	return s;
}

static uint64_t fallbacks(const struct rseq_op_stats *s)
{
	return s->aborted + s->remote + s->closed + s->unregistered + s->forced + s->vector;
}

/* Aborts come as the scheduler pleases; three in a row on a pinned thread hardly. */
static void test_this_cpu_counts_nothing(void **state)
{
	struct rseq_op_stats before, after;
	int i, cpu = allowed_cpu(0);

	(void)state;
	pin_to(cpu);
	rseq_op_addv(&word, 1, cpu);
	before = stats_now();
	for (i = 0; i < 100000; i++)
		assert_int_equal(rseq_op_addv(&word, 1, cpu), 0);
	after = stats_now();
	assert_int_equal(fallbacks(&after) - fallbacks(&before),
			 after.aborted - before.aborted);
	assert_true(after.aborted - before.aborted < 10);
	unpin();
}

static void test_other_cpu_counts_remote(void **state)
{
	struct rseq_op_stats before, after;
	int i, cpu = allowed_cpu(0), other = other_cpu(cpu);

	(void)state;
	if (other < 0)
		skip_because("only one CPU");
	pin_to(cpu);
	before = stats_now();
	for (i = 0; i < 100; i++)
		assert_int_equal(rseq_op_addv(&word, 1, other), 0);
	after = stats_now();
	assert_int_equal(after.remote - before.remote, 100);
	assert_int_equal(fallbacks(&after) - fallbacks(&before), 100);
	unpin();
}

/* By the backend, an operation that follows pointers takes several vectors. */
static void test_operation_of_several_vectors_counts_once(void **state)
{
	intptr_t sum = 0, to_sum = (intptr_t)&sum, node = 4711, head = (intptr_t)&node, first = 0;
	intptr_t to_to_sum = (intptr_t)&to_sum;
	int cpu = allowed_cpu(0), other = other_cpu(cpu);
	struct rseq_op_stats before, after;

	(void)state;
	if (other < 0)
		skip_because("only one CPU");
	pin_to(cpu);
	before = stats_now();
	assert_int_equal(rseq_op_offset_deref_addv(&to_to_sum, 0, 5, other), 0);
	assert_int_equal(rseq_op_cmpnev_storeoffp_load(&head, 0, 0, &first, other), 0);
	after = stats_now();
	unpin();
	assert_int_equal(after.remote - before.remote, 2);
	assert_int_equal(fallbacks(&after) - fallbacks(&before), 2);
	assert_int_equal(sum, 5);
	assert_int_equal(head, 4711);
	assert_int_equal(first, (intptr_t)&node);
}

static void test_vector_counts_vector(void **state)
{
	const struct cpu_op add = cpu_op_add(&word, sizeof(word), 1), adds[] = { add, add };
	struct rseq_op_stats before = stats_now(), after;

	(void)state;
	/* Two stores are no sequence. */
	assert_int_equal(rseq_op(adds, 2, allowed_cpu(0), 0), 0);
	after = stats_now();
	assert_int_equal(after.vector - before.vector, 1);
	assert_int_equal(fallbacks(&after) - fallbacks(&before), 1);
}

/* Where a word lies across two cache lines, a sequence would not store it at once. */
static void test_unaligned_vector_counts_vector(void **state)
{
	static _Alignas(64) char lines[128];
	const struct cpu_op add = cpu_op_add(&lines[62], sizeof(word), 1);
	struct rseq_op_stats before = stats_now(), after;

	(void)state;
	assert_int_equal(rseq_op(&add, 1, allowed_cpu(0), 0), 0);
	after = stats_now();
	assert_int_equal(after.vector - before.vector, 1);
}

static void test_invalid_counts_nothing(void **state)
{
	struct rseq_op_stats before = stats_now(), after;

	(void)state;
	assert_int_equal(rseq_op_addv(&word, 1, -1), -EINVAL);
	assert_int_equal(rseq_op(NULL, 0, -1, 0), -EINVAL);
	after = stats_now();
	assert_int_equal(fallbacks(&after), fallbacks(&before));
}

/* For programs and libraries of other versions; what lies behind is left alone. */
static void test_stats_shorter_and_longer(void **state)
{
	union {
		struct rseq_op_stats s;
		uint64_t counter[sizeof(struct rseq_op_stats) / sizeof(uint64_t) + 3];
		unsigned char byte[sizeof(struct rseq_op_stats) + 24];
	} now, there;
	const struct cpu_op add = cpu_op_add(&word, sizeof(word), 1), adds[] = { add, add };
	size_t size, i;

	(void)state;
	/* All counters differ from 0 where that can be had: vector does. */
	assert_int_equal(rseq_op(adds, 2, allowed_cpu(0), 0), 0);
	memset(&now, 0, sizeof(now));
	now.s = stats_now();
	assert_true(now.s.vector > 0);
	for (size = 0; size <= sizeof(there); size++) {
		memset(&there, 0xa5, sizeof(there));
		rseq_op_stats(&there.s, size);
		assert_memory_equal(&there, &now, size);
		for (i = size; i < sizeof(there); i++)
			assert_int_equal(there.byte[i], 0xa5);
	}
	errno = ERRNO;
	rseq_op_stats(NULL, sizeof(now));
	assert_int_equal(errno, ERRNO);
}

/* What a program started with an environment does; its status says whether. */

static int child_forced_every_third(void)
{
	struct rseq_op_stats s;
	int i, cpu = allowed_cpu(0);

	pin_to(cpu);
	for (i = 0; i < 300; i++) {
		if (rseq_op_addv(&word, 1, cpu))
			return 1;
	}
	s = stats_now();
	return s.forced == 100 && word == 300 ? 0 : 2;
}

/* Nothing is forced: a value that makes no sense asks for nothing. */
static int child_not_forced(void)
{
	int i, cpu = allowed_cpu(0);

	pin_to(cpu);
	for (i = 0; i < 300; i++) {
		if (rseq_op_addv(&word, 1, cpu))
			return 1;
	}
	return stats_now().forced || word != 300 ? 2 : 0;
}

/* With more privileges than its caller: the environment asks for nothing, whatever it says. */
static int child_privileged(void)
{
	if (!getauxval(AT_SECURE))
		return 126;
	return rseq_op_backend(NULL) == RSEQ_OP_BACKEND_GUARD ? 3 : child_not_forced();
}

/* The number of the backend that has been chosen. */
static int child_chosen(void)
{
	return 100 + (int)rseq_op_backend(NULL);
}

static int child_backend(enum rseq_op_backend backend)
{
	const char *why = NULL;

	return rseq_op_backend(&why) == backend && why && *why ? 0 : 1;
}

static int child_none(void)
{
	int cpu = allowed_cpu(0), other = other_cpu(cpu);

	pin_to(cpu);
	errno = ERRNO;
	if (child_backend(RSEQ_OP_BACKEND_NONE) || rseq_op(NULL, 0, cpu, 0) != -ENOSYS ||
	    rseq_op_fence(cpu) != -ENOSYS || rseq_op_fence_all() != -ENOSYS)
		return 1;
	if (other >= 0 && (rseq_op_addv(&word, 1, other) != -ENOSYS || word))
		return 2;
	return rseq_op_addv(&word, 1, cpu) || word != 1 || errno != ERRNO;
}

/* Nothing waits for sequences either: then every operation fails, also at its own place. */
static int child_nothing_waits(void)
{
	int cpu = rseq_op_current_cpu();

	errno = ERRNO;
	if (child_backend(RSEQ_OP_BACKEND_NONE))
		return 1;
	if (rseq_op_addv(&word, 1, cpu) != -ENOSYS || rseq_op_fence(cpu) != -ENOSYS ||
	    rseq_op_addv_cid(&word, 1, rseq_op_current_cid()) != -ENOSYS)
		return 2;
	return word || errno != ERRNO ? 3 : 0;
}

static bool filter(unsigned int nr, unsigned int action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { .len = ARRAY_SIZE(code), .filter = code };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static bool forbid(unsigned int nr)
{
	return filter(nr, SECCOMP_RET_ERRNO | EPERM);
}

/* By lease no signals are blocked: who asks for that is killed, once the page is known. */
static int child_lease(void)
{
	int i, cpu = allowed_cpu(0), other = other_cpu(cpu);

	pin_to(cpu);
	if (rseq_op_addv(&word, 1, other) ||
	    !filter(SYS_rt_sigprocmask, SECCOMP_RET_KILL_PROCESS))
		return 1;
	for (i = 1; i < 100; i++) {
		if (rseq_op_addv(&word, 1, other))
			_exit(2);
	}
	_exit(word != 100);	/* what others do at the end may ask */
}

/* A fence by affinity that is refused later. */
static int child_visit_refused(void)
{
	int cpu = allowed_cpu(0), other = other_cpu(cpu);

	pin_to(cpu);
	if (rseq_op_addv(&word, 1, other) || word != 1 || !forbid(SYS_sched_setaffinity))
		return 1;
	errno = ERRNO;
	if (rseq_op_addv(&word, 1, other) != -EPERM || rseq_op_fence(other) != -EPERM ||
	    rseq_op_fence_all() != -EPERM || errno != ERRNO)
		return 2;
	return rseq_op_addv(&word, 1, cpu) || word != 2 ? 3 : 0;
}

/*
 * An operation that the backend does for the caller's own CPU needs no fence: it is done where
 * fences are refused, too. For another CPU that is an error.
 */
static int child_own_cpu_without_fence(void)
{
	int cpu = allowed_cpu(0), other = other_cpu(cpu);

	pin_to(cpu);
	if (rseq_op_addv(&word, 1, cpu) || !forbid(SYS_membarrier))
		return 1;
	errno = ERRNO;
	if (rseq_op_addv(&word, 1, cpu) || word != 2 || stats_now().forced != 2)
		return 2;
	return rseq_op_addv(&word, 1, other) != -EPERM || word != 2 || errno != ERRNO ? 3 : 0;
}

/* A fence that is refused, by a filter installed late, is an error, and no race. */
static int child_fence_refused(void)
{
	const struct cpu_op add = cpu_op_add(&word, sizeof(word), 1), adds[] = { add, add };
	int cpu = allowed_cpu(0);

	pin_to(cpu);
	if (rseq_op(adds, 2, cpu, 0) || word != 2 || !forbid(SYS_membarrier))
		return 1;
	errno = ERRNO;
	if (rseq_op(adds, 2, cpu, 0) != -EPERM || word != 2 || errno != ERRNO)
		return 2;
	return rseq_op_addv(&word, 1, cpu) || word != 3;	/* and the CPU is open */
}

static int child_membarrier(void)
{
	return child_backend(RSEQ_OP_BACKEND_MEMBARRIER);
}

static int child_kernel(void)
{
	return child_backend(RSEQ_OP_BACKEND_KERNEL);
}

static int run_child(const char *name)
{
	static const struct { const char *name; int (*run)(void); } children[] = {
		{ "forced", child_forced_every_third },
		{ "not-forced", child_not_forced },
		{ "privileged", child_privileged },
		{ "chosen", child_chosen },
		{ "fence", child_fence_refused },
		{ "visit", child_visit_refused },
		{ "own-cpu", child_own_cpu_without_fence },
		{ "lease", child_lease },
		{ "membarrier", child_membarrier },
		{ "kernel", child_kernel },
		{ "none", child_none },
		{ "nothing-waits", child_nothing_waits },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(children); i++) {
		if (!strcmp(children[i].name, name))
			return children[i].run();
	}
	return 127;
}

static int start(const char *name, const char *variable, const char *value)
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (!pid) {
		if (value)
			setenv(variable, value, 1);
		execl("/proc/self/exe", "reasons", name, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_force_fallback_every_third(void **state)
{
	(void)state;
	assert_int_equal(start("forced", "RSEQ_OP_FORCE_FALLBACK", "3"), 0);
}

/* No number, or none that the library can count to. */
static const char *const no_numbers[] = {
	"", " ", "x", "3x", "x3", " 3", "3 ", "+3", "-1", "-3", "0x3", "3.0", "1e1", "3,", "3\t",
	"4294967296", "4294967299", "18446744073709551615", "18446744073709551619",
	"99999999999999999999999999999999",
};

static void test_force_fallback_nonsense_ignored(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(no_numbers); i++) {
		print_message("# \"%s\"\n", no_numbers[i]);
		assert_int_equal(start("not-forced", "RSEQ_OP_FORCE_FALLBACK", no_numbers[i]), 0);
	}
	assert_int_equal(start("not-forced", "RSEQ_OP_FORCE_FALLBACK", "0"), 0);
	assert_int_equal(start("not-forced", "RSEQ_OP_FORCE_FALLBACK", "4294967295"), 0);
}

static void test_backend_nonsense_ignored(void **state)
{
	static const char *const nonsense[] = {
		"", "none", "Membarrier", "Guard", "membarrier ", " guard", "guards", "1", "4",
	};
	int chosen = start("chosen", "RSEQ_OP_BACKEND", NULL);
	size_t i;

	(void)state;
	assert_in_range(chosen >> 8, 101, 104);
	for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
		print_message("# \"%s\"\n", nonsense[i]);
		assert_int_equal(start("chosen", "RSEQ_OP_BACKEND", nonsense[i]), chosen);
	}
	assert_int_equal(start("chosen", "RSEQ_OP_BACKEND", "guard"),
			 (100 + RSEQ_OP_BACKEND_GUARD) << 8);
}

/* A copy of this program with its owner's rights, started by another user. */
static void test_environment_ignored_with_more_privileges(void **state)
{
	char path[] = "/var/tmp/reasons.XXXXXX", buffer[65536];
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = mkostemp(path, O_CLOEXEC);
	int status;
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_true(from >= 0 && to >= 0);
	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		assert_int_equal(write(to, buffer, (size_t)n), n);
	close(from);
	assert_int_equal(fchmod(to, 04755), 0);
	close(to);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid) {
		setenv("RSEQ_OP_FORCE_FALLBACK", "3", 1);
		setenv("RSEQ_OP_BACKEND", "guard", 1);
		if (setuid(65534))
			_exit(126);
		execl(path, "reasons", "privileged", (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	unlink(path);
	if (status == 126 << 8)
		skip_because("no other user, or the file system gives no such rights");
	assert_int_equal(status, 0);
}

/* What a process writes to standard error. */
static void report_of(const char *value, char *text, size_t size)
{
	int pipe_fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	if (!pid) {
		dup2(pipe_fds[1], STDERR_FILENO);
		setenv("RSEQ_OP_FORCE_FALLBACK", "3", 1);
		setenv("RSEQ_OP_BACKEND", "membarrier", 1);
		setenv("RSEQ_OP_REPORT", value, 1);
		execl("/proc/self/exe", "reasons", "forced", (char *)NULL);
		_exit(127);
	}
	close(pipe_fds[1]);
	n = read(pipe_fds[0], text, size - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* One line, and none without being asked. Aborts come as they please. */
static void test_report(void **state)
{
	char text[500];
	unsigned int n[7];
	int pid, end = 0;

	(void)state;
	report_of("1", text, sizeof(text));
	assert_int_equal(sscanf(text, "rseq_op[%d]: backend membarrier; by it: aborted %u, "
				"remote %u, closed %u, unregistered %u, forced %u, vector %u; "
				"aborts %u%n", &pid, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5],
				&n[6], &end), 8);
	assert_string_equal(text + end, "\n");
	assert_int_equal(n[4], 100);
	assert_int_equal(n[5], 0);
	report_of("0", text, sizeof(text));
	assert_string_equal(text, "");
	report_of("yes", text, sizeof(text));
	assert_string_equal(text, "");
	report_of("2", text, sizeof(text));
	assert_string_equal(text, "");
	report_of("", text, sizeof(text));
	assert_string_equal(text, "");
}

static void test_backend_membarrier(void **state)
{
	(void)state;
	assert_int_equal(start("membarrier", "RSEQ_OP_BACKEND", "membarrier"), 0);
}

static void test_fence_refused_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(start("fence", "RSEQ_OP_BACKEND", "membarrier"), 0);
}

static void test_own_cpu_needs_no_fence(void **state)
{
	int status;

	(void)state;
	if (other_cpu(allowed_cpu(0)) < 0)
		skip_because("only one CPU");
	setenv("RSEQ_OP_FORCE_FALLBACK", "1", 1);
	status = start("own-cpu", "RSEQ_OP_BACKEND", "membarrier");
	unsetenv("RSEQ_OP_FORCE_FALLBACK");
	assert_int_equal(status, 0);
}

static void test_visit_refused_is_an_error(void **state)
{
	(void)state;
	if (other_cpu(allowed_cpu(0)) < 0)
		skip_because("only one CPU");
	assert_int_equal(start("visit", "RSEQ_OP_BACKEND", "affinity"), 0);
}

/* A filter that is there when the library is loaded refuses what the backend would need. */
static void test_nothing_waits_enosys(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid) {
		setenv("RSEQ_OP_BACKEND", "affinity", 1);
		if (forbid(SYS_sched_setaffinity))
			execl("/proc/self/exe", "reasons", "nothing-waits", (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_lease_blocks_no_signals(void **state)
{
	(void)state;
	if (other_cpu(allowed_cpu(0)) < 0)
		skip_because("only one CPU");
	assert_int_equal(start("lease", "RSEQ_OP_BACKEND", "membarrier"), 0);
}

static void test_backend_kernel_or_none(void **state)
{
	bool there = cpu_opv(NULL, 0, 0, CPU_OP_NR_FLAG) > 0;

	(void)state;
	assert_int_equal(start(there ? "kernel" : "none", "RSEQ_OP_BACKEND", "kernel"), 0);
}

static void test_backend_names(void **state)
{
	static const char *const names[] = { "none", "kernel", "membarrier", "affinity", "guard",
					     "none" };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		assert_string_equal(rseq_op_backend_name((enum rseq_op_backend)i), names[i]);
	assert_string_equal(rseq_op_backend_name((enum rseq_op_backend)-1), "none");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_this_cpu_counts_nothing),
		cmocka_unit_test(test_other_cpu_counts_remote),
		cmocka_unit_test(test_operation_of_several_vectors_counts_once),
		cmocka_unit_test(test_vector_counts_vector),
		cmocka_unit_test(test_unaligned_vector_counts_vector),
		cmocka_unit_test(test_invalid_counts_nothing),
		cmocka_unit_test(test_stats_shorter_and_longer),
		cmocka_unit_test(test_force_fallback_every_third),
		cmocka_unit_test(test_force_fallback_nonsense_ignored),
		cmocka_unit_test(test_backend_nonsense_ignored),
		cmocka_unit_test(test_environment_ignored_with_more_privileges),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_backend_membarrier),
		cmocka_unit_test(test_backend_kernel_or_none),
		cmocka_unit_test(test_fence_refused_is_an_error),
		cmocka_unit_test(test_own_cpu_needs_no_fence),
		cmocka_unit_test(test_visit_refused_is_an_error),
		cmocka_unit_test(test_nothing_waits_enosys),
		cmocka_unit_test(test_lease_blocks_no_signals),
		cmocka_unit_test(test_backend_names),
	};

	if (argc > 1)
		return run_child(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

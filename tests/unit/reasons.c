// SPDX-License-Identifier: MIT
/*
 * Why an operation left the sequence: each reason is counted, and no other; and
 * what the environment asks for is done. Run without RSEQ_OP_FORCE_FALLBACK: the
 * tests set it for the programs that they start, which are this one.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

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

static void test_vector_counts_vector(void **state)
{
	const struct cpu_op add = { .op = CPU_ADD_OP, .len = sizeof(word),
		.u.arithmetic_op = { .p = (uintptr_t)&word, .count = 1 } }, adds[] = { add, add };
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
	const struct cpu_op add = { .op = CPU_ADD_OP, .len = sizeof(word),
		.u.arithmetic_op = { .p = (uintptr_t)&lines[62], .count = 1 } };
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

static void test_stats_shorter_and_longer(void **state)
{
	struct { struct rseq_op_stats s; uint64_t more[2]; } longer;
	uint64_t shorter[2] = { 1, 99 };

	(void)state;
	memset(&longer, 0xff, sizeof(longer));
	rseq_op_stats(&longer.s, sizeof(longer));
	assert_int_equal(longer.more[0], 0);
	assert_int_equal(longer.more[1], 0);
	rseq_op_stats((struct rseq_op_stats *)shorter, sizeof(shorter[0]));
	assert_int_equal(shorter[0], stats_now().aborted);
	assert_int_equal(shorter[1], 99);
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

static int child_backend(enum rseq_op_backend backend)
{
	const char *why = NULL;

	return rseq_op_backend(&why) == backend && why && *why ? 0 : 1;
}

static int child_none(void)
{
	int cpu = allowed_cpu(0);

	pin_to(cpu);
	if (child_backend(RSEQ_OP_BACKEND_NONE) || rseq_op(NULL, 0, cpu, 0) != -ENOSYS)
		return 1;
	return rseq_op_addv(&word, 1, cpu) || word != 1;
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

/* A fence that is refused, by a filter installed late, is an error, and no race. */
static int child_fence_refused(void)
{
	const struct cpu_op add = { .op = CPU_ADD_OP, .len = sizeof(word),
		.u.arithmetic_op = { .p = (uintptr_t)&word, .count = 1 } }, adds[] = { add, add };
	int cpu = allowed_cpu(0);

	pin_to(cpu);
	if (rseq_op(adds, 2, cpu, 0) || word != 2 || !forbid(SYS_membarrier))
		return 1;
	if (rseq_op(adds, 2, cpu, 0) != -EPERM || word != 2)
		return 2;
	return rseq_op_addv(&word, 1, cpu) || word != 3;	/* and the CPU is open */
}

static int run_child(const char *name)
{
	if (!strcmp(name, "fence"))
		return child_fence_refused();
	if (!strcmp(name, "lease"))
		return child_lease();
	if (!strcmp(name, "forced"))
		return child_forced_every_third();
	if (!strcmp(name, "membarrier"))
		return child_backend(RSEQ_OP_BACKEND_MEMBARRIER);
	if (!strcmp(name, "kernel"))
		return child_backend(RSEQ_OP_BACKEND_KERNEL);
	return child_none();
}

static int start(const char *name, const char *variable, const char *value)
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (!pid) {
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

static void test_force_fallback_nonsense_ignored(void **state)
{
	(void)state;
	/* It finds that nothing was forced. */
	assert_int_equal(start("forced", "RSEQ_OP_FORCE_FALLBACK", "3x"), 2 << 8);
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
		cmocka_unit_test(test_vector_counts_vector),
		cmocka_unit_test(test_unaligned_vector_counts_vector),
		cmocka_unit_test(test_invalid_counts_nothing),
		cmocka_unit_test(test_stats_shorter_and_longer),
		cmocka_unit_test(test_force_fallback_every_third),
		cmocka_unit_test(test_force_fallback_nonsense_ignored),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_backend_membarrier),
		cmocka_unit_test(test_backend_kernel_or_none),
		cmocka_unit_test(test_fence_refused_is_an_error),
		cmocka_unit_test(test_lease_blocks_no_signals),
		cmocka_unit_test(test_backend_names),
	};

	if (argc > 1)
		return run_child(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

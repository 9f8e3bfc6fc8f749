// SPDX-License-Identifier: MIT
/*
 * step [CONTROL_STEPS [OPERATIONS]]
 *
 * Under a tracer that steps through every instruction, each step aborts a sequence
 * that it finds. The control shows it: a plain retry loop commits nothing. The
 * operations of the library commit every time.
 */
#include <linux/rseq.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define MAX_STEPS	3000000

static long control_steps = 20000;
static int operations = 10;

/* Shared with the tracee. */
static struct shared {
	volatile bool go;	/* what follows is stepped through */
	volatile bool done;
	intptr_t v, v2;
	volatile int failed;	/* operations with a result that must not be */
	struct rseq_op_stats stats;
	char from[32], to[32];	/* of the vectors */
} *shared;

/* What the tracer does after each step; it may change what the tracee reads. */
static void (*after_step)(void);

typedef void (*tracee_fn)(int cpu);

/* What everybody writes who uses rseq without a fallback. */
static void plain_retry_loop(int cpu)
{
	while (rseq_op_seq_addv(&shared->v, 1, cpu, rseq_op_tags()))
		;
}

static void add(int cpu)
{
	int i;

	for (i = 0; i < operations; i++)
		shared->failed += rseq_op_addv(&shared->v, 1, cpu) != 0;
}

static void compare_and_store(int cpu)
{
	int i;

	for (i = 0; i < operations; i++) {
		shared->failed += rseq_op_cmpeqv_storev(&shared->v, i, i + 1, cpu) != 0;
		shared->failed += rseq_op_cmpeqv_storev(&shared->v, i, i + 1, cpu) != 1;
	}
}

static void compare_and_store_two(int cpu)
{
	int i;

	for (i = 0; i < operations; i++)
		shared->failed += rseq_op_cmpeqv_storev_storev(&shared->v, i, &shared->v2,
							       10 * i, i + 1, cpu) != 0;
}

static void tracee(tracee_fn run)
{
	pin_to(allowed_cpu(0));
	if (ptrace(PTRACE_TRACEME, 0, 0, 0))
		_exit(1);
	raise(SIGSTOP);
	shared->go = true;
	run(allowed_cpu(0));
	shared->done = true;
	rseq_op_stats(&shared->stats, sizeof(shared->stats));
	_exit(0);
}

/* Step until it is done, or max times; the number of steps. */
static long step(pid_t pid, long max)
{
	long steps = 0;
	int status;

	while (!shared->done && steps < max) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
		steps += shared->go;
		if (after_step)
			after_step();
	}
	return steps;
}

static void map_shared(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	memset(shared->to, 0x5a, sizeof(shared->to));
}

/*
 * On different CPUs, if there are: the kernel makes a tracer that shares the CPU of
 * its tracee wait for a tick at each step.
 */
static long trace(tracee_fn run, long max)
{
	pid_t pid;
	long steps;
	int status;

	if (nr_allowed_cpus() > 1)
		pin_to(allowed_cpu(1));
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid)
		tracee(run);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	steps = step(pid, max);
	if (shared->done) {
		assert_int_equal(ptrace(PTRACE_CONT, pid, 0, 0), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	} else {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return steps;
}

static void test_plain_retry_loop_commits_nothing(void **state)
{
	(void)state;
	map_shared();
	assert_int_equal(trace(plain_retry_loop, control_steps), control_steps);
	assert_int_equal(shared->v, 0);
	assert_false(shared->done);
}

/* The library ignores 0, and what does not fit into 32 bits. */
static unsigned int max_aborts(void)
{
	const char *s = getenv("RSEQ_OP_MAX_ABORTS");
	unsigned long long n = s ? strtoull(s, NULL, 10) : 0;

	return n >= 1 && n <= UINT32_MAX ? (unsigned int)n : 3;
}

/* Each went through the backend, for the reason that its sequence was aborted. */
static void check_progress(tracee_fn run, long expected, intptr_t v)
{
	long steps;

	map_shared();
	steps = trace(run, MAX_STEPS);
	print_message("# %ld operations in %ld steps\n", expected, steps);
	assert_true(shared->done);
	assert_int_equal(shared->failed, 0);
	assert_int_equal(shared->v, v);
	assert_int_equal(shared->stats.aborted + shared->stats.forced, expected);
	assert_int_equal(shared->stats.aborts, max_aborts() * shared->stats.aborted);
}

static void test_addv_commits(void **state)
{
	(void)state;
	check_progress(add, operations, operations);
}

static void test_cmpeqv_storev_commits(void **state)
{
	(void)state;
	check_progress(compare_and_store, 2 * operations, operations);
}

static void test_cmpeqv_storev_storev_commits(void **state)
{
	(void)state;
	check_progress(compare_and_store_two, operations, operations);
	assert_int_equal(shared->v2, 10 * (operations - 1));
}

/*
 * A naturally aligned word of a vector is read in one access and written in one access. After
 * each step the tracer inverts all bytes of the source, and looks at the bytes of the
 * destination. Both have equal bytes throughout, so two accesses show as bytes that differ.
 */
static struct cpu_op word_op;
static int torn;			/* steps after which bytes differ */

static bool uniform(const char *p, uint32_t len)
{
	return !memcmp(p, p + 1, len - 1);
}

static void invert_and_look(void)
{
	size_t i;

	for (i = 0; i < sizeof(shared->from); i++)
		shared->from[i] = (char)~shared->from[i];
	torn += !uniform((char *)(uintptr_t)word_op.u.memcpy_op.dst, word_op.len);
}

static void run_word_op(int cpu)
{
	shared->failed += rseq_op(&word_op, 1, cpu, 0) != 0;
}

static void make_store(uint32_t len)
{
	word_op = cpu_op_store_imm(shared->to, len, UINT64_MAX);
}

/* With the offsets of the two operands: of those that are not aligned nothing is promised. */
static void make_copy(uint32_t len, int to, int from)
{
	word_op = cpu_op_memcpy(shared->to + to, shared->from + from, len);
}

static void check_word_op(bool aligned_to)
{
	torn = 0;
	after_step = invert_and_look;
	trace(run_word_op, MAX_STEPS);
	after_step = NULL;
	assert_true(shared->done);
	assert_int_equal(shared->failed, 0);
	if (aligned_to)
		assert_int_equal(torn, 0);
	/* What was read in one access is uniform when it has been written. */
	assert_true(uniform((char *)(uintptr_t)word_op.u.memcpy_op.dst, word_op.len));
	assert_int_not_equal(*(char *)(uintptr_t)word_op.u.memcpy_op.dst, 0x5a);
}

static void test_words_in_one_access(void **state)
{
	uint32_t len;

	(void)state;
	for (len = 2; len <= 8; len *= 2) {
		print_message("# words of %u bytes\n", len);
		map_shared();
		make_store(len);
		check_word_op(true);
		map_shared();
		make_copy(len, 0, 0);
		check_word_op(true);
		map_shared();
		make_copy(len, 1, 0);
		check_word_op(false);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_retry_loop_commits_nothing),
		cmocka_unit_test(test_addv_commits),
		cmocka_unit_test(test_cmpeqv_storev_commits),
		cmocka_unit_test(test_cmpeqv_storev_storev_commits),
		cmocka_unit_test(test_words_in_one_access),
	};

	if (argc > 1)
		control_steps = atol(argv[1]);
	if (argc > 2)
		operations = atoi(argv[2]);
	if (control_steps < 1 || operations < 1) {
		fprintf(stderr, "usage: step [CONTROL_STEPS [OPERATIONS]]\n");
		return 2;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

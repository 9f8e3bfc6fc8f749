// SPDX-License-Identifier: MIT
/*
 * step [CONTROL_STEPS [OPERATIONS]]
 *
 * Under a tracer that steps through every instruction, each step aborts a sequence
 * that it finds. The control shows it: a plain retry loop commits nothing. The
 * operations of the library commit every time.
 *
 * The tracer also looks at a word after each instruction, and changes another one: so it sees
 * whether a vector of the emulation reads and writes an aligned word in one access.
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
	/* Aligned to 8 bytes on i386 too, which has no other such words. */
	_Alignas(8) volatile uint64_t stored;	/* two values only, at any step */
	_Alignas(8) volatile uint64_t flipped;	/* another of them at each step */
	uint32_t len;			/* of the words */
	volatile int halves;		/* times that the tracer saw anything else */
} *shared;

/* What the tracer does after each step, or NULL. */
static void (*after_step)(void);
static uint32_t word_len;

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

/* Every byte of one differs from that of the other, so a mixture of both is neither. */
#define EVEN	UINT64_C(0x1122334455667788)
#define ODD	(~EVEN)

static bool whole(uint64_t word, uint32_t len)
{
	uint64_t mask = UINT64_MAX >> (64 - 8 * len);

	return (word & mask) == (EVEN & mask) || (word & mask) == (ODD & mask);
}

static void look_and_flip(void)
{
	shared->halves += !whole(shared->stored, shared->len);
	shared->flipped = ~shared->flipped;
}

/*
 * Two stores, so that it is never a sequence. The source of the copy is aligned, whatever the
 * destination is, and so is read in one access.
 */
static void copy_and_store(int cpu)
{
	_Alignas(8) char copied[1 + sizeof(uint64_t)];
	uint64_t word = 0;
	struct cpu_op ops[] = {
		{ .op = CPU_MEMCPY_OP, .u.memcpy_op = { .dst = (uintptr_t)&copied[1],
			.src = (uintptr_t)&shared->flipped } },
		{ .op = CPU_STORE_IMM_OP, .u.immediate_op.p = (uintptr_t)&shared->stored },
	};
	int i;

	for (i = 0; i < operations; i++) {
		ops[0].len = ops[1].len = shared->len;
		ops[1].u.immediate_op.value = i % 2 ? EVEN : ODD;
		shared->failed += rseq_op(ops, ARRAY_SIZE(ops), cpu, 0) != 0;
		memcpy(&word, &copied[1], shared->len);
		shared->failed += !whole(word, shared->len);
	}
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
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	shared->stored = shared->flipped = EVEN;
	shared->len = word_len;
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
	assert_int_equal(trace(plain_retry_loop, control_steps), control_steps);
	assert_int_equal(shared->v, 0);
	assert_false(shared->done);
}

/* The library ignores what is no number of 1 to 9, as far as it is used here. */
static unsigned int max_aborts(void)
{
	const char *s = getenv("RSEQ_OP_MAX_ABORTS");

	return s && *s >= '1' && *s <= '9' && !s[1] ? (unsigned int)(*s - '0') : 3;
}

/* Each went through the backend, for the reason that its sequence was aborted. */
static void check_progress(tracee_fn run, long expected, intptr_t v)
{
	long steps = trace(run, MAX_STEPS);

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

static void test_vector_aligned_word_in_one_access(void **state)
{
	(void)state;
	after_step = look_and_flip;
	for (word_len = 2; word_len <= sizeof(uint64_t); word_len *= 2) {
		trace(copy_and_store, MAX_STEPS);
		assert_true(shared->done);
		assert_int_equal(shared->failed, 0);
		assert_int_equal(shared->halves, 0);
	}
	after_step = NULL;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_retry_loop_commits_nothing),
		cmocka_unit_test(test_addv_commits),
		cmocka_unit_test(test_cmpeqv_storev_commits),
		cmocka_unit_test(test_cmpeqv_storev_storev_commits),
		cmocka_unit_test(test_vector_aligned_word_in_one_access),
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

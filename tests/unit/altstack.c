// SPDX-License-Identifier: MIT
/*
 * The stack that operations need in a signal handler, on every backend: not more than
 * rseq_op(3) says. A handler runs on an alternate stack that was filled with a pattern; how
 * much of the pattern is gone afterwards, less what a handler without an operation takes, is
 * what the operation needs. Each operation is the first of its process, so it also chooses the
 * backend.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rseq_op/pool.h>

#include "cpus.h"

#define STACK_SIZE	(256 * 1024)
#define PATTERN		0x5a

enum kind { NOTHING, SEQUENCE, TYPED, VECTOR, FENCE, POOL, NR_KINDS };

/* Bytes, as rseq_op(3) says. */
static const size_t limits[2][NR_KINDS] = {
	{ [SEQUENCE] = 128, [TYPED] = 2048, [VECTOR] = 2560, [FENCE] = 1536, [POOL] = 4096 },
	{ [SEQUENCE] = 128, [TYPED] = 3584, [VECTOR] = 3584, [FENCE] = 2560, [POOL] = 4096 },
};

static intptr_t words[2];
static int here, elsewhere;

static int nothing(void)
{
	return 0;
}

static int add_here(void)
{
	return rseq_op_addv(&words[0], 1, here);
}

static int add_elsewhere(void)
{
	return rseq_op_addv(&words[0], 1, elsewhere);
}

static int pop_elsewhere(void)
{
	intptr_t node = 0, head = (intptr_t)&node, load;

	return rseq_op_cmpnev_storeoffp_load(&head, 0, 0, &load, elsewhere);
}

static int deref_elsewhere(void)
{
	intptr_t pointer = (intptr_t)&words[0], to_pointer = (intptr_t)&pointer;

	return rseq_op_offset_deref_addv(&to_pointer, 0, 1, elsewhere);
}

/* A vector that can be a sequence, and the longest that cannot. */
static int vector_word(void)
{
	static struct cpu_op add;

	add = cpu_op_add(&words[0], sizeof(intptr_t), 1);
	return rseq_op(&add, 1, elsewhere, 0);
}

static int vector_longest(void)
{
	static struct cpu_op adds[CPU_OP_VEC_LEN_MAX];
	int i;

	for (i = 0; i < CPU_OP_VEC_LEN_MAX; i++)
		adds[i] = cpu_op_add(&words[i % 2], sizeof(intptr_t), 1);
	return rseq_op(adds, CPU_OP_VEC_LEN_MAX, elsewhere, 0);
}

static int vector_tried(void)
{
	static struct cpu_op fence = { .op = CPU_MB_OP };

	return rseq_op(&fence, 1, here, RSEQ_OP_TRY) == -EAGAIN ? 0 : 1;
}

static int fence(void)
{
	return rseq_op_fence(elsewhere);
}

static int pool(void)
{
	static struct rseq_op_pool *p;
	static void *item;
	int ret = rseq_op_pool_create(&p, 64, RSEQ_OP_POOL_DEBUG);

	ret = ret ?: rseq_op_pool_alloc(p, &item) ?: rseq_op_pool_free(p, item);
	rseq_op_pool_destroy(p);
	return ret;
}

static const struct {
	const char *name;
	int (*run)(void);
	enum kind kind;
} operations[] = {
	{ "nothing", nothing, NOTHING },
	{ "addv, this CPU", add_here, SEQUENCE },
	{ "addv, another CPU", add_elsewhere, TYPED },
	{ "cmpnev_storeoffp_load, another CPU", pop_elsewhere, TYPED },
	{ "offset_deref_addv, another CPU", deref_elsewhere, TYPED },
	{ "rseq_op, one word, another CPU", vector_word, VECTOR },
	{ "rseq_op, 16 operations, another CPU", vector_longest, VECTOR },
	{ "rseq_op, RSEQ_OP_TRY", vector_tried, VECTOR },
	{ "fence", fence, FENCE },
	{ "fence_all", rseq_op_fence_all, FENCE },
	{ "pool", pool, POOL },
};

static struct shared {
	size_t bytes;
	int ret;
	enum rseq_op_backend backend;
} *shared;

static int (*volatile run)(void);
static unsigned char *stack;

static void handler(int sig)
{
	(void)sig;
	shared->ret = run();
}

static size_t bytes_used(void)
{
	size_t i = 0;

	while (i < STACK_SIZE && stack[i] == PATTERN)
		i++;
	return STACK_SIZE - i;
}

/* The extent of the alternate stack that a handler uses that makes the call. */
static size_t measure(int (*call)(void))
{
	run = call;
	memset(stack, PATTERN, STACK_SIZE);
	raise(SIGUSR1);
	return bytes_used();
}

static void measure_in_child(int (*call)(void))
{
	size_t frame;

	stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED ||
	    sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = STACK_SIZE }, NULL) ||
	    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = handler,
						    .sa_flags = SA_ONSTACK }, NULL))
		_exit(1);
	pin_to(here);
	frame = measure(nothing);
	shared->bytes = measure(call) - frame;
	shared->backend = rseq_op_backend(NULL);
	_exit(0);
}

static size_t limit(enum kind kind)
{
	/* With this backend no operation runs as a sequence. */
	if (shared->backend == RSEQ_OP_BACKEND_GUARD && kind == SEQUENCE)
		kind = TYPED;
	return limits[shared->backend == RSEQ_OP_BACKEND_AFFINITY][kind];
}

static void check_operations(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		pid_t pid = fork();
		int status;

		assert_int_not_equal(pid, -1);
		if (!pid)
			measure_in_child(operations[i].run);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		print_message("# %zu of %zu bytes: %s\n", shared->bytes,
			      limit(operations[i].kind), operations[i].name);
		assert_int_equal(shared->ret, 0);
		assert_true(shared->bytes <= limit(operations[i].kind));
	}
}

static void test_stack_of_operations_as_documented(void **state)
{
	(void)state;
	check_operations();
}

/* By affinity, the library looks whether the CPU is offline. */
static void test_stack_other_cpu_offline_as_documented(void **state)
{
	(void)state;
	need_vm();
	elsewhere = allowed_cpu(nr_allowed_cpus() - 1);
	if (elsewhere == here)
		skip_because("only one CPU");
	assert_true(set_online(elsewhere, false));
	check_operations();
}

static int leave(void **state)
{
	(void)state;
	if (getenv("TEST_VM"))
		set_online(allowed_cpu(nr_allowed_cpus() - 1), true);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stack_of_operations_as_documented),
		cmocka_unit_test_teardown(test_stack_other_cpu_offline_as_documented, leave),
	};

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 2;
	here = allowed_cpu(0);
	elsewhere = other_cpu(here) < 0 ? here : other_cpu(here);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

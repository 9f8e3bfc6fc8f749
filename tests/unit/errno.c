// SPDX-License-Identifier: MIT
/*
 * errno and the library: no result depends on it, and no call changes it.
 *
 * A signal handler may change errno at any moment. The library is linked into this program, and
 * finds errno by the function that this program defines in place of libc's. So the program can
 * give it another word, which holds garbage whenever it is read, as if a handler had run just
 * before: the test does not need a signal to come at the right moment. Functions within libc
 * still use the real errno.
 */
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rseq_op/pool.h>

#include "test.h"

#define GARBAGE		4321	/* no errno */

static volatile bool garbage;	/* the compiler takes __errno_location() for a constant */
static _Atomic unsigned int reads;	/* of errno, while it is garbage */

int *__errno_location(void)
{
	static __thread int word;
	static int *(*location)(void);

	if (garbage) {
		reads++;
		word = GARBAGE;
		return &word;
	}
	if (!location)
		location = (int *(*)(void))dlsym(RTLD_NEXT, "__errno_location");
	return location();
}

/* The compiler must not keep the address of errno from one call to the next. */
static __attribute__((noinline)) int read_errno(void)
{
	__asm__ volatile("" : : : "memory");
	return errno;
}

static intptr_t words[4];
static int cpu;			/* that the process runs on */
static struct rseq_op_pool *pool;
static void *item;

/* A vector that needs the backend. Its second operand is at addr. */
static int two_adds(void *addr, int expect_fault, int where)
{
	struct cpu_op ops[] = { cpu_op_add(&words[0], sizeof(intptr_t), 1),
				cpu_op_add(addr, sizeof(intptr_t), 1) };

	if (expect_fault)
		ops[1] = cpu_op_expect_fault(ops[1], 0);
	return rseq_op(ops, ARRAY_SIZE(ops), where, 0);
}

static int add_here(void)
{
	return rseq_op_addv(&words[0], 1, cpu);
}

static int add_elsewhere(void)
{
	return rseq_op_addv(&words[0], 1, other_cpu(cpu) < 0 ? cpu : other_cpu(cpu));
}

static int vector_here(void)
{
	return two_adds(&words[1], 0, cpu);
}

static int vector_elsewhere(void)
{
	return two_adds(&words[1], 0, other_cpu(cpu) < 0 ? cpu : other_cpu(cpu));
}

static int vector_unmapped(void)
{
	return two_adds((void *)64, 0, cpu);
}

static int vector_unmapped_expected(void)
{
	return two_adds((void *)64, 1, cpu);
}

static int compare(void)
{
	return rseq_op_cmpeqv_storev(&words[2], 1, 1, other_cpu(cpu) < 0 ? cpu : other_cpu(cpu));
}

static int invalid_cpu(void)
{
	return rseq_op_addv(&words[0], 1, -1);
}

static int fence(void)
{
	return rseq_op_fence(cpu);
}

static int backend(void)
{
	return rseq_op_backend(NULL) == RSEQ_OP_BACKEND_NONE;
}

static int pool_create(void)
{
	return rseq_op_pool_create(&pool, 64, RSEQ_OP_POOL_DEBUG);
}

static int pool_alloc(void)
{
	return rseq_op_pool_alloc(pool, &item);
}

static int pool_free(void)
{
	return rseq_op_pool_free(pool, item);
}

static int pool_destroy(void)
{
	rseq_op_pool_destroy(pool);
	return 0;
}

static int pool_create_shared(void)
{
	int ret = rseq_op_pool_create(&pool, 64, RSEQ_OP_POOL_SHARED);

	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_KERNEL)
		return ret == -EOPNOTSUPP ? 0 : ret;
	return ret ?: rseq_op_pool_alloc(pool, &item);
}

/* A pool attached to the file of the one above, and the item found there. */
static int pool_attach(void)
{
	struct rseq_op_pool *same;
	int ret;

	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_KERNEL)
		return 0;
	ret = rseq_op_pool_attach(&same, rseq_op_pool_fd(pool));
	if (ret)
		return ret;
	rseq_op_pool_destroy(same);
	rseq_op_pool_destroy(pool);
	return 0;
}

static int pool_attach_no_file(void)
{
	int ret = rseq_op_pool_attach(&pool, -1);

	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_KERNEL)
		return ret == -EOPNOTSUPP ? -EBADF : ret;
	return ret;
}

/* In this order: the first operation also chooses the backend. */
static const struct {
	const char *name;
	int (*run)(void);
	int expected;
} calls[] = {
	{ "addv for another CPU", add_elsewhere, 0 },
	{ "addv for this CPU", add_here, 0 },
	{ "backend", backend, 0 },
	{ "vector for this CPU", vector_here, 0 },
	{ "vector for another CPU", vector_elsewhere, 0 },
	{ "vector, operand unmapped", vector_unmapped, -EFAULT },
	{ "vector, operand unmapped, fault expected", vector_unmapped_expected, -EAGAIN },
	{ "comparison that does not hold", compare, 1 },
	{ "addv for no CPU", invalid_cpu, -EINVAL },
	{ "fence", fence, 0 },
	{ "fence_all", rseq_op_fence_all, 0 },
	{ "pool_create", pool_create, 0 },
	{ "pool_alloc", pool_alloc, 0 },
	{ "pool_free", pool_free, 0 },
	{ "pool_destroy", pool_destroy, 0 },
	{ "pool_create, shared", pool_create_shared, 0 },
	{ "pool_attach", pool_attach, 0 },
	{ "pool_attach, no file", pool_attach_no_file, -EBADF },
};

/* Shared with the process that makes the calls. */
static struct shared {
	int ret[ARRAY_SIZE(calls)], error[ARRAY_SIZE(calls)];
	unsigned int done;
} *shared;

static void make_calls(bool with_garbage)
{
	unsigned int i;

	cpu = allowed_cpu(0);
	pin_to(cpu);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		errno = GARBAGE;
		garbage = with_garbage;
		shared->ret[i] = calls[i].run();
		garbage = false;
		shared->error[i] = read_errno();
		shared->done = i + 1;
	}
	_exit(0);
}

/* In a process of its own, so that the first call chooses the backend. */
static void run_calls(bool with_garbage)
{
	int status;
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid)
		make_calls(with_garbage);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(shared->done, ARRAY_SIZE(calls));
}

static void test_errno_of_caller_unchanged(void **state)
{
	size_t i;

	(void)state;
	run_calls(false);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		print_message("# %s\n", calls[i].name);
		assert_int_equal(shared->ret[i], calls[i].expected);
		assert_int_equal(shared->error[i], GARBAGE);
	}
}

static void test_results_do_not_depend_on_errno(void **state)
{
	size_t i;

	(void)state;
	run_calls(true);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		print_message("# %s\n", calls[i].name);
		assert_int_equal(shared->ret[i], calls[i].expected);
	}
}

/* The control: what reads errno here reads garbage, also in the library. */
static void test_errno_is_garbage_when_asked(void **state)
{
	int value;

	(void)state;
	errno = 0;
	reads = 0;
	garbage = true;
	value = read_errno();
	garbage = false;
	assert_int_equal(value, GARBAGE);
	assert_int_equal(reads, 1);
	assert_int_equal(read_errno(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errno_is_garbage_when_asked),
		cmocka_unit_test(test_errno_of_caller_unchanged),
		cmocka_unit_test(test_results_do_not_depend_on_errno),
	};

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 2;
	nr_allowed_cpus();	/* looked up once */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

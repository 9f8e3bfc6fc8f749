// SPDX-License-Identifier: MIT
/*
 * Pools: items that are distinct, aligned, zero for every CPU, used again after they were
 * freed; what is invalid; and what the debugging of a pool finds.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rseq_op/pool.h>

#include "test.h"

#define MANY	3000

static _Atomic bool stopping;

static void *page_of(void *p)
{
	return (void *)((uintptr_t)p - (uintptr_t)p % (uintptr_t)sysconf(_SC_PAGESIZE));
}

static void check_zero(const char *item, size_t size)
{
	size_t i;
	int cpu;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		const char *p = rseq_op_ptr(item, cpu);

		if (!rseq_op_cpu_possible(cpu))
			continue;
		for (i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
	}
}

static void fill(char *item, size_t size, int byte)
{
	int cpu;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		if (rseq_op_cpu_possible(cpu))
			memset(rseq_op_ptr(item, cpu), byte, size);
	}
}

/*
 * The memory, in KiB, that the mappings take which hold an item; and the file they are of. The
 * page of zeroes that memory maps which is only read is no memory.
 */
static long memory_of(const struct rseq_op_pool *pool, const char *item)
{
	uintptr_t first = (uintptr_t)item, end = (uintptr_t)rseq_op_ptr(item, rseq_op_nr_cpus());
	unsigned long from, to;
	char line[512];
	bool ours = false;
	long rss, sum = 0;
	struct stat stat;
	FILE *f = fopen("/proc/self/smaps", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			ours = from < end && to > first;
		if (ours && sscanf(line, "Rss: %ld kB", &rss) == 1)
			sum += rss;
	}
	fclose(f);
	if (rseq_op_pool_fd(pool) >= 0) {
		assert_int_equal(fstat(rseq_op_pool_fd(pool), &stat), 0);
		sum += stat.st_blocks / 2;
	}
	return sum;
}

static void check_reuse(unsigned int flags, int cpu)
{
	struct rseq_op_pool *pool;
	void *item, *same = NULL;
	long memory;
	int i;

	/* Items come in turn. There are at most four of this size. */
	assert_int_equal(rseq_op_pool_create(&pool, RSEQ_OP_STRIDE / 4, flags), 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	memset(rseq_op_ptr(item, cpu), 0xff, RSEQ_OP_STRIDE / 4);
	memory = memory_of(pool, item);
	assert_true(memory >= (long)(RSEQ_OP_STRIDE / 4 / 1024));
	assert_int_equal(rseq_op_pool_free(pool, item), 0);
	for (i = 0; i < 20; i++) {
		assert_int_equal(rseq_op_pool_alloc(pool, &same), 0);
		assert_true(memory_of(pool, item) <= memory);
		if (same == item)
			assert_int_equal(((volatile char *)rseq_op_ptr(same, cpu))[77], 0);
		assert_int_equal(rseq_op_pool_free(pool, same), 0);
	}
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	check_zero(item, RSEQ_OP_STRIDE / 4);
	rseq_op_pool_destroy(pool);
}

/* An item that is used again takes no memory for the CPUs for which nobody has used it. */
static void test_reused_no_memory_of_unused_cpus(void **state)
{
	int i;

	(void)state;
	if (rseq_op_nr_cpus() < 2)
		skip_because("only one possible CPU");
	assert_int_equal(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
	for (i = 0; i < nr_allowed_cpus(); i++) {
		check_reuse(0, allowed_cpu(i));
		check_reuse(RSEQ_OP_POOL_DEBUG, allowed_cpu(i));
		if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_KERNEL)
			continue;
		check_reuse(RSEQ_OP_POOL_SHARED, allowed_cpu(i));
		check_reuse(RSEQ_OP_POOL_SHARED | RSEQ_OP_POOL_DEBUG, allowed_cpu(i));
	}
}

static int by_address(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	return (x > y) - (x < y);
}

static void check_size(size_t size, unsigned int flags, int count)
{
	static void *items[MANY];
	struct rseq_op_pool *pool = NULL;
	size_t align = sizeof(intptr_t);
	int i;

	while (align < size && align < 4096)
		align *= 2;
	assert_int_equal(rseq_op_pool_create(&pool, size, flags), 0);
	for (i = 0; i < count; i++) {
		assert_int_equal(rseq_op_pool_alloc(pool, &items[i]), 0);
		assert_int_equal((uintptr_t)items[i] % align, 0);
		check_zero(items[i], size);
		fill(items[i], size, 0xff);
	}
	for (i = 0; i < count; i += 2)
		assert_int_equal(rseq_op_pool_free(pool, items[i]), 0);
	for (i = 0; i < count; i += 2) {
		assert_int_equal(rseq_op_pool_alloc(pool, &items[i]), 0);
		check_zero(items[i], size);
	}
	qsort(items, (size_t)count, sizeof(*items), by_address);
	for (i = 1; i < count; i++)
		assert_true((char *)items[i] - (char *)items[i - 1] >= (ptrdiff_t)size);
	rseq_op_pool_destroy(pool);
}

static void test_items_distinct_and_zero(void **state)
{
	static const size_t sizes[] = { 1, 8, 24, 100, 4096, RSEQ_OP_STRIDE / 4 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		int count = sizes[i] < 1000 ? 700 : 40;

		check_size(sizes[i], 0, count);
		check_size(sizes[i], RSEQ_OP_POOL_DEBUG, count);
	}
	check_size(RSEQ_OP_STRIDE / 2, 0, 5);
}

static void test_items_of_all_cpus_counted(void **state)
{
	struct rseq_op_pool *pool;
	void *item;
	int i;

	(void)state;
	assert_int_equal(rseq_op_pool_create(&pool, sizeof(intptr_t), 0), 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	for (i = 0; i < nr_allowed_cpus(); i++) {
		int cpu = allowed_cpu(i);

		assert_int_equal(rseq_op_addv(rseq_op_ptr((intptr_t *)item, cpu), i + 1, cpu), 0);
	}
	for (i = 0; i < nr_allowed_cpus(); i++)
		assert_int_equal(*rseq_op_ptr((intptr_t *)item, allowed_cpu(i)), i + 1);
	rseq_op_pool_destroy(pool);
}

static void test_cpu_in_range_only_numbers_with_memory(void **state)
{
	static const int outside[] = { -1, -2, INT32_MIN, INT32_MAX, RSEQ_OP_CPU_MAX };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(outside); i++)
		assert_false(rseq_op_cpu_in_range(outside[i]));
	assert_false(rseq_op_cpu_in_range(rseq_op_nr_cpus()));
	assert_true(rseq_op_cpu_in_range(rseq_op_nr_cpus() - 1));
	assert_true(rseq_op_cpu_in_range(0));
	assert_int_equal(RSEQ_OP_STRIDE, 65536);
	assert_int_equal((char *)rseq_op_ptr(&i, 3) - (char *)&i, 3 * 65536);
}

/* Is the page mapped, and is it in memory? Errors are told by the kernel, not by a signal. */
static bool is_mapped(void *p)
{
	unsigned char in_memory;

	return !mincore(page_of(p), 1, &in_memory);
}

static bool is_in_memory(void *p)
{
	unsigned char in_memory;

	assert_int_equal(mincore(page_of(p), 1, &in_memory), 0);
	return in_memory & 1;
}

/* An item takes memory where it is used: of the CPU whose memory is touched, and then. */
static void test_items_untouched_take_no_memory(void **state)
{
	struct rseq_op_pool *pool;
	void *items[3];
	int i, cpu;

	(void)state;
	assert_int_equal(rseq_op_pool_create(&pool, RSEQ_OP_STRIDE / 2, 0), 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(rseq_op_pool_alloc(pool, &items[i]), 0);
	for (i = 0; i < 3; i++) {
		for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++)
			assert_false(is_in_memory(rseq_op_ptr((char *)items[i], cpu)));
	}
	*(char *)items[2] = 1;
	assert_true(is_in_memory(items[2]));
	rseq_op_pool_destroy(pool);
}

static void test_destroy_unmaps_every_cpu(void **state)
{
	struct rseq_op_pool *pool;
	void *items[3];
	int i, cpu;

	(void)state;
	assert_int_equal(rseq_op_pool_create(&pool, RSEQ_OP_STRIDE / 2, 0), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(rseq_op_pool_alloc(pool, &items[i]), 0);
		assert_true(is_mapped(items[i]));
	}
	rseq_op_pool_destroy(pool);
	for (i = 0; i < 3; i++) {
		for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++)
			assert_false(is_mapped(rseq_op_ptr((char *)items[i], cpu)));
	}
}

/* Exit status 0 of a child that cannot map memory any more. */
static int alloc_without_memory(struct rseq_op_pool *pool)
{
	struct rlimit limit;
	void *item;
	int ret;

	if (getrlimit(RLIMIT_AS, &limit) ||
	    setrlimit(RLIMIT_AS, &(struct rlimit){ 0, limit.rlim_max }))
		return 2;
	ret = rseq_op_pool_alloc(pool, &item);
	if (setrlimit(RLIMIT_AS, &limit))
		return 2;
	return ret != -ENOMEM || rseq_op_pool_alloc(pool, &item);
}

static void test_alloc_no_memory_enomem(void **state)
{
	struct rseq_op_pool *pool;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(rseq_op_pool_create(&pool, RSEQ_OP_STRIDE / 2, 0), 0);
	pid = fork();
	if (!pid)
		_exit(alloc_without_memory(pool));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	rseq_op_pool_destroy(pool);
}

static void test_invalid_einval(void **state)
{
	struct rseq_op_pool *pool = NULL, *other;
	void *item;
	int bit;

	(void)state;
	assert_int_equal(rseq_op_pool_create(&pool, 0, 0), -EINVAL);
	assert_int_equal(rseq_op_pool_create(&pool, RSEQ_OP_STRIDE / 2 + 1, 0), -EINVAL);
	assert_int_equal(rseq_op_pool_create(&pool, SIZE_MAX, 0), -EINVAL);
	for (bit = 2; bit < 32; bit++)
		assert_int_equal(rseq_op_pool_create(&pool, 8, 1U << bit), -EINVAL);
	assert_int_equal(rseq_op_pool_create(NULL, 8, 0), -EINVAL);
	assert_int_equal(rseq_op_pool_alloc(NULL, &item), -EINVAL);
	assert_int_equal(rseq_op_pool_free(NULL, &item), -EINVAL);
	assert_null(pool);
	assert_int_equal(rseq_op_pool_create(&pool, 24, 0), 0);
	assert_int_equal(rseq_op_pool_create(&other, 24, 0), 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	assert_int_equal(rseq_op_pool_free(other, item), -EINVAL);
	assert_int_equal(rseq_op_pool_free(pool, (char *)item + 8), -EINVAL);
	assert_int_equal(rseq_op_pool_free(pool, (char *)item + 32), -EINVAL);
	if (rseq_op_nr_cpus() > 1)
		assert_int_equal(rseq_op_pool_free(pool, rseq_op_ptr((char *)item, 1)), -EINVAL);
	assert_int_equal(rseq_op_pool_free(pool, NULL), -EINVAL);
	assert_int_equal(rseq_op_pool_alloc(pool, NULL), -EINVAL);
	assert_int_equal(rseq_op_pool_fd(pool), -EINVAL);
	assert_int_equal(rseq_op_pool_fd(NULL), -EINVAL);
	assert_int_equal(rseq_op_pool_offset(pool, item), -EINVAL);
	assert_int_equal(rseq_op_pool_offset(NULL, item), -EINVAL);
	assert_null(rseq_op_pool_item(pool, 0));
	assert_null(rseq_op_pool_item(NULL, 0));
	assert_int_equal(rseq_op_pool_free(pool, item), 0);
	assert_int_equal(rseq_op_pool_free(pool, item), -EINVAL);
	rseq_op_pool_destroy(pool);
	rseq_op_pool_destroy(other);
	rseq_op_pool_destroy(NULL);
}

/* One byte of the item is changed while it is free. */
static void check_found(int cpu, size_t at)
{
	struct rseq_op_pool *pool;
	void *item, *again;
	int i, found = 0;

	assert_int_equal(rseq_op_pool_create(&pool, RSEQ_OP_STRIDE / 4, RSEQ_OP_POOL_DEBUG), 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	assert_int_equal(rseq_op_pool_free(pool, item), 0);
	rseq_op_ptr((char *)item, cpu)[at] ^= 1;
	for (i = 0; i < 5; i++) {
		int ret = rseq_op_pool_alloc(pool, &again);

		assert_true(ret == 0 || ret == -EUCLEAN);
		assert_int_equal(ret == -EUCLEAN, again == item);
		found += ret == -EUCLEAN;
	}
	assert_int_equal(found, 1);
	assert_int_equal(rseq_op_pool_free(pool, item), -EINVAL);
	rseq_op_pool_destroy(pool);
}

/* Zero is found too, where the memory of the CPU has been used. */
static void test_debug_cleared_after_free_euclean(void **state)
{
	struct rseq_op_pool *pool;
	void *item, *again;
	int i, found = 0;

	(void)state;
	assert_int_equal(rseq_op_pool_create(&pool, RSEQ_OP_STRIDE / 4, RSEQ_OP_POOL_DEBUG), 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	((char *)rseq_op_ptr(item, allowed_cpu(0)))[77] = 1;
	assert_int_equal(rseq_op_pool_free(pool, item), 0);
	memset(rseq_op_ptr(item, allowed_cpu(0)), 0, RSEQ_OP_STRIDE / 4);
	for (i = 0; i < 5; i++)
		found += rseq_op_pool_alloc(pool, &again) == -EUCLEAN && again == item;
	assert_int_equal(found, 1);
	rseq_op_pool_destroy(pool);
}

static void test_debug_written_after_free_euclean(void **state)
{
	static const size_t at[] = { 0, 1, 77, RSEQ_OP_STRIDE / 4 - 1 };
	size_t k;
	int cpu;

	(void)state;
	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		for (k = 0; k < ARRAY_SIZE(at) && rseq_op_cpu_possible(cpu); k++)
			check_found(cpu, at[k]);
	}
}

/* A thread that reads what it has freed finds neither its data nor zeroes, on any CPU. */
static void test_debug_freed_filled_with_pattern(void **state)
{
	struct rseq_op_pool *pool;
	size_t size = 100, i;
	void *item;
	int cpu;

	(void)state;
	assert_int_equal(rseq_op_pool_create(&pool, size, RSEQ_OP_POOL_DEBUG), 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	fill(item, size, 0xff);
	assert_int_equal(rseq_op_pool_free(pool, item), 0);
	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		for (i = 0; i < size && rseq_op_cpu_possible(cpu); i++) {
			assert_int_not_equal(rseq_op_ptr((char *)item, cpu)[i], 0);
			assert_int_not_equal(rseq_op_ptr((char *)item, cpu)[i], (char)0xff);
		}
	}
	rseq_op_pool_destroy(pool);
}

/* The first store behind the memory of a CPU, or the last one before that of the next. */
static void check_overrun(char *p)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile char *)p = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void test_debug_overrun_sigsegv(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct rseq_op_pool *pool;
	void *item;
	int cpu;

	(void)state;
	if (page > RSEQ_OP_STRIDE / 4)
		skip_because("pages are too large for one behind the memory of each CPU");
	assert_int_equal(rseq_op_pool_create(&pool, 64, RSEQ_OP_POOL_DEBUG), 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		char *end = rseq_op_ptr((char *)item, cpu) + RSEQ_OP_STRIDE;

		check_overrun(end - page);
		check_overrun(end - 1);
	}
	rseq_op_pool_destroy(pool);
}

/*
 * Between two turns with a lock: a mutex is not fair, and who forks would wait for as long
 * as others take it again at once.
 */
static void give_way(void)
{
	usleep(1);
}

static void *alloc_and_free(void *arg)
{
	struct rseq_op_pool *pool = arg;
	void *item;
	int i;

	while (!stopping) {
		for (i = 0; i < 100; i++) {
			if (rseq_op_pool_alloc(pool, &item) || rseq_op_pool_free(pool, item))
				return pool;
		}
		give_way();
	}
	return NULL;
}

/*
 * Threads that allocate at once get different items: a thread writes its number to all that it
 * has, and finds it again.
 */
#define ALLOCATORS	4
#define HELD		40

static void *hold_items(void *arg)
{
	struct rseq_op_pool *pool = arg;
	intptr_t *items[HELD], mine = (intptr_t)&items;
	int turn, i, taken = 0;

	for (turn = 0; turn < 2000; turn++) {
		for (i = 0; i < HELD; i++) {
			void *item;

			if (rseq_op_pool_alloc(pool, &item))
				return arg;
			items[i] = item;
			taken += __atomic_exchange_n(items[i], mine, __ATOMIC_RELAXED) != 0;
		}
		for (i = 0; i < HELD; i++) {
			taken += __atomic_exchange_n(items[i], 0, __ATOMIC_RELAXED) != mine;
			if (rseq_op_pool_free(pool, items[i]))
				return arg;
		}
	}
	return taken ? arg : NULL;
}

static void test_allocated_by_threads_each_its_own(void **state)
{
	struct rseq_op_pool *pool;
	pthread_t threads[ALLOCATORS];
	void *failed;
	int i, wrong = 0;

	(void)state;
	assert_int_equal(rseq_op_pool_create(&pool, RSEQ_OP_STRIDE / 16, 0), 0);
	for (i = 0; i < ALLOCATORS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hold_items, pool), 0);
	for (i = 0; i < ALLOCATORS; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		wrong += failed != NULL;
	}
	assert_int_equal(wrong, 0);
	rseq_op_pool_destroy(pool);
}

/* A signal handler forks, wherever it interrupts a function of a pool. */
static _Atomic int forks, failed_forks;

static void fork_in_handler(int sig)
{
	int saved = errno, status;
	pid_t pid = fork();

	(void)sig;
	if (!pid)
		_exit(0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		failed_forks++;
	forks++;
	errno = saved;
}

static void test_forked_in_handler_no_deadlock(void **state)
{
	const struct sigaction sa = { .sa_handler = fork_in_handler, .sa_flags = SA_RESTART };
	const struct itimerval often = { { 0, 200 }, { 0, 200 } }, never = { 0 };
	struct rseq_op_pool *pool;
	void *item;

	(void)state;
	assert_int_equal(rseq_op_pool_create(&pool, 64, 0), 0);
	assert_int_equal(sigaction(SIGVTALRM, &sa, NULL), 0);
	assert_int_equal(setitimer(ITIMER_VIRTUAL, &often, NULL), 0);
	alarm(LIMIT_S);
	while (forks < 300) {
		assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
		assert_int_equal(rseq_op_pool_free(pool, item), 0);
	}
	alarm(0);
	assert_int_equal(setitimer(ITIMER_VIRTUAL, &never, NULL), 0);
	assert_int_equal(failed_forks, 0);
	rseq_op_pool_destroy(pool);
}

/* A child can go on with a pool, whatever the parent's other threads were at. */
static void test_forked_under_load(void **state)
{
	struct rseq_op_pool *pool;
	pthread_t thread;
	void *item, *failed;
	int i, status;

	(void)state;
	stopping = false;
	assert_int_equal(rseq_op_pool_create(&pool, RSEQ_OP_STRIDE / 2, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, alloc_and_free, pool), 0);
	for (i = 0; i < 300; i++) {
		pid_t pid = fork();

		if (!pid) {
			alarm(LIMIT_S);
			_exit(rseq_op_pool_alloc(pool, &item) != 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	stopping = true;
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	rseq_op_pool_destroy(pool);
}

/*
 * A program that allocates with a lock of its own held, and takes that lock, too, when it
 * is forked. Its handlers are there before its first pool.
 */
static pthread_mutex_t program_lock = PTHREAD_MUTEX_INITIALIZER;

static void take_program_lock(void)
{
	pthread_mutex_lock(&program_lock);
}

static void release_program_lock(void)
{
	pthread_mutex_unlock(&program_lock);
}

static void *alloc_with_program_lock(void *arg)
{
	struct rseq_op_pool *pool = arg;
	int i, ret = 0;
	void *item;

	while (!stopping && !ret) {
		take_program_lock();
		for (i = 0; i < 100 && !ret; i++)
			ret = rseq_op_pool_alloc(pool, &item) ?: rseq_op_pool_free(pool, item);
		release_program_lock();
		give_way();
	}
	return ret ? pool : NULL;
}

static void test_forked_no_deadlock_with_program_lock(void **state)
{
	struct rseq_op_pool *pool;
	pthread_t thread;
	void *failed;
	int i, status;

	(void)state;
	stopping = false;
	assert_int_equal(rseq_op_pool_create(&pool, RSEQ_OP_STRIDE / 2, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, alloc_with_program_lock, pool), 0);
	for (i = 0; i < 300; i++) {
		pid_t pid;

		alarm(LIMIT_S);
		pid = fork();
		if (!pid)
			_exit(0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	alarm(0);
	stopping = true;
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	rseq_op_pool_destroy(pool);
}

/* Operations of a parent and a child on one word; or a clear no. */
static void test_shared_between_processes(void **state)
{
	struct rseq_op_pool *pool;
	int i, status, ret, cpu = allowed_cpu(0);
	intptr_t *word;
	void *item;
	pid_t pid;

	(void)state;
	ret = rseq_op_pool_create(&pool, sizeof(*word), RSEQ_OP_POOL_SHARED);
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_KERNEL) {
		assert_int_equal(ret, -EOPNOTSUPP);
		return;
	}
	assert_int_equal(ret, 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	word = rseq_op_ptr((intptr_t *)item, cpu);
	pid = fork();
	for (i = 0; i < 20000; i++) {
		if (rseq_op_addv(word, 1, cpu))
			break;
	}
	if (!pid)
		_exit(i != 20000);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(*word, 40000);
	rseq_op_pool_destroy(pool);
}

/*
 * The file of a pool, in a process that did not get it by fork(): it is there before. A
 * range holds two of the items, so that there are three, and the last is made when the
 * process has attached to the first two.
 */
#define NR_ITEMS	5
#define FIRST_ITEMS	4
#define ADDS		5000

struct message {
	int fd;
	int64_t offsets[NR_ITEMS];
};

static int add_to(struct rseq_op_pool *pool, int64_t offset, int cpu)
{
	intptr_t *word = rseq_op_pool_item(pool, offset);
	int i, ret = word ? 0 : -ENOENT;

	for (i = 0; i < ADDS && !ret; i++)
		ret = rseq_op_addv(rseq_op_ptr(word, cpu), 1, cpu);
	return ret;
}

/* What it finds wrong, by line. */
static int attached(int from, int to, pid_t maker, int cpu)
{
	struct rseq_op_pool *pool;
	struct message m;
	char path[64];
	void *item;
	int i, fd;

	if (read(from, &m, sizeof(m)) != sizeof(m))
		return __LINE__;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", maker, m.fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || rseq_op_pool_attach(&pool, fd) || close(fd))
		return __LINE__;
	for (i = 0; i < FIRST_ITEMS; i++) {
		if (add_to(pool, m.offsets[i], cpu))
			return __LINE__;
	}
	if (write(to, &m, 1) != 1 || read(from, &m, sizeof(m)) != sizeof(m))
		return __LINE__;
	if (add_to(pool, m.offsets[FIRST_ITEMS], cpu))
		return __LINE__;
	if (rseq_op_pool_item(pool, 3 * (int64_t)rseq_op_nr_cpus() * (int64_t)RSEQ_OP_STRIDE))
		return __LINE__;
	item = rseq_op_pool_item(pool, m.offsets[1]);
	if (rseq_op_pool_offset(pool, item) != m.offsets[1])
		return __LINE__;
	if (rseq_op_pool_free(pool, item) != -EPERM ||
	    rseq_op_pool_alloc(pool, &item) != -EPERM)
		return __LINE__;
	rseq_op_pool_destroy(pool);
	return 0;
}

static void check_no_items(struct rseq_op_pool *pool)
{
	const int64_t length = (int64_t)rseq_op_nr_cpus() * (int64_t)RSEQ_OP_STRIDE;

	assert_null(rseq_op_pool_item(pool, -1));
	assert_null(rseq_op_pool_item(pool, INT64_MIN));
	assert_null(rseq_op_pool_item(pool, INT64_MAX));
	assert_null(rseq_op_pool_item(pool, 3 * length));
	if (length > (int64_t)RSEQ_OP_STRIDE)
		assert_null(rseq_op_pool_item(pool, (int64_t)RSEQ_OP_STRIDE));
	assert_int_equal(rseq_op_pool_offset(pool, &length), -EINVAL);
}

static void test_shared_file_attached(void **state)
{
	struct rseq_op_pool *pool;
	struct message m = { -1, { 0 } };
	int i, status, down[2], up[2], cpu = allowed_cpu(0);
	pid_t pid, maker = getpid();
	void *item[NR_ITEMS];

	(void)state;
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_KERNEL) {
		assert_int_equal(rseq_op_pool_attach(&pool, 0), -EOPNOTSUPP);
		return;
	}
	assert_int_equal(pipe(down) | pipe(up), 0);
	pid = fork();
	if (!pid) {
		i = attached(down[0], up[1], maker, cpu);
		if (i)
			print_error("# in the process that attaches, line %d\n", i);
		_exit(i != 0);
	}
	assert_int_equal(rseq_op_pool_create(&pool, RSEQ_OP_STRIDE / 2, RSEQ_OP_POOL_SHARED), 0);
	m.fd = rseq_op_pool_fd(pool);
	for (i = 0; i < NR_ITEMS; i++) {
		char c;

		assert_true(i != FIRST_ITEMS || read(up[0], &c, 1) == 1);
		assert_int_equal(rseq_op_pool_alloc(pool, &item[i]), 0);
		m.offsets[i] = rseq_op_pool_offset(pool, item[i]);
		assert_ptr_equal(rseq_op_pool_item(pool, m.offsets[i]), item[i]);
		if (i >= FIRST_ITEMS - 1)
			assert_int_equal(write(down[1], &m, sizeof(m)), sizeof(m));
	}
	for (i = 0; i < NR_ITEMS; i++)
		assert_int_equal(add_to(pool, m.offsets[i], cpu), 0);
	check_no_items(pool);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (i = 0; i < NR_ITEMS; i++)
		assert_int_equal(*rseq_op_ptr((intptr_t *)item[i], cpu), 2 * ADDS);
	rseq_op_pool_destroy(pool);
	for (i = 0; i < 2; i++) {
		close(down[i]);
		close(up[i]);
	}
}

/* A child of the maker has a copy of what is in use, and would give items away twice. */
static void test_shared_in_child_eperm(void **state)
{
	struct rseq_op_pool *pool;
	void *item;
	int status;
	pid_t pid;

	(void)state;
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_KERNEL)
		skip_because("no cpu_opv()");
	assert_int_equal(rseq_op_pool_create(&pool, 8, RSEQ_OP_POOL_SHARED), 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	pid = fork();
	if (!pid)
		_exit(rseq_op_pool_alloc(pool, &item) != -EPERM ||
		      rseq_op_pool_free(pool, item) != -EPERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(rseq_op_pool_free(pool, item), 0);
	rseq_op_pool_destroy(pool);
}

/* The pool's file is close-on-exec, also where it was attached to, and goes with the pool. */
static void test_shared_file_closed_with_pool(void **state)
{
	struct rseq_op_pool *pool, *attached;
	int fd, fd_attached;

	(void)state;
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_KERNEL)
		skip_because("no cpu_opv()");
	assert_int_equal(rseq_op_pool_create(&pool, 8, RSEQ_OP_POOL_SHARED), 0);
	fd = rseq_op_pool_fd(pool);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(rseq_op_pool_attach(&attached, fd), 0);
	fd_attached = rseq_op_pool_fd(attached);
	assert_true(fd_attached >= 0);
	assert_int_not_equal(fd_attached, fd);
	assert_int_equal(fcntl(fd_attached, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	rseq_op_pool_destroy(pool);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_true(fcntl(fd_attached, F_GETFD) >= 0);
	rseq_op_pool_destroy(attached);
	assert_int_equal(fcntl(fd_attached, F_GETFD), -1);
}

/* An offset names every byte of an item, by the address of CPU 0 and by no other. */
static void test_shared_offset_inside_item(void **state)
{
	struct rseq_op_pool *pool;
	char *item, *second;
	int64_t offset;
	void *p;

	(void)state;
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_KERNEL)
		skip_because("no cpu_opv()");
	assert_int_equal(rseq_op_pool_create(&pool, RSEQ_OP_STRIDE / 2, RSEQ_OP_POOL_SHARED), 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &p), 0);
	item = p;
	assert_int_equal(rseq_op_pool_alloc(pool, &p), 0);
	second = p;
	offset = rseq_op_pool_offset(pool, item + 13);
	assert_true(offset >= 0);
	assert_int_equal(rseq_op_pool_offset(pool, item), offset - 13);
	assert_ptr_equal(rseq_op_pool_item(pool, offset), item + 13);
	assert_ptr_equal(rseq_op_pool_item(pool, offset + 1), item + 14);
	assert_int_equal(rseq_op_pool_offset(pool, second) - rseq_op_pool_offset(pool, item),
			 second - item);
	if (rseq_op_nr_cpus() > 1)
		assert_int_equal(rseq_op_pool_offset(pool, rseq_op_ptr(item, 1)), -EINVAL);
	rseq_op_pool_destroy(pool);
}

/* A new file gets the lowest number that is free, so all below the pool's are in use. */
static void test_shared_no_files_left_emfile(void **state)
{
	struct rseq_op_pool *pool, *other = NULL;
	struct rlimit limit, used;
	int created, attached;

	(void)state;
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_KERNEL)
		skip_because("no cpu_opv()");
	assert_int_equal(rseq_op_pool_create(&pool, 8, RSEQ_OP_POOL_SHARED), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	used = (struct rlimit){ (rlim_t)rseq_op_pool_fd(pool) + 1, limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &used), 0);
	created = rseq_op_pool_create(&other, 8, RSEQ_OP_POOL_SHARED);
	attached = rseq_op_pool_attach(&other, rseq_op_pool_fd(pool));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(created, -EMFILE);
	assert_int_equal(attached, -EMFILE);
	assert_null(other);
	rseq_op_pool_destroy(pool);
}

/*
 * A process that has inherited a pool and has the process ID of the pool's maker, which has
 * ended: a fork of the maker makes it. (So process IDs repeat in nested PID namespaces, too.)
 * Each process returns what it finds wrong, by line.
 */
#define REFUSED		255

static pid_t fork_with_pid(pid_t pid)
{
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid,
				   .set_tid_size = 1 };

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static int exit_status(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return __LINE__ & 127;
	return WEXITSTATUS(status);
}

static int with_pid_of_maker(struct rseq_op_pool *pool, pid_t maker)
{
	struct rseq_op_pool *own;
	void *item;

	if (getpid() != maker)
		return __LINE__ & 127;
	if (rseq_op_pool_alloc(pool, &item) != -EPERM)
		return __LINE__ & 127;
	/* It can be a maker itself, which changes nothing for the pool that it has inherited. */
	if (rseq_op_pool_create(&own, 8, RSEQ_OP_POOL_SHARED) || rseq_op_pool_alloc(own, &item) ||
	    rseq_op_pool_free(own, item))
		return __LINE__ & 127;
	if (rseq_op_pool_alloc(pool, &item) != -EPERM)
		return __LINE__ & 127;
	rseq_op_pool_destroy(own);
	return 0;
}

/* The fork of the maker: it waits until the maker's process ID is free. */
static int repeat_pid(struct rseq_op_pool *pool, pid_t maker, int maker_gone)
{
	pid_t pid;
	char c;

	if (read(maker_gone, &c, 1) != 1)
		return __LINE__ & 127;
	pid = fork_with_pid(maker);
	if (pid < 0)
		return errno == EPERM || errno == ENOSYS ? REFUSED : __LINE__ & 127;
	if (!pid)
		_exit(with_pid_of_maker(pool, maker));
	return exit_status(pid);
}

static int make_and_fork(int maker_gone, int result)
{
	struct rseq_op_pool *pool;
	pid_t pid, maker = getpid();
	unsigned char status;
	void *item;

	if (rseq_op_pool_create(&pool, 8, RSEQ_OP_POOL_SHARED) || rseq_op_pool_alloc(pool, &item))
		return __LINE__ & 127;
	pid = fork();
	if (!pid) {
		alarm(LIMIT_S);
		status = (unsigned char)repeat_pid(pool, maker, maker_gone);
		_exit(write(result, &status, 1) != 1);
	}
	return pid < 0 ? __LINE__ & 127 : 0;
}

static void test_shared_with_pid_of_maker_eperm(void **state)
{
	int gone[2], result[2];
	unsigned char status;
	pid_t pid;

	(void)state;
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_KERNEL)
		skip_because("no cpu_opv()");
	assert_int_equal(pipe(gone) | pipe(result), 0);
	pid = fork();
	if (!pid)
		_exit(make_and_fork(gone[0], result[1]));
	close(result[1]);
	assert_int_equal(exit_status(pid), 0);
	assert_int_equal(write(gone[1], "", 1), 1);
	assert_int_equal(read(result[0], &status, 1), 1);
	close(gone[0]);
	close(gone[1]);
	close(result[0]);
	if (status == REFUSED)
		skip_because("a process ID cannot be chosen");
	assert_int_equal(status, 0);
}

/* A child that shares the maker's memory shares what is known of the items, too. */
static void test_shared_in_vfork_child_is_maker(void **state)
{
	struct rseq_op_pool *pool;
	void *volatile item = NULL;
	volatile int ret = -1;
	int status;
	pid_t pid;

	(void)state;
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_KERNEL)
		skip_because("no cpu_opv()");
	assert_int_equal(rseq_op_pool_create(&pool, 8, RSEQ_OP_POOL_SHARED), 0);
	pid = vfork();
	if (!pid) {
		void *p;

		ret = rseq_op_pool_alloc(pool, &p);
		item = p;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(ret, 0);
	assert_int_equal(rseq_op_pool_free(pool, item), 0);
	rseq_op_pool_destroy(pool);
}

static void test_attach_invalid(void **state)
{
	struct rseq_op_pool *pool = NULL;
	int fd;

	(void)state;
	assert_int_equal(rseq_op_pool_attach(NULL, 0), -EINVAL);
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_KERNEL)
		skip_because("no cpu_opv()");
	assert_int_equal(rseq_op_pool_attach(&pool, -1), -EBADF);
	fd = open("/dev/null", O_RDWR);
	assert_int_equal(rseq_op_pool_attach(&pool, fd), -EINVAL);
	close(fd);
	fd = memfd_create("pool", MFD_ALLOW_SEALING);
	assert_int_equal(rseq_op_pool_attach(&pool, fd), -EINVAL);
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(rseq_op_pool_attach(&pool, fd), -EINVAL);
	assert_null(pool);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared_file_attached),
		cmocka_unit_test(test_shared_in_child_eperm),
		cmocka_unit_test(test_shared_file_closed_with_pool),
		cmocka_unit_test(test_shared_offset_inside_item),
		cmocka_unit_test(test_shared_no_files_left_emfile),
		cmocka_unit_test(test_shared_with_pid_of_maker_eperm),
		cmocka_unit_test(test_shared_in_vfork_child_is_maker),
		cmocka_unit_test(test_attach_invalid),
		cmocka_unit_test(test_items_distinct_and_zero),
		cmocka_unit_test(test_items_of_all_cpus_counted),
		cmocka_unit_test(test_items_untouched_take_no_memory),
		cmocka_unit_test(test_destroy_unmaps_every_cpu),
		cmocka_unit_test(test_alloc_no_memory_enomem),
		cmocka_unit_test(test_cpu_in_range_only_numbers_with_memory),
		cmocka_unit_test(test_invalid_einval),
		cmocka_unit_test(test_reused_no_memory_of_unused_cpus),
		cmocka_unit_test(test_debug_written_after_free_euclean),
		cmocka_unit_test(test_debug_freed_filled_with_pattern),
		cmocka_unit_test(test_debug_cleared_after_free_euclean),
		cmocka_unit_test(test_debug_overrun_sigsegv),
		cmocka_unit_test(test_allocated_by_threads_each_its_own),
		cmocka_unit_test(test_forked_in_handler_no_deadlock),
		cmocka_unit_test(test_forked_under_load),
		cmocka_unit_test(test_forked_no_deadlock_with_program_lock),
		cmocka_unit_test(test_shared_between_processes),
	};

	if (pthread_atfork(take_program_lock, release_program_lock, release_program_lock))
		return 1;

	return cmocka_run_group_tests(tests, NULL, NULL);
}

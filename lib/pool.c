// SPDX-License-Identifier: MIT
/*
 * Per-CPU memory. A pool is a list of ranges; a range is a stretch of RSEQ_OP_STRIDE bytes
 * for each CPU, one behind the other, divided into items. The stretches of a node's CPUs
 * are bound to that node when the range is mapped, so it does not matter who touches them
 * first, nor when a CPU comes up.
 *
 * The ranges of a SHARED pool lie in a file in memory, one behind the other, in the order
 * in which they were made. A process that is given the file maps what is in it. Which items
 * are in use only the process knows that made the pool, its maker.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/stat.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#include <rseq_op/pool.h>

#define POISON		0x5a
#define NODES_MAX	1024		/* of any kernel */
#define LONG_BITS	(8 * (int)sizeof(long))

enum item_state { FREE, USED, SPOILT };

struct range {
	struct range *next;
	char *base;
	size_t index;			/* in the file */
	size_t nr_free;
	size_t next_free;		/* where to look first */
	bool *was_used;			/* [item]: its memory is not fresh */
	uint8_t *state;			/* [item] */
	bool *poisoned;			/* [item * rseq_op_nr_cpus() + CPU]; NULL without DEBUG */
};

struct rseq_op_pool {
	struct range *ranges;
	size_t size;			/* of an item, a power of two */
	size_t nr_items;		/* in a range */
	unsigned int flags;
	int fd;				/* of the file, or -1 */
	size_t nr_ranges;		/* in the file */
	uint16_t maker;			/* incarnation of the process that allocates; 0: attached */
};

/*
 * The lock of all pools. It holds the address of the owner's thread-local variable nested, or NULL
 * if it is free. So one compare-and-swap takes the lock and records the owner.
 *
 * The prepare handler of fork() takes this lock, because the child could not release a lock that
 * another thread holds. The library registers its handlers when it is loaded, before those of a
 * program that is linked with it. So fork() runs the handlers of the program first, and takes the
 * locks of the program before this lock. A thread that allocates while it holds such a lock uses
 * the same order. A thread that has this lock takes no other lock.
 */
static _Atomic(unsigned int *) owner;
static int fork_handled = ENOMEM;	/* 0 or an errno */

/*
 * How many more times the owner has taken the lock. That happens when a fork handler that runs
 * after this one forks or uses a pool, and when a signal handler forks that interrupts a function
 * of a pool. Such a signal handler may interrupt the functions below at any point: it leaves the
 * count as it was.
 */
static __thread unsigned int nested __attribute__((tls_model("initial-exec")));

static void take_lock(void)
{
	static const long pause[2] = { 0, 50000 };	/* ns */
	unsigned int *expected = NULL;

	if (atomic_load_explicit(&owner, memory_order_relaxed) == &nested) {
		nested++;
		return;
	}
	DELAY_POINT();
	while (!atomic_compare_exchange_strong_explicit(&owner, &expected, &nested,
							memory_order_acquire,
							memory_order_relaxed)) {
		expected = NULL;
		raw_syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, (long)pause, 0, 0, 0);
	}
	DELAY_POINT();
}

static void release_lock(void)
{
	if (nested) {
		nested--;
		return;
	}
	DELAY_POINT();
	atomic_store_explicit(&owner, NULL, memory_order_release);
}

__attribute__((constructor(101)))
static void prepare_for_fork(void)
{
	fork_handled = pthread_atfork(take_lock, release_lock, release_lock);
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Maps memory for reading and writing. fd is -1 for memory without a file. */
static long map_file(int fd, uint64_t offset, size_t size)
{
	int how = MAP_NORESERVE | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);

#ifdef SYS_mmap2	/* a 32-bit kernel takes the offset in units of 4096 bytes */
	return raw_syscall(SYS_mmap2, 0, (long)size, PROT_READ | PROT_WRITE, how, fd,
			   (long)(offset / 4096));
#else
	return raw_syscall(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE, how, fd, (long)offset);
#endif
}

static void unmap(char *base, size_t size)
{
	raw_syscall(SYS_munmap, (long)base, (long)size, 0, 0, 0, 0);
}

/*
 * A child of fork(), in whatever PID namespace, is not the maker. A child that shares the memory of
 * its parent, see vfork(2), shares the pools' bookkeeping too, and counts as the same process.
 */
static bool is_maker(const struct rseq_op_pool *pool)
{
	return pool->maker && pool->maker == incarnation();
}

/* libc may set errno here, even where the call succeeds. */
static void *allocate(size_t n, size_t size)
{
	int saved = errno;
	void *p = calloc(n, size);

	errno = saved;
	return p;
}

static void release(void *p)
{
	int saved = errno;

	free(p);
	errno = saved;
}

static void close_file(int fd)
{
	raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

static size_t range_length(void)
{
	return (size_t)rseq_op_nr_cpus() * RSEQ_OP_STRIDE;
}

/*
 * The node of a CPU that is plugged in, online or not; -1 if that is unknown. libnuma is not used:
 * its constructor makes system calls in every program that is linked with it, for which a seccomp
 * filter may kill; and it knows the nodes of CPUs only that are online.
 */
static int look_up_node(const struct cpus *nodes, int cpu)
{
	char path[64];
	int node;

	for (node = 0; node < NODES_MAX; node++) {
		if (!cpus_have(nodes, node))
			continue;
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/node%d", cpu, node);
		if (!raw_syscall(SYS_faccessat, AT_FDCWD, (long)path, F_OK, 0, 0, 0))
			return node;
	}
	return -1;
}

static int node_of(const struct cpus *nodes, int cpu)
{
	static _Atomic int16_t known[RSEQ_OP_CPU_MAX];	/* node + 1 */
	int node = atomic_load_explicit(&known[cpu], memory_order_relaxed) - 1;

	if (node < 0 && rseq_op_cpu_possible(cpu)) {
		node = look_up_node(nodes, cpu);
		atomic_store_explicit(&known[cpu], (int16_t)(node + 1), memory_order_relaxed);
	}
	return node;
}

/*
 * If the node has no memory left, or the policy is refused, the memory comes from another node.
 */
static void bind_cpus(char *base, int first, int end, int node)
{
	unsigned long nodes[NODES_MAX / LONG_BITS] = { 0 };

	if (node < 0 || node >= NODES_MAX)
		return;
	nodes[node / LONG_BITS] = 1UL << node % LONG_BITS;
	raw_syscall(SYS_mbind, (long)(base + (size_t)first * RSEQ_OP_STRIDE),
		    (long)((size_t)(end - first) * RSEQ_OP_STRIDE), MPOL_PREFERRED, (long)nodes,
		    NODES_MAX + 1, 0);
}

/* Whether there are several nodes, and which. Sets of nodes have the form of sets of CPUs. */
static bool read_nodes(struct cpus *nodes)
{
	int node, n = 0;

	if (!cpus_read_sysfs(nodes, "/devices/system/node/online"))
		return false;
	for (node = 0; node < NODES_MAX; node++)
		n += cpus_have(nodes, node);
	return n > 1;
}

/* CPUs of one node that follow each other get one mapping. */
static void place(char *base)
{
	int cpu, first = 0;
	struct cpus nodes;

	if (!read_nodes(&nodes))
		return;
	for (cpu = 1; cpu <= rseq_op_nr_cpus(); cpu++) {
		if (cpu < rseq_op_nr_cpus() && node_of(&nodes, cpu) == node_of(&nodes, first))
			continue;
		bind_cpus(base, first, cpu, node_of(&nodes, first));
		first = cpu;
	}
}

/* Of the inaccessible memory behind each CPU's: none where it would take too much. */
static size_t guard_size(unsigned int flags)
{
	return flags & RSEQ_OP_POOL_DEBUG && page_size() <= RSEQ_OP_STRIDE / 4 ? page_size() : 0;
}

static bool guard(char *base, size_t size)
{
	int cpu;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		char *end = base + ((size_t)cpu + 1) * RSEQ_OP_STRIDE;

		if (size && raw_syscall(SYS_mprotect, (long)(end - size), (long)size, PROT_NONE,
					0, 0, 0))
			return false;
	}
	return true;
}

/* Range n of the file, or fresh memory. */
static char *map(const struct rseq_op_pool *pool, size_t n)
{
	long ret = map_file(pool->fd, (uint64_t)n * range_length(), range_length());
	char *base = (char *)ret;

	if (raw_failed(ret))
		return NULL;
	if (!guard(base, guard_size(pool->flags))) {
		unmap(base, range_length());
		return NULL;
	}
	place(base);
	return base;
}

static bool resize(int fd, uint64_t size)
{
#ifdef SYS_ftruncate64	/* a 32-bit kernel takes the two halves */
	return !raw_syscall(SYS_ftruncate64, fd, (long)size, (long)(size >> 32), 0, 0, 0);
#else
	return !raw_syscall(SYS_ftruncate, fd, (long)size, 0, 0, 0, 0);
#endif
}

/* Another range in the file; which it is. */
static bool extend(struct rseq_op_pool *pool, size_t *n)
{
	bool extended;

	if (pool->fd < 0)
		return true;
	take_lock();
	*n = pool->nr_ranges;
	extended = resize(pool->fd, (uint64_t)(*n + 1) * range_length());
	pool->nr_ranges += extended;
	release_lock();
	return extended;
}

static void range_delete(struct range *r)
{
	if (r->base)
		unmap(r->base, range_length());
	release(r->was_used);
	release(r->state);
	release(r->poisoned);
	release(r);
}

static struct range *range_new(struct rseq_op_pool *pool)
{
	struct range *r = allocate(1, sizeof(*r));

	if (!r)
		return NULL;
	if (extend(pool, &r->index))
		r->base = map(pool, r->index);
	r->was_used = allocate(pool->nr_items, sizeof(*r->was_used));
	r->state = allocate(pool->nr_items, sizeof(*r->state));
	if (pool->flags & RSEQ_OP_POOL_DEBUG)
		r->poisoned = allocate(pool->nr_items * (size_t)rseq_op_nr_cpus(),
				       sizeof(*r->poisoned));
	r->nr_free = pool->nr_items;
	if (r->base && r->was_used && r->state &&
	    (r->poisoned || !(pool->flags & RSEQ_OP_POOL_DEBUG)))
		return r;
	range_delete(r);
	return NULL;
}

/*
 * The memory of an item. A program rarely uses an item on all possible CPUs. The memory of the
 * other CPUs is zero and not allocated, and stays so when the item is used again: memory that
 * is zero is only read. Private memory that is read and was never written does not become
 * allocated. A hole in a file does, so holes are not even read.
 */
static char *memory(const struct rseq_op_pool *pool, const struct range *r, size_t i, int cpu)
{
	return rseq_op_ptr(r->base, cpu) + i * pool->size;
}

static bool *poisoned(const struct range *r, size_t i, int cpu)
{
	return &r->poisoned[i * (size_t)rseq_op_nr_cpus() + (size_t)cpu];
}

static bool holds(const char *p, char byte, size_t size)
{
	return *p == byte && !memcmp(p, p + 1, size - 1);
}

/* The offset of the first data in the file, from an offset on, or UINT64_MAX; or the same one. */
static uint64_t seek_data(int fd, uint64_t offset)
{
	int64_t found;
	long ret;

#ifdef SYS__llseek	/* a 32-bit kernel takes the two halves */
	ret = raw_syscall(SYS__llseek, fd, (long)(offset >> 32), (long)offset, (long)&found,
			  SEEK_DATA, 0);
#else
	ret = raw_syscall(SYS_lseek, fd, (long)offset, SEEK_DATA, 0, 0, 0);
	found = ret;
#endif
	if (ret == -ENXIO)
		return UINT64_MAX;
	return ret < 0 ? offset : (uint64_t)found;
}

/* The first CPU from this one on for which item i may be allocated; all others are zero. */
static int next_allocated(const struct rseq_op_pool *pool, const struct range *r, size_t i, int cpu)
{
	uint64_t first = (uint64_t)r->index * range_length(), wanted, data;

	while (pool->fd >= 0 && cpu < rseq_op_nr_cpus()) {
		wanted = first + (uint64_t)cpu * RSEQ_OP_STRIDE + i * pool->size;
		data = seek_data(pool->fd, wanted);
		if (data < wanted + pool->size)
			break;
		if (data >= first + range_length())
			return rseq_op_nr_cpus();
		cpu++;
		if (cpu < (int)((data - first) / RSEQ_OP_STRIDE))
			cpu = (int)((data - first) / RSEQ_OP_STRIDE);
	}
	while (cpu < rseq_op_nr_cpus() && !rseq_op_cpu_possible(cpu))
		cpu++;
	return cpu;
}

/* For a loop over the CPUs for which item i may be allocated. */
#define for_each_allocated(pool, r, i, cpu)				\
	for (cpu = next_allocated(pool, r, i, 0); cpu < rseq_op_nr_cpus();	\
	     cpu = next_allocated(pool, r, i, cpu + 1))

static void clear(const struct rseq_op_pool *pool, struct range *r, size_t i)
{
	int cpu;

	for_each_allocated(pool, r, i, cpu) {
		if (!holds(memory(pool, r, i, cpu), 0, pool->size))
			memset(memory(pool, r, i, cpu), 0, pool->size);
	}
}

/* DEBUG: fill with the pattern what is not zero, and remember for which CPUs. */
static void poison(const struct rseq_op_pool *pool, struct range *r, size_t i)
{
	int cpu;

	memset(poisoned(r, i, 0), false, (size_t)rseq_op_nr_cpus());
	for_each_allocated(pool, r, i, cpu) {
		if (holds(memory(pool, r, i, cpu), 0, pool->size))
			continue;
		memset(memory(pool, r, i, cpu), POISON, pool->size);
		*poisoned(r, i, cpu) = true;
	}
}

static bool is_clean(const struct rseq_op_pool *pool, const struct range *r, size_t i)
{
	int cpu;

	if (!(pool->flags & RSEQ_OP_POOL_DEBUG) || !r->was_used[i])
		return true;
	for_each_allocated(pool, r, i, cpu) {
		if (!holds(memory(pool, r, i, cpu), *poisoned(r, i, cpu) ? POISON : 0, pool->size))
			return false;
	}
	return true;
}

static int take(struct rseq_op_pool *pool, struct range *r, void **item)
{
	size_t i = r->next_free;

	while (r->state[i] != FREE)
		i = (i + 1) % pool->nr_items;
	*item = r->base + i * pool->size;
	r->next_free = (i + 1) % pool->nr_items;
	r->nr_free--;
	if (!is_clean(pool, r, i)) {
		r->state[i] = SPOILT;
		return -EUCLEAN;
	}
	if (r->was_used[i])
		clear(pool, r, i);
	r->was_used[i] = true;
	r->state[i] = USED;
	return 0;
}

/* -ENOENT: no range has an item to give. */
static int alloc_locked(struct rseq_op_pool *pool, void **item)
{
	struct range *r;

	for (r = pool->ranges; r; r = r->next) {
		if (r->nr_free)
			return take(pool, r, item);
	}
	return -ENOENT;
}

static int alloc_from_new(struct rseq_op_pool *pool, struct range *r, void **item)
{
	int ret;

	DELAY_POINT();
	take_lock();
	r->next = pool->ranges;
	pool->ranges = r;
	ret = take(pool, r, item);
	release_lock();
	return ret;
}

static int free_locked(struct rseq_op_pool *pool, char *item)
{
	struct range *r;
	size_t i;

	for (r = pool->ranges; r; r = r->next) {
		if (item >= r->base && item < r->base + pool->nr_items * pool->size)
			break;
	}
	if (!r || (size_t)(item - r->base) % pool->size)
		return -EINVAL;
	i = (size_t)(item - r->base) / pool->size;
	if (r->state[i] != USED)
		return -EINVAL;
	if (pool->flags & RSEQ_OP_POOL_DEBUG)
		poison(pool, r, i);
	r->state[i] = FREE;
	r->nr_free++;
	return 0;
}

/*
 * Files
 */

/* It can grow and not shrink, so that no mapping of it ever ends in nothing. */
static int file_new(int *fd)
{
	long ret = raw_syscall(SYS_memfd_create, (long)"rseq_op_pool",
			       MFD_CLOEXEC | MFD_ALLOW_SEALING, 0, 0, 0, 0);

	if (ret < 0)
		return (int)ret;
	*fd = (int)ret;
	ret = raw_syscall(SYS_fcntl, *fd, F_ADD_SEALS, F_SEAL_SHRINK, 0, 0, 0);
	if (ret)
		close_file(*fd);
	return (int)ret;
}

/* How many ranges there are; what was made otherwise is none of ours. */
static int file_ranges(int fd, size_t *nr)
{
	long seals = raw_syscall(SYS_fcntl, fd, F_GET_SEALS, 0, 0, 0, 0), ret;
	struct statx stat;

	if (seals < 0)
		return (int)seals;
	ret = raw_syscall(SYS_statx, fd, (long)"", AT_EMPTY_PATH, STATX_SIZE, (long)&stat, 0);
	if (ret)
		return (int)ret;
	if (!(seals & F_SEAL_SHRINK) || stat.stx_size % range_length())
		return -EINVAL;
	*nr = (size_t)(stat.stx_size / range_length());
	return 0;
}

static struct range *range_at(const struct rseq_op_pool *pool, size_t index)
{
	struct range *r = pool->ranges;

	while (r && r->index != index)
		r = r->next;
	return r;
}

/* It may have grown. */
static bool file_has(struct rseq_op_pool *pool, size_t index)
{
	return index < pool->nr_ranges ||
	       (!file_ranges(pool->fd, &pool->nr_ranges) && index < pool->nr_ranges);
}

/*
 * Map a range that another process has made; it has no items to give. Without the lock, so
 * another thread may have done it meanwhile.
 */
static struct range *range_map(struct rseq_op_pool *pool, size_t index)
{
	struct range *r = allocate(1, sizeof(*r)), *other;

	if (!r)
		return NULL;
	r->index = index;
	r->base = map(pool, index);
	if (!r->base) {
		range_delete(r);
		return NULL;
	}
	take_lock();
	other = range_at(pool, index);
	if (!other) {
		r->next = pool->ranges;
		pool->ranges = r;
	}
	release_lock();
	if (!other)
		return r;
	range_delete(r);
	return other;
}

/*
 * The interface
 */

static int check_shared(void)
{
	return rseq_op_backend(NULL) == RSEQ_OP_BACKEND_KERNEL ? 0 : -EOPNOTSUPP;
}

static struct rseq_op_pool *pool_new(unsigned int flags)
{
	struct rseq_op_pool *p = allocate(1, sizeof(*p));

	if (p) {
		p->flags = flags;
		p->fd = -1;
	}
	return p;
}

int rseq_op_pool_create(struct rseq_op_pool **pool, size_t size, unsigned int flags)
{
	struct rseq_op_pool *p;
	int ret = 0;

	if (!pool || !size || size > RSEQ_OP_STRIDE / 2 ||
	    flags & ~(RSEQ_OP_POOL_SHARED | RSEQ_OP_POOL_DEBUG))
		return -EINVAL;
	if (flags & RSEQ_OP_POOL_SHARED)
		ret = check_shared();
	if (ret || fork_handled)
		return ret ? ret : -fork_handled;
	p = pool_new(flags);
	if (!p)
		return -ENOMEM;
	for (p->size = sizeof(intptr_t); p->size < size; p->size *= 2)
		;
	p->nr_items = (RSEQ_OP_STRIDE - guard_size(flags)) / p->size;
	if (flags & RSEQ_OP_POOL_SHARED) {
		p->maker = incarnation();
		ret = p->maker ? file_new(&p->fd) : -EOPNOTSUPP;
	}
	if (ret)
		release(p);
	else
		*pool = p;
	return ret;
}

int rseq_op_pool_attach(struct rseq_op_pool **pool, int fd)
{
	struct rseq_op_pool *p;
	size_t nr_ranges;
	int ret;

	if (!pool)
		return -EINVAL;
	ret = check_shared();
	if (!ret)
		ret = file_ranges(fd, &nr_ranges);
	if (ret || fork_handled)
		return ret ? ret : -fork_handled;
	p = pool_new(RSEQ_OP_POOL_SHARED);
	if (!p)
		return -ENOMEM;
	p->nr_ranges = nr_ranges;
	p->fd = (int)raw_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0, 0, 0, 0);
	if (p->fd < 0) {
		ret = p->fd;
		release(p);
	} else {
		*pool = p;
	}
	return ret;
}

int rseq_op_pool_fd(const struct rseq_op_pool *pool)
{
	return pool && pool->fd >= 0 ? pool->fd : -EINVAL;
}

int64_t rseq_op_pool_offset(struct rseq_op_pool *pool, const void *item)
{
	int64_t offset = -EINVAL;
	const char *p = item;
	struct range *r;

	if (!pool || pool->fd < 0)
		return -EINVAL;
	take_lock();
	for (r = pool->ranges; r; r = r->next) {
		if (p >= r->base && p < r->base + RSEQ_OP_STRIDE)
			offset = (int64_t)(r->index * range_length()) + (p - r->base);
	}
	release_lock();
	return offset;
}

void *rseq_op_pool_item(struct rseq_op_pool *pool, int64_t offset)
{
	size_t in_range = (size_t)((uint64_t)offset % range_length()), index;
	struct range *r;
	bool missing;

	if (!pool || pool->fd < 0 || offset < 0 || in_range >= RSEQ_OP_STRIDE)
		return NULL;
	index = (size_t)((uint64_t)offset / range_length());
	take_lock();
	r = range_at(pool, index);
	missing = !r && !is_maker(pool) && file_has(pool, index);
	release_lock();
	if (missing)
		r = range_map(pool, index);
	return r ? r->base + in_range : NULL;
}

void rseq_op_pool_destroy(struct rseq_op_pool *pool)
{
	if (!pool)
		return;
	if (pool->fd >= 0)
		close_file(pool->fd);
	while (pool->ranges) {
		struct range *r = pool->ranges;

		pool->ranges = r->next;
		range_delete(r);
	}
	release(pool);
}

/*
 * One process knows which items of a SHARED pool are in use. The copy of that knowledge in a
 * child is out of date as soon as one of the two allocates.
 */
static int check_maker(const struct rseq_op_pool *pool)
{
	return pool->fd < 0 || is_maker(pool) ? 0 : -EPERM;
}

int rseq_op_pool_alloc(struct rseq_op_pool *pool, void **item)
{
	struct range *r;
	int ret;

	if (!pool || !item)
		return -EINVAL;
	ret = check_maker(pool);
	if (ret)
		return ret;
	take_lock();
	ret = alloc_locked(pool, item);
	release_lock();
	if (ret != -ENOENT)
		return ret;
	r = range_new(pool);
	return r ? alloc_from_new(pool, r, item) : -ENOMEM;
}

int rseq_op_pool_free(struct rseq_op_pool *pool, void *item)
{
	int ret;

	if (!pool)
		return -EINVAL;
	ret = check_maker(pool);
	if (ret)
		return ret;
	take_lock();
	ret = free_locked(pool, item);
	release_lock();
	return ret;
}

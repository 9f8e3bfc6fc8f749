// SPDX-License-Identifier: MIT
/*
 * Per-CPU memory. A pool is a list of ranges; a range is a stretch of RSEQ_OP_STRIDE bytes
 * for each CPU, one behind the other, divided into items. The stretches of a node's CPUs
 * are bound to that node when the range is mapped, so it does not matter who touches them
 * first, nor when a CPU comes up.
 *
 * This is a part of its own in the static library, so that only who uses it needs libnuma.
 */
#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rseq_op/pool.h>

#include "delay.h"

#define POISON		0x5a
#define NODES_MAX	1024		/* of any kernel */
#define LONG_BITS	(8 * (int)sizeof(long))

enum item_state { FREE, USED, SPOILT };

struct range {
	struct range *next;
	char *base;
	size_t nr_free;
	size_t next_free;		/* where to look first */
	bool *was_used;			/* [item]: its memory is not fresh */
	uint8_t *state;			/* [item] */
};

struct rseq_op_pool {
	struct range *ranges;
	size_t size;			/* of an item, a power of two */
	size_t nr_items;		/* in a range */
	unsigned int flags;
};

/*
 * Of all pools. fork() takes it, since the child could not release it for somebody else.
 * Its handlers are there before those of any program that uses pools, so that it is taken
 * after the program's locks, as a thread takes it that allocates with one held; and
 * nothing is called under it that may take another.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int fork_handled = ENOMEM;	/* 0 or an errno */

static void take_lock(void)
{
	pthread_mutex_lock(&lock);
	DELAY_POINT();
}

static void release_lock(void)
{
	pthread_mutex_unlock(&lock);
}

__attribute__((constructor(101)))
static void prepare_for_fork(void)
{
	fork_handled = pthread_atfork(take_lock, release_lock, release_lock);
}

static size_t range_length(void)
{
	return (size_t)rseq_op_nr_cpus() * RSEQ_OP_STRIDE;
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* The node of a CPU, or -1 where that is not known. */
static int node_of(int cpu)
{
	return rseq_op_cpu_possible(cpu) ? numa_node_of_cpu(cpu) : -1;
}

/*
 * Memory comes from elsewhere where the node has none left. So it does where the policy is
 * refused: libnuma's own function would print that, to nobody's use.
 */
static void bind_cpus(char *base, int first, int end, int node)
{
	unsigned long nodes[NODES_MAX / LONG_BITS] = { 0 };

	if (node < 0 || node >= NODES_MAX)
		return;
	nodes[node / LONG_BITS] = 1UL << node % LONG_BITS;
	mbind(base + (size_t)first * RSEQ_OP_STRIDE, (size_t)(end - first) * RSEQ_OP_STRIDE,
	      MPOL_PREFERRED, nodes, NODES_MAX + 1, 0);
}

/* CPUs of one node that follow each other get one mapping. */
static void place(char *base)
{
	int cpu, first = 0, saved = errno;

	if (numa_available() < 0 || numa_max_node() == 0)
		return;
	for (cpu = 1; cpu <= rseq_op_nr_cpus(); cpu++) {
		if (cpu < rseq_op_nr_cpus() && node_of(cpu) == node_of(first))
			continue;
		bind_cpus(base, first, cpu, node_of(first));
		first = cpu;
	}
	errno = saved;
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

		if (size && mprotect(end - size, size, PROT_NONE))
			return false;
	}
	return true;
}

static char *map(unsigned int flags)
{
	int how = flags & RSEQ_OP_POOL_SHARED ? MAP_SHARED : MAP_PRIVATE;
	char *base = mmap(NULL, range_length(), PROT_READ | PROT_WRITE,
			  how | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	if (!guard(base, guard_size(flags))) {
		munmap(base, range_length());
		return NULL;
	}
	place(base);
	return base;
}

static void range_delete(struct range *r)
{
	if (r->base)
		munmap(r->base, range_length());
	free(r->was_used);
	free(r->state);
	free(r);
}

static struct range *range_new(const struct rseq_op_pool *pool)
{
	struct range *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->base = map(pool->flags);
	r->was_used = calloc(pool->nr_items, sizeof(*r->was_used));
	r->state = calloc(pool->nr_items, sizeof(*r->state));
	r->nr_free = pool->nr_items;
	if (r->base && r->was_used && r->state)
		return r;
	range_delete(r);
	return NULL;
}

/* Fill item i for every CPU; memory that was never used is left alone, and zero. */
static void fill(const struct rseq_op_pool *pool, struct range *r, size_t i, int byte)
{
	int cpu;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		if (rseq_op_cpu_possible(cpu))
			memset(rseq_op_ptr(r->base, cpu) + i * pool->size, byte, pool->size);
	}
}

static bool holds(const char *p, char byte, size_t size)
{
	return *p == byte && !memcmp(p, p + 1, size - 1);
}

static bool is_clean(const struct rseq_op_pool *pool, const struct range *r, size_t i)
{
	int cpu;

	if (!(pool->flags & RSEQ_OP_POOL_DEBUG) || !r->was_used[i])
		return true;
	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		if (rseq_op_cpu_possible(cpu) &&
		    !holds(rseq_op_ptr(r->base, cpu) + i * pool->size, POISON, pool->size))
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
		fill(pool, r, i, 0);
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
		fill(pool, r, i, POISON);
	r->state[i] = FREE;
	r->nr_free++;
	return 0;
}

int rseq_op_pool_create(struct rseq_op_pool **pool, size_t size, unsigned int flags)
{
	struct rseq_op_pool *p;

	if (!size || size > RSEQ_OP_STRIDE / 2 ||
	    flags & ~(RSEQ_OP_POOL_SHARED | RSEQ_OP_POOL_DEBUG))
		return -EINVAL;
	if (flags & RSEQ_OP_POOL_SHARED && rseq_op_backend(NULL) != RSEQ_OP_BACKEND_KERNEL)
		return -EOPNOTSUPP;
	if (fork_handled)
		return -fork_handled;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	for (p->size = sizeof(intptr_t); p->size < size; p->size *= 2)
		;
	p->nr_items = (RSEQ_OP_STRIDE - guard_size(flags)) / p->size;
	p->flags = flags;
	*pool = p;
	return 0;
}

void rseq_op_pool_destroy(struct rseq_op_pool *pool)
{
	if (!pool)
		return;
	while (pool->ranges) {
		struct range *r = pool->ranges;

		pool->ranges = r->next;
		range_delete(r);
	}
	free(pool);
}

int rseq_op_pool_alloc(struct rseq_op_pool *pool, void **item)
{
	struct range *r;
	int ret;

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

	take_lock();
	ret = free_locked(pool, item);
	release_lock();
	return ret;
}

/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_POOL_H
#define RSEQ_OP_POOL_H

/*
 * rseq_op_pool(3): memory that every CPU has a piece of, each on the CPU's own node.
 *
 * An item is allocated for all possible CPUs at once. Its address is that of CPU 0's; that
 * of another's lies a fixed distance behind it, whatever the pool:
 *
 *	struct stats *s = rseq_op_ptr(item, cpu);
 *
 * Indexed by concurrency ID it works in the same way, but memory is placed for CPUs.
 */
#include <stdbool.h>

#include <rseq_op/rseq_op.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* The distance between the memory of a CPU and that of the next, in bytes. */
#define RSEQ_OP_STRIDE		((size_t)1 << 16)

/* What item, of any pool, is for that CPU; 0 to rseq_op_nr_cpus() - 1, not checked. */
#define rseq_op_ptr(item, cpu)						\
	((__typeof__(item))(void *)((uintptr_t)(item) + (size_t)(cpu) * RSEQ_OP_STRIDE))

/**
 * rseq_op_cpu_in_range() - does a pool have memory for that CPU?
 * @cpu:	Any number.
 *
 * What looks at a CPU's item before an operation has checked the number asks this. It
 * costs a load.
 *
 * Return: whether @cpu is 0 to rseq_op_nr_cpus() - 1.
 */
static inline bool rseq_op_cpu_in_range(int cpu)
{
	return cpu >= 0 && cpu < rseq_op_cpus;
}

struct rseq_op_pool;

/*
 * Flags of rseq_op_pool_create().
 *
 * SHARED: the memory lies in a file, see memfd_create(2). Processes that are forked later,
 * and those that are given the file, see the same memory, and operations on it are right
 * between them, if it is indexed by CPU: concurrency IDs (_cid) are a process's own.
 * rseq_op_fence_all() waits for one process only; each of them has to call it before an
 * item is freed.
 *
 * DEBUG: an inaccessible page follows the memory of each CPU (where pages are at most a quarter
 * of RSEQ_OP_STRIDE), and the memory of a free item holds a pattern, so that wrong use of
 * memory shows. For a CPU for which the item was all zero when it was freed, the memory stays
 * zero instead: it may never have been used, and is not allocated for the sake of the pattern.
 */
#define RSEQ_OP_POOL_SHARED	(1U << 0)
#define RSEQ_OP_POOL_DEBUG	(1U << 1)

/**
 * rseq_op_pool_create() - make a pool of items of one size
 * @pool:	Where the pool is stored.
 * @size:	Of an item, in bytes: 1 to half of RSEQ_OP_STRIDE. Items are aligned to it
 *		as rounded up to a power of two, but at most to a page.
 * @flags:	RSEQ_OP_POOL_*, or 0.
 *
 * Context: any thread; not in a signal handler.
 *
 * Return: 0, or
 *	-EINVAL		@pool is NULL; @size, @flags
 *	-ENOMEM		no memory
 *	-EOPNOTSUPP	SHARED, but there is no cpu_opv(2), and the emulation does not
 *			exclude other processes; or a filter refuses madvise(2), by which
 *			the pool tells its maker from a child of fork()
 *	-errno		SHARED: of memfd_create(2)
 */
int rseq_op_pool_create(struct rseq_op_pool **pool, size_t size, unsigned int flags);

/**
 * rseq_op_pool_fd() - the file that a SHARED pool lies in
 * @pool:	The pool.
 *
 * To be handed to another process, over a UNIX socket or through exec: it is close-on-exec.
 * It is the pool's, and closed with it.
 *
 * Return: a file descriptor, or -EINVAL where there is none.
 */
int rseq_op_pool_fd(const struct rseq_op_pool *pool);

/**
 * rseq_op_pool_attach() - use a SHARED pool that another process has made
 * @pool:	Where the pool is stored.
 * @fd:		Its file, as rseq_op_pool_fd() gave it there; the caller may close it.
 *
 * Items are found by their offset, see rseq_op_pool_item(); they are allocated and freed
 * by the process that made the pool. It may lie at another address here, so what is in
 * it must not be linked by addresses, as rseq_op_stack's nodes are. There are no pages
 * for DEBUG. The maker is trusted: it may write what it likes.
 *
 * Context: as rseq_op_pool_create().
 *
 * Return: 0, or
 *	-EINVAL		@pool is NULL; @fd is no such file
 *	-EBADF		@fd is no file at all
 *	-EMFILE		too many files are open
 *	-ENOMEM		no memory
 *	-EOPNOTSUPP	there is no cpu_opv(2)
 */
int rseq_op_pool_attach(struct rseq_op_pool **pool, int fd);

/**
 * rseq_op_pool_offset() - what names an item in all processes
 * @pool:	A SHARED pool.
 * @item:	The address of an item of it, or of something in it: CPU 0's.
 *
 * Context: any thread; not in a signal handler.
 *
 * Return: 0 or more, or -EINVAL where @item does not lie in the pool.
 */
int64_t rseq_op_pool_offset(struct rseq_op_pool *pool, const void *item);

/**
 * rseq_op_pool_item() - where an item lies in this process
 * @pool:	A SHARED pool, made by this process or another.
 * @offset:	What rseq_op_pool_offset() said of it, in any process. Items that were
 *		allocated since the pool was attached to are found, too.
 *
 * Context: as rseq_op_pool_offset().
 *
 * Return: the address of CPU 0's, or NULL where the pool has no memory there, or it cannot
 * be mapped. Whether an item there is in use is not known.
 */
void *rseq_op_pool_item(struct rseq_op_pool *pool, int64_t offset);

/**
 * rseq_op_pool_destroy() - unmap a pool with all its items
 * @pool:	The pool, or NULL. Nobody uses it, or its items, any more; those of a SHARED
 *		pool stay in other processes.
 */
void rseq_op_pool_destroy(struct rseq_op_pool *pool);

/**
 * rseq_op_pool_alloc() - allocate an item
 * @pool:	The pool.
 * @item:	Where the address of CPU 0's is stored. It is zero for every CPU, those
 *		that are not online yet too.
 *
 * An item takes memory only for the CPUs for which it is written to, also when it is used again
 * after it was freed.
 *
 * Context: any thread, several at once; not in a signal handler. Of a SHARED pool, in the
 * process that made it. A child of fork() is another process, whatever its process ID. A
 * child that shares the memory of its parent, see vfork(2), is not.
 *
 * Return: 0, or
 *	-EINVAL		@pool or @item is NULL
 *	-ENOMEM		no memory
 *	-EPERM		SHARED: another process made the pool
 *	-EUCLEAN	DEBUG: a free item has been written to. It is taken out of use,
 *			and @item is its address; the next call goes on without it.
 */
int rseq_op_pool_alloc(struct rseq_op_pool *pool, void **item);

/**
 * rseq_op_pool_free() - free an item
 * @pool:	The pool that it was allocated from.
 * @item:	Its address. Nobody uses it any more, on no CPU: see rseq_op_fence_all().
 *
 * Context: as rseq_op_pool_alloc().
 *
 * Return: 0, or -EINVAL where @item is no item of @pool that is in use, or -EPERM as
 * rseq_op_pool_alloc().
 */
int rseq_op_pool_free(struct rseq_op_pool *pool, void *item);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* RSEQ_OP_POOL_H */

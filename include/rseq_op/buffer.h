/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_BUFFER_H
#define RSEQ_OP_BUFFER_H

/*
 * Bounded buffers, last in, first out, one for each CPU: of pointers, and of records of
 * one size, which are copied.
 *
 * @b is an item of a pool of RSEQ_OP_BUFFER_SIZE() or RSEQ_OP_RECORDS_SIZE() bytes, see
 * rseq_op_pool(3), zero at first. @capacity, and @size in bytes, are the same in all calls.
 */
#include <rseq_op/pool.h>

/* The pointers or records follow each structure. */
struct rseq_op_buffer {
	intptr_t count;
};

struct rseq_op_records {
	intptr_t count;
};

#define RSEQ_OP_BUFFER_SIZE(capacity)	\
	(sizeof(struct rseq_op_buffer) + (size_t)(capacity) * sizeof(intptr_t))
#define RSEQ_OP_RECORDS_SIZE(capacity, size)	\
	(sizeof(struct rseq_op_records) + (size_t)(capacity) * (size_t)(size))

/* The address of pointer or record n; not an interface. */
static inline intptr_t *rseq_op_buffer_slot(struct rseq_op_buffer *b, intptr_t n)
{
	return (intptr_t *)(b + 1) + n;
}

static inline char *rseq_op_records_slot(struct rseq_op_records *b, intptr_t n, size_t size)
{
	return (char *)(b + 1) + (size_t)n * size;
}

/* Can a record have this size? This is not an interface. */
static inline bool rseq_op_records_size_valid(size_t size)
{
	return size > 0 && size <= CPU_OP_DATA_LEN_MAX;
}

/* The buffer is empty or full, unless there is no such CPU; not an interface. */
static inline int rseq_op_buffer_refuse(int cpu)
{
	return rseq_op_cpu_possible(cpu) ? 1 : -EINVAL;
}

/**
 * rseq_op_buffer_push() - put a pointer into a CPU's buffer
 * @b:		The buffer.
 * @capacity:	How many pointers it holds.
 * @p:		The pointer. The store is a release: it pairs with the acquire in
 *		rseq_op_buffer_pop(), so that the thread that takes the pointer sees what the
 *		caller stored before.
 * @cpu:	Whose buffer it is; any possible CPU.
 *
 * Return: 0, 1 if the buffer is full, or -errno as rseq_op_cmpeqv_storev_storev().
 */
static inline int rseq_op_buffer_push(struct rseq_op_buffer *b, intptr_t capacity, void *p,
				      int cpu)
{
	struct rseq_op_buffer *mine = rseq_op_ptr(b, cpu);
	intptr_t n;
	int ret;

	if (!rseq_op_cpu_in_range(cpu))
		return -EINVAL;
	do {
		n = __atomic_load_n(&mine->count, __ATOMIC_RELAXED);
		if (n < 0 || n >= capacity)
			return rseq_op_buffer_refuse(cpu);
		ret = rseq_op_cmpeqv_storev_storev_release(&mine->count, n,
							   rseq_op_buffer_slot(mine, n),
							   (intptr_t)p, n + 1, cpu);
	} while (ret == 1);
	return ret;
}

/**
 * rseq_op_buffer_pop() - take the pointer that was put there last
 * @b:		The buffer.
 * @p:		Where it is stored, if the result is 0.
 * @cpu:	Whose buffer it is; any possible CPU.
 *
 * Return: 0, 1 if the buffer is empty, or -errno as rseq_op_cmpeqv_cmpeqv_storev().
 */
static inline int rseq_op_buffer_pop(struct rseq_op_buffer *b, void **p, int cpu)
{
	struct rseq_op_buffer *mine = rseq_op_ptr(b, cpu);
	intptr_t n, value, *slot;
	int ret;

	if (!rseq_op_cpu_in_range(cpu))
		return -EINVAL;
	do {
		n = __atomic_load_n(&mine->count, __ATOMIC_RELAXED);
		if (n <= 0)
			return rseq_op_buffer_refuse(cpu);
		slot = rseq_op_buffer_slot(mine, n - 1);
		value = __atomic_load_n(slot, __ATOMIC_RELAXED);
		ret = rseq_op_cmpeqv_cmpeqv_storev(&mine->count, n, slot, value, n - 1, cpu);
	} while (ret > 0);
	if (!ret)
		*p = (void *)value;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return ret;
}

/**
 * rseq_op_records_push() - copy a record into a CPU's buffer
 * @b:		The buffer.
 * @capacity:	How many records it holds.
 * @record:	The record.
 * @size:	Of a record, in bytes, 1 to 4096.
 * @cpu:	Whose buffer it is; any possible CPU.
 *
 * The store is a release: it pairs with the acquire in rseq_op_records_pop().
 *
 * Return: 0, 1 if the buffer is full, or -errno as rseq_op_cmpeqv_memcpy_storev(). An invalid
 * @size or @cpu is -EINVAL, whether the buffer is full or not.
 */
static inline int rseq_op_records_push(struct rseq_op_records *b, intptr_t capacity,
				       const void *record, size_t size, int cpu)
{
	struct rseq_op_records *mine = rseq_op_ptr(b, cpu);
	intptr_t n;
	int ret;

	if (!rseq_op_cpu_in_range(cpu) || !rseq_op_records_size_valid(size))
		return -EINVAL;
	do {
		n = __atomic_load_n(&mine->count, __ATOMIC_RELAXED);
		if (n < 0 || n >= capacity)
			return rseq_op_buffer_refuse(cpu);
		ret = rseq_op_cmpeqv_memcpy_storev_release(&mine->count, n,
							   rseq_op_records_slot(mine, n, size),
							   record, size, n + 1, cpu);
	} while (ret == 1);
	return ret;
}

/**
 * rseq_op_records_pop() - copy the record out that was put there last
 * @b:		The buffer.
 * @record:	Where to; may be changed too where the result is not 0.
 * @size:	Of a record, in bytes, 1 to 4096.
 * @cpu:	Whose buffer it is; any possible CPU.
 *
 * Return: 0, 1 if the buffer is empty, or -errno as rseq_op_cmpeqv_memcpy_storev(). An invalid
 * @size or @cpu is -EINVAL, whether the buffer is empty or not.
 */
static inline int rseq_op_records_pop(struct rseq_op_records *b, void *record, size_t size,
				      int cpu)
{
	struct rseq_op_records *mine = rseq_op_ptr(b, cpu);
	intptr_t n;
	int ret;

	if (!rseq_op_cpu_in_range(cpu) || !rseq_op_records_size_valid(size))
		return -EINVAL;
	do {
		n = __atomic_load_n(&mine->count, __ATOMIC_RELAXED);
		if (n <= 0)
			return rseq_op_buffer_refuse(cpu);
		ret = rseq_op_cmpeqv_memcpy_storev(&mine->count, n, record,
						   rseq_op_records_slot(mine, n - 1, size),
						   size, n - 1, cpu);
	} while (ret == 1);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return ret;
}

#endif /* RSEQ_OP_BUFFER_H */

/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_COUNTER_H
#define RSEQ_OP_COUNTER_H

/*
 * A counter with a word for each CPU: adding is a plain add, reading is a sum.
 *
 * @c is an item of a pool, see rseq_op_pool(3), zero at first.
 */
#include <rseq_op/pool.h>

struct rseq_op_counter {
	intptr_t count;
};

/**
 * rseq_op_counter_add() - add to the current CPU's word
 * @c:		The counter.
 * @n:		Added to it, wrapping around.
 *
 * Return: 0, or -errno as rseq_op_addv().
 */
static inline int rseq_op_counter_add(struct rseq_op_counter *c, intptr_t n)
{
	int cpu = rseq_op_current_cpu();

	return rseq_op_addv(&rseq_op_ptr(c, cpu)->count, n, cpu);
}

/**
 * rseq_op_counter_read() - the sum of all words
 * @c:		The counter.
 *
 * What is added meanwhile may be in it or not.
 */
static inline intptr_t rseq_op_counter_read(struct rseq_op_counter *c)
{
	uintptr_t sum = 0;
	int cpu;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		if (rseq_op_cpu_possible(cpu))
			sum += (uintptr_t)__atomic_load_n(&rseq_op_ptr(c, cpu)->count,
							  __ATOMIC_RELAXED);
	}
	return (intptr_t)sum;
}

/**
 * rseq_op_counter_read_clear() - the sum of all words, which become 0
 * @c:		The counter.
 * @sum:	Where the sum is stored, also where the result is not 0: of the CPUs that
 *		were cleared.
 *
 * Nothing is counted twice, and nothing is lost: what is added meanwhile is in this sum or
 * in the next.
 *
 * Return: 0, or -errno as rseq_op_xchgv().
 */
static inline int rseq_op_counter_read_clear(struct rseq_op_counter *c, intptr_t *sum)
{
	uintptr_t cleared = 0;
	int cpu, ret = 0;

	for (cpu = 0; cpu < rseq_op_nr_cpus() && !ret; cpu++) {
		intptr_t old = 0;

		if (!rseq_op_cpu_possible(cpu))
			continue;
		ret = rseq_op_xchgv(&rseq_op_ptr(c, cpu)->count, 0, &old, cpu);
		if (!ret)
			cleared += (uintptr_t)old;
	}
	*sum = (intptr_t)cleared;
	return ret;
}

#endif /* RSEQ_OP_COUNTER_H */

/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_STACK_H
#define RSEQ_OP_STACK_H

/*
 * A stack of nodes for each CPU, last in, first out: free lists, and what is handed from
 * one CPU to another. Moving nodes between CPUs, and taking those of a CPU that has gone
 * offline, is what restartable sequences alone cannot do.
 *
 * @s is an item of a pool, see rseq_op_pool(3), zero at first. A node is in one stack of
 * one CPU at a time, and stays mapped while anybody may be in an operation on the stack.
 */
#include <stddef.h>

#include <rseq_op/pool.h>

struct rseq_op_node {
	intptr_t next;			/* struct rseq_op_node *, or 0 */
};

struct rseq_op_stack {
	intptr_t first;			/* struct rseq_op_node *, or 0 */
};

/**
 * rseq_op_stack_push_list() - push nodes that hang together
 * @s:		The stack.
 * @first:	The first of them, which is what the next pop takes.
 * @last:	The last of them, @first for one node; its next word is set.
 * @cpu:	Whose stack it is; any possible CPU.
 *
 * Who pops a node sees what was stored to it before.
 *
 * Return: 0, or -errno as rseq_op_cmpeqv_storev(); then the nodes are the caller's still.
 */
static inline int rseq_op_stack_push_list(struct rseq_op_stack *s, struct rseq_op_node *first,
					  struct rseq_op_node *last, int cpu)
{
	intptr_t *top = &rseq_op_ptr(s, cpu)->first;
	int ret;

	if (!rseq_op_cpu_in_range(cpu))
		return -EINVAL;
	do {
		last->next = __atomic_load_n(top, __ATOMIC_RELAXED);
		ret = rseq_op_cmpeqv_storev_release(top, last->next, (intptr_t)first, cpu);
	} while (ret == 1);
	return ret;
}

/**
 * rseq_op_stack_push() - push a node
 * @s:		The stack.
 * @node:	The node; its next word is set.
 * @cpu:	Whose stack it is; any possible CPU.
 *
 * Return: as rseq_op_stack_push_list().
 */
static inline int rseq_op_stack_push(struct rseq_op_stack *s, struct rseq_op_node *node, int cpu)
{
	return rseq_op_stack_push_list(s, node, node, cpu);
}

/**
 * rseq_op_stack_pop() - take the first node
 * @s:		The stack.
 * @node:	Where it is stored, if the result is 0.
 * @cpu:	Whose stack it is; any possible CPU.
 *
 * Return: 0, 1 if there is none, or -errno as rseq_op_cmpnev_storeoffp_load().
 */
static inline int rseq_op_stack_pop(struct rseq_op_stack *s, struct rseq_op_node **node, int cpu)
{
	intptr_t first = 0;
	int ret = rseq_op_cmpnev_storeoffp_load(&rseq_op_ptr(s, cpu)->first, 0,
						offsetof(struct rseq_op_node, next), &first, cpu);

	if (!ret)
		*node = (struct rseq_op_node *)first;
	/* Matches the release of the push. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return ret;
}

/**
 * rseq_op_stack_pop_all() - take all nodes
 * @s:		The stack.
 * @first:	Where the first is stored, or NULL where there is none; the others hang on
 *		its next word.
 * @cpu:	Whose stack it is; any possible CPU, also one that is offline: its stack is
 *		then drained.
 *
 * Return: 0, or -errno as rseq_op_xchgv().
 */
static inline int rseq_op_stack_pop_all(struct rseq_op_stack *s, struct rseq_op_node **first,
					int cpu)
{
	intptr_t all = 0;
	int ret = rseq_op_xchgv(&rseq_op_ptr(s, cpu)->first, 0, &all, cpu);

	if (!ret)
		*first = (struct rseq_op_node *)all;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return ret;
}

/**
 * rseq_op_stack_move() - move a node from one CPU's stack to another's
 * @s:		The stack.
 * @from:	Whose stack it is taken from; any possible CPU.
 * @to:		Whose stack it is put on; any possible CPU.
 *
 * Between the two the node is in neither.
 *
 * Return: 0, 1 if there is none, or -errno as rseq_op_stack_pop(). Where the second half
 * fails the node is put back; where that fails, too, on the stack of the current CPU.
 */
static inline int rseq_op_stack_move(struct rseq_op_stack *s, int from, int to)
{
	struct rseq_op_node *node = NULL;
	int ret;

	if (!rseq_op_cpu_possible(to))
		return -EINVAL;
	ret = rseq_op_stack_pop(s, &node, from);
	if (ret)
		return ret;
	ret = rseq_op_stack_push(s, node, to);
	if (ret && rseq_op_stack_push(s, node, from))
		rseq_op_stack_push(s, node, rseq_op_current_cpu());
	return ret;
}

#endif /* RSEQ_OP_STACK_H */

// SPDX-License-Identifier: MIT
/*
 * A list of one CPU, its nodes in pages that are replaced whenever their node is off
 * the list: the ABA of a pop. A vector that has seen node A at the head must not work
 * on the page that A was in when it was there the last time.
 *
 * Each node knows how often vectors have popped or marked it, and a shadow of it,
 * which vectors do not touch, knows what that must be.
 */
#include <sched.h>

#include "race.h"

#define NODES	3

struct node {
	intptr_t next;
	int64_t pops;		/* by vectors that store to the node */
	int64_t marks[2];	/* by all vectors; by those with two stores */
	int64_t id;
};

static struct shadow {
	int listed;
	int64_t pops, marks[2];
} shadows[NODES];

/* Both in pages of their own. */
static union { intptr_t word; char page[PAGE]; } head __attribute__((aligned(PAGE)));
static union { int64_t word; char page[PAGE]; } pops __attribute__((aligned(PAGE)));

static struct node *node_at(const struct race *x, int i)
{
	return page_at(x, i);
}

static int index_of(const struct race *x, const struct node *node)
{
	return (int)(((uintptr_t)node - (uintptr_t)x->region.at) / PAGE);
}

static struct shadow *shadow_of(const struct race *x, const struct node *node)
{
	return &shadows[index_of(x, node)];
}

static struct node *first(void)
{
	return (struct node *)__atomic_load_n(&head.word, __ATOMIC_ACQUIRE);
}

static void begin(struct race *x)
{
	int i;

	memset(shadows, 0, sizeof(shadows));
	head.word = 0;
	pops.word = 0;
	for (i = 0; i < NODES; i++) {
		*node_at(x, i) = (struct node){ .next = head.word, .id = i + 1 };
		head.word = (intptr_t)node_at(x, i);
		shadows[i].listed = 1;
	}
}

/* The node is off the list, by a pop of ours that stored to it or not. */
static void own(struct worker *w, struct node *node, bool stored)
{
	struct shadow *s = shadow_of(w->arg, node);

	if (!__atomic_exchange_n(&s->listed, 0, __ATOMIC_ACQ_REL))
		wrong(w, "node %ld popped twice", (long)node->id);
	s->pops += stored;
	if (node->id != index_of(w->arg, node) + 1)
		wrong(w, "node %d has id %ld", index_of(w->arg, node) + 1, (long)node->id);
	if (node->pops != s->pops)
		wrong(w, "node %ld was popped %ld times, and says %ld", (long)node->id,
		      (long)s->pops, (long)node->pops);
}

static void push(struct worker *w, struct node *node)
{
	const struct race *x = w->arg;
	intptr_t old;
	int ret;

	__atomic_store_n(&shadow_of(x, node)->listed, 1, __ATOMIC_RELEASE);
	do {
		old = (intptr_t)first();
		node->next = old;
		ret = rseq_op_cmpeqv_storev(&head.word, old, (intptr_t)node, x->target);
	} while (ret == 1);
	if (ret)
		wrong(w, "push: %d", ret);
	w->done++;
}

/* Not zero where the head has changed, or its node was unmapped when it was off the list. */
static bool missed(struct worker *w, int ret, const char *what)
{
	const struct race *x = w->arg;

	if (ret && ret != 1 && (ret != -EAGAIN || !x->holes))
		wrong(w, "%s: %d", what, ret);
	return ret;
}

/* By a vector with one store, or with three in three pages. */
static struct node *pop(struct worker *w)
{
	struct node *node = first();
	bool three = next_random(&w->random) & 64;
	const struct cpu_op ops[] = {
		equals_op(&head.word, (uintptr_t)node), copy_op(&head.word, &node->next),
		add_op(&node->pops, 1), add_op(&pops.word, 1),
	};

	if (!node || missed(w, cpu_opv(ops, three ? 4 : 2, ((struct race *)w->arg)->target,
				       0), "pop"))
		return NULL;
	own(w, node, three);
	return node;
}

/* All at once, by a sequence. */
static struct node *pop_all(struct worker *w)
{
	struct node *nodes = first();
	const struct race *x = w->arg;

	if (!nodes || missed(w, rseq_op_cmpeqv_storev(&head.word, (intptr_t)nodes, 0,
						      x->target), "pop all"))
		return NULL;
	return nodes;
}

static bool all_zero(const void *page)
{
	const uint64_t *word = page;
	int i;

	for (i = 0; i < PAGE / 8; i++) {
		if (word[i])
			return false;
	}
	return true;
}

/* A node that is ours: its page changes, what it holds doesn't. */
static void recycle(struct worker *w, struct node *node)
{
	struct race *x = w->arg;
	struct node before = *node;
	unsigned int flags = x->mutator->flags;
	bool same;

	if (flags & WHOLE)
		return;
	mutate(x, w, index_of(x, node));
	same = !memcmp(node, &before, sizeof(before));
	if (flags & DESTROYS && !all_zero(node) && !(flags & MAY_KEEP && same))
		wrong(w, "a new page is not zero: id %ld", (long)node->id);
	if (!(flags & DESTROYS) && !same)
		wrong(w, "node %ld changed while it was off the list", (long)before.id);
	*node = before;
}

/* Mutators of the whole region want to have it for themselves now and then. */
static void let_mutate(struct worker *w)
{
	const struct race *x = w->arg;

	if (x->mutator->flags & WHOLE)
		take_turn(w);
}

static void run_pops(struct worker *w)
{
	while (!workers_stopping()) {
		struct node *node;

		let_mutate(w);
		node = pop(w);
		if (node)
			push(w, node);
	}
}

/* All nodes from this one on; it is the first one again after that. */
static void recycle_from(struct worker *w, struct node *node, int left)
{
	if (!left) {
		wrong(w, "a circle");
		return;
	}
	own(w, node, false);
	if (node->next)
		recycle_from(w, (struct node *)node->next, left - 1);
	recycle(w, node);
	push(w, node);
}

static void run_recycling(struct worker *w)
{
	while (!workers_stopping()) {
		bool all = next_random(&w->random) & 192;
		struct node *node;

		let_mutate(w);
		node = all ? pop_all(w) : pop(w);
		if (!node) {
			sched_yield();
		} else if (all) {
			recycle_from(w, node, NODES);
		} else {
			recycle(w, node);
			push(w, node);
		}
	}
}

/* By a vector with one store, or with two. */
static void mark(struct worker *w)
{
	const struct race *x = w->arg;
	struct node *node = first();
	bool two = next_random(&w->random) & 64;
	const struct cpu_op ops[] = {
		equals_op(&head.word, (uintptr_t)node), add_op(&node->marks[0], 1),
		add_op(&node->marks[1], 1),
	};

	if (!node || missed(w, cpu_opv(ops, two ? 3 : 2, x->target, 0), "mark"))
		return;
	__atomic_add_fetch(&shadow_of(x, node)->marks[0], 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&shadow_of(x, node)->marks[1], two, __ATOMIC_RELAXED);
	w->done++;
}

static void run_marks(struct worker *w)
{
	while (!workers_stopping()) {
		let_mutate(w);
		mark(w);
	}
}

static void check(struct race *x)
{
	struct node *node = first();
	int64_t popped = 0;
	int i, n = 0;

	for (; node; node = (struct node *)node->next) {
		assert_in_range(index_of(x, node), 0, NODES - 1);
		assert_in_range(++n, 1, NODES);
		assert_ptr_equal(node, node_at(x, index_of(x, node)));
	}
	assert_int_equal(n, NODES);
	for (i = 0; i < NODES; i++) {
		node = node_at(x, i);
		assert_int_equal(shadows[i].listed, 1);
		assert_int_equal(node->id, i + 1);
		assert_int_equal(node->pops, shadows[i].pops);
		assert_int_equal(node->marks[0], shadows[i].marks[0]);
		assert_int_equal(node->marks[1], shadows[i].marks[1]);
		popped += node->pops;
	}
	assert_int_equal(pops.word, popped);
}

static bool one_page_or_no_harm(const struct mutator *m)
{
	return !(m->flags & WHOLE) || !(m->flags & (DESTROYS | HOLES));
}

const struct oracle list_oracle = {
	.name = "list",
	.fits = one_page_or_no_harm,
	.steps_pages = true,
	.begin = begin,
	.roles = {
		{ run_recycling, 1, ON_BUSY }, { run_recycling, 1, ANYWHERE },
		{ run_pops, 1, ANYWHERE }, { run_marks, 3, ANYWHERE }, { NULL, 0, ANYWHERE },
	},
	.check = check,
};

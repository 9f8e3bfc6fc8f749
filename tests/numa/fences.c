// SPDX-License-Identifier: MIT
/*
 * fences [ROUNDS]: what a fence promises to one who frees memory. A pointer leads to one of
 * two blocks, which have a word and its address; threads add through it, by sequences where
 * they are and by vectors, or with a lease of the CPU, from elsewhere:
 *
 *	owner				others, for the CPU or the concurrency ID
 *	pointer: the other block	load the pointer, the address there, add to the word
 *	fence
 *	the old block stays as it is
 *
 * Whether the block changes after the fence is looked at for a while, as a sequence or a
 * vector that is cut off in its middle takes a while to go on.
 */
#include <time.h>

#include "threads.h"

#define LOOK_US	30

enum index { CPU, CID };

struct block {
	_Alignas(64) intptr_t sum;
	intptr_t to_sum;
};

static unsigned int rounds = 3000;
static struct block blocks[2];
static intptr_t pointer;
static enum index indexed_by;
static int target;

#define TO_SUM	((intptr_t)offsetof(struct block, to_sum))

static int add_through_pointer(void)
{
	return indexed_by == CPU ?
		rseq_op_offset_deref_addv(&pointer, TO_SUM, 1, target) :
		rseq_op_offset_deref_addv_cid(&pointer, TO_SUM, 1, target);
}

/* The same by an operation that compares the pointer, and from elsewhere needs no vector. */
static int add_if_pointer_is(void)
{
	intptr_t old = __atomic_load_n(&pointer, __ATOMIC_RELAXED);
	intptr_t *sum = &((struct block *)old)->sum, was = __atomic_load_n(sum, __ATOMIC_RELAXED);

	return indexed_by == CPU ?
		rseq_op_cmpeqv_cmpeqv_storev(sum, was, &pointer, old, was + 1, target) :
		rseq_op_cmpeqv_cmpeqv_storev_cid(sum, was, &pointer, old, was + 1, target);
}

/*
 * The first thread is on the target, if that is a CPU. The second never takes a vector, but for
 * a lease that it has lost.
 */
static void add(struct worker *w)
{
	bool follows = false;

	while (!workers_stopping()) {
		int ret = follows ? add_through_pointer() : add_if_pointer_is();

		if (ret < 0 || (follows && ret))
			wrong(w, "%d", ret);
		w->done += !ret;
		follows = !follows && w->index != 1;
	}
}

static int cpu_of(int index)
{
	return allowed_cpu(index % nr_allowed_cpus());
}

static intptr_t sum_of(const struct block *b)
{
	return __atomic_load_n(&b->sum, __ATOMIC_RELAXED);
}

static void look(const struct block *old, unsigned int *changed)
{
	struct timespec pause = { 0, LOOK_US * 1000 };
	intptr_t before = sum_of(old);

	nanosleep(&pause, NULL);
	*changed += sum_of(old) != before;
}

static void check_fence(enum index by, int index, int (*fence)(int cpu))
{
	struct worker w[4];
	unsigned int i, changed = 0;

	indexed_by = by;
	target = index;
	for (i = 0; i < 2; i++)
		blocks[i] = (struct block){ 0, (intptr_t)&blocks[i].sum };
	pointer = (intptr_t)&blocks[0];
	start_workers(w, ARRAY_SIZE(w), add, NULL, cpu_of);
	/* Where the fence is no interrupt, and soonest done. */
	if (by == CPU)
		pin_to(index);
	for (i = 0; i < rounds; i++) {
		__atomic_store_n(&pointer, (intptr_t)&blocks[(i + 1) % 2], __ATOMIC_SEQ_CST);
		assert_int_equal(fence(index), 0);
		look(&blocks[i % 2], &changed);
	}
	unpin();
	stop_workers();
	finish_workers(w, ARRAY_SIZE(w));
	assert_int_equal(changed, 0);
	assert_int_equal(blocks[0].sum + blocks[1].sum,
			 w[0].done + w[1].done + w[2].done + w[3].done);
}

static int fence_all(int unused)
{
	(void)unused;
	return rseq_op_fence_all();
}

static void test_fence_of_a_cpu(void **state)
{
	(void)state;
	check_fence(CPU, allowed_cpu(0), rseq_op_fence);
}

static void test_fence_of_all_cpus(void **state)
{
	(void)state;
	check_fence(CPU, allowed_cpu(0), fence_all);
}

static void test_fence_of_all_ids(void **state)
{
	(void)state;
	check_fence(CID, 0, fence_all);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fence_of_a_cpu),
		cmocka_unit_test(test_fence_of_all_cpus),
		cmocka_unit_test(test_fence_of_all_ids),
	};

	if (argc > 1)
		rounds = (unsigned int)atoi(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

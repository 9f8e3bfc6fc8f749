// SPDX-License-Identifier: MIT
/*
 * The page under an operand is replaced while vectors run that rely on it: the ABA
 * of a list pop.
 *
 *	vector for CPU n, run from anywhere	thread on CPU n
 *						if (head == node) head = NULL
 *	if (head == node)			replace node's page: mmap(MAP_FIXED),
 *		node->count++				its bytes carried over
 *						head = node
 *						wait for an addition
 *
 * While head is NULL nobody may add to the node, and the page can be replaced; when
 * head is the node again, additions must reach the new page. Every vector that says
 * it was carried out is in the count at the end.
 */
#include <sys/mman.h>

#include <sched.h>
#include "threads.h"

#define RUN_MS		4000
#define VECTORS		6

static intptr_t head;
static intptr_t expected_head;	/* what a vector compares head with */
static int64_t *node;
static int target;
static struct worker vectors[VECTORS];

static void run_vectors(struct worker *w)
{
	const struct cpu_op ops[] = {
		/* An operand that may be freed is the backend's. */
		cpu_op_expect_fault(cpu_op_compare_eq(&head, &expected_head, sizeof(head)), 0),
		cpu_op_add(node, sizeof(*node), 1),
	};

	while (!workers_stopping()) {
		int ret = rseq_op(ops, ARRAY_SIZE(ops), target, 0);

		if (!ret)
			w->done++;
		else if (ret != 1)
			wrong(w, "vector: %d", ret);
	}
}

static uint64_t additions(void)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < VECTORS; i++)
		sum += *(volatile uint64_t *)&vectors[i].done;
	return sum;
}

static bool replace_page(void)
{
	int64_t count = *node;

	if (mmap(node, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != node)
		return false;
	*node = count;
	return true;
}

static void replace_pages(struct worker *w)
{
	while (!workers_stopping()) {
		int ret = rseq_op_cmpeqv_storev(&head, expected_head, 0, target);
		uint64_t seen;

		if (ret)
			wrong(w, "pop: %d", ret);
		if (!replace_page())
			wrong(w, "mmap: %s", strerror(errno));
		ret = rseq_op_cmpeqv_storev(&head, 0, expected_head, target);
		if (ret)
			wrong(w, "push: %d", ret);
		w->done++;
		for (seen = additions(); additions() == seen && !workers_stopping();)
			sched_yield();
	}
}

static int on_target(int index)
{
	(void)index;
	return target;
}

static void check_remap(int (*replacer_cpu)(int index))
{
	struct worker r[1];

	target = allowed_cpu(0);
	node = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(node, MAP_FAILED);
	head = expected_head = (intptr_t)node;
	start_workers(vectors, VECTORS, run_vectors, NULL, NULL);
	start_workers(r, 1, replace_pages, NULL, replacer_cpu);
	sleep_ms(RUN_MS);
	stop_workers();
	finish_workers(vectors, VECTORS);
	finish_workers(r, 1);
	print_message("# %lu additions, %lu pages\n", (unsigned long)additions(),
		      (unsigned long)r[0].done);
	assert_true(additions() > 0);
	assert_true(r[0].done > 0);
	assert_int_equal(*node, additions());
	munmap(node, 4096);
}

static void test_replaced_by_its_cpu(void **state)
{
	(void)state;
	check_remap(on_target);
}

static void test_replaced_from_anywhere(void **state)
{
	(void)state;
	check_remap(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replaced_by_its_cpu),
		cmocka_unit_test(test_replaced_from_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

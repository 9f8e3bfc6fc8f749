// SPDX-License-Identifier: MIT
/*
 * Per-CPU data on the node of its CPU, updated by threads on all nodes, pinned and
 * not, a part of it for other CPUs, while move_pages(2) takes the pages from node
 * to node under them.
 */
#include <numa.h>
#include <numaif.h>
#include <unistd.h>

#include "threads.h"

#define RUN_MS	5000

#define CANARIES	(int)(4096 / sizeof(intptr_t) - 3)

/* A page a CPU. */
struct data {
	intptr_t count;
	intptr_t pair[2];	/* equal whenever nobody is changing them */
	intptr_t canary[CANARIES];
};

_Static_assert(sizeof(struct data) == 4096, "a page");

static struct data **data;	/* [cpu] */
static uint64_t (*added)[RSEQ_OP_CPU_MAX];	/* [worker][cpu] */
static uint64_t (*paired)[RSEQ_OP_CPU_MAX];

static int node_of(int cpu)
{
	int node = numa_node_of_cpu(cpu);

	return node < 0 ? 0 : node;
}

static int where(const void *page)
{
	void *pages[1] = { (void *)(uintptr_t)page };
	int status = -1;

	assert_int_equal(numa_move_pages(0, 1, pages, NULL, &status, 0), 0);
	return status;
}

static void allocate(void)
{
	int i, k;

	data = calloc((size_t)rseq_op_nr_cpus(), sizeof(*data));
	added = calloc(MAX_THREADS, sizeof(*added));
	paired = calloc(MAX_THREADS, sizeof(*paired));
	assert_true(data && added && paired);
	for (i = 0; i < nr_allowed_cpus(); i++) {
		int cpu = allowed_cpu(i);
		struct data *d = numa_alloc_onnode(sizeof(*d), node_of(cpu));

		assert_non_null(d);
		memset(d, 0, sizeof(*d));
		for (k = 0; k < CANARIES; k++)
			d->canary[k] = CANARY;
		data[cpu] = d;
	}
}

static void release(void)
{
	int cpu;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		if (data[cpu])
			numa_free(data[cpu], sizeof(**data));
	}
	free(data);
	free(added);
	free(paired);
}

/* Both words of the pair, if they are equal: what a sequence cannot do. */
static int add_pair(struct data *d, int cpu)
{
	const struct cpu_op ops[] = {
		cpu_op_compare_eq(&d->pair[0], &d->pair[1], sizeof(d->pair[0])),
		cpu_op_add(&d->pair[0], sizeof(d->pair[0]), 1),
		cpu_op_add(&d->pair[1], sizeof(d->pair[0]), 1),
	};

	return rseq_op(ops, ARRAY_SIZE(ops), cpu, 0);
}

static void update(struct worker *w)
{
	while (!workers_stopping()) {
		uint32_t r = next_random(&w->random);
		int ret, cpu = rseq_op_current_cpu();

		if (r % 32 == 0)
			cpu = allowed_cpu((int)(r / 32 % (uint32_t)nr_allowed_cpus()));
		if (r % 64 == 1) {
			ret = add_pair(data[cpu], cpu);
			paired[w->index][cpu] += !ret;
		} else {
			ret = rseq_op_addv(&data[cpu]->count, 1, cpu);
			added[w->index][cpu] += !ret;
		}
		if (ret)
			wrong(w, "CPU %d: %d", cpu, ret);
		w->done++;
	}
}

static void move_pages_around(struct worker *w)
{
	int turn, i, nodes = numa_max_node() + 1;

	for (turn = 1; !workers_stopping(); turn++) {
		for (i = 0; i < nr_allowed_cpus(); i++) {
			int cpu = allowed_cpu(i), status = 0, ret;
			int node = (node_of(cpu) + turn) % nodes;
			void *page = data[cpu];

			ret = numa_move_pages(0, 1, &page, &node, &status, MPOL_MF_MOVE);
			if (ret < 0)
				wrong(w, "move_pages: %s", strerror(errno));
			/* A page in use all the time stays: one not moved, EBUSY, EAGAIN. */
			w->done += !ret && status >= 0;
		}
	}
}

static int spread(int index)
{
	return index % 2 ? -1 : allowed_cpu(index / 2 % nr_allowed_cpus());
}

static void check_data(void)
{
	int i, k, t;

	for (i = 0; i < nr_allowed_cpus(); i++) {
		int cpu = allowed_cpu(i);
		uint64_t add = 0, pair = 0;

		for (t = 0; t < MAX_THREADS; t++) {
			add += added[t][cpu];
			pair += paired[t][cpu];
		}
		assert_int_equal(data[cpu]->count, add);
		assert_int_equal(data[cpu]->pair[0], pair);
		assert_int_equal(data[cpu]->pair[1], pair);
		for (k = 0; k < CANARIES; k++)
			assert_int_equal(data[cpu]->canary[k], CANARY);
	}
}

static void test_data_on_its_node(void **state)
{
	int i;

	(void)state;
	if (numa_available() < 0)
		skip_because("no NUMA support in this kernel");
	allocate();
	for (i = 0; i < nr_allowed_cpus(); i++) {
		int cpu = allowed_cpu(i);

		/* Also after updates from here, wherever that is. */
		assert_int_equal(rseq_op_addv(&data[cpu]->count, 1, cpu), 0);
		assert_int_equal(where(data[cpu]), node_of(cpu));
	}
	release();
}

static void test_updates_from_all_nodes(void **state)
{
	struct worker w[MAX_THREADS];
	int threads = 2 * nr_allowed_cpus() < 16 ? 2 * nr_allowed_cpus() : 16;

	(void)state;
	if (numa_available() < 0)
		skip_because("no NUMA support in this kernel");
	allocate();
	start_workers(w, threads, update, NULL, spread);
	sleep_ms(RUN_MS / 2);
	stop_workers();
	finish_workers(w, threads);
	check_data();
	release();
}

static void test_updates_while_pages_move(void **state)
{
	struct worker w[MAX_THREADS], mover[1];
	int threads = 2 * nr_allowed_cpus() < 16 ? 2 * nr_allowed_cpus() : 16;

	(void)state;
	if (numa_available() < 0)
		skip_because("no NUMA support in this kernel");
	if (numa_max_node() < 1)
		skip_because("one node: no other to move pages to");
	allocate();
	start_workers(w, threads, update, NULL, spread);
	start_workers(mover, 1, move_pages_around, NULL, NULL);
	sleep_ms(RUN_MS);
	stop_workers();
	finish_workers(mover, 1);
	finish_workers(w, threads);
	print_message("# %lu pages moved\n", (unsigned long)mover[0].done);
	assert_true(mover[0].done > 0);
	check_data();
	release();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data_on_its_node),
		cmocka_unit_test(test_updates_from_all_nodes),
		cmocka_unit_test(test_updates_while_pages_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

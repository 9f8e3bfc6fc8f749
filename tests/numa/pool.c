// SPDX-License-Identifier: MIT
/*
 * Per-CPU memory is on the CPU's own node, whoever touches it first: asked of the kernel by
 * move_pages(), which does not move when it is given no nodes. That a CPU is offline makes
 * no difference: its node is asked of sysfs, for libnuma knows those of CPUs online.
 */
#include <numa.h>
#include <numaif.h>
#include <unistd.h>

#include <rseq_op/pool.h>

#include "cpus.h"

static int node_of_page(void *p)
{
	int node = -1;

	assert_int_equal(move_pages(0, 1, &p, NULL, &node, 0), 0);
	return node;
}

/* -1 where the CPU is not there at all. */
static int node_of_cpu(int cpu)
{
	char path[64];
	int node;

	for (node = numa_max_node(); node >= 0; node--) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/node%d", cpu, node);
		if (!access(path, F_OK))
			break;
	}
	return node;
}

static void check_placed(size_t size, unsigned int flags)
{
	struct rseq_op_pool *pool;
	int cpu, i, checked = 0;
	void *item;

	assert_int_equal(rseq_op_pool_create(&pool, size, flags), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
		for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
			char *p = rseq_op_ptr((char *)item, cpu);

			if (!rseq_op_cpu_possible(cpu) || node_of_cpu(cpu) < 0)
				continue;
			*p = 1;
			assert_int_equal(node_of_page(p), node_of_cpu(cpu));
			checked++;
		}
	}
	assert_true(checked > 0);
	rseq_op_pool_destroy(pool);
}

static void check_all_placed(void)
{
	check_placed(64, 0);
	check_placed(RSEQ_OP_STRIDE / 4, 0);
	check_placed(64, RSEQ_OP_POOL_DEBUG);
	if (rseq_op_backend(NULL) == RSEQ_OP_BACKEND_KERNEL)
		check_placed(64, RSEQ_OP_POOL_SHARED);
}

static void need_nodes(void)
{
	if (numa_available() < 0 || numa_max_node() == 0)
		skip_because("only one node");
}

/* It comes first: a node that the library knows is not looked up again. */
static void test_items_of_offline_cpu_on_its_node(void **state)
{
	int cpu = last_cpu_in("online");

	(void)state;
	need_nodes();
	need_vm();
	assert_true(set_online(cpu, false));
	assert_true(node_of_cpu(cpu) >= 0);
	check_all_placed();
	assert_true(set_online(cpu, true));
}

static void test_items_on_their_nodes(void **state)
{
	(void)state;
	need_nodes();
	check_all_placed();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items_of_offline_cpu_on_its_node),
		cmocka_unit_test(test_items_on_their_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

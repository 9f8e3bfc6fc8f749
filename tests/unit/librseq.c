// SPDX-License-Identifier: MIT
/*
 * Operations under librseq's names, called as a program for librseq calls them: in a loop
 * that starts over on an abort. Each comes to an end, here and for another CPU.
 */
#include <rseq/rseq.h>

#include "test.h"

static const enum rseq_percpu_mode modes[] = { RSEQ_PERCPU_CPU_ID, RSEQ_PERCPU_MM_CID };
static const enum rseq_mo orders[] = { RSEQ_MO_RELAXED, RSEQ_MO_RELEASE };

static intptr_t v, v2, load, to_v2[3];
static struct node { intptr_t value, next; } nodes[2];
static char dst[202], src[202];

/* Bytes 1 to 200 are copied. */
static void check_copy(enum rseq_mo mo, enum rseq_percpu_mode mode, int cpu)
{
	char expected[sizeof(dst)];
	size_t i;

	for (i = 0; i < sizeof(src); i++) {
		src[i] = (char)(i + 1);
		expected[i] = dst[i] = (char)~i;
	}
	v = 12;
	assert_int_equal(rseq_load_cbne_memcpy_store__ptr(mo, mode, &v, 11, dst + 1, src + 1, 200,
							  13, cpu), 1);
	assert_memory_equal(dst, expected, sizeof(dst));
	assert_int_equal(v, 12);
	memcpy(expected + 1, src + 1, 200);
	assert_int_equal(rseq_load_cbne_memcpy_store__ptr(mo, mode, &v, 12, dst + 1, src + 1, 200,
							  13, cpu), 0);
	assert_memory_equal(dst, expected, sizeof(dst));
	assert_int_equal(v, 13);
}

static void check(enum rseq_mo mo, enum rseq_percpu_mode mode, int cpu)
{
	v = 5;
	v2 = 7;
	assert_int_equal(rseq_load_cbne_store__ptr(mo, mode, &v, 5, 6, cpu), 0);
	assert_int_equal(rseq_load_cbne_store__ptr(mo, mode, &v, 5, 9, cpu), 1);
	assert_int_equal(v, 6);
	assert_int_equal(rseq_load_add_store__ptr(mo, mode, &v, 4, cpu), 0);
	assert_int_equal(v, 10);
	assert_int_equal(rseq_load_cbne_store_store__ptr(mo, mode, &v, 9, &v2, 8, 11, cpu), 1);
	assert_int_equal(v, 10);
	assert_int_equal(v2, 7);
	assert_int_equal(rseq_load_cbne_store_store__ptr(mo, mode, &v, 10, &v2, 8, 11, cpu), 0);
	assert_int_equal(v, 11);
	assert_int_equal(v2, 8);
	assert_int_equal(rseq_load_cbne_load_cbne_store__ptr(mo, mode, &v, 11, &v2, 7, 12, cpu),
			 1);
	assert_int_equal(rseq_load_cbne_load_cbne_store__ptr(mo, mode, &v, 10, &v2, 8, 12, cpu),
			 1);
	assert_int_equal(v, 11);
	assert_int_equal(rseq_load_cbne_load_cbne_store__ptr(mo, mode, &v, 11, &v2, 8, 12, cpu),
			 0);
	assert_int_equal(v, 12);
	assert_int_equal(v2, 8);
	check_copy(mo, mode, cpu);
	to_v2[0] = (intptr_t)&to_v2[1];
	to_v2[2] = (intptr_t)&v2;
	assert_int_equal(rseq_load_add_load_load_add_store__ptr(mo, mode, to_v2,
								sizeof(to_v2[0]), 3, cpu), 0);
	assert_int_equal(v2, 11);
	nodes[0].next = (intptr_t)&nodes[1];
	v = (intptr_t)&nodes[0];
	assert_int_equal(rseq_load_cbeq_store_add_load_store__ptr(
				 mo, mode, &v, 0, offsetof(struct node, next), &load, cpu), 0);
	assert_int_equal(load, (intptr_t)&nodes[0]);
	assert_int_equal(v, (intptr_t)&nodes[1]);
	assert_int_equal(rseq_load_cbeq_store_add_load_store__ptr(
				 mo, mode, &v, (intptr_t)&nodes[1],
				 offsetof(struct node, next), &load, cpu), 1);
	assert_int_equal(v, (intptr_t)&nodes[1]);
}

static void check_all(int cpu, int cid)
{
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		for (k = 0; k < ARRAY_SIZE(orders); k++)
			check(orders[k], modes[i], modes[i] == RSEQ_PERCPU_MM_CID ? cid : cpu);
	}
}

static void test_operations_every_cpu(void **state)
{
	int i;

	(void)state;
	assert_int_equal(rseq_register_current_thread(), 0);
	pin_to(allowed_cpu(0));
	check_all((int)rseq_cpu_start(), (int)rseq_current_mm_cid());
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_all(allowed_cpu(i), i);
	unpin();
	assert_int_equal(rseq_unregister_current_thread(), 0);
}

/* The mode says what the index is: the one that this thread has needs no backend. */
static void test_mode_says_what_the_index_is(void **state)
{
	int cpu = allowed_cpu(nr_allowed_cpus() - 1), cid;
	struct rseq_op_stats before, by_cid, by_cpu;

	(void)state;
	if (always_by_backend() || getenv("RSEQ_OP_FORCE_FALLBACK"))
		skip_because("the backend does not depend on the index");
	pin_to(cpu);
	v = 0;
	assert_int_equal(rseq_load_add_store__ptr(RSEQ_MO_RELAXED, RSEQ_PERCPU_CPU_ID, &v, 1, cpu),
			 0);
	do {
		cid = (int)rseq_current_mm_cid();
		if (cid == cpu)
			skip_because("the concurrency ID is the number of the CPU");
		rseq_op_stats(&before, sizeof(before));
		rseq_load_add_store__ptr(RSEQ_MO_RELAXED, RSEQ_PERCPU_MM_CID, &v, 1, cid);
		rseq_load_add_store__ptr(RSEQ_MO_RELEASE, RSEQ_PERCPU_MM_CID, &v, 1, cid);
		rseq_op_stats(&by_cid, sizeof(by_cid));
		rseq_load_add_store__ptr(RSEQ_MO_RELAXED, RSEQ_PERCPU_CPU_ID, &v, 1, cid);
		rseq_load_add_store__ptr(RSEQ_MO_RELEASE, RSEQ_PERCPU_CPU_ID, &v, 1, cid);
		rseq_op_stats(&by_cpu, sizeof(by_cpu));
	} while ((int)rseq_current_mm_cid() != cid);
	assert_int_equal(by_cid.remote, before.remote);
	assert_int_equal(by_cpu.remote, by_cid.remote + 2);
	unpin();
}

static void test_invalid_minus_one(void **state)
{
	(void)state;
	v = 5;
	assert_int_equal(rseq_load_add_store__ptr(RSEQ_MO_SEQ_CST, RSEQ_PERCPU_CPU_ID, &v, 1, 0),
			 -1);
	assert_int_equal(rseq_load_add_store__ptr(RSEQ_MO_RELAXED, (enum rseq_percpu_mode)7, &v,
						  1, 0), -1);
	assert_int_equal(rseq_load_add_store__ptr(RSEQ_MO_RELAXED, RSEQ_PERCPU_CPU_ID, &v, 1,
						  -1), -1);
	assert_int_equal(v, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations_every_cpu),
		cmocka_unit_test(test_mode_says_what_the_index_is),
		cmocka_unit_test(test_invalid_minus_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

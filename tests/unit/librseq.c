// SPDX-License-Identifier: MIT
/*
 * Operations under librseq's names, called as a program for librseq calls them: in a loop
 * that starts over on an abort. Each comes to an end, here and for another CPU.
 */
#include <sys/mman.h>

#include <rseq/rseq.h>

#include "test.h"

static const enum rseq_percpu_mode modes[] = { RSEQ_PERCPU_CPU_ID, RSEQ_PERCPU_MM_CID };
static const enum rseq_mo orders[] = { RSEQ_MO_RELAXED, RSEQ_MO_RELEASE };

#define LENGTH	200

static intptr_t v, v2, load, to_v2[3];
static struct node { intptr_t value, next; } nodes[2];
static char dst[LENGTH + 8], src[LENGTH + 8];

/* All operands differ, so that no mix-up of two of them gives the right result. */
static void check_words(enum rseq_mo mo, enum rseq_percpu_mode mode, int cpu)
{
	v = 5;
	v2 = 7;
	assert_int_equal(rseq_load_cbne_store__ptr(mo, mode, &v, 5, 6, cpu), 0);
	assert_int_equal(v, 6);
	assert_int_equal(rseq_load_cbne_store__ptr(mo, mode, &v, 5, 9, cpu), 1);
	assert_int_equal(v, 6);
	assert_int_equal(rseq_load_add_store__ptr(mo, mode, &v, 4, cpu), 0);
	assert_int_equal(v, 10);
	assert_int_equal(rseq_load_cbne_store_store__ptr(mo, mode, &v, 10, &v2, 8, 11, cpu), 0);
	assert_int_equal(v, 11);
	assert_int_equal(v2, 8);
	assert_int_equal(rseq_load_cbne_store_store__ptr(mo, mode, &v, 10, &v2, 20, 21, cpu), 1);
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
	to_v2[0] = (intptr_t)&to_v2[1];
	to_v2[2] = (intptr_t)&v2;
	assert_int_equal(rseq_load_add_load_load_add_store__ptr(mo, mode, to_v2,
								sizeof(to_v2[0]), 3, cpu), 0);
	assert_int_equal(v2, 11);
}

static void check_copy(enum rseq_mo mo, enum rseq_percpu_mode mode, int cpu)
{
	char before[sizeof(dst)];
	size_t i;

	v = 12;
	for (i = 0; i < sizeof(src); i++) {
		src[i] = (char)(i + 1);
		dst[i] = (char)(i + 101);
	}
	memcpy(before, dst, sizeof(dst));
	assert_int_equal(rseq_load_cbne_memcpy_store__ptr(mo, mode, &v, 11, dst, src, LENGTH,
							  13, cpu), 1);
	assert_int_equal(v, 12);
	assert_memory_equal(dst, before, sizeof(dst));
	assert_int_equal(rseq_load_cbne_memcpy_store__ptr(mo, mode, &v, 12, dst, src, LENGTH,
							  13, cpu), 0);
	assert_int_equal(v, 13);
	assert_memory_equal(dst, src, LENGTH);
	assert_memory_equal(dst + LENGTH, before + LENGTH, sizeof(dst) - LENGTH);
}

static void check_pop(enum rseq_mo mo, enum rseq_percpu_mode mode, int cpu)
{
	nodes[0].next = (intptr_t)&nodes[1];
	v = (intptr_t)&nodes[0];
	load = CANARY;
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
		for (k = 0; k < ARRAY_SIZE(orders); k++) {
			int index = modes[i] == RSEQ_PERCPU_MM_CID ? cid : cpu;

			check_words(orders[k], modes[i], index);
			check_copy(orders[k], modes[i], index);
			check_pop(orders[k], modes[i], index);
		}
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

/* Where the kernel, or valgrind, has no rseq(2), the numbers are 0. */
static void need_registration(void)
{
	char *area = rseq_op_thread_pointer() + RSEQ_OP_OFFSET;

	v = 0;
	assert_int_equal(rseq_op_addv(&v, 1, 0), 0);	/* registers the thread, if that can be */
	if (*(volatile int *)(void *)(area + 4) < 0)
		skip_because("no rseq(2)");
}

static void test_current_pinned_thread_its_numbers(void **state)
{
	int i;

	(void)state;
	need_registration();
	for (i = 0; i < nr_allowed_cpus(); i++) {
		pin_to(allowed_cpu(i));
		assert_int_equal(rseq_cpu_start(), allowed_cpu(i));
		assert_int_equal(rseq_current_cpu(), allowed_cpu(i));
		assert_int_equal(rseq_current_mm_cid(), rseq_op_current_cid());
	}
	unpin();
}

static uint64_t remote(void)
{
	struct rseq_op_stats s;

	rseq_op_stats(&s, sizeof(s));
	return s.remote;
}

/*
 * Which index a mode means shows where the thread's CPU and its concurrency ID differ: an
 * operation for the one of them is no business of the backend, and for the other it is.
 */
static void test_mode_thread_elsewhere_by_backend(void **state)
{
	int i, cpu, cid = 0;
	uint64_t before;
	size_t k;

	(void)state;
	if (getenv("RSEQ_OP_FORCE_FALLBACK") || rseq_op_backend(NULL) == RSEQ_OP_BACKEND_GUARD)
		skip_because("the backend is taken all the same");
	need_registration();
	for (i = 0; i < nr_allowed_cpus(); i++) {
		pin_to(allowed_cpu(i));
		cid = rseq_op_current_cid();
		if (cid != allowed_cpu(i))
			break;
	}
	if (i == nr_allowed_cpus()) {
		unpin();
		skip_because("concurrency IDs are the numbers of CPUs");
	}
	cpu = allowed_cpu(i);
	v = 0;
	for (k = 0; k < ARRAY_SIZE(orders); k++) {
		before = remote();
		assert_int_equal(rseq_load_add_store__ptr(orders[k], RSEQ_PERCPU_CPU_ID, &v, 1,
							  cpu), 0);
		assert_int_equal(rseq_load_add_store__ptr(orders[k], RSEQ_PERCPU_MM_CID, &v, 2,
							  cid), 0);
		assert_int_equal(remote(), before);
		assert_int_equal(rseq_load_add_store__ptr(orders[k], RSEQ_PERCPU_CPU_ID, &v, 4,
							  cid), 0);
		assert_int_equal(remote(), before + 1);
		assert_int_equal(rseq_load_add_store__ptr(orders[k], RSEQ_PERCPU_MM_CID, &v, 8,
							  cpu), 0);
		assert_int_equal(remote(), before + 2);
	}
	assert_int_equal(v, 30);
	unpin();
}

static void test_invalid_minus_one(void **state)
{
	static const enum rseq_mo others[] = { RSEQ_MO_CONSUME, RSEQ_MO_ACQUIRE, RSEQ_MO_ACQ_REL,
					       RSEQ_MO_SEQ_CST, (enum rseq_mo)6 };
	static char far[4097];
	size_t i;

	(void)state;
	v = 5;
	for (i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_equal(rseq_load_add_store__ptr(others[i], RSEQ_PERCPU_CPU_ID, &v, 1,
							  0), -1);
	assert_int_equal(rseq_load_add_store__ptr(RSEQ_MO_RELAXED, (enum rseq_percpu_mode)2, &v,
						  1, 0), -1);
	assert_int_equal(rseq_load_add_store__ptr(RSEQ_MO_RELAXED, RSEQ_PERCPU_CPU_ID, &v, 1,
						  -1), -1);
	assert_int_equal(rseq_load_cbne_memcpy_store__ptr(RSEQ_MO_RELAXED, RSEQ_PERCPU_CPU_ID, &v,
							  5, far, far, sizeof(far), 6,
							  rseq_op_current_cpu()), -1);
	assert_int_equal(v, 5);
}

/* An error that librseq does not have: of the memory of another CPU. */
static void test_inaccessible_minus_one(void **state)
{
	int other = other_cpu(allowed_cpu(0));
	intptr_t *page;

	(void)state;
	if (other < 0)
		skip_because("only one CPU");
	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	pin_to(allowed_cpu(0));
	assert_int_equal(rseq_load_add_store__ptr(RSEQ_MO_RELAXED, RSEQ_PERCPU_CPU_ID, page, 1,
						  other), -1);
	unpin();
	assert_int_equal(*page, 0);
	munmap(page, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations_every_cpu),
		cmocka_unit_test(test_current_pinned_thread_its_numbers),
		cmocka_unit_test(test_mode_thread_elsewhere_by_backend),
		cmocka_unit_test(test_invalid_minus_one),
		cmocka_unit_test(test_inaccessible_minus_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * Which operations the headers ask for. On x86 a store that should be a release and is not gives
 * the same results, and a load and a store in place of an exchange nearly always do, so no test
 * of results finds them. Here the calls that a header makes are counted: each name that the
 * header calls is a macro, which counts and then calls.
 */
#include <rseq_op/rseq_op.h>

static int releases, relaxed, by_cid, acquires, exchanges;

/* ## keeps op from being expanded; a macro is not expanded in its own expansion. */
#define RELAXED(op, ...)	(relaxed++, (rseq_op_##op)(__VA_ARGS__))
#define RELEASE(op, ...)	(releases++, (rseq_op_##op##_release)(__VA_ARGS__))
#define RELAXED_CID(op, ...)	(relaxed++, by_cid++, (rseq_op_##op##_cid)(__VA_ARGS__))
#define RELEASE_CID(op, ...)	(releases++, by_cid++, (rseq_op_##op##_release_cid)(__VA_ARGS__))

#define rseq_op_addv(...)				RELAXED(addv, __VA_ARGS__)
#define rseq_op_addv_release(...)			RELEASE(addv, __VA_ARGS__)
#define rseq_op_addv_cid(...)				RELAXED_CID(addv, __VA_ARGS__)
#define rseq_op_addv_release_cid(...)			RELEASE_CID(addv, __VA_ARGS__)
#define rseq_op_cmpeqv_storev(...)			RELAXED(cmpeqv_storev, __VA_ARGS__)
#define rseq_op_cmpeqv_storev_release(...)		RELEASE(cmpeqv_storev, __VA_ARGS__)
#define rseq_op_cmpeqv_storev_storev(...)		RELAXED(cmpeqv_storev_storev, __VA_ARGS__)
#define rseq_op_cmpeqv_storev_storev_release(...)	RELEASE(cmpeqv_storev_storev, __VA_ARGS__)
#define rseq_op_cmpeqv_memcpy_storev(...)		RELAXED(cmpeqv_memcpy_storev, __VA_ARGS__)
#define rseq_op_cmpeqv_memcpy_storev_release(...)	RELEASE(cmpeqv_memcpy_storev, __VA_ARGS__)
#define rseq_op_xchgv(...)				(exchanges++, (rseq_op_xchgv)(__VA_ARGS__))
#define __atomic_thread_fence(order)	\
	(acquires += (order) == __ATOMIC_ACQUIRE, (__atomic_thread_fence)(order))

#include <rseq/rseq.h>
#include <rseq_op/buffer.h>
#include <rseq_op/counter.h>
#include <rseq_op/stack.h>

/* A lock is given back by a plain store. */
static int stores_of_release;

#define __atomic_store_n(p, value, order)	\
	(stores_of_release += (order) == __ATOMIC_RELEASE, (__atomic_store_n)(p, value, order))

#include <rseq_op/lock.h>

#include "test.h"

static void reset(void)
{
	releases = relaxed = by_cid = acquires = exchanges = 0;
}

/* librseq's operations end in the variant that order and mode ask for. */
static void test_librseq_order_and_mode_their_variant(void **state)
{
	int cpu = rseq_op_current_cpu(), cid = rseq_op_current_cid();
	intptr_t v = 5;

	(void)state;
	reset();
	assert_int_equal(rseq_load_add_store__ptr(RSEQ_MO_RELAXED, RSEQ_PERCPU_CPU_ID, &v, 1, cpu),
			 0);
	assert_int_equal(relaxed, 1);
	assert_int_equal(releases, 0);
	assert_int_equal(by_cid, 0);
	assert_int_equal(rseq_load_add_store__ptr(RSEQ_MO_RELEASE, RSEQ_PERCPU_CPU_ID, &v, 2, cpu),
			 0);
	assert_int_equal(relaxed, 1);
	assert_int_equal(releases, 1);
	assert_int_equal(by_cid, 0);
	assert_int_equal(rseq_load_add_store__ptr(RSEQ_MO_RELAXED, RSEQ_PERCPU_MM_CID, &v, 4, cid),
			 0);
	assert_int_equal(relaxed, 2);
	assert_int_equal(by_cid, 1);
	assert_int_equal(rseq_load_add_store__ptr(RSEQ_MO_RELEASE, RSEQ_PERCPU_MM_CID, &v, 8, cid),
			 0);
	assert_int_equal(releases, 2);
	assert_int_equal(by_cid, 2);
	assert_int_equal(v, 20);
}

/*
 * The thread that takes something sees what the thread that put it there stored before. A push
 * may be repeated, but it ends in a release.
 */
static void check_pushed(int ret)
{
	assert_int_equal(ret, 0);
	assert_true(releases > 0);
	assert_int_equal(relaxed, 0);
	reset();
}

static void check_popped(int ret)
{
	assert_int_equal(ret, 0);
	assert_true(acquires > 0);
	reset();
}

static void test_structures_push_releases_pop_acquires(void **state)
{
	const int cpu = allowed_cpu(0);
	struct rseq_op_pool *pool;
	struct rseq_op_node node, *n = NULL;
	char record[24] = "a record", *p = NULL;
	void *item;

	(void)state;
	assert_int_equal(rseq_op_pool_create(&pool, 256, 0), 0);
	reset();
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	check_pushed(rseq_op_stack_push(item, &node, cpu));
	check_popped(rseq_op_stack_pop(item, &n, cpu));
	check_pushed(rseq_op_stack_push_list(item, &node, &node, cpu));
	check_popped(rseq_op_stack_pop_all(item, &n, cpu));
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	check_pushed(rseq_op_buffer_push(item, 3, record, cpu));
	check_popped(rseq_op_buffer_pop(item, (void **)&p, cpu));
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	check_pushed(rseq_op_records_push(item, 3, record, sizeof(record), cpu));
	check_popped(rseq_op_records_pop(item, record, sizeof(record), cpu));
	rseq_op_pool_destroy(pool);
}

/* The next holder of a lock sees what the last one stored. */
static void test_lock_acquires_unlock_releases(void **state)
{
	const int cpu = allowed_cpu(0);
	struct rseq_op_pool *pool;
	void *item;

	(void)state;
	assert_int_equal(rseq_op_pool_create(&pool, sizeof(struct rseq_op_lock), 0), 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	reset();
	stores_of_release = 0;
	assert_int_equal(rseq_op_lock_cpu(item, cpu), 0);
	assert_true(acquires > 0);
	assert_int_equal(stores_of_release, 0);
	rseq_op_unlock_cpu(item, cpu);
	assert_int_equal(stores_of_release, 1);
	rseq_op_pool_destroy(pool);
}

/* Nothing is lost: each word is taken and made 0 by one operation, not by a load and a store. */
static void test_counter_cleared_by_an_exchange_for_each_cpu(void **state)
{
	struct rseq_op_pool *pool;
	int cpu, possible = 0;
	intptr_t sum = 77;
	void *item;

	(void)state;
	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++)
		possible += rseq_op_cpu_possible(cpu);
	assert_int_equal(rseq_op_pool_create(&pool, sizeof(struct rseq_op_counter), 0), 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	assert_int_equal(rseq_op_counter_add(item, 5), 0);
	reset();
	assert_int_equal(rseq_op_counter_read_clear(item, &sum), 0);
	assert_int_equal(exchanges, possible);
	assert_int_equal(sum, 5);
	rseq_op_pool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_librseq_order_and_mode_their_variant),
		cmocka_unit_test(test_structures_push_releases_pop_acquires),
		cmocka_unit_test(test_lock_acquires_unlock_releases),
		cmocka_unit_test(test_counter_cleared_by_an_exchange_for_each_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * The per-CPU structures, by one thread: order, full, empty, and what is invalid; on the
 * CPU where the thread is, by sequences, and on others.
 */
#include <rseq_op/buffer.h>
#include <rseq_op/counter.h>
#include <rseq_op/lock.h>
#include <rseq_op/stack.h>

#include "test.h"

#define CAPACITY	5
#define RECORD		24

static struct rseq_op_pool *pool;
static const int nonsense[] = { -1, -2, INT32_MIN, INT32_MAX, RSEQ_OP_CPU_MAX };

/* An item for a structure of that size; the pool goes with the test. */
static void *structure(size_t size)
{
	void *item;

	assert_int_equal(rseq_op_pool_create(&pool, size, 0), 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	return item;
}

static int clean_up(void **state)
{
	(void)state;
	rseq_op_pool_destroy(pool);
	pool = NULL;
	unpin();
	return 0;
}

static void test_counter(void **state)
{
	struct rseq_op_counter *c = structure(sizeof(*c));
	intptr_t sum = 0;
	int i;

	(void)state;
	for (i = 0; i < nr_allowed_cpus(); i++) {
		pin_to(allowed_cpu(i));
		assert_int_equal(rseq_op_counter_add(c, 10 + i), 0);
		assert_int_equal(rseq_op_counter_add(c, -i), 0);
		assert_int_equal(rseq_op_ptr(c, allowed_cpu(i))->count, 10);
	}
	assert_int_equal(rseq_op_counter_read(c), 10 * nr_allowed_cpus());
	assert_int_equal(rseq_op_counter_read_clear(c, &sum), 0);
	assert_int_equal(sum, 10 * nr_allowed_cpus());
	assert_int_equal(rseq_op_counter_read(c), 0);
	assert_int_equal(rseq_op_counter_add(c, INTPTR_MAX), 0);
	assert_int_equal(rseq_op_counter_add(c, 1), 0);
	assert_true(rseq_op_counter_read(c) == INTPTR_MIN);
}

static void test_lock(void **state)
{
	struct rseq_op_lock *l = structure(sizeof(*l));
	size_t k;
	int i;

	(void)state;
	for (i = 0; i < nr_allowed_cpus(); i++) {
		int cpu = allowed_cpu(i);

		pin_to(cpu);
		assert_int_equal(rseq_op_lock_current(l), cpu);
		assert_int_equal(rseq_op_ptr(l, cpu)->held, 1);
		rseq_op_unlock_cpu(l, cpu);
		assert_int_equal(rseq_op_ptr(l, cpu)->held, 0);
		assert_int_equal(rseq_op_lock_cpu(l, allowed_cpu(0)), 0);
		rseq_op_unlock_cpu(l, allowed_cpu(0));
	}
	for (k = 0; k < ARRAY_SIZE(nonsense); k++)
		assert_int_equal(rseq_op_lock_cpu(l, nonsense[k]), -EINVAL);
}

static void check_stack(struct rseq_op_stack *s, int cpu, int other)
{
	struct rseq_op_node n[4], *p = NULL;

	assert_int_equal(rseq_op_stack_pop(s, &p, cpu), 1);
	assert_null(p);
	assert_int_equal(rseq_op_stack_push(s, &n[0], cpu), 0);
	assert_int_equal(rseq_op_stack_push(s, &n[1], cpu), 0);
	n[2].next = (intptr_t)&n[3];
	assert_int_equal(rseq_op_stack_push_list(s, &n[2], &n[3], cpu), 0);
	assert_int_equal(rseq_op_stack_pop(s, &p, cpu), 0);
	assert_ptr_equal(p, &n[2]);
	assert_int_equal(rseq_op_stack_move(s, cpu, other), 0);
	assert_int_equal(rseq_op_stack_pop(s, &p, other), 0);
	assert_ptr_equal(p, &n[3]);
	assert_int_equal(rseq_op_stack_move(s, other, cpu), other == cpu ? 0 : 1);
	assert_int_equal(rseq_op_stack_pop_all(s, &p, cpu), 0);
	assert_ptr_equal(p, &n[1]);
	assert_int_equal(n[1].next, (intptr_t)&n[0]);
	assert_int_equal(n[0].next, 0);
	assert_int_equal(rseq_op_stack_pop_all(s, &p, cpu), 0);
	assert_null(p);
}

static void test_stack(void **state)
{
	struct rseq_op_stack *s = structure(sizeof(*s));
	int i;

	(void)state;
	pin_to(allowed_cpu(0));
	for (i = 0; i < nr_allowed_cpus(); i++) {
		check_stack(s, allowed_cpu(0), allowed_cpu(i));
		check_stack(s, allowed_cpu(i), allowed_cpu(0));
	}
}

static void test_stack_invalid_einval(void **state)
{
	struct rseq_op_stack *s = structure(sizeof(*s));
	struct rseq_op_node n, *p = &n;
	int cpu = allowed_cpu(0);
	size_t k;

	(void)state;
	assert_int_equal(rseq_op_stack_push(s, &n, cpu), 0);
	for (k = 0; k < ARRAY_SIZE(nonsense); k++) {
		assert_int_equal(rseq_op_stack_push(s, &n, nonsense[k]), -EINVAL);
		assert_int_equal(rseq_op_stack_pop(s, &p, nonsense[k]), -EINVAL);
		assert_int_equal(rseq_op_stack_pop_all(s, &p, nonsense[k]), -EINVAL);
		assert_int_equal(rseq_op_stack_move(s, nonsense[k], cpu), -EINVAL);
		assert_int_equal(rseq_op_stack_move(s, cpu, nonsense[k]), -EINVAL);
	}
	assert_ptr_equal(p, &n);
	assert_int_equal(rseq_op_ptr(s, cpu)->first, (intptr_t)&n);
}

static void check_buffer(struct rseq_op_buffer *b, int cpu)
{
	char at[CAPACITY + 1];
	void *p = NULL;
	int i;

	assert_int_equal(rseq_op_buffer_pop(b, &p, cpu), 1);
	for (i = 0; i < CAPACITY; i++)
		assert_int_equal(rseq_op_buffer_push(b, CAPACITY, &at[i], cpu), 0);
	assert_int_equal(rseq_op_buffer_push(b, CAPACITY, &at[i], cpu), 1);
	while (i-- > 0) {
		assert_int_equal(rseq_op_buffer_pop(b, &p, cpu), 0);
		assert_ptr_equal(p, &at[i]);
	}
	assert_int_equal(rseq_op_buffer_pop(b, &p, cpu), 1);
}

static void test_buffer(void **state)
{
	struct rseq_op_buffer *b = structure(RSEQ_OP_BUFFER_SIZE(CAPACITY));
	void *p = NULL;
	size_t k;
	int i;

	(void)state;
	pin_to(allowed_cpu(0));
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_buffer(b, allowed_cpu(i));
	for (k = 0; k < ARRAY_SIZE(nonsense); k++) {
		assert_int_equal(rseq_op_buffer_push(b, CAPACITY, b, nonsense[k]), -EINVAL);
		assert_int_equal(rseq_op_buffer_pop(b, &p, nonsense[k]), -EINVAL);
	}
	assert_null(p);
	assert_int_equal(rseq_op_buffer_push(b, 0, b, allowed_cpu(0)), 1);
	assert_int_equal(rseq_op_buffer_push(b, -1, b, allowed_cpu(0)), 1);
	assert_int_equal(rseq_op_buffer_push(b, INTPTR_MIN, b, allowed_cpu(0)), 1);
	assert_int_equal(rseq_op_buffer_pop(b, &p, allowed_cpu(0)), 1);
}

static void check_records(struct rseq_op_records *b, int cpu)
{
	char in[RECORD], out[RECORD + 8];
	int i, k;

	memset(out, 0x77, sizeof(out));
	assert_int_equal(rseq_op_records_pop(b, out, RECORD, cpu), 1);
	for (i = 0; i < CAPACITY; i++) {
		memset(in, i, sizeof(in));
		assert_int_equal(rseq_op_records_push(b, CAPACITY, in, RECORD, cpu), 0);
	}
	assert_int_equal(rseq_op_records_push(b, CAPACITY, in, RECORD, cpu), 1);
	while (i-- > 0) {
		assert_int_equal(rseq_op_records_pop(b, out, RECORD, cpu), 0);
		for (k = 0; k < (int)sizeof(out); k++)
			assert_int_equal(out[k], k < RECORD ? i : 0x77);
	}
	assert_int_equal(rseq_op_records_pop(b, out, RECORD, cpu), 1);
}

static void test_records(void **state)
{
	struct rseq_op_records *b = structure(RSEQ_OP_RECORDS_SIZE(CAPACITY, RECORD));
	char record[RECORD] = { 0 };
	size_t k;
	int i;

	(void)state;
	pin_to(allowed_cpu(0));
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_records(b, allowed_cpu(i));
	for (k = 0; k < ARRAY_SIZE(nonsense); k++) {
		assert_int_equal(rseq_op_records_push(b, CAPACITY, record, RECORD, nonsense[k]),
				 -EINVAL);
		assert_int_equal(rseq_op_records_pop(b, record, RECORD, nonsense[k]), -EINVAL);
	}
	assert_int_equal(rseq_op_records_push(b, -1, record, RECORD, allowed_cpu(0)), 1);
	assert_int_equal(rseq_op_records_push(b, CAPACITY, record, 4097, allowed_cpu(0)), -EINVAL);
	assert_int_equal(rseq_op_records_push(b, CAPACITY, record, 0, allowed_cpu(0)), -EINVAL);
	assert_int_equal(rseq_op_records_pop(b, record, 0, allowed_cpu(0)), -EINVAL);
	assert_int_equal(rseq_op_records_pop(b, record, RECORD, allowed_cpu(0)), 1);
}

/* Invalid arguments are -EINVAL in every state of the buffer. */
static void check_records_invalid(struct rseq_op_records *b, int cpu)
{
	static const size_t sizes[] = { 0, 4097, 8192, SIZE_MAX };
	const intptr_t count = rseq_op_ptr(b, cpu)->count;
	char record[RECORD] = { 0 };
	size_t k;

	for (k = 0; k < ARRAY_SIZE(sizes); k++) {
		assert_int_equal(rseq_op_records_push(b, CAPACITY, record, sizes[k], cpu), -EINVAL);
		assert_int_equal(rseq_op_records_push(b, 0, record, sizes[k], cpu), -EINVAL);
		assert_int_equal(rseq_op_records_pop(b, record, sizes[k], cpu), -EINVAL);
	}
	for (k = 0; k < ARRAY_SIZE(nonsense); k++) {
		assert_int_equal(rseq_op_records_push(b, CAPACITY, record, RECORD, nonsense[k]),
				 -EINVAL);
		assert_int_equal(rseq_op_records_pop(b, record, RECORD, nonsense[k]), -EINVAL);
	}
	assert_int_equal(rseq_op_ptr(b, cpu)->count, count);
}

static void test_records_invalid_einval_in_every_state(void **state)
{
	struct rseq_op_records *b = structure(RSEQ_OP_RECORDS_SIZE(CAPACITY, RECORD));
	char record[RECORD] = { 0 };
	int i, k;

	(void)state;
	pin_to(allowed_cpu(0));
	for (i = 0; i < nr_allowed_cpus(); i++) {
		for (k = 0; k <= CAPACITY; k++) {
			check_records_invalid(b, allowed_cpu(i));
			assert_int_equal(rseq_op_records_push(b, CAPACITY, record, RECORD,
							      allowed_cpu(i)), k == CAPACITY);
		}
	}
}

/* The longest record, pushed and popped. */
static void test_records_of_4096_bytes(void **state)
{
	struct rseq_op_records *b = structure(RSEQ_OP_RECORDS_SIZE(2, 4096));
	static char in[4096], out[4096];
	int i;

	(void)state;
	for (i = 0; i < nr_allowed_cpus(); i++) {
		memset(in, 1 + i, sizeof(in));
		assert_int_equal(rseq_op_records_push(b, 2, in, sizeof(in), allowed_cpu(i)), 0);
		assert_int_equal(rseq_op_records_pop(b, out, sizeof(out), allowed_cpu(i)), 0);
		assert_memory_equal(in, out, sizeof(in));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_counter, clean_up),
		cmocka_unit_test_teardown(test_lock, clean_up),
		cmocka_unit_test_teardown(test_stack, clean_up),
		cmocka_unit_test_teardown(test_stack_invalid_einval, clean_up),
		cmocka_unit_test_teardown(test_buffer, clean_up),
		cmocka_unit_test_teardown(test_records, clean_up),
		cmocka_unit_test_teardown(test_records_invalid_einval_in_every_state, clean_up),
		cmocka_unit_test_teardown(test_records_of_4096_bytes, clean_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * The per-CPU structures, by one thread: order, full, empty, and what is invalid; on the
 * CPU where the thread is, by sequences, and on others.
 */
#include <sys/mman.h>

#include <rseq_op/buffer.h>
#include <rseq_op/counter.h>
#include <rseq_op/lock.h>
#include <rseq_op/stack.h>

#include "test.h"

/* So that a buffer, its first word included, fills an item of a size that is a power of two. */
#define CAPACITY	7
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

/* The item that follows it, where nothing lies between them. */
static void *next_item(void *item)
{
	void *next;

	assert_int_equal(rseq_op_pool_alloc(pool, &next), 0);
	assert_true((char *)next > (char *)item);
	return next;
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
	intptr_t sum = 77;
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

/*
 * Memory for a structure at an address where no operation has been: where one has, the library
 * may take it that the memory is still accessible. It is mapped before the first pool.
 */
static char *untouched[3];

static bool map_untouched(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(untouched); i++) {
		untouched[i] = mmap(NULL, (size_t)rseq_op_nr_cpus() * RSEQ_OP_STRIDE,
				    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (untouched[i] == MAP_FAILED)
			return false;
	}
	return true;
}

/* The memory of the CPUs from this one on is read-only. */
static void make_read_only(char *memory, int cpu)
{
	assert_int_equal(mprotect(rseq_op_ptr(memory, cpu),
				  (size_t)(rseq_op_nr_cpus() - cpu) * RSEQ_OP_STRIDE, PROT_READ), 0);
}

static int first_and_other_cpu(void)
{
	if (nr_allowed_cpus() < 2)
		skip_because("only one CPU");
	pin_to(allowed_cpu(0));
	return allowed_cpu(1);
}

static void test_counter_cleared_in_part_sum_of_that_part(void **state)
{
	struct rseq_op_counter *c = (void *)untouched[0];
	int other = first_and_other_cpu();
	intptr_t sum = 77;

	(void)state;
	assert_int_equal(rseq_op_counter_add(c, 10), 0);
	rseq_op_ptr(c, other)->count = 5;
	make_read_only(untouched[0], allowed_cpu(0) + 1);
	assert_int_equal(rseq_op_counter_read_clear(c, &sum), -EFAULT);
	assert_int_equal(sum, 10);
	assert_int_equal(rseq_op_counter_read(c), 5);
}

/* The lock of the CPU where it was taken is held, wherever its holder goes. */
static void test_lock_holder_moves_keeps_it(void **state)
{
	struct rseq_op_lock *l = structure(sizeof(*l));
	int cpu = allowed_cpu(0), other = first_and_other_cpu();

	(void)state;
	assert_int_equal(rseq_op_lock_current(l), cpu);
	pin_to(other);
	assert_int_not_equal(rseq_op_ptr(l, cpu)->held, 0);
	assert_int_equal(rseq_op_ptr(l, other)->held, 0);
	assert_int_equal(rseq_op_lock_current(l), other);
	rseq_op_unlock_cpu(l, cpu);
	assert_int_equal(rseq_op_ptr(l, cpu)->held, 0);
	assert_int_not_equal(rseq_op_ptr(l, other)->held, 0);
	assert_int_equal(rseq_op_lock_cpu(l, cpu), 0);
	assert_int_not_equal(rseq_op_ptr(l, cpu)->held, 0);
	rseq_op_unlock_cpu(l, other);
	assert_int_equal(rseq_op_ptr(l, other)->held, 0);
	assert_int_not_equal(rseq_op_ptr(l, cpu)->held, 0);
	rseq_op_unlock_cpu(l, cpu);
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

/* A node that cannot be put on the other stack is on the first again. */
static void test_stack_not_moved_put_back(void **state)
{
	struct rseq_op_stack *s = (void *)untouched[1];
	struct rseq_op_node n[2], *p = NULL;
	int cpu = allowed_cpu(0), other = first_and_other_cpu();

	(void)state;
	assert_int_equal(rseq_op_stack_push(s, &n[0], cpu), 0);
	assert_int_equal(rseq_op_stack_push(s, &n[1], cpu), 0);
	make_read_only(untouched[1], cpu + 1);
	assert_int_equal(rseq_op_stack_move(s, cpu, other), -EFAULT);
	assert_int_equal(rseq_op_stack_push(s, &n[0], other), -EFAULT);
	assert_int_equal(rseq_op_stack_pop(s, &p, other), 1);
	assert_null(p);
	assert_int_equal(rseq_op_stack_pop_all(s, &p, other), -EFAULT);
	assert_null(p);
	assert_int_equal(rseq_op_stack_pop(s, &p, cpu), 0);
	assert_ptr_equal(p, &n[1]);
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

/* b is full, and so is the item behind it, which ends where the memory of the next begins. */
static void check_buffer(struct rseq_op_buffer *b, struct rseq_op_buffer *behind, int cpu)
{
	char at[CAPACITY + 1], other[CAPACITY];
	void *p = at;
	int i;

	assert_int_equal(rseq_op_buffer_pop(b, &p, cpu), 1);
	assert_ptr_equal(p, at);
	for (i = 0; i < CAPACITY; i++)
		assert_int_equal(rseq_op_buffer_push(behind, CAPACITY, &other[i], cpu), 0);
	for (i = 0; i < CAPACITY; i++)
		assert_int_equal(rseq_op_buffer_push(b, CAPACITY, &at[i], cpu), 0);
	assert_int_equal(rseq_op_buffer_push(b, CAPACITY, &at[i], cpu), 1);
	while (i-- > 0) {
		assert_int_equal(rseq_op_buffer_pop(b, &p, cpu), 0);
		assert_ptr_equal(p, &at[i]);
	}
	assert_int_equal(rseq_op_buffer_pop(b, &p, cpu), 1);
	assert_ptr_equal(p, &at[0]);
	for (i = CAPACITY; i-- > 0; ) {
		assert_int_equal(rseq_op_buffer_pop(behind, &p, cpu), 0);
		assert_ptr_equal(p, &other[i]);
	}
}

static void test_buffer(void **state)
{
	struct rseq_op_buffer *b = structure(RSEQ_OP_BUFFER_SIZE(CAPACITY));
	struct rseq_op_buffer *behind = next_item(b);
	void *p = NULL;
	size_t k;
	int i;

	(void)state;
	pin_to(allowed_cpu(0));
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_buffer(b, behind, allowed_cpu(i));
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

static void test_buffer_inaccessible_nothing_taken(void **state)
{
	struct rseq_op_buffer *b = (void *)untouched[2];
	int other = first_and_other_cpu();
	void *p = &pool;

	(void)state;
	rseq_op_ptr(b, other)->count = 1;
	make_read_only(untouched[2], allowed_cpu(0) + 1);
	assert_int_equal(rseq_op_buffer_pop(b, &p, other), -EFAULT);
	assert_ptr_equal(p, &pool);
	assert_int_equal(rseq_op_buffer_push(b, CAPACITY, p, other), -EFAULT);
	assert_int_equal(rseq_op_ptr(b, other)->count, 1);
}

/* Every byte differs from those beside it, in this record, in others and in fresh memory. */
static void fill_record(unsigned char *record, size_t size, unsigned int number)
{
	size_t i;

	for (i = 0; i < size; i++)
		record[i] = (unsigned char)(1 + (number * 53 + i) % 255);
}

static void check_record(const unsigned char *record, size_t size, unsigned int number)
{
	unsigned char expected[4096];

	fill_record(expected, size, number);
	assert_memory_equal(record, expected, size);
}

/* The same with records as with pointers above. */
static void check_records(struct rseq_op_records *b, struct rseq_op_records *behind, size_t size,
			  int cpu)
{
	unsigned char in[4096], out[4096 + 8];
	unsigned int i, k;

	memset(out, 0, sizeof(out));
	assert_int_equal(rseq_op_records_pop(b, out, size, cpu), 1);
	for (i = 0; i < CAPACITY; i++) {
		fill_record(in, size, 100 + i);
		assert_int_equal(rseq_op_records_push(behind, CAPACITY, in, size, cpu), 0);
	}
	for (i = 0; i < CAPACITY; i++) {
		fill_record(in, size, i);
		assert_int_equal(rseq_op_records_push(b, CAPACITY, in, size, cpu), 0);
	}
	fill_record(in, size, i);
	assert_int_equal(rseq_op_records_push(b, CAPACITY, in, size, cpu), 1);
	while (i-- > 0) {
		assert_int_equal(rseq_op_records_pop(b, out, size, cpu), 0);
		check_record(out, size, i);
		for (k = 0; k < 8; k++)
			assert_int_equal(out[size + k], 0);
	}
	assert_int_equal(rseq_op_records_pop(b, out, size, cpu), 1);
	for (i = CAPACITY; i-- > 0; ) {
		assert_int_equal(rseq_op_records_pop(behind, out, size, cpu), 0);
		check_record(out, size, 100 + i);
	}
}

/* A word, the longest record, and lengths that are no multiple of a word. */
static void test_records_of_each_size(void **state)
{
	static const size_t sizes[] = { 1, 7, 8, 24, 130, 4096 };
	size_t k;

	(void)state;
	pin_to(allowed_cpu(0));
	for (k = 0; k < ARRAY_SIZE(sizes); k++) {
		struct rseq_op_records *b = structure(RSEQ_OP_RECORDS_SIZE(CAPACITY, sizes[k]));
		struct rseq_op_records *behind = next_item(b);
		int i;

		for (i = 0; i < nr_allowed_cpus(); i++)
			check_records(b, behind, sizes[k], allowed_cpu(i));
		rseq_op_pool_destroy(pool);
		pool = NULL;
	}
}

/* The sizes of the items, so that no other object lies in them. */
static void test_sizes_header_and_contents(void **state)
{
	(void)state;
	assert_int_equal(RSEQ_OP_BUFFER_SIZE(CAPACITY), (1 + CAPACITY) * sizeof(void *));
	assert_int_equal(RSEQ_OP_RECORDS_SIZE(CAPACITY, RECORD), sizeof(void *) + CAPACITY * RECORD);
}

static void test_records_invalid(void **state)
{
	struct rseq_op_records *b = structure(RSEQ_OP_RECORDS_SIZE(CAPACITY, RECORD));
	char record[RECORD] = { 0 };
	size_t k;

	(void)state;
	pin_to(allowed_cpu(0));
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
		cmocka_unit_test_teardown(test_counter_cleared_in_part_sum_of_that_part, clean_up),
		cmocka_unit_test_teardown(test_lock, clean_up),
		cmocka_unit_test_teardown(test_lock_holder_moves_keeps_it, clean_up),
		cmocka_unit_test_teardown(test_stack, clean_up),
		cmocka_unit_test_teardown(test_stack_not_moved_put_back, clean_up),
		cmocka_unit_test_teardown(test_stack_invalid_einval, clean_up),
		cmocka_unit_test_teardown(test_buffer, clean_up),
		cmocka_unit_test_teardown(test_records_invalid_einval_in_every_state, clean_up),
		cmocka_unit_test_teardown(test_records_of_4096_bytes, clean_up),
		cmocka_unit_test_teardown(test_buffer_inaccessible_nothing_taken, clean_up),
		cmocka_unit_test_teardown(test_records_of_each_size, clean_up),
		cmocka_unit_test_teardown(test_records_invalid, clean_up),
		cmocka_unit_test(test_sizes_header_and_contents),
	};

	if (!map_untouched())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

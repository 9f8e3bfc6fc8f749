// SPDX-License-Identifier: MIT
/*
 * structures [MILLISECONDS [REMOTE_EVERY]]: the per-CPU structures under load, by threads
 * that move as the scheduler likes, and use the CPU where they are and now and then
 * another. What each of them holds has one owner at any moment, a thread or a CPU's
 * structure; a thread marks what it takes, and a mark that is there already is a fault.
 * At the end everything is found once.
 *
 *	stack		nodes are popped, moved between CPUs, all taken, pushed as a list
 *	drain		the same, while a CPU goes down, and the main thread takes what its
 *			stack holds, again and again
 *	buffer		pointers to tokens
 *	records		records that are a number and say so in every byte
 *	counter		what one thread reads and clears is, in the end, what others added
 *	lock		two words that are equal whenever nobody holds the lock
 */
#include <rseq_op/buffer.h>
#include <rseq_op/counter.h>
#include <rseq_op/lock.h>
#include <rseq_op/stack.h>

#include "cpus.h"
#include "threads.h"

#define THREADS		8
#define THINGS		200	/* in all structures of a kind together */
#define CAPACITY	12	/* of a CPU's buffer; not enough for all things */
#define RECORD		72

static unsigned int run_ms = 500;
static unsigned int remote_every = 16;

static struct rseq_op_pool *pool;
static void *item;		/* the structure */
static int down;		/* the CPU that is taken down, or -1 */

/* A node, or what a pointer or a record stands for. */
struct thing {
	struct rseq_op_node node;
	intptr_t taken;		/* by how many threads */
	intptr_t moved;		/* who takes it sees what the last one stored */
};

static struct thing things[THINGS];

static int possible_cpu(struct worker *w)
{
	return allowed_cpu((int)(next_random(&w->random) % (unsigned int)nr_allowed_cpus()));
}

static int choose(struct worker *w)
{
	if (next_random(&w->random) % remote_every)
		return rseq_op_current_cpu();
	return possible_cpu(w);
}

static bool good(struct worker *w, const char *what, int ret)
{
	if (ret < 0 || ret > 1)
		wrong(w, "%s: %d", what, ret);
	return !ret;
}

static void mark_taken(struct worker *w, struct thing *t)
{
	if (t < things || t >= things + THINGS)
		wrong(w, "%p is none of ours", (void *)t);
	else if (__atomic_add_fetch(&t->taken, 1, __ATOMIC_RELAXED) != 1)
		wrong(w, "thing %d has two owners", (int)(t - things));
	else
		t->moved++;
}

static void mark_given(struct thing *t)
{
	__atomic_sub_fetch(&t->taken, 1, __ATOMIC_RELAXED);
}

static void make(size_t size)
{
	assert_int_equal(rseq_op_pool_create(&pool, size, 0), 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	memset(things, 0, sizeof(things));
	down = -1;
}

/* None was kept from it so far, by others or by the machine. */
static bool all_did(const struct worker *w)
{
	int i;

	for (i = 0; i < THREADS && __atomic_load_n(&w[i].done, __ATOMIC_RELAXED); i++)
		;
	return i == THREADS;
}

static void run_workers(void (*run)(struct worker *w), struct worker *w)
{
	uint64_t end = now_ms() + 60000;

	start_workers(w, THREADS, run, NULL, NULL);
	sleep_ms((int)run_ms);
	while (!all_did(w) && now_ms() < end)
		sleep_ms(10);
	stop_workers();
	finish_workers(w, THREADS);
	assert_true(all_did(w));
}

static void run_all(void (*run)(struct worker *w))
{
	struct worker w[THREADS];

	run_workers(run, w);
}

static int clean_up(void **state)
{
	(void)state;
	if (down >= 0)
		set_online(down, true);
	rseq_op_pool_destroy(pool);
	pool = NULL;
	return 0;
}

static void found(int *seen, struct thing *t)
{
	assert_true(t >= things && t < things + THINGS);
	assert_int_equal(t->taken, 0);
	assert_int_equal(seen[t - things]++, 0);
}

static void check_seen(const int *seen)
{
	int i;

	for (i = 0; i < THINGS; i++)
		assert_int_equal(seen[i], 1);
}

/* stack */

static void push(struct worker *w, struct thing *t, int cpu)
{
	mark_given(t);
	good(w, "push", rseq_op_stack_push(item, &t->node, cpu));
}

/* Take all nodes, and give them back as they hang together. */
static int pass_all(struct worker *w, int from, int to)
{
	struct rseq_op_node *first = NULL, *last = NULL, *n;
	int count = 0;

	if (!good(w, "pop_all", rseq_op_stack_pop_all(item, &first, from)) || !first)
		return 0;
	for (n = first; n; n = (struct rseq_op_node *)n->next) {
		mark_taken(w, (struct thing *)n);
		last = n;
		count++;
	}
	for (n = first; n; n = n == last ? NULL : (struct rseq_op_node *)n->next)
		mark_given((struct thing *)n);
	good(w, "push_list", rseq_op_stack_push_list(item, first, last, to));
	return count;
}

static void use_stack(struct worker *w)
{
	while (!workers_stopping()) {
		struct rseq_op_node *n = NULL;

		switch (next_random(&w->random) % 8) {
		case 0:
			good(w, "move", rseq_op_stack_move(item, choose(w), choose(w)));
			break;
		case 1:
			pass_all(w, choose(w), choose(w));
			break;
		default:
			if (good(w, "pop", rseq_op_stack_pop(item, &n, choose(w)))) {
				mark_taken(w, (struct thing *)n);
				push(w, (struct thing *)n, choose(w));
			}
		}
		w->done++;
	}
}

static void fill_stack(void)
{
	int i;

	make(sizeof(struct rseq_op_stack));
	for (i = 0; i < THINGS; i++)
		assert_int_equal(rseq_op_stack_push(item, &things[i].node,
						    allowed_cpu(i % nr_allowed_cpus())), 0);
}

static void check_stack(void)
{
	int seen[THINGS] = { 0 }, cpu;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		struct rseq_op_node *n = NULL;

		if (!rseq_op_cpu_possible(cpu))
			continue;
		assert_int_equal(rseq_op_stack_pop_all(item, &n, cpu), 0);
		for (; n; n = (struct rseq_op_node *)n->next)
			found(seen, (struct thing *)n);
	}
	check_seen(seen);
}

static void test_stack(void **state)
{
	(void)state;
	fill_stack();
	run_all(use_stack);
	check_stack();
}

/* The others go on to use the CPU's stack while it is offline. */
static void test_drain_of_an_offline_cpu(void **state)
{
	struct worker w[THREADS], self = { .random = 1 };
	uint64_t end;
	int drained = 0;

	(void)state;
	need_vm();
	if (nr_allowed_cpus() < 2)
		skip_because("only one CPU");
	fill_stack();
	down = allowed_cpu(nr_allowed_cpus() - 1);
	start_workers(w, THREADS, use_stack, NULL, NULL);
	sleep_ms((int)run_ms);
	assert_true(set_online(down, false));
	for (end = now_ms() + 60000; drained < 100 && now_ms() < end; )
		drained += pass_all(&self, down, allowed_cpu(0));
	assert_true(set_online(down, true));
	sleep_ms((int)run_ms);
	stop_workers();
	finish_workers(w, THREADS);
	assert_int_equal(self.wrong, 0);
	assert_true(drained >= 100);
	check_stack();
}

/* buffer */

/* Wherever there is room. */
static void put_pointer(struct worker *w, void *p)
{
	int ret;

	do
		ret = rseq_op_buffer_push(item, CAPACITY, p, possible_cpu(w));
	while (ret == 1);
	good(w, "push", ret);
}

static void use_buffer(struct worker *w)
{
	while (!workers_stopping()) {
		void *p = NULL;

		if (!good(w, "pop", rseq_op_buffer_pop(item, &p, choose(w))))
			continue;
		mark_taken(w, p);
		mark_given(p);
		put_pointer(w, p);
		w->done++;
	}
}

/* As many as have room whoever holds what. */
static int in_buffers(void)
{
	int n = nr_allowed_cpus() * CAPACITY / 2;

	return n < THINGS ? n : THINGS;
}

static void test_buffer(void **state)
{
	int seen[THINGS] = { 0 }, i;
	void *p = NULL;

	(void)state;
	make(RSEQ_OP_BUFFER_SIZE(CAPACITY));
	for (i = 0; i < in_buffers(); i++)
		assert_int_equal(rseq_op_buffer_push(item, CAPACITY, &things[i],
						     allowed_cpu(i % nr_allowed_cpus())), 0);
	for (; i < THINGS; i++)
		seen[i] = 1;
	run_all(use_buffer);
	for (i = 0; i < nr_allowed_cpus(); i++) {
		while (!rseq_op_buffer_pop(item, &p, allowed_cpu(i)))
			found(seen, p);
	}
	check_seen(seen);
}

/* records */

/* Thing i is a record of bytes i + 1: memory that nobody has stored to is no record. */
static struct thing *thing_of(const uint8_t *record)
{
	int i;

	for (i = 1; i < RECORD; i++) {
		if (record[i] != record[0])
			return NULL;
	}
	return record[0] ? &things[record[0] - 1] : NULL;
}

static void put_record(struct worker *w, const uint8_t *record)
{
	int ret;

	do
		ret = rseq_op_records_push(item, CAPACITY, record, RECORD, possible_cpu(w));
	while (ret == 1);
	good(w, "push", ret);
}

static void use_records(struct worker *w)
{
	uint8_t record[RECORD];

	while (!workers_stopping()) {
		struct thing *t;

		if (!good(w, "pop", rseq_op_records_pop(item, record, RECORD, choose(w))))
			continue;
		t = thing_of(record);
		mark_taken(w, t);
		if (t)
			mark_given(t);
		put_record(w, record);
		w->done++;
	}
}

static void test_records(void **state)
{
	uint8_t record[RECORD];
	int seen[THINGS] = { 0 }, i;

	(void)state;
	make(RSEQ_OP_RECORDS_SIZE(CAPACITY, RECORD));
	for (i = 0; i < in_buffers(); i++) {
		memset(record, i + 1, sizeof(record));
		assert_int_equal(rseq_op_records_push(item, CAPACITY, record, RECORD,
						      allowed_cpu(i % nr_allowed_cpus())), 0);
	}
	for (; i < THINGS; i++)
		seen[i] = 1;
	run_all(use_records);
	for (i = 0; i < nr_allowed_cpus(); i++) {
		while (!rseq_op_records_pop(item, record, RECORD, allowed_cpu(i)))
			found(seen, thing_of(record));
	}
	check_seen(seen);
}

/* counter */

static intptr_t cleared;

static void use_counter(struct worker *w)
{
	intptr_t sum = 0;

	while (!workers_stopping()) {
		if (w->index) {
			good(w, "add", rseq_op_counter_add(item, w->index));
			w->done++;
		} else {
			good(w, "read_clear", rseq_op_counter_read_clear(item, &sum));
			cleared += sum;
			w->done += sum > 0;
		}
	}
}

static void test_counter(void **state)
{
	struct worker w[THREADS];
	intptr_t added = 0;
	int i;

	(void)state;
	make(sizeof(struct rseq_op_counter));
	cleared = 0;
	run_workers(use_counter, w);
	for (i = 0; i < THREADS; i++)
		added += (intptr_t)w[i].done * i;
	assert_true(cleared > 0);
	assert_int_equal(cleared + rseq_op_counter_read(item), added);
}

/* lock */

static struct {
	intptr_t a, b;
} guarded[RSEQ_OP_CPU_MAX];

static void use_lock(struct worker *w)
{
	while (!workers_stopping()) {
		int cpu = rseq_op_lock_current(item);

		if (next_random(&w->random) % remote_every == 0) {
			if (cpu >= 0)
				rseq_op_unlock_cpu(item, cpu);
			cpu = possible_cpu(w);
			good(w, "lock", rseq_op_lock_cpu(item, cpu));
		}
		if (cpu < 0) {
			wrong(w, "lock: %d", cpu);
			continue;
		}
		if (guarded[cpu].a++ != guarded[cpu].b++)
			wrong(w, "somebody else is in there");
		rseq_op_unlock_cpu(item, cpu);
		w->done++;
	}
}

static void test_lock(void **state)
{
	struct worker w[THREADS];
	uint64_t a = 0, b = 0, done = 0;
	int i;

	(void)state;
	make(sizeof(struct rseq_op_lock));
	memset(guarded, 0, sizeof(guarded));
	run_workers(use_lock, w);
	for (i = 0; i < THREADS; i++)
		done += w[i].done;
	for (i = 0; i < RSEQ_OP_CPU_MAX; i++) {
		a += (uint64_t)guarded[i].a;
		b += (uint64_t)guarded[i].b;
	}
	assert_true(done > 0 && a == done && b == done);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_stack, clean_up),
		cmocka_unit_test_teardown(test_drain_of_an_offline_cpu, clean_up),
		cmocka_unit_test_teardown(test_buffer, clean_up),
		cmocka_unit_test_teardown(test_records, clean_up),
		cmocka_unit_test_teardown(test_counter, clean_up),
		cmocka_unit_test_teardown(test_lock, clean_up),
	};

	if (argc > 1)
		run_ms = (unsigned int)atoi(argv[1]);
	if (argc > 2)
		remote_every = (unsigned int)atoi(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

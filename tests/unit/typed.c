// SPDX-License-Identifier: MIT
/*
 * Every variant of every typed operation, on random words, beside what it means in C: the
 * result is the same, and so is every byte of the memory around, padding included. For
 * the place where the thread is, by the sequence, and for others, by the backend.
 */
#include <sched.h>

#include "test.h"

#define ROUNDS		40
#define NR_COPIED	300

static uint32_t random_state = 1;

static uint64_t random_word(void)
{
	static const uint64_t special[] = {
		0, 1, -1, INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, UINT32_MAX,
		UINT64_C(1) << 32,
	};
	uint32_t r = next_random(&random_state);

	if (r % 4)
		return special[r / 4 % ARRAY_SIZE(special)];
	return (uint64_t)next_random(&random_state) << 32 | next_random(&random_state);
}

static void fill(void *p, size_t size)
{
	uint8_t *b = p;
	size_t i;

	for (i = 0; i < size; i++)
		b[i] = (uint8_t)next_random(&random_state);
}

/* A length that is short, long, or around where a copy changes its way. */
static size_t random_len(void)
{
	static const size_t len[] = { 0, 1, 7, 8, 9, 15, 16, 127, 128, 129, NR_COPIED };

	/* The remainder is for gcc, which cannot know how long they are at most. */
	return len[next_random(&random_state) % ARRAY_SIZE(len)] % (NR_COPIED + 1);
}

/* What a variant of all operations is called with: an index for which to check. */
typedef void (*check_fn)(int index);

#define RSEQ_OP_TEMPLATE "typed-cases.h"
#include <rseq_op/variants.h>

static const struct { check_fn fn; bool by_cid; } variants[] = {
	{ rseq_op_check, false }, { rseq_op_check_release, false },
	{ rseq_op_check32, false }, { rseq_op_check32_release, false },
	{ rseq_op_check_cid, true }, { rseq_op_check_release_cid, true },
	{ rseq_op_check32_cid, true }, { rseq_op_check32_release_cid, true },
};

static void check_all(int cpu, int cid)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(variants); i++)
		variants[i].fn(variants[i].by_cid ? cid : cpu);
}

static uint64_t backend_runs(void)
{
	struct rseq_op_stats s;

	rseq_op_stats(&s, sizeof(s));
	return s.aborted + s.remote + s.closed + s.unregistered + s.forced;
}

/* Without the backend. The kernel may change the ID in between: then once more. */
static void check_here(int cpu, bool counted)
{
	uint64_t before;
	int cid;

	pin_to(cpu);
	do {
		cid = rseq_op_current_cid();
		before = backend_runs();
		check_all(cpu, cid);
	} while (rseq_op_current_cid() != cid);
	if (counted)
		assert_int_equal(backend_runs(), before);
}

static void test_here_by_sequence(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_here(allowed_cpu(i), !getenv("RSEQ_OP_FORCE_FALLBACK") &&
			   rseq_op_backend(NULL) != RSEQ_OP_BACKEND_GUARD);
	unpin();
}

static void test_elsewhere_by_backend(void **state)
{
	uint64_t before = backend_runs();
	int i;

	(void)state;
	pin_to(allowed_cpu(0));
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_all(allowed_cpu(i), i);
	unpin();
	if (nr_allowed_cpus() > 1)
		assert_true(backend_runs() > before);
}

static void test_index_out_of_range_einval(void **state)
{
	const int nonsense[] = { -1, -2, INT32_MIN, INT32_MAX, rseq_op_nr_cpus(),
				 RSEQ_OP_CPU_MAX, RSEQ_OP_CPU_MAX + 1 };
	intptr_t v = 5;
	int32_t w = 5;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
		assert_int_equal(rseq_op_storev(&v, 6, nonsense[i]), -EINVAL);
		assert_int_equal(rseq_op_storev_cid(&v, 6, nonsense[i]), -EINVAL);
		assert_int_equal(rseq_op_storev32_release(&w, 6, nonsense[i]), -EINVAL);
		assert_int_equal(rseq_op_cmpeqv_storev_cid(&v, 7, 6, nonsense[i]), -EINVAL);
	}
	assert_int_equal(v, 5);
	assert_int_equal(w, 5);
}

/* A pointer that leads nowhere ends the call: it is not tried for ever. */
static void test_pointer_to_nowhere_efault(void **state)
{
	int other = other_cpu(allowed_cpu(0));
	intptr_t head = 8, load = 77;

	(void)state;
	if (other < 0)
		skip_because("only one CPU");
	pin_to(allowed_cpu(0));
	assert_int_equal(rseq_op_cmpnev_storeoffp_load(&head, 0, 0, &load, other), -EFAULT);
	assert_int_equal(rseq_op_offset_deref_addv(&head, 0, 1, other), -EFAULT);
	assert_int_equal(head, 8);
	assert_int_equal(load, 77);
	unpin();
}

static intptr_t *volatile nowhere = (intptr_t *)8;	/* the compiler knows not */

/* What cannot be read or written is an error of the backend, and of nothing else. */
static void test_bad_operands_efault(void **state)
{
	int other = other_cpu(allowed_cpu(0));
	intptr_t node[2] = { 0, 4711 }, head = (intptr_t)node, load = 77, *bad = nowhere;

	(void)state;
	if (other < 0)
		skip_because("only one CPU");
	pin_to(allowed_cpu(0));
	assert_int_equal(rseq_op_cmpnev_storeoffp_load(bad, 0, 0, &load, other), -EFAULT);
	assert_int_equal(rseq_op_cmpnev_storeoffp_load(&head, 0, 0, bad, other), -EFAULT);
	assert_int_equal(rseq_op_offset_deref_addv(bad, 0, 1, other), -EFAULT);
	assert_int_equal(rseq_op_cmpnev_storeoffp_load(bad, 0, 0, &load, -1), -EINVAL);
	assert_int_equal(rseq_op_offset_deref_addv(bad, 0, 1, RSEQ_OP_CPU_MAX), -EINVAL);
	assert_true(head == (intptr_t)node && load == 77 && node[0] == 0 && node[1] == 4711);
	assert_int_equal(rseq_op_cmpnev_storeoffp_load(&head, 0, sizeof(*node), &load, other), 0);
	assert_true(head == 4711 && load == (intptr_t)node);
	unpin();
}

/* Of a copy that is too long, as much would be made as comes before a preemption. */
static void test_long_copy_einval(void **state)
{
	static char from[2 * CPU_OP_DATA_LEN_MAX], to[2 * CPU_OP_DATA_LEN_MAX];
	static const size_t lengths[] = { CPU_OP_DATA_LEN_MAX + 1, sizeof(from), SIZE_MAX };
	intptr_t v = 5;
	int i;

	(void)state;
	memset(from, 1, sizeof(from));
	pin_to(allowed_cpu(0));
	for (i = 0; i < 6; i++) {
		int cpu = i % 2 ? allowed_cpu(nr_allowed_cpus() - 1) : allowed_cpu(0);

		assert_int_equal(rseq_op_cmpeqv_memcpy_storev(&v, 5, to, from, lengths[i / 2], 6,
							      cpu), -EINVAL);
	}
	assert_int_equal(v, 5);
	for (i = 0; i < (int)sizeof(to); i++)
		assert_int_equal(to[i], 0);
	unpin();
}

static void test_fences(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < nr_allowed_cpus(); i++)
		assert_int_equal(rseq_op_fence(allowed_cpu(i)), 0);
	assert_int_equal(rseq_op_fence(-1), -EINVAL);
	assert_int_equal(rseq_op_fence(RSEQ_OP_CPU_MAX), -EINVAL);
	assert_int_equal(rseq_op_fence_all(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_here_by_sequence),
		cmocka_unit_test(test_elsewhere_by_backend),
		cmocka_unit_test(test_index_out_of_range_einval),
		cmocka_unit_test(test_pointer_to_nowhere_efault),
		cmocka_unit_test(test_bad_operands_efault),
		cmocka_unit_test(test_long_copy_einval),
		cmocka_unit_test(test_fences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

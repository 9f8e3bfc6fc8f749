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
#define ERRNO		1234	/* set before each operation, which leaves it alone */

static intptr_t *volatile nowhere = (intptr_t *)8;	/* never mapped; unknown to the compiler */

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
#include <rseq_op/detail/variants.h>

static const struct { check_fn check, bad_operands, invalid_index; bool by_cid; } variants[] = {
	{ rseq_op_check, rseq_op_check_bad_operands, rseq_op_check_invalid_index, false },
	{ rseq_op_check_release, rseq_op_check_bad_operands_release,
	  rseq_op_check_invalid_index_release, false },
	{ rseq_op_check32, rseq_op_check_bad_operands32, rseq_op_check_invalid_index32, false },
	{ rseq_op_check32_release, rseq_op_check_bad_operands32_release,
	  rseq_op_check_invalid_index32_release, false },
	{ rseq_op_check_cid, rseq_op_check_bad_operands_cid, rseq_op_check_invalid_index_cid, true },
	{ rseq_op_check_release_cid, rseq_op_check_bad_operands_release_cid,
	  rseq_op_check_invalid_index_release_cid, true },
	{ rseq_op_check32_cid, rseq_op_check_bad_operands32_cid,
	  rseq_op_check_invalid_index32_cid, true },
	{ rseq_op_check32_release_cid, rseq_op_check_bad_operands32_release_cid,
	  rseq_op_check_invalid_index32_release_cid, true },
};

static void check_all(int cpu, int cid)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(variants); i++)
		variants[i].check(variants[i].by_cid ? cid : cpu);
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
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
		for (k = 0; k < ARRAY_SIZE(variants); k++)
			variants[k].invalid_index(nonsense[i]);
	}
}

/*
 * An operand that cannot be accessed is an error of the backend. A pointer that leads to one is
 * not followed for ever. The kernel may give this thread any concurrency ID at any time, and a
 * sequence would raise SIGSEGV: so operations for IDs are checked where all take the backend.
 */
static void test_bad_operands_elsewhere_efault(void **state)
{
	int other = other_cpu(allowed_cpu(0));
	size_t i;

	(void)state;
	if (other < 0)
		skip_because("only one CPU");
	pin_to(allowed_cpu(0));
	for (i = 0; i < ARRAY_SIZE(variants); i++) {
		if (!variants[i].by_cid || always_by_backend())
			variants[i].bad_operands(other);
	}
	unpin();
}

/* What a sequence cannot notice: the backend refuses it, before anything is stored. */
static void test_unaligned_release_elsewhere_einval(void **state)
{
	static _Alignas(64) char words[128];
	intptr_t *v = (intptr_t *)(void *)(words + 60), old = 77;
	int32_t *v32 = (int32_t *)(void *)(words + 62);
	int other = other_cpu(allowed_cpu(0));
	size_t i;

	(void)state;
	if (other < 0)
		skip_because("only one CPU");
	if (sizeof(intptr_t) == 4)
		v = (intptr_t *)(void *)v32;
	pin_to(allowed_cpu(0));
	assert_int_equal(rseq_op_storev_release(v, 6, other), -EINVAL);
	assert_int_equal(rseq_op_xchgv_release(v, 6, &old, other), -EINVAL);
	assert_int_equal(rseq_op_addv_release(v, 6, other), -EINVAL);
	assert_int_equal(rseq_op_addv32_release(v32, 6, other), -EINVAL);
	assert_int_equal(rseq_op_cmpeqv_storev_release(v, 0, 6, other), -EINVAL);
	assert_int_equal(old, 77);
	for (i = 0; i < sizeof(words); i++)
		assert_int_equal(words[i], 0);
	unpin();
}

static void test_overlapping_copy_elsewhere_einval(void **state)
{
	char bytes[] = "0123456789abcdef";
	int other = other_cpu(allowed_cpu(0));
	intptr_t v = 5;

	(void)state;
	if (other < 0)
		skip_because("only one CPU");
	pin_to(allowed_cpu(0));
	assert_int_equal(rseq_op_cmpeqv_memcpy_storev(&v, 5, bytes + 7, bytes, 8, 6, other),
			 -EINVAL);
	assert_int_equal(rseq_op_cmpeqv_memcpy_storev(&v, 5, bytes, bytes + 7, 8, 6, other),
			 -EINVAL);
	assert_int_equal(rseq_op_xchgv(&v, 6, &v, other), -EINVAL);
	assert_int_equal(rseq_op_fetch_addv(&v, 6, &v, other), -EINVAL);
	assert_int_equal(v, 5);
	assert_string_equal(bytes, "0123456789abcdef");
	assert_int_equal(rseq_op_cmpeqv_memcpy_storev(&v, 5, bytes + 8, bytes, 8, 6, other), 0);
	assert_int_equal(v, 6);
	assert_string_equal(bytes, "0123456701234567");
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
		cmocka_unit_test(test_bad_operands_elsewhere_efault),
		cmocka_unit_test(test_unaligned_release_elsewhere_einval),
		cmocka_unit_test(test_overlapping_copy_elsewhere_einval),
		cmocka_unit_test(test_long_copy_einval),
		cmocka_unit_test(test_fences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * rseq_op(): every result and errno of vectors, on the backend of this run.
 */
#include <sys/mman.h>

#include "vectors.h"

#define ERRNO	1234

/* rseq_op(), which leaves errno alone whatever it returns. */
static int run_vector(const struct cpu_op *ops, unsigned int nr_ops, int cpu, unsigned int flags)
{
	int ret;

	errno = ERRNO;
	ret = rseq_op(ops, nr_ops, cpu, flags);
	if (errno != ERRNO)
		fail_msg("result %d; errno has changed to %d", ret, errno);
	return ret;
}

/* What is accessible decides in the backend; in a sequence, it is a SIGSEGV. */
static void test_vectors_this_cpu(void **state)
{
	(void)state;
	pin_to(allowed_cpu(0));
	check_vectors(run_vector, allowed_cpu(0), -EFAULT);
	unpin();
}

static void test_vectors_other_cpus(void **state)
{
	int i;

	(void)state;
	pin_to(allowed_cpu(0));
	for (i = 1; i < nr_allowed_cpus(); i++)
		check_vectors(run_vector, allowed_cpu(i), 0);
	unpin();
}

/* On a CPU of the caller's choice: these vectors are never sequences. */
static void test_unused_bits_einval(void **state)
{
	(void)state;
	check_unused_bits(run_vector, allowed_cpu(0));
}

static void test_inaccessible_operands_efault(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_inaccessible_operands(run_vector, allowed_cpu(i));
}

/*
 * Which vectors can be sequences
 */

static struct {
	_Alignas(8) char v[16];	/* the word that is stored to, and its neighbour */
	_Alignas(8) char w[16];
} words;

#define V		words.v
#define W		words.w
#define POINTER		sizeof(intptr_t)

static struct rseq_op_stats stats_now(void)
{
	struct rseq_op_stats s;

	rseq_op_stats(&s, sizeof(s));
	return s;
}

/* A sequence may abort as often as it likes: then it is tried once more. */
static int try_here(const struct cpu_op *ops, unsigned int nr_ops, int cpu)
{
	uint64_t aborts;
	int ret;

	do {
		aborts = stats_now().aborts;
		memset(&words, 0, sizeof(words));
		ret = run_vector(ops, nr_ops, cpu, RSEQ_OP_TRY);
	} while (ret == -EAGAIN && stats_now().aborts != aborts);
	return ret;
}

static void check_form(const struct cpu_op *ops, unsigned int nr_ops, bool sequence,
		       const char *what)
{
	uint64_t before = stats_now().vector, counted;
	int cpu = allowed_cpu(0), ret;

	pin_to(cpu);
	ret = try_here(ops, nr_ops, cpu);
	counted = stats_now().vector - before;
	if (ret != (sequence && !always_by_backend() ? 0 : -EAGAIN) || counted)
		fail_msg("%s, to be tried: %d; %d counted as a vector", what, ret, (int)counted);
	memset(&words, 0, sizeof(words));
	ret = run_vector(ops, nr_ops, cpu, 0);
	counted = stats_now().vector - before;
	if (ret || counted != (sequence ? 0 : 1))
		fail_msg("%s: %d; %d counted as a vector", what, ret, (int)counted);
	unpin();
}

static const int last_ops[] = {
	CPU_STORE_IMM_OP, CPU_STORE_RELEASE_IMM_OP, CPU_ADD_OP, CPU_ADD_RELEASE_OP, CPU_OR_OP,
	CPU_AND_OP, CPU_XOR_OP, CPU_MEMCPY_OP, CPU_MEMCPY_RELEASE_OP,
};

static bool is_copy(int op)
{
	return op == CPU_MEMCPY_OP || op == CPU_MEMCPY_RELEASE_OP;
}

/* Of the operations above, all that are no copies have the layout of an addition. */
static struct cpu_op last(int op, uint32_t len)
{
	struct cpu_op o = is_copy(op) ? cpu_op_memcpy(V, W, len) : cpu_op_add(V, len, 1);

	o.op = op;
	return o;
}

static void check_width(uint32_t len)
{
	bool sequence = len == 4 || len == POINTER;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(last_ops); i++) {
		struct cpu_op ops[] = {
			cpu_op_compare_eq(V, W, len), cpu_op_compare_eq_imm(W, len, 0),
			cpu_op_compare_ne_imm(W, len, 1), last(last_ops[i], len),
		};

		check_form(&ops[3], 1, sequence, "one store");
		check_form(ops, 4, sequence, "comparisons and a store");
		check_form(ops + 1, 2, false, "comparisons alone");
	}
}

/* With FORCE_FALLBACK=1 no vector is taken for a sequence, so all are counted as vectors. */
static void test_words_of_a_width_are_sequences(void **state)
{
	const char *forced = getenv("RSEQ_OP_FORCE_FALLBACK");

	(void)state;
	if (forced)
		skip_because("every vector, or some of them, take the backend");
	check_width(4);
	check_width(8);
	check_width(2);
	check_width(1);
}

static void test_other_vectors_are_no_sequences(void **state)
{
	struct cpu_op store = cpu_op_store_imm(V, POINTER, 1);
	struct cpu_op ops[2];

	(void)state;
	ops[0] = ops[1] = store;
	check_form(ops, 2, false, "two stores");
	ops[0] = cpu_op_lshift(V, POINTER, 1);
	check_form(ops, 1, false, "a shift");
	ops[0] = cpu_op_rshift(V, POINTER, 1);
	check_form(ops, 1, false, "a shift");
	ops[0] = cpu_op_mb();
	check_form(ops, 2, false, "a barrier");
	ops[0] = cpu_op_compare_eq_imm(W, 2, 0);
	check_form(ops, 2, false, "words of two widths");
	ops[0] = cpu_op_compare_eq_imm(W + POINTER / 2, POINTER, 0);
	check_form(ops, 2, false, "an unaligned word");
	ops[0] = cpu_op_expect_fault(cpu_op_compare_eq_imm(W, POINTER, 0), 0);
	check_form(ops, 2, false, "a fault expected");
	ops[0] = cpu_op_expect_fault(cpu_op_memcpy(V, W, POINTER), 1);
	check_form(ops, 1, false, "a fault expected at the source");
	ops[0] = cpu_op_expect_fault(store, 0);
	check_form(ops, 1, false, "a fault expected at the store");
	ops[0] = cpu_op_add(V + POINTER / 2, POINTER, 1);
	check_form(ops, 1, false, "an unaligned store");
	check_form(NULL, 0, false, "no operations");
}

/* RSEQ_OP_TRY: a sequence here, or nothing at all. */
static void test_try_result_or_eagain(void **state)
{
	intptr_t word = 5;
	struct cpu_op ops[] = {
		cpu_op_compare_eq_imm(&word, POINTER, 5),
		cpu_op_add(&word, POINTER, 1),
	};
	struct rseq_op_stats before = stats_now(), after;
	int cpu = allowed_cpu(0), other = other_cpu(cpu);
	bool never = always_by_backend();

	(void)state;
	if (!never && getenv("RSEQ_OP_FORCE_FALLBACK"))
		skip_because("some take the backend");
	pin_to(cpu);
	assert_int_equal(try_here(ops, 2, cpu), never ? -EAGAIN : 0);
	assert_int_equal(word, never ? 5 : 6);
	assert_int_equal(try_here(ops, 2, cpu), never ? -EAGAIN : 1);
	word = 5;
	if (other >= 0)
		assert_int_equal(run_vector(ops, 2, other, RSEQ_OP_TRY), -EAGAIN);
	assert_int_equal(run_vector(ops, 2, -1, RSEQ_OP_TRY), -EINVAL);
	assert_int_equal(run_vector(ops, CPU_OP_VEC_LEN_MAX + 1, cpu, RSEQ_OP_TRY), -EINVAL);
	ops[0].u.immediate_op.zero[0] = 1;
	assert_int_equal(run_vector(ops, 2, cpu, RSEQ_OP_TRY), -EINVAL);
	ops[0].op = NR_CPU_OPS;
	assert_int_equal(run_vector(ops, 2, cpu, RSEQ_OP_TRY), -EINVAL);
	assert_int_equal(word, 5);
	unpin();
	after = stats_now();
	assert_int_equal(after.vector, before.vector);
	assert_int_equal(after.remote, before.remote);
}

static void test_invalid_cpu_einval(void **state)
{
	const int nonsense[] = { -1, -2, INT32_MIN, INT32_MAX, RSEQ_OP_CPU_MAX,
				 RSEQ_OP_CPU_MAX - 1, rseq_op_nr_cpus() };
	int64_t word = 5;
	struct cpu_op add = cpu_op_add(&word, 8, 1);
	struct cpu_op adds[] = { add, add };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
		assert_int_equal(run_vector(&add, 1, nonsense[i], 0), -EINVAL);
		assert_int_equal(run_vector(adds, 2, nonsense[i], 0), -EINVAL);
		assert_int_equal(run_vector(NULL, 0, nonsense[i], 0), -EINVAL);
		assert_int_equal(run_vector(NULL, 1, nonsense[i], 0), -EINVAL);
		assert_int_equal(rseq_op_fence(nonsense[i]), -EINVAL);
	}
	assert_int_equal(word, 5);
}

static void test_flags_einval(void **state)
{
	int64_t word = 5;
	struct cpu_op add = cpu_op_add(&word, 8, 1);
	int bit;

	(void)state;
	for (bit = 0; bit < 32; bit++) {
		if (1U << bit == RSEQ_OP_TRY)
			continue;
		assert_int_equal(run_vector(&add, 1, allowed_cpu(0), 1U << bit), -EINVAL);
		assert_int_equal(run_vector(NULL, 0, allowed_cpu(0), 1U << bit), -EINVAL);
	}
	assert_int_equal(word, 5);
}

static void test_ops_pointer_efault(void **state)
{
	const char *forced = getenv("RSEQ_OP_FORCE_FALLBACK");

	(void)state;
	if (forced && !strcmp(forced, "1"))
		assert_int_equal(run_vector((void *)8, 1, allowed_cpu(0), 0), -EFAULT);
	if (forced && !strcmp(forced, "1"))
		assert_int_equal(run_vector((void *)8, 1, allowed_cpu(0), RSEQ_OP_TRY), -EFAULT);
	assert_int_equal(run_vector(NULL, 16, allowed_cpu(0), 0), -EFAULT);
	assert_int_equal(run_vector(NULL, 16, allowed_cpu(0), RSEQ_OP_TRY), -EFAULT);
	assert_int_equal(run_vector(NULL, 17, allowed_cpu(0), RSEQ_OP_TRY), -EINVAL);
	assert_int_equal(run_vector(NULL, 0, allowed_cpu(0), 0), 0);
}

/*
 * Memory that is there but not to be written, or not to be read. A vector with two stores is
 * never a sequence, so nothing is taken for granted that an operation has found before.
 */
static void test_protected_memory_efault(void **state)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int64_t word = 5, flag = 0;
	struct cpu_op set_flag = cpu_op_store_imm(&flag, 8, 1);
	struct cpu_op to_page[] = { set_flag, cpu_op_memcpy(page, &word, 8) };
	struct cpu_op from_page[] = { set_flag, cpu_op_memcpy(&word, page, 8) };

	int other = other_cpu(allowed_cpu(0));

	(void)state;
	if (other < 0)
		skip_because("only one CPU");
	pin_to(allowed_cpu(0));
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(run_vector(to_page, 2, other, 0), -EFAULT);
	assert_int_equal(run_vector(to_page + 1, 1, other, 0), -EFAULT);
	assert_int_equal(flag, 0);
	assert_int_equal(run_vector(from_page + 1, 1, other, 0), 0);
	assert_int_equal(run_vector(from_page, 2, other, 0), 0);
	assert_int_equal(word, 0);
	assert_int_equal(flag, 1);
	assert_int_equal(mprotect(page, 4096, PROT_NONE), 0);
	word = 5;
	flag = 0;
	assert_int_equal(run_vector(from_page, 2, other, 0), -EFAULT);
	from_page[1] = cpu_op_expect_fault(from_page[1], 1);
	assert_int_equal(run_vector(from_page, 2, other, 0), -EAGAIN);
	assert_int_equal(run_vector(from_page + 1, 1, other, 0), -EAGAIN);
	assert_int_equal(word, 5);
	assert_int_equal(flag, 0);
	unpin();
	munmap(page, 4096);
}

/* The second page is missing: nothing happens to the first. */
static void test_straddle_into_unmapped_efault(void **state)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int64_t word = 5, flag = 0;
	struct cpu_op set_flag = cpu_op_store_imm(&flag, 8, 1);
	struct cpu_op add[] = { set_flag, cpu_op_add(p + 4092, 8, -1) };
	struct cpu_op from[] = { set_flag, cpu_op_memcpy(&word, p + 4089, 8) };
	int cpu = allowed_cpu(0);

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(munmap(p + 4096, 4096), 0);
	assert_int_equal(rseq_op(add, 2, cpu, 0), -EFAULT);
	assert_int_equal(rseq_op(from, 2, cpu, 0), -EFAULT);
	assert_int_equal(flag, 0);
	assert_int_equal(word, 5);
	assert_int_equal(*(int32_t *)(void *)(p + 4092), 0);
	add[1] = cpu_op_add(p + 4088, 8, -1);
	assert_int_equal(rseq_op(add, 2, cpu, 0), 0);
	assert_int_equal(flag, 1);
	munmap(p, 4096);
}

static void test_vector_changes_itself_runs_as_it_was(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_vector_changes_itself(rseq_op, allowed_cpu(i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_this_cpu),
		cmocka_unit_test(test_vectors_other_cpus),
		cmocka_unit_test(test_unused_bits_einval),
		cmocka_unit_test(test_inaccessible_operands_efault),
		cmocka_unit_test(test_words_of_a_width_are_sequences),
		cmocka_unit_test(test_other_vectors_are_no_sequences),
		cmocka_unit_test(test_try_result_or_eagain),
		cmocka_unit_test(test_invalid_cpu_einval),
		cmocka_unit_test(test_flags_einval),
		cmocka_unit_test(test_ops_pointer_efault),
		cmocka_unit_test(test_protected_memory_efault),
		cmocka_unit_test(test_straddle_into_unmapped_efault),
		cmocka_unit_test(test_vector_changes_itself_runs_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

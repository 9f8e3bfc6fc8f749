// SPDX-License-Identifier: MIT
/*
 * Operands of cpu_opv(2) that cannot be accessed: EFAULT, or EAGAIN where the caller
 * expects it, and nothing stored.
 */
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pages.h"
#include "targets.h"

/* Every operand of every operation. */
static const struct operand {
	const char *name;
	int op;
	uint32_t len;
	int which;		/* the first or the second of the operation */
	int nr;			/* operands of the operation */
	bool written, aligned;
} operands[] = {
	{ "eq a", CPU_COMPARE_EQ_OP, 16, 0, 2, false, false },
	{ "eq b", CPU_COMPARE_EQ_OP, 4096, 1, 2, false, false },
	{ "ne a", CPU_COMPARE_NE_OP, 4096, 0, 2, false, false },
	{ "ne b", CPU_COMPARE_NE_OP, 8, 1, 2, false, false },
	{ "copy dst", CPU_MEMCPY_OP, 4096, 0, 2, true, false },
	{ "copy src", CPU_MEMCPY_OP, 4096, 1, 2, false, false },
	{ "copy word dst", CPU_MEMCPY_OP, 8, 0, 2, true, false },
	{ "copy word src", CPU_MEMCPY_OP, 8, 1, 2, false, false },
	{ "copy release dst", CPU_MEMCPY_RELEASE_OP, 8, 0, 2, true, true },
	{ "copy release src", CPU_MEMCPY_RELEASE_OP, 4, 1, 2, false, true },
	{ "add", CPU_ADD_OP, 8, 0, 1, true, false },
	{ "add 1", CPU_ADD_OP, 1, 0, 1, true, true },
	{ "add release", CPU_ADD_RELEASE_OP, 4, 0, 1, true, true },
	{ "or", CPU_OR_OP, 2, 0, 1, true, false },
	{ "and", CPU_AND_OP, 4, 0, 1, true, false },
	{ "xor", CPU_XOR_OP, 8, 0, 1, true, false },
	{ "left", CPU_LSHIFT_OP, 8, 0, 1, true, false },
	{ "right", CPU_RSHIFT_OP, 8, 0, 1, true, false },
	{ "eq imm", CPU_COMPARE_EQ_IMM_OP, 8, 0, 1, false, false },
	{ "ne imm", CPU_COMPARE_NE_IMM_OP, 4, 0, 1, false, false },
	{ "store", CPU_STORE_IMM_OP, 8, 0, 1, true, false },
	{ "store release", CPU_STORE_RELEASE_IMM_OP, 8, 0, 1, true, true },
};

/* Memory, with an accessible page before it where edge is set. */
struct bad {
	const char *name;
	uint64_t (*make)(void);
	bool readable, edge;
	uint64_t at;
};

static uint64_t second_page(void *pages)
{
	assert_ptr_not_equal(pages, MAP_FAILED);
	return (uintptr_t)pages + PAGE;
}

static uint64_t unmapped(void)
{
	char *p = new_pages(3 * PAGE, MAP_PRIVATE);

	assert_int_equal(munmap(p + PAGE, 2 * PAGE), 0);
	return second_page(p);
}

static uint64_t protected(int prot)
{
	char *p = new_pages(3 * PAGE, MAP_PRIVATE);

	memset(p, 0x5a, 3 * PAGE);
	assert_int_equal(mprotect(p + PAGE, 2 * PAGE, prot), 0);
	return second_page(p);
}

static uint64_t none(void)
{
	return protected(PROT_NONE);
}

static uint64_t read_only(void)
{
	return protected(PROT_READ);
}

static uint64_t behind_end_of_file(int flags)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	void *p;

	assert_int_equal(ftruncate(fd, PAGE), 0);
	p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
	close(fd);
	return second_page(p);
}

static uint64_t end_of_shared(void)
{
	return behind_end_of_file(MAP_SHARED);
}

static uint64_t end_of_private(void)
{
	return behind_end_of_file(MAP_PRIVATE);
}

static uint64_t read_only_file(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	char *p, path[32];
	int again;

	assert_int_equal(ftruncate(fd, 3 * PAGE), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY);
	p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_ptr_equal(mmap(p + PAGE, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, again, PAGE),
			 p + PAGE);
	close(fd);
	close(again);
	return second_page(p);
}

/* An access is a SIGBUS: nothing was reserved, and there is none. Else null will do. */
static uint64_t no_huge_page(void)
{
	void *p;

	if (read_number("/proc/sys/vm/nr_hugepages"))
		return 0;
	p = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return (uintptr_t)p;
}

static uint64_t null(void)
{
	return 0;
}

static uint64_t above_user_space(void)
{
	return UINT64_C(1) << 47;
}

static uint64_t kernel_space(void)
{
	return UINT64_C(0xffff888000000000);
}

static uint64_t last_page(void)
{
	return -(uint64_t)PAGE;
}

static struct bad bads[] = {
	{ "unmapped", unmapped, false, true, 0 },
	{ "PROT_NONE", none, false, true, 0 },
	{ "read-only", read_only, true, true, 0 },
	{ "read-only file", read_only_file, true, true, 0 },
	{ "behind the end of a shared file", end_of_shared, false, true, 0 },
	{ "behind the end of a private file", end_of_private, false, true, 0 },
	{ "without huge pages", no_huge_page, false, false, 0 },
	{ "null", null, false, false, 0 },
	{ "above user space", above_user_space, false, false, 0 },
	{ "kernel space", kernel_space, false, false, 0 },
	{ "the last page", last_page, false, false, 0 },
};

static uint8_t good[2][PAGE] __attribute__((aligned(PAGE)));
static int64_t count;		/* what vectors add to besides */
static unsigned int failures;

static void set_operand(struct cpu_op *op, int which, uint64_t at, bool marked)
{
	memcpy(op->u.padding + 8 * which, &at, sizeof(at));
	op->u.padding[16 + which] = marked;
}

/* The operands that are not meant are of ordinary memory. */
static struct cpu_op with_operand(const struct operand *o, uint64_t at, bool marked,
				  bool other_marked)
{
	struct cpu_op op = { .op = o->op, .len = o->len };

	set_operand(&op, o->which, at, marked);
	if (o->nr == 2)
		set_operand(&op, !o->which, (uintptr_t)good[!o->which], other_marked);
	return op;
}

static void expect_result(const char *operand, const char *memory, const char *how, int got,
			  int expected)
{
	if (got == expected && !count)
		return;
	failures++;
	print_error("# %s %s, %s: result %d, expected %d; count %lld, expected 0\n", operand,
		    memory, how, got, expected, (long long)count);
	count = 0;
}

static void try_operand(const struct operand *o, const struct bad *b, uint64_t at, int cpu)
{
	struct cpu_op ops[3];

	ops[0] = with_operand(o, at, false, false);
	expect_result(o->name, b->name, "alone", cpu_opv(ops, 1, cpu, 0), -EFAULT);
	ops[0] = with_operand(o, at, true, false);
	expect_result(o->name, b->name, "marked", cpu_opv(ops, 1, cpu, 0), -EAGAIN);
	if (o->nr == 2) {
		ops[0] = with_operand(o, at, false, true);
		expect_result(o->name, b->name, "other marked", cpu_opv(ops, 1, cpu, 0),
			      -EFAULT);
	}
	/* Between stores. */
	ops[0] = ops[2] = cpu_op_add(&count, 8, 1);
	ops[1] = with_operand(o, at, false, false);
	expect_result(o->name, b->name, "in between", cpu_opv(ops, 3, cpu, 0), -EFAULT);
	ops[1] = with_operand(o, at, true, true);
	expect_result(o->name, b->name, "in between, marked", cpu_opv(ops, 3, cpu, 0), -EAGAIN);
	/* Behind a comparison that fails. */
	ops[2] = ops[1];
	ops[1] = cpu_op_compare_ne(good, good, 8);
	expect_result(o->name, b->name, "not reached, marked", cpu_opv(ops, 3, cpu, 0), -EAGAIN);
}

static void try_operands(const struct target *target, void *arg)
{
	size_t i, k;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(bads); i++) {
		const struct bad *b = &bads[i];

		for (k = 0; k < ARRAY_SIZE(operands); k++) {
			const struct operand *o = &operands[k];

			if (b->readable && !o->written)
				continue;
			try_operand(o, b, b->at, target->cpu);
			if (b->edge && !o->aligned)
				try_operand(o, b, b->at - o->len / 2, target->cpu);
		}
	}
}

static void test_every_operand_efault_or_eagain(void **state)
{
	static const uint8_t zeroes[sizeof(good)];
	size_t i;

	(void)state;
	need_kernel();
	for (i = 0; i < ARRAY_SIZE(bads); i++)
		bads[i].at = bads[i].make();
	failures = 0;
	for_each_target(try_operands, NULL);
	assert_memory_equal(good, zeroes, sizeof(good));
	if (failures)
		fail_msg("%u results", failures);
}

/* Pages of the kernel, which a program may read. */
static void test_vdso_read_not_written(void **state)
{
	void *at = (void *)getauxval(AT_SYSINFO_EHDR);
	struct cpu_op ops[] = { cpu_op_compare_eq_imm(at, 4, 0x464c457f), cpu_op_add(at, 8, 1) };

	(void)state;
	need_kernel();
	if (!at)
		skip_because("no vDSO");
	assert_int_equal(cpu_opv(ops, 1, allowed_cpu(0), 0), 0);
	assert_int_equal(cpu_opv(ops, 2, allowed_cpu(0), 0), -EFAULT);
	assert_int_equal(cpu_opv(ops + 1, 1, allowed_cpu(0), 0), -EFAULT);
	assert_int_equal(cpu_opv(ops, 1, allowed_cpu(0), 0), 0);
}

static void test_all_unpinned(void **state)
{
	(void)state;
	need_kernel();
	need_vm();
	assert_int_equal(pages_pinned(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_operand_efault_or_eagain),
		cmocka_unit_test(test_vdso_read_not_written),
		cmocka_unit_test(test_all_unpinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

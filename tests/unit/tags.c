// SPDX-License-Identifier: MIT
/*
 * cpu_opv(2) on memory whose granules are tagged (arm64, MTE): an object in a page that
 * begins with another is reached by pointers with its own tag, and by no other, whatever the
 * call looks at in the page besides.
 *
 * QEMU 7.2 keeps two tags for a page, of all even granules and of all odd ones. So pages
 * begin with a tag of their own, and an object has one odd granule.
 */
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#ifndef HWCAP2_MTE
# define HWCAP2_MTE		(1 << 18)
#endif
#ifndef PROT_MTE
# define PROT_MTE		0x20
#endif
#ifndef PR_MTE_TCF_SYNC
# define PR_MTE_TCF_SYNC	(1UL << 1)
# define PR_MTE_TAG_SHIFT	3
#endif

#define PAGE		4096
#define GRANULE		16
#define ODD		(64 + GRANULE)
#define CHECKED		(PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | 0xfffeUL << PR_MTE_TAG_SHIFT)

static char *pages;		/* two */

/* The granules of an object get a tag; its pointer with that tag. */
static void *object(size_t offset, size_t len, unsigned int tag)
{
	uintptr_t p = (uintptr_t)(pages + offset) | (uintptr_t)((uint64_t)tag << 56);
	uintptr_t at;

	for (at = p; at < p + len; at += GRANULE) {
#ifdef __aarch64__
		__asm__ volatile (".arch_extension memtag\n\tstg %0, [%0]" : : "r" (at) : "memory");
#endif
	}
	return (void *)p;
}

static bool checks_tags(void)
{
#ifdef __aarch64__
	return getauxval(AT_HWCAP2) & HWCAP2_MTE &&
	       !prctl(PR_SET_TAGGED_ADDR_CTRL, CHECKED, 0, 0, 0);
#else
	return false;
#endif
}

/* Two pages, each of which begins with an object. */
static void need_tags(void)
{
	need_kernel();
	if (!checks_tags())
		skip_because("no memory with tags: arm64 with MTE");
	pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_MTE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(pages, MAP_FAILED);
	object(0, GRANULE, 3);
	object(PAGE, GRANULE, 4);
}

static void *with_tag(void *p, unsigned int tag)
{
	return (void *)(((uintptr_t)p & ~((uintptr_t)0xff << (sizeof(p) * 8 - 8))) |
			(uintptr_t)((uint64_t)tag << 56));
}

static void add_to_both(int64_t *a, int64_t *b)
{
	const struct cpu_op ops[] = { cpu_op_add(a, 8, 1), cpu_op_add(b, 8, 2) };
	int i;

	for (i = 0; i < nr_allowed_cpus(); i++)
		assert_int_equal(cpu_opv(ops, 2, allowed_cpu(i), 0), 0);
	assert_int_equal(*a, nr_allowed_cpus());
	assert_int_equal(*b, 2 * nr_allowed_cpus());
}

static void test_two_objects(void **state)
{
	(void)state;
	need_tags();
	add_to_both(object(ODD, GRANULE, 5), object(PAGE + ODD, GRANULE, 6));
}

static void test_object_across_pages(void **state)
{
	const char from[2 * GRANULE] = "as long as both granules are";
	struct cpu_op ops[2];
	char *a, *b;

	(void)state;
	need_tags();
	a = object(PAGE - GRANULE, 2 * GRANULE, 7);
	b = object(PAGE + ODD, GRANULE, 8);
	ops[0] = cpu_op_memcpy(a, from, sizeof(from));
	ops[1] = cpu_op_memcpy(b, from, GRANULE);
	assert_int_equal(cpu_opv(ops, 2, allowed_cpu(0), 0), 0);
	assert_memory_equal(a, from, sizeof(from));
	assert_memory_equal(b, from, GRANULE);
}

/* Pages that have to be copied first, for one store and for two. */
static int in_child(int64_t *a, int64_t *b, unsigned int nr_ops)
{
	const struct cpu_op ops[] = { cpu_op_add(a, 8, 1), cpu_op_add(b, 8, 1) };

	return cpu_opv(ops, nr_ops, allowed_cpu(0), 0) || *a != 1 || *b != (nr_ops == 2);
}

static void test_after_fork(void **state)
{
	int64_t *a, *b;
	unsigned int nr_ops;
	int status;
	pid_t pid;

	(void)state;
	need_tags();
	a = object(ODD, GRANULE, 9);
	b = object(PAGE + ODD, GRANULE, 10);
	for (nr_ops = 1; nr_ops <= 2; nr_ops++) {
		pid = fork();
		if (!pid)
			_exit(in_child(a, b, nr_ops));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	assert_int_equal(*a, 0);
	assert_int_equal(*b, 0);
}

static void test_wrong_tag(void **state)
{
	int64_t *a, *b;

	(void)state;
	need_tags();
	a = object(ODD, GRANULE, 11);
	b = object(PAGE + ODD, GRANULE, 12);
	{
		const struct cpu_op ops[] = { cpu_op_add(a, 8, 1),
					      cpu_op_add(with_tag(b, 13), 8, 1) };

		assert_int_equal(cpu_opv(ops + 1, 1, allowed_cpu(0), 0), -EFAULT);
		assert_int_equal(cpu_opv(ops, 2, allowed_cpu(0), 0), -EFAULT);
	}
	assert_int_equal(*a, 0);
	assert_int_equal(*b, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_objects),
		cmocka_unit_test(test_object_across_pages),
		cmocka_unit_test(test_after_fork),
		cmocka_unit_test(test_wrong_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * The typed operations: every result, for each CPU, with their words and what lies
 * around them checked.
 */
#include <linux/rseq.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test.h"

#ifndef AT_RSEQ_FEATURE_SIZE
# define AT_RSEQ_FEATURE_SIZE	27
#endif

/* glibc 2.35 and later; a size of 0 says that it registers no thread. */
extern const unsigned int __rseq_size __attribute__((weak));

/* More than 32 bits, where a word has more. */
#define LARGE	((intptr_t)INT64_C(0x123456789))

/* Two words among others that nobody may touch. */
static struct {
	intptr_t before[8];
	intptr_t v;
	intptr_t between[8];
	intptr_t v2;
	intptr_t after[8];
} mem;

static void set(intptr_t v, intptr_t v2)
{
	intptr_t *w = (intptr_t *)&mem;
	size_t i;

	for (i = 0; i < sizeof(mem) / sizeof(*w); i++)
		w[i] = CANARY;
	mem.v = v;
	mem.v2 = v2;
}

static void check(intptr_t v, intptr_t v2)
{
	intptr_t *w = (intptr_t *)&mem;
	size_t i;

	assert_int_equal(mem.v, v);
	assert_int_equal(mem.v2, v2);
	mem.v = mem.v2 = CANARY;
	for (i = 0; i < sizeof(mem) / sizeof(*w); i++)
		assert_int_equal(w[i], CANARY);
}

static void check_addv(int cpu)
{
	static const struct { intptr_t v, count, sum; } cases[] = {
		{ 5, 1, 6 }, { 5, -6, -1 }, { 5, 0, 5 },
		{ INTPTR_MAX, 1, INTPTR_MIN }, { 0, INTPTR_MIN, INTPTR_MIN },
		{ 1, LARGE, LARGE + 1 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		set(cases[i].v, 7);
		assert_int_equal(rseq_op_addv(&mem.v, cases[i].count, cpu), 0);
		check(cases[i].sum, 7);
	}
}

static void check_cmpeqv_storev(int cpu)
{
	uintptr_t bit;

	set(5, 7);
	assert_int_equal(rseq_op_cmpeqv_storev(&mem.v, 5, LARGE, cpu), 0);
	check(LARGE, 7);
	set(5, 7);
	assert_int_equal(rseq_op_cmpeqv_storev(&mem.v, 6, 9, cpu), 1);
	check(5, 7);
	/* Every bit counts. */
	set(5, 7);
	for (bit = 1; bit; bit <<= 1)
		assert_int_equal(rseq_op_cmpeqv_storev(&mem.v, (intptr_t)(5 ^ bit), 9, cpu), 1);
	check(5, 7);
}

static void check_cmpeqv_storev_storev(int cpu)
{
	set(5, 7);
	assert_int_equal(rseq_op_cmpeqv_storev_storev(&mem.v, 5, &mem.v2, 8, 6, cpu), 0);
	check(6, 8);
	set(5, 7);
	assert_int_equal(rseq_op_cmpeqv_storev_storev(&mem.v, 4, &mem.v2, 8, 6, cpu), 1);
	check(5, 7);
}

static void check_ops(int cpu)
{
	check_addv(cpu);
	check_cmpeqv_storev(cpu);
	check_cmpeqv_storev_storev(cpu);
}

static void test_this_cpu(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < nr_allowed_cpus(); i++) {
		pin_to(allowed_cpu(i));
		check_ops(allowed_cpu(i));	/* registers the thread, if nobody has */
		assert_int_equal(rseq_op_current_cpu(), allowed_cpu(i));
	}
	unpin();
}

static void test_other_cpus(void **state)
{
	int i;

	(void)state;
	pin_to(allowed_cpu(0));
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_ops(allowed_cpu(i));
	unpin();
}

/* -1 and -2 are what struct rseq says where a thread is not registered. */
static void check_invalid_cpus(void)
{
	int nonsense[] = { -1, -2, INT32_MIN, INT32_MAX, INT32_MIN + 1, rseq_op_nr_cpus(),
			   RSEQ_OP_CPU_MAX - 1, RSEQ_OP_CPU_MAX,
			   RSEQ_OP_CPU_MAX + allowed_cpu(0), RSEQ_OP_CPU_MAX + 1 + allowed_cpu(0),
			   INT32_MIN + allowed_cpu(0) };
	size_t i;

	set(5, 7);
	for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
		assert_int_equal(rseq_op_addv(&mem.v, 1, nonsense[i]), -EINVAL);
		assert_int_equal(rseq_op_cmpeqv_storev(&mem.v, 5, 6, nonsense[i]), -EINVAL);
		assert_int_equal(rseq_op_cmpeqv_storev_storev(&mem.v, 5, &mem.v2, 8, 6,
							      nonsense[i]), -EINVAL);
	}
	check(5, 7);
}

static void test_invalid_cpu_einval(void **state)
{
	(void)state;
	pin_to(allowed_cpu(0));
	check_invalid_cpus();
	unpin();
}

/* In the sequence a bad pointer is a SIGSEGV; out of it, an error. */
static void test_invalid_pointer_other_cpu_efault(void **state)
{
	intptr_t *volatile nowhere = (intptr_t *)8;	/* or gcc warns of it */
	int cpu = allowed_cpu(0), other = other_cpu(cpu);

	(void)state;
	if (other < 0)
		skip_because("only one CPU");
	pin_to(cpu);
	set(5, 7);
	assert_int_equal(rseq_op_addv(nowhere, 1, other), -EFAULT);
	assert_int_equal(rseq_op_cmpeqv_storev(nowhere, 5, 6, other), -EFAULT);
	assert_int_equal(rseq_op_cmpeqv_storev_storev(&mem.v, 5, nowhere, 8, 6, other), -EFAULT);
	check(5, 7);
	unpin();
}

/* Data that was accessible is so no longer: an error, or a signal that does no more harm. */
static sigjmp_buf before_access;

static void jump_back(int sig)
{
	siglongjmp(before_access, sig);
}

#define PAGE		sysconf(_SC_PAGESIZE)

/* The operations store to the page, or only read it: the last two. */
static int store_there(intptr_t *page, int cpu)
{
	return rseq_op_addv(page, 1, cpu);
}

static int store_first_there(intptr_t *page, int cpu)
{
	return rseq_op_cmpeqv_storev_storev(&mem.v, 5, page, 1, 6, cpu);
}

static int compare_there(intptr_t *page, int cpu)
{
	return rseq_op_cmpeqv_cmpeqv_storev(&mem.v, 5, page, 1, 6, cpu);
}

static int vector_there(intptr_t *page, int cpu)
{
	const struct cpu_op ops[] = {
		cpu_op_compare_eq_imm(page, sizeof(*page), 1),
		cpu_op_store_imm(&mem.v, sizeof(mem.v), 6),
	};

	return rseq_op(ops, 2, cpu, 0);
}

static void protect(intptr_t *page, int fd)
{
	(void)fd;
	assert_int_equal(mprotect(page, (size_t)PAGE, PROT_NONE), 0);
}

static void forbid_stores(intptr_t *page, int fd)
{
	(void)fd;
	assert_int_equal(mprotect(page, (size_t)PAGE, PROT_READ), 0);
}

static void truncate_file(intptr_t *page, int fd)
{
	(void)page;
	assert_int_equal(ftruncate(fd, 0), 0);
}

/* A page that has been used, then taken away: the signal that an operation raises, or -errno. */
static int use_page_taken_away(int (*op)(intptr_t *, int), void (*take)(intptr_t *, int), int cpu)
{
	int fd = memfd_create("page", 0), ret, sig;
	struct sigaction jump = { .sa_handler = jump_back }, old[2];
	intptr_t *page;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	page = mmap(NULL, (size_t)PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	set(5, 7);
	*page = 1;
	assert_int_equal(op(page, cpu), 0);
	set(5, 7);
	take(page, fd);

	assert_int_equal(sigaction(SIGSEGV, &jump, &old[0]), 0);
	assert_int_equal(sigaction(SIGBUS, &jump, &old[1]), 0);
	sig = sigsetjmp(before_access, 1);
	ret = sig ? sig : op(page, cpu);
	assert_int_equal(sigaction(SIGSEGV, &old[0], NULL), 0);
	assert_int_equal(sigaction(SIGBUS, &old[1], NULL), 0);
	check(5, 7);

	set(5, 7);
	assert_int_equal(rseq_op_addv(&mem.v, 1, cpu), 0);	/* nothing was left closed */
	check(6, 7);
	close(fd);	/* the page stays: no other data comes to its address */
	return ret;
}

/* An emulation may have forgotten the page for another: rarely. */
static void check_page_taken_away(int (*op)(intptr_t *, int), void (*take)(intptr_t *, int),
				  int cpu)
{
	int sig = take == truncate_file ? SIGBUS : SIGSEGV, ret, i;

	if (rseq_op_backend(NULL) == RSEQ_OP_BACKEND_KERNEL)
		sig = -EFAULT;
	for (i = 0; i < 10; i++) {
		ret = use_page_taken_away(op, take, cpu);
		if (ret == sig)
			return;
		assert_int_equal(ret, -EFAULT);
	}
	fail_msg("the page is never accessed right away");
}

static void test_data_taken_away_other_cpu(void **state)
{
	int cpu = allowed_cpu(0), other = other_cpu(cpu);

	(void)state;
	if (other < 0)
		skip_because("only one CPU");
	pin_to(cpu);
	check_page_taken_away(store_there, protect, other);
	check_page_taken_away(store_there, forbid_stores, other);
	check_page_taken_away(store_there, truncate_file, other);
	check_page_taken_away(store_first_there, forbid_stores, other);
	check_page_taken_away(compare_there, protect, other);
	check_page_taken_away(compare_there, truncate_file, other);
	if (!getenv("RSEQ_OP_FORCE_FALLBACK"))
		check_page_taken_away(vector_there, protect, other);
	unpin();
}

/* What an operation has read need not be good for a store. */
static void test_read_only_data_other_cpu_efault(void **state)
{
	int cpu = allowed_cpu(0), other = other_cpu(cpu);
	intptr_t *page = mmap(NULL, (size_t)PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(page, MAP_FAILED);
	if (other < 0)
		skip_because("only one CPU");
	pin_to(cpu);
	set(5, 7);
	assert_int_equal(compare_there(page, other), 2);	/* it is 0 */
	assert_int_equal(store_there(page, other), -EFAULT);
	assert_int_equal(store_first_there(page, other), -EFAULT);
	assert_int_equal(compare_there(page, other), 2);
	check(5, 7);
	unpin();
}

/* Where a pointer leads may be unmapped by others at any time: never more than an error. */
static void test_pointee_taken_away_other_cpu_efault(void **state)
{
	int cpu = allowed_cpu(0), other = other_cpu(cpu);
	intptr_t *page = mmap(NULL, (size_t)PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(page, MAP_FAILED);
	if (other < 0)
		skip_because("only one CPU");
	pin_to(cpu);
	set((intptr_t)page, 7);
	assert_int_equal(rseq_op_storev(page, (intptr_t)&page[1], other), 0);
	assert_int_equal(rseq_op_offset_deref_addv(&mem.v, 0, 1, other), 0);
	assert_int_equal(page[1], 1);
	munmap(page, (size_t)PAGE);
	assert_int_equal(rseq_op_offset_deref_addv(&mem.v, 0, 1, other), -EFAULT);
	check((intptr_t)page, 7);
	unpin();
}

static void test_errno_left_alone(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < nr_allowed_cpus(); i++) {
		errno = 1234;
		check_ops(allowed_cpu(i));
		assert_int_equal(errno, 1234);
	}
}

/*
 * Threads and their registration
 */

#define ADDS	10

static bool libc_registers(void)
{
	return &__rseq_size && __rseq_size;
}

static uint64_t by_backend(const struct rseq_op_stats *s)
{
	return s->aborted + s->remote + s->closed + s->unregistered + s->forced + s->vector;
}

/*
 * Operations of a thread that is not registered: for its CPU, for another, and for the
 * concurrency ID that it seems to have. None may be a sequence, since nothing would abort it.
 */
static void check_unregistered(void)
{
	int cpu = allowed_cpu(nr_allowed_cpus() - 1), cid = rseq_op_current_cid(), i;
	struct rseq_op_stats before, after;
	intptr_t words[3] = { 0, 0, 0 };

	if (libc_registers()) {
		assert_int_equal(rseq_op_current_cpu(), 0);
		assert_int_equal(rseq_op_current_cid(), 0);
	}
	/* Otherwise another thread may have left them there: glibc reuses stacks. */
	assert_in_range(rseq_op_current_cpu(), 0, rseq_op_nr_cpus() - 1);
	assert_in_range(cid, 0, rseq_op_nr_cpus() - 1);
	rseq_op_stats(&before, sizeof(before));
	for (i = 0; i < ADDS; i++) {
		assert_int_equal(rseq_op_addv(&words[0], 1, allowed_cpu(0)), 0);
		assert_int_equal(rseq_op_addv(&words[1], 1, cpu), 0);
		assert_int_equal(rseq_op_addv_cid(&words[2], 1, cid), 0);
	}
	rseq_op_stats(&after, sizeof(after));
	for (i = 0; i < 3; i++)
		assert_int_equal(words[i], ADDS);
	assert_int_equal(by_backend(&after) - by_backend(&before), 3 * ADDS);
	assert_int_equal(after.unregistered - before.unregistered,
			 3 * ADDS - (after.forced - before.forced));
	if (!getenv("RSEQ_OP_FORCE_FALLBACK"))
		assert_int_equal(after.forced, before.forced);
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_ops(allowed_cpu(i));
	check_invalid_cpus();
}

/*
 * What libc has registered for the thread is taken away, and given back. The kernel stores
 * into cpu_id_start when it takes it away: 0, or -1 (Linux 6.19 to early 7.0). Operations for
 * the number that the thread then gets for its CPU, or its concurrency ID, still work.
 */
static void test_unregistered_thread_counts_unregistered(void **state)
{
	struct rseq *area = (struct rseq *)(rseq_op_thread_pointer() + RSEQ_OP_OFFSET);
	int32_t *cid = (int32_t *)(rseq_op_thread_pointer() + rseq_op_cid_offset);
	static const int32_t left_by_kernel[] = { 0, -1, INT32_MIN };
	size_t k;

	(void)state;
	if (!libc_registers())
		skip_because("the library registers threads itself in this run");
	pin_to(allowed_cpu(0));
	assert_int_equal(syscall(SYS_rseq, area, libc_rseq_size(), RSEQ_FLAG_UNREGISTER,
				 RSEQ_OP_SIG), 0);
	assert_int_equal(rseq_op_current_cpu(), 0);
	for (k = 0; k < ARRAY_SIZE(left_by_kernel); k++) {
		area->cpu_id_start = (uint32_t)left_by_kernel[k];
		*cid = left_by_kernel[k];
		check_unregistered();
	}
	area->cpu_id_start = 0;
	*cid = 0;
	assert_int_equal(syscall(SYS_rseq, area, libc_rseq_size(), 0, RSEQ_OP_SIG), 0);
	unpin();
}

/* Without sequences every operation is counted as closed, also for the caller's own CPU. */
static void test_backend_guard_counts_closed(void **state)
{
	struct rseq_op_stats before, after;
	int i;

	(void)state;
	if (rseq_op_backend(NULL) != RSEQ_OP_BACKEND_GUARD)
		skip_because("the backend is another one");
	set(5, 7);
	pin_to(allowed_cpu(0));
	assert_int_equal(rseq_op_addv(&mem.v, 1, allowed_cpu(0)), 0);
	rseq_op_stats(&before, sizeof(before));
	for (i = 0; i < nr_allowed_cpus(); i++) {
		assert_int_equal(rseq_op_addv(&mem.v, 1, allowed_cpu(i)), 0);
		assert_int_equal(rseq_op_addv_cid(&mem.v2, 1, i), 0);
	}
	rseq_op_stats(&after, sizeof(after));
	assert_int_equal(after.closed - before.closed, 2 * i);
	assert_int_equal(by_backend(&after) - by_backend(&before), 2 * i);
	check(6 + i, 7 + i);
	unpin();
}

static int cpu_id_of_thread(void)
{
	return *(volatile int *)(void *)(rseq_op_thread_pointer() + RSEQ_OP_OFFSET + 4);
}

/*
 * A new thread that neither libc nor the library has registered, where libc does not register all.
 * glibc 2.35 and later register a thread whose creator is registered in the area of glibc, and the
 * library registers in that area. So the creator is another thread, which is registered no more.
 */
static void *create_and_join(void *arg)
{
	void *(*run)(void *arg) = *(void *(**)(void *))arg;
	struct rseq *area = (struct rseq *)(rseq_op_thread_pointer() + RSEQ_OP_OFFSET);
	pthread_t t;
	void *failed;

	if (!libc_registers() && cpu_id_of_thread() >= 0) {
		assert_int_equal(syscall(SYS_rseq, area, libc_rseq_size(), RSEQ_FLAG_UNREGISTER,
					 RSEQ_OP_SIG), 0);
		area->cpu_id = (uint32_t)RSEQ_CPU_ID_REGISTRATION_FAILED;
	}
	assert_int_equal(pthread_create(&t, NULL, run, NULL), 0);
	assert_int_equal(pthread_join(t, &failed), 0);
	return failed;
}

static void in_thread(void *(*run)(void *arg))
{
	pthread_t t;
	void *failed;

	assert_int_equal(pthread_create(&t, NULL, create_and_join, &run), 0);
	assert_int_equal(pthread_join(t, &failed), 0);
	assert_null(failed);
}

static void *first_operation(void *arg)
{
	int cpu = allowed_cpu(nr_allowed_cpus() - 1);
	struct rseq_op_stats before, after;
	static intptr_t word, words[2];
	const struct cpu_op stores[] = {
		cpu_op_store_imm(&words[0], sizeof(word), 1),
		cpu_op_store_imm(&words[1], sizeof(word), 1),
	};

	pin_to(cpu);
	/* A child of vfork(), which has its parent's memory, may use these. */
	assert_int_equal(rseq_op(stores, 2, cpu, 0), 0);
	assert_int_equal(rseq_op_fence(cpu), 0);
	assert_int_equal(rseq_op_fence_all(), 0);
	if (libc_registers())
		assert_int_equal(rseq_op_current_cpu(), cpu);
	assert_true(libc_registers() || cpu_id_of_thread() < 0);
	rseq_op_stats(&before, sizeof(before));
	assert_int_equal(rseq_op_addv(&word, 1, cpu), 0);
	rseq_op_stats(&after, sizeof(after));
	assert_int_equal(rseq_op_current_cpu(), cpu);
	assert_int_equal(after.unregistered, before.unregistered);
	assert_int_equal(word, 1);
	return arg;
}

static void test_first_operation_registers_thread(void **state)
{
	(void)state;
	in_thread(first_operation);
}

/* Somebody else has registered another area for the thread, before its first operation. */
static void *registered_by_others(void *arg)
{
	static _Alignas(32) char area[32];

	pin_to(allowed_cpu(0));
	assert_int_equal(syscall(SYS_rseq, area, sizeof(area), 0, RSEQ_OP_SIG), 0);
	check_unregistered();
	assert_int_equal(syscall(SYS_rseq, area, sizeof(area), 1, RSEQ_OP_SIG), 0);
	return arg;
}

static void test_thread_registered_by_others_counts_unregistered(void **state)
{
	(void)state;
	if (libc_registers())
		skip_because("libc registers all threads");
	in_thread(registered_by_others);
}

/* Read where the kernel stores it; before Linux 6.3, which has no such IDs, it is the CPU. */
static void test_current_cid_is_the_kernels(void **state)
{
	int cpu = allowed_cpu(nr_allowed_cpus() - 1), expected, cid;
	char *area;

	(void)state;
	pin_to(cpu);
	assert_int_equal(rseq_op_addv(&mem.v, 1, cpu), 0);	/* registers the thread */
	area = rseq_op_thread_pointer() + RSEQ_OP_OFFSET;
	do {
		expected = getauxval(AT_RSEQ_FEATURE_SIZE) >= 28 ?
			*(volatile int *)(void *)(area + 24) : cpu;
		cid = rseq_op_current_cid();
	} while (getauxval(AT_RSEQ_FEATURE_SIZE) >= 28 &&
		 *(volatile int *)(void *)(area + 24) != expected);
	assert_int_equal(cid, expected);
	assert_in_range(cid, 0, rseq_op_nr_cpus() - 1);
	unpin();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: a vector leaves the guard of its CPU closed there in any case. */
		cmocka_unit_test(test_backend_guard_counts_closed),
		cmocka_unit_test(test_this_cpu),
		cmocka_unit_test(test_other_cpus),
		cmocka_unit_test(test_invalid_cpu_einval),
		cmocka_unit_test(test_invalid_pointer_other_cpu_efault),
		cmocka_unit_test(test_data_taken_away_other_cpu),
		cmocka_unit_test(test_read_only_data_other_cpu_efault),
		cmocka_unit_test(test_pointee_taken_away_other_cpu_efault),
		cmocka_unit_test(test_errno_left_alone),
		cmocka_unit_test(test_unregistered_thread_counts_unregistered),
		cmocka_unit_test(test_first_operation_registers_thread),
		cmocka_unit_test(test_thread_registered_by_others_counts_unregistered),
		cmocka_unit_test(test_current_cid_is_the_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * Memory that is freed under cpu_opv(2): one thread takes a page away and gives it
 * back, and vectors that expect it run on it meanwhile. The page holds FRESH or, for
 * a moment, 0.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "pages.h"
#include "targets.h"
#include "threads.h"

#define FRESH	UINT64_C(0x1122334455667788)

struct way {
	void (*map)(void);
	bool (*take)(void);
	bool (*give)(void);
	bool goes;		/* it can be seen that it is gone */
};

static const struct way *way;
static int64_t count;		/* what vectors add to besides */
static uint8_t *around;		/* three pages; that in the middle is freed */
static uint64_t *page;
static int file = -1;

static void map_anonymous(void)
{
	around = new_pages(3 * PAGE, MAP_PRIVATE);
}

static void map_truncatable(void)
{
	void *at;

	around = new_pages(3 * PAGE, MAP_PRIVATE);
	file = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(ftruncate(file, PAGE), 0);
	at = mmap(around + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
	assert_ptr_equal(at, around + PAGE);
}

static bool take_unmap(void)
{
	return !munmap(page, PAGE);
}

static bool give_map(void)
{
	if (mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) != page)
		return false;
	*page = FRESH;
	return true;
}

static bool take_protect(void)
{
	return !mprotect(page, PAGE, PROT_NONE);
}

static bool give_unprotect(void)
{
	if (mprotect(page, PAGE, PROT_READ | PROT_WRITE))
		return false;
	*page = FRESH;
	return true;
}

static bool take_truncate(void)
{
	return !ftruncate(file, 0);
}

static bool give_extend(void)
{
	uint64_t fresh = FRESH;

	return !ftruncate(file, PAGE) && pwrite(file, &fresh, 8, 0) == 8;
}

static bool take_drop(void)
{
	return !madvise(page, PAGE, MADV_DONTNEED);
}

static bool give_write(void)
{
	*page = FRESH;
	return true;
}

static const struct way unmapping = { map_anonymous, take_unmap, give_map, true };
static const struct way protecting = { map_anonymous, take_protect, give_unprotect, true };
static const struct way truncating = { map_truncatable, take_truncate, give_extend, true };
static const struct way dropping = { map_anonymous, take_drop, give_write, false };

static void wait_a_little(struct worker *w)
{
	uint32_t n = next_random(&w->random) % 2000;

	/* Now and then long enough for a call that has to wait for the other CPU. */
	if (n % 8 == 0)
		sleep_ms(1 + (int)(n / 200));
	while (n--)
		__asm__ volatile ("" ::: "memory");
}

static void free_and_map(struct worker *w)
{
	while (!workers_stopping()) {
		if (!way->take())
			wrong(w, "taking: %s", strerror(errno));
		wait_a_little(w);
		if (!way->give())
			wrong(w, "giving: %s", strerror(errno));
		wait_a_little(w);
		w->done++;
	}
}

static int on_last_cpu(int index)
{
	(void)index;
	return allowed_cpu(nr_allowed_cpus() - 1);
}

#define SHAPES	4

static const uint8_t zeroes[16];

/* The vectors; *sees is what the third copies out. */
static int freed_vector(int shape, uint64_t *sees, int cpu)
{
	struct cpu_op bad = cpu_op_expect_fault(cpu_op_add(page, 8, 1), 0), ops[2];

	switch (shape) {
	case 0:		/* two stores */
		ops[0] = cpu_op_add(&count, 8, 1);
		ops[1] = bad;
		return cpu_opv(ops, 2, cpu, 0);
	case 1:		/* one */
		return cpu_opv(&bad, 1, cpu, 0);
	case 2:		/* one, elsewhere */
		bad = cpu_op_expect_fault(cpu_op_memcpy(sees, page, 8), 1);
		return cpu_opv(&bad, 1, cpu, 0);
	default:	/* across the edge */
		bad = cpu_op_expect_fault(cpu_op_memcpy(page - 1, zeroes, 16), 0);
		return cpu_opv(&bad, 1, cpu, 0);
	}
}

struct outcomes {
	uint64_t done, gone;
};

static bool all_seen(const struct outcomes seen[SHAPES])
{
	int i;

	for (i = 0; i < SHAPES; i++) {
		if (!seen[i].done || (way->goes && !seen[i].gone))
			return false;
	}
	return true;
}

/* Additions of vectors may have come to a fresh page, or to an empty one. */
static bool is_plausible(uint64_t seen)
{
	return seen < UINT32_MAX || seen - FRESH < UINT32_MAX;
}

static bool run_freed_vector(int shape, struct outcomes *seen, int cpu)
{
	uint64_t *edge = page - 1, sees = 0;
	int ret;

	*edge = FRESH;
	ret = freed_vector(shape, &sees, cpu);
	if (ret && (ret != -EAGAIN || !way->goes)) {
		print_error("# shape %d: result %d, expected 0%s\n", shape, ret,
			    way->goes ? " or -EAGAIN" : "");
		return false;
	}
	if (!is_plausible(sees) || *edge != (shape == 3 && !ret ? 0 : FRESH)) {
		print_error("# shape %d: result %d, read %#llx, before the edge %#llx\n", shape,
			    ret, (unsigned long long)sees, (unsigned long long)*edge);
		return false;
	}
	seen->done += !ret;
	seen->gone += ret != 0;
	return true;
}

static bool run_freed_vectors(struct outcomes seen[SHAPES], int cpu)
{
	uint64_t end = now_ms() + 100000, least = now_ms() + 300;
	int shape = 0;

	while (now_ms() < least || (!all_seen(seen) && now_ms() < end)) {
		if (!run_freed_vector(shape, &seen[shape], cpu))
			return false;
		shape = (shape + 1) % SHAPES;
	}
	return true;
}

static void check_around(void)
{
	int i;

	for (i = 0; i < PAGE; i++) {
		if ((i < PAGE - 8 && around[i] != 0x5a) || around[2 * PAGE + i] != 0x5a)
			fail_msg("a page next to it changed, at %d", i);
	}
}

static void check_freed(const struct target *target, void *arg)
{
	struct outcomes seen[SHAPES] = { { 0, 0 } };
	struct worker w[1];
	bool right;
	int i;

	(void)arg;
	count = 0;
	way->map();
	page = (uint64_t *)(void *)(around + PAGE);
	memset(around, 0x5a, PAGE);
	memset(around + 2 * PAGE, 0x5a, PAGE);
	start_workers(w, 1, free_and_map, NULL, on_last_cpu);
	right = run_freed_vectors(seen, target->cpu);
	stop_workers();
	finish_workers(w, 1);
	assert_true(right);
	for (i = 0; i < SHAPES; i++) {
		print_message("# %s, shape %d: %llu done, %llu gone\n", target->name, i,
			      (unsigned long long)seen[i].done,
			      (unsigned long long)seen[i].gone);
	}
	if (!all_seen(seen))
		fail_msg("not every outcome was seen within 100 s");
	assert_int_equal(count, seen[0].done);
	check_around();
	munmap(around, 3 * PAGE);
	if (file >= 0)
		close(file);
	file = -1;
}

static void check_way(const struct way *this_way)
{
	need_kernel();
	way = this_way;
	for_each_target(check_freed, NULL);
}

static void test_unmapped_under_call_eagain(void **state)
{
	(void)state;
	check_way(&unmapping);
}

static void test_protected_under_call_eagain(void **state)
{
	(void)state;
	check_way(&protecting);
}

static void test_truncated_under_call_eagain(void **state)
{
	(void)state;
	check_way(&truncating);
}

static void test_dropped_under_call_carried_out(void **state)
{
	(void)state;
	check_way(&dropping);
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
		cmocka_unit_test(test_unmapped_under_call_eagain),
		cmocka_unit_test(test_protected_under_call_eagain),
		cmocka_unit_test(test_truncated_under_call_eagain),
		cmocka_unit_test(test_dropped_under_call_carried_out),
		cmocka_unit_test(test_all_unpinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

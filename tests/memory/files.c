// SPDX-License-Identifier: MIT
/*
 * What cpu_opv(2) stores to a mapping of a file is in the file: it survives that the
 * file system is unmounted and mounted again, and where that cannot be promised the
 * vector is refused.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "pages.h"
#include "targets.h"
#include "threads.h"

#define FILE_SIZE	(4 * PAGE)
#define WORDS		(FILE_SIZE / 8)
#define WORDS_OF_PAGE	(PAGE / 8)

static struct disk disk;
static int file = -1;
static uint64_t *words;			/* the file, mapped */
static uint64_t expected[WORDS];	/* what it must hold */

static void use_disk(const char *mkfs_arguments)
{
	need_kernel();
	need_vm();
	make_disk(&disk, "/dev/ram0", mkfs_arguments);
}

static void map_file(int flags)
{
	void *map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, flags, file, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	words = map;
}

static void unmap_file(void)
{
	assert_int_equal(munmap(words, FILE_SIZE), 0);
	words = NULL;
	close(file);
	file = -1;
}

static void open_file(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/file", disk.folder);
	file = open(path, O_RDWR | O_CLOEXEC);
	if (file < 0)
		fail_msg("%s: %s", path, strerror(errno));
}

static void check_contents(void)
{
	static uint64_t got[WORDS];
	int i;

	assert_int_equal(pread(file, got, FILE_SIZE, 0), FILE_SIZE);
	for (i = 0; i < WORDS; i++) {
		if (got[i] != expected[i])
			fail_msg("word %d is %#llx, expected %#llx", i,
				 (unsigned long long)got[i], (unsigned long long)expected[i]);
	}
}

/* What is not on the disk now is lost. */
static void remount_and_check(void)
{
	check_contents();
	unmap_file();
	unmount_disk(&disk);
	mount_disk(&disk);
	open_file();
	check_contents();
}

/* That it can be truncated and unmounted shows that no page is pinned or mapped. */
static void drop_file_and_disk(void)
{
	assert_int_equal(ftruncate(file, 0), 0);
	close(file);
	file = -1;
	remove_disk(&disk);
	assert_int_equal(pages_pinned(), 0);
}

/* The next test needs the disk, also where this one failed. */
static int abandon_disk(void **state)
{
	(void)state;
	if (words)
		munmap(words, FILE_SIZE);
	if (file >= 0)
		close(file);
	words = NULL;
	file = -1;
	detach_disk(&disk);
	return 0;
}

/* A file without a block, or one that is all on the disk. */
static void make_file(bool hole)
{
	int i;

	file = new_file(disk.folder, "file", FILE_SIZE);
	for (i = 0; i < WORDS; i++)
		expected[i] = hole ? 0 : UINT64_C(0x100000001) * (uint64_t)i;
	if (!hole)
		assert_int_equal(pwrite(file, expected, FILE_SIZE, 0), FILE_SIZE);
	assert_int_equal(fsync(file), 0);
}

/*
 * ext4, shared: one store
 *
 * Each target has a page of its own, so that each finds it as it was made; its two
 * vectors find it clean, after a look, and dirty.
 */
static void store_single(const struct target *t, void *arg)
{
	int *next_page = arg, at = *next_page * WORDS_OF_PAGE + 5;
	struct cpu_op ops[2] = {
		cpu_op_compare_eq_imm(&words[at], 8, expected[at]),
		cpu_op_add(&words[at + 1], 8, 7),
	};

	assert_int_equal(cpu_opv(ops, 2, t->cpu, 0), 0);
	expected[at + 1] += 7;
	ops[1] = cpu_op_store_release_imm(&words[at + 2], 4, 0x87654321);
	assert_int_equal(cpu_opv(ops, 2, t->cpu, 0), 0);
	memcpy(&expected[at + 2], &ops[1].u.immediate_op.value, 4);
	check_contents();
	++*next_page;
}

static void check_single_store(bool hole)
{
	int next_page = 0;

	use_disk("");
	make_file(hole);
	map_file(MAP_SHARED);
	for_each_target(store_single, &next_page);
	assert_true(next_page);
	remount_and_check();
	drop_file_and_disk();
}

static void test_ext4_single_store_survives(void **state)
{
	(void)state;
	check_single_store(false);
}

static void test_ext4_single_store_to_hole_survives(void **state)
{
	(void)state;
	check_single_store(true);
}

/* Written back and write-protected all the while. */
static void sync_file(struct worker *w)
{
	while (!workers_stopping()) {
		if (fsync(file))
			wrong(w, "fsync: %s", strerror(errno));
		w->done++;
	}
}

/* Not that of the vectors, which a thread takes after its parent. */
static int on_last_cpu(int index)
{
	(void)index;
	return allowed_cpu(nr_allowed_cpus() - 1);
}

#define SYNCS_LEAST	3
#define ADDITIONS_LEAST	40

static void add_while_syncing(const struct target *t, void *arg)
{
	uint64_t least = now_ms() + 200, most = now_ms() + 60000;
	int *round = arg, ret = 0, i;
	struct worker w[1];

	start_workers(w, 1, sync_file, NULL, on_last_cpu);
	for (i = 0; now_ms() < most; i++) {
		int at = i % 4 * WORDS_OF_PAGE + *round;
		struct cpu_op op = cpu_op_add(&words[at], 8, 1);

		ret = cpu_opv(&op, 1, t->cpu, 0);
		if (ret)
			break;
		expected[at]++;
		if (now_ms() > least && i >= ADDITIONS_LEAST && w->done >= SYNCS_LEAST)
			break;
	}
	stop_workers();
	finish_workers(w, 1);
	assert_int_equal(ret, 0);
	assert_true(i >= ADDITIONS_LEAST);
	assert_true(w->done >= SYNCS_LEAST);
	++*round;
}

static void test_ext4_single_stores_while_syncing_survive(void **state)
{
	int round = 0, i;

	(void)state;
	use_disk("");
	make_file(false);
	for (i = 0; i < 3; i++) {
		map_file(MAP_SHARED);
		for_each_target(add_while_syncing, &round);
		remount_and_check();
	}
	assert_true(round > 0);
	drop_file_and_disk();
}

/*
 * ext4, shared: anything else is refused, whatever state the page is in
 */
static void expect_refused(struct cpu_op *ops, int nr_ops, int marked, const struct target *t)
{
	ops[marked].u.arithmetic_op.expect_fault_p = 0;
	assert_int_equal(cpu_opv(ops, (unsigned int)nr_ops, t->cpu, 0), -EFAULT);
	ops[marked].u.arithmetic_op.expect_fault_p = 1;
	assert_int_equal(cpu_opv(ops, (unsigned int)nr_ops, t->cpu, 0), -EAGAIN);
	check_contents();
}

static void store_twice(const struct target *t, void *arg)
{
	uint64_t *elsewhere = arg;
	int i;

	for (i = 0; i < 2; i++) {
		struct cpu_op both[] = { cpu_op_add(&words[9], 8, 1), cpu_op_add(elsewhere, 8, 1) };
		struct cpu_op last[] = { cpu_op_add(elsewhere, 8, 1), cpu_op_add(&words[9], 8, 1) };
		struct cpu_op first[] = { cpu_op_add(&words[9], 8, 1),
					  cpu_op_compare_eq_imm(elsewhere, 8, 0) };

		expect_refused(both, 2, 0, t);
		expect_refused(last, 2, 1, t);
		expect_refused(first, 2, 0, t);
		assert_int_equal(*elsewhere, 0);
		/* Once more, with the page dirty. */
		words[10]++;
		expected[10]++;
	}
}

static void test_ext4_two_stores_efault_unchanged(void **state)
{
	uint64_t elsewhere = 0;

	(void)state;
	use_disk("");
	make_file(false);
	map_file(MAP_SHARED);
	for_each_target(store_twice, &elsewhere);
	remount_and_check();
	drop_file_and_disk();
}

/* A private mapping has pages of its own; the file stays as it is. */
static void store_to_private(const struct target *t, void *arg)
{
	struct cpu_op ops[] = { cpu_op_add(&words[9], 8, 1),
				cpu_op_add(&words[WORDS_OF_PAGE + 9], 8, 2) };
	uint64_t *times = arg;

	assert_int_equal(cpu_opv(ops, 2, t->cpu, 0), 0);
	++*times;
	assert_int_equal(words[9], expected[9] + *times);
	assert_int_equal(words[WORDS_OF_PAGE + 9], expected[WORDS_OF_PAGE + 9] + 2 * *times);
	check_contents();
}

static void test_ext4_private_two_stores_not_in_file(void **state)
{
	uint64_t times = 0;

	(void)state;
	use_disk("");
	make_file(false);
	map_file(MAP_PRIVATE);
	for_each_target(store_to_private, &times);
	assert_true(times > 0);
	remount_and_check();
	drop_file_and_disk();
}

/*
 * A full disk: a store to a hole has no block to go to, as its SIGBUS would say
 */
static void fill_disk(void)
{
	static const char zeroes[PAGE];
	int fd = new_file(disk.folder, "filler", 0);

	while (write(fd, zeroes, sizeof(zeroes)) == sizeof(zeroes))
		;
	assert_int_equal(errno, ENOSPC);
	/* Delayed blocks are allotted now; what was reserved for more is free again. */
	fsync(fd);
	while (write(fd, zeroes, sizeof(zeroes)) == sizeof(zeroes))
		;
	assert_int_equal(errno, ENOSPC);
	close(fd);
}

static void empty_disk(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/filler", disk.folder);
	assert_int_equal(unlink(path), 0);
	sync();
}

static void store_to_full(const struct target *t, void *arg)
{
	struct cpu_op ops[] = { cpu_op_compare_eq_imm(&words[9], 8, 0),
				cpu_op_add(&words[9], 8, 1) };

	(void)arg;
	assert_int_equal(cpu_opv(ops, 1, t->cpu, 0), 0);
	expect_refused(ops, 2, 1, t);
	expect_refused(ops + 1, 1, 0, t);
}

static void test_ext4_full_efault(void **state)
{
	struct cpu_op op;

	(void)state;
	use_disk("-m 0 -O ^has_journal 1024");
	make_file(true);
	map_file(MAP_SHARED);
	fill_disk();
	for_each_target(store_to_full, NULL);
	empty_disk();
	op = cpu_op_add(&words[9], 8, 1);
	assert_int_equal(cpu_opv(&op, 1, allowed_cpu(0), 0), 0);
	expected[9]++;
	remount_and_check();
	drop_file_and_disk();
}

/*
 * tmpfs: any vector
 */
static void store_to_tmpfs(const struct target *t, void *arg)
{
	struct cpu_op ops[] = { cpu_op_add(&words[9], 8, 1),
				cpu_op_add(&words[WORDS_OF_PAGE + 9], 8, 2),
				cpu_op_add(&words[2 * WORDS_OF_PAGE - 1], 8, 3) };
	int *times = arg;

	/* Across two pages. */
	ops[2].u.arithmetic_op.p += 4;
	assert_int_equal(cpu_opv(ops, 3, t->cpu, 0), 0);
	expected[9]++;
	expected[WORDS_OF_PAGE + 9] += 2;
	expected[2 * WORDS_OF_PAGE - 1] += UINT64_C(3) << 32;
	check_contents();
	++*times;
}

static void test_tmpfs_stores_survive(void **state)
{
	int times = 0;

	(void)state;
	need_kernel();
	need_vm();
	strcpy(disk.folder, "/tmp/disk.XXXXXX");
	assert_non_null(mkdtemp(disk.folder));
	assert_int_equal(mount("none", disk.folder, "tmpfs", 0, NULL), 0);
	make_file(true);
	map_file(MAP_SHARED);
	for_each_target(store_to_tmpfs, &times);
	assert_true(times > 0);
	unmap_file();
	assert_int_equal(mount("none", disk.folder, "tmpfs", MS_REMOUNT, "size=8m"), 0);
	write_file("/proc/sys/vm/drop_caches", "3");
	open_file();
	check_contents();
	drop_file_and_disk();
}

#define TEST(test)	cmocka_unit_test_teardown(test, abandon_disk)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ext4_single_store_survives),
		TEST(test_ext4_single_store_to_hole_survives),
		TEST(test_ext4_single_stores_while_syncing_survive),
		TEST(test_ext4_two_stores_efault_unchanged),
		TEST(test_ext4_private_two_stores_not_in_file),
		TEST(test_ext4_full_efault),
		TEST(test_tmpfs_stores_survive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * Every kind of memory under the operands of cpu_opv(2), alone and in halves of two
 * kinds: results, each byte, and what the kernel says about the pages.
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "place.h"
#include "threads.h"

#ifndef SYS_memfd_secret
# define SYS_memfd_secret	447
#endif
#ifndef KPF_ANON
# define KPF_ANON	12
#endif

#define KSM	"/sys/kernel/mm/ksm/"
#define THP	"/sys/kernel/mm/transparent_hugepage/"

static void whole(struct place *p, void *map, size_t size)
{
	p->map = map;
	p->size = size;
	p->at = map;
}

static void unmap_place(struct place *p)
{
	assert_int_equal(munmap(p->map, p->size), 0);
	if (p->fd >= 0)
		close(p->fd);
}

/*
 * Private anonymous memory, and what becomes of it
 */
static void map_private(struct place *p)
{
	whole(p, new_pages(PLACE_SIZE, MAP_PRIVATE), PLACE_SIZE);
}

static bool is_absent(const struct place *p, const uint8_t *page)
{
	(void)p;
	return !(page_mapping(page) & (MAPPED_PRESENT | MAPPED_SWAPPED));
}

static void drop_pages(struct place *p)
{
	assert_int_equal(madvise(p->at, PLACE_SIZE, MADV_DONTNEED), 0);
}

static void map_zero_pages(struct place *p)
{
	volatile uint8_t *at = p->at;
	int page;

	drop_pages(p);
	for (page = 0; page < PLACE_PAGES; page++)
		(void)at[page * PAGE];
}

static bool is_zero_page(const struct place *p, const uint8_t *page)
{
	(void)p;
	return page_is(page, KPF_ZERO_PAGE);
}

static void map_locked(struct place *p)
{
	map_private(p);
	assert_int_equal(mlock(p->at, PLACE_SIZE), 0);
}

/* Of the whole mapping, so that one page is enough to ask. */
static bool is_locked(const struct place *p, const uint8_t *page)
{
	return page != p->at || mapping_kb(page, "Locked:") == (long)p->size / 1024;
}

/*
 * Huge pages: the middle of the place is between two of them
 */
#define HUGE_SIZE	(2 * HUGE_PAGE)

static void huge(struct place *p, void *map)
{
	assert_ptr_not_equal(map, MAP_FAILED);
	p->map = map;
	p->size = HUGE_SIZE;
	p->at = p->map + HUGE_PAGE - MIDDLE;
}

/* An address for it; what is around is left unmapped. */
static uint8_t *huge_address(void)
{
	uint8_t *p = new_pages(HUGE_SIZE + HUGE_PAGE, MAP_PRIVATE | MAP_NORESERVE);
	uintptr_t up = -(uintptr_t)p % HUGE_PAGE;

	assert_int_equal(munmap(p, HUGE_SIZE + HUGE_PAGE), 0);
	return p + up;
}

static void map_transparent(struct place *p, int flags)
{
	huge(p, mmap(huge_address(), HUGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_ANONYMOUS | MAP_FIXED | flags, -1, 0));
	if (madvise(p->map, p->size, MADV_HUGEPAGE) || !mapping_kb(p->map, "THPeligible:"))
		skip_because("no transparent huge pages for such memory");
	memset(p->map, 0x5a, p->size);
}

static void map_thp(struct place *p)
{
	map_transparent(p, MAP_PRIVATE);
}

static void map_shmem_thp(struct place *p)
{
	need_vm();
	write_file(THP "shmem_enabled", "advise");
	map_transparent(p, MAP_SHARED);
	write_file(THP "shmem_enabled", "never");
}

/*
 * Before 6.12 a page that waits for a hint of where it is used is not counted: give that, in
 * each huge page.
 */
static bool is_whole(const struct place *p, const char *field)
{
	int tries;

	for (tries = 0; tries < 200; tries++) {
		(void)*(volatile uint8_t *)p->map;
		(void)*(volatile uint8_t *)(p->map + p->size - 1);
		if (mapping_kb(p->map, field) == (long)p->size / 1024)
			return true;
		sleep_ms(1);
	}
	return false;
}

static bool is_thp(const struct place *p, const uint8_t *page)
{
	return page != p->at || is_whole(p, "AnonHugePages:");
}

static bool is_shmem_thp(const struct place *p, const uint8_t *page)
{
	return page != p->at || is_whole(p, "ShmemPmdMapped:");
}

static void map_hugetlb(struct place *p, int flags)
{
	need_vm();
	write_file("/proc/sys/vm/nr_hugepages", "2");
	assert_int_equal(read_number("/proc/sys/vm/nr_hugepages"), 2);
	huge(p, mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_ANONYMOUS | MAP_HUGETLB | flags, -1, 0));
	memset(p->map, 0x5a, p->size);
}

static void map_hugetlb_private(struct place *p)
{
	map_hugetlb(p, MAP_PRIVATE);
}

static void map_hugetlb_shared(struct place *p)
{
	map_hugetlb(p, MAP_SHARED);
}

static bool is_hugetlb(const struct place *p, const uint8_t *page)
{
	(void)p;
	return page_is(page, KPF_HUGE);
}

static void unmap_hugetlb(struct place *p)
{
	unmap_place(p);
	write_file("/proc/sys/vm/nr_hugepages", "0");
}

/* Around the place, the huge pages are as they were. */
static bool check_huge(struct place *p, const uint8_t *expected)
{
	uint8_t *end = p->at + PLACE_SIZE;

	(void)expected;
	return p->at[-1] == 0x5a && !memcmp(p->map, p->map + 1, (size_t)(p->at - p->map) - 1) &&
	       end[0] == 0x5a && !memcmp(end, end + 1, (size_t)(p->map + p->size - end) - 1);
}

/*
 * Shared, and files
 */
static struct disk disk;

static void map_shared(struct place *p)
{
	whole(p, new_pages(PLACE_SIZE, MAP_SHARED), PLACE_SIZE);
}

static void map_file(struct place *p, int fd, int flags)
{
	void *map;

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, place_contents(p->kind), PLACE_SIZE, 0), PLACE_SIZE);
	map = mmap(NULL, PLACE_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	p->fd = fd;
	whole(p, map, PLACE_SIZE);
}

static void map_tmpfs_shared(struct place *p)
{
	map_file(p, memfd_create("test", MFD_CLOEXEC), MAP_SHARED);
}

static void map_tmpfs_private(struct place *p)
{
	map_file(p, memfd_create("test", MFD_CLOEXEC), MAP_PRIVATE);
}

/* Nobody writes back what a vector has stored before its page is looked at. */
#define WRITE_BACK_EVERY	"/proc/sys/vm/dirty_writeback_centisecs"

static void map_ext4(struct place *p, int flags)
{
	need_vm();
	write_file(WRITE_BACK_EVERY, "0");
	make_disk(&disk, "/dev/ram0", "");
	map_file(p, new_file(disk.folder, "file", 0), flags);
}

static void map_ext4_shared(struct place *p)
{
	map_ext4(p, MAP_SHARED);
}

static void map_ext4_private(struct place *p)
{
	map_ext4(p, MAP_PRIVATE);
}

/* Were a page still pinned or mapped, the file system could not be unmounted. */
static void unmap_ext4(struct place *p)
{
	unmap_place(p);
	remove_disk(&disk);
	write_file(WRITE_BACK_EVERY, "500");
}

static bool check_file(struct place *p, const uint8_t *expected)
{
	uint8_t got[PLACE_SIZE];

	return pread(p->fd, got, PLACE_SIZE, 0) == PLACE_SIZE &&
	       !memcmp(got, expected, PLACE_SIZE);
}

static bool check_file_unchanged(struct place *p, const uint8_t *expected)
{
	(void)expected;
	return check_file(p, place_contents(p->kind));
}

/* Nothing copied yet: the pages are those of the file. */
static void map_pages_of_file(struct place *p)
{
	map_zero_pages(p);
}

static bool is_page_of_file(const struct place *p, const uint8_t *page)
{
	(void)p;
	return page_mapping(page) & MAPPED_FILE;
}

static void write_back(struct place *p)
{
	fill_place(p);
	assert_int_equal(msync(p->at, PLACE_SIZE, MS_SYNC), 0);
}

static bool is_clean(const struct place *p, const uint8_t *page)
{
	(void)p;
	return !page_is(page, KPF_DIRTY);
}

/*
 * Pages shared by fork(): the other process keeps what it had
 */
static pid_t child;
static int to_child;

static void let_child_hold_copy(struct place *p)
{
	int pipes[2];
	char go;

	fill_place(p);
	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (!child) {
		bool good = read(pipes[0], &go, 1) == 1 &&
			    !memcmp(p->at, place_contents(p->kind), PLACE_SIZE);

		_exit(good ? 0 : 1);
	}
	close(pipes[0]);
	to_child = pipes[1];
}

static bool check_child(struct place *p, const uint8_t *expected)
{
	int status;

	(void)p;
	(void)expected;
	assert_int_equal(write(to_child, "", 1), 1);
	close(to_child);
	assert_int_equal(waitpid(child, &status, 0), child);
	return !status;
}

/*
 * Merged by KSM: the twin holds the same bytes
 */
static void map_ksm(struct place *p)
{
	need_vm();
	whole(p, new_pages(2 * PLACE_SIZE, MAP_PRIVATE), 2 * PLACE_SIZE);
	p->twin = p->at + PLACE_SIZE;
	memcpy(p->twin, place_contents(p->kind), PLACE_SIZE);
	assert_int_equal(madvise(p->map, p->size, MADV_MERGEABLE), 0);
	/* Pages that were not merged at first are passed over, where there is this. */
	if (!access(KSM "smart_scan", F_OK))
		write_file(KSM "smart_scan", "0");
	write_file(KSM "sleep_millisecs", "1");
	write_file(KSM "pages_to_scan", "1000");
	write_file(KSM "run", "1");
}

/* KPF_KSM is set for any anonymous page by some kernels. */
static bool is_merged(const struct place *p, const uint8_t *page)
{
	uint64_t entry = page_mapping(page), twin = page_mapping(p->twin + (page - p->at));

	return entry & MAPPED_PRESENT && MAPPED_FRAME(entry) == MAPPED_FRAME(twin);
}

static bool are_merged(struct place *p)
{
	int page;

	for (page = 0; page < PLACE_PAGES; page++) {
		if (!is_merged(p, p->at + page * PAGE))
			return false;
	}
	return true;
}

static void merge(struct place *p)
{
	uint64_t end = now_ms() + 20000;

	fill_place(p);
	while (!are_merged(p) && now_ms() < end)
		sleep_ms(1);
}

static bool check_twin(struct place *p, const uint8_t *expected)
{
	(void)expected;
	return !memcmp(p->twin, place_contents(p->kind), PLACE_SIZE);
}

static void unmap_ksm(struct place *p)
{
	write_file(KSM "run", "2");
	write_file(KSM "run", "0");
	unmap_place(p);
}

/*
 * Swapped out
 */
#define SWAP_DEVICE	"/dev/ram1"

static void start_swap(void)
{
	need_vm();
	command("mkswap " SWAP_DEVICE " > /dev/null 2>&1");
	assert_int_equal(swapon(SWAP_DEVICE, 0), 0);
}

static void map_swapped(struct place *p)
{
	start_swap();
	map_private(p);
}

static void map_shared_swapped(struct place *p)
{
	start_swap();
	map_shared(p);
}

static bool is_swapped(const struct place *p, const uint8_t *page)
{
	(void)p;
	return page_mapping(page) & MAPPED_SWAPPED;
}

/* The page tables do not say where shared memory is. */
static bool is_out_of_core(const struct place *p, const uint8_t *page)
{
	unsigned char in_core = 1;

	(void)p;
	assert_int_equal(mincore((void *)(uintptr_t)page, PAGE, &in_core), 0);
	return is_absent(p, page) && !(in_core & 1);
}

static void swap_out(struct place *p)
{
	int page, tries;

	for (page = 0; page < PLACE_PAGES; page++) {
		uint8_t *at = p->at + page * PAGE;

		for (tries = 0; tries < 100 && !p->kind->in_state(p, at); tries++)
			assert_int_equal(madvise(at, PAGE, MADV_PAGEOUT), 0);
	}
}

static void fill_and_swap_out(struct place *p)
{
	fill_place(p);
	swap_out(p);
}

/* What was not marked dirty is dropped, and comes back as it was before the vector. */
static bool swap_out_again(struct place *p, const uint8_t *expected)
{
	swap_out(p);
	return !memcmp(p->at, expected, PLACE_SIZE);
}

static void unmap_swapped(struct place *p)
{
	unmap_place(p);
	assert_int_equal(swapoff(SWAP_DEVICE), 0);
}

/*
 * Registered with userfaultfd(2): a thread resolves what faults
 */
static struct handler {
	struct place *p;
	pthread_t thread;
	int fd, stop[2];
	bool failed;
} handler;

static void resolve(struct handler *h, const struct uffd_msg *msg)
{
	uint64_t page = msg->arg.pagefault.address & ~(uint64_t)(PAGE - 1);
	struct uffdio_writeprotect wp = { .range = { page, PAGE } };
	struct uffdio_copy copy = { .dst = page, .len = PAGE };

	copy.src = (uintptr_t)place_contents(h->p->kind) + (page - (uintptr_t)h->p->at);
	if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)
		h->failed |= ioctl(h->fd, UFFDIO_WRITEPROTECT, &wp) != 0;
	else
		h->failed |= ioctl(h->fd, UFFDIO_COPY, &copy) && errno != EEXIST;
}

static void *handle_faults(void *arg)
{
	struct handler *h = arg;
	struct pollfd polled[2] = { { .fd = h->fd, .events = POLLIN },
				    { .fd = h->stop[0], .events = POLLIN } };
	struct uffd_msg msg;

	while (poll(polled, 2, -1) > 0 && !polled[1].revents) {
		if (read(h->fd, &msg, sizeof(msg)) == sizeof(msg))
			resolve(h, &msg);
	}
	return NULL;
}

static void start_handler(struct place *p, uint64_t mode)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .range = { (uintptr_t)p->at, PLACE_SIZE }, .mode = mode };

	handler = (struct handler){ .p = p,
		.fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK) };
	if (handler.fd < 0)
		skip_because("no userfaultfd(2): %s", strerror(errno));
	assert_int_equal(ioctl(handler.fd, UFFDIO_API, &api), 0);
	assert_int_equal(ioctl(handler.fd, UFFDIO_REGISTER, &reg), 0);
	assert_int_equal(pipe(handler.stop), 0);
	assert_int_equal(pthread_create(&handler.thread, NULL, handle_faults, &handler), 0);
}

static void map_uffd_missing(struct place *p)
{
	map_private(p);
	start_handler(p, UFFDIO_REGISTER_MODE_MISSING);
}

static void map_uffd_wp(struct place *p)
{
	map_private(p);
	memcpy(p->at, place_contents(p->kind), PLACE_SIZE);
	start_handler(p, UFFDIO_REGISTER_MODE_WP);
}

static void write_protect(struct place *p)
{
	struct uffdio_writeprotect wp = { .range = { (uintptr_t)p->at, PLACE_SIZE } };

	assert_int_equal(ioctl(handler.fd, UFFDIO_WRITEPROTECT, &wp), 0);
	fill_place(p);
	wp.mode = UFFDIO_WRITEPROTECT_MODE_WP;
	assert_int_equal(ioctl(handler.fd, UFFDIO_WRITEPROTECT, &wp), 0);
}

static bool is_write_protected(const struct place *p, const uint8_t *page)
{
	(void)p;
	return page_mapping(page) & MAPPED_UFFD_WP;
}

static bool check_handler(struct place *p, const uint8_t *expected)
{
	(void)p;
	(void)expected;
	return !handler.failed;
}

static void unmap_uffd(struct place *p)
{
	assert_int_equal(write(handler.stop[1], "", 1), 1);
	assert_int_equal(pthread_join(handler.thread, NULL), 0);
	close(handler.fd);
	close(handler.stop[0]);
	close(handler.stop[1]);
	unmap_place(p);
}

/*
 * What is not ordinary memory
 */
static int new_secret(size_t size)
{
	int fd = (int)syscall(SYS_memfd_secret, 0);

	if (fd < 0)
		skip_because("no memfd_secret(2): %s", strerror(errno));
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void map_secret(struct place *p)
{
	void *map;

	p->fd = new_secret(PLACE_SIZE);
	map = mmap(NULL, PLACE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	whole(p, map, PLACE_SIZE);
}

/* The frames of the twin, by number. They must not move meanwhile. */
static void map_frames(struct place *p)
{
	need_vm();
	p->fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	if (p->fd < 0)
		skip_because("/dev/mem: %s", strerror(errno));
	write_file("/proc/sys/kernel/numa_balancing", "0");
	p->twin = new_pages(PLACE_SIZE, MAP_PRIVATE);
	assert_int_equal(mlock(p->twin, PLACE_SIZE), 0);
	whole(p, new_pages(PLACE_SIZE, MAP_PRIVATE), PLACE_SIZE);
}

static off_t frame_of(const uint8_t *page)
{
	uint64_t entry = page_mapping(page);

	assert_true(entry & MAPPED_PRESENT);
	return (off_t)MAPPED_FRAME(entry) * PAGE;
}

/* Untouched, as a driver may leave it: the table entries come with the mapping. */
static void map_frames_of_twin(struct place *p)
{
	int page;

	memcpy(p->twin, place_contents(p->kind), PLACE_SIZE);
	for (page = 0; page < PLACE_PAGES; page++) {
		void *at = p->at + page * PAGE;

		assert_ptr_equal(mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				      p->fd, frame_of(p->twin + page * PAGE)), at);
	}
}

static bool check_frames(struct place *p, const uint8_t *expected)
{
	return !memcmp(p->twin, expected, PLACE_SIZE);
}

static void unmap_frames(struct place *p)
{
	unmap_place(p);
	assert_int_equal(munmap(p->twin, PLACE_SIZE), 0);
	write_file("/proc/sys/kernel/numa_balancing", "1");
}

/* The entries of a submission queue, which nobody submits. */
static void map_io_uring(struct place *p)
{
	struct io_uring_params params = { .flags = 0 };
	void *map;

	p->fd = (int)syscall(SYS_io_uring_setup, PLACE_SIZE / sizeof(struct io_uring_sqe),
			     &params);
	if (p->fd < 0)
		skip_because("no io_uring_setup(2): %s", strerror(errno));
	map = mmap(NULL, PLACE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, IORING_OFF_SQES);
	assert_ptr_not_equal(map, MAP_FAILED);
	whole(p, map, PLACE_SIZE);
}

/*
 * Halves of two kinds
 */
static void map_half(uint8_t *at, int prot, int flags, int fd)
{
	assert_ptr_equal(mmap(at, MIDDLE, prot, flags | MAP_FIXED, fd, 0), at);
}

static void shared_above(struct place *p)
{
	map_private(p);
	map_half(p->at + MIDDLE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
}

static void hole_above(struct place *p)
{
	map_private(p);
	map_half(p->at + MIDDLE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	assert_int_equal(munmap(p->at + MIDDLE, MIDDLE), 0);
}

static void hole_below(struct place *p)
{
	map_private(p);
	assert_int_equal(munmap(p->at, MIDDLE), 0);
}

static void none_above(struct place *p)
{
	map_private(p);
	assert_int_equal(mprotect(p->at + MIDDLE, MIDDLE, PROT_NONE), 0);
}

static void end_of_file_above(struct place *p)
{
	map_tmpfs_shared(p);
	assert_int_equal(ftruncate(p->fd, MIDDLE), 0);
}

static void end_of_ext4_above(struct place *p)
{
	map_ext4_private(p);
	assert_int_equal(ftruncate(p->fd, MIDDLE), 0);
}

static void secret_above(struct place *p)
{
	map_private(p);
	p->fd = new_secret(MIDDLE);
	map_half(p->at + MIDDLE, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd);
}

static void ext4_below(struct place *p)
{
	need_vm();
	make_disk(&disk, "/dev/ram0", "");
	map_private(p);
	p->fd = new_file(disk.folder, "file", MIDDLE);
	map_half(p->at, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd);
}

#define ALL(a)		.access = { a, a }
#define HALVES(a, b)	.access = { a, b }

static const struct kind kinds[] = {
	{ "private", ALL(PINS), .map = map_private, .prepare = fill_place, .unmap = unmap_place },
	{ "untouched", ALL(PINS), .zero = true, .map = map_private, .prepare = drop_pages,
	  .in_state = is_absent, .kept = LOST, .unmap = unmap_place },
	{ "zero_page", ALL(PINS), .zero = true, .map = map_private, .prepare = map_zero_pages,
	  .in_state = is_zero_page, .kept = KEPT_BY_READS, .unmap = unmap_place },
	{ "locked", ALL(PINS), .map = map_locked, .prepare = fill_place,
	  .in_state = is_locked, .kept = KEPT, .unmap = unmap_place },
	{ "read_only", ALL(READS), .map = map_private, .prepare = fill_place,
	  .unmap = unmap_place },

	{ "thp", ALL(PINS), .map = map_thp, .prepare = fill_place,
	  .in_state = is_thp, .kept = KEPT, .check = check_huge, .unmap = unmap_place },
	{ "thp_shared", ALL(PINS), .map = map_shmem_thp, .prepare = fill_place,
	  .in_state = is_shmem_thp, .kept = KEPT, .check = check_huge, .unmap = unmap_place },
	{ "hugetlb_private", ALL(PINS), .map = map_hugetlb_private, .prepare = fill_place,
	  .in_state = is_hugetlb, .kept = KEPT, .check = check_huge, .unmap = unmap_hugetlb },
	{ "hugetlb_shared", ALL(PINS), .map = map_hugetlb_shared, .prepare = fill_place,
	  .in_state = is_hugetlb, .kept = KEPT, .check = check_huge, .unmap = unmap_hugetlb },

	{ "shared", ALL(PINS), .map = map_shared, .prepare = fill_place, .unmap = unmap_place },
	{ "tmpfs_shared", ALL(PINS), .map = map_tmpfs_shared, .prepare = fill_place,
	  .check = check_file, .unmap = unmap_place },
	{ "tmpfs_private", ALL(PINS), .map = map_tmpfs_private, .prepare = map_pages_of_file,
	  .in_state = is_page_of_file, .kept = KEPT_BY_READS,
	  .check = check_file_unchanged, .unmap = unmap_place },
	{ "ext4_shared", ALL(STORES), .map = map_ext4_shared, .prepare = write_back,
	  .in_state = is_clean, .kept = KEPT_BY_READS, .check = check_file, .unmap = unmap_ext4 },
	{ "ext4_private", ALL(PINS), .map = map_ext4_private, .prepare = map_pages_of_file,
	  .in_state = is_page_of_file, .kept = KEPT_BY_READS,
	  .check = check_file_unchanged, .unmap = unmap_ext4 },
	{ "ext4_private_copied", ALL(PINS), .map = map_ext4_private, .prepare = fill_place,
	  .check = check_file_unchanged, .unmap = unmap_ext4 },

	{ "forked_parent", ALL(PINS), .map = map_private, .prepare = let_child_hold_copy,
	  .check = check_child, .unmap = unmap_place },
	{ "forked_child", ALL(PINS), .map = map_private, .prepare = fill_place,
	  .in_child = true, .unmap = unmap_place },
	{ "ksm", ALL(PINS), .map = map_ksm, .prepare = merge, .in_state = is_merged,
	  .kept = KEPT_BY_READS, .check = check_twin, .unmap = unmap_ksm },
	{ "swapped", ALL(PINS), .map = map_swapped, .prepare = fill_and_swap_out,
	  .in_state = is_swapped, .kept = LOST, .check = swap_out_again,
	  .unmap = unmap_swapped },
	{ "shared_swapped", ALL(PINS), .map = map_shared_swapped, .prepare = fill_and_swap_out,
	  .in_state = is_out_of_core, .kept = LOST, .check = swap_out_again,
	  .unmap = unmap_swapped },
	{ "uffd_missing", ALL(PINS), .map = map_uffd_missing, .prepare = drop_pages,
	  .in_state = is_absent, .kept = LOST, .check = check_handler, .unmap = unmap_uffd },
	{ "uffd_write_protected", ALL(PINS), .map = map_uffd_wp, .prepare = write_protect,
	  .in_state = is_write_protected, .kept = KEPT_BY_READS, .check = check_handler,
	  .unmap = unmap_uffd },

	{ "secret", ALL(STORES), .map = map_secret, .prepare = fill_place,
	  .unmap = unmap_place },
	{ "frames", ALL(STORES), .map = map_frames, .prepare = map_frames_of_twin,
	  .check = check_frames, .unmap = unmap_frames },
	{ "io_uring", ALL(PINS), .may_be_refused = true, .map = map_io_uring,
	  .prepare = fill_place, .unmap = unmap_place },

	{ "private_and_shared", ALL(PINS), .map = shared_above, .prepare = fill_place,
	  .unmap = unmap_place },
	{ "private_and_hole", HALVES(PINS, NOTHING), .map = hole_above, .prepare = fill_place,
	  .unmap = unmap_place },
	{ "hole_and_private", HALVES(NOTHING, PINS), .map = hole_below, .prepare = fill_place,
	  .unmap = unmap_place },
	{ "private_and_none", HALVES(PINS, NOTHING), .map = none_above, .prepare = fill_place,
	  .unmap = unmap_place },
	{ "private_and_read_only", HALVES(PINS, READS), .map = map_private,
	  .prepare = fill_place, .unmap = unmap_place },
	{ "read_only_and_private", HALVES(READS, PINS), .map = map_private,
	  .prepare = fill_place, .unmap = unmap_place },
	{ "tmpfs_and_end_of_file", HALVES(PINS, NOTHING), .map = end_of_file_above,
	  .prepare = fill_place, .unmap = unmap_place },
	{ "ext4_private_and_end_of_file", HALVES(PINS, NOTHING), .map = end_of_ext4_above,
	  .prepare = fill_place, .unmap = unmap_ext4 },
	{ "private_and_secret", HALVES(PINS, STORES), .map = secret_above,
	  .prepare = fill_place, .unmap = unmap_place },
	{ "ext4_and_private", HALVES(STORES, PINS), .map = ext4_below, .prepare = fill_place,
	  .unmap = unmap_ext4 },
};

static void test_vectors_on(void **state)
{
	check_place(*state);
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
	static char names[ARRAY_SIZE(kinds)][64];
	struct CMUnitTest tests[ARRAY_SIZE(kinds) + 1];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(names[i], sizeof(names[i]), "test_vectors_on_%s", kinds[i].name);
		tests[i] = (struct CMUnitTest){ .name = names[i], .test_func = test_vectors_on,
			.initial_state = (void *)(uintptr_t)&kinds[i] };
	}
	tests[i] = (struct CMUnitTest)cmocka_unit_test(test_all_unpinned);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

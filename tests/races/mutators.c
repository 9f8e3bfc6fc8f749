// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <fcntl.h>
#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpus.h"
#include "race.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define SWAP_DEVICE	"/dev/ram2"
#define CGROUPS		"/sys/fs/cgroup/"

static void *at_page(const struct region *r, int page)
{
	return r->at + page * PAGE;
}

/*
 * Settings of the machine
 */

struct setting {
	const char *path, *value;
	char before[32];	/* empty: not changed */
};

static bool put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return false;
	good = write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	close(fd);
	return good;
}

static bool get(const char *path, char *value, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return false;
	len = read(fd, value, size - 1);
	close(fd);
	value[len > 0 ? len : 0] = 0;
	return len > 0;
}

static long number(const char *path)
{
	char value[32];

	return get(path, value, sizeof(value)) ? strtol(value, NULL, 10) : -1;
}

/* The first has to be there; of the others, those that this kernel knows. */
static void change(struct setting *s)
{
	if (access(s->path, W_OK))
		skip_because("no %s", s->path);
	for (; s->path; s++) {
		if (get(s->path, s->before, sizeof(s->before)) && !put(s->path, s->value))
			fail_msg("%s: %s: %s", s->path, s->value, strerror(errno));
	}
}

static void change_back(struct setting *s)
{
	for (; s->path; s++) {
		if (s->before[0] && !put(s->path, s->before))
			print_error("# %s: %s\n", s->path, strerror(errno));
		s->before[0] = 0;
	}
}

/*
 * Nothing
 */

static bool wait_a_moment(const struct region *r, int page, uint32_t *random)
{
	(void)r;
	(void)page;
	(void)random;
	sleep_ms(1);
	return true;
}

/*
 * What keeps contents
 */

static bool move_there_and_back(const struct region *r, int page, uint32_t *random)
{
	void *here = at_page(r, page), *there = r->at + 2 * REGION_SIZE + page * PAGE;

	(void)random;
	return mremap(here, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, there) == there &&
	       mremap(there, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, here) == here;
}

static bool protect_and_unprotect(const struct region *r, int page, uint32_t *random)
{
	int less = next_random(random) & 64 ? PROT_READ : PROT_NONE;

	return !mprotect(at_page(r, page), PAGE, less) &&
	       !mprotect(at_page(r, page), PAGE, PROT_READ | PROT_WRITE);
}

static bool fork_and_wait(const struct region *r, int page, uint32_t *random)
{
	pid_t pid = fork();

	(void)r;
	(void)page;
	(void)random;
	if (!pid)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

/* A copy of the pages, for the kernel to merge them with, wherever they stay alone. */
#define KSM	"/sys/kernel/mm/ksm/"

static struct setting ksm[] = {
	{ KSM "sleep_millisecs", "0", "" }, { KSM "pages_to_scan", "1000", "" },
	{ KSM "smart_scan", "0", "" }, { KSM "run", "1", "" }, { NULL, NULL, "" },
};

static uint8_t *twin_of(const struct region *r)
{
	return r->at + 4 * REGION_SIZE;
}

static void prepare_ksm(struct region *r)
{
	(void)r;
	change(ksm);
}

static void map_ksm(struct region *r)
{
	void *twin = mmap(twin_of(r), NR_PAGES * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	assert_ptr_equal(twin, twin_of(r));
	assert_int_equal(madvise(twin, NR_PAGES * PAGE, MADV_MERGEABLE), 0);
	assert_int_equal(madvise(r->at, NR_PAGES * PAGE, MADV_MERGEABLE), 0);
}

static bool merge(const struct region *r, int page, uint32_t *random)
{
	(void)page;
	(void)random;
	memcpy(twin_of(r), r->at, NR_PAGES * PAGE);
	sleep_ms(10);
	return number("/proc/self/ksm_merging_pages") > 0;
}

static void finish_ksm(struct region *r)
{
	munmap(twin_of(r), NR_PAGES * PAGE);
	change_back(ksm);
}

/* The last page of the region is of no use to anybody: its table can be split there. */
static bool split(const struct region *r, uint32_t *random)
{
	uint8_t *last = r->at + REGION_SIZE - PAGE;
	char request[80];

	snprintf(request, sizeof(request), "%d,0x%lx,0x%lx,0", r->pid, (unsigned long)r->at,
		 (unsigned long)r->at + REGION_SIZE);
	if (next_random(random) & 64 && put("/sys/kernel/debug/split_huge_pages", request))
		return true;
	return !mprotect(last, PAGE, PROT_READ) &&
	       !mprotect(last, PAGE, PROT_READ | PROT_WRITE);
}

static bool collapse_and_split(const struct region *r, int page, uint32_t *random)
{
	bool collapsed = !madvise(r->at, REGION_SIZE, MADV_COLLAPSE);

	(void)page;
	return split(r, random) && collapsed;
}

#define KHUGEPAGED	"/sys/kernel/mm/transparent_hugepage/khugepaged/"

static struct setting khugepaged[] = {
	{ KHUGEPAGED "scan_sleep_millisecs", "0", "" },
	{ KHUGEPAGED "alloc_sleep_millisecs", "0", "" },
	{ KHUGEPAGED "pages_to_scan", "4096", "" },
	{ KHUGEPAGED "max_ptes_none", "511", "" },
	{ NULL, NULL, "" },
};

static long collapsed_before;

static void prepare_khugepaged(struct region *r)
{
	(void)r;
	change(khugepaged);
	collapsed_before = -1;
}

static void map_khugepaged(struct region *r)
{
	assert_int_equal(madvise(r->at, REGION_SIZE, MADV_HUGEPAGE), 0);
}

static bool wait_and_split(const struct region *r, int page, uint32_t *random)
{
	long before = collapsed_before, now = number(KHUGEPAGED "pages_collapsed");

	(void)page;
	collapsed_before = now;
	if (now == before) {
		sleep_ms(2);
		return false;
	}
	/* At first it was huge from the beginning. */
	return split(r, random) && before >= 0;
}

static void finish_khugepaged(struct region *r)
{
	(void)r;
	change_back(khugepaged);
}

static void need_nodes(struct region *r)
{
	(void)r;
	if (numa_available() < 0 || numa_max_node() < 1)
		skip_because("one node");
}

static bool move_page(const struct region *r, int page, uint32_t *random)
{
	int node = (int)(next_random(random) % (uint32_t)(numa_max_node() + 1)), status = -1;
	int pid = r->pid == getpid() ? 0 : r->pid;
	void *p = at_page(r, page);

	return !numa_move_pages(pid, 1, &p, &node, &status, MPOL_MF_MOVE) && status == node;
}

#define BALANCING	"/sys/kernel/debug/sched/numa_balancing/"

static struct setting balancing[] = {
	{ "/proc/sys/kernel/numa_balancing", "1", "" },
	{ BALANCING "scan_delay_ms", "1", "" },
	{ BALANCING "scan_period_min_ms", "1", "" },
	{ BALANCING "scan_period_max_ms", "10", "" },
	{ BALANCING "scan_size_mb", "64", "" },
	{ NULL, NULL, "" },
};

static void prepare_balancing(struct region *r)
{
	need_nodes(r);
	change(balancing);
}

/* How many pages the hinting faults of a thread, or of any, have moved. */
static long pages_balanced(int thread)
{
	static const char name[] = "numa_pages_migrated";
	char path[64], line[128];
	long value = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/sched", thread);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, strlen(name)))
			value = strtol(strchr(line, ':') + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	return value;
}

static long all_pages_balanced(void)
{
	DIR *threads = opendir("/proc/self/task");
	struct dirent *thread;
	long sum = 0;

	while (threads && (thread = readdir(threads)))
		sum += pages_balanced(atoi(thread->d_name));
	if (threads)
		closedir(threads);
	return sum;
}

/* The kernel looks for pages to balance when a thread has run for long enough. */
static bool run_around(const struct region *r, int page, uint32_t *random)
{
	uint32_t cpu = next_random(random) % (uint32_t)nr_allowed_cpus();
	long before = all_pages_balanced();
	uint64_t end = now_ms() + 5;

	pin_to(allowed_cpu((int)cpu));
	while (now_ms() < end)
		(void)*(volatile int64_t *)at_page(r, page);
	return all_pages_balanced() > before;
}

static void finish_balancing(struct region *r)
{
	(void)r;
	change_back(balancing);
}

static void start_swap(struct region *r)
{
	(void)r;
	if (access(SWAP_DEVICE, W_OK))
		skip_because("no " SWAP_DEVICE);
	if (system("mkswap " SWAP_DEVICE " > /dev/null"))
		fail_msg("mkswap " SWAP_DEVICE);
	assert_int_equal(swapon(SWAP_DEVICE, 0), 0);
}

static void stop_swap(struct region *r)
{
	(void)r;
	swapoff(SWAP_DEVICE);
}

static bool swapped_out(const struct region *r, int page)
{
	unsigned char in_core = 1;
	uint64_t entry = 0;
	char path[40];
	int fd;

	if (r->fd >= 0)		/* page tables do not say where shared memory is */
		return !mincore(at_page(r, page), PAGE, &in_core) && !(in_core & 1);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", r->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (pread(fd, &entry, 8, (off_t)((uintptr_t)at_page(r, page) / PAGE * 8)) != 8)
		entry = 0;
	close(fd);
	return entry >> 62 & 1;
}

/* Pages that a CPU has yet to put on the lists of pages are not swapped out. */
static void put_on_lists(const struct region *r, int page)
{
	int node = 0, status;
	void *p = at_page(r, page);

	numa_move_pages(r->pid, 1, &p, &node, &status, MPOL_MF_MOVE);
}

static bool page_out(const struct region *r, int page, uint32_t *random)
{
	if (next_random(random) % 256 < 64)
		put_on_lists(r, page);
	return !madvise(at_page(r, page), PAGE, MADV_PAGEOUT) && swapped_out(r, page);
}

static bool advise_other(const struct region *r, int page, int advice)
{
	struct iovec range = { at_page(r, page), PAGE };
	int fd = (int)syscall(SYS_pidfd_open, r->pid, 0);
	bool good;

	if (fd < 0)
		return false;
	good = syscall(SYS_process_madvise, fd, &range, 1, advice, 0) == PAGE;
	close(fd);
	return good;
}

static bool page_out_other(const struct region *r, int page, uint32_t *random)
{
	if (next_random(random) & 64)
		return advise_other(r, page, MADV_COLD);
	put_on_lists(r, page);
	return advise_other(r, page, MADV_PAGEOUT) && swapped_out(r, page);
}

static bool down_and_up(const struct region *r, int page, uint32_t *random)
{
	bool down = set_online(r->other, false);

	(void)page;
	sleep_ms((int)(next_random(random) % 16));
	return set_online(r->other, true) && down;
}

static void finish_hotplug(struct region *r)
{
	set_online(r->other, true);
}

/* Two cpusets, each half of the CPUs and of the nodes: pages follow. */
static const char *const halves[] = { CGROUPS "races-0", CGROUPS "races-1" };

static bool put_in(const char *folder, const char *file, const char *value)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	return put(path, value);
}

static void fill_half(int half)
{
	int cpus = nr_allowed_cpus(), nodes = numa_max_node() + 1;
	char list[32];

	if (mkdir(halves[half], 0755) && errno != EEXIST)
		fail_msg("%s: %s", halves[half], strerror(errno));
	snprintf(list, sizeof(list), "%d-%d", allowed_cpu(half * cpus / 2),
		 allowed_cpu((half + 1) * cpus / 2 - 1));
	assert_true(put_in(halves[half], "cpuset.cpus", list));
	snprintf(list, sizeof(list), "%d-%d", half * nodes / 2, (half + 1) * nodes / 2 - 1);
	assert_true(put_in(halves[half], "cpuset.mems", list));
}

static void make_cpusets(struct region *r)
{
	need_nodes(r);
	if (nr_allowed_cpus() < 2 || !put(CGROUPS "cgroup.subtree_control", "+cpuset"))
		skip_because("no cpusets in " CGROUPS);
	fill_half(0);
	fill_half(1);
}

static bool change_cpuset(const struct region *r, int page, uint32_t *random)
{
	bool good;
	char pid[16];

	(void)page;
	snprintf(pid, sizeof(pid), "%d", r->pid);
	good = put_in(halves[next_random(random) >> 6 & 1], "cgroup.procs", pid);
	sleep_ms(1);
	return put(CGROUPS "cgroup.procs", pid) && good;
}

static void remove_cpusets(struct region *r)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", r->pid);
	put(CGROUPS "cgroup.procs", pid);
	rmdir(halves[0]);
	rmdir(halves[1]);
}

/*
 * What destroys contents
 */

static bool map_anew(const struct region *r, int page, int how)
{
	return mmap(at_page(r, page), PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | how, -1, 0) == at_page(r, page);
}

static bool map_over(const struct region *r, int page, uint32_t *random)
{
	(void)random;
	return map_anew(r, page, MAP_FIXED);
}

static bool unmap_and_map(const struct region *r, int page, uint32_t *random)
{
	(void)random;
	return !munmap(at_page(r, page), PAGE) && map_anew(r, page, MAP_FIXED_NOREPLACE);
}

/* Another page is there at once, with its frame. */
static bool move_over(const struct region *r, int page, uint32_t *random)
{
	void *there = r->at + 2 * REGION_SIZE + page * PAGE;

	(void)random;
	return mmap(there, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		    MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0) == there &&
	       mremap(there, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		      at_page(r, page)) == at_page(r, page);
}

static bool drop(const struct region *r, int page, uint32_t *random)
{
	(void)random;
	return !madvise(at_page(r, page), PAGE, MADV_DONTNEED);
}

/* The kernel takes it when it needs memory, or when asked to swap it out. */
static bool free_lazily(const struct region *r, int page, uint32_t *random)
{
	if (madvise(at_page(r, page), PAGE, MADV_FREE))
		return false;
	return next_random(random) & 64 || !madvise(at_page(r, page), PAGE, MADV_PAGEOUT);
}

static bool punch_hole(const struct region *r, int page, uint32_t *random)
{
	(void)random;
	return !fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * PAGE, PAGE);
}

static bool truncate_and_extend(const struct region *r, int page, uint32_t *random)
{
	(void)random;
	return !ftruncate(r->fd, page * PAGE) && !ftruncate(r->fd, REGION_SIZE);
}

const struct mutator mutators[] = {
	{ "nothing", WHOLE, NULL, NULL, wait_a_moment, NULL },
	{ "mremap", HOLES, NULL, NULL, move_there_and_back, NULL },
	{ "mprotect", HOLES, NULL, NULL, protect_and_unprotect, NULL },
	{ "fork", WHOLE, NULL, NULL, fork_and_wait, NULL },
	{ "ksm", WHOLE | MACHINE, prepare_ksm, map_ksm, merge, finish_ksm },
	{ "collapse_and_split", WHOLE | MACHINE, NULL, NULL, collapse_and_split, NULL },
	{ "khugepaged", WHOLE | MACHINE, prepare_khugepaged, map_khugepaged, wait_and_split,
	  finish_khugepaged },
	{ "move_pages", 0, need_nodes, NULL, move_page, NULL },
	{ "move_pages_by_other", OUTSIDE, need_nodes, NULL, move_page, NULL },
	{ "numa_balancing", WHOLE | MACHINE, prepare_balancing, NULL, run_around,
	  finish_balancing },
	{ "pageout", MACHINE, start_swap, NULL, page_out, stop_swap },
	{ "pageout_by_other", MACHINE | OUTSIDE, start_swap, NULL, page_out_other, stop_swap },
	{ "pageout_of_shared", MACHINE | SHARED, start_swap, NULL, page_out, stop_swap },
	{ "hotplug", WHOLE | MACHINE, NULL, NULL, down_and_up, finish_hotplug },
	{ "cpuset", WHOLE | MACHINE, make_cpusets, NULL, change_cpuset, remove_cpusets },
	{ "cpuset_by_other", WHOLE | MACHINE | OUTSIDE, make_cpusets, NULL, change_cpuset,
	  remove_cpusets },

	{ "mmap_fixed", DESTROYS, NULL, NULL, map_over, NULL },
	{ "munmap_mmap", DESTROYS | HOLES, NULL, NULL, unmap_and_map, NULL },
	{ "mremap_over", DESTROYS, NULL, NULL, move_over, NULL },
	{ "dontneed", DESTROYS, NULL, NULL, drop, NULL },
	{ "free", DESTROYS | MAY_KEEP, NULL, NULL, free_lazily, NULL },
	{ "punch_hole_by_other", DESTROYS | SHARED | OUTSIDE, NULL, NULL, punch_hole, NULL },
	{ "truncate_by_other", DESTROYS | SHARED | OUTSIDE | HOLES | WHOLE, NULL, NULL,
	  truncate_and_extend, NULL },
};

const size_t nr_mutators = ARRAY_SIZE(mutators);

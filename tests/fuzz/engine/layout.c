// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#ifndef SYS_memfd_secret
# define SYS_memfd_secret	447
#endif
#ifndef MAP_FIXED_NOREPLACE
# define MAP_FIXED_NOREPLACE	0x100000
#endif

/* Where a huge page can be: its neighbours lie on both sides of it. */
#define HUGE_PAGES	512U

struct layout layout;

enum file { NO_FILE, MEMFD_FILE, SECRET_FILE };

#define RW	(PROT_READ | PROT_WRITE)

static const struct {
	const char *name;
	int prot;
	int flags;
	enum file file;
} kinds[NR_KINDS] = {
	[HOLE]		= { "hole", 0, 0, NO_FILE },
	[PRIVATE]	= { "private", RW, MAP_PRIVATE, NO_FILE },
	[UNTOUCHED]	= { "untouched", RW, MAP_PRIVATE, NO_FILE },
	[READ_ONLY]	= { "read_only", PROT_READ, MAP_PRIVATE, NO_FILE },
	[NO_ACCESS]	= { "no_access", PROT_NONE, MAP_PRIVATE, NO_FILE },
	[WRITE_ONLY]	= { "write_only", PROT_WRITE, MAP_PRIVATE, NO_FILE },
	[SHARED]	= { "shared", RW, MAP_SHARED, NO_FILE },
	[MEMFD]		= { "memfd", RW, MAP_SHARED, MEMFD_FILE },
	[MEMFD_READ_ONLY] = { "memfd_read_only", PROT_READ, MAP_SHARED, MEMFD_FILE },
	[PRIVATE_FILE]	= { "private_file", RW, MAP_PRIVATE, MEMFD_FILE },
	[SHORT_FILE]	= { "short_file", RW, MAP_SHARED, MEMFD_FILE },
	[BEYOND_EOF]	= { "beyond_eof", 0, 0, NO_FILE },
	[ALIAS]		= { "alias", RW, MAP_SHARED, NO_FILE },
	[HUGE]		= { "huge", RW, MAP_PRIVATE, NO_FILE },
	[SECRET]	= { "secret", RW, MAP_SHARED, SECRET_FILE },
};

static uint64_t address(unsigned int page)
{
	return TERRITORY + page * PAGE;
}

static void *memory(unsigned int page)
{
	return (void *)(uintptr_t)address(page);
}

static uint8_t *shadow(unsigned int page)
{
	return layout.shadow + page * PAGE;
}

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

/* Each page of the shadow is its own, whatever aliases there were. */
static void reset_shadow(void)
{
	if (mmap(layout.shadow, TERRITORY_SIZE, RW, MAP_SHARED | MAP_FIXED, layout.shadow_fd,
		 0) == MAP_FAILED)
		fail("mmap of the shadow");
}

const char *layout_init(void)
{
	if (layout.shadow)
		return NULL;
	if (sysconf(_SC_PAGESIZE) != (long)PAGE)
		return "pages are not 4096 bytes long";
	layout.shadow_fd = memfd_create("shadow", MFD_CLOEXEC);
	if (layout.shadow_fd < 0 || ftruncate(layout.shadow_fd, TERRITORY_SIZE))
		return "no memory for the shadow";
	layout.shadow = mmap(NULL, TERRITORY_SIZE, RW, MAP_SHARED, layout.shadow_fd, 0);
	return layout.shadow == MAP_FAILED ? "no memory for the shadow" : NULL;
}

/*
 * Making a layout
 */

/* Contents in which equal bytes are easy to find, at one distance or at any. */
static void fill_page(uint8_t *p, struct random *r)
{
	unsigned int period[] = { 1, 2, 8, 8, 16, 251, 4096, 4096 };
	unsigned int i, n = period[below(r, ARRAY_SIZE(period))];

	for (i = 0; i < n; i++)
		p[i] = (uint8_t)random64(r);
	for (; i < PAGE; i++)
		p[i] = p[i - n];
}

static int open_file(enum kind kind, size_t size)
{
	int fd = kinds[kind].file == SECRET_FILE ? (int)syscall(SYS_memfd_secret, O_CLOEXEC) :
						   memfd_create("arena", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, (off_t)size))
		fail("ftruncate");
	return fd;
}

static void map(unsigned int first, unsigned int nr, int flags, int fd, off_t offset)
{
	void *p = mmap(memory(first), nr * PAGE, RW,
		       flags | (fd < 0 ? MAP_ANONYMOUS : 0) | MAP_FIXED_NOREPLACE, fd, offset);

	if (p != memory(first))
		fail("mmap of an arena");
}

/* The last page has no bytes of the file, and the one before it not all of its own. */
static size_t file_size(const struct arena *a, struct random *r)
{
	return a->kind == SHORT_FILE ? (a->nr - 2) * PAGE + 1 + below(r, PAGE) : a->nr * PAGE;
}

/* Files are filled before they are mapped: what is private then comes from the file. */
static void fill_file(struct arena *a)
{
	if (pwrite(a->fd, shadow(a->first), a->nr * PAGE, 0) != (ssize_t)(a->nr * PAGE))
		fail("pwrite");
	a->file = malloc(a->nr * PAGE);
	if (!a->file)
		fail("malloc");
	memcpy(a->file, shadow(a->first), a->nr * PAGE);
}

static bool starts_filled(enum kind kind)
{
	return kind != UNTOUCHED && kind != PRIVATE_FILE;
}

static unsigned int accessible_pages(const struct arena *a)
{
	return a->kind == SHORT_FILE ? a->nr - 1 : a->nr;
}

static void describe_pages(const struct arena *a)
{
	unsigned int i;

	for (i = 0; i < a->nr; i++) {
		layout.pages[a->first + i] = (struct page){
			.kind = (uint8_t)(i < accessible_pages(a) ? a->kind : BEYOND_EOF),
			.watched = starts_filled(a->kind) && a->kind != HUGE,
			.frame = (uint16_t)(a->first + i),
		};
	}
}

static void map_arena(struct arena *a, struct random *r)
{
	size_t size = file_size(a, r);
	unsigned int i;

	a->fd = -1;
	if (kinds[a->kind].file != NO_FILE)
		a->fd = open_file(a->kind, size);
	if (kinds[a->kind].file == SECRET_FILE && a->fd < 0)
		a->kind = PRIVATE;
	describe_pages(a);
	memset(shadow(a->first), 0, a->nr * PAGE);
	for (i = 0; i < a->nr && a->kind != UNTOUCHED; i++)
		fill_page(shadow(a->first + i), r);
	if (a->kind == PRIVATE_FILE)
		fill_file(a);
	map(a->first, a->nr, kinds[a->kind].flags, a->fd, 0);
	if (a->kind == HUGE)
		madvise(memory(a->first), a->nr * PAGE, MADV_HUGEPAGE);
	if (starts_filled(a->kind))
		memcpy(memory(a->first), shadow(a->first), accessible_pages(a) * PAGE);
	if (mprotect(memory(a->first), a->nr * PAGE, kinds[a->kind].prot))
		fail("mprotect");
}

/* A second mapping of what an arena maps, in the territory and in the shadow. */
static void map_alias(struct arena *a, const struct arena *of)
{
	unsigned int i;

	a->nr = of->nr;
	a->fd = -1;
	describe_pages(a);
	map(a->first, a->nr, MAP_SHARED, of->fd, 0);
	if (mmap(shadow(a->first), a->nr * PAGE, RW, MAP_SHARED | MAP_FIXED, layout.shadow_fd,
		 (off_t)(of->first * PAGE)) == MAP_FAILED)
		fail("mmap of the shadow of an alias");
	for (i = 0; i < a->nr; i++)
		layout.pages[a->first + i].frame = (uint16_t)(of->first + i);
}

static const struct arena *find_arena(enum kind kind)
{
	unsigned int i;

	for (i = 0; i < layout.nr_arenas; i++) {
		if (layout.arenas[i].kind == kind)
			return &layout.arenas[i];
	}
	return NULL;
}

/* Half of the arenas can be written without more ado. */
static enum kind choose_kind(struct random *r)
{
	static const enum kind other[] = {
		UNTOUCHED, READ_ONLY, NO_ACCESS, WRITE_ONLY, MEMFD, MEMFD_READ_ONLY,
		PRIVATE_FILE, SHORT_FILE, SHORT_FILE, ALIAS, SECRET,
	};
	static const enum kind plain[] = { PRIVATE, PRIVATE, UNTOUCHED, SHARED, MEMFD };

	if (chance(r, 1, 2))
		return plain[below(r, ARRAY_SIZE(plain))];
	return other[below(r, ARRAY_SIZE(other))];
}

/* Returns the page behind it. */
static unsigned int add_arena(enum kind kind, unsigned int first, struct random *r)
{
	struct arena *a = &layout.arenas[layout.nr_arenas];
	const struct arena *of = find_arena(MEMFD);

	if (kind == ALIAS && !of)
		kind = MEMFD;
	*a = (struct arena){ .kind = kind, .first = first, .nr = 1 + below(r, 3) };
	if (kind == SHORT_FILE)
		a->nr++;
	if (kind == HUGE)
		a->nr = HUGE_PAGES;
	if (kind == ALIAS)
		map_alias(a, of);
	else
		map_arena(a, r);
	layout.nr_arenas++;
	return first + a->nr;
}

/* Most arenas touch, so that operands straddle them. */
void layout_make(uint64_t seed)
{
	struct random r = { seed };
	unsigned int i, n = 8 + below(&r, MAX_ARENAS - 8), page = HUGE_PAGES - 16;
	bool huge = chance(&r, 1, 8);

	memset(layout.pages, 0, sizeof(layout.pages));
	for (i = 0; i < TERRITORY_PAGES; i++)
		layout.pages[i].frame = (uint16_t)i;
	layout.nr_arenas = 0;
	reset_shadow();
	for (i = 0; i < n; i++) {
		if (huge && page + 4 > HUGE_PAGES) {
			page = add_arena(HUGE, HUGE_PAGES, &r);
			huge = false;
			continue;
		}
		page = add_arena(i ? choose_kind(&r) : PRIVATE, page, &r);
		page += chance(&r, 1, 5);
	}
}

void layout_remove(void)
{
	unsigned int i;

	for (i = 0; i < layout.nr_arenas; i++) {
		struct arena *a = &layout.arenas[i];

		munmap(memory(a->first), a->nr * PAGE);
		if (a->fd >= 0)
			close(a->fd);
		free(a->file);
	}
	layout.nr_arenas = 0;
}

/*
 * Asking it
 */

const struct page *page_at(uint64_t addr)
{
	static const struct page hole = { .kind = HOLE };

	if (addr - TERRITORY >= TERRITORY_SIZE)
		return &hole;
	return &layout.pages[(addr - TERRITORY) / PAGE];
}

const char *name_of_kind(enum kind kind)
{
	return kinds[kind].name;
}

const char *kind_name(uint64_t addr)
{
	return name_of_kind(page_at(addr)->kind);
}

/*
 * The rules differ for secret memory: it cannot be pinned, so the kernel stores one word by
 * its address or nothing. What can be written can be read by any of them.
 */
static uint8_t rights_to(enum kind kind, enum rules rules)
{
	if (kind == SECRET && rules == KERNEL_RULES)
		return READ | STORE_WORD;
	if (kinds[kind].prot & PROT_WRITE)
		return READ | STORE_WORD | STORE_ANY;
	return kinds[kind].prot & PROT_READ ? READ : 0;
}

/* A range that wraps around has an end below its start. */
bool vector_may(uint64_t addr, uint64_t len, enum right right, enum rules rules)
{
	uint64_t page = addr & -PAGE, end = addr + len;

	if (!len)
		return true;
	if (addr - TERRITORY >= TERRITORY_SIZE || end < addr)
		return false;
	for (; page < end; page += PAGE) {
		if (!(rights_to(page_at(page)->kind, rules) & right))
			return false;
	}
	return true;
}

bool user_may(uint64_t addr, uint64_t len, enum right right)
{
	return vector_may(addr, len, right, USER_RULES);
}

uint8_t *shadow_at(uint64_t addr)
{
	return layout.shadow + (addr - TERRITORY);
}

void layout_watch(uint64_t addr, uint64_t len)
{
	uint64_t page, start = addr & -PAGE;

	for (page = start; page - start < addr - start + len; page += PAGE) {
		if (page - TERRITORY < TERRITORY_SIZE)
			layout.pages[(page - TERRITORY) / PAGE].watched = true;
	}
}

void layout_write(uint64_t addr, const void *buf, size_t len)
{
	memcpy((void *)(uintptr_t)addr, buf, len);
	memcpy(shadow_at(addr), buf, len);
	layout_watch(addr, len);
}

/*
 * Disturbing it
 */

static void drop_page(const struct arena *a, unsigned int page)
{
	if (a->kind != PRIVATE && a->kind != UNTOUCHED)
		return;
	madvise(memory(page), PAGE, MADV_DONTNEED);
	memset(shadow(page), 0, PAGE);
	layout.pages[page].watched = false;
}

static void protect_and_back(const struct arena *a, unsigned int page)
{
	if (mprotect(memory(page), PAGE, PROT_NONE) ||
	    mprotect(memory(page), PAGE, kinds[a->kind].prot))
		fail("mprotect");
}

/* Private memory is write-protected from then on, until it is written. */
static void fork_child(const struct arena *a, unsigned int page)
{
	pid_t pid = fork();

	(void)a, (void)page;
	if (!pid)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* To the first node, where there are several; it may refuse. */
static void migrate(const struct arena *a, unsigned int page)
{
	void *pages[] = { memory(page) };
	int node = (int)(page % 4), status;

	(void)a;
	syscall(SYS_move_pages, 0, 1UL, pages, &node, &status, 0);
}

void layout_disturb(struct random *r)
{
	static void (*const disturb[])(const struct arena *a, unsigned int page) = {
		drop_page, drop_page, drop_page, protect_and_back, migrate, fork_child,
	};
	const struct arena *a = &layout.arenas[below(r, layout.nr_arenas)];

	disturb[below(r, ARRAY_SIZE(disturb))](a, a->first + below(r, a->nr));
}

/*
 * Comparing it
 */

static int print_difference(unsigned int page, int shown)
{
	const uint8_t *is = memory(page), *expected = shadow(page);
	unsigned int i;

	for (i = 0; i < PAGE && shown < 4; i++) {
		if (is[i] == expected[i])
			continue;
		fprintf(stderr, "# T+%#llx (%s): %#x, expected %#x\n",
			(unsigned long long)(page * PAGE + i), kind_name(address(page)), is[i],
			expected[i]);
		shown++;
	}
	return shown;
}

static bool comparable(const struct page *page, bool all)
{
	return (all || page->watched) && rights_to(page->kind, USER_RULES) & READ;
}

static bool same_file(const struct arena *a)
{
	uint8_t buf[PAGE];
	unsigned int i;

	for (i = 0; i < a->nr; i++) {
		if (pread(a->fd, buf, PAGE, (off_t)(i * PAGE)) != (ssize_t)PAGE ||
		    memcmp(buf, a->file + i * PAGE, PAGE)) {
			fprintf(stderr, "# the file of T+%#llx was written, page %u\n",
				(unsigned long long)(a->first * PAGE), i);
			return false;
		}
	}
	return true;
}

static bool same_hidden(const struct arena *a)
{
	if (mprotect(memory(a->first), a->nr * PAGE, PROT_READ))
		fail("mprotect");
	return !memcmp(memory(a->first), shadow(a->first), a->nr * PAGE) ||
	       !print_difference(a->first, 0);
}

bool layout_same(bool all)
{
	unsigned int i, page;
	int shown = 0;

	for (i = 0; i < layout.nr_arenas; i++) {
		const struct arena *a = &layout.arenas[i];

		for (page = a->first; page < a->first + a->nr; page++) {
			if (comparable(&layout.pages[page], all) &&
			    memcmp(memory(page), shadow(page), PAGE))
				shown = print_difference(page, shown);
		}
		if (all && a->kind == NO_ACCESS && !same_hidden(a))
			shown++;
		if (all && a->kind == PRIVATE_FILE && !same_file(a))
			shown++;
	}
	return !shown;
}

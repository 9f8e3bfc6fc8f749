// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define DEBUG	"/sys/kernel/debug/"

static int switch_fd = -1;

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

static bool set(const char *what, const char *attribute, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUG "%s/%s", what, attribute);
	return write_file(path, value);
}

static const char *const injectors[] = { "failslab", "fail_page_alloc", "fail_usercopy" };

/* In tasks that ask for it, of ten each, without a word in the log. */
static bool arm(const char *what)
{
	return set(what, "task-filter", "Y") && set(what, "verbose", "0") &&
	       set(what, "times", "-1") && set(what, "interval", "1") &&
	       set(what, "space", "0") && set(what, "probability", "10");
}

const char *inject_init(void)
{
	size_t i;

	if (access(DEBUG "failslab", F_OK) || access(DEBUG "fail_page_alloc", F_OK) ||
	    access(DEBUG "fail_usercopy", F_OK))
		return "the kernel has no fault injection, or debugfs is not mounted";
	switch_fd = open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC);
	if (switch_fd < 0)
		return "/proc/self/make-it-fail cannot be written";
	/* Allocations that may sleep fail too. */
	if (!set("failslab", "ignore-gfp-wait", "N") ||
	    !set("fail_page_alloc", "ignore-gfp-wait", "N") ||
	    !set("fail_page_alloc", "ignore-gfp-highmem", "N") ||
	    !set("fail_page_alloc", "min-order", "0"))
		return "fault injection cannot be set up";
	for (i = 0; i < ARRAY_SIZE(injectors); i++) {
		if (!arm(injectors[i]))
			return "fault injection cannot be set up";
	}
	return NULL;
}

void inject_begin(void)
{
	if (pwrite(switch_fd, "1", 1, 0) != 1) {
		perror("make-it-fail");
		exit(2);
	}
}

/* The write may be what fails. */
void inject_end(void)
{
	while (pwrite(switch_fd, "0", 1, 0) != 1)
		;
}

void inject_finish(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(injectors); i++)
		set(injectors[i], "probability", "0");
	close(switch_fd);
}

/*
 * Totals
 */

static const char *read_pinned(struct totals *totals)
{
	char name[64];
	long number;
	int seen = 0;
	FILE *f;

	/* Each CPU has counted a part for itself. */
	write_file("/proc/sys/vm/stat_refresh", "1");
	f = fopen("/proc/vmstat", "r");
	totals->pinned = 0;
	while (f && fscanf(f, "%63s %ld", name, &number) == 2) {
		if (!strcmp(name, "nr_foll_pin_acquired"))
			totals->pinned += number, seen++;
		if (!strcmp(name, "nr_foll_pin_released"))
			totals->pinned -= number, seen++;
	}
	if (f)
		fclose(f);
	return seen == 2 ? NULL : "/proc/vmstat does not count pins";
}

/*
 * Else a slab that a CPU allocates from counts as if no object of it were free: up to 512
 * objects that are not there, another number whenever another slab is its turn.
 */
static bool slabs_are_exact(void)
{
	FILE *f = fopen("/sys/kernel/slab/kmalloc-8/sanity_checks", "r");
	bool exact = f && fgetc(f) == '1';

	if (f)
		fclose(f);
	return exact;
}

/* KASAN keeps what has been freed, for a while. */
static void empty_quarantine(void)
{
	glob_t found;
	size_t i;

	if (glob("/sys/kernel/slab/kmalloc-*/shrink", 0, NULL, &found))
		return;
	for (i = 0; i < found.gl_pathc; i++)
		write_file(found.gl_pathv[i], "1");
	globfree(&found);
}

static const char *read_slabs(struct totals *totals)
{
	char line[256];
	FILE *f;

	if (!slabs_are_exact())
		return "kmalloc() counts no objects exactly: boot with slub_debug=F,kmalloc-*";
	empty_quarantine();
	f = fopen("/proc/slabinfo", "r");
	totals->nr_slabs = 0;
	while (f && totals->nr_slabs < MAX_SLABS && fgets(line, sizeof(line), f)) {
		unsigned int i = totals->nr_slabs;

		if (!strncmp(line, "kmalloc-", 8) &&
		    sscanf(line, "%31s %ld", totals->slabs[i].name, &totals->slabs[i].objects) == 2)
			totals->nr_slabs++;
	}
	if (f)
		fclose(f);
	return totals->nr_slabs ? NULL : "/proc/slabinfo does not list what kmalloc() gave";
}

const char *totals_read(struct totals *totals)
{
	const char *why = read_pinned(totals);

	return why ? why : read_slabs(totals);
}

/* Caches that shrank make up for nothing. */
static long growth(const struct totals *before, const struct totals *after)
{
	long grown = 0;
	unsigned int i;

	for (i = 0; i < before->nr_slabs && i < after->nr_slabs; i++) {
		if (after->slabs[i].objects > before->slabs[i].objects)
			grown += after->slabs[i].objects - before->slabs[i].objects;
	}
	return grown;
}

bool totals_same(const struct totals *before, const struct totals *after, long limit)
{
	long pinned = after->pinned - before->pinned, grown = growth(before, after);

	fprintf(stderr, "# kept: %ld pages pinned, %ld objects of kmalloc()\n", pinned, grown);
	return !pinned && grown <= limit;
}

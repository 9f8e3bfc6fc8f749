/* SPDX-License-Identifier: MIT */
#ifndef PAGES_H
#define PAGES_H

#include "cpus.h"

#include <linux/kernel-page-flags.h>

/*
 * What the kernel says about pages of this process, and what a machine must have
 * for pages to be of some kind. All of it fails the running test when it cannot.
 */
#define PAGE		4096
#define HUGE_PAGE	(2 << 20)

/* The entry of a page in /proc/self/pagemap, see proc_pid_pagemap(5). */
#define MAPPED_PRESENT		(UINT64_C(1) << 63)
#define MAPPED_SWAPPED		(UINT64_C(1) << 62)
#define MAPPED_FILE		(UINT64_C(1) << 61)
#define MAPPED_UFFD_WP		(UINT64_C(1) << 57)
#define MAPPED_FRAME(entry)	((entry) & ((UINT64_C(1) << 55) - 1))

uint64_t page_mapping(const void *page);

/* KPF_* of what is mapped there; false where nothing is. */
bool page_is(const void *page, int flag);

/* A field of the mapping that holds p in /proc/self/smaps, in KiB. */
long mapping_kb(const void *p, const char *field);

/* Pages pinned (FOLL_PIN) and not unpinned, in the whole machine. */
long pages_pinned(void);

void write_file(const char *path, const char *text);
long read_number(const char *path);

/* Run a command; fail unless it succeeds. */
void command(const char *line);

/*
 * A file system on a ram disk, at a new folder: made, mounted, unmounted, and the
 * folder removed. mkfs is given the rest of its command line.
 */
struct disk {
	const char *device;
	char folder[32];
};

void make_disk(struct disk *d, const char *device, const char *mkfs_arguments);
void mount_disk(const struct disk *d);
void unmount_disk(const struct disk *d);
void remove_disk(struct disk *d);

/* Where a test failed: whatever there is of it. */
void detach_disk(struct disk *d);

/* A file of that size in a folder, without a block. */
int new_file(const char *folder, const char *name, long size);

/* An anonymous mapping, private or shared. */
void *new_pages(size_t size, int flags);

#endif /* PAGES_H */

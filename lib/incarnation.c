// SPDX-License-Identifier: MIT
/*
 * The incarnation is a number that tells a child of fork() from its parent, without a fork handler.
 *
 * The library maps a page and marks it MADV_WIPEONFORK (Linux 4.14): the kernel fills this page
 * with zeroes in the memory of a child. That holds for fork(), _Fork() and the raw system calls
 * alike. A child that shares its parent's memory sees the page unchanged. The first caller in a
 * forked child finds 0 in the page, and stores the next number, which no ancestor has had. (The
 * number has 16 bits and is never 0, so the numbers repeat after 65,535.)
 *
 * If the page cannot be mapped or marked, as on an older kernel or under a seccomp filter, the
 * incarnation is 0 in parent and child.
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#ifndef MADV_WIPEONFORK
# define MADV_WIPEONFORK	18
#endif

/* The last number that this process or an ancestor has taken. A child inherits it. */
static _Atomic uint32_t last;

/* The first word of the page, or &not_wiped; NULL until one of the two is chosen. */
static _Atomic(_Atomic uint32_t *) wiped;

/* Replaces the page where the page is unavailable. It stays 0. */
static _Atomic uint32_t not_wiped;

/* Not mmap(), which changes errno: the operation may run in a signal handler. */
static void *map_page(long size)
{
#ifdef SYS_mmap2
	long nr = SYS_mmap2;
#else
	long nr = SYS_mmap;
#endif
	long page = raw_syscall(nr, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);

	return raw_failed(page) ? NULL : (void *)page;
}

static _Atomic uint32_t *make_page(void)
{
	long size = sysconf(_SC_PAGESIZE);
	void *page = map_page(size);
	_Atomic uint32_t *seen = NULL, *made = &not_wiped;

	if (page && !probe(SYS_madvise, (long)page, size, MADV_WIPEONFORK, 0))
		made = page;
	if (atomic_compare_exchange_strong(&wiped, &seen, made))
		seen = made;
	if (page && seen != page)
		raw_syscall(SYS_munmap, (long)page, size, 0, 0, 0, 0);
	return seen;
}

uint16_t incarnation(void)
{
	_Atomic uint32_t *word = atomic_load_explicit(&wiped, memory_order_acquire);
	uint32_t now, next;

	if (!word)
		word = make_page();
	now = atomic_load_explicit(word, memory_order_relaxed);
	if (!now && word != &not_wiped) {
		do
			next = atomic_fetch_add(&last, 1) + 1;
		while (!(uint16_t)next);
		/* Several threads may be here at once: the first exchange decides for all. */
		if (atomic_compare_exchange_strong(word, &now, next))
			now = next;
	}
	return (uint16_t)now;
}

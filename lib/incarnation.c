// SPDX-License-Identifier: MIT
/*
 * Telling a child of fork() from its parent, without a fork handler.
 *
 * A page is marked MADV_WIPEONFORK (Linux 4.14): the kernel fills it with zeroes in the memory of a
 * child. That holds for fork(), _Fork() and the raw system calls alike; a child that shares its
 * parent's memory keeps the page as it is. The first caller in the child finds 0 and stores the next
 * number, which no ancestor has had. (Numbers repeat after 65,535 generations.)
 *
 * Where the kernel has no such marks, or a filter refuses them, the number is 0 in parent and child.
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "incarnation.h"
#include "internal.h"

#ifndef MADV_WIPEONFORK
# define MADV_WIPEONFORK	18
#endif

/* What a child inherits: the last number that the process or an ancestor has had. */
static _Atomic uint32_t last;

static _Atomic(_Atomic uint32_t *) wiped;

/* Stands in for the page, where that is unavailable. It stays 0. */
static _Atomic uint32_t not_wiped;

/* System calls that leave errno alone: an operation may be running in a signal handler. */
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

uint16_t rseq_op_incarnation(void)
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
		/* Threads of the child may be here at once: one of them decides. */
		if (atomic_compare_exchange_strong(word, &now, next))
			now = next;
	}
	return (uint16_t)now;
}

// SPDX-License-Identifier: MIT
/*
 * Counters of the slow path. They are shared by all threads: whoever gets here
 * has already paid for more than a contended cache line.
 */
#include <string.h>

#include "internal.h"

static _Atomic uint64_t counters[NR_COUNTERS];

_Static_assert(sizeof(struct rseq_op_stats) == NR_COUNTERS * sizeof(uint64_t),
	       "a counter for each member of struct rseq_op_stats");
_Static_assert(offsetof(struct rseq_op_stats, aborts) == COUNT_ABORTS * sizeof(uint64_t),
	       "in the same order");

void count(enum counter what, uintptr_t site)
{
	atomic_fetch_add_explicit(&counters[what], 1, memory_order_relaxed);
	if (__builtin_expect(atomic_load_explicit(&config.sites, memory_order_relaxed), false))
		sites_count(what, site);
}

void rseq_op_stats(struct rseq_op_stats *stats, size_t size)
{
	uint64_t now[NR_COUNTERS];
	size_t i;

	if (!stats)
		return;
	for (i = 0; i < NR_COUNTERS; i++)
		now[i] = atomic_load_explicit(&counters[i], memory_order_relaxed);
	memset(stats, 0, size);
	memcpy(stats, now, size < sizeof(now) ? size : sizeof(now));
}

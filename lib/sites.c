// SPDX-License-Identifier: MIT
/*
 * The counters once more, for each place in the program that comes here: a table of fixed
 * size, hashed by address. An entry, once taken, keeps its address, so whoever looks for one
 * finds it or a free one along the same way, and two never take one address twice. Nothing
 * orders the counters: each is right by itself.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* The last entry is for those that found no room, and has no address. */
static struct site {
	_Atomic uintptr_t address;
	_Alignas(8) _Atomic uint64_t counters[NR_COUNTERS];
} sites[NR_SITES + 1];

/* By the golden ratio: addresses of calls are close to each other. */
static unsigned int hash(uintptr_t address)
{
	return (uint32_t)address * UINT32_C(0x9e3779b1) >> (32 - SITES_BITS);
}

static struct site *find(uintptr_t address)
{
	unsigned int i, first = hash(address);

	for (i = 0; i < NR_SITES; i++) {
		struct site *s = &sites[(first + i) % NR_SITES];
		uintptr_t is = atomic_load_explicit(&s->address, memory_order_relaxed);

		if (!is && atomic_compare_exchange_strong(&s->address, &is, address))
			return s;
		if (is == address)
			return s;
	}
	return &sites[NR_SITES];
}

void sites_count(enum counter what, uintptr_t site)
{
	atomic_fetch_add_explicit(&find(site)->counters[what], 1, memory_order_relaxed);
}

void rseq_op_count_sites(int on)
{
	config.sites = on;
}

/* False if it has not counted anything. */
static bool read_site(const struct site *s, struct rseq_op_site *to)
{
	uint64_t now[NR_COUNTERS], any = 0;
	unsigned int i;

	for (i = 0; i < NR_COUNTERS; i++)
		any |= now[i] = atomic_load_explicit(&s->counters[i], memory_order_relaxed);
	to->address = (const void *)atomic_load_explicit(&s->address, memory_order_relaxed);
	memcpy(&to->stats, now, sizeof(now));
	return any;
}

int rseq_op_sites(struct rseq_op_site *to, unsigned int max, size_t size)
{
	struct rseq_op_site site;
	unsigned int i, n = 0;

	if (size < sizeof(site.address) || (max && !to))
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(sites); i++) {
		if (!read_site(&sites[i], &site))
			continue;
		if (n < max) {
			char *p = (char *)to + n * size;

			memset(p, 0, size);
			memcpy(p, &site, size < sizeof(site) ? size : sizeof(site));
		}
		n++;
	}
	return (int)n;
}

/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_SITES_H
#define RSEQ_OP_SITES_H

/*
 * Which calls of a program do not end in a sequence: the counters of rseq_op_stats() for
 * each call site. On demand: by rseq_op_count_sites(), or from the start by RSEQ_OP_SITES=1
 * in the environment.
 *
 * A call site is the call of the library in the compiled program, as addr2line(1) wants it.
 * An operation that a function returns the result of may be compiled to a jump; then it is
 * that function's call. -fno-optimize-sibling-calls, for the caller, avoids it. Operations
 * that the compiler made one call of are one site; so are all of a kind in a file where the
 * compiler did not inline them, as at -O0 or -Os.
 *
 * Context: any thread, and signal handlers. errno is left alone.
 */

#include <rseq_op/rseq_op.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/**
 * struct rseq_op_site - a call site, and what it has not done by a sequence
 * @address:	In its call instruction; NULL stands for all that found no room.
 * @stats:	As in rseq_op_stats(), while sites were counted.
 */
struct rseq_op_site {
	const void *address;
	struct rseq_op_stats stats;
};

/**
 * rseq_op_count_sites() - count by call site, or stop doing so
 * @on:		1 or 0.
 *
 * What has been counted is kept.
 */
void rseq_op_count_sites(int on);

/**
 * rseq_op_sites() - read the counters of the call sites
 * @sites:	Where to; in no order. May be NULL where @max is 0.
 * @max:	How many there is room for; what is more is left out.
 * @size:	sizeof(*sites). A library that knows fewer counters leaves the others 0,
 *		one that knows more leaves them out.
 *
 * There is room for 128 sites in the library; those that come later are counted in one
 * entry, without an address. A child has the counters of its parent at the time of fork(),
 * and goes on with its own.
 *
 * Return: how many sites have counted something, which may be more than @max; or
 *	-EINVAL	@size is less than that of an address
 */
int rseq_op_sites(struct rseq_op_site *sites, unsigned int max, size_t size);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* RSEQ_OP_SITES_H */

/* SPDX-License-Identifier: MIT */
/*
 * Include a template once for each variant of the typed operations; not an interface.
 *
 *	RSEQ_OP_TEMPLATE	the file
 *
 * which finds defined:
 *	RSEQ_OP_NAME(op)	rseq_op_ and the operation with the variant's suffix
 *	RSEQ_OP_T		the type of its words, and
 *	RSEQ_OP_BITS		their width
 *	RSEQ_OP_POINTERS	1: that is the width of a pointer
 *	RSEQ_OP_RELEASE		1: its last store is a release
 *	RSEQ_OP_BY_CID		1: its index is a concurrency ID and no CPU
 *
 * No include guard: it is included more than once.
 */
#define RSEQ_OP_NAME(op)		RSEQ_OP_NAME_(op, RSEQ_OP_SUFFIX)
#define RSEQ_OP_NAME_(op, suffix)	RSEQ_OP_NAME__(op, suffix)
#define RSEQ_OP_NAME__(op, suffix)	rseq_op_##op##suffix

#define RSEQ_OP_T		intptr_t
#if UINTPTR_MAX == UINT64_MAX
# define RSEQ_OP_BITS		64
#else
# define RSEQ_OP_BITS		32
#endif
#define RSEQ_OP_POINTERS	1

#define RSEQ_OP_BY_CID		0
#define RSEQ_OP_RELEASE		0
#define RSEQ_OP_SUFFIX
#include RSEQ_OP_TEMPLATE
#undef RSEQ_OP_SUFFIX
#undef RSEQ_OP_RELEASE
#define RSEQ_OP_RELEASE		1
#define RSEQ_OP_SUFFIX		_release
#include RSEQ_OP_TEMPLATE
#undef RSEQ_OP_SUFFIX
#undef RSEQ_OP_BY_CID
#define RSEQ_OP_BY_CID		1
#define RSEQ_OP_SUFFIX		_release_cid
#include RSEQ_OP_TEMPLATE
#undef RSEQ_OP_SUFFIX
#undef RSEQ_OP_RELEASE
#define RSEQ_OP_RELEASE		0
#define RSEQ_OP_SUFFIX		_cid
#include RSEQ_OP_TEMPLATE
#undef RSEQ_OP_SUFFIX

#undef RSEQ_OP_T
#undef RSEQ_OP_BITS
#undef RSEQ_OP_POINTERS
#define RSEQ_OP_T		int32_t
#define RSEQ_OP_BITS		32
#define RSEQ_OP_POINTERS	0

#define RSEQ_OP_SUFFIX		32_cid
#include RSEQ_OP_TEMPLATE
#undef RSEQ_OP_SUFFIX
#undef RSEQ_OP_RELEASE
#define RSEQ_OP_RELEASE		1
#define RSEQ_OP_SUFFIX		32_release_cid
#include RSEQ_OP_TEMPLATE
#undef RSEQ_OP_SUFFIX
#undef RSEQ_OP_BY_CID
#define RSEQ_OP_BY_CID		0
#define RSEQ_OP_SUFFIX		32_release
#include RSEQ_OP_TEMPLATE
#undef RSEQ_OP_SUFFIX
#undef RSEQ_OP_RELEASE
#define RSEQ_OP_RELEASE		0
#define RSEQ_OP_SUFFIX		32
#include RSEQ_OP_TEMPLATE
#undef RSEQ_OP_SUFFIX

#undef RSEQ_OP_RELEASE
#undef RSEQ_OP_BY_CID
#undef RSEQ_OP_T
#undef RSEQ_OP_BITS
#undef RSEQ_OP_POINTERS
#undef RSEQ_OP_NAME
#undef RSEQ_OP_NAME_
#undef RSEQ_OP_NAME__
#undef RSEQ_OP_TEMPLATE

/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_LIBRSEQ_H
#define RSEQ_OP_LIBRSEQ_H

/*
 * For programs written for librseq: its operations on words of the size of a pointer,
 * under its names, over rseq_op(3). With this header's folder before librseq's,
 *
 *	#include <rseq/rseq.h>
 *
 * finds it. What differs is progress: none of them ends in an abort, so the loop around
 * a call comes to an end at its first turn, also when the CPU is another one.
 *
 * A program that waits for sequences by membarrier(2) itself calls rseq_op_fence() or
 * rseq_op_fence_all() instead: a fallback that is emulated is no sequence.
 *
 * Return: 0, 1 where a comparison did not hold, or -1. That is an invalid argument, as in
 * librseq, or one of the errors that only rseq_op(3) knows: memory that is not accessible,
 * and a backend that refuses, has no memory or is missing. None of them goes away when the
 * call is repeated with the same arguments.
 */
#include <stdbool.h>

#include <rseq_op/rseq_op.h>

enum rseq_mo {
	RSEQ_MO_RELAXED = 0,
	RSEQ_MO_CONSUME = 1,
	RSEQ_MO_ACQUIRE = 2,
	RSEQ_MO_RELEASE = 3,
	RSEQ_MO_ACQ_REL = 4,
	RSEQ_MO_SEQ_CST = 5,
};

enum rseq_percpu_mode {
	RSEQ_PERCPU_CPU_ID = 0,
	RSEQ_PERCPU_MM_CID = 1,
};

/* The results of rseq_op(3), as librseq has them. */
static inline int rseq_op_librseq_result(int ret)
{
	return ret < 0 ? -1 : ret > 0;
}

/* The variant that order and mode ask for; others are invalid. */
#define RSEQ_OP_LIBRSEQ(mo, mode, op, ...)					\
	((mode) != RSEQ_PERCPU_CPU_ID && (mode) != RSEQ_PERCPU_MM_CID ? -1 :	\
	 (mo) != RSEQ_MO_RELAXED && (mo) != RSEQ_MO_RELEASE ? -1 :		\
	 rseq_op_librseq_result(						\
		(mo) == RSEQ_MO_RELEASE ?					\
			(mode) == RSEQ_PERCPU_MM_CID ?				\
				rseq_op_##op##_release_cid(__VA_ARGS__) :	\
				rseq_op_##op##_release(__VA_ARGS__) :		\
			(mode) == RSEQ_PERCPU_MM_CID ?				\
				rseq_op_##op##_cid(__VA_ARGS__) :		\
				rseq_op_##op(__VA_ARGS__)))

/* Compare @v against @expect; if they are equal, store @newv to @v. */
static inline int rseq_load_cbne_store__ptr(enum rseq_mo mo, enum rseq_percpu_mode mode,
					    intptr_t *v, intptr_t expect, intptr_t newv,
					    int cpu)
{
	return RSEQ_OP_LIBRSEQ(mo, mode, cmpeqv_storev, v, expect, newv, cpu);
}

/* Unless @v is @expectnot, load it to @load, and store to it what lies @voffp behind it. */
static inline int rseq_load_cbeq_store_add_load_store__ptr(enum rseq_mo mo,
							   enum rseq_percpu_mode mode,
							   intptr_t *v, intptr_t expectnot,
							   long voffp, intptr_t *load, int cpu)
{
	return RSEQ_OP_LIBRSEQ(mo, mode, cmpnev_storeoffp_load, v, expectnot, voffp, load, cpu);
}

/* Add @count to @v. */
static inline int rseq_load_add_store__ptr(enum rseq_mo mo, enum rseq_percpu_mode mode,
					   intptr_t *v, intptr_t count, int cpu)
{
	return RSEQ_OP_LIBRSEQ(mo, mode, addv, v, count, cpu);
}

/* Add @inc to the word whose address lies @off behind what @ptr points to. */
static inline int rseq_load_add_load_load_add_store__ptr(enum rseq_mo mo,
							 enum rseq_percpu_mode mode,
							 intptr_t *ptr, long off, intptr_t inc,
							 int cpu)
{
	return RSEQ_OP_LIBRSEQ(mo, mode, offset_deref_addv, ptr, off, inc, cpu);
}

/* As the first; @newv2 is stored to @v2 before. */
static inline int rseq_load_cbne_store_store__ptr(enum rseq_mo mo, enum rseq_percpu_mode mode,
						  intptr_t *v, intptr_t expect, intptr_t *v2,
						  intptr_t newv2, intptr_t newv, int cpu)
{
	return RSEQ_OP_LIBRSEQ(mo, mode, cmpeqv_storev_storev, v, expect, v2, newv2, newv, cpu);
}

/* As the first; @v2 must equal @expect2 too. */
static inline int rseq_load_cbne_load_cbne_store__ptr(enum rseq_mo mo,
						      enum rseq_percpu_mode mode, intptr_t *v,
						      intptr_t expect, intptr_t *v2,
						      intptr_t expect2, intptr_t newv, int cpu)
{
	return RSEQ_OP_LIBRSEQ(mo, mode, cmpeqv_cmpeqv_storev, v, expect, v2, expect2, newv,
			       cpu);
}

/* As the first; @len bytes, at most 4096, are copied from @src to @dst before. */
static inline int rseq_load_cbne_memcpy_store__ptr(enum rseq_mo mo, enum rseq_percpu_mode mode,
						   intptr_t *v, intptr_t expect, void *dst,
						   void *src, size_t len, intptr_t newv, int cpu)
{
	return RSEQ_OP_LIBRSEQ(mo, mode, cmpeqv_memcpy_storev, v, expect, dst, src, len, newv,
			       cpu);
}

/*
 * Around them. Threads need no registration: the library sees to it.
 */

static inline int rseq_register_current_thread(void)
{
	return 0;
}

static inline int rseq_unregister_current_thread(void)
{
	return 0;
}

static inline uint32_t rseq_cpu_start(void)
{
	return (uint32_t)rseq_op_current_cpu();
}

static inline uint32_t rseq_current_cpu(void)
{
	return (uint32_t)rseq_op_current_cpu();
}

static inline uint32_t rseq_current_mm_cid(void)
{
	return (uint32_t)rseq_op_current_cid();
}

#endif /* RSEQ_OP_LIBRSEQ_H */

// SPDX-License-Identifier: MIT
/*
 * The operations by librseq, which need not be there: this file is built where pkg-config
 * finds it, or with what the kernel's selftests have. Nothing of rseq_op is included here. As
 * its users do, a caller of librseq tries again until its operation has committed.
 */
#include <string.h>

#ifdef LIBRSEQ_OF_KERNEL
# include <rseq.h>
# define rseq_load_add_store__ptr			rseq_addv
# define rseq_load_cbne_store__ptr			rseq_cmpeqv_storev
# define rseq_load_cbne_load_cbne_store__ptr		rseq_cmpeqv_cmpeqv_storev
# define rseq_load_cbne_store_store__ptr		rseq_cmpeqv_trystorev_storev
# define rseq_load_cbne_memcpy_store__ptr		rseq_cmpeqv_trymemcpy_storev
# define rseq_load_cbeq_store_add_load_store__ptr	rseq_cmpnev_storeoffp_load
# define rseq_load_add_load_load_add_store__ptr		rseq_offset_deref_addv
# define ORIGIN						"the kernel's selftests, by earlier names"
#else
# include <rseq/rseq.h>
# define ORIGIN						"its library"
#endif

#include "forms.h"

const char librseq_origin[] = ORIGIN;

static intptr_t old;

#define CPU_ID		RSEQ_MO_RELAXED, RSEQ_PERCPU_CPU_ID
#define MM_CID		RSEQ_MO_RELAXED, RSEQ_PERCPU_MM_CID

/* The call may use v too, which is what d->v was. */
#define BY(index, name, call)							\
LOOPS(name,									\
	intptr_t v;								\
	int cpu;								\
	struct data *d;								\
										\
	do {									\
		cpu = (int)(index);						\
		d = &data[cpu];							\
		v = d->v;							\
	} while (__builtin_expect(call, 0));					\
	(void)v;)

#define BY_CPU(name, call)	BY(rseq_cpu_start(), name, call)

BY_CPU(addv, rseq_load_add_store__ptr(CPU_ID, &d->v, 1, cpu))
BY(rseq_current_mm_cid(), addv_cid, rseq_load_add_store__ptr(MM_CID, &d->v, 1, cpu))
BY_CPU(cmpeqv_storev, rseq_load_cbne_store__ptr(CPU_ID, &d->v, v, v + 1, cpu))
BY_CPU(cmpeqv_cmpeqv_storev,
       rseq_load_cbne_load_cbne_store__ptr(CPU_ID, &d->zero, 0, &d->zero2, 0, 0, cpu))
BY_CPU(cmpeqv_storev_storev,
       rseq_load_cbne_store_store__ptr(CPU_ID, &d->zero, 0, &d->zero2, 0, 0, cpu))
BY_CPU(copy_16,
       rseq_load_cbne_memcpy_store__ptr(CPU_ID, &d->zero, 0, COPY_TO(cpu), copy_src, 16, 0,
					cpu))
BY_CPU(copy_64,
       rseq_load_cbne_memcpy_store__ptr(CPU_ID, &d->zero, 0, COPY_TO(cpu), copy_src, 64, 0,
					cpu))
BY_CPU(copy_512,
       rseq_load_cbne_memcpy_store__ptr(CPU_ID, &d->zero, 0, COPY_TO(cpu), copy_src, 512, 0,
					cpu))
BY_CPU(copy_4096,
       rseq_load_cbne_memcpy_store__ptr(CPU_ID, &d->zero, 0, COPY_TO(cpu), copy_src, 4096, 0,
					cpu))

LOOPS(pop_push,
	int cpu = (int)rseq_cpu_start();
	struct data *d = &data[cpu];

	while (__builtin_expect(rseq_load_cbeq_store_add_load_store__ptr(CPU_ID, &d->list, 0, 0,
									 &old, cpu), 0))
		;
	while (__builtin_expect(rseq_load_cbne_store__ptr(CPU_ID, &d->list, 0,
							  (intptr_t)&d->node, cpu), 0))
		;)
BY_CPU(offset_deref_addv,
       rseq_load_add_load_load_add_store__ptr(CPU_ID, &d->to_to_v, 0, 1, cpu))

static const struct {
	const char *operation;
	const loop_fn *loops;
} table[] = {
	{ "addv", addv_loops },
	{ "addv_cid", addv_cid_loops },
	{ "cmpeqv_storev", cmpeqv_storev_loops },
	{ "cmpeqv_cmpeqv_storev", cmpeqv_cmpeqv_storev_loops },
	{ "cmpeqv_storev_storev", cmpeqv_storev_storev_loops },
	{ "copy 16 bytes, storev", copy_16_loops },
	{ "copy 64 bytes, storev", copy_64_loops },
	{ "copy 512 bytes, storev", copy_512_loops },
	{ "copy 4096 bytes, storev", copy_4096_loops },
	{ "list: pop and push", pop_push_loops },
	{ "offset_deref_addv", offset_deref_addv_loops },
};

const loop_fn *librseq_loops(const char *operation)
{
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!strcmp(operation, table[i].operation))
			return table[i].loops;
	}
	return NULL;
}

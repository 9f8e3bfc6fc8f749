/* SPDX-License-Identifier: MIT */
/*
 * Put before a program of the kernel's selftests of rseq: its operations, librseq's by earlier
 * names, are those of our header; all the rest remains its own.
 */
#include <rseq.h>

/* What both have. */
#define rseq_mo				our_mo
#define rseq_percpu_mode		our_percpu_mode
#define RSEQ_MO_RELAXED			OUR_MO_RELAXED
#define RSEQ_MO_CONSUME			OUR_MO_CONSUME
#define RSEQ_MO_ACQUIRE			OUR_MO_ACQUIRE
#define RSEQ_MO_RELEASE			OUR_MO_RELEASE
#define RSEQ_MO_ACQ_REL			OUR_MO_ACQ_REL
#define RSEQ_MO_SEQ_CST			OUR_MO_SEQ_CST
#define RSEQ_PERCPU_CPU_ID		OUR_PERCPU_CPU_ID
#define RSEQ_PERCPU_MM_CID		OUR_PERCPU_MM_CID
#define rseq_register_current_thread	our_register_current_thread
#define rseq_unregister_current_thread	our_unregister_current_thread
#define rseq_cpu_start			our_cpu_start
#define rseq_current_mm_cid		our_current_mm_cid
#define rseq_current_cpu		our_current_cpu
#include <rseq/rseq.h>
#undef rseq_mo
#undef rseq_percpu_mode
#undef RSEQ_MO_RELAXED
#undef RSEQ_MO_CONSUME
#undef RSEQ_MO_ACQUIRE
#undef RSEQ_MO_RELEASE
#undef RSEQ_MO_ACQ_REL
#undef RSEQ_MO_SEQ_CST
#undef RSEQ_PERCPU_CPU_ID
#undef RSEQ_PERCPU_MM_CID
#undef rseq_register_current_thread
#undef rseq_unregister_current_thread
#undef rseq_cpu_start
#undef rseq_current_mm_cid
#undef rseq_current_cpu

#define rseq_addv			rseq_load_add_store__ptr
#define rseq_cmpeqv_storev		rseq_load_cbne_store__ptr
#define rseq_cmpeqv_cmpeqv_storev	rseq_load_cbne_load_cbne_store__ptr
#define rseq_cmpeqv_trystorev_storev	rseq_load_cbne_store_store__ptr
#define rseq_cmpeqv_trymemcpy_storev	rseq_load_cbne_memcpy_store__ptr
#define rseq_cmpnev_storeoffp_load	rseq_load_cbeq_store_add_load_store__ptr
#define rseq_offset_deref_addv		rseq_load_add_load_load_add_store__ptr

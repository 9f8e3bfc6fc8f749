// SPDX-License-Identifier: MIT
#include <sched.h>
#include <string.h>

#include <rseq_op/cpu_op.h>

#include "bare.h"
#include "forms.h"

struct data data[CPUS_MAX];
_Alignas(4096) char copy_src[COPIED];
_Alignas(4096) char copy_dst[CPUS_MAX][2 * COPIED];

static __thread intptr_t old;

void forms_init(void)
{
	int cpu;

	for (cpu = 0; cpu < CPUS_MAX; cpu++) {
		data[cpu].list = (intptr_t)&data[cpu].node;
		data[cpu].to_v = (intptr_t)&data[cpu].v;
		data[cpu].to_to_v = (intptr_t)&data[cpu].to_v;
		pthread_mutex_init(&data[cpu].mutex, NULL);
	}
	memset(copy_src, 1, sizeof(copy_src));
}

/* The statements of a form may use d, the data of the CPU, and cpu. */
#define AT(which, ...)								\
	int cpu = (which);							\
	struct data *d = &data[cpu];						\
	__VA_ARGS__								\
	(void)cpu;

#define UNDER_MUTEX(...)							\
	pthread_mutex_lock(&d->mutex);						\
	__VA_ARGS__								\
	pthread_mutex_unlock(&d->mutex);

#define UNLOCKED(op, ...)							\
	LOOPS(op##_plain, AT(rseq_op_current_cpu(), __VA_ARGS__))		\
	LOOPS(op##_getcpu_mutex, AT(sched_getcpu(), UNDER_MUTEX(__VA_ARGS__)))

#define WITH_LOCK(op, ...)							\
	LOOPS(op##_locked, AT(rseq_op_current_cpu(), __VA_ARGS__))		\
	LOOPS(op##_getcpu_locked, AT(sched_getcpu(), __VA_ARGS__))

/* The thread is pinned: what was aborted is tried again. */
#define BARE(op, ...)								\
	LOOPS(op##_by_hand, AT(rseq_op_current_cpu(),				\
		while (__builtin_expect(bare_seq_##op(__VA_ARGS__, cpu, NULL) < 0, 0))	\
			;))

#define OURS(op, ...)								\
	LOOPS(op##_rseq_op, AT(rseq_op_current_cpu(), __VA_ARGS__))

UNLOCKED(storev, d->v = 1;)
WITH_LOCK(storev, __atomic_store_n(&d->v, 1, __ATOMIC_SEQ_CST);)
BARE(storev, &d->v, 1)
OURS(storev, rseq_op_storev(&d->v, 1, cpu);)

UNLOCKED(xchgv, old = d->v; d->v = 1;)
WITH_LOCK(xchgv, old = __atomic_exchange_n(&d->v, 1, __ATOMIC_SEQ_CST);)
BARE(xchgv, &d->v, 1, &old)
OURS(xchgv, rseq_op_xchgv(&d->v, 1, &old, cpu);)

UNLOCKED(addv, d->v += 1;)
WITH_LOCK(addv, __atomic_fetch_add(&d->v, 1, __ATOMIC_SEQ_CST);)
BARE(addv, &d->v, 1)
OURS(addv, rseq_op_addv(&d->v, 1, cpu);)

UNLOCKED(fetch_addv, old = d->v; d->v += 1;)
WITH_LOCK(fetch_addv, old = __atomic_fetch_add(&d->v, 1, __ATOMIC_SEQ_CST);)
BARE(fetch_addv, &d->v, 1, &old)
OURS(fetch_addv, rseq_op_fetch_addv(&d->v, 1, &old, cpu);)

UNLOCKED(orv, d->v |= 1;)
WITH_LOCK(orv, __atomic_fetch_or(&d->v, 1, __ATOMIC_SEQ_CST);)
BARE(orv, &d->v, 1)
OURS(orv, rseq_op_orv(&d->v, 1, cpu);)

UNLOCKED(andv, d->v &= 1;)
WITH_LOCK(andv, __atomic_fetch_and(&d->v, 1, __ATOMIC_SEQ_CST);)
BARE(andv, &d->v, 1)
OURS(andv, rseq_op_andv(&d->v, 1, cpu);)

UNLOCKED(xorv, d->v ^= 1;)
WITH_LOCK(xorv, __atomic_fetch_xor(&d->v, 1, __ATOMIC_SEQ_CST);)
BARE(xorv, &d->v, 1)
OURS(xorv, rseq_op_xorv(&d->v, 1, cpu);)

#define READ(p)	(*(volatile intptr_t *)(p))

UNLOCKED(cmpeqv_storev, intptr_t v = READ(&d->v); if (READ(&d->v) == v) d->v = v + 1;)
WITH_LOCK(cmpeqv_storev, intptr_t v = READ(&d->v);
	  __atomic_compare_exchange_n(&d->v, &v, v + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);)
LOOPS(cmpeqv_storev_by_hand, AT(rseq_op_current_cpu(),
	intptr_t v = READ(&d->v);
	while (__builtin_expect(bare_seq_cmpeqv_storev(&d->v, v, v + 1, cpu, NULL) < 0, 0))
		;))
OURS(cmpeqv_storev, intptr_t v = READ(&d->v); rseq_op_cmpeqv_storev(&d->v, v, v + 1, cpu);)

/* Their last store leaves the comparison true. */
UNLOCKED(cmpeqv_cmpeqv_storev, if (READ(&d->zero) == 0 && READ(&d->zero2) == 0) d->zero = 0;)
BARE(cmpeqv_cmpeqv_storev, &d->zero, 0, &d->zero2, 0, 0)
OURS(cmpeqv_cmpeqv_storev, rseq_op_cmpeqv_cmpeqv_storev(&d->zero, 0, &d->zero2, 0, 0, cpu);)

UNLOCKED(cmpeqv_storev_storev, if (READ(&d->zero) == 0) { d->zero2 = 0; d->zero = 0; })
BARE(cmpeqv_storev_storev, &d->zero, 0, &d->zero2, 0, 0)
OURS(cmpeqv_storev_storev, rseq_op_cmpeqv_storev_storev(&d->zero, 0, &d->zero2, 0, 0, cpu);)

/* The compiler knows the length here, as it does not in a sequence: hidden from it. */
static inline size_t opaque(size_t len)
{
	__asm__ ("" : "+r" (len));
	return len;
}

#define COPY(len)								\
UNLOCKED(copy_##len, if (READ(&d->zero) == 0) {					\
		memcpy(COPY_TO(cpu), copy_src, opaque(len)); d->zero = 0; })		\
LOOPS(copy_##len##_by_hand, AT(rseq_op_current_cpu(),				\
	while (__builtin_expect(bare_seq_cmpeqv_memcpy_storev(&d->zero, 0,	\
				COPY_TO(cpu), copy_src, len, 0, cpu, NULL) < 0, 0))		\
		;))								\
OURS(copy_##len, rseq_op_cmpeqv_memcpy_storev(&d->zero, 0, COPY_TO(cpu), copy_src, len, 0,	\
					      cpu);)

COPY(16)
COPY(64)
COPY(512)
COPY(4096)

UNLOCKED(pop_push, old = d->list; d->list = READ(old); d->list = (intptr_t)&d->node;)
LOOPS(pop_push_by_hand, AT(rseq_op_current_cpu(),
	while (__builtin_expect(bare_seq_cmpnev_storeoffp_load(&d->list, 0, 0, &old, cpu,
							       NULL) < 0, 0))
		;
	while (__builtin_expect(bare_seq_cmpeqv_storev(&d->list, 0, (intptr_t)&d->node, cpu,
						       NULL) < 0, 0))
		;))
OURS(pop_push, rseq_op_cmpnev_storeoffp_load(&d->list, 0, 0, &old, cpu);
     rseq_op_cmpeqv_storev(&d->list, 0, (intptr_t)&d->node, cpu);)

UNLOCKED(offset_deref_addv, **(intptr_t **)d->to_to_v += 1;)
WITH_LOCK(offset_deref_addv, __atomic_fetch_add(*(intptr_t **)d->to_to_v, 1, __ATOMIC_SEQ_CST);)
BARE(offset_deref_addv, &d->to_to_v, 0, 1)
OURS(offset_deref_addv, rseq_op_offset_deref_addv(&d->to_to_v, 0, 1, cpu);)

/* Variants, and vectors: compared with nothing but what they are variants of. */
OURS(addv32, rseq_op_addv32(&d->v32, 1, cpu);)
OURS(addv_release, rseq_op_addv_release(&d->v, 1, cpu);)
LOOPS(addv_cid_rseq_op, AT(rseq_op_current_cid(), rseq_op_addv_cid(&d->v, 1, cpu);))
OURS(vector_add,
     const struct cpu_op op = cpu_op_add(&d->v, sizeof(d->v), 1);
     rseq_op(&op, 1, cpu, 0);)

#define WITHOUT_LOCK(op)							\
	[PLAIN] = op##_plain_loops, [GETCPU_MUTEX] = op##_getcpu_mutex_loops,	\
	[BY_HAND] = op##_by_hand_loops, [RSEQ_OP] = op##_rseq_op_loops
#define ALL(op)									\
	WITHOUT_LOCK(op),							\
	[LOCKED] = op##_locked_loops, [GETCPU_LOCKED] = op##_getcpu_locked_loops

const struct operation operations[] = {
	{ "storev", { ALL(storev) } },
	{ "xchgv", { ALL(xchgv) } },
	{ "addv", { ALL(addv) } },
	{ "fetch_addv", { ALL(fetch_addv) } },
	{ "orv", { ALL(orv) } },
	{ "andv", { ALL(andv) } },
	{ "xorv", { ALL(xorv) } },
	{ "cmpeqv_storev", { ALL(cmpeqv_storev) } },
	{ "cmpeqv_cmpeqv_storev", { WITHOUT_LOCK(cmpeqv_cmpeqv_storev) } },
	{ "cmpeqv_storev_storev", { WITHOUT_LOCK(cmpeqv_storev_storev) } },
	{ "copy 16 bytes, storev", { WITHOUT_LOCK(copy_16) } },
	{ "copy 64 bytes, storev", { WITHOUT_LOCK(copy_64) } },
	{ "copy 512 bytes, storev", { WITHOUT_LOCK(copy_512) } },
	{ "copy 4096 bytes, storev", { WITHOUT_LOCK(copy_4096) } },
	{ "list: pop and push", { WITHOUT_LOCK(pop_push) } },
	{ "offset_deref_addv", { ALL(offset_deref_addv) } },
	{ "addv32", { [RSEQ_OP] = addv32_rseq_op_loops } },
	{ "addv_release", { [RSEQ_OP] = addv_release_rseq_op_loops } },
	{ "addv_cid", { [RSEQ_OP] = addv_cid_rseq_op_loops } },
	{ "rseq_op(): add", { [RSEQ_OP] = vector_add_rseq_op_loops } },
};

const int nr_operations = sizeof(operations) / sizeof(operations[0]);

LOOPS(bytes, {
	const char *src = copy_src;
	char *dst = COPY_TO(0);
	long left = COPIED;

	__asm__ volatile (
		"1:\n\t"
		"movb	(%0), %%al\n\t"
		"movb	%%al, (%1)\n\t"
		"incq	%0\n\t"
		"incq	%1\n\t"
		"decq	%2\n\t"
		"jnz	1b\n\t"
		: "+r" (src), "+r" (dst), "+r" (left) : : "rax", "memory", "cc");
})

const loop_fn *const byte_copy_loops = bytes_loops;

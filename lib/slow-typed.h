/* SPDX-License-Identifier: MIT */
/*
 * The slow path of each typed operation: a template, for variants.h, included by slow.c.
 */
#define T		RSEQ_OP_T
#define SIZE		sizeof(T)
#define SLOW(op)	RSEQ_OP_NAME(slow_##op)
#define BEGIN		slow_begin(RSEQ_OP_BY_CID ? BY_CID : BY_CPU, cpu, outcome, CALL_SITE)
#define OPS(...)	(const struct cpu_op []){ __VA_ARGS__ },		\
		sizeof((const struct cpu_op []){ __VA_ARGS__ }) / sizeof(struct cpu_op)
#define VECTOR(...)	slow_end(&s, OPS(__VA_ARGS__))
#define FOLLOW(...)	follow(&s, &f, OPS(__VA_ARGS__))

/* An attempt, by the tags and by lease; until there is a result, or else the vector. */
#define SEQUENCE(op, ...)	RSEQ_OP_NAME(seq_##op)(__VA_ARGS__, cpu, s.tags)
#define LEASED(op, ...)		RSEQ_OP_NAME(leased_##op)(__VA_ARGS__, s.lease, &s.tags[cpu])
#define RUN(call, ...)		do {						\
		while (slow_retry(&s))						\
			s.outcome = SEQUENCE call;				\
		while (slow_lease(&s, OPS(__VA_ARGS__)))			\
			s.outcome = LEASED call;				\
		return VECTOR(__VA_ARGS__);					\
	} while (0)

#if RSEQ_OP_RELEASE
# define ADD		CPU_ADD_RELEASE_OP
# define STORE		CPU_STORE_RELEASE_IMM_OP
# define COPY_WORD	CPU_MEMCPY_RELEASE_OP
# define FENCE		{ .op = CPU_MB_OP },
#else
# define ADD		CPU_ADD_OP
# define STORE		CPU_STORE_IMM_OP
# define COPY_WORD	CPU_MEMCPY_OP
# define FENCE
#endif

int SLOW(storev)(T *v, T newv, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RUN((storev, v, newv),
	    number(STORE, v, SIZE, newv));
}

int SLOW(xchgv)(T *v, T newv, T *old, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RUN((xchgv, v, newv, old),
	    copy(CPU_MEMCPY_OP, old, v, SIZE), number(STORE, v, SIZE, newv));
}

int SLOW(addv)(T *v, T count, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RUN((addv, v, count),
	    number(ADD, v, SIZE, count));
}

int SLOW(orv)(T *v, T mask, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RUN((orv, v, mask),
	    FENCE number(CPU_OR_OP, v, SIZE, mask));
}

int SLOW(andv)(T *v, T mask, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RUN((andv, v, mask),
	    FENCE number(CPU_AND_OP, v, SIZE, mask));
}

int SLOW(xorv)(T *v, T mask, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RUN((xorv, v, mask),
	    FENCE number(CPU_XOR_OP, v, SIZE, mask));
}

int SLOW(fetch_addv)(T *v, T count, T *old, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RUN((fetch_addv, v, count, old),
	    copy(CPU_MEMCPY_OP, old, v, SIZE), number(ADD, v, SIZE, count));
}

int SLOW(cmpeqv_storev)(T *v, T expect, T newv, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RUN((cmpeqv_storev, v, expect, newv),
	    number(CPU_COMPARE_EQ_IMM_OP, v, SIZE, expect),
	    number(STORE, v, SIZE, newv));
}

int SLOW(cmpeqv_cmpeqv_storev)(T *v, T expect, T *v2, T expect2, T newv, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RUN((cmpeqv_cmpeqv_storev, v, expect, v2, expect2, newv),
	    number(CPU_COMPARE_EQ_IMM_OP, v, SIZE, expect),
	    number(CPU_COMPARE_EQ_IMM_OP, v2, SIZE, expect2),
	    number(STORE, v, SIZE, newv));
}

int SLOW(cmpeqv_storev_storev)(T *v, T expect, T *v2, T newv2, T newv, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RUN((cmpeqv_storev_storev, v, expect, v2, newv2, newv),
	    number(CPU_COMPARE_EQ_IMM_OP, v, SIZE, expect),
	    number(CPU_STORE_IMM_OP, v2, SIZE, newv2),
	    number(STORE, v, SIZE, newv));
}

int SLOW(cmpeqv_memcpy_storev)(T *v, T expect, void *dst, const void *src, size_t len, T newv,
			       int cpu, int outcome)
{
	struct slow s = BEGIN;

	if (!len)	/* no vector copies nothing */
		RUN((cmpeqv_storev, v, expect, newv),
		    number(CPU_COMPARE_EQ_IMM_OP, v, SIZE, expect),
		    number(STORE, v, SIZE, newv));
	RUN((cmpeqv_memcpy_storev, v, expect, dst, src, len, newv),
	    number(CPU_COMPARE_EQ_IMM_OP, v, SIZE, expect),
	    copy(CPU_MEMCPY_OP, dst, src, len),
	    number(STORE, v, SIZE, newv));
}

#if RSEQ_OP_POINTERS
int SLOW(cmpnev_storeoffp_load)(T *v, T expectnot, intptr_t voffp, T *load, int cpu,
				int outcome)
{
	struct slow s = BEGIN;
	struct follow f = { 0 };
	int ret;

	while (slow_retry(&s))
		s.outcome = SEQUENCE(cmpnev_storeoffp_load, v, expectnot, voffp, load);
	while (slow_lease(&s, OPS(number(CPU_STORE_IMM_OP, v, SIZE, 0),
				  number(CPU_STORE_IMM_OP, load, SIZE, 0))))
		s.outcome = may_follow(v, expectnot, voffp) ?
			LEASED(cmpnev_storeoffp_load, v, expectnot, voffp, load) :
			RSEQ_OP_ELSEWHERE;
	if (s.outcome >= 0)
		return s.outcome;
	while (!(ret = FOLLOW(number(CPU_COMPARE_NE_IMM_OP, v, SIZE, expectnot),
			      copy(CPU_MEMCPY_OP, &f.pointer, v, SIZE)))) {
		const void *next = (const void *)((uintptr_t)f.pointer + (uintptr_t)voffp);

		ret = VECTOR(number(CPU_COMPARE_EQ_IMM_OP, v, SIZE, f.pointer),
			     number(CPU_STORE_IMM_OP, load, SIZE, f.pointer),
			     expect_fault(copy(COPY_WORD, v, next, SIZE), 1));
		if (!start_over(&f, &ret))
			break;
	}
	return ret;
}

int SLOW(offset_deref_addv)(T *ptr, intptr_t off, T inc, int cpu, int outcome)
{
	struct slow s = BEGIN;
	struct follow f = { 0 };
	int ret;

	while (slow_retry(&s))
		s.outcome = SEQUENCE(offset_deref_addv, ptr, off, inc);
	if (s.outcome >= 0)
		return s.outcome;
	while (!(ret = FOLLOW(copy(CPU_MEMCPY_OP, &f.pointer, ptr, SIZE)))) {
		T *field = (T *)((uintptr_t)f.pointer + (uintptr_t)off);

		ret = FOLLOW(number(CPU_COMPARE_EQ_IMM_OP, ptr, SIZE, f.pointer),
			     expect_fault(copy(CPU_MEMCPY_OP, &f.next, field, SIZE), 1));
		if (!ret)
			ret = VECTOR(number(CPU_COMPARE_EQ_IMM_OP, ptr, SIZE, f.pointer),
				     expect_fault(number(CPU_COMPARE_EQ_IMM_OP, field, SIZE,
							 f.next), 0),
				     expect_fault(number(ADD, (T *)f.next, SIZE, inc), 0));
		if (!start_over(&f, &ret))
			break;
	}
	return ret;
}
#endif

#undef T
#undef SIZE
#undef SLOW
#undef BEGIN
#undef SEQUENCE
#undef LEASED
#undef RUN
#undef OPS
#undef VECTOR
#undef FOLLOW
#undef ADD
#undef STORE
#undef COPY_WORD
#undef FENCE

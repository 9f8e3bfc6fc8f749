/* SPDX-License-Identifier: MIT */
/*
 * The slow path of each typed operation: a template, for variants.h, included by slow.c.
 */
#define T		RSEQ_OP_T
#define SIZE		sizeof(T)
#define SLOW(op)	RSEQ_OP_NAME(slow_##op)
#define SEQUENCE(op)	RSEQ_OP_NAME(seq_##op)
#define BEGIN		slow_begin(RSEQ_OP_BY_CID ? BY_CID : BY_CPU, cpu, outcome, CALL_SITE)
#define RETRY(attempt)	do { while (slow_retry(&s)) s.outcome = (attempt); } while (0)
#define OPS(...)	(const struct cpu_op []){ __VA_ARGS__ },		\
		sizeof((const struct cpu_op []){ __VA_ARGS__ }) / sizeof(struct cpu_op)
#define VECTOR(...)	slow_end(&s, OPS(__VA_ARGS__))
#define FOLLOW(...)	follow(&s, &f, OPS(__VA_ARGS__))

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

	RETRY(SEQUENCE(storev)(v, newv, cpu, s.tags));
	return VECTOR(number(STORE, v, SIZE, newv));
}

int SLOW(xchgv)(T *v, T newv, T *old, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RETRY(SEQUENCE(xchgv)(v, newv, old, cpu, s.tags));
	return VECTOR(copy(CPU_MEMCPY_OP, old, v, SIZE), number(STORE, v, SIZE, newv));
}

int SLOW(addv)(T *v, T count, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RETRY(SEQUENCE(addv)(v, count, cpu, s.tags));
	return VECTOR(number(ADD, v, SIZE, count));
}

int SLOW(orv)(T *v, T mask, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RETRY(SEQUENCE(orv)(v, mask, cpu, s.tags));
	return VECTOR(FENCE number(CPU_OR_OP, v, SIZE, mask));
}

int SLOW(andv)(T *v, T mask, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RETRY(SEQUENCE(andv)(v, mask, cpu, s.tags));
	return VECTOR(FENCE number(CPU_AND_OP, v, SIZE, mask));
}

int SLOW(xorv)(T *v, T mask, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RETRY(SEQUENCE(xorv)(v, mask, cpu, s.tags));
	return VECTOR(FENCE number(CPU_XOR_OP, v, SIZE, mask));
}

int SLOW(fetch_addv)(T *v, T count, T *old, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RETRY(SEQUENCE(fetch_addv)(v, count, old, cpu, s.tags));
	return VECTOR(copy(CPU_MEMCPY_OP, old, v, SIZE), number(ADD, v, SIZE, count));
}

int SLOW(cmpeqv_storev)(T *v, T expect, T newv, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RETRY(SEQUENCE(cmpeqv_storev)(v, expect, newv, cpu, s.tags));
	return VECTOR(number(CPU_COMPARE_EQ_IMM_OP, v, SIZE, expect),
		      number(STORE, v, SIZE, newv));
}

int SLOW(cmpeqv_cmpeqv_storev)(T *v, T expect, T *v2, T expect2, T newv, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RETRY(SEQUENCE(cmpeqv_cmpeqv_storev)(v, expect, v2, expect2, newv, cpu, s.tags));
	return VECTOR(number(CPU_COMPARE_EQ_IMM_OP, v, SIZE, expect),
		      number(CPU_COMPARE_EQ_IMM_OP, v2, SIZE, expect2),
		      number(STORE, v, SIZE, newv));
}

int SLOW(cmpeqv_storev_storev)(T *v, T expect, T *v2, T newv2, T newv, int cpu, int outcome)
{
	struct slow s = BEGIN;

	RETRY(SEQUENCE(cmpeqv_storev_storev)(v, expect, v2, newv2, newv, cpu, s.tags));
	return VECTOR(number(CPU_COMPARE_EQ_IMM_OP, v, SIZE, expect),
		      number(CPU_STORE_IMM_OP, v2, SIZE, newv2),
		      number(STORE, v, SIZE, newv));
}

int SLOW(cmpeqv_memcpy_storev)(T *v, T expect, void *dst, const void *src, size_t len, T newv,
			       int cpu, int outcome)
{
	struct slow s = BEGIN;

	RETRY(SEQUENCE(cmpeqv_memcpy_storev)(v, expect, dst, src, len, newv, cpu, s.tags));
	if (!len)
		return VECTOR(number(CPU_COMPARE_EQ_IMM_OP, v, SIZE, expect),
			      number(STORE, v, SIZE, newv));
	return VECTOR(number(CPU_COMPARE_EQ_IMM_OP, v, SIZE, expect),
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

	RETRY(SEQUENCE(cmpnev_storeoffp_load)(v, expectnot, voffp, load, cpu, s.tags));
	if (s.outcome >= 0)
		return s.outcome;
	while (!(ret = FOLLOW(number(CPU_COMPARE_NE_IMM_OP, v, SIZE, expectnot),
			      copy(CPU_MEMCPY_OP, &f.pointer, v, SIZE)))) {
		const void *next = (const void *)(f.pointer + voffp);

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

	RETRY(SEQUENCE(offset_deref_addv)(ptr, off, inc, cpu, s.tags));
	if (s.outcome >= 0)
		return s.outcome;
	while (!(ret = FOLLOW(copy(CPU_MEMCPY_OP, &f.pointer, ptr, SIZE)))) {
		T *field = (T *)(f.pointer + off);

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
#undef SEQUENCE
#undef BEGIN
#undef RETRY
#undef OPS
#undef VECTOR
#undef FOLLOW
#undef ADD
#undef STORE
#undef COPY_WORD
#undef FENCE

/* SPDX-License-Identifier: MIT */
/*
 * The operations of one variant beside their meaning: a template, for variants.h,
 * included by typed.c.
 */
#define T		RSEQ_OP_T
#define NAME		RSEQ_OP_NAME
#define IS		NAME(is)
#define EXPECTED	NAME(expected)

static struct NAME(memory) {
	T before[8];
	T v;
	T between[8];
	T v2;
	T after[8];
	T old;
	char guard[16];
	char dst[NR_COPIED];
	char src[NR_COPIED];
	char end[16];
	intptr_t node[4];
	intptr_t to_node[3];
} IS, EXPECTED;

/* Random memory, with what a case relies on; and a copy, for what is expected. */
static void NAME(set)(T v, T v2)
{
	fill(&IS, sizeof(IS));
	IS.v = v;
	IS.v2 = v2;
	IS.to_node[0] = (intptr_t)&IS.to_node[1];
	IS.to_node[2] = (intptr_t)&IS.node[2];
	memcpy(&EXPECTED, &IS, sizeof(IS));
}

static void NAME(compare)(int result, int expected, const char *op)
{
	if (result != expected || memcmp(&IS, &EXPECTED, sizeof(IS)))
		fail_msg("%s: result %d, expected %d; memory is %s as it should be", op,
			 result, expected,
			 memcmp(&IS, &EXPECTED, sizeof(IS)) ? "not" : "all");
}

/* "expected" is what the operation returns; "meaning", what it does to the copy. */
#define CASE(op, expected, meaning, ...)				\
	do {								\
		int then = (expected);					\
									\
		if (!then) {						\
			meaning;					\
		}							\
		NAME(compare)(NAME(op)(__VA_ARGS__, index), then, #op);	\
		NAME(set)(IS.v, v2);					\
	} while (0)

static void NAME(check_pair)(int index, T v, T v2, T a, T b)
{
	size_t len = random_len();

	NAME(set)(v, v2);
	CASE(storev, 0, EXPECTED.v = a, &IS.v, a);
	CASE(xchgv, 0, EXPECTED.old = EXPECTED.v; EXPECTED.v = a, &IS.v, a, &IS.old);
	CASE(addv, 0, EXPECTED.v = (T)((uint64_t)EXPECTED.v + (uint64_t)b), &IS.v, b);
	CASE(orv, 0, EXPECTED.v |= b, &IS.v, b);
	CASE(xorv, 0, EXPECTED.v ^= a, &IS.v, a);
	CASE(andv, 0, EXPECTED.v &= b, &IS.v, b);
	CASE(fetch_addv, 0, EXPECTED.old = EXPECTED.v;
	     EXPECTED.v = (T)((uint64_t)EXPECTED.v + (uint64_t)a), &IS.v, a, &IS.old);
	CASE(cmpeqv_storev, IS.v != a, EXPECTED.v = b, &IS.v, a, b);
	CASE(cmpeqv_storev, 0, EXPECTED.v = b, &IS.v, IS.v, b);
	CASE(cmpeqv_cmpeqv_storev, IS.v != b ? 1 : v2 != a ? 2 : 0, EXPECTED.v = a,
	     &IS.v, b, &IS.v2, a, a);
	CASE(cmpeqv_cmpeqv_storev, v2 != b ? 2 : 0, EXPECTED.v = b,
	     &IS.v, IS.v, &IS.v2, b, b);
	CASE(cmpeqv_cmpeqv_storev, 0, EXPECTED.v = a, &IS.v, IS.v, &IS.v2, v2, a);
	CASE(cmpeqv_storev_storev, IS.v != b, EXPECTED.v2 = a; EXPECTED.v = b,
	     &IS.v, b, &IS.v2, a, b);
	CASE(cmpeqv_storev_storev, 0, EXPECTED.v2 = b; EXPECTED.v = a,
	     &IS.v, IS.v, &IS.v2, b, a);
	CASE(cmpeqv_memcpy_storev, IS.v != b, memcpy(EXPECTED.dst, EXPECTED.src, len);
	     EXPECTED.v = b, &IS.v, b, IS.dst, IS.src, len, b);
	CASE(cmpeqv_memcpy_storev, 0, memcpy(EXPECTED.dst, EXPECTED.src, len);
	     EXPECTED.v = a, &IS.v, IS.v, IS.dst, IS.src, len, a);
}

#if RSEQ_OP_POINTERS
static void NAME(check_pointers)(int index, T v2, T a)
{
	intptr_t first = (intptr_t)&IS.node[0];

	NAME(set)(first, v2);
	CASE(cmpnev_storeoffp_load, 0, EXPECTED.old = first; EXPECTED.v = EXPECTED.node[1],
	     &IS.v, 0, sizeof(IS.node[0]), &IS.old);
	NAME(set)(first, v2);
	CASE(cmpnev_storeoffp_load, 1, (void)0, &IS.v, first, sizeof(IS.node[0]), &IS.old);
	CASE(offset_deref_addv, 0,
	     EXPECTED.node[2] = (intptr_t)((uint64_t)EXPECTED.node[2] + (uint64_t)a),
	     IS.to_node, sizeof(IS.to_node[0]), a);
}
#endif

static void NAME(check)(int index)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		NAME(check_pair)(index, (T)random_word(), (T)random_word(), (T)random_word(),
				 (T)random_word());
#if RSEQ_OP_POINTERS
		NAME(check_pointers)(index, (T)random_word(), (T)random_word());
#endif
	}
}

#undef T
#undef NAME
#undef IS
#undef EXPECTED
#undef CASE

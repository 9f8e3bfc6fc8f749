/* SPDX-License-Identifier: MIT */
/*
 * The operations of one variant beside their meaning: a template, for variants.h,
 * included by typed.c.
 *
 * Every case begins with fresh memory, and every operand differs from every other operand and
 * from the words in memory. So an operation that takes the wrong word or the wrong operand
 * leaves other bytes than its meaning in C does.
 */
#define T		RSEQ_OP_T
#define NAME		RSEQ_OP_NAME
#define IS		NAME(is)
#define EXPECTED	NAME(expected)

#define NODES		4

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
	intptr_t node[NODES];
	intptr_t to_node[NODES];
} IS, EXPECTED;

/* Random memory, with the words that a case relies on; and a copy, for what is expected. */
static void NAME(set)(T v, T v2)
{
	fill(&IS, sizeof(IS));
	IS.v = v;
	IS.v2 = v2;
	memcpy(&EXPECTED, &IS, sizeof(IS));
	errno = ERRNO;
}

static void NAME(compare)(int result, int expected, const char *op)
{
	bool same = !memcmp(&IS, &EXPECTED, sizeof(IS));

	if (result != expected || !same || errno != ERRNO)
		fail_msg("%s: result %d, expected %d; errno %d, expected %d; memory is %s", op,
			 result, expected, errno, ERRNO, same ? "as expected" : "wrong");
}

/* "expected" is what the operation returns; "meaning", what it does to the copy. */
#define CASE_IN(op, expected, meaning, ...)				\
	do {								\
		int then = (expected);					\
									\
		if (!then) {						\
			meaning;					\
		}							\
		NAME(compare)(NAME(op)(__VA_ARGS__, index), then, #op);	\
	} while (0)

#define CASE(...)							\
	do {								\
		NAME(set)(v, v2);					\
		CASE_IN(__VA_ARGS__);					\
	} while (0)

/* Words that all differ. */
static void NAME(draw)(T *words, size_t n)
{
	size_t i, k;

	for (i = 0; i < n; i++) {
		do {
			words[i] = (T)random_word();
			for (k = 0; k < i && words[k] != words[i]; k++)
				;
		} while (k < i);
	}
}

static void NAME(check_words)(int index)
{
	T w[5], bit = (T)((uint64_t)1 << next_random(&random_state) % (8 * sizeof(T)));
	size_t len = random_len();

	NAME(draw)(w, ARRAY_SIZE(w));
	T v = w[0], v2 = w[1], a = w[2], b = w[3], c = w[4];

	CASE(storev, 0, EXPECTED.v = a, &IS.v, a);
	CASE(xchgv, 0, EXPECTED.old = v; EXPECTED.v = a, &IS.v, a, &IS.old);
	CASE(addv, 0, EXPECTED.v = (T)((uint64_t)v + (uint64_t)a), &IS.v, a);
	CASE(orv, 0, EXPECTED.v = v | a, &IS.v, a);
	CASE(andv, 0, EXPECTED.v = v & a, &IS.v, a);
	CASE(xorv, 0, EXPECTED.v = v ^ a, &IS.v, a);
	CASE(fetch_addv, 0, EXPECTED.old = v; EXPECTED.v = (T)((uint64_t)v + (uint64_t)a),
	     &IS.v, a, &IS.old);
	CASE(cmpeqv_storev, 0, EXPECTED.v = a, &IS.v, v, a);
	CASE(cmpeqv_storev, 1, (void)0, &IS.v, a, v);
	CASE(cmpeqv_storev, 1, (void)0, &IS.v, v ^ bit, a);
	CASE(cmpeqv_cmpeqv_storev, 0, EXPECTED.v = a, &IS.v, v, &IS.v2, v2, a);
	CASE(cmpeqv_cmpeqv_storev, 1, (void)0, &IS.v, a, &IS.v2, v2, b);
	CASE(cmpeqv_cmpeqv_storev, 1, (void)0, &IS.v, v2, &IS.v2, v, a);
	CASE(cmpeqv_cmpeqv_storev, 1, (void)0, &IS.v, a, &IS.v2, b, c);
	CASE(cmpeqv_cmpeqv_storev, 2, (void)0, &IS.v, v, &IS.v2, a, v2);
	CASE(cmpeqv_cmpeqv_storev, 2, (void)0, &IS.v, v, &IS.v2, v2 ^ bit, a);
	CASE(cmpeqv_storev_storev, 0, EXPECTED.v2 = a; EXPECTED.v = b, &IS.v, v, &IS.v2, a, b);
	CASE(cmpeqv_storev_storev, 1, (void)0, &IS.v, a, &IS.v2, b, c);
	CASE(cmpeqv_storev_storev, 1, (void)0, &IS.v, v ^ bit, &IS.v2, a, b);
	CASE(cmpeqv_memcpy_storev, 0, memcpy(EXPECTED.dst, EXPECTED.src, len); EXPECTED.v = a,
	     &IS.v, v, IS.dst, IS.src, len, a);
	CASE(cmpeqv_memcpy_storev, 1, (void)0, &IS.v, a, IS.dst, IS.src, len, b);
	CASE(cmpeqv_memcpy_storev, 1, (void)0, &IS.v, v ^ bit, IS.dst, IS.src, len, a);
}

#if RSEQ_OP_POINTERS
/* Offsets are of either sign. */
static void NAME(check_pointers)(int index)
{
	uint32_t r = next_random(&random_state);
	unsigned int from = r % NODES, to = r / NODES % NODES, word = r / 16 % NODES;
	intptr_t offset = ((intptr_t)to - (intptr_t)from) * (intptr_t)sizeof(intptr_t);
	T w[2], first = (T)&IS.node[from];

	NAME(draw)(w, ARRAY_SIZE(w));
	T v = first, v2 = w[0], a = w[1];

	CASE(cmpnev_storeoffp_load, 0, EXPECTED.old = first; EXPECTED.v = EXPECTED.node[to],
	     &IS.v, a, offset, &IS.old);
	CASE(cmpnev_storeoffp_load, 1, (void)0, &IS.v, first, offset, &IS.old);
	NAME(set)((T)&IS.to_node[from], v2);
	IS.to_node[to] = EXPECTED.to_node[to] = (intptr_t)&IS.node[word];
	CASE_IN(offset_deref_addv, 0,
		EXPECTED.node[word] = (intptr_t)((uintptr_t)IS.node[word] + (uintptr_t)a),
		&IS.v, offset, a);
}
#endif

/* The longest copy, of bytes that differ from their neighbours. */
static void NAME(check_longest_copy)(int index)
{
	static char src[CPU_OP_DATA_LEN_MAX + 2], dst[sizeof(src)], expected[sizeof(src)];
	T v = 5;

	fill(src, sizeof(src));
	fill(dst, sizeof(dst));
	memcpy(expected, dst, sizeof(dst));
	memcpy(expected + 1, src + 1, CPU_OP_DATA_LEN_MAX);
	assert_int_equal(NAME(cmpeqv_memcpy_storev)(&v, 5, dst + 1, src + 1, CPU_OP_DATA_LEN_MAX,
						    6, index), 0);
	assert_memory_equal(dst, expected, sizeof(dst));
	assert_int_equal(v, 6);
}

static void NAME(check)(int index)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		NAME(check_words)(index);
#if RSEQ_OP_POINTERS
		NAME(check_pointers)(index);
#endif
	}
	NAME(check_longest_copy)(index);
}

/*
 * For a place where the thread is not: each operand in turn is not accessible. Nothing has
 * changed then.
 */
static void NAME(check_bad_operands)(int index)
{
	T v = 5, v2 = 7, *bad = (T *)nowhere;

	CASE(storev, -EFAULT, (void)0, bad, 6);
	CASE(xchgv, -EFAULT, (void)0, bad, 6, &IS.old);
	CASE(xchgv, -EFAULT, (void)0, &IS.v, 6, bad);
	CASE(addv, -EFAULT, (void)0, bad, 6);
	CASE(orv, -EFAULT, (void)0, bad, 6);
	CASE(andv, -EFAULT, (void)0, bad, 6);
	CASE(xorv, -EFAULT, (void)0, bad, 6);
	CASE(fetch_addv, -EFAULT, (void)0, bad, 6, &IS.old);
	CASE(fetch_addv, -EFAULT, (void)0, &IS.v, 6, bad);
	CASE(cmpeqv_storev, -EFAULT, (void)0, bad, 5, 6);
	CASE(cmpeqv_cmpeqv_storev, -EFAULT, (void)0, bad, 5, &IS.v2, 7, 6);
	CASE(cmpeqv_cmpeqv_storev, -EFAULT, (void)0, &IS.v, 5, bad, 7, 6);
	CASE(cmpeqv_storev_storev, -EFAULT, (void)0, bad, 5, &IS.v2, 8, 6);
	CASE(cmpeqv_storev_storev, -EFAULT, (void)0, &IS.v, 5, bad, 8, 6);
	CASE(cmpeqv_memcpy_storev, -EFAULT, (void)0, bad, 5, IS.dst, IS.src, 9, 6);
	CASE(cmpeqv_memcpy_storev, -EFAULT, (void)0, &IS.v, 5, (char *)bad, IS.src, 9, 6);
	CASE(cmpeqv_memcpy_storev, -EFAULT, (void)0, &IS.v, 5, IS.dst, (char *)bad, 9, 6);
	CASE(cmpeqv_memcpy_storev, -EFAULT, (void)0, bad, 5, IS.dst, IS.src, 0, 6);
#if RSEQ_OP_POINTERS
	CASE(cmpnev_storeoffp_load, -EFAULT, (void)0, bad, 0, 0, &IS.old);
	v = (T)&IS.node[0];
	CASE(cmpnev_storeoffp_load, -EFAULT, (void)0, &IS.v, 0, 0, bad);
	v = (T)bad;
	CASE(cmpnev_storeoffp_load, -EFAULT, (void)0, &IS.v, 0, 0, &IS.old);
	CASE(offset_deref_addv, -EFAULT, (void)0, bad, 0, 1);
	CASE(offset_deref_addv, -EFAULT, (void)0, &IS.v, 0, 1);
	v = (T)&IS.node[0];
	NAME(set)(v, v2);
	IS.node[0] = EXPECTED.node[0] = (intptr_t)bad;
	CASE_IN(offset_deref_addv, -EFAULT, (void)0, &IS.v, 0, 1);
#endif
}

/* Every operation for a place that there is not; no operand is looked at. */
static void NAME(check_invalid_index)(int index)
{
	T v = 5, v2 = 7, *bad = (T *)nowhere;

	CASE(storev, -EINVAL, (void)0, &IS.v, 6);
	CASE(xchgv, -EINVAL, (void)0, &IS.v, 6, &IS.old);
	CASE(addv, -EINVAL, (void)0, &IS.v, 6);
	CASE(orv, -EINVAL, (void)0, &IS.v, 8);
	CASE(andv, -EINVAL, (void)0, &IS.v, 4);
	CASE(xorv, -EINVAL, (void)0, &IS.v, 6);
	CASE(fetch_addv, -EINVAL, (void)0, &IS.v, 6, &IS.old);
	CASE(cmpeqv_storev, -EINVAL, (void)0, &IS.v, 5, 6);
	CASE(cmpeqv_storev, -EINVAL, (void)0, &IS.v, 4, 6);
	CASE(cmpeqv_cmpeqv_storev, -EINVAL, (void)0, &IS.v, 5, &IS.v2, 7, 6);
	CASE(cmpeqv_storev_storev, -EINVAL, (void)0, &IS.v, 5, &IS.v2, 8, 6);
	CASE(cmpeqv_memcpy_storev, -EINVAL, (void)0, &IS.v, 5, IS.dst, IS.src, 9, 6);
	CASE(addv, -EINVAL, (void)0, bad, 6);
#if RSEQ_OP_POINTERS
	CASE(cmpnev_storeoffp_load, -EINVAL, (void)0, &IS.v, 5, 0, &IS.old);
	CASE(cmpnev_storeoffp_load, -EINVAL, (void)0, bad, 0, 0, &IS.old);
	CASE(offset_deref_addv, -EINVAL, (void)0, bad, 0, 1);
#endif
}

#undef T
#undef NAME
#undef IS
#undef EXPECTED
#undef NODES
#undef CASE
#undef CASE_IN

/* SPDX-License-Identifier: MIT */
/*
 * Each operation of one variant, once: a template, for variants.h, included by sites.c.
 */
#define NAME	RSEQ_OP_NAME

__attribute__((noinline, section("typed_sites")))
static int NAME(call_each)(void)
{
	static RSEQ_OP_T v, v2, old;
	int ret = 0;

	ret |= NAME(storev)(&v, 1, 0);
	ret |= NAME(xchgv)(&v, 2, &old, 0);
	ret |= NAME(addv)(&v, 1, 0);
	ret |= NAME(orv)(&v, 4, 0);
	ret |= NAME(andv)(&v, 3, 0);
	ret |= NAME(xorv)(&v, 2, 0);
	ret |= NAME(fetch_addv)(&v, 1, &old, 0);
	ret |= NAME(cmpeqv_storev)(&v, 2, 3, 0);
	ret |= NAME(cmpeqv_cmpeqv_storev)(&v, 3, &v2, 0, 4, 0);
	ret |= NAME(cmpeqv_storev_storev)(&v, 4, &v2, 1, 5, 0);
	ret |= NAME(cmpeqv_memcpy_storev)(&v, 5, &v2, &old, sizeof(v2), 6, 0);
#if RSEQ_OP_POINTERS
	static intptr_t word, node[1], *to_word = &word, **to_to_word = &to_word;

	v = (intptr_t)node;
	ret |= NAME(cmpnev_storeoffp_load)(&v, 0, 0, &old, 0);
	ret |= NAME(offset_deref_addv)((intptr_t *)&to_to_word, 0, 1, 0);
#endif
	return ret;
}

#undef NAME

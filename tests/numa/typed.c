// SPDX-License-Identifier: MIT
/*
 * typed [MILLISECONDS [REMOTE_EVERY]]: the typed operations, every variant, by threads that
 * move as the scheduler likes, for the place where they are and now and then another. Each
 * kind of operation leaves something that a lost, doubled or misplaced update breaks:
 *
 *	tickets		fetch_addv: no number is drawn twice, none is left out; by the sum
 *			of the numbers and the sum of their squares
 *	tokens		xchgv: what the threads and the places hold is what there was
 *	bits		xorv, orv, andv: a thread has a bit of its own in each word, which
 *			nobody else changes: it is right at any moment
 *	records		cmpeqv_memcpy_storev, cmpeqv_storev_storev: a ring of records, each
 *			of which says at the end which one it is, in every byte
 *	list		cmpnev_storeoffp_load, cmpeqv_storev: nodes are popped here and
 *			pushed there; at the end each is found once
 *	pointed		offset_deref_addv: the sum is right, for each place
 */
#include "threads.h"

#define THREADS		8	/* and as many bits and tokens a word needs */
#define RECORD		72
#define RING		8
#define NODES		4	/* for each place */

static unsigned int run_ms = 250;
static unsigned int remote_every = 32;

static int choose(struct worker *w, int here)
{
	uint32_t r = next_random(&w->random);

	return r % remote_every ? here : (int)(r / remote_every) % rseq_op_nr_cpus();
}

struct node {
	intptr_t next;
	intptr_t taken;		/* by threads at once: 0 or 1 */
};

#define RSEQ_OP_TEMPLATE "typed-work.h"
#include <rseq_op/detail/variants.h>

static const struct {
	const char *name;
	void (*run)(void);
} variants[] = {
	{ "", rseq_op_run }, { "_release", rseq_op_run_release },
	{ "_cid", rseq_op_run_cid }, { "_release_cid", rseq_op_run_release_cid },
	{ "32", rseq_op_run32 }, { "32_release", rseq_op_run32_release },
	{ "32_cid", rseq_op_run32_cid }, { "32_release_cid", rseq_op_run32_release_cid },
};

static void test_variants_none_lost(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(variants); i++) {
		print_message("# variant \"%s\"\n", variants[i].name);
		variants[i].run();
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_variants_none_lost) };

	if (argc > 1)
		run_ms = (unsigned int)atoi(argv[1]);
	if (argc > 2)
		remote_every = (unsigned int)atoi(argv[2]);
	if (argc > 3 || !run_ms || !remote_every) {
		fprintf(stderr, "usage: typed [MILLISECONDS [REMOTE_EVERY]]\n");
		return 2;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

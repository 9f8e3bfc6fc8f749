// SPDX-License-Identifier: MIT
/*
 * Pages that are taken away under vectors: what is there instead holds zeroes, or what
 * one vector wrote, all of it; and the frames of the pages that are gone are not
 * written to.
 *
 * A vector writes one value to two words, and no other writes that value. Decoys are
 * pages that are allocated right after a step, so that they get the frames that the
 * step has freed.
 */
#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>

#include "race.h"

/* Words of a page: a pair, halves of pairs with the neighbours, a word alone. */
enum { PAIR = 0, PAIR_END = 255, HERE = 300, THERE = 301, ALONE = 400 };

#define NR_DECOYS	16
#define PATTERN		UINT64_C(0xa5a5a5a5a5a5a5a5)
#define WORDS		(PAGE / 8)

static uint64_t written[MAX_THREADS];	/* the last value of each thread */

static uint64_t *word_at(const struct race *x, int page, int i)
{
	return (uint64_t *)page_at(x, page) + i;
}

/* A frame goes back to its node: take all from one. Threads do as who started them. */
static void use_one_node(void)
{
	if (numa_available() >= 0)
		numa_set_preferred(0);
}

static void begin(struct race *x)
{
	(void)x;
	use_one_node();
	memset(written, 0, sizeof(written));
}

static uint64_t new_value(struct worker *w)
{
	uint64_t value = ((uint64_t)w->index + 1) << 48 | ((written[w->index] + 1) & 0xffffffff);

	__atomic_store_n(&written[w->index], value, __ATOMIC_RELAXED);
	return value;
}

/* Zero, or a value that was given to a vector. */
static bool is_value(uint64_t value)
{
	uint64_t index = (value >> 48) - 1;

	return !value || (index < MAX_THREADS &&
			  value <= __atomic_load_n(&written[index], __ATOMIC_RELAXED));
}

static void check_result(struct worker *w, const char *what, int ret)
{
	const struct race *x = w->arg;

	if (!ret)
		w->done++;
	else if (ret != -EAGAIN || !x->holes)
		wrong(w, "%s: %d", what, ret);
}

static void write_one(struct worker *w)
{
	const struct race *x = w->arg;
	const struct cpu_op ops[] = { store_op(word_at(x, pick_page(w), ALONE), new_value(w)) };

	check_result(w, "one store", cpu_opv(ops, 1, x->target, 0));
}

static void write_two(struct worker *w, bool near)
{
	const struct race *x = w->arg;
	int page = pick_page(w);
	uint64_t value = new_value(w);
	const struct cpu_op ops[] = {
		store_op(word_at(x, page, near ? PAIR : HERE), value),
		store_op(near ? word_at(x, page, PAIR_END) : word_at(x, page + 1, THERE), value),
	};

	check_result(w, "two stores", cpu_opv(ops, 2, x->target, 0));
}

static void check_seen(struct worker *w, const uint64_t *seen)
{
	int i;

	for (i = 0; i < 5; i++) {
		if (!is_value(seen[i]))
			wrong(w, "word %d holds %#lx, which nobody wrote", i,
			      (unsigned long)seen[i]);
	}
	if (seen[0] != seen[1])
		wrong(w, "a pair differs: %#lx, %#lx", (unsigned long)seen[0],
		      (unsigned long)seen[1]);
	if (seen[2] && seen[3] && seen[2] != seen[3])
		wrong(w, "a pair in two pages differs: %#lx, %#lx", (unsigned long)seen[2],
		      (unsigned long)seen[3]);
}

/*
 * Reads follow the pages that the vector has pinned where it has stored before: to add
 * nothing makes one look at all words possible.
 */
static void look(struct worker *w)
{
	const struct race *x = w->arg;
	int page = pick_page(w), i;
	uint64_t *words[] = {
		word_at(x, page, PAIR), word_at(x, page, PAIR_END), word_at(x, page, HERE),
		word_at(x, page + 1, THERE), word_at(x, page, ALONE),
	};
	uint64_t seen[ARRAY_SIZE(words)] = { 0 };
	struct cpu_op ops[2 * ARRAY_SIZE(words)];
	int ret;

	for (i = 0; i < 5; i++) {
		ops[i] = add_op(words[i], 0);
		ops[5 + i] = copy_op(&seen[i], words[i]);
	}
	ret = cpu_opv(ops, ARRAY_SIZE(ops), x->target, 0);
	check_result(w, "look", ret);
	if (!ret)
		check_seen(w, seen);
}

static void run_vectors(struct worker *w)
{
	while (!workers_stopping()) {
		uint32_t r = next_random(&w->random) >> 6 & 3;

		take_turn(w);
		if (r == 0)
			write_one(w);
		else if (r == 1)
			look(w);
		else
			write_two(w, r == 2);
	}
}

static void run_sequences(struct worker *w)
{
	const struct race *x = w->arg;

	while (!workers_stopping()) {
		intptr_t *word = (intptr_t *)word_at(x, pick_page(w), ALONE);
		int ret;

		take_turn(w);
		ret = rseq_op_cmpeqv_storev(word, 0, (intptr_t)new_value(w), x->target);
		if (ret && ret != 1 && (ret != -EFAULT || !x->holes))
			wrong(w, "sequence: %d", ret);
	}
}

static union { uint64_t words[WORDS]; char page[PAGE]; } decoys[NR_DECOYS]
	__attribute__((aligned(PAGE)));
static int next_decoy;

static void fill_decoy(int d)
{
	int i;

	for (i = 0; i < WORDS; i++)
		decoys[d].words[i] = PATTERN;
}

static bool are_decoys(void)
{
	int d, i;

	for (d = 0; d < NR_DECOYS; d++) {
		for (i = 0; i < WORDS; i++) {
			if (decoys[d].words[i] != PATTERN)
				return false;
		}
	}
	return true;
}

/*
 * As long as a page waits on a CPU to be put on the kernel's lists, its frame is not
 * freed, whoever lets go of it. To move any page puts all of them there.
 */
static void free_at_once(void)
{
	void *page = &decoys[(next_decoy + 1) % NR_DECOYS];
	static bool filled;
	int d, node = 0, status;

	for (d = 0; d < NR_DECOYS && !filled; d++) {
		if (d != next_decoy)
			fill_decoy(d);
	}
	filled = true;
	use_one_node();
	if (next_decoy % 2)
		numa_move_pages(0, 1, &page, &node, &status, MPOL_MF_MOVE);
}

/* The place of the next decoy is empty: to fill it takes a frame. The oldest goes. */
static bool renew_decoys(void)
{
	bool good;

	fill_decoy(next_decoy);
	good = are_decoys();
	next_decoy = (next_decoy + 1) % NR_DECOYS;
	madvise(&decoys[next_decoy], PAGE, MADV_DONTNEED);
	return good;
}

static void check(struct race *x)
{
	int page, i;

	for (page = 0; page < NR_PAGES; page++) {
		uint64_t here = *word_at(x, page, HERE), there = *word_at(x, page + 1, THERE);

		assert_int_equal(*word_at(x, page, PAIR), *word_at(x, page, PAIR_END));
		if (here && there)
			assert_int_equal(here, there);
		for (i = 0; i < WORDS; i++) {
			uint64_t value = *word_at(x, page, i);
			bool used = i == PAIR || i == PAIR_END || i == HERE || i == THERE ||
				    i == ALONE;

			if (used ? !is_value(value) : value)
				fail_msg("page %d, word %d holds %#lx, which nobody wrote",
					 page, i, (unsigned long)value);
		}
	}
}

static bool destroys(const struct mutator *m)
{
	return m->flags & DESTROYS;
}

const struct oracle pages_oracle = {
	.name = "pages",
	.fits = destroys,
	.begin = begin,
	.roles = {
		{ run_sequences, 1, ON_BUSY }, { run_vectors, 1, ON_BUSY },
		{ run_vectors, 2, ANYWHERE }, { NULL, 0, ANYWHERE },
	},
	.before_step = free_at_once,
	.after_step = renew_decoys,
	.check = check,
};

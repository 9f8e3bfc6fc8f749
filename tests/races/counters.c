// SPDX-License-Identifier: MIT
/*
 * Counters: no increment is lost, none is made twice, nothing else changes. And while
 * children are forked: none of it lands in a child.
 *
 * Each page has counters of two CPUs: one that sequences and both kinds of vectors
 * add to, and two that belong to pairs. One of a pair is in the next page, and the two
 * are equal whenever a vector looks.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "race.h"

enum { COMMON, FIRST, SECOND, NR_COUNTERS };

#define NR_CPUS		2
#define WORDS		(PAGE / 8)
#define PATTERN		INT64_C(0x5a5a5a5a5a5a5a5a)
#define CHILD_MS	4

/* What each thread has added, and for which CPU: to COMMON, and to pairs. */
static uint64_t added[MAX_THREADS][NR_PAGES][NR_CPUS][2];

static int64_t *counter(const struct race *x, int page, bool other, int which)
{
	return (int64_t *)page_at(x, page) + other * 8 + which;
}

static void begin(struct race *x)
{
	int page, i;

	memset(added, 0, sizeof(added));
	for (page = 0; page < NR_PAGES; page++) {
		int64_t *word = page_at(x, page);

		for (i = 0; i < WORDS; i++)
			word[i] = i % 8 < NR_COUNTERS && i / 8 < NR_CPUS ? 0 : PATTERN + i;
	}
}

static void add_by_sequence(struct worker *w, bool other)
{
	struct race *x = w->arg;
	int page = pick_page(w), cpu = other ? x->region.other : x->region.busy;
	int ret = rseq_op_addv((intptr_t *)counter(x, page, other, COMMON), 1, cpu);

	if (!ret) {
		added[w->index][page][other][0]++;
		w->done++;
	} else if (ret != -EFAULT || !x->holes) {
		wrong(w, "sequence: %d", ret);
	}
}

/* A vector whose last operation makes the only store; or one with three, in two pages. */
static void add_by_vector(struct worker *w)
{
	struct race *x = w->arg;
	int page = pick_page(w);
	bool other = next_random(&w->random) & 64, pair = next_random(&w->random) & 64;
	int64_t *common = counter(x, page, other, COMMON);
	int64_t *first = counter(x, page, other, FIRST);
	int64_t *second = counter(x, page + 1, other, SECOND);
	const struct cpu_op one[] = { add_op(common, 1) };
	const struct cpu_op three[] = {
		equal_op(first, second), add_op(first, 1), add_op(common, 1), add_op(second, 1)
	};
	int cpu = other ? x->region.other : x->region.busy;
	int ret = pair ? cpu_opv(three, 4, cpu, 0) : cpu_opv(one, 1, cpu, 0);

	if (!ret) {
		added[w->index][page][other][0]++;
		added[w->index][page][other][1] += pair;
		w->done++;
	} else if (ret != -EAGAIN || !x->holes) {
		wrong(w, ret == 1 ? "a pair differs, page %d, result %d" :
		      "vector on page %d: %d", page, ret);
	}
}

static void run_sequences(struct worker *w)
{
	int i;

	while (!workers_stopping()) {
		take_turn(w);
		for (i = 0; i < 256; i++)
			add_by_sequence(w, false);
	}
}

static void run_vectors(struct worker *w)
{
	while (!workers_stopping()) {
		take_turn(w);
		add_by_vector(w);
	}
}

/* In turns, so that the CPU is busy and idle in turns. */
static void run_both(struct worker *w)
{
	int i;

	while (!workers_stopping()) {
		take_turn(w);
		for (i = 0; i < 64; i++)
			add_by_sequence(w, true);
		add_by_vector(w);
		sleep_ms(1);
	}
}

static uint64_t sum(int page, int other, int pair)
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < MAX_THREADS; i++)
		n += added[i][page][other][pair];
	return n;
}

static int64_t expected(int page, int i)
{
	int other = i / 8;

	if (i % 8 >= NR_COUNTERS || other >= NR_CPUS)
		return PATTERN + i;
	if (i % 8 == SECOND)
		page = (page + NR_PAGES - 1) % NR_PAGES;
	return (int64_t)sum(page, other, i % 8 != COMMON);
}

static void check(struct race *x)
{
	int page, i, bad = 0;

	for (page = 0; page < NR_PAGES; page++) {
		const int64_t *word = page_at(x, page);

		for (i = 0; i < WORDS; i++) {
			if (word[i] != expected(page, i) && bad++ < 8)
				print_error("# page %d, word %d: %ld, expected %ld\n", page, i,
					    (long)word[i], (long)expected(page, i));
		}
	}
	assert_int_equal(bad, 0);
}

/* In a child: does memory stay as it was at the first look? */
static int watch(const struct race *x)
{
	static uint8_t first_look[NR_PAGES * PAGE];
	uint64_t end = now_ms() + CHILD_MS;

	memcpy(first_look, page_at(x, 0), sizeof(first_look));
	do {
		if (memcmp(first_look, page_at(x, 0), sizeof(first_look)))
			return 1;
	} while (now_ms() < end);
	return 0;
}

static void run_children(struct worker *w)
{
	while (!workers_stopping()) {
		int status = -1;
		pid_t pid = fork();

		if (!pid)
			_exit(watch(w->arg));
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			wrong(w, "fork: %s", strerror(errno));
		else if (status)
			wrong(w, "memory changes in a child: status %#x", status);
	}
}

static bool keeps(const struct mutator *m)
{
	return !(m->flags & DESTROYS);
}

static bool keeps_private(const struct mutator *m)
{
	return !(m->flags & (DESTROYS | HOLES | SHARED));
}

const struct oracle counters_oracle = {
	.name = "counters",
	.fits = keeps,
	.begin = begin,
	.roles = {
		{ run_sequences, 1, ON_BUSY }, { run_vectors, 1, ON_BUSY },
		{ run_both, 1, ON_OTHER }, { run_vectors, 2, ANYWHERE }, { NULL, 0, ANYWHERE },
	},
	.check = check,
};

const struct oracle children_oracle = {
	.name = "children",
	.fits = keeps_private,
	.begin = begin,
	.roles = {
		{ run_sequences, 1, ON_BUSY }, { run_vectors, 1, ON_BUSY },
		{ run_both, 1, ON_OTHER }, { run_vectors, 1, ANYWHERE },
		{ run_children, 1, ANYWHERE }, { NULL, 0, ANYWHERE },
	},
	.check = check,
};

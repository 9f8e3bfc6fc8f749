/* SPDX-License-Identifier: MIT */
#ifndef PLACE_H
#define PLACE_H

#include "pages.h"

/*
 * A place: four pages of some kind of memory, and vectors to try on them. A vector
 * operates on the place, and on two arrays of ordinary memory: one holds what the
 * place holds, the other something else in every byte.
 */
#define PLACE_PAGES	4
#define PLACE_SIZE	(PLACE_PAGES * PAGE)
#define MIDDLE		(PLACE_SIZE / 2)	/* between two huge pages, or mappings */

/* What a vector can do with memory; each includes those before it. */
enum access {
	NOTHING,
	READS,
	STORES,		/* one aligned word, as the last operation */
	PINS,		/* whatever it likes */
};

/* How long a page stays in the state of its kind. */
enum kept {
	KEPT,		/* for ever */
	KEPT_BY_READS,	/* until a vector has written to it */
	LOST,		/* until a vector has touched it */
};

struct place {
	const struct kind *kind;
	uint8_t *at;		/* PLACE_SIZE bytes */
	uint8_t *map;		/* the mapping that they are in */
	size_t size;
	uint8_t *twin;		/* the same pages, or the same bytes, elsewhere */
	int fd;
	unsigned int failed;	/* vectors */
};

struct kind {
	const char *name;
	enum access access[2];		/* below and above the middle */
	bool may_be_refused;		/* PINS, but EFAULT will do */
	bool zero;			/* holds zeroes, not a pattern, before a vector */
	bool in_child;			/* vectors run in a child; the parent's stays as it is */
	void (*map)(struct place *p);	/* skips where there is no such memory */
	void (*prepare)(struct place *p);	/* contents and state before a vector */
	bool (*in_state)(const struct place *p, const uint8_t *page);
	enum kept kept;
	/* Whatever else there is to see; expected is what the place holds now. */
	bool (*check)(struct place *p, const uint8_t *expected);
	void (*unmap)(struct place *p);
};

/* What a place holds before a vector. */
const uint8_t *place_contents(const struct kind *kind);

/* Store that; pages that are only read are writable meanwhile. */
void fill_place(struct place *p);

/*
 * Try every vector: for the CPU that runs it, for an idle one, for one that is busy
 * with a thread of this process. Fail at the end if any did wrong.
 */
void check_place(const struct kind *kind);

#endif /* PLACE_H */

/* SPDX-License-Identifier: MIT */
#ifndef RACE_H
#define RACE_H

#include "threads.h"

/*
 * A race: threads of this process run vectors and sequences on a region of memory,
 * while a mutator does something to that memory, to the CPUs, or to this process. An
 * oracle says what must be true of the results and of the memory all the same.
 */
#define PAGE		4096
#define REGION_SIZE	(2 << 20)	/* one huge page */
#define NR_PAGES	16		/* the first ones, which vectors operate on */

/* What mutators are like. */
enum {
	HOLES		= 1 << 0,	/* memory is not accessible, or not writable, at times */
	DESTROYS	= 1 << 1,	/* what a page held is lost: it is zero after that */
	MAY_KEEP	= 1 << 2,	/* or not lost after all */
	WHOLE		= 1 << 3,	/* a step is not about one page */
	SHARED		= 1 << 4,	/* the region is a shared mapping of a file */
	OUTSIDE		= 1 << 5,	/* steps are made by another process */
	MACHINE		= 1 << 6,	/* changes the machine: only in a VM of ours */
};

struct region {
	uint8_t *at;		/* aligned to its size; no other mapping is near */
	int fd;			/* of the file, if it is SHARED */
	int busy, other;	/* the CPUs that vectors run for */
	pid_t pid;		/* whose memory it is */
};

struct mutator {
	const char *name;
	unsigned int flags;
	void (*prepare)(struct region *r);	/* before there is a thread; may skip */
	void (*map)(struct region *r);		/* when the region is there */
	/* Was there an effect? */
	bool (*step)(const struct region *r, int page, uint32_t *random);
	void (*finish)(struct region *r);	/* also when prepare() was cut short */
};

extern const struct mutator mutators[];
extern const size_t nr_mutators;

enum where { ANYWHERE, ON_BUSY, ON_OTHER };

struct role {
	void (*run)(struct worker *w);	/* w->arg is the race */
	int number;			/* of threads */
	enum where where;
};

struct race;

struct oracle {
	const char *name;
	bool (*fits)(const struct mutator *m);
	bool steps_pages;	/* a role makes the steps of mutators that are not WHOLE */
	void (*begin)(struct race *x);
	struct role roles[8];
	void (*before_step)(void);	/* in the process that makes the step */
	bool (*after_step)(void);
	void (*check)(struct race *x);	/* while nobody does anything */
};

extern const struct oracle counters_oracle, children_oracle, list_oracle, pages_oracle;

struct race {
	const struct oracle *oracle;
	const struct mutator *mutator;
	struct region region;
	bool holes;
	int target;		/* the busy CPU, or the other one, in turns */
	uint64_t done;			/* operations that were carried out */
	uint64_t steps, effects;	/* of the mutator */
};

/* Make a step; what the oracle finds wrong after it is noted for w. */
void mutate(struct race *x, struct worker *w, int page);

/*
 * Wait, now and then, and while nobody is to operate on the region: a CPU that runs
 * vectors all the time has hardly time for interrupts, and mutators send some.
 */
void take_turn(struct worker *w);

/* A page to operate on: some of them are left alone for a while. */
int pick_page(struct worker *w);

void *page_at(const struct race *x, int page);

/* Operations on words, which may not be accessible. */
struct cpu_op add_op(void *p, int64_t count);
struct cpu_op store_op(void *p, uint64_t value);
struct cpu_op copy_op(void *dst, const void *src);
struct cpu_op equal_op(const void *a, const void *b);
struct cpu_op equals_op(const void *p, uint64_t value);

#endif /* RACE_H */

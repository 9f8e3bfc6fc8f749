// SPDX-License-Identifier: MIT
#include <sys/mman.h>

#include "tally.h"
#include "wide.h"

#define SLOT_WORDS	16

/* Words of a slot; all others hold the canary. */
enum { LEFT = 2, COUNT = 5, RIGHT = 11 };

struct done {
	uint64_t sequences;
	uint64_t vectors;
};

struct tally {
	size_t size;			/* of the mapping */
	int cpus;
	int workers;
	intptr_t (*slots)[SLOT_WORDS];	/* [cpu] */
	struct done *done;		/* [worker * cpus + cpu] */
};

struct tally *new_tally(bool shared, int workers)
{
	int cpus = rseq_op_nr_cpus(), cpu, i;
	size_t slots = 4096, done = slots + (size_t)cpus * sizeof(intptr_t[SLOT_WORDS]);
	size_t size = done + (size_t)cpus * (size_t)workers * sizeof(struct done);
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
	struct tally *t = (struct tally *)(void *)p;

	assert_ptr_not_equal(p, MAP_FAILED);
	*t = (struct tally){ .size = size, .cpus = cpus, .workers = workers,
			     .slots = (void *)(p + slots), .done = (void *)(p + done) };
	for (cpu = 0; cpu < cpus; cpu++) {
		for (i = 0; i < SLOT_WORDS; i++)
			t->slots[cpu][i] = CANARY;
		t->slots[cpu][LEFT] = t->slots[cpu][COUNT] = t->slots[cpu][RIGHT] = 0;
	}
	return t;
}

void free_tally(struct tally *t)
{
	munmap(t, t->size);
}

static struct done *done_by(const struct tally *t, int worker, int cpu)
{
	return &t->done[worker * t->cpus + cpu];
}

int tally_sequence(struct tally *t, int worker, int cpu)
{
	intptr_t *count = &t->slots[cpu][COUNT];
	int ret = wide_increment(count, cpu, NULL) ? 0 : rseq_op_addv(count, 1, cpu);

	if (!ret)
		done_by(t, worker, cpu)->sequences++;
	return ret;
}

int tally_vector(struct tally *t, int worker, int cpu)
{
	intptr_t *slot = t->slots[cpu];
	const struct cpu_op ops[] = {
		cpu_op_compare_eq(&slot[LEFT], &slot[RIGHT], sizeof(*slot)),
		cpu_op_add(&slot[LEFT], sizeof(*slot), 1),
		cpu_op_add(&slot[COUNT], sizeof(*slot), 1),
		cpu_op_add(&slot[RIGHT], sizeof(*slot), 1),
	};
	int ret = rseq_op(ops, ARRAY_SIZE(ops), cpu, 0);

	if (!ret)
		done_by(t, worker, cpu)->vectors++;
	return ret;
}

uint64_t tally_done(const struct tally *t, int worker)
{
	uint64_t done = 0;
	int cpu;

	for (cpu = 0; cpu < t->cpus; cpu++)
		done += done_by(t, worker, cpu)->sequences + done_by(t, worker, cpu)->vectors;
	return done;
}

static struct done done_for(const struct tally *t, int cpu)
{
	struct done sum = { 0, 0 };
	int worker;

	for (worker = 0; worker < t->workers; worker++) {
		sum.sequences += done_by(t, worker, cpu)->sequences;
		sum.vectors += done_by(t, worker, cpu)->vectors;
	}
	return sum;
}

int tally_differences(const struct tally *t)
{
	int cpu, i, bad = 0;

	for (cpu = 0; cpu < t->cpus; cpu++) {
		struct done done = done_for(t, cpu);

		for (i = 0; i < SLOT_WORDS; i++) {
			uintptr_t is = (uintptr_t)t->slots[cpu][i], must_be = CANARY;

			if (i == LEFT || i == RIGHT)
				must_be = (uintptr_t)done.vectors;
			else if (i == COUNT)
				must_be = (uintptr_t)(done.vectors + done.sequences);
			if (is != must_be && bad++ < 8)
				print_error("# CPU %d, word %d: %lu, expected %lu\n", cpu, i,
					    (unsigned long)is, (unsigned long)must_be);
		}
	}
	return bad;
}

void check_tally(const struct tally *t)
{
	int cpu;

	for (cpu = 0; cpu < t->cpus; cpu++) {
		struct done done = done_for(t, cpu);

		if (done.sequences || done.vectors)
			print_message("# CPU %d: %lu sequences, %lu vectors\n", cpu,
				      (unsigned long)done.sequences, (unsigned long)done.vectors);
	}
	assert_int_equal(tally_differences(t), 0);
}

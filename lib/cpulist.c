// SPDX-License-Identifier: MIT
/*
 * Sets of CPUs, and the lists of them that the kernel writes: ranges such as "0-3,8-11".
 */
#include <string.h>

#include "internal.h"

#define LONG_BITS	(8 * sizeof(long))

void cpus_add(struct cpus *cpus, int cpu)
{
	cpus->bits[(size_t)cpu / LONG_BITS] |= 1UL << (size_t)cpu % LONG_BITS;
}

bool cpus_have(const struct cpus *cpus, int cpu)
{
	return cpus->bits[(size_t)cpu / LONG_BITS] >> (size_t)cpu % LONG_BITS & 1;
}

/* What has been read of a list so far. */
struct list {
	struct cpus *cpus;
	int number;		/* < 0: its first digit is still to come */
	int first;		/* of a range, < 0: there is none */
	enum { LIST_EMPTY, LIST_BEGUN, LIST_ENDED, LIST_WRONG } state;
};

static void list_begin(struct list *list, struct cpus *cpus)
{
	memset(cpus, 0, sizeof(*cpus));
	*list = (struct list){ .cpus = cpus, .number = -1, .first = -1, .state = LIST_EMPTY };
}

/* Numbers that the library cannot serve are all one. */
static void add_digit(struct list *list, char c)
{
	if (list->number < 0)
		list->number = 0;
	if (list->number < RSEQ_OP_CPU_MAX)
		list->number = 10 * list->number + c - '0';
}

/* Adds the number or the range that has just ended. False if there is none. */
static bool add_range(struct list *list)
{
	int cpu = list->first < 0 ? list->number : list->first;

	if (list->number < 0)
		return false;
	for (; cpu <= list->number && cpu < RSEQ_OP_CPU_MAX; cpu++)
		cpus_add(list->cpus, cpu);
	list->number = list->first = -1;
	return true;
}

/*
 * The next character. The list ends with its line: the kernel cuts off a list that is longer
 * than a page, and such a list has no end of line.
 */
static void list_read(struct list *list, char c)
{
	bool empty = list->state == LIST_EMPTY;

	if (list->state >= LIST_ENDED)
		return;
	list->state = LIST_BEGUN;
	if (c >= '0' && c <= '9') {
		add_digit(list, c);
	} else if (c == '-' && list->number >= 0 && list->first < 0) {
		list->first = list->number;
		list->number = -1;
	} else {
		bool added = add_range(list);

		if (c == '\n' && (added || empty))
			list->state = LIST_ENDED;
		else if (c != ',' || !added)
			list->state = LIST_WRONG;
	}
}

bool cpus_parse(struct cpus *cpus, const char *s)
{
	struct list list;

	list_begin(&list, cpus);
	while (*s)
		list_read(&list, *s++);
	return list.state == LIST_ENDED;
}

bool cpus_read(struct cpus *cpus, long fd)
{
	struct list list;
	char buf[64];
	long i, n, offset;

	list_begin(&list, cpus);
	for (offset = 0; (n = raw_pread(fd, buf, sizeof(buf), offset)) > 0; offset += n) {
		for (i = 0; i < n; i++)
			list_read(&list, buf[i]);
	}
	return list.state == LIST_ENDED;
}

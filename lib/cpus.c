// SPDX-License-Identifier: MIT
/*
 * Which CPUs there are: /sys/devices/system/cpu/possible, a list of ranges such
 * as "0-3,8-11", fixed at boot. Neither _SC_NPROCESSORS_CONF nor the affinity
 * mask will do: the numbers may have gaps, and CPUs may come later.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "internal.h"

#define LONG_BITS	(8 * sizeof(long))

static bool possible[RSEQ_OP_CPU_MAX];
static int nr_cpus;

static size_t read_file(const char *path, char *buf, size_t size)
{
	long fd = raw_syscall(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
	size_t len = 0;
	long n;

	if (fd < 0)
		return 0;
	do {
		n = raw_syscall(SYS_read, fd, (long)(buf + len), (long)(size - 1 - len), 0, 0, 0);
		if (n > 0)
			len += (size_t)n;
	} while (n > 0);
	raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
	buf[len] = '\0';
	return len;
}

static int parse_number(const char **s)
{
	int n = 0;

	while (**s >= '0' && **s <= '9' && n < RSEQ_OP_CPU_MAX)
		n = 10 * n + *(*s)++ - '0';
	return n;
}

/* Ranges of a list, one after the other; false at its end. */
static bool next_range(const char **s, int *first, int *last)
{
	if (**s < '0' || **s > '9')
		return false;
	*first = *last = parse_number(s);
	if (**s == '-') {
		++*s;
		*last = parse_number(s);
	}
	if (**s == ',')
		++*s;
	return true;
}

static void add_range(int first, int last)
{
	int cpu;

	for (cpu = first; cpu <= last && cpu < RSEQ_OP_CPU_MAX; cpu++) {
		possible[cpu] = true;
		nr_cpus = cpu + 1;
	}
}

/* Without a list there, every number is taken for a CPU: the kernel knows better. */
void cpus_init(void)
{
	char buf[4096];
	const char *s = buf;
	int first, last;

	if (!read_file("/sys/devices/system/cpu/possible", buf, sizeof(buf)))
		buf[0] = '\0';
	while (next_range(&s, &first, &last))
		add_range(first, last);
	if (!nr_cpus)
		add_range(0, RSEQ_OP_CPU_MAX - 1);
}

static void parse_list(struct cpus *cpus, const char *s)
{
	int cpu, first, last;

	while (next_range(&s, &first, &last)) {
		for (cpu = first; cpu <= last && cpu < RSEQ_OP_CPU_MAX; cpu++)
			cpus_add(cpus, cpu);
	}
}

/* Where the list cannot be read, all are. */
void cpus_read_online(struct cpus *online)
{
	char buf[4096];

	memset(online, 0, sizeof(*online));
	if (!read_file("/sys/devices/system/cpu/online", buf, sizeof(buf)))
		memset(online, 0xff, sizeof(*online));
	else
		parse_list(online, buf);
}

void cpus_add(struct cpus *cpus, int cpu)
{
	cpus->bits[(size_t)cpu / LONG_BITS] |= 1UL << (size_t)cpu % LONG_BITS;
}

bool cpus_have(const struct cpus *cpus, int cpu)
{
	return cpus->bits[(size_t)cpu / LONG_BITS] >> (size_t)cpu % LONG_BITS & 1;
}

bool cpus_possible(int cpu)
{
	return cpu >= 0 && cpu < RSEQ_OP_CPU_MAX && possible[cpu];
}

int rseq_op_cpu_possible(int cpu)
{
	return cpus_possible(cpu);
}

int rseq_op_nr_cpus(void)
{
	return nr_cpus;
}

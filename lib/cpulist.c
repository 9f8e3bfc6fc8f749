// SPDX-License-Identifier: MIT
/*
 * Sets of CPUs, and the lists of them that the kernel writes: ranges such as "0-3,8-11".
 */
#include <fcntl.h>
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

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Numbers that the library cannot serve are all one. */
static bool parse_number(const char **s, int *n)
{
	if (!is_digit(**s))
		return false;
	for (*n = 0; is_digit(**s); ++*s) {
		if (*n < RSEQ_OP_CPU_MAX)
			*n = 10 * *n + **s - '0';
	}
	return true;
}

static bool parse_range(const char **s, struct cpus *cpus)
{
	int cpu, last;

	if (!parse_number(s, &cpu))
		return false;
	last = cpu;
	if (**s == '-') {
		++*s;
		if (!parse_number(s, &last))
			return false;
	}
	for (; cpu <= last && cpu < RSEQ_OP_CPU_MAX; cpu++)
		cpus_add(cpus, cpu);
	return true;
}

/* The kernel, too, cuts off a list that is longer than a page: without a line's end. */
bool cpus_parse(struct cpus *cpus, const char *s)
{
	memset(cpus, 0, sizeof(*cpus));
	if (*s == '\n')
		return true;
	while (parse_range(&s, cpus)) {
		if (*s != ',')
			return *s == '\n';
		s++;
	}
	return false;
}

bool cpus_read(struct cpus *cpus, const char *path)
{
	char buf[4096];

	return read_file(path, buf, sizeof(buf)) && cpus_parse(cpus, buf);
}

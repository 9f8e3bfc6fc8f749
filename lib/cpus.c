// SPDX-License-Identifier: MIT
/*
 * Which CPUs there are: /sys/devices/system/cpu/possible, fixed at boot. Neither
 * _SC_NPROCESSORS_CONF nor the affinity mask will do: the numbers may have gaps, and CPUs
 * may come later.
 */
#include <fcntl.h>
#include <string.h>

#include "internal.h"

#define PATH_SIZE	64

/*
 * LIST is the kernel's list. GUESS replaces it where it cannot be read, or where another file is
 * mounted over it: every number that the kernel's sets of CPUs have room for. A list that left out
 * a CPU would make rseq_op_nr_cpus() too small for tables that callers index by a CPU number.
 *
 * Several threads may store a set at once; all of them store the same. The first thread that has
 * stored one decides which of the two counts.
 */
enum source { UNKNOWN, LIST, GUESS };

static struct cpus possible[3];
static _Atomic int source;

/* Until it is known, no CPU number is out of the range of a table of all. */
int rseq_op_cpus = RSEQ_OP_CPU_MAX;

bool cpus_read_sysfs(struct cpus *cpus, const char *name)
{
	char path[PATH_SIZE] = "/sys";
	bool read;
	long fd;

	strcat(path, name);
	fd = raw_syscall(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
	if (fd < 0)
		return false;
	read = mount_is_sysfs(fd, path, name) && cpus_read(cpus, fd);
	raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
	return read;
}

static void guess(struct cpus *cpus)
{
	long size = probe(SYS_sched_getaffinity, 0, sizeof(*cpus), (long)cpus, 0);

	memset(cpus, 0, sizeof(*cpus));
	memset(cpus, 0xff, size > 0 && size <= (long)sizeof(*cpus) ? (size_t)size : sizeof(*cpus));
}

static void publish(enum source from, const struct cpus *cpus)
{
	int unknown = UNKNOWN;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cpus->bits); i++)
		__atomic_store_n(&possible[from].bits[i], cpus->bits[i], __ATOMIC_RELAXED);
	atomic_compare_exchange_strong(&source, &unknown, (int)from);
}

void cpus_init(void)
{
	struct cpus cpus;
	int n = RSEQ_OP_CPU_MAX;

	if (cpus_read_sysfs(&cpus, "/devices/system/cpu/possible")) {
		publish(LIST, &cpus);
	} else {
		guess(&cpus);
		publish(GUESS, &cpus);
	}
	while (n && !cpus_possible(n - 1))
		n--;
	__atomic_store_n(&rseq_op_cpus, n, __ATOMIC_RELAXED);
}

bool cpus_possible(int cpu)
{
	int from = atomic_load_explicit(&source, memory_order_acquire);

	return cpu >= 0 && cpu < RSEQ_OP_CPU_MAX && cpus_have(&possible[from], cpu);
}

bool cpus_are_listed(void)
{
	return atomic_load_explicit(&source, memory_order_relaxed) == LIST;
}

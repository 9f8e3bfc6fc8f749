// SPDX-License-Identifier: MIT
/*
 * Which CPUs there are: /sys/devices/system/cpu/possible, fixed at boot. Neither
 * _SC_NPROCESSORS_CONF nor the affinity mask will do: the numbers may have gaps, and CPUs
 * may come later.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/vfs.h>

#include "internal.h"

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

/*
 * The file has to be in the same mount as /sys, so another file that is mounted over it, or over a
 * directory on the way, is not opened (EXDEV). openat2(2) needs Linux 5.6, and filters that are
 * older than that refuse it. Then a plain openat(2) opens whatever is there.
 */
static long open_below_sys(const char *name)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
	};
	long sys = raw_syscall(SYS_openat, AT_FDCWD, (long)"/sys",
			       O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0, 0);
	long fd;

	if (sys < 0)
		return sys;
	fd = probe(SYS_openat2, sys, (long)name, (long)&how, sizeof(how));
	if (fd == -ENOSYS || fd == -EPERM)
		fd = raw_syscall(SYS_openat, sys, (long)name, O_RDONLY | O_CLOEXEC, 0, 0, 0);
	raw_syscall(SYS_close, sys, 0, 0, 0, 0, 0);
	return fd;
}

static bool is_in_sysfs(long fd)
{
	struct statfs fs;

	return !probe(SYS_fstatfs, fd, (long)&fs, 0, 0) && fs.f_type == SYSFS_MAGIC;
}

bool cpus_read_sysfs(struct cpus *cpus, const char *name)
{
	long fd = open_below_sys(name);
	bool read;

	if (fd < 0)
		return false;
	read = is_in_sysfs(fd) && cpus_read(cpus, fd);
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

	if (cpus_read_sysfs(&cpus, "devices/system/cpu/possible")) {
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

int rseq_op_cpu_possible(int cpu)
{
	library_ready();
	return cpus_possible(cpu);
}

int rseq_op_nr_cpus(void)
{
	library_ready();
	return rseq_op_cpus;
}

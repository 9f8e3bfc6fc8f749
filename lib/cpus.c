// SPDX-License-Identifier: MIT
/*
 * Which CPUs there are: /sys/devices/system/cpu/possible, fixed at boot. Neither
 * _SC_NPROCESSORS_CONF nor the affinity mask will do: the numbers may have gaps, and CPUs
 * may come later.
 */
#include <string.h>

#include "internal.h"

#define FOLDER		"/sys/devices/system/cpu/"

static struct cpus possible;
int rseq_op_cpus;

/* Every number that the kernel's sets of CPUs have room for. */
static void cpus_guess(struct cpus *cpus)
{
	long size = raw_syscall(SYS_sched_getaffinity, 0, sizeof(*cpus), (long)cpus, 0, 0, 0);

	memset(cpus, 0, sizeof(*cpus));
	memset(cpus, 0xff, size > 0 && size <= (long)sizeof(*cpus) ? (size_t)size : sizeof(*cpus));
}

/* Without a list there, numbers are taken for CPUs that may be none. */
void cpus_init(void)
{
	if (!cpus_read(&possible, FOLDER "possible"))
		cpus_guess(&possible);
	rseq_op_cpus = RSEQ_OP_CPU_MAX;
	while (rseq_op_cpus && !cpus_have(&possible, rseq_op_cpus - 1))
		rseq_op_cpus--;
}

bool cpus_possible(int cpu)
{
	return cpu >= 0 && cpu < RSEQ_OP_CPU_MAX && cpus_have(&possible, cpu);
}

int rseq_op_cpu_possible(int cpu)
{
	return cpus_possible(cpu);
}

int rseq_op_nr_cpus(void)
{
	return rseq_op_cpus;
}

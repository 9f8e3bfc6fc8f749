// SPDX-License-Identifier: MIT
/*
 * The CPUs that this process may use, as they were when it started.
 */
#include <errno.h>
#include <stdlib.h>

#include "rseq-op.h"

static cpu_set_t *allowed;
static size_t allowed_size;
static int list[RSEQ_OP_CPU_MAX];
static int nr;

/* The kernel refuses a mask that is smaller than its own. */
void cpus_read_allowed(void)
{
	int cpu;

	allowed_size = CPU_ALLOC_SIZE(RSEQ_OP_CPU_MAX);
	allowed = CPU_ALLOC(RSEQ_OP_CPU_MAX);
	if (!allowed || sched_getaffinity(0, allowed_size, allowed))
		return;
	for (cpu = 0; cpu < RSEQ_OP_CPU_MAX; cpu++) {
		if (CPU_ISSET_S(cpu, allowed_size, allowed))
			list[nr++] = cpu;
	}
}

int cpus_nr_allowed(void)
{
	return nr;
}

int cpus_allowed(int n)
{
	return list[n];
}

int cpus_pin(int cpu)
{
	cpu_set_t *set = CPU_ALLOC(RSEQ_OP_CPU_MAX);
	int ret;

	if (!set)
		return -ENOMEM;
	CPU_ZERO_S(allowed_size, set);
	CPU_SET_S(cpu, allowed_size, set);
	ret = sched_setaffinity(0, allowed_size, set) ? -errno : 0;
	CPU_FREE(set);
	return ret;
}

void cpus_unpin(void)
{
	sched_setaffinity(0, allowed_size, allowed);
}

// SPDX-License-Identifier: MIT
/*
 * Vectors of the caller's own making.
 */
#include <errno.h>

#include "internal.h"

int rseq_op(const struct cpu_op *ops, unsigned int nr_ops, int cpu, unsigned int flags)
{
	if (flags || !cpus_possible(cpu))
		return -EINVAL;
	count(COUNT_VECTOR);
	return backend_run(BY_CPU)(ops, nr_ops, (struct place){ BY_CPU, cpu }, false);
}

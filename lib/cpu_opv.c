// SPDX-License-Identifier: MIT
/*
 * The backend that is the system call.
 */
#include <errno.h>

#include <rseq_op/cpu_op.h>

#include "internal.h"

static long cpu_opv(const struct cpu_op *ops, unsigned int nr_ops, int cpu, unsigned int flags)
{
	return raw_syscall(__NR_cpu_opv, (long)ops, nr_ops, cpu, flags, 0, 0);
}

int cpu_opv_run(const struct cpu_op *ops, unsigned int nr_ops, struct place at, bool trusted)
{
	long ret;

	(void)trusted;	/* the kernel trusts nobody */
	do {
		ret = cpu_opv(ops, nr_ops, at.index, 0);
	} while (ret == -EINTR);	/* the signal has been taken, nothing done */
	return (int)ret;
}

/*
 * 0, or -errno where the call, or an operation that we use, is not there. Asked once. A kernel
 * without rseq(2) cannot have cpu_opv(2), so it is not asked: valgrind, which has no rseq(2),
 * would print that it does not know the call.
 */
int cpu_opv_probe(void)
{
	static _Atomic int answer = 1;
	int ret = atomic_load_explicit(&answer, memory_order_relaxed);
	long nr;

	if (ret > 0) {
		nr = rseq_missing() ? -ENOSYS : probe(__NR_cpu_opv, 0, 0, 0, CPU_OP_NR_FLAG);
		ret = nr < 0 ? (int)nr : nr >= NR_CPU_OPS ? 0 : -ENOSYS;
		atomic_store_explicit(&answer, ret, memory_order_relaxed);
	}
	return ret;
}

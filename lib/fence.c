// SPDX-License-Identifier: MIT
/*
 * Fences. When a fence returns 0, every sequence of this process that began before the fence, on
 * one CPU or on any CPU, has committed or will abort, and the caller sees what was committed.
 *
 * There are three methods. membarrier(2) interrupts each CPU that runs a thread of the process, and
 * makes that thread abort its sequence. A thread that does not run was preempted, and aborts when
 * it runs again. An empty vector of cpu_opv(2) does the same for one CPU. affinity.c has the third
 * method. Where no method works, no thread may run a sequence at all. The library must know that
 * before the first sequence, so no CPU is open to sequences until the method is chosen.
 */
#include <errno.h>
#include <linux/membarrier.h>

#include "internal.h"

static long membarrier(int cmd, unsigned int flags, int cpu)
{
	return raw_syscall(SYS_membarrier, cmd, flags, cpu, 0, 0, 0);
}

static bool has_rseq_command(long commands)
{
	return commands >= 0 && commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ;
}

bool fence_membarrier_still_works(void)
{
	return has_rseq_command(probe_again(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0, 0));
}

static enum fence_method choose(void)
{
	if (config.backend == RSEQ_OP_BACKEND_GUARD)
		return FENCE_NOTHING;
	if (config.backend == RSEQ_OP_BACKEND_AFFINITY)
		return affinity_works() ? FENCE_AFFINITY : FENCE_NOTHING;
	if (has_rseq_command(probe(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0, 0)))
		return FENCE_MEMBARRIER;
	if (!cpu_opv_probe())
		return FENCE_KERNEL;
	if (rseq_works() && affinity_works())
		return FENCE_AFFINITY;
	return FENCE_NOTHING;
}

#define NOT_CHOSEN	(-1)

static _Atomic int method = NOT_CHOSEN;

/* Threads that choose at once may differ, if a filter arrives meanwhile: the first one decides. */
void fence_init(void)
{
	int none = NOT_CHOSEN;

	atomic_compare_exchange_strong(&method, &none, (int)choose());
}

enum fence_method fence_method(void)
{
	return (enum fence_method)atomic_load_explicit(&method, memory_order_relaxed);
}

/*
 * Several threads may register the process at once: a second registration does no harm. The call
 * goes through probe_again(): a filter that kills may have been installed since the library was loaded.
 */
int fence_register(void)
{
	static _Atomic int registered = 1;	/* 1: not tried */
	int ret = atomic_load_explicit(&registered, memory_order_relaxed);

	if (ret > 0 && fence_method() == FENCE_MEMBARRIER) {
		ret = (int)probe_again(SYS_membarrier,
				       MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0, 0);
		DELAY_POINT();
		if (ret != -ENOMEM)	/* temporary: try again */
			atomic_store_explicit(&registered, ret, memory_order_relaxed);
	}
	return ret;
}

/*
 * True: the process has been restored from a checkpoint on a machine with other possible CPUs. The
 * arrays of the program and the tables of the library were made for the first machine, and what the
 * library knows of the kernel may be wrong. So each operation that needs the backend fails.
 * Sequences for the CPUs of the first machine still run: they exclude each other on any machine,
 * and nothing else changes their data any more. The other CPUs have no open tag.
 */
static _Atomic bool moved;

bool fence_moved(void)
{
	return atomic_load_explicit(&moved, memory_order_relaxed);
}

static bool has_other_cpus(void)
{
	struct cpus possible;
	int cpu;

	if (!cpus_are_listed() || !cpus_read_sysfs(&possible, "/devices/system/cpu/possible"))
		return false;
	for (cpu = 0; cpu < RSEQ_OP_CPU_MAX; cpu++) {
		if (cpus_have(&possible, cpu) != cpus_possible(cpu))
			return true;
	}
	return false;
}

static int membarrier_rseq(struct place at)
{
	if (at.by == BY_CID)
		return (int)membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0);
	return (int)membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU,
			       at.index);
}

/*
 * EPERM has two possible causes in a registered process: a filter, or a restore from a checkpoint
 * that lost the registration (some versions of CRIU). If a new registration helps, it was a
 * restore.
 */
static int fence_by_membarrier(struct place at)
{
	int ret = membarrier_rseq(at);

	if (ret != -EPERM ||
	    membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0))
		return ret;
	DELAY_POINT();
	ret = membarrier_rseq(at);
	if (!ret && has_other_cpus()) {
		atomic_store_explicit(&moved, true, memory_order_relaxed);
		ret = -ENOTRECOVERABLE;
	}
	return ret;
}

/* A thread with a given concurrency ID may run on any CPU, so fence all CPUs. */
static int fence_by_kernel(struct place at)
{
	int cpu, ret = 0;

	if (at.by == BY_CPU)
		return cpu_opv_run(NULL, 0, at, false);
	for (cpu = 0; cpu < rseq_op_cpus && !ret; cpu++) {
		if (cpus_possible(cpu))
			ret = cpu_opv_run(NULL, 0, (struct place){ BY_CPU, cpu }, false);
		if (ret == -EINVAL && !cpus_are_listed())	/* there is no such CPU */
			ret = 0;
	}
	return ret;
}

int fence(struct place at)
{
	if (fence_moved())
		return -ENOTRECOVERABLE;
	switch (fence_method()) {
	case FENCE_MEMBARRIER:
		return fence_register() ?: fence_by_membarrier(at);
	case FENCE_KERNEL:
		return fence_by_kernel(at);
	case FENCE_AFFINITY:
		return affinity_fence(at);
	default:
		atomic_thread_fence(memory_order_seq_cst);	/* guard.c, scenario C: (g) */
		return 0;
	}
}

int fence_all(void)
{
	return fence((struct place){ BY_CID, 0 });
}

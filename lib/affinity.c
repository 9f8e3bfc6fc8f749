// SPDX-License-Identifier: MIT
/*
 * The fence of a kernel without membarrier(2) for restartable sequences (Linux 4.18 to
 * 5.9, or a filter that refuses it): to run on a CPU, if only for a moment.
 *
 *	sequence on CPU n		who waits, on any CPU
 *					tag: CLOSED, scenario A: (a)
 *					sched_setaffinity({ n }): runs on n
 *					sched_setaffinity(as before)
 *
 * Two threads cannot run on one CPU: when the call returns, whoever was in a sequence
 * there has been preempted, and aborts when it goes on. The switch of threads orders
 * memory as membarrier(2) does. On a CPU that is offline nobody runs, and who did has been
 * moved, and aborts, too.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "internal.h"

#define PAUSE_MS	2
#define WAIT_MS		500

static long get_mask(struct cpus *mask)
{
	return raw_syscall(SYS_sched_getaffinity, 0, sizeof(*mask), (long)mask, 0, 0, 0);
}

static long set_mask(const struct cpus *mask)
{
	return raw_syscall(SYS_sched_setaffinity, 0, sizeof(*mask), (long)mask, 0, 0, 0);
}

static int count_cpus(const struct cpus *mask)
{
	int cpu, n = 0;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++)
		n += cpus_have(mask, cpu);
	return n;
}

/* Another thread's sched_setaffinity() may have come first: then the kernel says 0, too. */
static bool runs_on(int cpu)
{
	unsigned int here;

	return !raw_syscall(SYS_getcpu, (long)&here, 0, 0, 0, 0, 0) && here == (unsigned int)cpu;
}

static bool is_offline(int cpu)
{
	struct cpus online;

	cpus_read_online(&online);
	return !cpus_have(&online, cpu);
}

static void pause_for_a_moment(void)
{
	struct timespec moment = { 0, PAUSE_MS * 1000000L };

	raw_syscall(SYS_nanosleep, (long)&moment, 0, 0, 0, 0, 0);
}

/*
 * The kernel says EINVAL for a CPU that is offline, and for one that the cpuset has not:
 * but also for one that is coming up, or going down, until its scheduler and the cpuset
 * have heard of it.
 */
static int visit(int cpu)
{
	struct cpus mask = { { 0 } };
	int waited;
	long ret;

	cpus_add(&mask, cpu);
	for (waited = 0; waited < WAIT_MS; waited += PAUSE_MS) {
		ret = set_mask(&mask);
		if (!ret && runs_on(cpu))
			return 0;
		if (ret == -EINVAL && is_offline(cpu))
			return 0;
		if (ret && ret != -EINVAL)
			break;
		pause_for_a_moment();
	}
	return -EPERM;
}

static int visit_all(void)
{
	int cpu, ret = 0;

	for (cpu = 0; cpu < rseq_op_nr_cpus() && !ret; cpu++) {
		if (cpus_possible(cpu))
			ret = visit(cpu);
	}
	return ret;
}

/* CPUs that are offline are not in what the kernel says; the thread may have had them. */
static void add_offline(struct cpus *mask)
{
	struct cpus online;
	int cpu;

	cpus_read_online(&online);
	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		if (cpus_possible(cpu) && !cpus_have(&online, cpu))
			cpus_add(mask, cpu);
	}
}

/* But not where somebody else has said meanwhile where the thread is to run. */
static void restore(struct cpus *mask)
{
	struct cpus now = { { 0 } };

	if (get_mask(&now) > 0 && count_cpus(&now) != 1)
		return;
	add_offline(mask);
	if (!set_mask(mask))
		return;
	memset(mask, 0xff, sizeof(*mask));
	set_mask(mask);
}

int affinity_fence(struct place at)
{
	struct cpus before = { { 0 } };
	uint64_t signals;
	long ret;

	block_signals(&signals);
	ret = get_mask(&before);
	if (ret > 0) {
		ret = at.by == BY_CPU ? visit(at.index) : visit_all();
		restore(&before);
	}
	restore_signals(&signals);
	return (int)ret;
}

/* All CPUs must be within reach: in a cpuset they are not. */
bool affinity_works(void)
{
	struct cpus mask = { { 0 } };

	return probe(SYS_sched_getaffinity, 0, sizeof(mask), (long)&mask, 0) >= 0 &&
	       get_mask(&mask) > 0 &&
	       !probe(SYS_sched_setaffinity, 0, sizeof(mask), (long)&mask, 0) &&
	       !affinity_fence((struct place){ BY_CID, 0 });
}

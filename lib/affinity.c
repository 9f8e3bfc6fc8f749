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

#define NOWHERE		(-1)

/*
 * Where the calling thread may run. The system call leaves out CPUs that are offline now,
 * which the thread would lose for good.
 */
static bool get_mask(struct cpus *mask)
{
	if (cpus_read(mask, "/proc/thread-self/status", "\nCpus_allowed_list:\t"))
		return true;
	memset(mask, 0, sizeof(*mask));
	return raw_syscall(SYS_sched_getaffinity, 0, sizeof(*mask), (long)mask, 0, 0, 0) > 0;
}

static long set_mask(const struct cpus *mask)
{
	return raw_syscall(SYS_sched_setaffinity, 0, sizeof(*mask), (long)mask, 0, 0, 0);
}

static long set_cpu(int cpu)
{
	struct cpus mask = { { 0 } };

	cpus_add(&mask, cpu);
	return set_mask(&mask);
}

static bool same(const struct cpus *a, const struct cpus *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static bool only(const struct cpus *mask, int cpu)
{
	struct cpus alone = { { 0 } };

	cpus_add(&alone, cpu);
	return same(mask, &alone);
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
static int visit(int cpu, int *visited)
{
	int waited;
	long ret;

	for (waited = 0; waited < WAIT_MS; waited += PAUSE_MS) {
		ret = set_cpu(cpu);
		if (!ret)
			*visited = cpu;
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

static int visit_all(int *visited)
{
	int cpu, ret = 0;

	for (cpu = 0; cpu < rseq_op_nr_cpus() && !ret; cpu++) {
		if (cpus_possible(cpu))
			ret = visit(cpu, visited);
	}
	return ret;
}

static void add_all(struct cpus *mask)
{
	memset(mask, 0xff, sizeof(*mask));
}

/* May the thread run wherever its cpuset allows? Afterwards it may. */
static bool had_all(const struct cpus *mask)
{
	struct cpus all;

	add_all(&all);
	return !set_mask(&all) && get_mask(&all) && same(&all, mask);
}

/*
 * Where the mask is not what the visit set, another thread has said meanwhile where this
 * one is to run, and that stands; or the cpuset has lost the visited CPU, which shows in
 * that it cannot be visited again. When it has none of the wanted CPUs, all it has will do.
 */
static void restore(struct cpus *wanted, int visited)
{
	struct cpus now;

	if (visited != NOWHERE && get_mask(&now) && !only(&now, visited) && !set_cpu(visited))
		*wanted = now;
	if (!set_mask(wanted))
		return;
	add_all(wanted);
	set_mask(wanted);
}

/* Who had all CPUs of the cpuset is to have those, too, that it gets later. */
int affinity_fence(struct place at)
{
	int visited = NOWHERE, ret = -EPERM;
	struct cpus wanted;
	uint64_t signals;

	block_signals(&signals);
	if (get_mask(&wanted)) {
		if (had_all(&wanted))
			add_all(&wanted);
		ret = at.by == BY_CPU ? visit(at.index, &visited) : visit_all(&visited);
		DELAY_POINT();
		restore(&wanted, visited);
	}
	restore_signals(&signals);
	return ret;
}

/* All CPUs must be within reach: in a cpuset they are not. */
bool affinity_works(void)
{
	struct cpus mask = { { 0 } };

	return probe(SYS_sched_getaffinity, 0, sizeof(mask), (long)&mask, 0) >= 0 &&
	       !probe(SYS_sched_setaffinity, 0, sizeof(mask), (long)&mask, 0) &&
	       !affinity_fence((struct place){ BY_CID, 0 });
}

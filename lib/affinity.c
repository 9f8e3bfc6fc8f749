// SPDX-License-Identifier: MIT
/*
 * The fence of a kernel without membarrier(2) for restartable sequences (Linux 4.18 to
 * 5.9, or a filter that refuses it): to run on a CPU, if only for a moment.
 *
 *	sequence on CPU n		who waits, on any CPU
 *					tag: CLOSED, scenario A: (a)
 *					a thread, the visitor: clone(2)
 *						sched_setaffinity({ n }): runs on n
 *						ends
 *					futex(2): until it has ended
 *
 * Two threads cannot run on one CPU: when the call returns, whoever was in a sequence
 * there has been preempted, and aborts when it goes on. The switch of threads orders
 * memory as membarrier(2) does. On a CPU that is offline nobody runs, and who did has been
 * moved, and aborts, too.
 *
 * Who waits does not go there itself: it could not tell, on its return, whether its own
 * mask was to be as before, or had been changed by another thread, or by its cpuset.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <time.h>

#include "internal.h"

#define PAUSE_MS	2
#define WAIT_MS		500

#define THREAD_FLAGS	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | \
			 CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

/* A visitor makes three system calls, and no signal handler runs on its stack. */
#define STACK_SIZE	512

struct visitor {
	struct cpus mask;
	_Atomic int tid;		/* 0 when it needs its stack no more */
	unsigned int cpu;		/* where it came to run */
	int error;			/* of its sched_setaffinity(): 0 or -errno */
};

/* The thread shares errno with the waiting thread, and its stack is small: no call of libc. */
__attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))
static void visit(void *arg)
{
	struct visitor *v = arg;

	v->error = (int)raw_syscall(SYS_sched_setaffinity, 0, sizeof(v->mask), (long)&v->mask,
				    0, 0, 0);
	if (!v->error)
		raw_syscall(SYS_getcpu, (long)&v->cpu, 0, 0, 0, 0, 0);
	raw_syscall(SYS_exit, 0, 0, 0, 0, 0, 0);
}

static void pause_for_a_moment(void)
{
	struct timespec moment = { 0, PAUSE_MS * 1000000L };

	raw_syscall(SYS_nanosleep, (long)&moment, 0, 0, 0, 0, 0);
}

/* For a while it still counts as a thread, and unshare(2) may ask that there is one only. */
static void wait_until_gone(long tid)
{
	long pid = raw_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
	int tries;

	for (tries = 0; !raw_syscall(SYS_tgkill, pid, tid, 0, 0, 0, 0); tries++) {
		if (tries >= 100)
			pause_for_a_moment();
	}
}

/* Returns 0 or -errno: -EAGAIN for one that was sent elsewhere meanwhile, by anybody. */
static __attribute__((noinline)) int send_visitor(int cpu)
{
	struct visitor v = { .cpu = (unsigned int)-1 };
	_Alignas(16) char stack[STACK_SIZE];
	long tid;

	cpus_add(&v.mask, cpu);
	tid = raw_clone(THREAD_FLAGS, stack + sizeof(stack), &v.tid, visit, &v);
	if (tid < 0)
		return (int)tid;
	while (atomic_load(&v.tid))
		raw_syscall(SYS_futex, (long)&v.tid, FUTEX_WAIT, tid, 0, 0, 0);
	wait_until_gone(tid);
	return v.error ? v.error : v.cpu == (unsigned int)cpu ? 0 : -EAGAIN;
}

/*
 * Only the kernel itself is believed: a fence that is skipped for a CPU that is online loses
 * updates. A container may see a list of its own there, which leaves out CPUs that are online;
 * lxcfs mounts such a file. A file of sysfs has the kernel's list in every container.
 *
 * No system call tells an offline CPU from one outside the cpuset. sched_getaffinity(2) leaves
 * out a CPU that is going down, too, while a thread may still be in a sequence there. The
 * kernel takes the CPU out of this list when all threads have left it.
 */
static bool is_offline(int cpu)
{
	struct cpus online;

	return cpus_read_sysfs(&online, "/sys/devices/system/cpu/online") &&
	       !cpus_have(&online, cpu);
}

/*
 * The kernel says EINVAL for a CPU that is offline, and for one that the cpuset has not:
 * but also for one that is coming up, or going down, until its scheduler and the cpuset
 * have heard of it. EAGAIN may also mean that there are too many threads just now.
 */
static int visit_cpu(int cpu)
{
	int waited, ret;

	for (waited = 0; waited < WAIT_MS; waited += PAUSE_MS) {
		ret = send_visitor(cpu);
		if (!ret || (ret == -EINVAL && is_offline(cpu)))
			return 0;
		if (ret != -EINVAL && ret != -EAGAIN)
			break;
		pause_for_a_moment();
	}
	return -EPERM;
}

static int visit_all(void)
{
	int cpu, ret = 0;

	for (cpu = 0; cpu < rseq_op_cpus && !ret; cpu++) {
		if (cpus_possible(cpu))
			ret = visit_cpu(cpu);
	}
	return ret;
}

/* A visitor has no signals, as it has no stack for them. */
int affinity_fence(struct place at)
{
	uint64_t signals;
	int ret;

	block_signals(&signals);
	ret = at.by == BY_CPU ? visit_cpu(at.index) : visit_all();
	restore_signals(&signals);
	return ret;
}

/* All CPUs must be within reach: in a cpuset they are not. */
bool affinity_works(void)
{
	struct cpus mask = { { 0 } };

	return probe(SYS_sched_getaffinity, 0, sizeof(mask), (long)&mask, 0) >= 0 &&
	       !probe(SYS_sched_setaffinity, 0, sizeof(mask), (long)&mask, 0) &&
	       !probe(SYS_getcpu, 0, 0, 0, 0) &&
	       !affinity_fence((struct place){ BY_CID, 0 });
}

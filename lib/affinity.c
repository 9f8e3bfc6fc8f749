// SPDX-License-Identifier: MIT
/*
 * The fence where membarrier(2) has no command for restartable sequences (Linux 4.18 to 5.9), or
 * where a filter refuses membarrier(2): a thread runs on the CPU for a moment.
 *
 *	sequence on CPU n		caller of the fence, on any CPU
 *					tag: CLOSED, guard.c, A: (a)
 *					a thread, the visitor: clone(2)
 *						sched_setaffinity({ n }): runs on n
 *						ends
 *					futex(2): waits until the visitor has ended
 *
 * Two threads cannot run on one CPU at a time. So when the visitor has ended, a thread that was in
 * a sequence on CPU n has been preempted, and aborts when it runs again. The switch of threads
 * orders memory as membarrier(2) does. No thread runs on an offline CPU. A thread that was in a
 * sequence there has been moved to another CPU, and aborts, too.
 *
 * The caller does not move to CPU n itself: it would have to restore its affinity mask afterwards,
 * and could not tell whether another thread or the cpuset had changed the mask meanwhile.
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
	_Atomic int tid;		/* the kernel stores 0 when the stack is unused */
	unsigned int cpu;		/* the CPU that it ran on */
	int error;			/* of its sched_setaffinity(): 0 or -errno */
};

/* No call of libc: a visitor shares errno with the waiting thread, and has a small stack. */
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

/* An ended visitor still counts as a thread for a while, and unshare(2) may allow only one. */
static void wait_until_gone(long tid)
{
	long pid = raw_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
	int tries;

	for (tries = 0; !raw_syscall(SYS_tgkill, pid, tid, 0, 0, 0, 0); tries++) {
		if (tries >= 100)
			pause_for_a_moment();
	}
}

/* Returns 0 or -errno: -EAGAIN if the visitor was moved to another CPU meanwhile. */
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
 * Believe only the kernel's own list: if the fence skips a CPU that is online, updates are lost.
 *
 * No system call tells an offline CPU from a CPU outside the cpuset. sched_getaffinity(2) also
 * leaves out a CPU that is going down, while a thread may still be in a sequence there. The kernel
 * takes a CPU out of the list only when all threads have left that CPU.
 */
static bool is_offline(int cpu)
{
	struct cpus online;

	return cpus_read_sysfs(&online, "/devices/system/cpu/online") &&
	       !cpus_have(&online, cpu);
}

/*
 * sched_setaffinity(2) fails with EINVAL for a CPU that is offline or outside the cpuset. But it
 * also fails so for a CPU that is coming up or going down, until the scheduler and the cpuset know.
 * EAGAIN may also come from clone(2): there are too many threads at the moment.
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

/* Block all signals: a visitor inherits the mask, and its stack has no room for a handler. */
int affinity_fence(struct place at)
{
	uint64_t signals;
	int ret;

	block_signals(&signals);
	ret = at.by == BY_CPU ? visit_cpu(at.index) : visit_all();
	restore_signals(&signals);
	return ret;
}

/* The fence must reach every online CPU. In a cpuset that leaves one out, it cannot. */
bool affinity_works(void)
{
	/* An empty mask is invalid: the question does not touch the mask of the caller. */
	return probe(SYS_sched_setaffinity, 0, 0, 0, 0) == -EINVAL &&
	       !probe(SYS_getcpu, 0, 0, 0, 0) &&
	       !affinity_fence((struct place){ BY_CID, 0 });
}

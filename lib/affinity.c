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
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define PAUSE_MS	2
#define WAIT_MS		500

#define THREAD_FLAGS	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | \
			 CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

/* clone(), by the name that ThreadSanitizer does not take for a fork(). */
int __clone(int (*fn)(void *arg), void *stack, int flags, void *arg, ...);

struct visitor {
	struct cpus mask;
	_Atomic pid_t tid;		/* 0 when it needs its stack no more */
	unsigned int cpu;		/* where it came to run */
	int error;			/* errno of its sched_setaffinity() */
};

/*
 * It has the thread pointer of who waits, and so the same errno, which that one leaves alone
 * meanwhile; and a small stack: nothing but system calls, by a function that has been called
 * before, so that the dynamic linker need not look for it here. It does not return, since
 * clone() before glibc 2.26 would end the process.
 */
__attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))
static int visit(void *arg)
{
	struct visitor *v = arg;

	if (syscall(SYS_sched_setaffinity, 0, sizeof(v->mask), &v->mask))
		v->error = errno;
	else
		syscall(SYS_getcpu, &v->cpu, NULL, NULL);
	syscall(SYS_exit, 0);
	return 0;
}

static void pause_for_a_moment(void)
{
	struct timespec moment = { 0, PAUSE_MS * 1000000L };

	raw_syscall(SYS_nanosleep, (long)&moment, 0, 0, 0, 0, 0);
}

/* For a while it still counts as a thread, and unshare(2) may ask that there is one only. */
static void wait_until_gone(int tid)
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
	_Alignas(16) char stack[4096];
	int tid;

	cpus_add(&v.mask, cpu);
	tid = __clone(visit, stack + sizeof(stack), THREAD_FLAGS, &v, &v.tid, NULL, &v.tid);
	if (tid < 0)
		return -errno;
	while (atomic_load(&v.tid))
		syscall(SYS_futex, &v.tid, FUTEX_WAIT, tid, NULL, NULL, 0);
	wait_until_gone(tid);
	if (v.error)
		return -v.error;
	return v.cpu == (unsigned int)cpu ? 0 : -EAGAIN;
}

static bool is_offline(int cpu)
{
	struct cpus online;

	cpus_read_online(&online);
	return !cpus_have(&online, cpu);
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

	for (cpu = 0; cpu < rseq_op_nr_cpus() && !ret; cpu++) {
		if (cpus_possible(cpu))
			ret = visit_cpu(cpu);
	}
	return ret;
}

/* A visitor has no signals, as it has no stack for them. */
int affinity_fence(struct place at)
{
	int ret, saved = errno;
	uint64_t signals;

	block_signals(&signals);
	ret = at.by == BY_CPU ? visit_cpu(at.index) : visit_all();
	restore_signals(&signals);
	errno = saved;
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

// SPDX-License-Identifier: MIT
/*
 * Does an operation come to its end under a debugger that steps through it? Each step
 * aborts the sequence that it finds: without a backend it would go on for ever.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rseq-op.h"

#define OPERATIONS	5
#define STEPS_MAX	200000

/* What the one that is stepped through tells. */
struct progress {
	volatile bool done;
	bool refused;		/* not traced */
	int failed;
	intptr_t v;
	struct rseq_op_stats stats;
};

static void __attribute__((noreturn)) be_stepped(struct progress *p)
{
	int i;

	if (ptrace(PTRACE_TRACEME, 0, 0, 0)) {
		p->refused = true;
		_exit(0);
	}
	cpus_pin(cpus_allowed(0));
	raise(SIGSTOP);
	for (i = 0; i < OPERATIONS; i++)
		p->failed += rseq_op_addv(&p->v, 1, rseq_op_current_cpu()) != 0;
	rseq_op_stats(&p->stats, sizeof(p->stats));
	p->done = true;
	_exit(0);
}

/* The number of steps; -1 where the child is gone. */
static long step(pid_t pid, const struct progress *p)
{
	long steps;
	int status;

	for (steps = 0; !p->done && steps < STEPS_MAX; steps++) {
		if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) || waitpid(pid, &status, 0) != pid ||
		    !WIFSTOPPED(status))
			return -1;
	}
	return steps;
}

static struct check judge(const struct progress *p, long steps)
{
	if (steps < 0)
		return check(CHECK_FAILED, "the process that is stepped through has ended");
	if (!p->done)
		return check(CHECK_FAILED, "%ld of %d operations in %ld steps", (long)p->v,
			     OPERATIONS, steps);
	if (p->failed || p->v != OPERATIONS)
		return check(CHECK_FAILED, "%d of %d operations failed, the sum is %ld", p->failed,
			     OPERATIONS, (long)p->v);
	return check(CHECK_OK, "%d operations in %ld steps, with %llu aborts", OPERATIONS, steps,
		     (unsigned long long)p->stats.aborts);
}

static struct check trace(struct progress *p)
{
	pid_t pid = fork();
	struct check c;
	int status;

	if (!pid)
		be_stepped(p);
	if (pid < 0)
		return check(CHECK_SKIPPED, "fork: %s", strerror(errno));
	if (waitpid(pid, &status, 0) != pid || p->refused)
		return check(CHECK_SKIPPED, "ptrace(2) is refused");
	c = judge(p, WIFSTOPPED(status) ? step(pid, p) : -1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return c;
}

/* On different CPUs, where there are: sharing one, each step waits for a tick. */
struct check check_single_step(void)
{
	struct progress *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct check c;

	if (p == MAP_FAILED)
		return check(CHECK_SKIPPED, "mmap: %s", strerror(errno));
	if (cpus_nr_allowed() > 1)
		cpus_pin(cpus_allowed(1));
	c = trace(p);
	cpus_unpin();
	munmap(p, sizeof(*p));
	return c;
}

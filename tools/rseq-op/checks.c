// SPDX-License-Identifier: MIT
/*
 * Is a critical section aborted when it must be? A thread goes round in one, something is
 * done to it, and it must leave by its abort handler. A section may be aborted for another
 * reason too, by chance, so each check looks for what tells its own reason, and tries
 * again where that is missing: an abort by chance proves nothing.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "rseq-op.h"

#define LIMIT_MS	2000
#define ATTEMPTS	50

struct run {
	struct spin spin;
	int cpu;		/* where it starts */
	bool unregistered;
	bool aborted;
	int cpu_after;
	long switches;		/* times that the thread was taken off its CPU */
	int done;
	pthread_t thread;
};

/* Do something to the thread that is in the section: 0 or -errno. */
typedef int (*event_fn)(struct run *run);

struct check check(enum result result, const char *format, ...)
{
	struct check c = { .result = result };
	va_list args;

	va_start(args, format);
	vsnprintf(c.detail, sizeof(c.detail), format, args);
	va_end(args);
	return c;
}

static long switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw + usage.ru_nvcsw;
}

/* The library registers a thread at its first operation. */
static bool registered(void)
{
	static intptr_t v;

	rseq_op_addv(&v, 1, rseq_op_current_cpu());
	return thread_cpu() >= 0;
}

static bool wait_for(const int *flag, const int *or_flag)
{
	const struct timespec moment = { 0, 200000 };
	int i;

	for (i = 0; i < LIMIT_MS * 5; i++) {
		if (__atomic_load_n(flag, __ATOMIC_ACQUIRE) ||
		    __atomic_load_n(or_flag, __ATOMIC_ACQUIRE))
			return true;
		nanosleep(&moment, NULL);
	}
	return false;
}

/* It stays when it is done: what is being done to it needs a thread. */
static void *go_round(void *arg)
{
	struct run *run = arg;
	long before;

	cpus_pin(run->cpu);
	run->unregistered = !registered();
	if (!run->unregistered) {
		before = switches();
		run->aborted = spin_until_aborted(&run->spin);
		run->cpu_after = thread_cpu();
		run->switches = switches() - before;
	}
	__atomic_store_n(&run->done, 1, __ATOMIC_RELEASE);
	while (!wait_for(&run->spin.stop, &run->spin.stop))
		;
	return NULL;
}

/* One attempt: 0, or -errno where there was none. */
static int attempt(struct run *run, event_fn event)
{
	int ret;

	*run = (struct run){ .cpu = cpus_allowed(0) };
	ret = -pthread_create(&run->thread, NULL, go_round, run);
	if (ret)
		return ret;
	if (wait_for(&run->spin.started, &run->done) && !run->done)
		ret = event(run);
	if (!ret)
		wait_for(&run->done, &run->done);
	__atomic_store_n(&run->spin.stop, 1, __ATOMIC_RELEASE);
	pthread_join(run->thread, NULL);
	return run->unregistered ? -ENOSYS : ret;
}

/* What an attempt shows: CHECK_SKIPPED is nothing, so that the next one is made. */
typedef enum result (*judge_fn)(const struct run *run);

static struct check repeat(const char *cause, event_fn event, judge_fn judge)
{
	struct run run;
	int i, ret;

	for (i = 1; i <= ATTEMPTS; i++) {
		ret = attempt(&run, event);
		if (run.unregistered)
			return check(CHECK_SKIPPED, "the thread is not registered with rseq(2)");
		if (ret)
			return check(CHECK_SKIPPED, "%s: %s", cause, strerror(-ret));
		switch (judge(&run)) {
		case CHECK_OK:
			return check(CHECK_OK, "aborted by %s, attempt %d", cause, i);
		case CHECK_FAILED:
			return check(CHECK_FAILED, "%s did not abort the critical section", cause);
		default:
			break;
		}
		if (!run.aborted)
			return check(CHECK_SKIPPED, "no %s in %d ms", cause, LIMIT_MS);
	}
	return check(CHECK_SKIPPED, "something else came first in %d attempts", ATTEMPTS);
}

/* From another CPU where there is one, so that the checker takes nobody's turn. */
static bool step_aside(void)
{
	return cpus_nr_allowed() > 1 && !cpus_pin(cpus_allowed(1));
}

/* Preemption: somebody else wants the CPU, and the thread loses it. */

struct hog {
	int cpu;
	const int *until;
};

static void *hog(void *arg)
{
	const struct hog *h = arg;
	struct timespec start, now;

	cpus_pin(h->cpu);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while (!__atomic_load_n(h->until, __ATOMIC_ACQUIRE) &&
	       now.tv_sec - start.tv_sec < LIMIT_MS / 1000);
	return NULL;
}

static int preempt(struct run *run)
{
	struct hog h = { run->cpu, &run->done };
	pthread_t thread;
	int ret = -pthread_create(&thread, NULL, hog, &h);

	if (!ret)
		pthread_join(thread, NULL);
	return ret;
}

static enum result judge_preemption(const struct run *run)
{
	if (!run->switches)
		return CHECK_SKIPPED;
	return run->aborted ? CHECK_OK : CHECK_FAILED;
}

struct check check_preemption(void)
{
	struct check c;

	step_aside();
	c = repeat("preemption", preempt, judge_preemption);
	cpus_unpin();
	return c;
}

/* Migration: after the abort, or without one, the thread is elsewhere. */

static int migrate(struct run *run)
{
	cpu_set_t *set = CPU_ALLOC(RSEQ_OP_CPU_MAX);
	size_t size = CPU_ALLOC_SIZE(RSEQ_OP_CPU_MAX);
	int ret;

	if (!set)
		return -ENOMEM;
	CPU_ZERO_S(size, set);
	CPU_SET_S(cpus_allowed(1), size, set);
	ret = -pthread_setaffinity_np(run->thread, size, set);
	CPU_FREE(set);
	return ret;
}

static enum result judge_migration(const struct run *run)
{
	if (run->cpu_after != cpus_allowed(1))
		return CHECK_SKIPPED;
	return run->aborted ? CHECK_OK : CHECK_FAILED;
}

struct check check_migration(void)
{
	struct check c;

	if (!step_aside())
		return check(CHECK_SKIPPED, "it takes two CPUs");
	c = repeat("migration", migrate, judge_migration);
	cpus_unpin();
	return c;
}

/*
 * Signal: before the handler runs the thread has been sent to the abort handler. What the
 * handler interrupted tells, whatever else happened to the thread.
 */

static volatile sig_atomic_t interrupted;

static void take_signal(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig, (void)info;
	interrupted = (sig_atomic_t)spin_where(ucontext);
}

static int send_signal(struct run *run)
{
	return -pthread_kill(run->thread, SIGUSR1);
}

static enum result judge_signal(const struct run *run)
{
	enum spin_where where = (enum spin_where)interrupted;

	interrupted = SPIN_OUTSIDE;
	if (where == SPIN_OUTSIDE)
		return CHECK_SKIPPED;
	return where == SPIN_AT_ABORT && run->aborted ? CHECK_OK : CHECK_FAILED;
}

struct check check_signal(void)
{
	struct sigaction old, action = { .sa_sigaction = take_signal, .sa_flags = SA_SIGINFO };
	struct check c;

	sigaction(SIGUSR1, &action, &old);
	interrupted = SPIN_OUTSIDE;
	step_aside();
	c = repeat("a signal", send_signal, judge_signal);
	cpus_unpin();
	sigaction(SIGUSR1, &old, NULL);
	return c;
}

/* Fence: an abort though the thread has not been taken off its CPU. */

static int fence(struct run *run)
{
	(void)run;
	return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0) ? -errno : 0;
}

static enum result judge_fence(const struct run *run)
{
	if (!run->aborted)
		return CHECK_FAILED;
	return run->switches ? CHECK_SKIPPED : CHECK_OK;
}

struct check check_fence(void)
{
	struct check c;
	long ret;

	ret = ask(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0, 0);
	if (ret)
		return check(CHECK_SKIPPED, "membarrier(2): %s", ask_error(ret));
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0);
	if (!step_aside())
		return check(CHECK_SKIPPED, "it takes two CPUs");
	c = repeat("membarrier(2)", fence, judge_fence);
	cpus_unpin();
	return c;
}

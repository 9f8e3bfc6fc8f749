/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_TOOL_H
#define RSEQ_OP_TOOL_H

/* What the commands share. */
#include <sched.h>
#include <stdbool.h>

#include <rseq_op/rseq_op.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Exit statuses; see rseq-op(1). */
enum {
	EXIT_OK,
	EXIT_BAD,	/* something failed */
	EXIT_USAGE,
	EXIT_UNCHECKED,	/* nothing could be checked */
};

struct options {
	bool json;
	long rounds;
	long seconds;
	long threads;		/* 0: as many as CPUs */
};

/* Each returns an exit status. */
int info(const struct options *options);
int selftest(const struct options *options);
int bench(const struct options *options);
int stress(const struct options *options);

/* cpus.c: the CPUs that this process may use. */
void cpus_read_allowed(void);
int cpus_nr_allowed(void);
int cpus_allowed(int n);	/* the n-th */
int cpus_pin(int cpu);		/* the calling thread: 0 or -errno */
void cpus_unpin(void);

/* ask.c: a system call in a child: its result, or -errno, or -ASK_KILLED. */
#define ASK_KILLED	4095
long ask(long nr, long a, long b, long c, long d);
const char *ask_error(long result);

/* registration.c: what the kernel has for the calling thread. */
struct registration {
	const char *by;		/* "glibc", "library", "nobody", "another" */
	long size;		/* of the area, < 0 where the kernel does not say */
};
struct registration registration(void);

/* spin.c: a critical section that ends by an abort, or when it is told to. */
struct spin {
	int started;
	int stop;
};
bool spin_until_aborted(struct spin *spin);
enum spin_where { SPIN_INSIDE, SPIN_AT_ABORT, SPIN_OUTSIDE };
enum spin_where spin_where(const void *ucontext);

/* checks.c, step.c: the checks of selftest. */
enum result { CHECK_OK, CHECK_FAILED, CHECK_SKIPPED };
struct check {
	enum result result;
	char detail[160];
};
struct check check(enum result result, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
struct check check_preemption(void);
struct check check_migration(void);
struct check check_signal(void);
struct check check_fence(void);
struct check check_single_step(void);

static inline int thread_cpu(void)
{
	return rseq_op_area_int(RSEQ_OP_OFFSET + 4);
}

#endif /* RSEQ_OP_TOOL_H */

// SPDX-License-Identifier: MIT
/*
 * With RSEQ_OP_REPORT=1: a line at the end of the process that says what has not been done
 * by a sequence. The only thing that the library ever prints.
 */
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

static const char *backend_name(enum rseq_op_backend backend)
{
	static const char *const names[] = {
		[RSEQ_OP_BACKEND_NONE] = "none",
		[RSEQ_OP_BACKEND_KERNEL] = "kernel",
		[RSEQ_OP_BACKEND_MEMBARRIER] = "membarrier",
		[RSEQ_OP_BACKEND_AFFINITY] = "affinity",
		[RSEQ_OP_BACKEND_GUARD] = "guard",
	};

	return names[backend];
}

/* As one line, so that those of several processes do not mix. */
__attribute__((destructor(101)))
static void report(void)
{
	struct rseq_op_stats s;
	char line[400];
	int n;

	if (!config.report)
		return;
	rseq_op_stats(&s, sizeof(s));
	n = snprintf(line, sizeof(line), "rseq_op[%d]: backend %s; by it: aborted %llu, "
		     "remote %llu, closed %llu, unregistered %llu, forced %llu, vector %llu; "
		     "aborts %llu\n", (int)getpid(), backend_name(rseq_op_backend(NULL)),
		     (unsigned long long)s.aborted, (unsigned long long)s.remote,
		     (unsigned long long)s.closed, (unsigned long long)s.unregistered,
		     (unsigned long long)s.forced, (unsigned long long)s.vector,
		     (unsigned long long)s.aborts);
	/* Where there is no standard error nobody reads it. */
	if (n > 0)
		raw_syscall(SYS_write, STDERR_FILENO, (long)line, n, 0, 0, 0);
}

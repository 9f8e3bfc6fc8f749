// SPDX-License-Identifier: MIT
/*
 * System calls that return -errno and leave errno alone, as an operation must
 * when it runs in a signal handler.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

long raw_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long ret = syscall(nr, a, b, c, d, e, f);

	if (ret == -1)
		ret = -errno;
	errno = saved;
	return ret;
}

/* The raw call also blocks the signals that libc keeps for itself. */
void block_signals(uint64_t *old)
{
	const uint64_t all = ~UINT64_C(0);

	raw_syscall(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, (long)&all, (long)old,
		    sizeof(*old), 0, 0);
}

void restore_signals(const uint64_t *old)
{
	raw_syscall(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, (long)old, 0, sizeof(*old), 0, 0);
}

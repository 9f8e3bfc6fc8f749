// SPDX-License-Identifier: MIT
/*
 * Asking for a system call that may not be there. Where the process has a seccomp filter
 * the question may be the end of it, so a child asks: it has no exit signal, so that
 * nobody's handler and no ordinary wait() hears of it; all signals are blocked, so that no
 * handler runs in it, not even that of SIGSYS; and it leaves no core. A filter that says no
 * to clone(2), with an error, is taken for one that does so to others, and asked directly.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "internal.h"

#define OTHER_ERRNO	255

static bool may_be_killed(void)
{
	return raw_syscall(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0, 0) == SECCOMP_MODE_FILTER;
}

static void ask_and_exit(long nr, const long args[4])
{
	long ret;

	raw_syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0, 0);
	ret = raw_syscall(nr, args[0], args[1], args[2], args[3], 0, 0);

	if (ret > 0)
		ret = 0;
	if (ret < -OTHER_ERRNO)
		ret = -OTHER_ERRNO;
	raw_syscall(SYS_exit_group, -ret, 0, 0, 0, 0, 0);
}

static long wait_for(long pid)
{
	int status = 0;
	long ret;

	do
		ret = raw_syscall(SYS_wait4, pid, (long)&status, __WALL, 0, 0, 0);
	while (ret == -EINTR);
	if (ret < 0)
		return ret;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EPERM;
}

static long ask_by_child(long nr, const long args[4])
{
	uint64_t signals;
	long pid;

	block_signals(&signals);
	pid = raw_syscall(SYS_clone, 0, 0, 0, 0, 0, 0);
	if (!pid)
		ask_and_exit(nr, args);
	restore_signals(&signals);
	return pid < 0 ? 0 : wait_for(pid);
}

long probe(long nr, long a, long b, long c, long d)
{
	const long args[] = { a, b, c, d };
	long ret = may_be_killed() ? ask_by_child(nr, args) : 0;

	return ret ? ret : raw_syscall(nr, a, b, c, d, 0, 0);
}

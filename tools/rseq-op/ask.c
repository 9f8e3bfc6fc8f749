// SPDX-License-Identifier: MIT
/*
 * Asking the kernel for something that may not be there: a seccomp filter may kill who
 * asks, so that a child does.
 */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rseq-op.h"

static void __attribute__((noreturn)) ask_and_exit(int to, long nr, const long args[4])
{
	long ret;

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);	/* no core */
	ret = syscall(nr, args[0], args[1], args[2], args[3], 0, 0);
	if (ret < 0)
		ret = -errno;
	_exit(write(to, &ret, sizeof(ret)) != sizeof(ret));
}

long ask(long nr, long a, long b, long c, long d)
{
	const long args[] = { a, b, c, d };
	int fds[2];
	pid_t pid;
	long ret;

	if (pipe(fds))
		return -errno;
	pid = fork();
	if (!pid)
		ask_and_exit(fds[1], nr, args);
	ret = pid < 0 ? -errno : 0;
	close(fds[1]);
	if (pid > 0 && read(fds[0], &ret, sizeof(ret)) != sizeof(ret))
		ret = -ASK_KILLED;
	close(fds[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return ret;
}

const char *ask_error(long result)
{
	const char *name;

	if (result >= 0)
		return NULL;
	if (result == -ASK_KILLED)
		return "kills who asks";
	name = strerrorname_np((int)-result);
	return name ? name : "an error without a name";
}

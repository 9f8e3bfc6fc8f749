// SPDX-License-Identifier: MIT
/*
 * Asking for a system call that may be refused, or that may kill the process that asks.
 *
 * A seccomp filter can kill for any system call. So the library first finds out whether the
 * calling thread has a filter. It reads /proc for that: a program that the dynamic linker has
 * started opens and reads files anyway, whereas prctl(2) is a call that a filter may kill for.
 *
 * Under a filter a child process asks. The child has no exit signal, so that no handler of
 * SIGCHLD and no ordinary wait() of the program notices it. All signals are blocked, so that no
 * handler runs in the child, not even one of SIGSYS.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "internal.h"

#define OTHER_ERRNO	255

/*
 * Find a pattern in /proc/thread-self/status, and return the character after it; '\0' if it is not
 * there, -errno if the file cannot be read. A pattern has a newline at its start and nowhere else,
 * so that a failed match never has to go back.
 */
static int read_status(const char *pattern)
{
	long fd = raw_syscall(SYS_openat, AT_FDCWD, (long)"/proc/thread-self/status",
			      O_RDONLY | O_CLOEXEC, 0, 0, 0);
	size_t matched = 0;
	char buf[256];
	int found = '\0';
	long i, n = 0, offset;

	if (fd < 0)
		return (int)fd;
	for (offset = 0; !found && (n = raw_pread(fd, buf, sizeof(buf), offset)) > 0; offset += n) {
		for (i = 0; i < n && !found; i++) {
			if (!pattern[matched])
				found = buf[i];
			else if (buf[i] == pattern[matched])
				matched++;
			else
				matched = buf[i] == pattern[0];
		}
	}
	raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
	return n < 0 ? (int)n : found;
}

/* No such line: the kernel is built without seccomp. */
static bool has_no_filter(void)
{
	int mode = read_status("\nSeccomp:\t");

	return mode == '0' || mode == '\0';
}

bool probe_allowed_at_load(void)
{
	/* Without a dynamic linker the program may never open a file. */
	return getauxval(AT_BASE) && has_no_filter();
}

bool probe_single_threaded(void)
{
	/* The first digit does not tell 1 from 10 to 19; the second is a newline for 1. */
	return read_status("\nThreads:\t1") == '\n';
}

static long run_child(long nr, const long args[4], bool quiet);

/* Does a filter let children turn their core dumps off? Only a child may find out. */
static bool may_be_quiet(void)
{
	static const long not_dumpable[4] = { PR_SET_DUMPABLE, 0 };
	static _Atomic int answer = -1;
	int ret = atomic_load_explicit(&answer, memory_order_relaxed);

	if (ret < 0) {
		ret = !run_child(SYS_prctl, not_dumpable, false);
		atomic_store_explicit(&answer, ret, memory_order_relaxed);
	}
	return ret;
}

static void ask_and_exit(long nr, const long args[4], bool quiet)
{
	long ret;

	if (quiet)
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

/*
 * A filter that refuses clone(2) with an error is taken for one that refuses others so, too.
 *
 * ECHILD: another thread of the program has waited for the child, or a signal handler has forked here
 * and this is its child. Then a new child has to ask.
 */
static long run_child(long nr, const long args[4], bool quiet)
{
	uint64_t signals;
	long pid, ret;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		block_signals(&signals);
		pid = raw_syscall(SYS_clone, 0, 0, 0, 0, 0, 0);
		if (!pid)
			ask_and_exit(nr, args, quiet);
		restore_signals(&signals);
		if (pid < 0)
			return 0;
		ret = wait_for(pid);
		if (ret != -ECHILD)
			return ret;
	}
	return -EPERM;
}

long probe(long nr, long a, long b, long c, long d)
{
	const long args[] = { a, b, c, d };
	long ret = has_no_filter() ? 0 : run_child(nr, args, may_be_quiet());

	return ret ? ret : raw_syscall(nr, a, b, c, d, 0, 0);
}

// SPDX-License-Identifier: MIT
/*
 * Try a system call that a seccomp filter may refuse, or for which a filter may kill the process.
 *
 * A filter can kill for any system call. So the library first finds out whether the calling thread
 * has a filter. It reads /proc/thread-self/status, and does not call prctl(PR_GET_SECCOMP), because
 * a filter may kill for prctl(2). In a dynamically linked program the filter must allow to open
 * and read files, since the dynamic linker has done so.
 *
 * Without a filter the library just makes the call. Under a filter, a child process makes the call
 * first. The child has no exit signal, so no handler of SIGCHLD and no ordinary wait() of the
 * program notices the child. All signals are blocked in the child, so no handler runs there, not
 * even one of SIGSYS.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "internal.h"

#define OTHER_ERRNO	255

/* What run_child() returns if clone(2) makes no child. */
#define NO_CHILD	1

/*
 * Find a pattern in /proc/thread-self/status. Returns the character after the pattern, '\0' if the
 * file does not contain the pattern, or -errno if the file cannot be read. A pattern has a newline
 * at its start and nowhere else, so a failed match never has to go back.
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

/* A kernel that is built without seccomp has no such line: '\0'. */
static bool has_no_filter(void)
{
	int mode = read_status("\nSeccomp:\t");

	return mode == '0' || mode == '\0';
}

bool probe_allowed_at_load(void)
{
	/* A static program may never have opened a file: a filter may kill it for openat(2). */
	return getauxval(AT_BASE) && has_no_filter();
}

bool probe_single_threaded(void)
{
	/* The pattern also matches 10 to 19, but a newline follows only for 1. */
	return read_status("\nThreads:\t1") == '\n';
}

static long run_child(long nr, const long args[4], bool quiet);

/* May a child turn off its core dump by prctl(2)? A filter may kill for that, so a child tries. */
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

__attribute__((noreturn))
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
	/* A filter may refuse even these. The child must not go on as the program. */
	raw_syscall(SYS_exit_group, -ret, 0, 0, 0, 0, 0);
	raw_syscall(SYS_exit, -ret, 0, 0, 0, 0, 0);
	for (;;)
		__builtin_trap();
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
 * Let a child make the call. Returns 0 if the call succeeded in the child; -errno if it failed;
 * -EPERM if the filter killed the child, or after 100 children whose status was lost; NO_CHILD if
 * clone(2) failed.
 *
 * wait4(2) fails with ECHILD in two cases: another thread of the program has waited for the child;
 * or a signal handler called fork() after clone(2), and this code now runs in the process that
 * fork() made. Then a new child makes the call.
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
			return NO_CHILD;
		ret = wait_for(pid);
		if (ret != -ECHILD)
			return ret;
	}
	return -EPERM;
}

static long call(long nr, const long args[4])
{
	return raw_syscall(nr, args[0], args[1], args[2], args[3], 0, 0);
}

/* 0 if the calling thread may make the call itself, or what run_child() returns. */
static long ask_first(long nr, const long args[4])
{
	return has_no_filter() ? 0 : run_child(nr, args, may_be_quiet());
}

/*
 * A filter may refuse clone(2) with an error and kill for the call itself. So a call that no child
 * can make counts as refused.
 */
long probe(long nr, long a, long b, long c, long d)
{
	const long args[] = { a, b, c, d };
	long ret = ask_first(nr, args);

	if (ret == NO_CHILD)
		return -EPERM;
	return ret ? ret : call(nr, args);
}

/*
 * As probe(), but if no child can be made, the library makes the call itself. The kernel is known
 * to have the call, and a filter that the program has installed since must allow what the program
 * uses.
 */
long probe_again(long nr, long a, long b, long c, long d)
{
	const long args[] = { a, b, c, d };
	long ret = ask_first(nr, args);

	return ret && ret != NO_CHILD ? ret : call(nr, args);
}

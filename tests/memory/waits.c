// SPDX-License-Identifier: MIT
/*
 * Faults of cpu_opv(2) that wait for a handler of userfaultfd(2): for a while, with
 * signals coming in, and until a signal kills the process.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pages.h"
#include "threads.h"

#define RESOLVED_MS	500
#define GIVE_UP_MS	20000

static const struct wait {
	const char *name;
	uint64_t mode;		/* UFFDIO_REGISTER_MODE_* */
	int op;			/* on the page that faults */
	bool alone;		/* or behind a store to ordinary memory */
} waits[] = {
	{ "read, missing", UFFDIO_REGISTER_MODE_MISSING, CPU_COMPARE_NE_IMM_OP, true },
	{ "read after a store, missing", UFFDIO_REGISTER_MODE_MISSING, CPU_COMPARE_NE_IMM_OP,
	  false },
	{ "one store, missing", UFFDIO_REGISTER_MODE_MISSING, CPU_STORE_IMM_OP, true },
	{ "two stores, missing", UFFDIO_REGISTER_MODE_MISSING, CPU_STORE_IMM_OP, false },
	{ "one store, write-protected", UFFDIO_REGISTER_MODE_WP, CPU_STORE_IMM_OP, true },
	{ "two stores, write-protected", UFFDIO_REGISTER_MODE_WP, CPU_STORE_IMM_OP, false },
};

static int64_t *watched;	/* a page whose faults wait */
static int uffd;
static int64_t count;		/* what is stored to before */

static void map_watched(uint64_t mode)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = mode };
	struct uffdio_writeprotect wp = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };

	watched = new_pages(PAGE, MAP_PRIVATE);
	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0)
		skip_because("no userfaultfd(2): %s", strerror(errno));
	reg.range.start = (uintptr_t)watched;
	reg.range.len = PAGE;
	wp.range = reg.range;
	if (mode == UFFDIO_REGISTER_MODE_WP)
		*watched = 5;
	assert_int_equal(ioctl(uffd, UFFDIO_API, &api), 0);
	assert_int_equal(ioctl(uffd, UFFDIO_REGISTER, &reg), 0);
	if (mode == UFFDIO_REGISTER_MODE_WP)
		assert_int_equal(ioctl(uffd, UFFDIO_WRITEPROTECT, &wp), 0);
}

/* What is there when nobody watches any more. */
static int64_t unmap_watched(void)
{
	int64_t found;

	close(uffd);
	found = *watched;
	munmap(watched, PAGE);
	return found;
}

static int run_waiting(const struct wait *wait, bool marked)
{
	struct cpu_op ops[2] = { cpu_op_add(&count, 8, 1), { .op = wait->op, .len = 8,
		.u.immediate_op = { .p = (uintptr_t)watched, .value = 1,
				    .expect_fault_p = marked } } };

	return cpu_opv(ops + wait->alone, wait->alone ? 1 : 2, allowed_cpu(0), 0);
}

static _Atomic bool alarms_come;

/* Not before a signal is pending, at least. */
static void resolve_later(struct worker *w)
{
	struct uffdio_range all = { (uintptr_t)watched, PAGE };
	uint64_t end;

	while (!workers_stopping() && !alarms_come)
		sleep_ms(10);
	for (end = now_ms() + RESOLVED_MS; !workers_stopping() && now_ms() < end; )
		sleep_ms(10);
	/* Of the faults, the first wakes only those on missing pages. */
	if (ioctl(uffd, UFFDIO_UNREGISTER, &all) || ioctl(uffd, UFFDIO_WAKE, &all))
		wrong(w, "resolving: %s", strerror(errno));
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signal)
{
	(void)signal;
	alarms++;
}

/* Started with the signal blocked, so that the other thread does not take it. */
static void start_resolving(struct worker *w)
{
	sigset_t alarm_only;

	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
	start_workers(w, 1, resolve_later, NULL, NULL);
	pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
}

/* The call waits until the end, or gives up with nothing done. */
static bool check_alarms(const struct wait *wait, bool marked)
{
	static const struct itimerval often = { { 0, 50000 }, { 0, 50000 } }, never;
	int64_t word = wait->mode == UFFDIO_REGISTER_MODE_WP ? 5 : 0, found;
	int fault = marked ? -EAGAIN : -EFAULT, ret;
	struct worker w[1];
	bool done;

	count = 0;
	alarms = 0;
	alarms_come = false;
	map_watched(wait->mode);
	start_resolving(w);
	setitimer(ITIMER_REAL, &often, NULL);
	alarms_come = true;
	ret = run_waiting(wait, marked);
	setitimer(ITIMER_REAL, &never, NULL);
	stop_workers();
	finish_workers(w, 1);
	found = unmap_watched();
	done = !ret;
	if (done && wait->op == CPU_STORE_IMM_OP)
		word = 1;
	if (alarms && (done || ret == -EINTR || ret == fault) &&
	    count == (done && !wait->alone) && found == word)
		return true;
	print_error("# %s%s: result %d after %d signals, expected 0, %d or %d; count %d, expected "
		    "%d; word %d, expected %d\n", wait->name, marked ? ", marked" : "", ret,
		    (int)alarms, -EINTR, fault, (int)count, done && !wait->alone, (int)found,
		    (int)word);
	return false;
}

static void test_fault_resolved_after_signals_all_or_nothing(void **state)
{
	struct sigaction action = { .sa_handler = on_alarm };
	unsigned int failed = 0;
	size_t i;

	(void)state;
	need_kernel();
	sigaction(SIGALRM, &action, NULL);
	for (i = 0; i < ARRAY_SIZE(waits); i++) {
		failed += !check_alarms(&waits[i], false);
		failed += !check_alarms(&waits[i], true);
	}
	assert_int_equal(failed, 0);
}

/*
 * The child waits for its fault: it is in cpu_opv(2), and asleep. A process that is about to
 * enter the call, or has left it, is in no call or in another one.
 */
static bool waits_in_call(pid_t pid)
{
	char path[64], line[256] = "";
	long nr = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fgets(line, sizeof(line), f) && sscanf(line, "%ld", &nr) != 1)
		nr = -1;	/* "running" */
	fclose(f);
	return nr == __NR_cpu_opv;
}

static void check_kill(const struct wait *wait)
{
	pid_t pid = fork(), ended;
	int status = 0;
	uint64_t end;

	if (!pid) {
		map_watched(wait->mode);
		run_waiting(wait, false);
		_exit(1);
	}
	while (!waits_in_call(pid)) {
		assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
		sleep_ms(10);
	}
	kill(pid, SIGKILL);
	end = now_ms() + GIVE_UP_MS;
	do {
		sleep_ms(10);
		ended = waitpid(pid, &status, WNOHANG);
	} while (!ended && now_ms() < end);
	if (!ended)
		fail_msg("%s: SIGKILL did not end the call in %d ms", wait->name, GIVE_UP_MS);
	if (!WIFSIGNALED(status))
		fail_msg("%s: status %#x, expected %#x", wait->name, status, SIGKILL);
}

static void test_fault_never_resolved_kill_ends_process(void **state)
{
	size_t i;

	(void)state;
	need_kernel();
	map_watched(UFFDIO_REGISTER_MODE_MISSING);	/* or skip */
	unmap_watched();
	for (i = 0; i < ARRAY_SIZE(waits); i++)
		check_kill(&waits[i]);
}

static void test_all_unpinned(void **state)
{
	(void)state;
	need_kernel();
	need_vm();
	assert_int_equal(pages_pinned(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fault_resolved_after_signals_all_or_nothing),
		cmocka_unit_test(test_fault_never_resolved_kill_ends_process),
		cmocka_unit_test(test_all_unpinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

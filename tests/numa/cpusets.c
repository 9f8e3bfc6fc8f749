// SPDX-License-Identifier: MIT
/*
 * Callers in cpusets: whom they may disturb outside of theirs, and vectors and
 * sequences of callers that are moved from cpuset to cpuset, or whose cpuset shrinks
 * and grows, all the time.
 */
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpus.h"
#include "cpuset.h"
#include "hog.h"
#include "tally.h"
#include "threads.h"

#define RUN_MS		4000
#define CALLS		200

/* Take CAP_SYS_NICE, or give it back; the calling thread and those that it creates. */
static bool set_sys_nice(bool capable)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return false;
	data[0].effective &= ~(1U << CAP_SYS_NICE);
	if (capable)
		data[0].effective |= data[0].permitted & (1U << CAP_SYS_NICE);
	return !syscall(SYS_capset, &header, data);
}

static int set_up(void **state)
{
	(void)state;
	return getenv("TEST_VM") && !make_cpusets();
}

static int tear_down(void **state)
{
	(void)state;
	return getenv("TEST_VM") && !remove_cpusets();
}

/*
 * EPERM: all four, shared operands, another process on the CPU, a CPU outside of the
 * cpuset, no CAP_SYS_NICE, must come together.
 */

enum occupant { NOBODY, KERNEL_THREAD, PROCESS };

static const char *const occupant_names[] = { "nobody", "a kernel thread", "a process" };

struct setting {
	enum occupant occupant;
	bool outside;
	bool capable;
};

/* How a caller's vectors ended, of one kind. */
struct results {
	int done;
	int refused;
	int other;			/* the last result that is neither */
	int64_t changed;		/* what they add to: as often as they were done */
};

enum { TO_SHARED, FROM_SHARED, TO_PRIVATE, KINDS };

static const char *const kind_names[] = { "to shared", "from shared", "to private" };

/* Between the caller and the test. */
static struct report {
	int64_t word, five;
	struct results results[KINDS];
	bool settled;
} *report;

static int64_t own_word, own_five = 5;

static void call(struct results *r, struct cpu_op compare, int64_t *word, int cpu)
{
	const struct cpu_op ops[] = { compare, cpu_op_add(word, 8, 1) };
	int64_t before = *word;
	int i;

	for (i = 0; i < CALLS; i++) {
		int ret;

		wait_for_hog(cpu);
		ret = cpu_opv(ops, 2, cpu, 0);
		if (!ret)
			r->done++;
		else if (ret == -EPERM)
			r->refused++;
		else
			r->other = ret;
	}
	r->changed = *word - before;
}

static void caller(const struct setting *s, int cpu)
{
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (!set_cpuset("a", 0, s->outside ? cpu - 1 : cpu) || !enter_cpuset("a", getpid()) ||
	    sched_setaffinity(0, sizeof(first), &first))
		_exit(1);
	if (!s->capable && !set_sys_nice(false))
		_exit(2);
	report->settled = true;
	call(&report->results[TO_SHARED], cpu_op_compare_eq(&own_five, &own_five, 8),
	     &report->word, cpu);
	call(&report->results[FROM_SHARED], cpu_op_compare_eq(&report->five, &own_five, 8),
	     &own_word, cpu);
	call(&report->results[TO_PRIVATE], cpu_op_compare_eq(&own_five, &own_five, 8),
	     &own_word, cpu);
	_exit(0);
}

/* A vector may meet a kernel thread on a busy CPU now and then: not all are refused. */
static int check_results(const struct setting *s, int kind)
{
	const struct results *r = &report->results[kind];
	bool refused = kind != TO_PRIVATE && s->occupant == PROCESS && s->outside && !s->capable;

	if (!r->other && r->done + r->refused == CALLS && r->changed == r->done &&
	    (refused ? r->refused >= CALLS / 2 : !r->refused))
		return 0;
	print_error("# %s, CPU %s the cpuset, runs %s, %s CAP_SYS_NICE: %d done, %d EPERM, "
		    "other result %d, word changed by %ld; expected %s\n", kind_names[kind],
		    s->outside ? "outside" : "in", occupant_names[s->occupant],
		    s->capable ? "with" : "without", r->done, r->refused, r->other,
		    (long)r->changed, refused ? "EPERM" : "none refused");
	return 1;
}

static int check_setting(const struct setting *s, int cpu)
{
	int status, kind, bad = 0;
	pid_t pid;

	memset(report, 0, sizeof(*report));
	report->five = 5;
	pid = fork();
	if (!pid)
		caller(s, cpu);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(report->settled);
	for (kind = 0; kind < KINDS; kind++)
		bad += check_results(s, kind);
	return bad;
}

static void check_occupant(enum occupant occupant, int cpu)
{
	int i, bad = 0;

	report = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(report, MAP_FAILED);
	for (i = 0; i < 4; i++)
		bad += check_setting(&(struct setting){ occupant, i & 1, i & 2 }, cpu);
	munmap(report, 4096);
	assert_int_equal(bad, 0);
}

static int a_cpu(void)
{
	need_kernel();
	need_vm();
	if (nr_allowed_cpus() < 2)
		skip_because("only one CPU");
	return allowed_cpu(nr_allowed_cpus() - 1);
}

static void test_idle_cpu_never_eperm(void **state)
{
	(void)state;
	check_occupant(NOBODY, a_cpu());
}

static void test_kernel_thread_never_eperm(void **state)
{
	int cpu = a_cpu();

	(void)state;
	hog_by_kernel_thread(cpu);
	check_occupant(KERNEL_THREAD, cpu);
}

static void test_other_process_eperm_by_rule(void **state)
{
	int cpu = a_cpu();

	(void)state;
	hog_by_process(cpu, SCHED_OTHER);
	check_occupant(PROCESS, cpu);
}

static int leave(void **state)
{
	(void)state;
	stop_hogs();
	return 0;
}

/*
 * Callers that are moved. They may not disturb anybody, and need not: their data is
 * private.
 */

static struct tally *tally;

/* For the CPU that it is on, and now and then for any possible one. */
static void update(struct worker *w)
{
	while (!workers_stopping()) {
		uint32_t r = next_random(&w->random);
		int ret, cpu = rseq_op_current_cpu();

		if (r % 64 == 0)
			cpu = (int)(r / 128 % (uint32_t)rseq_op_nr_cpus());
		ret = r % 128 < 2 ? tally_vector(tally, w->index, cpu) :
				   tally_sequence(tally, w->index, cpu);
		if (ret)
			wrong(w, "CPU %d: %d", cpu, ret);
	}
}

/* In a process of its own: this one may not do it. */
static void move_around(pid_t pid, volatile uint64_t *moves)
{
	int last = allowed_cpu(nr_allowed_cpus() - 1);
	uint32_t random = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		uint32_t r = next_random(&random);
		const char *group = r % 2 ? "a" : "b";
		int first = (int)(r / 2 % (uint32_t)(last + 1));
		int end = first + (int)(r / 64 % (uint32_t)(last - first + 1));

		if (set_cpuset(group, first, end) && (r & 256 || enter_cpuset(group, pid)))
			(*moves)++;
		sleep_ms(2);
	}
}

static void test_moved_callers_none_lost(void **state)
{
	volatile uint64_t *moves = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct worker w[6];
	int cpu = a_cpu();
	pid_t mover;

	(void)state;
	assert_ptr_not_equal(moves, MAP_FAILED);
	tally = new_tally(false, ARRAY_SIZE(w));
	hog_by_process(cpu, SCHED_OTHER);
	assert_true(set_cpuset("a", 0, 1) && set_cpuset("b", 0, 1));
	mover = fork();
	if (!mover)
		move_around(getppid(), moves);
	assert_true(set_sys_nice(false));
	start_workers(w, ARRAY_SIZE(w), update, NULL, NULL);
	sleep_ms(RUN_MS);
	stop_workers();
	kill(mover, SIGKILL);
	waitpid(mover, NULL, 0);
	assert_true(set_sys_nice(true));
	finish_workers(w, ARRAY_SIZE(w));
	print_message("# cpusets changed %lu times\n", (unsigned long)*moves);
	assert_true(*moves > 20);
	check_tally(tally);
	free_tally(tally);
	munmap((void *)(uintptr_t)moves, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_idle_cpu_never_eperm, leave),
		cmocka_unit_test_teardown(test_kernel_thread_never_eperm, leave),
		cmocka_unit_test_teardown(test_other_process_eperm_by_rule, leave),
		cmocka_unit_test_teardown(test_moved_callers_none_lost, leave),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

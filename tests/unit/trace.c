// SPDX-License-Identifier: MIT
/*
 * The event cpu_opv:cpu_opv tells, for each valid vector, its CPU, who ran it, the result
 * and the attempts before the last one. Run in a VM: it switches tracing on.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "cpus.h"
#include "hog.h"

#define TRACING	"/sys/kernel/tracing/"
#define EVENT	"events/cpu_opv/cpu_opv/"

static int64_t word;

/* Run a vector; the events of this thread that came of it, one a line. */
static int traced(const struct cpu_op *ops, unsigned int nr_ops, int cpu, char *events,
		  size_t size)
{
	char line[256];
	FILE *f;
	int ret;

	assert_true(write_to(TRACING "trace", "\n"));
	ret = cpu_opv(ops, nr_ops, cpu, 0);
	*events = '\0';
	f = fopen(TRACING "trace", "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *event = strstr(line, "cpu_opv: ");

		if (event && line[0] != '#')
			strncat(events, event + strlen("cpu_opv: "), size - strlen(events) - 1);
	}
	fclose(f);
	return ret;
}

static void expect_event(const struct cpu_op *ops, unsigned int nr_ops, int cpu,
			 const char *path, int result)
{
	char events[1024], expected[128];

	assert_int_equal(traced(ops, nr_ops, cpu, events, sizeof(events)), result);
	snprintf(expected, sizeof(expected), "cpu=%d nr_ops=%u path=%s result=%d retries=0\n",
		 cpu, nr_ops, path, result);
	assert_string_equal(events, expected);
}

static void set_up(void **state)
{
	(void)state;
	need_kernel();
	need_vm();
	if (access(TRACING EVENT, F_OK))
		skip_because("no event cpu_opv in " TRACING);
	assert_true(write_to(TRACING "set_event_pid", "%d", getpid()));
	assert_true(write_to(TRACING EVENT "enable", "1"));
	word = 0;
}

static int tear_down(void **state)
{
	(void)state;
	stop_hogs();
	write_to(TRACING EVENT "enable", "0");
	write_to(TRACING "set_event_pid", "\n");
	unpin();
	return 0;
}

static void test_trace_this_cpu_local(void **state)
{
	struct cpu_op op = cpu_op_add(&word, 8, 1);

	set_up(state);
	pin_to(allowed_cpu(0));
	expect_event(&op, 1, allowed_cpu(0), "local", 0);
	expect_event(NULL, 0, allowed_cpu(0), "local", 0);
}

static void test_trace_result_and_invalid(void **state)
{
	struct cpu_op ops[2] = { cpu_op_compare_eq_imm(&word, 8, 1), cpu_op_add(&word, 8, 1) };
	char events[1024];

	set_up(state);
	pin_to(allowed_cpu(0));
	expect_event(ops, 2, allowed_cpu(0), "local", 1);
	ops[1].len = 3;
	assert_int_equal(traced(ops, 2, allowed_cpu(0), events, sizeof(events)), -EINVAL);
	assert_string_equal(events, "");
}

static void test_trace_retries_where_memory_is_missing(void **state)
{
	int64_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct cpu_op op = cpu_op_add(p, 8, 1);
	char events[1024];

	assert_ptr_not_equal(p, MAP_FAILED);
	set_up(state);
	pin_to(allowed_cpu(0));
	assert_int_equal(traced(&op, 1, allowed_cpu(0), events, sizeof(events)), 0);
	assert_non_null(strstr(events, "result=0 retries=1"));
	munmap(p, 4096);
}

static void test_trace_idle_cpu_locked(void **state)
{
	struct cpu_op op = cpu_op_add(&word, 8, 1);
	char events[1024];
	int i, locked = 0;

	set_up(state);
	pin_to(allowed_cpu(0));
	if (nr_allowed_cpus() < 2)
		skip_because("one CPU only");
	for (i = 0; i < 20; i++) {
		assert_int_equal(traced(&op, 1, allowed_cpu(1), events, sizeof(events)), 0);
		locked += strstr(events, "path=locked") != NULL;
	}
	assert_in_range(locked, 15, 20);
}

static void check_own_thread(const char *path)
{
	struct cpu_op op = cpu_op_add(&word, 8, 1);
	char events[1024];
	int i, found = 0;

	for (i = 0; i < 20; i++) {
		assert_int_equal(traced(&op, 1, allowed_cpu(1), events, sizeof(events)), 0);
		found += strstr(events, path) != NULL;
	}
	assert_in_range(found, 15, 20);
}

/* The rights of a thread are its own as long as the process has a protection key. */
static void test_trace_own_thread_interrupted_or_stopped(void **state)
{
	int key;

	set_up(state);
	if (nr_allowed_cpus() < 2)
		skip_because("one CPU only");
	hog_by_thread(allowed_cpu(1), SCHED_OTHER);
	pin_to(allowed_cpu(0));
	check_own_thread("path=interrupted");
	key = pkey_alloc(0, 0);
	if (key < 0)
		skip_because("no protection keys: %s", strerror(errno));
	check_own_thread("path=stopped");
	pkey_free(key);
	check_own_thread("path=interrupted");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_trace_this_cpu_local, tear_down),
		cmocka_unit_test_teardown(test_trace_result_and_invalid, tear_down),
		cmocka_unit_test_teardown(test_trace_retries_where_memory_is_missing, tear_down),
		cmocka_unit_test_teardown(test_trace_idle_cpu_locked, tear_down),
		cmocka_unit_test_teardown(test_trace_own_thread_interrupted_or_stopped, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

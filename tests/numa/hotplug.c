// SPDX-License-Identifier: MIT
/*
 * CPUs that are possible but offline, and that go down and come up under the call.
 * CPUs are taken down only in a VM of ours: TEST_VM is set there.
 */
#include <fcntl.h>
#include <unistd.h>

#include "threads.h"

#define RUN_MS	5000

static intptr_t counter;
static int target;

static bool set_online(int cpu, bool online)
{
	char path[64];
	bool good;
	int fd;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return false;
	good = write(fd, online ? "1" : "0", 1) == 1;
	close(fd);
	return good;
}

static void need_vm(void)
{
	if (!getenv("TEST_VM"))
		skip_because("CPUs go down only in the VM");
	target = allowed_cpu(nr_allowed_cpus() - 1);
}

static void test_offline_cpu(void **state)
{
	intptr_t words[2] = { 0, 0 }, one = 1;
	const struct cpu_op ops[] = {
		{ .op = CPU_COMPARE_EQ_OP, .len = 8, .u.compare_op = {
			.a = (uintptr_t)&words[0], .b = (uintptr_t)&one } },
		{ .op = CPU_MEMCPY_OP, .len = 8, .u.memcpy_op = {
			.dst = (uintptr_t)&words[1], .src = (uintptr_t)&words[0] } },
	};

	(void)state;
	need_vm();
	assert_true(set_online(target, false));
	assert_int_equal(rseq_op(ops, 2, target, 0), 1);
	assert_int_equal(rseq_op_addv(&words[0], 1, target), 0);
	assert_int_equal(rseq_op(ops, 2, target, 0), 0);
	assert_int_equal(words[0], 1);
	assert_int_equal(words[1], 1);
	assert_int_equal(rseq_op(NULL, 0, target, 0), 0);
	assert_true(set_online(target, true));
	assert_int_equal(rseq_op_addv(&words[0], 1, target), 0);
	assert_int_equal(words[0], 2);
}

static void update(struct worker *w)
{
	while (!workers_stopping()) {
		int ret = rseq_op_addv(&counter, 1, target);

		if (ret)
			wrong(w, "rseq_op_addv: %d", ret);
		else
			w->done++;
	}
}

static int half_on_target(int index)
{
	return index % 2 ? -1 : target;
}

static void test_cpu_goes_down_and_up_under_load(void **state)
{
	struct worker w[8];
	uint64_t end, done = 0;
	int i, cycles = 0;

	(void)state;
	need_vm();
	counter = 0;
	start_workers(w, 8, update, NULL, half_on_target);
	for (end = now_ms() + RUN_MS; now_ms() < end;) {
		cycles += set_online(target, false);
		sleep_ms(50);
		set_online(target, true);
		sleep_ms(50);
	}
	stop_workers();
	finish_workers(w, 8);
	for (i = 0; i < 8; i++)
		done += w[i].done;
	print_message("# %d times down, %lu operations\n", cycles, (unsigned long)done);
	assert_true(cycles > 0);
	assert_int_equal(counter, done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offline_cpu),
		cmocka_unit_test(test_cpu_goes_down_and_up_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

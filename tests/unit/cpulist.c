// SPDX-License-Identifier: MIT
/*
 * Lists of CPUs in every form: what the library makes of them, by its own parser; and the
 * library in a process for which such a list stands at /sys/devices/system/cpu/possible.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* First: it says how objects of the library keep their arrays. */
#include "../../lib/internal.h"
#include <rseq_op/buffer.h>
#include <rseq_op/lock.h>
#include "cpus.h"

#define POSSIBLE	"/sys/devices/system/cpu/possible"

static const struct {
	const char *list;
	bool whole;
	int cpus[8];		/* -1: no more */
} lists[] = {
	{ "0\n", true, { 0, -1 } },
	{ "0-3\n", true, { 0, 1, 2, 3, -1 } },
	{ "0,2-5\n", true, { 0, 2, 3, 4, 5, -1 } },
	{ "1,3,5\n", true, { 1, 3, 5, -1 } },
	{ "63-64,128\n", true, { 63, 64, 128, -1 } },
	{ "0-1,8190-8191\n", true, { 0, 1, 8190, 8191, -1 } },
	{ "8190-8195,8200,123456-123457\n", true, { 8190, 8191, -1 } },
	{ "5,2-3\n", true, { 2, 3, 5, -1 } },
	{ "\n", true, { -1 } },
	/* cut off, or none at all: a number without what follows it is not taken */
	{ "", false, { -1 } },
	{ "0-3", false, { -1 } },
	{ "0,1", false, { 0, -1 } },
	{ "0-\n", false, { -1 } },
	{ "0-,2\n", false, { -1 } },
	{ "0-1-2\n", false, { 0, 1, -1 } },
	{ ",\n", false, { -1 } },
	{ "0,,2\n", false, { 0, -1 } },
	{ "0,\n", false, { 0, -1 } },
	{ "0 1\n", false, { 0, -1 } },
	{ "f\n", false, { -1 } },
	{ "-1\n", false, { -1 } },
};

static bool among(const int *cpus, int cpu)
{
	for (; *cpus >= 0; cpus++) {
		if (*cpus == cpu)
			return true;
	}
	return false;
}

static void test_lists(void **state)
{
	struct cpus cpus;
	size_t i;
	int cpu;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lists); i++) {
		print_message("# \"%.*s\"\n", (int)strcspn(lists[i].list, "\n"), lists[i].list);
		memset(&cpus, 0xff, sizeof(cpus));
		assert_int_equal(cpus_parse(&cpus, lists[i].list), lists[i].whole);
		for (cpu = 0; cpu < RSEQ_OP_CPU_MAX; cpu++)
			assert_int_equal(cpus_have(&cpus, cpu), among(lists[i].cpus, cpu));
	}
}

#define LONG_LIST	"1000,1002,1004,1006,1008,1010,1012,1014,1016,1018,"	\
			"1020,1022,1024,1026,1028,1030,1032,1034,1036,1038"

static void test_file(void **state)
{
	char path[] = "/tmp/cpulist.XXXXXX";
	struct cpus cpus;
	int fd = mkstemp(path), cpu;

	(void)state;
	assert_true(fd >= 0);
	assert_false(cpus_read(&cpus, path));
	assert_true(write_to(path, "2-3\n"));
	assert_true(cpus_read(&cpus, path));
	assert_false(cpus_have(&cpus, 1) || cpus_have(&cpus, 4));
	assert_true(cpus_have(&cpus, 2) && cpus_have(&cpus, 3));
	/* Longer than what is read at once, and cut in the middle of a number somewhere. */
	assert_true(write_to(path, "%s", LONG_LIST "\n"));
	assert_true(cpus_read(&cpus, path));
	for (cpu = 0; cpu < RSEQ_OP_CPU_MAX; cpu++)
		assert_int_equal(cpus_have(&cpus, cpu), cpu >= 1000 && cpu < 1040 && cpu % 2 == 0);
	assert_true(write_to(path, "%s", LONG_LIST));
	assert_false(cpus_read(&cpus, path));
	close(fd);
	unlink(path);
	assert_false(cpus_read(&cpus, path));
}

/*
 * A process that sees another list. The emulation takes a CPU that is not there for one
 * that is offline.
 */

static bool add_right(intptr_t *item, int cpu)
{
	intptr_t *word = (intptr_t *)rseq_op_ptr(item, cpu);
	struct cpu_op add = { .op = CPU_ADD_OP, .len = sizeof(intptr_t),
		.u.arithmetic_op = { .p = (uintptr_t)word, .count = 1 } };
	struct cpu_op adds[] = { add, add };

	return !rseq_op_addv(word, 1, cpu) && !rseq_op(adds, 2, cpu, 0) &&
	       !rseq_op_fence(cpu) && *word == 3;
}

static bool refused(int cpu)
{
	struct cpu_op fence[1];
	intptr_t word = 0;

	return rseq_op_addv(&word, 1, cpu) == -EINVAL && rseq_op(fence, 0, cpu, 0) == -EINVAL &&
	       rseq_op_fence(cpu) == -EINVAL && !word;
}

/* A number of a CPU that does not exist is invalid, whether the buffer is empty or full. */
static bool structures_refused(void *item, int cpu)
{
	char record[8];
	void *p;

	return rseq_op_buffer_push(item, 1, item, cpu) == -EINVAL &&
	       rseq_op_buffer_push(item, 0, item, cpu) == -EINVAL &&
	       rseq_op_buffer_pop(item, &p, cpu) == -EINVAL &&
	       rseq_op_records_push(item, 1, record, sizeof(record), cpu) == -EINVAL &&
	       rseq_op_records_push(item, 0, record, sizeof(record), cpu) == -EINVAL &&
	       rseq_op_records_pop(item, record, sizeof(record), cpu) == -EINVAL &&
	       rseq_op_lock_cpu(item, cpu) == -EINVAL;
}

/* Where there is no list: as many as the kernel's sets of CPUs have room for. */
static int without_list(void)
{
	unsigned long set[RSEQ_OP_CPU_MAX / (8 * sizeof(long))];
	long room = 8 * syscall(SYS_sched_getaffinity, 0, sizeof(set), set);
	int cpu;

	for (cpu = 0; cpu < RSEQ_OP_CPU_MAX; cpu++) {
		if (rseq_op_cpu_possible(cpu) != (cpu < room))
			return 8;
	}
	return rseq_op_nr_cpus() == room ? 0 : 9;
}

/* 0, or what is wrong. CPUs of this machine are to be in the list. */
static int work(const char *list)
{
	struct rseq_op_pool *pool;
	struct cpus expected;
	intptr_t *item;
	void *p;
	int cpu, last = -1;

	if (!*list)
		return without_list();
	if (!cpus_parse(&expected, list))
		return 1;
	for (cpu = 0; cpu < RSEQ_OP_CPU_MAX; cpu++) {
		if (rseq_op_cpu_possible(cpu) != cpus_have(&expected, cpu))
			return 2;
		if (cpus_have(&expected, cpu))
			last = cpu;
	}
	if (rseq_op_nr_cpus() != last + 1)
		return 3;
	if (rseq_op_pool_create(&pool, sizeof(intptr_t), 0) || rseq_op_pool_alloc(pool, &p))
		return 4;
	item = p;
	for (cpu = 0; cpu <= last; cpu++) {
		if (!(cpus_have(&expected, cpu) ? add_right(item, cpu) : refused(cpu)))
			return 5;
		if (!cpus_have(&expected, cpu) && !structures_refused(item, cpu))
			return 10;
	}
	if (!refused(last + 1) || rseq_op_fence_all())
		return 6;
	for (cpu = 0; cpu < 1000; cpu++) {
		int here = rseq_op_current_cpu();

		if (rseq_op_addv((intptr_t *)rseq_op_ptr(item, here), 1, here))
			return 7;
	}
	return 0;
}

#define NO_NAMESPACE	99

static int run_with(const char *list)
{
	char path[] = "/tmp/cpulist.XXXXXX";
	int fd;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return NO_NAMESPACE;
	fd = mkstemp(path);
	if (fd < 0 || write(fd, list, strlen(list)) < 0 || close(fd) ||
	    mount(path, POSSIBLE, NULL, MS_BIND, NULL) || unlink(path))
		return 98;
	setenv("RSEQ_OP_BACKEND", "membarrier", 1);
	execl("/proc/self/exe", "cpulist", list, (char *)NULL);
	return 97;
}

static void check_with(const char *list)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		alarm(LIMIT_S);
		_exit(run_with(list));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_NAMESPACE)
		skip_because("no mount namespace to be had");
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_library_with_gaps(void **state)
{
	char list[100];
	int last = last_cpu_in("possible");

	(void)state;
	/* A gap behind the CPUs that there are, and two single ones far away. */
	snprintf(list, sizeof(list), "0-%d,%d-%d,500,1000\n", last, last + 3, last + 6);
	check_with(list);
}

static void test_library_without_list(void **state)
{
	(void)state;
	check_with("");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_library_with_gaps),
		cmocka_unit_test(test_library_without_list),
	};

	if (argc > 1)
		return work(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * Lists of CPUs in every form: what the library makes of them, by its own parser; and the
 * library in a process for which such a list stands at /sys/devices/system/cpu/possible.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* First: it says how objects of the library keep their arrays. */
#include "../../lib/internal.h"
#include <rseq_op/buffer.h>
#include <rseq_op/lock.h>
#include "cpus.h"
#include "fake-list.h"
#include "notify.h"

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

static bool parse_file(int fd, const char *list, struct cpus *cpus)
{
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, list, strlen(list), 0), strlen(list));
	return cpus_read(cpus, fd);
}

static void test_file(void **state)
{
	int fd = memfd_create("list", 0), cpu;
	struct cpus cpus;

	(void)state;
	assert_true(fd >= 0);
	assert_false(cpus_read(&cpus, fd));
	assert_true(parse_file(fd, "2-3\n", &cpus));
	assert_false(cpus_have(&cpus, 1) || cpus_have(&cpus, 4));
	assert_true(cpus_have(&cpus, 2) && cpus_have(&cpus, 3));
	/* Longer than what is read at once, and cut in the middle of a number somewhere. */
	assert_true(parse_file(fd, LONG_LIST "\n", &cpus));
	for (cpu = 0; cpu < RSEQ_OP_CPU_MAX; cpu++)
		assert_int_equal(cpus_have(&cpus, cpu), cpu >= 1000 && cpu < 1040 && cpu % 2 == 0);
	assert_false(parse_file(fd, LONG_LIST, &cpus));
	close(fd);
	assert_false(cpus_read(&cpus, fd));
}

/*
 * A process that sees another list. The emulation takes a CPU that is not there for one
 * that is offline.
 */

static bool add_right(intptr_t *item, int cpu)
{
	intptr_t *word = (intptr_t *)rseq_op_ptr(item, cpu);
	struct cpu_op add = cpu_op_add(word, sizeof(intptr_t), 1);
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

/* Without the kernel's list: as many as the kernel's sets of CPUs have room for. */
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

/* A child runs this program again, as work(), and the parent opens files for it: fake-list.h. */

static int install_filter(void)
{
	const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return notify_install_filter(code, ARRAY_SIZE(code));
}

static int program = -1;	/* this one, as a file */

static void run_again(const char *list)
{
	setenv("RSEQ_OP_BACKEND", "membarrier", 1);
	fexecve(program, (char *[]){ (char *)"cpulist", (char *)list, NULL }, environ);
	_exit(94);
}

/* False: the call has been interrupted, or the program's memory cannot be read. */
static bool answer_open(int listener, const struct seccomp_notif *call, const char *list)
{
	struct seccomp_notif_addfd addfd = { .id = call->id, .flags = SECCOMP_ADDFD_FLAG_SEND };
	struct seccomp_notif_resp go_on = {
		.id = call->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE,
	};
	char path[64] = "";
	struct iovec here = { path, sizeof(path) - 1 },
		there = { (void *)(uintptr_t)call->data.args[1], sizeof(path) - 1 };
	int fd;
	bool answered;

	if (process_vm_readv((pid_t)call->pid, &here, 1, &there, 1, 0) <= 0)
		return false;
	fd = fake_list_open(path, list);
	if (fd < 0)
		return !ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &go_on);
	addfd.srcfd = (uint32_t)fd;
	answered = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd) >= 0;
	close(fd);
	return answered;
}

/* Until the process has ended. (Before Linux 6.11 a zombie keeps its filter.) */
static bool answer_calls(int listener, pid_t pid, const char *list)
{
	struct pollfd ready[2] = {
		{ .fd = listener, .events = POLLIN },
		{ .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN },
	};

	for (;;) {
		struct seccomp_notif call = { 0 };

		if (ready[1].fd < 0 || poll(ready, 2, 1000 * LIMIT_S) < 1)
			return false;
		if (!(ready[0].revents & POLLIN))
			return !close(ready[1].fd);
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call))
			return false;
		if (!answer_open(listener, &call, list))
			return false;
	}
}

static void check_status(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A thread, so that the filter is its own, and the listener a file of this process. */
struct child {
	const char *list;
	int listener;
	pid_t pid;
};

static void *start_child(void *arg)
{
	struct child *child = arg;

	child->listener = install_filter();
	child->pid = fork();
	if (!child->pid)
		run_again(child->list);
	return NULL;
}

static void check_with(const char *list)
{
	struct child child = { .list = list };
	bool answered;
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, start_child, &child), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_true(child.listener >= 0 && child.pid > 0);
	answered = answer_calls(child.listener, child.pid, list);
	if (!answered)
		kill(child.pid, SIGKILL);
	check_status(child.pid);
	assert_true(answered);
	close(child.listener);
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

/*
 * What is mounted over the list, over a directory on the way, or on /sys. The library must not
 * believe another file, even if that is a file of sysfs; but it must believe the kernel's file,
 * wherever that is mounted.
 */
#define CPUS	"/sys/devices/system/cpu"
#define TMP	"/tmp/cpulist.dir"
#define NO_NAMESPACE	99

static const struct {
	const char *name;
	bool believed;
	const char *mounts;	/* commands of the shell */
} mounts[] = {
	{ "another file", false, "mount --bind " TMP "/possible " CPUS "/possible" },
	{ "another directory", false, "mount --bind " TMP " " CPUS },
	{ "another file of sysfs", false, "mount --bind " CPUS "/kernel_max " CPUS "/possible" },
	{ "another directory of sysfs", false, "mount --bind /sys/devices/system /sys" },
	{ "a tmpfs", false, "mount -t tmpfs tmpfs /sys && mkdir -p " CPUS " && "
			    "echo 0 > " CPUS "/possible" },
	{ "a tmpfs without the file", false, "mount -t tmpfs tmpfs /sys" },
	{ "no /proc", false, "mount -t tmpfs tmpfs /proc" },
	{ "the same file", true, "mount --bind " CPUS "/possible " CPUS "/possible" },
	{ "the same directory", true, "mount --bind /sys/devices /sys/devices" },
	{ "the same file system", true, "mount --bind /sys " TMP "/devices && "
					"mount --bind " TMP "/devices /sys" },
	{ "its directory on a tmpfs", true, "mount --bind /sys/devices " TMP "/devices && "
					    "mount -t tmpfs tmpfs /sys && mkdir /sys/devices && "
					    "mount --bind " TMP "/devices /sys/devices" },
};

static int run_with_mounts(size_t i)
{
	char list[200] = "";

	/* What the kernel says, before anything is mounted over it. */
	if (mounts[i].believed && !read_from(CPUS "/possible", list, sizeof(list)))
		return 98;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return 97;
	if (system(mounts[i].mounts))
		return 96;
	run_again(list);
	return 95;
}

static void make_files(void)
{
	assert_int_equal(system("rm -rf " TMP " && mkdir -p " TMP "/devices && "
				"echo 0 > " TMP "/possible"), 0);
}

static void test_list_of_another_mount_not_believed(void **state)
{
	size_t i;

	(void)state;
	make_files();
	for (i = 0; i < ARRAY_SIZE(mounts); i++) {
		pid_t pid = fork();
		int status;

		print_message("# %s\n", mounts[i].name);
		assert_int_not_equal(pid, -1);
		if (!pid) {
			alarm(LIMIT_S);
			_exit(unshare(CLONE_NEWNS) ? NO_NAMESPACE : run_with_mounts(i));
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status == NO_NAMESPACE << 8)
			skip_because("no right to make a mount namespace");
		assert_int_equal(status, 0);
	}
	assert_int_equal(system("rm -rf " TMP), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_library_with_gaps),
		cmocka_unit_test(test_list_of_another_mount_not_believed),
	};

	if (argc > 1)
		return work(argv[1]);
	program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

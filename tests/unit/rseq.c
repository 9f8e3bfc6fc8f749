// SPDX-License-Identifier: MIT
/*
 * rseq(2), the part of it that the library and its callers rely on: who is registered, what the
 * kernel writes to the area, and which descriptors end the process. Nothing here goes through
 * the library. The program starts itself once more with libc's registration switched off.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define UNREGISTER	1
#define SIGNATURE	0x53053053
#define NOT_REGISTERED	10	/* the exit status of this program, asked by an argument */
#define LENGTH		32

/* As the manual lays them out. */
struct area {
	uint32_t cpu_id_start, cpu_id;
	uint64_t rseq_cs;
	uint32_t flags, node_id, mm_cid, rest;
} __attribute__((aligned(32)));

struct descriptor {
	uint32_t version, flags;
	uint64_t start_ip, post_commit_offset, abort_ip;
} __attribute__((aligned(32)));

static struct area area, other;

static int rseq(void *a, uint32_t length, int flags, uint32_t signature)
{
	return syscall(SYS_rseq, a, length, flags, signature) ? -errno : 0;
}

static int register_area(struct area *a)
{
	return rseq(a, LENGTH, 0, SIGNATURE);
}

static int unregister_area(struct area *a)
{
	return rseq(a, LENGTH, UNREGISTER, SIGNATURE);
}

static int set_up(void **state)
{
	(void)state;
	memset(&area, 0, sizeof(area));
	area.cpu_id = (uint32_t)-1;
	return register_area(&area);
}

static int tear_down(void **state)
{
	(void)state;
	unpin();
	return unregister_area(&area);
}

static void test_register_twice_or_wrongly_its_error(void **state)
{
	(void)state;
	assert_int_equal(register_area(&area), -EBUSY);
	assert_int_equal(rseq(&area, LENGTH, 0, SIGNATURE + 1), -EPERM);
	assert_int_equal(register_area(&other), -EINVAL);
	assert_int_equal(rseq(&area, 2 * LENGTH, 0, SIGNATURE), -EINVAL);
	assert_int_equal(rseq(&area, LENGTH, 1 << 30, SIGNATURE), -EINVAL);
	assert_int_equal(unregister_area(&other), -EINVAL);
	assert_int_equal(rseq(&area, LENGTH, UNREGISTER, SIGNATURE + 1), -EPERM);
	assert_int_equal(unregister_area(&area), 0);
	assert_int_equal(unregister_area(&area), -EINVAL);
	assert_int_equal(rseq((char *)&area + 8, LENGTH, 0, SIGNATURE), -EINVAL);
	assert_int_equal(rseq(&area, LENGTH / 2, 0, SIGNATURE), -EINVAL);
	assert_int_equal(rseq((void *)-4096L, LENGTH, 0, SIGNATURE), -EFAULT);
	assert_int_equal(register_area(&area), 0);
}

static void test_area_cpu_and_node_of_thread(void **state)
{
	bool has_node = getauxval(27 /* AT_RSEQ_FEATURE_SIZE */) >= 24;
	unsigned int cpu, node;
	int i;

	(void)state;
	for (i = 0; i < nr_allowed_cpus(); i++) {
		pin_to(allowed_cpu(i));
		assert_int_equal(area.cpu_id_start, allowed_cpu(i));
		assert_int_equal(area.cpu_id, allowed_cpu(i));
		assert_int_equal(syscall(SYS_getcpu, &cpu, &node, NULL), 0);
		if (has_node)
			assert_int_equal(area.node_id, node);
	}
}

static void test_unregistered_cpu_id_uninitialized(void **state)
{
	(void)state;
	assert_int_equal(unregister_area(&area), 0);
	assert_int_equal((int32_t)area.cpu_id, -1);
	assert_int_equal(register_area(&area), 0);
	assert_true((int32_t)area.cpu_id >= 0);
}

/* Code that is never run, with a signature before its abort handler. */
void section_begin(void);
void section_abort(void);
void section_unsigned(void);
__asm__ (
	".pushsection .text\n\t"
	".globl section_begin, section_abort, section_unsigned\n"
	"section_begin:\n\t"
	".zero 16\n\t"
	".long 0x53053053\n"
	"section_abort:\n\t"
	".zero 16\n"
	"section_unsigned:\n\t"
	".zero 16\n\t"
	".popsection"
);

/* A sequence that gets a signal in its middle: 0 at its end, 1 from its abort handler. */
int trap_begin(void);
void trap_end(void);
void trap_abort(void);
#ifdef __aarch64__
# define TRAP		"brk #0"
# define RETURN(n)	"mov w0, #" #n "\n\tret\n\t"
#else
# define TRAP		"int3"
# define RETURN(n)	"movl $" #n ", %eax\n\tret\n\t"
#endif
__asm__ (
	".pushsection .text\n\t"
	".globl trap_begin, trap_end, trap_abort\n"
	"trap_begin:\n\t"
	TRAP "\n\t"
	"nop\n"
	"trap_end:\n\t"
	RETURN(0)
	".long 0x53053053\n"
	"trap_abort:\n\t"
	RETURN(1)
	".popsection"
);

static struct descriptor descriptor(void)
{
	return (struct descriptor){ .start_ip = (uintptr_t)section_begin,
		.post_commit_offset = 16, .abort_ip = (uintptr_t)section_abort };
}

static void ignore(int signal)
{
	(void)signal;
}

/* On its way to a signal handler the kernel looks at the descriptor. */
static void interrupt_with(const volatile void *d)
{
	signal(SIGUSR1, ignore);
	*(volatile uint64_t *)&area.rseq_cs = (uintptr_t)d;
	raise(SIGUSR1);
}

static void test_descriptor_outside_of_it_cleared(void **state)
{
	static struct descriptor good;

	(void)state;
	good = descriptor();
	interrupt_with(&good);
	assert_int_equal(area.rseq_cs, 0);
}

/* The child of fork() is registered; SIGSEGV ends it although it ignores the signal. */
static void check_killed(const char *what, const volatile void *d)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGSEGV, SIG_IGN);
		interrupt_with(d);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
		fail_msg("%s: status %#x, expected signal %d", what, (unsigned int)status, SIGSEGV);
}

static void test_descriptor_invalid_sigsegv(void **state)
{
	static struct descriptor d[3];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(d); i++)
		d[i] = descriptor();
	d[0].version = 1;
	check_killed("version 1", &d[0]);
	d[1].abort_ip = d[1].start_ip + 8;
	check_killed("abort handler in the sequence", &d[1]);
	d[2].abort_ip = (uintptr_t)section_unsigned;
	check_killed("no signature before the abort handler", &d[2]);
	check_killed("descriptor that cannot be read", (void *)8);
}

static int run_trap(uint32_t descriptor_flags, uint32_t area_flags)
{
	static struct descriptor d;

	d = (struct descriptor){ .flags = descriptor_flags, .start_ip = (uintptr_t)trap_begin,
		.post_commit_offset = (uintptr_t)trap_end - (uintptr_t)trap_begin,
		.abort_ip = (uintptr_t)trap_abort };
	signal(SIGTRAP, ignore);
	signal(SIGSEGV, SIG_IGN);
	*(volatile uint32_t *)&area.flags = area_flags;
	*(volatile uint64_t *)&area.rseq_cs = (uintptr_t)&d;
	return trap_begin();
}

static void check_killed_inside(uint32_t descriptor_flags, uint32_t area_flags)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(run_trap(descriptor_flags, area_flags));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void test_signal_inside_aborts(void **state)
{
	(void)state;
	assert_int_equal(run_trap(0, 0), 1);
	assert_int_equal(area.rseq_cs, 0);
}

/* Flags are looked at where the thread is in the sequence. */
static void test_flags_inside_sigsegv(void **state)
{
	(void)state;
	check_killed_inside(1, 0);
	check_killed_inside(1U << 31, 0);
	check_killed_inside(0, 1);
}

static void *register_in_thread(void *arg)
{
	static struct area its_own;
	int ret = register_area(&its_own);

	(void)arg;
	if (!ret)
		ret = unregister_area(&its_own);
	return ret ? &area : NULL;
}

/* Registered: the child of fork(). Not registered: a new thread, a child of vfork(), a program. */
static void test_fork_registered_others_not(void **state)
{
	char *const again[] = { "rseq", "registered?", NULL };
	pthread_t thread;
	volatile int ret = -1;
	void *failed;
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (!pid)
		_exit(register_area(&area) != -EBUSY || (int32_t)area.cpu_id < 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(pthread_create(&thread, NULL, register_in_thread, NULL), 0);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	pid = vfork();
	if (!pid) {
		ret = register_area(&other);
		if (!ret)
			ret = unregister_area(&other);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(ret, 0);
	pid = fork();
	if (!pid) {
		execv("/proc/self/exe", again);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), NOT_REGISTERED);
	assert_int_equal(register_area(&area), -EBUSY);
}

/* libc reads the setting when the program starts. */
static int without_libc(char **argv)
{
	static const char off[] = "glibc.pthread.rseq=0";
	const char *now = getenv("GLIBC_TUNABLES");

	if (now && !strcmp(now, off))
		return 0;
	setenv("GLIBC_TUNABLES", off, 1);
	execv("/proc/self/exe", argv);
	return 1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_register_twice_or_wrongly_its_error, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_area_cpu_and_node_of_thread, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unregistered_cpu_id_uninitialized, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_descriptor_outside_of_it_cleared, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_descriptor_invalid_sigsegv, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_signal_inside_aborts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_flags_inside_sigsegv, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fork_registered_others_not, set_up, tear_down),
	};

	if (argc > 1)
		return register_area(&area) ? 1 : NOT_REGISTERED;
	if (without_libc(argv))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

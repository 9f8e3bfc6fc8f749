// SPDX-License-Identifier: MIT
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpus.h"
#include "hog.h"
#include "threads.h"

#define KSM		"/sys/kernel/mm/ksm/"
#define KSM_MEMORY	(16 << 20)

/* struct sched_attr, whose header does not go with <sched.h>. */
struct attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

static pthread_t thread;
static bool have_thread;
static volatile bool stop_thread;
static pid_t process, ksm_memory;
static volatile struct {
	uint64_t turns;
	int cpu;
} *hog;					/* in shared memory */

bool set_policy(int policy)
{
	struct attributes a = { .size = sizeof(a), .policy = (uint32_t)policy };
	cpu_set_t all;

	if (policy == SCHED_FIFO)
		a.priority = 99;
	if (policy == SCHED_DEADLINE) {
		memset(&all, 0xff, sizeof(all));
		if (sched_setaffinity(0, sizeof(all), &all))
			return false;
		a.runtime = 9000000;
		a.deadline = a.period = 10000000;
	}
	return !syscall(SYS_sched_setattr, 0, &a, 0);
}

static bool settle(int cpu, int policy)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set) &&
	       (policy == SCHED_OTHER || set_policy(policy));
}

static void prepare(void)
{
	if (!hog)
		hog = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(hog, MAP_FAILED);
	hog->turns = 0;
}

static void turn(void)
{
	hog->cpu = sched_getcpu();
	hog->turns++;
}

int wait_for_hog(int cpu)
{
	uint64_t turns;

	if (!have_thread && !process)
		return cpu;
	for (turns = hog->turns; hog->turns < turns + 2;)
		rseq_op_cpu_relax();
	return hog->cpu;
}

static void wait_until_running(void)
{
	uint64_t end = now_ms() + 60000;

	while (!hog->turns && now_ms() < end)
		sleep_ms(10);
	assert_true(hog->turns > 0);
	sleep_ms(50);
}

static void *thread_main(void *arg)
{
	const int *where = arg;

	if (settle(where[0], where[1])) {
		while (!stop_thread)
			turn();
	}
	return NULL;
}

void hog_by_thread(int cpu, int policy)
{
	int where[2] = { cpu, policy };

	prepare();
	stop_thread = false;
	assert_int_equal(pthread_create(&thread, NULL, thread_main, where), 0);
	have_thread = true;
	wait_until_running();
}

pid_t start_hog_process(int cpu, int policy)
{
	prepare();
	process = fork();
	if (!process) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!settle(cpu, policy))
			_exit(1);
		for (;;)
			turn();
	}
	return process;
}

pid_t hog_by_process(int cpu, int policy)
{
	start_hog_process(cpu, policy);
	wait_until_running();
	return process;
}

/* Pages that differ, so that they are looked at again and again. */
static void offer_pages(void)
{
	uint32_t i, random = 1;
	uint32_t *words = mmap(NULL, KSM_MEMORY, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (words == MAP_FAILED || madvise(words, KSM_MEMORY, MADV_MERGEABLE))
		_exit(1);
	for (i = 0; i < KSM_MEMORY / sizeof(*words); i += 256)
		words[i] = next_random(&random);
	hog->turns = 1;
	for (;;)
		pause();
}

static bool is_running(pid_t pid)
{
	char path[64], text[512], *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return read_from(path, text, sizeof(text)) && (state = strrchr(text, ')')) &&
	       state[2] == 'R';
}

/* At so many of 20 looks. */
static int looks_running(pid_t pid)
{
	int i, running = 0;

	for (i = 0; i < 20; i++) {
		running += is_running(pid);
		sleep_ms(2);
	}
	return running;
}

void hog_by_kernel_thread(int cpu)
{
	pid_t ksmd = kernel_thread("ksmd");
	cpu_set_t set;
	int tries, running = 0;

	need_vm();
	if (ksmd < 0)
		skip_because("no ksmd in this kernel");
	prepare();
	ksm_memory = fork();
	if (!ksm_memory)
		offer_pages();
	wait_until_running();
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	assert_int_equal(sched_setaffinity(ksmd, sizeof(set), &set), 0);
	write_to(KSM "smart_scan", "0");	/* since 6.7 */
	assert_true(write_to(KSM "pages_to_scan", "1000000"));
	assert_true(write_to(KSM "sleep_millisecs", "0"));
	assert_true(write_to(KSM "run", "1"));
	sleep_ms(200);
	/* It waits for the other CPUs when it starts over, which may take a while. */
	for (tries = 0; running < 10 && tries < 10; tries++)
		running = looks_running(ksmd);
	print_message("# ksmd: running at %d of 20 looks\n", running);
	assert_true(running >= 10);
}

static void end_process(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

void stop_hogs(void)
{
	if (have_thread) {
		stop_thread = true;
		pthread_join(thread, NULL);
		have_thread = false;
	}
	if (ksm_memory) {
		write_to(KSM "run", "2");
		write_to(KSM "sleep_millisecs", "20");
	}
	end_process(&process);
	end_process(&ksm_memory);
}

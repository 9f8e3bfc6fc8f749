// SPDX-License-Identifier: MIT
/*
 * dlopen() and dlclose(): of a plugin with sequences in it while threads that ran them
 * sleep; and of the library, which goes on working. The plugin that is really unmapped
 * shows what would happen to the other.
 */
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "threads.h"

#define THREADS	4

typedef int (*plugin_fn)(intptr_t *words);
typedef int (*vector_fn)(const struct cpu_op *ops, unsigned int nr_ops, int cpu,
			 unsigned int flags);

/* Of the shared library: this program's own copy is not used. */
static intptr_t words[RSEQ_OP_CPU_MAX];

static void *open_beside(const char *name)
{
	char self[PATH_MAX] = "", path[PATH_MAX + 64];

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return NULL;
	snprintf(path, sizeof(path), "%s/%s", dirname(self), name);
	return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static bool is_mapped(const void *p)
{
	uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);

	return !msync((void *)((uintptr_t)p & -size), size, MS_ASYNC);
}

/*
 * A plugin
 */

static plugin_fn plugin_add;
static int wake_up[2];
static _Atomic int tids[THREADS];

/*
 * The thread sleeps in the kernel from its operation on. When it wakes up, the kernel reads the
 * descriptor of the sequence, since the thread has been preempted; unless that was so before.
 */
static void *add_and_sleep(void *arg)
{
	_Atomic int *tid = arg;
	char byte;
	int ret = plugin_add(words);		/* may register the thread */

	*tid = (int)syscall(SYS_gettid);
	ret |= plugin_add(words);
	return ret || read(wake_up[0], &byte, 1) != 1 ? words : NULL;
}

/* 0, or a number for what went wrong. */
static int unload_under_threads(const char *name, bool stays)
{
	void *plugin = open_beside(name), *failed;
	pthread_t t[THREADS];
	size_t i;

	plugin_add = plugin ? (plugin_fn)dlsym(plugin, "plugin_add") : NULL;
	if (!plugin_add || pipe(wake_up))
		return 1;
	for (i = 0; i < THREADS; i++) {
		if (pthread_create(&t[i], NULL, add_and_sleep, &tids[i]))
			return 2;
	}
	for (i = 0; i < THREADS; i++) {
		while (!tids[i] || call_of_sleeper(tids[i]) != SYS_read)
			sleep_ms(1);
	}
	if (dlclose(plugin))
		return 3;
	if (is_mapped((const void *)plugin_add) != stays)
		return 4;
	if (write(wake_up[1], "....", THREADS) != THREADS)
		return 5;
	for (i = 0; i < THREADS; i++) {
		if (pthread_join(t[i], &failed) || failed)
			return 6;
	}
	return stays && plugin_add(words) ? 7 : 0;
}

static int status_of(const char *name, bool stays)
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (!pid) {
		alarm(LIMIT_S);
		signal(SIGSEGV, SIG_DFL);	/* cmocka's handler would say something else */
		_exit(unload_under_threads(name, stays));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_plugin_closed_under_threads_stays(void **state)
{
	(void)state;
	assert_int_equal(status_of("../plugin/kept.so", true), 0);
}

/* Threads that were all preempted between their operation and their sleep get away. */
static void test_plugin_unmapped_under_threads_sigsegv(void **state)
{
	int i, status = 0;

	(void)state;
	for (i = 0; i < 20 && !status; i++)
		status = status_of("../plugin/unkept.so", false);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

/*
 * The library
 */

static vector_fn vector;

/* A vector that no sequence can do, and one that a sequence can. */
static int add_three(int cpu)
{
	struct cpu_op add = cpu_op_add(&words[cpu], sizeof(intptr_t), 1);
	struct cpu_op adds[] = { add, add };
	int ret = vector(adds, 2, cpu, 0);

	return ret ? ret : vector(&add, 1, cpu, 0);
}

static void add_everywhere(struct worker *w)
{
	while (!workers_stopping()) {
		int ret = add_three(allowed_cpu((int)(w->done % (uint64_t)nr_allowed_cpus())));

		if (ret)
			wrong(w, "%d", ret);
		w->done++;
	}
}

static int add_in_child(void)
{
	int i, ret = 0;

	alarm(LIMIT_S);
	for (i = 0; i < nr_allowed_cpus() && !ret; i++)
		ret = add_three(allowed_cpu(i));
	return ret != 0;
}

static void test_library_closed_goes_on(void **state)
{
	void *library = open_beside("../../librseq_op.so");
	struct worker w[THREADS], after[THREADS];
	uint64_t done = 0;
	intptr_t sum = 0;
	int i, status;

	(void)state;
	assert_non_null(library);
	vector = (vector_fn)dlsym(library, "rseq_op");
	assert_non_null(vector);
	memset(words, 0, sizeof(words));
	start_workers(w, THREADS, add_everywhere, NULL, NULL);
	sleep_ms(100);
	assert_int_equal(dlclose(library), 0);
	for (i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(add_in_child());
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	stop_workers();
	finish_workers(w, THREADS);
	start_workers(after, THREADS, add_everywhere, NULL, NULL);
	sleep_ms(100);
	stop_workers();
	finish_workers(after, THREADS);
	for (i = 0; i < THREADS; i++)
		done += w[i].done + after[i].done;
	for (i = 0; i < nr_allowed_cpus(); i++)
		sum += words[allowed_cpu(i)];
	assert_int_equal(sum, 3 * done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plugin_closed_under_threads_stays),
		cmocka_unit_test(test_plugin_unmapped_under_threads_sigsegv),
		cmocka_unit_test(test_library_closed_goes_on),
	};

	nr_allowed_cpus();	/* looked up once */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

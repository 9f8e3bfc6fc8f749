// SPDX-License-Identifier: MIT
/*
 * Waiting for the lock of a CPU: a waiter reads instead of trying, and sleeps, so that the
 * holder goes on whatever the waiter's priority is. Nothing here depends on how long a step
 * takes: the holder releases the lock when it has seen the waiter go to sleep often enough.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rseq_op/lock.h>

#include "hog.h"

#define SLEEPS		20	/* of the waiter, before the holder releases the lock */
#define STORM		1000	/* operations that are not those of a waiter that reads */

static struct rseq_op_pool *pool;
static struct rseq_op_lock *lock;

struct waiter {
	int cpu;		/* to run on */
	int lock_of;		/* the CPU whose lock it wants */
	int policy;
	pthread_t thread;
	_Atomic pid_t tid;	/* once it is about to wait; -1 where the policy is refused */
	int result;
	int saved_errno;
};

static int set_up(void **state)
{
	void *item;

	(void)state;
	assert_int_equal(rseq_op_pool_create(&pool, sizeof(*lock), 0), 0);
	assert_int_equal(rseq_op_pool_alloc(pool, &item), 0);
	lock = item;
	alarm(LIMIT_S);
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	alarm(0);
	unpin();
	rseq_op_pool_destroy(pool);
	return 0;
}

/* Operations that were not done by a sequence at once: those for another CPU among them. */
static uint64_t slow_operations(void)
{
	struct rseq_op_stats s;

	rseq_op_stats(&s, sizeof(s));
	return s.aborted + s.remote + s.closed + s.unregistered + s.forced + s.vector;
}

/* How often a thread has gone to sleep. sched_yield(2) and being preempted are not counted. */
static long sleeps(pid_t tid)
{
	char path[64], line[128];
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1)
			break;
	}
	fclose(f);
	assert_true(n >= 0);
	return n;
}

static void *wait_for_lock(void *arg)
{
	struct waiter *w = arg;

	pin_to(w->cpu);
	if (w->policy != SCHED_OTHER && !set_policy(w->policy)) {
		w->tid = -1;
		return NULL;
	}
	w->tid = (pid_t)syscall(SYS_gettid);
	errno = 77;
	w->result = rseq_op_lock_cpu(lock, w->lock_of);
	w->saved_errno = errno;
	if (!w->result)
		rseq_op_unlock_cpu(lock, w->lock_of);
	return NULL;
}

/* Start it. The caller holds the lock. */
static pid_t start(struct waiter *w)
{
	assert_int_equal(pthread_create(&w->thread, NULL, wait_for_lock, w), 0);
	while (!w->tid)
		sched_yield();
	return w->tid;
}

/* Release the lock that the waiter w waits for. */
static void release_and_join(struct waiter *w)
{
	rseq_op_unlock_cpu(lock, w->lock_of);
	assert_int_equal(pthread_join(w->thread, NULL), 0);
	assert_int_equal(w->result, 0);
	assert_int_equal(w->saved_errno, 77);
	assert_int_equal(rseq_op_ptr(lock, w->lock_of)->held, 0);
}

/* Until it has slept often enough, or has sent so many operations that the test has failed. */
static void await_sleeps(pid_t tid, uint64_t operations)
{
	long before = sleeps(tid);

	while (sleeps(tid) < before + SLEEPS && slow_operations() < operations + STORM)
		sched_yield();
}

static void test_waiter_on_another_cpu_only_reads(void **state)
{
	int holder = allowed_cpu(0);
	struct waiter w = { .cpu = other_cpu(holder), .lock_of = holder, .policy = SCHED_OTHER };
	uint64_t before;
	pid_t tid;

	(void)state;
	if (w.cpu < 0)
		skip_because("only one CPU");
	pin_to(holder);
	assert_int_equal(rseq_op_lock_cpu(lock, holder), 0);
	before = slow_operations();
	tid = start(&w);
	await_sleeps(tid, before);
	assert_int_equal(slow_operations() - before, 0);
	release_and_join(&w);
	assert_true(slow_operations() - before <= 1);
}

/*
 * How long the pause is that a thread sleeps through, in nanoseconds, or -1 if it does not sleep,
 * or has woken meanwhile. The kernel names the call and its arguments; the time is in our memory.
 */
static long pause_of(pid_t tid)
{
	char path[64], line[128] = "";
	unsigned long address;
	long before = sleeps(tid), ns, nr;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	f = fopen(path, "r");
	assert_non_null(f);
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	if (sscanf(line, "%ld %*x %*x %lx", &nr, &address) != 2 || nr != SYS_clock_nanosleep)
		return -1;
	ns = ((const volatile long *)address)[1];
	return sleeps(tid) == before ? ns : -1;
}

/* The pauses become longer up to the documented 1 ms, and stay there. */
static void test_pauses_of_waiter_reach_limit(void **state)
{
	int cpu = allowed_cpu(0), seen = 0, others = 0;
	struct waiter w = { .cpu = cpu, .lock_of = cpu, .policy = SCHED_OTHER };
	long first;
	pid_t tid;

	(void)state;
	assert_int_equal(rseq_op_lock_cpu(lock, cpu), 0);
	tid = start(&w);
	first = sleeps(tid);
	while (seen < SLEEPS && sleeps(tid) < first + 100 * SLEEPS) {
		long ns = pause_of(tid);

		others += ns != -1 && (ns < 50000 || ns > 1000000);
		seen += ns == 1000000;
	}
	release_and_join(&w);
	assert_int_equal(others, 0);
	assert_int_equal(seen, SLEEPS);
}

/*
 * The waiter has a higher priority than the holder, on the same CPU. As long as the waiter
 * does not sleep, the holder does not run, or runs only while the kernel throttles the waiter,
 * and never sees the waiter sleep.
 */
static void test_realtime_waiter_lets_holder_run(void **state)
{
	int cpu = allowed_cpu(0);
	struct waiter w = { .cpu = cpu, .lock_of = cpu, .policy = SCHED_FIFO };
	uint64_t before;
	pid_t tid;

	(void)state;
	pin_to(cpu);
	assert_int_equal(rseq_op_lock_cpu(lock, cpu), 0);
	before = slow_operations();
	tid = start(&w);
	if (tid < 0) {
		pthread_join(w.thread, NULL);
		skip_because("real-time priority is refused");
	}
	await_sleeps(tid, before);
	release_and_join(&w);
}

static void *take_lock_and_leave(void *arg)
{
	int ret = rseq_op_lock_cpu(lock, *(int *)arg);

	return ret ? arg : NULL;
}

/* Nobody in the child can release what another thread of the parent holds, but by hand. */
static int find_held(int cpu)
{
	intptr_t *held = &rseq_op_ptr(lock, cpu)->held;

	alarm(LIMIT_S);
	if (rseq_op_cmpeqv_storev(held, 0, 1, cpu) != 1)
		return 1;
	__atomic_store_n(held, 0, __ATOMIC_RELAXED);
	if (rseq_op_lock_cpu(lock, cpu))
		return 2;
	rseq_op_unlock_cpu(lock, cpu);
	return 0;
}

static void test_held_by_another_thread_stays_held_in_child(void **state)
{
	int cpu = allowed_cpu(0), status;
	pthread_t holder;
	void *failed;
	pid_t pid;

	(void)state;
	assert_int_equal(pthread_create(&holder, NULL, take_lock_and_leave, &cpu), 0);
	assert_int_equal(pthread_join(holder, &failed), 0);
	assert_null(failed);
	pid = fork();
	if (!pid)
		_exit(find_held(cpu));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(rseq_op_ptr(lock, cpu)->held, 1);
	rseq_op_unlock_cpu(lock, cpu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_waiter_on_another_cpu_only_reads,
						set_up, clean_up),
		cmocka_unit_test_setup_teardown(test_pauses_of_waiter_reach_limit,
						set_up, clean_up),
		cmocka_unit_test_setup_teardown(test_realtime_waiter_lets_holder_run,
						set_up, clean_up),
		cmocka_unit_test_setup_teardown(test_held_by_another_thread_stays_held_in_child,
						set_up, clean_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * cpu_opv(2) for a CPU in every state it can be in: what each vector returns, what
 * every word of the page holds afterwards, and whom the call disturbs.
 *
 * Nobody is disturbed where the CPU runs nothing that shares the operands: between
 * two looks at its counters no interrupt from another CPU has come, its stopper has
 * not run, and the process that it runs has not been preempted. Where the CPU is busy
 * with a thread of this process, each vector interrupts it, and the stopper does not run;
 * where it is busy with another process that shares the operands, all these counters must
 * move with the vectors.
 *
 * The kernel has reasons of its own to interrupt a CPU now and then, about once a second
 * where it is isolated. So a CPU is looked at several times, and one look has to find
 * nothing through 252 vectors; on an isolated CPU 40 of 50 have to, through 10,080, or, where
 * that takes long, of up to 100.
 *
 * Some states want an argument of the kernel: maxcpus=5 leaves CPUs that were never
 * booted, nohz_full=6-7 isolcpus=domain,managed_irq,6-7 rcu_nocbs=6-7 isolates two.
 */
#include <sched.h>
#include <sys/mman.h>

#include "cpus.h"
#include "hog.h"
#include "threads.h"
#include "vectors.h"
#include "wide.h"

#define WORDS	512

enum promise { UNDISTURBED, INTERRUPTED, STOPPED };

static const char *const promise_names[] = { "undisturbed", "interrupted", "stopped" };

struct cpu_state {
	int (*find)(void);		/* the CPU; may skip */
	int (*enter)(int cpu);		/* the process that it then runs, or 0 */
	void (*leave)(int cpu);
	bool shared;			/* the operands */
	enum promise promise;
	int vectors;			/* in a look */
	int looks;			/* at most, if they are not slow */
	int kept;			/* looks at which the promise must be kept */
};

#define ONE_LOOK	.vectors = 252, .looks = 20, .kept = 1
#define MANY_LOOKS	.vectors = 252, .looks = 50, .kept = 40
#define ONE_INTERRUPTED	.promise = INTERRUPTED, .vectors = 60, .looks = 20, .kept = 1
#define ONE_STOPPED	.promise = STOPPED, .vectors = 60, .looks = 20, .kept = 1

static int64_t *words, expected[WORDS];
static int target;
static enum promise promise;
static bool entered;

/* The words that vectors use; all others only have to stay as they are. */
enum { SUM = 3, SAME_1 = 17, SAME_2 = 40, COPY = 101, LEFT = 300, RIGHT = 511 };

static void check_one(const struct cpu_op *ops, unsigned int nr_ops, int result)
{
	int ret, i;

	if (promise != UNDISTURBED)
		wait_for_hog(target);
	ret = cpu_opv(ops, nr_ops, target, 0);
	if (ret != result)
		fail_msg("vector of %u for CPU %d: %d, expected %d", nr_ops, target, ret, result);
	if (!memcmp(words, expected, sizeof(expected)))
		return;
	for (i = 0; words[i] == expected[i]; i++)
		;
	fail_msg("vector of %u for CPU %d: word %d is %#lx, expected %#lx", nr_ops, target, i,
		 (unsigned long)words[i], (unsigned long)expected[i]);
}

static void check_four(int64_t count)
{
	const struct cpu_op sum[] = { cpu_op_add(&words[SUM], 8, count) };
	const struct cpu_op compare_copy[] = {
		cpu_op_compare_eq(&words[SAME_1], &words[SAME_2], 8),
		cpu_op_memcpy(&words[COPY], &words[SUM], 8),
	};
	const struct cpu_op stopped[] = {
		cpu_op_compare_eq(&words[SAME_1], &words[SAME_2], 8),
		cpu_op_compare_eq(&words[SAME_1], &words[SUM], 8),
		cpu_op_add(&words[SUM], 8, 1),
	};
	const struct cpu_op two_stores[] = {
		cpu_op_memcpy(&words[LEFT], &words[SUM], 8),
		cpu_op_memcpy_release(&words[RIGHT], &words[COPY], 8),
	};

	expected[SUM] += count;
	check_one(sum, 1, 0);
	expected[COPY] = expected[SUM];
	check_one(compare_copy, 2, 0);
	check_one(stopped, 3, 2);
	expected[LEFT] = expected[SUM];
	expected[RIGHT] = expected[COPY];
	check_one(two_stores, 2, 0);
}

static void map_words(bool shared)
{
	uint32_t random = 1;
	int i;

	words = mmap(NULL, sizeof(expected), PROT_READ | PROT_WRITE,
		     (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(words, MAP_FAILED);
	for (i = 0; i < WORDS; i++)
		words[i] = expected[i] = (int64_t)next_random(&random) << 20;
	words[SAME_2] = expected[SAME_2] = expected[SAME_1];
}

struct look {
	struct events on_cpu;
	long preempted;			/* the process that runs there */
	uint64_t ms;
};

/* A thread with a deadline may choose its CPU. */
static void follow_hog(void)
{
	int cpu = wait_for_hog(target);

	if (cpu != target)
		pin_to(other_cpu(cpu));
	target = cpu;
}

static void look(struct look *l, pid_t process, int vectors)
{
	struct events before;
	long preempted = process ? times_preempted(process) : 0;
	uint64_t start;
	int i;

	follow_hog();
	count_events(target, &before);
	start = now_ms();
	for (i = 0; i < vectors; i += 4)
		check_four(i + 1);
	l->ms = now_ms() - start;
	count_events(target, &l->on_cpu);
	subtract_events(&l->on_cpu, &before);
	l->preempted = process ? times_preempted(process) - preempted : 0;
}

static void print_look(const struct look *l, int vectors)
{
	print_message("# %d vectors in %lu ms: %ld rescheduling, %ld function call and %ld TLB "
		      "interrupts, %ld ticks, stopper %ld times, preempted %ld times\n", vectors,
		      (unsigned long)l->ms, l->on_cpu.resched, l->on_cpu.call, l->on_cpu.tlb,
		      l->on_cpu.tick, l->on_cpu.stopper, l->preempted);
}

static bool undisturbed(const struct look *l)
{
	return !l->on_cpu.resched && !l->on_cpu.call && !l->on_cpu.tlb && !l->on_cpu.stopper &&
	       !l->preempted;
}

/*
 * Before each vector the thread has run. One with a deadline may be gone by then: its time
 * is over, or it has changed CPUs.
 */
static bool interrupted(const struct look *l, int vectors)
{
	return l->on_cpu.call >= vectors / 3 && !l->on_cpu.stopper;
}

static bool stopped(const struct look *l, int vectors)
{
	int many = vectors / 3;

	return l->on_cpu.stopper >= many && l->on_cpu.resched + l->on_cpu.call >= many &&
	       l->preempted >= many;
}

static bool is_kept(const struct look *l, int vectors)
{
	switch (promise) {
	case INTERRUPTED:
		return interrupted(l, vectors);
	case STOPPED:
		return stopped(l, vectors);
	default:
		return undisturbed(l);
	}
}

/* What the kernel does for reasons of its own comes by the second, so slow looks find more. */
static int looks_at_most(const struct cpu_state *s, uint64_t ms)
{
	return s->looks + (ms / 500 < (uint64_t)s->looks ? (int)(ms / 500) : s->looks);
}

static void check_promise(const struct cpu_state *s, pid_t process)
{
	int i, kept = 0;
	uint64_t ms = 0;
	struct look l;

	for (i = 0; i < looks_at_most(s, ms) && kept < s->kept; i++) {
		look(&l, process, s->vectors);
		ms += l.ms;
		kept += is_kept(&l, s->vectors);
	}
	print_look(&l, s->vectors);
	print_message("# %s at %d of %d looks\n", promise_names[promise], kept, i);
	if (kept < s->kept)
		fail_msg("CPU %d: as promised at %d of %d looks, expected %d", target, kept, i,
			 s->kept);
}

static void test_state(void **state)
{
	const struct cpu_state *s = *state;
	pid_t process = 0;

	need_kernel();
	target = s->find();
	promise = s->promise;
	if (sched_getcpu() == target)
		pin_to(other_cpu(target));
	if (s->enter)
		process = s->enter(target);
	entered = true;
	map_words(s->shared);
	check_vectors(cpu_opv, target, 0);
	check_promise(s, process);
}

static int leave_state(void **state)
{
	const struct cpu_state *s = *state;

	if (entered && s->leave)
		s->leave(target);
	entered = false;
	stop_hogs();
	unpin();
	if (words)
		munmap(words, sizeof(expected));
	words = NULL;
	return 0;
}

/* Finding a CPU */

static int an_allowed_cpu(void)
{
	int cpu = allowed_cpu(nr_allowed_cpus() - 1);

	if (nr_allowed_cpus() < 2)
		skip_because("only one CPU");
	return cpu;
}

static int a_cpu_of_the_vm(void)
{
	need_vm();
	return an_allowed_cpu();
}

static int a_cpu_never_booted(void)
{
	int cpu = never_booted_cpu();

	if (cpu < 0)
		skip_because("each possible CPU has been up: boot with maxcpus=");
	return cpu;
}

static int an_isolated_cpu(void)
{
	int cpu = last_cpu_in("isolated");

	if (cpu < 0 || !cpu_is_in("nohz_full", cpu))
		skip_because("no CPU is isolated: boot with nohz_full= and isolcpus=");
	return cpu;
}

/* Entering and leaving a state */

static int be_there(int cpu)
{
	pin_to(cpu);
	return 0;
}

static int go_offline(int cpu)
{
	assert_true(set_online(cpu, false));
	return 0;
}

static void still_offline(int cpu)
{
	assert_false(cpu_is_in("online", cpu));
}

static void come_online(int cpu)
{
	still_offline(cpu);
	assert_true(set_online(cpu, true));
}

static int own_thread(int cpu)
{
	hog_by_thread(cpu, SCHED_OTHER);
	return 0;
}

static int own_fifo_thread(int cpu)
{
	hog_by_thread(cpu, SCHED_FIFO);
	return 0;
}

static int own_deadline_thread(int cpu)
{
	hog_by_thread(cpu, SCHED_DEADLINE);
	return 0;
}

static int other_process(int cpu)
{
	return hog_by_process(cpu, SCHED_OTHER);
}

static int other_fifo_process(int cpu)
{
	return hog_by_process(cpu, SCHED_FIFO);
}

static int other_deadline_process(int cpu)
{
	hog_by_process(cpu, SCHED_DEADLINE);
	return 0;	/* preempted whenever its time is over */
}

static int kernel_thread_runs(int cpu)
{
	hog_by_kernel_thread(cpu);
	return 0;
}

/* Which CPU a vector is for shows in whose sequences it aborts. */

static _Atomic uint64_t aborts_there;
static intptr_t count_there;

static void increment_there(struct worker *w)
{
	while (!workers_stopping()) {
		uint64_t aborts = 0;

		if (wide_increment(&count_there, w->cpu, &aborts))
			w->done++;
		else
			wrong(w, "not on CPU %d", w->cpu);
		aborts_there += aborts;
	}
}

static int on_target(int index)
{
	(void)index;
	return target;
}

/* Each vector finds it in a sequence again. */
static void wait_for_increments(void)
{
	intptr_t count = __atomic_load_n(&count_there, __ATOMIC_RELAXED);

	while (__atomic_load_n(&count_there, __ATOMIC_RELAXED) < count + 2)
		rseq_op_cpu_relax();
}

/* Those for its CPU add to what it adds to. */
static uint64_t aborts_by(int cpu, int vectors)
{
	const struct cpu_op add = cpu_op_add(&count_there, sizeof(count_there), 1);
	uint64_t before = aborts_there;
	int i;

	for (i = 0; i < vectors; i++) {
		wait_for_increments();
		assert_int_equal(cpu_opv(&add, cpu == target, cpu, 0), 0);
	}
	wait_for_increments();
	return aborts_there - before;
}

static void test_vectors_abort_sequences_of_their_cpu(void **state)
{
	const int vectors = 200;
	uint64_t there, here, third, start, most;
	struct worker w[1];

	(void)state;
	need_kernel();
	target = an_allowed_cpu();
	if (nr_allowed_cpus() < 3)
		skip_because("fewer than three CPUs");
	pin_to(allowed_cpu(0));
	start_workers(w, 1, increment_there, NULL, on_target);
	sleep_ms(50);
	there = aborts_by(target, vectors);
	start = now_ms();
	here = aborts_by(allowed_cpu(0), vectors);
	third = aborts_by(allowed_cpu(1), vectors);
	/* The kernel's own threads preempt the worker now and then. */
	most = vectors / 20 + (now_ms() - start) / 50;
	stop_workers();
	finish_workers(w, 1);
	unpin();
	print_message("# %d vectors each: %lu aborts by those for the CPU, %lu for the caller's, "
		      "%lu for a third\n", vectors, (unsigned long)there, (unsigned long)here,
		      (unsigned long)third);
	assert_true(there >= vectors / 2);
	assert_true(here <= most && here < vectors / 2);
	assert_true(third <= most && third < vectors / 2);
	assert_int_equal(count_there, w[0].done + (uint64_t)vectors);
}

#define STATE(name_, ...)						\
	{ .name = #name_, .test_func = test_state, .teardown_func = leave_state, \
	  .initial_state = &(struct cpu_state){ __VA_ARGS__ } }

int main(void)
{
	const struct CMUnitTest tests[] = {
		STATE(this_cpu, an_allowed_cpu, be_there, ONE_LOOK),
		STATE(this_cpu_shared, an_allowed_cpu, be_there, .shared = true, ONE_LOOK),
		STATE(idle, an_allowed_cpu, ONE_LOOK),
		STATE(idle_shared, an_allowed_cpu, .shared = true, ONE_LOOK),
		STATE(own_thread, an_allowed_cpu, own_thread, ONE_INTERRUPTED),
		STATE(other_process, an_allowed_cpu, other_process, ONE_LOOK),
		STATE(other_process_shared, an_allowed_cpu, other_process, .shared = true,
		      ONE_STOPPED),
		STATE(kernel_thread_shared, a_cpu_of_the_vm, kernel_thread_runs, .shared = true,
		      ONE_LOOK),
		STATE(offline, a_cpu_of_the_vm, go_offline, come_online, ONE_LOOK),
		STATE(offline_shared, a_cpu_of_the_vm, go_offline, come_online, .shared = true,
		      ONE_LOOK),
		STATE(own_fifo, a_cpu_of_the_vm, own_fifo_thread, ONE_INTERRUPTED),
		STATE(other_fifo, a_cpu_of_the_vm, other_fifo_process, ONE_LOOK),
		STATE(other_fifo_shared, a_cpu_of_the_vm, other_fifo_process, .shared = true,
		      ONE_STOPPED),
		STATE(own_deadline, a_cpu_of_the_vm, own_deadline_thread, ONE_INTERRUPTED),
		STATE(other_deadline, a_cpu_of_the_vm, other_deadline_process, ONE_LOOK),
		STATE(isolated_idle, an_isolated_cpu, MANY_LOOKS),
		STATE(isolated_idle_shared, an_isolated_cpu, .shared = true, MANY_LOOKS),
		STATE(isolated_other_process, an_isolated_cpu, other_process, MANY_LOOKS),
		STATE(isolated_own_thread, an_isolated_cpu, own_thread, ONE_INTERRUPTED),
		STATE(never_booted, a_cpu_never_booted, .leave = still_offline, ONE_LOOK),
		STATE(never_booted_shared, a_cpu_never_booted, .leave = still_offline,
		      .shared = true, ONE_LOOK),
		cmocka_unit_test(test_vectors_abort_sequences_of_their_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * The guard: closing a CPU to the sequences of this process, one closer at a
 * time. It is a mutex whose word is the CPU's tag, the word that every sequence
 * compares the current CPU with inside its critical section.
 *
 *	tag == cpu	open
 *	CLOSED		held
 *	CONTENDED	held, and somebody sleeps until it is not
 *
 * The two values are no CPU's number, and differ from those with which struct
 * rseq says that a thread is not registered (-1, -2): such a thread must not find
 * a closed CPU to be its own.
 *
 * A. A sequence begins while the guard is closed, or has begun before
 *
 *	sequence on CPU n		holder, on any CPU
 *				(a)	tag = CLOSED
 *				(b)	membarrier(RSEQ, n)
 *	load tag (c)			vector loads and stores
 *	load, commit		(d)	tag = n, release
 *
 *    A sequence that loads the tag (c) after (a) leaves. One that loaded it
 *    before (a) is in its critical section on CPU n when (b) looks there, and is
 *    aborted, or has been preempted, and will be. What it had committed happens
 *    before (b) returns. One that loads what (d) stored sees the vector whole: on
 *    x86 because loads are not reordered; elsewhere the load of the tag is no
 *    acquire, and the holder fences again before (d).
 *
 * B. RSEQ_OP_FORCE_FALLBACK
 *
 *    The tags that the operations in the caller's code look at then never match,
 *    so that each operation enters the library, where it is counted and goes on
 *    with the tags that the guard works on. It costs nothing when it is off.
 *
 * C. fork()
 *
 *    The child has one thread, which holds no guard: what others held is opened.
 *    A vector that one of them was running is cut off, as any other update of
 *    theirs.
 */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "internal.h"

#define CLOSED		INT32_MIN
#define CONTENDED	(INT32_MIN + 1)

#define SPINS		100

int32_t rseq_op_cpu_tag[RSEQ_OP_CPU_MAX + 1] = {
	[0 ... RSEQ_OP_CPU_MAX] = CLOSED,
};

/* Scenario B: the tags behind the ones that never match. */
static int32_t forced_tag[RSEQ_OP_CPU_MAX];

static int32_t *tags;

static _Atomic int32_t *tag_of(int cpu)
{
	return (_Atomic int32_t *)&tags[cpu];
}

static void open_all(void)
{
	int cpu;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		if (cpus_possible(cpu))
			atomic_store_explicit(tag_of(cpu), cpu, memory_order_relaxed);
	}
}

void guard_init(void)
{
	tags = config.force_fallback ? forced_tag : rseq_op_cpu_tag;
	open_all();
	pthread_atfork(NULL, NULL, open_all);
}

const int32_t *guard_tag(int cpu)
{
	return &tags[cpu];
}

bool guard_is_open(int cpu)
{
	return atomic_load_explicit(tag_of(cpu), memory_order_relaxed) == cpu;
}

/* Wait for the CPU to be open, but not for long: the holder may be in a debugger. */
void guard_wait_open(int cpu)
{
	int i;

	for (i = 0; i < SPINS && !guard_is_open(cpu); i++)
		rseq_op_cpu_relax();
}

static bool change(int cpu, int32_t from, int32_t to)
{
	return atomic_compare_exchange_strong(tag_of(cpu), &from, to);
}

static void futex(int cpu, int op, int32_t value)
{
	raw_syscall(SYS_futex, (long)tag_of(cpu), op | FUTEX_PRIVATE_FLAG, value, 0, 0, 0);
}

void guard_close(int cpu)
{
	guard_wait_open(cpu);
	if (change(cpu, cpu, CLOSED))	/* scenario A: (a) */
		return;
	/* From here nobody knows whether others sleep: whoever closes says they do. */
	while (!change(cpu, cpu, CONTENDED)) {
		change(cpu, CLOSED, CONTENDED);
		futex(cpu, FUTEX_WAIT, CONTENDED);
	}
}

void guard_open(int cpu)
{
	/* scenario A: (d) */
	if (atomic_exchange_explicit(tag_of(cpu), cpu, memory_order_release) == CONTENDED)
		futex(cpu, FUTEX_WAKE, 1);
}

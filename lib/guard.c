// SPDX-License-Identifier: MIT
/*
 * The guard: closing a CPU to the sequences of this process, one closer at a
 * time. It is a mutex in the upper half of the CPU's tag, which every sequence
 * compares, whole, with the CPU's number inside its critical section.
 *
 *	OPEN		the tag is the CPU's number
 *	CLOSED		held
 *	CONTENDED	held, and somebody sleeps until it is not
 *
 * A negative int, which has its sign in the upper half, equals no tag. The tags of
 * -1 and -2, the CPU numbers of a thread that is not registered, are closed for ever.
 *
 * A. A sequence begins while the guard is closed, or has begun before
 *
 *	sequence on CPU n		holder, on any CPU
 *				(a)	tag: CLOSED
 *				(b)	membarrier(RSEQ, n)
 *	load tag (c)			vector loads and stores
 *	load, commit		(d)	tag: OPEN, release
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
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "internal.h"

enum state { OPEN, CLOSED, CONTENDED };

#define SPINS		100

#define NR_TAGS		(RSEQ_OP_TAGS_BEFORE + RSEQ_OP_CPU_MAX)

int64_t rseq_op_cpu_tag[NR_TAGS];

/* Scenario B: the tags behind the ones that never match. */
static int64_t forced_tag[NR_TAGS];

static int64_t *tags;	/* [cpu], from -RSEQ_OP_TAGS_BEFORE */

static int64_t tag(int cpu, enum state state)
{
	return (int64_t)state << 32 | (uint32_t)cpu;
}

static _Atomic int32_t *state_of(int cpu)
{
	return (_Atomic int32_t *)&tags[cpu] + (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
}

static void set_all(int64_t *table, enum state state)
{
	int cpu;

	for (cpu = -RSEQ_OP_TAGS_BEFORE; cpu < 0; cpu++)
		table[cpu] = tag(cpu, CLOSED);
	for (; cpu < rseq_op_nr_cpus(); cpu++)
		table[cpu] = tag(cpu, state);
}

static void open_all(void)
{
	set_all(tags, OPEN);
}

void guard_init(void)
{
	tags = rseq_op_cpu_tag + RSEQ_OP_TAGS_BEFORE;
	if (config.force_fallback) {
		set_all(tags, CLOSED);
		tags = forced_tag + RSEQ_OP_TAGS_BEFORE;
	}
	open_all();
	pthread_atfork(NULL, NULL, open_all);
}

const int64_t *guard_tags(void)
{
	return tags;
}

bool guard_is_open(int cpu)
{
	return atomic_load_explicit(state_of(cpu), memory_order_relaxed) == OPEN;
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
	return atomic_compare_exchange_strong(state_of(cpu), &from, to);
}

static void futex(int cpu, int op, int32_t value)
{
	raw_syscall(SYS_futex, (long)state_of(cpu), op | FUTEX_PRIVATE_FLAG, value, 0, 0, 0);
}

void guard_close(int cpu)
{
	guard_wait_open(cpu);
	if (change(cpu, OPEN, CLOSED))	/* scenario A: (a) */
		return;
	/* From here nobody knows whether others sleep: whoever closes says they do. */
	while (!change(cpu, OPEN, CONTENDED)) {
		change(cpu, CLOSED, CONTENDED);
		futex(cpu, FUTEX_WAIT, CONTENDED);
	}
}

void guard_open(int cpu)
{
	/* scenario A: (d) */
	if (atomic_exchange_explicit(state_of(cpu), OPEN, memory_order_release) == CONTENDED)
		futex(cpu, FUTEX_WAKE, 1);
}

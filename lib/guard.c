// SPDX-License-Identifier: MIT
/*
 * The guard: closing a CPU, or a concurrency ID, to the sequences of this process, one
 * closer at a time. It is a mutex in the CPU's tag, which every sequence compares, whole,
 * with the CPU's number inside its critical section. All that is said of CPUs holds for
 * concurrency IDs, but that the fence is for all CPUs. The tag is the state in the upper
 * half, and the CPU's number:
 *
 *	OPEN		0: the tag is the CPU's number
 *	CLOSED		held
 *	CONTENDED	held, and somebody sleeps until it is not
 *	BARRED		not held, but no sequence may begin
 *
 * or it is a lease: held by who goes on in a sequence of his own, and may lose it.
 *
 * A negative int, all ones in the upper half, equals no tag. The tags of -1 and -2, the
 * CPU numbers of a thread that is not registered, are closed for ever.
 *
 * A. A sequence begins while the guard is closed, or has begun before
 *
 *	sequence on CPU n		holder, on any CPU
 *				(a)	tag: CLOSED
 *				(b)	membarrier(RSEQ, n)
 *	load tag (c)			vector loads and stores
 *				(e)	membarrier(RSEQ, n), but on x86
 *	load, commit		(d)	tag: OPEN, release
 *
 *    A sequence that loads the tag (c) after (a) leaves. One that loaded it
 *    before (a) is in its critical section on CPU n when (b) looks there, and is
 *    aborted, or has been preempted, and will be. What it had committed happens
 *    before (b) returns. One that loads what (d) stored sees the vector whole: on
 *    x86 because loads are not reordered. Elsewhere the load of the tag is no
 *    acquire: its later loads may have come first, before the vector. But then the
 *    sequence had begun before (e), which is before (d), and (e) aborts it.
 *    Where (e) is refused that is not so, and (d) is BARRED: others may close the guard,
 *    and the first whose (e) works opens it.
 *
 * B. RSEQ_OP_FORCE_FALLBACK
 *
 *    The tags that the operations in the caller's code look at then never match,
 *    so that each operation enters the library, where it is counted and goes on
 *    with the tags that the guard works on. It costs nothing when it is off.
 *    Where there is no fence the same tags keep all operations out of sequences, and
 *    the library does not try any either.
 *
 * C. A fence for all places
 *
 *	vector, emulated		rseq_op_fence_all()
 *	tag: CLOSED			stores of the caller, before
 *	fence (g)			fence (g)
 *	vector loads and stores		load each tag (f), acquire
 *	tag: OPEN, release (d)
 *
 *    A vector that is under way at (f) shows there, and is waited for. What one that
 *    has ended stored is seen with what (d) stored. One that closes its place after (f)
 *    begins after the fence: it looks at its operands anew, and sees what the caller had
 *    stored. Each side stores and then loads what the other stores, so both need a full
 *    barrier at (g): membarrier(2), a switch of threads, or, where there is no fence, one
 *    of our own; the compare-and-swap of the tag alone is none on aarch64.
 *    A fence for one CPU is the same with that one's tag. If it shows a lease (scenario F), the
 *    sequence may run anywhere, and the lease is taken away. After a fence for all CPUs that is
 *    needless: it has reached that sequence, and a vector of who takes the lease away closes
 *    the place after (f).
 *
 * D. fork()
 *
 *    The child has one thread, which holds no guard: what others held is opened.
 *    A vector that one of them was running is cut off, as any other update of
 *    theirs. Until it is opened, signals are blocked, from before the fork on: libc
 *    unblocks its own before it calls our handler, and the operation of a signal's
 *    handler would wait for who is not there.
 *
 * E. The holder runs on CPU n itself
 *
 *	CPU n
 *	T: sequence loads the tag
 *	holder, switched to
 *				(a)	tag: CLOSED, here or anywhere
 *				(h)	load cpu_id: n
 *					vector loads and stores
 *	T or another, switched to
 *	T: aborts; a sequence that begins leaves
 *
 *    At (h) nobody but the holder runs on CPU n. A sequence that was there has been
 *    preempted; one that begins there later does so after a switch from the holder, and
 *    so loads what (a) stored. The switches order memory as (b) does. So (h) stands for
 *    (b), wherever the holder is moved from then on; but before (a) it says nothing. After
 *    the vector the same look stands for (e).
 *
 * F. A lease
 *
 *	T, on any CPU			S, on any CPU
 *	(a)	tag: CPU n's to T's
 *	(b)	membarrier(RSEQ, n)
 *	(i)	T's sequence: load tag
 *				(j)	tag: T's to CLOSED
 *				(k)	membarrier(RSEQ), all CPUs
 *	commit				vector loads and stores
 *	(d)	tag: T's to OPEN	tag: OPEN
 *
 *    Who has to make one store for another CPU makes it in a sequence as well, which
 *    compares the tag with its lease instead of the CPU's number. Then nobody need wait for
 *    T: a signal handler of T's, which may even leave by siglongjmp(), a thread on CPU n
 *    while T is stopped by a debugger, and a child that does not have T. They close the guard
 *    over the lease (j). A sequence of T's that looks at the tag later (i) leaves. One that
 *    had looked has committed before (k) returns, or aborts, wherever T runs. So T need not
 *    block its signals, which would take as long as the fence.
 *    For the sequences on CPU n, T is a holder as in scenario A, with (e) between commit and (d),
 *    and as in E, where it finds itself there. T may have lost its lease before (b): (k) stands
 *    for that, too.
 *
 *    The lease must differ from each that anybody else takes while T may still compare its
 *    own: it is the address of a variable of T's, on its stack.
 *
 *    S has no lease, but holds the guard, with its signals blocked. Who lost a lease does the
 *    same next: so they do not take it from each other for ever.
 *
 *    Where (k) is refused, by a filter that has come late, (j) is undone, and S fails. T may
 *    have ended meanwhile, and its lease stays until there is one whose (k) works.
 */
#include <linux/futex.h>
#include <pthread.h>

#include "internal.h"

enum state { OPEN, CLOSED, CONTENDED, BARRED };

#define SPINS		100

#define NR_TAGS		(RSEQ_OP_TAGS_BEFORE + RSEQ_OP_CPU_MAX)

_Alignas(sizeof(int64_t)) int64_t rseq_op_cpu_tag[NR_TAGS];
_Alignas(sizeof(int64_t)) int64_t rseq_op_cid_tag[NR_TAGS];

/* Scenario B: the tags behind the ones that never match. */
static _Alignas(sizeof(int64_t)) int64_t forced_tag[2][NR_TAGS];

static int64_t *tags[2] = {	/* [by][index], from -RSEQ_OP_TAGS_BEFORE */
	[BY_CPU] = rseq_op_cpu_tag + RSEQ_OP_TAGS_BEFORE,
	[BY_CID] = rseq_op_cid_tag + RSEQ_OP_TAGS_BEFORE,
};

static int64_t tag(int cpu, enum state state)
{
	return (int64_t)state << 32 | (uint32_t)cpu;
}

/*
 * An address in user space, with the topmost bit set: another one's differs, whatever else is in
 * its topmost byte; and of the byte below not all bits are set, as they are in a negative int.
 * An address of 32 bits, which is even, goes to the upper half, as arch/ knows: there sequences
 * look at the halves one after the other.
 */
static int64_t lease_of(int cpu, const int64_t *variable)
{
	uint64_t address = (uintptr_t)variable;

	if (sizeof(variable) == sizeof(uint32_t))
		return (int64_t)((address / 2 | UINT32_C(1) << 31) << 32 | (uint32_t)cpu);
	return (int64_t)(address | UINT64_C(1) << 63);
}

static bool leased(int64_t t)
{
	return t < 0;
}

static _Atomic int64_t *tag_of(struct place at)
{
	return (_Atomic int64_t *)&tags[at.by][at.index];
}

static void set_all(int64_t *table, enum state state)
{
	int cpu;

	for (cpu = -RSEQ_OP_TAGS_BEFORE; cpu < 0; cpu++)
		table[cpu] = tag(cpu, CLOSED);
	DELAY_POINT();
	for (; cpu < rseq_op_nr_cpus(); cpu++)
		table[cpu] = tag(cpu, state);
}

static void open_all(void)
{
	set_all(tags[BY_CPU], OPEN);
	set_all(tags[BY_CID], OPEN);
}

static void force(enum by by)
{
	set_all(tags[by], CLOSED);
	tags[by] = forced_tag[by] + RSEQ_OP_TAGS_BEFORE;
}

/* Scenario D. Several threads may fork at once. */
static __thread uint64_t signals_of_fork __attribute__((tls_model("initial-exec")));

static void before_fork(void)
{
	block_signals(&signals_of_fork);
}

static void after_fork(void)
{
	restore_signals(&signals_of_fork);
}

static void after_fork_in_child(void)
{
	open_all();
	DELAY_POINT();
	after_fork();
}

void guard_init(void)
{
	if (config.force_fallback || fence_method() == FENCE_NOTHING) {
		force(BY_CPU);
		force(BY_CID);
	}
	open_all();
	pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

const int64_t *guard_tags(enum by by)
{
	return tags[by];
}

static int64_t look(struct place at)
{
	return atomic_load_explicit(tag_of(at), memory_order_relaxed);
}

bool guard_is_open(struct place at)
{
	return look(at) == tag(at.index, OPEN);
}

bool guard_is_leased(struct place at)
{
	return leased(look(at));
}

/* Wait for the CPU to be open, but not for long: the holder may be in a debugger. */
void guard_wait_open(struct place at)
{
	int i;

	for (i = 0; i < SPINS && !guard_is_open(at); i++)
		rseq_op_cpu_relax();
}

static bool change(struct place at, int64_t from, int64_t to)
{
	return atomic_compare_exchange_strong(tag_of(at), &from, to);
}

static void futex(struct place at, int op, int32_t value)
{
	bool little_endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

	raw_syscall(SYS_futex, (long)((int32_t *)tag_of(at) + little_endian),
		    op | FUTEX_PRIVATE_FLAG, value, 0, 0, 0);
}

/* Somebody holds the guard who has to open it. */
static bool held(struct place at, int64_t t)
{
	return t == tag(at.index, CLOSED) || t == tag(at.index, CONTENDED);
}

int64_t guard_close(struct place at)
{
	enum state to = CLOSED;
	int64_t was;

	guard_wait_open(at);
	for (;;) {
		was = look(at);
		DELAY_POINT();
		if (!held(at, was)) {
			/* scenario A: (a); scenario F: (j) */
			if (change(at, was, tag(at.index, to)))
				return was;
			continue;
		}
		/* From here nobody knows whether others sleep: whoever closes says they do. */
		to = CONTENDED;
		change(at, tag(at.index, CLOSED), tag(at.index, CONTENDED));
		DELAY_POINT();
		futex(at, FUTEX_WAIT, CONTENDED);
	}
}

static void open_to(struct place at, int64_t to)
{
	/* scenario A: (d) */
	if (atomic_exchange_explicit(tag_of(at), to, memory_order_release) ==
	    tag(at.index, CONTENDED)) {
		DELAY_POINT();
		futex(at, FUTEX_WAKE, 1);
	}
}

void guard_open(struct place at, bool sequences)
{
	open_to(at, tag(at.index, sequences ? OPEN : BARRED));
}

/* Nobody has stored anything since, so a lease is as good as it was. */
void guard_undo(struct place at, int64_t was)
{
	open_to(at, was);
}

bool guard_lease(struct place at, int64_t *lease)
{
	*lease = lease_of(at.index, lease);
	guard_wait_open(at);
	DELAY_POINT();
	return change(at, tag(at.index, OPEN), *lease);		/* scenario F: (a) */
}

void guard_end_lease(struct place at, int64_t lease, bool sequences)
{
	/* scenario F: (d) */
	change(at, lease, tag(at.index, sequences ? OPEN : BARRED));
}

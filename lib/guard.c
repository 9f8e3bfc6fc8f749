// SPDX-License-Identifier: MIT
/*
 * The guard of a CPU keeps the sequences of this process away from the CPU's data while the library
 * emulates cpu_opv(2), that is, runs a vector itself. A concurrency ID has a guard, too. Below, "CPU"
 * means both; the only difference is that the fence for an ID is always for all CPUs.
 *
 * A guard consists of a lock (owner_lock.c) and a tag. The lock lets one vector for the CPU run at
 * a time. Every sequence compares, inside its critical section, the tag of the CPU that it runs on
 * with the CPU number that its caller passed. If they differ, the sequence leaves: it ends without
 * a store, and the operation goes on in the slow path (slow.c). The tag of CPU n is one of these:
 *
 *	OPEN		the number n: sequences may run
 *	CLOSED		equal to no int: the owner of the lock runs a vector; or the lock has no
 *			owner, but the last owner did not open the tag, see A, B and G
 *	UNOPENED	equal to no int: the library has not asked the kernel yet (init.c); or the
 *			machine has no such CPU; or there is no fence (B), and no vector has run
 *			for this CPU yet
 *	a lease		equal to no int: see F
 *
 * In struct rseq of a thread that is not registered the CPU number is -1 or -2. The tags of these
 * two numbers stay UNOPENED.
 *
 * A. A sequence begins while the guard is closed, or began before the guard was closed
 *
 *	sequence on CPU n		owner of the lock, on any CPU
 *	-----------------		-----------------------------
 *				(a)	tag: CLOSED
 *				(b)	membarrier(RSEQ, n)
 *	load tag (c)			vector loads and stores
 *				(e)	membarrier(RSEQ, n), not on x86
 *	load, commit		(d)	tag: OPEN, release
 *
 *    A sequence that loads the tag (c) after (a) finds CLOSED, and leaves. For a sequence that
 *    loaded the tag before (a) there are three cases. It commits before (b) reaches CPU n: then its
 *    stores happen before (b) returns. Or it is in its critical section when (b) reaches CPU n, and
 *    (b) makes it abort. Or it has been preempted, and aborts when it runs again.
 *
 *    A sequence that loads the tag from (d) sees everything that the vector stored. On x86 the
 *    reason is that loads are not reordered. On other machines the load of the tag (c) is no
 *    acquire: a later load of the sequence may take effect before (c), and even before the vector.
 *    But such a sequence began before (e), and (e) makes it abort. If (e) fails, the owner leaves
 *    the tag CLOSED.
 *
 * B. RSEQ_OP_FORCE_FALLBACK, and systems without a fence
 *
 *    With RSEQ_OP_FORCE_FALLBACK, guards use a second table of tags. The tags that inline sequences
 *    compare stay UNOPENED for ever, so every operation calls the library. The library counts the
 *    operation, and may still run it as a sequence that compares a tag of the second table. The
 *    fast path pays nothing for this.
 *
 *    Where there is no fence, no tag is ever opened, and the library tries no sequence either.
 *
 * C. A fence for all CPUs
 *
 *	vector, emulated		rseq_op_fence_all()
 *	----------------		-------------------
 *	lock: taken; tag: CLOSED	stores of the caller, before
 *	fence (g)			fence (g)
 *	vector loads and stores		load each lock (f), acquire
 *	tag: OPEN
 *	lock: free, release (d)
 *
 *    If a vector is running at (f), its lock has an owner, and the fence waits for the vector. If a
 *    vector has ended before (f), then (f) reads the release of the lock (d), and so the caller
 *    sees the stores of the vector. A vector that takes its lock after (f) begins after the fence:
 *    it loads its operands anew, and sees what the caller of the fence had stored. Each side
 *    stores, and then loads what the other side stores. So both sides need a full barrier at (g):
 *    membarrier(2), a switch of threads or, where there is no fence, atomic_thread_fence(). The
 *    atomic operations on lock and tag alone are not a full barrier on aarch64.
 *
 *    rseq_op_fence() does the same with one lock. If it finds a lease (F), whose sequence may run
 *    on any CPU, it takes the lease away by an empty vector. It loads the tag first and the lock
 *    afterwards. If an owner closes the guard over the lease in between, rseq_op_fence() finds the
 *    lock taken, and waits until the owner has fenced all CPUs (k). rseq_op_fence_all() need not
 *    take leases away: its own fence has reached their sequences on all CPUs.
 *
 * D. fork()
 *
 *    The child has one thread, which owns no lock. A lock that another thread of the parent owned
 *    is free in the child (owner_lock.c, C), but the tag of the CPU may be CLOSED. Then the first
 *    operation of the child for that CPU runs a vector, which opens the tag; see G. The library
 *    does nothing at the fork itself. So it makes no difference how the child was made, and a
 *    signal handler may run an operation at the child's first instruction.
 *
 * E. The owner runs on CPU n itself
 *
 *	CPU n
 *	-----
 *	T: sequence loads the tag
 *	owner of the lock, switched to
 *				(a)	tag: CLOSED, on CPU n or before a migration to it
 *				(h)	load cpu_id: n
 *					vector loads and stores
 *	T or another, switched to
 *	T: aborts; a sequence that begins leaves
 *
 *    At (h) only the owner runs on CPU n. A sequence that ran there before has been preempted. A
 *    sequence that begins there later begins after a switch from the owner, so it loads what (a)
 *    stored. The switches order memory as (b) does. So (h) replaces (b), even if the owner is
 *    migrated afterwards. But (h) must come after (a). After the vector the same check replaces (e).
 *
 * F. A lease
 *
 *	T, on any CPU			S, on any CPU, owner of the lock
 *	-------------			--------------------------------
 *	(a)	tag: OPEN to T's lease
 *	(b)	membarrier(RSEQ, n)
 *	(i)	T's sequence: load tag
 *				(j)	tag: T's lease to CLOSED
 *				(k)	membarrier(RSEQ), all CPUs
 *	commit				vector loads and stores
 *	(d)	tag: T's lease to OPEN	tag: OPEN
 *
 *    A lease is a value of the tag that lets one sequence of one thread T work on the data of CPU
 *    n from any CPU. T takes a lease if its operation for another CPU could run as a sequence
 *    there. The sequence compares the tag with the lease instead of the CPU number. T does not own
 *    the lock, so no thread S has to wait for T. S may be a signal handler that interrupts T, and that
 *    may even leave by siglongjmp(); a thread on CPU n while a debugger has stopped T; or a thread
 *    of a forked child that does not have T. S closes the guard over the lease (j). If T's sequence
 *    loads the tag (i) after (j), the sequence leaves. If T's sequence loaded the tag before (j),
 *    it commits before (k) returns, or aborts, on whatever CPU T runs. So T need not block signals,
 *    and signals are not delayed by the fence.
 *
 *    Towards the sequences on CPU n, T acts as the owner does in A, with (e) between commit and
 *    (d); or, if T runs on CPU n, as the owner does in E. If T loses its lease before (b), the
 *    fence (k) replaces (b).
 *
 *    A lease must differ from every other lease that a thread takes while T may still compare its
 *    own. So a lease is the address of a variable on T's stack.
 *
 *    A thread that has lost its lease takes the lock next, with its signals blocked, and nobody can
 *    take the lock away. So two threads cannot take leases from each other for ever.
 *
 *    If (k) fails, because a filter was installed late, S undoes (j), and the operation of S fails.
 *    T may have ended meanwhile. Then its lease stays until the (k) of another thread succeeds.
 *
 * G. The next owner finds the tag CLOSED
 *
 *    The previous owner died (owner_lock.c, B), does not exist in this child (D), or could not run
 *    the fence (e) before it would have opened the tag (A). It may have closed the tag over a
 *    lease, and may have died before its fence (b) or (k). So the next owner fences all CPUs, as in
 *    F. After that the state is that of A. The vector of a dead owner stays incomplete, as any
 *    update does when its thread dies.
 */
#include "owner_lock.h"

#define SPINS		100

#define NR_TAGS		(RSEQ_OP_TAGS_BEFORE + RSEQ_OP_CPU_MAX)

#define UNOPENED	(INT64_C(1) << 61)

/* From the start, and also for CPUs that the machine does not have: no number matches. */
#define ALL_UNOPENED	{ [0 ... NR_TAGS - 1] = UNOPENED }

_Alignas(sizeof(int64_t)) int64_t rseq_op_cpu_tag[NR_TAGS] = ALL_UNOPENED;
_Alignas(sizeof(int64_t)) int64_t rseq_op_cid_tag[NR_TAGS] = ALL_UNOPENED;

/* Scenario B. */
static _Alignas(sizeof(int64_t)) int64_t second_table[2][NR_TAGS];

/* The tag of 0 in the table in use; [by] */
static int64_t *tags[2] = {
	[BY_CPU] = rseq_op_cpu_tag + RSEQ_OP_TAGS_BEFORE,
	[BY_CID] = rseq_op_cid_tag + RSEQ_OP_TAGS_BEFORE,
};

static struct owner_lock locks[2][RSEQ_OP_CPU_MAX];

static int64_t open_tag(int index)
{
	return index;
}

/* The lower half is the number here, too: on i386 a sequence compares one half after the other. */
static int64_t closed_tag(int index)
{
	return INT64_C(1) << 62 | index;
}

/*
 * An address in user space, with the topmost bit set. The other bits of the topmost byte may hold a
 * tag of the address (aarch64). The byte below is 0xff in every negative int, but in no address in
 * user space, so a lease equals no int. A 32-bit address, which is even, is moved to the upper
 * half.
 */
static int64_t lease_of(int index, const int64_t *variable)
{
	uint64_t address = (uintptr_t)variable;

	if (sizeof(variable) == sizeof(uint32_t))
		return (int64_t)((address / 2 | UINT32_C(1) << 31) << 32 | (uint32_t)index);
	return (int64_t)(address | UINT64_C(1) << 63);
}

static bool is_lease(int64_t tag)
{
	return tag < 0;
}

const int64_t *guard_tags(enum by by)
{
	return tags[by];
}

static _Atomic int64_t *tag_of(struct place at)
{
	return (_Atomic int64_t *)&tags[at.by][at.index];
}

static int64_t look(struct place at)
{
	return atomic_load_explicit(tag_of(at), memory_order_relaxed);
}

static bool change(struct place at, int64_t from, int64_t to)
{
	return atomic_compare_exchange_strong(tag_of(at), &from, to);
}

static void use_second_table(enum by by)
{
	int i;

	for (i = 0; i < NR_TAGS; i++)
		second_table[by][i] = UNOPENED;
	tags[by] = second_table[by] + RSEQ_OP_TAGS_BEFORE;
}

void guard_init(void)
{
	if (config.force_fallback) {
		use_second_table(BY_CPU);
		use_second_table(BY_CID);
	}
}

/* Several threads may do this at once, while others use the guards that they find open. */
void guard_open_all(void)
{
	struct place at;

	for (at.index = 0; at.index < rseq_op_cpus; at.index++) {
		at.by = BY_CPU;
		change(at, UNOPENED, open_tag(at.index));
		at.by = BY_CID;
		change(at, UNOPENED, open_tag(at.index));
	}
}

static bool is_open(struct place at)
{
	return look(at) == open_tag(at.index);
}

bool guard_is_owned(struct place at)
{
	return owner_lock_is_owned(&locks[at.by][at.index]);
}

bool guard_is_leased(struct place at)
{
	/* Pairs with the exchange in guard_close(): a thread that sees it sees the lock taken. */
	return is_lease(atomic_load_explicit(tag_of(at), memory_order_acquire));
}

/* Wait for the guard to be open, but not for long: its owner may be stopped by a debugger. */
void guard_wait_open(struct place at)
{
	int i;

	for (i = 0; i < SPINS && !is_open(at); i++)
		rseq_op_cpu_relax();
}

int64_t guard_close(struct place at, uint32_t tid)
{
	owner_lock(&locks[at.by][at.index], tid);
	DELAY_POINT();
	/* scenario A: (a); scenario F: (j) */
	return atomic_exchange(tag_of(at), closed_tag(at.index));
}

bool guard_was_open(struct place at, int64_t was)
{
	return was == open_tag(at.index);
}

static void open_to(struct place at, int64_t tag)
{
	/* scenario A: (d) */
	atomic_store_explicit(tag_of(at), tag, memory_order_release);
	DELAY_POINT();
	owner_unlock(&locks[at.by][at.index]);
}

void guard_open(struct place at, bool sequences)
{
	open_to(at, sequences ? open_tag(at.index) : closed_tag(at.index));
}

void guard_undo(struct place at, int64_t was)
{
	open_to(at, was);
}

bool guard_lease(struct place at, int64_t *lease)
{
	*lease = lease_of(at.index, lease);
	guard_wait_open(at);
	DELAY_POINT();
	return change(at, open_tag(at.index), *lease);		/* scenario F: (a) */
}

void guard_end_lease(struct place at, int64_t lease, bool sequences)
{
	/* scenario F: (d) */
	change(at, lease, sequences ? open_tag(at.index) : closed_tag(at.index));
}

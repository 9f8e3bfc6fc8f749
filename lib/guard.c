// SPDX-License-Identifier: MIT
/*
 * The guard of a CPU keeps the sequences of this process away from the CPU's data while a vector
 * is emulated. A concurrency ID has a guard, too; all that is said of CPUs here holds for IDs,
 * except that their fence is always for all CPUs.
 *
 * A guard consists of a lock, which keeps vectors for the CPU apart (owner_lock.c), and a tag. Every
 * sequence compares the tag of the CPU that it runs on with the CPU number that its caller passed,
 * inside its critical section. The tag of CPU n is one of these:
 *
 *	OPEN		the number n: sequences may run
 *	CLOSED		equal to no int: the owner of the lock runs a vector; or the lock has no owner,
 *			and nobody has opened the tag since, see A and G
 *	UNOPENED	equal to no int: the kernel has not been asked yet what it offers
 *	a lease		equal to no int: see F
 *
 * The tags of -1 and -2, which struct rseq has as CPU numbers of a thread that is not registered, stay
 * UNOPENED.
 *
 * A. A sequence begins while the guard is closed, or has begun before
 *
 *	sequence on CPU n		owner of the lock, on any CPU
 *	-----------------		-----------------------------
 *				(a)	tag: CLOSED
 *				(b)	membarrier(RSEQ, n)
 *	load tag (c)			vector loads and stores
 *				(e)	membarrier(RSEQ, n), not on x86
 *	load, commit		(d)	tag: OPEN, release
 *
 *    A sequence that loads the tag (c) after (a) leaves. A sequence that loaded the tag before (a)
 *    is in its critical section when (b) reaches CPU n, and (b) makes it abort; or it has been
 *    preempted, and aborts when it runs again. What a sequence has committed happens before (b)
 *    returns.
 *
 *    A sequence that loads what (d) stored sees all that the vector stored. On x86 that is so because
 *    loads are not reordered. On other machines the load of the tag (c) is no acquire, so a later load
 *    of the sequence may have come before it, and before the vector. But then the sequence has begun
 *    before (e), and (e) makes it abort. Where (e) fails, the owner leaves the tag CLOSED.
 *
 * B. RSEQ_OP_FORCE_FALLBACK, and systems without a fence
 *
 *    With RSEQ_OP_FORCE_FALLBACK, guards use a second table of tags. The tags that inline sequences
 *    compare stay UNOPENED for ever, so every operation enters the library. There it is counted, and
 *    may still run as a sequence, which compares a tag of the second table. The fast path pays
 *    nothing for this.
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
 *    A vector that is running at (f) shows in its lock, and the fence waits for it. What a vector that
 *    has ended stored is seen with the release of the lock (d). A vector that takes its lock after (f)
 *    begins after the fence: it loads its operands anew, and sees what the caller of the fence had
 *    stored. Each side stores and then loads what the other side stores, so both need a full
 *    barrier at (g): membarrier(2), a switch of threads or, where there is no fence, one of our own.
 *    The atomic operations on lock and tag alone are not a full barrier on aarch64.
 *
 *    A fence for one CPU does the same with one lock. If it finds a lease (F), whose sequence may
 *    run anywhere, it takes the lease away. It looks for the lease first and at the lock afterwards: an
 *    owner that closes the guard over the lease in between has the lock, and still has to fence all
 *    CPUs (k). A fence for all CPUs has reached that sequence already.
 *
 * D. fork()
 *
 *    The child has one thread, which owns no lock. A lock that another thread of the parent owned
 *    is free in the child (owner_lock.c, C), but its tag may be CLOSED. Then the child's first
 *    operation for that CPU runs as a vector, which opens the tag; see G. Nothing happens at the
 *    fork itself, so it makes no difference how the child was made, and a signal handler may run an
 *    operation at the child's first instruction.
 *
 * E. The owner runs on CPU n itself
 *
 *	CPU n
 *	-----
 *	T: sequence loads the tag
 *	owner of the lock, switched to
 *				(a)	tag: CLOSED, here or anywhere
 *				(h)	load cpu_id: n
 *					vector loads and stores
 *	T or another, switched to
 *	T: aborts; a sequence that begins leaves
 *
 *    At (h) only the owner runs on CPU n. A sequence that was there has been preempted; a sequence
 *    that begins there later does so after a switch from the owner, and so loads what (a) stored. The
 *    switches order memory as (b) does. So (h) replaces (b), even if the owner is migrated
 *    afterwards; but (h) must come after (a). After the vector the same check replaces (e).
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
 *    A thread that has to make a single store for another CPU makes it in a sequence as well. That
 *    sequence compares the tag with the thread's lease in place of the CPU number. T does not
 *    own the lock, so nobody has to wait for T: neither a signal handler that interrupts T, and that may
 *    even leave by siglongjmp(), nor a thread on CPU n while T is stopped by a debugger, nor a child of
 *    fork() that does not have T. They close the guard over the lease (j). If T's sequence loads the
 *    tag later (i), it leaves. If it has loaded the tag, it has committed before (k) returns, or
 *    aborts, wherever T runs. So T need not block its signals, which would take as long as the
 *    fence.
 *
 *    For the sequences on CPU n, T acts as the owner does in A, with (e) between commit and (d); and
 *    as in E, where T finds itself on CPU n. T may have lost its lease before (b): then (k) makes up
 *    for (b).
 *
 *    A lease must differ from every other that anybody takes while T may still compare its own. It is
 *    the address of a variable on T's stack.
 *
 *    A thread that has lost its lease takes the lock next, with its signals blocked, and nobody can
 *    take the lock away. So two threads cannot take leases from each other for ever.
 *
 *    Where (k) is refused, by a filter that was installed late, (j) is undone, and S fails. T may have
 *    ended meanwhile; then its lease stays until some (k) succeeds.
 *
 * G. The next owner finds the tag CLOSED
 *
 *    The previous owner died (owner_lock.c, B), was left behind by fork() (D), or could not fence
 *    before it opened the tag (A). It may have closed the tag over a lease, and may have died before
 *    its fence (b) or (k). So the next owner fences all CPUs, as in F. After that the state is
 *    that of A. A vector that was cut off stays so, as any update does when its thread dies.
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
 * An address in user space, with the topmost bit set. The other bits of the topmost byte may be a tag of
 * the address; the byte below is not 0xff in any such address, as it is in a negative int. A 32-bit
 * address, which is even, is moved to the upper half.
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

	if (fence_method() == FENCE_NOTHING)
		return;
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

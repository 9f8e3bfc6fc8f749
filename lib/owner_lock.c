// SPDX-License-Identifier: MIT
/*
 * A lock in one 64-bit word, which has two 32-bit halves:
 *
 *	owner	A priority-inheritance futex, see futex(2): 0, or the owner's thread ID and flags.
 *		The kernel stores to it as well, when threads wait.
 *	mark	The incarnation of the process (incarnation.c), and a counter. A thread that
 *		takes the lock in user space increments the counter, and stores the mark
 *		together with the owner. The kernel and a release leave the mark as it is.
 *
 * A. The owner is preempted, and a real-time thread waits
 *
 *    The waiter calls FUTEX_LOCK_PI. The kernel looks the owner up by its thread ID, and runs the
 *    owner with the waiter's priority until the owner has called FUTEX_UNLOCK_PI.
 *
 * B. The owner dies
 *
 *    The other threads survive in two cases: a seccomp filter, or a tracer that makes the owner call
 *    exit(2), ended only the owner's thread; or the owner was a process that shares memory with
 *    this one, as a child of vfork() does.
 *
 *    When the owner exits, the kernel hands the lock to the waiter with the highest priority. If no
 *    thread waits at that moment, the word keeps the ID of the dead owner. A thread that calls
 *    FUTEX_LOCK_PI later gets ESRCH: no thread with this ID is alive, and no thread waits. If the
 *    word is then the same as before the call, except for FUTEX_WAITERS, the thread takes the lock
 *    by compare-and-swap. If another thread took the lock in between, the counter in the mark has
 *    changed. (The counter has 16 bits. A hand-over by the kernel does not increment it; but the
 *    kernel hands the lock only to a thread that waits, and ESRCH means that none waited.)
 *    Only ESRCH allows this. While the kernel is about to hand the lock over, it answers EINVAL.
 *
 *    The kernel may give the ID of a dead owner to a new thread, of this process or of another.
 *    Then the kernel regards the new thread as the owner, and waiters wait until the new thread
 *    exits. If the new thread wants the lock itself, it finds its own ID in the word although it
 *    has not taken the lock. Then it takes the lock over, and its release wakes the waiters.
 *
 * C. fork() while another thread owns the lock
 *
 *    The child has a copy of the word, but not the owner. The incarnation of the child differs from
 *    that in the mark, so the lock counts as free in the child, and no thread of the child waits for that
 *    owner. (Where the incarnation is 0 in parent and child, see incarnation.c, the child waits.)
 *
 * Ordering: the compare-and-swap or the system call that takes the lock is an acquire. It pairs
 * with the compare-and-swap (a release) or the system call in owner_unlock().
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "owner_lock.h"

#define SPINS		100

static uint32_t owner_of(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static uint32_t mark_of(uint64_t word)
{
	return (uint32_t)word;
}

static uint64_t make_word(uint32_t owner, uint32_t mark)
{
	return (uint64_t)owner << 32 | mark;
}

static uint32_t next_mark(uint16_t incarnation, uint32_t mark)
{
	return (uint32_t)incarnation << 16 | (uint16_t)(mark + 1);
}

static bool is_free(uint64_t word, uint16_t incarnation)
{
	return !owner_of(word) || mark_of(word) >> 16 != incarnation;
}

static long futex(struct owner_lock *lock, int op)
{
	bool little_endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

	return raw_syscall(SYS_futex, (long)((uint32_t *)&lock->word + little_endian),
			   op | FUTEX_PRIVATE_FLAG, 0, 0, 0, 0);
}

static bool replace(struct owner_lock *lock, uint64_t from, uint64_t to)
{
	return atomic_compare_exchange_strong(&lock->word, &from, to);
}

static bool take(struct owner_lock *lock, uint64_t word, uint32_t tid, uint16_t incarnation)
{
	return replace(lock, word, make_word(tid, next_mark(incarnation, mark_of(word))));
}

/*
 * Take the lock from a dead thread that had the caller's ID. Threads may wait in the kernel, which
 * regards the caller as the owner. So the owner half keeps FUTEX_WAITERS, and owner_unlock() wakes
 * the waiters.
 */
static bool take_from_namesake(struct owner_lock *lock, uint64_t word, uint16_t incarnation)
{
	return replace(lock, word,
		       make_word(owner_of(word), next_mark(incarnation, mark_of(word))));
}

static void wait_a_moment(void)
{
	const long moment[2] = { 0, 100000 };	/* struct timespec of this system call */

	raw_syscall(SYS_nanosleep, (long)moment, 0, 0, 0, 0, 0);
}

static bool same_owner(uint64_t a, uint64_t b)
{
	return (a | make_word(FUTEX_WAITERS, 0)) == (b | make_word(FUTEX_WAITERS, 0));
}

/* Scenarios A and B. Returns whether the caller owns the lock now. */
static bool wait_for_owner(struct owner_lock *lock, uint64_t before, uint32_t tid,
			   uint16_t incarnation)
{
	long ret = futex(lock, FUTEX_LOCK_PI);
	uint64_t now;

	if (!ret)
		return true;
	DELAY_POINT();
	now = atomic_load_explicit(&lock->word, memory_order_relaxed);
	if (ret == -ESRCH && same_owner(before, now))
		return take(lock, now, tid, incarnation);
	if ((owner_of(now) & FUTEX_TID_MASK) == tid)
		return take_from_namesake(lock, now, incarnation);
	/*
	 * EAGAIN, EINVAL: the owner is exiting, so try again. ENOSYS: the kernel has no such
	 * futexes. There a waiter can only load the word again from time to time. tkill(2) tells
	 * whether the owner is dead; for a process only after its parent has waited for it.
	 */
	if (ret == -ENOSYS &&
	    raw_syscall(SYS_tkill, owner_of(now) & FUTEX_TID_MASK, 0, 0, 0, 0, 0) == -ESRCH &&
	    !is_free(now, incarnation))
		return take(lock, now, tid, incarnation);
	wait_a_moment();
	return false;
}

bool owner_lock_is_owned(struct owner_lock *lock)
{
	uint64_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);

	return !is_free(word, incarnation());
}

void owner_lock(struct owner_lock *lock, uint32_t tid)
{
	uint16_t mine = incarnation();
	unsigned int spins = 0;
	uint64_t word;

	for (;;) {
		word = atomic_load_explicit(&lock->word, memory_order_relaxed);
		DELAY_POINT();
		if (is_free(word, mine)) {
			if (take(lock, word, tid, mine))
				return;
		} else if (spins++ < SPINS) {
			rseq_op_cpu_relax();
		} else if (wait_for_owner(lock, word, tid, mine)) {
			return;
		}
	}
}

void owner_unlock(struct owner_lock *lock)
{
	uint64_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);

	/* No flag: no thread waits. The exchange fails if the kernel sets FUTEX_WAITERS now. */
	if (!(owner_of(word) & ~(uint32_t)FUTEX_TID_MASK) &&
	    atomic_compare_exchange_strong_explicit(&lock->word, &word,
						    make_word(0, mark_of(word)),
						    memory_order_release, memory_order_relaxed))
		return;
	DELAY_POINT();
	while (futex(lock, FUTEX_UNLOCK_PI) == -EAGAIN)
		;
}

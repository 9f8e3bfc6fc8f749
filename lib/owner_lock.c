// SPDX-License-Identifier: MIT
/*
 * A lock in a word of two halves:
 *
 *	owner	A priority-inheritance futex, see futex(2): 0, or the owner's thread ID and flags.
 *		The kernel stores to it as well, when threads wait.
 *	mark	Stored together with the owner by whoever takes the lock in user space: the
 *		incarnation of the process, see incarnation.c, and a count of such takings. It
 *		stays when the lock is free.
 *
 * A. The owner is preempted, and a real-time thread waits
 *
 *    The waiter calls FUTEX_LOCK_PI. The kernel looks the owner up by its thread ID, and runs it
 *    with the waiter's priority until it has called FUTEX_UNLOCK_PI.
 *
 * B. The owner dies
 *
 *    Its process goes on when a tracer, a seccomp filter or exit(2) ends the thread alone; or when the
 *    owner was a process that shares memory with this one, as a child of vfork() does.
 *
 *    Threads that wait already: the kernel hands the lock to the first of them when the owner
 *    exits. Threads that come later: FUTEX_LOCK_PI finds no such thread, and no thread that waits, and
 *    returns ESRCH. A thread that then finds the same word as before the call, but for the flag
 *    that there are waiters, takes the lock by compare-and-swap. The word cannot have changed and changed
 *    back meanwhile, as the count in the mark differs then. (A hand-over by the kernel does not
 *    count, but the kernel hands a lock only to a thread that waits, and the caller does not.)
 *    Only ESRCH allows that. While the kernel is about to hand the lock over, it answers EINVAL.
 *
 *    The ID of a dead owner may be given to a new thread, of this process or of another. The kernel
 *    takes the new thread for the owner, and other threads wait until it exits, or until it wants the
 *    lock itself: a thread that finds its own ID in the word, though it has not taken the lock, takes
 *    it.
 *
 * C. fork() while another thread owns the lock
 *
 *    The child has a copy of the word, but not the owner. Its incarnation differs from the mark, so
 *    the lock counts as free there. No thread of the child ever waits for such an owner.
 *
 * Acquisition by compare-and-swap, or by the system call, orders memory after the release in
 * owner_unlock(), or the system call there.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "incarnation.h"
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
 * Take the lock from a dead thread that had the caller's ID. Threads may be waiting in the kernel, which
 * takes the caller for the owner. So the owner half stays as it is, and owner_unlock() wakes them.
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

/* Scenarios A and B. Returns whether the caller has the lock. */
static bool wait_for_owner(struct owner_lock *lock, uint64_t before, uint32_t tid, uint16_t incarnation)
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
	 * EAGAIN, EINVAL: the owner is exiting. ENOSYS: a kernel without such futexes. There a waiter can
	 * only look again, and a dead owner shows by tkill(2), once its parent has waited for it.
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
	return !is_free(atomic_load_explicit(&lock->word, memory_order_relaxed), rseq_op_incarnation());
}

void owner_lock(struct owner_lock *lock, uint32_t tid)
{
	uint16_t mine = rseq_op_incarnation();
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

	/* The kernel stores to the owner half while threads wait. */
	if (!(owner_of(word) & ~(uint32_t)FUTEX_TID_MASK) &&
	    atomic_compare_exchange_strong_explicit(&lock->word, &word,
						    make_word(0, mark_of(word)),
						    memory_order_release, memory_order_relaxed))
		return;
	DELAY_POINT();
	while (futex(lock, FUTEX_UNLOCK_PI) == -EAGAIN)
		;
}

/* SPDX-License-Identifier: MIT */
#ifndef OWNER_LOCK_H
#define OWNER_LOCK_H

#include "internal.h"

/*
 * A lock that is not lost when its owner dies, and that lends the priority of a waiter to the
 * owner: see owner_lock.c. Zero is a free lock.
 */
struct owner_lock {
	_Alignas(8) _Atomic uint64_t word;
};

/*
 * Take the lock, or sleep until it is free. @tid is gettid(2) of the calling thread. The caller has
 * blocked all signals, so that no handler of its own thread waits for the lock.
 */
void owner_lock(struct owner_lock *lock, uint32_t tid);

/* Has anybody the lock, as far as a single relaxed load tells? It may be a thread that is dead. */
bool owner_lock_is_owned(struct owner_lock *lock);

/* Give the lock back. All that the caller has stored before is seen by the next owner. */
void owner_unlock(struct owner_lock *lock);

#endif /* OWNER_LOCK_H */

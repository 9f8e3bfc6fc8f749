/* SPDX-License-Identifier: MIT */
#ifndef OWNER_LOCK_H
#define OWNER_LOCK_H

#include "internal.h"

/*
 * A lock that another thread can take over when its owner dies, and that lends the priority of a
 * waiter to the owner: see owner_lock.c. A lock whose word is 0 is free.
 */
struct owner_lock {
	_Alignas(8) _Atomic uint64_t word;
};

/*
 * Take the lock; sleep while another thread owns it. @tid is gettid(2) of the calling thread. The
 * caller has blocked all signals: a handler that called this in the owner's thread would find its
 * own ID in the word, and take the lock a second time (owner_lock.c, B).
 */
void owner_lock(struct owner_lock *lock, uint32_t tid);

/* Does a thread own the lock? This is one relaxed load. The owner may be dead. */
bool owner_lock_is_owned(struct owner_lock *lock);

/* Release the lock. The next owner sees everything that the caller stored before. */
void owner_unlock(struct owner_lock *lock);

#endif /* OWNER_LOCK_H */

/* SPDX-License-Identifier: MIT */
#ifndef WIDE_H
#define WIDE_H

#include "test.h"

/*
 * *v += 1 by a sequence with some 500 instructions between its load and its store.
 * A thread that does nothing else is inside it nearly always, so whatever stores to
 * *v without excluding the sequences of that CPU loses an increment, or has one lost.
 * The attempts that were aborted are added to *aborts, if that is not NULL.
 *
 * Return: false where the thread is not on that CPU, or the CPU is closed.
 */
bool wide_increment(intptr_t *v, int cpu, uint64_t *aborts);

#endif /* WIDE_H */

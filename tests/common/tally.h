/* SPDX-License-Identifier: MIT */
#ifndef TALLY_H
#define TALLY_H

#include "test.h"

/*
 * Data of each possible CPU that sequences and vectors add to, and for each worker what
 * it added for which CPU: an addition that was lost, made twice, or made for another
 * CPU shows as a difference between the two. Around each word lie words that stay.
 */
struct tally;

/* Shared: that processes forked later use together. Workers count from 0. */
struct tally *new_tally(bool shared, int workers);
void free_tally(struct tally *t);

/*
 * Add 1 by a sequence that takes long, or by rseq_op_addv() where the worker is not on
 * that CPU. The result of the operation; it is counted where that is 0.
 */
int tally_sequence(struct tally *t, int worker, int cpu);

/* Add 1 to three words, the one of the sequences among them, if the other two are equal. */
int tally_vector(struct tally *t, int worker, int cpu);

/* Reports and counts words that are not what they must be; nobody adds meanwhile. */
int tally_differences(const struct tally *t);

/* What a worker has done. */
uint64_t tally_done(const struct tally *t, int worker);

/* Says what was done for each CPU; fails if there are differences. */
void check_tally(const struct tally *t);

#endif /* TALLY_H */

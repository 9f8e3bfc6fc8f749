/* SPDX-License-Identifier: MIT */
#ifndef INCARNATION_H
#define INCARNATION_H

#include <stdint.h>

/*
 * Returns a number that differs from that of each process that this one was forked from, or 0 if
 * they cannot be told apart. The name is long because it stays global in the static library, where
 * pool.c is a member of its own.
 */
uint16_t rseq_op_incarnation(void);

#endif /* INCARNATION_H */

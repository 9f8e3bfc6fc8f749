/* SPDX-License-Identifier: MIT */
#ifndef INCARNATION_H
#define INCARNATION_H

#include <stdint.h>

/*
 * A number that differs from that of each process that this one was forked from; 0 where they cannot
 * be told apart. It has a long name because it stays global in the static library, where pool.c is
 * a member of its own.
 */
uint16_t rseq_op_incarnation(void);

#endif /* INCARNATION_H */

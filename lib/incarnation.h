/* SPDX-License-Identifier: MIT */
#ifndef INCARNATION_H
#define INCARNATION_H

#include <stdint.h>

/*
 * A number that differs from that of each process that this one was forked from; 0 where they cannot
 * be told apart. Exported for pool.c, which is a member of its own in the static library; not an
 * interface.
 */
__attribute__((visibility("default"))) uint16_t rseq_op_incarnation(void);

#endif /* INCARNATION_H */

/* SPDX-License-Identifier: MIT */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdint.h>

/*
 * System calls of one thread, stopped at their entry by seccomp's user notification: the fences of
 * membarrier(2) for restartable sequences, and cpu_opv(2).
 */

/* Stop those of the calling thread from now on. Return a file to answer them with, or -1. */
int notify_install(void);

/* Wait until a call is stopped. Return its number, for notify_answer(). */
uint64_t notify_wait(int listener);

/* Let the call go on, or make it fail with an errno. */
void notify_answer(int listener, uint64_t call, int error);

#endif /* NOTIFY_H */

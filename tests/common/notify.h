/* SPDX-License-Identifier: MIT */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>

/*
 * System calls of one thread, stopped at their entry by seccomp's user notification: the fences of
 * membarrier(2) for restartable sequences, and cpu_opv(2).
 */

/* Install a filter for the calling thread. Return a file to answer the stopped calls with, or -1. */
int notify_install_filter(const struct sock_filter *code, unsigned short len);

/*
 * Stop those of the calling thread from now on, and of threads and processes that it makes. Stop
 * the system call @also, too, if it is not 0. Return a file to answer them with, or -1.
 */
int notify_install(int also);

/*
 * Wait until a call is stopped. Return its identifier, for notify_answer(), and store the call and
 * its arguments to *@data, if @data is not NULL.
 */
uint64_t notify_wait(int listener, struct seccomp_data *data);

/* Let the call go on, or make it fail with an errno. */
void notify_answer(int listener, uint64_t call, int error);

/* Let the call return 0, without having been made. */
void notify_skip(int listener, uint64_t call);

#endif /* NOTIFY_H */

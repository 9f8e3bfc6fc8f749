/* SPDX-License-Identifier: MIT */
#ifndef HOG_H
#define HOG_H

#include <sched.h>
#include <sys/types.h>

#include "test.h"

/*
 * What keeps a CPU busy. At most one of each kind at a time. Each returns when it is
 * known to run, start_hog_process() before.
 */

/*
 * Of the calling thread: SCHED_OTHER, SCHED_FIFO (at the highest priority), or
 * SCHED_DEADLINE (9 of 10 ms), which must be allowed on all CPUs. It stays where it is
 * as long as nothing more urgent comes along.
 */
bool set_policy(int policy);

void hog_by_thread(int cpu, int policy);
pid_t hog_by_process(int cpu, int policy);
pid_t start_hog_process(int cpu, int policy);

/* ksmd, which merges equal pages; skips where there is none. */
void hog_by_kernel_thread(int cpu);

void stop_hogs(void);

/* Until the thread or process has run once more, and on which CPU; cpu without one. */
int wait_for_hog(int cpu);

#endif /* HOG_H */

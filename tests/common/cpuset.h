/* SPDX-License-Identifier: MIT */
#ifndef CPUSET_H
#define CPUSET_H

#include <sys/types.h>

#include "test.h"

/* Two cpusets, "a" and "b", with all CPUs at first. The caller must leave them last. */
bool make_cpusets(void);
bool remove_cpusets(void);

bool set_cpuset(const char *name, int first_cpu, int last_cpu);
bool enter_cpuset(const char *name, pid_t pid);

/* The same for the threads of one process, each of which may enter another cpuset. */
bool make_cpusets_of_threads(void);
bool enter_cpuset_as_thread(const char *name);

#endif /* CPUSET_H */

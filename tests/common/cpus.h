/* SPDX-License-Identifier: MIT */
#ifndef CPUS_H
#define CPUS_H

#include <sys/types.h>

#include "test.h"

/* The CPUs of the machine: their states, and what happens on them. */

/* CPUs, cpusets and limits of the system are changed only in a VM of ours: else skip. */
void need_vm(void);

/* A file of the kernel; false where it is not there or does not take it. */
bool write_to(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool read_from(const char *path, char *text, size_t size);

bool set_online(int cpu, bool online);

/* The highest CPU in a list under /sys/devices/system/cpu: "online", "isolated" ..., or -1. */
int last_cpu_in(const char *list);
bool cpu_is_in(const char *list, int cpu);

/* A possible CPU that has not been up since boot, or -1. */
int never_booted_cpu(void);

/* A kernel thread, by name, or -1. */
pid_t kernel_thread(const char *name);

/* What has happened on a CPU since boot. A CPU that is not online has no interrupts. */
struct events {
	long resched;		/* interrupts, sent by other CPUs */
	long call;
	long tlb;
	long tick;		/* interrupts of its own timer */
	long stopper;		/* times that its stopper ran */
};

void count_events(int cpu, struct events *e);
void subtract_events(struct events *e, const struct events *earlier);

/* Times that a process was made to leave its CPU. */
long times_preempted(pid_t pid);

#endif /* CPUS_H */

/* SPDX-License-Identifier: MIT */
#ifndef TARGETS_H
#define TARGETS_H

/* A CPU that vectors are for. */
struct target {
	const char *name;
	int cpu;
};

/*
 * Run it on one CPU with three targets: that CPU, one that is idle, and one that is
 * busy with a thread of this process, which is interrupted to run the vectors.
 */
void for_each_target(void (*run)(const struct target *t, void *arg), void *arg);

#endif /* TARGETS_H */

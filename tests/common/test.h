/* SPDX-License-Identifier: MIT */
#ifndef TEST_H
#define TEST_H

/* What the test programs share; cmocka.h wants the first four. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rseq_op/cpu_op.h>
#include <rseq_op/rseq_op.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* What a word holds that nobody may touch. */
#define CANARY		((intptr_t)INT64_C(0x5a5a5a5a5a5a5a5a))

/* For a process that may hang, in seconds: as long as no busy machine needs. */
#define LIMIT_S		300

/* Skip the running test and say why; where REQUIRE_KERNEL is set this may fail it. */
#define skip_because(...)						\
	do {								\
		print_message("# skipped: " __VA_ARGS__);		\
		print_message("\n");					\
		skip();							\
	} while (0)

/*
 * Skip for want of cpu_opv(2), or fail with REQUIRE_KERNEL=1. With TEST_PKEY=1 the process
 * has a protection key from now on: what an interrupt does otherwise, a stopper has to do.
 */
void need_kernel(void);

/* cpu_opv(2) itself: the result, or -errno. */
int cpu_opv(const struct cpu_op *ops, unsigned int nr_ops, int cpu, unsigned int flags);

/* The size that libc registers struct rseq with: not less than the original 32 bytes. */
uint32_t libc_rseq_size(void);

/* Run the calling thread on one CPU; on any. */
void pin_to(int cpu);
void unpin(void);

/* CPUs that this process may run on: how many, and the i-th of them. */
int nr_allowed_cpus(void);
int allowed_cpu(int i);

/* A possible CPU that is not this one, or -1. */
int other_cpu(int cpu);

/* Does every operation of this run take the backend, as its environment asks? */
bool always_by_backend(void);

/* A number that differs from call to call, the same in every run. */
uint32_t next_random(uint32_t *state);

#endif /* TEST_H */

/* SPDX-License-Identifier: MIT */
#ifndef FORMS_H
#define FORMS_H

/*
 * The operations in all the forms that are compared: loops that do one operation on the
 * data of the CPU they run on, again and again, and each time ask which CPU that is.
 *
 * Every loop exists at four alignments, because the distance to a 64-byte line alone
 * moves such loops by ten percent or more; compare loops of the same alignment.
 */
#include <pthread.h>
#include <stdint.h>

#if !defined(__x86_64__)
# error "the forms to compare with are written for x86-64"
#endif

#define NR_SHIFTS	4
#define COPIED		4096
#define CPUS_MAX	8192

enum form {
	PLAIN,		/* unprotected, the CPU read from struct rseq */
	LOCKED,		/* the same with a lock prefix */
	GETCPU_LOCKED,	/* sched_getcpu(), lock prefix */
	GETCPU_MUTEX,	/* sched_getcpu(), a mutex for each CPU */
	BY_HAND,	/* a bare sequence: the CPU compared in a register, no tag */
	LIBRSEQ,
	RSEQ_OP,
	NR_FORMS
};

typedef void (*loop_fn)(long n);

struct operation {
	const char *name;
	const loop_fn *loops[NR_FORMS];	/* at each alignment; NULL: has no such form */
};

extern const struct operation operations[];
extern const int nr_operations;

/* LIBRSEQ's loops of an operation, or NULL. NULL itself where built without librseq. */
const loop_fn *librseq_loops(const char *operation) __attribute__((weak));

/* Where its sequences come from. */
extern const char librseq_origin[] __attribute__((weak));

/* A byte at a time, as the copy of a sequence may be. */
extern const loop_fn *const byte_copy_loops;

struct data {
	_Alignas(128) intptr_t v;
	intptr_t zero;		/* these stay 0 */
	intptr_t zero2;
	int32_t v32;
	intptr_t list;
	intptr_t node;		/* the only one: holds the address of the next, 0 */
	intptr_t to_v, to_to_v;
	_Alignas(128) pthread_mutex_t mutex;
};

extern struct data data[CPUS_MAX];

/* Not on the same lines of two pages: a load would seem to hit an earlier store. */
extern char copy_src[COPIED], copy_dst[CPUS_MAX][2 * COPIED];
#define COPY_TO(cpu)	(copy_dst[cpu] + 256)

/* Before the first loop. */
void forms_init(void);

/* name_loops[]: the statements, n times, at each alignment. */
#define LOOP(name, shift, ...)							\
static __attribute__((noinline)) void name##_##shift(long n)			\
{										\
	__asm__ volatile (".balign 64\n\t.skip 16 + " #shift ", 0x90");		\
	do {									\
		__VA_ARGS__							\
		__asm__ volatile ("" : : : "memory");				\
	} while (--n);								\
}

#define LOOPS(name, ...)							\
	LOOP(name, 0, __VA_ARGS__)						\
	LOOP(name, 16, __VA_ARGS__)						\
	LOOP(name, 32, __VA_ARGS__)						\
	LOOP(name, 48, __VA_ARGS__)						\
static const loop_fn name##_loops[NR_SHIFTS] = { name##_0, name##_16, name##_32, name##_48 };

#endif /* FORMS_H */

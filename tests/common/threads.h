/* SPDX-License-Identifier: MIT */
#ifndef THREADS_H
#define THREADS_H

#include <pthread.h>

#include "test.h"

#define MAX_THREADS	64

/*
 * Threads that do something until told to stop. What they find wrong they count
 * and describe; asserting is for the thread that runs the test.
 */
struct worker {
	int index;
	int cpu;		/* to pin to, or -1 */
	void (*run)(struct worker *w);
	void *arg;
	uint64_t done;		/* operations carried out */
	uint64_t wrong;		/* results or words that must not be */
	char what[160];		/* the first of them */
	uint32_t random;
	pthread_t id;
};

/* Start run in n threads; cpu_of says where, NULL: anywhere. */
void start_workers(struct worker *w, int n, void (*run)(struct worker *w), void *arg,
		   int (*cpu_of)(int index));

/* Ask for the end; wait for the end. finish_workers() also fails on what is wrong. */
bool workers_stopping(void);
void stop_workers(void);
void finish_workers(struct worker *w, int n);

/* Note a fault. */
void wrong(struct worker *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The system call in which a thread of this process sleeps, or -1. */
long call_of_sleeper(int tid);

void sleep_ms(int ms);
uint64_t now_ms(void);

#endif /* THREADS_H */

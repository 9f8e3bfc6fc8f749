/* SPDX-License-Identifier: MIT */
#ifndef INTERNAL_H
#define INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The static library is linked from several objects into one, and kept whole: its arrays can
 * be retained. On i386 the linker (binutils 2.40) stops at the relocations that callers use.
 */
#ifdef __i386__
# define RSEQ_OP_ASM_KEEP	""
# define RSEQ_OP_ARRAY		"\"awR\""
#endif

#include <rseq_op/sites.h>

#include "delay.h"
#include "syscall.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* signals.c: block all signals of the calling thread, and restore its mask. */
void block_signals(uint64_t *old);
void restore_signals(const uint64_t *old);

/* probe.c: the same, of a call that a seccomp filter might kill for. */
long probe(long nr, long a, long b, long c, long d);

/* The same, if the kernel has said before that it has the call; a filter may have been installed since. */
long probe_again(long nr, long a, long b, long c, long d);

/* May the kernel be asked when the library is loaded? No filter can kill for it then. */
bool probe_allowed_at_load(void);

/* Is the calling thread the only one? False where that cannot be told. */
bool probe_single_threaded(void);

/*
 * incarnation.c: a number that differs from that of each process that this one was forked from, or 0 if
 * they cannot be told apart.
 */
uint16_t incarnation(void);

/* init.c: ask the kernel what it offers, if that has not been done. */
void library_ready(void);

/* Whose data it is: that of a CPU, or of a concurrency ID. */
enum by { BY_CPU, BY_CID };
struct place {
	enum by by;
	int index;
};

/* registration.c: struct rseq of the calling thread. */
void registration_init(void);
int thread_cpu(void);
int thread_index(enum by by);
void rseq_ask(void);		/* whether the kernel has rseq(2), where that matters */
bool rseq_works(void);
bool rseq_missing(void);	/* the kernel has no rseq(2), or a filter says so */
bool thread_register(void);

/* cpulist.c: sets of CPUs, as the kernel has them, and its lists. */
struct cpus {
	unsigned long bits[RSEQ_OP_CPU_MAX / (8 * sizeof(long))];
};
void cpus_add(struct cpus *cpus, int cpu);
bool cpus_have(const struct cpus *cpus, int cpu);

/* A list that ends with its line; false where that cannot be had whole. */
bool cpus_parse(struct cpus *cpus, const char *s);
bool cpus_read(struct cpus *cpus, long fd);

/* cpus.c: which CPUs there are. */
void cpus_init(void);
bool cpus_are_listed(void);	/* or guessed */
bool cpus_possible(int cpu);

/* mounts.c: is the open file, @path, the file @name of sysfs, and no other file mounted there? */
bool mount_is_sysfs(long fd, const char *path, const char *name);

/*
 * The kernel's own list in /sys@name. False also if another file is mounted there: a container may
 * have a list of its own, which leaves out CPUs that threads of this process run on.
 */
bool cpus_read_sysfs(struct cpus *cpus, const char *name);

/* config.c: what the environment asks for. */
struct config {
	unsigned int max_aborts;	/* attempts that abort before the backend */
	unsigned int force_fallback;	/* every n-th operation takes it; 0: none */
	enum rseq_op_backend backend;	/* NONE: choose */
	bool report;			/* at the end of the process */
	_Atomic bool sites;		/* count by call site; rseq_op_count_sites() changes it */
};
extern struct config config;
void config_init(void);

/* guard.c: closing a place to the sequences of this process. */
void guard_init(void);
void guard_open_all(void);
const int64_t *guard_tags(enum by by);
void guard_wait_open(struct place at);
bool guard_is_owned(struct place at);	/* a vector may be running */
bool guard_is_leased(struct place at);

/*
 * Close the guard, and open it again; or undo the closing, if nothing could be done. @tid is
 * gettid(2) of the calling thread. guard_close() returns the previous tag. If that was not open,
 * fence all CPUs.
 */
int64_t guard_close(struct place at, uint32_t tid);
bool guard_was_open(struct place at, int64_t was);
void guard_open(struct place at, bool sequences);
void guard_undo(struct place at, int64_t was);

/*
 * Lease it, if it is open, to a sequence that compares the tag with *lease, which stays where it
 * is: its address is what makes the lease.
 */
bool guard_lease(struct place at, int64_t *lease);
void guard_end_lease(struct place at, int64_t lease, bool sequences);

/* fence.c: until the sequences under way have committed or will abort. 0 or -errno. */
enum fence_method {
	FENCE_MEMBARRIER,
	FENCE_KERNEL,		/* an empty vector */
	FENCE_AFFINITY,
	FENCE_NOTHING,		/* there is no fence, so there are no sequences either */
};
void fence_init(void);
enum fence_method fence_method(void);
bool fence_membarrier_still_works(void);
int fence_register(void);

/* Was the process restored on a machine with other CPUs? The backend is not used then. */
bool fence_moved(void);

int fence(struct place at);
int fence_all(void);

/* affinity.c */
int affinity_fence(struct place at);
bool affinity_works(void);

/* interp.c: what a vector means, on plain memory. */
enum access { ACCESS_READ, ACCESS_WRITE };
typedef int (*operand_fn)(uint64_t addr, uint32_t len, enum access access, bool fault_expected);
int interp_check(const struct cpu_op *ops, unsigned int nr_ops);
int interp_for_each_operand(const struct cpu_op *ops, unsigned int nr_ops, operand_fn fn);
int interp_run(const struct cpu_op *ops, unsigned int nr_ops);

/* operands.c: bring an operand in, before anything is closed: 0 or -EFAULT. */
int operand_ask(uint64_t addr, uint32_t len, enum access access, bool fault_expected);

/* The same, of data that by contract stays mapped: where it has not, perhaps a SIGSEGV. */
int operand_touch(uint64_t addr, uint32_t len, enum access access, bool fault_expected);

/* Can, or could once, data be read that stays mapped? It is not accessed. 0 or -EFAULT. */
int operand_find(uint64_t addr, uint32_t len);

/*
 * A backend runs a vector for a possible CPU and returns what rseq_op() does. The vectors
 * of operations that have tried their sequence are trusted: they are readable, and the
 * area of the calling thread is its own. (In a child of vfork() it is its parent's.)
 */
typedef int (*backend_fn)(const struct cpu_op *ops, unsigned int nr_ops, struct place at,
			  bool trusted);
backend_fn backend_run(enum by by);
int cpu_opv_run(const struct cpu_op *ops, unsigned int nr_ops, struct place at, bool trusted);
int cpu_opv_probe(void);
int emulation_run(const struct cpu_op *ops, unsigned int nr_ops, struct place at,
		   bool trusted);

/*
 * Lease the place to a sequence, if that can be had: the area is the calling thread's own, it is
 * registered, and what the sequence accesses are the operands of the vector.
 */
bool emulation_lease(const struct cpu_op *ops, unsigned int nr_ops, struct place at,
		      int64_t *lease);
void emulation_end_lease(struct place at, int64_t lease, bool committed);

/* Copy a vector that may lie anywhere: 0, -EINVAL for too many, or -EFAULT. */
int emulation_fetch(struct cpu_op *copy, const struct cpu_op *ops, unsigned int nr_ops);

/* stats.c: the counters, in the order of struct rseq_op_stats. */
enum counter {
	COUNT_ABORTED,
	COUNT_REMOTE,
	COUNT_CLOSED,
	COUNT_UNREGISTERED,
	COUNT_FORCED,
	COUNT_VECTOR,
	COUNT_ABORTS,
	NR_COUNTERS,
};
void count(enum counter what, uintptr_t site);

/* sites.c: the same for each call site. In a function that callers call, CALL_SITE is theirs. */
#define CALL_SITE	((uintptr_t)__builtin_return_address(0) - 1)
#define SITES_BITS	7
#define NR_SITES	(1U << SITES_BITS)
void sites_count(enum counter what, uintptr_t site);

/* object.c: the file that an address comes from, and the address in the file. */
struct module {
	char name[4096];		/* empty: none */
	uintptr_t address;
};
void module_of(const void *address, struct module *m);

/* The name by which dlopen() finds the object that an address lies in; NULL for the program. */
const char *module_loader_name(const void *address);

#endif /* INTERNAL_H */

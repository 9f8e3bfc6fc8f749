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

/*
 * What the files of the library offer each other, by layer. A file uses those of its own layer and
 * of the layers before. doc/design.md lists the layers, doc/glossary.md explains the terms.
 * Functions that return int return 0 or -errno, unless the comment says otherwise.
 */

/*
 * Layer 1: the system
 */

/* signals.c: block all signals of the calling thread, and restore its mask. */
void block_signals(uint64_t *old);
void restore_signals(const uint64_t *old);

/* probe.c: make a system call for which a seccomp filter may kill. Returns as raw_syscall(). */
long probe(long nr, long a, long b, long c, long d);

/* The same for a call that the kernel has answered before. A filter may have come since. */
long probe_again(long nr, long a, long b, long c, long d);

/* May the library ask the kernel while it is loaded? True if no filter can kill for that. */
bool probe_allowed_at_load(void);

/* Is the calling thread the only one? False also if the library cannot tell. */
bool probe_single_threaded(void);

/*
 * incarnation.c: a number that differs between this process and each process that it descends from
 * by fork(); 0 if the library cannot tell them apart.
 */
uint16_t incarnation(void);

/* A place is a CPU or a concurrency ID: the owner of data. */
enum by { BY_CPU, BY_CID };
struct place {
	enum by by;
	int index;
};

/* registration.c: struct rseq of the calling thread. */
void registration_init(void);
int thread_cpu(void);		/* < 0: the thread is not registered */
int thread_index(enum by by);	/* its CPU or concurrency ID; < 0: not registered */
bool rseq_works(void);
bool rseq_missing(void);	/* the kernel has no rseq(2), or a filter says so */
bool thread_register(void);	/* returns whether the thread is registered now */

/* cpulist.c: sets of CPUs, as the kernel has them, and lists of CPUs. */
struct cpus {
	unsigned long bits[RSEQ_OP_CPU_MAX / (8 * sizeof(long))];
};
void cpus_add(struct cpus *cpus, int cpu);
bool cpus_have(const struct cpus *cpus, int cpu);

/* Read a list. Returns false unless the list is valid and ends with its line. */
bool cpus_parse(struct cpus *cpus, const char *s);
bool cpus_read(struct cpus *cpus, long fd);

/* mounts.c: is the open file, whose path is @path, the file @name of sysfs? */
bool mount_is_sysfs(long fd, const char *path, const char *name);

/* cpus.c: the possible CPUs. */
void cpus_init(void);
bool cpus_are_listed(void);	/* false: the numbers are a guess */
bool cpus_possible(int cpu);

/*
 * Read the kernel's own list /sys@name. Returns false also if another file is mounted there: a
 * container may have a list of its own, which leaves out CPUs that threads of this process run on.
 */
bool cpus_read_sysfs(struct cpus *cpus, const char *name);

/* config.c: what the environment asks for. */
struct config {
	unsigned int max_aborts;	/* aborted attempts before the backend */
	unsigned int force_fallback;	/* every n-th operation takes the backend; 0: none */
	enum rseq_op_backend backend;	/* NONE: the library chooses */
	bool report;			/* print the counters at the end of the process */
	_Atomic bool sites;		/* count by call site; rseq_op_count_sites() changes it */
};
extern struct config config;
void config_init(void);

/* cpu_opv.c: the system call. cpu_opv_run() is a backend_fn, see below. */
int cpu_opv_run(const struct cpu_op *ops, unsigned int nr_ops, struct place at, bool trusted);
int cpu_opv_probe(void);	/* whether the kernel has it */

/*
 * Layer 2: exclusion
 */

/* guard.c: keep the sequences of this process away from the data of a place. */
void guard_init(void);
void guard_open_all(void);
const int64_t *guard_tags(enum by by);
void guard_wait_open(struct place at);	/* for some microseconds at most */
bool guard_is_owned(struct place at);	/* a vector may be running */
bool guard_is_leased(struct place at);

/*
 * Close the guard, and open it again; or undo the closing, if nothing could be done. @tid is
 * gettid(2) of the calling thread. guard_close() returns the previous tag. If that was not open,
 * the caller has to fence all CPUs.
 */
int64_t guard_close(struct place at, uint32_t tid);
bool guard_was_open(struct place at, int64_t was);
void guard_open(struct place at, bool sequences);
void guard_undo(struct place at, int64_t was);

/*
 * If the guard is open, lease it to a sequence that compares the tag with *@lease. The address of
 * *@lease makes the lease unique, so the variable must stay where it is until the lease has ended.
 */
bool guard_lease(struct place at, int64_t *lease);
void guard_end_lease(struct place at, int64_t lease, bool sequences);

/* fence.c: wait until the sequences under way have committed or will abort. */
enum fence_method {
	FENCE_MEMBARRIER,
	FENCE_KERNEL,		/* an empty vector of cpu_opv(2) */
	FENCE_AFFINITY,
	FENCE_NOTHING,		/* there is no fence, so there are no sequences either */
};
void fence_init(void);
enum fence_method fence_method(void);
bool fence_membarrier_still_works(void);
int fence_register(void);
int fence(struct place at);
int fence_all(void);

/* Was the process restored on a machine with other CPUs? Then the library uses no backend. */
bool fence_moved(void);

/* affinity.c: the fence by a thread that runs on the CPU for a moment. */
int affinity_fence(struct place at);
bool affinity_works(void);

/*
 * Layer 3: vectors (programs: see program.h)
 */

/* interp.c: check a vector, and run it on plain memory. interp_run() returns as rseq_op(). */
enum access { ACCESS_READ, ACCESS_WRITE };
typedef int (*operand_fn)(uint64_t addr, uint32_t len, enum access access, bool fault_expected);
int interp_check(const struct cpu_op *ops, unsigned int nr_ops);
int interp_for_each_operand(const struct cpu_op *ops, unsigned int nr_ops, operand_fn fn);
int interp_run(const struct cpu_op *ops, unsigned int nr_ops);

/* operands.c: make an operand accessible before a guard is closed. Returns 0 or -EFAULT. */
int operand_ask(uint64_t addr, uint32_t len, enum access access, bool fault_expected);

/* The same for data that stay mapped by contract. If they do not, there may be a SIGSEGV. */
int operand_touch(uint64_t addr, uint32_t len, enum access access, bool fault_expected);

/* Was the operand, which stays mapped by contract, readable at some time? It is not accessed. */
int operand_find(uint64_t addr, uint32_t len);

/*
 * A backend runs a vector for a possible CPU, and returns what rseq_op() does. @trusted: the vector
 * belongs to an operation that has tried its sequence. So the array is readable, and struct rseq of
 * the calling thread is its own. (In a child of vfork() struct rseq is that of the parent.)
 */
typedef int (*backend_fn)(const struct cpu_op *ops, unsigned int nr_ops, struct place at,
			  bool trusted);

/* emulation.c: the backend in user space. */
int emulation_run(const struct cpu_op *ops, unsigned int nr_ops, struct place at,
		  bool trusted);

/*
 * Lease the place to a sequence, if that is possible. The calling thread is registered, and its
 * struct rseq is its own. The operands of the vector are what the sequence accesses.
 */
bool emulation_lease(const struct cpu_op *ops, unsigned int nr_ops, struct place at,
		     int64_t *lease);
void emulation_end_lease(struct place at, int64_t lease, bool committed);

/* Copy a vector from an address that may be bad. -EINVAL: it is too long; -EFAULT. */
int emulation_fetch(struct cpu_op *copy, const struct cpu_op *ops, unsigned int nr_ops);

/*
 * Layer 4: choice
 */

/* init.c: ask the kernel what it has, unless that has been done. */
void library_ready(void);

/* backend.c: the function of the backend that this process uses. */
backend_fn backend_run(enum by by);

/*
 * Counters, and what they need: layer 1
 */

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

/* sites.c: the counters of each call site. CALL_SITE lies in the caller of the current function. */
#define CALL_SITE	((uintptr_t)__builtin_return_address(0) - 1)
#define SITES_BITS	7
#define NR_SITES	(1U << SITES_BITS)
void sites_count(enum counter what, uintptr_t site);

/* object.c: the file that an address was loaded from, and the address in that file. */
struct module {
	char name[4096];		/* empty: none */
	uintptr_t address;
};
void module_of(const void *address, struct module *m);

/* The name by which dlopen() finds the object that an address lies in; NULL for the program. */
const char *module_loader_name(const void *address);

#endif /* INTERNAL_H */

/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_H
#define RSEQ_OP_H

/*
 * rseq_op(3): per-CPU data at the price of plain stores, without aborts.
 *
 * Each operation runs as a restartable sequence where it can. Where it can't,
 * because the sequence is aborted again and again, is single-stepped, aims at
 * another CPU, or is none, it runs by cpu_opv(2), or on a kernel without that
 * call by an emulation. The caller sees no difference but time.
 *
 * Every operation returns
 *	0	it was carried out,
 *	> 0	the 1-based index of the comparison that did not hold; what comes
 *		after it was not done,
 *	< 0	-errno; nothing was done:
 *		-EINVAL	@cpu is not a possible CPU of this machine
 *		-EFAULT	an operand is not accessible (noticed outside the sequence
 *			only; in the sequence it is a SIGSEGV, as for any store)
 *		-ENOSYS	neither cpu_opv(2) nor membarrier(2) is to be had
 *		-EPERM	by cpu_opv(2): @cpu runs another process, which may share
 *			the operands, and the caller may not disturb it; or a
 *			seccomp filter refuses membarrier(2)
 *		-ENOMEM	the kernel is out of memory
 * and leaves errno alone.
 *
 * Context: any thread, registered with rseq(2) or not, and signal handlers, also
 * one that interrupts an operation on the same CPU's data. Not in a critical
 * section of rseq; not before constructors run (.preinit_array, IFUNC resolvers);
 * not in a child of vfork(), nor of a fork that is not libc's fork().
 *
 * Ordering: an operation happens entirely before or entirely after any other for
 * the same CPU, whatever way the two take, and sees its effects. Towards code
 * that is not such an operation, its stores are relaxed.
 *
 * Unloading: struct rseq goes on pointing into the object that an operation was
 * compiled into, so that must not be unmapped: link a plugin with -z nodelete. There
 * is one library in a process: operations of two copies, one static and one shared,
 * do not exclude each other.
 *
 * Words that operations change are changed by nothing else but operations for
 * the same CPU; lock-prefixed and C11 atomics do not mix with them. They may be
 * read by anybody. They are naturally aligned.
 */

#include <stddef.h>
#include <stdint.h>

#include <linux/cpu_opv.h>

#include <rseq_op/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* CPU numbers that the library can serve: 0 to RSEQ_OP_CPU_MAX - 1. */
#define RSEQ_OP_CPU_MAX		8192

/*
 * Which CPUs are open to sequences: the tag of a CPU is its number while it is, and
 * no int at all while it is not. The library writes them, the sequences read them;
 * not an interface.
 *
 * A sequence looks at the tag of the CPU that the thread runs on, as struct rseq
 * tells it: -1 and -2, for a thread that is not registered, have tags too.
 */
#define RSEQ_OP_TAGS_BEFORE	2
extern int64_t rseq_op_cpu_tag[RSEQ_OP_TAGS_BEFORE + RSEQ_OP_CPU_MAX];

static inline const int64_t *rseq_op_tags(void)
{
	return rseq_op_cpu_tag + RSEQ_OP_TAGS_BEFORE;
}

/* Where the operations go on when the sequence did not do it; not an interface. */
int rseq_op_slow_addv(intptr_t *v, intptr_t count, int cpu, int outcome);
int rseq_op_slow_cmpeqv_storev(intptr_t *v, intptr_t expect, intptr_t newv, int cpu,
			       int outcome);
int rseq_op_slow_cmpeqv_storev_storev(intptr_t *v, intptr_t expect, intptr_t *v2,
				      intptr_t newv2, intptr_t newv, int cpu, int outcome);

/**
 * rseq_op_current_cpu() - the CPU that the calling thread runs on
 *
 * A hint: the thread may be elsewhere when the caller looks at it. Using it for
 * an operation is correct all the same.
 *
 * Return: its number, 0 to rseq_op_nr_cpus() - 1; 0 in a thread that is not
 * registered with rseq(2), as it may be until its first operation. Never fails.
 */
static inline int rseq_op_current_cpu(void)
{
	return rseq_op_cpu_id_start();
}

/**
 * rseq_op_nr_cpus() - how many entries an array indexed by CPU needs
 *
 * Return: the highest number of a possible CPU + 1; it does not change while the
 * system is up. (/sys/devices/system/cpu/possible)
 */
int rseq_op_nr_cpus(void);

/**
 * rseq_op_addv() - *v += count
 * @v:		A word of @cpu's data.
 * @count:	Added to it, wrapping around.
 * @cpu:	Whose data it is; any possible CPU.
 *
 * Return: 0, or -errno as above.
 */
static inline int rseq_op_addv(intptr_t *v, intptr_t count, int cpu)
{
	int ret = rseq_op_seq_addv(v, count, cpu, rseq_op_tags());

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow_addv(v, count, cpu, ret);
	return ret;
}

/**
 * rseq_op_cmpeqv_storev() - if (*v == expect) *v = newv
 * @v:		A word of @cpu's data.
 * @expect:	What it must hold.
 * @newv:	What it is to hold.
 * @cpu:	Whose data it is; any possible CPU.
 *
 * Return: 0, 1 if *v differs from @expect, or -errno as above.
 */
static inline int rseq_op_cmpeqv_storev(intptr_t *v, intptr_t expect, intptr_t newv, int cpu)
{
	int ret = rseq_op_seq_cmpeqv_storev(v, expect, newv, cpu, rseq_op_tags());

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow_cmpeqv_storev(v, expect, newv, cpu, ret);
	return ret;
}

/**
 * rseq_op_cmpeqv_storev_storev() - if (*v == expect) { *v2 = newv2; *v = newv; }
 * @v:		A word of @cpu's data.
 * @expect:	What it must hold.
 * @v2:		Another word of @cpu's data, which nobody reads before *v says so:
 *		where an attempt was aborted, *v2 may hold @newv2 although the
 *		operation ends with a result other than 0.
 * @newv2:	What *v2 is to hold.
 * @newv:	What *v is to hold.
 * @cpu:	Whose data they are; any possible CPU.
 *
 * Return: 0, 1 if *v differs from @expect, or -errno as above.
 */
static inline int rseq_op_cmpeqv_storev_storev(intptr_t *v, intptr_t expect, intptr_t *v2,
					       intptr_t newv2, intptr_t newv, int cpu)
{
	int ret = rseq_op_seq_cmpeqv_storev_storev(v, expect, v2, newv2, newv, cpu,
						   rseq_op_tags());

	if (__builtin_expect(ret < 0, 0))
		return rseq_op_slow_cmpeqv_storev_storev(v, expect, v2, newv2, newv, cpu, ret);
	return ret;
}

/**
 * rseq_op() - run any vector of operations
 * @ops:	The vector, as cpu_opv(2) describes it. Its operands are data of
 *		@cpu, or of nobody else meanwhile.
 * @nr_ops:	Its length, 0 to CPU_OP_VEC_LEN_MAX. A vector without operations
 *		is a fence: sequences of this process that began on @cpu before
 *		the call have committed or will abort.
 * @cpu:	Any possible CPU.
 * @flags:	0.
 *
 * It is all or nothing: on a result < 0 no byte has changed. What stands before a
 * comparison that does not hold takes effect, so comparisons go first.
 *
 * Return: 0, i + 1 where comparison i did not hold, or -errno: as above (-EFAULT
 * is also said of @ops; on the membarrier backend, an operand that another thread
 * unmaps in the course of the call may be a SIGSEGV instead), and
 *	-EINVAL	what cpu_opv(2) calls invalid; @flags
 *	-EAGAIN	as -EFAULT, for an operand with expect_fault
 */
int rseq_op(const struct cpu_op *ops, unsigned int nr_ops, int cpu, unsigned int flags);

/* How operations run that cannot be a sequence. */
enum rseq_op_backend {
	RSEQ_OP_BACKEND_NONE,		/* not at all: -ENOSYS */
	RSEQ_OP_BACKEND_KERNEL,		/* cpu_opv(2) */
	RSEQ_OP_BACKEND_MEMBARRIER,	/* emulated: close the CPU, fence, run, reopen */
};

/**
 * rseq_op_backend() - say which backend this process uses, and why
 * @why:	If not NULL, *why is set to a sentence in English, a constant.
 *
 * The choice is made once, by this call or the first operation that needs one.
 * RSEQ_OP_BACKEND in the environment, "kernel" or "membarrier", overrides it.
 *
 * Return: the backend.
 */
enum rseq_op_backend rseq_op_backend(const char **why);

/**
 * struct rseq_op_stats - what has not been done by a sequence, since the start
 *
 * An operation that ends in the backend is counted once, by the reason:
 * @aborted:		its sequence aborted RSEQ_OP_MAX_ABORTS times in a row
 * @remote:		it aims at a CPU other than the current one
 * @closed:		the backend was at work for the CPU, and stayed so
 * @unregistered:	the thread has no struct rseq, nor can get one
 * @forced:		RSEQ_OP_FORCE_FALLBACK asked for it
 * @vector:		rseq_op(): it is not a sequence
 *
 * and apart from these:
 * @aborts:		attempts of sequences that aborted
 */
struct rseq_op_stats {
	uint64_t aborted;
	uint64_t remote;
	uint64_t closed;
	uint64_t unregistered;
	uint64_t forced;
	uint64_t vector;
	uint64_t aborts;
};

/**
 * rseq_op_stats() - read the counters of this process
 * @stats:	Where to.
 * @size:	sizeof(*stats). A library that knows fewer counters leaves the
 *		others 0, one that knows more leaves them out.
 */
void rseq_op_stats(struct rseq_op_stats *stats, size_t size);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* RSEQ_OP_H */

/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_H
#define RSEQ_OP_H

/*
 * rseq_op(3): operations on per-CPU data, at the price of plain stores. The caller never sees an
 * abort.
 *
 * Each operation runs as a restartable sequence (rseq(2)) where it can. The slow path of the
 * library handles the other cases: the sequence is aborted again and again, a debugger steps
 * through the sequence, @cpu is not the current CPU, or a sequence cannot express the operation.
 * Then a backend runs the operation: the system call cpu_opv(2) or, on a kernel without it, an
 * emulation in user space. (For another CPU, the emulation may still run a sequence.) Either way
 * the operation does the same, but the slow path takes longer. rseq_op(3) lists what the emulation
 * promises less.
 *
 * Every operation returns
 *	0	it was carried out,
 *	> 0	the number of the comparison that did not hold, counted from 1 (rseq_op()
 *		counts all operations of the vector); nothing after the comparison was done,
 *	< 0	-errno; nothing was done (but see @old, @v2, @dst and @load in typed.h):
 *		-EINVAL	@cpu is not a possible CPU of this machine; or another argument is
 *			invalid, see the operation
 *		-EFAULT	the backend found that an operand is not accessible. (A sequence gets
 *			a SIGSEGV or SIGBUS instead, as any store does. So may the emulation,
 *			if an earlier operation has found the page accessible.)
 *		-ENOSYS	the backend that RSEQ_OP_BACKEND asks for is unavailable; or a seccomp
 *			filter that was installed after the library was loaded refuses it
 *		-EPERM	from cpu_opv(2): @cpu runs another process, which may share the
 *			operands, and the caller may not interrupt that process;
 *			from the affinity backend: the caller may not run on @cpu, or cannot
 *			find out whether @cpu is offline;
 *			from any backend: a seccomp filter that was installed later refuses a
 *			system call of the backend
 *		-ENOMEM	the kernel is out of memory
 *		-ENOTRECOVERABLE  the process was restored from a checkpoint on a machine
 *			with other possible CPUs
 * and leaves errno alone.
 *
 * Context: any thread, whether registered with rseq(2) or not; a signal handler, even one that
 * interrupts an operation on data of the same CPU; a forked child, however the fork was made. Do
 * not call operations in a critical section of rseq(2), nor before the constructors of the library
 * have run (in .preinit_array or in an IFUNC resolver). A process that shares the memory of another
 * one (a child of vfork(), or of clone() with CLONE_VM and without CLONE_THREAD) may call only
 * rseq_op_fence(), rseq_op_fence_all(), and rseq_op() with vectors that cannot run as a restartable
 * sequence.
 *
 * Ordering: of two operations for the same CPU, one happens entirely before the other, whether they
 * run as sequences or by the backend. The later one sees the effects of the earlier one. To any
 * other code the stores of an operation are relaxed.
 *
 * Unloading: after an operation, struct rseq still points into the object that the operation was
 * compiled into, so this object must not be unmapped. A shared object that includes this header
 * therefore stays mapped after dlclose(), as if it were linked with -z nodelete. Use only one copy
 * of the library in a process: the operations of a static and of a shared copy do not exclude each
 * other.
 *
 * Words: if operations for a CPU change a word, nothing else may change it. Do not mix operations
 * with plain stores, lock-prefixed instructions or C11 atomics. Any thread may read the word. A
 * word is naturally aligned.
 */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/cpu_opv.h>

/* What a sequence returns if it neither committed nor stopped at a comparison; not an interface. */
#define RSEQ_OP_ABORTED		(-1)	/* the thread was preempted or migrated, or got a signal */
#define RSEQ_OP_ELSEWHERE	(-2)	/* the thread is not on the CPU, or the CPU is closed */

#define RSEQ_OP_STR_(x)		#x
#define RSEQ_OP_STR(x)		RSEQ_OP_STR_(x)

/*
 * Keep the entry at label 10 of a table for debuggers as long as the code is kept: nothing else
 * refers to these tables.
 */
#ifndef RSEQ_OP_ASM_KEEP
# define RSEQ_OP_ASM_KEEP	".reloc ., BFD_RELOC_NONE, 10b\n\t"
# define RSEQ_OP_ARRAY		"\"aw?\""
#endif

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/*
 * RSEQ_OP_OFFSET is the offset of the calling thread's struct rseq from the thread pointer; not an
 * interface. glibc 2.35 and later reserve room for struct rseq in each thread, whether they
 * register it or not. They set __rseq_offset before any code of the program runs, so the compiler
 * may load it once and keep it. Other C libraries reserve no room: then struct rseq is a
 * thread-local variable of the library. Its offset is not const, although the library stores it
 * only once: a thread that was started before that must load the offset again.
 *
 */
#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
# if __GLIBC_PREREQ(2, 35)
/* A name of our own, since some programs declare __rseq_offset without const. */
#  define RSEQ_OP_OFFSET	rseq_op_libc_offset
extern const ptrdiff_t rseq_op_libc_offset
	__asm__ ("__rseq_offset");
# endif
#endif
#ifndef RSEQ_OP_OFFSET
# define RSEQ_OP_OFFSET		rseq_op_offset
# define RSEQ_OP_OWN_AREA
extern ptrdiff_t rseq_op_offset;
#endif

/* The offset of the word with the concurrency ID; not an interface. */
extern ptrdiff_t rseq_op_cid_offset;

/* Stands between the steps of a sequence. Tests define it as instructions that take time. */
#ifndef RSEQ_OP_ASM_DELAY
# define RSEQ_OP_ASM_DELAY
#endif

#if defined(__x86_64__) && !defined(__ILP32__)
# include <rseq_op/detail/arch/x86-64.h>
#elif defined(__i386__)
# include <rseq_op/detail/arch/i386.h>
#elif defined(__aarch64__) && !defined(__ILP32__)
# include <rseq_op/detail/arch/aarch64.h>
#else
# error "rseq_op: no sequences for this architecture"
#endif

/* CPU numbers that the library can serve: 0 to RSEQ_OP_CPU_MAX - 1. */
#define RSEQ_OP_CPU_MAX		8192

/*
 * The tags of the CPUs and of the concurrency IDs; not an interface. While a CPU is open to
 * sequences, its tag equals the number of the CPU. Otherwise the tag has a value that no int can
 * equal. The library writes the tags, and sequences read them.
 *
 * A sequence reads the tag of the CPU whose number is in struct rseq. In a thread that is not
 * registered this number is -1 or -2, so these two have tags, too, which are never open.
 */
#define RSEQ_OP_TAGS_BEFORE	2
extern int64_t rseq_op_cpu_tag[RSEQ_OP_TAGS_BEFORE + RSEQ_OP_CPU_MAX];
extern int64_t rseq_op_cid_tag[RSEQ_OP_TAGS_BEFORE + RSEQ_OP_CPU_MAX];

static inline const int64_t *rseq_op_tags(void)
{
	return rseq_op_cpu_tag + RSEQ_OP_TAGS_BEFORE;
}

static inline const int64_t *rseq_op_cid_tags(void)
{
	return rseq_op_cid_tag + RSEQ_OP_TAGS_BEFORE;
}

/* The number that rseq_op_nr_cpus() returns, for inline code; not an interface. */
extern int rseq_op_cpus;

/*
 * Linux 6.19 and early 7.0 kernels store -1 into cpu_id_start when a thread unregisters its
 * struct rseq. An array must not be indexed by it. Not an interface.
 */
static inline int rseq_op_not_negative(int n)
{
	return n < 0 ? 0 : n;
}

/**
 * rseq_op_current_cpu() - the CPU that the calling thread runs on
 *
 * The number is a hint: the thread may have moved to another CPU before the caller uses the number.
 * An operation for that number is still correct; it only takes longer.
 *
 * Return: its number, 0 to rseq_op_nr_cpus() - 1. In a thread that is not registered with
 * rseq(2), as it may be until its first operation: 0, or the number of an earlier thread that used
 * the same stack memory. Never fails.
 */
static inline int rseq_op_current_cpu(void)
{
	return rseq_op_not_negative(rseq_op_area_int(RSEQ_OP_OFFSET));
}

/**
 * rseq_op_current_cid() - the concurrency ID that the calling thread has
 *
 * The threads of a process that run at the same moment have different IDs. The kernel keeps
 * the IDs small, so that data indexed by them stays small in a process that uses a few of
 * many CPUs. But an ID may exceed the number of threads of the process: newer kernels compact
 * IDs late. The only bound is rseq_op_nr_cpus(); size arrays by it. As with
 * rseq_op_current_cpu(), the ID is a hint. A kernel before 6.3 has no such IDs: then it is the
 * CPU's number.
 *
 * Return: 0 to rseq_op_nr_cpus() - 1; in a thread that is not registered, as
 * rseq_op_current_cpu(). Never fails.
 */
static inline int rseq_op_current_cid(void)
{
	return rseq_op_not_negative(rseq_op_area_int(rseq_op_cid_offset));
}

/**
 * rseq_op_nr_cpus() - how many entries an array indexed by CPU or concurrency ID needs
 *
 * Return: the highest number of a possible CPU + 1; it does not change while the
 * system is up. (/sys/devices/system/cpu/possible)
 */
int rseq_op_nr_cpus(void);

/**
 * rseq_op_cpu_possible() - is there, or may there be, such a CPU?
 * @cpu:	Any number.
 *
 * Return: 1 or 0; it does not change while the system is up.
 */
int rseq_op_cpu_possible(int cpu);

/*
 * rseq_op_slow() goes on with a typed operation whose sequence was aborted, or found the thread on
 * another CPU or the CPU closed; not an interface.
 *
 * @first:	The first argument of the operation.
 * @second:	The second argument of the operation.
 * @index:	The CPU, or the concurrency ID with RSEQ_OP_DO_BY_CID.
 * @what:	The operation, RSEQ_OP_DO_..., with the flags of its variant.
 * ...		The other arguments of the operation, without @cpu, in the order of its declaration,
 *		each as an intptr_t.
 *
 * Return: the result of the operation.
 */
enum rseq_op_do {
	RSEQ_OP_DO_STOREV,
	RSEQ_OP_DO_XCHGV,
	RSEQ_OP_DO_ADDV,
	RSEQ_OP_DO_ORV,
	RSEQ_OP_DO_ANDV,
	RSEQ_OP_DO_XORV,
	RSEQ_OP_DO_FETCH_ADDV,
	RSEQ_OP_DO_CMPEQV_STOREV,
	RSEQ_OP_DO_CMPEQV_CMPEQV_STOREV,
	RSEQ_OP_DO_CMPEQV_STOREV_STOREV,
	RSEQ_OP_DO_CMPEQV_MEMCPY_STOREV,
	RSEQ_OP_DO_CMPNEV_STOREOFFP_LOAD,
	RSEQ_OP_DO_OFFSET_DEREF_ADDV,
	RSEQ_OP_NR_DO,

	RSEQ_OP_DO_WORD_32 = 0x100,	/* words are of type int32_t, not intptr_t */
	RSEQ_OP_DO_RELEASE = 0x200,	/* the last store is a release */
	RSEQ_OP_DO_BY_CID = 0x400,	/* the data are those of a concurrency ID */
	RSEQ_OP_DO_ABORTED = 0x800,	/* the sequence was aborted; otherwise RSEQ_OP_ELSEWHERE */
};
int rseq_op_slow(void *first, intptr_t second, int index, unsigned int what, ...);

/*
 * The typed operations. typed.h declares them for words of type intptr_t and for the data of a CPU.
 * Suffixes give the other forms of each operation:
 *
 *	rseq_op_addv32()	Words are of type int32_t. The two operations that follow pointers,
 *				cmpnev_storeoffp_load and offset_deref_addv, do not have this form.
 *	rseq_op_addv_release()	The last store is a release. It pairs with an acquire load of the
 *				same word: a thread that loads the stored value by an acquire load
 *				sees everything that the caller stored before the operation.
 *	rseq_op_addv_cid()	The data are indexed by concurrency ID, and @cpu is such an ID: see
 *				rseq_op_current_cid(). Do not use this form for memory that processes
 *				share, because each process has its own IDs.
 *
 * Suffixes are combined in this order: rseq_op_addv32_release_cid().
 */
#define RSEQ_OP_TEMPLATE	<rseq_op/typed.h>
#include <rseq_op/detail/variants.h>

/* A flag of rseq_op(): fail with -EAGAIN instead of taking the backend. */
#define RSEQ_OP_TRY		(1U << 16)

/**
 * rseq_op() - run any vector of operations
 * @ops:	The vector: see cpu_op.h and cpu_opv(2). Its operands are data of @cpu, or memory that
 *		no other thread changes during the call.
 * @nr_ops:	The number of operations in the vector, 0 to CPU_OP_VEC_LEN_MAX. An empty vector is a
 *		fence: when the call returns 0, each sequence of this process that began on @cpu before
 *		the call has committed or will abort.
 * @cpu:	Any possible CPU.
 * @flags:	0 or RSEQ_OP_TRY.
 *
 * A vector can run as a sequence if its last operation copies, stores, adds to, ors, ands or xors a
 * word, and each operation before it compares two words, or a word and a number. All words must be
 * aligned, and all of the width of a pointer or all of 4 bytes. No operand may have expect_fault.
 * Every other vector needs the backend, for example one with a shift or a memory barrier.
 *
 * If the result is negative, no byte has changed. If a comparison does not hold, the operations
 * before it have taken effect. So put comparisons first.
 *
 * Return: 0; i if the i-th operation is a comparison that did not hold, where all operations are
 *	counted from 1; or -errno as above, and
 *	-EINVAL	the vector is invalid, as cpu_opv(2) says; or @flags has an unknown flag
 *	-EAGAIN	an operand with expect_fault is not accessible; or, with RSEQ_OP_TRY, no attempt ended
 *		the operation: the vector cannot run as a sequence, the thread is on another CPU, the
 *		CPU stayed closed, or attempts were aborted. The caller may try again with the data of
 *		the current CPU, but must limit the number of tries
 * -EFAULT is also returned if @ops is NULL and @nr_ops is not 0. If @ops cannot be read, the call
 * gets a SIGSEGV, or returns -EFAULT if RSEQ_OP_FORCE_FALLBACK is 1. If another thread unmaps an
 * operand during the call, the emulation may get a SIGSEGV; cpu_opv(2) never does.
 */
int rseq_op(const struct cpu_op *ops, unsigned int nr_ops, int cpu, unsigned int flags);

/**
 * rseq_op_fence() - wait for the sequences of a CPU
 * @cpu:	Any possible CPU.
 *
 * When it returns 0, every sequence of this process that began on @cpu before the call has
 * committed or will abort, and every vector for @cpu that was under way has ended. The fence does
 * not wait for operations of other processes on shared memory.
 *
 * Ordering: if the fence returns 0, each operation of this process for @cpu is either before or
 * after the fence. The caller sees, after the call, what an operation before the fence stored. An
 * operation after the fence sees what the caller stored before the call. The same holds for a
 * thread that synchronizes with the caller by a release store and an acquire load: a thread whose
 * stores the caller has acquired before the call, and a thread that acquires what the caller
 * releases after the call.
 *
 * The fence is no memory barrier for the code of other threads outside of operations. It is no
 * grace period as RCU has it, either: it does not wait for a thread that has loaded a pointer in an
 * operation and uses the pointer afterwards. Loads that follow an operation may take effect before
 * the store of the operation is visible to other threads. So RCU readers that count themselves in
 * by an operation need a full barrier after it, or the updater needs membarrier(2).
 *
 * Return: 0, or -errno as rseq_op().
 */
int rseq_op_fence(int cpu);

/**
 * rseq_op_fence_all() - wait for the sequences of all CPUs
 *
 * As rseq_op_fence() for each CPU, with the same ordering, at the price of one membarrier(2)
 * where that is available. It also covers data indexed by concurrency ID.
 *
 * Return: 0, or -errno as rseq_op().
 */
int rseq_op_fence_all(void);

/* How the library runs operations that cannot run as a sequence. */
enum rseq_op_backend {
	RSEQ_OP_BACKEND_NONE,		/* it does not: -ENOSYS */
	RSEQ_OP_BACKEND_KERNEL,		/* by cpu_opv(2) */
	RSEQ_OP_BACKEND_MEMBARRIER,	/* emulation: close the CPU, membarrier(2), run, open the CPU */
	RSEQ_OP_BACKEND_AFFINITY,	/* the same, with a thread on the CPU in place of membarrier(2) */
	RSEQ_OP_BACKEND_GUARD,		/* emulation without a fence, so the process has no sequences */
};

/**
 * rseq_op_backend() - say which backend this process uses, and why
 * @why:	If not NULL, *why is set to a sentence in English, a constant.
 *
 * The library chooses the backend once, in this call or in the first operation that needs a
 * backend. A seccomp filter that the process installs later must allow the system calls of the
 * backend. The environment variable RSEQ_OP_BACKEND ("kernel", "membarrier", "affinity" or "guard")
 * overrides the choice.
 *
 * Return: the backend.
 */
enum rseq_op_backend rseq_op_backend(const char **why);

/**
 * rseq_op_backend_name() - name a backend as RSEQ_OP_BACKEND does
 * @backend:	Any number.
 *
 * Return: a constant string. RSEQ_OP_BACKEND_NONE and numbers that do not name a backend give "none".
 */
const char *rseq_op_backend_name(enum rseq_op_backend backend);

/**
 * struct rseq_op_stats - how many operations needed the backend or a lease, since the start
 *
 * Each such operation is counted once, by the reason:
 * @aborted:		RSEQ_OP_MAX_ABORTS attempts of the operation were aborted
 * @remote:		the operation is for a CPU other than the current one
 * @closed:		the backend ran another operation for the CPU, and did not end soon; or the
 *			process has no sequences (RSEQ_OP_BACKEND_GUARD)
 * @unregistered:	the thread is not registered with rseq(2), and cannot be
 * @forced:		RSEQ_OP_FORCE_FALLBACK asked for the backend
 * @vector:		rseq_op(): the vector cannot run as a sequence
 *
 * This counter is not about operations:
 * @aborts:		attempts that were aborted
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
 * @stats:	Where to store the counters. If it is NULL, nothing is stored.
 * @size:	sizeof(*stats). A library that knows fewer counters stores 0 to the others. A library
 *		that knows more counters stores only those that @stats has room for.
 */
void rseq_op_stats(struct rseq_op_stats *stats, size_t size);

/* Keep the shared object that contains an address from being unloaded; not an interface. */
void rseq_op_keep_loaded(const void *object);
#include <rseq_op/detail/keep.h>

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* RSEQ_OP_H */

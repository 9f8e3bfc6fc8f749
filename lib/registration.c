// SPDX-License-Identifier: MIT
/*
 * The struct rseq of each thread, and its registration with the kernel.
 *
 * libc registers each thread (glibc 2.35 and later, unless the program is run with
 * GLIBC_TUNABLES=glibc.pthread.rseq=0), or the library does at the first operation of the thread.
 * glibc reserves the memory in both cases. For other C libraries the library has a thread-local
 * variable. It lies in the static TLS block, since sequences find struct rseq at one offset from the
 * thread pointer, and there dlopen() has only a few dozen bytes left, aligned to at most 32 bytes
 * in some releases of glibc.
 *
 * So the library registers the original 32 bytes, whatever the kernel offers. Every kernel accepts
 * them, some environments (rr, gVisor) accept nothing else, and the fields that the library reads
 * lie within. The library never unregisters them: the memory outlives the last instruction of its
 * thread in user space, and the library is linked so that it is not unloaded.
 */
#include <errno.h>
#include <linux/rseq.h>
#include <sys/auxv.h>

#include "internal.h"

#ifndef AT_RSEQ_FEATURE_SIZE
# define AT_RSEQ_FEATURE_SIZE	27
#endif

/* Features up to here include the concurrency ID. */
#define CID_END		28

/* The original size, and its alignment (Linux 4.18). */
#define AREA_SIZE	32

struct area {
	_Alignas(AREA_SIZE) uint32_t cpu_id_start;
	int32_t cpu_id;
	uint64_t rseq_cs;
	uint32_t flags;
	uint32_t node_id;
	int32_t mm_cid;		/* since Linux 6.3 */
};

_Static_assert(sizeof(struct area) == AREA_SIZE, "what is registered");
_Static_assert(offsetof(struct rseq, cpu_id) == 4 && offsetof(struct rseq, rseq_cs) == 8,
	       "the layout that the sequences and struct area rely on");

ptrdiff_t rseq_op_cid_offset;

#ifdef RSEQ_OP_OWN_AREA
static __thread struct area own __attribute__((tls_model("initial-exec"))) = {
	.cpu_id = RSEQ_CPU_ID_UNINITIALIZED,
};

ptrdiff_t rseq_op_offset;

/* The library may have been built with an older glibc than it runs with. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

static bool libc_registers(void)
{
	return &__rseq_size && __rseq_size;
}

static void find_area(void)
{
	rseq_op_offset = libc_registers() ? __rseq_offset :
		(char *)&own - rseq_op_thread_pointer();
}
#else
extern const unsigned int __rseq_size;

static bool libc_registers(void)
{
	return __rseq_size;
}

static void find_area(void)
{
}
#endif

/* 0 where the kernel does not say. getauxval() sets errno then. */
static unsigned long feature_size(void)
{
	int saved = errno;
	unsigned long size = getauxval(AT_RSEQ_FEATURE_SIZE);

	errno = saved;
	return size;
}

void registration_init(void)
{
	unsigned long size = feature_size();

	find_area();
	/*
	 * A kernel that has no IDs leaves the word alone: a CPU's number will do as well, the one
	 * that is 0, as an ID would be, in a thread that is not registered.
	 */
	rseq_op_cid_offset = RSEQ_OP_OFFSET + (ptrdiff_t)(size >= CID_END ?
		offsetof(struct area, mm_cid) : offsetof(struct area, cpu_id_start));
}

/* The CPU that the calling thread runs on, < 0 where it is not registered. */
int thread_cpu(void)
{
	return rseq_op_area_int(RSEQ_OP_OFFSET + (ptrdiff_t)offsetof(struct area, cpu_id));
}

int thread_index(enum by by)
{
	if (by == BY_CPU || thread_cpu() < 0)
		return thread_cpu();
	return rseq_op_area_int(rseq_op_cid_offset);
}

/* What rseq(2) answers: EINVAL where it works, as it has no arguments here. */
static int ask_rseq(void)
{
	static _Atomic int answer = 1;	/* not asked */
	int ret = atomic_load_explicit(&answer, memory_order_relaxed);

	if (ret > 0) {
		ret = (int)probe(SYS_rseq, 0, 0, 0, 0);
		atomic_store_explicit(&answer, ret, memory_order_relaxed);
	}
	return ret;
}

bool rseq_works(void)
{
	return ask_rseq() == -EINVAL;
}

bool rseq_missing(void)
{
	return !libc_registers() && ask_rseq() == -ENOSYS;
}

/*
 * Register the calling thread, if that has not been done and can be done. Where
 * somebody else has registered an area of his own the kernel refuses ours.
 */
bool thread_register(void)
{
	static __thread bool tried __attribute__((tls_model("initial-exec")));
	long area = (long)(rseq_op_thread_pointer() + RSEQ_OP_OFFSET);

	if (libc_registers() || tried)
		return false;
	tried = true;
	DELAY_POINT();
	return rseq_works() &&
	       !raw_syscall(SYS_rseq, area, AREA_SIZE, 0, RSEQ_OP_SIG, 0, 0);
}

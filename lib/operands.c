// SPDX-License-Identifier: MIT
/*
 * Operands that are about to be accessed with a CPU closed and all signals blocked: they are
 * brought in before, and what cannot be accessed is found then.
 *
 * Only the kernel says so with an error, and to ask it takes as long as the fence. But data
 * of an operation that can be a sequence stays mapped, by contract. So of its pages those are
 * remembered that the kernel has found accessible, and the next operation accesses them right
 * away. Where that is a SIGSEGV or SIGBUS after all, because the page has gone, or other data
 * has come to its address, it is one like that of the sequence: nobody has to wait yet.
 */
#include <errno.h>
#include <linux/futex.h>

#include "internal.h"

/* A page has at least so many bytes, and an operand at most. */
#define PAGE		4096

_Static_assert(CPU_OP_DATA_LEN_MAX <= PAGE && CPU_OP_VEC_LEN_MAX * sizeof(struct cpu_op) <= PAGE,
	       "what begins in one page ends in that or the next");

/* A value that no word is likely to have. */
#define UNLIKELY	(-2048)

/*
 * Can the byte be accessed? The kernel reports EFAULT where an access would be a SIGSEGV. The
 * calls change nothing, whatever other threads store to the word:
 *
 *	write	futex: or 0 to the word; wake nobody, unless a thread waits for that value
 *	read	rt_sigprocmask: read a set of signals for a change that the kernel does not know
 *	or	futex: compare the word with a value; where they are equal wake nobody, and move
 *		nobody to another futex
 *
 * Returns 0, -EFAULT, or the error with which a seccomp filter refuses the call.
 *
 * The first call for reading takes as long as a system call that does nothing, the second three
 * times as long. valgrind prints a message at each call of the first.
 */
static int ask(uintptr_t addr, enum access access)
{
	uint32_t nobody = 0;
	uintptr_t word;
	long ret;

	if (access == ACCESS_READ && !rseq_missing()) {
		word = (addr & ~(uintptr_t)15) | 8;	/* never NULL, which is no set of signals */
		ret = raw_syscall(SYS_rt_sigprocmask, -1, (long)word, 0, sizeof(uint64_t), 0, 0);
		return ret == -EINVAL ? 0 : (int)ret;
	}
	word = addr & ~(uintptr_t)3;
	if (access == ACCESS_READ)
		ret = raw_syscall(SYS_futex, (long)word, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG,
				  0, 0, (long)&nobody, UNLIKELY);
	else
		ret = raw_syscall(SYS_futex, (long)&nobody, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG,
				  0, 0, (long)word,
				  FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, UNLIKELY));
	return ret >= 0 || ret == -EAGAIN ? 0 : (int)ret;
}

/*
 * Change nothing, in a way that compilers cannot leave out. Others may store to the word
 * meanwhile, or read it: that is no data race.
 */
__attribute__((no_sanitize("thread")))
static void touch(uintptr_t addr, enum access access)
{
	volatile unsigned char nothing = 0;

	if (access == ACCESS_READ)
		(void)*(volatile unsigned char *)addr;
	else
		atomic_fetch_or_explicit((volatile _Atomic unsigned char *)addr, nothing,
					 memory_order_relaxed);
}

/*
 * The page, plus what it is good for. A page forgotten, or one of two threads' entries lost,
 * costs a question. The hash is the golden ratio's: the data of CPUs lies at powers of two.
 */
#define KNOWN_BITS	9
#define GOOD_FOR(access)	((access) + 1)	/* ACCESS_WRITE: for both */

static _Atomic uintptr_t known[1 << KNOWN_BITS];

static _Atomic uintptr_t *entry_of(uintptr_t page)
{
	return &known[(uint32_t)(page / PAGE) * UINT32_C(0x9e3779b1) >> (32 - KNOWN_BITS)];
}

static int find(uintptr_t addr, enum access access)
{
	uintptr_t page = addr & ~(uintptr_t)(PAGE - 1);
	_Atomic uintptr_t *entry = entry_of(page);
	uintptr_t good_for = atomic_load_explicit(entry, memory_order_relaxed) - page;
	int ret;

	if (good_for >= GOOD_FOR(access) && good_for <= GOOD_FOR(ACCESS_WRITE))
		return 0;
	ret = ask(addr, access);
	if (!ret)
		atomic_store_explicit(entry, page + GOOD_FOR(access), memory_order_relaxed);
	return ret;
}

static int find_and_touch(uintptr_t addr, enum access access)
{
	int ret = find(addr, access);

	if (!ret)
		touch(addr, access);
	return ret;
}

static int in_each_page(uint64_t addr, uint32_t len, enum access access,
			int (*bring_in)(uintptr_t, enum access))
{
	uintptr_t first = (uintptr_t)addr, last = first + len - 1;
	int ret;

	if (last < addr)
		return -EFAULT;
	ret = bring_in(first, access);
	return ret || first / PAGE == last / PAGE ? ret : bring_in(last, access);
}

int operand_ask(uint64_t addr, uint32_t len, enum access access, bool fault_expected)
{
	(void)fault_expected;
	return in_each_page(addr, len, access, ask);
}

int operand_find(uint64_t addr, uint32_t len)
{
	return in_each_page(addr, len, ACCESS_READ, find);
}

int operand_touch(uint64_t addr, uint32_t len, enum access access, bool fault_expected)
{
	return in_each_page(addr, len, access, fault_expected ? ask : find_and_touch);
}

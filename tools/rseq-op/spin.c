// SPDX-License-Identifier: MIT
/*
 * A critical section that goes round and round until it is aborted, or told to leave. It
 * is written with the primitives of the library's own sequences, so that what is shown for
 * it holds for them.
 */
#include <ucontext.h>

#include "rseq-op.h"

/* Its first instruction, the one after its last, and where an abort lands. */
extern const uintptr_t spin_addresses[3] __attribute__((visibility("hidden")));

#define ADDRESSES						\
	".pushsection .data\n\t"				\
	".balign 8\n\t"						\
	"spin_addresses: .dc.a 1b, 2b, 4f\n\t"			\
	".popsection\n\t"

/* struct spin: started 0, stop 4. */
#if defined(__aarch64__)
# define ROUND							\
	"mov	w9, #1\n\t"					\
	"str	w9, [%x[spin]]\n\t"				\
	"6:\n\t"						\
	"ldr	w9, [%x[spin], #4]\n\t"				\
	"cbnz	w9, %l[elsewhere]\n\t"				\
	"b	6b\n\t"						\
	"2:\n\t"
#else
# define ROUND							\
	"movl	$1, (%[spin])\n\t"				\
	"6:\n\t"						\
	"cmpl	$0, 4(%[spin])\n\t"				\
	"jne	%l[elsewhere]\n\t"				\
	"jmp	6b\n\t"						\
	"2:\n\t"
#endif

/* Never inlined: there is one copy, and its addresses. */
__attribute__((noinline))
bool spin_until_aborted(struct spin *spin)
{
	__asm__ goto (
		RSEQ_OP_ASM_ANNOUNCE
		ROUND
		ADDRESSES
		RSEQ_OP_ASM_END
		: /* no outputs */
		: [rseq] "r" (RSEQ_OP_OFFSET), [spin] "r" (spin)
		: RSEQ_OP_CLOBBERS
		: aborted, elsewhere);
	__builtin_unreachable();
aborted:
	return true;
elsewhere:
	return false;
}

static uintptr_t instruction(const ucontext_t *c)
{
#if defined(__x86_64__)
	return (uintptr_t)c->uc_mcontext.gregs[REG_RIP];
#elif defined(__i386__)
	return (uintptr_t)c->uc_mcontext.gregs[REG_EIP];
#else
	return c->uc_mcontext.pc;
#endif
}

enum spin_where spin_where(const void *ucontext)
{
	uintptr_t at = instruction(ucontext);

	if (at >= spin_addresses[0] && at < spin_addresses[1])
		return SPIN_INSIDE;
	return at == spin_addresses[2] ? SPIN_AT_ABORT : SPIN_OUTSIDE;
}

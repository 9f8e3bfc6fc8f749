/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_ARCH_X86_64_H
#define RSEQ_OP_ARCH_X86_64_H

/*
 * The primitives from which ops.h writes each sequence, for x86-64.
 *
 * A sequence is one asm goto statement:
 *
 *	RSEQ_OP_ASM_BEGIN	table entries, announce the sequence, compare the CPU
 *	RSEQ_OP_ASM_CMPEQ	leave, if ...
 *	RSEQ_OP_ASM_STORE	a store before the last
 *	RSEQ_OP_ASM_COMMIT_*	the last instruction, and the only one that commits
 *	RSEQ_OP_ASM_END		where an abort lands
 *
 * What goes to other sections joins the group of the function ("?"), if it has one:
 * a C++ function that the linker drops takes its entries along.
 *
 * Local labels: 1 is the first instruction of the critical section, 2 the one
 * after the commit, 3 its descriptor, 4 the abort handler. C labels: aborted,
 * elsewhere. Offsets in struct rseq, from <linux/rseq.h>: cpu_id_start 0,
 * cpu_id 4, rseq_cs 8.
 */

/* The word before an abort handler; the kernel compares it. As glibc's RSEQ_SIG. */
#define RSEQ_OP_SIG		0x53053053

/*
 * The descriptor, struct rseq_cs: version 0, flags 0, start, length, abort
 * handler. Its address also goes to __rseq_cs_ptr_array, for debuggers.
 */
#define RSEQ_OP_ASM_DESCRIPTOR						\
	".pushsection __rseq_cs, \"aw?\"\n\t"				\
	".balign 32\n\t"						\
	"3:\n\t"							\
	".long 0, 0\n\t"						\
	".quad 1f, 2f - 1f, 4f\n\t"					\
	".popsection\n\t"						\
	".pushsection __rseq_cs_ptr_array, \"aw?\"\n\t"			\
	".quad 3b\n\t"							\
	".popsection\n\t"

/* Every way out of the section but its end, for debuggers. */
#define RSEQ_OP_ASM_EXIT(label)						\
	".pushsection __rseq_exit_point_array, \"aw?\"\n\t"		\
	".quad 1f, %l[" #label "]\n\t"					\
	".popsection\n\t"

/*
 * The kernel looks at rseq_cs only when the instruction pointer lies between 1
 * and 2, so the store that announces the section stands before it. Inside, one
 * comparison asks whether this is the CPU and whether it is open; the index into
 * the tags is the kernel's, valid whatever the caller passed.
 */
#define RSEQ_OP_ASM_BEGIN						\
	RSEQ_OP_ASM_DESCRIPTOR						\
	RSEQ_OP_ASM_EXIT(elsewhere)					\
	"leaq	3b(%%rip), %%rax\n\t"					\
	"movq	%%rax, %%fs:8(%[rseq])\n\t"				\
	"1:\n\t"							\
	"movslq	%%fs:4(%[rseq]), %%rax\n\t"				\
	"cmpq	%[cpu], (%[tags],%%rax,8)\n\t"				\
	"jne	%l[elsewhere]\n\t"

#define RSEQ_OP_ASM_CMPEQ(mem, reg, label)				\
	"cmpq	%[" #reg "], %[" #mem "]\n\t"				\
	"jne	%l[" #label "]\n\t"

#define RSEQ_OP_ASM_STORE(mem, reg)					\
	"movq	%[" #reg "], %[" #mem "]\n\t"

#define RSEQ_OP_ASM_COMMIT_STORE(mem, reg)				\
	"movq	%[" #reg "], %[" #mem "]\n\t"				\
	"2:\n\t"

#define RSEQ_OP_ASM_COMMIT_ADD(mem, reg)				\
	"addq	%[" #reg "], %[" #mem "]\n\t"				\
	"2:\n\t"

/* The signature is the operand of an undefined instruction. */
#define RSEQ_OP_ASM_END							\
	".pushsection __rseq_failure, \"ax?\"\n\t"			\
	".byte	0x0f, 0xb9, 0x3d\n\t"					\
	".long	" RSEQ_OP_STR(RSEQ_OP_SIG) "\n\t"			\
	"4:\n\t"							\
	"jmp	%l[aborted]\n\t"					\
	".popsection\n\t"

/* Operands: what every sequence has, a word in memory, a word. */
#define RSEQ_OP_IN_SECTION(cpu_, tags_)	\
	[rseq] "r" (rseq_op_offset), [cpu] "r" ((int64_t)(cpu_)), [tags] "r" (tags_)
#define RSEQ_OP_IN_MEM(name, p)		[name] "m" (*(p))
#define RSEQ_OP_IN_WORD(name, value)	[name] "er" (value)
#define RSEQ_OP_CLOBBERS		"memory", "cc", "rax"

static inline char *rseq_op_thread_pointer(void)
{
	char *tp;

	__asm__ ("movq %%fs:0, %0" : "=r" (tp));
	return tp;
}

/* rseq->cpu_id_start, which is a valid index always. */
static inline int rseq_op_cpu_id_start(void)
{
	int cpu;

	__asm__ volatile ("movl %%fs:0(%1), %0" : "=r" (cpu) : "r" (rseq_op_offset));
	return cpu;
}

/* In a loop that waits for another thread. */
static inline void rseq_op_cpu_relax(void)
{
	__builtin_ia32_pause();
}

#endif /* RSEQ_OP_ARCH_X86_64_H */

/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_ARCH_I386_H
#define RSEQ_OP_ARCH_I386_H

/*
 * The primitives from which sequences.h writes each sequence, for 32-bit x86. What each is for
 * stands in x86-64.h.
 *
 * There are too few registers for the operands of an operation. They may lie on the
 * stack, and each primitive loads what it needs: eax and ecx are its own, edx in BEGIN,
 * and an operand in memory is its address. Words are 32 bits wide in either variant, and
 * a store is a release.
 *
 * Local labels as in x86-64.h, and 5 in ANNOUNCE.
 */
#define RSEQ_OP_SIG		0x53053053
#define RSEQ_OP_LOADS_PASS_LOADS 0

#define RSEQ_OP_INSN_ADD	"addl"
#define RSEQ_OP_INSN_OR		"orl"
#define RSEQ_OP_INSN_AND	"andl"
#define RSEQ_OP_INSN_XOR	"xorl"

/* struct rseq_cs has 64-bit members everywhere. */
#define RSEQ_OP_ASM_DESCRIPTOR						\
	".pushsection __rseq_cs, \"aw?\"\n\t"				\
	".balign 32\n\t"						\
	"3:\n\t"							\
	".long 0, 0\n\t"						\
	".long 1f, 0, 2f - 1f, 0, 4f, 0\n\t"				\
	".popsection\n\t"						\
	".pushsection __rseq_cs_ptr_array, " RSEQ_OP_ARRAY "\n\t"		\
	".balign 8\n\t"							\
	"10:\n\t"							\
	".long 3b, 0\n\t"						\
	".popsection\n\t"						\
	RSEQ_OP_ASM_KEEP

#define RSEQ_OP_ASM_EXIT(label)						\
	".pushsection __rseq_exit_point_array, " RSEQ_OP_ARRAY "\n\t"	\
	".balign 8\n\t"							\
	"10:\n\t"							\
	".long 1f, 0, %l[" #label "], 0\n\t"				\
	".popsection\n\t"						\
	RSEQ_OP_ASM_KEEP

/*
 * The address of the descriptor has to be found at run time in code that may lie
 * anywhere. A call of the next instruction is what processors know for that. The upper
 * half of rseq_cs is 0 always.
 */
#define RSEQ_OP_ASM_ANNOUNCE						\
	RSEQ_OP_ASM_DESCRIPTOR						\
	RSEQ_OP_ASM_EXIT(elsewhere)					\
	"movl	%[rseq], %%ecx\n\t"					\
	"call	5f\n\t"							\
	"5:\n\t"							\
	"popl	%%eax\n\t"						\
	"leal	3b - 5b(%%eax), %%eax\n\t"				\
	"movl	%%eax, %%gs:8(%%ecx)\n\t"				\
	"1:\n\t"

/*
 * guard.c, scenario A: (c). The upper half of an open tag is 0, and it is looked at first: a tag that
 * has been open once has the CPU's number in its lower half from then on.
 */
#define RSEQ_OP_ASM_CMPTAG						\
	RSEQ_OP_ASM_DELAY						\
	"movl	%[tags], %%edx\n\t"					\
	"movl	%[index], %%ecx\n\t"					\
	"cmpl	$0, 4(%%edx,%%eax,8)\n\t"				\
	"jne	%l[elsewhere]\n\t"					\
	"cmpl	%%ecx, (%%edx,%%eax,8)\n\t"				\
	"jne	%l[elsewhere]\n\t"

#define RSEQ_OP_ASM_BEGIN_CPU						\
	RSEQ_OP_ASM_ANNOUNCE						\
	"movl	%%gs:4(%%ecx), %%eax\n\t"				\
	RSEQ_OP_ASM_CMPTAG

#define RSEQ_OP_ASM_BEGIN_CID						\
	RSEQ_OP_ASM_ANNOUNCE						\
	"cmpl	$0, %%gs:4(%%ecx)\n\t"					\
	"jl	%l[elsewhere]\n\t"					\
	"movl	%[cid], %%eax\n\t"					\
	"movl	%%gs:(%%eax), %%eax\n\t"				\
	RSEQ_OP_ASM_CMPTAG

/*
 * guard.c, scenario F: (i). For the library, in a thread that is registered. It is the upper half
 * that makes a lease.
 */
#define RSEQ_OP_ASM_BEGIN_LEASE						\
	RSEQ_OP_ASM_ANNOUNCE						\
	RSEQ_OP_ASM_DELAY						\
	"movl	%[tag], %%edx\n\t"					\
	"movl	%[lease], %%ecx\n\t"					\
	"cmpl	%%ecx, 4(%%edx)\n\t"					\
	"jne	%l[elsewhere]\n\t"

/* eax: the word; ecx: where. */
#define RSEQ_OP_ASM_WORD(mem, reg)					\
	"movl	%[" #mem "], %%ecx\n\t"					\
	"movl	%[" #reg "], %%eax\n\t"

#define RSEQ_OP_ASM_CMPEQ(mem, reg, label)				\
	RSEQ_OP_ASM_DELAY						\
	RSEQ_OP_ASM_WORD(mem, reg)					\
	"cmpl	%%eax, (%%ecx)\n\t"					\
	"jne	%l[" #label "]\n\t"

#define RSEQ_OP_ASM_STORE(mem, reg)					\
	RSEQ_OP_ASM_DELAY						\
	RSEQ_OP_ASM_WORD(mem, reg)					\
	"movl	%%eax, (%%ecx)\n\t"

#define RSEQ_OP_ASM_FETCH(mem, to)					\
	RSEQ_OP_ASM_LOAD_POINTER(mem)					\
	RSEQ_OP_ASM_STORE_POINTER(to)

#define RSEQ_OP_ASM_COMMIT_STORE(mem, reg)				\
	RSEQ_OP_ASM_STORE(mem, reg)					\
	"2:\n\t"

#define RSEQ_OP_ASM_COMMIT_MODIFY(how, mem, reg)			\
	RSEQ_OP_ASM_DELAY						\
	RSEQ_OP_ASM_WORD(mem, reg)					\
	RSEQ_OP_INSN_##how " %%eax, (%%ecx)\n\t"			\
	"2:\n\t"

#define RSEQ_OP_ASM_LOAD_POINTER(mem)					\
	RSEQ_OP_ASM_DELAY						\
	"movl	%[" #mem "], %%ecx\n\t"					\
	"movl	(%%ecx), %%eax\n\t"

#define RSEQ_OP_ASM_CMPNE_POINTER(reg, label)				\
	"cmpl	%[" #reg "], %%eax\n\t"					\
	"je	%l[" #label "]\n\t"

#define RSEQ_OP_ASM_STORE_POINTER(to)					\
	RSEQ_OP_ASM_DELAY						\
	"movl	%[" #to "], %%ecx\n\t"					\
	"movl	%%eax, (%%ecx)\n\t"

#define RSEQ_OP_ASM_FOLLOW(offset)					\
	RSEQ_OP_ASM_DELAY						\
	"addl	%[" #offset "], %%eax\n\t"				\
	"movl	(%%eax), %%eax\n\t"

#define RSEQ_OP_ASM_COMMIT_FOLLOWED(offset, mem)			\
	RSEQ_OP_ASM_FOLLOW(offset)					\
	"movl	%[" #mem "], %%ecx\n\t"					\
	"movl	%%eax, (%%ecx)\n\t"					\
	"2:\n\t"

#define RSEQ_OP_ASM_COMMIT_ADD_POINTED(reg)				\
	RSEQ_OP_ASM_DELAY						\
	"movl	%[" #reg "], %%ecx\n\t"					\
	"addl	%%ecx, (%%eax)\n\t"					\
	"2:\n\t"

#define RSEQ_OP_ASM_COPY(dst, src, len)					\
	RSEQ_OP_ASM_DELAY						\
	"movl	%[" #dst "], %%eax\n\t"					\
	"movl	%[" #src "], %%edx\n\t"					\
	"movl	%[" #len "], %%ecx\n\t"					\
	"movl	%%eax, %%edi\n\t"					\
	"movl	%%edx, %%esi\n\t"					\
	"movl	%%ecx, %%eax\n\t"					\
	"shrl	$2, %%ecx\n\t"						\
	"rep movsl\n\t"							\
	"movl	%%eax, %%ecx\n\t"					\
	"andl	$3, %%ecx\n\t"						\
	"rep movsb\n\t"

#define RSEQ_OP_ASM_RUN_STEPS(program, label)				\
	"movl	%[" #program "], %%edx\n\t"				\
	"movl	32(%%edx), %%edx\n\t"					\
	"5:\n\t"							\
	RSEQ_OP_ASM_DELAY						\
	"movl	%[" #program "], %%ecx\n\t"				\
	"movl	%%edx, 28(%%ecx)\n\t"					\
	"cmpl	24(%%ecx), %%edx\n\t"					\
	"je	8f\n\t"							\
	"movl	(%%edx), %%esi\n\t"					\
	"addl	4(%%edx), %%esi\n\t"					\
	"movl	8(%%edx), %%edi\n\t"					\
	"movl	12(%%edx), %%ecx\n\t"					\
	"testl	%%ecx, %%ecx\n\t"					\
	"js	6f\n\t"							\
	"movl	(%%esi), %%eax\n\t"					\
	"cmpl	%%eax, (%%edi)\n\t"					\
	"sete	%%al\n\t"						\
	"movzbl	%%al, %%eax\n\t"					\
	"cmpl	%%eax, %%ecx\n\t"					\
	"jne	%l[" #label "]\n\t"					\
	"jmp	7f\n\t"							\
	"6:\n\t"							\
	"negl	%%ecx\n\t"						\
	"rep movsb\n\t"							\
	"7:\n\t"							\
	"addl	$16, %%edx\n\t"						\
	"jmp	5b\n\t"							\
	"8:\n\t"

#define RSEQ_OP_ASM_COMMIT_LAST(program)				\
	"movl	%[" #program "], %%ecx\n\t"				\
	"movl	(%%ecx), %%esi\n\t"					\
	"addl	4(%%ecx), %%esi\n\t"					\
	"movl	(%%esi), %%eax\n\t"					\
	"andl	8(%%ecx), %%eax\n\t"					\
	"xorl	12(%%ecx), %%eax\n\t"					\
	"addl	16(%%ecx), %%eax\n\t"					\
	"movl	20(%%ecx), %%esi\n\t"					\
	"movl	%%eax, (%%esi)\n\t"					\
	"2:\n\t"

#define RSEQ_OP_ASM_END							\
	".pushsection __rseq_failure, \"ax?\"\n\t"			\
	".byte	0x0f, 0xb9, 0x3d\n\t"					\
	".long	" RSEQ_OP_STR(RSEQ_OP_SIG) "\n\t"			\
	"4:\n\t"							\
	"jmp	%l[aborted]\n\t"					\
	".popsection\n\t"

/* No operand in memory behind a register: beside a copy, there are none left for a second. */
static inline ptrdiff_t rseq_op_loaded(ptrdiff_t value)
{
	__asm__ ("" : "+r" (value));
	return value;
}

#define RSEQ_OP_IN_CPU(cpu, tags_)					\
	[rseq] "rm" (RSEQ_OP_OFFSET), [index] "rmi" (cpu), [tags] "rmi" (tags_)
#define RSEQ_OP_IN_CID(cid_, tags_)					\
	RSEQ_OP_IN_CPU(cid_, tags_), [cid] "rm" (rseq_op_loaded(rseq_op_cid_offset))
#define RSEQ_OP_IN_LEASE(lease_, tag_)					\
	[rseq] "rm" (RSEQ_OP_OFFSET),					\
	[lease] "rm" (rseq_op_loaded((ptrdiff_t)((lease_) >> 32))), [tag] "rmi" (tag_)
#define RSEQ_OP_IN_MEM(name, p)		[name] "rmi" (p)
#define RSEQ_OP_IN_WORD(name, value)	[name] "rmi" (value)
#define RSEQ_OP_IN_EXPECT		RSEQ_OP_IN_WORD
#define RSEQ_OP_IN_ANY(name, value)	[name] "rmi" (value)
#define RSEQ_OP_CLOBBERS		"memory", "cc", "eax", "ecx", "edx"
#define RSEQ_OP_CLOBBERS_COPY		RSEQ_OP_CLOBBERS, "esi", "edi"
#define RSEQ_OP_CLOBBERS_STEPS		RSEQ_OP_CLOBBERS_COPY

static inline char *rseq_op_thread_pointer(void)
{
	char *tp;

	__asm__ ("movl %%gs:0, %0" : "=r" (tp));
	return tp;
}

/* A word of struct rseq. */
static inline int rseq_op_area_int(ptrdiff_t offset)
{
	int value;

	__asm__ volatile ("movl %%gs:(%1), %0" : "=r" (value) : "r" (offset));
	return value;
}

/* In a loop that waits for another thread. */
static inline void rseq_op_cpu_relax(void)
{
	__builtin_ia32_pause();
}

#endif /* RSEQ_OP_ARCH_I386_H */

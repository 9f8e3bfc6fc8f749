/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_ARCH_X86_64_H
#define RSEQ_OP_ARCH_X86_64_H

/*
 * The primitives from which sequences.h writes each sequence, for x86-64.
 *
 * A sequence is one asm goto statement:
 *
 *	RSEQ_OP_ASM_BEGIN	table entries, announce the sequence, compare the index
 *	RSEQ_OP_ASM_CMPEQ	leave, if ...
 *	RSEQ_OP_ASM_STORE	a store before the last; COPY, LOAD and FETCH too
 *	RSEQ_OP_ASM_COMMIT_*	the last instruction, and the only one that commits
 *	RSEQ_OP_ASM_END		where an abort lands
 *
 * The tables of addresses are aligned, so that the linker can pack their relocations
 * (-z pack-relative-relocs).
 *
 * What goes to other sections joins the group of the function ("?"), if it has one:
 * a C++ function that the linker drops takes its entries along.
 *
 * Local labels: 1 is the first instruction of the critical section, 2 the one
 * after the commit, 3 its descriptor, 4 the abort handler, 5 to 9 in COPY. C labels:
 * aborted, elsewhere. Offsets in struct rseq, from <linux/rseq.h>: cpu_id_start 0,
 * cpu_id 4, rseq_cs 8.
 *
 * Each waits first, where tests want that: RSEQ_OP_ASM_DELAY changes no register and no flag.
 *
 * RSEQ_OP_BITS is the width of the words, 64 or 32. A store of this processor is a
 * release, so that RSEQ_OP_RELEASE makes no difference here.
 */
#define RSEQ_OP_INSN(name)	RSEQ_OP_INSN_(name, RSEQ_OP_BITS)
#define RSEQ_OP_INSN_(name, bits) RSEQ_OP_INSN__(name, bits)
#define RSEQ_OP_INSN__(name, bits) name RSEQ_OP_SUFFIX_##bits " "
#define RSEQ_OP_SUFFIX_64	"q"
#define RSEQ_OP_SUFFIX_32	"l"

#define RSEQ_OP_INSN_ADD	"add"
#define RSEQ_OP_INSN_OR		"or"
#define RSEQ_OP_INSN_AND	"and"
#define RSEQ_OP_INSN_XOR	"xor"

/* rax, in the width of the words. */
#define RSEQ_OP_SCRATCH		RSEQ_OP_SCRATCH_(RSEQ_OP_BITS)
#define RSEQ_OP_SCRATCH_(bits)	RSEQ_OP_SCRATCH__(bits)
#define RSEQ_OP_SCRATCH__(bits)	RSEQ_OP_SCRATCH_##bits
#define RSEQ_OP_SCRATCH_64	"%%rax"
#define RSEQ_OP_SCRATCH_32	"%%eax"

/* The word before an abort handler; the kernel compares it. As glibc's RSEQ_SIG. */
#define RSEQ_OP_SIG		0x53053053

/* This processor does not let a load pass an earlier one: see guard.c, scenario A. */
#define RSEQ_OP_LOADS_PASS_LOADS 0

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
	".balign 8\n\t"							\
	"10:\n\t"							\
	".quad 3b\n\t"							\
	".popsection\n\t"						\
	RSEQ_OP_ASM_KEEP

/* Every way out of the section but its end, for debuggers. */
#define RSEQ_OP_ASM_EXIT(label)						\
	".pushsection __rseq_exit_point_array, \"aw?\"\n\t"		\
	".balign 8\n\t"							\
	"10:\n\t"							\
	".quad 1f, %l[" #label "]\n\t"					\
	".popsection\n\t"						\
	RSEQ_OP_ASM_KEEP

/*
 * The kernel looks at rseq_cs only when the instruction pointer lies between 1
 * and 2, so the store that announces the section stands before it. Inside, one
 * comparison asks whether this is the CPU and whether it is open; the index into
 * the tags is the kernel's, valid whatever the caller passed.
 */
#define RSEQ_OP_ASM_ANNOUNCE						\
	RSEQ_OP_ASM_DESCRIPTOR						\
	RSEQ_OP_ASM_EXIT(elsewhere)					\
	"leaq	3b(%%rip), %%rax\n\t"					\
	"movq	%%rax, %%fs:8(%[rseq])\n\t"				\
	"1:\n\t"

/* guard.c, scenario A: (c). */
#define RSEQ_OP_ASM_CMPTAG						\
	RSEQ_OP_ASM_DELAY						\
	"cmpq	%[index], (%[tags],%%rax,8)\n\t"			\
	"jne	%l[elsewhere]\n\t"

#define RSEQ_OP_ASM_BEGIN_CPU						\
	RSEQ_OP_ASM_ANNOUNCE						\
	"movslq	%%fs:4(%[rseq]), %%rax\n\t"				\
	RSEQ_OP_ASM_CMPTAG

/* Where a thread is not registered, its concurrency ID says nothing. */
#define RSEQ_OP_ASM_BEGIN_CID						\
	RSEQ_OP_ASM_ANNOUNCE						\
	"cmpl	$0, %%fs:4(%[rseq])\n\t"				\
	"jl	%l[elsewhere]\n\t"					\
	"movslq	%%fs:(%[cid]), %%rax\n\t"				\
	RSEQ_OP_ASM_CMPTAG

/* guard.c, scenario F: (i). For the library, in a thread that is registered. */
#define RSEQ_OP_ASM_BEGIN_LEASE						\
	RSEQ_OP_ASM_ANNOUNCE						\
	RSEQ_OP_ASM_DELAY						\
	"cmpq	%[lease], (%[tag])\n\t"					\
	"jne	%l[elsewhere]\n\t"

/* Leave unless mem is reg. */
#define RSEQ_OP_ASM_CMPEQ(mem, reg, label)				\
	RSEQ_OP_ASM_DELAY						\
	RSEQ_OP_INSN("cmp") "%[" #reg "], %[" #mem "]\n\t"		\
	"jne	%l[" #label "]\n\t"

#define RSEQ_OP_ASM_STORE(mem, reg)					\
	RSEQ_OP_ASM_DELAY						\
	RSEQ_OP_INSN("mov") "%[" #reg "], %[" #mem "]\n\t"

/* Store the word in mem to another place. */
#define RSEQ_OP_ASM_FETCH(mem, to)					\
	RSEQ_OP_ASM_DELAY						\
	RSEQ_OP_INSN("mov") "%[" #mem "], " RSEQ_OP_SCRATCH "\n\t"	\
	RSEQ_OP_INSN("mov") RSEQ_OP_SCRATCH ", %[" #to "]\n\t"

#define RSEQ_OP_ASM_COMMIT_STORE(mem, reg)				\
	RSEQ_OP_ASM_STORE(mem, reg)					\
	"2:\n\t"

/* how: ADD, OR, AND, XOR */
#define RSEQ_OP_ASM_COMMIT_MODIFY(how, mem, reg)			\
	RSEQ_OP_ASM_DELAY						\
	RSEQ_OP_INSN(RSEQ_OP_INSN_##how) "%[" #reg "], %[" #mem "]\n\t"		\
	"2:\n\t"

/*
 * Pointers are followed within the section: load p from mem; leave if it is reg; store it to
 * another place; load the next from an offset behind it, and commit that; or commit an
 * addition to what p points to.
 */
#define RSEQ_OP_ASM_LOAD_POINTER(mem)					\
	RSEQ_OP_ASM_DELAY						\
	"movq	%[" #mem "], %%rax\n\t"

#define RSEQ_OP_ASM_CMPNE_POINTER(reg, label)				\
	"cmpq	%[" #reg "], %%rax\n\t"					\
	"je	%l[" #label "]\n\t"

#define RSEQ_OP_ASM_STORE_POINTER(to)					\
	RSEQ_OP_ASM_DELAY						\
	"movq	%%rax, %[" #to "]\n\t"

#define RSEQ_OP_ASM_FOLLOW(offset)					\
	RSEQ_OP_ASM_DELAY						\
	"addq	%[" #offset "], %%rax\n\t"				\
	"movq	(%%rax), %%rax\n\t"

#define RSEQ_OP_ASM_COMMIT_FOLLOWED(offset, mem)			\
	RSEQ_OP_ASM_FOLLOW(offset)					\
	"movq	%%rax, %[" #mem "]\n\t"				\
	"2:\n\t"

#define RSEQ_OP_ASM_COMMIT_ADD_POINTED(reg)				\
	RSEQ_OP_ASM_DELAY						\
	"addq	%[" #reg "], (%%rax)\n\t"				\
	"2:\n\t"

/*
 * Copy len bytes from src to dst, which do not overlap: by words up to a length where
 * "rep movsb", slow to start, is as fast.
 */
#define RSEQ_OP_ASM_COPY(dst, src, len)					\
	RSEQ_OP_ASM_DELAY						\
	"movq	%[" #dst "], %%rdi\n\t"					\
	"movq	%[" #src "], %%rsi\n\t"					\
	"movq	%[" #len "], %%rcx\n\t"					\
	"cmpq	$128, %%rcx\n\t"					\
	"jae	8f\n\t"							\
	"subq	$8, %%rcx\n\t"						\
	"jb	6f\n\t"							\
	"5:\n\t"							\
	"movq	(%%rsi), %%rax\n\t"					\
	"movq	%%rax, (%%rdi)\n\t"					\
	"addq	$8, %%rsi\n\t"						\
	"addq	$8, %%rdi\n\t"						\
	"subq	$8, %%rcx\n\t"						\
	"jae	5b\n\t"							\
	"6:\n\t"							\
	"addq	$8, %%rcx\n\t"						\
	"jz	9f\n\t"							\
	"7:\n\t"							\
	"movb	(%%rsi), %%al\n\t"					\
	"movb	%%al, (%%rdi)\n\t"					\
	"incq	%%rsi\n\t"						\
	"incq	%%rdi\n\t"						\
	"decq	%%rcx\n\t"						\
	"jnz	7b\n\t"							\
	"jmp	9f\n\t"							\
	"8:\n\t"							\
	"rep movsb\n\t"							\
	"9:\n\t"

/*
 * A program, which the library makes of an operation: struct program of program.h, with its last
 * step first, and then end, at and begin. RUN_STEPS stores to at how far it got.
 */
#define RSEQ_OP_ASM_RUN_STEPS(program, label)				\
	"movq	%[" #program "], %%r8\n\t"				\
	"movq	64(%%r8), %%r9\n\t"					\
	"5:\n\t"							\
	RSEQ_OP_ASM_DELAY						\
	"movq	%%r9, 56(%%r8)\n\t"					\
	"cmpq	48(%%r8), %%r9\n\t"					\
	"je	8f\n\t"							\
	"movq	(%%r9), %%rsi\n\t"					\
	"addq	8(%%r9), %%rsi\n\t"					\
	"movq	16(%%r9), %%rdi\n\t"					\
	"movq	24(%%r9), %%rcx\n\t"					\
	"testq	%%rcx, %%rcx\n\t"					\
	"js	6f\n\t"							\
	RSEQ_OP_INSN("mov") "(%%rsi), " RSEQ_OP_SCRATCH "\n\t"		\
	RSEQ_OP_INSN("cmp") RSEQ_OP_SCRATCH ", (%%rdi)\n\t"		\
	"sete	%%al\n\t"						\
	"movzbl	%%al, %%eax\n\t"					\
	"cmpq	%%rax, %%rcx\n\t"					\
	"jne	%l[" #label "]\n\t"					\
	"jmp	7f\n\t"							\
	"6:\n\t"							\
	"negq	%%rcx\n\t"						\
	"rep movsb\n\t"							\
	"7:\n\t"							\
	"addq	$32, %%r9\n\t"						\
	"jmp	5b\n\t"							\
	"8:\n\t"

#define RSEQ_OP_ASM_COMMIT_LAST(program)				\
	"movq	%[" #program "], %%rcx\n\t"				\
	"movq	(%%rcx), %%rsi\n\t"					\
	"addq	8(%%rcx), %%rsi\n\t"					\
	RSEQ_OP_INSN("mov") "(%%rsi), " RSEQ_OP_SCRATCH "\n\t"		\
	RSEQ_OP_INSN("and") "16(%%rcx), " RSEQ_OP_SCRATCH "\n\t"	\
	RSEQ_OP_INSN("xor") "24(%%rcx), " RSEQ_OP_SCRATCH "\n\t"	\
	RSEQ_OP_INSN("add") "32(%%rcx), " RSEQ_OP_SCRATCH "\n\t"	\
	"movq	40(%%rcx), %%rsi\n\t"					\
	RSEQ_OP_INSN("mov") RSEQ_OP_SCRATCH ", (%%rsi)\n\t"		\
	"2:\n\t"

/* The signature is the operand of an undefined instruction. */
#define RSEQ_OP_ASM_END							\
	".pushsection __rseq_failure, \"ax?\"\n\t"			\
	".byte	0x0f, 0xb9, 0x3d\n\t"					\
	".long	" RSEQ_OP_STR(RSEQ_OP_SIG) "\n\t"			\
	"4:\n\t"							\
	"jmp	%l[aborted]\n\t"					\
	".popsection\n\t"

/*
 * Operands: what every sequence has; a word in memory; a word; one that memory is compared
 * with, in a register, as the processor makes one step of such a comparison and its jump; a
 * word used in a move.
 */
#define RSEQ_OP_IN_CPU(cpu, tags_)					\
	[rseq] "r" (RSEQ_OP_OFFSET), [index] "er" ((int64_t)(cpu)), [tags] "r" (tags_)
#define RSEQ_OP_IN_CID(cid_, tags_)					\
	RSEQ_OP_IN_CPU(cid_, tags_), [cid] "r" (rseq_op_cid_offset)
#define RSEQ_OP_IN_LEASE(lease_, tag_)					\
	[rseq] "r" (RSEQ_OP_OFFSET), [lease] "r" (lease_), [tag] "r" (tag_)
#define RSEQ_OP_IN_MEM(name, p)		[name] "m" (*(p))
#define RSEQ_OP_IN_WORD(name, value)	[name] "er" (value)
#define RSEQ_OP_IN_EXPECT(name, value)	[name] "r" (value)
#define RSEQ_OP_IN_ANY(name, value)	[name] "erm" (value)
#define RSEQ_OP_CLOBBERS		"memory", "cc", "rax"
#define RSEQ_OP_CLOBBERS_COPY		RSEQ_OP_CLOBBERS, "rcx", "rsi", "rdi"
#define RSEQ_OP_CLOBBERS_STEPS		RSEQ_OP_CLOBBERS_COPY, "r8", "r9"

static inline char *rseq_op_thread_pointer(void)
{
	char *tp;

	__asm__ ("movq %%fs:0, %0" : "=r" (tp));
	return tp;
}

/* A word of struct rseq. */
static inline int rseq_op_area_int(ptrdiff_t offset)
{
	int value;

	__asm__ volatile ("movl %%fs:(%1), %0" : "=r" (value) : "r" (offset));
	return value;
}

/* In a loop that waits for another thread. */
static inline void rseq_op_cpu_relax(void)
{
	__builtin_ia32_pause();
}

#endif /* RSEQ_OP_ARCH_X86_64_H */

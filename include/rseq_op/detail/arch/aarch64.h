/* SPDX-License-Identifier: MIT */
#ifndef RSEQ_OP_ARCH_AARCH64_H
#define RSEQ_OP_ARCH_AARCH64_H

/*
 * The primitives from which sequences.h writes each sequence, for aarch64. What each is for
 * stands in x86-64.h. Registers x9 to x11 are scratch, x12 and x13 in COPY too.
 */

#ifdef __AARCH64EB__
# error "rseq_op: big-endian aarch64 is not supported: its instructions are little-endian"
#endif

/* The operand of a break instruction that nobody else uses; as glibc's RSEQ_SIG. */
#define RSEQ_OP_SIG		0xd428bc00

/* See guard.c, scenario A. */
#define RSEQ_OP_LOADS_PASS_LOADS 1

/* A register in the width of the words: an operand, a scratch register. */
#define RSEQ_OP_R(name)		"%" RSEQ_OP_WIDTH "[" #name "]"
#define RSEQ_OP_SCRATCH(nr)	RSEQ_OP_WIDTH #nr
#define RSEQ_OP_WIDTH		RSEQ_OP_WIDTH_(RSEQ_OP_BITS)
#define RSEQ_OP_WIDTH_(bits)	RSEQ_OP_WIDTH__(bits)
#define RSEQ_OP_WIDTH__(bits)	RSEQ_OP_WIDTH_##bits
#define RSEQ_OP_WIDTH_64	"x"
#define RSEQ_OP_WIDTH_32	"w"

/* The last store. */
#define RSEQ_OP_INSN_STORE	RSEQ_OP_INSN_STORE_(RSEQ_OP_RELEASE)
#define RSEQ_OP_INSN_STORE_(release) RSEQ_OP_INSN_STORE__(release)
#define RSEQ_OP_INSN_STORE__(release) RSEQ_OP_INSN_STORE_##release
#define RSEQ_OP_INSN_STORE_0	"str	"
#define RSEQ_OP_INSN_STORE_1	"stlr	"

#define RSEQ_OP_INSN_ADD	"add	"
#define RSEQ_OP_INSN_OR		"orr	"
#define RSEQ_OP_INSN_AND	"and	"
#define RSEQ_OP_INSN_XOR	"eor	"

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

#define RSEQ_OP_ASM_EXIT(label)						\
	".pushsection __rseq_exit_point_array, \"aw?\"\n\t"		\
	".balign 8\n\t"							\
	"10:\n\t"							\
	".quad 1f, %l[" #label "]\n\t"					\
	".popsection\n\t"						\
	RSEQ_OP_ASM_KEEP

/* x10: the calling thread's struct rseq. */
#define RSEQ_OP_ASM_ANNOUNCE						\
	RSEQ_OP_ASM_DESCRIPTOR						\
	RSEQ_OP_ASM_EXIT(elsewhere)					\
	"mrs	x11, tpidr_el0\n\t"					\
	"add	x10, x11, %x[rseq]\n\t"					\
	"adrp	x9, 3b\n\t"						\
	"add	x9, x9, :lo12:3b\n\t"					\
	"str	x9, [x10, #8]\n\t"					\
	"1:\n\t"

/* guard.c, scenario A: (c). */
#define RSEQ_OP_ASM_CMPTAG						\
	RSEQ_OP_ASM_DELAY						\
	"ldr	x9, [%x[tags], x9, lsl #3]\n\t"				\
	"cmp	x9, %x[index]\n\t"					\
	"b.ne	%l[elsewhere]\n\t"

#define RSEQ_OP_ASM_BEGIN_CPU						\
	RSEQ_OP_ASM_ANNOUNCE						\
	"ldrsw	x9, [x10, #4]\n\t"					\
	RSEQ_OP_ASM_CMPTAG

#define RSEQ_OP_ASM_BEGIN_CID						\
	RSEQ_OP_ASM_ANNOUNCE						\
	"ldr	w9, [x10, #4]\n\t"					\
	"cmp	w9, #0\n\t"						\
	"b.lt	%l[elsewhere]\n\t"					\
	"ldrsw	x9, [x11, %x[cid]]\n\t"					\
	RSEQ_OP_ASM_CMPTAG

/* guard.c, scenario F: (i). For the library, in a thread that is registered. */
#define RSEQ_OP_ASM_BEGIN_LEASE						\
	RSEQ_OP_ASM_ANNOUNCE						\
	RSEQ_OP_ASM_DELAY						\
	"ldr	x9, [%x[tag]]\n\t"					\
	"cmp	x9, %x[lease]\n\t"					\
	"b.ne	%l[elsewhere]\n\t"

#define RSEQ_OP_ASM_LOAD(mem)						\
	"ldr	" RSEQ_OP_SCRATCH(9) ", %[" #mem "]\n\t"

#define RSEQ_OP_ASM_CMPEQ(mem, reg, label)				\
	RSEQ_OP_ASM_DELAY						\
	RSEQ_OP_ASM_LOAD(mem)						\
	"cmp	" RSEQ_OP_SCRATCH(9) ", " RSEQ_OP_R(reg) "\n\t"		\
	"b.ne	%l[" #label "]\n\t"

#define RSEQ_OP_ASM_STORE(mem, reg)					\
	RSEQ_OP_ASM_DELAY						\
	"str	" RSEQ_OP_R(reg) ", %[" #mem "]\n\t"

#define RSEQ_OP_ASM_FETCH(mem, to)					\
	RSEQ_OP_ASM_DELAY						\
	RSEQ_OP_ASM_LOAD(mem)						\
	"str	" RSEQ_OP_SCRATCH(9) ", %[" #to "]\n\t"

#define RSEQ_OP_ASM_COMMIT_STORE(mem, reg)				\
	RSEQ_OP_ASM_DELAY						\
	RSEQ_OP_INSN_STORE RSEQ_OP_R(reg) ", %[" #mem "]\n\t"		\
	"2:\n\t"

#define RSEQ_OP_ASM_COMMIT_MODIFY(how, mem, reg)			\
	RSEQ_OP_ASM_DELAY						\
	RSEQ_OP_ASM_LOAD(mem)						\
	RSEQ_OP_INSN_##how RSEQ_OP_SCRATCH(9) ", " RSEQ_OP_SCRATCH(9) ", " \
		RSEQ_OP_R(reg) "\n\t"					\
	RSEQ_OP_INSN_STORE RSEQ_OP_SCRATCH(9) ", %[" #mem "]\n\t"	\
	"2:\n\t"

#define RSEQ_OP_ASM_LOAD_POINTER(mem)					\
	RSEQ_OP_ASM_DELAY						\
	RSEQ_OP_ASM_LOAD(mem)

#define RSEQ_OP_ASM_CMPNE_POINTER(reg, label)				\
	"cmp	x9, %x[" #reg "]\n\t"					\
	"b.eq	%l[" #label "]\n\t"

#define RSEQ_OP_ASM_STORE_POINTER(to)					\
	RSEQ_OP_ASM_DELAY						\
	"str	x9, %[" #to "]\n\t"

#define RSEQ_OP_ASM_FOLLOW(offset)					\
	RSEQ_OP_ASM_DELAY						\
	"ldr	x9, [x9, %x[" #offset "]]\n\t"

#define RSEQ_OP_ASM_COMMIT_FOLLOWED(offset, mem)			\
	RSEQ_OP_ASM_FOLLOW(offset)					\
	RSEQ_OP_INSN_STORE "x9, %[" #mem "]\n\t"			\
	"2:\n\t"

#define RSEQ_OP_ASM_COMMIT_ADD_POINTED(reg)				\
	RSEQ_OP_ASM_DELAY						\
	"ldr	x11, [x9]\n\t"						\
	"add	x11, x11, %x[" #reg "]\n\t"				\
	RSEQ_OP_INSN_STORE "x11, [x9]\n\t"				\
	"2:\n\t"

#define RSEQ_OP_ASM_COPY(dst, src, len)					\
	RSEQ_OP_ASM_DELAY						\
	"mov	x9, %x[" #dst "]\n\t"					\
	"mov	x10, %x[" #src "]\n\t"					\
	"subs	x11, %x[" #len "], #16\n\t"				\
	"b.lo	6f\n\t"							\
	"5:\n\t"							\
	"ldp	x12, x13, [x10], #16\n\t"				\
	"stp	x12, x13, [x9], #16\n\t"				\
	"subs	x11, x11, #16\n\t"					\
	"b.hs	5b\n\t"							\
	"6:\n\t"							\
	"adds	x11, x11, #16\n\t"					\
	"b.eq	8f\n\t"							\
	"7:\n\t"							\
	"ldrb	w12, [x10], #1\n\t"					\
	"strb	w12, [x9], #1\n\t"					\
	"subs	x11, x11, #1\n\t"					\
	"b.ne	7b\n\t"							\
	"8:\n\t"

/* A 32-bit word is the lower half of a register, and of a number in memory. */
#define RSEQ_OP_ASM_RUN_STEPS(program, label)				\
	"ldr	x10, [%x[" #program "], #64]\n\t"			\
	"5:\n\t"							\
	RSEQ_OP_ASM_DELAY						\
	"str	x10, [%x[" #program "], #56]\n\t"			\
	"ldr	x11, [%x[" #program "], #48]\n\t"			\
	"cmp	x10, x11\n\t"						\
	"b.eq	8f\n\t"							\
	"ldp	x11, x9, [x10]\n\t"					\
	"add	x11, x11, x9\n\t"					\
	"ldp	x12, x13, [x10, #16]\n\t"				\
	"tbnz	x13, #63, 6f\n\t"					\
	"ldr	" RSEQ_OP_SCRATCH(9) ", [x11]\n\t"			\
	"ldr	" RSEQ_OP_SCRATCH(11) ", [x12]\n\t"			\
	"cmp	" RSEQ_OP_SCRATCH(9) ", " RSEQ_OP_SCRATCH(11) "\n\t"	\
	"cset	x9, eq\n\t"						\
	"cmp	x9, x13\n\t"						\
	"b.ne	%l[" #label "]\n\t"					\
	"b	7f\n\t"							\
	"6:\n\t"							\
	"ldrb	w9, [x11], #1\n\t"					\
	"strb	w9, [x12], #1\n\t"					\
	"adds	x13, x13, #1\n\t"					\
	"b.ne	6b\n\t"							\
	"7:\n\t"							\
	"add	x10, x10, #32\n\t"					\
	"b	5b\n\t"							\
	"8:\n\t"

#define RSEQ_OP_ASM_COMMIT_LAST(program)				\
	"ldp	x9, x10, [%x[" #program "]]\n\t"			\
	"add	x9, x9, x10\n\t"					\
	"ldr	" RSEQ_OP_SCRATCH(9) ", [x9]\n\t"			\
	"ldp	x10, x11, [%x[" #program "], #16]\n\t"			\
	"and	x9, x9, x10\n\t"					\
	"eor	x9, x9, x11\n\t"					\
	"ldp	x10, x11, [%x[" #program "], #32]\n\t"			\
	"add	x9, x9, x10\n\t"					\
	RSEQ_OP_INSN_STORE RSEQ_OP_SCRATCH(9) ", [x11]\n\t"		\
	"2:\n\t"

#define RSEQ_OP_ASM_END							\
	".pushsection __rseq_failure, \"ax?\"\n\t"			\
	".balign 4\n\t"							\
	".long	" RSEQ_OP_STR(RSEQ_OP_SIG) "\n\t"			\
	"4:\n\t"							\
	"b	%l[aborted]\n\t"					\
	".popsection\n\t"

#define RSEQ_OP_IN_CPU(cpu, tags_)					\
	[rseq] "r" (RSEQ_OP_OFFSET), [index] "r" ((int64_t)(cpu)), [tags] "r" (tags_)
#define RSEQ_OP_IN_CID(cid_, tags_)					\
	RSEQ_OP_IN_CPU(cid_, tags_), [cid] "r" (rseq_op_cid_offset)
#define RSEQ_OP_IN_LEASE(lease_, tag_)					\
	[rseq] "r" (RSEQ_OP_OFFSET), [lease] "r" (lease_), [tag] "r" (tag_)
#define RSEQ_OP_IN_MEM(name, p)		[name] "Q" (*(p))
#define RSEQ_OP_IN_WORD(name, value)	[name] "r" (value)
#define RSEQ_OP_IN_EXPECT		RSEQ_OP_IN_WORD
#define RSEQ_OP_IN_ANY(name, value)	[name] "r" (value)
#define RSEQ_OP_CLOBBERS		"memory", "cc", "x9", "x10", "x11"
#define RSEQ_OP_CLOBBERS_COPY		RSEQ_OP_CLOBBERS, "x12", "x13"
#define RSEQ_OP_CLOBBERS_STEPS		RSEQ_OP_CLOBBERS_COPY

static inline char *rseq_op_thread_pointer(void)
{
	char *tp;

	__asm__ ("mrs %0, tpidr_el0" : "=r" (tp));
	return tp;
}

/* A word of struct rseq. */
static inline int rseq_op_area_int(ptrdiff_t offset)
{
	return *(volatile int *)(rseq_op_thread_pointer() + offset);
}

/* In a loop that waits for another thread. */
static inline void rseq_op_cpu_relax(void)
{
	__asm__ volatile ("yield" : : : "memory");
}

#endif /* RSEQ_OP_ARCH_AARCH64_H */

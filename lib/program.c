// SPDX-License-Identifier: MIT
/*
 * Vectors as sequences. One that compares words and then makes its only store, of a word,
 * is run by a sequence that interprets it: some nanoseconds where the backend takes a
 * system call or two. Words are all of one width, and aligned; an operand that may be
 * freed (expect_fault) is left to the backend, which can tell.
 */
#include "program.h"

#define RSEQ_OP_TEMPLATE "program-typed.h"
#include <rseq_op/variants.h>

#define RSEQ_OP_BY_LEASE
#define RSEQ_OP_TEMPLATE "program-typed.h"
#include <rseq_op/variants.h>
#undef RSEQ_OP_BY_LEASE

_Static_assert(offsetof(struct program, last) == 0 &&
	       offsetof(struct program, end) == 5 * sizeof(uintptr_t) &&
	       offsetof(struct program, at) == 6 * sizeof(uintptr_t) &&
	       offsetof(struct program, steps) == 7 * sizeof(uintptr_t) &&
	       sizeof(struct step) == 3 * sizeof(uintptr_t), "what arch/ knows");

/* The sequence for words of this width. */
#define SEQUENCE(by, ...)						\
	(p->len == sizeof(int32_t) ?					\
	 (p->release ? rseq_op_##by##32_release : rseq_op_##by##32) :	\
	 (p->release ? rseq_op_##by##_release : rseq_op_##by))(__VA_ARGS__)

/* What stopped the program is one of its steps. */
static int result(const struct program *p, int outcome)
{
	return outcome > 0 ? (int)(p->at - p->steps) + 1 : outcome;
}

int program_attempt(struct program *p, int cpu, const int64_t *tags)
{
	return result(p, SEQUENCE(attempt, p, cpu, tags));
}

int program_leased(struct program *p, int64_t lease, const int64_t *tag)
{
	return result(p, SEQUENCE(leased, p, lease, tag));
}

/* An operand, or NULL if it is no word for the sequence. */
static void *word(const struct program *p, uint64_t addr, uint8_t expect_fault)
{
	return addr % p->len || addr != (uintptr_t)addr || expect_fault ? NULL :
		(void *)(uintptr_t)addr;
}

/* A number of the vector, as a word in memory. */
static const void *number(const struct program *p, const __u64 *value)
{
	bool big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

	return (const char *)value + (big_endian ? sizeof(*value) - p->len : 0);
}

static bool make_step(const struct program *p, struct step *step, const struct cpu_op *op)
{
	switch (op->op) {
	case CPU_COMPARE_EQ_OP:
	case CPU_COMPARE_NE_OP:
		step->a = word(p, op->u.compare_op.a, op->u.compare_op.expect_fault_a);
		step->b = word(p, op->u.compare_op.b, op->u.compare_op.expect_fault_b);
		step->equal = op->op == CPU_COMPARE_EQ_OP;
		break;
	case CPU_COMPARE_EQ_IMM_OP:
	case CPU_COMPARE_NE_IMM_OP:
		step->a = word(p, op->u.immediate_op.p, op->u.immediate_op.expect_fault_p);
		step->b = number(p, &op->u.immediate_op.value);
		step->equal = op->op == CPU_COMPARE_EQ_IMM_OP;
		break;
	default:
		return false;
	}
	return op->len == p->len && step->a && step->b;
}

static void set_last(struct program *p, const void *from, uint64_t keep, uint64_t flip,
		     uint64_t plus)
{
	p->last.from = from;
	p->last.keep = (uintptr_t)keep;
	p->last.flip = (uintptr_t)flip;
	p->last.plus = (uintptr_t)plus;
}

static bool make_last(struct program *p, const struct cpu_op *op)
{
	const uint64_t all = ~UINT64_C(0), mask = op->u.bitwise_op.mask;
	void *v;

	/* One layout but for copies, where the second operand is in memory too. */
	v = word(p, op->u.arithmetic_op.p, op->u.arithmetic_op.expect_fault_p);
	p->last.to = v;
	switch (op->op) {
	case CPU_MEMCPY_RELEASE_OP:
	case CPU_MEMCPY_OP:
		set_last(p, word(p, op->u.memcpy_op.src, op->u.memcpy_op.expect_fault_src),
			 all, 0, 0);
		break;
	case CPU_STORE_RELEASE_IMM_OP:
	case CPU_STORE_IMM_OP:
		set_last(p, v, 0, op->u.immediate_op.value, 0);
		break;
	case CPU_ADD_RELEASE_OP:
	case CPU_ADD_OP:
		set_last(p, v, all, 0, (uint64_t)op->u.arithmetic_op.count);
		break;
	case CPU_OR_OP:
		set_last(p, v, ~mask, mask, 0);
		break;
	case CPU_AND_OP:
		set_last(p, v, mask, 0, 0);
		break;
	case CPU_XOR_OP:
		set_last(p, v, all, mask, 0);
		break;
	default:
		return false;
	}
	p->release = op->op == CPU_MEMCPY_RELEASE_OP || op->op == CPU_STORE_RELEASE_IMM_OP ||
		     op->op == CPU_ADD_RELEASE_OP;
	return v && p->last.from;
}

bool program_make(struct program *p, const struct cpu_op *ops, unsigned int nr_ops)
{
	unsigned int i;

	if (!ops || !nr_ops || interp_check(ops, nr_ops))
		return false;
	p->len = ops[nr_ops - 1].len;
	if ((p->len != sizeof(int32_t) && p->len != sizeof(intptr_t)) ||
	    !make_last(p, &ops[nr_ops - 1]))
		return false;
	for (i = 0; i < nr_ops - 1; i++) {
		if (!make_step(p, &p->steps[i], &ops[i]))
			return false;
	}
	p->end = &p->steps[nr_ops - 1];
	return true;
}

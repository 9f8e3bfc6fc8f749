// SPDX-License-Identifier: MIT
/*
 * Programs: see program.h. The slow path runs every operation as a program, so that it needs one
 * sequence and not one for each operation. An attempt takes some nanoseconds longer than the
 * sequence in the caller's code. A backend needs at least one system call.
 */
#include "program.h"

_Static_assert(offsetof(struct program, last) == 0 &&
	       offsetof(struct program, end) == 6 * sizeof(uintptr_t) &&
	       offsetof(struct program, at) == 7 * sizeof(uintptr_t) &&
	       offsetof(struct program, begin) == 8 * sizeof(uintptr_t) &&
	       sizeof(struct step) == 4 * sizeof(uintptr_t), "what arch/ knows");

/*
 * The sequence in twelve variants: for words of 64 and of 32 bits; with a last store that is
 * relaxed or a release; by the tags of CPUs, by the tags of concurrency IDs, and by lease.
 * RSEQ_OP_BITS and RSEQ_OP_RELEASE pass the width and the kind of the last store to arch/.
 */
#define ATTEMPT(name, begin, id_type, in_section)				\
static int name(struct program *p, id_type id, const int64_t *tags)		\
{										\
	__asm__ goto (								\
		RSEQ_OP_ASM_EXIT(stopped)					\
		begin								\
		RSEQ_OP_ASM_RUN_STEPS(program, stopped)				\
		RSEQ_OP_ASM_DELAY						\
		RSEQ_OP_ASM_COMMIT_LAST(program)				\
		RSEQ_OP_ASM_END							\
		: /* no outputs */						\
		: in_section(id, tags),						\
		  RSEQ_OP_IN_ANY(program, p)					\
		: RSEQ_OP_CLOBBERS_STEPS					\
		: aborted, elsewhere, stopped);					\
	return 0;								\
aborted:									\
	return RSEQ_OP_ABORTED;							\
elsewhere:									\
	return RSEQ_OP_ELSEWHERE;						\
stopped:									\
	return 1;								\
}

#define ATTEMPTS(by)								\
ATTEMPT(cpu_##by, RSEQ_OP_ASM_BEGIN_CPU, int, RSEQ_OP_IN_CPU)			\
ATTEMPT(cid_##by, RSEQ_OP_ASM_BEGIN_CID, int, RSEQ_OP_IN_CID)			\
ATTEMPT(lease_##by, RSEQ_OP_ASM_BEGIN_LEASE, int64_t, RSEQ_OP_IN_LEASE)

#define RSEQ_OP_BITS	32
#define RSEQ_OP_RELEASE	0
ATTEMPTS(32)
#undef RSEQ_OP_RELEASE
#define RSEQ_OP_RELEASE	1
ATTEMPTS(32_release)
#undef RSEQ_OP_BITS
#if UINTPTR_MAX == UINT64_MAX
# define RSEQ_OP_BITS	64
#else
# define RSEQ_OP_BITS	32
#endif
ATTEMPTS(word_release)
#undef RSEQ_OP_RELEASE
#define RSEQ_OP_RELEASE	0
ATTEMPTS(word)

typedef int (*by_tags_fn)(struct program *p, int id, const int64_t *tags);
typedef int (*by_lease_fn)(struct program *p, int64_t lease, const int64_t *tag);

/* [words of 32 bits][release] */
static const by_tags_fn by_cpu[2][2] = {
	{ cpu_word, cpu_word_release }, { cpu_32, cpu_32_release },
};

static const by_tags_fn by_cid[2][2] = {
	{ cid_word, cid_word_release }, { cid_32, cid_32_release },
};

static const by_lease_fn by_lease[2][2] = {
	{ lease_word, lease_word_release }, { lease_32, lease_32_release },
};

/* Comparisons are counted; copies are not. */
static int result(const struct program *p, int outcome)
{
	const struct step *s;
	int n = 0;

	if (outcome <= 0)
		return outcome;
	for (s = p->begin; s <= p->at; s++)
		n += s->kind >= 0;
	return n;
}

static bool words_of_32(const struct program *p)
{
	return p->len == sizeof(int32_t);
}

int program_attempt(struct program *p, struct place at, const int64_t *tags)
{
	const by_tags_fn (*fn)[2] = at.by == BY_CPU ? by_cpu : by_cid;

	return result(p, fn[words_of_32(p)][p->release](p, at.index, tags));
}

int program_leased(struct program *p, int64_t lease, const int64_t *tag)
{
	return result(p, by_lease[words_of_32(p)][p->release](p, lease, tag));
}

/* Can the sequence use the operand as a word? If it is unmapped, the sequence gets a SIGSEGV. */
static bool is_word(const struct program *p, uint64_t address, uint8_t expect_fault)
{
	return address && address % p->len == 0 && address == (uintptr_t)address && !expect_fault;
}

/* The address of the low p->len bytes of a number in the vector. */
static uintptr_t number(const struct program *p, const __u64 *value)
{
	bool big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

	return (uintptr_t)value + (big_endian ? sizeof(*value) - p->len : 0);
}

static bool make_comparison(const struct program *p, struct step *step, const struct cpu_op *op)
{
	switch (op->op) {
	case CPU_COMPARE_EQ_OP:
	case CPU_COMPARE_NE_OP:
		step->a = (uintptr_t)op->u.compare_op.a;
		step->b = (uintptr_t)op->u.compare_op.b;
		step->kind = op->op == CPU_COMPARE_EQ_OP ? STEP_EQUAL : STEP_DIFFER;
		return op->len == p->len &&
		       is_word(p, op->u.compare_op.a, op->u.compare_op.expect_fault_a) &&
		       is_word(p, op->u.compare_op.b, op->u.compare_op.expect_fault_b);
	case CPU_COMPARE_EQ_IMM_OP:
	case CPU_COMPARE_NE_IMM_OP:
		step->a = (uintptr_t)op->u.immediate_op.p;
		step->b = number(p, &op->u.immediate_op.value);
		step->kind = op->op == CPU_COMPARE_EQ_IMM_OP ? STEP_EQUAL : STEP_DIFFER;
		return op->len == p->len &&
		       is_word(p, op->u.immediate_op.p, op->u.immediate_op.expect_fault_p);
	default:
		return false;
	}
}

/* Of a typed operation. */
static bool make_copy(const struct program *p, struct step *step, const struct cpu_op *op)
{
	switch (op->op) {
	case CPU_MEMCPY_OP:
		step->a = (uintptr_t)op->u.memcpy_op.src;
		step->b = (uintptr_t)op->u.memcpy_op.dst;
		break;
	case CPU_STORE_IMM_OP:
		step->a = number(p, &op->u.immediate_op.value);
		step->b = (uintptr_t)op->u.immediate_op.p;
		break;
	default:
		return false;
	}
	step->kind = STEP_COPY(op->len);
	return true;
}

static void set_last(struct program *p, uint64_t from, uint64_t keep, uint64_t flip, uint64_t plus)
{
	p->last.from = (uintptr_t)from;
	p->last.offset = 0;
	p->last.keep = (uintptr_t)keep;
	p->last.flip = (uintptr_t)flip;
	p->last.plus = (uintptr_t)plus;
}

static bool make_last(struct program *p, const struct cpu_op *op)
{
	const uint64_t all = ~UINT64_C(0), mask = op->u.bitwise_op.mask;
	const uint64_t to = op->u.arithmetic_op.p;	/* one layout for all operations here */

	p->last.to = (uintptr_t)to;
	p->release = op->op == CPU_MEMCPY_RELEASE_OP || op->op == CPU_STORE_RELEASE_IMM_OP ||
		     op->op == CPU_ADD_RELEASE_OP;
	switch (op->op) {
	case CPU_MEMCPY_RELEASE_OP:
	case CPU_MEMCPY_OP:
		set_last(p, op->u.memcpy_op.src, all, 0, 0);
		return is_word(p, to, op->u.memcpy_op.expect_fault_dst) &&
		       is_word(p, op->u.memcpy_op.src, op->u.memcpy_op.expect_fault_src);
	case CPU_STORE_RELEASE_IMM_OP:
	case CPU_STORE_IMM_OP:
		set_last(p, to, 0, op->u.immediate_op.value, 0);
		break;
	case CPU_ADD_RELEASE_OP:
	case CPU_ADD_OP:
		set_last(p, to, all, 0, (uint64_t)op->u.arithmetic_op.count);
		break;
	case CPU_OR_OP:
		set_last(p, to, ~mask, mask, 0);
		break;
	case CPU_AND_OP:
		set_last(p, to, mask, 0, 0);
		break;
	case CPU_XOR_OP:
		set_last(p, to, all, mask, 0);
		break;
	default:
		return false;
	}
	return is_word(p, to, op->u.arithmetic_op.expect_fault_p);
}

static bool make(struct program *p, struct step *step, const struct cpu_op *ops,
		 unsigned int nr_ops, bool typed)
{
	const struct cpu_op *last = &ops[nr_ops - 1];

	p->len = last->len;
	if ((p->len != sizeof(int32_t) && p->len != sizeof(intptr_t)) || !make_last(p, last))
		return false;
	if (typed && ops->op == CPU_MB_OP) {
		p->release = true;
		ops++;
	}
	p->begin = step;
	for (; ops < last; ops++, step++) {
		step->offset = 0;
		if (!make_comparison(p, step, ops) && !(typed && make_copy(p, step, ops)))
			return false;
	}
	p->end = step;
	return true;
}

bool program_of_vector(struct program *p, struct step *steps, const struct cpu_op *ops,
		       unsigned int nr_ops)
{
	return ops && nr_ops && !interp_check(ops, nr_ops) && make(p, steps, ops, nr_ops, false);
}

bool program_of_typed(struct program *p, struct step *steps, const struct cpu_op *ops,
		      unsigned int nr_ops)
{
	return make(p, steps, ops, nr_ops, true);
}

// SPDX-License-Identifier: MIT
/*
 * The typed operations in the slow path. A table says, for each, which vector it is. Everything
 * else follows from the vector: the program for further attempts, and what a backend runs. The two
 * that follow pointers have functions of their own.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "slow.h"

#define ARGS_MAX	6
#define PARTS_MAX	3

/* What a part of a vector does. Arguments of the operation are counted from 0, without @cpu. */
struct part {
	enum cpu_op_type op;
	uint8_t p;		/* the argument that is the address of the word */
	uint8_t value;		/* the argument that is the number, or the source of a copy */
	uint8_t len;		/* the argument that is the length of a copy; 0: a word */
};

static const struct row {
	uint8_t nr_args;
	uint8_t nr_parts;
	struct part parts[PARTS_MAX];
} rows[] = {
	/* v, newv */
	[RSEQ_OP_DO_STOREV] = { 2, 1, { { CPU_STORE_IMM_OP, 0, 1, 0 } } },
	/* v, newv, old */
	[RSEQ_OP_DO_XCHGV] = { 3, 2, { { CPU_MEMCPY_OP, 2, 0, 0 }, { CPU_STORE_IMM_OP, 0, 1, 0 } } },
	/* v, count or mask */
	[RSEQ_OP_DO_ADDV] = { 2, 1, { { CPU_ADD_OP, 0, 1, 0 } } },
	[RSEQ_OP_DO_ORV] = { 2, 1, { { CPU_OR_OP, 0, 1, 0 } } },
	[RSEQ_OP_DO_ANDV] = { 2, 1, { { CPU_AND_OP, 0, 1, 0 } } },
	[RSEQ_OP_DO_XORV] = { 2, 1, { { CPU_XOR_OP, 0, 1, 0 } } },
	/* v, count, old */
	[RSEQ_OP_DO_FETCH_ADDV] = { 3, 2, { { CPU_MEMCPY_OP, 2, 0, 0 }, { CPU_ADD_OP, 0, 1, 0 } } },
	/* v, expect, newv */
	[RSEQ_OP_DO_CMPEQV_STOREV] = { 3, 2, {
		{ CPU_COMPARE_EQ_IMM_OP, 0, 1, 0 },
		{ CPU_STORE_IMM_OP, 0, 2, 0 } } },
	/* v, expect, v2, expect2, newv */
	[RSEQ_OP_DO_CMPEQV_CMPEQV_STOREV] = { 5, 3, {
		{ CPU_COMPARE_EQ_IMM_OP, 0, 1, 0 },
		{ CPU_COMPARE_EQ_IMM_OP, 2, 3, 0 },
		{ CPU_STORE_IMM_OP, 0, 4, 0 } } },
	/* v, expect, v2, newv2, newv */
	[RSEQ_OP_DO_CMPEQV_STOREV_STOREV] = { 5, 3, {
		{ CPU_COMPARE_EQ_IMM_OP, 0, 1, 0 },
		{ CPU_STORE_IMM_OP, 2, 3, 0 },
		{ CPU_STORE_IMM_OP, 0, 4, 0 } } },
	/* v, expect, dst, src, len, newv */
	[RSEQ_OP_DO_CMPEQV_MEMCPY_STOREV] = { 6, 3, {
		{ CPU_COMPARE_EQ_IMM_OP, 0, 1, 0 },
		{ CPU_MEMCPY_OP, 2, 3, 4 },
		{ CPU_STORE_IMM_OP, 0, 5, 0 } } },
	/* v, expectnot, voffp, load */
	[RSEQ_OP_DO_CMPNEV_STOREOFFP_LOAD] = { .nr_args = 4 },
	/* ptr, off, inc */
	[RSEQ_OP_DO_OFFSET_DEREF_ADDV] = { .nr_args = 3 },
};

_Static_assert(ARRAY_SIZE(rows) == RSEQ_OP_NR_DO, "a row for each operation");

/* A call of rseq_op_slow(). */
struct call {
	struct slow slow;
	uint32_t word;		/* bytes */
	bool release;
	intptr_t args[ARGS_MAX];
};

struct vector {
	struct cpu_op ops[PARTS_MAX + 1];
	unsigned int nr_ops;
};

/* Operations on an address and a number have one layout. */
static void add_number(struct vector *v, int op, intptr_t p, uint32_t len, intptr_t value)
{
	v->ops[v->nr_ops++] = (struct cpu_op){ .op = op, .len = len,
		.u.immediate_op = { .p = (uintptr_t)p, .value = (uint64_t)value } };
}

static void add_copy(struct vector *v, int op, intptr_t dst, intptr_t src, uint32_t len)
{
	v->ops[v->nr_ops++] = (struct cpu_op){ .op = op, .len = len,
		.u.memcpy_op = { .dst = (uintptr_t)dst, .src = (uintptr_t)src } };
}

/* Set expect_fault for the operand that the operation added last reaches by a pointer. */
static void expect_fault(struct vector *v)
{
	struct cpu_op *op = &v->ops[v->nr_ops - 1];

	if (op->op == CPU_MEMCPY_OP || op->op == CPU_MEMCPY_RELEASE_OP)
		op->u.memcpy_op.expect_fault_src = 1;
	else
		op->u.immediate_op.expect_fault_p = 1;
}

/* The last operation of a vector, as it is or as a release. */
static int last_op(const struct call *c, enum cpu_op_type op)
{
	if (!c->release)
		return op;
	switch (op) {
	case CPU_ADD_OP:
		return CPU_ADD_RELEASE_OP;
	case CPU_STORE_IMM_OP:
		return CPU_STORE_RELEASE_IMM_OP;
	case CPU_MEMCPY_OP:
		return CPU_MEMCPY_RELEASE_OP;
	default:
		return op;	/* add_part() puts a memory barrier before it */
	}
}

static bool needs_barrier(const struct call *c, enum cpu_op_type op)
{
	return c->release && (op == CPU_OR_OP || op == CPU_AND_OP || op == CPU_XOR_OP);
}

static void add_part(struct vector *v, const struct call *c, const struct part *part, bool last)
{
	uint32_t len = part->len ? (uint32_t)c->args[part->len] : c->word;
	int op = last ? last_op(c, part->op) : (int)part->op;

	if (last && needs_barrier(c, part->op))
		v->ops[v->nr_ops++] = (struct cpu_op){ .op = CPU_MB_OP };
	if (part->op == CPU_MEMCPY_OP && len)	/* a vector cannot copy 0 bytes */
		add_copy(v, op, c->args[part->p], c->args[part->value], len);
	else if (part->op != CPU_MEMCPY_OP)
		add_number(v, op, c->args[part->p], len, c->args[part->value]);
}

static int run(struct call *c, const struct row *row)
{
	struct vector v = { .nr_ops = 0 };
	struct step steps[PARTS_MAX];
	struct program p;
	int i;

	for (i = 0; i < row->nr_parts; i++)
		add_part(&v, c, &row->parts[i], i == row->nr_parts - 1);
	if (program_of_typed(&p, steps, v.ops, v.nr_ops)) {
		slow_try(&c->slow, &p);
		slow_try_by_lease(&c->slow, &p, v.ops, v.nr_ops, NULL, NULL);
	} else {
		c->slow.reason = COUNT_VECTOR;
	}
	return slow_end(&c->slow, v.ops, v.nr_ops);
}

/*
 * Operations that follow a pointer. A program follows the pointer inside its sequence. A backend
 * needs two vectors or three: the first one reads the pointer, and the next one compares the
 * pointer again and accesses its target. Another thread may have freed the target in between.
 */

/* After so many failures in a row with an unchanged pointer, the caller's pointer is invalid. */
#define FOLLOWS_MAX	100

struct follow {
	intptr_t pointer, next;
	unsigned int nowhere;	/* failures since the pointers last changed */
};

/* Let a vector read a pointer. */
static int follow(struct call *c, struct follow *f, const struct vector *v)
{
	struct follow was = *f;
	int ret = slow_end(&c->slow, v->ops, v->nr_ops);

	if (f->pointer != was.pointer || f->next != was.next)
		f->nowhere = 0;
	return ret;
}

/*
 * Must the vectors run again? Yes if a pointer has changed, without a limit. Yes if the target was
 * not accessible (-EAGAIN), up to FOLLOWS_MAX times with the same pointers; then *ret becomes
 * -EFAULT.
 */
static bool start_over(struct follow *f, int *ret)
{
	if (*ret != -EAGAIN)
		return *ret > 0;
	if (++f->nowhere < FOLLOWS_MAX)
		return true;
	*ret = -EFAULT;
	return false;
}

static void add_step(struct program *p, const void *a, intptr_t offset, const void *b,
		     intptr_t kind)
{
	*p->end++ = (struct step){ (uintptr_t)a, (uintptr_t)offset, (uintptr_t)b, kind };
}

/*
 * May the attempt by lease be made? Not if *v points to memory that was never accessible: the
 * vectors report that as -EFAULT. The node stays mapped only while the lease lasts, and this
 * function cannot notice that the lease has ended. So it does not load from the node:
 * operand_find() asks the kernel.
 */
static bool leads_somewhere(const intptr_t *args)
{
	intptr_t pointer = __atomic_load_n((intptr_t *)args[0], __ATOMIC_RELAXED);

	return pointer == args[1] ||
	       !operand_find((uintptr_t)pointer + (uintptr_t)args[2], sizeof(pointer));
}

/* if (*v != expectnot) { *load = *v; *v = *(intptr_t *)(*v + voffp); } */
static int run_pop(struct call *c)
{
	const intptr_t v = c->args[0], expectnot = c->args[1], voffp = c->args[2],
		load = c->args[3];
	struct vector words = { .nr_ops = 0 };
	struct step steps[3];
	struct program p = {
		.last = { .offset = (uintptr_t)voffp, .keep = UINTPTR_MAX, .to = (uintptr_t)v },
		.begin = steps, .end = steps, .len = c->word, .release = c->release,
	};
	struct follow f = { 0 };
	int ret;

	add_step(&p, (void *)v, 0, &c->args[1], STEP_DIFFER);
	add_step(&p, (void *)v, 0, (void *)load, STEP_COPY(c->word));
	add_step(&p, (void *)v, 0, &p.last.from, STEP_COPY(c->word));
	slow_try(&c->slow, &p);
	add_number(&words, CPU_STORE_IMM_OP, v, c->word, 0);
	add_number(&words, CPU_STORE_IMM_OP, load, c->word, 0);
	slow_try_by_lease(&c->slow, &p, words.ops, words.nr_ops, leads_somewhere, c->args);
	if (c->slow.outcome >= 0)
		return c->slow.outcome;
	do {
		struct vector read = { .nr_ops = 0 }, pop = { .nr_ops = 0 };

		add_number(&read, CPU_COMPARE_NE_IMM_OP, v, c->word, expectnot);
		add_copy(&read, CPU_MEMCPY_OP, (intptr_t)&f.pointer, v, c->word);
		ret = follow(c, &f, &read);
		if (ret)
			return ret;
		add_number(&pop, CPU_COMPARE_EQ_IMM_OP, v, c->word, f.pointer);
		add_number(&pop, CPU_STORE_IMM_OP, load, c->word, f.pointer);
		add_copy(&pop, last_op(c, CPU_MEMCPY_OP), v,
			 (intptr_t)((uintptr_t)f.pointer + (uintptr_t)voffp), c->word);
		expect_fault(&pop);
		ret = slow_end(&c->slow, pop.ops, pop.nr_ops);
	} while (start_over(&f, &ret));
	return ret;
}

/* **(intptr_t **)(*ptr + off) += inc. Not by lease: no check can cover the second pointer. */
static int run_add_pointed(struct call *c)
{
	const intptr_t ptr = c->args[0], off = c->args[1], inc = c->args[2];
	struct step steps[3];
	struct program p = {
		.last = { .keep = UINTPTR_MAX, .plus = (uintptr_t)inc },
		.begin = steps, .end = steps, .len = c->word, .release = c->release,
	};
	struct follow f = { 0 };
	int ret;

	add_step(&p, (void *)ptr, 0, &steps[1].a, STEP_COPY(c->word));
	add_step(&p, NULL, off, &p.last.from, STEP_COPY(c->word));
	add_step(&p, &p.last.from, 0, &p.last.to, STEP_COPY(c->word));
	slow_try(&c->slow, &p);
	if (c->slow.outcome >= 0)
		return c->slow.outcome;
	do {
		struct vector read = { .nr_ops = 0 }, next = { .nr_ops = 0 }, add = { .nr_ops = 0 };
		intptr_t field;

		add_copy(&read, CPU_MEMCPY_OP, (intptr_t)&f.pointer, ptr, c->word);
		ret = follow(c, &f, &read);
		if (ret)
			return ret;
		field = (intptr_t)((uintptr_t)f.pointer + (uintptr_t)off);
		add_number(&next, CPU_COMPARE_EQ_IMM_OP, ptr, c->word, f.pointer);
		add_copy(&next, CPU_MEMCPY_OP, (intptr_t)&f.next, field, c->word);
		expect_fault(&next);
		ret = follow(c, &f, &next);
		if (ret)
			continue;
		add_number(&add, CPU_COMPARE_EQ_IMM_OP, ptr, c->word, f.pointer);
		add_number(&add, CPU_COMPARE_EQ_IMM_OP, field, c->word, f.next);
		expect_fault(&add);
		add_number(&add, last_op(c, CPU_ADD_OP), f.next, c->word, inc);
		expect_fault(&add);
		ret = slow_end(&c->slow, add.ops, add.nr_ops);
	} while (start_over(&f, &ret));
	return ret;
}

int rseq_op_slow(void *first, intptr_t second, int index, unsigned int what, ...)
{
	const unsigned int nr = what & (RSEQ_OP_DO_WORD_32 - 1);
	const struct row *row;
	struct call c = {
		.slow = slow_begin((struct place){ what & RSEQ_OP_DO_BY_CID ? BY_CID : BY_CPU, index },
				   what & RSEQ_OP_DO_ABORTED ? RSEQ_OP_ABORTED : RSEQ_OP_ELSEWHERE,
				   CALL_SITE),
		.word = what & RSEQ_OP_DO_WORD_32 ? sizeof(int32_t) : sizeof(intptr_t),
		.release = what & RSEQ_OP_DO_RELEASE,
		.args = { (intptr_t)first, second },
	};
	va_list args;
	int i;

	if (nr >= ARRAY_SIZE(rows))
		return -EINVAL;
	row = &rows[nr];
	va_start(args, what);
	for (i = 2; i < row->nr_args; i++)
		c.args[i] = va_arg(args, intptr_t);
	va_end(args);
	switch (nr) {
	case RSEQ_OP_DO_CMPNEV_STOREOFFP_LOAD:
		return run_pop(&c);
	case RSEQ_OP_DO_OFFSET_DEREF_ADDV:
		return run_add_pointed(&c);
	default:
		return run(&c, row);
	}
}

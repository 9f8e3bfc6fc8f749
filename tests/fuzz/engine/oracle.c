// SPDX-License-Identifier: MIT
/*
 * What must come out. Errors have an order:
 *
 *	a question in flags, and its arguments
 *	EINVAL	cpu, nr_ops
 *	EFAULT	the vector cannot be read
 *	EINVAL	anything wrong in the vector
 *	EFAULT, EAGAIN	the first operand that is not accessible, operation by operation
 *
 * What runs is run by the interpreter on the shadow, addresses translated.
 */
#include <string.h>

#include "../../../lib/internal.h"
#include "fuzz.h"

/* The vector that interp_for_each_operand() goes through. */
static enum rules rules;
static enum right store_right;

static int possible(int cpu)
{
	return cpu >= 0 && cpu < rseq_op_nr_cpus() &&
	       rseq_op(NULL, 0, cpu, 0) != -EINVAL;
}

/* Possible CPUs, asked once: the list may have holes. */
static bool cpu_possible(int cpu)
{
	static int8_t known[RSEQ_OP_CPU_MAX];

	if (cpu < 0 || cpu >= rseq_op_nr_cpus())
		return false;
	if (!known[cpu])
		known[cpu] = possible(cpu) ? 1 : -1;
	return known[cpu] > 0;
}

/* One naturally aligned word, and the vector ends with it? */
static enum right right_to_store(const struct cpu_op *ops, unsigned int nr_ops)
{
	const struct cpu_op *last = &ops[nr_ops - 1];
	unsigned int i, stores = 0;

	for (i = 0; i < nr_ops; i++)
		stores += forms[ops[i].op].stores;
	if (stores != 1 || !forms[last->op].stores)
		return STORE_ANY;
	if (last->len > 8 || last->len & (last->len - 1) ||
	    const_args_of(last)->arg[0] & (last->len - 1))
		return STORE_ANY;
	return STORE_WORD;
}

static int check_operand(uint64_t addr, uint32_t len, enum access access, bool fault_expected)
{
	enum right right = access == ACCESS_WRITE ? store_right : READ;

	(void)fault_expected;
	return vector_may(addr, len, right, rules) ? 0 : -EFAULT;
}

static int watch_operand(uint64_t addr, uint32_t len, enum access access, bool fault_expected)
{
	(void)access, (void)fault_expected;
	layout_watch(addr, len);
	return 0;
}

static int answer(const struct call *call, uint64_t at)
{
	if (at || call->nr_ops || call->cpu)
		return -EINVAL;
	switch (call->flags) {
	case CPU_OP_NR_FLAG:
		return NR_CPU_OPS;
	case CPU_OP_VEC_LEN_MAX_FLAG:
		return CPU_OP_VEC_LEN_MAX;
	default:
		return -EINVAL;
	}
}

/* Copy the vector, as found in memory, to ops. */
static int fetch(struct cpu_op *ops, const struct call *call, uint64_t at)
{
	size_t size = call->nr_ops * sizeof(*ops);

	if (!call->placed) {
		memcpy(ops, call->ops, size);
		return 0;
	}
	if (!vector_may(at, size, READ, rules))
		return -EFAULT;
	if (size)
		memcpy(ops, shadow_at(at), size);
	return 0;
}

/* Before an operand is looked at. */
static int check_vector(struct verdict *v, const struct call *call, uint64_t at)
{
	int ret;

	if (call->nr_ops > CPU_OP_VEC_LEN_MAX || !cpu_possible(call->cpu))
		return -EINVAL;
	ret = fetch(v->ops, call, at);
	return ret ? ret : interp_check(v->ops, call->nr_ops);
}

/* As every vector takes the backend, none can be tried. */
static int try(struct verdict *v, const struct call *call, uint64_t at)
{
	int ret = call->flags == RSEQ_OP_TRY ? check_vector(v, call, at) : -EINVAL;

	return ret ? ret : -EAGAIN;
}

static int check(struct verdict *v, const struct call *call, uint64_t at)
{
	int ret = check_vector(v, call, at);

	if (ret || !call->nr_ops)
		return ret;
	store_right = right_to_store(v->ops, call->nr_ops);
	ret = interp_for_each_operand(v->ops, call->nr_ops, check_operand);
	interp_for_each_operand(v->ops, call->nr_ops, watch_operand);
	return ret;
}

void judge(struct verdict *v, const struct call *call, uint64_t at, enum executor executor)
{
	rules = executor_rules(executor);
	v->runs = false;
	if (call->flags) {
		v->result = executor == EXECUTOR_KERNEL ? answer(call, at) : try(v, call, at);
		return;
	}
	v->result = check(v, call, at);
	v->runs = !v->result;
}

/*
 * A range that is only read need not see what the vector stored to the same page by
 * another address, and a copy between two such ranges may go either way.
 */

static bool pieces_meet(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end)
{
	uint64_t offset = PAGE - 1;

	if (page_at(a)->frame != page_at(b)->frame || (a & -PAGE) == (b & -PAGE))
		return false;
	return (a & offset) < (b & offset) + (b_end - b) &&
	       (b & offset) < (a & offset) + (a_end - a);
}

static uint64_t piece_end(uint64_t addr, uint64_t end)
{
	uint64_t page_end = (addr & -PAGE) + PAGE;

	return page_end < end ? page_end : end;
}

static bool meet_by_alias(uint64_t a, uint32_t a_len, uint64_t b, uint32_t b_len)
{
	uint64_t i, j;

	for (i = a; i < a + a_len; i = piece_end(i, a + a_len)) {
		for (j = b; j < b + b_len; j = piece_end(j, b + b_len)) {
			if (pieces_meet(i, piece_end(i, a + a_len), j, piece_end(j, b + b_len)))
				return true;
		}
	}
	return false;
}

static bool reads_alias_of(const struct cpu_op *op, const struct cpu_op *store)
{
	int k;

	for (k = forms[op->op].stores; k < 2; k++) {
		if (forms[op->op].field[k] == ADDRESS &&
		    meet_by_alias(const_args_of(op)->arg[k], op->len,
				  const_args_of(store)->arg[0], store->len))
			return true;
	}
	return false;
}

static bool undetermined(const struct cpu_op *ops, unsigned int nr_ops)
{
	unsigned int i, j;

	for (i = 0; i < nr_ops; i++) {
		for (j = 0; j <= i; j++) {
			if (forms[ops[j].op].stores && reads_alias_of(&ops[i], &ops[j]))
				return true;
		}
	}
	return false;
}

/* Whatever was stored is right: let the shadow hold it. */
static void accept_stores(const struct cpu_op *ops, unsigned int nr_ops)
{
	unsigned int i;

	for (i = 0; i < nr_ops; i++) {
		uint64_t addr = const_args_of(&ops[i])->arg[0];

		if (forms[ops[i].op].stores)
			memcpy(shadow_at(addr), (void *)(uintptr_t)addr, ops[i].len);
	}
}

static int run_on_shadow(const struct verdict *v, unsigned int nr_ops)
{
	struct cpu_op ops[CPU_OP_VEC_LEN_MAX];
	unsigned int i;
	int k;

	for (i = 0; i < nr_ops; i++) {
		ops[i] = v->ops[i];
		for (k = 0; k < 2; k++) {
			if (forms[ops[i].op].field[k] == ADDRESS)
				args_of(&ops[i])->arg[k] =
					(uintptr_t)shadow_at(const_args_of(&ops[i])->arg[k]);
		}
	}
	return interp_run(ops, nr_ops);
}

/*
 * What a call may return for want of memory, or of luck: an invalid one only where its
 * vector could not be copied.
 */
static bool may_fail(const struct verdict *v, int result)
{
	if (!v->runs && v->result == -EINVAL)
		return result == -EFAULT;
	return result == -EFAULT || result == -EAGAIN || result == -ENOMEM;
}

bool result_right(struct verdict *v, const struct call *call, int result, bool injected)
{
	if (injected && may_fail(v, result)) {
		v->runs = false;
		v->result = result;
	}
	if (v->runs && undetermined(v->ops, call->nr_ops)) {
		accept_stores(v->ops, call->nr_ops);
		v->result = result >= 0 ? result : 0;
	} else if (v->runs) {
		v->result = run_on_shadow(v, call->nr_ops);
	}
	if (result != v->result)
		fprintf(stderr, "# result %s, expected %s\n", result_name(result),
			result_name(v->result));
	return result == v->result;
}

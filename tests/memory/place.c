// SPDX-License-Identifier: MIT
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "place.h"
#include "targets.h"

/*
 * Vectors, and what they change
 *
 * Addresses are symbols: which memory, and where in it.
 */
enum memory { PLACE = 1, SAME, OTHER };

#define SYMBOL(memory, i)	((uint64_t)(memory) << 32 | (i))
#define P(i)	SYMBOL(PLACE, i)
#define S(i)	SYMBOL(SAME, i)
#define O(i)	SYMBOL(OTHER, i)

enum how { PUT, PLUS, OR, AND, XOR, LEFT, RIGHT, COPIED };

struct change {
	uint64_t at;
	uint32_t len;		/* 0 ends the list */
	enum how how;
	uint64_t value;		/* where from, if copied */
};

struct vector {
	const char *name;
	struct cpu_op ops[5];	/* value of an immediate comparison: a symbol */
	unsigned int nr_ops;
	int result;
	struct change changes[4];
};

#define TWO(op_, len_, a_, b_)	{ .op = op_, .len = len_, .u.compare_op = { .a = a_, .b = b_ } }
#define EQ(len, a, b)		TWO(CPU_COMPARE_EQ_OP, len, a, b)
#define NE(len, a, b)		TWO(CPU_COMPARE_NE_OP, len, a, b)
#define EQ_IMM(len, p, of)	TWO(CPU_COMPARE_EQ_IMM_OP, len, p, of)
#define NE_IMM(len, p, of)	TWO(CPU_COMPARE_NE_IMM_OP, len, p, of)
#define CPY(len, dst, src)	TWO(CPU_MEMCPY_OP, len, dst, src)
#define CPY_REL(len, dst, src)	TWO(CPU_MEMCPY_RELEASE_OP, len, dst, src)
#define ADD(len, p, count)	TWO(CPU_ADD_OP, len, p, count)
#define ADD_REL(len, p, count)	TWO(CPU_ADD_RELEASE_OP, len, p, count)
#define STORE(len, p, value)	TWO(CPU_STORE_IMM_OP, len, p, value)
#define STORE_REL(len, p, value) TWO(CPU_STORE_RELEASE_IMM_OP, len, p, value)
#define BARRIER			TWO(CPU_MB_OP, 0, 0, 0)

#define VEC(...)	.ops = { __VA_ARGS__ }, \
	.nr_ops = sizeof((struct cpu_op []){ __VA_ARGS__ }) / sizeof(struct cpu_op)

#define NUMBER	UINT64_C(0x8182838485868788)

static const struct vector vectors[] = {
	/* That only read */
	{ "eq_holds", VEC(EQ(8, P(64), S(64))), 0 },
	{ "eq_fails", VEC(EQ(8, P(64), O(64))), 1 },
	{ "ne_holds", VEC(NE(8, O(64), P(64))), 0 },
	{ "ne_fails", VEC(NE(8, S(64), P(64))), 1 },
	{ "eq_8_across", VEC(EQ(8, P(MIDDLE - 4), S(MIDDLE - 4))), 0 },
	{ "eq_4096_across", VEC(EQ(4096, P(MIDDLE - 2048), S(MIDDLE - 2048))), 0 },
	{ "ne_4096_across_fails", VEC(NE(4096, P(MIDDLE - 1), S(MIDDLE - 1))), 1 },
	{ "eq_imm_holds", VEC(EQ_IMM(8, P(64), S(64)), EQ_IMM(1, P(4096), S(4096))), 0 },
	{ "eq_imm_fails", VEC(EQ_IMM(4, P(64), S(64)), EQ_IMM(2, P(66), O(66))), 2 },
	{ "ne_imm_holds", VEC(NE_IMM(8, P(64), O(64))), 0 },
	{ "ne_imm_fails", VEC(NE_IMM(4, P(64), S(64))), 1 },
	{ "eq_imm_across", VEC(EQ_IMM(8, P(MIDDLE - 3), S(MIDDLE - 3))), 0 },
	{ "each_page_read", VEC(EQ_IMM(8, P(8), S(8)), EQ_IMM(8, P(4096 + 8), S(4096 + 8)),
		EQ_IMM(8, P(8192 + 8), S(8192 + 8)), EQ_IMM(8, P(12288 + 8), S(12288 + 8))), 0 },
	{ "copy_out", VEC(CPY(8, O(64), P(128))), 0, { { O(64), 8, COPIED, S(128) } } },
	{ "copy_out_across", VEC(CPY(8, O(64), P(MIDDLE - 4))), 0,
		{ { O(64), 8, COPIED, S(MIDDLE - 4) } } },
	{ "copy_out_4096_across", VEC(CPY(4096, O(100), P(MIDDLE - 2048))), 0,
		{ { O(100), 4096, COPIED, S(MIDDLE - 2048) } } },
	{ "two_copies_out", VEC(CPY(8, O(64), P(4090)), CPY_REL(8, O(128), P(MIDDLE + 64))), 0,
		{ { O(64), 8, COPIED, S(4090) }, { O(128), 8, COPIED, S(MIDDLE + 64) } } },
	{ "compare_then_store_elsewhere", VEC(EQ(8, P(64), S(64)), ADD(8, O(64), 5)), 0,
		{ { O(64), 8, PLUS, 5 } } },

	/* That store one aligned word, last */
	{ "add_1", VEC(ADD(1, P(67), -1)), 0, { { P(67), 1, PLUS, -1 } } },
	{ "add_2", VEC(ADD(2, P(MIDDLE - 2), 500)), 0, { { P(MIDDLE - 2), 2, PLUS, 500 } } },
	{ "add_4", VEC(ADD(4, P(4096), 70000)), 0, { { P(4096), 4, PLUS, 70000 } } },
	{ "add_8", VEC(ADD(8, P(64), NUMBER)), 0, { { P(64), 8, PLUS, NUMBER } } },
	{ "add_release", VEC(ADD_REL(8, P(64), -7)), 0, { { P(64), 8, PLUS, -7 } } },
	{ "compare_then_add", VEC(EQ(8, P(64), S(64)), ADD(8, P(MIDDLE + 64), 9)), 0,
		{ { P(MIDDLE + 64), 8, PLUS, 9 } } },
	{ "compare_stops_add", VEC(NE(8, P(64), S(64)), ADD(8, P(MIDDLE + 64), 9)), 1 },
	{ "compare_itself_then_add", VEC(EQ_IMM(8, P(64), S(64)), ADD(8, P(64), 9)), 0,
		{ { P(64), 8, PLUS, 9 } } },
	{ "compare_elsewhere_stops_add", VEC(EQ(8, S(64), O(64)), ADD(8, P(64), 9)), 1 },
	{ "copy_in", VEC(CPY(8, P(64), O(128))), 0, { { P(64), 8, COPIED, O(128) } } },
	{ "copy_in_release", VEC(BARRIER, CPY_REL(4, P(MIDDLE), O(128))), 0,
		{ { P(MIDDLE), 4, COPIED, O(128) } } },
	{ "copy_within", VEC(CPY(8, P(MIDDLE + 64), P(61))), 0,
		{ { P(MIDDLE + 64), 8, COPIED, S(61) } } },
	{ "store", VEC(STORE(8, P(12288), NUMBER)), 0, { { P(12288), 8, PUT, NUMBER } } },
	{ "store_release", VEC(STORE_REL(2, P(64), NUMBER)), 0, { { P(64), 2, PUT, NUMBER } } },
	{ "or", VEC(TWO(CPU_OR_OP, 8, P(64), NUMBER)), 0, { { P(64), 8, OR, NUMBER } } },
	{ "and", VEC(TWO(CPU_AND_OP, 4, P(64), NUMBER)), 0, { { P(64), 4, AND, NUMBER } } },
	{ "xor", VEC(TWO(CPU_XOR_OP, 2, P(64), NUMBER)), 0, { { P(64), 2, XOR, NUMBER } } },
	{ "left", VEC(TWO(CPU_LSHIFT_OP, 8, P(64), 13)), 0, { { P(64), 8, LEFT, 13 } } },
	{ "right", VEC(TWO(CPU_RSHIFT_OP, 4, P(64), 13)), 0, { { P(64), 4, RIGHT, 13 } } },

	/* That store more, or something else, or not last */
	{ "add_8_across", VEC(ADD(8, P(MIDDLE - 4), NUMBER)), 0,
		{ { P(MIDDLE - 4), 8, PLUS, NUMBER } } },
	{ "store_across", VEC(STORE(4, P(4094), NUMBER)), 0, { { P(4094), 4, PUT, NUMBER } } },
	{ "add_unaligned", VEC(ADD(8, P(68), NUMBER)), 0, { { P(68), 8, PLUS, NUMBER } } },
	{ "copy_in_across", VEC(CPY(8, P(MIDDLE - 4), O(64))), 0,
		{ { P(MIDDLE - 4), 8, COPIED, O(64) } } },
	{ "copy_in_3", VEC(CPY(3, P(64), O(64))), 0, { { P(64), 3, COPIED, O(64) } } },
	{ "copy_in_4096_across", VEC(CPY(4096, P(MIDDLE - 2048), O(100))), 0,
		{ { P(MIDDLE - 2048), 4096, COPIED, O(100) } } },
	{ "copy_page_within", VEC(CPY(4096, P(MIDDLE), P(4096))), 0,
		{ { P(MIDDLE), 4096, COPIED, S(4096) } } },
	{ "two_stores", VEC(ADD(8, P(64), 1), ADD(8, P(MIDDLE + 64), 2)), 0,
		{ { P(64), 8, PLUS, 1 }, { P(MIDDLE + 64), 8, PLUS, 2 } } },
	{ "two_stores_one_word", VEC(ADD(8, P(64), 1), ADD(8, P(64), 2)), 0,
		{ { P(64), 8, PLUS, 3 } } },
	{ "store_elsewhere_then_store", VEC(ADD(8, O(64), 1), STORE(8, P(64), NUMBER)), 0,
		{ { O(64), 8, PLUS, 1 }, { P(64), 8, PUT, NUMBER } } },
	{ "store_then_store_elsewhere", VEC(STORE(8, P(64), NUMBER), CPY(8, O(64), P(64))), 0,
		{ { P(64), 8, PUT, NUMBER }, { O(64), 8, PUT, NUMBER } } },
	{ "compare_copy_publish", VEC(EQ_IMM(8, P(64), S(64)), CPY(100, P(4000), O(64)),
		CPY_REL(8, P(64), O(64))), 0,
		{ { P(4000), 100, COPIED, O(64) }, { P(64), 8, COPIED, O(64) } } },
	{ "store_before_a_compare_stays", VEC(ADD(8, P(64), 1), EQ(8, P(128), O(128)),
		ADD(8, P(MIDDLE + 64), 2)), 2, { { P(64), 8, PLUS, 1 } } },
	{ "each_page_written", VEC(ADD(8, P(8), 1), ADD(8, P(4096 + 8), 2),
		ADD(8, P(8192 + 8), 3), ADD(8, P(12288 + 8), 4)), 0,
		{ { P(8), 8, PLUS, 1 }, { P(4096 + 8), 8, PLUS, 2 },
		  { P(8192 + 8), 8, PLUS, 3 }, { P(12288 + 8), 8, PLUS, 4 } } },
};

/*
 * What may be done with them: the rule of the manual
 */
struct operand {
	uint64_t at;
	bool written;
};

static int operands(const struct cpu_op *op, struct operand o[2])
{
	o[0] = (struct operand){ op->u.compare_op.a, true };
	o[1] = (struct operand){ op->u.compare_op.b, false };
	switch (op->op) {
	case CPU_MB_OP:
		return 0;
	case CPU_COMPARE_EQ_OP:
	case CPU_COMPARE_NE_OP:
		o[0].written = false;
		return 2;
	case CPU_COMPARE_EQ_IMM_OP:
	case CPU_COMPARE_NE_IMM_OP:
		o[0].written = false;
		return 1;
	case CPU_MEMCPY_OP:
	case CPU_MEMCPY_RELEASE_OP:
		return 2;
	default:
		return 1;
	}
}

static bool is_store(const struct cpu_op *op)
{
	struct operand o[2];

	return operands(op, o) && o[0].written;
}

/* What the kernel, not this program, stores in one go. */
static uint32_t longest_word(void)
{
	struct utsname name;

	assert_int_equal(uname(&name), 0);
	return strstr(name.machine, "64") ? 8 : 4;
}

static bool is_single_store(const struct vector *v)
{
	const struct cpu_op *last = &v->ops[v->nr_ops - 1];
	unsigned int i;

	for (i = 0; i + 1 < v->nr_ops; i++) {
		if (is_store(&v->ops[i]))
			return false;
	}
	return is_store(last) && last->len <= longest_word() &&
	       !(last->len & (last->len - 1)) && !(last->u.compare_op.a % last->len);
}

/* What the vector does with each page of the place. */
static void find_uses(const struct vector *v, enum access use[PLACE_PAGES])
{
	enum access writes = is_single_store(v) ? STORES : PINS;
	struct operand o[2];
	uint32_t page;
	unsigned int i;
	int k;

	memset(use, 0, PLACE_PAGES * sizeof(*use));
	for (i = 0; i < v->nr_ops; i++) {
		for (k = operands(&v->ops[i], o) - 1; k >= 0; k--) {
			uint32_t at = (uint32_t)o[k].at, last = at + v->ops[i].len - 1;
			enum access a = o[k].written ? writes : READS;

			if (o[k].at >> 32 != PLACE)
				continue;
			for (page = at / PAGE; page <= last / PAGE; page++)
				use[page] = use[page] < a ? a : use[page];
		}
	}
}

static bool is_allowed(const struct kind *kind, const enum access use[PLACE_PAGES])
{
	int page;

	for (page = 0; page < PLACE_PAGES; page++) {
		if (use[page] > kind->access[page / (PLACE_PAGES / 2)])
			return false;
	}
	return true;
}

static bool pins(const enum access use[PLACE_PAGES])
{
	int page;

	for (page = 0; page < PLACE_PAGES; page++) {
		if (use[page] == PINS)
			return true;
	}
	return false;
}

/*
 * Memory
 */
struct image {
	uint8_t place[PLACE_SIZE], same[PLACE_SIZE], other[PLACE_SIZE];
};

static uint8_t same[PLACE_SIZE], other[PLACE_SIZE];

const uint8_t *place_contents(const struct kind *kind)
{
	static uint8_t pattern[PLACE_SIZE];
	static const uint8_t zeroes[PLACE_SIZE];
	unsigned int i;

	for (i = 0; i < PLACE_SIZE; i++)
		pattern[i] = (uint8_t)(i % 251);
	return kind->zero ? zeroes : pattern;
}

void fill_place(struct place *p)
{
	const uint8_t *contents = place_contents(p->kind);
	int half;

	for (half = 0; half < 2; half++) {
		uint8_t *at = p->at + half * MIDDLE;
		bool read_only = p->kind->access[half] == READS;

		if (p->kind->access[half] == NOTHING)
			continue;
		if (read_only)
			assert_int_equal(mprotect(at, MIDDLE, PROT_READ | PROT_WRITE), 0);
		memcpy(at, contents + half * MIDDLE, MIDDLE);
		if (read_only)
			assert_int_equal(mprotect(at, MIDDLE, PROT_READ), 0);
	}
}

static void prepare(struct place *p, struct image *before)
{
	unsigned int i;

	p->kind->prepare(p);
	memcpy(same, place_contents(p->kind), PLACE_SIZE);
	for (i = 0; i < PLACE_SIZE; i++)
		other[i] = (uint8_t)~same[i];
	memcpy(before->place, same, PLACE_SIZE);
	memcpy(before->same, same, PLACE_SIZE);
	memcpy(before->other, other, PLACE_SIZE);
}

static uint8_t *in_image(struct image *im, uint64_t symbol)
{
	uint8_t *memory[] = { [PLACE] = im->place, [SAME] = im->same, [OTHER] = im->other };

	return memory[symbol >> 32] + (uint32_t)symbol;
}

static uint64_t address(const struct place *p, uint64_t symbol)
{
	uint8_t *memory[] = { [PLACE] = p->at, [SAME] = same, [OTHER] = other };

	return (uintptr_t)(memory[symbol >> 32] + (uint32_t)symbol);
}

static void apply(struct image *im, const struct change *c)
{
	uint8_t *at = in_image(im, c->at);
	uint64_t word = 0;

	if (c->how == COPIED) {
		memmove(at, in_image(im, c->value), c->len);
		return;
	}
	memcpy(&word, at, c->len);
	switch (c->how) {
	case PLUS:	word += c->value; break;
	case OR:	word |= c->value; break;
	case AND:	word &= c->value; break;
	case XOR:	word ^= c->value; break;
	case LEFT:	word <<= c->value; break;
	case RIGHT:	word >>= c->value; break;
	default:	word = c->value; break;
	}
	memcpy(at, &word, c->len);
}

static void make_ops(const struct place *p, const struct vector *v, bool marked,
		     struct cpu_op *ops)
{
	struct operand o[2];
	unsigned int i;
	int k;

	memcpy(ops, v->ops, sizeof(v->ops));
	for (i = 0; i < v->nr_ops; i++) {
		int n = operands(&v->ops[i], o);

		for (k = 0; k < n; k++) {
			uint64_t real = address(p, o[k].at);

			memcpy(ops[i].u.padding + 8 * k, &real, sizeof(real));
			ops[i].u.padding[16 + k] = marked;
		}
		if (ops[i].op == CPU_COMPARE_EQ_IMM_OP || ops[i].op == CPU_COMPARE_NE_IMM_OP) {
			uint64_t from = address(p, o[1].at);

			ops[i].u.immediate_op.value = 0;
			memcpy(&ops[i].u.immediate_op.value, (void *)(uintptr_t)from, ops[i].len);
		}
	}
}

/*
 * Trying a vector
 */
struct trial {
	struct place *p;
	const struct vector *v;
	const struct target *target;
	bool marked;		/* every operand is expected to fault */
	enum access use[PLACE_PAGES];
	bool allowed;
};

static bool complain(const struct trial *t, const char *what, long got, long expected)
{
	print_error("# %s: %s for %s%s: %s is %ld, expected %ld\n", t->p->kind->name,
		    t->v->name, t->target->name, t->marked ? ", marked" : "", what, got, expected);
	return false;
}

static bool same_bytes(const struct trial *t, const char *what, const uint8_t *got,
		       const uint8_t *expected, unsigned int size)
{
	unsigned int i;
	char byte[48];

	if (!memcmp(got, expected, size))
		return true;
	for (i = 0; got[i] == expected[i]; i++)
		;
	snprintf(byte, sizeof(byte), "%s byte %u", what, i);
	return complain(t, byte, got[i], expected[i]);
}

static bool same_image(const struct trial *t, const struct image *expected)
{
	bool good = true;
	int half;

	for (half = 0; half < 2; half++) {
		if (t->p->kind->access[half] != NOTHING)
			good &= same_bytes(t, half ? "place, above," : "place, below,",
					   t->p->at + half * MIDDLE,
					   expected->place + half * MIDDLE, MIDDLE);
	}
	good &= same_bytes(t, "same", same, expected->same, PLACE_SIZE);
	good &= same_bytes(t, "other", other, expected->other, PLACE_SIZE);
	return good;
}

static bool state_before(const struct trial *t)
{
	const struct kind *kind = t->p->kind;
	int page;

	for (page = 0; kind->in_state && page < PLACE_PAGES; page++) {
		if (!kind->in_state(t->p, t->p->at + page * PAGE))
			return complain(t, "before it, state", 0, 1);
	}
	return true;
}

/* Where a comparison stopped the vector, what it would have written is left open. */
static bool state_after(const struct trial *t)
{
	const struct kind *kind = t->p->kind;
	int page;

	for (page = 0; kind->in_state && t->allowed && page < PLACE_PAGES; page++) {
		bool got = kind->in_state(t->p, t->p->at + page * PAGE), expected = true;
		enum access use = t->use[page];

		if (use == NOTHING && kind->kept == LOST)
			continue;
		if (use > READS && t->v->result && kind->kept != KEPT)
			continue;
		if ((kind->kept == KEPT_BY_READS && use > READS) || kind->kept == LOST)
			expected = false;
		if (got != expected)
			return complain(t, "after it, state", got, expected);
	}
	return true;
}

static bool right_result(struct trial *t, int result)
{
	int fault = t->marked ? -EAGAIN : -EFAULT;

	if (t->p->kind->may_be_refused && pins(t->use) && result == fault)
		t->allowed = false;
	if (result == (t->allowed ? t->v->result : fault))
		return true;
	return complain(t, "result", result, t->allowed ? t->v->result : fault);
}

static bool run_and_check(struct trial *t, struct image *expected)
{
	const struct kind *kind = t->p->kind;
	struct cpu_op ops[ARRAY_SIZE(t->v->ops)];
	bool good;
	size_t i;

	make_ops(t->p, t->v, t->marked, ops);
	good = right_result(t, cpu_opv(ops, t->v->nr_ops, t->target->cpu, 0));
	good &= state_after(t);
	for (i = 0; t->allowed && i < ARRAY_SIZE(t->v->changes) && t->v->changes[i].len; i++)
		apply(expected, &t->v->changes[i]);
	good &= same_image(t, expected);
	if (kind->check && !kind->check(t->p, expected->place))
		good = complain(t, "check of its kind", 0, 1);
	return good;
}

static bool run_in_child(struct trial *t, struct image *before)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(run_and_check(t, before) ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		return complain(t, "child's status", status, 0);
	return same_image(t, before);
}

static bool try_vector(struct place *p, const struct vector *v, const struct target *target,
		       bool marked)
{
	static struct image image;
	struct trial t = { .p = p, .v = v, .target = target, .marked = marked };

	find_uses(v, t.use);
	t.allowed = is_allowed(p->kind, t.use);
	prepare(p, &image);
	if (!state_before(&t))
		return false;
	return p->kind->in_child ? run_in_child(&t, &image) : run_and_check(&t, &image);
}

/* A vector that may not run is tried with its operands marked, too. */
static void try_vectors(const struct target *target, void *arg)
{
	struct place *p = arg;
	enum access use[PLACE_PAGES];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(vectors); i++) {
		p->failed += !try_vector(p, &vectors[i], target, false);
		find_uses(&vectors[i], use);
		if (!is_allowed(p->kind, use))
			p->failed += !try_vector(p, &vectors[i], target, true);
	}
}

void check_place(const struct kind *kind)
{
	struct place p = { .kind = kind, .fd = -1 };

	need_kernel();
	kind->map(&p);
	for_each_target(try_vectors, &p);
	kind->unmap(&p);
	if (p.failed)
		fail_msg("%u vectors", p.failed);
}

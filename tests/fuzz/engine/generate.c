// SPDX-License-Identifier: MIT
/*
 * Vectors, with a preference for those that nearly fail: operands at the end of a
 * page, comparisons that differ in one bit, lengths at a limit, addresses used twice.
 */
#include <limits.h>
#include <sched.h>
#include <string.h>

#include "fuzz.h"

/* The end of user addresses, or of those that mmap() takes without being asked to. */
#if defined(__x86_64__)
# define USER_END	UINT64_C(0x7ffffffff000)
#elif defined(__LP64__)
# define USER_END	(UINT64_C(1) << 48)
#else
# define USER_END	UINT64_C(0xffffe000)
#endif
#define LOWEST_MAPPED	4096U
/* Around the territory nothing is mapped, so these addresses need no folding. */
#define MARGIN		(256 * PAGE)

static const uint64_t strange_addresses[] = {
	0, 1, 8, 4088, USER_END - 8, USER_END - 1, USER_END, USER_END + PAGE - 4,
	UINT64_C(0x800000000000), UINT64_C(0x0100000000000000), UINT64_C(0x8000000000000000),
	UINT64_C(0xffff800000000000), UINT64_C(0xffff888000000000),
	UINT64_C(0xffffffff81000000), UINT64_C(0xffffffffff600000), UINT64_MAX - 4095,
	UINT64_MAX - 7, UINT64_MAX - 3, UINT64_MAX,
};

static const uint64_t strange_numbers[] = {
	0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff,
	0x80000000, 0xffffffff, UINT64_C(0x100000000), INT64_MAX,
	UINT64_C(0x8000000000000000), UINT64_MAX,
};

/* Can the range hold what the program has mapped? Then it knows nothing about it. */
static bool foreign(uint64_t addr, uint64_t len)
{
	uint64_t end = addr + len;

	if (end < addr || end <= LOWEST_MAPPED || end > USER_END)
		return false;
	return addr - (TERRITORY - MARGIN) > TERRITORY_SIZE + 2 * MARGIN - CPU_OP_DATA_LEN_MAX;
}

static uint64_t folded(uint64_t addr, uint64_t len)
{
	if (!len || len > CPU_OP_DATA_LEN_MAX)
		len = CPU_OP_DATA_LEN_MAX;
	return foreign(addr, len) ? TERRITORY + addr % TERRITORY_SIZE : addr;
}

/* Both fields of every operation: an executor that is wrong may take any for an address. */
void fold_addresses(struct call *call)
{
	unsigned int i;

	for (i = 0; i < CALL_OPS; i++) {
		const struct form *form = form_of(&call->ops[i]);
		struct args *args = args_of(&call->ops[i]);
		int k;

		for (k = 0; k < 2; k++) {
			if (!form || form->field[k] == ADDRESS)
				args->arg[k] = folded(args->arg[k], call->ops[i].len);
		}
	}
	if (call->placed)
		call->at = folded((uintptr_t)call->at, sizeof(call->ops));
}

/*
 * Fields
 */

/* Where operands of earlier operations lie: stores and loads then meet. */
static uint64_t earlier_address(const struct call *call, unsigned int i, struct random *r)
{
	const struct cpu_op *op = &call->ops[below(r, i)];
	uint64_t addr = const_args_of(op)->arg[below(r, 2)];

	if (addr - TERRITORY >= TERRITORY_SIZE)
		addr = const_args_of(op)->arg[0];
	if (chance(r, 1, 3))
		addr += below(r, 17) - 8;
	return addr;
}

static const struct arena *good_arena(struct random *r)
{
	unsigned int tries;

	for (tries = 0; tries < 8; tries++) {
		const struct arena *a = &layout.arenas[below(r, layout.nr_arenas)];

		if (user_may(TERRITORY + a->first * PAGE, 1, STORE_WORD) && a->kind != SECRET)
			return a;
	}
	return &layout.arenas[0];
}

static uint64_t address_in(const struct arena *a, uint32_t len, struct random *r)
{
	uint64_t start = TERRITORY + a->first * PAGE;
	uint64_t page = start + below(r, a->nr) * PAGE;

	switch (below(r, 8)) {
	case 0:		/* straddles the end of a page, or ends there */
		return page + PAGE - below(r, len + 1);
	case 1:		/* anywhere */
		return page + below(r, PAGE);
	case 2:		/* the end of the arena */
		return start + a->nr * PAGE - len;
	default:	/* few places, often met, far from the end of the arena if it is long */
		return start + below(r, 48) * (chance(r, 1, 4) ? 1 : 8);
	}
}

static uint64_t some_address(const struct call *call, unsigned int i, uint32_t len,
			     struct random *r)
{
	if (i && chance(r, 3, 10))
		return earlier_address(call, i, r);
	if (chance(r, 1, 60))
		return strange_addresses[below(r, ARRAY_SIZE(strange_addresses))];
	if (chance(r, 1, 80))
		return TERRITORY - PAGE + random64(r) % (TERRITORY_SIZE + PAGE);
	if (chance(r, 1, 16))
		return address_in(&layout.arenas[below(r, layout.nr_arenas)], len, r);
	return address_in(good_arena(r), len, r);
}

static uint64_t number(struct random *r)
{
	switch (below(r, 4)) {
	case 0:
		return strange_numbers[below(r, ARRAY_SIZE(strange_numbers))];
	case 1:
		return below(r, 256);
	case 2:
		return 0 - (uint64_t)below(r, 256);
	default:
		return random64(r);
	}
}

static uint32_t word_length(struct random *r)
{
	return 1U << below(r, 4);
}

static uint32_t length(struct random *r)
{
	static const uint32_t limits[] = { 7, 9, 15, 16, 17, 120, 121, 128, 129, 4095, 4096,
					   4097, 0 };

	switch (below(r, 16)) {
	case 0:
		return limits[below(r, ARRAY_SIZE(limits))];
	case 1:
		return 1 + below(r, 4096);
	case 2:
	case 3:
		return 1 + below(r, 200);
	case 4:
	case 5:
	case 6:
		return 1 + below(r, 16);
	default:
		return word_length(r);
	}
}

/*
 * Operations
 */

/* What a word holds now, or nearly. */
static uint64_t nearly(uint64_t addr, uint32_t len, struct random *r)
{
	uint64_t value = 0;

	if (!user_may(addr, len, READ))
		return number(r);
	memcpy(&value, shadow_at(addr), len);
	if (chance(r, 1, 4))
		value ^= UINT64_C(1) << below(r, 8 * len);
	if (len < 8 && chance(r, 1, 4))
		value |= random64(r) << (8 * len);
	return value;
}

/* Make the operands of a comparison equal in all bytes, or in all but the last. */
static void trim_to_prefix(struct cpu_op *op, struct random *r)
{
	struct args *args = args_of(op);
	uint32_t i;

	if (!user_may(args->arg[0], op->len, READ) || !user_may(args->arg[1], op->len, READ))
		return;
	for (i = 0; i < op->len; i++) {
		if (*shadow_at(args->arg[0] + i) != *shadow_at(args->arg[1] + i))
			break;
	}
	if (i < op->len)
		op->len = i + !(i && chance(r, 1, 2));
}

/* Move the source out of the destination; now and then only to its edge. */
static void part_operands(struct cpu_op *op, struct random *r)
{
	struct args *args = args_of(op);
	uint64_t distance = args->arg[1] - args->arg[0];

	if (distance >= op->len && 0 - distance >= op->len && !chance(r, 1, 8))
		return;
	distance = op->len - chance(r, 1, 12);
	args->arg[1] = args->arg[0] + (chance(r, 1, 2) ? distance : 0 - distance);
}

static void make_operands(struct call *call, unsigned int i, struct random *r)
{
	struct cpu_op *op = &call->ops[i];
	const struct form *form = form_of(op);
	struct args *args = args_of(op);
	int k;

	for (k = 0; k < 2; k++) {
		switch (form->field[k]) {
		case ADDRESS:
			args->arg[k] = some_address(call, i, op->len, r);
			if (form->aligned && !chance(r, 1, 40))
				args->arg[k] &= -(uint64_t)op->len;
			args->expect_fault[k] = chance(r, 1, 6);
			break;
		case NUMBER:
			args->arg[k] = form->compares ? nearly(args->arg[0], op->len, r) :
							number(r);
			break;
		case SHIFT:
			args->arg[k] = below(r, 8 * op->len + chance(r, 1, 20));
			break;
		default:
			break;
		}
	}
}

static void make_op(struct call *call, unsigned int i, struct random *r)
{
	struct cpu_op *op = &call->ops[i];
	const struct form *form;

	memset(op, 0, sizeof(*op));
	op->op = (int32_t)below(r, NR_CPU_OPS);
	form = form_of(op);
	if (op->op != CPU_MB_OP)
		op->len = form->word ? word_length(r) : length(r);
	make_operands(call, i, r);
	if (form->field[1] == ADDRESS && form->compares) {
		if (chance(r, 1, 8))
			args_of(op)->arg[1] = args_of(op)->arg[0];
		if (chance(r, 7, 8))
			trim_to_prefix(op, r);
	} else if (form->field[1] == ADDRESS) {
		part_operands(op, r);
	}
}

/*
 * The arguments of the call
 */

static int some_cpu(struct random *r)
{
	static const int strange[] = { -1, -2, INT_MIN, INT_MAX, 64, 4095, 4096, 8192, 65536 };
	int nr = rseq_op_nr_cpus();

	if (chance(r, 1, 3))
		return sched_getcpu();
	if (chance(r, 1, 40))
		return nr;
	if (chance(r, 1, 60))
		return strange[below(r, ARRAY_SIZE(strange))];
	return (int)below(r, (uint32_t)nr);
}

/* A question, with what it wants or nearly. */
static void make_query(struct call *call, struct random *r)
{
	call->flags = chance(r, 3, 4) ? 1 + below(r, 3) : 1U << below(r, 32);
	if (chance(r, 1, 8))
		return;
	call->placed = true;
	call->at = chance(r, 1, 8) ? TERRITORY : 0;
	call->nr_ops = chance(r, 1, 8);
	call->cpu = chance(r, 1, 8);
}

/* A vector in the territory may be cut off, and be stored to by itself. */
static void place(struct call *call, struct random *r)
{
	call->placed = true;
	call->at = some_address(call, 0, CPU_OP_VEC_LEN_MAX * sizeof(*call->ops), r);
	if (chance(r, 1, 2))
		call->at &= -UINT64_C(8);
}

static void make_arguments(struct call *call, struct random *r)
{
	call->cpu = some_cpu(r);
	call->flags = 0;
	call->placed = false;
	call->at = 0;
	call->high = chance(r, 1, 16) ? (uint32_t)random64(r) : 0;
	if (chance(r, 1, 24))
		place(call, r);
	if (chance(r, 1, 100))
		make_query(call, r);
}

/*
 * Whole calls
 */

static uint32_t vector_length(struct random *r)
{
	if (chance(r, 1, 50))
		return CPU_OP_VEC_LEN_MAX + below(r, 3) - 1;
	if (chance(r, 1, 100))
		return 0;
	return 1 + below(r, chance(r, 1, 8) ? CPU_OP_VEC_LEN_MAX : 5);
}

static void make(struct call *call, struct random *r)
{
	unsigned int i;

	memset(call, 0, sizeof(*call));
	call->nr_ops = vector_length(r);
	for (i = 0; i < call->nr_ops; i++)
		make_op(call, i, r);
	make_arguments(call, r);
}

/* Bring the sum of lengths to its limit, or one byte above. */
static void fill_up(struct call *call, struct random *r)
{
	unsigned int i, sum = 0;

	for (i = 0; i < call->nr_ops; i++)
		sum += call->ops[i].len;
	for (i = 0; i < call->nr_ops && sum < CPU_OP_VEC_DATA_LEN_MAX; i++) {
		uint32_t more = CPU_OP_VEC_DATA_LEN_MAX + chance(r, 1, 2) - sum;
		struct cpu_op *op = &call->ops[i];

		if (form_of(op) && (forms[op->op].word || op->op == CPU_MB_OP))
			continue;
		if (more > CPU_OP_DATA_LEN_MAX - op->len)
			more = CPU_OP_DATA_LEN_MAX - op->len;
		op->len += more;
		sum += more;
	}
}

static void mutate_field(struct call *call, struct random *r)
{
	unsigned int i = below(r, call->nr_ops);
	struct cpu_op *op = &call->ops[i];
	struct args *args = args_of(op);
	int k = (int)below(r, 2);

	switch (below(r, 8)) {
	case 0:
		op->op = (int32_t)below(r, NR_CPU_OPS + 2) - 1;
		break;
	case 1:
		op->len = chance(r, 1, 2) ? length(r) : op->len + below(r, 3) - 1;
		break;
	case 2:
		args->arg[k] += below(r, 17) - 8;
		break;
	case 3:
		args->arg[k] = chance(r, 1, 2) ? some_address(call, i, 8, r) : number(r);
		break;
	case 4:
		args->expect_fault[k] ^= 1;
		break;
	case 5:
		make_op(call, i, r);
		break;
	case 6:
		fill_up(call, r);
		break;
	default:
		args->arg[k] ^= PAGE << below(r, 4);
	}
}

static void flip_bit(struct call *call, struct random *r)
{
	uint8_t *bytes = (uint8_t *)call->ops;

	bytes[below(r, call->nr_ops * (uint32_t)sizeof(*call->ops))] ^= 1 << below(r, 8);
}

static void remove_op(struct call *call, struct random *r)
{
	unsigned int i = below(r, call->nr_ops);

	call->nr_ops--;
	memmove(&call->ops[i], &call->ops[i + 1], (call->nr_ops - i) * sizeof(*call->ops));
}

static void insert_op(struct call *call, const struct cpu_op *op, struct random *r)
{
	unsigned int i = below(r, call->nr_ops + 1);

	if (call->nr_ops >= CPU_OP_VEC_LEN_MAX + 1)
		return;
	memmove(&call->ops[i + 1], &call->ops[i], (call->nr_ops - i) * sizeof(*call->ops));
	call->ops[i] = *op;
	call->nr_ops++;
}

static void splice(struct call *call, const struct call *other, struct random *r)
{
	unsigned int n = 1 + below(r, 4);

	while (n-- && other->nr_ops)
		insert_op(call, &other->ops[below(r, other->nr_ops)], r);
}

static void mutate_once(struct call *call, const struct corpus *corpus, struct random *r)
{
	if (!call->nr_ops) {
		splice(call, &corpus->calls[below(r, corpus->nr)], r);
		return;
	}
	switch (below(r, 8)) {
	case 0:
		flip_bit(call, r);
		break;
	case 1:
		remove_op(call, r);
		break;
	case 2:
	case 3:
		splice(call, &corpus->calls[below(r, corpus->nr)], r);
		break;
	default:
		mutate_field(call, r);
	}
}

static void mutate(struct call *call, const struct corpus *corpus, struct random *r)
{
	unsigned int n = 1 + below(r, 3);

	*call = corpus->calls[below(r, corpus->nr)];
	if (chance(r, 1, 4))
		make_arguments(call, r);
	while (n--)
		mutate_once(call, corpus, r);
}

static uint8_t *random_op(struct call *call, struct random *r)
{
	bool used = call->nr_ops && call->nr_ops <= CALL_OPS && chance(r, 3, 4);

	return (uint8_t *)&call->ops[below(r, used ? call->nr_ops : CALL_OPS)];
}

/* Fields that the wrappers would never produce, in a vector that is right otherwise. */
static void make_nonsense(struct call *call, struct random *r)
{
	unsigned int n;

	make(call, r);
	for (n = 1 + below(r, 3); n; n--) {
		uint32_t value = (uint32_t)(chance(r, 1, 2) ? number(r) : random64(r));

		memcpy(random_op(call, r) + 4 * below(r, sizeof(struct cpu_op) / 4), &value,
		       sizeof(value));
	}
	if (chance(r, 1, 6))
		call->nr_ops = (uint32_t)number(r);
	if (chance(r, 1, 6))
		call->cpu = (int)number(r);
	if (chance(r, 1, 12))
		call->flags = (uint32_t)number(r);
	if (chance(r, 1, 4))
		place(call, r);
	if (chance(r, 1, 8)) {
		call->placed = true;
		call->at = number(r);
	}
	call->high = (uint32_t)random64(r);
}

static void make_bytes(struct call *call, struct random *r)
{
	size_t i;

	make_nonsense(call, r);
	for (i = 0; i < sizeof(call->ops); i += 8) {
		uint64_t word = random64(r);

		memcpy((uint8_t *)call->ops + i, &word, sizeof(word));
	}
}

static void generate_raw(struct call *call, struct random *r, const struct corpus *corpus)
{
	if (chance(r, 1, 8)) {
		make_bytes(call, r);
	} else if (chance(r, 3, 7) && corpus->nr) {
		mutate(call, corpus, r);
		flip_bit(call, r);
	} else {
		make_nonsense(call, r);
	}
}

static void generate_valid(struct call *call, struct random *r, const struct corpus *corpus)
{
	if (corpus->nr && chance(r, 2, 5))
		mutate(call, corpus, r);
	else
		make(call, r);
}

void generate(struct call *call, struct random *r, const struct corpus *corpus, bool raw)
{
	if (raw)
		generate_raw(call, r, corpus);
	else
		generate_valid(call, r, corpus);
	fold_addresses(call);
}

/* What ran to its end; when it is full, in place of another. */
void corpus_add(struct corpus *corpus, struct random *r, const struct call *call)
{
	unsigned int i = corpus->nr;

	if (call->nr_ops > CPU_OP_VEC_LEN_MAX)
		return;
	if (i == ARRAY_SIZE(corpus->calls))
		i = below(r, (uint32_t)i);
	else
		corpus->nr++;
	corpus->calls[i] = *call;
}

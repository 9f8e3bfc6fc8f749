// SPDX-License-Identifier: MIT
/*
 * What a vector means, on plain memory: the engine of the emulation, and the
 * oracle that the kernel is compared with.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* The operands of struct cpu_op as all operations lay them out. */
struct args {
	uint64_t arg[2];
	uint8_t expect_fault[2];
	uint8_t zero[6];
};

_Static_assert(sizeof(struct cpu_op) == 32 && offsetof(struct cpu_op, u) == 8,
	       "the layout of linux/cpu_opv.h");
_Static_assert(sizeof(struct args) == sizeof(((struct cpu_op *)0)->u), "and of its union");

/* NUMBER and BITS stand in the vector; of NONE every byte is zero. */
enum use { NONE, READ, WRITE, NUMBER, BITS };
enum length { ZERO, BYTES, WORD, ALIGNED_WORD };

struct kind {
	enum use use[2];
	enum length length;
	bool (*run)(const struct cpu_op *op);	/* false: stop here */
};

static const struct args *args(const struct cpu_op *op)
{
	return (const struct args *)(const void *)&op->u;
}

static void *pointer(const struct cpu_op *op, int k)
{
	return (void *)(uintptr_t)args(op)->arg[k];
}

/*
 * The operations
 */

/* The caller's words, whatever type they have there. */
typedef volatile uint8_t __attribute__((may_alias)) u8;
typedef volatile uint16_t __attribute__((may_alias)) u16;
typedef volatile uint32_t __attribute__((may_alias)) u32;
typedef volatile uint64_t __attribute__((may_alias, aligned(8))) u64;

static bool aligned(const void *p, uint32_t len)
{
	return !((uintptr_t)p & (len - 1));
}

union word {
	uint8_t b;
	uint16_t h;
	uint32_t w;
	uint64_t d;
};

/*
 * Load and store a word as a number, with one access if the word is naturally aligned. The
 * words have no order with other code, but other code may read them: so they are volatile, and
 * 8 bytes are an atomic access, since a 32-bit processor has no plain one. Of 3, 5, 6 and 7
 * bytes, which are no word, the number is good for nothing but comparing and storing.
 */
__attribute__((no_sanitize("thread")))
static uint64_t load(const void *p, uint32_t len)
{
	union word word = { .d = 0 };

	if (len == 8 && aligned(p, len))
		return __atomic_load_n((const u64 *)p, __ATOMIC_RELAXED);
	if (len == 4 && aligned(p, len))
		return *(const u32 *)p;
	if (len == 2 && aligned(p, len))
		return *(const u16 *)p;
	if (len == 1)
		return *(const u8 *)p;
	memcpy(&word, p, len);
	return len == 4 ? word.w : len == 2 ? word.h : word.d;
}

__attribute__((no_sanitize("thread")))
static void store(void *p, uint64_t number, uint32_t len)
{
	union word word = { .d = number };

	if (len == 8 && aligned(p, len)) {
		__atomic_store_n((u64 *)p, number, __ATOMIC_RELAXED);
	} else if (len == 4 && aligned(p, len)) {
		*(u32 *)p = (uint32_t)number;
	} else if (len == 2 && aligned(p, len)) {
		*(u16 *)p = (uint16_t)number;
	} else if (len == 1) {
		*(u8 *)p = (uint8_t)number;
	} else {
		if (len == 4)
			word.w = (uint32_t)number;
		if (len == 2)
			word.h = (uint16_t)number;
		memcpy(p, &word, len);
	}
}

static bool equal(const struct cpu_op *op)
{
	if (op->len > sizeof(union word))
		return !memcmp(pointer(op, 0), pointer(op, 1), op->len);
	return load(pointer(op, 0), op->len) == load(pointer(op, 1), op->len);
}

static bool compare_eq(const struct cpu_op *op)
{
	return equal(op);
}

static bool compare_ne(const struct cpu_op *op)
{
	return !equal(op);
}

static bool equal_number(const struct cpu_op *op)
{
	uint64_t differ = load(pointer(op, 0), op->len) ^ op->u.immediate_op.value;

	return !(differ << (64 - 8 * op->len));
}

static bool compare_eq_number(const struct cpu_op *op)
{
	return equal_number(op);
}

static bool compare_ne_number(const struct cpu_op *op)
{
	return !equal_number(op);
}

static bool copy(const struct cpu_op *op)
{
	if (op->len > sizeof(union word))
		memcpy(pointer(op, 0), pointer(op, 1), op->len);
	else
		store(pointer(op, 0), load(pointer(op, 1), op->len), op->len);
	return true;
}

static bool copy_release(const struct cpu_op *op)
{
	atomic_thread_fence(memory_order_release);
	return copy(op);
}

/* What a word becomes. */
static uint64_t modified(const struct cpu_op *op, uint64_t word)
{
	switch (op->op) {
	case CPU_OR_OP:
		return word | op->u.bitwise_op.mask;
	case CPU_AND_OP:
		return word & op->u.bitwise_op.mask;
	case CPU_XOR_OP:
		return word ^ op->u.bitwise_op.mask;
	case CPU_LSHIFT_OP:
		return word << op->u.shift_op.bits;
	case CPU_RSHIFT_OP:
		return word >> op->u.shift_op.bits;
	default:
		return word + (uint64_t)op->u.arithmetic_op.count;
	}
}

static bool modify(const struct cpu_op *op)
{
	uint64_t word = modified(op, load(pointer(op, 0), op->len));

	DELAY_POINT();
	store(pointer(op, 0), word, op->len);
	return true;
}

static bool modify_release(const struct cpu_op *op)
{
	atomic_thread_fence(memory_order_release);
	return modify(op);
}

static bool store_number(const struct cpu_op *op)
{
	store(pointer(op, 0), op->u.immediate_op.value, op->len);
	return true;
}

static bool store_number_release(const struct cpu_op *op)
{
	atomic_thread_fence(memory_order_release);
	return store_number(op);
}

static bool barrier(const struct cpu_op *op)
{
	(void)op;
	atomic_thread_fence(memory_order_seq_cst);
	return true;
}

static const struct kind kinds[NR_CPU_OPS] = {
	[CPU_COMPARE_EQ_OP]	= { { READ, READ }, BYTES, compare_eq },
	[CPU_COMPARE_NE_OP]	= { { READ, READ }, BYTES, compare_ne },
	[CPU_MEMCPY_OP]		= { { WRITE, READ }, BYTES, copy },
	[CPU_MEMCPY_RELEASE_OP]	= { { WRITE, READ }, ALIGNED_WORD, copy_release },
	[CPU_ADD_OP]		= { { WRITE, NUMBER }, WORD, modify },
	[CPU_ADD_RELEASE_OP]	= { { WRITE, NUMBER }, ALIGNED_WORD, modify_release },
	[CPU_OR_OP]		= { { WRITE, NUMBER }, WORD, modify },
	[CPU_AND_OP]		= { { WRITE, NUMBER }, WORD, modify },
	[CPU_XOR_OP]		= { { WRITE, NUMBER }, WORD, modify },
	[CPU_LSHIFT_OP]		= { { WRITE, BITS }, WORD, modify },
	[CPU_RSHIFT_OP]		= { { WRITE, BITS }, WORD, modify },
	[CPU_MB_OP]		= { { NONE, NONE }, ZERO, barrier },
	[CPU_COMPARE_EQ_IMM_OP]	= { { READ, NUMBER }, WORD, compare_eq_number },
	[CPU_COMPARE_NE_IMM_OP]	= { { READ, NUMBER }, WORD, compare_ne_number },
	[CPU_STORE_IMM_OP]	= { { WRITE, NUMBER }, WORD, store_number },
	[CPU_STORE_RELEASE_IMM_OP] = { { WRITE, NUMBER }, ALIGNED_WORD, store_number_release },
};

/*
 * Checking
 */

static bool length_valid(const struct cpu_op *op, enum length length)
{
	switch (length) {
	case ZERO:
		return !op->len;
	case BYTES:
		return op->len && op->len <= CPU_OP_DATA_LEN_MAX;
	default:
		return op->len && op->len <= 8 && !(op->len & (op->len - 1));
	}
}

static bool arg_valid(const struct cpu_op *op, const struct kind *kind, int k)
{
	switch (kind->use[k]) {
	case NONE:
		return !args(op)->arg[k] && !args(op)->expect_fault[k];
	case NUMBER:
		return !args(op)->expect_fault[k];
	case BITS:
		return op->u.shift_op.bits < 8 * op->len && !op->u.shift_op.zero_bits &&
		       !args(op)->expect_fault[k];
	default:
		if (kind->length == ALIGNED_WORD && args(op)->arg[k] & (op->len - 1))
			return false;
		return args(op)->expect_fault[k] <= 1;
	}
}

static bool overlap(uint64_t a, uint64_t b, uint32_t len)
{
	return a - b < len || b - a < len;
}

static bool op_valid(const struct cpu_op *op)
{
	static const uint8_t zero[sizeof(args(op)->zero)];
	const struct kind *kind;

	if (op->op < 0 || op->op >= NR_CPU_OPS)
		return false;
	kind = &kinds[op->op];
	if (!length_valid(op, kind->length) || !arg_valid(op, kind, 0) ||
	    !arg_valid(op, kind, 1) || memcmp(args(op)->zero, zero, sizeof(zero)))
		return false;
	return kind->use[0] != WRITE || kind->use[1] != READ ||
	       !overlap(args(op)->arg[0], args(op)->arg[1], op->len);
}

/* 0 or -EINVAL. No operand is touched. */
int interp_check(const struct cpu_op *ops, unsigned int nr_ops)
{
	uint32_t len = 0;
	unsigned int i;

	if (nr_ops > CPU_OP_VEC_LEN_MAX)
		return -EINVAL;
	for (i = 0; i < nr_ops; i++) {
		if (!op_valid(&ops[i]))
			return -EINVAL;
		len += ops[i].len;
	}
	return len <= CPU_OP_VEC_DATA_LEN_MAX ? 0 : -EINVAL;
}

/*
 * Call fn for every operand in memory, until it fails. Returns what fn returned; -EAGAIN in place of
 * -EFAULT, if the vector expects this operand to be inaccessible.
 */
int interp_for_each_operand(const struct cpu_op *ops, unsigned int nr_ops, operand_fn fn)
{
	unsigned int i;
	int k, ret;

	for (i = 0; i < nr_ops; i++) {
		const struct kind *kind = &kinds[ops[i].op];

		for (k = 0; k < 2; k++) {
			bool expected = args(&ops[i])->expect_fault[k];

			if (kind->use[k] != READ && kind->use[k] != WRITE)
				continue;
			ret = fn(args(&ops[i])->arg[k], ops[i].len,
				 kind->use[k] == WRITE ? ACCESS_WRITE : ACCESS_READ, expected);
			if (ret)
				return ret == -EFAULT && expected ? -EAGAIN : ret;
		}
	}
	return 0;
}

/* Run a vector that has been checked: 0, or i + 1. */
int interp_run(const struct cpu_op *ops, unsigned int nr_ops)
{
	unsigned int i;

	for (i = 0; i < nr_ops; i++) {
		DELAY_POINT();
		if (!kinds[ops[i].op].run(&ops[i]))
			return (int)i + 1;
	}
	return 0;
}

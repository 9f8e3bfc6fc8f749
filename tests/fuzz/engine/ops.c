// SPDX-License-Identifier: MIT
#include "fuzz.h"

_Static_assert(sizeof(struct args) == sizeof(((struct cpu_op *)0)->u),
	       "the layout of linux/cpu_opv.h");

#define TWO(first, second)	{ ADDRESS, ADDRESS }, { first, second }
#define ONE(kind, second)	{ ADDRESS, kind }, { "p", second }

const struct form forms[NR_CPU_OPS] = {
	[CPU_COMPARE_EQ_OP]	= { "eq", TWO("a", "b"), .compares = true },
	[CPU_COMPARE_NE_OP]	= { "ne", TWO("a", "b"), .compares = true },
	[CPU_MEMCPY_OP]		= { "copy", TWO("dst", "src"), .stores = true },
	[CPU_MEMCPY_RELEASE_OP]	= { "copy_release", TWO("dst", "src"), .word = true,
				    .aligned = true, .stores = true },
	[CPU_ADD_OP]		= { "add", ONE(NUMBER, "count"), .word = true, .stores = true },
	[CPU_ADD_RELEASE_OP]	= { "add_release", ONE(NUMBER, "count"), .word = true,
				    .aligned = true, .stores = true },
	[CPU_OR_OP]		= { "or", ONE(NUMBER, "mask"), .word = true, .stores = true },
	[CPU_AND_OP]		= { "and", ONE(NUMBER, "mask"), .word = true, .stores = true },
	[CPU_XOR_OP]		= { "xor", ONE(NUMBER, "mask"), .word = true, .stores = true },
	[CPU_LSHIFT_OP]		= { "lshift", ONE(SHIFT, "bits"), .word = true,
				    .stores = true },
	[CPU_RSHIFT_OP]		= { "rshift", ONE(SHIFT, "bits"), .word = true,
				    .stores = true },
	[CPU_MB_OP]		= { .name = "mb" },
	[CPU_COMPARE_EQ_IMM_OP]	= { "eq_imm", ONE(NUMBER, "value"), .word = true,
				    .compares = true },
	[CPU_COMPARE_NE_IMM_OP]	= { "ne_imm", ONE(NUMBER, "value"), .word = true,
				    .compares = true },
	[CPU_STORE_IMM_OP]	= { "store_imm", ONE(NUMBER, "value"), .word = true,
				    .stores = true },
	[CPU_STORE_RELEASE_IMM_OP] = { "store_release_imm", ONE(NUMBER, "value"), .word = true,
				       .aligned = true, .stores = true },
};

const struct form *form_of(const struct cpu_op *op)
{
	return op->op >= 0 && op->op < NR_CPU_OPS ? &forms[op->op] : NULL;
}

struct args *args_of(struct cpu_op *op)
{
	return (struct args *)(void *)&op->u;
}

const struct args *const_args_of(const struct cpu_op *op)
{
	return (const struct args *)(const void *)&op->u;
}

/* SPDX-License-Identifier: MIT */
#ifndef VECTORS_H
#define VECTORS_H

#include "test.h"

/*
 * Vectors and what they do, to be tried by whoever runs vectors.
 *
 * They work on vector_memory, which holds byte i at i (modulo 251) before each;
 * what is not listed as changed is unchanged afterwards.
 */
#define VECTOR_MEMORY	(4 * 4096)

struct vector_change {
	unsigned int at;
	unsigned int len;	/* 0 ends the list */
	uint64_t value;		/* of more than 8 bytes: where they were copied from */
};

struct vector_case {
	const char *name;
	struct cpu_op ops[CPU_OP_VEC_LEN_MAX + 1];
	unsigned int nr_ops;
	int result;		/* of rseq_op() */
	struct vector_change changes[4];
	struct {
		unsigned int to, from, len;
	} copied;		/* what the vector copies, where that is long */
};

extern uint8_t vector_memory[VECTOR_MEMORY];
extern const struct vector_case vector_cases[];
extern const size_t nr_vector_cases;

/*
 * Run each of them for that CPU, but those that end in a result that is not to be tried
 * (0: try all); fail at the first difference, after reporting all.
 */
typedef int (*vector_fn)(const struct cpu_op *ops, unsigned int nr_ops, int cpu,
			 unsigned int flags);
void check_vectors(vector_fn run, int cpu, int but);

/* For each operation: a bit that it does not use is set, which is -EINVAL. */
void check_unused_bits(vector_fn run, int cpu);

/* For each operand in memory: it is not accessible, which is -EFAULT, or -EAGAIN if expected. */
void check_inaccessible_operands(vector_fn run, int cpu);

/*
 * A vector that stores to its own second operation runs as it was when the call began: the
 * caller's copy is read once. Fails the test otherwise.
 */
void check_vector_changes_itself(vector_fn run, int cpu);

#endif /* VECTORS_H */

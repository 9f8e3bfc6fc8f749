// SPDX-License-Identifier: MIT
/* A plugin with an operation in it, for tests/unit/unload.c. */
#include <rseq_op/rseq_op.h>

int plugin_add(intptr_t *words);

/* To the word of this CPU. */
int plugin_add(intptr_t *words)
{
	int cpu = rseq_op_current_cpu();

	return rseq_op_addv(&words[cpu], 1, cpu);
}

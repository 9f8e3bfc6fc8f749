// SPDX-License-Identifier: MIT
/* A program that uses what is installed: a sequence, a vector, memory of a pool. Also C++. */
#include <errno.h>
#include <stdio.h>
#include <rseq_op/pool.h>
#include <rseq_op/rseq_op.h>

static intptr_t counter[RSEQ_OP_CPU_MAX][8];

int main(void)
{
	intptr_t sum = 0;
	int i;

	for (i = 0; i < 1000; i++) {
		int cpu = i % 10 ? rseq_op_current_cpu() : 0;

		if (rseq_op_addv(&counter[cpu][0], 1, cpu))
			return 1;
	}
	for (i = 0; i < rseq_op_nr_cpus(); i++)
		sum += counter[i][0];
	if (rseq_op(NULL, 0, rseq_op_nr_cpus(), 0) != -EINVAL)
		return 2;
	struct rseq_op_pool *pool;
	void *item = NULL;

	if (rseq_op_pool_create(&pool, sizeof(intptr_t), 0) || rseq_op_pool_alloc(pool, &item))
		return 3;
	printf("%ld\n", (long)sum);
	return sum != 1000;
}

// SPDX-License-Identifier: MIT
/* A program that is not linked with the library, and loads it, twice. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <linux/cpu_opv.h>

typedef int (*vector_fn)(const struct cpu_op *ops, unsigned int nr_ops, int cpu, unsigned int flags);

static vector_fn vector_of(void *library)
{
	void *symbol = dlsym(library, "rseq_op");
	vector_fn fn;

	memcpy(&fn, &symbol, sizeof(fn));
	return fn;
}

int main(void)
{
	int64_t word = 0;
	struct cpu_op add = {
		.op = CPU_ADD_OP, .len = sizeof(word),
		.u.arithmetic_op = { .p = (uintptr_t)&word, .count = 500 },
	};
	void *library;
	int i;

	for (i = 0; i < 2; i++) {
		library = dlopen("librseq_op.so.0", RTLD_NOW | RTLD_LOCAL);
		if (!library || !vector_of(library) || vector_of(library)(&add, 1, 0, 0))
			return 1;
		dlclose(library);
	}
	printf("%ld\n", (long)word);
	return 0;
}

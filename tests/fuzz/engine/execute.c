// SPDX-License-Identifier: MIT
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rseq_op/cpu_op.h>

#include "fuzz.h"

const char *const executor_names[NR_EXECUTORS] = {
	[EXECUTOR_KERNEL]	= "kernel",
	[EXECUTOR_EMULATION]	= "emulation",
	[EXECUTOR_LIBRARY]	= "library",
};

/* The end of a page with nothing behind it: who reads too much faults. */
static uint8_t *own_end;
static struct cpu_op own_copy[CALL_OPS];
static uint8_t *own_at;
static size_t own_size;

void execute_init(void)
{
	uint8_t *pages;

	if (own_end)
		return;
	pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED || mprotect(pages + PAGE, PAGE, PROT_NONE)) {
		perror("mmap of the vector");
		exit(2);
	}
	own_end = pages + PAGE;
}

static long raw_call(uint64_t at, uint64_t nr_ops, uint64_t cpu, uint64_t flags)
{
	long ret = syscall(__NR_cpu_opv, (long)at, (long)nr_ops, (long)cpu, (long)flags);

	return ret < 0 ? -errno : ret;
}

bool have_kernel(void)
{
	return raw_call(0, 0, 0, CPU_OP_NR_FLAG) != -ENOSYS;
}

/* The library, by whichever backend; it has the rules of that. */
enum rules executor_rules(enum executor executor)
{
	const char *why;

	if (executor == EXECUTOR_KERNEL)
		return KERNEL_RULES;
	return rseq_op_backend(&why) == RSEQ_OP_BACKEND_KERNEL ? KERNEL_RULES : USER_RULES;
}

uint64_t execute_place(const struct call *call, bool aligned)
{
	uint64_t size = (call->nr_ops < CALL_OPS ? call->nr_ops : CALL_OPS) * sizeof(*call->ops);

	own_size = 0;
	own_at = own_end;
	if (call->placed) {
		if (user_may(call->at, size, STORE_WORD))
			layout_write(call->at, call->ops, size);
		return call->at;
	}
	own_size = size;
	own_at = own_end - size - !aligned;
	memcpy(own_copy, call->ops, size);
	memcpy(own_at, call->ops, size);
	return (uintptr_t)own_at;
}

bool execute_vector_same(void)
{
	return !memcmp(own_at, own_copy, own_size);
}

/*
 * Lies: what a wrong executor might do to the last store of a vector that ran.
 */

static uint64_t last_store(const struct call *call)
{
	uint64_t addr = 0;
	unsigned int i;

	for (i = 0; i < call->nr_ops && i < CALL_OPS; i++) {
		const struct form *form = form_of(&call->ops[i]);

		if (form && form->stores)
			addr = const_args_of(&call->ops[i])->arg[0];
	}
	return addr;
}

static int told(int result, const struct call *call, enum lie lie)
{
	uint64_t addr = last_store(call);

	if (lie == LIE_RESULT && result > 0)
		return result - 1;
	if (lie == LIE_ERRNO && result == -EAGAIN)
		return -EFAULT;
	if (lie == LIE_BYTE && !result && addr && user_may(addr, 1, STORE_ANY))
		*(uint8_t *)(uintptr_t)addr ^= 0x10;
	if (lie == LIE_NEIGHBOUR && !result && addr && user_may(addr - 1, 1, STORE_ANY))
		((uint8_t *)(uintptr_t)addr)[-1] ^= 1;
	return result;
}

int execute(enum executor executor, const struct call *call, uint64_t at, enum lie lie)
{
	uint64_t high = (uint64_t)call->high << 32;
	int ret;

	if (executor == EXECUTOR_KERNEL)
		ret = (int)raw_call(at, high | call->nr_ops, high | (uint32_t)call->cpu,
				    high | call->flags);
	else
		ret = rseq_op((const struct cpu_op *)(uintptr_t)at, call->nr_ops, call->cpu,
			      call->flags);
	return told(ret, call, lie);
}

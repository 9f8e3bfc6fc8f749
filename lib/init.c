// SPDX-License-Identifier: MIT
/*
 * When the library finds out which system calls the kernel has.
 *
 * Until the library knows that, no CPU is open to sequences: see guard.c. The library asks the
 * kernel when it is loaded, if the program has been started by the dynamic linker and has no
 * seccomp filter. If the process has a single thread then, the library also registers it with
 * membarrier(2): with several threads the registration waits for a grace period of RCU, some 10 ms.
 *
 * Otherwise a filter might kill the process for such a system call, so the library makes none when
 * it is loaded. The first operation finds the tag of its CPU UNOPENED, enters the slow path
 * (slow.c), and asks the kernel there.
 */
#include "internal.h"

static _Atomic bool ready;

/*
 * Several threads and signal handlers may run this at the same time. Each step either can be
 * repeated without harm, or ends with a compare-and-swap, of which the first one counts.
 */
static void make_ready(void)
{
	cpus_init();
	fence_init();
	rseq_missing();		/* keeps the answer for the first operation of each thread */
	if (probe_single_threaded())
		fence_register();
	incarnation();		/* asks for madvise(2) */
	if (fence_method() != FENCE_NOTHING)
		guard_open_all();
	/* Pairs with the acquire in library_ready(): a thread that loads true sees the above. */
	atomic_store_explicit(&ready, true, memory_order_release);
}

void library_ready(void)
{
	if (!__builtin_expect(atomic_load_explicit(&ready, memory_order_acquire), true))
		make_ready();
}

int rseq_op_cpu_possible(int cpu)
{
	library_ready();
	return cpus_possible(cpu);
}

int rseq_op_nr_cpus(void)
{
	library_ready();
	return rseq_op_cpus;
}

/*
 * 101 is the first priority that is not reserved. So load() runs before the constructors of a
 * statically linked program, which may then use operations.
 */
__attribute__((constructor(101)))
static void load(void)
{
	config_init();
	registration_init();
	guard_init();
	if (probe_allowed_at_load())
		make_ready();
}

// SPDX-License-Identifier: MIT
/*
 * When the library asks the kernel what it offers.
 *
 * Until that is known, no CPU is open to sequences: see guard.c. Where the process has no
 * seccomp filter when the library is loaded, it is asked right then, and the process registers
 * with membarrier(2) while it has a single thread: later, registration waits for a grace period
 * of RCU, some 10 ms. Otherwise a filter might kill the process for a question, so nothing is asked
 * at load. The first operation finds its CPU closed, enters the slow path, and asks there.
 */
#include "incarnation.h"
#include "internal.h"

static _Atomic bool ready;

/*
 * Threads and signal handlers may be in here at the same time. Each step either does what
 * another has done once more, or is decided by a compare-and-swap.
 */
static void make_ready(void)
{
	cpus_init();
	fence_init();
	if (probe_single_threaded())
		fence_register();
	rseq_op_incarnation();		/* which asks as well */
	guard_open_all();
	/* Pairs with the load in library_ready(): a thread that sees true sees all of the above. */
	atomic_store_explicit(&ready, true, memory_order_release);
}

void library_ready(void)
{
	if (!__builtin_expect(atomic_load_explicit(&ready, memory_order_acquire), true))
		make_ready();
}

/*
 * The priority is the first that is not reserved, so that constructors of a statically linked
 * program may use operations.
 */
__attribute__((constructor(101)))
static void load(void)
{
	config_init();
	area_init();
	guard_init();
	if (probe_allowed_at_load())
		make_ready();
}

// SPDX-License-Identifier: MIT
/*
 * Objects with sequences, a plugin for example, must not be unmapped:
 *
 *	thread					another
 *	rseq_cs: a descriptor in the plugin
 *	sequence, commit; leaves the plugin
 *	sleeps
 *						dlclose(): the plugin is unmapped
 *	wakes up: the kernel reads the descriptor: SIGSEGV
 *
 * A sequence leaves rseq_cs as it is, which saves a store in each; the kernel clears it
 * when the thread returns to user space after it was preempted, and has to read the
 * descriptor for that. No fence helps: it makes threads do so on their next return, and
 * waits for none. Nobody knows where rseq_cs of the other threads is, to clear it there.
 */
#include <dlfcn.h>
#include <errno.h>

#include "internal.h"

/* A static program does not have it, and has nothing that could be unloaded. */
#pragma weak dlopen

void rseq_op_keep_loaded(const void *object)
{
	const char *name = module_loader_name(object);
	int saved = errno;

	if (dlopen && name)
		dlopen(name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
	errno = saved;
}

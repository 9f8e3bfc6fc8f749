// SPDX-License-Identifier: MIT
/*
 * The signal mask of the calling thread, by the system call itself: it also blocks the signals
 * that libc keeps for its own use, and leaves errno alone.
 */
#include <signal.h>

#include "internal.h"

void block_signals(uint64_t *old)
{
	const uint64_t all = ~UINT64_C(0);

	raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, (long)old, sizeof(*old), 0, 0);
}

void restore_signals(const uint64_t *old)
{
	raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)old, 0, sizeof(*old), 0, 0);
}

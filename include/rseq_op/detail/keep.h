/* SPDX-License-Identifier: MIT */
/*
 * The object that this is compiled into, if that may be a shared one, is never unloaded;
 * not an interface. An executable, position-independent or not, stays anyhow.
 */
#if defined(__PIC__) && !defined(__PIE__)

/* One in each object, of all its files. */
__attribute__((weak, visibility("hidden"))) char rseq_op_kept;

__attribute__((constructor)) static void rseq_op_keep_this(void)
{
	if (!rseq_op_kept)
		rseq_op_keep_loaded(&rseq_op_kept);
	rseq_op_kept = 1;
}

#endif

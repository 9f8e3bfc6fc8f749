/* SPDX-License-Identifier: MIT */
#ifndef DELAYS_H
#define DELAYS_H

/*
 * For "make check-all PART=delays", included before all else: whoever is between two steps stays there
 * for longer, so that others come upon it more often. Between the steps of a sequence, for
 * about a microsecond; between those of the slow path, for a while drawn at random.
 */
#ifdef __aarch64__
# define RSEQ_OP_ASM_DELAY	".rept 512\n\tyield\n\t.endr\n\t"
#else
# define RSEQ_OP_ASM_DELAY	".rept 64\n\tpause\n\t.endr\n\t"
#endif

void delay_point(void);
#define DELAY_POINT()	delay_point()

#endif /* DELAYS_H */

// SPDX-License-Identifier: MIT
/*
 * Vectors of the caller's own making.
 */
#include <errno.h>

#include "slow.h"

/* Where every operation takes the backend, even a bad vector or operand is an error. */
static bool sequences(void)
{
	return config.force_fallback != 1;
}

/*
 * An invalid vector is never worth a try elsewhere. (Not inline: the copy would be on the stack
 * of rseq_op() for every vector.)
 */
static __attribute__((noinline)) int not_tried(const struct cpu_op *ops, unsigned int nr_ops)
{
	struct cpu_op copy[CPU_OP_VEC_LEN_MAX];
	int ret = emulation_fetch(copy, ops, nr_ops);

	if (!ret)
		ret = interp_check(copy, nr_ops);
	return ret ? ret : -EAGAIN;
}

int rseq_op(const struct cpu_op *ops, unsigned int nr_ops, int cpu, unsigned int flags)
{
	const struct place at = { BY_CPU, cpu };
	struct step steps[CPU_OP_VEC_LEN_MAX];
	struct program p;
	struct slow s;

	library_ready();
	if (flags & ~RSEQ_OP_TRY || !cpus_possible(cpu))
		return -EINVAL;
	if (!sequences() || !program_of_vector(&p, steps, ops, nr_ops)) {
		if (flags & RSEQ_OP_TRY)
			return not_tried(ops, nr_ops);
		s = (struct slow){ .at = at, .site = CALL_SITE, .reason = COUNT_VECTOR };
		return slow_backend(&s, ops, nr_ops, false);
	}
	s = slow_begin(at, program_attempt(&p, at, rseq_op_tags()), CALL_SITE);
	slow_try(&s, &p);
	if (s.outcome < 0 && flags & RSEQ_OP_TRY) {
		if (slow_reopen(&s))
			s.outcome = program_attempt(&p, at, s.tags);
		return s.outcome < 0 ? -EAGAIN : s.outcome;
	}
	slow_try_by_lease(&s, &p, ops, nr_ops, NULL, NULL);
	return slow_end(&s, ops, nr_ops);
}

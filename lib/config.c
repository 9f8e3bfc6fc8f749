// SPDX-License-Identifier: MIT
/*
 * What the environment asks for. A value that makes no sense is ignored: a
 * library has nobody to complain to.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct config config = { .max_aborts = 3 };

static unsigned int env_number(const char *name, unsigned int least, unsigned int otherwise)
{
	const char *s = secure_getenv(name);
	uint64_t n = 0;

	if (!s || !*s)
		return otherwise;
	for (; *s >= '0' && *s <= '9' && n <= UINT_MAX; s++)
		n = 10 * n + (uint64_t)(*s - '0');
	return *s || n < least || n > UINT_MAX ? otherwise : (unsigned int)n;
}

const char *rseq_op_backend_name(enum rseq_op_backend backend)
{
	static const char *const names[] = {
		[RSEQ_OP_BACKEND_NONE] = "none",
		[RSEQ_OP_BACKEND_KERNEL] = "kernel",
		[RSEQ_OP_BACKEND_MEMBARRIER] = "membarrier",
		[RSEQ_OP_BACKEND_AFFINITY] = "affinity",
		[RSEQ_OP_BACKEND_GUARD] = "guard",
	};

	return names[(unsigned int)backend < ARRAY_SIZE(names) ? backend : RSEQ_OP_BACKEND_NONE];
}

static enum rseq_op_backend env_backend(void)
{
	const char *s = secure_getenv("RSEQ_OP_BACKEND");
	enum rseq_op_backend b;

	for (b = RSEQ_OP_BACKEND_KERNEL; s && b <= RSEQ_OP_BACKEND_GUARD; b++) {
		if (!strcmp(s, rseq_op_backend_name(b)))
			return b;
	}
	return RSEQ_OP_BACKEND_NONE;
}

void config_init(void)
{
	config.max_aborts = env_number("RSEQ_OP_MAX_ABORTS", 1, config.max_aborts);
	config.force_fallback = env_number("RSEQ_OP_FORCE_FALLBACK", 0, 0);
	config.backend = env_backend();
	config.report = env_number("RSEQ_OP_REPORT", 0, 0) == 1;
	config.sites = env_number("RSEQ_OP_SITES", 0, 0) == 1;
}

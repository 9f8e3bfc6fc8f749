// SPDX-License-Identifier: MIT
/*
 * The checks, one after the other.
 */
#include <stdio.h>

#include "output.h"
#include "rseq-op.h"

static const struct {
	const char *name;
	struct check (*run)(void);
} checks[] = {
	{ "preemption", check_preemption },
	{ "migration", check_migration },
	{ "signal", check_signal },
	{ "fence", check_fence },
	{ "single_step", check_single_step },
};

static const char *const results[] = {
	[CHECK_OK] = "ok", [CHECK_FAILED] = "FAILED", [CHECK_SKIPPED] = "skipped",
};

static const struct column columns[] = {
	{ "check", -12 }, { "result", -8 }, { "detail", 0 }, { NULL, 0 }
};

int selftest(const struct options *options)
{
	int count[ARRAY_SIZE(results)] = { 0 };
	size_t i;

	(void)options;
	table_begin("checks", columns);
	for (i = 0; i < ARRAY_SIZE(checks) && cpus_nr_allowed(); i++) {
		struct check c = checks[i].run();

		count[c.result]++;
		row_begin();
		emit_text("check", checks[i].name);
		emit_text("result", results[c.result]);
		emit_text("detail", c.detail);
		row_end();
	}
	table_end();
	for (i = 0; i < ARRAY_SIZE(results); i++)
		emit_number(i == CHECK_FAILED ? "failed" : results[i], count[i]);
	if (count[CHECK_FAILED])
		return EXIT_BAD;
	return count[CHECK_OK] ? EXIT_OK : EXIT_UNCHECKED;
}

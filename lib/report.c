// SPDX-License-Identifier: MIT
/*
 * With RSEQ_OP_REPORT=1: a line at the end of the process that says what has not been done
 * by a sequence; and one for each of the call sites that have most of it, if they were
 * counted. The only thing that the library ever prints.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

#define TOP_SITES	10

static uint64_t fallbacks(const struct rseq_op_stats *s)
{
	return s->aborted + s->remote + s->closed + s->unregistered + s->forced + s->vector;
}

/*
 * Written at once, so that those of several processes do not mix. Where there is no
 * standard error nobody reads it.
 */
static void write_line(const char *what, const struct rseq_op_stats *s)
{
	char line[sizeof(struct module) + 400];
	int n = snprintf(line, sizeof(line), "rseq_op[%d]: %s; by it: aborted %llu, "
			 "remote %llu, closed %llu, unregistered %llu, forced %llu, vector %llu; "
			 "aborts %llu\n", (int)getpid(), what,
			 (unsigned long long)s->aborted, (unsigned long long)s->remote,
			 (unsigned long long)s->closed, (unsigned long long)s->unregistered,
			 (unsigned long long)s->forced, (unsigned long long)s->vector,
			 (unsigned long long)s->aborts);

	if (n > 0)
		raw_syscall(SYS_write, STDERR_FILENO, (long)line, n, 0, 0, 0);
}

static void report_process(void)
{
	struct rseq_op_stats s;
	char what[40];

	rseq_op_stats(&s, sizeof(s));
	snprintf(what, sizeof(what), "backend %s", rseq_op_backend_name(rseq_op_backend(NULL)));
	write_line(what, &s);
}

static int most_first(const void *a, const void *b)
{
	const struct rseq_op_stats *s = &((const struct rseq_op_site *)a)->stats;
	const struct rseq_op_stats *t = &((const struct rseq_op_site *)b)->stats;
	uint64_t m = fallbacks(s), n = fallbacks(t);

	return m != n ? (m < n) - (m > n) : (s->aborts < t->aborts) - (s->aborts > t->aborts);
}

/* As addr2line -e wants it. */
static void report_site(const struct rseq_op_site *site)
{
	char what[sizeof(struct module) + 40];
	struct module m;

	module_of(site->address, &m);
	if (site->address)
		snprintf(what, sizeof(what), "site %s 0x%lx", *m.name ? m.name : "?",
			 (unsigned long)m.address);
	else
		snprintf(what, sizeof(what), "other sites");
	write_line(what, &site->stats);
}

static void report_sites(void)
{
	static struct rseq_op_site sites[NR_SITES + 1];
	int i, n = rseq_op_sites(sites, ARRAY_SIZE(sites), sizeof(sites[0]));

	qsort(sites, n, sizeof(sites[0]), most_first);
	for (i = 0; i < n && i < TOP_SITES; i++)
		report_site(&sites[i]);
}

__attribute__((destructor(101)))
static void report(void)
{
	if (!config.report)
		return;
	report_process();
	report_sites();
}

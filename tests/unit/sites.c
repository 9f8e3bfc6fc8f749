// SPDX-License-Identifier: MIT
/*
 * The counters of call sites: who is counted, for which reason, and what does not fit. The
 * table is the process's and starts empty, so each case is a process: this program, started
 * with the case's name and environment. Where a call is in the program, the section tells
 * that its function stands in.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rseq_op/sites.h>

#include "test.h"

#define ROOM	128	/* sites that the library has room for */

static intptr_t word;
static struct rseq_op_site sites[2 * ROOM];

#define TIMES4(x)	x x x x
#define TIMES64(x)	TIMES4(TIMES4(TIMES4(x)))

#define RSEQ_OP_TEMPLATE "site-cases.h"
#include <rseq_op/detail/variants.h>

extern const char __start_typed_sites[], __stop_typed_sites[];
extern const char __start_calls_a[], __stop_calls_a[], __start_calls_b[], __stop_calls_b[];

/* Sections named as C identifiers have these symbols. */
#define IN(section, p)	((const char *)(p) >= __start_##section && \
			 (const char *)(p) < __stop_##section)

__attribute__((noinline, section("calls_a")))
static int site_a(int cpu)
{
	int ret = rseq_op_addv(&word, 1, cpu);

	word += !!ret;		/* no jump */
	return ret;
}

__attribute__((noinline, section("calls_b")))
static int site_b(int cpu)
{
	const struct cpu_op add = cpu_op_add(&word, sizeof(word), 1), adds[] = { add, add };
	int ret = rseq_op(adds, 2, cpu, 0);

	word += !!ret;
	return ret;
}

static int read_sites(void)
{
	memset(sites, 0xff, sizeof(sites));
	return rseq_op_sites(sites, ARRAY_SIZE(sites), sizeof(sites[0]));
}

static uint64_t fallbacks(const struct rseq_op_stats *s)
{
	return s->aborted + s->remote + s->closed + s->unregistered + s->forced + s->vector;
}

/* A case ends at its first check that fails. */
static int failed(const char *condition, int line)
{
	fprintf(stderr, "# sites.c:%d: not so: %s\n", line, condition);
	return 1;
}

#define CHECK(condition)	do {						\
		if (!(condition))						\
			return failed(#condition, __LINE__);			\
	} while (0)

static int case_off(void)
{
	struct rseq_op_stats s;

	CHECK(!site_a(0) && !site_b(0));
	rseq_op_stats(&s, sizeof(s));
	CHECK(s.forced + s.vector == 2);
	CHECK(read_sites() == 0);
	return 0;
}

/* By place and reason; by site_b no sequence is tried, so it is never forced. */
static int check_a_and_b(unsigned int forced, unsigned int vectors)
{
	int i, n = read_sites();

	CHECK(n == !!forced + !!vectors);
	for (i = 0; i < n; i++) {
		const struct rseq_op_stats *s = &sites[i].stats;

		if (IN(calls_a, sites[i].address))
			CHECK(s->forced == forced && fallbacks(s) == forced);
		else if (IN(calls_b, sites[i].address))
			CHECK(s->vector == vectors && fallbacks(s) == vectors && !s->aborts);
		else
			CHECK(false);
	}
	return 0;
}

static int case_two_sites(void)
{
	int i;

	for (i = 0; i < 30; i++)
		CHECK(!site_a(0) && (i % 3 || !site_b(0)));
	return check_a_and_b(30, 10);
}

static int case_switched(void)
{
	CHECK(!site_a(0));
	rseq_op_count_sites(1);
	CHECK(!site_a(0) && !site_a(0) && !site_b(0));
	rseq_op_count_sites(0);
	CHECK(!site_a(0) && !site_b(0));
	return check_a_and_b(2, 1);
}

static int case_remote(void)
{
	int n, here = allowed_cpu(0), other = other_cpu(here);

	CHECK(other >= 0);
	pin_to(here);
	CHECK(!site_a(other) && !site_a(other));
	n = read_sites();
	CHECK(n == 1 && IN(calls_a, sites[0].address));
	CHECK(sites[0].stats.remote == 2 && fallbacks(&sites[0].stats) == 2);
	return 0;
}

/* Of all operations, in all variants, the site is in the caller. */
static int case_typed(void)
{
	int i, n;

	CHECK(!rseq_op_call_each() && !rseq_op_call_each_release());
	CHECK(!rseq_op_call_each_cid() && !rseq_op_call_each_release_cid());
	CHECK(!rseq_op_call_each32() && !rseq_op_call_each32_release());
	CHECK(!rseq_op_call_each32_cid() && !rseq_op_call_each32_release_cid());
	n = read_sites();
	CHECK(n == 4 * 13 + 4 * 11);
	for (i = 0; i < n; i++)
		CHECK(IN(typed_sites, sites[i].address) && sites[i].stats.forced == 1 &&
		      fallbacks(&sites[i].stats) == 1);
	return 0;
}

/* Inlined, however long that makes it. */
__attribute__((noinline, flatten))
static int call_many_sites(void)
{
	int ret = 0;

	TIMES4(TIMES64(ret |= rseq_op_addv(&word, 1, 0);))
	return ret;
}

/* An entry for each of the first, and one without an address for the others. */
static int case_overflow(void)
{
	int i, n, others = 0;

	CHECK(!call_many_sites());
	n = read_sites();
	CHECK(n == ROOM + 1);
	for (i = 0; i < n; i++) {
		others += !sites[i].address;
		CHECK(sites[i].stats.forced == (sites[i].address ? 1 : 256 - ROOM));
	}
	CHECK(others == 1);
	return 0;
}

/*
 * Two threads, on sites of their own and on common ones, which fill the table. A vector of
 * nonsense counts and ends, soonest where there is no backend, so they meet in the table and
 * nowhere else; and as entries are taken once, there are many processes that begin.
 */
#define PROCESSES	400
#define TURNS		3

#define TIMES32(x)	TIMES4(TIMES4(x x))

static const struct cpu_op nonsense[3] = { { .op = -1 }, { .op = -1 }, { .op = -1 } };
static atomic_int waiting;

#define CALL_SITES(name, n, times)						\
	__attribute__((noinline, section(#name)))				\
	static int name##_sites(void)						\
	{									\
		int ret = 0;							\
										\
		times(ret |= rseq_op(&nonsense[n], 1, 0, 0) >= 0;)		\
		return ret;							\
	}									\
	extern const char __start_##name[], __stop_##name[];

CALL_SITES(common, 0, TIMES64)
CALL_SITES(own_0, 1, TIMES32)
CALL_SITES(own_1, 2, TIMES32)

static void *call_sites(void *own)
{
	int turn, ret = 0;

	pin_to(allowed_cpu(own ? 1 : 0));
	for (waiting--; waiting;)
		;
	for (turn = 0; turn < TURNS; turn++)
		ret |= (own ? own_1_sites() : own_0_sites()) | common_sites();
	return (void *)(intptr_t)ret;
}

static int count_by_two(void)
{
	pthread_t t;
	void *ret;
	int i, n;

	allowed_cpu(0);		/* known before there are two */
	waiting = 2;
	CHECK(!pthread_create(&t, NULL, call_sites, &word));
	CHECK(!call_sites(NULL));
	CHECK(!pthread_join(t, &ret) && !ret);
	n = read_sites();
	CHECK(n == ROOM);
	for (i = 0; i < n; i++) {
		bool common = IN(common, sites[i].address);

		CHECK(common || IN(own_0, sites[i].address) || IN(own_1, sites[i].address));
		CHECK(sites[i].stats.vector == (common ? 2 * TURNS : TURNS));
	}
	return 0;
}

static int case_concurrent(void)
{
	int i, status;
	pid_t pid;

	rseq_op_backend(NULL);
	for (i = 0; i < PROCESSES; i++) {
		pid = fork();
		CHECK(pid >= 0);
		if (!pid)
			_exit(count_by_two());
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
	return 0;
}

/* A handler counts too. */
static volatile sig_atomic_t handled;

static void on_alarm(int signal)
{
	(void)signal;
	if (!site_b(0))
		handled++;
}

static int case_signal(void)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	int i;

	CHECK(!sigaction(SIGUSR1, &action, NULL));
	for (i = 0; i < 100; i++)
		CHECK(!raise(SIGUSR1) && !site_a(0));
	CHECK(handled == 100);
	return check_a_and_b(100, 100);
}

/* The child has the parent's counters, and goes on with its own. */
static int case_fork(void)
{
	int status;
	pid_t pid;

	CHECK(!site_a(0));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(site_a(0) || site_b(0) || check_a_and_b(2, 1));
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	return check_a_and_b(1, 0);
}

/* For arrays that are too short, and entries of other versions. */
static int case_sizes(void)
{
	struct { struct rseq_op_site site; uint64_t more; } longer[2];
	const void *shorter[3] = { NULL, NULL, &word };

	CHECK(!site_a(0) && !site_b(0));
	CHECK(rseq_op_sites(NULL, 0, sizeof(sites[0])) == 2);
	CHECK(rseq_op_sites(NULL, 1, sizeof(sites[0])) == -EINVAL);
	rseq_op_stats(NULL, sizeof(struct rseq_op_stats));
	memset(longer, 0xff, sizeof(longer));
	CHECK(rseq_op_sites(&longer[0].site, 1, sizeof(longer[0])) == 2);
	CHECK(fallbacks(&longer[0].site.stats) == 1 && !longer[0].more && !~longer[1].more);
	CHECK(rseq_op_sites(&longer[0].site, 2, sizeof(longer[0])) == 2);
	CHECK(fallbacks(&longer[1].site.stats) == 1 && !longer[1].more);
	CHECK(rseq_op_sites((void *)shorter, 3, sizeof(shorter[0])) == 2);
	CHECK(shorter[0] == longer[0].site.address && shorter[1] == longer[1].site.address);
	CHECK(shorter[2] == &word);
	CHECK(rseq_op_sites(sites, 1, sizeof(void *) - 1) == -EINVAL);
	CHECK(rseq_op_sites(sites, 1, 0) == -EINVAL);
	return 0;
}

static const struct site_case {
	const char *name;
	int (*run)(void);
	const char *sites, *force;
	int cpus;
	const char *backend;
} cases[] = {
	{ "off", case_off, NULL, "1", 1, NULL },
	{ "nonsense", case_off, "yes", "1", 1, NULL },
	{ "two_sites", case_two_sites, "1", "1", 1, NULL },
	{ "switched", case_switched, NULL, "1", 1, NULL },
	{ "remote", case_remote, "1", "0", 2, NULL },
	{ "typed", case_typed, "1", "1", 1, NULL },
	{ "overflow", case_overflow, "1", "1", 1, NULL },
	{ "concurrent", case_concurrent, "1", "1", 2, "kernel" },
	{ "signal", case_signal, "1", "1", 1, NULL },
	{ "fork", case_fork, "1", "1", 1, NULL },
	{ "sizes", case_sizes, "1", "1", 1, NULL },
};

static int run_case(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (!strcmp(cases[i].name, name))
			return cases[i].run();
	}
	return 127;
}

static void start(const struct site_case *c)
{
	setenv("RSEQ_OP_FORCE_FALLBACK", c->force, 1);
	unsetenv("RSEQ_OP_SITES");
	if (c->sites)
		setenv("RSEQ_OP_SITES", c->sites, 1);
	if (c->backend)
		setenv("RSEQ_OP_BACKEND", c->backend, 1);
	execl("/proc/self/exe", "sites", c->name, (char *)NULL);
	_exit(127);
}

static void test_case(void **state)
{
	const struct site_case *c = *state;
	int status;
	pid_t pid;

	if (nr_allowed_cpus() < c->cpus)
		skip_because("only one CPU");
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid)
		start(c);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		fail_msg("%s: %s %d", c->name, WIFEXITED(status) ? "check" : "signal",
			 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[ARRAY_SIZE(cases)];
	size_t i;

	if (argc > 1)
		return run_case(argv[1]);
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		tests[i] = (struct CMUnitTest){ cases[i].name, test_case, NULL, NULL,
						(void *)&cases[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

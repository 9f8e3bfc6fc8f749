// SPDX-License-Identifier: MIT
/*
 * Differential fuzzing of cpu_opv(2): see usage() below and engine/fuzz.h.
 */
#include <getopt.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include "threads.h"
#include "engine/fuzz.h"

static void usage(FILE *f)
{
	fputs("usage: vectors [OPTION...]\n"
	      "\n"
	      "Run random vectors of cpu_opv(2), and compare results and memory with the\n"
	      "reference interpreter. Without an option: short runs with fixed seeds, and\n"
	      "tests of the fuzzer, as TAP where CMOCKA_MESSAGE_OUTPUT=TAP is set.\n"
	      "\n"
	      "  --executor kernel     the system call (default where there is one)\n"
	      "  --executor emulation  rseq_op() on the membarrier backend\n"
	      "  --executor library    rseq_op() on the backend that it chooses\n"
	      "  --seed N              another seed, other vectors (default 1)\n"
	      "  --count N             so many vectors (default 100000)\n"
	      "  --seconds N           end after so many seconds\n"
	      "  --raw                 arguments that no wrapper would ever produce\n"
	      "  --inject              let allocations and copies of the call fail; root only\n"
	      "  --busy N              keep N other CPUs busy with threads of the program\n"
	      "  --index N             only vector N of the seed; give the other options of\n"
	      "                        the run that found it, too\n"
	      "  --print               print the vectors that are run, to be edited\n"
	      "  --replay FILE         run the vector in a file: what a difference or --print\n"
	      "                        printed, or a log with one such vector\n"
	      "  --help\n"
	      "\n"
	      "Exit status: 0 no difference, 1 a difference or a leak, 2 wrong usage, 3 not\n"
	      "to be had here (no system call, no fault injection).\n", f);
}

/*
 * Runs and what they are judged by
 */

static struct worker busy[MAX_THREADS];

/* The first CPU runs the fuzzer. */
static int busy_cpu(int index)
{
	return allowed_cpu(1 + index % (nr_allowed_cpus() > 1 ? nr_allowed_cpus() - 1 : 1));
}

static void spin(struct worker *w)
{
	while (!workers_stopping())
		w->done++;
}

static void run_busy(const struct options *options, int nr_busy, struct stats *stats)
{
	start_workers(busy, nr_busy, spin, NULL, busy_cpu);
	run_vectors(options, stats);
	stop_workers();
	finish_workers(busy, nr_busy);
}

/* A leak in one call of a hundred shows. */
static long leak_limit(const struct options *options)
{
	return 64 + (long)(options->count / 200);
}

/* With failures injected: also that nothing is kept. NULL, or why it cannot be. */
static const char *run_injected(const struct options *options, int nr_busy, struct stats *stats)
{
	struct options warm_up = *options;
	struct totals before, after;
	const char *why = inject_init();

	if (why)
		return why;
	warm_up.seed = ~options->seed;
	warm_up.count = 2 * ROUND_VECTORS;
	run_busy(&warm_up, nr_busy, stats);
	why = totals_read(&before);
	if (!why && !stats->different) {
		run_busy(options, nr_busy, stats);
		why = totals_read(&after);
	}
	if (!why && !stats->different)
		stats->different = !totals_same(&before, &after, leak_limit(options));
	inject_finish();
	return why;
}

/*
 * Tests
 */

#define DEFAULT_COUNT	100000

/* In a VM a vector takes thirty times as long. */
static struct options fixed(enum executor executor)
{
	return (struct options){ .executor = executor, .seed = 1,
				 .count = getenv("TEST_VM") ? 20000 : DEFAULT_COUNT };
}

/* A run without some result, operation or memory proves less than it says. */
static void check_variety(const struct stats *stats)
{
	static const enum kind needed[] = {
		PRIVATE, UNTOUCHED, READ_ONLY, WRITE_ONLY, SHARED, MEMFD, MEMFD_READ_ONLY,
		PRIVATE_FILE, SHORT_FILE, ALIAS, HUGE,
	};
	size_t i;

	assert_true(stats->ran > stats->vectors / 10);
	assert_true(stats->stopped && stats->einval && stats->efault && stats->eagain);
	for (i = 0; i < NR_CPU_OPS; i++) {
		if (!stats->completed[i])
			fail_msg("no vector with %s ran to its end", forms[i].name);
	}
	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		if (!stats->used[needed[i]])
			fail_msg("no vector used %s memory", name_of_kind(needed[i]));
	}
}

static void check_run(const struct options *options)
{
	struct stats stats;

	run_vectors(options, &stats);
	print_stats(&stats);
	assert_false(stats.different);
	if (!options->raw)
		check_variety(&stats);
}

static void test_emulation_as_interpreter(void **state)
{
	struct options options = fixed(EXECUTOR_EMULATION);

	(void)state;
	check_run(&options);
}

static void test_emulation_raw(void **state)
{
	struct options options = fixed(EXECUTOR_EMULATION);

	(void)state;
	options.raw = true;
	check_run(&options);
}

static void test_kernel_as_interpreter(void **state)
{
	struct options options = fixed(EXECUTOR_KERNEL);

	(void)state;
	need_kernel();
	check_run(&options);
}

static void test_kernel_raw(void **state)
{
	struct options options = fixed(EXECUTOR_KERNEL);

	(void)state;
	need_kernel();
	options.raw = true;
	check_run(&options);
}

/* Interrupts of busy CPUs run the vectors. */
static void test_kernel_busy(void **state)
{
	struct options options = fixed(EXECUTOR_KERNEL);
	struct stats stats;

	(void)state;
	need_kernel();
	if (nr_allowed_cpus() < 2)
		skip_because("only one CPU");
	options.seed = 2;
	options.count = 2 * ROUND_VECTORS;
	run_busy(&options, 2, &stats);
	print_stats(&stats);
	assert_false(stats.different);
}

static bool set_online(int cpu, bool online)
{
	char path[64];
	FILE *f;
	bool good;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	f = fopen(path, "w");
	good = f && fputs(online ? "1" : "0", f) >= 0;
	return f && !fclose(f) && good;
}

static void test_kernel_offline_cpu(void **state)
{
	struct options options = fixed(EXECUTOR_KERNEL);
	int cpu = allowed_cpu(nr_allowed_cpus() - 1);
	struct stats stats;

	(void)state;
	need_kernel();
	if (!getenv("TEST_VM"))
		skip_because("CPUs are switched off only in the VM");
	options.seed = 3;
	options.count = 4 * ROUND_VECTORS;
	assert_true(set_online(cpu, false));
	run_vectors(&options, &stats);
	assert_true(set_online(cpu, true));
	print_stats(&stats);
	assert_false(stats.different);
}

static void test_kernel_injected(void **state)
{
	struct options options = fixed(EXECUTOR_KERNEL);
	struct stats stats;
	const char *why;

	(void)state;
	need_kernel();
	options.inject = true;
	options.count = 20000;
	why = run_injected(&options, 0, &stats);
	if (why && getenv("REQUIRE_KERNEL"))
		fail_msg("REQUIRE_KERNEL is set, and %s", why);
	if (why)
		skip_because("%s", why);
	print_stats(&stats);
	assert_false(stats.different);
	assert_true(stats.other > 0);		/* ENOMEM */
	assert_true(stats.refused > 100);
}

static void assert_same_call(const struct call *a, const struct call *b)
{
	assert_int_equal(a->nr_ops, b->nr_ops);
	assert_memory_equal(a->ops, b->ops,
			    (a->nr_ops < CALL_OPS ? a->nr_ops : CALL_OPS) * sizeof(*a->ops));
	assert_int_equal(a->cpu, b->cpu);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->high, b->high);
	assert_int_equal(a->placed, b->placed);
	assert_true(!a->placed || a->at == b->at);
}

static void check_text(const struct call *call, const char *prefix)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	uint64_t layout_seed;
	struct call back;

	assert_non_null(f);
	remember_memory(call);
	print_call(f, prefix, call, 7);
	fclose(f);
	f = fmemopen(text, size, "r");
	assert_non_null(f);
	assert_null(parse_call(f, &back, &layout_seed));
	fclose(f);
	free(text);
	assert_int_equal(layout_seed, 7);
	assert_same_call(&back, call);
}

/* What is printed is what was run. */
static void test_text_round_trip(void **state)
{
	static const struct corpus none;
	struct random r = { 3 };
	int i;

	(void)state;
	layout_make(7);
	for (i = 0; i < 100; i++) {
		struct call call;

		generate(&call, &r, &none, i % 2);
		check_text(&call, i % 3 ? TEXT_PREFIX : "");
	}
	layout_remove();
}

/* The control: an executor that is wrong in a small way is found out. */
static void test_lies_are_noticed(void **state)
{
	int lie;

	(void)state;
	for (lie = NO_LIE + 1; lie < LIE_NR; lie++) {
		struct options options = fixed(EXECUTOR_EMULATION);
		struct stats stats;

		options.lie = (enum lie)lie;
		options.count = 2 * ROUND_VECTORS;
		run_vectors(&options, &stats);
		print_message("# lie %d noticed after %llu vectors\n", lie,
			      (unsigned long long)stats.vectors);
		assert_true(stats.different);
	}
}

static int fixed_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_round_trip),
		cmocka_unit_test(test_lies_are_noticed),
		cmocka_unit_test(test_emulation_as_interpreter),
		cmocka_unit_test(test_emulation_raw),
		cmocka_unit_test(test_kernel_as_interpreter),
		cmocka_unit_test(test_kernel_raw),
		cmocka_unit_test(test_kernel_busy),
		cmocka_unit_test(test_kernel_offline_cpu),
		cmocka_unit_test(test_kernel_injected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * By hand
 */

struct command {
	struct options options;
	const char *replay;
	int nr_busy;
	bool executor_given;
};

static bool parse_count(const char *s, uint64_t *n)
{
	char *end;

	*n = strtoull(s, &end, 0);
	return end != s && !*end;
}

static bool parse_executor(const char *s, enum executor *executor)
{
	int i;

	for (i = 0; i < NR_EXECUTORS; i++) {
		if (!strcmp(s, executor_names[i])) {
			*executor = (enum executor)i;
			return true;
		}
	}
	return false;
}

static bool set_option(struct command *c, int option, const char *value)
{
	uint64_t n;

	switch (option) {
	case 'e':
		c->executor_given = true;
		return parse_executor(value, &c->options.executor);
	case 'w':
		c->options.raw = true;
		return true;
	case 'i':
		c->options.inject = true;
		return true;
	case 'p':
		c->options.print = true;
		return true;
	case 'r':
		c->replay = value;
		return true;
	}
	if (option == '?' || !parse_count(value, &n))
		return false;
	switch (option) {
	case 's':
		c->options.seed = n;
		return true;
	case 'c':
		c->options.count = n;
		return true;
	case 't':
		c->options.seconds = (unsigned int)n;
		return true;
	case 'b':
		c->nr_busy = (int)n;
		return n <= MAX_THREADS;
	default:
		c->options.first = n;
		c->options.count = 1;
		return true;
	}
}

static bool parse_command(struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "executor", required_argument, NULL, 'e' },
		{ "seed", required_argument, NULL, 's' },
		{ "count", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 't' },
		{ "raw", no_argument, NULL, 'w' },
		{ "inject", no_argument, NULL, 'i' },
		{ "busy", required_argument, NULL, 'b' },
		{ "index", required_argument, NULL, 'n' },
		{ "print", no_argument, NULL, 'p' },
		{ "replay", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	*c = (struct command){ .options = { .seed = 1, .count = DEFAULT_COUNT,
					    .progress = isatty(2) } };
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h') {
			usage(stdout);
			exit(0);
		}
		if (!set_option(c, option, optarg))
			return false;
	}
	if (!c->executor_given && !have_kernel())
		c->options.executor = EXECUTOR_EMULATION;
	return optind == argc;
}

static const char *replay(struct command *c, struct stats *stats)
{
	FILE *f = fopen(c->replay, "r");
	uint64_t layout_seed;
	struct call call;
	const char *why = f ? parse_call(f, &call, &layout_seed) : strerror(errno);

	if (f)
		fclose(f);
	if (!why)
		run_replay(&c->options, &call, layout_seed, stats);
	return why;
}

/* NULL, or why it cannot be. */
static const char *run_command(struct command *c, struct stats *stats)
{
	if (c->options.executor == EXECUTOR_KERNEL && !have_kernel())
		return "this kernel has no cpu_opv(2)";
	if (c->replay)
		return replay(c, stats);
	if (c->options.inject)
		return run_injected(&c->options, c->nr_busy, stats);
	run_busy(&c->options, c->nr_busy, stats);
	return NULL;
}

static bool tap_wanted(void)
{
	const char *format = getenv("CMOCKA_MESSAGE_OUTPUT");

	return format && !strcmp(format, "TAP");
}

/* A line for tests/run; skipped because of why, where that is not NULL. */
static void print_tap(const struct command *c, bool good, const char *why)
{
	printf("1..1\n%sok 1 - %s_seed_%llu_count_%llu%s%s%s%s\n", good ? "" : "not ",
	       executor_names[c->options.executor], (unsigned long long)c->options.seed,
	       (unsigned long long)c->options.count, c->options.raw ? "_raw" : "",
	       c->options.inject ? "_inject" : "", why ? " # SKIP " : "", why ? why : "");
	fflush(stdout);
}

/* There a skip is no failure, unless REQUIRE_KERNEL says so. */
static int end_skipped(const struct command *c, const char *why)
{
	bool required = getenv("REQUIRE_KERNEL") != NULL;

	fprintf(stderr, "# not run: %s\n", why);
	if (!tap_wanted())
		return 3;
	print_tap(c, false, required ? NULL : why);
	return required ? 1 : 0;
}

static int end_command(const struct command *c, const struct stats *stats, const char *why)
{
	if (why)
		return end_skipped(c, why);
	print_stats(stats);
	if (tap_wanted())
		print_tap(c, !stats->different, NULL);
	return stats->different ? 1 : 0;
}

/* In a child: a wrong executor may end it. */
static int supervise(struct command *c)
{
	struct stats stats = { .vectors = 0 };
	pid_t pid = fork();
	const char *why;
	int status;

	if (pid < 0) {
		perror("fork");
		return 2;
	}
	if (!pid) {
		why = run_command(c, &stats);
		exit(end_command(c, &stats, why));
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "# seed %#llx, vector %llu: the program ended by signal %d\n",
		(unsigned long long)c->options.seed, (unsigned long long)run_index(),
		WTERMSIG(status));
	if (tap_wanted())
		print_tap(c, false, NULL);
	return 1;
}

/*
 * Addresses are the same in every run, rseq_op() takes the backend always, and "emulation"
 * is the one that it takes. All are fixed when a program starts.
 */
static void prepare_process(int argc, char **argv)
{
	bool library = false;
	int i;

	if (getenv("FUZZ_PREPARED"))
		return;
	for (i = 1; i < argc; i++)
		library |= !strcmp(argv[i], "library") || !strcmp(argv[i], "--executor=library");
	setenv("FUZZ_PREPARED", "1", 1);
	setenv("RSEQ_OP_FORCE_FALLBACK", "1", 1);
	if (!library)
		setenv("RSEQ_OP_BACKEND", "membarrier", 1);
	personality(ADDR_NO_RANDOMIZE);
	execv("/proc/self/exe", argv);
	perror("execv");
	exit(2);
}

int main(int argc, char **argv)
{
	struct command command;
	const char *why;

	prepare_process(argc, argv);
	why = layout_init();
	if (why) {
		fprintf(stderr, "vectors: %s\n", why);
		return 3;
	}
	execute_init();
	run_init();
	pin_to(allowed_cpu(0));
	if (argc == 1)
		return fixed_tests();
	if (!parse_command(&command, argc, argv)) {
		usage(stderr);
		return 2;
	}
	return supervise(&command);
}

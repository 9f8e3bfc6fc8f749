// SPDX-License-Identifier: MIT
/*
 * rseq-op: what rseq_op(3) finds on this machine, and whether it works; see rseq-op(1).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "rseq-op.h"

#define ROUNDS_MAX	1000
#define SECONDS_MAX	1000000
#define THREADS_MAX	10000

static const char usage[] =
	"Usage: rseq-op COMMAND [OPTION...]\n"
	"\n"
	"  info        what this machine has: kernel, rseq, membarrier, cpu_opv, CPUs; the\n"
	"              backend, and why\n"
	"  selftest    are restartable sequences aborted when they must be?\n"
	"  bench       what the operations cost here\n"
	"  stress      run operations on all CPUs, and check what must hold\n"
	"\n"
	"  --json              print JSON (all commands)\n"
	"  --rounds N          bench: measure N times and take the least (20)\n"
	"  --seconds N         stress: how long (10)\n"
	"  --threads N         stress: how many (2 for each CPU)\n"
	"  -h, --help          print this\n"
	"  --version           print the version\n"
	"\n"
	"Exit status: 0 all well; 1 a check, an invariant, an operation or the output failed;\n"
	"2 wrong usage; 3 selftest could check nothing.\n";

enum { OPT_JSON = 1, OPT_ROUNDS, OPT_SECONDS, OPT_THREADS, OPT_HELP, OPT_VERSION };

#define COMMON	{ "json", no_argument, NULL, OPT_JSON }, \
		{ "help", no_argument, NULL, OPT_HELP }, \
		{ "version", no_argument, NULL, OPT_VERSION }, \
		{ NULL, 0, NULL, 0 }

static const struct option plain_options[] = { COMMON };
static const struct option bench_options[] = {
	{ "rounds", required_argument, NULL, OPT_ROUNDS }, COMMON
};
static const struct option stress_options[] = {
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "threads", required_argument, NULL, OPT_THREADS }, COMMON
};

static const struct command {
	const char *name;
	int (*run)(const struct options *options);
	const struct option *options;
} commands[] = {
	{ "info", info, plain_options },
	{ "selftest", selftest, plain_options },
	{ "bench", bench, bench_options },
	{ "stress", stress, stress_options },
};

static void __attribute__((noreturn)) wrong_usage(void)
{
	fprintf(stderr, "Try: rseq-op --help\n");
	exit(EXIT_USAGE);
}

static void __attribute__((noreturn)) print_and_exit(const char *text)
{
	fputs(text, stdout);
	exit(output_end() ? EXIT_BAD : EXIT_OK);
}

static long number(const char *text, const char *what, long most)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && n >= 1 && n <= most)
		return n;
	fprintf(stderr, "rseq-op: %s: \"%s\" is no number from 1 to %ld\n", what, text, most);
	wrong_usage();
}

static void take(int option, struct options *options)
{
	switch (option) {
	case OPT_JSON:
		options->json = true;
		break;
	case OPT_ROUNDS:
		options->rounds = number(optarg, "--rounds", ROUNDS_MAX);
		break;
	case OPT_SECONDS:
		options->seconds = number(optarg, "--seconds", SECONDS_MAX);
		break;
	case OPT_THREADS:
		options->threads = number(optarg, "--threads", THREADS_MAX);
		break;
	case 'h':
	case OPT_HELP:
		print_and_exit(usage);
	case OPT_VERSION:
		print_and_exit("rseq-op " VERSION "\n");
	default:
		wrong_usage();	/* getopt has said what is wrong */
	}
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	}
	fprintf(stderr, "rseq-op: there is no command \"%s\"\n", name);
	wrong_usage();
}

/* Otherwise the next file that is opened would be the standard output. */
static void need_output(void)
{
	if (fcntl(STDOUT_FILENO, F_GETFD) >= 0)
		return;
	fprintf(stderr, "rseq-op: standard output: %s\n", strerror(errno));
	exit(EXIT_BAD);
}

int main(int argc, char **argv)
{
	struct options options = { .rounds = 20, .seconds = 10 };
	const struct command *command;
	int option, status;

	need_output();
	argv[0] = (char *)"rseq-op";	/* what getopt calls it */
	/* Before the command: --help and --version. */
	while ((option = getopt_long(argc, argv, "+h", plain_options, NULL)) != -1)
		take(option, &options);
	if (optind == argc) {
		fprintf(stderr, "rseq-op: which command?\n");
		wrong_usage();
	}
	command = find_command(argv[optind]);
	argc -= optind;
	argv += optind;
	argv[0] = (char *)"rseq-op";
	optind = 0;			/* from the beginning, after a "--" too */
	while ((option = getopt_long(argc, argv, "+h", command->options, NULL)) != -1)
		take(option, &options);
	if (optind < argc) {
		fprintf(stderr, "rseq-op: what is \"%s\"?\n", argv[optind]);
		wrong_usage();
	}
	cpus_read_allowed();
	output_begin(options.json);
	status = command->run(&options);
	return output_end() ? EXIT_BAD : status;
}

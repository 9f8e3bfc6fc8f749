/* SPDX-License-Identifier: MIT */
#ifndef OPTIONS_H
#define OPTIONS_H

/* The options of programs that measure in rounds. A source defines usage(). */
#include <getopt.h>

#include "bench.h"

static void usage(FILE *f);

struct options {
	int rounds;
	FILE *csv;	/* NULL: none asked for */
};

/* Does not return after --help or wrong usage. */
static inline struct options parse_options(int argc, char **argv, int rounds_max)
{
	static const struct option known[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ "csv", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	struct options o = { .rounds = 50 };
	int opt;

	while ((opt = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		if (opt == 'r') {
			o.rounds = atoi(optarg);
		} else if (opt == 'c') {
			o.csv = open_csv(optarg);
		} else {
			usage(opt == 'h' ? stdout : stderr);
			exit(opt == 'h' ? 0 : 2);
		}
	}
	if (o.rounds < 1 || o.rounds > rounds_max || optind < argc) {
		usage(stderr);
		exit(2);
	}
	return o;
}

#endif /* OPTIONS_H */

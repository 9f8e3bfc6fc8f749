// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka.h"

enum outcome { RUNNING, SKIPPED, FAILED };

static jmp_buf end_of_test;

void print_message(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
}

void print_error(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
}

void skip_test(void)
{
	longjmp(end_of_test, SKIPPED);
}

void fail_test(const char *file, int line, const char *format, ...)
{
	va_list args;

	printf("# %s:%d: ", file, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	longjmp(end_of_test, FAILED);
}

void check_equal(uintmax_t a, uintmax_t b, int equal, const char *file, int line)
{
	if ((a == b) != equal)
		fail_test(file, line, "%#jx %s %#jx", a, equal ? "!=" : "==", b);
}

void check_range(uintmax_t n, uintmax_t least, uintmax_t most, const char *file, int line)
{
	if (n < least || n > most)
		fail_test(file, line, "%ju is not in %ju to %ju", n, least, most);
}

void check_string(const char *a, const char *b, const char *file, int line)
{
	if (strcmp(a, b))
		fail_test(file, line, "\"%s\" != \"%s\"", a, b);
}

void check_memory(const void *a, const void *b, size_t size, const char *file, int line)
{
	const unsigned char *x = a, *y = b;
	size_t i;

	for (i = 0; i < size; i++) {
		if (x[i] != y[i])
			fail_test(file, line, "byte %zu: %#x != %#x", i, x[i], y[i]);
	}
}

/* Both functions around a test may use what the test may use. */
static enum outcome run(const struct CMUnitTest *t, void **state)
{
	enum outcome outcome = (enum outcome)setjmp(end_of_test);

	if (outcome == RUNNING) {
		if (t->setup_func && t->setup_func(state))
			fail_test(__FILE__, __LINE__, "the set-up failed");
		t->test_func(state);
	}
	return outcome;
}

static enum outcome clean_up(const struct CMUnitTest *t, void **state)
{
	enum outcome outcome = (enum outcome)setjmp(end_of_test);

	if (outcome == RUNNING && t->teardown_func && t->teardown_func(state))
		fail_test(__FILE__, __LINE__, "the clean-up failed");
	return outcome;
}

int _cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t nr_tests,
			    int (*setup)(void **state), int (*teardown)(void **state))
{
	void *group_state = NULL;
	int failed = 0;
	size_t i;

	/* Lines that a child of fork() would otherwise have, and print, too. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%zu\n# %s\n", nr_tests, group);
	if (setup && setup(&group_state)) {
		printf("# the set-up of all tests failed\n");
		return 1;
	}
	for (i = 0; i < nr_tests; i++) {
		void *state = tests[i].initial_state ? tests[i].initial_state : group_state;
		enum outcome outcome = run(&tests[i], &state);
		enum outcome after = clean_up(&tests[i], &state);

		if (after == FAILED)
			outcome = FAILED;
		failed += outcome == FAILED;
		printf("%sok %zu %s %s\n", outcome == FAILED ? "not " : "", i + 1,
		       outcome == SKIPPED ? "# SKIP" : "-", tests[i].name);
	}
	if (teardown && teardown(&group_state)) {
		printf("# the clean-up of all tests failed\n");
		failed++;
	}
	return failed;
}

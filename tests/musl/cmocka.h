/* SPDX-License-Identifier: MIT */
#ifndef CMOCKA_H
#define CMOCKA_H

/*
 * For the build with musl alone: the part of cmocka's interface that the tests use. Debian's
 * cmocka is a shared library for glibc. Output is TAP.
 */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

struct CMUnitTest {
	const char *name;
	void (*test_func)(void **state);
	int (*setup_func)(void **state);
	int (*teardown_func)(void **state);
	void *initial_state;
};

#define cmocka_unit_test_setup_teardown(test, setup, teardown)	{ #test, test, setup, teardown, NULL }
#define cmocka_unit_test_setup(test, setup)			{ #test, test, setup, NULL, NULL }
#define cmocka_unit_test_teardown(test, teardown)		{ #test, test, NULL, teardown, NULL }
#define cmocka_unit_test(test)					{ #test, test, NULL, NULL, NULL }

int _cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t nr_tests,
			    int (*setup)(void **state), int (*teardown)(void **state));

#define cmocka_run_group_tests(tests, setup, teardown)					\
	_cmocka_run_group_tests(#tests, tests, sizeof(tests) / sizeof((tests)[0]),	\
				setup, teardown)

void print_message(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

_Noreturn void skip_test(void);
_Noreturn void fail_test(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Numbers are compared as cmocka compares them, as unsigned ones of the largest width. */
void check_equal(uintmax_t a, uintmax_t b, int equal, const char *file, int line);
void check_range(uintmax_t n, uintmax_t least, uintmax_t most, const char *file, int line);
void check_string(const char *a, const char *b, const char *file, int line);
void check_memory(const void *a, const void *b, size_t size, const char *file, int line);

#define skip()			skip_test()
#define fail()			fail_test(__FILE__, __LINE__, "failure")
#define fail_msg(...)		fail_test(__FILE__, __LINE__, __VA_ARGS__)
#define assert_true(e)		((e) ? (void)0 : fail_test(__FILE__, __LINE__, "%s", #e))
#define assert_false(e)		assert_true(!(e))
#define assert_null(p)		assert_true((p) == NULL)
#define assert_non_null(p)	assert_true((p) != NULL)
#define assert_int_equal(a, b)		\
	check_equal((uintmax_t)(a), (uintmax_t)(b), 1, __FILE__, __LINE__)
#define assert_int_not_equal(a, b)	\
	check_equal((uintmax_t)(a), (uintmax_t)(b), 0, __FILE__, __LINE__)
#define assert_ptr_equal(a, b)		assert_int_equal((uintptr_t)(a), (uintptr_t)(b))
#define assert_ptr_not_equal(a, b)	assert_int_not_equal((uintptr_t)(a), (uintptr_t)(b))
#define assert_in_range(n, least, most)	\
	check_range((uintmax_t)(n), (uintmax_t)(least), (uintmax_t)(most), __FILE__, __LINE__)
#define assert_string_equal(a, b)	check_string(a, b, __FILE__, __LINE__)
#define assert_memory_equal(a, b, size)	check_memory(a, b, size, __FILE__, __LINE__)

#endif /* CMOCKA_H */

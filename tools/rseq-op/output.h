/* SPDX-License-Identifier: MIT */
#ifndef OUTPUT_H
#define OUTPUT_H

/*
 * What a command has to say, as pairs of a name and a value, in sections and tables. One
 * description gives the plain form and the JSON form; the names are the same in both.
 */
#include <stdbool.h>
#include <stddef.h>

/* A column of a table: to the right where the width is positive; the last may be 0. */
struct column {
	const char *name;
	int width;
};

void output_begin(bool json);
int output_end(void);	/* 0, or -1 where not all was written, and it has been said */

void section_begin(const char *name);
void section_end(void);

/* @columns ends with a name that is NULL. Each row emits all columns, in their order. */
void table_begin(const char *name, const struct column *columns);
void row_begin(void);
void row_end(void);
void table_end(void);

/* A value that is not known: NULL. */
void emit_text(const char *name, const char *text);
void emit_number(const char *name, long long number);
void emit_real(const char *name, double number);
void emit_flag(const char *name, bool flag);
void emit_nothing(const char *name);
void emit_list(const char *name, const char *const *texts, size_t nr);

#endif /* OUTPUT_H */

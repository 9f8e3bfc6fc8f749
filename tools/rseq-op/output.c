// SPDX-License-Identifier: MIT
/*
 * The two forms of the output. All of it goes to standard output, and whether it arrived
 * is asked once, at the end.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"

#define NAME_WIDTH	22

static bool json;
static bool first;			/* in its container */
static int depth;
static const struct column *columns;	/* of the table that is open */
static const struct column *column;	/* where in it; NULL outside a row */

/* The length of the character of UTF-8 at s, 0 if there is none. */
static size_t utf8_length(const unsigned char *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t i, len = *s < 0x80 ? 1 : *s >> 5 == 6 ? 2 : *s >> 4 == 14 ? 3 : *s >> 3 == 30 ? 4 : 0;
	uint32_t c = len < 2 ? *s : *s & (0x7fU >> len);

	for (i = 1; i < len; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	return !len || c < least[len] || c > 0x10ffff || c >> 11 == 0x1b ? 0 : len;
}

/*
 * Text, without what would end a string of JSON or reach a terminal as a command. Returns
 * the bytes written.
 */
static int put_text(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	int n = 0;

	while (*s) {
		size_t len = utf8_length(s);

		if (!len)
			n += printf("%s", json ? "\\ufffd" : "?");
		else if (*s < 0x20 || *s == 0x7f)
			n += printf(json ? "\\u%04x" : "\\x%02x", *s);
		else if (json && (*s == '"' || *s == '\\'))
			n += printf("\\%c", *s);
		else
			n += (int)fwrite(s, 1, len, stdout);
		s += len ? len : 1;
	}
	return n;
}

static void put_string(const char *text)
{
	putchar('"');
	put_text(text);
	putchar('"');
}

static void new_line(void)
{
	printf("%s\n%*s", first ? "" : ",", 2 * depth, "");
	first = false;
}

static void name_json(const char *name)
{
	new_line();
	if (name) {
		put_string(name);
		printf(": ");
	}
}

static void value_plain(const char *name, const char *value)
{
	int n;

	if (!column) {
		printf("%*s%-*s ", 2 * depth, "", NAME_WIDTH, name);
		put_text(value);
		putchar('\n');
		return;
	}
	n = column->width > 0 ? printf("%*s", column->width, value) : put_text(value);
	column++;
	if (column->name)
		printf("%*s", column[-1].width < -n ? -column[-1].width - n + 2 : 2, "");
}

static void emit(const char *name, const char *value, bool quoted)
{
	if (!json) {
		value_plain(name, value ? value : "-");
		return;
	}
	name_json(name);
	if (value && quoted)
		put_string(value);
	else
		fputs(value ? value : "null", stdout);
}

void emit_text(const char *name, const char *text)
{
	emit(name, text, true);
}

void emit_nothing(const char *name)
{
	emit(name, NULL, false);
}

void emit_number(const char *name, long long number)
{
	char value[32];

	snprintf(value, sizeof(value), "%lld", number);
	emit(name, value, false);
}

void emit_real(const char *name, double number)
{
	char value[400];

	snprintf(value, sizeof(value), "%.2f", number);
	emit(name, value, false);
}

void emit_flag(const char *name, bool flag)
{
	emit(name, json ? (flag ? "true" : "false") : flag ? "yes" : "no", false);
}

static void list_json(const char *name, const char *const *texts, size_t nr)
{
	size_t i;

	name_json(name);
	putchar('[');
	for (i = 0; i < nr; i++) {
		fputs(i ? ", " : "", stdout);
		put_string(texts[i]);
	}
	putchar(']');
}

static void list_plain(const char *name, const char *const *texts, size_t nr)
{
	size_t i;

	printf("%*s%-*s", 2 * depth, "", NAME_WIDTH, name);
	for (i = 0; i < nr; i++) {
		putchar(' ');
		put_text(texts[i]);
	}
	puts(nr ? "" : " -");
}

void emit_list(const char *name, const char *const *texts, size_t nr)
{
	if (json)
		list_json(name, texts, nr);
	else
		list_plain(name, texts, nr);
}

static void open_json(const char *name, char bracket)
{
	name_json(name);
	putchar(bracket);
	first = true;
	depth++;
}

static void close_json(char bracket)
{
	bool empty = first;

	depth--;
	if (!empty)
		printf("\n%*s", 2 * depth, "");
	putchar(bracket);
	first = false;
}

static void heading(const char *name)
{
	printf("%*s%s\n", 2 * depth, "", name);
	depth++;
}

void section_begin(const char *name)
{
	if (json)
		open_json(name, '{');
	else
		heading(name);
}

void section_end(void)
{
	if (json)
		close_json('}');
	else
		depth--;
}

void table_begin(const char *name, const struct column *of)
{
	const struct column *c;

	columns = of;
	if (json) {
		open_json(name, '[');
		return;
	}
	heading(name);
	printf("%*s", 2 * depth, "");
	for (c = columns; c->name; c++)
		printf("%*s%s", c->width, c->name, c[1].name ? "  " : "\n");
}

void row_begin(void)
{
	column = columns;
	if (json)
		open_json(NULL, '{');
	else
		printf("%*s", 2 * depth, "");
}

/* A row may be the result of seconds: who waits for it sees it. */
void row_end(void)
{
	column = NULL;
	if (json) {
		close_json('}');
	} else {
		putchar('\n');
		fflush(stdout);
	}
}

void table_end(void)
{
	if (json)
		close_json(']');
	else
		depth--;
}

void output_begin(bool as_json)
{
	json = as_json;
	if (json) {
		putchar('{');
		depth = 1;
		first = true;
	}
}

int output_end(void)
{
	if (json) {
		close_json('}');
		putchar('\n');
	}
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout) && !fclose(stdout))
		return 0;
	fprintf(stderr, "rseq-op: standard output: %s\n",
		errno ? strerror(errno) : "not all was written");
	return -1;
}

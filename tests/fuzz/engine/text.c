// SPDX-License-Identifier: MIT
/*
 * A call as text:
 *
 *	layout 0x1234		the seed of a layout; makes it
 *	memory T+0x1f8 0011ff	what is stored there first
 *	cpu 1
 *	flags 0
 *	high 0xdead		upper halves of the registers of cpu, flags, nr_ops
 *	at T+0xff0		where the vector lies; else in memory of its own
 *	op add len=8 p=T+0x1f8 count=0x1 fault_p=1
 *	op raw 0400...		32 bytes
 *	nr_ops 2		else the number of "op" lines
 *
 * T is the territory. Lines that begin with # are comments. In a file that has lines
 * with TEXT_PREFIX, only these count: so a whole log will do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

const char *result_name(int result)
{
	static const struct { int number; const char *name; } errors[] = {
		{ EINVAL, "EINVAL" }, { EFAULT, "EFAULT" }, { EAGAIN, "EAGAIN" },
		{ ENOMEM, "ENOMEM" }, { EINTR, "EINTR" }, { EPERM, "EPERM" },
		{ ENOSYS, "ENOSYS" },
	};
	static char numbers[4][16];
	static unsigned int turn;
	char *number = numbers[turn++ % ARRAY_SIZE(numbers)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		if (result == -errors[i].number)
			return errors[i].name;
	}
	snprintf(number, sizeof(numbers[0]), "%d", result);
	return number;
}

/*
 * Writing
 */

static struct {
	uint64_t addr;
	uint32_t len;
	uint8_t bytes[CPU_OP_DATA_LEN_MAX];
} remembered[2 * CPU_OP_VEC_LEN_MAX + 1];
static unsigned int nr_remembered;

static void remember(uint64_t addr, uint32_t len)
{
	if (!len || len > CPU_OP_DATA_LEN_MAX || !user_may(addr, len, READ) ||
	    !page_at(addr)->watched)
		return;
	remembered[nr_remembered].addr = addr;
	remembered[nr_remembered].len = len;
	memcpy(remembered[nr_remembered].bytes, shadow_at(addr), len);
	nr_remembered++;
}

void remember_memory(const struct call *call)
{
	unsigned int i;
	int k;

	nr_remembered = 0;
	if (call->nr_ops > CPU_OP_VEC_LEN_MAX)
		return;
	if (call->placed)
		remember(call->at, call->nr_ops * (uint32_t)sizeof(*call->ops));
	for (i = 0; i < call->nr_ops; i++) {
		const struct form *form = form_of(&call->ops[i]);

		for (k = 0; form && k < 2; k++) {
			if (form->field[k] == ADDRESS)
				remember(const_args_of(&call->ops[i])->arg[k], call->ops[i].len);
		}
	}
}

static void print_hex(FILE *f, const void *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		fprintf(f, "%02x", ((const uint8_t *)bytes)[i]);
}

static void print_address(FILE *f, uint64_t addr)
{
	bool inside = addr - TERRITORY < TERRITORY_SIZE;

	fprintf(f, "%s%#llx", inside ? "T+" : "",
		(unsigned long long)(inside ? addr - TERRITORY : addr));
}

/* Nothing is set but the fields that the operation has. */
static bool printable(const struct cpu_op *op)
{
	const struct form *form = form_of(op);
	const struct args *args = const_args_of(op);
	static const uint8_t zero[sizeof(args->zero)];
	int k;

	for (k = 0; form && k < 2; k++) {
		if (form->field[k] == NO_FIELD && args->arg[k])
			return false;
		if (form->field[k] != ADDRESS && args->expect_fault[k])
			return false;
	}
	return form && !memcmp(args->zero, zero, sizeof(zero));
}

static void print_fields(FILE *f, const struct cpu_op *op)
{
	const struct form *form = form_of(op);
	const struct args *args = const_args_of(op);
	int k;

	fprintf(f, " len=%u", op->len);
	for (k = 0; k < 2; k++) {
		if (form->field[k] == NO_FIELD)
			continue;
		fprintf(f, " %s=", form->field_name[k]);
		if (form->field[k] == ADDRESS)
			print_address(f, args->arg[k]);
		else
			fprintf(f, "%#llx", (unsigned long long)args->arg[k]);
		if (args->expect_fault[k])
			fprintf(f, " fault_%s=%u", form->field_name[k], args->expect_fault[k]);
	}
	for (k = 0; k < 2; k++) {
		if (form->field[k] == ADDRESS)
			fprintf(f, "%s%s", k ? ", " : "\t# ", kind_name(args->arg[k]));
	}
}

static void print_op(FILE *f, const struct cpu_op *op)
{
	if (printable(op)) {
		fprintf(f, "op %s", form_of(op)->name);
		print_fields(f, op);
	} else {
		fprintf(f, "op raw ");
		print_hex(f, op, sizeof(*op));
	}
	fprintf(f, "\n");
}

void print_call(FILE *f, const char *prefix, const struct call *call, uint64_t layout_seed)
{
	unsigned int i;

	fprintf(f, "%slayout %#llx\n", prefix, (unsigned long long)layout_seed);
	for (i = 0; i < nr_remembered; i++) {
		fprintf(f, "%smemory ", prefix);
		print_address(f, remembered[i].addr);
		fprintf(f, " ");
		print_hex(f, remembered[i].bytes, remembered[i].len);
		fprintf(f, "\n");
	}
	fprintf(f, "%scpu %d\n%sflags %#x\n%shigh %#x\n", prefix, call->cpu, prefix, call->flags,
		prefix, call->high);
	if (call->placed) {
		fprintf(f, "%sat ", prefix);
		print_address(f, call->at);
		fprintf(f, "\n");
	}
	for (i = 0; i < call->nr_ops && i < CALL_OPS; i++) {
		fprintf(f, "%s", prefix);
		print_op(f, &call->ops[i]);
	}
	fprintf(f, "%snr_ops %u\n", prefix, call->nr_ops);
}

/*
 * Reading
 */

static bool parse_number(const char *s, uint64_t *number)
{
	bool inside = s[0] == 'T' && s[1] == '+';
	char *end;

	if (inside)
		s += 2;
	*number = strtoull(s, &end, 0) + (inside ? TERRITORY : 0);
	return end != s && !*end;
}

/* The number of bytes, or -1. */
static long parse_hex(const char *s, uint8_t *bytes, size_t size)
{
	size_t n;

	for (n = 0; n < size && s[2 * n]; n++) {
		char byte[3] = { s[2 * n], s[2 * n + 1], 0 };
		char *end;

		bytes[n] = (uint8_t)strtoul(byte, &end, 16);
		if (end != byte + 2)
			return -1;
	}
	return s[2 * n] ? -1 : (long)n;
}

static bool set_field(struct cpu_op *op, const char *name, uint64_t value)
{
	const struct form *form = form_of(op);
	bool fault = !strncmp(name, "fault_", 6);
	int k;

	if (!strcmp(name, "len")) {
		op->len = (uint32_t)value;
		return true;
	}
	for (k = 0; k < 2; k++) {
		if (form->field[k] == NO_FIELD || strcmp(name + 6 * fault, form->field_name[k]))
			continue;
		if (fault)
			args_of(op)->expect_fault[k] = (uint8_t)value;
		else
			args_of(op)->arg[k] = value;
		return true;
	}
	return false;
}

static const char *parse_op(char *rest, struct cpu_op *op)
{
	char *word = strtok(rest, " \t"), *equals;
	uint64_t value;

	memset(op, 0, sizeof(*op));
	if (word && !strcmp(word, "raw")) {
		word = strtok(NULL, " \t");
		return word && parse_hex(word, (uint8_t *)op, sizeof(*op)) == sizeof(*op) ?
		       NULL : "an operation has 32 bytes";
	}
	while (op->op < NR_CPU_OPS && (!word || strcmp(word, forms[op->op].name)))
		op->op++;
	if (op->op == NR_CPU_OPS)
		return "no such operation";
	while ((word = strtok(NULL, " \t")) && *word != '#') {
		equals = strchr(word, '=');
		if (!equals || !parse_number(equals + 1, &value))
			return "not name=number";
		*equals = '\0';
		if (!set_field(op, word, value))
			return "no such field";
	}
	return NULL;
}

static const char *parse_memory(char *rest)
{
	static uint8_t bytes[CPU_OP_DATA_LEN_MAX];
	char *word = strtok(rest, " \t");
	uint64_t addr;
	long len;

	if (!word || !parse_number(word, &addr))
		return "no address";
	word = strtok(NULL, " \t");
	len = word ? parse_hex(word, bytes, sizeof(bytes)) : -1;
	if (len < 0)
		return "no bytes";
	if (!user_may(addr, (uint64_t)len, READ))
		return "the layout has no such memory";
	if (user_may(addr, (uint64_t)len, STORE_ANY))
		layout_write(addr, bytes, (size_t)len);
	return NULL;
}

/* Where a text is read into. */
struct reader {
	struct call *call;
	unsigned int nr_ops;
	uint64_t layout_seed;
	bool counted;
};

static const char *set_number(struct reader *r, const char *name, uint64_t value)
{
	if (!strcmp(name, "layout")) {
		r->layout_seed = value;
		layout_remove();
		layout_make(value);
	} else if (!strcmp(name, "cpu")) {
		r->call->cpu = (int32_t)value;
	} else if (!strcmp(name, "flags")) {
		r->call->flags = (uint32_t)value;
	} else if (!strcmp(name, "high")) {
		r->call->high = (uint32_t)value;
	} else if (!strcmp(name, "nr_ops")) {
		r->call->nr_ops = (uint32_t)value;
		r->counted = true;
	} else if (!strcmp(name, "at")) {
		r->call->placed = true;
		r->call->at = value;
	} else {
		return "no such line";
	}
	return NULL;
}

static const char *parse_line(struct reader *r, char *line)
{
	char *rest = line + strcspn(line, " \t\n");
	uint64_t value;

	line[strcspn(line, "\n")] = '\0';
	if (!*line || *line == '#')
		return NULL;
	if (*rest)
		*rest++ = '\0';
	if (!strcmp(line, "op"))
		return r->nr_ops == CALL_OPS ? "too many operations" :
			parse_op(rest, &r->call->ops[r->nr_ops++]);
	if (!strcmp(line, "memory"))
		return parse_memory(rest);
	return parse_number(rest, &value) ? set_number(r, line, value) : "no number";
}

static bool prefixed(const char *line)
{
	return !strncmp(line, TEXT_PREFIX, strlen(TEXT_PREFIX));
}

static bool has_prefix(FILE *f)
{
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	while (!found && getline(&line, &size, f) > 0)
		found = prefixed(line);
	free(line);
	rewind(f);
	return found;
}

const char *parse_call(FILE *f, struct call *call, uint64_t *layout_seed)
{
	bool log = has_prefix(f);
	struct reader r = { .call = call };
	const char *error = NULL;
	char *line = NULL;
	size_t size = 0;

	memset(call, 0, sizeof(*call));
	while (!error && getline(&line, &size, f) > 0) {
		if (!log)
			error = parse_line(&r, line);
		else if (prefixed(line))
			error = parse_line(&r, line + strlen(TEXT_PREFIX));
	}
	free(line);
	if (!r.counted)
		call->nr_ops = r.nr_ops;
	fold_addresses(call);
	*layout_seed = r.layout_seed;
	return !error && !layout.nr_arenas ? "no layout" : error;
}

// SPDX-License-Identifier: MIT
/*
 * How long interrupts are off in cpu_opv(2), for the vectors that keep them off
 * longest: from the tracepoints preemptirq:irq_disable and irq_enable.
 *
 * Meant for a kernel with CONFIG_PREEMPTIRQ_TRACEPOINTS in a VM that counts each
 * instruction as a nanosecond (tools/vm --kernel trace --icount): its time-stamp counter
 * then counts instructions. The tracepoints' own cost, once per section, is included.
 */
#include <fcntl.h>
#include <getopt.h>

#define PROGRAM "irqsoff"
#include "bench.h"

#define TRACING		"/sys/kernel/tracing/"
#define PAGE		4096
#define RUNS		20
#define SHARE		(CPU_OP_VEC_DATA_LEN_MAX / CPU_OP_VEC_LEN_MAX)

static _Alignas(PAGE) char dst[2 * PAGE], src[2 * PAGE];
static _Alignas(PAGE) char pages[2 * CPU_OP_VEC_LEN_MAX][PAGE];
static int64_t word;

static bool put(const char *file, const char *text)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), TRACING "%s", file);
	fd = open(path, O_WRONLY | O_TRUNC);
	if (fd < 0)
		return false;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text);
}

/* The longest section that the call itself began, in the trace of one call. */
static long longest_section(void)
{
	FILE *f = fopen(TRACING "trace", "r");
	unsigned long long began = 0;
	long longest = 0;
	char line[512];

	if (!f)
		fail(TRACING "trace");
	while (fgets(line, sizeof(line), f)) {
		char *event = strstr(line, ": irq_");
		unsigned long long at;

		if (!event)
			continue;
		*event = '\0';
		at = strtoull(strrchr(line, ' '), NULL, 10);
		event += 2;
		if (!strncmp(event, "irq_disable:", 12) && strstr(event, "opv_"))
			began = at;
		else if (!strncmp(event, "irq_enable:", 11) && began) {
			longest = (long)(at - began) > longest ? (long)(at - began) : longest;
			began = 0;
		}
	}
	fclose(f);
	return longest;
}

static long measure(const struct cpu_op *ops, unsigned int nr_ops)
{
	long longest = 0;
	int i;

	for (i = 0; i < RUNS; i++) {
		long section;

		if (!put("trace", "\n") || !put("tracing_on", "1"))
			fail("tracing_on");
		if (syscall(NR_CPU_OPV, ops, nr_ops, sched_getcpu(), 0))
			fail("cpu_opv");
		put("tracing_on", "0");
		section = longest_section();
		/* The first run may fault pages in, and try again. */
		if (i && section > longest)
			longest = section;
	}
	return longest;
}

static struct cpu_op copy(void *to, const void *from, uint32_t len)
{
	return (struct cpu_op){ .op = CPU_MEMCPY_OP, .len = len,
		.u.memcpy_op = { .dst = (uintptr_t)to, .src = (uintptr_t)from } };
}

static struct cpu_op equal(const void *a, const void *b, uint32_t len)
{
	return (struct cpu_op){ .op = CPU_COMPARE_EQ_OP, .len = len,
		.u.compare_op = { .a = (uintptr_t)a, .b = (uintptr_t)b } };
}

/* Pages of its own for each operation. */
static char *across(unsigned int i)
{
	return pages[2 * i] + PAGE - 128;
}

static void measure_all(FILE *csv)
{
	struct cpu_op add = { .op = CPU_ADD_OP, .len = 8,
		.u.arithmetic_op = { .p = (uintptr_t)&word, .count = 1 } };
	struct cpu_op longest[] = { copy(dst, src, PAGE),
		copy(dst + PAGE, src + PAGE, CPU_OP_VEC_DATA_LEN_MAX - PAGE) };
	struct cpu_op most[CPU_OP_VEC_LEN_MAX], again[CPU_OP_VEC_LEN_MAX];
	const struct { const char *name; const struct cpu_op *ops; unsigned int nr; } rows[] = {
		{ "empty vector", NULL, 0 },
		{ "add", &add, 1 },
		{ "copy 4216 bytes", longest, 2 },
		{ "16 copies among 32 pages", most, CPU_OP_VEC_LEN_MAX },
		{ "8 copies, read 8 times", again, CPU_OP_VEC_LEN_MAX },
	};
	unsigned int i;

	for (i = 0; i < CPU_OP_VEC_LEN_MAX; i++) {
		most[i] = copy(across(i), across((i + 1) % CPU_OP_VEC_LEN_MAX), 256);
		again[i] = i < CPU_OP_VEC_LEN_MAX / 2 ? copy(dst + PAGE - 128, src, SHARE) :
			equal(dst + PAGE - 128, dst + PAGE - 128, SHARE);
	}
	printf("Longest time with interrupts off, in ticks of the TSC\n");
	if (csv)
		fprintf(csv, "vector,ticks\n");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		long ticks = measure(rows[i].ops, rows[i].nr);

		printf("%-26s %8ld\n", rows[i].name, ticks);
		if (csv)
			fprintf(csv, "\"%s\",%ld\n", rows[i].name, ticks);
	}
}

static void usage(FILE *f)
{
	fprintf(f, "Usage: irqsoff [--csv FILE]\n\n"
		"Measure how long cpu_opv(2) keeps interrupts off, as root, on a kernel with\n"
		"the tracepoints preemptirq (tools/vm --kernel trace --icount).\n\n"
		"  --csv FILE  write the figures there too\n\n"
		"Exit status: 0; %d where the kernel lacks the call or the tracepoints; 1 on an\n"
		"error; 2 for wrong usage.\n", EXIT_ABSENT);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "csv", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	FILE *csv = NULL;
	char pid[16];
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt != 'c') {
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? 0 : 2;
		}
		csv = open_csv(optarg);
	}
	if (!have_call()) {
		fprintf(stderr, "irqsoff: this kernel does not have cpu_opv(2)\n");
		return EXIT_ABSENT;
	}
	snprintf(pid, sizeof(pid), "%d", getpid());
	if (!put("tracing_on", "0") || !put("trace_clock", "x86-tsc") || !put("set_event_pid", pid) ||
	    !put("events/preemptirq/enable", "1")) {
		fprintf(stderr, "irqsoff: no tracepoints preemptirq in " TRACING ": %s\n",
			strerror(errno));
		return EXIT_ABSENT;
	}
	measure_all(csv);
	put("events/preemptirq/enable", "0");
	close_csv(csv);
	return 0;
}

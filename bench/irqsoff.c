// SPDX-License-Identifier: MIT
/*
 * How long interrupts are off in cpu_opv(2), for the vectors that keep them off
 * longest: from the tracepoints preemptirq:irq_disable and irq_enable. On this CPU, for
 * itself and for one that runs another process, where all operands are looked up; and
 * on a CPU that is interrupted because it runs a thread of ours.
 *
 * Meant for a kernel with CONFIG_PREEMPTIRQ_TRACEPOINTS in a VM that counts each
 * instruction as a nanosecond (tools/vm --kernel trace --icount): its time-stamp counter
 * then counts instructions. The tracepoints' own cost, once per section, is included.
 */
#include <fcntl.h>
#include <getopt.h>
#include <sys/mman.h>

#define PROGRAM "irqsoff"
#include "bench.h"
#include "busy.h"

#define TRACING		"/sys/kernel/tracing/"
#define PAGE		4096
#define RUNS		20
#define SHARE		(CPU_OP_VEC_DATA_LEN_MAX / CPU_OP_VEC_LEN_MAX)

static _Alignas(PAGE) char dst[2 * PAGE], src[2 * PAGE];
static _Alignas(PAGE) char pages[2 * CPU_OP_VEC_LEN_MAX][PAGE];
static int64_t word;

static int self_cpu, other_cpu = -1;

/* What the CPU is doing that a vector is for. */
enum state { THIS, FOREIGN, OURS, NR_STATES };

static const char *const state_names[NR_STATES] = {
	[THIS] = "this", [FOREIGN] = "foreign", [OURS] = "ours",
};

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

/*
 * What has been traced since the last time. Reading the file "trace", or emptying it, would
 * wait for all CPUs to pass through the scheduler.
 */
static char *take_trace(void)
{
	static char text[1 << 20];
	static int fd = -1;
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		fd = open(TRACING "trace_pipe", O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		fail(TRACING "trace_pipe");
	while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return text;
}

/* The longest section of a CPU that a function of that name began. */
static long longest_section(char *trace, int cpu, const char *function)
{
	unsigned long long began = 0;
	long longest = 0;
	char *line;

	while ((line = strsep(&trace, "\n"))) {
		char *on = strchr(line, '['), *event = strstr(line, ": irq_");
		unsigned long long at;

		if (!on || !event || atoi(on + 1) != cpu)
			continue;
		*event = '\0';
		at = strtoull(strrchr(line, ' '), NULL, 10);
		event += 2;
		if (!strncmp(event, "irq_disable:", 12) && strstr(event, function))
			began = at;
		else if (!strncmp(event, "irq_enable:", 11) && began) {
			longest = (long)(at - began) > longest ? (long)(at - began) : longest;
			began = 0;
		}
	}
	return longest;
}

static long trace_call(const struct cpu_op *ops, unsigned int nr_ops, enum state state)
{
	take_trace();
	if (state == OURS)
		spinner_wait();
	if (!put("tracing_on", "1"))
		fail("tracing_on");
	if (syscall(__NR_cpu_opv, ops, nr_ops, state == THIS ? self_cpu : other_cpu, 0))
		fail("cpu_opv");
	put("tracing_on", "0");
	return state == OURS ? longest_section(take_trace(), other_cpu, "irqentry_enter") :
			       longest_section(take_trace(), self_cpu, "opv_");
}

static int compare(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/* The longest of all runs; of those with an interrupt the median, as a tick is one, too. */
static long measure(const struct cpu_op *ops, unsigned int nr_ops, enum state state)
{
	long section[RUNS];
	int i;

	trace_call(ops, nr_ops, state);	/* may fault pages in, and try again */
	for (i = 0; i < RUNS; i++)
		section[i] = trace_call(ops, nr_ops, state);
	qsort(section, RUNS, sizeof(*section), compare);
	return section[state == OURS ? RUNS / 2 : RUNS - 1];
}

/* Pages of its own for each operation. */
static char *across(unsigned int i)
{
	return pages[2 * i] + PAGE - 128;
}

struct row {
	const char *name;
	const struct cpu_op *ops;
	unsigned int nr_ops;
	long ticks[NR_STATES];		/* 0: not measured */
};

static void measure_state(struct row *rows, int nr, enum state state)
{
	int i;

	for (i = 0; i < nr; i++)
		rows[i].ticks[state] = measure(rows[i].ops, rows[i].nr_ops, state);
}

/* With memory that others could map, so that operands are looked up beside them. */
static void measure_states(struct row *rows, int nr)
{
	measure_state(rows, nr, THIS);
	if (other_cpu < 0)
		return;
	if (mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) ==
	    MAP_FAILED)
		fail("mmap");
	foreign_start(other_cpu);
	measure_state(rows, nr, FOREIGN);
	foreign_stop();
	spinner_start(other_cpu);
	measure_state(rows, nr, OURS);
	spinner_stop();
}

static void print_row(FILE *csv, const struct row *row)
{
	int k;

	printf("%-26s", row->name);
	if (csv)
		fprintf(csv, "\"%s\"", row->name);
	for (k = 0; k < NR_STATES; k++) {
		double ticks = row->ticks[k] ? (double)row->ticks[k] : (double)NAN;

		print_field(9, 0, ticks);
		if (csv)
			print_csv(csv, ticks);
	}
	printf("\n");
	if (csv)
		fprintf(csv, "\n");
}

static void print_heads(FILE *csv)
{
	int k;

	printf("Longest time with interrupts off, in ticks of the TSC, for a CPU that is\n%-26s", "");
	if (csv)
		fprintf(csv, "vector");
	for (k = 0; k < NR_STATES; k++) {
		printf(" %9s", state_names[k]);
		if (csv)
			fprintf(csv, ",%s", state_names[k]);
	}
	printf("\n");
	if (csv)
		fprintf(csv, "\n");
}

static void measure_all(FILE *csv)
{
	struct cpu_op add = cpu_op_add(&word, 8, 1);
	struct cpu_op longest[] = {
		cpu_op_memcpy(dst, src, PAGE),
		cpu_op_memcpy(dst + PAGE, src + PAGE, CPU_OP_VEC_DATA_LEN_MAX - PAGE),
	};
	struct cpu_op most[CPU_OP_VEC_LEN_MAX], again[CPU_OP_VEC_LEN_MAX];
	struct row rows[] = {
		{ "empty vector", NULL, 0, { 0 } },
		{ "add", &add, 1, { 0 } },
		{ "copy 4216 bytes", longest, 2, { 0 } },
		{ "16 copies among 32 pages", most, CPU_OP_VEC_LEN_MAX, { 0 } },
		{ "8 copies, read 8 times", again, CPU_OP_VEC_LEN_MAX, { 0 } },
	};
	const int nr = sizeof(rows) / sizeof(rows[0]);
	int i;

	for (i = 0; i < CPU_OP_VEC_LEN_MAX; i++) {
		most[i] = cpu_op_memcpy(across(i), across((i + 1) % CPU_OP_VEC_LEN_MAX), 256);
		again[i] = i < CPU_OP_VEC_LEN_MAX / 2 ?
			cpu_op_memcpy(dst + PAGE - 128, src, SHARE) :
			cpu_op_compare_eq(dst + PAGE - 128, dst + PAGE - 128, SHARE);
	}
	measure_states(rows, nr);
	print_heads(csv);
	for (i = 0; i < nr; i++)
		print_row(csv, &rows[i]);
	printf("\nforeign: another process, this one having had shared memory; run from this CPU\n"
	       "ours: a thread of this process, on whose CPU interrupts are off\n");
}

static void find_cpus(void)
{
	int cpus[2], nr = allowed_cpus(cpus, 2);

	self_cpu = cpus[0];
	pin(self_cpu);
	if (nr > 1)
		other_cpu = cpus[1];
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
	if (!put("tracing_on", "0") || !put("trace_clock", "x86-tsc") ||
	    !put("events/preemptirq/enable", "1")) {
		fprintf(stderr, "irqsoff: no tracepoints preemptirq in " TRACING ": %s\n",
			strerror(errno));
		return EXIT_ABSENT;
	}
	find_cpus();
	measure_all(csv);
	put("events/preemptirq/enable", "0");
	close_csv(csv);
	return 0;
}

// SPDX-License-Identifier: MIT
/*
 * What cpu_opv(2) costs, call by call, beside the null system call and beside
 * the other way to get at another CPU's data, sched_setaffinity() there and back.
 *
 * Meant for a VM that counts each instruction as a nanosecond (tools/vm --icount):
 * then every figure is a number of instructions, the same in every run. Elsewhere
 * it measures nanoseconds, and says so.
 *
 * A figure is the least of many batches, less an empty loop: a batch that a timer
 * tick or another thread got into is never the least. Where the other CPU has to be
 * interrupted, it is the median of single calls, what that CPU executes included.
 */
#include <getopt.h>

#define PROGRAM "calls"
#include "bench.h"
#include "busy.h"

#define BATCHES		40
#define BATCH		32	/* calls in a batch */

/* Instructions of one add, this CPU; times the other figures. */
#define TARGET_ADD	1600
#define AIM_ADD		1260
#define TARGET_STORE	1.15
#define TARGET_OTHER	1.05
#define TARGET_OURS	9000
#define TARGET_THERE	0.5

#define PAGE		4096
#define LONGEST		(CPU_OP_VEC_DATA_LEN_MAX - CPU_OP_DATA_LEN_MAX)

static _Alignas(PAGE) char dst[2 * PAGE], src[2 * PAGE];
static _Alignas(PAGE) char pages[2 * CPU_OP_VEC_LEN_MAX][PAGE];
static _Alignas(PAGE) int64_t words[CPU_OP_VEC_LEN_MAX];
static int64_t expected;

static int self_cpu, other_cpu = -1;

/* What the CPU is doing that a vector is for. */
enum state { THIS, IDLE, FOREIGN, OFFLINE, OURS, NR_STATES };

static const char *const state_names[NR_STATES] = {
	[THIS] = "this", [IDLE] = "idle", [FOREIGN] = "foreign", [OFFLINE] = "offline",
	[OURS] = "ours",
};

/* A row of the table: a vector, or no vector but a function. */
struct row {
	const char *name;
	void (*run)(const struct row *row);
	struct cpu_op ops[CPU_OP_VEC_LEN_MAX];
	unsigned int nr_ops;
	double cost[NR_STATES];		/* 0: not measured */
};

static int target_cpu;

static void run_nothing(const struct row *row)
{
	__asm__ volatile ("" : : "r" (row));
}

static void run_null(const struct row *row)
{
	(void)row;
	syscall(SYS_getppid);
}

static void run_vector(const struct row *row)
{
	if (syscall(__NR_cpu_opv, row->ops, row->nr_ops, target_cpu, 0))
		fail(row->name);
}

static void run_there_and_back(const struct row *row)
{
	(void)row;
	pin(other_cpu);
	pin(self_cpu);
}

static double time_batch(const struct row *row)
{
	double start = now_ns();
	int i;

	for (i = 0; i < BATCH; i++)
		row->run(row);
	return now_ns() - start;
}

static double least_batch(const struct row *row)
{
	double least = time_batch(row);
	int i;

	for (i = 1; i < BATCHES; i++) {
		double t = time_batch(row);

		least = t < least ? t : least;
	}
	return least;
}

/* Does the clock count instructions? A loop of two, 100,000 times. */
static bool counts_instructions(void)
{
	long n = 100000;
	double start = now_ns(), t;

	__asm__ volatile ("1: decq %0; jnz 1b" : "+r" (n) : : "cc");
	t = now_ns() - start;
	return t > 190000 && t < 220000;
}

/* Returns false where this CPU cannot be switched off and on. */
static bool set_online(bool online)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", other_cpu);
	f = fopen(path, "w");
	if (!f)
		return false;
	fputs(online ? "1\n" : "0\n", f);
	return !fclose(f);
}

/* Rows */

static struct row rows[32];
static int nr_rows;

static struct row *add_row(const char *name, void (*run)(const struct row *row))
{
	struct row *row = &rows[nr_rows++];

	row->name = name;
	row->run = run;
	return row;
}

static void add_op(struct row *row, struct cpu_op op)
{
	row->ops[row->nr_ops++] = op;
}

static void add_adds(const char *name, unsigned int nr)
{
	struct row *row = add_row(name, run_vector);

	while (row->nr_ops < nr)
		add_op(row, cpu_op_add(&words[row->nr_ops], 8, 1));
}

static void add_copy(const char *name, uint32_t len)
{
	add_op(add_row(name, run_vector), cpu_op_memcpy(dst, src, len));
}

/* Comparisons and stores that leave the memory as it was, so that they can be repeated. */
static void add_compare_copy(const char *name)
{
	struct row *row = add_row(name, run_vector);

	add_op(row, cpu_op_compare_eq(dst, &expected, 8));
	add_op(row, cpu_op_memcpy(dst, src, 8));
}

static void add_compare_store(const char *name, unsigned int nr_stores)
{
	struct row *row = add_row(name, run_vector);

	add_op(row, cpu_op_compare_eq_imm(dst, 8, 0));
	while (row->nr_ops <= nr_stores)
		add_op(row, cpu_op_store_imm(dst + 8 * row->nr_ops, 8, 0));
}

/* The most that a vector can move, over as few pages as it can, and over the most. */
static void add_longest(const char *name)
{
	struct row *row = add_row(name, run_vector);

	add_op(row, cpu_op_memcpy(dst, src, CPU_OP_DATA_LEN_MAX));
	add_op(row, cpu_op_memcpy(dst + PAGE, src + PAGE, LONGEST));
}

static void add_most_pages(const char *name)
{
	struct row *row = add_row(name, run_vector);

	while (row->nr_ops < CPU_OP_VEC_LEN_MAX)
		add_op(row, cpu_op_memcpy(pages[2 * row->nr_ops] + PAGE - 128,
					  src + PAGE - 128, 256));
}

enum { NOTHING, NULL_CALL, THERE_AND_BACK, EMPTY, ADD, COMPARE_STORE };

static void make_rows(void)
{
	add_row("nothing", run_nothing);
	add_row("null call (getppid)", run_null);
	add_row("sched_setaffinity there and back", run_there_and_back);
	add_row("empty vector", run_vector);
	add_adds("add", 1);
	add_compare_store("compare, store (immediate)", 1);
	add_compare_store("compare, 2 stores (immediate)", 2);
	add_compare_copy("compare, copy 8 bytes");
	add_adds("2 adds", 2);
	add_adds("4 adds", 4);
	add_adds("16 adds", 16);
	add_copy("copy 8 bytes", 8);
	add_copy("copy 64 bytes", 64);
	add_copy("copy 512 bytes", 512);
	add_copy("copy 4096 bytes", 4096);
	add_longest("copy 4216 bytes");
	add_most_pages("16 copies, 32 pages");
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* One by one, as each must find the thread running; the median. */
static double measure_ours(const struct row *row)
{
	double clock = now_ns(), sample[BATCHES];
	int i;

	clock = now_ns() - clock;
	for (i = 0; i < BATCHES; i++) {
		double start;

		spinner_wait();
		start = now_ns();
		row->run(row);
		sample[i] = now_ns() - start - clock;
	}
	qsort(sample, BATCHES, sizeof(*sample), compare);
	return sample[BATCHES / 2];
}

static double loop_cost;

static void measure_state(enum state state, int first)
{
	int i;

	target_cpu = state == THIS ? self_cpu : other_cpu;
	for (i = first; i < nr_rows; i++) {
		rows[i].run(&rows[i]);	/* the pages are there */
		rows[i].cost[state] = state == OURS ? measure_ours(&rows[i]) :
				      (least_batch(&rows[i]) - loop_cost) / BATCH;
	}
}

static void measure(void)
{
	loop_cost = least_batch(&rows[NOTHING]);
	rows[NULL_CALL].cost[THIS] = (least_batch(&rows[NULL_CALL]) - loop_cost) / BATCH;
	measure_state(THIS, EMPTY);
	if (other_cpu < 0)
		return;
	rows[THERE_AND_BACK].cost[THIS] = (least_batch(&rows[THERE_AND_BACK]) - loop_cost) / BATCH;
	measure_state(IDLE, EMPTY);
	foreign_start(other_cpu);
	measure_state(FOREIGN, EMPTY);
	foreign_stop();
	spinner_start(other_cpu);
	measure_state(OURS, EMPTY);
	spinner_stop();
	if (set_online(false)) {
		measure_state(OFFLINE, EMPTY);
		set_online(true);
	}
}

static void write_csv(FILE *csv)
{
	int i, k;

	fprintf(csv, "vector");
	for (k = 0; k < NR_STATES; k++)
		fprintf(csv, ",%s", state_names[k]);
	fprintf(csv, "\n");
	for (i = NULL_CALL; i < nr_rows; i++) {
		fprintf(csv, "\"%s\"", rows[i].name);
		for (k = 0; k < NR_STATES; k++)
			print_csv(csv, rows[i].cost[k] ? rows[i].cost[k] : (double)NAN);
		fprintf(csv, "\n");
	}
}

static void print_table(const char *unit)
{
	int i, k;

	printf("%s, for a CPU that is\n%-34s", unit, "");
	for (k = 0; k < NR_STATES; k++)
		printf(" %9s", state_names[k]);
	printf("\n");
	for (i = NULL_CALL; i < nr_rows; i++) {
		printf("%-34s", rows[i].name);
		for (k = 0; k < NR_STATES; k++)
			rows[i].cost[k] ? printf(" %9.0f", rows[i].cost[k]) : printf(" %9s", "-");
		printf("\n");
	}
	printf("\nidle, foreign (another process, private memory), offline: run from this CPU;\n"
	       "ours: a thread of this process runs there and is interrupted\n");
}

/* What a vector costs for a CPU that does not run us. */
static void print_elsewhere(const char *name, const double *cost)
{
	int k;

	for (k = IDLE; k <= OFFLINE; k++) {
		char what[64];

		snprintf(what, sizeof(what), "%s, %s CPU: times this CPU", name, state_names[k]);
		if (cost[k])
			print_target(what, cost[k] / cost[THIS], 3, AT_MOST, TARGET_OTHER);
	}
}

static void print_targets(bool instructions)
{
	const double *add = rows[ADD].cost;

	printf("\n");
	if (instructions) {
		print_target("add, this CPU: instructions", add[THIS], 0, AT_MOST, TARGET_ADD);
		print_target("add, this CPU: aim", add[THIS], 0, AT_MOST, AIM_ADD);
	}
	print_target("compare and store, immediate: times one add",
		     rows[COMPARE_STORE].cost[THIS] / add[THIS], 3, AT_MOST,
		     TARGET_STORE);
	print_elsewhere("add", add);
	print_elsewhere("compare and store", rows[COMPARE_STORE].cost);
	if (!add[OURS])
		return;
	if (instructions)
		print_target("add, CPU runs ours: instructions", add[OURS], 0, AT_MOST,
			     TARGET_OURS);
	print_target("add, CPU runs ours: times there and back",
		     add[OURS] / rows[THERE_AND_BACK].cost[THIS], 3, AT_MOST, TARGET_THERE);
}

/* This CPU is the first that we may use, the other one the last. */
static void choose_cpus(void)
{
	static int cpus[CPU_SETSIZE];
	int nr = allowed_cpus(cpus, CPU_SETSIZE);

	self_cpu = cpus[0];
	if (nr > 1)
		other_cpu = cpus[nr - 1];
	pin(self_cpu);
}

static void usage(FILE *f)
{
	fprintf(f, "Usage: calls [--csv FILE]\n\n"
		"Measure cpu_opv(2), in instructions where the clock counts them\n"
		"(tools/vm --kernel perf --icount -- build/bench/calls), else in ns.\n\n"
		"  --csv FILE  write the figures there too\n\n"
		"Exit status: 0; %d where the kernel does not have the call; 1 on an error;\n"
		"2 for wrong usage.\n", EXIT_ABSENT);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "csv", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	bool instructions;
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
		fprintf(stderr, "calls: this kernel does not have cpu_opv(2); try\n"
			"calls: tools/vm --kernel perf --icount -- build/bench/calls\n");
		return EXIT_ABSENT;
	}
	choose_cpus();
	memset(src, 0, sizeof(src));
	memset(dst, 0, sizeof(dst));
	memset(pages, 0, sizeof(pages));
	memset(words, 0, sizeof(words));
	make_rows();
	instructions = counts_instructions();
	measure();
	print_table(instructions ? "Instructions" : "Nanoseconds");
	print_targets(instructions);
	if (csv)
		write_csv(csv);
	close_csv(csv);
	return 0;
}

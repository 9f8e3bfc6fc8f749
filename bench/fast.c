// SPDX-License-Identifier: MIT
/*
 * The fast path: what an operation costs when its sequence commits, beside what
 * one would write by hand, and what a fallback costs.
 *
 * All are measured in turn, in many short rounds, and compared by the median of
 * the ratios of one round: load, frequency and placement of the machine then hit
 * all alike. Every loop exists at four alignments, because the distance to a
 * 64-byte line alone moves such loops by ten percent or more; a ratio compares
 * loops of the same alignment.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rseq_op/rseq_op.h>

#define ROUNDS_MAX	1000
#define SAMPLE_NS	200000	/* of one loop in one round */

#define TARGET_HAND	1.05	/* addv: times the hand-written, at most */
#define TARGET_COPY	10.0	/* 4096 bytes, one by one: times as a sequence, at least */
#define TARGET_LOCKED	5.0	/* sched_getcpu + lock xadd: times addv, at least */

#define COPIED		4096

struct data {
	_Alignas(128) intptr_t v;
	intptr_t v2;
	int32_t v32;
	intptr_t list;
	intptr_t node;		/* the only one: holds the address of the next, 0 */
	intptr_t to_v;
};

static char copy_src[COPIED], copy_dst[COPIED];

static struct data data[RSEQ_OP_CPU_MAX];
static int other_cpu;

/*
 * What one would write by hand: the sequence of rseq_op_addv() with the CPU
 * compared as a value in a register, and no tag in memory.
 */
static inline int hand_addv(intptr_t *v, intptr_t count, int cpu)
{
	__asm__ goto (
		".pushsection __rseq_cs, \"aw\"\n\t"
		".balign 32\n\t"
		"3:\n\t"
		".long 0, 0\n\t"
		".quad 1f, 2f - 1f, 4f\n\t"
		".popsection\n\t"
		".pushsection __rseq_cs_ptr_array, \"aw\"\n\t"
		".quad 3b\n\t"
		".popsection\n\t"
		".pushsection __rseq_exit_point_array, \"aw\"\n\t"
		".quad 1f, %l[elsewhere]\n\t"
		".popsection\n\t"
		"leaq	3b(%%rip), %%rax\n\t"
		"movq	%%rax, %%fs:8(%[rseq])\n\t"
		"1:\n\t"
		"cmpl	%[cpu], %%fs:4(%[rseq])\n\t"
		"jne	%l[elsewhere]\n\t"
		"addq	%[count], %[v]\n\t"
		"2:\n\t"
		".pushsection __rseq_failure, \"ax\"\n\t"
		".byte	0x0f, 0xb9, 0x3d\n\t"
		".long	0x53053053\n\t"
		"4:\n\t"
		"jmp	%l[aborted]\n\t"
		".popsection\n\t"
		: /* no outputs */
		: [rseq] "r" (rseq_op_offset), [cpu] "r" (cpu),
		  [v] "m" (*v), [count] "er" (count)
		: "memory", "cc", "rax"
		: aborted, elsewhere);
	return 0;
aborted:
	return -1;
elsewhere:
	return -2;
}

/* Out of line, as anybody would have it; the thread is pinned. */
static __attribute__((noinline)) void hand_retry(intptr_t *v, intptr_t count, int cpu)
{
	while (hand_addv(v, count, cpu))
		;
}

static inline void plain_add(intptr_t *v)
{
	__asm__ volatile ("addq $1, %0" : "+m" (*v) : : "memory", "cc");
}

static inline void locked_add(intptr_t *v)
{
	intptr_t count = 1;

	__asm__ volatile ("lock xaddq %0, %1" : "+r" (count), "+m" (*v) : : "memory", "cc");
}

/*
 * The loops. The first argument asks for the CPU once; where it is empty, each
 * iteration asks anew, all in the same way.
 */

typedef void (*loop_fn)(long n);

#define NR_SHIFTS	4

/* The address is made opaque: the compiler must not know that it is an array's. */
#define SAME_CPU								\
	int cpu = rseq_op_current_cpu();					\
	struct data *d = &data[cpu];						\
										\
	__asm__ ("" : "+r" (cpu), "+r" (d));

#define LOOP(name, shift, setup, ...)						\
static __attribute__((noinline)) void name##_##shift(long n)			\
{										\
	setup									\
	__asm__ volatile (".balign 64\n\t.skip 16 + " #shift ", 0x90");		\
	do {									\
		__VA_ARGS__							\
	} while (--n);								\
}

#define LOOPS(name, setup, ...)							\
	LOOP(name, 0, setup, __VA_ARGS__)					\
	LOOP(name, 16, setup, __VA_ARGS__)					\
	LOOP(name, 32, setup, __VA_ARGS__)					\
	LOOP(name, 48, setup, __VA_ARGS__)					\
static const loop_fn name##_loops[NR_SHIFTS] = { name##_0, name##_16, name##_32, name##_48 };

LOOPS(plain, , {
	plain_add(&data[rseq_op_current_cpu()].v);
})

LOOPS(hand, , {
	int cpu = rseq_op_current_cpu();

	if (__builtin_expect(hand_addv(&data[cpu].v, 1, cpu), 0))
		hand_retry(&data[cpu].v, 1, cpu);
})

LOOPS(addv, , {
	int cpu = rseq_op_current_cpu();

	rseq_op_addv(&data[cpu].v, 1, cpu);
})

LOOPS(hand_same, SAME_CPU, {
	if (__builtin_expect(hand_addv(&d->v, 1, cpu), 0))
		hand_retry(&d->v, 1, cpu);
})

LOOPS(addv_same, SAME_CPU, {
	rseq_op_addv(&d->v, 1, cpu);
})

#define OP_LOOPS(name, ...)							\
LOOPS(name, , {									\
	int cpu = rseq_op_current_cpu();					\
	struct data *d = &data[cpu];						\
										\
	__VA_ARGS__								\
})

static intptr_t old;

OP_LOOPS(storev, rseq_op_storev(&d->v, 1, cpu);)
OP_LOOPS(xchgv, rseq_op_xchgv(&d->v, 1, &old, cpu);)
OP_LOOPS(orv, rseq_op_orv(&d->v, 1, cpu);)
OP_LOOPS(fetch_addv, rseq_op_fetch_addv(&d->v, 1, &old, cpu);)
OP_LOOPS(addv32, rseq_op_addv32(&d->v32, 1, cpu);)
OP_LOOPS(addv_release, rseq_op_addv_release(&d->v, 1, cpu);)
OP_LOOPS(addv_cid, rseq_op_addv_cid(&d->v, 1, rseq_op_current_cid());)
OP_LOOPS(cmpeqv_storev,
	 intptr_t v = *(volatile intptr_t *)&d->v;
	 rseq_op_cmpeqv_storev(&d->v, v, v + 1, cpu);)
OP_LOOPS(cmpeqv_cmpeqv_storev,
	 intptr_t v = *(volatile intptr_t *)&d->v;
	 rseq_op_cmpeqv_cmpeqv_storev(&d->v, v, &d->v2, 0, v + 1, cpu);)
OP_LOOPS(cmpeqv_storev_storev,
	 intptr_t v = *(volatile intptr_t *)&d->v;
	 rseq_op_cmpeqv_storev_storev(&d->v, v, &d->v2, 0, v + 1, cpu);)
OP_LOOPS(pop_push,
	 rseq_op_cmpnev_storeoffp_load(&d->list, 0, 0, &old, cpu);
	 rseq_op_cmpeqv_storev(&d->list, 0, (intptr_t)&d->node, cpu);)
OP_LOOPS(offset_deref, rseq_op_offset_deref_addv(&d->to_v, 0, 1, cpu);)
OP_LOOPS(copy_64,
	 rseq_op_cmpeqv_memcpy_storev(&d->v2, 0, copy_dst, copy_src, 64, 0, cpu);)
OP_LOOPS(copy_4096,
	 rseq_op_cmpeqv_memcpy_storev(&d->v2, 0, copy_dst, copy_src, COPIED, 0, cpu);)

/* What a sequence does that copies byte by byte, less the sequence. */
LOOPS(bytes_4096, , {
	const char *src = copy_src;
	char *dst = copy_dst;
	long n = COPIED;

	__asm__ volatile (
		"1:\n\t"
		"movb	(%0), %%al\n\t"
		"movb	%%al, (%1)\n\t"
		"incq	%0\n\t"
		"incq	%1\n\t"
		"decq	%2\n\t"
		"jnz	1b\n\t"
		: "+r" (src), "+r" (dst), "+r" (n) : : "rax", "memory", "cc");
})

OP_LOOPS(vector,
	 const struct cpu_op op = { .op = CPU_ADD_OP, .len = sizeof(d->v),
		 .u.arithmetic_op = { .p = (uintptr_t)&d->v, .count = 1 } };
	 rseq_op(&op, 1, cpu, 0);)
OP_LOOPS(vector_two_stores,
	 const struct cpu_op op = { .op = CPU_ADD_OP, .len = sizeof(d->v),
		 .u.arithmetic_op = { .p = (uintptr_t)&d->v, .count = 1 } };
	 const struct cpu_op ops[] = { op, op };
	 rseq_op(ops, 2, cpu, 0);)

LOOPS(locked, , {
	locked_add(&data[0].v);
})

LOOPS(getcpu_locked, , {
	locked_add(&data[sched_getcpu()].v);
})

LOOPS(remote, , {
	rseq_op_addv(&data[other_cpu].v, 1, other_cpu);
})

enum {
	PLAIN, HAND, ADDV, HAND_SAME, ADDV_SAME, COPY_4096, BYTES_4096, LOCKED, GETCPU_LOCKED,
	REMOTE, OTHERS
};

static const struct contender {
	const char *name;
	const loop_fn *loops;
} contenders[] = {
	[PLAIN]			= { "add, no protection", plain_loops },
	[HAND]			= { "rseq add by hand, no tag", hand_loops },
	[ADDV]			= { "rseq_op_addv", addv_loops },
	[HAND_SAME]		= { "rseq add by hand, CPU asked once", hand_same_loops },
	[ADDV_SAME]		= { "rseq_op_addv, CPU asked once", addv_same_loops },
	[COPY_4096]		= { "cmpeqv_memcpy_storev, 4096 bytes", copy_4096_loops },
	[BYTES_4096]		= { "4096 bytes, one by one", bytes_4096_loops },
	[LOCKED]		= { "lock xadd, own line", locked_loops },
	[GETCPU_LOCKED]		= { "sched_getcpu + lock xadd", getcpu_locked_loops },
	[REMOTE]		= { "rseq_op_addv, other CPU", remote_loops },
	[OTHERS]		= { "storev", storev_loops },
	{ "xchgv", xchgv_loops },
	{ "orv", orv_loops },
	{ "fetch_addv", fetch_addv_loops },
	{ "addv32", addv32_loops },
	{ "addv_release", addv_release_loops },
	{ "addv_cid", addv_cid_loops },
	{ "cmpeqv_storev", cmpeqv_storev_loops },
	{ "cmpeqv_cmpeqv_storev", cmpeqv_cmpeqv_storev_loops },
	{ "cmpeqv_storev_storev", cmpeqv_storev_storev_loops },
	{ "list: pop and push", pop_push_loops },
	{ "offset_deref_addv", offset_deref_loops },
	{ "cmpeqv_memcpy_storev, 64 bytes", copy_64_loops },
	{ "rseq_op: add", vector_loops },
	{ "rseq_op: two stores, by backend", vector_two_stores_loops },
};

#define NR_CONTENDERS	((int)(sizeof(contenders) / sizeof(contenders[0])))

/* ns per operation; equal indices are of one round and one alignment. */
static double samples[sizeof(contenders) / sizeof(contenders[0])][NR_SHIFTS * ROUNDS_MAX];
static long loop_length[sizeof(contenders) / sizeof(contenders[0])];
static int nr_samples;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static double time_loop(loop_fn loop, long n)
{
	double start = now_ns();

	loop(n);
	return (now_ns() - start) / (double)n;
}

/* How often to run a loop so that it takes SAMPLE_NS. */
static long calibrate(loop_fn loop)
{
	long n = 16;

	while (time_loop(loop, n) * (double)n < SAMPLE_NS / 2.0)
		n *= 2;
	return n;
}

static bool present(int c)
{
	return c != REMOTE || other_cpu >= 0;
}

static void measure(int rounds)
{
	int c, round, shift;

	for (c = 0; c < NR_CONTENDERS; c++)
		loop_length[c] = present(c) ? calibrate(contenders[c].loops[0]) : 0;
	for (round = 0; round < rounds; round++) {
		for (shift = 0; shift < NR_SHIFTS; shift++, nr_samples++) {
			for (c = 0; c < NR_CONTENDERS; c++) {
				if (present(c))
					samples[c][nr_samples] = time_loop(
						contenders[c].loops[shift], loop_length[c]);
			}
		}
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median of a[i] / b[i], or of a[i]. */
static double median(const double *a, const double *b)
{
	static double sorted[NR_SHIFTS * ROUNDS_MAX];
	int i;

	for (i = 0; i < nr_samples; i++)
		sorted[i] = b ? a[i] / b[i] : a[i];
	qsort(sorted, (size_t)nr_samples, sizeof(*sorted), compare);
	return sorted[nr_samples / 2];
}

static double least(const double *a)
{
	double best = a[0];
	int i;

	for (i = 1; i < nr_samples; i++)
		best = a[i] < best ? a[i] : best;
	return best;
}

/* Each CPU's list and pointer. */
static void set_up(void)
{
	int cpu;

	for (cpu = 0; cpu < RSEQ_OP_CPU_MAX; cpu++) {
		data[cpu].list = (intptr_t)&data[cpu].node;
		data[cpu].to_v = (intptr_t)&data[cpu].v;
	}
}

/* Pin to the current CPU; where allowed, remember another. */
static void choose_cpus(void)
{
	int cpu, self = rseq_op_current_cpu();
	cpu_set_t set;

	other_cpu = -1;
	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (cpu != self && CPU_ISSET(cpu, &set))
			other_cpu = cpu;
	}
	CPU_ZERO(&set);
	CPU_SET(self, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* In a child that was started with RSEQ_OP_FORCE_FALLBACK=1. */
static int print_forced(int rounds)
{
	double sample[ROUNDS_MAX];
	long n = calibrate(addv_loops[0]);
	int i;

	for (i = 0; i < rounds; i++)
		sample[i] = time_loop(addv_loops[i % NR_SHIFTS], n);
	qsort(sample, (size_t)rounds, sizeof(*sample), compare);
	printf("%f %f\n", sample[rounds / 2], sample[0]);
	return 0;
}

static void exec_forced(int fd, int rounds)
{
	char arg[16];

	snprintf(arg, sizeof(arg), "%d", rounds);
	setenv("RSEQ_OP_FORCE_FALLBACK", "1", 1);
	dup2(fd, STDOUT_FILENO);
	execl("/proc/self/exe", "fast", "--forced", "--rounds", arg, (char *)NULL);
	_exit(127);
}

/* The environment is read at start, so this takes a process of its own. */
static bool measure_forced(int rounds, double *mid, double *best)
{
	int pipefd[2], status, n;
	pid_t pid;
	FILE *f;

	if (pipe(pipefd))
		return false;
	pid = fork();
	if (!pid)
		exec_forced(pipefd[1], rounds);
	close(pipefd[1]);
	f = fdopen(pipefd[0], "r");
	n = f ? fscanf(f, "%lf %lf", mid, best) : 0;
	if (f)
		fclose(f);
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status && n == 2;
}

static void print_row(bool csv, const char *name, double mid, double best, double ratio)
{
	const char *format = csv ? "\"%s\",%.3f,%.3f,%.3f\n" : "%-34s %9.2f %9.2f %9.2f\n";

	printf(format, name, mid, best, ratio);
}

static void print_table(bool csv, int rounds)
{
	double mid, best;
	int c;

	if (csv)
		printf("operation,median_ns,best_ns,ratio_to_by_hand\n");
	else
		printf("%-34s %9s %9s %9s\n", "operation, one thread", "median ns", "best ns",
		       "/ by hand");
	for (c = 0; c < NR_CONTENDERS; c++) {
		if (present(c))
			print_row(csv, contenders[c].name, median(samples[c], NULL),
				  least(samples[c]), median(samples[c], samples[HAND]));
	}
	if (measure_forced(rounds, &mid, &best))
		print_row(csv, "rseq_op_addv, forced fallback", mid, best,
			  mid / median(samples[HAND], NULL));
}

static const char *verdict(bool reached)
{
	return reached ? "reached" : "NOT reached";
}

/* A ratio and its target, for the CPU asked each time and asked once. */
static void print_target(const char *what, double each, double once, double target, bool at_most)
{
	printf("%s (target: at %s %.2f)\n", what, at_most ? "most" : "least", target);
	printf("    CPU asked each time %6.3f, %s\n", each,
	       verdict(at_most ? each <= target : each >= target));
	printf("    CPU asked once      %6.3f, %s\n", once,
	       verdict(at_most ? once <= target : once >= target));
}

static void print_targets(void)
{
	double copy;

	printf("\n");
	print_target("rseq_op_addv, times the rseq add by hand",
		     median(samples[ADDV], samples[HAND]),
		     median(samples[ADDV_SAME], samples[HAND_SAME]), TARGET_HAND, true);
	print_target("sched_getcpu + lock xadd, times rseq_op_addv",
		     median(samples[GETCPU_LOCKED], samples[ADDV]),
		     median(samples[GETCPU_LOCKED], samples[ADDV_SAME]), TARGET_LOCKED, false);
	copy = median(samples[BYTES_4096], samples[COPY_4096]);
	printf("4096 bytes one by one, times cmpeqv_memcpy_storev (target: at least %.2f)\n"
	       "                        %6.3f, %s\n", TARGET_COPY, copy,
	       verdict(copy >= TARGET_COPY));
}

static void usage(FILE *f)
{
	fprintf(f, "Usage: fast [--rounds N] [--csv]\n\n"
		"Measure the fast path of rseq_op in one thread that is pinned to its CPU.\n\n"
		"  --rounds N   rounds, 1 to %d (default 50), each at %d alignments\n"
		"  --csv        comma-separated values, without the targets\n",
		ROUNDS_MAX, NR_SHIFTS);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ "csv", no_argument, NULL, 'c' },
		{ "forced", no_argument, NULL, 'f' },	/* internal: the child */
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	bool csv = false, forced = false;
	int opt, rounds = 50;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'r':
			rounds = atoi(optarg);
			break;
		case 'c':
			csv = true;
			break;
		case 'f':
			forced = true;
			break;
		default:
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? 0 : 2;
		}
	}
	if (rounds < 1 || rounds > ROUNDS_MAX || optind < argc) {
		usage(stderr);
		return 2;
	}
	set_up();
	choose_cpus();
	if (forced)
		return print_forced(rounds);
	measure(rounds);
	print_table(csv, rounds);
	if (!csv)
		print_targets();
	return 0;
}

// SPDX-License-Identifier: MIT
/*
 * The slow paths: what an operation costs when its sequence cannot do it, by each backend,
 * and what a fallback that is forced now and then costs on average.
 *
 * The environment decides when the library is loaded, so each setting has a child of its
 * own: this program, started again. The children measure in turn, a round each, and the
 * figures of one round are compared.
 *
 * "alone" is with nobody to interrupt: there is another thread, as in whatever needs
 * per-CPU data, but it sleeps. (Without one, membarrier(2) returns at once.) "ours" is
 * with one that runs on the other CPU.
 *
 * The rows that are "forced" are measured where no operation tries a sequence, nor a lease,
 * but takes the vector at once. On this CPU that is what one costs that aborts too often, or is
 * single-stepped, without the attempts.
 */
#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <rseq_op/rseq_op.h>

#define PROGRAM "slow"
#include "busy.h"
#include "options.h"
#include "sample.h"

#define ROUNDS_MAX	1000
#define SAMPLE_NS	300000	/* of one row in one round */

#define TARGET_ALONE	0.8	/* us, at most */
#define TARGET_CALLS	6.0	/* null calls: the same where one takes 133 ns */

/* Rows: what is measured in each setting. */

static int self_cpu, other_cpu = -1;
static _Alignas(4096) intptr_t words[512];

static void do_null(void)
{
	syscall(SYS_getppid);
}

static void do_membarrier(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU,
		other_cpu < 0 ? self_cpu : other_cpu);
}

static void do_there_and_back(void)
{
	pin(other_cpu);
	pin(self_cpu);
}

static void do_add_here(void)
{
	rseq_op_addv(&words[0], 1, self_cpu);
}

static void do_add_there(void)
{
	rseq_op_addv(&words[64], 1, other_cpu);
}

static void do_vector_here(void)
{
	const struct cpu_op add = cpu_op_add(&words[0], sizeof(words[0]), 1);
	const struct cpu_op ops[] = { add, add };

	rseq_op(ops, 2, self_cpu, 0);
}

static void do_fence(void)
{
	rseq_op_fence(other_cpu);
}

static void do_fence_all(void)
{
	rseq_op_fence_all();
}

enum row {
	NULL_CALL, MEMBARRIER, THERE_AND_BACK, ADD_HERE, VECTOR_HERE, ADD_ALONE, FORCED_ALONE,
	FENCE_ALONE, FENCE_ALL_ALONE, ADD_OURS, FORCED_OURS, FENCE_OURS, FENCE_ALL_OURS, NR_ROWS
};

static const struct {
	const char *name;
	void (*run)(void);
	bool needs_other, needs_ours, forced;
} rows[NR_ROWS] = {
	[NULL_CALL] = { "null call (getppid)", do_null, false, false, false },
	[MEMBARRIER] = { "membarrier(2) itself, alone", do_membarrier, false, false, false },
	[THERE_AND_BACK] = { "sched_setaffinity there and back", do_there_and_back, true, false,
			     false },
	[ADD_HERE] = { "addv, this CPU, forced", do_add_here, false, false, true },
	[VECTOR_HERE] = { "vector of two adds, this CPU", do_vector_here, false, false, false },
	[ADD_ALONE] = { "addv, other CPU, alone", do_add_there, true, false, false },
	[FORCED_ALONE] = { "addv, other CPU, alone, forced", do_add_there, true, false, true },
	[FENCE_ALONE] = { "fence, other CPU, alone", do_fence, true, false, false },
	[FENCE_ALL_ALONE] = { "fence, all CPUs, alone", do_fence_all, false, false, false },
	[ADD_OURS] = { "addv, other CPU, ours", do_add_there, true, true, false },
	[FORCED_OURS] = { "addv, other CPU, ours, forced", do_add_there, true, true, true },
	[FENCE_OURS] = { "fence, other CPU, ours", do_fence, true, true, false },
	[FENCE_ALL_OURS] = { "fence, all CPUs, ours", do_fence_all, true, true, false },
};

/* Settings: the backends, and how often a fallback is forced on the one chosen. */

enum setting {
	BY_KERNEL, BY_MEMBARRIER, BY_AFFINITY, BY_GUARD, UNFORCED, FORCED_1000, FORCED_100,
	FORCED_1, NR_SETTINGS
};

static const struct {
	const char *name, *variable, *value;
	enum rseq_op_backend backend;
} settings[NR_SETTINGS] = {
	[BY_KERNEL] = { "kernel", "RSEQ_OP_BACKEND", "kernel", RSEQ_OP_BACKEND_KERNEL },
	[BY_MEMBARRIER] = { "membarrier", "RSEQ_OP_BACKEND", "membarrier",
		RSEQ_OP_BACKEND_MEMBARRIER },
	[BY_AFFINITY] = { "affinity", "RSEQ_OP_BACKEND", "affinity", RSEQ_OP_BACKEND_AFFINITY },
	[BY_GUARD] = { "guard", "RSEQ_OP_BACKEND", "guard", RSEQ_OP_BACKEND_GUARD },
	[UNFORCED] = { "never", "RSEQ_OP_FORCE_FALLBACK", "0", RSEQ_OP_BACKEND_NONE },
	[FORCED_1000] = { "1/1000", "RSEQ_OP_FORCE_FALLBACK", "1000", RSEQ_OP_BACKEND_NONE },
	[FORCED_100] = { "1/100", "RSEQ_OP_FORCE_FALLBACK", "100", RSEQ_OP_BACKEND_NONE },
	[FORCED_1] = { "always", "RSEQ_OP_FORCE_FALLBACK", "1", RSEQ_OP_BACKEND_NONE },
};

static bool chooses_backend(enum setting setting)
{
	return settings[setting].backend != RSEQ_OP_BACKEND_NONE;
}

/*
 * Those that choose a backend measure all rows, the forced ones in a child of their own; the
 * others, which say themselves what is forced, an operation on this CPU.
 */
static bool has_child(enum setting setting, bool forced)
{
	return chooses_backend(setting) || forced;
}

static bool measures(enum setting setting, bool forced, enum row row)
{
	return chooses_backend(setting) ? rows[row].forced == forced : row == ADD_HERE;
}

/*
 * The child
 */

static void *sleep_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static pthread_t start(void *(*thread)(void *))
{
	pthread_t t;

	errno = pthread_create(&t, NULL, thread, NULL);
	if (errno)
		fail("pthread_create");
	return t;
}

static double time_calls(void (*run)(void), long n)
{
	double start = now_ns();
	long i;

	for (i = 0; i < n; i++)
		run();
	return (now_ns() - start) / (double)n;
}

static double measure_row(enum row row)
{
	static long length[NR_ROWS];

	void (*run)(void) = rows[row].run;
	long n = length[row];

	if (!n) {
		n = 1;
		while (time_calls(run, n) * (double)n < SAMPLE_NS / 2.0)
			n *= 2;
		length[row] = n;
	}
	return time_calls(run, n);
}

static void measure_round(enum setting setting, bool forced, double *ns)
{
	bool spinning = false;
	enum row row;

	for (row = 0; row < NR_ROWS; row++) {
		ns[row] = (double)NAN;
		if (!measures(setting, forced, row) || (rows[row].needs_other && other_cpu < 0))
			continue;
		if (rows[row].needs_ours && !spinning) {
			spinner_start(other_cpu);
			spinner_wait();
			spinning = true;
		}
		ns[row] = measure_row(row);
	}
	if (spinning)
		spinner_stop();
}

static void choose_cpus(void)
{
	int cpus[2], nr = allowed_cpus(cpus, 2);

	self_cpu = cpus[0];
	if (nr > 1)
		other_cpu = cpus[1];
	pin(self_cpu);
}

/* A round for each byte that comes, until the parent goes. */
static int child(enum setting setting, bool forced)
{
	bool there = !chooses_backend(setting) ||
		     rseq_op_backend(NULL) == settings[setting].backend;
	double ns[NR_ROWS];
	char go;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	choose_cpus();
	start(sleep_for_ever);
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0);
	while (read(STDIN_FILENO, &go, 1) == 1) {
		for (i = 0; i < NR_ROWS; i++)
			ns[i] = (double)NAN;
		if (there)
			measure_round(setting, forced, ns);
		if (write(STDOUT_FILENO, ns, sizeof(ns)) != sizeof(ns))
			return 1;
	}
	return 0;
}

/*
 * The parent
 */

static struct {
	pid_t pid;
	int to, from;
} children[NR_SETTINGS][2];	/* [][forced] */

/* ns */
static double samples[NR_SETTINGS][NR_ROWS][SAMPLES_MAX];
static int nr_samples;

static void start_child(enum setting setting, bool forced)
{
	int to[2], from[2];
	char arg[16];
	pid_t pid;

	snprintf(arg, sizeof(arg), "%d", setting);
	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		fail("pipe2");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid) {
		unsetenv("RSEQ_OP_BACKEND");
		setenv("RSEQ_OP_FORCE_FALLBACK", forced ? "1" : "0", 1);
		setenv(settings[setting].variable, settings[setting].value, 1);
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execl("/proc/self/exe", PROGRAM, "--child", arg, forced ? "1" : "0",
		      (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	children[setting][forced].pid = pid;
	children[setting][forced].to = to[1];
	children[setting][forced].from = from[0];
}

static void ask_child(enum setting setting, bool forced)
{
	double ns[NR_ROWS];
	int row;

	if (write(children[setting][forced].to, "", 1) != 1 ||
	    read(children[setting][forced].from, ns, sizeof(ns)) != sizeof(ns)) {
		fprintf(stderr, PROGRAM ": the child for %s=%s ended early\n",
			settings[setting].variable, settings[setting].value);
		exit(1);
	}
	for (row = 0; row < NR_ROWS; row++) {
		if (!chooses_backend(setting) || rows[row].forced == forced)
			samples[setting][row][nr_samples] = ns[row];
	}
}

static void end_child(enum setting setting, bool forced)
{
	close(children[setting][forced].to);
	waitpid(children[setting][forced].pid, NULL, 0);
}

static void for_each_child(void (*fn)(enum setting, bool forced))
{
	int setting, forced;

	for (setting = 0; setting < NR_SETTINGS; setting++) {
		for (forced = 0; forced < 2; forced++) {
			if (has_child(setting, forced))
				fn(setting, forced);
		}
	}
}

static void measure(int rounds)
{
	signal(SIGPIPE, SIG_IGN);
	for_each_child(start_child);
	for (nr_samples = 0; nr_samples < rounds; nr_samples++) {
		progress("round", nr_samples, rounds);
		for_each_child(ask_child);
	}
	progress(NULL, 0, 0);
	for_each_child(end_child);
}

static double typical_us(enum setting setting, enum row row)
{
	return median(samples[setting][row], NULL, nr_samples) / 1000;
}

static double null_calls(enum setting setting, enum row row)
{
	return median(samples[setting][row], samples[setting][NULL_CALL], nr_samples);
}

static double times_unforced(enum setting setting)
{
	return median(samples[setting][ADD_HERE], samples[UNFORCED][ADD_HERE], nr_samples);
}

static void print_backends(void)
{
	int setting, row;

	printf("Slow paths: us, median of %d rounds, by backend\n\n%-34s", nr_samples, "");
	for (setting = BY_KERNEL; setting <= BY_GUARD; setting++)
		printf(" %11s", settings[setting].name);
	printf("\n");
	for (row = 0; row < NR_ROWS; row++) {
		printf("%-34s", rows[row].name);
		for (setting = BY_KERNEL; setting <= BY_GUARD; setting++)
			print_field(11, 3, typical_us(setting, row));
		printf("\n");
	}
	printf("\nalone: our other thread sleeps; ours: it runs on the other CPU. guard: there\n"
	       "are no sequences. -: no such backend or CPU.\n");
}

static void print_forced(void)
{
	int setting;

	printf("\nA forced fallback: addv on this CPU, ns on average\n\n%-12s %11s %11s\n",
	       "forced", "ns", "/ never");
	for (setting = UNFORCED; setting < NR_SETTINGS; setting++) {
		printf("%-12s", settings[setting].name);
		print_field(11, 2, 1000 * typical_us(setting, ADD_HERE));
		print_field(11, 2, times_unforced(setting));
		printf("\n");
	}
	printf("\n");
}

static void print_targets(const char *what, enum row row)
{
	char of[64];

	snprintf(of, sizeof(of), "addv by membarrier, %s: us", what);
	print_target(of, typical_us(BY_MEMBARRIER, row), 2, AT_MOST, TARGET_ALONE);
	snprintf(of, sizeof(of), "addv by membarrier, %s: null calls", what);
	print_target(of, null_calls(BY_MEMBARRIER, row), 1, AT_MOST, TARGET_CALLS);
}

static void write_csv(FILE *csv)
{
	int setting, row;

	fprintf(csv, "operation");
	for (setting = 0; setting < NR_SETTINGS; setting++)
		fprintf(csv, ",%s", settings[setting].name);
	fprintf(csv, "\n");
	for (row = 0; row < NR_ROWS; row++) {
		fprintf(csv, "\"%s\"", rows[row].name);
		for (setting = 0; setting < NR_SETTINGS; setting++)
			print_csv(csv, typical_us(setting, row));
		fprintf(csv, "\n");
	}
}

static void usage(FILE *f)
{
	fprintf(f, "Usage: slow [--rounds N] [--csv FILE]\n\n"
		"Measure the slow paths of rseq_op, by backend, and forced fallbacks.\n\n"
		"  --rounds N  1 to %d (default 50)\n"
		"  --csv FILE  write the figures there too\n\n"
		"Exit status: 0; 1 on an error; 2 for wrong usage.\n", ROUNDS_MAX);
}

int main(int argc, char **argv)
{
	struct options o;

	/* Internal: a measurement in a process of its own. */
	if (argc == 4 && !strcmp(argv[1], "--child"))
		return child((enum setting)atoi(argv[2]), atoi(argv[3]));
	o = parse_options(argc, argv, ROUNDS_MAX);
	measure(o.rounds);
	print_backends();
	print_forced();
	print_targets("this CPU, forced", ADD_HERE);
	print_targets("other CPU, alone", ADD_ALONE);
	if (o.csv)
		write_csv(o.csv);
	close_csv(o.csv);
	return 0;
}

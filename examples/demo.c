// SPDX-License-Identifier: MIT
/*
 * What rseq_op does, shown with figures of this machine. Each section checks what
 * it claims; the exit status is 0 only if all of it held.
 *
 *	demo [--progress]	show progress also where stderr is no terminal
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rseq_op/cpu_op.h>
#include <rseq_op/rseq_op.h>

#define COUNT_MS	1000	/* how long threads count, each time */
#define REMOTE_MS	1000	/* how long another CPU's data is updated, each way */
#define BATCH		1000	/* operations between two looks at the clock */
#define CONTROL_STEPS	100000		/* of the plain loop, if time allows */
#define CONTROL_SECONDS	15.0
#define STEPPED_OPS	100		/* of rseq_op, if time allows: */
#define STEPS_EXPECTED	1000		/* for each, at most, to plan with */
#define STEPS_ALLOWED	20000		/* for each, or it does not get anywhere */

/* The data of a CPU, on cache lines of its own. */
struct percpu {
	_Alignas(128) intptr_t sum;
	intptr_t turn;			/* a second counter, for compare and store */
	char note[64];			/* written together with turn */
};

static struct percpu *data;
static cpu_set_t allowed;
static bool failed, progress;

/*
 * Output
 */

/* 1234567 as 1,234,567; good for four values in one printf(). */
static const char *grouped(uint64_t n)
{
	static char bufs[8][32];
	static unsigned int next;
	char *p = bufs[next++ % 8] + 31;
	int digits = 0;

	*p = '\0';
	do {
		if (digits && digits % 3 == 0)
			*--p = ',';
		*--p = (char)('0' + n % 10);
		digits++;
	} while (n /= 10);
	return p;
}

static void heading(const char *text)
{
	printf("\n%s\n", text);
	fflush(stdout);
}

static __attribute__((format(printf, 2, 3))) void figure(const char *what, const char *format, ...)
{
	va_list args;

	printf("  %-30s ", what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

/* A claim of this program: say whether it held. */
static __attribute__((format(printf, 2, 3))) void claim(bool held, const char *format, ...)
{
	va_list args;

	printf("  %s: ", held ? "yes" : "NO ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	failed |= !held;
}

static void show_progress(const char *what, uint64_t done, uint64_t of)
{
	if (progress)
		fprintf(stderr, "\r  %s %s of %s\033[K", what, grouped(done), grouped(of));
}

static void end_progress(void)
{
	if (progress)
		fprintf(stderr, "\r\033[K");
}

static void die(const char *what)
{
	end_progress();
	fprintf(stderr, "demo: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void sleep_ms(int ms, const char *what)
{
	int i;

	for (i = 0; i < ms; i += 50) {
		show_progress(what, (uint64_t)i, (uint64_t)ms);
		usleep(50000);
	}
	end_progress();
}

/*
 * Where we are
 */

static void read_line(const char *path, char *buf, int size)
{
	FILE *f = fopen(path, "r");

	if (!f || !fgets(buf, size, f))
		snprintf(buf, (size_t)size, "unknown");
	if (f)
		fclose(f);
	buf[strcspn(buf, "\n")] = '\0';
}

static void show_machine(void)
{
	char online[256], nodes[256];
	struct utsname u;
	const char *why;
	enum rseq_op_backend backend = rseq_op_backend(&why);

	uname(&u);
	read_line("/sys/devices/system/cpu/online", online, sizeof(online));
	read_line("/sys/devices/system/node/online", nodes, sizeof(nodes));
	heading("This machine");
	figure("kernel", "%s %s", u.sysname, u.release);
	figure("CPUs online", "%s (%d possible)", online, rseq_op_nr_cpus());
	figure("NUMA nodes", "%s", nodes);
	figure("backend", "%s", rseq_op_backend_name(backend));
	figure("because", "%s", why);
	claim(backend != RSEQ_OP_BACKEND_NONE, "there is a backend");
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

/* The last CPU that we may use but for skip, -1 if there is none. */
static int last_cpu(int skip)
{
	int cpu = CPU_SETSIZE - 1;

	while (cpu >= 0 && (cpu == skip || !CPU_ISSET(cpu, &allowed)))
		cpu--;
	return cpu;
}

static void clear_data(void)
{
	memset(data, 0, (size_t)rseq_op_nr_cpus() * sizeof(*data));
}

static uint64_t sum_of_all(void)
{
	uint64_t sum = 0;
	int cpu;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++)
		sum += (uint64_t)data[cpu].sum;
	return sum;
}

/*
 * Fallbacks
 */

static struct rseq_op_stats stats_now(void)
{
	struct rseq_op_stats s;

	rseq_op_stats(&s, sizeof(s));
	return s;
}

static uint64_t fallbacks(const struct rseq_op_stats *s)
{
	return s->aborted + s->remote + s->closed + s->unregistered + s->forced + s->vector;
}

static struct rseq_op_stats stats_since(const struct rseq_op_stats *before)
{
	struct rseq_op_stats s = stats_now();

	s.aborted -= before->aborted;
	s.remote -= before->remote;
	s.closed -= before->closed;
	s.unregistered -= before->unregistered;
	s.forced -= before->forced;
	s.vector -= before->vector;
	s.aborts -= before->aborts;
	return s;
}

static void show_reason(const char *reason, uint64_t n)
{
	if (n)
		printf("  %30s %14s  %s\n", "", grouped(n), reason);
}

static void show_ways(uint64_t operations, const struct rseq_op_stats *s)
{
	figure("done by a sequence", "%14s", grouped(operations - fallbacks(s)));
	figure("done by the backend", "%14s%s", grouped(fallbacks(s)),
	       fallbacks(s) ? ", because" : "");
	show_reason("the sequence was aborted each time", s->aborted);
	show_reason("it was for another CPU", s->remote);
	show_reason("the backend was at work for that CPU", s->closed);
	show_reason("the thread has no struct rseq", s->unregistered);
	show_reason("RSEQ_OP_FORCE_FALLBACK asked for it", s->forced);
	show_reason("it is a vector, not a sequence", s->vector);
	figure("aborts", "%14s", grouped(s->aborts));
}

/*
 * Threads that count
 */

struct counter {
	pthread_t thread;
	unsigned int random;		/* state; 0: always the current CPU */
	int cpu;			/* pinned to, for (c) */
	uint64_t adds, turns, missed, errors;	/* missed: the comparison did not hold */
	double seconds;			/* of CPU time */
};

static atomic_bool stop;
static atomic_int started;

static int pick_cpu(struct counter *c)
{
	int cpu;

	if (!c->random)
		return rseq_op_current_cpu();
	c->random = c->random * 1103515245 + 12345;
	if (c->random >> 26)
		return rseq_op_current_cpu();
	cpu = (int)(c->random >> 8) % rseq_op_nr_cpus();
	return CPU_ISSET(cpu, &allowed) ? cpu : rseq_op_current_cpu();
}

static void count_batch(struct counter *c)
{
	int i, cpu;

	for (i = 0; i < BATCH; i++) {
		cpu = pick_cpu(c);
		if (rseq_op_addv(&data[cpu].sum, 1, cpu))
			c->errors++;
		else
			c->adds++;
	}
}

static void *count(void *arg)
{
	struct counter *c = arg;
	double start;

	atomic_fetch_add(&started, 1);
	start = now(CLOCK_THREAD_CPUTIME_ID);
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		count_batch(c);
	c->seconds = now(CLOCK_THREAD_CPUTIME_ID) - start;
	return NULL;
}

static void start_threads(struct counter *counters, int nr, void *(*fn)(void *))
{
	int i;

	atomic_store(&stop, false);
	atomic_store(&started, 0);
	for (i = 0; i < nr; i++) {
		errno = pthread_create(&counters[i].thread, NULL, fn, &counters[i]);
		if (errno)
			die("pthread_create");
	}
	while (atomic_load(&started) < nr)
		usleep(1000);
}

/* Returns the sum of what the threads did. */
static struct counter stop_threads(struct counter *counters, int nr)
{
	struct counter sum = { 0 };
	int i;

	atomic_store(&stop, true);
	for (i = 0; i < nr; i++) {
		pthread_join(counters[i].thread, NULL);
		sum.adds += counters[i].adds;
		sum.turns += counters[i].turns;
		sum.missed += counters[i].missed;
		sum.errors += counters[i].errors;
		sum.seconds += counters[i].seconds;
	}
	return sum;
}

static void show_count(int nr, bool stray)
{
	struct counter *counters = calloc((size_t)nr, sizeof(*counters));
	struct rseq_op_stats stats = stats_now();
	struct counter sum;
	int i;

	if (!counters)
		die("calloc");
	for (i = 0; i < nr; i++)
		counters[i].random = stray ? 12345 + (unsigned int)i : 0;
	printf("  %d thread%s%s\n", nr, nr > 1 ? "s" : "",
	       stray ? ", one operation in 64 for a random CPU" : "");
	clear_data();
	start_threads(counters, nr, count);
	sleep_ms(COUNT_MS, "counting, ms");
	sum = stop_threads(counters, nr);
	stats = stats_since(&stats);
	figure("increments", "%14s", grouped(sum.adds));
	figure("sum of all counters", "%14s", grouped(sum_of_all()));
	figure("ns of CPU time for each", "%14.2f", 1e9 * sum.seconds / (double)sum.adds);
	show_ways(sum.adds, &stats);
	claim(!sum.errors && sum_of_all() == sum.adds, "none lost, none done twice");
	free(counters);
}

static void show_counting(void)
{
	int nr = CPU_COUNT(&allowed);

	heading("(a) Threads increment the counter of the CPU they are on");
	show_count(nr, false);
	show_count(4 * nr, false);
	show_count(2 * nr, true);
}

/*
 * Single-step
 */

/* What the traced process says about itself. */
struct report {
	_Atomic uint64_t committed;
	struct rseq_op_stats stats;
};

static struct report *report;
static unsigned int stepped_ops = STEPPED_OPS;

/* As everybody would write it: try until it commits. */
static void increment_plain(void)
{
	int cpu;

	do {
		cpu = rseq_op_current_cpu();
	} while (rseq_op_seq_addv(&data[cpu].sum, 1, cpu, rseq_op_tags()));
}

static void increment_rseq_op(void)
{
	int cpu = rseq_op_current_cpu();

	if (rseq_op_addv(&data[cpu].sum, 1, cpu))
		_exit(1);
}

/* The traced process: from the first SIGSTOP to the second it is stepped. */
static _Noreturn void be_traced(void (*increment)(void))
{
	struct rseq_op_stats before;
	unsigned int i;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(1);
	before = stats_now();
	raise(SIGSTOP);
	for (i = 0; i < stepped_ops; i++) {
		increment();
		atomic_fetch_add(&report->committed, 1);
	}
	report->stats = stats_since(&before);
	raise(SIGSTOP);
	_exit(0);
}

/* Wait for the tracee to stop: with which signal, or 0 where it has ended. */
static int wait_stop(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			die("waitpid");
	}
	return WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
}

/* Step until the tracee says it is done, or a limit. Returns the steps made. */
static uint64_t step(pid_t pid, uint64_t limit, double *seconds)
{
	double start = now(CLOCK_MONOTONIC), end = start + *seconds;
	uint64_t steps = 0;
	int signal = SIGTRAP;

	while (steps < limit && signal == SIGTRAP) {
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL))
			die("PTRACE_SINGLESTEP");
		signal = wait_stop(pid);
		if (!signal) {
			errno = ECHILD;
			die("the traced process gave up");
		}
		if (++steps % 500)
			continue;
		show_progress("stepping,", steps, limit);
		if (now(CLOCK_MONOTONIC) > end)
			break;
	}
	end_progress();
	*seconds = now(CLOCK_MONOTONIC) - start;
	return steps;
}

/* The sum in the memory of the stopped tracee. */
static uint64_t peek_sum(pid_t pid)
{
	uint64_t sum = 0;
	int cpu;

	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		errno = 0;
		sum += (uint64_t)ptrace(PTRACE_PEEKDATA, pid, &data[cpu].sum, NULL);
		if (errno)
			die("PTRACE_PEEKDATA");
	}
	return sum;
}

/*
 * Returns the steps made; *committed is what the tracee's memory then holds,
 * *seconds, on entry the most it may take, how long it took.
 */
static uint64_t trace(void (*increment)(void), uint64_t limit, uint64_t *committed,
		      double *seconds)
{
	uint64_t steps;
	pid_t pid;

	clear_data();
	memset(report, 0, sizeof(*report));
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid)
		be_traced(increment);
	if (wait_stop(pid) != SIGSTOP)
		die("the traced process did not start");
	steps = step(pid, limit, seconds);
	*committed = peek_sum(pid);
	kill(pid, SIGKILL);
	wait_stop(pid);
	return steps;
}

static void show_steps(uint64_t steps, double seconds, uint64_t committed)
{
	figure("steps", "%14s  (%.1f s)", grouped(steps), seconds);
	figure("increments committed", "%14s", grouped(committed));
}

/* Plain is the control: returns the steps in a second. */
static double show_stepping_plain(void)
{
	double seconds = CONTROL_SECONDS;
	uint64_t steps, committed;

	steps = trace(increment_plain, CONTROL_STEPS, &committed, &seconds);
	printf("  a plain rseq loop, which tries again until it commits\n");
	show_steps(steps, seconds, committed);
	claim(!committed, "it never gets anywhere: 0 in %s steps", grouped(steps));
	return (double)steps / seconds;
}

static void show_stepping_rseq_op(double rate)
{
	double seconds = 1e9, ops = rate * CONTROL_SECONDS / STEPS_EXPECTED;
	uint64_t steps, committed, reported;

	stepped_ops = ops > STEPPED_OPS ? STEPPED_OPS : ops < 5 ? 5 : (unsigned int)ops;
	steps = trace(increment_rseq_op, (uint64_t)stepped_ops * STEPS_ALLOWED, &committed,
		      &seconds);
	reported = atomic_load(&report->committed);
	printf("  rseq_op_addv, %u times\n", stepped_ops);
	show_steps(steps, seconds, committed);
	figure("steps for each", "%14.0f", (double)steps / stepped_ops);
	show_ways(reported, &report->stats);
	claim(committed == stepped_ops && reported == stepped_ops, "each of them is done");
}

static void show_stepping(void)
{
	heading("(b) A debugger steps the program, one instruction at a time");
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (report == MAP_FAILED)
		die("mmap");
	/* Tracer and tracee take turns: on one CPU that is fastest. */
	pin(last_cpu(-1));
	show_stepping_rseq_op(show_stepping_plain());
	munmap(report, sizeof(*report));
	sched_setaffinity(0, sizeof(allowed), &allowed);
}

/*
 * Another CPU's data
 */

/* Between two turns, let an operation of another CPU have a chance. */
#define TURN_BATCHES	50

static void take_turn(struct counter *c, struct percpu *d)
{
	intptr_t turn;
	int ret;

	for (;;) {
		turn = *(volatile intptr_t *)&d->turn;
		ret = rseq_op_cmpeqv_storev(&d->turn, turn, turn + 1, c->cpu);
		if (ret <= 0)
			break;
		c->missed++;
	}
	if (ret)
		c->errors++;
	else
		c->turns++;
}

static void *hammer(void *arg)
{
	struct counter *c = arg;
	unsigned int i;

	pin(c->cpu);
	atomic_fetch_add(&started, 1);
	for (i = 1; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
		count_batch(c);
		if (i % TURN_BATCHES == 0)
			take_turn(c, &data[c->cpu]);
	}
	return NULL;
}

static bool time_is_up(double start, const char *what)
{
	double ms = 1e3 * (now(CLOCK_MONOTONIC) - start);

	if (ms < REMOTE_MS)
		show_progress(what, (uint64_t)ms, REMOTE_MS);
	else
		end_progress();
	return ms >= REMOTE_MS;
}

/* Add to that CPU's counter for a while. Returns ns for each. */
static double remote_adds(struct counter *c, int cpu)
{
	double start = now(CLOCK_MONOTONIC);
	int i;

	do {
		for (i = 0; i < 20; i++) {
			if (rseq_op_addv(&data[cpu].sum, 1, cpu))
				c->errors++;
			else
				c->adds++;
		}
	} while (!time_is_up(start, "adding, ms"));
	return 1e9 * (now(CLOCK_MONOTONIC) - start) / (double)c->adds;
}

/* If it is still the turn that we saw: the next one, a note of it, and one more. */
static int remote_vector(struct percpu *d, int cpu, intptr_t turn)
{
	const intptr_t next = turn + 1;
	char note[sizeof(d->note)] = "";
	const struct cpu_op vector[] = {
		cpu_op_compare_eq(&d->turn, &turn, sizeof(turn)),
		cpu_op_memcpy(d->note, note, sizeof(note)),
		cpu_op_add(&d->sum, sizeof(d->sum), 1),
		cpu_op_memcpy(&d->turn, &next, sizeof(next)),
	};

	snprintf(note, sizeof(note), "turn %ld was taken from another CPU", (long)next);
	return rseq_op(vector, 4, cpu, 0);
}

/* The same by vectors. Returns ns for each call; *last is the last turn taken. */
static double remote_vectors(struct counter *c, int cpu, intptr_t *last)
{
	struct percpu *d = &data[cpu];
	double start = now(CLOCK_MONOTONIC);

	do {
		intptr_t turn = *(volatile intptr_t *)&d->turn;
		int ret = remote_vector(d, cpu, turn);

		if (ret < 0) {
			c->errors++;
		} else if (ret) {
			c->missed++;
		} else {
			c->turns++;
			*last = turn + 1;
		}
	} while (!time_is_up(start, "vectors, ms"));
	return 1e9 * (now(CLOCK_MONOTONIC) - start) / (double)(c->turns + c->missed);
}

static uint64_t operations(const struct counter *c)
{
	return c->adds + c->turns + c->missed;
}

static void check_remote(int cpu, const struct counter *there, const struct counter *here,
			 intptr_t last)
{
	char note[sizeof(data->note)];
	uint64_t adds = there->adds + here->adds + here->turns;

	figure("all increments", "%14s", grouped(adds));
	figure("the counter of CPU", "%14s", grouped((uint64_t)data[cpu].sum));
	claim(!there->errors && !here->errors && (uint64_t)data[cpu].sum == adds,
	      "none lost, none done twice");
	claim((uint64_t)data[cpu].turn == there->turns + here->turns,
	      "the second counter too: %s of %s", grouped((uint64_t)data[cpu].turn),
	      grouped(there->turns + here->turns));
	snprintf(note, sizeof(note), "turn %ld was taken from another CPU", (long)last);
	claim(here->turns && !strcmp(data[cpu].note, note),
	      "the last vector is there whole: \"%s\"", data[cpu].note);
}

static void show_remote(void)
{
	int there = last_cpu(-1), here = last_cpu(there);
	struct counter hammers[2] = { { .cpu = there }, { .cpu = there } };
	struct counter own = { .cpu = here }, sum;
	struct rseq_op_stats stats = stats_now();
	intptr_t last = 0;
	double add_ns, vector_ns;

	heading("(c) Another CPU's data is updated while its own threads hammer it");
	if (here < 0) {
		printf("  not shown: this process may use one CPU only\n");
		return;
	}
	clear_data();
	start_threads(hammers, 2, hammer);
	pin(here);
	add_ns = remote_adds(&own, there);
	vector_ns = remote_vectors(&own, there, &last);
	sum = stop_threads(hammers, 2);
	stats = stats_since(&stats);
	sched_setaffinity(0, sizeof(allowed), &allowed);
	printf("  two threads pinned to CPU %d, this one to CPU %d\n", there, here);
	figure("increments by the two", "%14s", grouped(sum.adds));
	figure("rseq_op_addv from here", "%14s  (%.0f ns for each)", grouped(own.adds), add_ns);
	figure("compare and copy from here", "%14s  (%.0f ns for each)",
	       grouped(own.turns + own.missed), vector_ns);
	figure("  the comparison did not hold", "%14s", grouped(own.missed));
	show_ways(operations(&sum) + operations(&own), &stats);
	check_remote(there, &sum, &own, last);
}

int main(int argc, char **argv)
{
	double start = now(CLOCK_MONOTONIC);

	progress = isatty(STDERR_FILENO) || (argc > 1 && !strcmp(argv[1], "--progress"));
	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		die("sched_getaffinity");
	data = aligned_alloc(4096, ((size_t)rseq_op_nr_cpus() * sizeof(*data) + 4095) & ~4095UL);
	if (!data)
		die("aligned_alloc");
	show_machine();
	if (!failed) {
		show_counting();
		show_stepping();
		show_remote();
	}
	free(data);
	printf("\n%s (%.1f s)\n", failed ? "NOT all of it held" : "All of it held",
	       now(CLOCK_MONOTONIC) - start);
	return failed;
}

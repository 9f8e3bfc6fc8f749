// SPDX-License-Identifier: MIT
/*
 * Operations from many threads, on all CPUs, now and then for a CPU other than the thread's
 * own, and what must hold all the same:
 *
 *	sum	what has been added to the counters is what they come to
 *	pair	a vector changes two words at once, so that no vector finds them different
 *	list	a node is in one list, or with one thread
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rseq_op/cpu_op.h>

#include "output.h"
#include "rseq-op.h"

#define REMOTE_EVERY	16	/* operations */
#define MOVE_EVERY	4096
#define NODES		16	/* for each thread */

struct node {
	intptr_t next;
	int taken;		/* by a thread */
};

/* Each CPU's. */
static struct cpu_data {
	_Alignas(128) intptr_t counter;
	intptr_t a, b;
	intptr_t list;		/* struct node *, or 0 */
} data[RSEQ_OP_CPU_MAX];

enum kind { SUM, PAIR, LIST, NR_KINDS };

static const char *const kind_names[] = { [SUM] = "sum", [PAIR] = "pair", [LIST] = "list" };

/* What a thread has done. */
struct worker {
	_Alignas(128) pthread_t thread;
	uint32_t random;
	uint64_t done[NR_KINDS];
	uint64_t broken[NR_KINDS];
	int error;		/* of an operation: it ends the thread */
};

static struct worker *workers;
static long nr_workers;
static struct node *nodes;
static int stop;
static volatile sig_atomic_t interrupted;

static uint32_t next_random(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 17;
	w->random ^= w->random << 5;
	return w->random;
}

static int choose_cpu(struct worker *w)
{
	if (next_random(w) % REMOTE_EVERY)
		return rseq_op_current_cpu();
	return cpus_allowed((int)(next_random(w) % (uint32_t)cpus_nr_allowed()));
}

static int run_sum(struct worker *w, int cpu)
{
	(void)w;
	return rseq_op_addv(&data[cpu].counter, 1, cpu);
}

static int run_pair(struct worker *w, int cpu)
{
	const struct cpu_op ops[] = {
		cpu_op_compare_eq(&data[cpu].a, &data[cpu].b, sizeof(intptr_t)),
		cpu_op_add(&data[cpu].a, sizeof(intptr_t), 1),
		cpu_op_add(&data[cpu].b, sizeof(intptr_t), 1),
	};
	int ret = rseq_op(ops, ARRAY_SIZE(ops), cpu, 0);

	w->broken[PAIR] += ret > 0;
	return ret < 0 ? ret : 0;
}

static int push(struct node *node, int cpu)
{
	int ret;

	do {
		node->next = __atomic_load_n(&data[cpu].list, __ATOMIC_RELAXED);
		ret = rseq_op_cmpeqv_storev_release(&data[cpu].list, node->next, (intptr_t)node,
						    cpu);
	} while (ret > 0);
	return ret;
}

/* From one CPU's list to another's. */
static int run_list(struct worker *w, int cpu)
{
	intptr_t first = 0;
	struct node *node;
	int ret;

	ret = rseq_op_cmpnev_storeoffp_load(&data[cpu].list, 0, offsetof(struct node, next),
					    &first, cpu);
	if (ret)
		return ret < 0 ? ret : 0;	/* it is empty */
	node = (struct node *)first;
	w->broken[LIST] += __atomic_exchange_n(&node->taken, 1, __ATOMIC_ACQ_REL) != 0;
	w->broken[LIST] += __atomic_exchange_n(&node->taken, 0, __ATOMIC_ACQ_REL) != 1;
	return push(node, choose_cpu(w));
}

/* A vector of two stores takes the backend: not as often, so that the rest is seen too. */
static enum kind choose_kind(struct worker *w)
{
	uint32_t n = next_random(w) % 32;

	return n == 0 ? PAIR : n < 12 ? LIST : SUM;
}

static int run_one(struct worker *w, enum kind kind)
{
	static int (*const run[])(struct worker *w, int cpu) = {
		[SUM] = run_sum, [PAIR] = run_pair, [LIST] = run_list,
	};

	return run[kind](w, choose_cpu(w));
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		enum kind kind = choose_kind(w);

		if (next_random(w) % MOVE_EVERY == 0)
			cpus_pin(cpus_allowed((int)(next_random(w) % (uint32_t)cpus_nr_allowed())));
		w->error = run_one(w, kind);
		if (w->error)
			break;
		__atomic_store_n(&w->done[kind], w->done[kind] + 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static uint64_t total(enum kind kind)
{
	uint64_t sum = 0;
	long i;

	for (i = 0; i < nr_workers; i++)
		sum += __atomic_load_n(&workers[i].done[kind], __ATOMIC_RELAXED);
	return sum;
}

static uint64_t total_broken(enum kind kind)
{
	uint64_t sum = 0;
	long i;

	for (i = 0; i < nr_workers; i++)
		sum += workers[i].broken[kind];
	return sum;
}

static int first_error(void)
{
	long i;

	for (i = 0; i < nr_workers; i++) {
		if (workers[i].error)
			return workers[i].error;
	}
	return 0;
}

static void interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void handle_interrupts(void)
{
	struct sigaction action = { .sa_handler = interrupt, .sa_flags = SA_RESETHAND };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void show_progress(double seconds)
{
	fprintf(stderr, "\r%.0f s, %llu operations ", seconds,
		(unsigned long long)(total(SUM) + total(PAIR) + total(LIST)));
}

/* Until the time is over, or somebody interrupts; how long it was. */
static double wait_and_show(long seconds)
{
	const struct timespec moment = { 0, 100000000 };
	bool show = isatty(STDERR_FILENO);
	double start = seconds_now(), passed = 0;
	int i;

	for (i = 1; passed < (double)seconds && !interrupted && !first_error(); i++) {
		nanosleep(&moment, NULL);
		passed = seconds_now() - start;
		if (show && i % 10 == 0)
			show_progress(passed);
	}
	if (show)
		fprintf(stderr, "\r%*s\r", 60, "");
	return passed;
}

static int start_workers(void)
{
	sigset_t all, old;
	long i;
	int ret = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);	/* the first thread takes them */
	for (i = 0; i < nr_workers && !ret; i++) {
		workers[i].random = (uint32_t)(2654435761U * (uint32_t)(i + 1)) | 1;
		ret = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	nr_workers = ret ? i - 1 : i;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -ret;
}

static void join_workers(void)
{
	long i;

	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < nr_workers; i++)
		pthread_join(workers[i].thread, NULL);
}

/* What must hold in the end, added to what the threads have found. */
static void check_end(uint64_t broken[NR_KINDS], long nr_nodes)
{
	uint64_t sum = 0, pairs = 0;
	intptr_t in_lists = 0;
	struct node *node;
	int cpu;

	for (cpu = 0; cpu < RSEQ_OP_CPU_MAX; cpu++) {
		sum += (uint64_t)data[cpu].counter;
		pairs += (uint64_t)data[cpu].a;
		broken[PAIR] += data[cpu].a != data[cpu].b;
		node = (struct node *)data[cpu].list;
		for (; node && in_lists <= nr_nodes; node = (struct node *)node->next)
			in_lists++;
	}
	broken[SUM] += sum != total(SUM);
	broken[PAIR] += pairs != total(PAIR);
	broken[LIST] += in_lists != nr_nodes;
}

static uint64_t emit_kinds(const uint64_t broken[NR_KINDS])
{
	static const struct column columns[] = {
		{ "invariant", -10 }, { "operations", 14 }, { "broken", 8 }, { NULL, 0 }
	};
	uint64_t all = 0;
	enum kind kind;

	table_begin("invariants", columns);
	for (kind = 0; kind < NR_KINDS; kind++) {
		row_begin();
		emit_text("invariant", kind_names[kind]);
		emit_number("operations", (long long)total(kind));
		emit_number("broken", (long long)broken[kind]);
		row_end();
		all += broken[kind];
	}
	table_end();
	return all;
}

static void emit_stats(void)
{
	struct rseq_op_stats s;

	rseq_op_stats(&s, sizeof(s));
	section_begin("by_backend");
	emit_number("aborted", (long long)s.aborted);
	emit_number("remote", (long long)s.remote);
	emit_number("closed", (long long)s.closed);
	emit_number("unregistered", (long long)s.unregistered);
	emit_number("forced", (long long)s.forced);
	emit_number("vector", (long long)s.vector);
	section_end();
	emit_number("aborts", (long long)s.aborts);
}

static int report(double seconds, long nr_nodes)
{
	uint64_t broken[NR_KINDS];
	int error = first_error();
	enum kind kind;

	for (kind = 0; kind < NR_KINDS; kind++)
		broken[kind] = total_broken(kind);
	/* An operation that failed may have left a node in no list. */
	if (!error)
		check_end(broken, nr_nodes);
	emit_text("backend", rseq_op_backend_name(rseq_op_backend(NULL)));
	emit_number("threads", nr_workers);
	emit_real("seconds", seconds);
	emit_flag("interrupted", interrupted);
	emit_text("error", ask_error(error));
	emit_stats();
	return emit_kinds(broken) || error ? EXIT_BAD : EXIT_OK;
}

static int set_up(long nr_nodes)
{
	long i;
	int ret = 0;

	workers = aligned_alloc(_Alignof(struct worker), (size_t)nr_workers * sizeof(*workers));
	nodes = calloc((size_t)nr_nodes, sizeof(*nodes));
	if (!workers || !nodes)
		return -ENOMEM;
	memset(workers, 0, (size_t)nr_workers * sizeof(*workers));
	for (i = 0; i < nr_nodes && !ret; i++)
		ret = push(&nodes[i], rseq_op_current_cpu());
	return ret;
}

static int fail(int error)
{
	fprintf(stderr, "rseq-op: stress: %s\n", strerror(-error));
	return EXIT_BAD;
}

int stress(const struct options *options)
{
	long nr_nodes;
	double seconds;
	int ret;

	nr_workers = options->threads ? options->threads : 2L * cpus_nr_allowed();
	nr_nodes = NODES * nr_workers;
	ret = cpus_nr_allowed() ? set_up(nr_nodes) : -EINVAL;
	if (ret)
		return fail(ret);
	handle_interrupts();
	ret = start_workers();
	seconds = ret ? 0 : wait_and_show(options->seconds);
	join_workers();
	if (ret)
		return fail(ret);
	return report(seconds, nr_nodes);
}

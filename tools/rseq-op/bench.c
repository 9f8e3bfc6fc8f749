// SPDX-License-Identifier: MIT
/*
 * What the operations cost, one thread on its CPU, beside a plain add and what one would
 * write without restartable sequences. The least of many rounds is told: whatever disturbs
 * makes a round longer. bench/fast.c measures with more care, and longer.
 */
#include <stdio.h>
#include <string.h>

#define PROGRAM "rseq-op"
#include "bench.h"
#include "output.h"
#include "rseq-op.h"

#define ROUND_NS	500000.0
#define COPIED		64

struct data {
	_Alignas(128) intptr_t v;
	intptr_t v2;
	intptr_t list;
	intptr_t node;		/* the only one of the list: the address of the next, 0 */
};

static struct data data[RSEQ_OP_CPU_MAX];
static char copy_src[COPIED], copy_dst[COPIED];
static int other_cpu;

/* n times; the first result that is not 0. */
typedef int (*loop_fn)(long n);

#define LOOP(name, ...)								\
static __attribute__((noinline)) int loop_##name(long n)			\
{										\
	intptr_t old = 0;							\
	int ret = 0;								\
										\
	(void)old;								\
	do {									\
		int cpu = rseq_op_current_cpu();				\
		struct data *d = &data[cpu];					\
										\
		__asm__ ("" : "+r" (d));					\
		ret = (__VA_ARGS__);						\
	} while (--n && !ret);							\
	return ret;								\
}

LOOP(plain, __atomic_store_n(&d->v, d->v + 1, __ATOMIC_RELAXED), 0)
LOOP(getcpu_lock, __atomic_fetch_add(&data[sched_getcpu()].v, 1, __ATOMIC_SEQ_CST), 0)
LOOP(storev, rseq_op_storev(&d->v, 1, cpu))
LOOP(xchgv, rseq_op_xchgv(&d->v, 1, &old, cpu))
LOOP(addv, rseq_op_addv(&d->v, 1, cpu))
LOOP(addv_cid, rseq_op_addv_cid(&data[rseq_op_current_cid()].v, 1, rseq_op_current_cid()))
LOOP(fetch_addv, rseq_op_fetch_addv(&d->v, 1, &old, cpu))
LOOP(orv, rseq_op_orv(&d->v, 1, cpu))
LOOP(cmpeqv_storev, rseq_op_cmpeqv_storev(&d->v2, 0, 0, cpu))
LOOP(cmpeqv_cmpeqv_storev, rseq_op_cmpeqv_cmpeqv_storev(&d->v2, 0, &d->v2, 0, 0, cpu))
LOOP(cmpeqv_storev_storev, rseq_op_cmpeqv_storev_storev(&d->v2, 0, &d->v, 0, 0, cpu))
LOOP(cmpeqv_memcpy_storev,
     rseq_op_cmpeqv_memcpy_storev(&d->v2, 0, copy_dst, copy_src, COPIED, 0, cpu))
LOOP(pop_push, rseq_op_cmpnev_storeoffp_load(&d->list, 0, 0, &old, cpu) ?:
     rseq_op_cmpeqv_storev(&d->list, 0, (intptr_t)&d->node, cpu))
LOOP(remote, rseq_op_addv(&data[other_cpu].v, 1, other_cpu))
LOOP(fence, rseq_op_fence(cpu))

static int two_adds(struct data *d, int cpu)
{
	const struct cpu_op add = cpu_op_add(&d->v, sizeof(d->v), 1);
	const struct cpu_op ops[] = { add, add };

	return rseq_op(ops, 2, cpu, 0);
}
LOOP(vector, two_adds(d, cpu))

enum { PLAIN, GETCPU_LOCK };

static const struct {
	const char *name;
	loop_fn loop;
} contenders[] = {
	[PLAIN] = { "plain add", loop_plain },
	[GETCPU_LOCK] = { "sched_getcpu, atomic add", loop_getcpu_lock },
	{ "storev", loop_storev },
	{ "xchgv", loop_xchgv },
	{ "addv", loop_addv },
	{ "addv_cid", loop_addv_cid },
	{ "fetch_addv", loop_fetch_addv },
	{ "orv", loop_orv },
	{ "cmpeqv_storev", loop_cmpeqv_storev },
	{ "cmpeqv_cmpeqv_storev", loop_cmpeqv_cmpeqv_storev },
	{ "cmpeqv_storev_storev", loop_cmpeqv_storev_storev },
	{ "cmpeqv_memcpy_storev, 64 bytes", loop_cmpeqv_memcpy_storev },
	{ "list: pop and push", loop_pop_push },
	{ "addv, other CPU", loop_remote },
	{ "vector of two adds", loop_vector },
	{ "fence", loop_fence },
};

#define NR	((int)ARRAY_SIZE(contenders))

static struct figure {
	long length;		/* of the loop, so that it takes ROUND_NS */
	double ns;		/* of one operation, the least */
	int result;		/* of the operation: 0 but where it cannot be measured */
} figures[NR];

static double time_loop(int c)
{
	double start = now_ns();

	figures[c].result = contenders[c].loop(figures[c].length);
	return (now_ns() - start) / (double)figures[c].length;
}

static void calibrate(int c)
{
	struct figure *f = &figures[c];

	f->length = 1;
	f->ns = time_loop(c);
	while (!f->result && f->ns * (double)f->length < ROUND_NS / 2) {
		f->length *= 2;
		f->ns = time_loop(c);
	}
}

static void measure(long rounds)
{
	int c;
	double ns;

	for (c = 0; c < NR; c++)
		calibrate(c);
	while (rounds--) {
		for (c = 0; c < NR; c++) {
			if (figures[c].result)
				continue;
			ns = time_loop(c);
			figures[c].ns = ns < figures[c].ns ? ns : figures[c].ns;
		}
	}
}

static void set_up(void)
{
	int cpu, self = sched_getcpu();

	for (cpu = 0; cpu < RSEQ_OP_CPU_MAX; cpu++)
		data[cpu].list = (intptr_t)&data[cpu].node;
	cpus_pin(self);
	/* Any possible CPU will do, also one that this process may not use. */
	other_cpu = -1;
	for (cpu = 0; cpu < rseq_op_nr_cpus(); cpu++) {
		if (cpu != self && rseq_op_cpu_possible(cpu))
			other_cpu = cpu;
	}
}

static void emit_figure(int c)
{
	const struct figure *f = &figures[c];

	row_begin();
	emit_text("operation", contenders[c].name);
	if (f->result) {
		emit_nothing("ns");
		emit_nothing("to_plain");
		emit_nothing("to_atomic");
	} else {
		emit_real("ns", f->ns);
		emit_real("to_plain", f->ns / figures[PLAIN].ns);
		emit_real("to_atomic", f->ns / figures[GETCPU_LOCK].ns);
	}
	emit_text("error", ask_error(f->result));
	row_end();
}

/* With one CPU there is no other: no error. */
static bool left_out(int c)
{
	return contenders[c].loop == loop_remote && other_cpu < 0;
}

int bench(const struct options *options)
{
	static const struct column columns[] = {
		{ "operation", -30 }, { "ns", 10 }, { "to_plain", 9 }, { "to_atomic", 9 },
		{ "error", 0 }, { NULL, 0 }
	};
	int c, status = EXIT_OK;

	set_up();
	measure(options->rounds);
	emit_text("backend", rseq_op_backend_name(rseq_op_backend(NULL)));
	emit_number("rounds", options->rounds);
	table_begin("figures", columns);
	for (c = 0; c < NR; c++) {
		if (left_out(c))
			continue;
		emit_figure(c);
		status = figures[c].result ? EXIT_BAD : status;
	}
	table_end();
	return status;
}

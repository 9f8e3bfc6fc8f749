// SPDX-License-Identifier: MIT
/*
 * What this machine has, and what the library makes of it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <rseq_op/cpu_op.h>

#include "output.h"
#include "rseq-op.h"

#ifndef AT_RSEQ_FEATURE_SIZE
# define AT_RSEQ_FEATURE_SIZE	27
#endif

/* What the kernel answers. */
static struct {
	long rseq;		/* an error always: EINVAL where it is there */
	long membarrier;	/* a mask of commands */
	long cpu_opv;		/* a number of operations */
	long vector;		/* and how many go into a vector */
} answers;

static void ask_all(void)
{
	answers.rseq = ask(SYS_rseq, 0, 0, 0, 0);
	answers.membarrier = ask(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0, 0);
	answers.cpu_opv = ask(__NR_cpu_opv, 0, 0, 0, CPU_OP_NR_FLAG);
	answers.vector = ask(__NR_cpu_opv, 0, 0, 0, CPU_OP_VEC_LEN_MAX_FLAG);
}

static void emit_kernel(void)
{
	struct utsname name;

	uname(&name);
	section_begin("kernel");
	emit_text("release", name.release);
	emit_text("architecture", name.machine);
	emit_number("page_size", sysconf(_SC_PAGESIZE));
	emit_text("libc", gnu_get_libc_version());
	section_end();
}

/* Members of struct rseq, and where each ends; the first four are as old as the call. */
static const struct { const char *name; unsigned long end; } fields[] = {
	{ "cpu_id_start", 4 }, { "cpu_id", 8 }, { "rseq_cs", 16 }, { "flags", 20 },
	{ "node_id", 24 }, { "mm_cid", 28 },
};

static void emit_fields(unsigned long end)
{
	const char *names[ARRAY_SIZE(fields)];
	size_t i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].end <= end)
			names[nr++] = fields[i].name;
	}
	emit_list("fields", names, nr);
}

static void emit_rseq(void)
{
	struct registration r = registration();
	unsigned long size = getauxval(AT_RSEQ_FEATURE_SIZE);
	bool there = answers.rseq == -EINVAL;

	section_begin("rseq");
	emit_flag("present", there);
	emit_text("error", there ? NULL : ask_error(answers.rseq));
	emit_text("registered_by", r.by);
	if (r.size >= 0)
		emit_number("area_size", r.size);
	else
		emit_nothing("area_size");
	emit_number("feature_size", (long long)size);
	emit_fields(size ? size : thread_cpu() >= 0 ? 20 : 0);
	section_end();
}

static const struct { const char *name; int bit; } membarrier_commands[] = {
	{ "global", MEMBARRIER_CMD_GLOBAL },
	{ "global_expedited", MEMBARRIER_CMD_GLOBAL_EXPEDITED },
	{ "private_expedited", MEMBARRIER_CMD_PRIVATE_EXPEDITED },
	{ "private_expedited_sync_core", MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE },
	{ "private_expedited_rseq", MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ },
	{ "get_registrations", 1 << 9 },	/* since Linux 6.3 */
};

static void emit_membarrier(void)
{
	const char *names[ARRAY_SIZE(membarrier_commands)];
	size_t i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(membarrier_commands); i++) {
		if (answers.membarrier >= 0 && answers.membarrier & membarrier_commands[i].bit)
			names[nr++] = membarrier_commands[i].name;
	}
	section_begin("membarrier");
	emit_flag("present", answers.membarrier >= 0);
	emit_text("error", ask_error(answers.membarrier));
	emit_list("commands", names, nr);
	section_end();
}

static void emit_cpu_opv(void)
{
	section_begin("cpu_opv");
	emit_flag("present", answers.cpu_opv >= 0);
	emit_text("error", ask_error(answers.cpu_opv));
	emit_number("operations", answers.cpu_opv < 0 ? 0 : answers.cpu_opv);
	emit_number("vector_length", answers.vector < 0 ? 0 : answers.vector);
	section_end();
}

/* That of RSEQ_OP_BACKEND, as the library understands it. */
static enum rseq_op_backend asked_for(void)
{
	const char *s = secure_getenv("RSEQ_OP_BACKEND");
	enum rseq_op_backend b;

	for (b = RSEQ_OP_BACKEND_KERNEL; s && b <= RSEQ_OP_BACKEND_GUARD; b++) {
		if (!strcmp(s, rseq_op_backend_name(b)))
			return b;
	}
	return RSEQ_OP_BACKEND_NONE;
}

/* Why a backend cannot be had; an empty text where it can. */
static void say_missing(enum rseq_op_backend b, char *text, size_t size)
{
	text[0] = '\0';
	switch (b) {
	case RSEQ_OP_BACKEND_KERNEL:
		if (answers.cpu_opv < 0)
			snprintf(text, size, "cpu_opv(2): %s", ask_error(answers.cpu_opv));
		else if (answers.cpu_opv < NR_CPU_OPS)
			snprintf(text, size, "cpu_opv(2): knows %ld operations of %d",
				 answers.cpu_opv, NR_CPU_OPS);
		break;
	case RSEQ_OP_BACKEND_MEMBARRIER:
		if (answers.membarrier < 0)
			snprintf(text, size, "membarrier(2): %s", ask_error(answers.membarrier));
		else if (!(answers.membarrier & MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ))
			snprintf(text, size, "membarrier(2): no private_expedited_rseq");
		break;
	case RSEQ_OP_BACKEND_AFFINITY:
		if (answers.rseq != -EINVAL)
			snprintf(text, size, "rseq(2): %s", ask_error(answers.rseq));
		break;
	default:
		break;
	}
}

static void emit_candidate(enum rseq_op_backend b, enum rseq_op_backend chosen, const char *why)
{
	enum rseq_op_backend asked = asked_for();
	char reason[120];

	say_missing(b, reason, sizeof(reason));
	if (b == chosen)
		snprintf(reason, sizeof(reason), "%s", why);
	else if (!reason[0] && asked && asked != b)
		snprintf(reason, sizeof(reason), "RSEQ_OP_BACKEND asks for %s",
			 rseq_op_backend_name(asked));
	else if (!reason[0] && chosen && b > chosen)
		snprintf(reason, sizeof(reason), "%s is better",
			 rseq_op_backend_name(chosen));
	else if (!reason[0])
		snprintf(reason, sizeof(reason), "%s", b == RSEQ_OP_BACKEND_AFFINITY ?
			 "sched_setaffinity(2) is refused, or does not reach all CPUs" :
			 "it was not there when the library was loaded");
	row_begin();
	emit_text("backend", rseq_op_backend_name(b));
	emit_flag("chosen", b == chosen);
	emit_text("reason", reason);
	row_end();
}

static void emit_backend(void)
{
	static const struct column columns[] = {
		{ "backend", -10 }, { "chosen", -6 }, { "reason", 0 }, { NULL, 0 }
	};
	const char *why;
	enum rseq_op_backend b, chosen = rseq_op_backend(&why);

	section_begin("backend");
	emit_text("name", rseq_op_backend_name(chosen));
	emit_text("why", why);
	table_begin("candidates", columns);
	for (b = RSEQ_OP_BACKEND_KERNEL; b <= RSEQ_OP_BACKEND_GUARD; b++)
		emit_candidate(b, chosen, why);
	table_end();
	section_end();
}

static void emit_environment(void)
{
	static const char *const names[] = {
		"RSEQ_OP_BACKEND", "RSEQ_OP_FORCE_FALLBACK", "RSEQ_OP_MAX_ABORTS",
		"RSEQ_OP_REPORT", "RSEQ_OP_SITES", "GLIBC_TUNABLES",
	};
	size_t i;

	section_begin("environment");
	for (i = 0; i < ARRAY_SIZE(names); i++)
		emit_text(names[i], getenv(names[i]));
	section_end();
}

/* The first line of a file, NULL if it cannot be read. */
static const char *first_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, size - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return NULL;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return line;
}

static int is_node(const struct dirent *entry)
{
	const char *digits = entry->d_name + 4;

	return !strncmp(entry->d_name, "node", 4) && *digits &&
	       strspn(digits, "0123456789") == strlen(digits);
}

static void emit_node(const char *name)
{
	char path[300], line[4096];

	snprintf(path, sizeof(path), "/sys/devices/system/node/%s/cpulist", name);
	row_begin();
	emit_number("node", atoi(name + 4));
	emit_text("cpus", first_line(path, line, sizeof(line)));
	row_end();
}

static void emit_nodes(void)
{
	static const struct column columns[] = { { "node", 4 }, { "cpus", 0 }, { NULL, 0 } };
	struct dirent **entries;
	int i, nr = scandir("/sys/devices/system/node", &entries, is_node, versionsort);

	table_begin("nodes", columns);
	for (i = 0; i < nr; i++) {
		emit_node(entries[i]->d_name);
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
	table_end();
}

static void emit_cpus(void)
{
	char line[4096];

	section_begin("cpus");
	emit_text("possible", first_line("/sys/devices/system/cpu/possible", line, sizeof(line)));
	emit_text("online", first_line("/sys/devices/system/cpu/online", line, sizeof(line)));
	emit_number("nr_cpus", rseq_op_nr_cpus());
	emit_number("nr_allowed", cpus_nr_allowed());
	emit_nodes();
	section_end();
}

int info(const struct options *options)
{
	(void)options;
	ask_all();
	emit_kernel();
	emit_rseq();
	emit_membarrier();
	emit_cpu_opv();
	emit_backend();
	emit_environment();
	emit_cpus();
	return EXIT_OK;
}

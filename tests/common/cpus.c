// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <sched.h>

#include "cpus.h"

#define CPU_DIRECTORY	"/sys/devices/system/cpu"

void need_vm(void)
{
	if (!getenv("TEST_VM"))
		skip_because("the system is changed only in the VM");
}

bool write_to(const char *path, const char *format, ...)
{
	FILE *f = fopen(path, "w");
	bool good;
	va_list ap;

	if (!f)
		return false;
	va_start(ap, format);
	good = vfprintf(f, format, ap) >= 0;
	va_end(ap);
	return !fclose(f) && good;
}

bool read_from(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n;

	if (!f)
		return false;
	n = fread(text, 1, size - 1, f);
	fclose(f);
	text[n] = '\0';
	return true;
}

bool set_online(int cpu, bool online)
{
	char path[80];

	snprintf(path, sizeof(path), CPU_DIRECTORY "/cpu%d/online", cpu);
	return write_to(path, "%d", online);
}

/* Calls see() for each range of a list such as "0-3,6". */
static void see_ranges(const char *list, void (*see)(int first, int last, int *arg), int *arg)
{
	char path[80], text[1024], *at = text;

	snprintf(path, sizeof(path), CPU_DIRECTORY "/%s", list);
	if (!read_from(path, text, sizeof(text)))
		return;
	while (*at >= '0' && *at <= '9') {
		int first = (int)strtol(at, &at, 10);
		int last = *at == '-' ? (int)strtol(at + 1, &at, 10) : first;

		see(first, last, arg);
		at += *at == ',';
	}
}

static void see_last(int first, int last, int *arg)
{
	(void)first;
	if (last > *arg)
		*arg = last;
}

static void see_cpu(int first, int last, int *arg)
{
	if (first <= *arg && *arg <= last)
		*arg = -1;
}

int last_cpu_in(const char *list)
{
	int last = -1;

	see_ranges(list, see_last, &last);
	return last;
}

bool cpu_is_in(const char *list, int cpu)
{
	see_ranges(list, see_cpu, &cpu);
	return cpu < 0;
}

pid_t kernel_thread(const char *name)
{
	char path[300], text[64];
	struct dirent *entry;
	pid_t found = -1;
	DIR *proc = opendir("/proc");

	if (!proc)
		return -1;
	while (found < 0 && (entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		if (!atoi(entry->d_name) || !read_from(path, text, sizeof(text)))
			continue;
		text[strcspn(text, "\n")] = '\0';
		if (!strcmp(text, name))
			found = atoi(entry->d_name);
	}
	closedir(proc);
	return found;
}

/* Once there it stays. */
static pid_t stopper_of(int cpu)
{
	static pid_t known[CPU_SETSIZE];
	char name[32];

	if (known[cpu] <= 0) {
		snprintf(name, sizeof(name), "migration/%d", cpu);
		known[cpu] = kernel_thread(name);
	}
	return known[cpu];
}

/* The threads of a CPU are created when it comes up for the first time. */
int never_booted_cpu(void)
{
	int cpu;

	for (cpu = last_cpu_in("possible"); cpu >= 0; cpu--) {
		if (!cpu_is_in("online", cpu) && stopper_of(cpu) < 0)
			return cpu;
	}
	return -1;
}

/* The column of a CPU in the heading of /proc/interrupts, or -1. */
static int column_of(int cpu, char *heading)
{
	char name[16], *word, *rest;
	int column = 0;

	snprintf(name, sizeof(name), "CPU%d", cpu);
	for (word = strtok_r(heading, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
		if (!strcmp(word, name))
			return column;
		column++;
	}
	return -1;
}

/* A CPU that is not online has no column. */
static void count_interrupts(int cpu, struct events *e)
{
	const struct { const char *name; long *count; } rows[] = {
		{ "RES:", &e->resched }, { "CAL:", &e->call },
		{ "TLB:", &e->tlb }, { "LOC:", &e->tick },
	};
	FILE *f = fopen("/proc/interrupts", "r");
	char *line = NULL, *rest, *word;
	size_t size = 0, i;
	int column;

	assert_non_null(f);
	assert_true(getline(&line, &size, f) > 0);
	column = column_of(cpu, line);
	while (column >= 0 && getline(&line, &size, f) > 0) {
		word = strtok_r(line, " ", &rest);
		for (i = 0; i < ARRAY_SIZE(rows); i++) {
			int skipped = column;

			if (!word || strcmp(word, rows[i].name))
				continue;
			while (skipped--)
				strtok_r(NULL, " ", &rest);
			word = strtok_r(NULL, " ", &rest);
			assert_non_null(word);
			*rows[i].count = atol(word);
		}
	}
	free(line);
	fclose(f);
}

/* A number in /proc/PID/status. */
static long status_number(pid_t pid, const char *name)
{
	char path[64], text[4096], *at;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (!read_from(path, text, sizeof(text)) || !(at = strstr(text, name)))
		return -1;
	return atol(at + strlen(name));
}

void count_events(int cpu, struct events *e)
{
	pid_t stopper = stopper_of(cpu);

	memset(e, 0, sizeof(*e));
	count_interrupts(cpu, e);
	if (stopper > 0)
		e->stopper = status_number(stopper, "\nvoluntary_ctxt_switches:");
}

void subtract_events(struct events *e, const struct events *earlier)
{
	e->resched -= earlier->resched;
	e->call -= earlier->call;
	e->tlb -= earlier->tlb;
	e->tick -= earlier->tick;
	e->stopper -= earlier->stopper;
}

long times_preempted(pid_t pid)
{
	return status_number(pid, "\nnonvoluntary_ctxt_switches:");
}

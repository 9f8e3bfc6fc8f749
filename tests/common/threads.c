// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "threads.h"

static _Atomic bool stopping;

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	if (w->cpu >= 0)
		pin_to(w->cpu);
	w->run(w);
	return NULL;
}

void start_workers(struct worker *w, int n, void (*run)(struct worker *w), void *arg,
		   int (*cpu_of)(int index))
{
	int i;

	nr_allowed_cpus();	/* looked up once, by this thread */
	stopping = false;
	for (i = 0; i < n; i++) {
		pthread_t id;

		w[i] = (struct worker){ .index = i, .cpu = cpu_of ? cpu_of(i) : -1, .run = run,
					.arg = arg, .random = 0x9e3779b9 * (uint32_t)(i + 1) };
		assert_int_equal(pthread_create(&id, NULL, worker_main, &w[i]), 0);
		w[i].id = id;
	}
}

bool workers_stopping(void)
{
	return stopping;
}

void stop_workers(void)
{
	stopping = true;
}

void finish_workers(struct worker *w, int n)
{
	uint64_t wrongs = 0;
	int i;

	for (i = 0; i < n; i++) {
		assert_int_equal(pthread_join(w[i].id, NULL), 0);
		if (w[i].wrong)
			print_error("# thread %d: %llu times wrong, first: %s\n", i,
				    (unsigned long long)w[i].wrong, w[i].what);
		wrongs += w[i].wrong;
	}
	assert_int_equal(wrongs, 0);
}

void wrong(struct worker *w, const char *format, ...)
{
	va_list ap;

	if (w->wrong++)
		return;
	va_start(ap, format);
	vsnprintf(w->what, sizeof(w->what), format, ap);
	va_end(ap);
}

long call_of_sleeper(int tid)
{
	char path[64], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return *text >= '0' && *text <= '9' ? atol(text) : -1;
}

void sleep_ms(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&t, &t))
		;
}

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

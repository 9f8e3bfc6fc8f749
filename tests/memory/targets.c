// SPDX-License-Identifier: MIT
#include "targets.h"
#include "threads.h"

static void spin(struct worker *w)
{
	while (!workers_stopping())
		w->done++;
}

static int other_of_first(int index)
{
	(void)index;
	return other_cpu(allowed_cpu(0));
}

void for_each_target(void (*run)(const struct target *t, void *arg), void *arg)
{
	struct target this = { "this CPU", allowed_cpu(0) };
	struct target idle = { "an idle CPU", other_of_first(0) };
	struct target busy = { "a busy CPU", other_of_first(0) };
	struct worker spinner[1];

	pin_to(this.cpu);
	run(&this, arg);
	if (idle.cpu >= 0) {
		run(&idle, arg);
		start_workers(spinner, 1, spin, NULL, other_of_first);
		sleep_ms(20);
		run(&busy, arg);
		stop_workers();
		finish_workers(spinner, 1);
	}
	unpin();
}

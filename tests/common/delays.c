// SPDX-License-Identifier: MIT
#include <sched.h>
#include <time.h>

#include "delays.h"
#include "test.h"

#define SPINS_MAX	300
#define SLEEP_NS	20000

static __thread uint32_t state;

/* Mostly none, as what follows one delay has to be fast to be seen within another. */
void delay_point(void)
{
	struct timespec moment = { 0, SLEEP_NS };
	int saved = errno;
	uint32_t r, i;

	if (!state)
		state = (uint32_t)(uintptr_t)&state | 1;
	r = next_random(&state);
	switch (r >> 4 & 15) {
	case 0:
		nanosleep(&moment, NULL);
		break;
	case 1:
		sched_yield();
		break;
	case 2: case 3: case 4:
		for (i = 0; i < (r >> 8) % SPINS_MAX; i++)
			rseq_op_cpu_relax();
	}
	errno = saved;
}

// SPDX-License-Identifier: MIT
/*
 * What has to stand before the first operation. The priority is the first that
 * is not reserved, so that constructors of a statically linked program may use
 * operations.
 */
#include "internal.h"

__attribute__((constructor(101)))
static void init(void)
{
	config_init();
	area_init();
	cpus_init();
	fence_init();
	guard_init();
	guard_open_all();
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/base/clock.h"

#include <assert.h>
#include <time.h>

uint64_t clock_boot_ns(void)
{
	struct timespec t;
	int r = clock_gettime(CLOCK_BOOTTIME, &t);

	assert(!r); /* every kernel since 2.6.39 has it */
	(void)r;
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Boottime, as the programs in the kernel have it; and short waits. */
#ifndef IPAMD_CNI_CLOCK_H
#define IPAMD_CNI_CLOCK_H

#include <time.h>

#include "bpf/abi.h"

static inline __u64 clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (__u64)t.tv_sec * 1000000000 + (__u64)t.tv_nsec;
}

static inline __u64 clock_ms(void)
{
	return clock_ns() / 1000000;
}

static inline void clock_nap_ms(__u64 ms)
{
	struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

/*
 * When this ADD or DEL began: now, but no later than the end of the clock tick in
 * which the process was born.  See clock.c.
 */
__u64 clock_start_ns(void);

#endif

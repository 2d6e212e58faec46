/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How much stock a pool is to have, of one family: when to ask its source for
 * more, how many at once, and when to give some back.
 *
 * A fill begins below the mark `low` (or what the forecast says is claimed until a
 * fill arrives, if that is more) and ends a batch above it, never above `high`; a
 * drain begins above `high` and ends there.  So neither makes the other: between the
 * marks nothing happens.
 *
 * Pure: numbers in, numbers out; time is passed in.
 */
#ifndef IPAMD_CORE_REFILL_H
#define IPAMD_CORE_REFILL_H

#include <stdint.h>

struct refill_view {
	unsigned int ready, cooling, held, leaving;
	unsigned int pending;          /* asked of the source, not here yet */
	unsigned int soon;             /* cooling, and ready within one refill latency */
	unsigned int waiters;          /* ADDs that wait for an address */
	unsigned int empty_slots;      /* EMPTY, less what is pending in any pool */
	uint32_t low, high;            /* low <= high */
	unsigned int claims_per_s_x16; /* the forecast: refill_rate_forecast() */
	unsigned int latency_ms;       /* from asking the source to its addresses in slots */
};

/* At most one of the two is not 0. */
struct refill_plan {
	unsigned int fill;  /* addresses to ask for, in one batch */
	unsigned int drain; /* ready ones to give back, the longest idle first */
};

struct refill_plan refill_judge(const struct refill_view *v);

/* How fast a pool is claimed from.  Zeroed: nothing is known yet. */
struct refill_rate {
	uint64_t at_ms;  /* up to when it is counted, in whole seconds from the first */
	uint64_t claims; /* since then */
	uint64_t recent; /* claims a second, in 1/65536; forgets half in five seconds */
	uint64_t peak;   /* the highest recent; forgets half in six minutes */
};

/* So many claims more, at this boottime; 0 too, before a forecast is asked for. */
void refill_rate_count(struct refill_rate *r, uint64_t now_ms, unsigned int claims);

/* Claims a second that may come again, in 1/16. */
unsigned int refill_rate_forecast(const struct refill_rate *r);

#endif

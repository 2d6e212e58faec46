// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The batch above the mark is a quarter of the way from low to high, one at least
 * and sixteen at most: from a fill to the next there are as many claims, so that a
 * source is called once for several pods, while a quiet node holds little more than
 * its mark (with 5 and 50: 16).  Addresses that pods give back stay up to `high`,
 * since they cost nothing more and the next pods want them.
 */
#include "userspace/core/refill.h"

#include <limits.h>
#include <stddef.h>

enum {
	BATCH_MOST = 16,
	ONE = 65536,        /* a claim a second */
	TICK_MS = 1000,     /* rates change by whole seconds, so that bursts compare */
	RECENT_SHIFT = 3,   /* a tick forgets an eighth */
	PEAK_SHIFT = 9,     /* and of the peak a 512th */
	TICKS_MOST = 12000, /* after so many without a claim nothing is left of either */
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Claims within one latency, rounded up: what a fill of now comes too late for. */
static uint64_t demand(const struct refill_view *v)
{
	return ((uint64_t)v->claims_per_s_x16 * v->latency_ms + 15999) / 16000;
}

static unsigned int batch(const struct refill_view *v)
{
	return (unsigned int)most(1, least(BATCH_MOST, (v->high - v->low) / 4));
}

/*
 * All in 64 bits: no sum of counts wraps.  A drain leaves at least the mark and its
 * waiters, a fill ends at most at `high` and its waiters: see the header.
 */
struct refill_plan refill_judge(const struct refill_view *v)
{
	uint64_t stock = (uint64_t)v->ready + v->pending + v->soon;
	uint64_t mark = least(most(v->low, demand(v)), v->high);
	uint64_t target = least(mark + batch(v), v->high) + v->waiters;
	uint64_t keep = most(v->high, demand(v)) + v->waiters;
	struct refill_plan plan = {0, 0};

	if (stock < mark + v->waiters)
		plan.fill = (unsigned int)least(target - stock, v->empty_slots);
	else if (v->ready > keep)
		plan.drain = (unsigned int)(v->ready - keep);
	return plan;
}

/* --- The rate --------------------------------------------------------------------- */

/* Rounded so that it reaches what it goes towards, down to 0 too. */
static uint64_t towards(uint64_t from, uint64_t to, int shift)
{
	if (to >= from)
		return from + ((to - from) >> shift);
	return from - ((from - to) >> shift) - 1;
}

static void tick(struct refill_rate *r)
{
	r->recent = towards(r->recent, r->claims * ONE, RECENT_SHIFT);
	r->peak = most(r->recent, r->peak ? towards(r->peak, 0, PEAK_SHIFT) : 0);
	r->claims = 0;
}

void refill_rate_count(struct refill_rate *r, uint64_t now_ms, unsigned int claims)
{
	uint64_t ticks;

	if (!r->at_ms || now_ms < r->at_ms) /* the first, or another boot's clock */
		r->at_ms = now_ms;
	ticks = (now_ms - r->at_ms) / TICK_MS;
	r->at_ms += ticks * TICK_MS;
	for (uint64_t i = least(ticks, TICKS_MOST); i && (r->claims || r->peak); i--)
		tick(r);
	r->claims += claims;
}

unsigned int refill_rate_forecast(const struct refill_rate *r)
{
	uint64_t x16 = (most(r->peak, r->recent) + ONE / 16 - 1) / (ONE / 16);

	return (unsigned int)least(x16, UINT_MAX);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Refill: what is asked for and given back, by table and by a million random steps
 * of a pool whose pods come and go, and the forecast under bursts.
 */
#include "selftests/harness.h"

#include <limits.h>
#include <stdbool.h>

#include "userspace/core/refill.h"

static const struct refill_view usual = {.empty_slots = 256, .low = 5, .high = 50};

#define PLAN(...)                              \
	({                                     \
		struct refill_view v_ = usual; \
		struct refill_view *v = &v_;   \
		__VA_ARGS__;                   \
		refill_judge(v);               \
	})

TEST(an_empty_pool_is_filled_to_a_batch_above_its_mark)
{
	struct refill_plan p = refill_judge(&usual);

	CHECK_EQ(p.fill, 16);
	CHECK_EQ(p.drain, 0);
	CHECK_EQ(PLAN(v->ready = 4).fill, 12);
	CHECK_EQ(PLAN(v->ready = 5).fill, 0);
	CHECK_EQ(PLAN(v->low = v->high = 3).fill, 3);
	CHECK_EQ(PLAN(v->low = 0, v->high = 1).fill, 0);
	CHECK_EQ(PLAN(v->low = 100, v->high = 1000).fill, 116);
}

TEST(what_is_on_its_way_is_not_asked_for_again)
{
	CHECK_EQ(PLAN(v->pending = 16).fill, 0);
	CHECK_EQ(PLAN(v->pending = 3).fill, 13);
	CHECK_EQ(PLAN(v->soon = 5).fill, 0);
	CHECK_EQ(PLAN(v->cooling = 40).fill, 16);
}

TEST(who_waits_counts_at_once_and_beyond_the_high_mark)
{
	CHECK_EQ(PLAN(v->waiters = 3).fill, 19);
	CHECK_EQ(PLAN(v->ready = 5, v->waiters = 1).fill, 12);
	CHECK_EQ(PLAN(v->low = 0, v->high = 1, v->waiters = 7).fill, 8);
	CHECK_EQ(PLAN(v->low = 50, v->waiters = 30).fill, 80);
	/* and what was filled for them is not drained under them */
	CHECK_EQ(PLAN(v->ready = 80, v->waiters = 30).drain, 0);
}

TEST(no_more_than_there_are_slots_is_asked_for)
{
	CHECK_EQ(PLAN(v->empty_slots = 2).fill, 2);
	CHECK_EQ(PLAN(v->empty_slots = 0, v->waiters = 9).fill, 0);
}

TEST(the_forecast_lifts_the_mark_as_far_as_high)
{
	/* 4 a second and 5 s of latency: 20 are claimed until a fill is there */
	CHECK_EQ(PLAN(v->ready = 19, v->claims_per_s_x16 = 64, v->latency_ms = 5000).fill, 12);
	CHECK_EQ(PLAN(v->ready = 20, v->claims_per_s_x16 = 64, v->latency_ms = 5000).fill, 0);
	CHECK_EQ(PLAN(v->ready = 5, v->claims_per_s_x16 = 16000, v->latency_ms = 5000).fill, 45);
	CHECK_EQ(PLAN(v->ready = 5, v->claims_per_s_x16 = 16000).fill, 0);
	/* a drain does not go below it */
	CHECK_EQ(PLAN(v->ready = 90, v->claims_per_s_x16 = 256, v->latency_ms = 5000).drain, 10);
}

TEST(only_what_is_ready_above_high_is_drained)
{
	CHECK_EQ(PLAN(v->ready = 50).drain, 0);
	CHECK_EQ(PLAN(v->ready = 53).drain, 3);
	CHECK_EQ(PLAN(v->ready = 50, v->pending = 9, v->soon = 9, v->cooling = 100).drain, 0);
}

TEST(no_number_is_too_large)
{
	struct refill_plan p =
		PLAN(v->ready = v->pending = v->soon = v->waiters = UINT_MAX,
		     v->claims_per_s_x16 = v->latency_ms = UINT_MAX, v->low = v->high = UINT32_MAX);

	CHECK_EQ(p.fill, 0);
	CHECK_EQ(p.drain, 0);
	CHECK_EQ(PLAN(v->low = v->high = v->waiters = v->empty_slots = UINT_MAX).fill, UINT_MAX);
}

/* --- A pool whose pods come and go ---------------------------------------------------- */

static bool is_at_rest(const struct refill_view *v)
{
	struct refill_plan p = refill_judge(v);

	return !p.fill && !p.drain;
}

/* The rules of one plan; then it is carried out, and nothing is left to do. */
static void check_plan(struct refill_view v)
{
	struct refill_plan p = refill_judge(&v);
	struct refill_view after = v, arrived;
	uint64_t stock = (uint64_t)v.ready + v.pending + v.soon;

	CHECK(!p.fill || !p.drain);
	CHECK(p.fill <= v.empty_slots);
	CHECK(p.drain <= v.ready);
	if (p.fill)
		CHECK(stock + p.fill <= v.high + v.waiters);
	if (p.drain)
		CHECK(v.ready - p.drain >= v.high + v.waiters);
	after.pending += p.fill;
	after.empty_slots -= p.fill;
	after.ready -= p.drain;
	after.leaving += p.drain;
	CHECK(is_at_rest(&after) || after.empty_slots == 0);
	arrived = after;
	arrived.ready += arrived.pending;
	arrived.pending = 0;
	if (p.fill || v.ready + v.pending <= v.high + v.waiters)
		CHECK_EQ(refill_judge(&arrived).drain, 0);
	if (p.drain)
		CHECK_EQ(refill_judge(&arrived).fill, 0);
}

static struct refill_view any_view(unsigned int *seed)
{
	struct refill_view v = {
		.ready = rand_r(seed) % 80,
		.soon = rand_r(seed) % 4 ? 0 : rand_r(seed) % 30,
		.pending = rand_r(seed) % 2 ? 0 : rand_r(seed) % 40,
		.waiters = rand_r(seed) % 4 ? 0 : rand_r(seed) % 60,
		.empty_slots = rand_r(seed) % 200,
		.low = rand_r(seed) % 20,
		.claims_per_s_x16 = rand_r(seed) % 3 ? 0 : rand_r(seed) % 1000,
		.latency_ms = rand_r(seed) % 3 ? 0 : rand_r(seed) % 6000,
	};

	v.high = v.low + rand_r(seed) % 40 + (v.low == 0);
	v.cooling = v.soon + rand_r(seed) % 30;
	return v;
}

TEST(a_plan_that_was_carried_out_leaves_nothing_to_do)
{
	unsigned int seed = 3;

	for (int i = 0; i < 1000000; i++)
		check_plan(any_view(&seed));
}

/* One thing happens; the plan is carried out after it.  Returns what the plan did. */
static int live(struct refill_view *v, unsigned int *seed)
{
	struct refill_plan p;
	unsigned int n;

	switch (rand_r(seed) % 5) {
	case 0: /* a claim */
		v->held += v->ready > 0;
		v->ready -= v->ready > 0;
		break;
	case 1: /* a release */
		v->cooling += v->held > 0;
		v->held -= v->held > 0;
		break;
	case 2: /* some have cooled down */
		n = v->cooling ? rand_r(seed) % (v->cooling + 1) : 0;
		v->ready += n;
		v->cooling -= n;
		break;
	case 3: /* a fill arrives */
		v->ready += v->pending;
		v->pending = 0;
		break;
	default: /* a drain is done */
		v->empty_slots += v->leaving;
		v->leaving = 0;
	}
	p = refill_judge(v);
	v->pending += p.fill;
	v->empty_slots -= p.fill;
	v->ready -= p.drain;
	v->leaving += p.drain;
	return p.fill ? 1 : p.drain ? -1 : 0;
}

/* From a drain to a fill, and back, the pods must have moved the stock across the marks. */
TEST(a_drain_makes_no_fill_and_a_fill_no_drain)
{
	unsigned int seed = 4;

	for (int pool = 0; pool < 50; pool++) {
		struct refill_view v = {.low = rand_r(&seed) % 10, .empty_slots = 300};
		unsigned int held = 0;
		int last = 0;

		v.high = v.low + 1 + rand_r(&seed) % 40;
		for (int i = 0; i < 20000; i++) {
			int did = live(&v, &seed);

			CHECK_EQ(v.ready + v.cooling + v.held + v.pending + v.leaving +
					 v.empty_slots,
				 300);
			/* between opposite plans at least high - low addresses changed hands */
			if (did && last && did != last) {
				unsigned int now = v.held + v.cooling;
				unsigned int moved = now > held ? now - held : held - now;

				CHECK(moved + v.pending + 1 >=
				      v.high - v.low - (v.high - v.low) / 4);
			}
			if (did) {
				last = did;
				held = v.held + v.cooling;
			}
		}
	}
}

/* --- The rate ---------------------------------------------------------------------------- */

static void claim_for(struct refill_rate *r, uint64_t *now_ms, int seconds, unsigned int a_second)
{
	for (int i = 0; i < seconds; i++) {
		refill_rate_count(r, *now_ms, a_second / 2);
		refill_rate_count(r, *now_ms + 500, a_second - a_second / 2);
		*now_ms += 1000;
	}
	refill_rate_count(r, *now_ms, 0);
}

TEST(the_forecast_goes_to_the_rate_and_stays_a_while)
{
	struct refill_rate r = {0};
	uint64_t now = 7000;

	CHECK_EQ(refill_rate_forecast(&r), 0);
	claim_for(&r, &now, 60, 10);
	CHECK(refill_rate_forecast(&r) >= 155 && refill_rate_forecast(&r) <= 160);
	claim_for(&r, &now, 60, 0);
	CHECK(refill_rate_forecast(&r) > 120);
	claim_for(&r, &now, 355 - 60, 0);
	CHECK(refill_rate_forecast(&r) >= 75 && refill_rate_forecast(&r) <= 85);
	claim_for(&r, &now, 7200, 0);
	CHECK_EQ(refill_rate_forecast(&r), 0);
	CHECK_EQ(r.recent, 0);
}

TEST(one_burst_is_soon_seen)
{
	struct refill_rate r = {0};
	uint64_t now = 1;

	claim_for(&r, &now, 2, 100);
	CHECK(refill_rate_forecast(&r) >= 300); /* 19 a second and more */
}

TEST(one_second_is_no_rate_yet)
{
	struct refill_rate r = {0};
	uint64_t now = 1;

	claim_for(&r, &now, 1, 80);
	CHECK_EQ(refill_rate_forecast(&r), 160); /* an eighth of it */
}

TEST(how_often_it_is_told_makes_no_difference)
{
	struct refill_rate often = {0}, seldom = {0};

	for (unsigned int ms = 1000; ms < 61000; ms += 10)
		refill_rate_count(&often, ms, 1);
	for (unsigned int ms = 1000; ms < 61000; ms += 1000)
		refill_rate_count(&seldom, ms, 100);
	refill_rate_count(&often, 61000, 0);
	refill_rate_count(&seldom, 61000, 0);
	CHECK_EQ(often.recent, seldom.recent);
	CHECK_EQ(often.peak, seldom.peak);
}

TEST(a_long_pause_forgets_and_a_clock_that_steps_back_harms_nothing)
{
	struct refill_rate r = {0};
	uint64_t now = 1000000;

	claim_for(&r, &now, 30, 1000);
	refill_rate_count(&r, 5, 3);
	CHECK(refill_rate_forecast(&r) > 1000);
	refill_rate_count(&r, UINT64_MAX / 2, 0);
	CHECK_EQ(refill_rate_forecast(&r), 0);
	refill_rate_count(&r, UINT64_MAX / 2 + 1000, UINT_MAX);
	refill_rate_count(&r, UINT64_MAX / 2 + 3000, UINT_MAX);
	CHECK_EQ(refill_rate_forecast(&r), UINT_MAX);
}

TEST_MAIN

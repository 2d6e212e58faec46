// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The history checker is able to fail: for each rule histories made by hand that it,
 * and no other rule, finds; and next to each the ones that only look like it.  Here
 * what operations show, V1 to V5; what a map shows is in history_map_test.c.
 */
#include "selftests/history_hand.h"

/* --- Good ones ------------------------------------------------------------ */

TEST(a_good_history_raises_nothing)
{
	struct history_op *op;

	add(0, 2, 0, 0, 1)->got[1] = (struct history_got){held(0, 4, 1), 4, 4};
	again(5, 6, 0, 0, 1)->got[1] = (struct history_got){held(0, 4, 1), 4, 4};
	add(1, 3, 1, 1, 1);
	del(10, 12, 0, IPAMD_OK);
	del(13, 14, 0, IPAMD_NOTHING);
	add_fails(15, 16, 0, IPAMD_LATE)->start_ns = us(9);
	reclaim(20, 21, 1, held(1, 1, 1));
	reclaim(22, 23, 1, held(1, 1, 1))->verdict = IPAMD_STALE;
	add(2015, 2016, 2, 0, 2);
	del(2017, 2018, 2, IPAMD_YOUNGER)->start_ns = us(2000);
	add(3020, 3021, 3, 4, 2);
	step(4000, 4001, 2, before[2].word, slot_set_state(before[2].word, IPAMD_LEAVING));
	step(4002, 4003, 2, slot_set_state(before[2].word, IPAMD_LEAVING),
	     slot_word(IPAMD_EMPTY, 0, 0, 0));
	op = step(4004, 4005, 2, slot_word(IPAMD_EMPTY, 0, 0, 0), free_word(2, 5000, 0));
	op->got[0].address = 2;
	fix(4006, 4007, 3, before[3].word, 8);

	rests(2, 0, 2);
	rests(3, 4, 2);
	place(after, 1, free_word(1, 1001000, 1));
	place(after, 2, free_word(2, 5000, 0));
	place(after, 3, before[3].word | SLOT_FIXED);
	after[3].workload = 8;
	passes_at_rest();
}

TEST(a_round_may_begin_with_what_the_last_one_left)
{
	const struct history_entry carried = {
		.key = 1, .entry = {.first = held(1, 5, 7), .slots = 5 | 1ULL << 32}};

	place(before, 5, held(1, 5, 7));
	before[5].record = before[5].word;
	before[5].key = 1;
	before[5].start_ns = us(-50);
	again(0, 1, 1, 5, 7);
	del(2, 3, 1, IPAMD_OK);
	add(3004, 3005, 0, 5, 8);
	rests(0, 5, 8);
	CHECK_EQ(judge_from(&(const struct history_map){before, &carried, 1}, true), 0);

	/* without the DEL it was not to be had */
	ops[1].verdict = IPAMD_BUSY;
	CHECK_EQ(judge_from(&(const struct history_map){before, &carried, 1}, false), 1);
	CHECK_EQ(found[HISTORY_V1], 1);
}

/* --- V1 ------------------------------------------------------------------- */

TEST(two_attachments_with_one_address_are_found_by_v1)
{
	add(0, 1, 0, 0, 1);
	add(2500, 2501, 1, 0, 2);
	fails(HISTORY_V1);

	/* the DEL came too late to have made room */
	add(0, 1, 0, 0, 1);
	add(2500, 2501, 1, 0, 2);
	del(2502, 2503, 0, IPAMD_OK);
	fails(HISTORY_V1);

	/* one claim's word for two */
	add(0, 1, 0, 0, 1);
	add(0.5, 2, 1, 0, 1);
	fails(HISTORY_V1);

	/* one generation claimed twice; one that was claimed before the round */
	add(0, 1, 0, 0, 1);
	add(2, 3, 0, 0, 1);
	fails(HISTORY_V1);
	add(0, 1, 0, 0, 0);
	fails(HISTORY_V1);
}

TEST(a_release_that_may_have_come_between_is_enough)
{
	add(0, 1, 0, 0, 1);
	del(1.5, 2, 0, HISTORY_UNKNOWN);
	add(2500, 2501, 1, 0, 2);
	passes();

	add(0, 1, 0, 0, 1);
	reclaim(1, 2, 0, held(0, 0, 1))->verdict = HISTORY_UNKNOWN;
	add(1001501, 1001502, 1, 0, 2);
	passes();

	/* DEL and claim overlap: the claim may have been the later */
	add(0, 1, 0, 0, 1);
	del(400, 9000, 0, IPAMD_OK);
	add(2500, 2501, 1, 0, 2);
	passes();

	/* nobody was told of the first: its ADD was killed, or was late and took it back */
	again(4, 5, 0, 0, 1);
	add_fails(0, 6, 0, HISTORY_UNKNOWN);
	add(2500, 2501, 1, 0, 2);
	passes();
	again(4, 5, 0, 0, 1);
	add_fails(0, 6, 0, IPAMD_LATE);
	del(1, 5, 0, IPAMD_NOTHING);
	add(2500, 2501, 1, 0, 2);
	passes();
}

TEST(an_answer_after_the_del_does_not_die_with_the_add_before_it)
{
	add_fails(0, 9, 0, IPAMD_LATE);
	del(1, 2, 0, IPAMD_NOTHING);
	again(3, 4, 0, 0, 1);
	add(2500, 2501, 1, 0, 2);
	fails(HISTORY_V1);

	/* nor because the pool of another ADD was closed */
	add_fails(0, 9, 0, IPAMD_CLOSED);
	again(3, 4, 0, 0, 1);
	add(2500, 2501, 1, 0, 2);
	fails(HISTORY_V1);
}

TEST(an_address_that_is_away_or_fixed_for_another_is_found_by_v1)
{
	step(0, 1, 0, before[0].word, slot_set_state(before[0].word, IPAMD_LEAVING));
	add(5, 6, 0, 0, 1);
	fails(HISTORY_V1);

	fix(0, 1, 0, before[0].word, 7);
	add(5, 6, 3, 0, 1)->got[0].word |= SLOT_FIXED;
	fails(HISTORY_V1);

	fix(0, 1, 0, before[0].word, 7);
	add(5, 6, 3, 0, 1);
	fails(HISTORY_V1);

	fix(0, 1, 0, before[0].word, 7);
	add(5, 6, 2, 0, 1)->got[0].word |= SLOT_FIXED;
	passes();

	/* a killed manager's step may have been another */
	step(0, 1, 0, before[0].word, slot_set_state(before[0].word, IPAMD_LEAVING))->verdict =
		HISTORY_UNKNOWN;
	add(5, 6, 0, 0, 1);
	passes();
}

TEST(an_answer_with_another_address_is_found_by_v1)
{
	add(0, 1, 0, 0, 1)->got[0].address = 3;
	fails(HISTORY_V1);
	add(0, 1, 0, 0, 1)->want = 3;
	fails(HISTORY_V1);
	add(0, 1, 0, 0, 1)->want = 0;
	passes();
	/* released and refilled while it answered */
	add(0, 10, 0, 0, 1)->got[0].address = 3;
	del(5, 6, 0, IPAMD_OK);
	passes();
}

/* --- V2 ------------------------------------------------------------------- */

TEST(a_cooldown_that_is_short_is_found_by_v2)
{
	add(0, 1, 0, 0, 1);
	del(10, 11, 0, IPAMD_OK);
	add(1500, 2009.999, 1, 0, 2);
	fails(HISTORY_V2);

	/* the other pool's is longer */
	add(0, 1, 0, 4, 1);
	del(10, 11, 0, IPAMD_OK);
	add(2900, 3009, 1, 4, 2);
	fails(HISTORY_V2);

	/* a reclaim's is a second */
	add(0, 1, 0, 0, 1);
	reclaim(10, 11, 0, held(0, 0, 1));
	add(999000, 1000009, 1, 0, 2);
	fails(HISTORY_V2);

	/* the same attachment has to wait, too */
	add(0, 1, 0, 0, 1);
	del(10, 11, 0, IPAMD_OK);
	add(1500, 1501, 0, 0, 2);
	fails(HISTORY_V2);

	/* and for what the manager wrote */
	place(before, 0, free_word(0, 7000, 0));
	add(6990, 6999, 0, 0, 1);
	fails(HISTORY_V2);
}

TEST(a_cooldown_to_the_nanosecond_is_long_enough)
{
	add(0, 1, 0, 0, 1);
	del(10, 11, 0, IPAMD_OK);
	add(2005, 2010, 1, 0, 2);
	passes();

	/* two DELs, one of them killed: it may have been the first */
	add(0, 1, 0, 0, 1);
	del(10, 11, 0, HISTORY_UNKNOWN);
	del(900, 901, 0, IPAMD_OK);
	add(2009, 2010, 1, 0, 2);
	passes();

	/* a DEL and a reclaim: it may have been the DEL */
	add(0, 1, 0, 0, 1);
	del(9, 12, 0, HISTORY_UNKNOWN);
	reclaim(10, 11, 0, held(0, 0, 1))->verdict = HISTORY_UNKNOWN;
	add(2009, 2010, 1, 0, 2);
	passes();

	place(before, 0, free_word(0, 7000, 0));
	add(6990, 7000, 0, 0, 1);
	passes();
}

TEST(a_workload_takes_its_fixed_address_at_once)
{
	add(0, 1, 2, 0, 1);
	fix(2, 3, 0, held(2, 0, 1), 7);
	del(10, 11, 2, IPAMD_OK);
	add(12, 13, 2, 0, 2)->got[0].word |= SLOT_FIXED;
	passes();

	/* unfixed, it cools for everybody */
	add(0, 1, 2, 0, 1);
	fix(2, 3, 0, held(2, 0, 1), 7);
	del(10, 11, 2, IPAMD_OK);
	fix(12, 13, 0, free_word(0, 2010, 1) | SLOT_FIXED, 7);
	add(14, 15, 2, 0, 2);
	CHECK_EQ(judge(false), 2); /* after its cooldown, and after the word's time */
	CHECK_EQ(found[HISTORY_V2], 2);
}

/* --- V3 ------------------------------------------------------------------- */

TEST(a_stale_release_that_had_an_effect_is_found_by_v3)
{
	/* a DEL older than the claim that it ended */
	add(10, 11, 0, 0, 1);
	del(20, 21, 0, IPAMD_OK)->start_ns = us(9);
	fails(HISTORY_V3);

	/* twice OK for one claim */
	add(10, 11, 0, 0, 1);
	del(20, 21, 0, IPAMD_OK);
	del(22, 23, 0, IPAMD_OK);
	fails(HISTORY_V3);
	del(22, 23, 0, IPAMD_OK);
	fails(HISTORY_V3);

	/* a reclaim of a word that was history */
	add(0, 1, 0, 0, 1);
	del(2, 3, 0, IPAMD_OK);
	add(2500, 2501, 1, 0, 2);
	reclaim(2600, 2601, 0, held(0, 0, 1));
	CHECK_EQ(judge(false), 3); /* ended, of the past, and nothing to release */
	CHECK_EQ(found[HISTORY_V3], 3);
}

TEST(a_release_that_may_have_met_another_claim_is_none_of_v3)
{
	add(10, 11, 0, 0, 1);
	del(20, 21, 0, IPAMD_OK)->start_ns = us(10);
	passes();

	/* another DEL may have been the one, or another claim what it ended */
	add(10, 11, 0, 0, 1);
	del(20, 21, 0, IPAMD_OK)->start_ns = us(9);
	del(20.5, 22, 0, HISTORY_UNKNOWN);
	passes();
	add(10, 11, 0, 0, 1);
	del(20, 21, 0, IPAMD_OK);
	add_fails(20, 22, 0, HISTORY_UNKNOWN);
	del(22, 23, 0, IPAMD_OK);
	passes();
	add_fails(10, 11, 0, HISTORY_UNKNOWN);
	reclaim(12, 13, 0, held(0, 0, 1));
	passes();
}

/* --- V4 ------------------------------------------------------------------- */

TEST(two_answers_that_differ_are_found_by_v4)
{
	add(0, 1, 0, 0, 1);
	add(2, 3, 0, 1, 1);
	fails(HISTORY_V4);

	/* the release came after both */
	add(0, 1, 0, 0, 1);
	add(2, 3, 0, 1, 1);
	again(4, 5, 0, 0, 1);
	del(6, 7, 0, IPAMD_OK);
	fails(HISTORY_V4);

	/* the same slot twice */
	add(0, 1, 0, 0, 1);
	add(4000, 4001, 0, 0, 2);
	fails(HISTORY_V4);

	/* one family the same, the other not */
	add(0, 1, 0, 0, 1)->got[1] = (struct history_got){held(0, 4, 1), 4, 4};
	again(2, 3, 0, 0, 1)->got[1] = (struct history_got){held(0, 5, 1), 5, 5};
	fails(HISTORY_V4);

	/* answered again when it was long released */
	add(0, 1, 0, 0, 1);
	del(2, 3, 0, IPAMD_OK);
	again(4, 5, 0, 0, 1);
	fails(HISTORY_V4);

	/* one word, two addresses */
	add(0, 1, 0, 0, 1);
	again(2, 3, 0, 0, 1)->got[0].address = 2;
	fails(HISTORY_V4);
}

TEST(answers_with_a_release_that_may_lie_between_may_differ)
{
	add(0, 1, 0, 0, 1);
	del(0.5, 3, 0, HISTORY_UNKNOWN);
	add(2, 3, 0, 1, 1);
	passes();
	add(0, 1, 0, 0, 1);
	del(0.5, 3, 0, IPAMD_OK);
	add(0.2, 3, 0, 1, 1);
	passes();
	/* answered again while the DEL was under way */
	add(0, 1, 0, 0, 1);
	del(2, 10, 0, IPAMD_OK);
	again(3, 9, 0, 0, 1);
	add(8, 11, 0, 1, 1);
	passes();
}

/* --- V5 ------------------------------------------------------------------- */

TEST(a_late_add_that_succeeds_is_found_by_v5)
{
	/* invoked after the DEL had answered */
	del(10, 11, 0, IPAMD_NOTHING);
	add(12, 13, 0, 0, 1)->start_ns = us(10);
	fails(HISTORY_V5);

	/* under way when the DEL found nothing, and still there */
	add(5, 13, 0, 0, 1);
	del(10, 11, 0, IPAMD_NOTHING);
	again(20, 21, 0, 0, 1);
	fails(HISTORY_V5);

	/* in a pool that was closed */
	gate(1, 2, HISTORY_CLOSE, 0);
	add(3, 4, 0, 0, 1);
	gate(5, 6, HISTORY_OPEN, 0);
	fails(HISTORY_V5);
}

TEST(an_add_that_need_not_be_late_is_none_of_v5)
{
	del(10, 11, 0, IPAMD_NOTHING);
	add(12, 13, 0, 0, 1)->start_ns = us(10.001);
	passes();
	/* the DEL that answered BUSY, or was killed, may have left no tombstone */
	del(10, 11, 0, IPAMD_BUSY);
	del(10, 11, 0, HISTORY_UNKNOWN);
	add(12, 13, 0, 0, 1)->start_ns = us(9);
	passes();
	/* released by somebody else before that DEL looked */
	add(5, 13, 0, 0, 1);
	del(10, 11, 0, IPAMD_NOTHING);
	del(9, 12, 0, HISTORY_UNKNOWN);
	passes();
	/* the pool was closed, or opened, meanwhile; or what it has is from before */
	gate(3, 3.5, HISTORY_CLOSE, 0);
	add(2, 4, 0, 0, 1);
	gate(7, 8, HISTORY_OPEN, 0);
	add(6, 9, 1, 1, 1);
	passes();
	add(0, 1, 0, 0, 1);
	gate(2, 3, HISTORY_CLOSE, 0);
	again(4, 5, 0, 0, 1);
	passes();
}

TEST(a_del_of_an_earlier_round_makes_late_as_well)
{
	const struct history_map map = {before, NULL, 0};
	struct history_shape shape = {.keys = KEYS,
				      .slots = SLOTS,
				      .addresses = SLOTS,
				      .ids = ids,
				      .workloads = workloads};
	struct history *h = history_open(&shape);

	history_begin(h, &map);
	CHECK_EQ(history_add(h, del(10, 11, 0, IPAMD_NOTHING)), 0);
	CHECK_EQ(history_check(h, &map), 0);
	op_count = 0;
	add(20, 21, 0, 0, 1)->start_ns = us(10);
	CHECK_EQ(history_add(h, &ops[0]), 0);
	CHECK_EQ(history_check(h, NULL), 1);
	CHECK_EQ(history_count(h, HISTORY_V5), 1);
	history_close(h);
}

TEST_MAIN

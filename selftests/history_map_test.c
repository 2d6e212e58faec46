// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The history checker is able to fail, second part: the rules that look at the map in
 * which a round ends, V6 to V8, and the checker's own limits.
 */
#include <errno.h>

#include "selftests/history_hand.h"

/* --- V6 ------------------------------------------------------------------- */

/* All but `left` of pool 0 are held for ever. */
static void crowd(__u32 left)
{
	for (__u32 slot = left; slot < 4; slot++) {
		place(before, slot, held(3, slot, 1));
		place(after, slot, held(3, slot, 1));
		after[slot].record = after[slot].word;
		after[slot].key = 3;
	}
}

static void judge_crowd(unsigned int v6)
{
	judge(true);
	CHECK_EQ(found[HISTORY_V6], v6);
	op_count = 0;
}

TEST(exhausted_with_a_ready_address_is_found_by_v6)
{
	add_fails(10, 11, 0, IPAMD_EXHAUSTED);
	fails_at_rest(HISTORY_V6);

	crowd(1);
	add_fails(10, 11, 0, IPAMD_EXHAUSTED);
	judge_crowd(1);

	/* free since just before, claimed just after */
	place(after, 0, free_word(0, 9000, 1));
	place(before, 0, free_word(0, 1000, 0));
	add_fails(1000, 1001, 0, IPAMD_EXHAUSTED);
	add(1001.001, 1002, 1, 0, 1);
	del(6000, 6001, 1, IPAMD_OK);
	judge_crowd(1);

	/* released so long ago that it had cooled */
	add(0, 1, 1, 0, 1);
	place(before, 0, free_word(0, -1000, 0));
	del(500, 501, 1, IPAMD_OK);
	add_fails(3000, 3001, 0, IPAMD_EXHAUSTED);
	judge_crowd(1);
}

TEST(an_address_that_may_have_been_gone_is_none_of_v6)
{
	crowd(1);
	/* it became ready under way */
	place(before, 0, free_word(0, 1000, 0));
	place(after, 0, before[0].word);
	add_fails(999.999, 1001, 0, IPAMD_EXHAUSTED);
	judge_crowd(0);

	/* the release had not answered so long ago */
	place(before, 0, free_word(0, -1000, 0));
	place(after, 0, free_word(0, 3000, 1));
	add(0, 1, 1, 0, 1);
	del(500, 1001, 1, IPAMD_OK);
	add_fails(3999.9, 4001, 0, IPAMD_EXHAUSTED);
	judge_crowd(0);

	/* claimed meanwhile; or by one that was killed: a generation is missing */
	add_fails(10, 12, 0, IPAMD_EXHAUSTED);
	add(11.5, 13, 1, 0, 1);
	judge_crowd(0);
	add_fails(10, 12, 0, IPAMD_EXHAUSTED);
	add_fails(3, 4, 1, HISTORY_UNKNOWN);
	judge_crowd(0);

	/* in the hands of another for a moment, who wanted both families and got none */
	place(after, 0, free_word(0, -1000, 0));
	for (__u32 slot = 4; slot < 8; slot++)
		place(before, slot, free_word(slot, 50000, 0));
	add_fails(10, 12, 0, IPAMD_EXHAUSTED);
	add_fails(11, 13, 1, IPAMD_EXHAUSTED)->pool[1] = 1;
	judge_crowd(0);

	/* leaving; fixed */
	add_fails(10, 12, 0, IPAMD_EXHAUSTED);
	step(5, 11, 0, before[0].word, slot_set_state(before[0].word, IPAMD_LEAVING));
	judge_crowd(0);
	add_fails(10, 12, 0, IPAMD_EXHAUSTED);
	fix(5, 6, 0, before[0].word, 7);
	judge_crowd(0);
}

TEST(both_families_have_to_be_there_for_v6)
{
	for (__u32 slot = 4; slot < 8; slot++)
		place(before, slot, free_word(slot, 50000, 0));
	add_fails(10, 11, 0, IPAMD_EXHAUSTED)->pool[1] = 1;
	CHECK_EQ(judge(true), 0);
	for (__u32 slot = 4; slot < 8; slot++)
		place(before, slot, free_word(slot, 0, 0));
	CHECK_EQ(judge(true), 1);
	CHECK_EQ(found[HISTORY_V6], 1);
}

/* --- V7 ------------------------------------------------------------------- */

TEST(what_is_there_and_must_not_be_is_found_by_v7)
{
	struct history_place good = after[0];

	place(after, 0, slot_word(IPAMD_CLAIMING, 0, slot_tag_of(&ids[0]), 1));
	add_fails(0, 1, 0, HISTORY_UNKNOWN);
	fails_at_rest(HISTORY_V7);

	/* held, though released */
	add(0, 1, 0, 0, 1);
	del(2, 3, 0, IPAMD_OK);
	rests(0, 0, 1);
	fails_at_rest(HISTORY_V7);

	/* held, and nobody ever asked for it; the generation has no claim either */
	rests(0, 0, 1);
	CHECK_EQ(judge(true), 2);
	CHECK_EQ(found[HISTORY_V7], 2);
	entry_count = 0;

	/* no entry; then an entry alone */
	add(0, 1, 0, 0, 1);
	rests(0, 0, 1);
	entry_count = 0;
	fails_at_rest(HISTORY_V7);
	add(0, 1, 0, 0, 1);
	del(2, 3, 0, IPAMD_OK);
	rests(0, 0, 1);
	after[0] = good;
	place(after, 0, free_word(0, 2002, 1));
	fails_at_rest(HISTORY_V7);

	/* an entry that is still pending */
	after[0] = good;
	entries[entry_count++] = (struct history_entry){
		.key = 1, .entry.first = slot_word(IPAMD_CLAIMING, 0, slot_tag_of(&ids[1]), 0)};
	fails_at_rest(HISTORY_V7);

	/* another's record */
	add(0, 1, 0, 0, 1);
	rests(0, 0, 1);
	after[0].key = 1;
	fails_at_rest(HISTORY_V7);
	after[0] = good;

	/* more generations than claims */
	place(after, 0, free_word(0, 0, 3));
	add_fails(0, 1, 0, IPAMD_LATE);
	fails_at_rest(HISTORY_V7);
	after[0] = good;

	/* a generation that the slot never reached */
	place(after, 0, free_word(0, 0, 1));
	add(0, 1, 0, 0, 5);
	del(2, 3, 0, IPAMD_OK);
	fails_at_rest(HISTORY_V7);
	after[0] = good;

	/* a program says so itself */
	del(0, 1, 0, IPAMD_BROKEN);
	fails_at_rest(HISTORY_V7);
	reclaim(0, 1, 0, held(0, 0, 1))->verdict = IPAMD_BROKEN;
	fails_at_rest(HISTORY_V7);
}

TEST(an_address_out_of_place_is_found_by_v7)
{
	struct history_place good = after[3];

	after[3].named = 2;
	fails_at_rest(HISTORY_V7);

	/* in two slots, of which one is not its own, and gone from the other: conservation */
	after[3] = good;
	after[3].address = 2;
	after[3].named = 2;
	CHECK_EQ(judge(true), 3); /* two slots, none by a fill, and names agree with one */
	CHECK_EQ(found[HISTORY_V7], 3);

	after[3] = good;
	after[3].address = SLOTS;
	fails_at_rest(HISTORY_V7);

	/* drained, and still there */
	after[3] = good;
	step(0, 1, 3, before[3].word, slot_set_state(before[3].word, IPAMD_LEAVING));
	step(2, 3, 3, slot_set_state(before[3].word, IPAMD_LEAVING),
	     slot_word(IPAMD_EMPTY, 0, 0, 0));
	fails_at_rest(HISTORY_V7);

	place(after, 3, before[3].word | SLOT_FIXED);
	fails_at_rest(HISTORY_V7);

	/* filled a second time, elsewhere */
	step(0, 1, 3, before[3].word, slot_set_state(before[3].word, IPAMD_LEAVING));
	step(2, 3, 3, slot_set_state(before[3].word, IPAMD_LEAVING),
	     slot_word(IPAMD_EMPTY, 0, 0, 0));
	step(4, 5, 3, slot_word(IPAMD_EMPTY, 0, 0, 0), before[3].word)->got[0].address = 2;
	after[3] = good;
	after[3].address = 2;
	CHECK_EQ(judge(true), 3); /* filled twice, in two slots, and one is not the last */
	CHECK_EQ(found[HISTORY_V7], 3);
}

TEST(a_killed_add_explains_what_is_held)
{
	add_fails(0, 1, 0, HISTORY_UNKNOWN);
	rests(0, 0, 1);
	passes_at_rest();
}

TEST(a_killed_del_explains_what_is_held_and_what_is_not)
{
	add(0, 1, 0, 0, 1);
	del(2, 3, 0, HISTORY_UNKNOWN);
	rests(0, 0, 1);
	passes_at_rest();

	add(0, 1, 0, 0, 1);
	del(2, 3, 0, HISTORY_UNKNOWN);
	place(after, 0, free_word(0, 2003, 1));
	passes_at_rest();
}

/* --- V8 ------------------------------------------------------------------- */

TEST(what_was_acknowledged_and_is_gone_is_found_by_v8)
{
	struct history_place good = after[0];

	add(0, 1, 0, 0, 1);
	place(after, 0, free_word(0, 2000, 1));
	fails_at_rest(HISTORY_V8);

	/* of two addresses one */
	add(0, 1, 0, 0, 1)->got[1] = (struct history_got){held(0, 4, 1), 4, 4};
	rests(0, 0, 1);
	place(after, 4, free_word(4, 3000, 1));
	fails_at_rest(HISTORY_V8);
	after[0] = good;
	place(after, 4, before[4].word);

	/* filled; fixed */
	after[0] = (struct history_place){
		.address = HISTORY_NONE, .named = HISTORY_NONE, .key = HISTORY_NONE};
	fails_at_rest(HISTORY_V8);
	after[0] = good;
	fix(0, 1, 0, before[0].word, 7);
	fails_at_rest(HISTORY_V8);
	fix(0, 1, 0, before[0].word, 7);
	place(after, 0, before[0].word | SLOT_FIXED);
	after[0].workload = 8;
	fails_at_rest(HISTORY_V8);
}

TEST(what_somebody_may_have_ended_is_none_of_v8)
{
	add(0, 1, 0, 0, 1);
	reclaim(5, 6, 0, held(0, 0, 1))->verdict = HISTORY_UNKNOWN;
	place(after, 0, free_word(0, 1001000, 1));
	passes_at_rest();
	place(after, 0, before[0].word);
	fix(0, 1, 0, before[0].word, 7)->verdict = HISTORY_UNKNOWN;
	passes_at_rest();
}

/* --- Limits --------------------------------------------------------------- */

TEST(generations_are_ordered_across_their_edge)
{
	place(before, 0, free_word(0, -1000, SLOT_GEN));
	add(0, 1, 0, 0, 0); /* the next after the last is 0 */
	del(2, 3, 0, IPAMD_OK);
	add(2003, 2004, 1, 0, 1);
	rests(1, 0, 1);
	passes_at_rest();

	add(0, 1, 0, 0, 0);
	add(2003, 2004, 1, 0, 1);
	fails(HISTORY_V1);
}

TEST(a_round_with_a_whole_turn_of_generations_is_refused)
{
	enum { TURNS = SLOT_GEN + 1 };
	struct history_op *many = calloc(2 * TURNS, sizeof(*many));
	struct history_shape shape = {.keys = KEYS,
				      .slots = SLOTS,
				      .addresses = SLOTS,
				      .ids = ids,
				      .workloads = workloads};
	const struct history_map map = {before, NULL, 0};
	struct history *h = history_open(&shape);

	CHECK(many);
	history_begin(h, &map);
	for (__u32 i = 0; i < TURNS; i++) {
		op_count = 0;
		many[2 * i] = *add(10 * i, 10 * i + 1, 0, 0, (i + 1) & SLOT_GEN);
		many[2 * i + 1] = *del(10 * i + 5, 10 * i + 6, 0, IPAMD_OK);
		CHECK_EQ(history_add(h, &many[2 * i]), 0);
		CHECK_EQ(history_add(h, &many[2 * i + 1]), 0);
	}
	CHECK_EQ(history_check(h, NULL), -ERANGE);
	history_close(h);
	free(many);
}

TEST(a_malformed_operation_is_refused)
{
	struct history_shape shape = {.keys = KEYS, .slots = SLOTS, .addresses = SLOTS, .ids = ids};
	struct history *h = history_open(&shape);

	CHECK_EQ(history_add(h, add(0, 1, KEYS - 1, 0, 1)), 0);
	ops[0].key = KEYS;
	CHECK_EQ(history_add(h, &ops[0]), -EINVAL);
	CHECK_EQ(history_add(h, add(2, 1, 0, 0, 1)), -EINVAL);
	add(0, 1, 0, 0, 1)->got[0].slot = SLOTS;
	CHECK_EQ(history_add(h, &ops[op_count - 1]), -EINVAL);
	history_close(h);
}

TEST_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The table of recovery, cell by cell, and then every combination of evidence
 * against the rules that no cell may break: invariants 6 and 10.
 */
#include "selftests/harness.h"

#include "userspace/core/recover.h"

static struct recover_verdict judge(enum recover_map map, enum recover_row row,
				    enum recover_source source, enum recover_witness witness)
{
	struct recover_evidence e = {map, row, source, witness, false, false};

	return recover_judge(&e);
}

struct cell {
	enum recover_slot slot;
	enum recover_change row;
};

/* With source and witnesses read: the address is ours, no namespace has it. */
static const struct cell table[RECOVER_MAPS][RECOVER_ROWS] =
	{
		[MAP_FREE] =
			{
				[ROW_STOCK] = {KEEP_SLOT, ROW_KEEP},
				[ROW_HELD] = {KEEP_SLOT, ROW_BECOMES_STOCK},
				[ROW_COOLING] = {KEEP_SLOT, ROW_BECOMES_STOCK},
				[ROW_LEAVING] = {KEEP_SLOT, ROW_BECOMES_STOCK},
				[ROW_NONE] = {KEEP_SLOT, ROW_BECOMES_STOCK},
			},
		[MAP_COOLING] =
			{
				[ROW_STOCK] = {KEEP_SLOT, ROW_BECOMES_COOLING},
				[ROW_HELD] = {KEEP_SLOT, ROW_BECOMES_COOLING},
				[ROW_COOLING] = {LATER_DEADLINE, ROW_BECOMES_COOLING},
				[ROW_LEAVING] = {TO_QUARANTINE, ROW_BECOMES_QUARANTINE},
				[ROW_NONE] = {KEEP_SLOT, ROW_ADOPTED},
			},
		[MAP_HELD] =
			{
				[ROW_STOCK] = {KEEP_SLOT, ROW_BECOMES_HELD},
				[ROW_HELD] = {KEEP_SLOT, ROW_BECOMES_HELD},
				[ROW_COOLING] = {KEEP_SLOT, ROW_BECOMES_HELD},
				[ROW_LEAVING] = {KEEP_SLOT, ROW_BECOMES_HELD},
				[ROW_NONE] = {KEEP_SLOT, ROW_ADOPTED},
			},
		[MAP_LEAVING] =
			{
				[ROW_STOCK] = {GO_ON_LEAVING, ROW_BECOMES_LEAVING},
				[ROW_HELD] = {TO_QUARANTINE, ROW_BECOMES_QUARANTINE},
				[ROW_COOLING] = {TO_QUARANTINE, ROW_BECOMES_QUARANTINE},
				[ROW_LEAVING] = {GO_ON_LEAVING, ROW_BECOMES_LEAVING},
				[ROW_NONE] = {GO_ON_LEAVING, ROW_BECOMES_LEAVING},
			},
		[MAP_NO_SLOT] =
			{
				[ROW_STOCK] = {FILL_READY, ROW_KEEP},
				[ROW_HELD] = {FILL_HELD, ROW_KEEP},
				[ROW_COOLING] = {FILL_COOLING, ROW_KEEP},
				[ROW_LEAVING] = {GO_ON_LEAVING, ROW_KEEP},
				[ROW_NONE] = {KEEP_SLOT, ROW_KEEP},
			},
		[MAP_LOST] =
			{
				[ROW_STOCK] = {FILL_COOLING, ROW_BECOMES_COOLING},
				[ROW_HELD] = {FILL_HELD, ROW_KEEP},
				[ROW_COOLING] = {FILL_COOLING, ROW_BECOMES_COOLING},
				[ROW_LEAVING] = {GO_ON_LEAVING, ROW_KEEP},
				[ROW_NONE] = {FILL_COOLING, ROW_ADOPTED},
			},
		[MAP_OTHER_BOOT] =
			{
				[ROW_STOCK] = {FILL_READY, ROW_KEEP},
				[ROW_HELD] = {FILL_COOLING, ROW_BECOMES_COOLING},
				[ROW_COOLING] = {FILL_COOLING, ROW_KEEP},
				[ROW_LEAVING] = {GO_ON_LEAVING, ROW_KEEP},
				[ROW_NONE] = {FILL_COOLING, ROW_ADOPTED},
			},
};

TEST(every_cell_of_the_table_is_as_written)
{
	for (int map = 0; map < RECOVER_MAPS; map++)
		for (int row = 0; row < RECOVER_ROWS; row++) {
			struct recover_verdict v =
				judge(map, row, SOURCE_OURS, WITNESS_SEES_NOTHING);

			if (v.slot != table[map][row].slot || v.row != table[map][row].row)
				test_stop(T_FAIL, "map %d row %d: slot %d row %d (%s)", map, row,
					  v.slot, v.row, v.reason);
		}
}

TEST(the_same_holder_on_both_sides_changes_nothing)
{
	struct recover_evidence e = {.map = MAP_HELD, .row = ROW_HELD, .same_holder = true};
	struct recover_verdict v = recover_judge(&e);

	CHECK_EQ(v.slot, KEEP_SLOT);
	CHECK_EQ(v.row, ROW_KEEP);
	CHECK(!v.gap);
	e.same_holder = false;
	CHECK(recover_judge(&e).gap);
}

TEST(a_row_proven_old_does_not_bring_a_holder_back)
{
	struct recover_evidence e = {.map = MAP_NO_SLOT, .row = ROW_HELD, .row_is_old = true};

	CHECK_EQ(recover_judge(&e).slot, FILL_COOLING);
}

TEST(what_the_source_has_not_said_is_out_of_reach)
{
	CHECK_EQ(judge(MAP_FREE, ROW_NONE, SOURCE_UNREAD, WITNESS_SEES_NOTHING).slot,
		 TO_QUARANTINE);
	CHECK_EQ(judge(MAP_FREE, ROW_LEAVING, SOURCE_UNREAD, WITNESS_SEES_NOTHING).slot,
		 TO_QUARANTINE);
	CHECK_EQ(judge(MAP_NO_SLOT, ROW_STOCK, SOURCE_UNREAD, WITNESS_SEES_NOTHING).slot,
		 HOLD_BACK);
	CHECK_EQ(judge(MAP_OTHER_BOOT, ROW_STOCK, SOURCE_UNREAD, WITNESS_SEES_NOTHING).slot,
		 HOLD_BACK);
}

/* The whole space of evidence: 7 x 5 x 3 x 3 x 2 x 2. */
static void for_all(void (*check)(const struct recover_evidence *, struct recover_verdict))
{
	for (int i = 0; i < RECOVER_MAPS * RECOVER_ROWS * 3 * 3 * 4; i++) {
		struct recover_evidence e = {
			.map = i % RECOVER_MAPS,
			.row = i / RECOVER_MAPS % RECOVER_ROWS,
			.source = i / (RECOVER_MAPS * RECOVER_ROWS) % 3,
			.witness = i / (RECOVER_MAPS * RECOVER_ROWS * 3) % 3,
			.same_holder = i / (RECOVER_MAPS * RECOVER_ROWS * 9) % 2,
			.row_is_old = i / (RECOVER_MAPS * RECOVER_ROWS * 18),
		};

		check(&e, recover_judge(&e));
	}
}

static void check_no_live_pod_loses(const struct recover_evidence *e, struct recover_verdict v)
{
	/* a pod that the whole map knows keeps its slot as it is */
	if (e->map == MAP_HELD)
		CHECK_EQ(v.slot, KEEP_SLOT);
	/* an address seen in a namespace is never handed out when the map is gone */
	if (e->map >= MAP_LOST && e->witness == WITNESS_SEES_IT)
		CHECK(v.slot != FILL_READY && v.slot != FILL_COOLING);
}

TEST(no_evidence_takes_an_address_from_a_live_pod)
{
	for_all(check_no_live_pod_loses);
}

static void check_unread_frees_nothing(const struct recover_evidence *e, struct recover_verdict v)
{
	if (e->map == MAP_LOST && e->witness == WITNESS_UNREAD)
		CHECK(v.slot == HOLD_BACK || v.slot == GO_ON_LEAVING);
	if (v.slot == FILL_READY)
		CHECK(e->source == SOURCE_OURS);
	/* after a lost map a claim may be under way: a whole cooldown first */
	if (e->map == MAP_LOST)
		CHECK(v.slot != FILL_READY);
	if (v.slot == HOLD_BACK)
		CHECK(v.row == ROW_KEEP || v.row == ROW_BECOMES_QUARANTINE);
	CHECK(v.row != ROW_GOES);
}

TEST(what_was_not_read_frees_nothing_and_forgets_nothing)
{
	for_all(check_unread_frees_nothing);
}

static void check_has_reason(const struct recover_evidence *e, struct recover_verdict v)
{
	(void)e;
	CHECK(v.reason && v.reason[0]);
}

TEST(every_verdict_has_a_reason_for_the_log)
{
	for_all(check_has_reason);
}

TEST_MAIN

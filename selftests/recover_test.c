// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The judge: every combination of evidence against the rules that no cell may
 * break (invariants 1, 4, 6, 7 and 10), all ways to their ends, and docs/recovery.md
 * as the table of it, which `recover_test table` prints.
 */
#include "selftests/harness.h"

#include "selftests/recover_table.h"

static struct recover_verdict judge(enum recover_map map, enum recover_row row,
				    enum recover_source source, enum recover_witness witness)
{
	struct recover_evidence e = {.map = map, .row = row, .source = source, .witness = witness};

	return recover_judge(&e);
}

enum { CASES = RECOVER_MAPS * RECOVER_ROWS * SOURCES * WITNESSES * 8 };

static struct recover_evidence evidence(int i)
{
	return (struct recover_evidence){
		.same_holder = i & 1,
		.row_is_old = i >> 1 & 1,
		.other_pair = i >> 2 & 1,
		.source = i / 8 % SOURCES,
		.witness = i / 8 / SOURCES % WITNESSES,
		.row = i / 8 / SOURCES / WITNESSES % RECOVER_ROWS,
		.map = i / 8 / SOURCES / WITNESSES / RECOVER_ROWS,
	};
}

static bool is_free(enum recover_map map)
{
	return map == MAP_FREE || map == MAP_COOLING;
}

/* The word is, or is about to be, FREE. */
static bool is_claimable(const struct recover_evidence *e, const struct recover_verdict *v)
{
	return v->slot == FILL_READY || v->slot == FILL_COOLING || v->slot == TO_COOLING ||
	       (is_free(e->map) && (v->slot == KEEP_SLOT || v->slot == LATER_DEADLINE));
}

#define RULE(name)                                                                                 \
	static bool name(const struct recover_evidence *e, const struct recover_verdict *v);       \
	TEST(name)                                                                                 \
	{                                                                                          \
		for (int i = 0; i < CASES; i++) {                                                  \
			struct recover_evidence e = evidence(i);                                   \
			struct recover_verdict v = recover_judge(&e);                              \
                                                                                                   \
			if (!name(&e, &v))                                                         \
				test_stop(T_FAIL,                                                  \
					  "map %d row %d source %d witness %d flags %d: slot "     \
					  "%d row %d (%s)",                                        \
					  e.map, e.row, e.source, e.witness, i & 7, v.slot, v.row, \
					  v.reason);                                               \
		}                                                                                  \
	}                                                                                          \
	static bool name(const struct recover_evidence *e, const struct recover_verdict *v)

/* --- Rules: invariants 6 and 10, what is handed out ----------------------------------- */

RULE(a_held_word_never_changes)
{
	return e->map != MAP_HELD || v->slot == KEEP_SLOT;
}

RULE(what_a_namespace_has_is_never_claimable)
{
	return e->witness != WITNESS_SEES_IT || !is_claimable(e, v);
}

RULE(what_a_namespace_has_never_leaves_and_is_never_forgotten)
{
	return e->witness != WITNESS_SEES_IT || (v->slot != GO_ON_LEAVING && v->row != ROW_GOES);
}

RULE(what_is_not_ours_is_never_claimable)
{
	return e->source != SOURCE_NOT_OURS || !is_claimable(e, v);
}

RULE(what_is_not_ours_is_filled_for_a_live_pod_alone)
{
	return e->source != SOURCE_NOT_OURS || v->slot != FILL_HELD ||
	       (e->witness == WITNESS_SEES_IT && v->quarantine_on_release);
}

RULE(nothing_becomes_claimable_before_source_and_witnesses_said_so)
{
	bool becomes = v->slot == FILL_READY || v->slot == FILL_COOLING || v->slot == TO_COOLING;

	return !becomes || (e->source == SOURCE_OURS && e->witness == WITNESS_SEES_NOTHING);
}

RULE(a_slot_without_a_row_that_says_stock_stays_ready_by_the_source_alone)
{
	bool by_row = !e->other_pair &&
		      (e->row == ROW_STOCK || e->row == ROW_HELD || e->row == ROW_COOLING);

	return e->map != MAP_FREE || v->slot != KEEP_SLOT || by_row || e->source == SOURCE_OURS;
}

/* --- Rules: invariant 4, cooldowns ------------------------------------------------------ */

RULE(after_a_lost_map_everything_waits_for_the_longest_add)
{
	if (e->map != MAP_LOST)
		return v->wait_ms == 0;
	if (is_claimable(e, v) && v->slot != FILL_COOLING)
		return false;
	return (v->slot != FILL_COOLING && v->slot != GO_ON_LEAVING) ||
	       v->wait_ms == RECOVER_LONGEST_ADD_MS;
}

RULE(only_what_nobody_had_is_ready_at_once)
{
	if (v->slot != FILL_READY)
		return true;
	if (e->row == ROW_STOCK)
		return e->map == MAP_OTHER_BOOT ||
		       (e->map == MAP_NO_SLOT && !e->row_is_old && !e->other_pair);
	return e->row == ROW_NONE && e->map == MAP_OTHER_BOOT && !e->other_pair;
}

RULE(a_slot_is_filled_only_when_it_is_not_there)
{
	bool fills = v->slot == FILL_READY || v->slot == FILL_COOLING || v->slot == FILL_HELD;

	return !fills || e->map >= MAP_NO_SLOT;
}

RULE(every_change_of_a_word_is_a_legal_step)
{
	switch (v->slot) {
	case LATER_DEADLINE:
		return e->map == MAP_COOLING;
	case TO_COOLING:
		return e->map == MAP_QUARANTINE;
	case TO_QUARANTINE:
		return is_free(e->map) || e->map == MAP_LEAVING;
	case GO_ON_LEAVING:
		return !is_free(e->map) && e->map != MAP_HELD;
	default:
		return true;
	}
}

/* --- Rules: invariants 1 and 7, rows ------------------------------------------------------ */

RULE(a_row_goes_only_when_the_source_has_the_address_and_nobody_sees_it)
{
	return v->row != ROW_GOES || (e->map >= MAP_NO_SLOT && e->source == SOURCE_NOT_OURS &&
				      e->witness == WITNESS_SEES_NOTHING &&
				      (e->row == ROW_LEAVING || e->row == ROW_QUARANTINE));
}

/* The row that is there when the verdict was carried out. */
static enum recover_row row_after(const struct recover_evidence *e, const struct recover_verdict *v)
{
	static const enum recover_row after[] = {
		[ROW_BECOMES_STOCK] = ROW_STOCK,           [ROW_BECOMES_HELD] = ROW_HELD,
		[ROW_BECOMES_COOLING] = ROW_COOLING,       [ROW_BECOMES_LEAVING] = ROW_LEAVING,
		[ROW_BECOMES_QUARANTINE] = ROW_QUARANTINE, [ROW_GOES] = ROW_NONE,
	};

	if (v->row == ROW_KEEP)
		return e->row;
	if (v->row != ROW_ADOPTED)
		return after[v->row];
	if (v->slot == FILL_HELD || (v->slot == KEEP_SLOT && e->map == MAP_HELD))
		return ROW_HELD;
	if (v->slot == FILL_READY || (v->slot == KEEP_SLOT && e->map == MAP_FREE))
		return ROW_STOCK;
	return ROW_COOLING;
}

RULE(every_slot_that_has_an_address_has_a_row_that_fits)
{
	enum recover_row row = row_after(e, v);

	switch (v->slot) {
	case KEEP_SLOT:
		if (e->map >= MAP_NO_SLOT)
			return row == ROW_NONE;
		if (e->map == MAP_HELD)
			return row == (v->quarantine_on_release ? ROW_QUARANTINE : ROW_HELD);
		return row == (e->map == MAP_FREE      ? ROW_STOCK
			       : e->map == MAP_COOLING ? ROW_COOLING
			       : e->map == MAP_LEAVING ? ROW_LEAVING
						       : ROW_QUARANTINE) ||
		       (e->map == MAP_QUARANTINE && row == ROW_LEAVING);
	case FILL_HELD:
		return row == (v->quarantine_on_release ? ROW_QUARANTINE : ROW_HELD);
	case FILL_READY:
		return row == ROW_STOCK;
	case FILL_COOLING:
	case LATER_DEADLINE:
	case TO_COOLING:
		return row == ROW_COOLING;
	case TO_QUARANTINE:
		return row == ROW_QUARANTINE;
	case GO_ON_LEAVING:
		return row == ROW_LEAVING;
	default: /* waiting */
		return v->row == ROW_KEEP ||
		       (v->row == ROW_BECOMES_QUARANTINE && e->source == SOURCE_NOT_OURS);
	}
}

RULE(an_adopted_row_was_not_there_or_was_another_maps)
{
	return v->row != ROW_ADOPTED || e->row == ROW_NONE ||
	       (e->other_pair && e->map < MAP_NO_SLOT);
}

RULE(every_verdict_has_a_reason_for_the_log)
{
	(void)e;
	return v->reason && v->reason[0];
}

/* --- All ways to their ends -------------------------------------------------------------- */

/* A verdict carried out: what there is to be judged then.  False: the address is at rest. */
static bool carry_out(struct recover_evidence *e)
{
	struct recover_verdict v = recover_judge(e);
	static const enum recover_map to[RECOVER_SLOTS] = {
		[FILL_READY] = MAP_FREE,       [FILL_COOLING] = MAP_COOLING,
		[FILL_HELD] = MAP_HELD,        [LATER_DEADLINE] = MAP_COOLING,
		[TO_COOLING] = MAP_COOLING,    [TO_QUARANTINE] = MAP_QUARANTINE,
		[GO_ON_LEAVING] = MAP_NO_SLOT,
	};
	struct recover_evidence before = *e;

	e->row = v.slot == GO_ON_LEAVING ? ROW_NONE : row_after(&before, &v);
	if (v.slot != KEEP_SLOT && v.slot != HOLD_BACK)
		e->map = to[v.slot];
	e->same_holder |= v.row == ROW_BECOMES_HELD || v.row == ROW_ADOPTED;
	if (e->row != before.row || v.row == ROW_ADOPTED)
		e->row_is_old = e->other_pair = false;
	return e->map != before.map || e->row != before.row || e->other_pair != before.other_pair;
}

TEST(every_way_ends)
{
	for (int i = 0; i < CASES; i++) {
		struct recover_evidence e = evidence(i);
		int steps = 0;

		while (carry_out(&e))
			if (++steps > 5)
				test_stop(T_FAIL, "map %d row %d goes on for ever", e.map, e.row);
	}
}

/* Invariant 10: once all was read, an address is in stock, held, or back at its source. */
TEST(once_all_was_read_no_address_is_left_over)
{
	for (int i = 0; i < CASES; i++) {
		struct recover_evidence e = evidence(i);

		if (e.source == SOURCE_UNREAD || e.witness != WITNESS_SEES_NOTHING)
			continue;
		while (carry_out(&e))
			;
		if (e.map == MAP_QUARANTINE || e.map == MAP_LEAVING ||
		    (e.map >= MAP_NO_SLOT && e.row != ROW_NONE))
			test_stop(T_FAIL, "case %d stays at map %d row %d", i, e.map, e.row);
	}
}

TEST(what_was_quarantined_unread_is_decided_by_the_source)
{
	for (int i = 0; i < CASES; i++) {
		struct recover_evidence e = evidence(i);

		if (e.source != SOURCE_UNREAD || !is_free(e.map))
			continue;
		while (carry_out(&e))
			;
		if (e.map != MAP_QUARANTINE)
			continue;
		e.source = SOURCE_OURS;
		e.witness = WITNESS_SEES_NOTHING;
		while (carry_out(&e))
			;
		CHECK_EQ(e.map, MAP_COOLING);
		CHECK_EQ(e.row, ROW_COOLING);
	}
}

/* --- Cells that a rule does not reach ------------------------------------------------------- */

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

static enum recover_slot leaving(enum recover_map map, enum recover_witness witness)
{
	return judge(map, ROW_LEAVING, SOURCE_UNREAD, witness).slot;
}

TEST(a_leaving_row_goes_on_when_nobody_sees_the_address)
{
	static const enum recover_map gone[] = {MAP_NO_SLOT, MAP_LOST, MAP_OTHER_BOOT};

	for (int i = 0; i < 3; i++) {
		CHECK_EQ(leaving(gone[i], WITNESS_SEES_IT), FILL_HELD);
		CHECK_EQ(leaving(gone[i], WITNESS_UNREAD), HOLD_BACK);
		CHECK_EQ(leaving(gone[i], WITNESS_SEES_NOTHING), GO_ON_LEAVING);
	}
}

RULE(what_was_leaving_or_in_quarantine_goes_there_again_on_release)
{
	bool doubt = e->row == ROW_LEAVING || e->row == ROW_QUARANTINE;
	bool held = v->slot == FILL_HELD || e->map == MAP_HELD;

	return !held || !doubt || (e->other_pair && e->map == MAP_HELD) || v->quarantine_on_release;
}

TEST(a_holder_outlives_a_lost_map_and_not_a_boot)
{
	CHECK_EQ(judge(MAP_LOST, ROW_HELD, SOURCE_UNREAD, WITNESS_UNREAD).slot, FILL_HELD);
	CHECK_EQ(judge(MAP_LOST, ROW_HELD, SOURCE_OURS, WITNESS_SEES_NOTHING).slot, FILL_HELD);
	CHECK_EQ(judge(MAP_NO_SLOT, ROW_HELD, SOURCE_OURS, WITNESS_SEES_NOTHING).slot, FILL_HELD);
	CHECK_EQ(judge(MAP_OTHER_BOOT, ROW_HELD, SOURCE_OURS, WITNESS_SEES_NOTHING).slot,
		 FILL_COOLING);
	CHECK(judge(MAP_OTHER_BOOT, ROW_HELD, SOURCE_OURS, WITNESS_SEES_IT).gap);
}

TEST(a_row_that_is_behind_does_not_bring_a_holder_back)
{
	struct recover_evidence e = {
		.map = MAP_NO_SLOT,
		.row = ROW_HELD,
		.source = SOURCE_OURS,
		.witness = WITNESS_SEES_NOTHING,
		.row_is_old = true,
	};

	CHECK_EQ(recover_judge(&e).slot, FILL_COOLING);
	e.row_is_old = false;
	e.other_pair = true;
	CHECK_EQ(recover_judge(&e).slot, FILL_COOLING);
}

TEST(a_first_start_waits_for_no_cooldown_and_a_lost_database_does)
{
	struct recover_evidence e = {
		.map = MAP_OTHER_BOOT,
		.row = ROW_NONE,
		.source = SOURCE_OURS,
		.witness = WITNESS_SEES_NOTHING,
	};

	CHECK_EQ(recover_judge(&e).slot, FILL_READY);
	e.other_pair = true;
	CHECK_EQ(recover_judge(&e).slot, FILL_COOLING);
}

TEST(a_manager_that_restarts_without_its_source_serves_on)
{
	CHECK_EQ(judge(MAP_FREE, ROW_STOCK, SOURCE_UNREAD, WITNESS_UNREAD).slot, KEEP_SLOT);
	CHECK_EQ(judge(MAP_FREE, ROW_HELD, SOURCE_UNREAD, WITNESS_UNREAD).slot, KEEP_SLOT);
	CHECK_EQ(judge(MAP_COOLING, ROW_NONE, SOURCE_UNREAD, WITNESS_UNREAD).slot, KEEP_SLOT);
	CHECK_EQ(judge(MAP_COOLING, ROW_COOLING, SOURCE_UNREAD, WITNESS_UNREAD).slot,
		 LATER_DEADLINE);
}

TEST(the_map_of_this_boot_is_believed_without_its_database)
{
	struct recover_evidence e = {.map = MAP_HELD, .row = ROW_STOCK, .other_pair = true};

	CHECK_EQ(recover_judge(&e).row, ROW_ADOPTED);
	e.map = MAP_FREE;
	CHECK_EQ(recover_judge(&e).slot, TO_QUARANTINE);
	e.source = SOURCE_OURS;
	CHECK_EQ(recover_judge(&e).slot, KEEP_SLOT);
	CHECK_EQ(recover_judge(&e).row, ROW_ADOPTED);
}

/* --- The document -------------------------------------------------------------------------- */

static const char document[] = "docs/recovery.md";

TEST(the_document_is_the_table)
{
	FILE *file = fopen(document, "r"), *to;
	char *text = NULL, *said, *is;
	char line[512];
	size_t size;
	int n = 0;

	if (!file)
		SKIP("%s is not here: run this at the top of the tree", document);
	to = open_memstream(&text, &size);
	table_print(to);
	fclose(to);
	said = text;
	while ((is = strsep(&said, "\n")) && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		n++;
		if (strcmp(line, is))
			test_stop(T_FAIL,
				  "%s:%d says\n# %s\n# and the judge\n# %s\n"
				  "# To print it again: build/selftests/recover_test table >%s",
				  document, n, line, is, document);
	}
	if (!is || *is || fgets(line, sizeof(line), file))
		test_stop(T_FAIL, "%s ends elsewhere; print it again: recover_test table >%s",
			  document, document);
	fclose(file);
	free(text);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "table")) {
		table_print(stdout);
		return ferror(stdout) != 0;
	}
	return test_main(argc > 1 ? argv[1] : NULL);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Every order of the accesses of a few callers and a manager, on the programs as
 * they are: the exhaustive face of invariants 2, 3, 4, 9 and 10.  How the model
 * works is said in selftests/model/model.h, what it checks in model/rules.c; that
 * it would find a mistake is shown by selftests/mistakes_test.sh.
 *
 *	model_test                all scenarios, as TAP; a broken rule with its trace
 *	model_test find SCENARIO  that one, in this process: exit code 3 on a broken rule
 *
 *	MODEL_MORE=1    wider bounds: more retries, crashes, ticks and failures
 *	MODEL_PLAIN=1   without the reductions of model/access.c
 *	MODEL_STATES=n  give up after so many states (20 million)
 *
 * The numbers of ADDs and DELs are when they began.  An ADD that begins later than
 * a DEL is another life of the attachment, which that DEL may not touch.
 */
#include "selftests/harness.h"
#include "selftests/model/model.h"

enum { FOUND = 3 };

static bool finding;

static void explore(const struct scenario *s)
{
	enum rule rule = search(s).rule;

	if (rule && finding) {
		fflush(stdout);
		_exit(FOUND);
	}
	if (rule)
		test_stop(T_FAIL, "rule %s is broken", rule_name(rule));
}

#define SCENARIO(n, ...)                                            \
	TEST(n)                                                     \
	{                                                           \
		static const struct scenario s = {#n, __VA_ARGS__}; \
                                                                    \
		explore(&s);                                        \
	}

/* --- One attachment ----------------------------------------------------------- */

SCENARIO(two_adds_and_a_del, .attachments = 1, .crashes = 1,
	 .actor = {
		 {{ADD('a', 10)}, .may_crash = true},
		 {{ADD('a', 12), DEL('a', 18)}, .may_crash = true},
		 {{DEL('a', 20)}},
	 })

SCENARIO(an_old_del_and_the_next_life, .attachments = 2, .setup = {ADD('a', 10)},
	 .actor = {
		 {{DEL('a', 20), ADD('a', 30)}},
		 {{DEL('a', 15)}},
		 {{ADD('b', 11), DEL('b', 21)}},
	 })

SCENARIO(a_life_being_undone_is_no_answer_for_the_next, .attachments = 1,
	 .actor = {
		 {{ADD('a', 10)}},
		 {{DEL('a', 20), ADD('a', 30)}},
	 })

SCENARIO(an_add_answered_again_is_safe_from_an_older_del, .attachments = 1,
	 .actor = {
		 {{ADD('a', 10)}},
		 {{ADD('a', 30)}},
		 {{DEL('a', 20)}},
	 })

SCENARIO(whenever_they_begin, .attachments = 1,
	 .actor = {
		 {{ADD('a', 0)}},
		 {{ADD('a', 0)}},
		 {{DEL('a', 0)}},
	 })

SCENARIO(an_older_del_does_not_hide_a_newer_one, .attachments = 1,
	 .actor = {
		 {{ADD('a', 17)}},
		 {{DEL('a', 20)}},
		 {{DEL('a', 15)}},
	 })

/* --- Two and three attachments -------------------------------------------------- */

SCENARIO(three_attachments_and_two_addresses, .attachments = 3,
	 .actor = {
		 {{ADD('a', 10), DEL('a', 20)}},
		 {{ADD('b', 11), DEL('b', 21)}},
		 {{ADD('c', 12)}},
	 })

SCENARIO(a_late_add_and_its_neighbour, .attachments = 2, .slots = 1,
	 .actor = {
		 {{ADD('a', 10)}},
		 {{DEL('a', 20)}},
		 {{ADD('b', 11)}},
	 })

SCENARIO(an_entry_is_recycled_under_a_reader, .attachments = 2, .setup = {ADD('a', 10)},
	 .actor = {
		 {{DEL('a', 20)}},
		 {{ADD('a', 10)}},
		 {{ADD('b', 11), DEL('b', 21)}},
	 })

SCENARIO(an_entry_changes_lives_under_a_del, .attachments = 2, .setup = {ADD('a', 10)},
	 .actor = {
		 {{DEL('a', 20)}},
		 {{ADD('a', 15)}},
		 {{DEL('a', 21)}},
		 {{ADD('b', 11)}},
	 })

SCENARIO(no_room_for_entries, .attachments = 3, .entries = 1,
	 .actor = {
		 {{ADD('a', 10), DEL('a', 20)}},
		 {{ADD('b', 11), DEL('b', 21)}},
		 {{ADD('c', 12)}},
	 })

SCENARIO(no_room_for_tombstones, .attachments = 2, .tombs = 1,
	 .actor = {
		 {{ADD('a', 10)}},
		 {{DEL('a', 20), ADD('b', 11)}},
		 {{DEL('b', 21)}},
	 })

SCENARIO(a_hash_refuses, .attachments = 2, .delete_fails = 1, .insert_fails = 1,
	 .setup = {ADD('a', 10)},
	 .actor = {
		 {{DEL('a', 20), ADD('a', 30), DEL('a', 40)}},
		 {{DEL('a', 21)}},
	 })

SCENARIO(a_spent_element_is_not_a_free_one, .attachments = 2, .delete_fails = 1,
	 .setup = {ADD('a', 10)},
	 .actor = {
		 {{DEL('a', 20), ADD('a', 30)}},
		 {{DEL('a', 21)}},
		 {{ADD('b', 11)}},
	 })

/* --- Dual stack ------------------------------------------------------------------- */

SCENARIO(two_dels_of_a_dual_stack, .attachments = 1, .slots = 4, .families = DUAL,
	 .setup = {ADD('a', 10)},
	 .actor = {
		 {{DEL('a', 20), ADD('a', 30)}},
		 {{DEL('a', 21)}},
	 })

SCENARIO(younger_adds_of_a_dual_stack_and_an_older_del, .attachments = 1, .slots = 4,
	 .families = DUAL, .setup = {ADD('a', 10)},
	 .actor = {
		 {{ADD('a', 30)}},
		 {{DEL('a', 20)}},
		 {{ADD('a', 31)}},
	 })

SCENARIO(dual_stack_is_all_or_nothing, .attachments = 2, .families = DUAL,
	 .actor = {
		 {{ADD('a', 10), DEL('a', 20)}},
		 {{ADD('b', 11)}},
		 {{DEL('a', 21)}},
	 })

/* --- Time --------------------------------------------------------------------------- */

SCENARIO(cooldown_of_one_address, .attachments = 2, .slots = 1, .cooldown_ms = 1, .ticks = 3,
	 .tick_us = 700, .setup = {ADD('a', 10)},
	 .actor = {
		 {{DEL('a', 20)}},
		 {{ADD('b', 11), DEL('b', 21), ADD('b', 31)}},
	 })

SCENARIO(who_finds_nothing_is_told_when_to_come_back, .attachments = 3, .slots = 1,
	 .cooldown_ms = 1, .ticks = 3, .tick_us = 700, .setup = {ADD('a', 10)},
	 .actor = {
		 {{DEL('a', 20)}},
		 {{ADD('b', 11)}},
		 {{ADD('c', 12)}},
	 })

SCENARIO(a_pool_closes, .attachments = 2, .ticks = 2, .tick_us = 1000, .closes_us = 2000,
	 .actor = {
		 {{ADD('a', 10), DEL('a', 20)}},
		 {{ADD('b', 11)}},
	 })

SCENARIO(a_claim_that_its_pool_undoes_was_nobodys_answer, .attachments = 1, .ticks = 1,
	 .tick_us = 1000, .closes_us = 1000,
	 .actor = {
		 {{ADD('a', 10)}},
		 {{ADD('a', 10)}},
		 {{DEL('a', 20)}},
	 })

/* --- Requested and fixed addresses ---------------------------------------------------- */

SCENARIO(a_requested_address_is_drained_and_comes_back, .attachments = 2,
	 .actor = {
		 {{ADD('a', 10, .address = 1), DEL('a', 20)}},
		 {{ADD('b', 11, .address = 1)}},
		 {{AT(DRAIN, 0), AT(FILL, 0, .address = 3), AT(DRAIN, 1),
		   AT(FILL, 1, .address = 1)}},
	 })

SCENARIO(a_requested_address_cools, .attachments = 2, .slots = 1, .cooldown_ms = 1, .ticks = 3,
	 .tick_us = 700, .setup = {ADD('a', 10)},
	 .actor = {
		 {{DEL('a', 20)}},
		 {{ADD('b', 11, .address = 1), DEL('b', 21)}},
	 })

SCENARIO(an_address_is_fixed_and_unfixed, .attachments = 2,
	 .actor = {
		 {{ADD('a', 10, .workload = 1)}},
		 {{ADD('b', 11)}},
		 {{AT(FIX, 0), AT(UNFIX, 0)}},
	 })

SCENARIO(a_fixed_address_goes_from_pod_to_pod, .attachments = 3, .cooldown_ms = 1, .ticks = 1,
	 .tick_us = 2000, .setup = {AT(FIX, 0), ADD('a', 10, .workload = 1)},
	 .actor = {
		 {{DEL('a', 20)}},
		 {{ADD('b', 11, .workload = 1)}},
		 {{ADD('c', 12, .address = 1)}},
	 })

SCENARIO(a_fixed_address_is_unfixed_under_its_pods, .attachments = 2, .cooldown_ms = 1, .ticks = 1,
	 .tick_us = 2000, .setup = {AT(FIX, 0), ADD('a', 10, .workload = 1)},
	 .actor = {
		 {{DEL('a', 20)}},
		 {{ADD('b', 11, .workload = 1)}},
		 {{AT(UNFIX, 0), AT(FIX, 1)}},
	 })

SCENARIO(names_that_a_hash_refuses_to_delete, .attachments = 2, .names_fail = true,
	 .delete_fails = 1,
	 .actor = {
		 {{ADD('a', 10, .workload = 1)}},
		 {{ADD('b', 11, .address = 1)}},
		 {{AT(FIX, 0), AT(UNFIX, 0), AT(DRAIN, 0), AT(FILL, 0, .address = 3)}},
	 })

/* --- Reclaim ------------------------------------------------------------------------------ */

SCENARIO(a_dead_pods_address_is_reclaimed, .attachments = 2, .slots = 1, .ticks = 1,
	 .tick_us = 2000000, .setup = {ADD('a', 10)},
	 .actor = {
		 {{DIE('a', 10), DEL('a', 20)}},
		 {{ADD('b', 11)}},
		 {{AT(LOOK, 0), AT(LOOK, 0, .backwards = true)}},
	 })

SCENARIO(a_stale_reclaim_changes_nothing, .attachments = 1, .cooldown_ms = 1,
	 .setup = {ADD('a', 10)},
	 .actor = {
		 {{DIE('a', 10), DEL('a', 20), ADD('a', 30)}},
		 {{AT(LOOK, 0), AT(LOOK, 1, .backwards = true)}},
	 })

SCENARIO(a_reclaim_does_not_touch_the_next_life, .attachments = 1, .setup = {ADD('a', 10)},
	 .actor = {
		 {{DIE('a', 10), ADD('a', 30)}},
		 {{DEL('a', 20)}},
		 {{AT(LOOK, 0), AT(LOOK, 1, .backwards = true)}},
	 })

SCENARIO(a_dead_dual_stack_is_reclaimed_whole, .attachments = 2, .families = DUAL,
	 .setup = {ADD('a', 10)},
	 .actor = {
		 {{DIE('a', 10), DEL('a', 20)}},
		 {{ADD('b', 11)}},
		 {{AT(LOOK, 1), AT(LOOK, 0)}},
	 })

/* --- To another generation ------------------------------------------------------------------- */

SCENARIO(a_move_under_an_add, .attachments = 2, .setup = {ADD('a', 10)},
	 .actor = {
		 {{DEL('a', 20), ADD('a', 30)}},
		 {{ADD('b', 11)}},
		 {{MOVE}},
	 })

SCENARIO(a_move_under_a_del_that_comes_first, .attachments = 2,
	 .actor = {
		 {{DEL('a', 20), ADD('a', 12)}},
		 {{ADD('b', 11)}},
		 {{MOVE}},
	 })

SCENARIO(a_move_under_a_late_add, .attachments = 1,
	 .actor = {
		 {{ADD('a', 10)}},
		 {{DEL('a', 20)}},
		 {{MOVE}},
	 })

SCENARIO(a_killed_move_under_a_late_add_and_its_next_life, .attachments = 1, .kills = 1,
	 .actor = {
		 {{ADD('a', 10)}},
		 {{DEL('a', 20), ADD('a', 30)}},
		 {{MOVE}, .may_die = true},
	 })

SCENARIO(a_move_under_a_dual_stack, .attachments = 2, .families = DUAL, .setup = {ADD('a', 10)},
	 .actor = {
		 {{DEL('a', 20), ADD('a', 30)}},
		 {{ADD('b', 11)}},
		 {{MOVE}},
	 })

SCENARIO(a_move_that_is_killed_and_goes_on, .attachments = 2, .kills = 1, .setup = {ADD('a', 10)},
	 .actor = {
		 {{DEL('a', 20)}},
		 {{ADD('b', 11)}},
		 {{MOVE}, .may_die = true},
	 })

/* --- The model itself ---------------------------------------------------------------------------
 */

/* Fewer states, but the same ends. */
static void compare(const struct scenario *s)
{
	struct result reduced, plain;

	reduced = search(s);
	search_plain = true;
	plain = search(s);
	search_plain = false;
	CHECK_EQ(reduced.rule, RULE_NONE);
	CHECK_EQ(plain.rule, RULE_NONE);
	CHECK(reduced.states < plain.states);
	CHECK_EQ(reduced.ends, plain.ends);
}

TEST(the_reductions_lose_no_end)
{
	if (getenv("MODEL_PLAIN"))
		SKIP("they are off");
	compare(&(struct scenario){
		"plain and reduced: entries",
		.attachments = 2,
		.setup = {ADD('a', 10)},
		.actor =
			{
				{{DEL('a', 20), ADD('a', 30)}},
				{{ADD('b', 11), DEL('b', 21)}},
			},
	});
	compare(&(struct scenario){
		"plain and reduced: time",
		.attachments = 2,
		.slots = 1,
		.cooldown_ms = 1,
		.ticks = 3,
		.tick_us = 700,
		.setup = {ADD('a', 10)},
		.actor =
			{
				{{DEL('a', 20)}},
				{{ADD('b', 11), DEL('b', 21)}},
			},
	});
	compare(&(struct scenario){
		"plain and reduced: names",
		.attachments = 2,
		.actor =
			{
				{{ADD('a', 10, .address = 1), DEL('a', 20)}},
				{{AT(DRAIN, 0), AT(FILL, 0, .address = 3)}},
			},
	});
}

static int find(const char *name)
{
	finding = true;
	for (const struct test *t = test_head; t; t = t->next) {
		if (strcmp(t->name, name))
			continue;
		t->run();
		return T_PASS;
	}
	printf("# no scenario %s\n", name);
	return T_FAIL;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "find"))
		return find(argv[2]);
	return test_main(argc > 1 ? argv[1] : NULL);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The plugin killed at each of its system calls, verb by verb (cni_cut.h).
 */
#include "selftests/cni_cut.h"
#include "selftests/harness.h"

TEST(an_add_is_cut_off_anywhere)
{
	cut_verb("ADD", CUT_ALIVE, CUT_STOPPED, false);
}

TEST(an_add_whose_pod_ends_is_cut_off_anywhere)
{
	cut_pod();
}

TEST(a_del_is_cut_off_anywhere)
{
	cut_verb("DEL", CUT_ALIVE, CUT_STOPPED, false);
}

TEST(a_check_is_cut_off_anywhere)
{
	cut_verb("CHECK", CUT_ALIVE, CUT_STOPPED, false);
}

TEST(a_gc_is_cut_off_anywhere)
{
	cut_verb("GC", CUT_ALIVE, CUT_STOPPED, false);
}

TEST(a_status_is_cut_off_anywhere)
{
	cut_verb("STATUS", CUT_ALIVE, CUT_STOPPED, false);
}

TEST(an_add_by_way_of_the_manager_is_cut_off_anywhere)
{
	cut_unpinned("ADD", CUT_ALIVE, false);
}

TEST(an_add_that_starts_a_manager_is_cut_off_anywhere)
{
	cut_unpinned("ADD", CUT_DEAD, false);
}

TEST(a_del_by_way_of_the_manager_is_cut_off_anywhere)
{
	cut_unpinned("DEL", CUT_ALIVE, false);
}

TEST(a_del_that_leaves_a_note_is_cut_off_anywhere)
{
	cut_unpinned("DEL", CUT_DEAD, false);
}

TEST(a_del_that_a_stopped_manager_does_not_answer_is_cut_off_anywhere)
{
	cut_unpinned("DEL", CUT_STOPPED, false);
}

int main(int argc, char **argv)
{
	setenv("TEST_SECONDS", "600", 0);
	return test_main(argc > 1 ? argv[1] : NULL);
}

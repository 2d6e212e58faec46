// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Each system call of the plugin failing once, with what it can fail with (cni_cut.h).
 */
#include "selftests/cni_cut.h"
#include "selftests/harness.h"

TEST(any_call_of_an_add_may_fail)
{
	cut_verb("ADD", CUT_ALIVE, CUT_DEAD, true);
}

TEST(any_call_of_a_del_may_fail)
{
	cut_verb("DEL", CUT_ALIVE, CUT_DEAD, true);
}

TEST(any_call_of_a_check_may_fail)
{
	cut_verb("CHECK", CUT_ALIVE, CUT_DEAD, true);
}

TEST(any_call_of_a_gc_may_fail)
{
	cut_verb("GC", CUT_ALIVE, CUT_DEAD, true);
}

TEST(any_call_of_a_status_may_fail)
{
	cut_verb("STATUS", CUT_ALIVE, CUT_DEAD, true);
}

TEST(any_call_of_an_add_by_way_of_the_manager_may_fail)
{
	cut_unpinned("ADD", CUT_ALIVE, true);
}

TEST(any_call_of_an_add_that_starts_a_manager_may_fail)
{
	cut_unpinned("ADD", CUT_DEAD, true);
}

TEST(any_call_of_a_del_by_way_of_the_manager_may_fail)
{
	cut_unpinned("DEL", CUT_ALIVE, true);
}

TEST(any_call_of_a_del_that_leaves_a_note_may_fail)
{
	cut_unpinned("DEL", CUT_DEAD, true);
}

int main(int argc, char **argv)
{
	setenv("TEST_SECONDS", "600", 0);
	return test_main(argc > 1 ? argv[1] : NULL);
}

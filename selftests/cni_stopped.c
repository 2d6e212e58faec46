// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The same as cni_faults.c with a manager that is stopped: mostly it waits for its limits.
 */
#include "selftests/cni_cut.h"
#include "selftests/harness.h"

TEST(any_call_of_an_add_may_fail_while_the_manager_is_stopped)
{
	cut_verb("ADD", CUT_STOPPED, CUT_STOPPED, true);
}

TEST(any_call_of_a_del_may_fail_while_the_manager_is_stopped)
{
	cut_verb("DEL", CUT_STOPPED, CUT_STOPPED, true);
}

TEST(any_call_of_a_check_may_fail_while_the_manager_is_stopped)
{
	cut_verb("CHECK", CUT_STOPPED, CUT_STOPPED, true);
}

TEST(any_call_of_a_gc_may_fail_while_the_manager_is_stopped)
{
	cut_verb("GC", CUT_STOPPED, CUT_STOPPED, true);
}

TEST(any_call_of_a_status_may_fail_while_the_manager_is_stopped)
{
	cut_verb("STATUS", CUT_STOPPED, CUT_STOPPED, true);
}

TEST(any_call_of_a_del_that_a_stopped_manager_does_not_answer_may_fail)
{
	cut_unpinned("DEL", CUT_STOPPED, true);
}

int main(int argc, char **argv)
{
	setenv("TEST_SECONDS", "600", 0);
	return test_main(argc > 1 ? argv[1] : NULL);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Each system call of the manager failing once, phase by phase, with what it can
 * fail with: the manager goes on or says why not, and keeps its promises (faults.h).
 */
#include "selftests/faults.h"
#include "selftests/harness.h"

TEST(any_call_of_a_first_start_may_fail)
{
	faults_start_fresh(true);
}

TEST(any_call_of_a_start_may_fail)
{
	faults_start_again(true);
}

TEST(any_call_of_a_start_without_its_map_may_fail)
{
	faults_start_lost(true);
}

TEST(any_call_of_an_upgrade_may_fail)
{
	faults_upgrade(true);
}

TEST(any_call_of_a_refill_may_fail)
{
	faults_refill(true);
}

TEST(any_call_of_the_turn_after_a_release_may_fail)
{
	faults_release(true);
}

TEST(any_call_of_a_drain_may_fail)
{
	faults_drain(true);
}

TEST(any_call_of_the_end_of_a_drain_may_fail)
{
	faults_open_again(true);
}

TEST(any_call_of_a_reload_may_fail)
{
	faults_reload(true);
}

TEST(any_call_of_a_fix_may_fail)
{
	faults_fix(true);
}

TEST(any_call_of_a_fix_of_a_new_address_may_fail)
{
	faults_fix_new(true);
}

TEST(any_call_of_the_end_of_a_fix_may_fail)
{
	faults_unfix(true);
}

TEST(any_call_of_a_reclaim_may_fail)
{
	faults_reclaim(true);
}

TEST(any_call_of_a_stop_may_fail)
{
	faults_stop(true);
}

int main(int argc, char **argv)
{
	setenv("TEST_SECONDS", "3600", 0);
	return test_main(argc > 1 ? argv[1] : NULL);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The manager killed at each of its system calls, phase by phase: after an ordinary
 * start everything that it had promised holds (faults.h).
 */
#include "selftests/faults.h"
#include "selftests/harness.h"

TEST(a_first_start_is_cut_off_anywhere)
{
	faults_start_fresh(false);
}

TEST(a_start_is_cut_off_anywhere)
{
	faults_start_again(false);
}

TEST(a_start_without_its_map_is_cut_off_anywhere)
{
	faults_start_lost(false);
}

TEST(an_upgrade_is_cut_off_anywhere)
{
	faults_upgrade(false);
}

TEST(a_refill_is_cut_off_anywhere)
{
	faults_refill(false);
}

TEST(the_turn_after_a_release_is_cut_off_anywhere)
{
	faults_release(false);
}

TEST(a_drain_is_cut_off_anywhere)
{
	faults_drain(false);
}

TEST(the_end_of_a_drain_is_cut_off_anywhere)
{
	faults_open_again(false);
}

TEST(a_reload_is_cut_off_anywhere)
{
	faults_reload(false);
}

TEST(a_fix_is_cut_off_anywhere)
{
	faults_fix(false);
}

TEST(a_fix_of_a_new_address_is_cut_off_anywhere)
{
	faults_fix_new(false);
}

TEST(the_end_of_a_fix_is_cut_off_anywhere)
{
	faults_unfix(false);
}

TEST(a_reclaim_is_cut_off_anywhere)
{
	faults_reclaim(false);
}

TEST(a_stop_is_cut_off_anywhere)
{
	faults_stop(false);
}

int main(int argc, char **argv)
{
	setenv("TEST_SECONDS", "3600", 0);
	return test_main(argc > 1 ? argv[1] : NULL);
}

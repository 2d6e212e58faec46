// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Clocks that jump, and a manager that stands still: cooldowns go by the boottime of
 * the kernel alone, the clock on the wall is for people, and what happened while
 * nobody looked is written down or called a gap.
 */
#include "selftests/harness.h"

#include <errno.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>

#include "bpf/request.h"
#include "bpf/slot.h"
#include "selftests/node.h"
#include "userspace/base/addr.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

enum { DAY_MS = 86400000 };

/* One address and no more, so that each claim is of it. */
#define ONE "[pool default]\nsubnet = 10.77.0.4/32\nlow = 1\nhigh = 1\n"

static uint64_t now_ms(void)
{
	return slot_now_ms(clock_boot_ns());
}

static uint64_t the_word(void)
{
	auto_pin struct pin *pin = node_pins();

	return mem_load(&pin->words[0]);
}

/* --- The clock on the wall ------------------------------------------------------------- */

/* From now on the wall clock of ipamd is so far off, as `faketime` writes it: "+1d". */
static void set_wall(const char *offset)
{
	FILE *f = fopen(NODE "/clock.next", "w");

	CHECK(f && fprintf(f, "%s\n", offset) > 0 && !fclose(f));
	CHECK_EQ(rename(NODE "/clock.next", NODE "/clock"), 0);
}

/* ipamd with a wall clock that this test sets; the other clocks are the kernel's. */
static pid_t up_with_clock(const char *offset)
{
	glob_t found = {0};
	pid_t pid;

#ifdef __SANITIZE_ADDRESS__
	SKIP("the sanitizer's library must come before all others");
#endif
	if (glob("/usr/lib/*/faketime/libfaketime.so.1", 0, NULL, &found))
		SKIP("faketime is not installed");
	set_wall(offset);
	setenv("FAKETIME_TIMESTAMP_FILE", NODE "/clock", 1);
	setenv("FAKETIME_NO_CACHE", "1", 1);
	setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1", 1);
	setenv("LD_PRELOAD", found.gl_pathv[0], 1);
	pid = node_up();
	unsetenv("LD_PRELOAD");
	globfree(&found);
	return pid;
}

static json_t *holds(void)
{
	int code;

	return node_ask("GET", "/v1/history?address=10.77.0.4", &code);
}

static long long hold(int number, const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "holds.%d.%s", number, key);
	return node_number("/v1/history?address=10.77.0.4", path);
}

static bool has_holds(unsigned int n, bool ended)
{
	json_t *j = holds(), *all = json_object_get(j, "holds");
	bool is = json_array_size(all) == n &&
		  (!ended || json_object_get(json_array_get(all, n - 1), "end"));

	json_decref(j);
	return is;
}

/* A life of the address, from claim to release, while the wall clock steps in it. */
static void live(unsigned int number, unsigned int cooldown_ms, const char *meanwhile)
{
	uint64_t word, before;

	CHECK(node_until(node_claim(number, "web", NULL) == IPAMD_OK));
	CHECK(node_until(has_holds(number, false)));
	set_wall(meanwhile);
	before = now_ms();
	CHECK_EQ(node_release(number), IPAMD_OK);
	word = the_word();
	CHECK_EQ(slot_state(word), IPAMD_FREE);
	CHECK(slot_time(word) >= before + cooldown_ms &&
	      slot_time(word) <= now_ms() + cooldown_ms + 1);
	CHECK(node_until(has_holds(number, true)));
	CHECK_EQ(the_word(), word); /* whatever the wall says */
}

TEST(steps_of_the_wall_clock_move_no_cooldown)
{
	pid_t pid;

	node_make();
	node_configure(ONE "cooldown = 300ms\n");
	pid = up_with_clock("+0");
	live(1, 300, "+0");
	live(2, 300, "+1d");
	live(3, 300, "+1d");
	live(4, 300, "-1d");
	live(5, 300, "-1d");
	node_end(pid, SIGTERM);
}

TEST(history_stays_in_order_and_says_when_the_clock_went_back)
{
	pid_t pid;

	node_make();
	node_configure(ONE "cooldown = 0s\n");
	pid = up_with_clock("+0");
	live(1, 0, "+0");
	live(2, 0, "+1d");
	live(3, 0, "-1d");
	live(4, 0, "-1d");
	set_wall("-3d");
	live(5, 0, "-3d");
	CHECK(hold(0, "to_ms") >= hold(0, "from_ms"));
	CHECK(hold(1, "to_ms") >= hold(1, "from_ms") + DAY_MS);
	CHECK(hold(2, "to_ms") < hold(2, "from_ms"));
	CHECK_EQ(hold(0, "clock_went_back"), -1);
	CHECK_EQ(hold(1, "clock_went_back"), -1);
	CHECK_EQ(hold(2, "clock_went_back"), 1);
	CHECK_EQ(hold(3, "clock_went_back"), -1);
	CHECK_EQ(hold(4, "clock_went_back"), 1); /* against the one before */
	node_end(pid, SIGTERM);
}

TEST(a_restart_with_another_wall_clock_moves_no_cooldown)
{
	uint64_t word;
	pid_t pid;

	node_make();
	node_configure(ONE "cooldown = 600s\n");
	pid = up_with_clock("+0");
	CHECK_EQ(node_claim(1, "web", NULL), IPAMD_OK);
	CHECK_EQ(node_release(1), IPAMD_OK);
	CHECK(node_until(has_holds(1, true)));
	word = the_word();
	for (int i = 0; i < 2; i++) {
		CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
		pid = up_with_clock(i ? "-1d" : "+1d");
		CHECK_EQ(the_word(), word);
		CHECK_EQ(node_claim(2, "web", NULL), IPAMD_EXHAUSTED);
	}
	node_end(pid, SIGTERM);
}

/* --- A boot time of its own --------------------------------------------------------------- */

static void shift_boottime(const char *offset)
{
	FILE *f;

	if (unshare(CLONE_NEWTIME))
		SKIP("no time namespaces here: %s", strerror(errno));
	f = fopen("/proc/self/timens_offsets", "w");
	CHECK(f && fprintf(f, "boottime %s 0\n", offset) > 0 && !fclose(f));
}

TEST(a_time_namespace_with_another_boot_time_is_refused)
{
	node_make();
	shift_boottime("86400");
	CHECK_EQ(node_wait(node_start(NULL), 10), 1 << 8);
	CHECK(node_log_has("in a time namespace with its own boot time"));
	CHECK(access(NODE_PINS, F_OK) && access(NODE_DB, F_OK)); /* and nothing was begun */
}

TEST(a_time_namespace_with_the_same_boot_time_is_as_good_as_none)
{
	pid_t pid;

	node_make();
	shift_boottime("0");
	pid = node_up();
	CHECK_EQ(node_claim(1, NULL, NULL), IPAMD_OK);
	node_end(pid, SIGTERM);
}

/* --- Nobody looks ------------------------------------------------------------------------------
 */

/* So many lives, with the cooldown kept between them, and one that goes on. */
static void lives_unseen(unsigned int from, unsigned int n)
{
	for (unsigned int i = from; i < from + n; i++) {
		struct ipamd_request req;

		CHECK(node_until(node_claim(i, "web", &req) == IPAMD_OK));
		if (i + 1 == from + n)
			return;
		CHECK_EQ(node_release(i), IPAMD_OK);
		if (node_claim(i + 1, "web", &req) == IPAMD_OK) { /* a slow machine */
			CHECK(now_ms() >= req.who.start_ns / 1000000);
			CHECK_EQ(node_release(i + 1), IPAMD_OK);
			continue;
		}
		CHECK_EQ(req.verdict, IPAMD_EXHAUSTED);
		CHECK_EQ(req.next_ready_ms, slot_time(the_word()));
	}
}

/* The first life it saw; of those that it missed it knows the last two by the word's count. */
static void check_caught_up(unsigned int lives)
{
	CHECK(node_until(node_number("/v1/status", "balance.held") == 1 && has_holds(2, false)));
	CHECK_EQ(node_number("/v1/status", "gaps"), lives - 2);
	CHECK_EQ(hold(1, "unseen_before"), lives - 2);
	CHECK_EQ(node_number("/v1/status", "balance.holds"), 1);
}

static void start_and_live(pid_t *ret)
{
	node_make();
	node_configure(ONE "cooldown = 200ms\n");
	*ret = node_up();
	CHECK_EQ(node_claim(1, "web", NULL), IPAMD_OK);
	CHECK(node_until(has_holds(1, false)));
}

TEST(pods_come_and_go_while_the_manager_is_stopped)
{
	pid_t pid;

	start_and_live(&pid);
	CHECK_EQ(kill(pid, SIGSTOP), 0);
	CHECK_EQ(node_release(1), IPAMD_OK);
	lives_unseen(2, 5);
	CHECK_EQ(kill(pid, SIGCONT), 0);
	check_caught_up(slot_gen(the_word()));
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

TEST(pods_come_and_go_while_the_manager_is_dead)
{
	pid_t pid;

	start_and_live(&pid);
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	CHECK_EQ(node_release(1), IPAMD_OK);
	lives_unseen(2, 5);
	pid = node_up();
	check_caught_up(slot_gen(the_word()));
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

TEST_MAIN

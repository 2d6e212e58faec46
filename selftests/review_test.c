// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What must hold where two truths of the real ipamd could drift apart: kills in the
 * middle of a recovery, configurations that change under addresses in use, rows of
 * another boot, ids that were given again.
 */
#include "selftests/harness.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "bpf/slot.h"
#include "selftests/node.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/edge/store.h"

static uint64_t now_ms(void)
{
	return slot_now_ms(clock_boot_ns());
}

static long long balance(const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "balance.%s", key);
	return node_number("/v1/status", path);
}

static void address_of(const struct ipamd_request *req, char ret[ADDR_TEXT])
{
	struct addr a = {.family = 4};

	memcpy(a.bytes, req->lease[IPAMD_V4].address, 16);
	addr_print(&a, ret);
}

static int fix(const char *address, const char *pod)
{
	char path[256];
	int code = 0;

	snprintf(path, sizeof(path), "/v1/fix?address=%s&namespace=default&pod=%s", address, pod);
	json_decref(node_ask("POST", path, &code));
	return code;
}

/* The word of the slot that has the address, as the map says; 0: none has it. */
static uint64_t word_with(const char *text, struct ipamd_pool *ret)
{
	auto_pin struct pin *pin = node_pins();
	struct ipamd_address a;
	struct addr wanted;

	CHECK_EQ(addr_parse(text, &wanted), 0);
	for (unsigned int slot = 0; slot < pin->meta->slots; slot++) {
		uint64_t word = mem_load(&pin->words[slot]);

		if (slot_state(word) == IPAMD_EMPTY || pin_address(pin, slot, &a) ||
		    memcmp(a.bytes, wanted.bytes, 4))
			continue;
		if (ret)
			*ret = pin->pools[slot_pool(word)];
		return word;
	}
	return 0;
}

/* The maps are gone, as after an umount; what ends with the boot stays. */
static void lose_maps(void)
{
	CHECK_EQ(system("rm -rf " NODE_PINS), 0);
}

static int age(void *ctx, const struct store_row *row)
{
	struct store_row *ret = ctx;

	if (row->state == STORE_COOLING)
		*ret = *row;
	return 0;
}

/* As after a reboot; a row that cools does so until later than this boot is old. */
static void reboot(void)
{
	struct store *store;
	struct store_row row = {0};
	struct store_meta meta;
	char aside[4096];

	lose_maps();
	CHECK(!unlink(NODE_RUN "/served"));
	CHECK_EQ(store_open(NODE_DB, aside, &store), 0);
	CHECK_EQ(store_get_meta(store, &meta), 0);
	CHECK_EQ(store_each(store, age, &row), 0);
	strcpy(meta.boot_id, "another-boot");
	CHECK_EQ(store_begin(store, true), 0);
	CHECK_EQ(store_put_meta(store, &meta), 0);
	row.ready_at_ms += 30 * 86400000ULL;
	if (row.address.family)
		CHECK_EQ(store_put(store, &row), 0);
	CHECK_EQ(store_commit(store), 0);
	store_close(store);
}

/* --- The start ---------------------------------------------------------------------- */

TEST(a_pool_that_was_renamed_over_a_reboot_serves_its_stock)
{
	pid_t pid;

	node_make();
	node_configure("[pool old]\nsubnet = 10.77.0.0/24\nlow = 5\nhigh = 20\ncooldown = 1s\n");
	pid = node_up();
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	reboot();
	node_configure("[pool new]\nsubnet = 10.77.0.0/24\nlow = 5\nhigh = 20\ncooldown = 1s\n");
	pid = node_up();
	CHECK(balance("ready") >= 5);
	CHECK_EQ(node_number("/v1/status", "pools.0.fixed_free"), 0);
	for (unsigned int i = 0; i < 5; i++)
		CHECK_EQ(node_claim(i, NULL, NULL), IPAMD_OK);
	node_end(pid, SIGTERM);
}

TEST(a_deadline_of_another_boot_is_not_counted_in_this_one)
{
	struct ipamd_request req;
	char address[ADDR_TEXT];
	pid_t pid;

	node_make();
	node_configure("[pool default]\nsubnet = 10.77.0.0/24\nlow = 5\nhigh = 20\n"
		       "cooldown = 600s\n");
	pid = node_up();
	CHECK_EQ(node_claim(1, NULL, &req), IPAMD_OK);
	address_of(&req, address);
	CHECK_EQ(node_release(1), IPAMD_OK);
	CHECK(node_until(balance("cooling") == 1));
	CHECK_EQ(node_end(pid, SIGTERM), 0);
	reboot();
	for (int i = 0; i < 2; i++) {
		uint64_t word;

		pid = node_up();
		CHECK_EQ(balance("cooling"), 1);
		word = word_with(address, NULL);
		CHECK(slot_time(word) > now_ms() + 500000);
		CHECK(slot_time(word) <= now_ms() + 600000);
		CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	}
}

TEST(a_hold_that_is_restored_dies_with_the_namespace_that_has_its_address)
{
	struct node_pod first, second;
	struct ipamd_request req;
	char address[ADDR_TEXT], with_prefix[ADDR_TEXT + 4];
	pid_t pid;

	node_make();
	pid = node_up();
	node_pod_start(&first);
	node_pod_start(&second);
	CHECK_EQ(node_pod_claim(&first, 1, &req), IPAMD_OK);
	address_of(&req, address);
	CHECK(node_until(node_number("/v1/status", "pools.0.held") == 1)); /* written down */
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	/* While nobody wrote it down the second got the address of the first. */
	node_pod_end(&first);
	snprintf(with_prefix, sizeof(with_prefix), "%s/32", address);
	node_pod_address(&second, with_prefix);
	lose_maps();
	pid = node_up();
	CHECK(node_until(node_number("/v1/status", "up_ms") > 2000)); /* has asked for ids */
	CHECK_EQ(balance("held"), 1);
	CHECK_EQ(node_number("/v1/status", "reclaimed"), 0);
	node_pod_end(&second);
	CHECK(node_until(balance("held") == 0));
	node_end(pid, SIGTERM);
}

TEST(ids_of_another_namespace_prove_nothing_at_the_second_start_either)
{
	enum { PODS = 12 }; /* the last one's id is nobody's in the other namespace */
	struct node_pod pod[PODS];
	pid_t pid;

	node_make();
	pid = node_up();
	for (int i = 0; i < PODS; i++)
		node_pod_start(&pod[i]);
	CHECK_EQ(node_pod_claim(&pod[PODS - 1], 1, NULL), IPAMD_OK);
	for (int i = 0; i < PODS - 1; i++)
		node_pod_end(&pod[i]);
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	CHECK_EQ(unshare(CLONE_NEWNET), 0);
	for (int i = 0; i < 2; i++) {
		pid = node_up();
		CHECK(node_until(node_number("/v1/status", "up_ms") > 1500)); /* has asked */
		CHECK_EQ(balance("held"), 1);
		CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	}
	node_pod_end(&pod[PODS - 1]);
}

TEST(the_doubt_after_a_lost_map_outlives_the_manager)
{
	pid_t pid;

	node_make();
	pid = node_up();
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	lose_maps();
	for (int i = 0; i < 2; i++) {
		pid = node_up();
		CHECK_EQ(balance("ready"), 0);
		CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	}
	pid = node_up();
	CHECK_EQ(fix("10.77.0.99", "db-0"), 409); /* it comes new into stock, and cools too */
	CHECK(slot_time(word_with("10.77.0.99", NULL)) > now_ms() + 60000);
	node_end(pid, SIGTERM);
}

/* The mark that the manager leaves for its next start, made to say that the doubt is over. */
static void end_doubt(void)
{
	char boot_id[40] = "";
	unsigned long long until = 0;
	FILE *f = fopen(NODE_RUN "/served", "r");

	CHECK(f && fscanf(f, "%39s %llu", boot_id, &until) == 2 && !fclose(f));
	CHECK(until > now_ms() + 100000);
	f = fopen(NODE_RUN "/served", "w");
	CHECK(f && fprintf(f, "%s 1\n", boot_id) > 0 && !fclose(f));
}

TEST(the_doubt_after_a_lost_map_ends_with_a_second_look)
{
	struct node_pod pod;
	pid_t pid;

	node_make();
	pid = node_up();
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	lose_maps();
	pid = node_up();
	node_pod_start(&pod);
	node_pod_address(&pod, "10.77.0.2/32"); /* claimed from the lost map */
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	end_doubt(); /* the longest ADD is over */
	pid = node_up();
	CHECK(node_until(slot_state(word_with("10.77.0.2", NULL)) == IPAMD_QUARANTINE));
	CHECK_EQ(fix("10.77.0.99", "db-0"), 200);
	node_pod_end(&pod);
	node_end(pid, SIGTERM);
}

TEST(a_kill_in_a_recovery_makes_nothing_ready)
{
	pid_t pid;

	node_make();
	pid = node_up();
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	lose_maps();
	for (useconds_t us = 0; us < 100000; us += 2000) {
		pid = node_start(NULL);
		usleep(us); /* where the kill comes, not a wait */
		node_end(pid, SIGKILL);
	}
	pid = node_up();
	CHECK_EQ(balance("ready"), 0);
	CHECK(balance("cooling") >= 5);
	node_end(pid, SIGTERM);
}

/* --- Pools that change ------------------------------------------------------------------- */

#define POOL_A "[pool default]\nsubnet = 10.77.0.0/24\nlow = 5\nhigh = 20\ncooldown = 1s\n"
#define POOL_B "[pool other]\nsubnet = 10.88.0.0/24\nlow = 5\nhigh = 20\ncooldown = 1s\n"

static bool every_word_has_its_pool(void)
{
	auto_pin struct pin *pin = node_pins();

	for (unsigned int slot = 0; slot < pin->meta->slots; slot++) {
		uint64_t word = mem_load(&pin->words[slot]);

		if (slot_state(word) != IPAMD_EMPTY && !pin->pools[slot_pool(word)].family)
			return false;
	}
	return true;
}

static void reload(const char *text)
{
	int code;

	node_configure(text);
	json_decref(node_ask("POST", "/v1/reload", &code));
	CHECK_EQ(code, 200);
}

TEST(a_pool_that_is_gone_takes_its_fixed_addresses_along)
{
	pid_t pid;

	node_make();
	node_configure(POOL_A POOL_B);
	pid = node_up();
	CHECK_EQ(fix("10.88.0.99", "db-0"), 200);
	reload(POOL_A);
	CHECK(node_until(word_with("10.88.0.99", NULL) == 0));
	CHECK(every_word_has_its_pool());
	CHECK(node_until(balance("provisioned") == balance("ready")));
	CHECK_EQ(node_number("/v1/status", "balance.holds"), 1);
	reload(POOL_A "[pool third]\nsubnet = fd77::/64\nlow = 5\nhigh = 20\n");
	CHECK(node_until(balance("ready") >= 10));
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	pid = node_up();
	CHECK_EQ(node_number("/v1/status", "balance.holds"), 1);
	node_end(pid, SIGTERM);
}

TEST(a_fixed_address_follows_its_pool_to_another_gateway)
{
	struct ipamd_request req;
	struct ipamd_pool there = {0};
	char address[ADDR_TEXT];
	pid_t pid;

	node_make();
	node_configure(POOL_A "gateway = 10.77.0.1\n");
	pid = node_up();
	CHECK_EQ(fix("10.77.0.99", "db-0"), 200);
	reload(POOL_A "gateway = 10.77.0.254\n");
	CHECK(node_until(word_with("10.77.0.99", &there) & SLOT_FIXED && there.gateway[3] == 254));
	CHECK_EQ(node_claim(1, "db-0", &req), IPAMD_OK);
	address_of(&req, address);
	CHECK_EQ(strcmp(address, "10.77.0.99"), 0);
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	pid = node_up();
	CHECK_EQ(fix("10.77.0.98", "db-0"), 409); /* it has one already */
	node_end(pid, SIGTERM);
}

TEST(a_fixed_address_that_is_not_ours_any_more_does_not_stop_the_others)
{
	pid_t pid;

	node_make();
	pid = node_up();
	CHECK_EQ(fix("10.77.0.99", "db-0"), 200);
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	node_configure("[pool default]\nsubnet = 10.99.0.0/24\nlow = 5\nhigh = 20\n");
	pid = node_up();
	CHECK(node_until(word_with("10.77.0.99", NULL) == 0));
	CHECK(node_until(balance("provisioned") == balance("ready")));
	CHECK(!node_log_has("the end of a drain"));
	node_end(pid, SIGTERM);
}

TEST(an_address_that_its_pool_lost_while_it_cooled_is_not_claimed)
{
	struct ipamd_request req;
	struct ipamd_pool there;
	char address[ADDR_TEXT];
	pid_t pid;

	node_make();
	node_configure("[pool default]\nsubnet = 10.77.0.0/24\nlow = 5\nhigh = 20\n"
		       "cooldown = 600s\n");
	pid = node_up();
	CHECK_EQ(node_claim(1, NULL, &req), IPAMD_OK);
	address_of(&req, address);
	CHECK_EQ(node_release(1), IPAMD_OK);
	CHECK(node_until(balance("cooling") == 1));
	reload("[pool default]\nsubnet = 10.88.0.0/24\nlow = 5\nhigh = 20\n");
	CHECK(slot_state(word_with(address, &there)) == IPAMD_FREE);
	CHECK_EQ(there.valid_until_ms, 0);
	CHECK(node_until(balance("ready") >= 5));
	CHECK_EQ(node_claim(2, NULL, &req), IPAMD_OK);
	CHECK_EQ(req.lease[IPAMD_V4].address[1], 88);
	/* And back: the place is opened again, and what cools goes on to cool. */
	reload("[pool default]\nsubnet = 10.77.0.0/24\nlow = 5\nhigh = 20\n"
	       "cooldown = 600s\n");
	CHECK(slot_time(word_with(address, &there)) > now_ms() + 500000);
	CHECK_EQ(there.valid_until_ms, IPAMD_FOREVER);
	node_end(pid, SIGTERM);
}

TEST(a_pool_that_is_being_emptied_stays_closed_when_it_changes)
{
	pid_t pid;
	int code;

	node_make();
	node_configure(POOL_A "gateway = 10.77.0.1\n");
	pid = node_up();
	json_decref(node_ask("POST", "/v1/drain?pool=default", &code));
	CHECK_EQ(code, 200);
	CHECK(node_until(balance("provisioned") == 0));
	reload(POOL_A "gateway = 10.77.0.254\n");
	CHECK_EQ(node_claim(1, NULL, NULL), IPAMD_EXHAUSTED);
	json_decref(node_ask("POST", "/v1/drain?pool=default&off=1", &code));
	CHECK(node_until(node_claim(1, NULL, NULL) == IPAMD_OK));
	reload(POOL_A "gateway = 10.77.0.1\n");
	CHECK(node_until(node_claim(2, NULL, NULL) == IPAMD_OK));
	node_end(pid, SIGTERM);
}

/* --- History -------------------------------------------------------------------------------- */

static bool ended_by(const char *address, const char *why)
{
	char path[128];
	int code;
	json_t *j, *hold;
	const char *end;
	bool is;

	snprintf(path, sizeof(path), "/v1/history?address=%s", address);
	j = node_ask("GET", path, &code);
	hold = json_array_get(json_object_get(j, "holds"), 0);
	end = json_string_value(json_object_get(hold, "end"));
	is = end && !strcmp(end, why);
	json_decref(j);
	return is;
}

TEST(a_reclaim_ends_both_addresses_of_its_holder_in_history)
{
	pid_t pid;
	int code;

	node_make();
	node_configure("[pool default]\nsubnet = 10.77.0.8/32\nsubnet = fd77::8/128\nlow = 1\n"
		       "high = 1\ncooldown = 1s\n");
	pid = node_up();
	CHECK_EQ(node_claim(1, "web", NULL), IPAMD_OK);
	CHECK(node_until(node_number("/v1/status", "pools.1.held") == 1)); /* written down */
	json_decref(node_ask("POST", "/v1/reclaim?address=10.77.0.8", &code));
	CHECK_EQ(code, 200);
	CHECK(node_until(ended_by("10.77.0.8", "reclaimed by hand")));
	CHECK(node_until(ended_by("fd77::8", "reclaimed by hand")));
	node_end(pid, SIGTERM);
}

static int count_row(void *ctx, const struct store_row *row)
{
	(void)row;
	++*(unsigned int *)ctx;
	return 0;
}

/* Invariant 1: whatever is in a slot has its row, also when nobody had time for more. */
TEST(what_is_in_a_slot_has_its_row)
{
	unsigned int rows = 0, slots = 0;
	struct store *store;
	char aside[4096];
	pid_t pid;

	node_make();
	pid = node_up();
	slots = (unsigned int)balance("slots_used");
	CHECK(slots >= 5);
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	CHECK_EQ(store_open(NODE_DB, aside, &store), 0);
	CHECK_EQ(store_each(store, count_row, &rows), 0);
	store_close(store);
	CHECK_EQ(rows, slots);
}

TEST_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Claim and release on the real maps, one caller at a time: the functional face
 * of invariants 2, 3 and 4.  What happens when many come at once is shown by the
 * model and by the torture.
 */
#include "selftests/harness.h"
#include "selftests/stock.h"

static struct pin *full_stock(__u32 cooldown_ms)
{
	struct pin *pin = stock_open(64, cooldown_ms);

	for (__u32 slot = 0; slot < 8; slot++)
		CHECK_EQ(stock_fill(pin, slot, POOL_4, 100 - slot), IPAMD_OK);
	for (__u32 slot = 8; slot < 16; slot++)
		CHECK_EQ(stock_fill(pin, slot, POOL_6, slot), IPAMD_OK);
	return pin;
}

TEST(a_claim_gets_the_longest_idle_address)
{
	auto_pin struct pin *pin = full_stock(1000);
	struct ipamd_request req;

	for (__u32 i = 0; i < 8; i++) {
		CHECK_EQ(stock_claim(pin, i, "v4", &req), IPAMD_OK);
		CHECK_EQ(req.lease[0].slot, 7 - i);
		CHECK_EQ(req.lease[1].word, 0);
	}
	CHECK_EQ(stock_claim(pin, 8, "v4", &req), IPAMD_EXHAUSTED);
	CHECK_EQ(req.next_ready_ms, 0);
	CHECK_EQ(stock_count(pin, IPAMD_HELD), 8);
	CHECK_EQ(stock_entries(pin), 8);
}

TEST(the_answer_has_all_that_a_plugin_prints)
{
	auto_pin struct pin *pin = full_stock(1000);
	struct ipamd_request req;
	__u8 address[16];

	CHECK_EQ(stock_claim(pin, 1, NULL, &req), IPAMD_OK);
	for (int f = 0; f < 2; f++) {
		struct ipamd_lease *l = &req.lease[f];

		stock_address(f ? 6 : 4, l->pool, l->slot, address);
		CHECK(!memcmp(l->address, address, 16));
		CHECK_EQ(l->prefix_len, f ? 64 : 16);
		CHECK(!memcmp(l->gateway, pin->pools[l->pool].gateway, 16));
		CHECK_EQ(l->routes, 1);
		CHECK(!memcmp(l->route, pin->pools[l->pool].route, sizeof(l->route)));
		CHECK_EQ(l->word, stock_word(pin, l->slot));
		CHECK_EQ(slot_tag(l->word), slot_tag_of(&req.who.id));
		CHECK_EQ(slot_gen(l->word), 1);
	}
}

TEST(the_same_attachment_gets_the_same_addresses_again)
{
	auto_pin struct pin *pin = full_stock(1000);
	struct ipamd_request one, two;

	CHECK_EQ(stock_claim(pin, 1, NULL, &one), IPAMD_OK);
	CHECK_EQ(one.again, 0);
	two = one;
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &two), IPAMD_OK);
	CHECK_EQ(two.again, 1);
	CHECK(!memcmp(one.lease, two.lease, sizeof(one.lease)));

	/* a younger ADD gets the same in words of its own */
	CHECK_EQ(stock_claim(pin, 1, NULL, &two), IPAMD_OK);
	CHECK_EQ(two.again, 1);
	for (int f = 0; f < 2; f++) {
		CHECK_EQ(two.lease[f].slot, one.lease[f].slot);
		CHECK(!memcmp(two.lease[f].address, one.lease[f].address, 16));
		CHECK_EQ(slot_gen(two.lease[f].word), 2);
		CHECK_EQ(stock_word(pin, two.lease[f].slot), two.lease[f].word);
	}
	CHECK_EQ(stock_count(pin, IPAMD_HELD), 2);
	CHECK_EQ(stock_entries(pin), 1);

	CHECK_EQ(stock_claim(pin, 2, "v6", &one), IPAMD_OK);
	CHECK_EQ(stock_claim(pin, 2, "v6", &two), IPAMD_OK);
	CHECK_EQ(two.again, 1);
	CHECK_EQ(two.lease[1].slot, one.lease[1].slot);
	CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
	CHECK_EQ(stock_release(pin, 2), IPAMD_OK);
	CHECK_EQ(stock_count(pin, IPAMD_HELD), 0);
	CHECK_EQ(stock_entries(pin), 0);
}

TEST(an_answer_holds_nothing_of_an_earlier_try)
{
	auto_pin struct pin *pin = full_stock(1000);
	struct ipamd_request req;

	CHECK_EQ(stock_claim(pin, 1, NULL, &req), IPAMD_OK);
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_OK);
	CHECK_EQ(req.again, 1);
	CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
	req.who.start_ns = clock_boot_ns();
	request_pool(&req, "v4");
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_OK);
	CHECK_EQ(req.again, 0);
	CHECK_EQ(req.lease[1].word, 0);
	CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
	req.who.start_ns = clock_boot_ns();
	request_pool(&req, "nowhere");
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_NO_POOL);
	CHECK_EQ(req.lease[0].word, 0);
}

TEST(dual_stack_is_all_or_nothing)
{
	auto_pin struct pin *pin = full_stock(60000);
	__u64 before[16];

	for (unsigned int i = 0; i < 8; i++)
		CHECK_EQ(stock_claim(pin, i, "v6", NULL), IPAMD_OK);
	for (__u32 slot = 0; slot < 16; slot++)
		before[slot] = stock_word(pin, slot);
	CHECK_EQ(stock_claim(pin, 9, NULL, NULL), IPAMD_EXHAUSTED);
	for (__u32 slot = 0; slot < 16; slot++)
		CHECK_EQ(stock_word(pin, slot), before[slot]);
	CHECK_EQ(stock_entries(pin), 8);
}

TEST(a_released_address_cools_for_its_whole_cooldown)
{
	auto_pin struct pin *pin = full_stock(60000);
	struct ipamd_request req;
	__u64 before, after, ready;

	CHECK_EQ(stock_claim(pin, 1, NULL, &req), IPAMD_OK);
	before = clock_boot_ns();
	CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
	after = clock_boot_ns();
	for (int f = 0; f < 2; f++) {
		ready = slot_time(stock_word(pin, req.lease[f].slot));
		CHECK(ready * 1000000 >= before + 60000000000ULL);
		CHECK(ready * 1000000 < after + 60001000000ULL);
		CHECK_EQ(slot_state(stock_word(pin, req.lease[f].slot)), IPAMD_FREE);
	}
	CHECK_EQ(stock_entries(pin), 0);
}

TEST(nothing_is_handed_out_a_millisecond_early)
{
	auto_pin struct pin *pin = stock_open(64, 20);
	struct ipamd_request req;
	__u64 ready;

	CHECK_EQ(stock_fill(pin, 3, POOL_4, 0), IPAMD_OK);
	for (unsigned int i = 0; i < 20; i++) {
		CHECK_EQ(stock_claim(pin, i, "v4", &req), IPAMD_OK);
		CHECK_EQ(stock_release(pin, i), IPAMD_OK);
		ready = slot_time(stock_word(pin, 3));
		while (stock_claim(pin, 100 + i, "v4", &req) == IPAMD_EXHAUSTED)
			CHECK_EQ(req.next_ready_ms, ready);
		CHECK_EQ(req.verdict, IPAMD_OK);
		CHECK(clock_boot_ns() >= ready * 1000000);
		CHECK_EQ(stock_release(pin, 100 + i), IPAMD_OK);
		while (stock_now_ms() < slot_time(stock_word(pin, 3)))
			;
	}
}

TEST(an_add_that_a_del_overtook_is_late)
{
	auto_pin struct pin *pin = full_stock(1000);
	struct ipamd_request add;

	stock_request(&add, IPAMD_CLAIM, 1);
	CHECK_EQ(stock_release(pin, 1), IPAMD_NOTHING);
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &add), IPAMD_LATE);
	CHECK_EQ(stock_count(pin, IPAMD_HELD), 0);
	CHECK_EQ(stock_entries(pin), 0);
	/* a new ADD of the same container is no late one */
	CHECK_EQ(stock_claim(pin, 1, NULL, NULL), IPAMD_OK);
}

TEST(an_old_del_does_not_release_a_younger_claim)
{
	auto_pin struct pin *pin = full_stock(1000);
	struct ipamd_request del;

	stock_request(&del, IPAMD_RELEASE, 1);
	CHECK_EQ(stock_claim(pin, 1, NULL, NULL), IPAMD_OK);
	CHECK_EQ(pin_run(pin, IPAMD_RELEASE, &del), IPAMD_YOUNGER);
	CHECK_EQ(stock_count(pin, IPAMD_HELD), 2);
	CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
	CHECK_EQ(stock_release(pin, 1), IPAMD_NOTHING);
}

TEST(an_old_del_does_not_release_what_a_newer_add_was_told_it_has)
{
	auto_pin struct pin *pin = full_stock(1000);
	struct ipamd_request del, again;

	CHECK_EQ(stock_claim(pin, 1, NULL, NULL), IPAMD_OK);
	stock_request(&del, IPAMD_RELEASE, 1);
	CHECK_EQ(stock_claim(pin, 1, NULL, &again), IPAMD_OK);
	CHECK_EQ(again.again, 1);
	CHECK_EQ(pin_run(pin, IPAMD_RELEASE, &del), IPAMD_YOUNGER);
	CHECK_EQ(stock_count(pin, IPAMD_HELD), 2);
	CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
}

TEST(a_del_that_was_told_to_come_again_spares_the_next_life)
{
	auto_pin struct pin *pin = full_stock(60000);
	struct ipamd_request del;

	CHECK_EQ(stock_claim(pin, 1, NULL, NULL), IPAMD_OK);
	stock_request(&del, IPAMD_RELEASE, 1);
	pin->meta->moving = 7;
	CHECK_EQ(pin_run(pin, IPAMD_RELEASE, &del), IPAMD_MOVING);
	pin->meta->moving = 0;
	CHECK_EQ(stock_claim(pin, 1, NULL, NULL), IPAMD_OK);
	CHECK_EQ(pin_run(pin, IPAMD_RELEASE, &del), IPAMD_YOUNGER);
	CHECK_EQ(stock_count(pin, IPAMD_HELD), 2);
}

TEST(an_older_del_does_not_replace_a_newer_tombstone)
{
	auto_pin struct pin *pin = full_stock(1000);
	struct ipamd_request old, add;

	stock_request(&old, IPAMD_RELEASE, 1);
	stock_request(&add, IPAMD_CLAIM, 1);
	CHECK_EQ(stock_release(pin, 1), IPAMD_NOTHING);
	CHECK_EQ(pin_run(pin, IPAMD_RELEASE, &old), IPAMD_NOTHING);
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &add), IPAMD_LATE);
}

static int claim_wanted(struct pin *pin, unsigned int number, int family, __u32 pool, __u32 slot)
{
	struct ipamd_request req;
	__u8 address[16];

	stock_request(&req, IPAMD_CLAIM, number);
	stock_address(family, pool, slot, address);
	request_want(&req, family, address);
	return pin_run(pin, IPAMD_CLAIM, &req);
}

TEST(a_requested_address_is_given_or_refused_by_name)
{
	auto_pin struct pin *pin = full_stock(60000);
	struct ipamd_request req;

	CHECK_EQ(claim_wanted(pin, 1, 4, POOL_4, 5), IPAMD_OK);
	CHECK_EQ(slot_state(stock_word(pin, 5)), IPAMD_HELD);
	CHECK_EQ(claim_wanted(pin, 2, 4, POOL_4, 5), IPAMD_TAKEN);
	CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
	CHECK_EQ(claim_wanted(pin, 2, 4, POOL_4, 5), IPAMD_COOLING);
	CHECK_EQ(claim_wanted(pin, 2, 4, POOL_4, 60), IPAMD_NOT_OURS);
	CHECK_EQ(claim_wanted(pin, 2, 6, POOL_6, 12), IPAMD_OK);
	CHECK_EQ(slot_state(stock_word(pin, 12)), IPAMD_HELD);

	/* of another pool than the attachment's */
	CHECK_EQ(stock_fill(pin, 20, POOL_OTHER, 0), IPAMD_OK);
	CHECK_EQ(claim_wanted(pin, 3, 4, POOL_OTHER, 20), IPAMD_NOT_OURS);

	/* on its way out */
	request_init(&req, IPAMD_STEP);
	CHECK_EQ(stock_step(pin, &req, 2, slot_set_state(stock_word(pin, 2), IPAMD_LEAVING)),
		 IPAMD_OK);
	CHECK_EQ(claim_wanted(pin, 3, 4, POOL_4, 2), IPAMD_AWAY);
	CHECK_EQ(stock_entries(pin), 1);
	CHECK_EQ(stock_count(pin, IPAMD_HELD), 2);
}

TEST(pools_go_by_name_then_by_namespace_then_by_default)
{
	auto_pin struct pin *pin = full_stock(1000);
	struct ipamd_digest ns = digest_name(DIGEST_NAMESPACE, "team");
	struct ipamd_request req;

	CHECK_EQ(stock_fill(pin, 20, POOL_OTHER, 0), IPAMD_OK);
	CHECK_EQ(stock_fill(pin, 21, POOL_OTHER, 1), IPAMD_OK);
	CHECK_EQ(pin_name_set(pin, &ns, ref_make(&ns, POOL_OTHER, IPAMD_NONE)), 0);

	stock_request(&req, IPAMD_CLAIM, 1);
	request_pod(&req, "team", "web-0", "uid");
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_OK);
	CHECK_EQ(req.lease[0].slot, 20);
	CHECK_EQ(req.lease[1].word, 0);

	stock_request(&req, IPAMD_CLAIM, 2);
	request_pod(&req, "team", "web-1", "uid");
	request_pool(&req, "v6");
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_OK);
	CHECK_EQ(req.lease[0].word, 0);
	CHECK_EQ(req.lease[1].pool, POOL_6);

	stock_request(&req, IPAMD_CLAIM, 3);
	request_pod(&req, "elsewhere", "web-1", "uid");
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_OK);
	CHECK_EQ(req.lease[0].pool, POOL_4);
	CHECK_EQ(req.lease[1].pool, POOL_6);

	CHECK_EQ(stock_claim(pin, 4, "nowhere", NULL), IPAMD_NO_POOL);
	pin->meta->default_pools = 0;
	CHECK_EQ(stock_claim(pin, 4, NULL, NULL), IPAMD_NO_POOL);
	CHECK_EQ(stock_entries(pin), 3);
}

static int step_fix(struct pin *pin, __u32 slot, const char *ns, const char *pod)
{
	struct ipamd_request req;

	request_init(&req, IPAMD_STEP);
	req.workload = digest_workload(ns, pod);
	return stock_step(pin, &req, slot, stock_word(pin, slot) ^ SLOT_FIXED);
}

static int claim_pod(struct pin *pin, unsigned int number, const char *pod,
		     struct ipamd_request *ret)
{
	stock_request(ret, IPAMD_CLAIM, number);
	request_pod(ret, "ns", pod, "uid");
	return pin_run(pin, IPAMD_CLAIM, ret);
}

TEST(a_fixed_address_is_for_its_workload_alone)
{
	auto_pin struct pin *pin = full_stock(60000);
	struct ipamd_request req;

	CHECK_EQ(step_fix(pin, 7, "ns", "db-0"), IPAMD_OK); /* the longest idle one */
	CHECK_EQ(step_fix(pin, 8, "ns", "db-0"), IPAMD_OK);
	CHECK_EQ(step_fix(pin, 6, "ns", "db-0"), IPAMD_DUPLICATE);
	CHECK_EQ(claim_pod(pin, 1, "web", &req), IPAMD_OK);
	CHECK_EQ(req.lease[0].slot, 6);
	CHECK_EQ(claim_wanted(pin, 2, 4, POOL_4, 7), IPAMD_RESERVED);

	CHECK_EQ(claim_pod(pin, 3, "db-0", &req), IPAMD_OK);
	CHECK_EQ(req.lease[0].slot, 7);
	CHECK_EQ(req.lease[1].slot, 8);
	CHECK(req.lease[0].word & SLOT_FIXED);
	CHECK_EQ(claim_pod(pin, 4, "db-0", &req), IPAMD_PREDECESSOR);

	/* its own, from its own cooldown, at once */
	CHECK_EQ(stock_release(pin, 3), IPAMD_OK);
	CHECK(!slot_is_ready(stock_word(pin, 7), stock_now_ms()));
	CHECK_EQ(claim_pod(pin, 4, "db-0", &req), IPAMD_OK);
	CHECK_EQ(req.lease[0].slot, 7);
	CHECK_EQ(stock_release(pin, 4), IPAMD_OK);

	CHECK_EQ(step_fix(pin, 7, "ns", "other"), IPAMD_STALE); /* not whose it is */
	CHECK_EQ(step_fix(pin, 7, "ns", "db-0"), IPAMD_OK);
	CHECK_EQ(claim_pod(pin, 5, "db-0", &req), IPAMD_OK);
	CHECK_EQ(req.lease[0].slot, 5);
	CHECK_EQ(req.lease[1].slot, 8);
}

TEST(a_fixed_address_serves_its_own_pool_only)
{
	auto_pin struct pin *pin = full_stock(60000);
	struct ipamd_request req;

	CHECK_EQ(stock_fill(pin, 20, POOL_OTHER, 0), IPAMD_OK);
	CHECK_EQ(step_fix(pin, 7, "ns", "db-0"), IPAMD_OK);
	stock_request(&req, IPAMD_CLAIM, 1);
	request_pod(&req, "ns", "db-0", "uid");
	request_pool(&req, "other");
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_OK);
	CHECK_EQ(req.lease[0].slot, 20);
	stock_request(&req, IPAMD_CLAIM, 2);
	request_pod(&req, "ns", "db-0", "uid");
	request_pool(&req, "v6");
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_OK);
	CHECK_EQ(req.lease[0].word, 0);
	CHECK_EQ(claim_wanted(pin, 3, 4, POOL_OTHER, 20), IPAMD_NOT_OURS);
}

TEST(a_held_address_is_fixed_and_unfixed_under_its_pod)
{
	auto_pin struct pin *pin = full_stock(60000);
	struct ipamd_request req, again;

	CHECK_EQ(claim_pod(pin, 1, "db-0", &req), IPAMD_OK);
	CHECK_EQ(step_fix(pin, 7, "ns", "db-0"), IPAMD_OK);
	CHECK_EQ(claim_pod(pin, 1, "db-0", &again), IPAMD_OK);
	CHECK_EQ(again.again, 1);
	CHECK_EQ(again.lease[0].slot, req.lease[0].slot);
	CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
	CHECK(stock_word(pin, 7) & SLOT_FIXED);
	CHECK_EQ(slot_state(stock_word(pin, 7)), IPAMD_FREE);
	CHECK_EQ(stock_entries(pin), 0);
}

TEST(a_pool_past_its_deadline_gives_nothing_but_takes_back)
{
	auto_pin struct pin *pin = full_stock(1000);

	CHECK_EQ(stock_claim(pin, 1, NULL, NULL), IPAMD_OK);
	pin->pools[POOL_6].valid_until_ms = stock_now_ms();
	CHECK_EQ(stock_claim(pin, 2, NULL, NULL), IPAMD_CLOSED);
	CHECK_EQ(stock_claim(pin, 2, "v4", NULL), IPAMD_OK);
	CHECK_EQ(stock_claim(pin, 1, NULL, NULL), IPAMD_OK); /* has it already */
	CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
	CHECK_EQ(stock_count(pin, IPAMD_HELD), 1);
	CHECK_EQ(stock_entries(pin), 1);
}

TEST(generations_wrap_without_a_trace)
{
	auto_pin struct pin *pin = stock_open(64, 0);
	struct ipamd_request req;

	CHECK_EQ(stock_fill(pin, 0, POOL_4, 0), IPAMD_OK);
	/* up to the edge, over it, and a little further */
	for (__u32 i = 1; i <= SLOT_GEN + 5; i++) {
		CHECK_EQ(stock_claim(pin, 1, "v4", &req), IPAMD_OK);
		CHECK_EQ(slot_gen(req.lease[0].word), i & SLOT_GEN);
		CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
		while (!slot_is_ready(stock_word(pin, 0), stock_now_ms()))
			;
	}
	CHECK_EQ(slot_pool(stock_word(pin, 0)), POOL_4);
}

TEST(a_malformed_request_is_foreign)
{
	auto_pin struct pin *pin = full_stock(1000);
	struct ipamd_request req;

	stock_request(&req, IPAMD_CLAIM, 1);
	req.abi++;
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_FOREIGN);
	CHECK_EQ(pin_run(pin, IPAMD_RELEASE, &req), IPAMD_FOREIGN);
	CHECK_EQ(pin_run(pin, IPAMD_STEP, &req), IPAMD_FOREIGN);
	stock_request(&req, IPAMD_CLAIM, 1);
	req.size--;
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_FOREIGN);
	stock_request(&req, IPAMD_CLAIM, 1);
	memset(&req.who.id, 0, sizeof(req.who.id));
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_FOREIGN);
	stock_request(&req, IPAMD_CLAIM, 1);
	req.who.start_ns = 0;
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_FOREIGN);
	CHECK_EQ(stock_count(pin, IPAMD_HELD), 0);
}

TEST(the_holder_record_is_that_of_the_word)
{
	auto_pin struct pin *pin = full_stock(1000);
	struct ipamd_holder holder;
	struct ipamd_request req;

	stock_request(&req, IPAMD_CLAIM, 1);
	req.who.netns_cookie = 4711;
	req.who.nsid = 17;
	request_pod(&req, "kube-system", "coredns-5d78c9869d-x2x9z", "8f6d");
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_OK);
	CHECK_EQ(pin_holder(pin, 7, req.lease[0].word, &holder), 0);
	CHECK(!memcmp(&holder.who, &req.who, sizeof(holder.who)));
	CHECK(!strcmp(holder.who.label, "kube-system/coredns-5d78c9869d-x2x9z"));
	CHECK(!strcmp(holder.who.container, "c1"));
	CHECK_EQ(pin_holder(pin, 6, stock_word(pin, 6), &holder), IPAMD_STALE);
	CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
	CHECK_EQ(pin_holder(pin, 7, req.lease[0].word, &holder), IPAMD_STALE);
}

TEST_MAIN

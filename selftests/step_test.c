// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the manager does to a slot, on the real maps: each legal step and each
 * refusal, and that a refused step leaves everything as it was.
 */
#include "selftests/harness.h"
#include "selftests/stock.h"

#include <sys/epoll.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static int to_state(struct pin *pin, __u32 slot, enum ipamd_state state)
{
	struct ipamd_request req;

	request_init(&req, IPAMD_STEP);
	return stock_step(pin, &req, slot, slot_set_state(stock_word(pin, slot), state));
}

TEST(an_address_fills_only_one_slot)
{
	auto_pin struct pin *pin = stock_open(64, 0);
	struct ipamd_request req;
	__u64 ref;

	CHECK_EQ(stock_fill(pin, 1, POOL_4, 0), IPAMD_OK);
	request_init(&req, IPAMD_STEP);
	stock_address(4, POOL_4, 1, req.change.address);
	req.change.key = digest_address(4, req.change.address);
	CHECK_EQ(stock_step(pin, &req, 2, slot_filled(0, POOL_OTHER, 0)), IPAMD_DUPLICATE);
	CHECK_EQ(slot_state(stock_word(pin, 2)), IPAMD_EMPTY);
	CHECK_EQ(pin_name_get(pin, &req.change.key, &ref), 0);
	CHECK_EQ(ref_get(ref, IPAMD_V4), 1);
}

TEST(a_drained_address_may_come_back_elsewhere)
{
	auto_pin struct pin *pin = stock_open(64, 0);
	struct ipamd_request req;
	__u64 ref;

	CHECK_EQ(stock_fill(pin, 1, POOL_4, 0), IPAMD_OK);
	CHECK_EQ(to_state(pin, 1, IPAMD_LEAVING), IPAMD_OK);
	CHECK_EQ(stock_claim(pin, 1, "v4", NULL), IPAMD_EXHAUSTED);
	CHECK_EQ(to_state(pin, 1, IPAMD_EMPTY), IPAMD_OK);
	request_init(&req, IPAMD_STEP);
	stock_address(4, POOL_4, 1, req.change.address);
	req.change.key = digest_address(4, req.change.address);
	CHECK_EQ(pin_name_get(pin, &req.change.key, &ref), BPFFS_ABSENT);
	CHECK_EQ(stock_step(pin, &req, 2, slot_filled(0, POOL_4, 0)), IPAMD_OK);
	CHECK_EQ(stock_claim(pin, 1, "v4", &req), IPAMD_OK);
	CHECK_EQ(req.lease[0].slot, 2);
}

TEST(a_stale_or_illegal_step_changes_nothing)
{
	auto_pin struct pin *pin = stock_open(64, 0);
	struct ipamd_request req;
	__u64 word;

	CHECK_EQ(stock_fill(pin, 1, POOL_4, 0), IPAMD_OK);
	word = stock_word(pin, 1);
	request_init(&req, IPAMD_STEP);
	req.change.slot = 1;
	req.change.expected = word ^ 1;
	req.change.word = slot_set_state(word ^ 1, IPAMD_LEAVING);
	CHECK_EQ(pin_run(pin, IPAMD_STEP, &req), IPAMD_STALE);
	CHECK_EQ(to_state(pin, 1, IPAMD_HELD), IPAMD_ILLEGAL);
	CHECK_EQ(to_state(pin, 1, IPAMD_CLAIMING), IPAMD_ILLEGAL);
	CHECK_EQ(to_state(pin, 1, IPAMD_EMPTY), IPAMD_ILLEGAL);
	CHECK_EQ(to_state(pin, 64, IPAMD_LEAVING), IPAMD_FOREIGN);
	CHECK_EQ(stock_word(pin, 1), word);
}

TEST(a_quarantined_address_is_out_of_reach)
{
	auto_pin struct pin *pin = stock_open(64, 0);
	struct ipamd_request req;

	CHECK_EQ(stock_fill(pin, 1, POOL_4, 0), IPAMD_OK);
	CHECK_EQ(to_state(pin, 1, IPAMD_QUARANTINE), IPAMD_OK);
	CHECK_EQ(stock_claim(pin, 1, "v4", NULL), IPAMD_EXHAUSTED);
	request_init(&req, IPAMD_STEP);
	CHECK_EQ(stock_step(pin, &req, 1, slot_released(stock_word(pin, 1), stock_now_ms())),
		 IPAMD_OK);
	CHECK_EQ(stock_claim(pin, 1, "v4", NULL), IPAMD_OK);
}

TEST(a_deadline_is_put_off_on_the_map_and_never_brought_forward)
{
	auto_pin struct pin *pin = stock_open(64, 0);
	struct ipamd_request req;
	__u64 late = stock_now_ms() + 600000;

	CHECK_EQ(stock_fill(pin, 1, POOL_4, 50), IPAMD_OK);
	request_init(&req, IPAMD_STEP);
	CHECK_EQ(stock_step(pin, &req, 1, slot_released(stock_word(pin, 1), late)), IPAMD_OK);
	CHECK_EQ(stock_claim(pin, 1, "v4", &req), IPAMD_EXHAUSTED);
	CHECK_EQ(req.next_ready_ms, late);
	request_init(&req, IPAMD_STEP);
	CHECK_EQ(stock_step(pin, &req, 1, slot_released(stock_word(pin, 1), late - 1)),
		 IPAMD_ILLEGAL);
	CHECK_EQ(stock_step(pin, &req, 1, slot_released(stock_word(pin, 1), late)), IPAMD_ILLEGAL);
	CHECK_EQ(slot_time(stock_word(pin, 1)), late);
}

TEST(an_address_leaves_from_quarantine_and_cannot_be_claimed_on_the_way)
{
	auto_pin struct pin *pin = stock_open(64, 0);

	CHECK_EQ(stock_fill(pin, 1, POOL_4, 0), IPAMD_OK);
	CHECK_EQ(to_state(pin, 1, IPAMD_QUARANTINE), IPAMD_OK);
	CHECK_EQ(to_state(pin, 1, IPAMD_LEAVING), IPAMD_OK);
	CHECK_EQ(stock_claim(pin, 1, "v4", NULL), IPAMD_EXHAUSTED);
	CHECK_EQ(to_state(pin, 1, IPAMD_EMPTY), IPAMD_OK);
	CHECK_EQ(stock_fill(pin, 1, POOL_4, 0), IPAMD_OK);
	CHECK_EQ(stock_claim(pin, 1, "v4", NULL), IPAMD_OK);
}

static int reclaim(struct pin *pin, __u32 slot, __u64 expected)
{
	struct ipamd_request req;

	request_init(&req, IPAMD_STEP);
	req.change.slot = slot;
	req.change.expected = expected;
	req.change.word = slot_released(expected, 0);
	return pin_run(pin, IPAMD_STEP, &req);
}

TEST(a_reclaim_frees_both_families_and_waits_a_second)
{
	auto_pin struct pin *pin = stock_open(64, 0);
	struct ipamd_request req;
	__u64 now = stock_now_ms();

	CHECK_EQ(stock_fill(pin, 1, POOL_4, 0), IPAMD_OK);
	CHECK_EQ(stock_fill(pin, 2, POOL_6, 0), IPAMD_OK);
	CHECK_EQ(stock_claim(pin, 1, NULL, &req), IPAMD_OK);
	CHECK_EQ(reclaim(pin, 2, req.lease[1].word), IPAMD_OK);
	CHECK_EQ(stock_count(pin, IPAMD_FREE), 2);
	CHECK_EQ(stock_entries(pin), 0);
	CHECK(slot_time(stock_word(pin, 1)) >= now + 1000);
	CHECK(slot_time(stock_word(pin, 2)) >= now + 1000);
	CHECK_EQ(stock_release(pin, 1), IPAMD_NOTHING);
}

TEST(a_reclaim_of_an_earlier_hold_changes_nothing)
{
	auto_pin struct pin *pin = stock_open(64, 0);
	struct ipamd_request req;
	__u64 old;

	CHECK_EQ(stock_fill(pin, 1, POOL_4, 0), IPAMD_OK);
	CHECK_EQ(stock_claim(pin, 1, "v4", &req), IPAMD_OK);
	old = req.lease[0].word;
	CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
	while (stock_claim(pin, 1, "v4", &req) == IPAMD_EXHAUSTED)
		;
	CHECK_EQ(req.verdict, IPAMD_OK);
	CHECK_EQ(reclaim(pin, 1, old), IPAMD_STALE);
	CHECK_EQ(stock_word(pin, 1), req.lease[0].word);
	CHECK_EQ(stock_entries(pin), 1);
}

static void restore_request(struct ipamd_request *req, __u32 slot, __u32 pool, unsigned int number)
{
	stock_request(req, IPAMD_STEP, number);
	stock_address(pool == POOL_6 ? 6 : 4, pool, slot, req->change.address);
	req->change.key = digest_address(pool == POOL_6 ? 6 : 4, req->change.address);
}

TEST(recovery_restores_a_holder_with_its_entry)
{
	auto_pin struct pin *pin = stock_open(64, 1000);
	struct ipamd_request req;
	__u64 v4, v6;

	restore_request(&req, 2, POOL_6, 1);
	v6 = slot_word(IPAMD_HELD, POOL_6, slot_tag_of(&req.who.id), 4);
	CHECK_EQ(stock_step(pin, &req, 2, v6), IPAMD_OK);
	restore_request(&req, 1, POOL_4, 1);
	v4 = slot_word(IPAMD_HELD, POOL_4, slot_tag_of(&req.who.id), 9);
	req.change.entry.first = v4;
	req.change.entry.second = v6;
	req.change.entry.slots = 1 | 2 << 16 | 2ULL << 32;
	CHECK_EQ(stock_step(pin, &req, 1, v4), IPAMD_OK);

	CHECK_EQ(stock_claim(pin, 1, NULL, &req), IPAMD_OK);
	CHECK_EQ(req.again, 1);
	CHECK_EQ(req.lease[0].slot, 1);
	CHECK_EQ(req.lease[1].slot, 2);
	CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
	CHECK_EQ(stock_count(pin, IPAMD_FREE), 2);
	CHECK_EQ(stock_entries(pin), 0);
}

TEST(a_held_word_without_entry_is_reclaimed_alone)
{
	auto_pin struct pin *pin = stock_open(64, 1000);
	struct ipamd_request req;
	__u64 word;

	restore_request(&req, 1, POOL_4, 1);
	word = slot_word(IPAMD_HELD, POOL_4, slot_tag_of(&req.who.id), 9);
	CHECK_EQ(stock_step(pin, &req, 1, word), IPAMD_OK);
	CHECK_EQ(reclaim(pin, 1, word), IPAMD_OK);
	CHECK_EQ(stock_count(pin, IPAMD_FREE), 1);
}

TEST(nothing_is_filled_while_slots_move)
{
	auto_pin struct pin *pin = stock_open(64, 0);

	pin->meta->moving = 2;
	CHECK_EQ(stock_fill(pin, 1, POOL_4, 0), IPAMD_MOVING);
	pin->meta->moving = 0;
	CHECK_EQ(stock_fill(pin, 1, POOL_4, 0), IPAMD_OK);
}

TEST(a_tombstone_as_old_as_the_add_refuses_it)
{
	auto_pin struct pin *pin = stock_open(64, 60000);
	struct ipamd_request add;

	CHECK_EQ(stock_fill(pin, 1, POOL_4, 0), IPAMD_OK);
	stock_request(&add, IPAMD_RELEASE, 1);
	CHECK_EQ(pin_run(pin, IPAMD_RELEASE, &add), IPAMD_NOTHING);
	add.verb = IPAMD_CLAIM;
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &add), IPAMD_LATE);
	CHECK_EQ(slot_time(stock_word(pin, 1)), 0);
}

/* --- Events and the mirror ------------------------------------------------- */

static unsigned int events;
static struct ipamd_event last_event;

static int on_event(void *ctx, void *data, size_t size)
{
	(void)ctx;
	if (size == sizeof(last_event))
		memcpy(&last_event, data, size);
	events++;
	return 0;
}

static int is_awake(int epoll)
{
	struct epoll_event e;

	return epoll_wait(epoll, &e, 1, 0);
}

TEST(the_manager_is_told_of_all_and_woken_when_it_asked)
{
	auto_pin struct pin *pin = stock_open(64, 60000);
	struct ring_buffer *ring = ring_buffer__new(pin->map[PIN_EVENTS], on_event, NULL, NULL);
	struct ipamd_request req;
	int epoll = ring_buffer__epoll_fd(ring);

	CHECK(ring);
	for (__u32 slot = 0; slot < 8; slot++)
		CHECK_EQ(stock_fill(pin, slot, POOL_4, slot), IPAMD_OK);
	pin->pools[POOL_4].spare = 3;
	CHECK_EQ(stock_claim(pin, 1, "v4", NULL), IPAMD_OK);
	CHECK_EQ(stock_claim(pin, 2, "v4", NULL), IPAMD_OK);
	CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
	CHECK_EQ(is_awake(epoll), 0);
	CHECK_EQ(stock_claim(pin, 3, "v4", &req), IPAMD_OK);
	CHECK_EQ(is_awake(epoll), 1);
	CHECK_EQ(ring_buffer__consume(ring), 4);
	CHECK_EQ(events, 4);
	CHECK_EQ(last_event.word, req.lease[0].word);
	CHECK_EQ(last_event.slot, req.lease[0].slot);
	CHECK_EQ(last_event.verb, IPAMD_CLAIM);

	/* and once when it ran dry against expectation, not at every failure */
	is_awake(epoll);
	pin->pools[POOL_4].spare = 100;
	for (unsigned int i = 4; i < 9; i++)
		CHECK_EQ(stock_claim(pin, i, "v4", NULL), IPAMD_OK);
	CHECK_EQ(ring_buffer__consume(ring), 5);
	CHECK_EQ(is_awake(epoll), 0);
	CHECK_EQ(stock_claim(pin, 10, "v4", NULL), IPAMD_EXHAUSTED);
	CHECK_EQ(is_awake(epoll), 1);
	CHECK_EQ(last_event.verdict, IPAMD_OK);
	CHECK_EQ(ring_buffer__consume(ring), 1);
	CHECK_EQ(last_event.verdict, IPAMD_EXHAUSTED);
	is_awake(epoll);
	CHECK_EQ(stock_claim(pin, 10, "v4", NULL), IPAMD_EXHAUSTED);
	CHECK_EQ(is_awake(epoll), 0);
	ring_buffer__free(ring);
}

TEST(a_full_ring_loses_hints_and_nothing_else)
{
	auto_pin struct pin *pin = stock_open(64, 0);
	int cpus = libbpf_num_possible_cpus();
	struct ipamd_stats *stats = calloc((size_t)cpus, sizeof(*stats));
	__u64 lost = 0, claims = 0;
	__u32 zero = 0;

	CHECK_EQ(stock_fill(pin, 0, POOL_4, 0), IPAMD_OK);
	for (int i = 0; i < 8000; i++) {
		while (stock_claim(pin, 1, "v4", NULL) == IPAMD_EXHAUSTED)
			;
		CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
	}
	CHECK_EQ(bpf_map_lookup_elem(pin->map[PIN_STATS], &zero, stats), 0);
	for (int i = 0; i < cpus; i++) {
		lost += stats[i].events_lost;
		claims += stats[i].count[IPAMD_CLAIM][IPAMD_OK];
	}
	CHECK(lost > 0);
	CHECK_EQ(claims, 8000);
	free(stats);
}

static struct ipamd_slot mirror_of(struct pin *pin, __u32 slot)
{
	struct ipamd_slot s;

	CHECK_EQ(bpf_map_lookup_elem(pin->map[PIN_SLOTS], &slot, &s), 0);
	return s;
}

TEST(the_mirror_says_what_the_word_says)
{
	auto_pin struct pin *pin = stock_open(64, 60000);
	struct ipamd_request req;
	struct ipamd_slot s;

	CHECK_EQ(stock_fill(pin, 5, POOL_6, 77), IPAMD_OK);
	s = mirror_of(pin, 5);
	CHECK(!strcmp(s.address, "2001:db8:1::5"));
	CHECK_EQ(s.state, IPAMD_FREE);
	CHECK_EQ(s.pool, POOL_6);
	CHECK_EQ(s.ready_at_ms, 77);
	CHECK_EQ(s.word, stock_word(pin, 5));

	stock_request(&req, IPAMD_CLAIM, 1);
	request_pool(&req, "v6");
	request_pod(&req, "default", "web-1", "uid");
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_OK);
	s = mirror_of(pin, 5);
	CHECK_EQ(s.state, IPAMD_HELD);
	CHECK_EQ(s.ready_at_ms, 0);
	CHECK_EQ(s.claims, 1);
	CHECK(!strcmp(s.holder, "default/web-1"));

	CHECK_EQ(stock_release(pin, 1), IPAMD_OK);
	s = mirror_of(pin, 5);
	CHECK_EQ(s.state, IPAMD_FREE);
	CHECK_EQ(s.ready_at_ms, slot_time(stock_word(pin, 5)));
	CHECK_EQ(s.word, stock_word(pin, 5));

	CHECK_EQ(to_state(pin, 5, IPAMD_LEAVING), IPAMD_OK);
	CHECK_EQ(to_state(pin, 5, IPAMD_EMPTY), IPAMD_OK);
	s = mirror_of(pin, 5);
	CHECK_EQ(s.state, IPAMD_EMPTY);
	CHECK_EQ(s.address[0], '\0');
}

TEST_MAIN

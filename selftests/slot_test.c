// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The word by itself, on the host: its fields, its steps, its circle of time, and
 * under threads (built with -fsanitize=thread by tools/check.sh) that a slot has
 * one winner: invariant 2.
 */
#include "selftests/harness.h"

#include <pthread.h>

#include "bpf/slot.h"

static const enum ipamd_state states[] = {
	IPAMD_EMPTY,   IPAMD_FREE,       IPAMD_CLAIMING, IPAMD_HELD,
	IPAMD_LEAVING, IPAMD_QUARANTINE, IPAMD_MOVED,
};

#define STATES ((int)(sizeof(states) / sizeof(states[0])))

TEST(every_field_keeps_to_its_bits)
{
	for (int s = 0; s < STATES; s++) {
		__u64 w = slot_word(states[s], 63, ~0ULL, ~0ULL);

		CHECK_EQ(slot_state(w), states[s]);
		CHECK_EQ(slot_pool(w), 63);
		CHECK_EQ(slot_time(w), SLOT_TIME);
		CHECK_EQ(slot_gen(w), SLOT_GEN);
		CHECK(!(w & SLOT_FIXED));
		CHECK_EQ(slot_word(states[s], 0, 0, 0), (__u64)states[s] << 61);
	}
}

TEST(steps_keep_pool_fixed_flag_and_generation)
{
	__u64 w = slot_word(IPAMD_FREE, 41, 1000, 77) | SLOT_FIXED;
	__u64 c = slot_claimed(w, IPAMD_CLAIMING, 0xabcdef0123);
	__u64 h = slot_held(c), r = slot_released(h, 5000);

	CHECK_EQ(slot_state(c), IPAMD_CLAIMING);
	CHECK_EQ(slot_state(h), IPAMD_HELD);
	CHECK_EQ(slot_tag(h), 0xabcdef0123);
	CHECK_EQ(slot_gen(c), 78);
	CHECK_EQ(slot_gen(h), 78);
	CHECK_EQ(slot_state(r), IPAMD_FREE);
	CHECK_EQ(slot_gen(r), 78);
	CHECK_EQ(slot_time(r), 5000);
	CHECK_EQ(slot_pool(c) + slot_pool(h) + slot_pool(r), 3 * 41);
	CHECK(c & h & r & SLOT_FIXED);
	CHECK_EQ(slot_gen(slot_claimed(slot_word(IPAMD_FREE, 1, 0, SLOT_GEN), IPAMD_HELD, 1)), 0);
}

TEST(a_cooldown_is_never_short)
{
	for (__u64 ns = 5000000; ns < 5000000 + 2000000; ns += 99999) {
		__u64 at = slot_ready_at(ns, 30000);
		__u64 w = slot_word(IPAMD_FREE, 0, at, 0);

		CHECK(at * 1000000 >= ns + 30000000000ULL);
		CHECK(!slot_is_ready(w, slot_now_ms(ns + 29999999999ULL)));
		CHECK(slot_is_ready(w, slot_now_ms(ns + 30001000000ULL)));
	}
}

static __u32 oldest(const struct ipamd_chunk *chunks, int n, __u32 pool, __u64 now, int *ready)
{
	__u64 prefix = slot_prefix(pool, now), best = SLOT_NO_KEY;

	for (int i = 0; i < n; i++)
		best = slot_oldest(&chunks[i], prefix, (__u64)i * IPAMD_CHUNK, best);
	*ready = slot_key_is_ready(best, prefix, now);
	return slot_key_index(best);
}

/* The same, as one would write it without a verifier to please. */
static __u32 oldest_plainly(const struct ipamd_chunk *chunks, int n, __u32 pool, __u64 now,
			    int *ready)
{
	__u32 index = IPAMD_NONE;
	__s64 best = 0;

	*ready = 0;
	for (int i = 0; i < n * IPAMD_CHUNK; i++) {
		__u64 w = chunks[i / IPAMD_CHUNK].word[i % IPAMD_CHUNK];
		__s64 age = (__s64)((slot_time(w) - now) << 24) >> 24; /* on the circle */

		if (slot_state(w) != IPAMD_FREE || slot_pool(w) != pool || w & SLOT_FIXED)
			continue;
		if (index == IPAMD_NONE || age < best) {
			index = i;
			best = age;
			*ready = age <= 0;
		}
	}
	return index;
}

static __u64 any_word(unsigned int *seed, __u64 now)
{
	__u64 time = now - 2000 + rand_r(seed) % 3000;
	__u64 w = slot_word(states[rand_r(seed) % STATES], rand_r(seed) % 3, time, rand_r(seed));

	if (rand_r(seed) % 3)
		w = slot_set_state(w, IPAMD_FREE);
	return rand_r(seed) % 8 ? w : w | SLOT_FIXED;
}

static void compare_scans(__u64 now)
{
	unsigned int seed = 20;
	struct ipamd_chunk chunks[4];

	for (int round = 0; round < 3000; round++) {
		int ready, expected_ready, fill = 1 + rand_r(&seed) % (4 * IPAMD_CHUNK);
		__u32 expected;

		memset(chunks, 0, sizeof(chunks));
		for (int i = 0; i < fill; i++)
			chunks[i / IPAMD_CHUNK].word[i % IPAMD_CHUNK] = any_word(&seed, now);
		expected = oldest_plainly(chunks, 4, 1, now, &expected_ready);
		CHECK_EQ(oldest(chunks, 4, 1, now, &ready), expected);
		if (expected != IPAMD_NONE)
			CHECK_EQ(ready, expected_ready);
	}
}

TEST(the_scan_finds_the_oldest_ready_word_exactly)
{
	compare_scans(1000000);
}

TEST(the_scan_is_exact_in_the_first_second_after_boot)
{
	compare_scans(5);
}

TEST(the_scan_is_exact_where_forty_bits_of_time_wrap)
{
	compare_scans(SLOT_TIME - 500);
	compare_scans(SLOT_TIME);
	compare_scans(SLOT_TIME + 1);
	compare_scans(SLOT_TIME + 700);
	for (__u64 quarter = 1; quarter < 5; quarter++) {
		compare_scans((quarter << 38) - 1);
		compare_scans(quarter << 38);
	}
}

TEST(readiness_holds_where_time_wraps)
{
	__u64 w = slot_released(slot_word(IPAMD_HELD, 3, 1, 1), SLOT_TIME + 1 + 20000);

	CHECK_EQ(slot_time(w), 20000);
	CHECK(!slot_is_ready(w, SLOT_TIME - 10000));
	CHECK(!slot_is_ready(w, SLOT_TIME + 20000));
	CHECK(slot_is_ready(w, SLOT_TIME + 1 + 20000));
	CHECK(slot_is_ready(w, SLOT_TIME + 1 + 90000));
}

TEST(no_other_state_ever_looks_free)
{
	for (int s = 0; s < STATES; s++)
		for (int fixed = 0; fixed < 2; fixed++)
			for (__u64 pool = 0; pool < IPAMD_POOLS; pool++) {
				__u64 w = slot_word(states[s], pool, 10, 3);
				__u64 key;

				if (fixed)
					w |= SLOT_FIXED;
				key = slot_key(w, slot_prefix(7, 20), 4095);
				CHECK_EQ(key < SLOT_NO_KEY,
					 states[s] == IPAMD_FREE && !fixed && pool == 7);
				CHECK(!(key >> 63));
			}
}

TEST(only_the_steps_of_the_diagram_are_legal)
{
	static const char *const legal[] = {
		/* a row a state, a column a state, in the order of states[] */
		".1.1.11", ".1..111", ".......", ".1....1", "11...11", "11..1.1", ".......",
	};

	for (int a = 0; a < STATES; a++)
		for (int b = 0; b < STATES; b++) {
			__u64 from = slot_word(states[a], 5, 100, 9);
			__u64 to = slot_word(states[b], 5, 200, 9);

			CHECK_EQ(slot_may_step(from, to), legal[a][b] == '1');
		}
	/* past and pool stay what they are */
	CHECK(!slot_may_step(slot_word(IPAMD_FREE, 5, 1, 9), slot_word(IPAMD_LEAVING, 6, 1, 9)));
	CHECK(!slot_may_step(slot_word(IPAMD_FREE, 5, 1, 9), slot_word(IPAMD_LEAVING, 5, 1, 8)));
	/* fix and unfix where somebody may hold it, and nothing else in the same step */
	CHECK(slot_may_step(slot_word(IPAMD_HELD, 5, 1, 9),
			    slot_word(IPAMD_HELD, 5, 1, 9) | SLOT_FIXED));
	CHECK(slot_may_step(slot_word(IPAMD_FREE, 5, 1, 9) | SLOT_FIXED,
			    slot_word(IPAMD_FREE, 5, 1, 9)));
	CHECK(!slot_may_step(slot_word(IPAMD_FREE, 5, 1, 9) | SLOT_FIXED,
			     slot_word(IPAMD_LEAVING, 5, 1, 9)));
	CHECK(!slot_may_step(slot_word(IPAMD_LEAVING, 5, 1, 9) | SLOT_FIXED, 0));
	CHECK(!slot_may_step(slot_word(IPAMD_CLAIMING, 5, 1, 9),
			     slot_word(IPAMD_CLAIMING, 5, 1, 9) | SLOT_FIXED));
}

static int may_move(__u64 from_time, __u64 to_time)
{
	return slot_may_step(slot_word(IPAMD_FREE, 5, from_time, 9),
			     slot_word(IPAMD_FREE, 5, to_time, 9));
}

TEST(a_deadline_may_be_put_off_and_never_brought_forward)
{
	__u64 word = slot_word(IPAMD_FREE, 5, 100, 9), later = slot_word(IPAMD_FREE, 5, 200, 9);

	CHECK(may_move(100, 101));
	CHECK(!may_move(100, 100));
	CHECK(!may_move(101, 100));
	/* over the seam of the circle, and up to half way round it */
	CHECK(may_move(SLOT_TIME, 0));
	CHECK(may_move(SLOT_TIME - 5, 20000));
	CHECK(!may_move(20000, SLOT_TIME - 5));
	CHECK(may_move(7, 7 + (1ULL << 39) - 1));
	CHECK(!may_move(7, 7 + (1ULL << 39)));
	/* nothing else changes with it */
	CHECK(slot_may_step(word | SLOT_FIXED, later | SLOT_FIXED));
	CHECK(!slot_may_step(word, later | SLOT_FIXED));
	CHECK(!slot_may_step(word | SLOT_FIXED, later));
	CHECK(!slot_may_step(word, slot_word(IPAMD_FREE, 6, 200, 9)));
	CHECK(!slot_may_step(word, slot_word(IPAMD_FREE, 5, 200, 10)));
}

/* --- Under threads ------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 4000 };

static struct ipamd_chunk shared;
static __u64 owner[IPAMD_CHUNK]; /* plain on purpose: TSan sees if two are inside */
static __u64 won[THREADS];

static void *claimer(void *arg)
{
	__u64 me = (__u64)(size_t)arg + 1;

	for (int i = 0; i < ROUNDS; i++) {
		__u64 key = slot_oldest(&shared, slot_prefix(2, 1000), 0, SLOT_NO_KEY);
		__u64 *at, word, claiming;
		__u32 index = slot_key_index(key);

		if (index == IPAMD_NONE)
			continue;
		at = &shared.word[index];
		word = mem_load(at);
		if (slot_state(word) != IPAMD_FREE)
			continue;
		claiming = slot_claimed(word, IPAMD_CLAIMING, me);
		if (mem_cas(at, word, claiming) != word)
			continue;
		owner[index] = me;
		mem_cas(at, claiming, slot_held(claiming));
		if (owner[index] != me)
			abort();
		won[me - 1]++;
		mem_cas(at, slot_held(claiming), slot_released(slot_held(claiming), i % 900));
	}
	return NULL;
}

TEST(every_slot_has_one_winner)
{
	pthread_t t[THREADS];
	__u64 claims = 0, gens = 0;

	for (int i = 0; i < 3; i++)
		shared.word[i] = slot_filled(0, 2, i);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, claimer, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	for (int i = 0; i < THREADS; i++)
		claims += won[i];
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(slot_state(shared.word[i]), IPAMD_FREE);
		gens += slot_gen(shared.word[i]);
	}
	printf("# %llu claims\n", (unsigned long long)claims);
	CHECK(claims > 0);
	CHECK_EQ(gens, claims);
}

TEST_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Zombies: the rules by table, and then a node at random, with namespaces whose ids
 * are reused at once, a reader that is seconds late, messages that get lost, and an
 * oracle that knows who lives: no proof may ever name a live pod.
 */
#include "selftests/harness.h"

#include "bpf/slot.h"
#include "userspace/core/zombie.h"

static uint64_t held_word(uint64_t tag, uint64_t gen)
{
	return slot_word(IPAMD_HELD, 1, tag, gen);
}

static struct zombie_hold a_hold(int32_t nsid, uint64_t cookie, uint64_t claimed_at_ms)
{
	return (struct zombie_hold){
		.word = held_word(cookie, 1),
		.nsid = nsid,
		.cookie = cookie,
		.claimed_at_ms = claimed_at_ms,
	};
}

/* --- Proof, by table --------------------------------------------------------------------- */

TEST(who_had_an_id_before_it_died_is_dead)
{
	struct zombie_hold hold = a_hold(5, 77, 1000);

	CHECK(zombie_is_dead(&hold, &(struct zombie_death){5, 1001}));
	CHECK(!zombie_is_dead(&hold, &(struct zombie_death){6, 1001}));
	hold.nsid = -1;
	CHECK(!zombie_is_dead(&hold, &(struct zombie_death){-1, 1001}));
	hold = a_hold(5, 77, 0);
	CHECK(!zombie_is_dead(&hold, &(struct zombie_death){5, 1001}));
	hold = a_hold(5, 77, 1000);
	hold.word = slot_set_state(hold.word, IPAMD_CLAIMING);
	CHECK(!zombie_is_dead(&hold, &(struct zombie_death){5, 1001}));
}

TEST(a_death_that_may_be_of_the_ids_last_owner_is_no_proof)
{
	struct zombie_hold hold = a_hold(5, 77, 1000);

	CHECK(!zombie_is_dead(&hold, &(struct zombie_death){5, 1000}));
	CHECK(!zombie_is_dead(&hold, &(struct zombie_death){5, 900}));
	CHECK(zombie_is_doubtful(&hold, &(struct zombie_death){5, 900}));
	CHECK(!zombie_is_doubtful(&hold, &(struct zombie_death){5, 1001}));
	CHECK(!zombie_is_doubtful(&hold, &(struct zombie_death){4, 900}));
}

TEST(a_younger_hold_with_another_cookie_displaces_the_older)
{
	struct zombie_hold old = a_hold(5, 77, 1000), young = a_hold(5, 78, 1001);

	CHECK(zombie_is_displaced(&old, &young));
	CHECK(!zombie_is_displaced(&young, &old));
	young.restored = true;
	CHECK(!zombie_is_displaced(&old, &young));
	young = a_hold(5, 77, 1001); /* two attachments of one namespace */
	CHECK(!zombie_is_displaced(&old, &young));
	young = a_hold(5, 0, 1001);
	CHECK(!zombie_is_displaced(&old, &young));
	young = a_hold(6, 78, 1001);
	CHECK(!zombie_is_displaced(&old, &young));
	young = a_hold(5, 78, 1000); /* which is the younger? */
	CHECK(!zombie_is_displaced(&old, &young));
}

TEST(the_death_of_a_namespace_frees_all_that_was_held_in_it)
{
	struct zombie_hold holds[] = {
		a_hold(5, 77, 1000),
		a_hold(6, 78, 1000),
		a_hold(5, 77, 1500),
		a_hold(5, 79, 2000),
	};
	struct zombie_death death = {5, 1800};
	struct zombie_mark marks[4] = {0};
	uint32_t slots[4];

	CHECK_EQ(zombie_prove_dead(holds, 4, &death, 1), 2);
	CHECK_EQ(zombie_prove_dead(holds, 4, &death, 1), 0);
	CHECK_EQ(zombie_judge(marks, holds, 4, NULL, slots), 2);
	CHECK_EQ(slots[0], 0);
	CHECK_EQ(slots[1], 2);
}

/* --- Weak evidence, by table ------------------------------------------------------------- */

enum { MOST = 400 };

static struct zombie_hold node[MOST];
static struct zombie_mark marks[MOST];
static uint32_t slots[MOST];

static void set_node(unsigned int n)
{
	memset(marks, 0, sizeof(marks));
	for (unsigned int i = 0; i < n; i++) {
		node[i] = a_hold(-1, i + 1, 1000);
		node[i].evidence = ZOMBIE_WEAK;
	}
}

static unsigned int look_at(unsigned int n, uint64_t now_ms)
{
	struct zombie_look look = {true, 100, now_ms, now_ms + 5, ZOMBIE_GRACE_MS};

	return zombie_judge(marks, node, n, &look, slots);
}

TEST(a_weak_hold_is_marked_and_reclaimed_after_the_grace)
{
	set_node(1);
	CHECK_EQ(look_at(1, 100000), 0);
	CHECK_EQ(look_at(1, 130000), 0);
	CHECK_EQ(look_at(1, 160000), 0);
	CHECK_EQ(look_at(1, 160005), 1);
	CHECK_EQ(slots[0], 0);
	CHECK_EQ(look_at(1, 160010), 0); /* it starts over if that failed */
}

TEST(one_look_is_never_enough)
{
	struct zombie_look look = {true, 100, 100000, 100000, 0};

	set_node(1);
	CHECK_EQ(zombie_judge(marks, node, 1, &look, slots), 0);
	look.began_ms = look.ended_ms = 100001;
	CHECK_EQ(zombie_judge(marks, node, 1, &look, slots), 1);
}

TEST(a_claim_younger_than_the_grace_is_never_weak)
{
	set_node(1);
	node[0].claimed_at_ms = 100000;
	CHECK_EQ(look_at(1, 159999), 0);
	CHECK_EQ(marks[0].word, 0);
	CHECK_EQ(look_at(1, 160000), 0);
	CHECK(marks[0].word == node[0].word);
}

TEST(any_reason_to_keep_clears_the_mark)
{
	set_node(1);
	CHECK_EQ(look_at(1, 100000), 0);
	node[0].evidence = ZOMBIE_KEEP;
	CHECK_EQ(look_at(1, 140000), 0);
	node[0].evidence = ZOMBIE_WEAK;
	CHECK_EQ(look_at(1, 170000), 0);
	CHECK_EQ(look_at(1, 230000), 0);
	CHECK_EQ(look_at(1, 230005), 1);
}

TEST(another_word_is_another_hold)
{
	set_node(1);
	CHECK_EQ(look_at(1, 100000), 0);
	node[0].word = held_word(1, 2);
	CHECK_EQ(look_at(1, 170000), 0);
	node[0].word = slot_set_state(node[0].word, IPAMD_FREE);
	CHECK_EQ(look_at(1, 240000), 0);
	CHECK_EQ(marks[0].word, 0);
}

TEST(a_look_that_is_partial_or_empty_frees_nothing_and_still_clears)
{
	struct zombie_look partial = {false, 100, 170000, 170005, ZOMBIE_GRACE_MS};
	struct zombie_look empty = {true, 0, 170000, 170005, ZOMBIE_GRACE_MS};

	set_node(2);
	CHECK_EQ(look_at(2, 100000), 0);
	CHECK_EQ(zombie_judge(marks, node, 2, &partial, slots), 0);
	CHECK_EQ(zombie_judge(marks, node, 2, &empty, slots), 0);
	CHECK_EQ(marks[0].looks, 1);
	node[1].evidence = ZOMBIE_KEEP;
	CHECK_EQ(zombie_judge(marks, node, 2, &partial, slots), 0);
	CHECK_EQ(marks[1].word, 0);
	CHECK_EQ(look_at(2, 180000), 1);
	/* proof needs no look */
	node[1].evidence = ZOMBIE_PROOF;
	CHECK_EQ(zombie_judge(marks, node, 2, &empty, slots), 1);
	CHECK_EQ(slots[0], 1);
}

TEST(a_reason_to_keep_one_family_keeps_the_other)
{
	set_node(2);
	node[1].word = held_word(1, 9); /* the attachment of node[0] */
	node[1].evidence = ZOMBIE_KEEP;
	CHECK_EQ(look_at(2, 100000), 0);
	CHECK_EQ(look_at(2, 200000), 0);
	CHECK_EQ(marks[0].word, 0);
	node[1].evidence = ZOMBIE_WEAK;
	CHECK_EQ(look_at(2, 300000), 0);
	node[1].word = held_word(1, 10);
	CHECK_EQ(look_at(2, 400000), 0); /* the younger of the two decides */
	CHECK_EQ(look_at(2, 500000), 2);
}

TEST(a_round_takes_no_more_than_its_budget)
{
	CHECK_EQ(zombie_budget(0), 5);
	CHECK_EQ(zombie_budget(59), 5);
	CHECK_EQ(zombie_budget(60), 6);
	CHECK_EQ(zombie_budget(4096), 409);
	set_node(MOST);
	CHECK_EQ(look_at(MOST, 100000), 0);
	CHECK_EQ(look_at(MOST, 200000), 40);
	/* those that were not freed wait behind the others */
	CHECK_EQ(look_at(MOST, 200100), 40);
	CHECK_EQ(slots[0], 40);
	set_node(6);
	for (int i = 0; i < 6; i++)
		node[i].word = held_word(1 + i / 2, 1);
	CHECK_EQ(look_at(6, 100000), 0);
	CHECK_EQ(look_at(6, 200000), 4); /* three attachments, and room for five addresses */
}

/* --- A node at random ----------------------------------------------------------------------- */

enum { SLOTS = 24, SPACES = 12, IDS = 6, QUEUE = 8 };

struct space {
	bool alive, watched; /* watched: it has an id */
	int32_t id;
	uint64_t cookie;
};

/* The truth, and what the manager has read of it. */
static struct world {
	unsigned int seed;
	uint64_t now_ms, cookies, empty_ms; /* empty_ms: the socket was seen empty */
	struct space space[SPACES];
	struct zombie_hold hold[SLOTS];
	unsigned int in[SLOTS]; /* the space of each hold */
	uint64_t born[SLOTS];   /* its cookie: a space's place is used again */
	int32_t queue[QUEUE];
	unsigned int queued, proofs, reused, lost, displaced;
} w;

static unsigned int dice(unsigned int n)
{
	return (unsigned int)rand_r(&w.seed) % n;
}

static bool lives(unsigned int slot)
{
	return w.space[w.in[slot]].alive && w.space[w.in[slot]].cookie == w.born[slot];
}

static bool has_id(int32_t id)
{
	for (int i = 0; i < SPACES; i++)
		if (w.space[i].alive && w.space[i].watched && w.space[i].id == id)
			return true;
	return false;
}

/* The lowest that is free, as the kernel does: reused at once. */
static void watch(struct space *s)
{
	int32_t id = 0;

	if (s->watched)
		return;
	while (has_id(id))
		id++;
	s->watched = id < IDS;
	s->id = id;
}

static void claim(void)
{
	unsigned int slot = dice(SLOTS), at = dice(SPACES);
	struct space *s = &w.space[at];

	if (slot_state(w.hold[slot].word) == IPAMD_HELD)
		return;
	if (!s->alive)
		*s = (struct space){.alive = true, .cookie = ++w.cookies};
	if (dice(8))
		watch(s);
	w.in[slot] = at;
	w.born[slot] = s->cookie;
	w.hold[slot] = (struct zombie_hold){
		.word = held_word(s->cookie, slot_gen(w.hold[slot].word) + 1),
		.claimed_at_ms = w.now_ms,
		.cookie = dice(4) ? s->cookie : 0,
		.nsid = s->watched ? s->id : -1,
	};
	if (!dice(10)) { /* its map was lost, and it was restored a while later */
		w.hold[slot].restored = true;
		w.hold[slot].claimed_at_ms = dice(3) ? w.now_ms + dice(50) : 0;
	}
}

static void die(void)
{
	struct space *s = &w.space[dice(SPACES)];

	if (!s->alive)
		return;
	s->alive = false;
	if (!s->watched)
		return;
	if (w.queued < QUEUE)
		w.queue[w.queued++] = s->id;
	else
		w.lost++;
}

static void release(void)
{
	unsigned int slot = dice(SLOTS);

	w.hold[slot].word = slot_set_state(w.hold[slot].word, IPAMD_FREE);
}

/* The oracle: what is proven dead is dead. */
static void check_proven(const struct zombie_death *deaths, unsigned int m)
{
	if (deaths)
		zombie_prove_dead(w.hold, SLOTS, deaths, m);
	else
		zombie_prove_displaced(w.hold, SLOTS);
	for (unsigned int i = 0; i < SLOTS; i++) {
		struct zombie_hold *h = &w.hold[i];

		if (slot_state(h->word) != IPAMD_HELD || h->evidence != ZOMBIE_PROOF)
			continue;
		if (lives(i))
			test_stop(T_FAIL, "slot %u, id %d, claimed at %llu, is alive at %llu", i,
				  h->nsid, (unsigned long long)h->claimed_at_ms,
				  (unsigned long long)w.now_ms);
		w.proofs++;
		w.reused += has_id(h->nsid);
		w.displaced += !deaths;
		h->word = slot_set_state(h->word, IPAMD_FREE);
		h->evidence = ZOMBIE_KEEP;
	}
}

/* A part of what is there is read, late; the socket is seen empty when all of it was. */
static void read_messages(void)
{
	struct zombie_death deaths[QUEUE];
	unsigned int n = dice(w.queued + 1);

	for (unsigned int i = 0; i < n; i++)
		deaths[i] = (struct zombie_death){w.queue[i], w.empty_ms};
	check_proven(deaths, n);
	w.queued -= n;
	memmove(w.queue, w.queue + n, w.queued * sizeof(w.queue[0]));
	if (!w.queued)
		w.empty_ms = w.now_ms;
}

/* The question is asked now; the answer is read when more has happened. */
static void ask(bool *asked, uint64_t *asked_ms, bool gone[IDS])
{
	struct zombie_death deaths[IDS];
	unsigned int m = 0;

	if (!*asked) {
		*asked_ms = w.now_ms;
		for (int i = 0; i < IDS; i++)
			gone[i] = !has_id(i);
	} else {
		for (int i = 0; i < IDS; i++)
			if (gone[i])
				deaths[m++] = (struct zombie_death){i, *asked_ms};
		check_proven(deaths, m);
	}
	*asked = !*asked;
}

TEST(no_proof_ever_names_a_live_pod)
{
	bool asked = false, gone[IDS] = {0};
	uint64_t asked_ms = 0;

	w = (struct world){.seed = 9, .now_ms = 1000};
	for (int i = 0; i < 3000000; i++) {
		switch (dice(16)) {
		case 0 ... 5:
			claim();
			break;
		case 6 ... 8:
			die();
			break;
		case 9:
			release();
			break;
		case 10:
			read_messages();
			break;
		case 11:
			if (!dice(8))
				ask(&asked, &asked_ms, gone);
			break;
		case 12:
			if (!dice(8))
				check_proven(NULL, 0);
			break;
		default:
			w.now_ms += dice(3) ? 0 : dice(200);
		}
	}
	printf("# %u proofs, %u of ids that another had by then, %u by a younger hold, %u messages "
	       "lost\n",
	       w.proofs, w.reused, w.displaced, w.lost);
	CHECK(w.proofs > 10000 && w.reused > 1000 && w.displaced > 1000 && w.lost > 1000);
}

/* What is dead is found: with all questions answered, only a reused id hides a death. */
TEST(a_whole_dump_finds_every_death_whose_id_is_free)
{
	struct zombie_death deaths[IDS];

	w = (struct world){.seed = 10, .now_ms = 1000};
	for (int i = 0; i < 20000; i++) {
		unsigned int m = 0;

		for (int j = 0; j < 30; j++)
			dice(2) ? claim() : die();
		w.now_ms += 100; /* restored holds are up to 50 ms ahead */
		for (int id = 0; id < IDS; id++)
			if (!has_id(id))
				deaths[m++] = (struct zombie_death){id, w.now_ms};
		check_proven(deaths, m);
		for (unsigned int j = 0; j < SLOTS; j++)
			if (slot_state(w.hold[j].word) == IPAMD_HELD && !lives(j) &&
			    w.hold[j].nsid >= 0 && w.hold[j].claimed_at_ms)
				CHECK(has_id(w.hold[j].nsid));
	}
}

/* Looks of all kinds; the oracle counts for each hold how long it was found nowhere. */
TEST(weak_evidence_frees_only_what_was_nowhere_for_the_whole_grace)
{
	static uint64_t nowhere_since[MOST], first_word[MOST];
	unsigned int seed = 11, freed = 0, looks[MOST] = {0};
	uint64_t now = 1000000;

	set_node(MOST);
	for (int round = 0; round < 20000; round++) {
		struct zombie_look look = {
			.whole = rand_r(&seed) % 4,
			.found = rand_r(&seed) % 8,
			.began_ms = now += rand_r(&seed) % 30000,
			.ended_ms = now += 1 + rand_r(&seed) % 100,
			.grace_ms = ZOMBIE_GRACE_MS,
		};
		bool counts = look.whole && look.found;
		unsigned int n, held = 0;

		for (int i = 0; i < MOST; i++) {
			struct zombie_hold *h = &node[i];

			if (rand_r(&seed) % 20 == 0) { /* the next life */
				h->word =
					slot_set_state(held_word(i + 1, rand_r(&seed)),
						       rand_r(&seed) % 4 ? IPAMD_HELD : IPAMD_FREE);
				h->claimed_at_ms = look.began_ms - rand_r(&seed) % 90000;
			}
			h->evidence = rand_r(&seed) % 10 ? ZOMBIE_WEAK : ZOMBIE_KEEP;
			held += slot_state(h->word) == IPAMD_HELD;
			if (h->evidence == ZOMBIE_KEEP || h->word != first_word[i]) {
				looks[i] = 0;
				first_word[i] = h->word;
			}
			if (h->evidence == ZOMBIE_WEAK && counts && !looks[i]++)
				nowhere_since[i] = look.ended_ms;
		}
		n = zombie_judge(marks, node, MOST, &look, slots);
		CHECK(n <= (counts ? zombie_budget(held) : 0));
		for (unsigned int j = 0; j < n; j++) {
			struct zombie_hold *h = &node[slots[j]];

			CHECK_EQ(slot_state(h->word), IPAMD_HELD);
			CHECK(looks[slots[j]] >= 2);
			CHECK(look.began_ms - nowhere_since[slots[j]] >= ZOMBIE_GRACE_MS);
			CHECK(look.began_ms - h->claimed_at_ms >= ZOMBIE_GRACE_MS);
			h->word = slot_set_state(h->word, IPAMD_FREE);
		}
		freed += n;
	}
	printf("# %u freed\n", freed);
	CHECK(freed > 1000);
}

TEST_MAIN

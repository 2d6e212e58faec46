// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds whose pod is gone without a DEL (core/zombie.h judges, here it is asked
 * and done).
 *
 *   a namespace died        its id is asked for; gone is proof: at once
 *   every ASK_MS            all ids of holders are asked for: what a full socket
 *                           lost, what died while the manager was away
 *   every LOOK_MS           a whole look at all namespaces and at the runtime's
 *                           results: who is in neither is marked, and reclaimed when
 *                           that lasts
 *
 * A reclaim expects the word that the evidence is about, so that it never ends the
 * next life of an address.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/request.h"
#include "userspace/ipamd.h"

enum { ASK_MS = 30000, LOOK_MS = 60000 };

static struct zombie_hold holds[IPAMD_SLOTS_MAX];
static uint32_t found[IPAMD_SLOTS_MAX];
static __s32 asked[IPAMD_SLOTS_MAX];
static int answers[IPAMD_SLOTS_MAX];
static struct zombie_death deaths[IPAMD_SLOTS_MAX];

/* --- Who holds ------------------------------------------------------------------------ */

/* The record is read again only for a word that has changed. */
static void refresh(struct manager *m, unsigned int slot)
{
	uint64_t word = mem_load(&m->pin->words[slot]);
	struct zombie_hold *hold = &holds[slot];
	struct ipamd_holder h;
	int r;

	hold->evidence = ZOMBIE_KEEP;
	if (slot_same(hold->word, word) && slot_state(word) == IPAMD_HELD) {
		hold->word = word;
		return;
	}
	*hold = (struct zombie_hold){.word = word, .nsid = -1};
	if (slot_state(word) != IPAMD_HELD)
		return;
	r = pin_holder(m->pin, slot, word, &h);
	if (r < 0)
		m->ask_at_ms = 0; /* once more in the next turn */
	if (r) {
		hold->word = 0; /* changed meanwhile: nobody's business now */
		return;
	}
	hold->restored = !h.claimed_at_ms;
	hold->claimed_at_ms = h.claimed_at_ms ? h.claimed_at_ms : m->started_ms;
	hold->cookie = h.who.netns_cookie;
	/* An id of before is an id in another namespace. */
	if (hold->claimed_at_ms >= m->netns_since_ms)
		hold->nsid = h.who.nsid;
}

static unsigned int refresh_all(struct manager *m)
{
	unsigned int held = 0;

	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++) {
		refresh(m, slot);
		held += slot_state(holds[slot].word) == IPAMD_HELD;
	}
	return held;
}

/* --- Reclaiming -------------------------------------------------------------------------- */

/* The reason is set once it is true: a DEL may have been quicker. */
int zombie_reclaim(struct manager *m, unsigned int slot, uint64_t word, const char *why)
{
	int r = stock_step(m, slot, word, slot_released(word, now_ms()));

	for (unsigned int other = 0; !r && other < m->pin->meta->slots; other++) {
		const struct ledger_row *row = ledger_at(m->ledger, other);

		/* Its other address went with it. */
		if (other == slot || (row && slot_state(row->seen) == IPAMD_HELD &&
				      slot_tag(row->seen) == slot_tag(word)))
			m->ended_by[other] = why;
	}
	return r;
}

static const char *why_of(unsigned int slot)
{
	return holds[slot].evidence == ZOMBIE_PROOF
		       ? "reclaimed: its network namespace is gone"
		       : "reclaimed: no namespace has the address, no result names it";
}

/* One line for all, since a thousand pods may die at once. */
static void say_reclaimed(struct manager *m, unsigned int slot, unsigned int count)
{
	const struct ledger_row *row = ledger_at(m->ledger, slot);
	char text[ADDR_TEXT] = "?";

	if (row)
		addr_print(&row->address, text);
	if (count == 1)
		log_say(LOG_INFO, "%s %s", text, why_of(slot));
	else
		log_say(LOG_INFO, "%u addresses, one of them %s: %s", count, text, why_of(slot));
}

static void reclaim(struct manager *m, unsigned int n)
{
	unsigned int count = 0, last = 0;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int slot = found[i];

		int r = zombie_reclaim(m, slot, holds[slot].word, why_of(slot));

		if (r < 0) /* not even tried: once more in the next turn */
			m->ask_at_ms = 0;
		if (r) /* released by itself, or with its other address */
			continue;
		if (holds[slot].evidence == ZOMBIE_PROOF)
			m->counters.reclaims_proof++;
		else
			m->counters.reclaims_weak++;
		last = slot;
		count++;
	}
	if (count)
		say_reclaimed(m, last, count);
}

/* --- Proof ----------------------------------------------------------------------------------- */

static void reclaim_proven(struct manager *m)
{
	reclaim(m, zombie_judge(m->mark, holds, m->pin->meta->slots, NULL, found));
}

/* Claimed in the millisecond of the question, as by a pod that died at once. */
static bool is_doubtful(const struct zombie_death *death, unsigned int slots)
{
	for (unsigned int slot = 0; slot < slots; slot++)
		if (zombie_is_doubtful(&holds[slot], death))
			return true;
	return false;
}

/*
 * Asks for ids, and reclaims what the answers prove.  Ordering: the holders are
 * read before the question, so that who is found dead had the id when it was put.
 */
static int ask(struct manager *m, unsigned int count)
{
	unsigned int gone = 0, slots = m->pin->meta->slots;
	uint64_t since = now_ms();
	int r = netns_ask_many(m->netns, asked, count, answers);

	for (unsigned int i = 0; i < count; i++)
		if (answers[i] == NETNS_GONE)
			deaths[gone++] = (struct zombie_death){asked[i], since};
	if (gone && zombie_prove_dead(holds, slots, deaths, gone))
		reclaim_proven(m);
	for (unsigned int i = 0; i < gone; i++)
		if (is_doubtful(&deaths[i], slots))
			m->ask_at_ms = 0; /* by the next turn */
	/* An id that died and lives is another namespace's by now. */
	if (gone < count && zombie_prove_displaced(holds, slots))
		reclaim_proven(m);
	return r;
}

struct dead {
	__s32 id[IPAMD_SLOTS_MAX];
	unsigned int count;
	bool many;
};

static void remember_dead(void *ctx, __s32 nsid)
{
	struct dead *d = ctx;

	if (d->count == sizeof(d->id) / sizeof(d->id[0]))
		d->many = true;
	else
		d->id[d->count++] = nsid;
}

static int by_id(const void *a, const void *b)
{
	const __s32 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Of the ids that died those that a holder has. */
static unsigned int choose(struct manager *m, struct dead *d)
{
	unsigned int n = 0;

	qsort(d->id, d->count, sizeof(d->id[0]), by_id);
	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++)
		if (slot_state(holds[slot].word) == IPAMD_HELD &&
		    bsearch(&holds[slot].nsid, d->id, d->count, sizeof(d->id[0]), by_id))
			asked[n++] = holds[slot].nsid;
	return n;
}

static void ask_for_all(struct manager *m)
{
	unsigned int n = 0;

	if (!refresh_all(m))
		return;
	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++)
		if (slot_state(holds[slot].word) == IPAMD_HELD && holds[slot].nsid >= 0)
			asked[n++] = holds[slot].nsid;
	if (n && ask(m, n))
		log_say(LOG_WARNING,
			"the namespaces of the pods could not be asked for: "
			"tried again in %d s",
			ASK_MS / 1000);
}

void zombie_deaths(struct manager *m)
{
	static struct dead dead;
	__u64 since;
	unsigned int n;
	int r;

	dead.count = 0;
	dead.many = false;
	r = netns_read(m->netns, remember_dead, &dead, &since);
	if (r || dead.many) {
		if (r < 0)
			log_say(LOG_WARNING, "deaths of namespaces cannot be read: %s",
				strerror(-r));
		ask_for_all(m);
		return;
	}
	if (!dead.count || !refresh_all(m))
		return;
	n = choose(m, &dead);
	if (n && ask(m, n))
		m->ask_at_ms = 0; /* by the next turn */
}

/* --- Weak evidence ------------------------------------------------------------------------------
 */

static void look(struct manager *m)
{
	struct zombie_look l = {.began_ms = now_ms(), .grace_ms = ZOMBIE_GRACE_MS};

	if (!refresh_all(m))
		return;
	if (witness_look(m)) {
		log_say(LOG_WARNING, "the namespaces cannot be read as a whole: no weak evidence");
		return;
	}
	l.whole = witness_is_complete(&l.found);
	l.ended_ms = now_ms();
	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++) {
		const struct ledger_row *row = ledger_at(m->ledger, slot);

		if (row && slot_state(holds[slot].word) == IPAMD_HELD &&
		    witness_of(&row->address, true) == WITNESS_SEES_NOTHING)
			holds[slot].evidence = ZOMBIE_WEAK;
	}
	reclaim(m, zombie_judge(m->mark, holds, m->pin->meta->slots, &l, found));
}

void zombie_turn(struct manager *m)
{
	uint64_t now = now_ms();

	if (now >= m->ask_at_ms) {
		m->ask_at_ms = now + ASK_MS;
		ask_for_all(m);
	}
	if (now >= m->look_at_ms) {
		m->look_at_ms = now + LOOK_MS;
		look(m);
	}
}

unsigned int zombie_candidates(const struct manager *m)
{
	unsigned int n = 0;

	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++)
		n += m->mark[slot].looks != 0;
	return n;
}

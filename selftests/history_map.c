// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * At rest: the map against what the history says must be in it.  V7 is what is there
 * and must not be, V8 what is not there and must be.
 */
#include <stdlib.h>
#include <string.h>

#include "selftests/history_round.h"

struct rest {
	struct round *r;
	const struct history_map *map;
	__u32 slots;
	__u32 *slot_of;  /* one an address: where the fills put it, HISTORY_NONE */
	__u32 *seen;     /* one an address: in how many slots it is */
	__u32 *entry_of; /* one a key: its entry + 1 */
};

static void leak(struct rest *t, const char *text, __u32 slot, __u32 key,
		 const struct history_op *op)
{
	round_report(t->r, HISTORY_V7, text, slot, key, op, NULL);
}

static void lost(struct rest *t, const char *text, __u32 slot, __u32 key,
		 const struct history_op *op)
{
	round_report(t->r, HISTORY_V8, text, slot, key, op, NULL);
}

/* --- Words that are HELD -------------------------------------------------- */

static const struct history_entry *entry_of(const struct rest *t, __u32 key)
{
	return key < t->r->h->shape.keys && t->entry_of[key]
		       ? &t->map->entries[t->entry_of[key] - 1]
		       : NULL;
}

static bool entry_names(const struct history_entry *e, __u32 slot, __u64 word)
{
	return (e->entry.first && (e->entry.slots & 0xffff) == slot &&
		slot_same(e->entry.first, word)) ||
	       (e->entry.second && e->entry.slots >> 32 == 2 &&
		(e->entry.slots >> 16 & 0xffff) == slot && slot_same(e->entry.second, word));
}

/* An ADD that was killed and may have claimed for that key. */
static const struct history_op *unanswered_add(const struct round *r, __u32 key)
{
	for (__u32 i = r->op_at[key]; i < r->op_at[key + 1]; i++)
		if (r->ops[i]->what == HISTORY_ADD && !op_did(r->ops[i]) && op_may_have(r->ops[i]))
			return r->ops[i];
	return NULL;
}

static struct grant *grant_of(const struct round *r, __u32 slot, __u64 word)
{
	__u32 nth = round_nth(r, slot, word);

	for (__u32 i = round_find(r, slot, nth);
	     i < r->hold_count && r->holds[i].slot == slot && r->holds[i].nth == nth; i++)
		if (slot_same(r->holds[i].grant->got[r->holds[i].family].word, word))
			return r->holds[i].grant;
	return NULL;
}

static void check_held(struct rest *t, __u32 slot)
{
	const struct history_place *p = &t->map->places[slot];
	const struct history_entry *e = entry_of(t, p->key);
	struct grant *g = grant_of(t->r, slot, p->word);

	if (p->key >= t->r->h->shape.keys ||
	    slot_tag_of(&t->r->h->shape.ids[p->key]) != slot_tag(p->word) ||
	    !slot_same(p->record, p->word)) {
		leak(t, "the record of a held slot is another's", slot, p->key, NULL);
		return;
	}
	if (!e || !entry_names(e, slot, p->word))
		leak(t, "held, but no entry leads there", slot, p->key,
		     g ? grant_ack(t->r, g) : NULL);
	if (!g && !unanswered_add(t->r, p->key))
		leak(t, "held, but nobody was told so", slot, p->key, NULL);
	if (!g)
		return;
	if (g->end_hi != NEVER)
		leak(t, "held, though it was released", slot, g->key, grant_ack(t->r, g));
}

static bool is_held(const struct rest *t, __u64 at, __u64 word)
{
	__u32 slot = at & 0xffff;

	return slot_state(word) == IPAMD_HELD && slot < t->slots &&
	       slot_same(t->map->places[slot].word, word);
}

static void check_entry(struct rest *t, const struct history_entry *e)
{
	bool both = e->entry.slots >> 32 == 2;

	if (e->key == HISTORY_NONE)
		leak(t, "an entry of nobody", HISTORY_NONE, e->key, NULL);
	else if (slot_state(e->entry.first) != IPAMD_HELD)
		leak(t, "an entry that is not held", HISTORY_NONE, e->key, NULL);
	else if (!is_held(t, e->entry.slots, e->entry.first) ||
		 (both && !is_held(t, e->entry.slots >> 16, e->entry.second)))
		leak(t, "an entry leads to no held word", e->entry.slots & 0xffff, e->key, NULL);
}

static void check_grants(struct rest *t)
{
	for (__u32 i = 0; i < t->r->grant_count; i++) {
		const struct grant *g = &t->r->grants[i];
		const struct history_op *op = grant_ack(t->r, g);

		if (g->end_lo != NEVER)
			continue;
		for (int f = 0; f < IPAMD_FAMILIES; f++)
			if (g->got[f].word &&
			    !slot_same(t->map->places[g->got[f].slot].word, g->got[f].word))
				lost(t, "a grant is gone, and nobody released it", g->got[f].slot,
				     g->key, op);
	}
}

/* --- Slots and addresses -------------------------------------------------- */

static void place_addresses(struct rest *t)
{
	struct round *r = t->r;

	memset(t->slot_of, 0xff, r->h->shape.addresses * sizeof(*t->slot_of));
	for (__u32 slot = 0; slot < t->slots; slot++) {
		__u32 a = r->expect[slot].address;

		if (a >= r->h->shape.addresses)
			continue;
		if (t->slot_of[a] != HISTORY_NONE)
			leak(t, "an address was filled into two slots", slot, HISTORY_NONE, NULL);
		t->slot_of[a] = slot;
	}
}

static void check_address(struct rest *t, __u32 slot)
{
	const struct history_place *p = &t->map->places[slot];

	if (p->address >= t->r->h->shape.addresses) {
		leak(t, "an address that nobody provisioned", slot, HISTORY_NONE, NULL);
		return;
	}
	if (t->seen[p->address]++)
		leak(t, "one address in two slots", slot, HISTORY_NONE, NULL);
	if (p->named != slot)
		leak(t, "`names` does not lead to the address's slot", slot, HISTORY_NONE, NULL);
	if (t->slot_of[p->address] != slot && !t->r->expect[slot].unsure)
		leak(t, "an address in a slot it was not filled into", slot, HISTORY_NONE, NULL);
}

static void check_place(struct rest *t, __u32 slot)
{
	const struct history_place *p = &t->map->places[slot];
	const struct expect *x = &t->r->expect[slot];
	enum ipamd_state state = slot_state(p->word);

	if (state == IPAMD_CLAIMING || state == IPAMD_MOVED)
		leak(t, "a word that nobody will bring to an end", slot, p->key, NULL);
	if (state == IPAMD_HELD)
		check_held(t, slot);
	if (state != IPAMD_EMPTY)
		check_address(t, slot);
	else if (x->address != HISTORY_NONE && !x->unsure)
		lost(t, "a filled address is gone", slot, HISTORY_NONE, NULL);
	if (x->unsure || state == IPAMD_EMPTY)
		return;
	if (x->fixed && (!(p->word & SLOT_FIXED) || p->workload != x->workload))
		lost(t, "a fixed address is fixed no more", slot, HISTORY_NONE, NULL);
	if (!x->fixed && p->word & SLOT_FIXED)
		leak(t, "a fixed address that nobody fixed", slot, HISTORY_NONE, NULL);
}

/* --- Generations ---------------------------------------------------------- */

/* Claims that nobody was told of: not more than were undone or killed. */
static void check_generations(struct rest *t)
{
	struct round *r = t->r;
	__u64 silent = 0, tries = 0;

	for (__u32 slot = 0, i = 0; slot < t->slots; slot++) {
		__u32 last = round_nth(r, slot, t->map->places[slot].word), told = 0, nth = 0;

		for (; i < r->hold_count && r->holds[i].slot == slot; i++) {
			told += r->holds[i].nth && r->holds[i].nth != nth;
			nth = r->holds[i].nth;
		}
		if (nth > last) {
			leak(t, "an answer names a generation that never was", slot, HISTORY_NONE,
			     NULL);
			return;
		}
		silent += last - told;
	}
	for (__u32 i = 0; i < r->op_at[r->h->shape.keys]; i++)
		tries += r->ops[i]->what == HISTORY_ADD && !op_did(r->ops[i]) &&
			 (op_may_have(r->ops[i]) || op_is_undone(r->ops[i]));
	if (silent > IPAMD_FAMILIES * tries)
		leak(t, "more generations went by than claims were tried", HISTORY_NONE,
		     HISTORY_NONE, NULL);
}

static void check_broken(struct rest *t)
{
	struct round *r = t->r;

	for (__u32 i = 0; i < r->op_at[r->h->shape.keys]; i++)
		if (r->ops[i]->verdict == IPAMD_BROKEN || r->ops[i]->verdict < 0)
			leak(t, "a program broke", HISTORY_NONE, r->ops[i]->key, r->ops[i]);
	for (__u32 i = 0; i < r->step_count; i++)
		if (r->steps[i]->verdict == IPAMD_BROKEN || r->steps[i]->verdict < 0)
			leak(t, "a step broke", r->steps[i]->got[0].slot, HISTORY_NONE,
			     r->steps[i]);
}

void round_check_map(struct round *r)
{
	struct rest t = {.r = r, .map = r->map, .slots = r->h->shape.slots};

	t.slot_of = round_need(r->h->shape.addresses, sizeof(*t.slot_of));
	t.seen = round_need(r->h->shape.addresses, sizeof(*t.seen));
	t.entry_of = round_need(r->h->shape.keys, sizeof(*t.entry_of));
	for (__u32 i = 0; i < r->map->entry_count; i++)
		if (r->map->entries[i].key < r->h->shape.keys)
			t.entry_of[r->map->entries[i].key] = i + 1;
	place_addresses(&t);
	for (__u32 slot = 0; slot < t.slots; slot++)
		check_place(&t, slot);
	for (__u32 i = 0; i < r->map->entry_count; i++)
		check_entry(&t, &r->map->entries[i]);
	check_grants(&t);
	check_generations(&t);
	check_broken(&t);
	free(t.slot_of);
	free(t.seen);
	free(t.entry_of);
}

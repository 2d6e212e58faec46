// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The history of each slot and of each address.  Along the generations of a slot its
 * holds and the manager's steps stand in their true order, whatever the clocks say;
 * fills then string the slots of an address together.  V1 and V2; and the times at which
 * an address lay idle, for V6.
 */
#include <stdlib.h>
#include <string.h>

#include "selftests/history_round.h"

struct walk { /* along one slot */
	struct round *r;
	struct idle *idle; /* of all slots */
	__u32 idle_count;
	__u32 slot;
	__u32 nth;
	enum ipamd_state state;
	struct expect now;
	__u64 tenure;
	bool was_fixed; /* at some time since the last hold, */
	bool is_silent; /* since which there was a claim that nobody was told of */
	__u64 avail_ns; /* the time of the free word, as far as the manager wrote it */
	__u64 from_ns;  /* free and ready for certain from here on; NEVER: not so */
	__u32 pool;
};

static __u64 word_ns(__u64 word)
{
	return slot_time(word) * MS;
}

/* --- Along one slot ------------------------------------------------------- */

static void be_idle(struct walk *w, __u64 to_ns)
{
	if (w->from_ns < to_ns && !w->now.fixed && !w->now.unsure)
		w->idle[w->idle_count++] = (struct idle){w->pool, w->from_ns, to_ns};
	w->from_ns = NEVER;
}

static void begin(struct walk *w, struct round *r, __u32 slot)
{
	const struct history_place *p = &r->h->before[slot];

	w->r = r;
	w->slot = slot;
	w->nth = 0;
	w->state = slot_state(p->word);
	w->now = (struct expect){p->address, HISTORY_NONE, !!(p->word & SLOT_FIXED), false};
	if (w->now.fixed)
		w->now.workload = p->workload;
	w->was_fixed = w->now.fixed;
	w->is_silent = false;
	w->tenure = 0;
	w->pool = slot_pool(p->word);
	w->avail_ns = w->state == IPAMD_FREE ? word_ns(p->word) : 0;
	w->from_ns = w->state == IPAMD_FREE ? w->avail_ns : NEVER;
}

static void check_claimable(struct walk *w, const struct hold *hold)
{
	const struct grant *g = hold->grant;
	const struct history_op *op = grant_ack(w->r, g);
	const struct history_got *got = &g->got[hold->family];
	bool fixed = got->word & SLOT_FIXED;

	if (w->now.unsure)
		return;
	if (w->state != IPAMD_FREE && w->state != IPAMD_HELD)
		round_report(w->r, HISTORY_V1, "claimed out of a slot that was not in stock",
			     w->slot, g->key, op, NULL);
	else if (fixed != w->now.fixed)
		round_report(w->r, HISTORY_V1, "claimed without, or against, its being fixed",
			     w->slot, g->key, op, NULL);
	else if (fixed && w->r->h->shape.workloads[g->key] != w->now.workload)
		round_report(w->r, HISTORY_V1, "another workload's fixed address", w->slot, g->key,
			     op, NULL);
	if (!fixed && !hold->afresh && w->avail_ns > g->born_hi)
		round_report(w->r, HISTORY_V2, "claimed before the time in its word", w->slot,
			     g->key, op, NULL);
	/* Refilled under the program's feet, the answer is of no use, but no harm. */
	if (op && op->return_ns < g->end_lo && got->address != w->now.address)
		round_report(w->r, HISTORY_V1, "the answer names an address that the slot has not",
			     w->slot, g->key, op, NULL);
}

static void check_wanted(struct walk *w, const struct grant *g)
{
	if (g->creator && g->creator->want != HISTORY_NONE &&
	    g->got[0].address != g->creator->want && g->got[1].address != g->creator->want)
		round_report(w->r, HISTORY_V1, "the answer has not the address asked for", w->slot,
			     g->key, g->creator, NULL);
}

/* The first ns at which a word released by `end_ns` is ready for certain. */
static __u64 ready_by(const struct round *r, const struct grant *g, __u32 pool)
{
	const struct history_shape *s = &r->h->shape;
	__u64 cooldown = s->cooldown_ms[pool];

	if (g->end_hi == NEVER)
		return NEVER;
	if (g->reclaim && cooldown < s->reclaim_ms)
		cooldown = s->reclaim_ms;
	return slot_ready_at(g->end_hi, cooldown) * MS;
}

static void walk_hold(struct walk *w, struct hold *hold)
{
	const struct grant *g = hold->grant;

	hold->address = w->now.address;
	hold->tenure = w->tenure;
	hold->afresh = w->was_fixed && (w->is_silent || hold->nth > w->nth + 1);
	if (!g->carried) {
		check_claimable(w, hold);
		check_wanted(w, g);
		if (hold->nth == w->nth + 1)
			be_idle(w, g->born_lo);
		if (hold->nth == w->nth && hold->nth)
			return; /* twice the same one: the address's walk sees it */
		if (!hold->nth)
			round_report(w->r, HISTORY_V1, "a generation of the rounds before", w->slot,
				     g->key, grant_ack(w->r, g), NULL);
	}
	w->nth = hold->nth;
	w->state = IPAMD_HELD;
	w->was_fixed = w->now.fixed;
	w->is_silent = false;
	w->avail_ns = 0;
	w->pool = slot_pool(g->got[hold->family].word);
	w->from_ns = ready_by(w->r, g, w->pool);
}

static void walk_fill(struct walk *w, const struct history_op *op)
{
	w->now.address = op->got[0].address;
	w->tenure = op->return_ns;
	w->pool = slot_pool(op->got[0].word);
}

static void walk_step(struct walk *w, const struct history_op *op, __u32 nth)
{
	__u64 word = op->got[0].word;

	if (history_is_reclaim(op))
		return; /* it is in the grant's bounds */
	if (!op_did(op)) {
		w->now.unsure |= op_may_have(op);
		return;
	}
	if (nth != w->nth) {
		w->is_silent = true;
		w->from_ns = NEVER;
	}
	w->nth = nth;
	if (slot_state(op->expected) == IPAMD_FREE)
		be_idle(w, op->invoke_ns);
	if (slot_state(op->expected) == IPAMD_EMPTY)
		walk_fill(w, op);
	if ((op->expected ^ word) == SLOT_FIXED) {
		w->now.fixed = word & SLOT_FIXED;
		w->was_fixed |= w->now.fixed;
		w->now.workload = w->now.fixed ? op->key : HISTORY_NONE;
		w->from_ns = NEVER;
	}
	w->state = slot_state(word);
	if (w->state == IPAMD_FREE) {
		/* A time beyond the ring of 2^40 is of no use here: tests write small ones. */
		w->avail_ns = word_ns(word);
		w->from_ns = w->avail_ns > op->return_ns ? w->avail_ns : op->return_ns;
	} else if (w->state == IPAMD_EMPTY) {
		w->now = (struct expect){HISTORY_NONE, HISTORY_NONE, false, w->now.unsure};
	}
}

static void end(struct walk *w)
{
	const struct history_map *map = w->r->map;

	if (map && round_nth(w->r, w->slot, map->places[w->slot].word) == w->nth)
		be_idle(w, NEVER);
	w->r->expect[w->slot] = w->now;
}

static void walk_slots(struct walk *w, struct round *r)
{
	__u32 h = 0, s = 0;

	for (__u32 slot = 0; slot < r->h->shape.slots; slot++) {
		begin(w, r, slot);
		for (;;) {
			struct hold *hold =
				h < r->hold_count && r->holds[h].slot == slot ? &r->holds[h] : NULL;
			const struct history_op *step =
				s < r->step_count && r->steps[s]->got[0].slot == slot ? r->steps[s]
										      : NULL;
			__u32 nth = step ? round_nth(r, slot, step->expected) : 0;

			if (hold && (!step || hold->nth <= nth)) {
				walk_hold(w, hold);
				h++;
			} else if (step) {
				walk_step(w, step, nth);
				s++;
			} else {
				break;
			}
		}
		end(w);
	}
}

/* --- Along one address: V1 and V2 ----------------------------------------- */

static int by_address(const void *x, const void *y)
{
	const struct hold *a = *(struct hold *const *)x, *b = *(struct hold *const *)y;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	if (a->tenure != b->tenure)
		return a->tenure < b->tenure ? -1 : 1;
	if (a->nth != b->nth)
		return a->nth < b->nth ? -1 : 1;
	return (a->grant->born_hi > b->grant->born_hi) - (a->grant->born_hi < b->grant->born_hi);
}

/* The earliest at which the address may be claimed after it. */
static __u64 cooled_lo(const struct round *r, const struct hold *hold)
{
	const struct history_shape *s = &r->h->shape;
	const struct grant *g = hold->grant;
	__u64 cooldown = s->cooldown_ms[slot_pool(g->got[hold->family].word)];
	__u64 slow = cooldown > s->reclaim_ms ? cooldown : s->reclaim_ms;
	__u64 by_del = g->quick_lo == NEVER ? NEVER : g->quick_lo + cooldown * MS;
	__u64 by_reclaim = g->slow_lo == NEVER ? NEVER : g->slow_lo + slow * MS;

	return by_del < by_reclaim ? by_del : by_reclaim;
}

/*
 * A workload takes its own address out of its cooldown, and what follows is that claim's.
 */
static bool is_exempt(const struct hold *hold)
{
	return hold->afresh || hold->grant->got[hold->family].word & SLOT_FIXED;
}

static void check_pair(struct round *r, const struct hold *last, const struct hold *coolest,
		       const struct hold *next)
{
	const struct grant *a = last->grant, *b = next->grant;
	bool same = last->slot == next->slot && last->nth == next->nth;

	if (a != b && (same || a->end_lo > b->born_hi)) {
		if (a->key != b->key)
			round_report(r, HISTORY_V1, "two attachments hold one address", next->slot,
				     b->key, grant_ack(r, a), grant_ack(r, b));
		else
			round_report(r, HISTORY_V4, "claimed again without a release between",
				     next->slot, b->key, grant_ack(r, a), grant_ack(r, b));
		return;
	}
	if (!is_exempt(next) && cooled_lo(r, coolest) > b->born_hi)
		round_report(r, HISTORY_V2, "claimed before its cooldown ended", next->slot, b->key,
			     coolest->grant->ender, grant_ack(r, b));
}

static void check_addresses(struct round *r)
{
	struct hold **holds = round_need(r->hold_count, sizeof(*holds));
	struct hold *last = NULL, *coolest = NULL;

	for (__u32 i = 0; i < r->hold_count; i++)
		holds[i] = &r->holds[i];
	qsort(holds, r->hold_count, sizeof(*holds), by_address);
	for (__u32 i = 0; i < r->hold_count; i++) {
		struct hold *at = holds[i];

		if (at->address == HISTORY_NONE)
			continue;
		if (!last || last->address != at->address) {
			last = coolest = at;
			continue;
		}
		if (at->grant->carried)
			continue; /* the last round looked at it */
		check_pair(r, last, coolest, at);
		if (at->grant->end_lo >= last->grant->end_lo)
			last = at;
		if (is_exempt(at) || cooled_lo(r, at) >= cooled_lo(r, coolest))
			coolest = at;
	}
	free(holds);
}

void round_check_slots(struct round *r)
{
	struct walk w = {0};

	/* Each hold and each step ends one idle time at most, and each slot. */
	w.idle = round_need((size_t)r->hold_count + r->step_count + r->h->shape.slots,
			    sizeof(*w.idle));
	walk_slots(&w, r);
	check_addresses(r);
	round_check_idle(r, w.idle, w.idle_count);
	free(w.idle);
}

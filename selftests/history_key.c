// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The history of each attachment: V3, V4 and V5.
 */
#include <stdlib.h>

#include "selftests/history_key.h"

/* --- V3: a release that must not have had its effect ---------------------- */

static void check_stale_del(struct key *k, const struct grant *g)
{
	const struct history_op *del = g->ended_by;
	bool overtaken = false;

	if (!del)
		return;
	if (g->start_ns > del->start_ns)
		round_report(k->r, HISTORY_V3, "a DEL ended a claim that began after it",
			     HISTORY_NONE, g->key, grant_ack(k->r, g), del);
	for (__u32 i = g->ack_from; i < g->ack_to; i++)
		overtaken |= k->r->acks[i]->again && k->r->acks[i]->start_ns > del->start_ns &&
			     k->r->acks[i]->return_ns < del->invoke_ns;
	k->r->h->overtaken += overtaken;
}

static void check_stale_reclaim(struct key *k, const struct grant *g)
{
	const struct history_op *op = g->reclaim;
	struct round *r = k->r;

	if (!op || !op_did(op))
		return;
	if (k->sure_ret[key_from_invoke(k->sure, k->sure_count, g->born_hi)] < op->invoke_ns)
		round_report(r, HISTORY_V3, "a reclaim named a grant that a DEL had ended",
			     op->got[0].slot, g->key, grant_ack(r, g), op);
	for (__u32 f = 0; f < IPAMD_FAMILIES; f++) {
		const struct history_got *got = &g->got[f];
		__u32 nth = got->word ? round_nth(r, got->slot, got->word) : 0;
		__u32 at = round_find(r, got->slot, nth + 1);

		if (got->word && at < r->hold_count && r->holds[at].slot == got->slot &&
		    r->holds[at].grant->born_hi < op->invoke_ns)
			round_report(r, HISTORY_V3, "a reclaim named a generation of the past",
				     got->slot, g->key, op, grant_ack(r, r->holds[at].grant));
	}
}

/* Is there a claim that may have begun before `to` and not before `from`? */
static bool is_birth_between(const struct key *k, __u64 from, __u64 to)
{
	__u32 n = key_from_invoke(k->births, k->birth_count, to + 1);

	return n && k->birth_ret[n - 1] >= from;
}

static void check_double_release(struct key *k)
{
	bool carried = false;

	for (__u32 i = 0; i < k->sure_count; i++)
		k->ends[k->end_count++] = k->sure[i];
	for (__u32 i = 0; i < k->grant_count; i++) {
		carried |= k->grants[i].carried;
		if (k->grants[i].reclaim && op_did(k->grants[i].reclaim))
			k->ends[k->end_count++] = k->grants[i].reclaim;
	}
	qsort(k->ends, k->end_count, sizeof(*k->ends), key_by_return);
	for (__u32 i = 0; i < k->end_count; i++) {
		const struct history_op *a = i ? k->ends[i - 1] : NULL, *b = k->ends[i];
		__u64 from = !a ? 0 : a->invoke_ns < b->invoke_ns ? a->invoke_ns : b->invoke_ns;

		if (!(carried && !a) && !is_birth_between(k, from, b->return_ns))
			round_report(k->r, HISTORY_V3, "a release of what nobody held was OK",
				     HISTORY_NONE, k->number, a, b);
	}
}

/* --- V4: two grants at once ----------------------------------------------- */

static bool share_slot(const struct grant *a, const struct grant *b)
{
	for (int i = 0; i < IPAMD_FAMILIES; i++)
		for (int j = 0; j < IPAMD_FAMILIES; j++)
			if (a->got[i].word && b->got[j].word && a->got[i].slot == b->got[j].slot)
				return true;
	return false; /* in one slot generations tell: history_slot.c */
}

static void check_one_grant(struct key *k)
{
	struct grant *longest = NULL;

	for (__u32 i = 0; i < k->grant_count; i++) {
		struct grant *g = &k->grants[i];

		if (longest && longest->end_lo > g->born_hi && g->end_lo > longest->born_hi &&
		    !share_slot(longest, g))
			round_report(k->r, HISTORY_V4,
				     "two answers differ, and no release lies between",
				     HISTORY_NONE, g->key, grant_ack(k->r, longest),
				     grant_ack(k->r, g));
		if (!longest || g->end_lo > longest->end_lo)
			longest = g;
	}
}

static void check_answered_after(struct key *k, const struct grant *g)
{
	const struct history_op *last = NULL;

	for (__u32 i = g->ack_from; i < g->ack_to; i++)
		if (k->r->acks[i]->invoke_ns > g->end_hi)
			last = k->r->acks[i];
	if (last)
		round_report(k->r, HISTORY_V4, "an answer names a grant that had been released",
			     HISTORY_NONE, g->key, grant_ack(k->r, g), last);
}

/* One word, but not the same address in every answer. */
static void check_same_address(struct key *k, const struct grant *g)
{
	for (__u32 i = g->ack_from; i < g->ack_to; i++) {
		const struct history_op *op = k->r->acks[i];

		/* Released under the program's feet, the slot may have been refilled. */
		if (op->return_ns >= g->end_lo)
			continue;
		for (int f = 0; f < IPAMD_FAMILIES; f++)
			if (op->got[f].word && op->got[f].address != g->got[f].address)
				round_report(k->r, HISTORY_V4,
					     "two answers name two addresses for one word",
					     op->got[f].slot, g->key, grant_ack(k->r, g), op);
	}
}

/* --- V5: an ADD that had to be refused ------------------------------------ */

/* The newest start among buried[from..to). */
static __u64 newest_start(const struct key *k, __u32 from, __u32 to)
{
	__u64 newest = 0;
	__u32 l = from + k->buried_count, h = to + k->buried_count;

	for (; l < h; l /= 2, h /= 2) {
		if (l & 1 && k->tree[l] > newest)
			newest = k->tree[l];
		l += l & 1;
		if (h & 1 && k->tree[--h] > newest)
			newest = k->tree[h];
	}
	return newest;
}

static const struct history_op *burial_since(const struct key *k, __u32 from, __u32 to, __u64 start)
{
	for (__u32 i = from; i < to; i++)
		if (k->buried[i]->start_ns >= start)
			return k->buried[i];
	return NULL;
}

static void check_late(struct key *k, const struct history_op *add)
{
	__u32 n = key_from_return(k->buried, k->buried_count, add->invoke_ns);
	__u64 start = k->r->h->buried[add->key];

	if (n && k->buried_start[n - 1] > start)
		start = k->buried_start[n - 1];
	if (start >= add->start_ns)
		round_report(k->r, HISTORY_V5, "an ADD succeeded after a DEL that it is older than",
			     HISTORY_NONE, add->key, add, burial_since(k, 0, n, add->start_ns));
}

/* The DEL that answered under way must have ended it, or the ADD have seen the tombstone. */
static void check_outlived(struct key *k, const struct grant *g)
{
	__u32 from, to;

	if (!g->start_ns || (!g->creator && !g->carried))
		return;
	if (g->end_hi < g->seen_lo)
		return; /* not the claim, but the answer after it: V4 */
	from = key_from_return(k->buried, k->buried_count, g->creator ? g->creator->invoke_ns : 0);
	to = key_from_return(k->buried, k->buried_count, g->end_lo);
	if (from < to && newest_start(k, from, to) >= g->start_ns)
		round_report(k->r, HISTORY_V5, "an ADD outlived a DEL that it is older than",
			     HISTORY_NONE, g->key, grant_ack(k->r, g),
			     burial_since(k, from, to, g->start_ns));
}

/* Was the pool definitely closed from `invoke` to `ret`? */
static bool is_closed(const struct round *r, __u32 pool, __u64 invoke, __u64 ret)
{
	__u32 lo = 0, hi = r->gate_count;

	while (lo < hi) {
		__u32 mid = lo + (hi - lo) / 2;
		const struct history_op *op = r->gates[mid];

		if (op->pool[0] < pool || (op->pool[0] == pool && op->invoke_ns < ret))
			lo = mid + 1;
		else
			hi = mid;
	}
	/* The last word about it before the ADD returned. */
	return lo && r->gates[lo - 1]->pool[0] == pool && r->gates[lo - 1]->what == HISTORY_CLOSE &&
	       r->gates[lo - 1]->return_ns < invoke;
}

static void check_closed(struct key *k, const struct history_op *add)
{
	for (int f = 0; f < IPAMD_FAMILIES && !add->again; f++)
		if (add->got[f].word &&
		    is_closed(k->r, slot_pool(add->got[f].word), add->invoke_ns, add->return_ns))
			round_report(k->r, HISTORY_V5, "a claim in a pool past its deadline",
				     add->got[f].slot, add->key, add, NULL);
}

/* --- All of them ---------------------------------------------------------- */

static void check_key(struct key *k, __u32 key)
{
	key_load(k, key);
	for (__u32 i = 0; i < k->grant_count; i++) {
		struct grant *g = &k->grants[i];

		check_stale_del(k, g);
		check_stale_reclaim(k, g);
		check_answered_after(k, g);
		check_same_address(k, g);
		check_outlived(k, g);
	}
	check_double_release(k);
	check_one_grant(k);
	for (__u32 i = k->r->op_at[key]; i < k->r->op_at[key + 1]; i++) {
		const struct history_op *op = k->r->ops[i];

		if (op->what != HISTORY_ADD || !op_did(op))
			continue;
		check_late(k, op);
		check_closed(k, op);
	}
}

void round_check_keys(struct round *r)
{
	__u32 most = 0;
	struct key k;

	for (__u32 key = 0; key < r->h->shape.keys; key++)
		if (r->op_at[key + 1] - r->op_at[key] > most)
			most = r->op_at[key + 1] - r->op_at[key];
	key_open(&k, r, most);
	for (__u32 key = 0; key < r->h->shape.keys; key++)
		check_key(&k, key);
	key_close(&k);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * When each grant of an attachment can have begun and ended, by who may have released it:
 * what all rules build on.
 */
#include <stdlib.h>

#include "selftests/history_key.h"

int key_by_return(const void *x, const void *y)
{
	const struct history_op *a = *(const struct history_op *const *)x;
	const struct history_op *b = *(const struct history_op *const *)y;

	return (a->return_ns > b->return_ns) - (a->return_ns < b->return_ns);
}

__u32 key_from_return(const struct history_op *const *ops, __u32 n, __u64 ns)
{
	__u32 lo = 0, hi = n;

	while (lo < hi) {
		__u32 mid = lo + (hi - lo) / 2;

		if (ops[mid]->return_ns < ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

__u32 key_from_invoke(const struct history_op *const *ops, __u32 n, __u64 ns)
{
	__u32 lo = 0, hi = n;

	while (lo < hi) {
		__u32 mid = lo + (hi - lo) / 2;

		if (ops[mid]->invoke_ns < ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* --- One attachment's operations, sorted ---------------------------------- */

void key_open(struct key *k, struct round *r, __u32 most)
{
	*k = (struct key){.r = r};
	k->dels = round_need(most, sizeof(*k->dels));
	k->first = round_need(most + 1, sizeof(*k->first));
	k->second = round_need(most + 1, sizeof(*k->second));
	k->sure = round_need(most, sizeof(*k->sure));
	k->sure_ret = round_need(most + 1, sizeof(*k->sure_ret));
	k->undo = round_need(most, sizeof(*k->undo));
	k->buried = round_need(most, sizeof(*k->buried));
	k->buried_start = round_need(most + 1, sizeof(*k->buried_start));
	k->tree = round_need((size_t)2 * most + 2, sizeof(*k->tree));
	k->births = round_need(most, sizeof(*k->births));
	k->birth_ret = round_need(most + 1, sizeof(*k->birth_ret));
	k->ends = round_need((size_t)2 * most + r->h->entry_count + 1, sizeof(*k->ends));
}

void key_close(struct key *k)
{
	free(k->dels);
	free(k->first);
	free(k->second);
	free(k->sure);
	free(k->sure_ret);
	free(k->undo);
	free(k->buried);
	free(k->buried_start);
	free(k->tree);
	free(k->births);
	free(k->birth_ret);
	free(k->ends);
}

static void sort_op(struct key *k, const struct history_op *op)
{
	if (op->what == HISTORY_DEL) {
		if (op_may_have(op))
			k->dels[k->del_count++] = op;
		if (op_did(op))
			k->sure[k->sure_count++] = op;
		if (op_buried(op))
			k->buried[k->buried_count++] = op;
		return;
	}
	if ((op_may_have(op) && !(op_did(op) && op->again)) || op_is_undone(op))
		k->births[k->birth_count++] = op;
	/* Undone because it was late or killed: a DEL wanted it.  A closed pool does not. */
	if (!op_did(op) && (op_may_have(op) || op->verdict == IPAMD_LATE))
		k->undo[k->undo_count++] = op;
}

static void summarize_releases(struct key *k)
{
	qsort(k->dels, k->del_count, sizeof(*k->dels), key_by_return);
	k->first[k->del_count] = k->second[k->del_count] = NULL;
	for (__u32 i = k->del_count; i-- > 0;) {
		const struct history_op *op = k->dels[i], *a = k->first[i + 1];

		if (!a || op->invoke_ns < a->invoke_ns) {
			k->first[i] = op;
			k->second[i] = a;
		} else {
			const struct history_op *b = k->second[i + 1];

			k->first[i] = a;
			k->second[i] = !b || op->invoke_ns < b->invoke_ns ? op : b;
		}
	}
	k->sure_ret[k->sure_count] = NEVER;
	for (__u32 i = k->sure_count; i-- > 0;)
		k->sure_ret[i] = k->sure[i]->return_ns < k->sure_ret[i + 1] ? k->sure[i]->return_ns
									    : k->sure_ret[i + 1];
	qsort(k->undo, k->undo_count, sizeof(*k->undo), key_by_return);
}

static void summarize_burials(struct key *k)
{
	__u64 newest = 0;

	qsort(k->buried, k->buried_count, sizeof(*k->buried), key_by_return);
	for (__u32 i = 0; i < k->buried_count; i++) {
		if (k->buried[i]->start_ns > newest)
			newest = k->buried[i]->start_ns;
		k->buried_start[i] = newest;
		k->tree[k->buried_count + i] = k->buried[i]->start_ns;
	}
	for (__u32 i = k->buried_count; i-- > 1;)
		k->tree[i] =
			k->tree[2 * i] > k->tree[2 * i + 1] ? k->tree[2 * i] : k->tree[2 * i + 1];
	newest = 0;
	for (__u32 i = 0; i < k->birth_count; i++) {
		if (k->births[i]->return_ns > newest)
			newest = k->births[i]->return_ns;
		k->birth_ret[i] = newest;
	}
}

static void sort_ops(struct key *k, __u32 key)
{
	struct round *r = k->r;

	k->number = key;
	k->del_count = k->sure_count = k->undo_count = 0;
	k->buried_count = k->birth_count = k->end_count = 0;
	k->grants = r->grants + r->grant_at[key];
	k->grant_count = r->grant_at[key + 1] - r->grant_at[key];
	for (__u32 i = r->op_at[key]; i < r->op_at[key + 1]; i++)
		sort_op(k, r->ops[i]);
	summarize_releases(k);
	summarize_burials(k);
}

/* --- When a grant can have ended ------------------------------------------ */

static void consider(const struct history_op *op, const struct history_op **first,
		     const struct history_op **second)
{
	if (!op)
		return;
	if (!*first || op->invoke_ns < (*first)->invoke_ns) {
		*second = *first;
		*first = op;
	} else if (!*second || op->invoke_ns < (*second)->invoke_ns) {
		*second = op;
	}
}

static __u64 not_before(__u64 seen, const struct history_op *op)
{
	return !op ? NEVER : op->invoke_ns > seen ? op->invoke_ns : seen;
}

/*
 * Had that ADD a DEL to be late for that was not over when the grant was answered last?
 * One that was is no excuse: whoever was answered after it has nothing to do with it.
 */
static bool is_excused(const struct key *k, const struct grant *g, const struct history_op *late)
{
	for (__u32 i = k->r->op_at[k->number]; i < k->r->op_at[k->number + 1]; i++) {
		const struct history_op *op = k->r->ops[i];

		if (op->what == HISTORY_DEL && op->start_ns >= late->start_ns &&
		    op->invoke_ns <= late->return_ns &&
		    (op->return_ns >= g->seen_lo || !op_buried(op)))
			return true;
	}
	return false;
}

/*
 * The ADD of a grant that no claim was seen to begin may have undone it, because it was
 * killed or late.  There are few of them, so this may take its time.
 */
static const struct history_op *undoer(const struct key *k, const struct grant *g)
{
	const struct history_op *first = NULL;

	if (g->creator || g->carried)
		return NULL;
	for (__u32 i = key_from_return(k->undo, k->undo_count, g->seen_lo); i < k->undo_count;
	     i++) {
		const struct history_op *op = k->undo[i];

		if (op->invoke_ns <= g->born_hi && (!first || op->invoke_ns < first->invoke_ns) &&
		    (op->verdict != IPAMD_LATE || is_excused(k, g, op)))
			first = op;
	}
	return first;
}

static void bound(const struct key *k, struct grant *g)
{
	__u32 at = key_from_return(k->dels, k->del_count, g->seen_lo);
	const struct history_op *first = k->first[at], *second = k->second[at], *op;

	consider(undoer(k, g), &first, &second);
	g->quick_lo = not_before(g->seen_lo, first);
	g->slow_lo = not_before(g->seen_lo, g->reclaim);
	consider(g->reclaim, &first, &second);
	g->ender = first;
	g->end_lo = not_before(g->seen_lo, first);

	g->end_hi = k->sure_ret[key_from_invoke(k->sure, k->sure_count, g->born_hi)];
	op = g->reclaim;
	if (op && op_did(op) && op->return_ns < g->end_hi)
		g->end_hi = op->return_ns;

	/* Alive when it was invoked, and nobody else can have been before it was through. */
	if (first && first->what == HISTORY_DEL && op_did(first) &&
	    first->invoke_ns >= g->born_hi && (!second || second->invoke_ns > first->return_ns))
		g->ended_by = first;
}

void key_load(struct key *k, __u32 number)
{
	sort_ops(k, number);
	for (__u32 i = 0; i < k->grant_count; i++)
		bound(k, &k->grants[i]);
}

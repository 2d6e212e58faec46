// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * V6: exhausted, they say.  A claim that says so is held against the addresses that were
 * definitely idle all the time it ran, less what other claims can have had in their hands
 * for a moment.  Counted by sweeping over time, pool by pool.
 */
#include <stdlib.h>

#include "selftests/history_round.h"

struct look { /* a claim that found nothing */
	const struct history_op *op;
	__u32 idle[IPAMD_FAMILIES]; /* addresses it must have seen, but for `busy` others */
	__u32 busy[IPAMD_FAMILIES];
};

struct crowd {       /* of one pool */
	__u64 *to;   /* the ends of its idle addresses, sorted */
	__u32 *tree; /* how many of those begun, by rank of their end (Fenwick) */
	__u32 to_count;
	__u64 *invoke, *ret; /* claims that may have held a word for a moment, each sorted */
	__u32 busy_count;
};

static int by_number(const void *x, const void *y)
{
	const __u64 *a = x, *b = y;

	return (*a > *b) - (*a < *b);
}

static int by_from(const void *x, const void *y)
{
	const struct idle *a = x, *b = y;

	if (a->pool != b->pool)
		return a->pool < b->pool ? -1 : 1;
	return (a->from_ns > b->from_ns) - (a->from_ns < b->from_ns);
}

static int by_invoke(const void *x, const void *y)
{
	const struct look *a = *(struct look *const *)x, *b = *(struct look *const *)y;

	return (a->op->invoke_ns > b->op->invoke_ns) - (a->op->invoke_ns < b->op->invoke_ns);
}

/* How many of a sorted array are below `limit`. */
static __u32 below(const __u64 *a, __u32 n, __u64 limit)
{
	__u32 lo = 0, hi = n;

	while (lo < hi) {
		__u32 mid = lo + (hi - lo) / 2;

		if (a[mid] < limit)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_both(const struct history_op *op)
{
	return op->pool[0] < IPAMD_POOLS && op->pool[1] < IPAMD_POOLS;
}

/* What has only one family answers EXHAUSTED before it touched anything. */
static bool may_seize(const struct history_op *op)
{
	return op->what == HISTORY_ADD && !op_did(op) &&
	       (op->verdict != IPAMD_EXHAUSTED || is_both(op));
}

static void crowd_open(struct crowd *c, const struct round *r, __u32 pool, const struct idle *idle,
		       __u32 idle_count)
{
	__u32 n = r->op_at[r->h->shape.keys];

	*c = (struct crowd){.to_count = idle_count};
	c->to = round_need(idle_count, sizeof(*c->to));
	c->tree = round_need(idle_count + 1, sizeof(*c->tree));
	for (__u32 i = 0; i < idle_count; i++)
		c->to[i] = idle[i].to_ns;
	qsort(c->to, idle_count, sizeof(*c->to), by_number);
	for (__u32 i = 0; i < n; i++)
		c->busy_count += may_seize(r->ops[i]) &&
				 (r->ops[i]->pool[0] == pool || r->ops[i]->pool[1] == pool);
	c->invoke = round_need(c->busy_count, sizeof(*c->invoke));
	c->ret = round_need(c->busy_count, sizeof(*c->ret));
	for (__u32 i = 0, at = 0; i < n; i++)
		if (may_seize(r->ops[i]) &&
		    (r->ops[i]->pool[0] == pool || r->ops[i]->pool[1] == pool)) {
			c->invoke[at] = r->ops[i]->invoke_ns;
			c->ret[at++] = r->ops[i]->return_ns;
		}
	qsort(c->invoke, c->busy_count, sizeof(*c->invoke), by_number);
	qsort(c->ret, c->busy_count, sizeof(*c->ret), by_number);
}

static void crowd_close(struct crowd *c)
{
	free(c->to);
	free(c->tree);
	free(c->invoke);
	free(c->ret);
}

/* Idle from before `invoke` (the caller adds them in that order) until after `ret`. */
static __u32 crowd_idle(const struct crowd *c, __u64 ret)
{
	__u32 total = 0, before = 0;

	for (__u32 i = c->to_count; i; i &= i - 1)
		total += c->tree[i];
	for (__u32 i = below(c->to, c->to_count, ret); i; i &= i - 1)
		before += c->tree[i];
	return total - before;
}

static void look_around(struct look **looks, __u32 look_count, __u32 pool, const struct idle *idle,
			__u32 idle_count, struct crowd *c)
{
	__u32 next = 0;

	for (__u32 i = 0; i < look_count; i++) {
		const struct history_op *op = looks[i]->op;
		int f = op->pool[0] == pool ? 0 : 1;

		if (op->pool[f] != pool)
			continue;
		for (; next < idle_count && idle[next].from_ns <= op->invoke_ns; next++)
			for (__u32 at = below(c->to, c->to_count, idle[next].to_ns) + 1;
			     at <= c->to_count; at += at & -at)
				c->tree[at]++;
		looks[i]->idle[f] = crowd_idle(c, op->return_ns);
		looks[i]->busy[f] = below(c->invoke, c->busy_count, op->return_ns + 1) -
				    below(c->ret, c->busy_count, op->invoke_ns) -
				    (__u32)may_seize(op);
	}
}

static void check_looks(struct round *r, struct look **looks, __u32 look_count)
{
	for (__u32 i = 0; i < look_count; i++) {
		const struct look *l = looks[i];
		bool any = false, all = true;

		for (int f = 0; f < IPAMD_FAMILIES; f++)
			if (l->op->pool[f] < IPAMD_POOLS) {
				any = true;
				all &= l->idle[f] > l->busy[f];
			}
		if (any && all)
			round_report(r, HISTORY_V6, "EXHAUSTED, though addresses were ready",
				     HISTORY_NONE, l->op->key, l->op, NULL);
	}
}

void round_check_idle(struct round *r, struct idle *idle, __u32 idle_count)
{
	__u32 n = r->op_at[r->h->shape.keys], look_count = 0;
	struct look *space = round_need(n, sizeof(*space));
	struct look **looks = round_need(n, sizeof(*looks));

	for (__u32 i = 0; i < n; i++)
		if (r->ops[i]->what == HISTORY_ADD && r->ops[i]->verdict == IPAMD_EXHAUSTED) {
			space[look_count].op = r->ops[i];
			looks[look_count] = &space[look_count];
			look_count++;
		}
	qsort(looks, look_count, sizeof(*looks), by_invoke);
	qsort(idle, idle_count, sizeof(*idle), by_from);
	for (__u32 pool = 0, at = 0, end_at; look_count && pool < IPAMD_POOLS;
	     pool++, at = end_at) {
		struct crowd c;

		for (end_at = at; end_at < idle_count && idle[end_at].pool == pool; end_at++)
			;
		if (at == end_at)
			continue;
		crowd_open(&c, r, pool, idle + at, end_at - at);
		look_around(looks, look_count, pool, idle + at, end_at - at, &c);
		crowd_close(&c);
	}
	check_looks(r, looks, look_count);
	free(looks);
	free(space);
}

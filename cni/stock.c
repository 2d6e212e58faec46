// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cni/stock.h"

#include <errno.h>
#include <string.h>

#include "cni/clock.h"
#include "cni/pins.h"
#include "cni/problem.h"

int stock_meta(struct ipamd_meta *ret)
{
	__u32 zero = 0;
	int r = pins_read("meta", &zero, ret, sizeof(*ret));

	return !r && ret->slots > IPAMD_SLOTS_MAX ? -EPROTO : r;
}

/* --- Words ------------------------------------------------------------------------------- */

static int each_word(int (*take)(void *ctx, __u32 slot, __u64 word), void *ctx)
{
	struct ipamd_meta meta;
	struct ipamd_chunk chunk;
	int r = stock_meta(&meta);

	for (__u32 slot = 0; !r && slot < meta.slots; slot++) {
		__u32 index = slot / IPAMD_CHUNK;

		if (slot % IPAMD_CHUNK == 0)
			r = pins_read("words", &index, &chunk, sizeof(chunk));
		if (!r)
			r = take(ctx, slot, chunk.word[slot % IPAMD_CHUNK]);
	}
	return r;
}

static int read_word(__u32 slot, __u64 *ret)
{
	__u32 index = slot / IPAMD_CHUNK;
	struct ipamd_chunk chunk;
	int r = pins_read("words", &index, &chunk, sizeof(chunk));

	if (!r)
		*ret = chunk.word[slot % IPAMD_CHUNK];
	return r;
}

/* --- Counting ---------------------------------------------------------------------------- */

struct tally {
	struct stock *stock;
	__u32 pool[IPAMD_FAMILIES];
	__u64 now_ms;
};

static int count(void *ctx, __u32 slot, __u64 word)
{
	struct tally *t = ctx;

	(void)slot;
	for (int f = 0; f < IPAMD_FAMILIES; f++) {
		struct stock *s = &t->stock[f];
		__u64 in = (slot_time(word) - t->now_ms) & SLOT_TIME;

		if (slot_state(word) == IPAMD_EMPTY || slot_pool(word) != t->pool[f] || !s->family)
			continue;
		if (slot_state(word) == IPAMD_HELD)
			s->held++;
		else if (slot_state(word) != IPAMD_FREE || word & SLOT_FIXED)
			s->other++;
		else if (slot_is_ready(word, t->now_ms))
			s->ready++;
		else if (s->cooling++ == 0 || t->now_ms + in < s->next_ready_ms)
			s->next_ready_ms = t->now_ms + in;
	}
	return 0;
}

static int resolve(const struct ipamd_digest *name, __u64 *ret)
{
	int r = digest_is_set(name) ? pins_read("names", name, ret, sizeof(*ret)) : -ENOENT;

	return !r && !ref_is_of(*ret, name) ? -ENOENT : r;
}

/* As the claim program chooses. */
static int choose_pools(const struct ipamd_request *req, __u64 *ret)
{
	struct ipamd_meta meta;
	int r = resolve(&req->pool, ret);

	if (r == -ENOENT && digest_is_set(&req->pool))
		return IPAMD_NO_POOL;
	if (r == -ENOENT)
		r = resolve(&req->name_space, ret);
	if (r != -ENOENT)
		return r;
	r = stock_meta(&meta);
	*ret = r ? 0 : meta.default_pools;
	return r ? r : *ret ? 0 : IPAMD_NO_POOL;
}

int stock_count(const struct ipamd_request *req, struct stock ret[IPAMD_FAMILIES])
{
	struct tally t = {.stock = ret, .now_ms = clock_ms()};
	__u64 ref;
	int r = choose_pools(req, &ref);

	memset(ret, 0, IPAMD_FAMILIES * sizeof(*ret));
	for (int f = 0; !r && f < IPAMD_FAMILIES; f++) {
		struct ipamd_pool pool;

		t.pool[f] = ref_get(ref, f);
		if (t.pool[f] >= IPAMD_POOLS)
			continue;
		r = pins_read("pools", &t.pool[f], &pool, sizeof(pool));
		if (r)
			break;
		memcpy(ret[f].pool, pool.name, sizeof(ret[f].pool) - 1);
		ret[f].family = pool.family;
	}
	return r ? r : each_word(count, &t);
}

void stock_explain(const struct stock stock[IPAMD_FAMILIES])
{
	__u64 now = clock_ms();

	for (int f = 0; f < IPAMD_FAMILIES; f++) {
		const struct stock *s = &stock[f];

		if (!s->family)
			continue;
		problem_details("pool %s (IPv%d): %u ready, %u cooling", s->pool, s->family,
				s->ready, s->cooling);
		if (s->cooling)
			problem_details(
				" (the next is ready in %llu s)",
				(unsigned long long)(s->next_ready_ms > now
							     ? (s->next_ready_ms - now + 999) / 1000
							     : 0));
		problem_details(", %u held, %u reserved or leaving; ", s->held, s->other);
	}
}

/* --- Holds ------------------------------------------------------------------------------- */

struct visit {
	int (*take)(void *ctx, const struct ipamd_holder *holder);
	void *ctx;
};

/* The record counts if it is the word's, and neither changed while it was copied. */
static int visit_hold(void *ctx, __u32 slot, __u64 word)
{
	const struct visit *v = ctx;
	struct ipamd_holder h, again;
	__u64 now;
	int r;

	if (slot_state(word) != IPAMD_HELD)
		return 0;
	r = pins_read("holders", &slot, &h, sizeof(h));
	if (!r)
		r = pins_read("holders", &slot, &again, sizeof(again));
	if (!r)
		r = read_word(slot, &now);
	if (r || !slot_same(h.word, word) || !slot_same(now, word) || memcmp(&h, &again, sizeof(h)))
		return r;
	return v->take(v->ctx, &h);
}

int stock_each_hold(int (*take)(void *ctx, const struct ipamd_holder *holder), void *ctx)
{
	struct visit v = {take, ctx};

	return each_word(visit_hold, &v);
}

static int address_of(__u32 slot, __u64 held, struct ipamd_address *ret, int *ret_family)
{
	__u32 pool_at = slot_pool(held);
	struct ipamd_pool pool;
	__u64 word;
	int r = pins_read("addresses", &slot, ret, sizeof(*ret));

	if (!r)
		r = pins_read("pools", &pool_at, &pool, sizeof(pool));
	if (!r)
		r = read_word(slot, &word);
	if (r)
		return r;
	*ret_family = pool.family;
	return slot_same(word, held) ? 0 : -EBUSY;
}

/* The entry says which words, and the words confirm it. */
int stock_held_by(const struct ipamd_digest *id, struct ipamd_address ret[IPAMD_FAMILIES],
		  int ret_family[IPAMD_FAMILIES])
{
	struct ipamd_entry e;
	int r = pins_read("by_holder", id, &e, sizeof(e)), n = (int)(e.slots >> 32);

	if (r == -ENOENT)
		return 0;
	if (r)
		return r;
	if (slot_tag(e.first) != slot_tag_of(id) || slot_state(e.first) == IPAMD_CLAIMING)
		return -EBUSY;
	if (slot_state(e.first) != IPAMD_HELD)
		return 0; /* spent */
	if (n < 1 || n > IPAMD_FAMILIES)
		return -EBUSY;
	r = address_of(e.slots & 0xffff, e.first, &ret[0], &ret_family[0]);
	if (!r && n == 2)
		r = address_of(e.slots >> 16 & 0xffff, e.second, &ret[1], &ret_family[1]);
	return r ? r : n;
}

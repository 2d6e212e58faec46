// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The stock between its watermarks.
 *
 *   fill    row STOCK durable -> EMPTY to FREE
 *   drain   row LEAVING durable -> FREE to LEAVING -> source -> EMPTY -> row gone
 *
 * In this order, so that a kill anywhere leaves a row that says what to finish
 * (invariants 1 and 10).  What is not ours any more, and the stock of a pool that
 * is gone, leaves in the same way once it is ready: an address that cools must not
 * come back from its source before its time (invariant 4).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/request.h"
#include "userspace/ipamd.h"

int stock_step(struct manager *m, unsigned int slot, uint64_t expected, uint64_t word)
{
	struct ipamd_request req;

	request_init(&req, IPAMD_STEP);
	req.change.slot = slot;
	req.change.expected = expected;
	req.change.word = word;
	return pin_run(m->pin, IPAMD_STEP, &req);
}

static uint64_t word_at(const struct manager *m, unsigned int slot)
{
	return mem_load(&m->pin->words[slot]);
}

unsigned int stock_empty_slot(const struct manager *m)
{
	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++)
		if (slot_state(word_at(m, slot)) == IPAMD_EMPTY && !ledger_at(m->ledger, slot))
			return slot;
	return IPAMD_NONE;
}

/* --- Fill ------------------------------------------------------------------------- */

static int put_in(struct manager *m, struct ledger_row *row, enum ipamd_state state,
		  uint64_t ready_at_ms)
{
	unsigned int slot = stock_empty_slot(m);
	struct ipamd_request req;
	int r;

	if (row->pool >= IPAMD_POOLS)
		return -ENXIO;
	if (slot == IPAMD_NONE)
		return -ENOSPC;
	request_init(&req, IPAMD_STEP);
	memcpy(req.change.address, row->address.bytes, sizeof(req.change.address));
	addr_print(&row->address, req.change.text);
	req.change.key = digest_address(row->address.family, row->address.bytes);
	req.change.slot = slot;
	req.change.expected = word_at(m, slot);
	req.change.word = slot_word(state, row->pool, ready_at_ms, row->gen);
	r = pin_run(m->pin, IPAMD_STEP, &req);
	if (r)
		return r;
	ledger_place(m->ledger, row, slot);
	row->seen = req.change.word;
	return 0;
}

/* Out of reach until it has its flag: else anybody could be quicker than its workload. */
static int put_in_fixed(struct manager *m, struct ledger_row *row, uint64_t ready_at_ms)
{
	int r = put_in(m, row, IPAMD_QUARANTINE, 0);
	uint64_t word, next;

	if (!r)
		r = fix_flag(m, row);
	if (r)
		return r;
	word = word_at(m, row->slot);
	next = slot_released(word, ready_at_ms);
	r = stock_step(m, row->slot, word, next);
	if (!r)
		row->seen = next;
	return r;
}

int stock_fill(struct manager *m, struct ledger_row *row, uint64_t ready_at_ms)
{
	int r = row->fixed ? put_in_fixed(m, row, ready_at_ms)
			   : put_in(m, row, IPAMD_FREE, ready_at_ms);

	if (r)
		return r;
	row->ready_at_ms = ready_at_ms;
	row->looked_at_ms = now_ms();
	return 0;
}

/*
 * After a lost map what is new cools too: somebody may have it whom nobody sees yet.
 * And after a boot with a damaged database: it may have been released just before.
 * As long as the second look has not come, not before there is time for it.
 */
uint64_t stock_ready_at(const struct manager *m, unsigned int pool)
{
	uint64_t now = now_ms(), from = m->doubt_until_ms;

	if (m->second_look_ms)
		from = (now > from ? now : from) + 2 * RETRY_MS;
	from += m->pin->pools[pool].cooldown_ms;
	return m->doubt_until_ms && from > now ? from : now;
}

static bool is_known(void *ctx, const struct addr *address)
{
	return ledger_find(ctx, address) != NULL;
}

/* Rows for what the source gave; the ledger has them only once they are durable. */
static int write_stock(struct manager *m, unsigned int pool, const struct addr *a, unsigned int n)
{
	int r = rows_begin(m, true);

	for (unsigned int i = 0; i < n && !r; i++) {
		struct ledger_row row = {.address = a[i], .pool = (uint8_t)pool};

		r = rows_put(m, &row, ROW_STOCK, NULL, NULL);
	}
	if (r) {
		store_abandon(m->store);
		return r;
	}
	return rows_commit(m);
}

static void put_new(struct manager *m, unsigned int pool, const struct addr *a, uint64_t ready_at)
{
	struct ledger_row *row = ledger_add(m->ledger, a);
	int r;

	if (!row) {
		log_say(LOG_ERROR,
			"no room for more addresses: a new one waits for the next start");
		return;
	}
	row->pool = (uint8_t)pool;
	row->row = ROW_STOCK;
	r = stock_fill(m, row, ready_at);
	row->held_back = r != 0; /* and is judged again */
	if (r)
		log_say(LOG_ERROR, "fill of a slot failed: %s", r > 0 ? "refused" : strerror(-r));
	else
		m->counters.fills++;
}

static void fill(struct manager *m, unsigned int pool, unsigned int wanted)
{
	struct addr a[BATCH];
	unsigned int n = 0;
	struct pool *p = &m->pool[pool];
	uint64_t now = now_ms(), ready_at = stock_ready_at(m, pool);
	int r = p->source.kind->take(&p->source, wanted < BATCH ? wanted : BATCH, is_known,
				     m->ledger, a, &n);

	if (r || !n)
		return;
	r = write_stock(m, pool, a, n);
	if (r) {
		rows_failed(m, "new stock", r);
		return;
	}
	/* All are known from here on, in a slot or not: their rows are. */
	for (unsigned int i = 0; i < n; i++)
		put_new(m, pool, &a[i], ready_at);
	p->filled_at_ms = now;
	if (ready_at == now)
		p->ready += n;
	else
		p->cooling += n;
}

/* --- Drain ------------------------------------------------------------------------- */

/* LEAVING: to its source, and out of the slot. */
static int take_out(struct manager *m, struct ledger_row *row)
{
	struct pool *p = &m->pool[row->pool < IPAMD_POOLS ? row->pool : 0];
	int r = p->source.kind && p->current ? p->source.kind->give(&p->source, &row->address) : 0;
	uint64_t word;

	if (r || row->slot == IPAMD_NONE)
		return r;
	if (word_at(m, row->slot) & SLOT_FIXED)
		r = fix_unflag(m, row);
	if (r)
		return r;
	word = word_at(m, row->slot);
	if (slot_state(word) != IPAMD_LEAVING)
		return IPAMD_STALE;
	r = stock_step(m, row->slot, word, slot_word(IPAMD_EMPTY, 0, 0, slot_gen(word)));
	if (!r)
		ledger_place(m->ledger, row, IPAMD_NONE);
	return r;
}

/* Where a fixed one that had to leave its place goes: it stays its workload's. */
static unsigned int home_of(const struct manager *m, const struct ledger_row *row)
{
	return row->fixed ? pool_of_address(m, &row->address) : IPAMD_POOLS;
}

static int write_end(struct manager *m, const struct ledger_row *row)
{
	struct ledger_row next = *row;
	unsigned int home = home_of(m, row);

	if (home == IPAMD_POOLS)
		return store_delete(m->store, &row->address);
	next.pool = (uint8_t)home;
	next.ready_at_ms = 0;
	return rows_put(m, &next, ROW_STOCK, NULL, NULL);
}

static void end(struct manager *m, struct ledger_row *row)
{
	unsigned int home = home_of(m, row);

	if (home == IPAMD_POOLS) {
		ledger_remove(m->ledger, row);
		return;
	}
	row->pool = (uint8_t)home;
	row->row = ROW_STOCK;
	row->held_back = stock_fill(m, row, stock_ready_at(m, home)) != 0;
}

struct leaving {
	struct ledger_row *row;
	uint64_t word;
};

static int write_leaving(struct manager *m, struct leaving *l, unsigned int n)
{
	int r = rows_begin(m, true);

	for (unsigned int i = 0; i < n && !r; i++)
		r = rows_put(m, l[i].row, ROW_LEAVING, NULL, NULL);
	if (r) {
		store_abandon(m->store);
		return r;
	}
	return rows_commit(m);
}

/* A pod may have been quicker: then the next turn writes what the word says. */
static void let_leave(struct manager *m, struct leaving *l)
{
	uint64_t next = slot_set_state(l->word, IPAMD_LEAVING);
	int r = stock_step(m, l->row->slot, l->word, next);

	l->row->row = ROW_LEAVING;
	if (!r) {
		l->row->seen = next;
		m->counters.drains++;
	}
}

/* Those of the list whose word could be set to LEAVING go all the way. */
static void leave(struct manager *m, struct leaving *l, unsigned int n)
{
	int r;

	if (!n)
		return;
	r = write_leaving(m, l, n);
	if (r) {
		rows_failed(m, "a drain", r);
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		let_leave(m, &l[i]);
}

/* What is LEAVING, by us or by one who died, comes to its end here. */
static void finish_all(struct manager *m)
{
	struct ledger_row *done[BATCH];
	unsigned int n = 0, out = 0;
	bool stays = false;
	int r;

	for (unsigned int i = 0; i < m->ledger->used && n < BATCH; i++) {
		struct ledger_row *row = &m->ledger->rows[i];

		if (row->address.family && row->row == ROW_LEAVING && !row->held_back &&
		    now_ms() >= row->wait_until_ms &&
		    (row->slot == IPAMD_NONE || slot_state(word_at(m, row->slot)) == IPAMD_LEAVING))
			done[n++] = row;
	}
	for (unsigned int i = 0; i < n; i++) {
		done[i]->held_back = take_out(m, done[i]) != 0; /* then it is judged again */
		if (done[i]->held_back)
			continue;
		stays |= home_of(m, done[i]) != IPAMD_POOLS;
		done[out++] = done[i];
	}
	if (!out)
		return;
	r = rows_begin(m, stays);
	for (unsigned int i = 0; i < out && !r; i++)
		r = write_end(m, done[i]);
	if (r)
		store_abandon(m->store);
	else
		r = rows_commit(m);
	if (r) {
		rows_failed(m, "the end of a drain", r);
		return;
	}
	for (unsigned int i = 0; i < out; i++)
		end(m, done[i]);
}

/* Longest idle first: as the claims would have taken them. */
static int by_age(const void *a, const void *b)
{
	const struct leaving *x = a, *y = b;
	uint64_t s = slot_time(x->word), t = slot_time(y->word);

	return s < t ? -1 : s > t;
}

static bool is_at_home(const struct manager *m, const struct ledger_row *row)
{
	const struct pool *p = &m->pool[row->pool];

	return p->current && p->source.kind->owns(&p->source, &row->address) != SOURCE_NOT_OURS;
}

static bool is_wanted(const struct manager *m, const struct ledger_row *row)
{
	return is_at_home(m, row) && !m->pool[row->pool].draining;
}

/* A flag keeps a word in its place; in a place that is not its pool's any more it must not. */
static void let_fixed_go(struct manager *m)
{
	uint64_t now = now_ms();

	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++) {
		uint64_t word = word_at(m, slot);
		struct ledger_row *row = word & SLOT_FIXED ? ledger_at(m->ledger, slot) : NULL;
		int r;

		if (!row || row->row != ROW_STOCK || slot_state(word) != IPAMD_FREE ||
		    !slot_is_ready(word, now) || is_at_home(m, row))
			continue;
		r = fix_unflag(m, row);
		if (r)
			log_say(LOG_WARNING, "slot %u: its flag cannot be taken away (%d)", slot,
				r);
	}
}

/* Ready words of a pool that nobody fixed: all of them, or those that are not wanted. */
static unsigned int collect(struct manager *m, unsigned int pool, bool unwanted, struct leaving *l)
{
	uint64_t now = now_ms();
	unsigned int n = 0;

	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++) {
		uint64_t word = word_at(m, slot);
		struct ledger_row *row = ledger_at(m->ledger, slot);

		if (row && row->row == ROW_STOCK && row->pool == pool &&
		    slot_state(word) == IPAMD_FREE && !(word & SLOT_FIXED) &&
		    slot_is_ready(word, now) && (!unwanted || !is_wanted(m, row)))
			l[n++] = (struct leaving){row, word};
	}
	return n;
}

static void drain(struct manager *m, unsigned int pool, unsigned int count)
{
	static struct leaving l[IPAMD_SLOTS_MAX];
	unsigned int n = collect(m, pool, false, l);

	qsort(l, n, sizeof(*l), by_age);
	n = n < count ? n : count;
	n = n < BATCH ? n : BATCH;
	leave(m, l, n);
	m->pool[pool].ready -= n < m->pool[pool].ready ? n : m->pool[pool].ready;
}

static void drain_unwanted(struct manager *m, unsigned int pool)
{
	static struct leaving l[IPAMD_SLOTS_MAX];
	unsigned int n = collect(m, pool, true, l);

	n = n < BATCH ? n : BATCH;
	leave(m, l, n);
	m->pool[pool].ready -= n < m->pool[pool].ready ? n : m->pool[pool].ready;
}

/* --- The turn ----------------------------------------------------------------------------- */

static unsigned int count_empty(const struct manager *m)
{
	unsigned int used = 0;

	for (unsigned int i = 0; i < IPAMD_POOLS; i++) {
		const struct pool *p = &m->pool[i];

		used += p->ready + p->cooling + p->held + p->leaving + p->quarantine + p->fixed;
	}
	return m->pin->meta->slots > used ? m->pin->meta->slots - used : 0;
}

/* The manager wants to be woken when the stock has fallen to the low mark. */
static void set_spare(struct manager *m, unsigned int pool)
{
	struct pool *p = &m->pool[pool];
	int64_t spare = (int64_t)p->ready - p->source.pool.low;

	mem_store((__u64 *)&m->pin->pools[pool].spare, (__u64)(spare > 0 ? spare : 1));
}

static const char *remedy(const struct manager *m, const struct pool *p)
{
	uint64_t all = p->source.kind->size(&p->source);

	if (p->ready + p->cooling + p->held + p->fixed + p->leaving + p->quarantine >= all)
		return "its range is used up: make it larger, or its cooldown shorter";
	if (stock_empty_slot(m) == IPAMD_NONE)
		return "all slots are used: raise \"slots\"";
	return "more is on its way";
}

static void say_shortage(struct manager *m, unsigned int pool)
{
	struct pool *p = &m->pool[pool];
	bool is_short = p->ready < p->source.pool.low;

	if (is_short && !p->shortage)
		log_say(LOG_WARNING,
			"pool %s, IPv%u: %u ready, less than its low mark %u; %u cooling, %u held: "
			"%s",
			pool_name(m, pool), m->pin->pools[pool].family, p->ready,
			p->source.pool.low, p->cooling, p->held, remedy(m, p));
	else if (!is_short && p->shortage)
		log_say(LOG_NOTICE, "pool %s, IPv%u: %u ready again", pool_name(m, pool),
			m->pin->pools[pool].family, p->ready);
	p->shortage = is_short;
}

static void balance(struct manager *m, unsigned int pool)
{
	struct pool *p = &m->pool[pool];
	struct refill_plan plan = {0};
	struct refill_view v;

	refill_rate_count(&p->rate, now_ms(), 0);
	v = (struct refill_view){
		.claims_per_s_x16 = refill_rate_forecast(&p->rate),
		.ready = p->ready,
		.cooling = p->cooling,
		.held = p->held,
		.leaving = p->leaving,
		.waiters = p->waiters,
		.latency_ms = TURN_MS, /* nobody may wake us sooner */
		.empty_slots = count_empty(m),
		.low = p->source.pool.low,
		.high = p->source.pool.high,
	};

	/* What is new cools as well: more of it would not be there any sooner. */
	if (stock_ready_at(m, pool) > now_ms())
		v.soon = p->cooling;
	if (!p->draining)
		plan = refill_judge(&v);
	if (plan.fill && !m->unread)
		fill(m, pool, plan.fill);
	if (plan.drain)
		drain(m, pool, plan.drain);
	set_spare(m, pool);
	if (!p->draining)
		say_shortage(m, pool);
}

void stock_turn(struct manager *m)
{
	if (!rows_may_write(m))
		return;
	fix_again(m);
	let_fixed_go(m);
	for (unsigned int i = 0; i < IPAMD_POOLS; i++) {
		if (!m->pin->pools[i].family)
			continue;
		drain_unwanted(m, i);
		if (m->pool[i].current)
			balance(m, i);
	}
	finish_all(m);
	pools_forget(m);
}

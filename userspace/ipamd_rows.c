// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the pods did since the last turn.  The words are the truth of it: a word
 * that is not the one for which the row was written has lived on, and its state,
 * its generation and its time say how.  So nothing is lost when an event is, and
 * a manager that was away catches up in its first turn.
 *
 * All changes of a turn go into one transaction; the ledger follows when it is
 * committed, so that a failed one is tried again as a whole.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "userspace/ipamd.h"

enum { CLAIM_MS = 2000 }; /* programs are preempted, but not for so long */

uint64_t wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* For people: when it was, by the clock on the wall as it goes now. */
static uint64_t to_wall(uint64_t boot_ms)
{
	return wall_ms() - (now_ms() - boot_ms);
}

enum store_state rows_state(enum recover_row row)
{
	static const enum store_state state[RECOVER_ROWS] = {
		[ROW_STOCK] = STORE_STOCK,           [ROW_HELD] = STORE_HELD,
		[ROW_COOLING] = STORE_COOLING,       [ROW_LEAVING] = STORE_LEAVING,
		[ROW_QUARANTINE] = STORE_QUARANTINE,
	};

	return state[row];
}

enum recover_row rows_row(enum store_state state)
{
	switch (state) {
	case STORE_STOCK:
		return ROW_STOCK;
	case STORE_HELD:
		return ROW_HELD;
	case STORE_COOLING:
		return ROW_COOLING;
	case STORE_LEAVING:
		return ROW_LEAVING;
	default:
		return ROW_QUARANTINE;
	}
}

/* --- The database may fail; the pods go on ------------------------------------- */

void rows_failed(struct manager *m, const char *what, int r)
{
	m->counters.store_errors++;
	if (!m->store_retry_ms)
		log_say(LOG_ERROR,
			"database: %s: %s; pods are served from the stock, but it is not refilled "
			"and nothing is written down until this is mended",
			what, store_explain(r));
	m->store_retry_ms = now_ms() + RETRY_MS;
}

bool rows_may_write(struct manager *m)
{
	return !m->store_retry_ms || now_ms() >= m->store_retry_ms;
}

static void rows_succeeded(struct manager *m)
{
	if (m->store_retry_ms)
		log_say(LOG_NOTICE, "database: writing again");
	m->store_retry_ms = 0;
}

int rows_begin(struct manager *m, bool durable)
{
	return store_begin(m->store, durable);
}

/* The epoch goes into the database first: a map that is ahead has lost its database. */
int rows_commit(struct manager *m)
{
	struct ipamd_meta *map = m->pin->meta;
	struct store_meta meta = {.epoch = map->epoch + 1, .boottime_ms = now_ms()};
	int r;

	memcpy(meta.pair_id, m->pair_id, sizeof(meta.pair_id));
	memcpy(meta.boot_id, m->rows_boot_id, sizeof(meta.boot_id));
	r = store_put_meta(m->store, &meta);
	if (r) {
		store_abandon(m->store);
		return r;
	}
	r = store_commit(m->store);
	if (r)
		return r;
	mem_store(&map->epoch, meta.epoch);
	rows_succeeded(m);
	return 0;
}

/* --- Rows ------------------------------------------------------------------------- */

int rows_put(struct manager *m, const struct ledger_row *row, enum recover_row state,
	     const struct ipamd_who *who, const char *note)
{
	static struct store_row old, r;

	r = (struct store_row){
		.address = row->address,
		.state = rows_state(state),
		.ready_at_ms = row->ready_at_ms,
		.gen = row->gen,
	};
	snprintf(r.pool, sizeof(r.pool), "%s", pool_name(m, row->pool));
	if (who)
		r.who = *who;
	if (note)
		snprintf(r.note, sizeof(r.note), "%s", note);
	if (row->fixed) { /* unread, it must not be written over */
		int got = store_get(m->store, &row->address, &old);

		if (got)
			return got;
		memcpy(r.fixed_space, old.fixed_space, sizeof(r.fixed_space));
		memcpy(r.fixed_pod, old.fixed_pod, sizeof(r.fixed_pod));
	}
	return store_put(m->store, &r);
}

/* --- What a word means ---------------------------------------------------------------- */

static enum recover_row row_of_word(uint64_t word, uint64_t now)
{
	switch (slot_state(word)) {
	case IPAMD_FREE:
		return slot_is_ready(word, now) ? ROW_STOCK : ROW_COOLING;
	case IPAMD_HELD:
	case IPAMD_CLAIMING:
		return ROW_HELD;
	case IPAMD_LEAVING:
		return ROW_LEAVING;
	default:
		return ROW_QUARANTINE;
	}
}

static unsigned int *counter_of(struct pool *p, uint64_t word, uint64_t now)
{
	switch (row_of_word(word, now)) {
	case ROW_STOCK:
		return word & SLOT_FIXED ? &p->fixed : &p->ready;
	case ROW_COOLING:
		return word & SLOT_FIXED ? &p->fixed : &p->cooling;
	case ROW_HELD:
		return &p->held;
	case ROW_LEAVING:
		return &p->leaving;
	default:
		return &p->quarantine;
	}
}

/* --- History ---------------------------------------------------------------------------- */

struct change {
	struct ledger_row *row;
	uint64_t word;
	enum recover_row state;
};

static uint64_t released_at(struct manager *m, uint64_t word)
{
	return to_wall(slot_time(word) - m->pin->pools[slot_pool(word)].cooldown_ms);
}

static int end_hold(struct manager *m, const struct change *c, bool is_that_life)
{
	const char *why = m->ended_by[c->row->slot];
	bool known = is_that_life && slot_state(c->word) == IPAMD_FREE;

	return store_hold_end(m->store, &c->row->address,
			      known ? released_at(m, c->word) : wall_ms(),
			      why     ? why
			      : known ? "released"
				      : "released, unseen");
}

/* A whole life between two turns: its record still stands in the slot. */
static int write_past_life(struct manager *m, const struct change *c, uint32_t lives)
{
	struct ipamd_holder h;
	int r = pin_last_holder(m->pin, c->row->slot, c->word, &h);

	if (r == IPAMD_STALE) {
		m->counters.gaps += lives;
		return 0;
	}
	if (!r)
		r = store_hold_begin(m->store, &c->row->address, &h.who, to_wall(h.claimed_at_ms),
				     lives - 1);
	if (!r)
		r = end_hold(m, c, true);
	m->counters.gaps += lives - 1;
	return r;
}

/* From the word that history knows to the one that is there now. */
static int write_history(struct manager *m, const struct change *c, const struct ipamd_holder *h)
{
	uint64_t seen = c->row->seen, word = c->word;
	uint32_t lives = (slot_gen(word) - slot_gen(seen)) & SLOT_GEN;
	bool was_held = slot_state(seen) == IPAMD_HELD, is_held = slot_state(word) == IPAMD_HELD;
	int r = 0;

	if (was_held && is_held && !lives)
		return 0;
	if (was_held)
		r = end_hold(m, c, !lives);
	if (!r && is_held) {
		m->counters.gaps += lives ? lives - 1 : 0;
		r = store_hold_begin(m->store, &c->row->address, &h->who,
				     h->claimed_at_ms ? to_wall(h->claimed_at_ms) : 0,
				     lives ? lives - 1 : 0);
	} else if (!r && lives) {
		r = write_past_life(m, c, lives);
	}
	return r;
}

/* --- The turn -------------------------------------------------------------------------------- */

static struct change changes[IPAMD_SLOTS_MAX];

/*
 * A program cannot be cut off between its two steps, so a claim that does not end is
 * of no program.  Nobody may touch such a word; at least it is said.
 */
static void watch_claim(struct manager *m, unsigned int slot, uint64_t word, uint64_t now)
{
	static struct {
		uint64_t word, since_ms;
	} claims[IPAMD_SLOTS_MAX];
	const struct ledger_row *row = ledger_at(m->ledger, slot);
	char text[ADDR_TEXT] = "its address";

	if (claims[slot].word != word) {
		claims[slot].word = word;
		claims[slot].since_ms = now;
	}
	if (!claims[slot].since_ms || now - claims[slot].since_ms < CLAIM_MS)
		return;
	claims[slot].since_ms = 0; /* once */
	if (row)
		addr_print(&row->address, text);
	log_say(LOG_ERROR,
		"slot %u: a claim has not ended for %d s: %s is out of reach until the next boot",
		slot, CLAIM_MS / 1000, text);
}

static unsigned int look(struct manager *m, uint64_t now)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < IPAMD_POOLS; i++) {
		struct pool *p = &m->pool[i];

		p->ready = p->cooling = p->held = p->leaving = p->quarantine = p->fixed = 0;
	}
	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++) {
		uint64_t word = mem_load(&m->pin->words[slot]);
		struct ledger_row *row = ledger_at(m->ledger, slot);
		enum recover_row state = row_of_word(word, now);

		if (slot_state(word) == IPAMD_EMPTY)
			continue;
		++*counter_of(&m->pool[slot_pool(word)], word, now);
		if (slot_state(word) == IPAMD_CLAIMING)
			watch_claim(m, slot, word, now);
		if (!row || slot_state(word) == IPAMD_CLAIMING)
			continue; /* a claim is under way: the next turn sees what became of it */
		if (row->away_on_release)
			state = ROW_QUARANTINE; /* and its word, once it is free */
		if (slot_same(word, row->seen) && state == row->row)
			continue;
		changes[n++] = (struct change){row, word, state};
	}
	return n;
}

static int write_change(struct manager *m, struct change *c)
{
	struct ledger_row next = *c->row;
	struct ipamd_holder h = {0};
	int r = 0;

	if (slot_state(c->word) == IPAMD_HELD)
		r = pin_holder(m->pin, c->row->slot, c->word, &h);
	if (r == IPAMD_STALE) { /* it went on meanwhile: next turn */
		c->row = NULL;
		return 0;
	}
	next.gen = slot_gen(c->word);
	next.ready_at_ms = slot_state(c->word) == IPAMD_FREE ? slot_time(c->word) : 0;
	if (!r)
		r = write_history(m, c, &h);
	return r ? r
		 : rows_put(m, &next, c->state, slot_state(c->word) == IPAMD_HELD ? &h.who : NULL,
			    NULL);
}

/*
 * Held until now, but not ours, or not for certain: out of reach while it cools.  Its
 * row says so already, whatever the database does now.
 */
static void put_away_all(struct manager *m)
{
	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++) {
		uint64_t word = mem_load(&m->pin->words[slot]);
		struct ledger_row *row = ledger_at(m->ledger, slot);

		if (row && row->away_on_release && slot_state(word) == IPAMD_FREE &&
		    row->row == ROW_QUARANTINE &&
		    !stock_step(m, slot, word, slot_set_state(word, IPAMD_QUARANTINE)))
			row->away_on_release = false;
	}
}

static void remember(struct manager *m, const struct change *c, uint64_t now)
{
	struct ledger_row *row = c->row;
	struct pool *p = &m->pool[slot_pool(c->word)];
	uint32_t lives = (slot_gen(c->word) - slot_gen(row->seen)) & SLOT_GEN;

	if (lives)
		refill_rate_count(&p->rate, now, lives);
	if (!slot_same(c->word, row->seen)) {
		row->looked_at_ms = now;
		m->ended_by[row->slot] = NULL;
	}
	row->seen = c->word;
	row->row = c->state;
	row->gen = slot_gen(c->word);
	row->ready_at_ms = slot_state(c->word) == IPAMD_FREE ? slot_time(c->word) : 0;
}

static int write_changes(struct manager *m, unsigned int n)
{
	int r = rows_begin(m, false);

	for (unsigned int i = 0; i < n && !r; i++)
		r = write_change(m, &changes[i]);
	if (r) {
		store_abandon(m->store);
		return r;
	}
	return rows_commit(m);
}

static void catch_up(struct manager *m, unsigned int n, uint64_t now)
{
	int r = write_changes(m, n);

	if (r) {
		rows_failed(m, "what the pods did", r);
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		if (changes[i].row)
			remember(m, &changes[i], now);
}

void rows_turn(struct manager *m)
{
	uint64_t now = now_ms();
	unsigned int n = look(m, now);

	if (n && rows_may_write(m))
		catch_up(m, n, now);
	put_away_all(m);
}

static int forget_history(struct manager *m)
{
	uint64_t now = wall_ms();
	unsigned int forgotten;
	int r;

	if (now < m->config.history_ms)
		return 0;
	r = rows_begin(m, false);
	if (!r)
		r = store_hold_forget(m->store, now - m->config.history_ms, &forgotten);
	if (r || !forgotten) {
		store_abandon(m->store);
		return r;
	}
	return rows_commit(m);
}

/* What the disk would rather do when nothing else is to be done. */
void rows_idle(struct manager *m)
{
	uint64_t now = now_ms();
	int r;

	if (now < m->idle_at_ms || !rows_may_write(m))
		return;
	m->idle_at_ms = now + IDLE_MS;
	r = store_idle(m->store);
	if (!r)
		r = forget_history(m);
	if (r)
		rows_failed(m, "housekeeping", r);
}

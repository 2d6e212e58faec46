// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The start: the map, the database, the source and the witnesses into one ledger.
 *
 * First all evidence is gathered (ipamd_gather.c), in the light of how map and database
 * came to us (ipamd_era.c), then each address is judged (core/recover.h), then the rows are written
 * in one durable transaction, and only then do slots change.  A kill anywhere finds the same
 * evidence, or the rows of the verdict, at the next start.  Addresses that wait for a witness are
 * judged again later.
 */
#include "userspace/ipamd_recover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bpf/request.h"

/* --- Judging -------------------------------------------------------------------------------- */

static enum recover_map map_says(struct manager *m, const struct ledger_row *row)
{
	uint64_t word;

	if (row->slot == IPAMD_NONE)
		return era.map_whole ? MAP_NO_SLOT : era.lost ? MAP_LOST : MAP_OTHER_BOOT;
	word = mem_load(&m->pin->words[row->slot]);
	switch (slot_state(word)) {
	case IPAMD_FREE:
		return slot_is_ready(word, now_ms()) ? MAP_FREE : MAP_COOLING;
	case IPAMD_LEAVING:
		return MAP_LEAVING;
	case IPAMD_QUARANTINE:
		return MAP_QUARANTINE;
	default:
		return MAP_HELD;
	}
}

static struct recover_verdict judge(struct manager *m, const struct ledger_row *row)
{
	uint64_t word = row->slot != IPAMD_NONE ? mem_load(&m->pin->words[row->slot]) : 0;
	struct recover_evidence e = {
		.map = map_says(m, row),
		.row = row->row,
		.source = pool_of_address(m, &row->address) < IPAMD_POOLS ? SOURCE_OURS
									  : SOURCE_NOT_OURS,
		.witness = witness_of(&row->address, era_counts_cache()),
		.same_holder = slot_same(word, row->seen),
		.row_is_old = era.row_is_old,
		.other_pair = era.other_pair,
	};

	return recover_judge(&e);
}

struct sentence {
	struct ledger_row *row;
	struct recover_verdict v;
	uint64_t ready_at_ms; /* FILL_COOLING, TO_COOLING */
	struct ipamd_who who; /* FILL_HELD */
};

static struct sentence sentences[LEDGER_ROWS];

/* The row tells of who holds now: not of a boot that is over, nor of before the map's time. */
static bool is_holder_known(const struct ledger_row *row)
{
	bool past = row->slot == IPAMD_NONE &&
		    (era.map_whole ? era.row_is_old || era.other_pair : !era.lost);

	return (row->row == ROW_HELD || row->row == ROW_QUARANTINE) && !past;
}

/* STORE_ABSENT: it names nobody. */
static int find_stored(struct manager *m, const struct ledger_row *row, struct ipamd_who *ret)
{
	static struct store_row stored;
	int r = is_holder_known(row) ? store_get(m->store, &row->address, &stored) : STORE_ABSENT;

	if (r)
		return r;
	if (!digest_is_set(&stored.who.id))
		return STORE_ABSENT;
	*ret = stored.who;
	if (ret->pod[0])
		snprintf(ret->label, sizeof(ret->label), "%.35s/%.35s", stored.who.name_space,
			 stored.who.pod);
	else
		memcpy(ret->label, ret->container, sizeof(ret->label));
	return 0;
}

/* By the runtime's cache, if it counts; else by nothing but the address. */
static void name_holder(const struct ledger_row *row, struct ipamd_who *ret)
{
	const struct cache_hold *cached = era_counts_cache() ? witness_cached(&row->address) : NULL;
	struct ipamd_request req;
	char text[ADDR_TEXT];

	request_init(&req, IPAMD_CLAIM);
	addr_print(&row->address, text);
	if (cached && cached->pod[0])
		request_pod(&req, cached->name_space, cached->pod, "");
	if (cached)
		request_attachment(&req, cached->network, cached->container, cached->ifname,
				   clock_boot_ns());
	else
		request_attachment(&req, "unknown", text, "unknown", clock_boot_ns());
	req.who.nsid = -1;
	*ret = req.who;
}

/*
 * Whoever it is by name, it lives where the address is seen now: the id that a row
 * has may be dead, or another's, and a dead id is proof that the hold is over.  Of a
 * lost map nobody knows whether the row's holder was the last.
 */
static int find_holder(struct manager *m, const struct ledger_row *row, struct ipamd_who *ret)
{
	const struct netns_sight *sight = witness_sight(&row->address);

	int r = find_stored(m, row, ret);

	if (r == STORE_ABSENT)
		name_holder(row, ret);
	else if (r) /* a hold under a wrong name would be nobody's */
		return r;
	if (sight ? sight->nsid != ret->nsid : era.lost) {
		ret->nsid = sight ? sight->nsid : -1;
		ret->netns_cookie = 0;
	}
	return 0;
}

/* After the first time only who still waits: in quarantine, or in no slot. */
static bool is_open(const struct manager *m, const struct ledger_row *row)
{
	if (!row->address.family)
		return false;
	return row->held_back ||
	       (row->slot != IPAMD_NONE &&
		slot_state(mem_load(&m->pin->words[row->slot])) == IPAMD_QUARANTINE);
}

static uint64_t cooled_at(const struct manager *m, const struct ledger_row *row,
			  const struct recover_verdict *v)
{
	uint64_t cooldown = row->pool < IPAMD_POOLS ? m->pin->pools[row->pool].cooldown_ms : 0;

	/* After a lost map not before the second look, which takes a turn or two to come. */
	return now_ms() + v->wait_ms + (v->wait_ms ? 2 * RETRY_MS : 0) + cooldown;
}

static int judge_all(struct manager *m, bool only_open, unsigned int *ret)
{
	unsigned int n = 0;
	int r = 0;

	for (unsigned int i = 0; i < m->ledger->used && !r; i++) {
		struct ledger_row *row = &m->ledger->rows[i];
		struct sentence *s = &sentences[n];

		if (!row->address.family || (only_open && !is_open(m, row)))
			continue;
		s->row = row;
		s->v = judge(m, row);
		s->ready_at_ms = cooled_at(m, row, &s->v);
		if (s->v.slot == FILL_HELD)
			r = find_holder(m, row, &s->who);
		n++;
	}
	*ret = n;
	return r;
}

/* --- Carrying out: rows first ------------------------------------------------------------------
 */

static enum recover_row row_after(const struct sentence *s)
{
	switch (s->v.row) {
	case ROW_BECOMES_STOCK:
		return ROW_STOCK;
	case ROW_BECOMES_HELD:
		return ROW_HELD;
	case ROW_BECOMES_COOLING:
		return ROW_COOLING;
	case ROW_BECOMES_LEAVING:
		return ROW_LEAVING;
	case ROW_BECOMES_QUARANTINE:
		return ROW_QUARANTINE;
	case ROW_ADOPTED:
		return s->v.slot == FILL_HELD      ? ROW_HELD
		       : s->v.slot == FILL_COOLING ? ROW_COOLING
						   : ROW_STOCK;
	default:
		return s->row->row;
	}
}

/* What the words say is written by the next turn, with its history; here the rest. */
static bool needs_row(const struct sentence *s)
{
	return s->v.row == ROW_GOES || (s->v.row != ROW_KEEP && s->v.slot != KEEP_SLOT);
}

static int write_row(struct manager *m, const struct sentence *s)
{
	struct ledger_row next = *s->row;

	if (s->v.row == ROW_GOES)
		return store_delete(m->store, &s->row->address);
	if (s->v.slot == FILL_COOLING || s->v.slot == TO_COOLING)
		next.ready_at_ms = s->ready_at_ms;
	return rows_put(m, &next, row_after(s), s->v.slot == FILL_HELD ? &s->who : NULL,
			s->v.reason);
}

static int write_rows(struct manager *m, unsigned int n)
{
	unsigned int first = 0;
	int r;

	while (first < n && !needs_row(&sentences[first]))
		first++;
	if (first == n)
		return 0;
	r = rows_begin(m, true);
	for (unsigned int i = first; i < n && !r; i++)
		if (needs_row(&sentences[i]))
			r = write_row(m, &sentences[i]);
	if (r) {
		store_abandon(m->store);
		return r;
	}
	return rows_commit(m);
}

/* --- Carrying out: slots
 * --------------------------------------------------------------------------- */

static int fill_held(struct manager *m, const struct sentence *s)
{
	unsigned int slot = stock_empty_slot(m);
	struct ledger_row *row = s->row;
	struct ipamd_request req;
	uint64_t word;
	int r;

	if (row->pool >= IPAMD_POOLS)
		return -ENXIO; /* a word has no room for "no pool" */
	if (slot == IPAMD_NONE)
		return -ENOSPC;
	request_init(&req, IPAMD_STEP);
	req.who = s->who;
	memcpy(req.change.address, row->address.bytes, sizeof(req.change.address));
	addr_print(&row->address, req.change.text);
	req.change.key = digest_address(row->address.family, row->address.bytes);
	req.change.slot = slot;
	req.change.expected = mem_load(&m->pin->words[slot]);
	word = slot_word(IPAMD_HELD, row->pool, slot_tag_of(&s->who.id), row->gen);
	req.change.word = word;
	r = pin_run(m->pin, IPAMD_STEP, &req);
	if (r)
		return r;
	ledger_place(m->ledger, row, slot);
	if (row->row != ROW_HELD) /* history begins a hold */
		row->seen = gather_seen(word);
	return 0;
}

/* The row's deadline; one by another clock says no more than that it cools. */
static uint64_t deadline_of(struct manager *m, const struct ledger_row *row)
{
	uint64_t whole = now_ms() + m->pin->pools[row->pool].cooldown_ms;

	return era.other_time && row->ready_at_ms > whole ? whole : row->ready_at_ms;
}

static int change_slot(struct manager *m, const struct sentence *s)
{
	struct ledger_row *row = s->row;
	uint64_t word = row->slot != IPAMD_NONE ? mem_load(&m->pin->words[row->slot]) : 0;

	switch (s->v.slot) {
	case FILL_READY:
		return stock_fill(m, row, now_ms());
	case FILL_COOLING:
		return stock_fill(m, row, s->ready_at_ms);
	case FILL_HELD:
		return fill_held(m, s);
	case LATER_DEADLINE:
		if (deadline_of(m, row) > slot_time(word))
			return stock_step(m, row->slot, word,
					  slot_released(word, deadline_of(m, row)));
		return 0;
	case TO_COOLING:
		return stock_step(m, row->slot, word, slot_released(word, s->ready_at_ms));
	case TO_QUARANTINE:
		return stock_step(m, row->slot, word, slot_set_state(word, IPAMD_QUARANTINE));
	case GO_ON_LEAVING:
		if (row->slot != IPAMD_NONE && slot_state(word) != IPAMD_LEAVING)
			return stock_step(m, row->slot, word, slot_set_state(word, IPAMD_LEAVING));
		return 0;
	default:
		return 0;
	}
}

static bool is_news(const struct sentence *s)
{
	return s->v.slot != KEEP_SLOT || s->v.row != ROW_KEEP;
}

/* One line for each reason, with how many and one of them. */
static void say_reasons(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const char *reason = sentences[i].v.reason;
		unsigned int before = 0, count = 0;
		char text[ADDR_TEXT];

		for (unsigned int j = 0; j < n && is_news(&sentences[i]); j++)
			if (is_news(&sentences[j]) && sentences[j].v.reason == reason) {
				before += j < i;
				count++;
			}
		if (!count || before)
			continue;
		addr_print(&sentences[i].row->address, text);
		if (count == 1)
			log_say(LOG_INFO, "%s: %s", text, reason);
		else
			log_say(LOG_INFO, "%u addresses, one of them %s: %s", count, text, reason);
	}
}

/* Not in stock, not on its way: until what it waits for has been read, or has ended. */
static bool is_held_back(struct manager *m, const struct sentence *s)
{
	const struct ledger_row *row = s->row;

	if (s->v.slot == KEEP_SLOT && row->slot != IPAMD_NONE) /* LEAVING, and still in use */
		return slot_state(mem_load(&m->pin->words[row->slot])) == IPAMD_LEAVING;
	return s->v.slot == HOLD_BACK;
}

static void carry_out(struct manager *m, const struct sentence *s)
{
	struct ledger_row *row = s->row;
	char text[ADDR_TEXT];
	int r = change_slot(m, s);

	addr_print(&row->address, text);
	if (is_news(s))
		log_say(LOG_DEBUG, "%s: %s", text, s->v.reason);
	if (r && !row->held_back) /* said once, tried again and again */
		log_say(LOG_ERROR, "%s: its slot cannot be changed: %s", text,
			r == -ENOSPC  ? "no slot is empty: raise \"slots\""
			: r == -ENXIO ? "no pool has it: add one, or end what has the address"
			: r < 0       ? strerror(-r)
				      : "the program refused");
	/* Seen once, and then by nobody: a refill may take it. */
	if (s->v.row == ROW_GOES || (row->row == ROW_NONE && row->slot == IPAMD_NONE &&
				     s->v.slot == KEEP_SLOT && s->v.row == ROW_KEEP)) {
		ledger_remove(m->ledger, row);
		return;
	}
	if (r && !row->held_back) /* a call that failed once may not fail again */
		m->judge_at_ms = now_ms();
	row->held_back = r || is_held_back(m, s);
	row->away_on_release = s->v.quarantine_on_release;
	row->wait_until_ms = s->v.wait_ms ? now_ms() + s->v.wait_ms : 0;
	if (needs_row(s))
		row->row = row_after(s);
	/* What became of a word that stays is read from it, and counted, by the turn. */
	m->counters.gaps += s->v.gap && s->v.slot != KEEP_SLOT;
}

/* --- Entries: which attachment is served
 * ----------------------------------------------------------------- */

static int add_entry(struct manager *m, unsigned int slot, uint64_t word,
		     const struct ipamd_digest *id)
{
	struct ipamd_entry e = {.first = word, .slots = slot | 1ULL << 32};
	int r;

	for (unsigned int other = 0; other < m->pin->meta->slots; other++) {
		uint64_t w = mem_load(&m->pin->words[other]);
		struct ipamd_holder h;

		if (other == slot || slot_state(w) != IPAMD_HELD || slot_tag(w) != slot_tag_of(id))
			continue;
		r = pin_holder(m->pin, other, w, &h);
		if (r < 0)
			return r;
		if (r || !digest_equal(&h.who.id, id))
			continue;
		if (m->pin->pools[slot_pool(w)].family == 6)
			e = (struct ipamd_entry){word, w, slot | other << 16 | 2ULL << 32};
		else
			e = (struct ipamd_entry){w, word, other | slot << 16 | 2ULL << 32};
		break;
	}
	r = pin_entry_add(m->pin, id, &e);
	/*
	 * Ordering: the words after the entry.  A release that was between its word and
	 * its entry left none; ours would answer BUSY to this attachment for ever.  Nobody
	 * else deletes it: for that its first word would have to be there.
	 */
	if (!r && (!slot_same(mem_load(&m->pin->words[e.slots & 0xffff]), e.first)))
		r = pin_entry_delete(m->pin, id);
	return r;
}

/* A HELD word without an entry: its DEL would find nothing. */
static int add_entries(struct manager *m)
{
	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++) {
		uint64_t word = mem_load(&m->pin->words[slot]);
		struct ipamd_entry e;
		struct ipamd_holder h;
		int r;

		if (slot_state(word) != IPAMD_HELD)
			continue;
		r = pin_holder(m->pin, slot, word, &h);
		if (!r)
			r = pin_entry_get(m->pin, &h.who.id, &e);
		if (r == IPAMD_NOTHING)
			r = add_entry(m, slot, word, &h.who.id);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- The start
 * ---------------------------------------------------------------------------------------------- */

static int carry_out_all(struct manager *m, bool only_open)
{
	bool restored = !only_open;
	unsigned int n = 0;
	int r;

	fix_again(m); /* before a word that lost its flag comes into reach */
	r = judge_all(m, only_open, &n);
	if (!r)
		r = write_rows(m, n);
	if (r) {
		rows_failed(m, "recovery", r);
		return r;
	}
	say_reasons(n);
	for (unsigned int i = 0; i < n; i++) {
		restored |= sentences[i].v.slot == FILL_HELD;
		carry_out(m, &sentences[i]);
	}
	fix_again(m);
	return restored ? add_entries(m) : 0;
}

/*
 * The seal makes the map a whole one, so it is the last: until then the next start
 * does all of this again, and no pod can claim, since no pool has a name.
 */
static int recover_all(struct manager *m)
{
	int r = gather_all(m);

	if (!r)
		r = carry_out_all(m, false);
	if (r)
		return r;
	era_seal(m);
	return pools_name(m, &m->config);
}

int recover_start(struct manager *m)
{
	int r = era_open(m);

	if (r)
		return r;
	r = pools_apply(m, &m->config);
	if (!r)
		r = recover_all(m);
	if (r)
		log_say(LOG_ERROR, "start: %s", r < 0 ? strerror(-r) : store_explain(r));
	return r;
}

static bool any_open(const struct manager *m)
{
	for (unsigned int i = 0; i < m->ledger->used; i++)
		if (is_open(m, &m->ledger->rows[i]))
			return true;
	return false;
}

/* Until the look succeeds nothing of that time becomes ready. */
static void put_off(struct manager *m)
{
	uint64_t now = now_ms(), later = now + 2 * RETRY_MS;

	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++) {
		uint64_t word = mem_load(&m->pin->words[slot]);

		if (slot_state(word) == IPAMD_FREE && !slot_is_ready(word, now) &&
		    slot_is_ready(word, later))
			stock_step(m, slot, word, slot_released(word, later));
	}
}

static bool look_again(struct manager *m)
{
	if (!rows_may_write(m) || witness_look(m) || gather_sights(m))
		return false;
	m->unread = false;
	return true;
}

/*
 * When an ADD may have claimed from a lost map, it has configured what it got by
 * now: before anything of that time becomes ready, all are judged once more.
 */
void recover_again(struct manager *m)
{
	uint64_t now = now_ms();
	bool second = m->second_look_ms && now >= m->second_look_ms;

	if (now < m->judge_at_ms || (!second && !m->unread && !any_open(m)))
		return;
	m->judge_at_ms = now + RETRY_MS;
	if (look_again(m) && !carry_out_all(m, !second)) {
		if (second)
			m->second_look_ms = 0;
	} else if (second) {
		log_say(LOG_WARNING, "what was free in a lost map cools on until the namespaces "
				     "can be read");
		put_off(m);
	}
}

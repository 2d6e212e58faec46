// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The start: the map, the database, the source and the witnesses into one ledger.
 *
 * First all evidence is gathered, then each address is judged (core/recover.h),
 * then the rows are written in one durable transaction, and only then do slots
 * change.  A kill anywhere finds the same evidence, or the rows of the verdict,
 * at the next start.  Addresses that wait for a witness are judged again later.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "bpf/request.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"
#include "userspace/edge/place.h"
#include "userspace/ipamd.h"

/* How map and database came to us. */
struct era {
	bool same_boot;  /* of the database: its deadlines count */
	bool map_whole;  /* it has served in this boot */
	bool lost;       /* it has not, though there was one in this boot */
	bool row_is_old; /* the database is older than the map */
	bool other_pair; /* it is new beside a map, or a damaged one was replaced */
	bool other_time; /* its times are of another boot, or of one that has not come */
};

static struct era era;

/* --- Gathering: the map -------------------------------------------------------------- */

static int address_of_slot(struct manager *m, unsigned int slot, uint64_t word, struct addr *ret)
{
	struct ipamd_address a;
	int r = pin_address(m->pin, slot, &a);

	if (r)
		return r;
	*ret = (struct addr){.family = m->pin->pools[slot_pool(word)].family};
	memcpy(ret->bytes, a.bytes, sizeof(ret->bytes));
	return 0;
}

/* The same address in two slots: the held one stays. */
static void settle_double(struct manager *m, struct ledger_row *row, unsigned int slot,
			  uint64_t word)
{
	uint64_t first = mem_load(&m->pin->words[row->slot]);
	unsigned int loser = slot_state(word) == IPAMD_HELD ? row->slot : slot;
	uint64_t lost = loser == slot ? word : first;
	char text[ADDR_TEXT];

	addr_print(&row->address, text);
	log_say(LOG_ERROR, "%s is in slots %u and %u; slot %u goes to quarantine", text, row->slot,
		slot, loser);
	if (slot_state(lost) == IPAMD_FREE)
		stock_step(m, loser, lost, slot_set_state(lost, IPAMD_QUARANTINE));
	if (loser == row->slot)
		ledger_place(m->ledger, row, slot);
}

/* History goes on from here: one hold, if there is one, and no guess at what was before. */
static uint64_t seen_of_adopted(uint64_t word)
{
	bool held = slot_state(word) == IPAMD_HELD || slot_state(word) == IPAMD_CLAIMING;

	return slot_word(IPAMD_FREE, slot_pool(word), 0, slot_gen(word) - held);
}

static int gather_slots(struct manager *m)
{
	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++) {
		uint64_t word = mem_load(&m->pin->words[slot]);
		struct ledger_row *row;
		struct addr a;
		int r;

		if (slot_state(word) == IPAMD_EMPTY)
			continue;
		r = address_of_slot(m, slot, word, &a);
		if (r)
			return r;
		row = ledger_add(m->ledger, &a);
		if (!row)
			return -ENOSPC;
		if (row->slot != IPAMD_NONE) {
			settle_double(m, row, slot, word);
			continue;
		}
		ledger_place(m->ledger, row, slot);
		row->pool = (uint8_t)slot_pool(word);
		row->seen = seen_of_adopted(word);
	}
	return 0;
}

/* --- Gathering: the database ------------------------------------------------------------- */

/* The pool may have another name by now; one that is not ours stays with its own, if it can. */
static unsigned int pool_for_row(const struct manager *m, const struct store_row *from)
{
	unsigned int pool = pool_of_address(m, &from->address);

	if (pool != IPAMD_POOLS)
		return pool;
	return pool_by_name(m, from->pool, from->address.family == 6 ? IPAMD_V6 : IPAMD_V4);
}

static int gather_row(void *ctx, const struct store_row *from)
{
	struct manager *m = ctx;
	struct ledger_row *row = ledger_add(m->ledger, &from->address);

	if (!row)
		return -ENOSPC;
	row->row = rows_row(from->state);
	row->gen = from->gen;
	row->ready_at_ms = era.same_boot ? from->ready_at_ms : 0;
	row->fixed = from->fixed_pod[0] != '\0';
	if (row->slot == IPAMD_NONE)
		row->pool = (uint8_t)pool_for_row(m, from);
	/* A row in quarantine that names somebody was written while he held it. */
	row->seen =
		digest_is_set(&from->who.id)
			? slot_word(IPAMD_HELD, row->pool, slot_tag_of(&from->who.id), from->gen)
			: slot_word(IPAMD_FREE, row->pool, from->ready_at_ms, from->gen);
	return 0;
}

/* Of ours, in a namespace or in the runtime's cache, and known to nobody here. */
static int gather_sight(void *ctx, const struct addr *address)
{
	struct manager *m = ctx;
	unsigned int pool = pool_of_address(m, address);
	struct ledger_row *row;

	if (pool == IPAMD_POOLS || ledger_find(m->ledger, address))
		return 0;
	row = ledger_add(m->ledger, address);
	if (!row)
		return -ENOSPC;
	row->pool = (uint8_t)pool;
	row->held_back = true; /* until it is judged */
	return 0;
}

/* The runtime's results outlive a boot; their pods do not. */
static bool cache_counts(void)
{
	return era.map_whole || era.lost;
}

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
		.witness = witness_of(&row->address, cache_counts()),
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

static bool find_stored(struct manager *m, const struct ledger_row *row, struct ipamd_who *ret)
{
	static struct store_row stored;

	if (!is_holder_known(row) || store_get(m->store, &row->address, &stored) ||
	    !digest_is_set(&stored.who.id))
		return false;
	*ret = stored.who;
	if (ret->pod[0])
		snprintf(ret->label, sizeof(ret->label), "%.35s/%.35s", stored.who.name_space,
			 stored.who.pod);
	else
		memcpy(ret->label, ret->container, sizeof(ret->label));
	return true;
}

/* By the runtime's cache, if it counts; else by nothing but the address. */
static void name_holder(const struct ledger_row *row, struct ipamd_who *ret)
{
	const struct cache_hold *cached = cache_counts() ? witness_cached(&row->address) : NULL;
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
static void find_holder(struct manager *m, const struct ledger_row *row, struct ipamd_who *ret)
{
	const struct netns_sight *sight = witness_sight(&row->address);

	if (!find_stored(m, row, ret))
		name_holder(row, ret);
	if (sight ? sight->nsid != ret->nsid : era.lost) {
		ret->nsid = sight ? sight->nsid : -1;
		ret->netns_cookie = 0;
	}
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

static unsigned int judge_all(struct manager *m, bool only_open)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < m->ledger->used; i++) {
		struct ledger_row *row = &m->ledger->rows[i];
		struct sentence *s = &sentences[n];

		if (!row->address.family || (only_open && !is_open(m, row)))
			continue;
		s->row = row;
		s->v = judge(m, row);
		s->ready_at_ms = cooled_at(m, row, &s->v);
		if (s->v.slot == FILL_HELD)
			find_holder(m, row, &s->who);
		n++;
	}
	return n;
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
		row->seen = seen_of_adopted(word);
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

		if (other == slot || slot_state(w) != IPAMD_HELD ||
		    slot_tag(w) != slot_tag_of(id) || pin_holder(m->pin, other, w, &h) ||
		    !digest_equal(&h.who.id, id))
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

		if (slot_state(word) != IPAMD_HELD || pin_holder(m->pin, slot, word, &h) ||
		    pin_entry_get(m->pin, &h.who.id, &e) != IPAMD_NOTHING)
			continue;
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
	unsigned int n;
	int r;

	fix_again(m); /* before a word that lost its flag comes into reach */
	n = judge_all(m, only_open);
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

static int read_boot_id(char ret[40])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	char *end;

	if (!f)
		return last_error();
	memset(ret, 0, 40);
	if (!fgets(ret, 40, f))
		ret[0] = '\0';
	fclose(f);
	end = strchr(ret, '\n');
	if (end)
		*end = '\0';
	return ret[0] ? 0 : -EIO;
}

/* Pins that outlived their boot are a copy: what they say of pods is over. */
static int discard_foreign_map(struct manager *m)
{
	auto_pin struct pin *old = NULL;

	if (pin_attach(m->config.pins, &old)) /* none, or pin_open() says what is wrong */
		return 0;
	if (!old->meta->boot_id[0] || !strncmp(old->meta->boot_id, m->boot_id, sizeof(m->boot_id)))
		return 0;
	log_say(LOG_WARNING, "the maps are of another boot: begun anew from the database");
	return pin_discard(m->config.pins);
}

static int open_pins(struct manager *m)
{
	int r = bpffs_mount(m->config.pins);

	if (r) {
		log_say(LOG_ERROR, "%s: cannot mount a bpffs there: %s", m->config.pins,
			strerror(-r));
		return r;
	}
	r = discard_foreign_map(m);
	if (!r)
		r = pin_open(m->config.pins, m->config.slots, &m->pin);
	if (r)
		log_say(LOG_ERROR, "%s: %s", m->config.pins, pin_explain(r));
	return r;
}

static int open_store(struct manager *m)
{
	static char aside[4096];
	char path[CONFIG_PATH + 16];
	int r;

	snprintf(path, sizeof(path), "%s/ipamd.db", m->config.state);
	r = store_open(path, aside, &m->store);
	m->store_is_new = r == STORE_MADE || r == STORE_REPLACED;
	m->store_is_damaged = r == STORE_REPLACED;
	if (r == STORE_MADE) {
		log_say(LOG_NOTICE, "%s: %s", path, store_explain(r));
		return 0;
	}
	if (r == STORE_REPLACED) {
		log_say(LOG_ERROR, "%s: %s; the old one is kept at %s", path, store_explain(r),
			aside);
		return 0;
	}
	if (r)
		log_say(LOG_ERROR, "%s: %s", path, store_explain(r));
	return r;
}

/* Of another pair: its rows are not about the pods of this map.  Kept, but not believed. */
static int set_foreign_store_aside(struct manager *m)
{
	static char aside[4096];
	char path[CONFIG_PATH + 16];
	struct place place;
	int r;

	snprintf(path, sizeof(path), "%s/ipamd.db", m->config.state);
	store_close(m->store);
	m->store = NULL;
	r = place_open(path, &place);
	if (!r) {
		r = place_move_aside(&place, aside);
		place_close(&place);
	}
	if (r) {
		log_say(LOG_ERROR, "%s belongs to another map and cannot be moved aside: %s", path,
			store_explain(r));
		return r;
	}
	log_say(LOG_ERROR,
		"%s belongs to another map: it is kept at %s, and a new one is made from the map",
		path, aside);
	return open_store(m);
}

/*
 * A mark in the run directory: there has been a manager in this boot, and until when
 * there was doubt about pods that nobody sees.  Without it a loss of map and
 * database together would look like a first start, and a restart would end the doubt.
 */
static bool was_here(struct manager *m, uint64_t *ret_doubt_ms)
{
	auto_close int fd = openat(m->run_dir, "served", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char text[128] = "", boot_id[40] = "";
	unsigned long long doubt = 0;

	*ret_doubt_ms = 0;
	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) < 0 || sscanf(text, "%39s %llu", boot_id, &doubt) != 2)
		return true; /* not readable: rather too careful */
	if (strcmp(boot_id, m->boot_id))
		return false; /* this directory outlives a boot */
	*ret_doubt_ms = doubt;
	return true;
}

static int write_mark(struct manager *m)
{
	auto_close int fd = openat(m->run_dir, "served.next",
				   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 ||
	    dprintf(fd, "%s %llu\n", m->boot_id, (unsigned long long)m->doubt_until_ms) < 0 ||
	    renameat(m->run_dir, "served.next", m->run_dir, "served"))
		return last_error();
	return 0;
}

static void leave_mark(struct manager *m)
{
	int r = write_mark(m);

	if (r)
		log_say(LOG_WARNING, "%s/served: cannot be made: %s", m->config.run, strerror(-r));
}

static void say_era(void)
{
	if (era.row_is_old)
		log_say(LOG_WARNING, "the database is older than the map: the map is believed");
	if (era.lost)
		log_say(LOG_ERROR, "the maps of this boot are lost: made anew from the database, "
				   "the namespaces and the source; what is free cools down first");
}

/*
 * Of the same boot, and later than now: the memory of this machine went back and its
 * disk did not.  The addresses are of a range that is ours alone, so nothing else
 * follows from it here; a source that others share is to be read again.
 */
static bool is_ahead(const struct manager *m, const struct store_meta *db)
{
	uint64_t now = now_ms();

	if (strcmp(db->boot_id, m->boot_id) || db->boottime_ms <= now)
		return false;
	log_say(LOG_WARNING,
		"the database was written %llu s after now: was this machine restored from a "
		"snapshot?  The map is believed",
		(unsigned long long)(db->boottime_ms - now + 999) / 1000);
	return true;
}

/* What there is no row of is to be taken with care for a while. */
static void find_doubt(struct manager *m, uint64_t before)
{
	m->doubt_until_ms = before;
	if (era.lost)
		m->doubt_until_ms = now_ms() + RECOVER_LONGEST_ADD_MS;
	else if (!era.map_whole && m->store_is_damaged)
		m->doubt_until_ms = now_ms();
	m->second_look_ms = m->doubt_until_ms;
}

static int find_pair(struct manager *m, const struct store_meta *db)
{
	if (era.map_whole)
		memcpy(m->pair_id, m->pin->meta->pair_id, sizeof(m->pair_id));
	else if (db)
		memcpy(m->pair_id, db->pair_id, sizeof(m->pair_id));
	else if (getrandom(m->pair_id, sizeof(m->pair_id), 0) != sizeof(m->pair_id))
		return -EIO;
	return 0;
}

static int find_era(struct manager *m)
{
	struct ipamd_meta *map = m->pin->meta;
	struct store_meta db = {0};
	uint64_t doubt_ms;
	int r = store_get_meta(m->store, &db);
	bool known = !r, here = was_here(m, &doubt_ms);

	if (r && r != STORE_ABSENT)
		return r;
	era = (struct era){
		.map_whole = map->boot_id[0] != '\0',
		.same_boot = known && !strcmp(db.boot_id, m->boot_id),
	};
	if (era.map_whole && known && memcmp(db.pair_id, map->pair_id, 16)) {
		r = set_foreign_store_aside(m);
		if (r)
			return r;
		known = false;
	}
	era.row_is_old = era.map_whole && known && map->epoch > db.epoch;
	era.lost = !era.map_whole && ((known && !strcmp(db.boot_id, m->boot_id)) || here);
	era.other_pair = era.map_whole ? m->store_is_new : m->store_is_damaged && !era.lost;
	era.other_time = known && (strcmp(db.boot_id, m->boot_id) || is_ahead(m, &db));
	say_era();
	find_doubt(m, doubt_ms);
	if (known && db.epoch > map->epoch)
		map->epoch = db.epoch;
	return find_pair(m, known ? &db : NULL);
}

/* Ids of namespaces count in the namespace of whoever gave them. */
static int find_netns(struct manager *m)
{
	struct ipamd_meta *map = m->pin->meta;
	__u64 cookie;
	int r = netns_own_cookie(&cookie);

	if (r)
		return r;
	if (map->netns_cookie && map->netns_cookie != cookie) {
		log_say(LOG_WARNING,
			"started in another network namespace than before: the death of pods that "
			"are here already will not be noticed at once");
		/* Ordering: a kill in between says it once more. */
		mem_store(&map->netns_since_ms, now_ms());
	}
	mem_store(&map->netns_cookie, cookie);
	m->netns_since_ms = map->netns_since_ms;
	return 0;
}

static int gather(struct manager *m)
{
	int seen = 0, r = gather_slots(m);

	if (!r)
		r = store_each(m->store, gather_row, m);
	if (!r && (seen = witness_look(m)) < 0)
		log_say(LOG_WARNING,
			"the namespaces cannot be read yet (%s): what depends on them waits",
			strerror(-seen));
	m->unread = seen && !era.map_whole;
	return r ? r : witness_each(cache_counts(), gather_sight, m);
}

/*
 * From here on the next start believes this map.  Ordering: the first letter of the
 * boot id says so, and is the last to be written, in one store.
 */
static void seal(struct manager *m)
{
	struct ipamd_meta *map = m->pin->meta;

	memcpy(map->pair_id, m->pair_id, sizeof(map->pair_id));
	memcpy(map->boot_id + 1, m->boot_id + 1, sizeof(map->boot_id) - 1);
	__atomic_store_n(&map->boot_id[0], m->boot_id[0], __ATOMIC_RELEASE);
}

/*
 * The seal makes the map a whole one, so it is the last: until then the next start
 * does all of this again, and no pod can claim, since no pool has a name.
 */
static int recover_all(struct manager *m)
{
	int r = gather(m);

	if (!r)
		r = carry_out_all(m, false);
	if (r)
		return r;
	/* A doubt must not be forgotten; without one the mark must not make it a loss. */
	if (m->doubt_until_ms)
		leave_mark(m);
	seal(m);
	if (!m->doubt_until_ms)
		leave_mark(m);
	return pools_name(m, &m->config);
}

int recover_start(struct manager *m)
{
	int r = read_boot_id(m->boot_id);

	if (r) {
		log_say(LOG_ERROR, "the id of this boot cannot be read: %s", strerror(-r));
		return r;
	}
	r = open_pins(m);
	if (!r)
		r = open_store(m);
	if (r)
		return r;
	r = find_era(m);
	if (!r)
		r = netns_open(&m->netns);
	if (!r)
		r = find_netns(m);
	if (!r)
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
	if (!rows_may_write(m) || witness_look(m) || witness_each(cache_counts(), gather_sight, m))
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

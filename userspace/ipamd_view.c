// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What ipamctl shows: status, slots, history, and why an address is where it is. */
#include "userspace/ipamd_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "userspace/edge/portrait.h"

static uint64_t word_of(const struct manager *m, const struct ledger_row *row)
{
	return row->slot == IPAMD_NONE ? 0 : mem_load(&m->pin->words[row->slot]);
}

/* --- Status -------------------------------------------------------------------------- */

struct sum {
	unsigned int provisioned, ready, cooling, held, leaving, quarantine, fixed, waiting;
};

/* Invariant 10, counted from the words and the rows as they are this moment. */
static struct sum count_all(struct manager *m)
{
	struct sum s = {0};
	uint64_t now = now_ms();

	for (unsigned int i = 0; i < m->ledger->used; i++) {
		const struct ledger_row *row = &m->ledger->rows[i];
		uint64_t word = word_of(m, row);

		if (!row->address.family)
			continue;
		s.provisioned++;
		s.fixed += row->fixed;
		switch (slot_state(word)) {
		case IPAMD_EMPTY:
			s.waiting++;
			break;
		case IPAMD_FREE:
			if (slot_is_ready(word, now))
				s.ready++;
			else
				s.cooling++;
			break;
		case IPAMD_LEAVING:
			s.leaving++;
			break;
		case IPAMD_QUARANTINE:
			s.quarantine++;
			break;
		default:
			s.held++;
		}
	}
	return s;
}

static unsigned int count_used(const struct manager *m)
{
	unsigned int n = 0;

	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++)
		n += slot_state(mem_load(&m->pin->words[slot])) != IPAMD_EMPTY;
	return n;
}

static void show_balance(struct manager *m, struct json *j)
{
	struct sum s = count_all(m);
	unsigned int used = count_used(m);

	json_open_object(j, "balance");
	json_unsigned(j, "provisioned", s.provisioned);
	json_unsigned(j, "ready", s.ready);
	json_unsigned(j, "cooling", s.cooling);
	json_unsigned(j, "held", s.held);
	json_unsigned(j, "leaving", s.leaving);
	json_unsigned(j, "quarantine", s.quarantine);
	json_unsigned(j, "waiting", s.waiting);
	json_unsigned(j, "fixed", s.fixed);
	json_unsigned(j, "slots_used", used);
	json_bool(j, "holds", s.provisioned - s.waiting == used);
	json_close_object(j);
}

/* A /64 has more addresses than the integers that readers of JSON can take (jansson refuses). */
static uint64_t shown_size(const struct pool *p)
{
	uint64_t size = p->source.kind->size(&p->source);

	return size < INT64_MAX ? size : INT64_MAX;
}

static void show_pool(struct manager *m, unsigned int i, struct json *j)
{
	const struct pool *p = &m->pool[i];

	json_open_object(j, NULL);
	json_text(j, "name", pool_name(m, i));
	json_unsigned(j, "family", m->pin->pools[i].family);
	json_text(j, "source", p->source.kind ? p->source.kind->name : "none");
	json_text(j, "state", !p->current ? "removed" : p->draining ? "draining" : "open");
	json_unsigned(j, "ready", p->ready);
	json_unsigned(j, "cooling", p->cooling);
	json_unsigned(j, "held", p->held);
	json_unsigned(j, "leaving", p->leaving);
	json_unsigned(j, "quarantine", p->quarantine);
	json_unsigned(j, "fixed_free", p->fixed);
	json_unsigned(j, "waiters", p->waiters);
	if (p->current) {
		json_unsigned(j, "low", p->source.pool.low);
		json_unsigned(j, "high", p->source.pool.high);
		json_unsigned(j, "size", shown_size(p));
	}
	json_unsigned(j, "cooldown_ms", m->pin->pools[i].cooldown_ms);
	json_close_object(j);
}

void view_status(struct manager *m, struct json *j)
{
	json_text(j, "from", "manager");
	json_unsigned(j, "pid", (uint64_t)getpid());
	json_text(j, "kind", m->idle_exit_s ? "idle-exit" : "manager");
	json_unsigned(j, "up_ms", now_ms() - m->started_ms);
	json_text(j, "boot_id", m->boot_id);
	json_text(j, "pins", m->config.pins);
	json_bool(j, "pins_current", !m->pins_gone);
	json_unsigned(j, "slots", m->pin->meta->slots);
	json_unsigned(j, "epoch", m->pin->meta->epoch);
	json_text(j, "database", m->store_retry_ms ? "failing" : "ok");
	json_unsigned(j, "gaps", m->counters.gaps);
	json_unsigned(j, "reclaimed",
		      m->counters.reclaims_proof + m->counters.reclaims_weak +
			      m->counters.reclaims_asked);
	show_balance(m, j);
	json_open_array(j, "pools");
	for (unsigned int i = 0; i < IPAMD_POOLS; i++)
		if (m->pin->pools[i].family)
			show_pool(m, i, j);
	json_close_array(j);
}

/* --- Slots ------------------------------------------------------------------------------- */

static const char *row_name(enum recover_row row)
{
	static const char *const names[RECOVER_ROWS] = {
		[ROW_STOCK] = "stock",           [ROW_HELD] = "held",
		[ROW_COOLING] = "cooling",       [ROW_LEAVING] = "leaving",
		[ROW_QUARANTINE] = "quarantine", [ROW_NONE] = "none",
	};

	return names[row];
}

/* "namespace/pod"; "#digest" when a lost database had the name, see ipamd_fix.c. */
#define FIXED_TEXT \
	(sizeof(((struct store_row *)0)->fixed_space) + sizeof(((struct store_row *)0)->fixed_pod))

static bool read_fixed(struct manager *m, const struct ledger_row *row, char ret[FIXED_TEXT])
{
	static struct store_row stored;

	if (!row->fixed || store_get(m->store, &row->address, &stored) || !stored.fixed_pod[0])
		return false;
	snprintf(ret, FIXED_TEXT, "%s%s%s", stored.fixed_space, stored.fixed_space[0] ? "/" : "",
		 stored.fixed_pod);
	return true;
}

static void show_row(struct manager *m, const struct ledger_row *row, struct json *j)
{
	char text[ADDR_TEXT], fixed[FIXED_TEXT];

	addr_print(&row->address, text);
	json_text(j, "address", text);
	json_text(j, "pool", pool_name(m, row->pool));
	json_text(j, "row", row_name(row->row));
	if (row->slot == IPAMD_NONE)
		json_text(j, "state", "waiting");
	else
		portrait_slot(m->pin, row->slot, word_of(m, row), now_ms(), j);
	if (read_fixed(m, row, fixed))
		json_text(j, "fixed_for", fixed);
}

static const char *state_of(struct manager *m, const struct ledger_row *row)
{
	return row->slot == IPAMD_NONE ? "waiting" : portrait_state(word_of(m, row), now_ms());
}

void view_slots(struct manager *m, const char *pool, const char *state, struct json *j)
{
	json_text(j, "from", "manager");
	json_open_array(j, "addresses");
	for (unsigned int i = 0; i < m->ledger->used; i++) {
		const struct ledger_row *row = &m->ledger->rows[i];

		if (!row->address.family || (pool && strcmp(pool, pool_name(m, row->pool))) ||
		    (state && strcmp(state, state_of(m, row))))
			continue;
		json_open_object(j, NULL);
		show_row(m, row, j);
		json_close_object(j);
	}
	json_close_array(j);
}

/* --- History ------------------------------------------------------------------------------ */

struct past {
	struct json *json;
	uint64_t last_ms; /* the end of the hold before */
};

/* By more than adjusting and rounding do. */
static bool went_back(uint64_t from_ms, uint64_t to_ms)
{
	return from_ms && to_ms && to_ms + 1000 < from_ms;
}

/* In the order in which it happened; the clock on the wall may tell another one. */
static int show_hold(void *ctx, const struct store_hold *h)
{
	struct past *past = ctx;
	struct json *j = past->json;

	json_open_object(j, NULL);
	json_text(j, "holder", h->holder);
	json_text(j, "pod", h->pod);
	if (h->from_ms)
		json_unsigned(j, "from_ms", h->from_ms);
	if (h->end[0]) {
		json_unsigned(j, "to_ms", h->to_ms);
		json_text(j, "end", h->end);
	}
	if (went_back(past->last_ms, h->from_ms) || went_back(h->from_ms, h->to_ms))
		json_bool(j, "clock_went_back", true);
	if (h->missed)
		json_unsigned(j, "unseen_before", h->missed);
	json_close_object(j);
	past->last_ms = h->to_ms;
	return 0;
}

int view_history(struct manager *m, const struct addr *address, struct json *j)
{
	struct past past = {.json = j};
	char text[ADDR_TEXT];
	int r;

	addr_print(address, text);
	json_text(j, "address", text);
	json_open_array(j, "holds");
	r = store_hold_each(m->store, address, show_hold, &past);
	json_close_array(j);
	return r;
}

/* --- Why ------------------------------------------------------------------------------------ */

/* What the maps alone cannot tell: whether the pod lives. */
static void say_life(struct manager *m, const struct ledger_row *row, struct json *j)
{
	uint64_t word = word_of(m, row);
	struct ipamd_holder h;
	char text[512];

	if (slot_state(word) != IPAMD_HELD || pin_holder(m->pin, row->slot, word, &h))
		return;
	if (h.who.nsid < 0) {
		json_text(j, NULL,
			  "its namespace has no id here: only its DEL, or weak evidence, "
			  "can free it");
		return;
	}
	switch (netns_ask(m->netns, h.who.nsid)) {
	case 0:
		snprintf(text, sizeof(text), "its namespace (id %d) lives", h.who.nsid);
		break;
	case NETNS_GONE:
		snprintf(text, sizeof(text), "its namespace (id %d) is gone: it is reclaimed now",
			 h.who.nsid);
		break;
	default:
		snprintf(text, sizeof(text), "its namespace (id %d) could not be asked for",
			 h.who.nsid);
	}
	json_text(j, NULL, text);
	if (row->slot < IPAMD_SLOTS_MAX && m->mark[row->slot].word == word &&
	    m->mark[row->slot].looks) {
		snprintf(text, sizeof(text),
			 "no namespace has the address and no result names it since %" PRIu64
			 " s: it is reclaimed when that lasts",
			 (now_ms() - m->mark[row->slot].since_ms) / 1000);
		json_text(j, NULL, text);
	}
}

static void say_why(struct manager *m, const struct ledger_row *row, struct json *j)
{
	static struct store_row stored;
	char text[400], fixed[FIXED_TEXT];

	if (row->slot == IPAMD_NONE) {
		json_text(j, NULL,
			  "in no slot: it waits for its source, the namespaces, or to leave");
	} else {
		portrait_why(m->pin, row->slot, word_of(m, row), now_ms(), j);
		say_life(m, row, j);
	}
	if (read_fixed(m, row, fixed)) {
		snprintf(text, sizeof(text), "fixed for %s", fixed);
		json_text(j, NULL, text);
	}
	if (!store_get(m->store, &row->address, &stored) && stored.note[0])
		json_text(j, NULL, stored.note);
}

static void explain_row(struct manager *m, const struct ledger_row *row, struct json *j)
{
	json_open_object(j, NULL);
	show_row(m, row, j);
	json_open_array(j, "why");
	say_why(m, row, j);
	json_close_array(j);
	json_close_object(j);
}

/* Whose gateway it is; NULL: nobody's. */
static const char *gateway_of(const struct config *c, const struct addr *a)
{
	for (unsigned int i = 0; i < c->pools; i++)
		for (int f = 0; f < IPAMD_FAMILIES; f++) {
			const struct addr *g = &c->pool[i].family[f].gateway;

			if (g->family && !addr_compare(g, a))
				return c->pool[i].name;
		}
	return NULL;
}

/* An address that is in no row, but may be one of a pool. */
static void explain_stranger(struct manager *m, const struct addr *a, struct json *j)
{
	unsigned int pool = pool_of_address(m, a);
	const char *gateway = gateway_of(&m->config, a);
	char text[128], address[ADDR_TEXT];

	addr_print(a, address);
	if (pool == IPAMD_POOLS && gateway)
		snprintf(text, sizeof(text), "the gateway of pool %s: given to no pod", gateway);
	else if (pool == IPAMD_POOLS)
		snprintf(text, sizeof(text), "no pool of this node hands it out");
	else
		snprintf(text, sizeof(text), "pool %s may hand it out, but it is not in stock",
			 pool_name(m, pool));
	json_open_object(j, NULL);
	json_text(j, "address", address);
	json_text(j, "pool", pool == IPAMD_POOLS ? "none" : pool_name(m, pool));
	json_text(j, "state", "absent");
	json_open_array(j, "why");
	json_text(j, NULL, text);
	json_close_array(j);
	json_close_object(j);
}

/* Kept for that workload, whether a pod of it is there or not. */
static bool is_fixed_for(struct manager *m, const struct ledger_row *row, const char *q)
{
	char fixed[FIXED_TEXT];

	return read_fixed(m, row, fixed) && !strcmp(fixed, q);
}

static bool is_meant(struct manager *m, const struct ledger_row *row, const char *q)
{
	struct ipamd_holder h;
	uint64_t word;

	if (is_fixed_for(m, row, q))
		return true;
	if (row->slot == IPAMD_NONE)
		return false;
	word = word_of(m, row);
	return slot_state(word) == IPAMD_HELD && !pin_holder(m->pin, row->slot, word, &h) &&
	       portrait_is_of(&h.who, q);
}

bool view_explain(struct manager *m, const char *q, struct json *j)
{
	struct ledger_row *row;
	struct addr a;
	bool found = false;

	json_text(j, "from", "manager");
	json_open_array(j, "found");
	if (!addr_parse(q, &a)) {
		row = ledger_find(m->ledger, &a);
		if (row)
			explain_row(m, row, j);
		else
			explain_stranger(m, &a, j);
		json_close_array(j);
		return true;
	}
	for (unsigned int i = 0; i < m->ledger->used; i++) {
		row = &m->ledger->rows[i];
		if (row->address.family && is_meant(m, row, q)) {
			explain_row(m, row, j);
			found = true;
		}
	}
	json_close_array(j);
	return found;
}

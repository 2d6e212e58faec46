// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What ipamctl shows: status, slots, history, and why an address is where it is. */
#include "userspace/ipamd_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const state_names[] = {
	[IPAMD_EMPTY] = "empty",           [IPAMD_FREE] = "free",
	[IPAMD_CLAIMING] = "claiming",     [IPAMD_HELD] = "held",
	[IPAMD_LEAVING] = "leaving",       [5] = "none",
	[IPAMD_QUARANTINE] = "quarantine", [IPAMD_MOVED] = "moved",
};

static const char *state_name(uint64_t word, uint64_t now)
{
	if (slot_state(word) == IPAMD_FREE)
		return slot_is_ready(word, now) ? "ready" : "cooling";
	return state_names[slot_state(word)];
}

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

static void show_holder(const struct ipamd_holder *h, uint64_t now, struct json *j)
{
	json_open_object(j, "holder");
	json_text(j, "network", h->who.network);
	json_text(j, "container", h->who.container);
	json_text(j, "ifname", h->who.ifname);
	json_text(j, "namespace", h->who.name_space);
	json_text(j, "pod", h->who.pod);
	json_text(j, "uid", h->who.uid);
	json_signed(j, "nsid", h->who.nsid);
	if (h->claimed_at_ms)
		json_unsigned(j, "for_ms", now - h->claimed_at_ms);
	json_close_object(j);
}

static void show_row(struct manager *m, const struct ledger_row *row, struct json *j)
{
	uint64_t word = word_of(m, row), now = now_ms();
	struct ipamd_holder h;
	char text[ADDR_TEXT];

	addr_print(&row->address, text);
	json_text(j, "address", text);
	json_text(j, "pool", pool_name(m, row->pool));
	if (row->slot == IPAMD_NONE) {
		json_text(j, "state", "waiting");
		return;
	}
	json_unsigned(j, "slot", row->slot);
	json_text(j, "state", state_name(word, now));
	json_bool(j, "fixed", word & SLOT_FIXED);
	json_unsigned(j, "claims", slot_gen(word));
	if (slot_state(word) == IPAMD_FREE && !slot_is_ready(word, now))
		json_unsigned(j, "ready_in_ms", slot_time(word) - now);
	if (slot_state(word) == IPAMD_FREE && slot_is_ready(word, now))
		json_unsigned(j, "idle_ms", now - slot_time(word));
	if (slot_state(word) == IPAMD_HELD && !pin_holder(m->pin, row->slot, word, &h))
		show_holder(&h, now, j);
}

void view_slots(struct manager *m, struct json *j)
{
	json_open_array(j, "addresses");
	for (unsigned int i = 0; i < m->ledger->used; i++) {
		if (!m->ledger->rows[i].address.family)
			continue;
		json_open_object(j, NULL);
		show_row(m, &m->ledger->rows[i], j);
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

static void say_held(struct manager *m, const struct ledger_row *row, struct json *j)
{
	uint64_t word = word_of(m, row);
	struct ipamd_holder h;
	char text[512];

	if (pin_holder(m->pin, row->slot, word, &h)) {
		json_text(j, NULL, "it changed while it was looked at: ask again");
		return;
	}
	snprintf(text, sizeof(text), "held by %s (container %s, interface %s, network %s)",
		 h.who.label, h.who.container, h.who.ifname, h.who.network);
	json_text(j, NULL, text);
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

static void say_free(struct manager *m, const struct ledger_row *row, struct json *j)
{
	uint64_t word = word_of(m, row), now = now_ms();
	struct ipamd_holder h;
	char text[256];

	if (slot_is_ready(word, now))
		snprintf(text, sizeof(text), "in stock, idle for %" PRIu64 " s",
			 (uint64_t)(now - slot_time(word)) / 1000);
	else
		snprintf(text, sizeof(text), "cooling down, ready in %" PRIu64 " ms",
			 (uint64_t)(slot_time(word) - now));
	json_text(j, NULL, text);
	if (!pin_last_holder(m->pin, row->slot, word, &h)) {
		snprintf(text, sizeof(text), "last held by %s (container %s)", h.who.label,
			 h.who.container);
		json_text(j, NULL, text);
	}
}

static void say_why(struct manager *m, const struct ledger_row *row, struct json *j)
{
	static struct store_row stored;
	char text[400];

	if (row->slot == IPAMD_NONE)
		json_text(j, NULL,
			  "in no slot: it waits for its source, the namespaces, or to leave");
	else if (slot_state(word_of(m, row)) == IPAMD_HELD)
		say_held(m, row, j);
	else if (slot_state(word_of(m, row)) == IPAMD_FREE)
		say_free(m, row, j);
	else
		json_text(j, NULL, "out of reach until its source has spoken");
	if (store_get(m->store, &row->address, &stored))
		return;
	if (stored.fixed_pod[0]) {
		snprintf(text, sizeof(text), "fixed for %s/%s", stored.fixed_space,
			 stored.fixed_pod);
		json_text(j, NULL, text);
	}
	if (stored.note[0])
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

/* An address that is in no row, but may be one of a pool. */
static void explain_stranger(struct manager *m, const struct addr *a, struct json *j)
{
	unsigned int pool = pool_of_address(m, a);
	char text[128];

	if (pool == IPAMD_POOLS)
		snprintf(text, sizeof(text), "no pool of this node hands it out");
	else
		snprintf(text, sizeof(text), "pool %s may hand it out, but it is not in stock",
			 pool_name(m, pool));
	json_open_object(j, NULL);
	json_open_array(j, "why");
	json_text(j, NULL, text);
	json_close_array(j);
	json_close_object(j);
}

static bool is_meant(const struct ipamd_who *w, const char *q)
{
	char pod[sizeof(w->name_space) + sizeof(w->pod) + 1];
	size_t n = strlen(q);

	snprintf(pod, sizeof(pod), "%s/%s", w->name_space, w->pod);
	return !strcmp(q, pod) || (n >= 4 && !strncmp(q, w->container, n));
}

bool view_explain(struct manager *m, const char *q, struct json *j)
{
	struct ledger_row *row;
	struct ipamd_holder h;
	struct addr a = {0};
	bool found = false;

	json_open_array(j, "found");
	if (!addr_parse(q, &a)) {
		row = ledger_find(m->ledger, &a);
		if (row)
			explain_row(m, row, j);
		else
			explain_stranger(m, &a, j);
		found = true;
	}
	for (unsigned int slot = 0; !a.family && slot < m->pin->meta->slots; slot++) {
		uint64_t word = mem_load(&m->pin->words[slot]);

		row = ledger_at(m->ledger, slot);
		if (row && slot_state(word) == IPAMD_HELD && !pin_holder(m->pin, slot, word, &h) &&
		    is_meant(&h.who, q)) {
			explain_row(m, row, j);
			found = true;
		}
	}
	json_close_array(j);
	return found;
}

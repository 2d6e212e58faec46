// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The manager's answers, made from the pinned maps: the same shape, without what the
 * maps do not know (the source, the rows, watermarks, for whom an address is fixed).
 */
#include <string.h>

#include "bpf/slot.h"
#include "userspace/base/clock.h"
#include "userspace/ctl/ctl.h"
#include "userspace/edge/portrait.h"

uint64_t now_ms(void)
{
	return slot_now_ms(clock_boot_ns());
}

static void count(struct counts *n, uint64_t word, uint64_t now)
{
	unsigned int *of[] = {
		[IPAMD_FREE] = slot_is_ready(word, now) ? &n->ready : &n->cooling,
		[IPAMD_CLAIMING] = &n->claiming,
		[IPAMD_HELD] = &n->held,
		[IPAMD_LEAVING] = &n->leaving,
		[5] = NULL,
		[IPAMD_QUARANTINE] = &n->quarantine,
		[IPAMD_MOVED] = NULL,
	};

	n->used++;
	n->fixed += (word & SLOT_FIXED) != 0;
	if (of[slot_state(word)])
		++*of[slot_state(word)];
}

struct counts kernel_count(const struct pin *pin, unsigned int pool, uint64_t now)
{
	struct counts n = {0};

	for (unsigned int slot = 0; slot < pin->meta->slots; slot++) {
		uint64_t word = mem_load(&pin->words[slot]);

		if (slot_state(word) != IPAMD_EMPTY &&
		    (pool == IPAMD_POOLS || pool == slot_pool(word)))
			count(&n, word, now);
	}
	return n;
}

/* --- Status ------------------------------------------------------------------------ */

static void make_pool(const struct pin *pin, unsigned int i, uint64_t now, struct json *j)
{
	const struct ipamd_pool *p = &pin->pools[i];
	struct counts n = kernel_count(pin, i, now);
	uint64_t until = mem_load(&p->valid_until_ms);

	json_open_object(j, NULL);
	json_text(j, "name", p->name);
	json_unsigned(j, "family", p->family);
	json_text(j, "state", p->draining ? "draining" : until <= now ? "closed" : "open");
	json_unsigned(j, "ready", n.ready);
	json_unsigned(j, "cooling", n.cooling);
	json_unsigned(j, "held", n.held + n.claiming);
	json_unsigned(j, "leaving", n.leaving);
	json_unsigned(j, "quarantine", n.quarantine);
	json_unsigned(j, "cooldown_ms", p->cooldown_ms);
	json_close_object(j);
}

int kernel_status(const struct ctl *c, const struct pin *pin, struct json *j)
{
	uint64_t now = now_ms(), heard = mem_load(&pin->meta->heartbeat_ms);
	struct counts n = kernel_count(pin, IPAMD_POOLS, now);

	json_text(j, "pins", c->pins ? c->pins : IPAMD_DIR);
	json_unsigned(j, "slots", pin->meta->slots);
	json_unsigned(j, "epoch", pin->meta->epoch);
	if (heard && heard <= now)
		json_unsigned(j, "silent_ms", now - heard);
	json_open_object(j, "balance");
	json_unsigned(j, "provisioned", n.used);
	json_unsigned(j, "ready", n.ready);
	json_unsigned(j, "cooling", n.cooling);
	json_unsigned(j, "held", n.held + n.claiming);
	json_unsigned(j, "leaving", n.leaving);
	json_unsigned(j, "quarantine", n.quarantine);
	json_unsigned(j, "fixed", n.fixed);
	json_unsigned(j, "slots_used", n.used);
	json_close_object(j);
	json_open_array(j, "pools");
	for (unsigned int i = 0; i < IPAMD_POOLS; i++)
		if (pin->pools[i].family)
			make_pool(pin, i, now, j);
	json_close_array(j);
	return CTL_OK;
}

/* --- Addresses ----------------------------------------------------------------------- */

static void make_slot(const struct pin *pin, unsigned int slot, uint64_t word, struct json *j)
{
	char text[ADDR_TEXT] = "?";
	struct addr a;

	if (portrait_address(pin, slot, word, &a))
		addr_print(&a, text);
	json_text(j, "address", text);
	json_text(j, "pool", pin->pools[slot_pool(word)].name);
	portrait_slot(pin, slot, word, now_ms(), j);
}

static bool has_pool(const struct pin *pin, const char *name)
{
	for (unsigned int i = 0; i < IPAMD_POOLS; i++)
		if (pin->pools[i].family && !strcmp(pin->pools[i].name, name))
			return true;
	return false;
}

int kernel_slots(const struct ctl *c, const struct pin *pin, struct json *j)
{
	const char *pool = c->option[0], *state = c->option[1];

	if (pool && !has_pool(pin, pool))
		return ctl_fail(CTL_NOT_FOUND, "there is no pool \"%s\"", pool);
	json_open_array(j, "addresses");
	for (unsigned int slot = 0; slot < pin->meta->slots; slot++) {
		uint64_t word = mem_load(&pin->words[slot]);

		if (slot_state(word) == IPAMD_EMPTY ||
		    (pool && strcmp(pool, pin->pools[slot_pool(word)].name)) ||
		    (state && strcmp(state, portrait_state(word, now_ms()))))
			continue;
		json_open_object(j, NULL);
		make_slot(pin, slot, word, j);
		json_close_object(j);
	}
	json_close_array(j);
	return CTL_OK;
}

/* --- Why --------------------------------------------------------------------------------- */

static bool is_meant(const struct pin *pin, unsigned int slot, uint64_t word, const char *query)
{
	struct ipamd_holder h;
	struct addr a, asked;

	if (!addr_parse(query, &asked))
		return portrait_address(pin, slot, word, &a) && !addr_compare(&a, &asked);
	return slot_state(word) == IPAMD_HELD && !pin_holder(pin, slot, word, &h) &&
	       portrait_is_of(&h.who, query);
}

int kernel_explain(const struct ctl *c, const struct pin *pin, struct json *j)
{
	bool found = false;

	json_text(j, "query", c->argument[0]);
	json_open_array(j, "found");
	for (unsigned int slot = 0; slot < pin->meta->slots; slot++) {
		uint64_t word = mem_load(&pin->words[slot]);

		if (slot_state(word) == IPAMD_EMPTY || !is_meant(pin, slot, word, c->argument[0]))
			continue;
		found = true;
		json_open_object(j, NULL);
		make_slot(pin, slot, word, j);
		json_open_array(j, "why");
		portrait_why(pin, slot, word, now_ms(), j);
		json_close_array(j);
		json_close_object(j);
	}
	json_close_array(j);
	return found ? CTL_OK
		     : ctl_fail(CTL_NOT_FOUND,
				"the manager does not answer, and \"%s\" is in no slot of the "
				"kernel's maps",
				c->argument[0]);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* All that is known of each address, from the map, the database and the witnesses. */
#include <errno.h>
#include <string.h>

#include "userspace/ipamd_recover.h"

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

uint64_t gather_seen(uint64_t word)
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
		row->seen = gather_seen(word);
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

int gather_sights(struct manager *m)
{
	return witness_each(era_counts_cache(), gather_sight, m);
}

int gather_all(struct manager *m)
{
	int seen = 0, r = gather_slots(m);

	if (!r)
		r = store_each(m->store, gather_row, m);
	if (!r && (seen = witness_look(m)) < 0)
		log_say(LOG_WARNING,
			"the namespaces cannot be read yet (%s): what depends on them waits",
			strerror(-seen));
	m->unread = seen && !era.map_whole;
	return r ? r : gather_sights(m);
}

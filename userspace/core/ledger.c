// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/core/ledger.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ledger_open(struct ledger **ret)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	*ret = l;
	return 0;
}

void ledger_close(struct ledger *l)
{
	free(l);
}

/* FNV-1a; whoever may choose addresses here may also fill the node. */
static unsigned int bucket_of(const struct addr *a)
{
	uint32_t h = 2166136261U ^ a->family;

	for (unsigned int i = 0; i < sizeof(a->bytes); i++)
		h = (h ^ a->bytes[i]) * 16777619U;
	return (h ^ h >> 16) % LEDGER_BUCKETS;
}

/* The bucket that has the address, or the empty one where it would be. */
static unsigned int look_up(const struct ledger *l, const struct addr *a)
{
	unsigned int b = bucket_of(a);

	while (l->buckets[b] && addr_compare(&l->rows[l->buckets[b] - 1].address, a))
		b = (b + 1) % LEDGER_BUCKETS;
	return b;
}

struct ledger_row *ledger_find(struct ledger *l, const struct addr *address)
{
	unsigned int index = l->buckets[look_up(l, address)];

	return index ? &l->rows[index - 1] : NULL;
}

struct ledger_row *ledger_at(struct ledger *l, unsigned int slot)
{
	assert(slot < IPAMD_SLOTS_MAX);
	return l->by_slot[slot] ? &l->rows[l->by_slot[slot] - 1] : NULL;
}

struct ledger_row *ledger_add(struct ledger *l, const struct addr *address)
{
	unsigned int b = look_up(l, address), i = 0;

	if (l->buckets[b])
		return &l->rows[l->buckets[b] - 1];
	if (l->count == LEDGER_ROWS)
		return NULL;
	if (l->count == l->used)
		i = l->used++;
	else
		while (l->rows[i].address.family)
			i++;
	l->count++;
	l->buckets[b] = (uint16_t)(i + 1);
	l->rows[i] = (struct ledger_row){
		.address = *address,
		.row = ROW_NONE,
		.slot = IPAMD_NONE,
		.pool = IPAMD_POOLS,
	};
	return &l->rows[i];
}

void ledger_place(struct ledger *l, struct ledger_row *row, unsigned int slot)
{
	if (row->slot != IPAMD_NONE)
		l->by_slot[row->slot] = 0;
	row->slot = (uint16_t)slot;
	if (slot == IPAMD_NONE)
		return;
	assert(slot < IPAMD_SLOTS_MAX && !l->by_slot[slot]);
	l->by_slot[slot] = (uint16_t)(row - l->rows + 1);
}

/* What stood behind the bucket moves up, so that a search may end at an empty one. */
static void close_gap(struct ledger *l, unsigned int gap)
{
	l->buckets[gap] = 0;
	for (unsigned int b = (gap + 1) % LEDGER_BUCKETS; l->buckets[b];
	     b = (b + 1) % LEDGER_BUCKETS) {
		uint16_t index = l->buckets[b];

		l->buckets[b] = 0;
		l->buckets[look_up(l, &l->rows[index - 1].address)] = index;
	}
}

void ledger_remove(struct ledger *l, struct ledger_row *row)
{
	ledger_place(l, row, IPAMD_NONE);
	close_gap(l, look_up(l, &row->address));
	memset(row, 0, sizeof(*row));
	l->count--;
	while (l->used && !l->rows[l->used - 1].address.family)
		l->used--;
}

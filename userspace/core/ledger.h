/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the manager knows of each address of ours: what its row in the database
 * says, which slot it is in, and the word for which the row was written.  A word
 * that has become another one since is all there is to know of what happened.
 *
 * Found by address and by slot.  Allocated once, at start.
 */
#ifndef IPAMD_CORE_LEDGER_H
#define IPAMD_CORE_LEDGER_H

#include "bpf/abi.h"
#include "userspace/base/addr.h"
#include "userspace/core/recover.h"

enum {
	LEDGER_ROWS = 2 * IPAMD_SLOTS_MAX, /* some wait for a slot, or for their source */
	LEDGER_BUCKETS = 4 * IPAMD_SLOTS_MAX,
};

struct ledger_row {
	struct addr address;    /* family 0: this row is not in use */
	enum recover_row row;   /* as it is written; ROW_NONE: it is not */
	uint16_t slot;          /* IPAMD_NONE: in none */
	uint8_t pool;           /* in the map of pools; IPAMD_POOLS: it has none there */
	bool fixed;             /* its workload is in the row */
	bool held_back;         /* waits for its source, or for the witnesses */
	bool away_on_release;   /* held, but not ours any more */
	uint32_t gen;           /* as written */
	uint64_t wait_until_ms; /* LEAVING: not before */
	uint64_t ready_at_ms;   /* COOLING, as written */
	uint64_t seen;          /* the word that history was written for */
	uint64_t looked_at_ms;  /* when it came into its state, as far as we saw */
};

struct ledger {
	struct ledger_row rows[LEDGER_ROWS];
	unsigned int used; /* no row at or behind this one is in use */
	unsigned int count;
	uint16_t by_slot[IPAMD_SLOTS_MAX]; /* index + 1; 0: none */
	uint16_t buckets[LEDGER_BUCKETS];  /* the same, by address */
};

int ledger_open(struct ledger **ret);
void ledger_close(struct ledger *l);

/* NULL: not there. */
struct ledger_row *ledger_find(struct ledger *l, const struct addr *address);
struct ledger_row *ledger_at(struct ledger *l, unsigned int slot);

/* Found, or made; NULL: there is no room. */
struct ledger_row *ledger_add(struct ledger *l, const struct addr *address);

/* The row is in that slot from now on; IPAMD_NONE: in none. */
void ledger_place(struct ledger *l, struct ledger_row *row, unsigned int slot);

void ledger_remove(struct ledger *l, struct ledger_row *row);

#endif

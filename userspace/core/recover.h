/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The judge at start: what becomes of an address when the map, the database, the
 * source and the live namespaces do not agree.
 *
 * The source is the authority on which addresses are ours, the database on
 * intent, the words on claims (as long as map and database belong together and
 * the boot is the same).  The witnesses may only add reasons to keep.  Absence
 * proves nothing (invariant 6): where what would decide has not been read, the
 * answer is to wait, never to free.
 *
 * Pure: one address in, one verdict out; docs/design.md has the table.
 */
#ifndef IPAMD_CORE_RECOVER_H
#define IPAMD_CORE_RECOVER_H

#include <stdbool.h>

/* What the map says of the address. */
enum recover_map {
	MAP_FREE,       /* FREE and ready */
	MAP_COOLING,    /* FREE, its time has not come */
	MAP_HELD,       /* CLAIMING counts as HELD: the claim went through or will */
	MAP_LEAVING,    /* QUARANTINE counts as LEAVING: neither is handed out */
	MAP_NO_SLOT,    /* the map is whole and the address is not in it */
	MAP_LOST,       /* there is no map of this boot */
	MAP_OTHER_BOOT, /* the machine was booted since */
	RECOVER_MAPS,
};

/* What the database says of it. */
enum recover_row {
	ROW_STOCK,
	ROW_HELD,
	ROW_COOLING,
	ROW_LEAVING,
	ROW_NONE,
	RECOVER_ROWS,
};

enum recover_source { SOURCE_UNREAD, SOURCE_OURS, SOURCE_NOT_OURS };
enum recover_witness { WITNESS_UNREAD, WITNESS_SEES_IT, WITNESS_SEES_NOTHING };

struct recover_evidence {
	enum recover_map map;
	enum recover_row row;
	enum recover_source source;
	enum recover_witness witness;
	bool same_holder; /* HELD both: by the same attachment */
	bool row_is_old;  /* pair id equal and the map's epoch newer: the row is proven stale */
};

/* What happens to the slot. */
enum recover_slot {
	KEEP_SLOT,      /* as it is */
	HOLD_BACK,      /* in no slot until source or witnesses were read */
	FILL_READY,     /* EMPTY -> FREE, now */
	FILL_COOLING,   /* EMPTY -> FREE, after a whole cooldown */
	FILL_HELD,      /* EMPTY -> HELD by whom the row, or the witness, names */
	LATER_DEADLINE, /* FREE with the later of both deadlines */
	TO_QUARANTINE,  /* out of reach until the source was read */
	GO_ON_LEAVING,  /* FREE -> LEAVING, or its source call again */
};

/* What happens to the row; it is durable before the slot changes (invariant 1). */
enum recover_change {
	ROW_KEEP,
	ROW_BECOMES_STOCK,
	ROW_BECOMES_HELD,
	ROW_BECOMES_COOLING,
	ROW_BECOMES_LEAVING,
	ROW_BECOMES_QUARANTINE,
	ROW_ADOPTED, /* written anew from the map */
	ROW_GOES,
};

struct recover_verdict {
	enum recover_slot slot;
	enum recover_change row;
	bool gap;                   /* history has a gap here, and says so */
	bool quarantine_on_release; /* held now, but not ours: keep it out of reach after */
	const char *reason;         /* for the log, one clause */
};

struct recover_verdict recover_judge(const struct recover_evidence *e);

#endif

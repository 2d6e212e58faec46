/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The judge at start: what becomes of an address when the map, the database, the
 * source and the live namespaces do not agree.
 *
 * The source is the authority on which addresses are ours, the database on
 * intent, the words on claims (as long as the boot is the same).  The witnesses
 * may only add reasons to keep.  Absence proves nothing (invariant 6): where what
 * would decide has not been read, the answer is to wait, never to free.
 *
 * Pure: one address in, one verdict out.  A verdict is one step; when it is carried
 * out the address may be judged again, until nothing changes.  docs/recovery.md has
 * the whole table, printed by recover_test.
 */
#ifndef IPAMD_CORE_RECOVER_H
#define IPAMD_CORE_RECOVER_H

#include <stdbool.h>

enum {
	/* As long as a runtime waits for an ADD: one may have claimed and not configured yet. */
	RECOVER_LONGEST_ADD_MS = 120000,
};

/* What the map says of the address. */
enum recover_map {
	MAP_FREE,       /* FREE and ready */
	MAP_COOLING,    /* FREE, its time has not come */
	MAP_HELD,       /* CLAIMING counts as HELD: the claim went through or will */
	MAP_LEAVING,    /* on its way to the source */
	MAP_QUARANTINE, /* out of reach until the source was read */
	MAP_NO_SLOT,    /* the map is whole and the address is not in it */
	MAP_LOST,       /* ipamd ran in this boot, and its map is gone */
	MAP_OTHER_BOOT, /* ipamd has not run in this boot: no claim is older than this start */
	RECOVER_MAPS,
};

/* What the database says of it. */
enum recover_row {
	ROW_STOCK,
	ROW_HELD,
	ROW_COOLING,
	ROW_LEAVING,
	ROW_QUARANTINE, /* with the word HELD: quarantine on release */
	ROW_NONE,
	RECOVER_ROWS,
};

/* OURS, NOT_OURS: the source was read to its end, after everything of ours was sent. */
enum recover_source { SOURCE_UNREAD, SOURCE_OURS, SOURCE_NOT_OURS };

/*
 * The namespaces, and the runtime's result cache; after another boot the namespaces
 * alone, since the cache outlives them.  SEES_NOTHING: all were read to their end.
 */
enum recover_witness { WITNESS_UNREAD, WITNESS_SEES_IT, WITNESS_SEES_NOTHING };

struct recover_evidence {
	enum recover_map map;
	enum recover_row row;
	enum recover_source source;
	enum recover_witness witness;
	bool same_holder; /* HELD both: by the same attachment */
	bool row_is_old;  /* same pair, and the map's epoch is newer: rows may be behind */
	bool other_pair;  /* the database was damaged or lost beside a map, or is another map's */
};

/* What happens to the slot. */
enum recover_slot {
	KEEP_SLOT,      /* as it is; of no slot: there is none, nor need be */
	HOLD_BACK,      /* in no slot until source or witnesses were read */
	FILL_READY,     /* EMPTY -> FREE, now */
	FILL_COOLING,   /* EMPTY -> FREE, after wait_ms and a whole cooldown */
	FILL_HELD,      /* EMPTY -> HELD by whom the witness names, else the row */
	LATER_DEADLINE, /* FREE with the later of both deadlines */
	TO_COOLING,     /* QUARANTINE -> FREE, after a whole cooldown */
	TO_QUARANTINE,  /* out of reach until the source was read */
	GO_ON_LEAVING,  /* to LEAVING, its source call (not if it was read as not ours), EMPTY */
	RECOVER_SLOTS,
};

/*
 * What happens to the row, durable before the slot changes (invariant 1).  A row
 * that becomes QUARANTINE keeps its holder: the word may still be HELD by it.
 */
enum recover_change {
	ROW_KEEP,
	ROW_BECOMES_STOCK,
	ROW_BECOMES_HELD,
	ROW_BECOMES_COOLING,
	ROW_BECOMES_LEAVING,
	ROW_BECOMES_QUARANTINE,
	ROW_ADOPTED, /* written anew, as its slot is or is about to be */
	ROW_GOES,
	RECOVER_CHANGES,
};

struct recover_verdict {
	enum recover_slot slot;
	enum recover_change row;
	unsigned int wait_ms;       /* see below */
	bool gap;                   /* history has a gap here, and says so */
	bool quarantine_on_release; /* held now, but maybe not ours: out of reach after */
	const char *reason;         /* for the log, one clause */
};

/*
 * wait_ms is not 0 when a map was lost: an ADD may have claimed from it and not
 * configured yet.  FILL_COOLING fills at once, ready after wait_ms and a cooldown;
 * GO_ON_LEAVING waits so long.  When wait_ms is over, the witnesses are read once
 * more and all such addresses judged again.
 */
struct recover_verdict recover_judge(const struct recover_evidence *e);

#endif

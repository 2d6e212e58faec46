/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the rooms of the start share: ipamd_era.c, ipamd_gather.c, ipamd_recover.c. */
#ifndef IPAMD_IPAMD_RECOVER_H
#define IPAMD_IPAMD_RECOVER_H

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

extern struct era era; /* written by era_open() alone */

/* --- ipamd_era.c --- */

/* Opens pins, store and witnesses, and finds out how they came to us; says what failed. */
int era_open(struct manager *m);

/* From here on the next start believes the map. */
void era_seal(struct manager *m);

/* The runtime's results outlive a boot; their pods do not. */
bool era_counts_cache(void);

/* --- ipamd_gather.c --- */

/* Slots, rows and sights into the ledger. */
int gather_all(struct manager *m);

/* History goes on from here: one hold, if there is one, and no guess at what was before. */
uint64_t gather_seen(uint64_t word);

/* What the last look saw of ours and nobody here knows. */
int gather_sights(struct manager *m);

#endif

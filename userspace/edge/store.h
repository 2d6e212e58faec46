/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What must outlive the node's memory, in sqlite: a row for each address of ours,
 * and who held it when.
 *
 * One connection for life with the file locked (sqlite before 3.51.3 may corrupt
 * a write-ahead log that two share).  A commit is durable (synced) when somebody
 * else relies on it, and batched otherwise: what a claim adds, the words know too.
 *
 * A file that is damaged is moved aside and kept, never thrown away.
 *
 * Functions return 0, -errno or an outcome; store_explain() has a sentence for each.
 */
#ifndef IPAMD_EDGE_STORE_H
#define IPAMD_EDGE_STORE_H

#include "bpf/abi.h"
#include "userspace/base/addr.h"

enum store_outcome {
	STORE_MADE = 120,     /* open: there was none, and now there is */
	STORE_REPLACED = 121, /* open: it was damaged; moved aside, and made anew */
	STORE_NEWER = 122,    /* open: the schema is of a newer ipamd; not touched */
	STORE_LOCKED = 123,   /* open: another process has it */
	STORE_ABSENT = 124,   /* there is no such row */
	STORE_FOREIGN = 125,  /* open: a database of another program; not touched */
};

enum store_state {
	STORE_STOCK = 1,
	STORE_HELD = 2,
	STORE_COOLING = 3,
	STORE_LEAVING = 4,
	STORE_QUARANTINE = 5,
};

struct store_row {
	struct addr address;
	char pool[32];
	enum store_state state;
	uint64_t ready_at_ms; /* COOLING: boottime, of the boot in the meta row */
	uint32_t gen;
	struct ipamd_who who; /* HELD: the holder; label is not kept */
	char fixed_space[64]; /* the workload that alone may have it, in every state; */
	char fixed_pod[256];  /* "": anybody may */
	char note[96];        /* why it is in quarantine, how it was adopted: for people */
};

/* Which map and which boot the rows belong to. */
struct store_meta {
	uint8_t pair_id[16];
	uint64_t epoch;
	char boot_id[40];
	uint64_t boottime_ms; /* when it was last written */
};

struct store_hold {
	struct addr address;
	char holder[200]; /* "network/container/ifname" */
	char pod[200];    /* "namespace/pod", or "" */
	uint64_t from_ms; /* wall clock, for people; 0: unknown */
	uint64_t to_ms;   /* 0: it holds on, or nobody knows */
	char end[64];     /* what ended it, "unknown" when nobody saw, "" while it holds on */
	uint32_t missed;  /* claims in between that nobody wrote down */
};

struct store;

/*
 * Opens the database, or makes it (mode 0600), or moves a damaged one aside into a
 * directory "<path>.damaged-<n>" and makes another.  There is a store on 0,
 * STORE_MADE and STORE_REPLACED; `aside` is the old file's name if one was moved,
 * else "".  Otherwise STORE_NEWER, STORE_FOREIGN, STORE_LOCKED, or what is wrong
 * with the place or the disk as -errno.  A process opens one store only.
 */
int store_open(const char *path, char aside[4096], struct store **ret);

/* Gives up what is not committed; the log goes into the database. */
void store_close(struct store *store);

/* What it means and what to do, for any result of these functions. */
const char *store_explain(int outcome);

/*
 * Changes go between begin and commit, one transaction at a time.  Durable: on the
 * disk when commit returns 0; otherwise with the next durable one, or when the log
 * is emptied, and with a loss of power the last ones may be gone, in order.  A
 * failed begin has begun nothing.  A failed commit is over and has changed nothing
 * that this store shows; killed before the next begin returns 0, the next open may
 * find it all the same, whole.  After a failed change the others are refused with
 * its error, and so is the commit.
 */
int store_begin(struct store *store, bool durable);
int store_commit(struct store *store);
void store_abandon(struct store *store);

/*
 * When there is nothing to do, outside a transaction: empties the log if it is
 * longer than 64 KiB.  Never called, the log stays below 4 MiB and one transaction.
 */
int store_idle(struct store *store);

/* Adds the row, or replaces the one of the same address. */
int store_put(struct store *store, const struct store_row *row);

/* 0 or STORE_ABSENT; -EUCLEAN: a row that no ipamd wrote. */
int store_get(struct store *store, const struct addr *address, struct store_row *ret);

/* 0 also when there is no such row. */
int store_delete(struct store *store, const struct addr *address);

/* Hands over every row, in no order, until `take` answers other than 0: that is then the result. */
int store_each(struct store *store, int (*take)(void *ctx, const struct store_row *row), void *ctx);

/* There is one such row; STORE_ABSENT before the first put. */
int store_put_meta(struct store *store, const struct store_meta *meta);
int store_get_meta(struct store *store, struct store_meta *ret);

/*
 * History, in transactions like the rows.  A hold begins; one of that address that
 * is open still ends as "unknown", with no time.  from_ms 0: unknown.
 */
int store_hold_begin(struct store *store, const struct addr *address, const struct ipamd_who *who,
		     uint64_t from_ms, uint32_t missed);

/* Ends the open hold of the address by `end` (not ""); 0 also when there is none. */
int store_hold_end(struct store *store, const struct addr *address, uint64_t now_ms,
		   const char *end);

/* The holds of an address, oldest first, as store_each(). */
int store_hold_each(struct store *store, const struct addr *address,
		    int (*take)(void *ctx, const struct store_hold *hold), void *ctx);

/* The holds of all addresses that have not ended, as store_each(). */
int store_hold_open_each(struct store *store, int (*take)(void *ctx, const struct store_hold *hold),
			 void *ctx);

/*
 * Forgets ended holds of which nothing later than `before_ms` is known, the oldest
 * first and at most 1000 a call; *ret: how many.  Call again while it is 1000.
 */
int store_hold_forget(struct store *store, uint64_t before_ms, unsigned int *ret);

#endif

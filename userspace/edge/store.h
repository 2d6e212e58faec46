/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What must outlive the node's memory, in sqlite: a row for each address of ours,
 * and who held it when.
 *
 * One connection for life with the file locked (sqlite before 3.51.3 may corrupt
 * a write-ahead log that two share).  A commit is durable (synced) when somebody
 * else relies on it, and batched otherwise: what a claim adds, the words know too.
 *
 * A file that cannot be read is moved aside and kept, never thrown away.
 *
 * Functions return 0, -errno or an outcome.
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
	char end[64];     /* what ended it, "" while it holds on */
	uint32_t missed;  /* claims in between that nobody wrote down */
};

struct store;

/* On STORE_MADE and STORE_REPLACED too there is a store; `aside` then names the old file. */
int store_open(const char *path, char aside[4096], struct store **ret);
void store_close(struct store *store);
const char *store_explain(int outcome);

/* Changes go between the two; a failed commit has changed nothing. */
int store_begin(struct store *store, bool durable);
int store_commit(struct store *store);
void store_abandon(struct store *store);

int store_put(struct store *store, const struct store_row *row);
int store_get(struct store *store, const struct addr *address, struct store_row *ret);
int store_delete(struct store *store, const struct addr *address);
int store_each(struct store *store, int (*take)(void *ctx, const struct store_row *row), void *ctx);

int store_put_meta(struct store *store, const struct store_meta *meta);
int store_get_meta(struct store *store, struct store_meta *ret);

/* History: a hold begins, ends by something, or was missed. */
int store_hold_begin(struct store *store, const struct addr *address, const struct ipamd_who *who,
		     uint64_t now_ms, uint32_t missed);
int store_hold_end(struct store *store, const struct addr *address, uint64_t now_ms,
		   const char *end);
int store_hold_each(struct store *store, const struct addr *address,
		    int (*take)(void *ctx, const struct store_hold *hold), void *ctx);

/* Forgets holds that ended before; *ret: how many. */
int store_hold_forget(struct store *store, uint64_t before_ms, unsigned int *ret);

#endif

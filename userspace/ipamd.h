/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The manager: one process, one thread, one loop.  What its rooms share.
 *
 *   ipamd.c           options, start, the event table, the turn, stop
 *   ipamd_config.c    the files into a struct config
 *   ipamd_pools.c     a config into the map of pools and its names
 *   ipamd_era.c       at start: how map and database came to us
 *   ipamd_gather.c    at start: what is known of each address
 *   ipamd_recover.c   at start: map, database, source and witnesses into one ledger
 *   ipamd_witness.c   the addresses seen in the namespaces, and by the runtime
 *   ipamd_rows.c      what the pods did since the last turn, into rows and history
 *   ipamd_stock.c     fill and drain between the watermarks
 *   ipamd_fix.c       addresses kept for a workload
 *   ipamd_zombie.c    holds whose pod is gone
 *   ipamd_slow.c      the socket for who found nothing in stock
 *   ipamd_notes.c     DELs that came while nobody could serve them
 *   ipamd_admin.c     the socket for ipamctl; ipamd_view.c, ipamd_metrics.c
 *
 * A turn goes through them in this order; it runs each second, and at once when
 * something asks for it.  Nothing here blocks but the disk.
 */
#ifndef IPAMD_IPAMD_H
#define IPAMD_IPAMD_H

#include <stdbool.h>
#include <sys/types.h>

#include "bpf/slot.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/version.h"
#include "userspace/core/config.h"
#include "userspace/core/ledger.h"
#include "userspace/core/refill.h"
#include "userspace/core/zombie.h"
#include "userspace/edge/cache.h"
#include "userspace/edge/http.h"
#include "userspace/edge/loop.h"
#include "userspace/edge/netns.h"
#include "userspace/edge/pin.h"
#include "userspace/edge/store.h"
#include "userspace/source/source.h"

enum {
	TURN_MS = 1000,
	WAITERS = 256,
	EVENTS = 6,     /* that are watched for life, but the timer */
	WAIT_MS = 5000, /* the longest that the slow path waits for stock */
	RETRY_MS = 5000,
	IDLE_MS = 60000,
	BATCH = 256, /* addresses in one fill or drain */
};

#define IPAMD_SOCKET "ipamd.sock" /* requests, one datagram each */
#define IPAMD_ADMIN  "admin.sock" /* HTTP */

/* A pool of the configuration in one family, at its place in the map of pools. */
struct pool {
	struct source source;
	struct refill_rate rate;
	/* Counted anew each turn. */
	unsigned int ready, cooling, held, leaving, quarantine, fixed;
	unsigned int waiters;
	bool current;  /* the configuration has it; else its stock leaves as it can */
	bool draining; /* somebody asked for it to be emptied */
	bool shortage; /* said once */
	uint64_t filled_at_ms;
	uint64_t unused_at_ms; /* no word has had its number since; 0: one may */
};

struct waiter {
	int fd;
	uint64_t until_ms;
	struct loop_event *event;
	struct ipamd_request request;
	bool waits;
};

struct counters {
	uint64_t reclaims_proof, reclaims_weak, reclaims_asked;
	uint64_t fills, drains, slow_claims, slow_timeouts;
	uint64_t store_errors, turns, gaps, reloads, reload_failures;
};

struct manager {
	struct config config;
	const char *config_path;  /* NULL: the default one */
	unsigned int idle_exit_s; /* 0: stay */

	struct loop *loop;
	struct loop_event *turn_timer, *event[EVENTS];
	struct pin *pin;
	struct store *store;
	struct netns *netns;
	struct http *http;
	struct ledger *ledger;
	int run_dir, lock, slow_socket, admin_socket;

	struct pool pool[IPAMD_POOLS];
	struct waiter waiter[WAITERS];
	struct zombie_mark mark[IPAMD_SLOTS_MAX];
	const char *ended_by[IPAMD_SLOTS_MAX]; /* a reclaim of ours, for history */

	char boot_id[40];
	char rows_boot_id[40]; /* in the database: of the last start that was finished */
	uint8_t pair_id[16];   /* of map and database; the map gets it when it is recovered */
	uint64_t started_ms, last_use_ms;
	uint64_t netns_since_ms; /* ids in records from before are another namespace's */
	uint64_t doubt_until_ms; /* what is filled anew cools from then on; 0: there is none */
	uint64_t ask_at_ms;      /* when all ids of holders are asked for next */
	uint64_t look_at_ms;     /* when the witnesses are looked at next */
	uint64_t judge_at_ms;    /* when those that wait are judged again */
	uint64_t second_look_ms; /* after a lost map: when all are judged once more; 0: not */
	uint64_t check_at_ms;    /* when the pins are looked at next */
	uint64_t store_retry_ms; /* no writing before; 0: the last one went well */
	uint64_t fix_said_ms;    /* no complaint about flags before */
	uint64_t idle_at_ms;     /* when the database is tidied next */
	uint64_t watchdog_ms, watchdog_at_ms;
	bool store_is_new;     /* made, or made anew, at this start */
	bool store_is_damaged; /* made anew: there were rows, and nobody knows which */
	bool unread;           /* nothing new is filled before the namespaces were read once */
	bool pins_gone;        /* said once */
	struct counters counters;
};

static inline uint64_t now_ms(void)
{
	return slot_now_ms(clock_boot_ns());
}

uint64_t wall_ms(void);

/* --- ipamd_config.c --- */

/* 0, or -EINVAL and one line in `error`. */
int manager_read_config(const char *path, struct config *ret, struct conf_error *error);

/* --- ipamd_pools.c --- */

/* The pools into the map; -ENOSPC, and nothing changed, when there is no place for another one. */
int pools_apply(struct manager *m, const struct config *c);

/* And then their names: from here on claims find them, and no others. */
int pools_name(struct manager *m, const struct config *c);

/* Places of pools that are gone and whose last word is gone too. */
void pools_forget(struct manager *m);

/* Closed to claims and emptied as it becomes free, or open again. */
void pools_drain(struct manager *m, const char *name, bool on);
const char *pool_name(const struct manager *m, unsigned int pool);

/* The pool of the configuration that has the address: an index, or IPAMD_POOLS. */
unsigned int pool_of_address(const struct manager *m, const struct addr *address);
unsigned int pool_by_name(const struct manager *m, const char *name, enum ipamd_family family);

/* --- ipamd_recover.c --- */

int recover_start(struct manager *m);

/* Those that waited for a witness or their source, once more. */
void recover_again(struct manager *m);

/* --- ipamd_witness.c --- */

/* Looks at all namespaces and the runtime's cache; -errno: there is no whole look now. */
int witness_look(struct manager *m);

/* with_cache: also by the runtime's results; they outlive a boot. */
enum recover_witness witness_of(const struct addr *a, bool with_cache);

/* Whether what it did not see counts as weak evidence; *ret_found: addresses seen. */
bool witness_is_complete(unsigned int *ret_found);
const struct netns_sight *witness_sight(const struct addr *a);
const struct cache_hold *witness_cached(const struct addr *a);
int witness_each(bool with_cache, int (*take)(void *ctx, const struct addr *address), void *ctx);
void witness_close(void);

/* --- ipamd_rows.c --- */

/* What the words say now: counts, rows, history.  Durable things have their own commits. */
void rows_turn(struct manager *m);

/* A transaction; the commit bumps the epoch in both, database first. */
int rows_begin(struct manager *m, bool durable);
int rows_commit(struct manager *m);

/* The row as it is to be written now; who: of a HELD one, or NULL; what it is fixed for stays. */
int rows_put(struct manager *m, const struct ledger_row *row, enum recover_row state,
	     const struct ipamd_who *who, const char *note);
enum store_state rows_state(enum recover_row row);
enum recover_row rows_row(enum store_state state);

/* Now and then: the log is emptied, and history older than asked for forgotten. */
void rows_idle(struct manager *m);

/* A transaction failed: say so, and when to try again. */
void rows_failed(struct manager *m, const char *what, int r);
bool rows_may_write(struct manager *m);

/* --- ipamd_stock.c --- */

void stock_turn(struct manager *m);

/* A step of the slot: its verdict. */
int stock_step(struct manager *m, unsigned int slot, uint64_t expected, uint64_t word);

/* EMPTY to FREE; its row is durable already. */
int stock_fill(struct manager *m, struct ledger_row *row, uint64_t ready_at_ms);

/* When an address that comes new from its source is ready. */
uint64_t stock_ready_at(const struct manager *m, unsigned int pool);

/* A slot without an address, or IPAMD_NONE. */
unsigned int stock_empty_slot(const struct manager *m);

/* --- ipamd_fix.c --- */

/*
 * The address is kept for that workload from now on, durably.  Outcomes, with a
 * sentence for people in `why`: 0, FIX_REFUSED, -errno.
 */
enum { FIX_REFUSED = 160 };
int fix_address(struct manager *m, const struct addr *address, const char *name_space,
		const char *pod, char why[256]);
int fix_end(struct manager *m, const struct addr *address, char why[256]);

/* Flags that a kill, or a call that failed, kept from the words. */
void fix_again(struct manager *m);

/* The flag of one word, as its row has it; and away, as long as the row is without a slot. */
int fix_flag(struct manager *m, const struct ledger_row *row);
int fix_unflag(struct manager *m, const struct ledger_row *row);

/* --- ipamd_zombie.c --- */

void zombie_deaths(struct manager *m);
void zombie_turn(struct manager *m);
unsigned int zombie_candidates(const struct manager *m);
/* Ends the hold that the word is, with both its addresses; history says why. */
int zombie_reclaim(struct manager *m, unsigned int slot, uint64_t word, const char *why);

/* --- ipamd_slow.c --- */

int slow_open(struct manager *m, struct loop_event **ret);
void slow_turn(struct manager *m);
void slow_close(struct manager *m);

/* How many wait for each pool. */
void slow_count(struct manager *m);
bool slow_is_idle(const struct manager *m);

/* Runs it; the verdict is in it too. */
int slow_run(struct manager *m, struct ipamd_request *req);

/* --- ipamd_notes.c --- */

void notes_turn(struct manager *m);

/* --- ipamd_admin.c --- */

int admin_open(struct manager *m);

/* --- ipamd.c --- */

/* A turn as soon as the loop comes round. */
void manager_soon(struct manager *m);
int manager_reload(struct manager *m, struct conf_error *error);

#endif

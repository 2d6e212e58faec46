/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The torture's parts, and the memory they share: torture_test.c keeps the rounds,
 * kills and looks at the map; torture_worker.c claims and releases as plugins do;
 * torture_manager.c moves the slots as the manager does.
 *
 * Everything here lies in one anonymous shared mapping made before the first fork:
 * what a process wrote before it was killed is still there.
 */
#ifndef IPAMD_SELFTESTS_TORTURE_H
#define IPAMD_SELFTESTS_TORTURE_H

#include <stdbool.h>
#include <sys/types.h>

#include "selftests/history.h"
#include "selftests/stock.h"

enum {
	WORKERS = 64,
	MANAGER = WORKERS,    /* the manager's log */
	PARENT = WORKERS + 1, /* the test's own: the first fill, the last release */
	LOGS = WORKERS + 2,
	LOG_OPS = 8192, /* a process and a round */

	KEYS = 320,
	HOT_KEYS = 4,   /* a third of all requests is theirs */
	WORKLOADS = 20, /* of two keys each: a pod and its successor */
	SLOTS = 640,
	POOLS = 5,
	KINDS = 6, /* what an attachment asks for */
	RECLAIM_MS = 1000,
};

struct torture_pool {
	int family;
	__u32 cooldown_ms;
	__u32 first, count; /* its addresses */
};

struct torture_kind {
	const char *name;
	__u32 pool[IPAMD_FAMILIES]; /* IPAMD_NONE */
	unsigned int of_100;        /* keys */
};

extern const struct torture_pool torture_pools[POOLS];
extern const struct torture_kind torture_kinds[KINDS];

enum { ADDRESSES = 224 + 256 + 6 + 64 + 64 };

struct torture_log {
	__u32 count;
	__u32 claims; /* answered OK, and not again */
	struct history_op op[LOG_OPS];
};

struct torture_key {
	struct ipamd_request request; /* all but verb, start, pool and wishes */
	__u32 kind;
	__u32 workload; /* HISTORY_NONE */
	__u32 held;     /* a hint, of whom it may concern */
	__u64 life_ns;  /* since when the attachment lives: its ADDs began then */
};

struct torture_manager { /* what it knows; it, too, may be killed */
	__u32 slot_of[ADDRESSES];
	__u32 address_in[SLOTS];
	__u64 ready_ms[ADDRESSES]; /* of one that was drained while it cooled */
	__u32 fixed[WORKLOADS][IPAMD_FAMILIES];
	__u64 reclaimed_ns;
	struct {
		__u32 slot;
		__u64 word;
	} read[16]; /* words read some time ago */
};

struct torture {
	__u32 stop;
	struct torture_key key[KEYS];
	struct ipamd_digest id[KEYS];
	__u32 workload[KEYS];
	struct ipamd_digest kind[KINDS];
	struct ipamd_digest want[ADDRESSES];
	struct torture_manager manager;
	struct torture_log log[LOGS];
};

/* --- torture.c: what all of them do --------------------------------------- */

/* Each process's own: inherited, or attached to by itself. */
extern struct pin *torture_pin;

struct torture *torture_open(void);

void torture_go_first(pid_t pid);

/* xorshift: never 0. */
__u64 torture_random(__u64 *state);

static inline __u32 torture_pick(__u64 *state, __u32 n)
{
	return (torture_random(state) >> 16) % n;
}

/*
 * Runs one program and writes it down: before (so that whoever is killed leaves a
 * trace) and after.  `plan` holds what is known before.  The verdict, or -ENOSPC
 * when the log is full: the round is over.
 */
int torture_run(struct torture *t, __u32 process, const struct history_op *plan,
		struct ipamd_request *req);

/* One step of the manager's: `address` when it fills, `workload` when it fixes. */
int torture_step(struct torture *t, __u32 process, __u32 slot, __u64 expected, __u64 word,
		 __u32 address, __u32 workload);

/* The last operation of a process that is gone, when it has not returned: or NULL. */
struct history_op *torture_last(struct torture_log *log);

bool torture_is_full(const struct torture_log *log);

/* --- The others; they return when the round is over ----------------------- */

void torture_worker(struct torture *t, __u32 number, __u64 seed);
void torture_manager(struct torture *t, __u64 seed);

/* A step that was OK. */
void torture_manager_learn(struct torture *t, const struct history_op *op);

/* --- torture_map.c: the maps at rest; 0 or -1 ----------------------------- */

/* What it returns is its own, until it is asked again. */
int torture_look(const struct torture *t, struct history_map *ret);
int torture_stats(struct ipamd_stats *ret);

/* Digests in `names`; and how many of them by fills and fixes. */
unsigned int torture_names(void);
unsigned int torture_names_expected(const struct torture *t);

#endif

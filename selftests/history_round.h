/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Between the files of the history checker: one round, sorted in the ways its rules
 * need.  history.c builds it, history_life.c bounds each grant, history_key.c looks at it
 * by attachment (V3, V4, V5), history_slot.c by slot and address (V1, V2), history_idle.c by pool
 * (V6), history_map.c at the map (V7, V8).
 */
#ifndef IPAMD_SELFTESTS_HISTORY_ROUND_H
#define IPAMD_SELFTESTS_HISTORY_ROUND_H

#include <stdbool.h>

#include "selftests/history.h"

#define NEVER (~0ULL)
#define MS    1000000ULL

struct grant {
	struct history_got got[IPAMD_FAMILIES];
	__u32 key;
	bool carried;   /* the round began with it */
	__u32 ack_from; /* the answers that name it: round.acks[] */
	__u32 ack_to;
	const struct history_op *creator; /* the claim itself; NULL: not known */
	__u64 start_ns;                   /* the claim's; 0: not known */
	__u64 born_lo, born_hi;
	__u64 seen_lo;
	__u64 end_lo, end_hi;
	__u64 quick_lo;                    /* as end_lo, by those who leave the pool's cooldown */
	__u64 slow_lo;                     /* and by a reclaim */
	const struct history_op *ender;    /* whose invoke end_lo is */
	const struct history_op *reclaim;  /* the first that may have ended it */
	const struct history_op *ended_by; /* a DEL that definitely did */
};

struct hold { /* one address of a grant */
	struct grant *grant;
	__u32 family;
	__u32 slot;
	__u32 nth;     /* generations since the round began */
	__u32 address; /* by the fills; HISTORY_NONE: none */
	__u64 tenure;  /* since which fill it is in this slot */
	bool afresh;   /* an unseen claim of its own workload may lie before it */
};

struct expect { /* what the steps made of a slot, generation aside */
	__u32 address;
	__u32 workload;
	bool fixed;
	bool unsure; /* a step of it is unknown */
};

struct idle { /* an address that anybody may claim, definitely, all that time */
	__u32 pool;
	__u64 from_ns, to_ns;
};

struct round {
	struct history *h;
	const struct history_map *map;
	const struct history_op **ops;  /* ADD and DEL by key and invoke */
	__u32 *op_at;                   /* where those of a key begin; keys + 1 */
	const struct history_op **acks; /* ADDs that were OK, by key and grant */
	__u32 ack_count;
	const struct history_op **steps; /* by slot, generation and invoke */
	__u32 step_count;
	const struct history_op **gates; /* CLOSE and OPEN by pool and invoke */
	__u32 gate_count;
	struct grant *grants; /* by key and birth */
	__u32 *grant_at;
	__u32 grant_count;
	struct hold *holds; /* by slot and generation */
	__u32 hold_count;
	struct expect *expect; /* one a slot */
};

struct history {
	struct history_shape shape;
	struct history_place *before; /* one a slot */
	struct history_entry *entries;
	__u32 entry_count;
	__u64 *buried; /* one a key: the newest DEL's start, of the rounds before */
	const struct history_op **ops;
	size_t op_count, op_room;
	struct history_finding findings[16];
	unsigned int total;
	unsigned int count[HISTORY_RULES];
	unsigned long overtaken;
};

/* --- history.c ------------------------------------------------------------ */

/* calloc() that does not fail: a checker without memory has no answer to give. */
void *round_need(size_t n, size_t size);

void round_report(struct round *r, enum history_rule rule, const char *text, __u32 slot, __u32 key,
		  const struct history_op *a, const struct history_op *b);

/* The first hold of that slot and generation, or where it would be. */
__u32 round_find(const struct round *r, __u32 slot, __u32 nth);

static inline __u32 round_nth(const struct round *r, __u32 slot, __u64 word)
{
	return (slot_gen(word) - slot_gen(r->h->before[slot].word)) & SLOT_GEN;
}

/* It did what it was asked to, it may have, it may have held words for a moment. */
static inline bool op_did(const struct history_op *op)
{
	return op->verdict == IPAMD_OK;
}

static inline bool op_may_have(const struct history_op *op)
{
	return op->verdict == IPAMD_OK || op->verdict == HISTORY_UNKNOWN || op->verdict < 0 ||
	       op->verdict == IPAMD_BROKEN || op->verdict == IPAMD_MOVING;
}

/* A DEL whose tombstone is there, whatever it found. */
static inline bool op_buried(const struct history_op *op)
{
	return op->what == HISTORY_DEL &&
	       (op->verdict == IPAMD_OK || op->verdict == IPAMD_NOTHING ||
		op->verdict == IPAMD_YOUNGER);
}

static inline bool op_is_undone(const struct history_op *op)
{
	return op->verdict == IPAMD_LATE || op->verdict == IPAMD_CLOSED;
}

static inline const struct history_op *grant_ack(const struct round *r, const struct grant *g)
{
	return g->creator ? g->creator : g->ack_from < g->ack_to ? r->acks[g->ack_from] : NULL;
}

/* --- The rules ------------------------------------------------------------ */

void round_check_keys(struct round *r);  /* V3, V4, V5; bounds of each grant */
void round_check_slots(struct round *r); /* V1, V2, V6; what is expected of each slot */
void round_check_idle(struct round *r, struct idle *idle, __u32 idle_count); /* V6 */
void round_check_map(struct round *r);                                       /* V7, V8 */

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which holds are to be reclaimed, without their holder's DEL.
 *
 * Proof is that the hold's network namespace is dead: reclaimed at once.  Weak
 * evidence is that a look at all namespaces and at the runtime's result cache found
 * the address nowhere: marked, looked at again after a grace, and then reclaimed, a
 * bounded number in a round (invariant 8).  A look that was partial, or that found
 * nothing at all, says nothing (invariant 6).  Any reason to keep clears the mark.
 *
 * A reclaim frees both addresses of an attachment, so a reason to keep the one is a
 * reason to keep the other: words with one tag are one attachment's.
 *
 * Pure: the caller's arrays in, slots out; time is boottime, passed in.
 */
#ifndef IPAMD_CORE_ZOMBIE_H
#define IPAMD_CORE_ZOMBIE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	ZOMBIE_GRACE_MS = 60000, /* the default */
	ZOMBIE_BUDGET_LEAST = 5,
	ZOMBIE_BUDGET_PERCENT = 10,
};

enum zombie_evidence {
	ZOMBIE_KEEP, /* the address is in use, or nobody looked */
	ZOMBIE_WEAK, /* found nowhere */
	ZOMBIE_PROOF,
};

/* A slot: its word, and of its holder's record what belongs to exactly that word. */
struct zombie_hold {
	uint64_t word;          /* other states than HELD: nothing to reclaim */
	uint64_t claimed_at_ms; /* 0: unknown; restored: when it was restored */
	uint64_t cookie;        /* 0: unknown */
	int32_t nsid;           /* in the manager's namespace; negative: unknown */
	bool restored;          /* by recovery: it was claimed then or earlier */
	enum zombie_evidence evidence;
};

/*
 * That an id belonged to nobody at some moment not before since_ms.  Of a message
 * (RTM_DELNSID): the time read before the recv that last found the socket empty,
 * since messages carry none and may lie there for seconds.  Of an answer "no such
 * id", or of an id that a whole dump lacks: the time read before it was asked.
 * Neither a full socket (ENOBUFS) nor a dump that was interrupted is a death; after
 * the first a dump is due.
 */
struct zombie_death {
	int32_t nsid;
	uint64_t since_ms;
};

/* The kernel takes an id from a namespace only when it dies: whoever had it is dead. */
bool zombie_is_dead(const struct zombie_hold *hold, const struct zombie_death *death);

/* Not dead by this death alone, since it may be younger: the id is to be asked for. */
bool zombie_is_doubtful(const struct zombie_hold *hold, const struct zombie_death *death);

/* A younger hold has the same id with another cookie: the older one's owner lost it. */
bool zombie_is_displaced(const struct zombie_hold *hold, const struct zombie_hold *younger);

/*
 * Set the evidence of all that are proven dead, and return how many they set: by
 * deaths, n x m comparisons; and by each other, n x n, for after a whole look.
 */
unsigned int zombie_prove_dead(struct zombie_hold *holds, unsigned int n,
			       const struct zombie_death *deaths, unsigned int m);
unsigned int zombie_prove_displaced(struct zombie_hold *holds, unsigned int n);

/* Of each slot, kept by the caller from round to round; zeroed: not marked. */
struct zombie_mark {
	uint64_t word;     /* 0: not marked */
	uint64_t since_ms; /* the look that marked it ended */
	unsigned int looks;
};

struct zombie_look {
	bool whole;         /* each namespace and the cache were read to their end */
	unsigned int found; /* addresses, of ours or not */
	uint64_t began_ms;  /* before the first was read */
	uint64_t ended_ms;  /* now */
	uint32_t grace_ms;
};

/* How many may be reclaimed on weak evidence in one round. */
unsigned int zombie_budget(unsigned int held);

/*
 * One round, after one look; each look once.  Writes the slots to be reclaimed to
 * ret (room for n), the proven ones first, and returns how many; the word to expect
 * is the hold's.  What was over the budget stays marked.  Without a look (NULL) only
 * proof counts.
 */
unsigned int zombie_judge(struct zombie_mark *marks, const struct zombie_hold *holds,
			  unsigned int n, const struct zombie_look *look, uint32_t *ret);

#endif

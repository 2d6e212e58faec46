/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The history checker: was anything promised that the stock did not keep?
 *
 * One record an operation, begun before it runs and ended after.  Times are
 * boottime in ns, so an operation took effect at some unknown moment between its
 * invoke_ns and its return_ns.  One whose process was killed may have happened or
 * not: its verdict is HISTORY_UNKNOWN, and it returned, if ever, before the time
 * at which the process was known to be gone.
 *
 * A grant is what one claim gave an attachment: an address a family, told by slot
 * and generation.  It is known from the answers that name it (the claim's own, and
 * those given `again`) or from the map in which the round began.  Of each grant
 *
 *	it was born	   before the first answer that named it returned,
 *	it was still there when the last such answer was invoked, and
 *	it ended	   by one of those who might have ended it: a DEL of its key or
 *			   a reclaim of its word that answered OK or is unknown, and
 *			   returned after the grant was last seen.  The grant whose own
 *			   ADD has no OK may also have been undone by it (LATE, unknown).
 *
 * Hence it is definitely held from the first return to the first invoke of those
 * (and to when it was last seen), and has definitely ended when a release that was
 * invoked after its birth has answered OK.  Only what is definite is a finding;
 * what overlaps or is unknown counts as whatever does no harm.
 *
 *   V1  Two attachments definitely held one address at once.  Also: one generation
 *	 of a slot was given twice; an address was claimed out of a slot that was
 *	 leaving, empty or in quarantine; a fixed one by another workload, or not as a
 *	 fixed one; the answer names another address than the slot has or the ADD
 *	 asked for.
 *   V2  A grant was born before the last holder's first possible end + the pool's
 *	 cooldown (a reclaim has a least one), or before the time that the manager
 *	 wrote into the free word.  To the ns, since the programs round up.  A word
 *	 that was claimed as fixed is exempt: it was its own workload's.
 *   V3  A release had an effect that it must not have: a DEL ended a grant of an ADD
 *	 that began after it; two releases were OK though no claim of the attachment
 *	 can lie between them; a reclaim was OK with a word that had ended before.
 *   V4  An attachment definitely had two different grants at once: two OK answers
 *	 without a release between them differ.
 *   V5  An ADD succeeded that had to be refused: its start is not after that of a DEL
 *	 of the same key that had returned before the ADD was invoked; or such a DEL
 *	 answered while the ADD was under way, and the grant is still there after it;
 *	 or its pool was closed during the whole run.
 *   V6  A claim answered EXHAUSTED, and in each of its pools more addresses were
 *	 definitely free and ready all the time than other claims can have had in
 *	 their hands for a moment.
 *   V7  At rest (all processes gone) the map does not add up: a word is CLAIMING; a
 *	 HELD word is nobody's, or of a grant that has ended, or has no entry or
 *	 another's record; an entry leads to no HELD word; an address is in two slots,
 *	 or in one it was not filled into, or `names` says otherwise; free, held,
 *	 leaving and in quarantine do not make up what was provisioned; more
 *	 generations went by than claims were tried; a program answered BROKEN.
 *   V8  At rest something acknowledged is missing: a grant that nobody can have
 *	 ended, a filled address, a fixed one.
 *
 * What generations are good for.  slot_gen() counts the claims of a slot (those that
 * got as far as HELD) modulo 2^14.  With a round short enough that no slot is
 * claimed 2^14 times (checked: -ERANGE) it is a total order of the slot's grants that
 * needs no clock, so V1 and V2 compare neighbours.  A gap in it is a claim that
 * nobody was told of: one that was undone (LATE, CLOSED) or killed.  No gap means
 * that no unknown claim took the slot in between, which makes "free" definite for
 * V6.  And a HELD word at rest whose generation no answer names is the proof that a
 * killed ADD of its key succeeded: it is definite from then on.
 *
 * Not a finding but counted (`overtaken`): a grant was answered again to an ADD that
 * began after the DEL which then ended it.  The age of a grant is its claim's.
 */
#ifndef IPAMD_SELFTESTS_HISTORY_H
#define IPAMD_SELFTESTS_HISTORY_H

#include <stddef.h>

#include "bpf/slot.h"

#define HISTORY_UNKNOWN 0x7fff      /* a verdict: killed */
#define HISTORY_NONE    0xffffffffU /* no key, address, workload */

enum history_what {
	HISTORY_ADD,
	HISTORY_DEL,
	HISTORY_STEP,  /* fill, drain, reclaim, fix...: the words tell which */
	HISTORY_CLOSE, /* the manager sets pool[0]'s deadline to the past, */
	HISTORY_OPEN,  /* and away */
};

struct history_got {
	__u64 word; /* 0: none */
	__u32 slot;
	__u32 address; /* a number that the caller gave it */
};

struct history_op {
	__u64 invoke_ns;
	__u64 return_ns; /* 0: under way */
	__u64 start_ns;  /* ADD, DEL: when the request was stamped */
	__u64 expected;  /* STEP: the word before */
	/* ADD: the answer, by family; STEP: in the first, slot, word after, address filled in */
	struct history_got got[IPAMD_FAMILIES];
	__u32 key;  /* the attachment; of a step that fixes: the workload */
	__u32 want; /* ADD: the address asked for */
	__u16 process;
	__s16 verdict;
	__u8 what;
	__u8 again;
	__u8 pool[IPAMD_FAMILIES]; /* ADD: asked for; IPAMD_POOLS: none */
};

enum history_rule {
	HISTORY_V1 = 1,
	HISTORY_V2,
	HISTORY_V3,
	HISTORY_V4,
	HISTORY_V5,
	HISTORY_V6,
	HISTORY_V7,
	HISTORY_V8,
	HISTORY_RULES,
};

/* Operations are those of the round; they are the caller's until the next one. */
struct history_finding {
	enum history_rule rule;
	const char *text;
	__u32 slot; /* HISTORY_NONE */
	__u32 key;  /* HISTORY_NONE */
	const struct history_op *op[3];
};

/* What a slot is when nobody runs. */
struct history_place {
	__u64 word;
	__u32 address;  /* in its record; HISTORY_NONE when empty */
	__u32 named;    /* the slot to which `names` leads that address */
	__u32 workload; /* in its record; counts when the word is fixed */
	__u32 key;      /* in the holder's record, as its start and word */
	__u64 start_ns;
	__u64 record;
};

struct history_entry {
	__u32 key; /* HISTORY_NONE: no digest of ours */
	struct ipamd_entry entry;
};

struct history_map {
	const struct history_place *places; /* one a slot */
	const struct history_entry *entries;
	__u32 entry_count;
};

struct history_shape {
	__u32 keys;
	__u32 slots;
	__u32 addresses;
	const struct ipamd_digest *ids; /* one a key */
	const __u32 *workloads;         /* one a key; may be HISTORY_NONE */
	__u32 cooldown_ms[IPAMD_POOLS];
	__u32 reclaim_ms; /* least cooldown after a reclaim */
};

static inline int history_is_reclaim(const struct history_op *op)
{
	return op->what == HISTORY_STEP && slot_state(op->expected) == IPAMD_HELD &&
	       slot_state(op->got[0].word) == IPAMD_FREE;
}

struct history;

/* Begins with a map that is all empty.  What the shape points to stays the caller's. */
struct history *history_open(const struct history_shape *shape);
void history_close(struct history *h);

/* The map in which the next round begins, when it is not the last round's. */
void history_begin(struct history *h, const struct history_map *map);

/* One more operation of this round, in any order; the record stays where it is. */
int history_add(struct history *h, const struct history_op *op);

/*
 * Ends the round: how many findings, or -errno.  Without a map (NULL) V7 and V8 are
 * left out; with one, it is where the next round begins.
 */
int history_check(struct history *h, const struct history_map *map);

/* Of the last round: how many of a rule, and the first few one by one, or NULL. */
unsigned int history_count(const struct history *h, enum history_rule rule);
const struct history_finding *history_finding(const struct history *h, unsigned int i);

/* Of all rounds. */
unsigned long history_overtaken(const struct history *h);

const char *history_verdict(int verdict);

/* One line, no newline; times relative to `from_ns`. */
void history_print(const struct history_op *op, __u64 from_ns, char *ret, size_t size);

#endif

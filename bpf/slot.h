/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The life of an address: one 64-bit word, one compare-and-swap a step.
 * Compiled for BPF and for user space alike.
 *
 *	 63      61 60    59    54 53              14 13      0
 *	 [ state:3 ][fixed][ pool:6 ][ time or tag:40 ][ gen:14 ]
 *
 *	          fill                 claim
 *	 EMPTY --------> FREE(now) ------------> CLAIMING ---> HELD
 *	   ^              |    ^                                |
 *	   |    drain     |    +------ release: FREE(now+cooldown)
 *	   +-- LEAVING <--+
 *
 * FREE carries the time from which it may be claimed, boottime in ms: a
 * released address is FREE with a time to come, so that one CAS publishes state
 * and deadline together.  CLAIMING and HELD carry the tag of their holder's
 * digest.  The generation counts claims.  A fixed word is for one workload
 * only; it matches no pool, so that a scan never sees it.
 *
 * Invariants kept here: 2 (HELD is reached by CAS alone) and 4 (no address
 * before its cooldown ends).  Times are compared on the circle of 2^40 ms (34
 * years): nothing may lie further than 8 years from now.
 */
#ifndef IPAMD_BPF_SLOT_H
#define IPAMD_BPF_SLOT_H

#include "bpf/mem.h"

#define SLOT_GEN   ((1ULL << 14) - 1)
#define SLOT_TIME  ((1ULL << 40) - 1) /* after the shift; a tag has the same room */
#define SLOT_FIXED (1ULL << 60)

/* --- Words ------------------------------------------------------------- */

static inline __u64 slot_word(enum ipamd_state state, __u64 pool, __u64 time_or_tag, __u64 gen)
{
	return (__u64)state << 61 | pool << 54 | (time_or_tag & SLOT_TIME) << 14 | (gen & SLOT_GEN);
}

static inline enum ipamd_state slot_state(__u64 word)
{
	return word >> 61;
}

static inline __u32 slot_pool(__u64 word)
{
	return word >> 54 & (IPAMD_POOLS - 1);
}

static inline __u64 slot_time(__u64 word)
{
	return word >> 14 & SLOT_TIME;
}

static inline __u64 slot_tag(__u64 word)
{
	return word >> 14 & SLOT_TIME;
}

static inline __u32 slot_gen(__u64 word)
{
	return word & SLOT_GEN;
}

/* The same life, whatever became of the fixed flag meanwhile. */
static inline int slot_same(__u64 a, __u64 b)
{
	return !((a ^ b) & ~SLOT_FIXED);
}

static inline __u64 slot_tag_of(const struct ipamd_digest *id)
{
	return id->half[0] & SLOT_TIME;
}

/* --- Time -------------------------------------------------------------- */

static inline __u64 slot_now_ms(__u64 boottime_ns)
{
	return boottime_ns / 1000000;
}

/* A begun millisecond counts as none, so that a cooldown is never short. */
static inline __u64 slot_ready_at(__u64 boottime_ns, __u64 cooldown_ms)
{
	return (boottime_ns + 999999) / 1000000 + cooldown_ms;
}

static inline int slot_is_ready(__u64 word, __u64 now_ms)
{
	return ((now_ms - slot_time(word)) & SLOT_TIME) < 1ULL << 39;
}

/* On the circle, and not the same. */
static inline int slot_is_later(__u64 a, __u64 b)
{
	return ((slot_time(a) - slot_time(b) - 1) & SLOT_TIME) < (1ULL << 39) - 1;
}

/* --- Steps: what the word becomes -------------------------------------- */

static inline __u64 slot_filled(__u64 empty, __u64 pool, __u64 ready_at_ms)
{
	return slot_word(IPAMD_FREE, pool, ready_at_ms, slot_gen(empty));
}

static inline __u64 slot_claimed(__u64 word, enum ipamd_state state, __u64 tag)
{
	return slot_word(state, slot_pool(word), tag, slot_gen(word) + 1) | (word & SLOT_FIXED);
}

static inline __u64 slot_held(__u64 claiming)
{
	return claiming ^ (__u64)(IPAMD_CLAIMING ^ IPAMD_HELD) << 61;
}

static inline __u64 slot_released(__u64 word, __u64 ready_at_ms)
{
	return slot_word(IPAMD_FREE, slot_pool(word), ready_at_ms, slot_gen(word)) |
	       (word & SLOT_FIXED);
}

static inline __u64 slot_set_state(__u64 word, enum ipamd_state state)
{
	return (word & ~(7ULL << 61)) | (__u64)state << 61;
}

/*
 * What `step` may do.  CLAIMING belongs to its claim; HELD ends by release or
 * reclaim and begins by a claim, but for a slot that recovery fills as held.
 * FREE may be put off, never brought forward (invariant 4).
 */
static inline int slot_may_step(__u64 from, __u64 to)
{
	enum ipamd_state a = slot_state(from), b = slot_state(to);

	if ((from ^ to) == SLOT_FIXED) /* fix, unfix */
		return a != IPAMD_EMPTY && a != IPAMD_CLAIMING && a != IPAMD_MOVED;
	if (b == IPAMD_MOVED)
		return a != IPAMD_CLAIMING && a != IPAMD_MOVED;
	if (b == IPAMD_EMPTY && from & SLOT_FIXED)
		return 0; /* its workload would go on asking for it */
	if (a != IPAMD_EMPTY && b != IPAMD_EMPTY &&
	    ((from ^ to) & (SLOT_FIXED | (__u64)(IPAMD_POOLS - 1) << 54 | SLOT_GEN)))
		return 0; /* only an empty slot has no such past */
	switch (a) {
	case IPAMD_EMPTY:
		return b == IPAMD_FREE || b == IPAMD_HELD || b == IPAMD_QUARANTINE;
	case IPAMD_FREE:
		return b == IPAMD_LEAVING || b == IPAMD_QUARANTINE ||
		       (b == IPAMD_FREE && slot_is_later(to, from));
	case IPAMD_HELD:
		return b == IPAMD_FREE;
	case IPAMD_LEAVING:
		return b == IPAMD_EMPTY || b == IPAMD_FREE || b == IPAMD_QUARANTINE;
	case IPAMD_QUARANTINE:
		return b == IPAMD_EMPTY || b == IPAMD_FREE || b == IPAMD_LEAVING;
	default:
		return 0;
	}
}

/* --- Finding the oldest ------------------------------------------------- */

/*
 * A word and its index as one number that sorts: the free words of a pool come
 * first, by time and then by index, all below SLOT_NO_KEY; every other word lies
 * above.  The smallest key is the answer whole, with no index to carry along.
 *
 * The prefix takes state, flag and pool away by XOR.  Near the seam of the circle
 * of time it also flips the time's top bit, which turns the circle by half, so
 * that the seam lies 17 years from now and plain order is the order of time.
 */
static inline __u64 slot_prefix(__u64 pool, __u64 now_ms)
{
	__u64 near_seam = ((now_ms + (1ULL << 38)) & SLOT_TIME) < 1ULL << 39;

	return slot_word(IPAMD_FREE, pool, near_seam << 39, 0);
}

static inline __u64 slot_key(__u64 word, __u64 prefix, __u64 index)
{
	return (word ^ prefix) >> 14 << 13 | index;
}

#define SLOT_NO_KEY (1ULL << 53)

static inline __u32 slot_key_index(__u64 key)
{
	return key < SLOT_NO_KEY ? key & 0x1fff : IPAMD_NONE;
}

static inline int slot_key_is_ready(__u64 key, __u64 prefix, __u64 now_ms)
{
	return key < SLOT_NO_KEY && slot_is_ready(key << 1 ^ prefix, now_ms);
}

/*
 * Branch-free: a branch that depends on the data makes the verifier walk 2^64
 * paths through a chunk.  Keys are below 2^63, so the sign of their difference
 * tells which is smaller.
 */
static inline __u64 slot_smaller(__u64 a, __u64 b)
{
	__u64 b_is = (__s64)(b - a) >> 63; /* all ones, or none */

	asm volatile("" : "+r"(b_is)); /* keep clang from a branch */
	return a ^ ((a ^ b) & b_is);
}

/* The smallest of `best` and the keys of a chunk; two lines of it, for the pipeline. */
static inline __u64 slot_oldest(const struct ipamd_chunk *chunk, __u64 prefix, __u64 base,
				__u64 best)
{
	__u64 other = best;

	for (int i = 0; i < IPAMD_CHUNK; i += 2) {
		__u64 even = mem_load(&chunk->word[i]), odd = mem_load(&chunk->word[i + 1]);

		best = slot_smaller(best, slot_key(even, prefix, base + i));
		other = slot_smaller(other, slot_key(odd, prefix, base + i + 1));
	}
	return slot_smaller(best, other);
}

/* --- Digests and refs ---------------------------------------------------- */

static inline int digest_is_set(const struct ipamd_digest *d)
{
	return (d->half[0] | d->half[1]) != 0;
}

static inline int digest_equal(const struct ipamd_digest *a, const struct ipamd_digest *b)
{
	return !((a->half[0] ^ b->half[0]) | (a->half[1] ^ b->half[1]));
}

static inline __u64 ref_make(const struct ipamd_digest *d, __u32 v4, __u32 v6)
{
	return d->half[1] << 32 | (v6 & 0xffff) << 16 | (v4 & 0xffff);
}

/* A recycled element may show another key's ref. */
static inline int ref_is_of(__u64 ref, const struct ipamd_digest *d)
{
	return ref >> 32 == (__u32)d->half[1];
}

static inline __u32 ref_get(__u64 ref, int family)
{
	return (family == IPAMD_V4 ? ref : ref >> 16) & 0xffff;
}

#endif

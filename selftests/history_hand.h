/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Histories made by hand, for the tests of the checker.
 *
 * Two pools: slots 0 to 3 are IPv4 and cool for 2 ms, slots 4 to 7 IPv6 and 3 ms.
 * Times are in microseconds since a base; an address has the number of its slot.
 * With V set, what was found is printed.
 */
#ifndef IPAMD_SELFTESTS_HISTORY_HAND_H
#define IPAMD_SELFTESTS_HISTORY_HAND_H

#include <stdbool.h>

#include "selftests/harness.h"
#include "selftests/history.h"

enum { KEYS = 4, SLOTS = 8, MOST = 64, BASE_MS = 1000 };

static struct history_op ops[MOST];
static int op_count;
static struct history_place before[SLOTS], after[SLOTS];
static struct history_entry entries[KEYS + 1];
static unsigned int entry_count;
static struct ipamd_digest ids[KEYS];
static const __u32 workloads[KEYS] = {HISTORY_NONE, HISTORY_NONE, 7, 8};

static inline __u64 us(double at)
{
	return BASE_MS * 1000000ULL + (__u64)(at * 1000);
}

static inline __u32 pool_of(__u32 slot)
{
	return slot < 4 ? 0 : 1;
}

static inline __u64 held(__u32 key, __u32 slot, __u32 gen)
{
	return slot_word(IPAMD_HELD, pool_of(slot), slot_tag_of(&ids[key]), gen);
}

static inline __u64 free_word(__u32 slot, double ready_us, __u32 gen)
{
	return slot_word(IPAMD_FREE, pool_of(slot), us(ready_us) / 1000000, gen);
}

/* --- A history is written ------------------------------------------------- */

static inline struct history_op *op_at(double from, double to, enum history_what what, __u32 key,
				       int verdict)
{
	struct history_op *op = &ops[op_count++];

	*op = (struct history_op){
		.invoke_ns = us(from),
		.return_ns = us(to),
		.start_ns = us(from),
		.key = key,
		.want = HISTORY_NONE,
		.verdict = (__s16)verdict,
		.what = (__u8)what,
		.pool = {0, IPAMD_POOLS},
	};
	return op;
}

static inline struct history_op *add(double from, double to, __u32 key, __u32 slot, __u32 gen)
{
	struct history_op *op = op_at(from, to, HISTORY_ADD, key, IPAMD_OK);

	op->got[slot < 4 ? 0 : 1] = (struct history_got){held(key, slot, gen), slot, slot};
	return op;
}

static inline struct history_op *again(double from, double to, __u32 key, __u32 slot, __u32 gen)
{
	struct history_op *op = add(from, to, key, slot, gen);

	op->again = 1;
	return op;
}

static inline struct history_op *add_fails(double from, double to, __u32 key, int verdict)
{
	return op_at(from, to, HISTORY_ADD, key, verdict);
}

static inline struct history_op *del(double from, double to, __u32 key, int verdict)
{
	return op_at(from, to, HISTORY_DEL, key, verdict);
}

static inline struct history_op *step(double from, double to, __u32 slot, __u64 expected,
				      __u64 word)
{
	struct history_op *op = op_at(from, to, HISTORY_STEP, HISTORY_NONE, IPAMD_OK);

	op->expected = expected;
	op->got[0] = (struct history_got){word, slot, slot};
	return op;
}

static inline struct history_op *reclaim(double from, double to, __u32 slot, __u64 word)
{
	return step(from, to, slot, word, slot_set_state(word, IPAMD_FREE));
}

static inline struct history_op *fix(double from, double to, __u32 slot, __u64 word, __u32 workload)
{
	struct history_op *op = step(from, to, slot, word, word ^ SLOT_FIXED);

	op->key = workload;
	return op;
}

static inline void gate(double from, double to, enum history_what what, __u32 pool)
{
	op_at(from, to, what, HISTORY_NONE, IPAMD_OK)->pool[0] = (__u8)pool;
}

/* --- The map at rest ------------------------------------------------------ */

static inline void place(struct history_place *p, __u32 slot, __u64 word)
{
	p[slot].word = word;
}

/* That key has this slot, and all that belongs to it. */
static inline void rests(__u32 key, __u32 slot, __u32 gen)
{
	__u64 word = held(key, slot, gen);

	after[slot].word = after[slot].record = word;
	after[slot].key = key;
	entries[entry_count++] = (struct history_entry){
		.key = key,
		.entry = {.first = word, .slots = slot | 1ULL << 32},
	};
}

__attribute__((constructor)) static void make_stock(void)
{
	for (__u32 key = 0; key < KEYS; key++)
		ids[key].half[0] = ids[key].half[1] = 1000 + key;
	for (__u32 slot = 0; slot < SLOTS; slot++)
		before[slot] = after[slot] = (struct history_place){
			.word = free_word(slot, -100000, 0),
			.address = slot,
			.named = slot,
			.workload = HISTORY_NONE,
			.key = HISTORY_NONE,
		};
}

static unsigned int found[HISTORY_RULES];

static inline int judge_from(const struct history_map *begin, bool at_rest)
{
	const struct history_map end = {after, entries, entry_count};
	struct history_shape shape = {
		.keys = KEYS,
		.slots = SLOTS,
		.addresses = SLOTS,
		.ids = ids,
		.workloads = workloads,
		.cooldown_ms = {2, 3},
		.reclaim_ms = 1000,
	};
	struct history *h = history_open(&shape);
	const struct history_finding *f;
	int r;

	history_begin(h, begin);
	for (int i = 0; i < op_count; i++)
		CHECK_EQ(history_add(h, &ops[i]), 0);
	r = history_check(h, at_rest ? &end : NULL);
	for (unsigned int i = 0; getenv("V") && (f = history_finding(h, i)); i++) {
		char line[400] = "";

		if (f->op[0])
			history_print(f->op[0], us(0), line, sizeof(line));
		printf("#   V%d %s: %s\n", f->rule, f->text, line);
	}
	for (enum history_rule v = HISTORY_V1; v < HISTORY_RULES; v++)
		found[v] = history_count(h, v);
	history_close(h);
	return r;
}

static inline int judge(bool at_rest)
{
	return judge_from(&(const struct history_map){before, NULL, 0}, at_rest);
}

static inline void passes(void)
{
	CHECK_EQ(judge(false), 0);
	op_count = 0;
}

static inline void passes_at_rest(void)
{
	CHECK_EQ(judge(true), 0);
	op_count = entry_count = 0;
}

/* By that rule, once, and by no other. */
static inline void fails(enum history_rule rule)
{
	CHECK_EQ(judge(false), 1);
	CHECK_EQ(found[rule], 1);
	op_count = 0;
}

static inline void fails_at_rest(enum history_rule rule)
{
	CHECK_EQ(judge(true), 1);
	CHECK_EQ(found[rule], 1);
	op_count = entry_count = 0;
}

#endif

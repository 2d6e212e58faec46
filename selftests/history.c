// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A round is sorted: operations by attachment, answers into grants, grants by slot
 * and generation; then the rules look at it.  Everything here is n log n.
 */
#include "selftests/history_round.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A pool with 2^14 claims of one slot in one round could hide a whole turn. */
#define GRANTS_A_SLOT (SLOT_GEN - 1)

void *round_need(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p) {
		printf("# history: no memory for %zu records\n", n);
		abort();
	}
	return p;
}

/* --- Life ----------------------------------------------------------------- */

struct history *history_open(const struct history_shape *shape)
{
	struct history *h = round_need(1, sizeof(*h));

	h->shape = *shape;
	h->before = round_need(shape->slots, sizeof(*h->before));
	h->buried = round_need(shape->keys, sizeof(*h->buried));
	for (__u32 i = 0; i < shape->slots; i++)
		h->before[i] = (struct history_place){.address = HISTORY_NONE,
						      .named = HISTORY_NONE,
						      .workload = HISTORY_NONE,
						      .key = HISTORY_NONE};
	return h;
}

void history_close(struct history *h)
{
	if (!h)
		return;
	free(h->before);
	free(h->entries);
	free(h->buried);
	free(h->ops);
	free(h);
}

void history_begin(struct history *h, const struct history_map *map)
{
	memcpy(h->before, map->places, h->shape.slots * sizeof(*h->before));
	free(h->entries);
	h->entries = round_need(map->entry_count, sizeof(*h->entries));
	if (map->entry_count)
		memcpy(h->entries, map->entries, map->entry_count * sizeof(*h->entries));
	h->entry_count = map->entry_count;
}

static bool is_sane(const struct history *h, const struct history_op *op)
{
	bool names = op->what == HISTORY_STEP || (op->what == HISTORY_ADD && op_did(op));

	if (op->return_ns < op->invoke_ns || !op->invoke_ns)
		return false;
	if (op->what <= HISTORY_DEL && op->key >= h->shape.keys)
		return false;
	if (op->what >= HISTORY_CLOSE)
		return op->pool[0] < IPAMD_POOLS;
	for (int f = 0; names && f < IPAMD_FAMILIES; f++)
		if (op->got[f].word && op->got[f].slot >= h->shape.slots)
			return false;
	if (op->what == HISTORY_STEP)
		return op->got[0].slot < h->shape.slots;
	return op->what != HISTORY_ADD || !op_did(op) || op->got[0].word || op->got[1].word;
}

int history_add(struct history *h, const struct history_op *op)
{
	if (!is_sane(h, op))
		return -EINVAL;
	if (h->op_count == h->op_room) {
		size_t room = h->op_room ? 2 * h->op_room : 4096;
		const struct history_op **ops = realloc(h->ops, room * sizeof(*ops));

		if (!ops)
			return -ENOMEM;
		h->ops = ops;
		h->op_room = room;
	}
	h->ops[h->op_count++] = op;
	return 0;
}

/* --- Sorting -------------------------------------------------------------- */

static int compare(__u64 a, __u64 b)
{
	return (a > b) - (a < b);
}

static int by_key(const void *x, const void *y)
{
	const struct history_op *a = *(const struct history_op *const *)x;
	const struct history_op *b = *(const struct history_op *const *)y;
	int c = compare(a->key, b->key);

	return c ? c : compare(a->invoke_ns, b->invoke_ns);
}

/* Two answers name the same grant, or in which order they come. */
static int compare_got(const struct history_got *a, const struct history_got *b)
{
	int c = 0;

	for (int f = 0; f < IPAMD_FAMILIES && !c; f++) {
		c = compare(a[f].word & ~SLOT_FIXED, b[f].word & ~SLOT_FIXED);
		if (!c && a[f].word)
			c = compare(a[f].slot, b[f].slot);
	}
	return c;
}

static int by_grant(const void *x, const void *y)
{
	const struct history_op *a = *(const struct history_op *const *)x;
	const struct history_op *b = *(const struct history_op *const *)y;
	int c = compare(a->key, b->key);

	if (!c)
		c = compare_got(a->got, b->got);
	return c ? c : compare(a->return_ns, b->return_ns);
}

static int by_birth(const void *x, const void *y)
{
	const struct grant *a = x, *b = y;
	int c = compare(a->key, b->key);

	return c ? c : compare(a->born_hi, b->born_hi);
}

static int by_step(const void *x, const void *y, void *round)
{
	const struct history_op *a = *(const struct history_op *const *)x;
	const struct history_op *b = *(const struct history_op *const *)y;
	__u32 s = a->got[0].slot;
	int c = compare(s, b->got[0].slot);

	if (!c)
		c = compare(round_nth(round, s, a->expected), round_nth(round, s, b->expected));
	return c ? c : compare(a->invoke_ns, b->invoke_ns);
}

static int by_gate(const void *x, const void *y)
{
	const struct history_op *a = *(const struct history_op *const *)x;
	const struct history_op *b = *(const struct history_op *const *)y;
	int c = compare(a->pool[0], b->pool[0]);

	return c ? c : compare(a->invoke_ns, b->invoke_ns);
}

static int by_slot(const void *x, const void *y)
{
	const struct hold *a = x, *b = y;
	int c = compare(a->slot, b->slot);

	if (!c)
		c = compare(a->nth, b->nth);
	return c ? c : compare(a->grant->born_hi, b->grant->born_hi);
}

static void index_ops(struct round *r)
{
	struct history *h = r->h;
	__u32 n = 0;

	r->ops = round_need(h->op_count, sizeof(*r->ops));
	r->steps = round_need(h->op_count, sizeof(*r->steps));
	r->acks = round_need(h->op_count, sizeof(*r->acks));
	r->gates = round_need(h->op_count, sizeof(*r->gates));
	r->op_at = round_need(h->shape.keys + 1, sizeof(*r->op_at));
	for (size_t i = 0; i < h->op_count; i++) {
		const struct history_op *op = h->ops[i];

		if (op->what == HISTORY_STEP)
			r->steps[r->step_count++] = op;
		else if (op->what >= HISTORY_CLOSE)
			r->gates[r->gate_count++] = op;
		else
			r->ops[n++] = op;
		if (op->what == HISTORY_ADD && op_did(op))
			r->acks[r->ack_count++] = op;
	}
	qsort(r->ops, n, sizeof(*r->ops), by_key);
	qsort(r->acks, r->ack_count, sizeof(*r->acks), by_grant);
	qsort(r->gates, r->gate_count, sizeof(*r->gates), by_gate);
	qsort_r(r->steps, r->step_count, sizeof(*r->steps), by_step, r);
	for (__u32 k = 0, i = 0; k <= h->shape.keys; k++) {
		while (i < n && r->ops[i]->key < k)
			i++;
		r->op_at[k] = i;
	}
}

/* --- Grants --------------------------------------------------------------- */

static bool carried_grant(const struct round *r, const struct history_entry *e, struct grant *ret)
{
	const __u32 slot[2] = {e->entry.slots & 0xffff, e->entry.slots >> 16 & 0xffff};
	const __u64 word[2] = {e->entry.first, e->entry.second};
	const struct history_place *p = r->h->before;
	struct grant g = {.key = e->key, .carried = true};
	bool both = e->entry.slots >> 32 == 2;

	if (e->key == HISTORY_NONE || slot[0] >= r->h->shape.slots ||
	    (both && slot[1] >= r->h->shape.slots) || slot_state(word[0]) != IPAMD_HELD)
		return false; /* the last round's check has said so */
	g.start_ns = p[slot[0]].start_ns;
	/* Which family a lone word is of only its pool knows: it is put where an answer is. */
	for (int i = 0; i <= both; i++)
		g.got[i] = (struct history_got){word[i], slot[i], p[slot[i]].address};
	*ret = g;
	return true;
}

/* Does that answer name the grant with which its key began? */
static bool names_carried(struct grant *g, const struct history_op *ack)
{
	struct history_got turned[2] = {{0, 0, 0}, g->got[0]};

	if (!compare_got(g->got, ack->got))
		return true;
	if (g->got[1].word || compare_got(turned, ack->got))
		return false;
	memcpy(g->got, turned, sizeof(turned));
	return true;
}

static void take_acks(struct round *r, struct grant *g, __u32 from, __u32 to)
{
	g->ack_from = from;
	g->ack_to = to;
	if (!g->carried)
		g->born_hi = NEVER;
	for (__u32 i = from; i < to; i++) {
		const struct history_op *a = r->acks[i];

		if (a->return_ns < g->born_hi)
			g->born_hi = a->return_ns;
		if (a->invoke_ns > g->seen_lo)
			g->seen_lo = a->invoke_ns;
		if (a->again)
			continue;
		if (g->creator || g->carried)
			round_report(r, HISTORY_V1, "one generation of a slot was claimed twice",
				     a->got[0].word ? a->got[0].slot : a->got[1].slot, a->key,
				     g->creator, a);
		g->creator = a;
		g->start_ns = a->start_ns;
		g->born_lo = a->invoke_ns;
	}
}

static void build_grants(struct round *r)
{
	struct history *h = r->h;
	__u32 *carried = round_need(h->shape.keys, sizeof(*carried)); /* its place + 1 */

	r->grants = round_need(r->ack_count + h->entry_count, sizeof(*r->grants));
	for (__u32 i = 0; i < h->entry_count; i++)
		if (carried_grant(r, &h->entries[i], &r->grants[r->grant_count]))
			carried[h->entries[i].key] = ++r->grant_count;
	for (__u32 i = 0, end; i < r->ack_count; i = end) {
		const struct history_op *a = r->acks[i];
		struct grant *g = carried[a->key] ? &r->grants[carried[a->key] - 1] : NULL;

		for (end = i + 1; end < r->ack_count && r->acks[end]->key == a->key &&
				  !compare_got(r->acks[end]->got, a->got);
		     end++)
			;
		if (!g || !names_carried(g, a)) {
			g = &r->grants[r->grant_count++];
			g->key = a->key;
			memcpy(g->got, a->got, sizeof(g->got));
		}
		take_acks(r, g, i, end);
	}
	free(carried);
	qsort(r->grants, r->grant_count, sizeof(*r->grants), by_birth);
	r->grant_at = round_need(h->shape.keys + 1, sizeof(*r->grant_at));
	for (__u32 k = 0, i = 0; k <= h->shape.keys; k++) {
		while (i < r->grant_count && r->grants[i].key < k)
			i++;
		r->grant_at[k] = i;
	}
}

__u32 round_find(const struct round *r, __u32 slot, __u32 nth)
{
	__u32 lo = 0, hi = r->hold_count;

	while (lo < hi) {
		__u32 mid = lo + (hi - lo) / 2;
		const struct hold *at = &r->holds[mid];

		if (at->slot < slot || (at->slot == slot && at->nth < nth))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Reclaims name their word: each belongs to one grant, however long ago it was read. */
static void attach_reclaims(struct round *r)
{
	for (__u32 i = 0; i < r->step_count; i++) {
		const struct history_op *op = r->steps[i];
		__u32 slot = op->got[0].slot, nth = round_nth(r, slot, op->expected);

		if (!history_is_reclaim(op) || !op_may_have(op))
			continue;
		for (__u32 at = round_find(r, slot, nth);
		     at < r->hold_count && r->holds[at].slot == slot && r->holds[at].nth == nth;
		     at++) {
			struct grant *g = r->holds[at].grant;

			if (!slot_same(g->got[r->holds[at].family].word, op->expected) ||
			    (!op_did(op) && op->return_ns < g->seen_lo))
				continue; /* another's, or unknown and it did not happen */
			if (!g->reclaim || op->invoke_ns < g->reclaim->invoke_ns)
				g->reclaim = op;
		}
	}
}

static int build_holds(struct round *r)
{
	__u32 a_slot = 0;

	r->holds = round_need((size_t)2 * r->grant_count, sizeof(*r->holds));
	for (__u32 i = 0; i < r->grant_count; i++)
		for (__u32 f = 0; f < IPAMD_FAMILIES; f++) {
			struct history_got *got = &r->grants[i].got[f];

			if (got->word)
				r->holds[r->hold_count++] = (struct hold){
					.grant = &r->grants[i],
					.family = f,
					.slot = got->slot,
					.nth = round_nth(r, got->slot, got->word),
					.address = HISTORY_NONE,
				};
		}
	qsort(r->holds, r->hold_count, sizeof(*r->holds), by_slot);
	for (__u32 i = 1; i < r->hold_count; i++) {
		a_slot = r->holds[i].slot == r->holds[i - 1].slot ? a_slot + 1 : 0;
		if (a_slot >= GRANTS_A_SLOT)
			return -ERANGE;
	}
	attach_reclaims(r);
	return 0;
}

/* --- The round ------------------------------------------------------------ */

void round_report(struct round *r, enum history_rule rule, const char *text, __u32 slot, __u32 key,
		  const struct history_op *a, const struct history_op *b)
{
	struct history *h = r->h;

	h->count[rule]++;
	if (h->total++ < sizeof(h->findings) / sizeof(h->findings[0]))
		h->findings[h->total - 1] = (struct history_finding){
			.rule = rule, .text = text, .slot = slot, .key = key, .op = {a, b}};
}

static void remember_burials(struct round *r)
{
	for (__u32 i = 0; i < r->op_at[r->h->shape.keys]; i++) {
		const struct history_op *op = r->ops[i];

		if (op_buried(op) && op->start_ns > r->h->buried[op->key])
			r->h->buried[op->key] = op->start_ns;
	}
}

int history_check(struct history *h, const struct history_map *map)
{
	struct round r = {.h = h, .map = map};
	int e;

	h->total = 0;
	memset(h->count, 0, sizeof(h->count));
	index_ops(&r);
	build_grants(&r);
	e = build_holds(&r);
	if (!e) {
		r.expect = round_need(h->shape.slots, sizeof(*r.expect));
		round_check_keys(&r);
		round_check_slots(&r);
		if (map)
			round_check_map(&r);
		remember_burials(&r);
	}
	if (map)
		history_begin(h, map);
	h->op_count = 0;
	free(r.ops);
	free(r.op_at);
	free(r.acks);
	free(r.steps);
	free(r.gates);
	free(r.grants);
	free(r.grant_at);
	free(r.holds);
	free(r.expect);
	return e ? e : (int)h->total;
}

unsigned int history_count(const struct history *h, enum history_rule rule)
{
	return h->count[rule];
}

const struct history_finding *history_finding(const struct history *h, unsigned int i)
{
	unsigned int most = sizeof(h->findings) / sizeof(h->findings[0]);

	return i < h->total && i < most ? &h->findings[i] : NULL;
}

unsigned long history_overtaken(const struct history *h)
{
	return h->overtaken;
}

/* --- For people ----------------------------------------------------------- */

const char *history_verdict(int verdict)
{
	static const char *const names[IPAMD_VERDICTS] = {
		"OK",     "BUSY",   "EXHAUSTED", "LATE",    "YOUNGER", "NOTHING",   "NO_POOL",
		"CLOSED", "MOVING", "NOT_OURS",  "TAKEN",   "COOLING", "RESERVED",  "PREDECESSOR",
		"AWAY",   "FULL",   "FOREIGN",   "ILLEGAL", "STALE",   "DUPLICATE", "BROKEN",
	};

	if (verdict == HISTORY_UNKNOWN)
		return "unknown";
	return verdict >= 0 && verdict < IPAMD_VERDICTS ? names[verdict] : "error";
}

static const char *state_name(__u64 word)
{
	static const char *const names[8] = {"EMPTY",   "FREE", "CLAIMING",   "HELD",
					     "LEAVING", "?",    "QUARANTINE", "MOVED"};

	return names[slot_state(word)];
}

static int print_word(char *ret, size_t size, const char *before, __u32 slot, __u64 word)
{
	return snprintf(ret, size, "%s slot %u %s%s pool %u %s %llx gen %u", before, slot,
			state_name(word), word & SLOT_FIXED ? "+fixed" : "", slot_pool(word),
			slot_state(word) == IPAMD_FREE ? "ready ms" : "tag",
			(unsigned long long)slot_time(word), slot_gen(word));
}

void history_print(const struct history_op *op, __u64 from_ns, char *ret, size_t size)
{
	static const char *const names[] = {"ADD", "DEL", "STEP", "CLOSE", "OPEN"};
	char got[3][96] = {"", "", ""};
	char who[64] = "";

	if (op->what == HISTORY_STEP) {
		print_word(got[0], sizeof(got[0]), "", op->got[0].slot, op->expected);
		print_word(got[1], sizeof(got[1]), " ->", op->got[0].slot, op->got[0].word);
	} else if (op->what <= HISTORY_DEL) {
		snprintf(who, sizeof(who), " key %u start %+.3f us", op->key,
			 (double)(__s64)(op->start_ns - from_ns) / 1000);
		for (int f = 0; f < IPAMD_FAMILIES; f++)
			if (op->got[f].word && op_did(op))
				print_word(got[f], sizeof(got[f]), ",", op->got[f].slot,
					   op->got[f].word);
	} else {
		snprintf(who, sizeof(who), " pool %u", op->pool[0]);
	}
	snprintf(ret, size, "[%+.3f, %+.3f] us process %u %s%s: %s%s%s%s",
		 (double)(__s64)(op->invoke_ns - from_ns) / 1000,
		 (double)(__s64)(op->return_ns - from_ns) / 1000, op->process, names[op->what], who,
		 history_verdict(op->verdict), op->what == HISTORY_ADD && op->again ? " again" : "",
		 got[0], got[1]);
}

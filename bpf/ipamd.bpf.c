// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The stock of a node: its maps, and the three programs that change it.
 *
 *   claim    an attachment takes one address a family, or none
 *   release  an attachment gives them back
 *   step     the manager changes one slot
 *
 * Each runs from user space by BPF_PROG_RUN, concurrently with all others, is
 * preempted for as long as the scheduler likes, and cannot be killed half way.
 *
 * Two things are at stake: the word is the truth of who holds an address, the
 * entry in by_holder of which attachment is being served.  Whoever inserted
 * an entry owns it until it is published as HELD, and then it is never undone;
 * from there on the owner is who wins the CAS of its first word.  Only the owner deletes it.  An
 * element that was looked up may be recycled for another key at any moment, so nothing that is read
 * there is believed until a word confirms it.
 *
 * Written for the verifier of 5.15: the context is read at constant offsets and
 * never handed to a helper; no loop over slots but for_each's; and a map helper's
 * result is an int, whose upper half is anything before 6.4.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi.h"
#include "bpf/mem.h"
#include "bpf/slot.h"

#define EEXIST 17
#define E2BIG  7
#define ENOMEM 12

#define TRIES      4    /* of a CAS that others keep winning */
#define RECLAIM_MS 1000 /* least cooldown after a reclaim: devices outlive their netns */

#define inline static __always_inline

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* --- Maps; user space sizes them before it loads ------------------------- */

#define define_map(name, kind, flags, entries, k, v) \
	struct {                                     \
		__uint(type, BPF_MAP_TYPE_##kind);   \
		__uint(map_flags, flags);            \
		__uint(max_entries, entries);        \
		__type(key, k);                      \
		__type(value, v);                    \
	} name SEC(".maps")

define_map(meta, ARRAY, BPF_F_MMAPABLE, 1, __u32, struct ipamd_meta);
define_map(pools, ARRAY, BPF_F_MMAPABLE, IPAMD_POOLS, __u32, struct ipamd_pool);
define_map(words, ARRAY, BPF_F_MMAPABLE, 1, __u32, struct ipamd_chunk);
define_map(slots, ARRAY, 0, 1, __u32, struct ipamd_slot);
define_map(addresses, ARRAY, 0, 1, __u32, struct ipamd_address);
define_map(holders, ARRAY, 0, 1, __u32, struct ipamd_holder);
define_map(by_holder, HASH, 0, 1, struct ipamd_digest, struct ipamd_entry);
define_map(names, HASH, 0, 1, struct ipamd_digest, __u64);
define_map(tombs, LRU_HASH, 0, 1, struct ipamd_digest, struct ipamd_tomb);
define_map(stats, PERCPU_ARRAY, 0, 1, __u32, struct ipamd_stats);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

inline struct ipamd_meta *the_meta(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&meta, &zero);
}

inline struct ipamd_pool *pool_at(__u32 pool)
{
	return bpf_map_lookup_elem(&pools, &pool);
}

inline struct ipamd_slot *slot_at(__u32 slot)
{
	return bpf_map_lookup_elem(&slots, &slot);
}

inline struct ipamd_address *address_at(__u32 slot)
{
	return bpf_map_lookup_elem(&addresses, &slot);
}

inline struct ipamd_holder *holder_at(__u32 slot)
{
	return bpf_map_lookup_elem(&holders, &slot);
}

inline __u64 *word_at(__u32 slot)
{
	__u32 index = slot / IPAMD_CHUNK;
	struct ipamd_chunk *chunk = bpf_map_lookup_elem(&words, &index);

	return chunk ? &chunk->word[slot % IPAMD_CHUNK] : NULL;
}

/* --- The request, at constant offsets ------------------------------------- */

#define get(field)    mem_ctx_load(req, __builtin_offsetof(struct ipamd_request, field))
#define put(field, v) mem_ctx_store(req, __builtin_offsetof(struct ipamd_request, field), v)

#define get_digest(field) ((struct ipamd_digest){{get(field.half[0]), get(field.half[1])}})

#define get_bytes(to, field)                                                      \
	mem_ctx_copy_in(to, req, __builtin_offsetof(struct ipamd_request, field), \
			sizeof(((struct ipamd_request *)0)->field))

#define put_bytes(field, from)                                                       \
	mem_ctx_copy_out(req, __builtin_offsetof(struct ipamd_request, field), from, \
			 sizeof(((struct ipamd_request *)0)->field))

inline int is_foreign(struct ipamd_request *req)
{
	return get(abi) != (IPAMD_ABI | (__u64)sizeof(*req) << 32);
}

/* --- What others are told ------------------------------------------------ */

inline int count(enum ipamd_verb verb, int verdict)
{
	__u32 zero = 0;
	struct ipamd_stats *s = bpf_map_lookup_elem(&stats, &zero);
	__u64 index = (__u32)verdict;

	/*
	 * clang knows that every verdict is in bounds and would drop the check; 5.15
	 * forgets it when the verdict goes over the stack in four bytes.
	 */
	asm volatile("" : "+r"(index));
	if (s && index < IPAMD_VERDICTS)
		__sync_fetch_and_add(&s->count[verb][index], 1);
	return verdict;
}

/* A hint: the words are the truth, and a full ring loses it. */
inline void tell(enum ipamd_verb verb, int verdict, const struct ipamd_digest *id, __u32 slot,
		 __u64 word, __u64 now_ns, int wake)
{
	__u32 zero = 0;
	struct ipamd_stats *s;
	struct ipamd_event event = {
		.time_ns = now_ns,
		.word = word,
		.id = *id,
		.slot = slot,
		.verb = verb,
		.verdict = verdict,
	};

	if (!bpf_ringbuf_output(&events, &event, sizeof(event),
				wake ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP))
		return;
	s = bpf_map_lookup_elem(&stats, &zero);
	if (s)
		__sync_fetch_and_add(&s->events_lost, 1);
}

/*
 * For people.  Two programs may write here at once; who finishes last reads the
 * word again, so that a lasting mirror shows the word as it is.
 */
inline void mirror(__u32 slot, const __u64 *at)
{
	struct ipamd_slot *s = slot_at(slot);
	struct ipamd_holder *h = holder_at(slot);

	if (!s || !h)
		return;
	for (int i = 0; i < 2; i++) {
		__u64 word = mem_load(at);

		s->state = slot_state(word);
		s->pool = slot_pool(word);
		s->fixed = !!(word & SLOT_FIXED);
		s->claims = slot_gen(word);
		s->ready_at_ms = s->state == IPAMD_FREE ? slot_time(word) : 0;
		if (s->state == IPAMD_HELD)
			mem_copy(s->holder, h->who.label, sizeof(s->holder));
		s->word = word;
		if (mem_load(at) == word)
			return;
	}
}

/* --- Tombstones ----------------------------------------------------------- */

/* When the newest DEL of this attachment began, or 0. */
inline __u64 tomb_of(const struct ipamd_digest *id)
{
	struct ipamd_tomb *t = bpf_map_lookup_elem(&tombs, id);
	__u64 start;

	if (!t)
		return 0;
	start = mem_load(&t->start_ns);
	return mem_load(&t->check) == id->half[0] ? start : 0;
}

/* Keeps the newest; a full barrier once it is there. */
inline int bury(const struct ipamd_digest *id, __u64 start_ns)
{
	struct ipamd_tomb tomb = {.check = id->half[0], .start_ns = start_ns};
	struct ipamd_tomb *t;
	__u32 zero = 0;
	struct ipamd_stats *s = bpf_map_lookup_elem(&stats, &zero);
	int r = bpf_map_update_elem(&tombs, id, &tomb, BPF_NOEXIST);

	if (!s)
		return IPAMD_BROKEN;
	if (!r) {
		/*
		 * Ordering: the tombstone before the look at the entry.  The
		 * claim inserts its entry before it looks at the tombstone, so
		 * one of the two sees the other.  x86 too reorders the two.
		 */
		mem_add(&s->fence, 0);
		return IPAMD_OK;
	}
	if (r != -EEXIST)
		return IPAMD_BUSY;
	t = bpf_map_lookup_elem(&tombs, id);
	for (int i = 0; t && i < TRIES; i++) {
		__u64 old = mem_load(&t->start_ns);

		/* Recycled meanwhile, its time in ns is another's, and the CAS fails. */
		if (mem_load(&t->check) != id->half[0])
			return IPAMD_BUSY;
		if (mem_cas(&t->start_ns, old, old > start_ns ? old : start_ns) == old)
			return IPAMD_OK;
	}
	return IPAMD_BUSY;
}

/* --- Entries: which attachment is being served ---------------------------- */

inline __u64 entry_pending(__u64 tag)
{
	return slot_word(IPAMD_CLAIMING, 0, tag, 0);
}

inline __u64 entry_spent(__u64 tag)
{
	return slot_word(IPAMD_FREE, 0, tag, 0);
}

inline __u64 entry_slots(__u32 first, __u32 second, __u64 families)
{
	return first | second << 16 | families << 32;
}

/*
 * Its first word, and in *ret where that word is.
 *
 * Ordering: where before what.  The other way round, the word may be one life's
 * and the place that of the next one, not yet published; and should both lives
 * have words that look alike, their place alone tells them apart.
 */
inline __u64 entry_read(struct ipamd_entry *e, __u64 *ret)
{
	*ret = mem_add(&e->slots, 0);
	return mem_load(&e->first);
}

/* For its owner only.  A hash may refuse to delete: then the entry is spent. */
inline void entry_delete(struct ipamd_entry *e, const struct ipamd_digest *id)
{
	for (int i = 0; i < TRIES; i++)
		if (!bpf_map_delete_elem(&by_holder, id))
			return;
	mem_swap(&e->first, entry_spent(slot_tag_of(id)));
}

/*
 * OK: *ret is ours.  BUSY, FULL.  EEXIST (positive): *ret may be somebody's
 * answer, or recycled; the words tell.
 */
inline int entry_insert(const struct ipamd_digest *id, struct ipamd_entry **ret)
{
	__u64 tag = slot_tag_of(id);
	struct ipamd_entry pending = {.first = entry_pending(tag)};
	int r = bpf_map_update_elem(&by_holder, id, &pending, BPF_NOEXIST);
	struct ipamd_entry *e;

	if (r == -E2BIG || r == -ENOMEM)
		return IPAMD_FULL;
	if (r && r != -EEXIST)
		return IPAMD_BUSY;
	e = bpf_map_lookup_elem(&by_holder, id);
	if (!e)
		return IPAMD_BUSY;
	*ret = e;
	if (!r)
		return IPAMD_OK;
	if (mem_load(&e->first) == entry_spent(tag) &&
	    mem_cas(&e->first, entry_spent(tag), pending.first) == entry_spent(tag))
		return IPAMD_OK;
	return EEXIST;
}

/* --- Giving back ----------------------------------------------------------- */

/* The word's one step out of HELD.  BUSY: somebody else was first. */
inline int free_word(enum ipamd_verb verb, const struct ipamd_digest *id, __u32 slot, __u64 held,
		     __u64 least_ms)
{
	__u64 *at = word_at(slot);
	struct ipamd_pool *pool = pool_at(slot_pool(held));
	__u64 word, next, cooldown, now_ns;

	if (!at || !pool)
		return IPAMD_BROKEN;
	cooldown = pool->cooldown_ms > least_ms ? pool->cooldown_ms : least_ms;
	for (int i = 0; i < TRIES; i++) {
		word = mem_load(at);
		if (slot_state(word) == IPAMD_MOVED)
			return IPAMD_MOVING;
		if (!slot_same(word, held))
			return IPAMD_BUSY;
		now_ns = bpf_ktime_get_boot_ns();
		next = slot_released(word, slot_ready_at(now_ns, cooldown));
		if (mem_cas(at, word, next) != word)
			continue; /* fixed or unfixed meanwhile, or lost */
		mirror(slot, at);
		tell(verb, IPAMD_OK, id, slot, next, now_ns, 0);
		return IPAMD_OK;
	}
	return IPAMD_BUSY;
}

/*
 * All that the attachment holds.  Who wins the first word owns the rest: the
 * second word, and last the entry.  Until then a new ADD of it is BUSY.
 */
inline int let_go(enum ipamd_verb verb, const struct ipamd_digest *id, struct ipamd_entry *e,
		  __u64 first, __u32 slot, __u64 least_ms)
{
	int r = free_word(verb, id, slot, first, least_ms);
	__u64 slots;

	if (r)
		return r;
	/* Ordering: only now, behind the CAS, is it certain that these are its own. */
	slots = mem_load(&e->slots);
	if (slots >> 32 == 2)
		r = free_word(verb, id, slots >> 16 & 0xffff, mem_load(&e->second), least_ms);
	if (r == IPAMD_MOVING)
		return r; /* the other map has its own entry for it */
	entry_delete(e, id);
	return r ? IPAMD_BROKEN : IPAMD_OK;
}

/* --- Claim ------------------------------------------------------------------ */

struct scan {
	__u64 prefix;
	__u64 best;
};

struct bpf_map;

static long look(struct bpf_map *map, __u32 *key, struct ipamd_chunk *chunk, struct scan *scan)
{
	(void)map;
	scan->best = slot_oldest(chunk, scan->prefix, *key * IPAMD_CHUNK, scan->best);
	return 0;
}

#define OLDEST_READY (1ULL << 32)

/*
 * The slot whose word has waited longest, or IPAMD_NONE; with OLDEST_READY when
 * its time has come.  A global function is verified once, not once a call.
 */
__noinline __u64 oldest(__u32 pool, __u64 now_ms)
{
	struct scan scan = {.prefix = slot_prefix(pool, now_ms), .best = SLOT_NO_KEY};

	bpf_for_each_map_elem(&words, look, &scan, 0);
	return slot_key_index(scan.best) |
	       (slot_key_is_ready(scan.best, scan.prefix, now_ms) ? OLDEST_READY : 0);
}

struct taken { /* a slot in CLAIMING; at == NULL: none */
	__u64 *at;
	__u64 before;
	__u64 word;
	__u32 slot;
};

inline int seize(struct taken *t, __u64 *at, __u32 slot, __u64 before, __u64 tag)
{
	__u64 word = slot_claimed(before, IPAMD_CLAIMING, tag);

	if (mem_cas(at, before, word) != before)
		return IPAMD_BUSY;
	t->at = at;
	t->before = before;
	t->word = word;
	t->slot = slot;
	return IPAMD_OK;
}

/* Back to what it was; nobody touches a word that is CLAIMING. */
inline void unseize(struct taken *t)
{
	if (t->at)
		mem_cas(t->at, t->word, t->before);
	t->at = NULL;
}

inline int take_oldest(struct ipamd_request *req, struct taken *t, __u32 pool, __u64 tag,
		       __u64 now_ms)
{
	for (int i = 0; i < TRIES; i++) {
		__u64 found = oldest(pool, now_ms);
		__u32 slot = found & 0xffff;
		__u64 *at, word;

		if (slot == IPAMD_NONE)
			return IPAMD_EXHAUSTED;
		at = word_at(slot);
		if (!at)
			return IPAMD_BROKEN;
		word = mem_load(at);
		if (slot_state(word) != IPAMD_FREE || slot_pool(word) != pool || word & SLOT_FIXED)
			continue; /* somebody was quicker */
		if (!(found & OLDEST_READY)) {
			put(next_ready_ms, slot_time(word));
			return IPAMD_EXHAUSTED;
		}
		if (!slot_is_ready(word, now_ms))
			continue;
		if (!seize(t, at, slot, word, tag))
			return IPAMD_OK;
	}
	return IPAMD_BUSY;
}

/*
 * One slot and no other: the requested address (key set) or the workload's fixed
 * one.  What led here may be stale, so the slot is asked whose it is once it is
 * ours; nobody rewrites its record while the word is CLAIMING.
 */
inline int take_slot(struct ipamd_request *req, struct taken *t, __u32 slot, __u32 pool,
		     const struct ipamd_digest *key, const struct ipamd_digest *workload, __u64 tag,
		     __u64 now_ms)
{
	__u64 *at = word_at(slot);
	struct ipamd_address *a = address_at(slot);
	__u64 word;
	int mine;

	if (!at || !a)
		return IPAMD_BROKEN;
	word = mem_load(at);
	mine = word & SLOT_FIXED && digest_is_set(workload) && digest_equal(&a->workload, workload);
	if (slot_pool(word) != pool)
		return IPAMD_NOT_OURS;
	switch (slot_state(word)) {
	case IPAMD_FREE:
		break;
	case IPAMD_CLAIMING:
		return IPAMD_BUSY;
	case IPAMD_HELD:
		return mine ? IPAMD_PREDECESSOR : IPAMD_TAKEN;
	case IPAMD_MOVED:
		return IPAMD_MOVING;
	default:
		return IPAMD_AWAY;
	}
	if (word & SLOT_FIXED) {
		if (!mine)
			return IPAMD_RESERVED;
	} else if (!digest_is_set(key)) {
		return IPAMD_BUSY; /* unfixed this moment: its name goes too */
	} else if (!slot_is_ready(word, now_ms)) {
		put(next_ready_ms, slot_time(word));
		return IPAMD_COOLING;
	}
	if (seize(t, at, slot, word, tag))
		return IPAMD_BUSY;
	if ((digest_is_set(key) && !digest_equal(&a->key, key)) ||
	    (word & SLOT_FIXED && !digest_equal(&a->workload, workload))) {
		unseize(t);
		return IPAMD_BUSY;
	}
	return IPAMD_OK;
}

inline int is_closed(__u32 pool, __u64 now_ms)
{
	struct ipamd_pool *p = pool_at(pool);

	return !p || mem_load(&p->valid_until_ms) <= now_ms;
}

/* *ret: the ref that a digest leads to, all NONE when it leads nowhere. */
inline int resolve(const struct ipamd_digest *name, __u64 *ret)
{
	__u64 *ref = digest_is_set(name) ? bpf_map_lookup_elem(&names, name) : NULL;

	*ret = IPAMD_NONE << 16 | IPAMD_NONE;
	if (!ref)
		return IPAMD_NO_POOL;
	*ret = mem_load(ref);
	return ref_is_of(*ret, name) ? IPAMD_OK : IPAMD_BUSY;
}

/* Whether the workload's fixed slot serves here: it may have one in another pool. */
inline int is_in_pool(__u32 slot, __u32 pool)
{
	__u64 *at = slot != IPAMD_NONE ? word_at(slot) : NULL;

	return at && slot_pool(mem_load(at)) == pool;
}

/* One address of a family: as requested, else the workload's own, else the oldest. */
inline int take(struct ipamd_request *req, struct taken *t, int family, __u32 pool,
		const struct ipamd_digest *workload, __u64 fixed, __u64 tag, __u64 now_ms)
{
	struct ipamd_digest want = get_digest(want[family]);
	__u32 slot = ref_get(fixed, family);
	int r;

	if (digest_is_set(&want)) {
		__u64 to;

		r = resolve(&want, &to);
		if (r == IPAMD_BUSY)
			return r;
		if (ref_get(to, family) == IPAMD_NONE || pool == IPAMD_NONE)
			return IPAMD_NOT_OURS;
		r = take_slot(req, t, ref_get(to, family), pool, &want, workload, tag, now_ms);
	} else if (is_in_pool(slot, pool)) {
		r = take_slot(req, t, slot, pool, &want, workload, tag, now_ms);
	} else if (pool < IPAMD_POOLS) {
		r = take_oldest(req, t, pool, tag, now_ms);
	} else {
		return IPAMD_OK;
	}
	if (!r && is_closed(slot_pool(t->word), now_ms))
		return IPAMD_CLOSED;
	return r;
}

/* By name; else by the pod's namespace; else the default. */
inline int choose_pools(struct ipamd_request *req, __u64 *ret)
{
	struct ipamd_digest name = get_digest(pool), ns = get_digest(name_space);
	struct ipamd_meta *m = the_meta();
	int r;

	if (digest_is_set(&name))
		return resolve(&name, ret);
	r = resolve(&ns, ret);
	if (r != IPAMD_NO_POOL)
		return r;
	*ret = m ? m->default_pools : 0;
	return *ret ? IPAMD_OK : IPAMD_NO_POOL;
}

/* The holder's record is whole before the word says HELD; `word` comes last. */
inline void publish_holder(struct ipamd_request *req, struct taken *t, __u64 now_ns)
{
	struct ipamd_holder *h = t->at ? holder_at(t->slot) : NULL;

	if (!h)
		return;
	mem_store(&h->word, 0);
	get_bytes(&h->who, who);
	mem_store(&h->claimed_at_ms, slot_now_ms(now_ns));
	mem_store(&h->word, slot_held(t->word));
}

inline void publish_held(struct taken *t)
{
	__u64 held = slot_held(t->word);

	if (!t->at)
		return;
	mem_cas(t->at, t->word, held);
	t->word = held;
}

inline void answer(struct ipamd_request *req, int family, __u32 slot, __u64 word)
{
	struct ipamd_address *a = address_at(slot);
	struct ipamd_pool *p = pool_at(slot_pool(word));

	if (!a || !p)
		return;
	put(lease[family].word, word);
	put(lease[family].slot, slot | (__u64)slot_pool(word) << 32 | (__u64)p->prefix_len << 40 |
					(__u64)p->routes << 48);
	put_bytes(lease[family].address, a->bytes);
	put_bytes(lease[family].gateway, p->gateway);
	if (p->routes)
		put_bytes(lease[family].route, p->route);
}

/* The manager is woken when it asked to be: after so many claims, or at the end. */
inline int pool_spends(__u32 pool)
{
	struct ipamd_pool *p = pool_at(pool);

	return p && (__s64)mem_add((__u64 *)&p->spare, -1ULL) == 1;
}

inline int pool_ran_out(__u32 pool)
{
	struct ipamd_pool *p = pool != IPAMD_NONE ? pool_at(pool) : NULL;

	return p && (__s64)mem_load((__u64 *)&p->spare) > 0 &&
	       (__s64)mem_swap((__u64 *)&p->spare, 0) > 0;
}

inline void conclude(const struct ipamd_digest *id, struct taken *t, __u64 now_ns)
{
	if (!t->at)
		return;
	mirror(t->slot, t->at);
	tell(IPAMD_CLAIM, IPAMD_OK, id, t->slot, t->word, now_ns, pool_spends(slot_pool(t->word)));
}

/* A deadline may have passed and a DEL begun while this program was preempted. */
inline int may_keep(const struct ipamd_digest *id, struct taken *v4, struct taken *v6,
		    __u64 start_ns)
{
	__u64 now_ms = slot_now_ms(bpf_ktime_get_boot_ns());

	if (tomb_of(id) >= start_ns)
		return IPAMD_LATE;
	if ((v4->at && is_closed(slot_pool(v4->word), now_ms)) ||
	    (v6->at && is_closed(slot_pool(v6->word), now_ms)))
		return IPAMD_CLOSED;
	return IPAMD_OK;
}

/*
 * What is CLAIMING becomes HELD, and the entry says so last.  The answer is read
 * first, while nobody can change what is in the slots.
 */
inline int publish(struct ipamd_request *req, const struct ipamd_digest *id, struct ipamd_entry *e,
		   struct taken *v4, struct taken *v6, __u64 now_ns)
{
	struct taken *one = v4->at ? v4 : v6;
	int both = v4->at && v6->at;

	if (v4->at)
		answer(req, IPAMD_V4, v4->slot, slot_held(v4->word));
	if (v6->at)
		answer(req, IPAMD_V6, v6->slot, slot_held(v6->word));
	publish_holder(req, v4, now_ns);
	publish_holder(req, v6, now_ns);
	publish_held(v4);
	publish_held(v6);
	mem_store(&e->second, both ? v6->word : 0);
	mem_store(&e->slots, entry_slots(one->slot, both ? v6->slot : 0, both ? 2 : 1));
	/* Ordering: `first` last, by a swap, which is a barrier. */
	mem_swap(&e->first, one->word);

	if (slot_state(mem_load(one->at)) == IPAMD_MOVED)
		return IPAMD_MOVING; /* the new map has it: ask there */
	conclude(id, v4, now_ns);
	conclude(id, v6, now_ns);
	return IPAMD_OK;
}

/*
 * With an entry of our own: take, look once more whether we may keep it, publish.
 * Until the entry says HELD every release is told BUSY, so that nothing that was
 * published is ever undone.
 */
inline int claim_for(struct ipamd_request *req, const struct ipamd_digest *id,
		     struct ipamd_entry *e, __u64 start_ns)
{
	struct ipamd_digest workload = get_digest(workload);
	__u64 now_ns = bpf_ktime_get_boot_ns(), now_ms = slot_now_ms(now_ns);
	__u64 tag = slot_tag_of(id), pools_ref = 0, fixed = 0;
	struct taken v4 = {}, v6 = {};
	struct ipamd_meta *m = the_meta();
	int r = choose_pools(req, &pools_ref);

	if (!r && resolve(&workload, &fixed) == IPAMD_BUSY)
		r = IPAMD_BUSY;
	if (!r)
		r = take(req, &v4, IPAMD_V4, ref_get(pools_ref, IPAMD_V4), &workload, fixed, tag,
			 now_ms);
	if (!r)
		r = take(req, &v6, IPAMD_V6, ref_get(pools_ref, IPAMD_V6), &workload, fixed, tag,
			 now_ms);
	if (!r && !v4.at && !v6.at)
		r = IPAMD_NO_POOL;
	/* Ordering: the entry before the tombstone, see bury(); seize() is the barrier. */
	if (!r)
		r = may_keep(id, &v4, &v6, start_ns);
	if (r) {
		int family = v4.at ? IPAMD_V6 : IPAMD_V4;

		unseize(&v6);
		unseize(&v4);
		entry_delete(e, id);
		if (r == IPAMD_EXHAUSTED && m && mem_load(&m->moving))
			return IPAMD_MOVING;
		if (r == IPAMD_EXHAUSTED)
			tell(IPAMD_CLAIM, r, id, IPAMD_NONE, 0, now_ns,
			     pool_ran_out(ref_get(pools_ref, family)));
		return r;
	}
	return publish(req, id, e, &v4, &v6, now_ns);
}

/* --- Claim, once more by who holds already ---------------------------------- */

/* Whether the words are still those of the entry. */
inline int is_confirmed(__u64 first, __u64 second, __u64 slots)
{
	__u64 *at = word_at(slots & 0xffff), *at2 = word_at(slots >> 16 & 0xffff);

	if (!at || !at2 || !slot_same(mem_load(at), first))
		return 0;
	return slots >> 32 == 1 || (slots >> 32 == 2 && slot_same(mem_load(at2), second));
}

inline int is_v6(__u64 word)
{
	struct ipamd_pool *p = pool_at(slot_pool(word));

	return p && p->family == 6;
}

/* HELD to CLAIMING, with the next generation.  STALE: somebody released it. */
inline int retake(struct taken *t, __u32 slot, __u64 held, __u64 tag)
{
	__u64 *at = word_at(slot);

	for (int i = 0; at && i < TRIES; i++) {
		__u64 word = mem_load(at);

		if (slot_state(word) == IPAMD_MOVED)
			return IPAMD_MOVING;
		if (!slot_same(word, held))
			return IPAMD_STALE;
		if (!seize(t, at, slot, word, tag))
			return IPAMD_OK; /* else fixed or unfixed meanwhile, or lost */
	}
	return IPAMD_BUSY;
}

/*
 * A younger ADD makes the hold its own, as if it had released and claimed it in
 * one step: new words, so that a DEL or a reclaim that was meant for the older
 * one loses its CAS.  As there, who wins the first word owns the entry.
 */
inline int renew(struct ipamd_request *req, const struct ipamd_digest *id, struct ipamd_entry *e,
		 __u64 first, __u32 slot, __u64 start_ns)
{
	__u64 tag = slot_tag_of(id), slots;
	struct taken one = {}, two = {};
	int r = retake(&one, slot, first, tag);

	if (r)
		return r == IPAMD_STALE ? IPAMD_BUSY : r;
	/* Ordering: only now, behind the CAS, is it certain that these are its own. */
	slots = mem_load(&e->slots);
	mem_swap(&e->first, entry_pending(tag));
	if (slots >> 32 == 2)
		r = retake(&two, slots >> 16 & 0xffff, mem_load(&e->second), tag);
	if (!r && tomb_of(id) >= start_ns)
		r = IPAMD_LATE;
	if (r) {
		/* The entry first: with its words back, it may be somebody else's at once. */
		mem_swap(&e->first, first);
		unseize(&two);
		unseize(&one);
		return r == IPAMD_STALE ? IPAMD_BROKEN : r;
	}
	put(again, 1);
	if (is_v6(first))
		return publish(req, id, e, &two, &one, bpf_ktime_get_boot_ns());
	return publish(req, id, e, &one, &two, bpf_ktime_get_boot_ns());
}

/* Believed when the words say the same as the entry. */
inline int answer_again(struct ipamd_request *req, const struct ipamd_digest *id,
			struct ipamd_entry *e, __u64 start_ns)
{
	__u64 slots, first = entry_read(e, &slots);
	__u64 second = mem_load(&e->second);
	__u64 *at = word_at(slots & 0xffff);
	struct ipamd_holder *h = holder_at(slots & 0xffff);
	__u64 held_since;

	if (slot_state(first) != IPAMD_HELD || slot_tag(first) != slot_tag_of(id) || !at || !h)
		return IPAMD_BUSY;
	if (slot_state(mem_load(at)) == IPAMD_MOVED)
		return IPAMD_MOVING;
	held_since = mem_load(&h->who.start_ns);
	if (!is_confirmed(first, second, slots))
		return IPAMD_BUSY;
	if (held_since < start_ns)
		return renew(req, id, e, first, slots & 0xffff, start_ns);
	if (is_v6(first))
		answer(req, IPAMD_V6, slots & 0xffff, first);
	else
		answer(req, IPAMD_V4, slots & 0xffff, first);
	if (slots >> 32 == 2)
		answer(req, IPAMD_V6, slots >> 16 & 0xffff, second);
	if (!is_confirmed(first, second, slots))
		return IPAMD_BUSY;
	put(again, 1);
	return IPAMD_OK;
}

inline int do_claim(struct ipamd_request *req)
{
	struct ipamd_digest id = get_digest(who.id);
	__u64 start_ns = get(who.start_ns);
	struct ipamd_entry *e = NULL;
	int r;

	if (is_foreign(req) || !digest_is_set(&id) || !start_ns)
		return IPAMD_FOREIGN;
	/* A request that is tried again brings the answers of the last try. */
	put(next_ready_ms, 0);
	put(again, 0);
	put(lease[IPAMD_V4].word, 0);
	put(lease[IPAMD_V6].word, 0);
	if (tomb_of(&id) >= start_ns)
		return IPAMD_LATE;
	r = entry_insert(&id, &e);
	if (!e)
		return r ? r : IPAMD_BROKEN;
	if (r == EEXIST)
		return answer_again(req, &id, e, start_ns);
	return claim_for(req, &id, e, start_ns);
}

SEC("syscall")
int claim(struct ipamd_request *req)
{
	return count(IPAMD_CLAIM, do_claim(req));
}

/* --- Release ------------------------------------------------------------------ */

inline int do_release(struct ipamd_request *req)
{
	struct ipamd_digest id = get_digest(who.id);
	__u64 start_ns = get(who.start_ns), first, slots;
	struct ipamd_meta *m = the_meta();
	struct ipamd_holder *h;
	struct ipamd_entry *e;
	int r;

	if (is_foreign(req) || !digest_is_set(&id) || !start_ns || !m)
		return IPAMD_FOREIGN;
	r = bury(&id, start_ns);
	if (r)
		return r;
	if (mem_load(&m->moving))
		return IPAMD_MOVING;
	e = bpf_map_lookup_elem(&by_holder, &id);
	if (!e)
		return IPAMD_NOTHING;
	first = entry_read(e, &slots);
	if (first == entry_spent(slot_tag_of(&id)))
		return IPAMD_NOTHING;
	if (slot_state(first) != IPAMD_HELD || slot_tag(first) != slot_tag_of(&id))
		return IPAMD_BUSY;
	/* Read before the CAS of `first`: if that succeeds, this was its record. */
	h = holder_at(slots & 0xffff);
	if (!h || mem_load(&h->who.id.half[0]) != id.half[0] ||
	    mem_load(&h->who.id.half[1]) != id.half[1])
		return IPAMD_BUSY; /* recycled */
	if (mem_load(&h->who.start_ns) > start_ns)
		return IPAMD_YOUNGER;
	return let_go(IPAMD_RELEASE, &id, e, first, slots & 0xffff, 0);
}

SEC("syscall")
int release(struct ipamd_request *req)
{
	return count(IPAMD_RELEASE, do_release(req));
}

/* --- Step ---------------------------------------------------------------------- */

inline int change_word(__u64 *at, __u64 expected, __u64 word)
{
	return mem_cas(at, expected, word) == expected ? IPAMD_OK : IPAMD_STALE;
}

/* An address gets its name, unless it has one; a spent one (see below) is taken over. */
inline int name_address(const struct ipamd_digest *key, __u32 slot)
{
	__u64 ref = ref_make(key, slot, slot), spent = ref_make(key, IPAMD_NONE, IPAMD_NONE);
	int r = bpf_map_update_elem(&names, key, &ref, BPF_NOEXIST);
	__u64 *old;

	if (r != -EEXIST)
		return r ? IPAMD_FULL : IPAMD_OK;
	old = bpf_map_lookup_elem(&names, key);
	return old && mem_cas(old, spent, ref) == spent ? IPAMD_OK : IPAMD_DUPLICATE;
}

/* A hash may refuse to delete: then the name stays and leads nowhere. */
inline void unname(const struct ipamd_digest *key)
{
	__u64 *ref;

	for (int i = 0; i < TRIES; i++)
		if (!bpf_map_delete_elem(&names, key))
			return;
	ref = bpf_map_lookup_elem(&names, key);
	if (ref && ref_is_of(mem_load(ref), key))
		mem_swap(ref, ref_make(key, IPAMD_NONE, IPAMD_NONE));
}

/* EMPTY to something: the address enters the map, and may be in it only once. */
inline int step_fill(struct ipamd_request *req, struct ipamd_address *a, __u64 *at, __u32 slot,
		     __u64 expected, __u64 word)
{
	struct ipamd_digest key = get_digest(change.key), id = get_digest(who.id);
	struct ipamd_entry entry = {
		.first = get(change.entry.first),
		.second = get(change.entry.second),
		.slots = get(change.entry.slots),
	};
	struct ipamd_holder *h = holder_at(slot);
	struct ipamd_slot *s = slot_at(slot);
	int r;

	if (!digest_is_set(&key) || !h || !s)
		return IPAMD_FOREIGN;
	r = name_address(&key, slot);
	if (r)
		return r;
	get_bytes(a->bytes, change.address);
	get_bytes(&a->key, change.key);
	get_bytes(s->address, change.text);
	if (slot_state(word) == IPAMD_HELD) {
		get_bytes(&h->who, who);
		mem_store(&h->claimed_at_ms, 0);
		mem_store(&h->word, word);
	}
	if (entry.first) {
		r = bpf_map_update_elem(&by_holder, &id, &entry, BPF_NOEXIST);
		if (r) {
			unname(&key);
			return r == -EEXIST ? IPAMD_DUPLICATE : IPAMD_FULL;
		}
	}
	/* Only the manager fills, and there is only one: this cannot fail. */
	return change_word(at, expected, word) ? IPAMD_BROKEN : IPAMD_OK;
}

/* The address leaves the map, and with it its name. */
inline int step_empty(struct ipamd_address *a, __u64 *at, __u32 slot, __u64 expected, __u64 word)
{
	struct ipamd_digest key = a->key;
	struct ipamd_slot *s = slot_at(slot);
	int r = change_word(at, expected, word);

	if (r)
		return r;
	if (s)
		__builtin_memset(s->address, 0, sizeof(s->address));
	unname(&key);
	return IPAMD_OK;
}

/* A workload's ref: its slot of this family becomes `to`, if it was `from`. */
inline int name_workload(const struct ipamd_digest *workload, int family, __u32 from, __u32 to)
{
	__u64 ref, none = IPAMD_NONE << 16 | IPAMD_NONE;

	if (resolve(workload, &ref) == IPAMD_BUSY)
		return IPAMD_BUSY;
	if (ref_get(ref, family) != from)
		return IPAMD_DUPLICATE;
	ref = family == IPAMD_V4 ? ref_make(workload, to, ref_get(ref, IPAMD_V6))
				 : ref_make(workload, ref_get(ref, IPAMD_V4), to);
	if ((__u32)ref == (__u32)none) {
		unname(workload);
		return IPAMD_OK;
	}
	return bpf_map_update_elem(&names, workload, &ref, BPF_ANY) ? IPAMD_FULL : IPAMD_OK;
}

/* The workload is in the slot's record before the flag says that it counts. */
inline int step_fix(struct ipamd_request *req, struct ipamd_address *a, __u64 *at, __u32 slot,
		    __u64 expected, __u64 word)
{
	struct ipamd_digest workload = get_digest(workload);
	struct ipamd_pool *p = pool_at(slot_pool(word));
	int r, family = p && p->family == 6 ? IPAMD_V6 : IPAMD_V4;

	if (!digest_is_set(&workload))
		return IPAMD_FOREIGN;
	if (!(word & SLOT_FIXED)) {
		r = digest_equal(&a->workload, &workload) ? change_word(at, expected, word)
							  : IPAMD_STALE;
		return r ? r : name_workload(&workload, family, slot, IPAMD_NONE);
	}
	get_bytes(&a->workload, workload);
	r = name_workload(&workload, family, IPAMD_NONE, slot);
	if (r)
		return r;
	r = change_word(at, expected, word);
	if (r)
		name_workload(&workload, family, slot, IPAMD_NONE);
	return r;
}

/* HELD to FREE on evidence: with the attachment's other address and its entry. */
inline int step_reclaim(__u32 slot, __u64 expected)
{
	struct ipamd_holder *h = holder_at(slot);
	struct ipamd_entry *e;
	struct ipamd_digest id;
	__u64 first, second, slots;

	if (!h)
		return IPAMD_BROKEN;
	id.half[0] = mem_load(&h->who.id.half[0]);
	id.half[1] = mem_load(&h->who.id.half[1]);
	e = bpf_map_lookup_elem(&by_holder, &id);
	if (e) {
		first = entry_read(e, &slots);
		second = mem_load(&e->second);
		if (slot_state(first) == IPAMD_CLAIMING)
			return IPAMD_BUSY;
		if ((slot_same(first, expected) && (slots & 0xffff) == slot) ||
		    (slot_same(second, expected) && (slots >> 16 & 0xffff) == slot))
			return let_go(IPAMD_STEP, &id, e, first, slots & 0xffff, RECLAIM_MS);
	}
	/* No entry of its own: a word that recovery left behind. */
	return free_word(IPAMD_STEP, &id, slot, expected, RECLAIM_MS);
}

inline int do_step(struct ipamd_request *req)
{
	__u64 slot = get(change.slot), expected = get(change.expected), word = get(change.word);
	struct ipamd_meta *m = the_meta();
	struct ipamd_address *a = address_at(slot);
	__u64 *at = word_at(slot);
	int r;

	if (is_foreign(req) || !m || !a || !at || slot >= m->slots)
		return IPAMD_FOREIGN;
	if (!slot_may_step(expected, word))
		return IPAMD_ILLEGAL;
	if (mem_load(at) != expected)
		return IPAMD_STALE;
	if (slot_state(word) == IPAMD_MOVED)
		return change_word(at, expected, word);
	if (slot_state(expected) == IPAMD_EMPTY)
		r = mem_load(&m->moving) ? IPAMD_MOVING
					 : step_fill(req, a, at, slot, expected, word);
	else if (slot_state(word) == IPAMD_EMPTY)
		r = step_empty(a, at, slot, expected, word);
	else if ((expected ^ word) == SLOT_FIXED)
		r = step_fix(req, a, at, slot, expected, word);
	else if (slot_state(expected) == IPAMD_HELD)
		return step_reclaim(slot, expected);
	else
		r = change_word(at, expected, word);
	if (!r)
		mirror(slot, at);
	return r;
}

SEC("syscall")
int step(struct ipamd_request *req)
{
	return count(IPAMD_STEP, do_step(req));
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/edge/move.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "bpf/request.h"
#include "bpf/slot.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"
#include "userspace/base/clock.h"

#define PATIENCE_NS 5000000000ULL /* for a claim that was preempted half way */

static __u64 word_of(const struct pin *pin, __u32 slot)
{
	return mem_load(&pin->words[slot]);
}

/* Records only ever grow: what both know is copied, the rest is zero. */
static int copy_record(struct pin *from, struct pin *to, enum pin_map map, __u32 index)
{
	__u32 size = from->value_size[map] > to->value_size[map] ? from->value_size[map]
								 : to->value_size[map];
	auto_free void *value = calloc(1, size);

	if (!value)
		return -ENOMEM;
	if (bpf_map_lookup_elem(from->map[map], &index, value))
		return last_error();
	if (to->value_size[map] > from->value_size[map])
		memset((char *)value + from->value_size[map], 0,
		       to->value_size[map] - from->value_size[map]);
	return bpf_map_update_elem(to->map[map], &index, value, BPF_ANY) ? last_error() : 0;
}

/* Before `current` names it the new map is nobody's, so its words are written. */
static int write_word(struct pin *to, __u32 slot, __u64 word)
{
	__u32 chunk = slot / IPAMD_CHUNK;
	struct ipamd_chunk c;

	if (bpf_map_lookup_elem(to->map[PIN_WORDS], &chunk, &c))
		return last_error();
	c.word[slot % IPAMD_CHUNK] = word;
	return bpf_map_update_elem(to->map[PIN_WORDS], &chunk, &c, BPF_ANY) ? last_error() : 0;
}

static int set_moved(struct pin *from, __u32 slot, __u64 word)
{
	struct ipamd_request req;

	request_init(&req, IPAMD_STEP);
	req.change.slot = slot;
	req.change.expected = word;
	req.change.word = slot_set_state(word, IPAMD_MOVED);
	return pin_run(from, IPAMD_STEP, &req);
}

static int move_slot(struct pin *from, struct pin *to, __u32 slot)
{
	__u64 limit = clock_boot_ns() + PATIENCE_NS;

	for (;;) {
		__u64 word = word_of(from, slot);
		int r;

		if (slot_state(word) == IPAMD_MOVED)
			return 0; /* done before a crash */
		if (clock_boot_ns() > limit)
			return PIN_STUCK;
		if (slot_state(word) == IPAMD_CLAIMING) {
			sched_yield();
			continue;
		}
		r = copy_record(from, to, PIN_SLOTS, slot);
		if (!r)
			r = copy_record(from, to, PIN_ADDRESSES, slot);
		if (!r)
			r = copy_record(from, to, PIN_HOLDERS, slot);
		if (!r)
			r = write_word(to, slot, word);
		if (!r)
			r = set_moved(from, slot, word);
		if (r != IPAMD_STALE)
			return r > 0 ? PIN_FOREIGN : r;
	}
}

static int empty_hash(struct pin *pin, enum pin_map map)
{
	struct ipamd_digest key;

	while (!bpf_map_get_next_key(pin->map[map], NULL, &key))
		if (bpf_map_delete_elem(pin->map[map], &key) && errno != ENOENT)
			return last_error();
	return errno == ENOENT ? 0 : last_error();
}

/* Bounded, because an LRU hash that changes may lead in circles. */
static int copy_hash(struct pin *from, struct pin *to, enum pin_map map, __u32 most)
{
	struct ipamd_digest key, *last = NULL;
	struct ipamd_tomb value; /* the largest of them */

	for (__u32 i = 0; !bpf_map_get_next_key(from->map[map], last, &key); i++) {
		if (i == most)
			return 0; /* in circles: it has all been copied by then */
		last = &key;
		if (bpf_map_lookup_elem(from->map[map], &key, &value))
			continue; /* evicted meanwhile */
		if (bpf_map_update_elem(to->map[map], &key, &value, BPF_ANY))
			return last_error();
	}
	return errno == ENOENT ? 0 : last_error();
}

/* The entry of a holder, from the words: v4 first, as claim does it. */
static int add_to_entry(struct pin *to, __u32 slot, __u64 word)
{
	struct ipamd_holder holder;
	struct ipamd_entry entry;
	int r = pin_holder(to, slot, word, &holder);

	if (r)
		return r == IPAMD_STALE ? 0 : r; /* an orphan; reconcile sees to it */
	if (bpf_map_lookup_elem(to->map[PIN_BY_HOLDER], &holder.who.id, &entry)) {
		entry = (struct ipamd_entry){.first = word, .slots = slot | 1ULL << 32};
	} else if (to->pools[slot_pool(word)].family == 6) {
		entry.second = word;
		entry.slots = (entry.slots & 0xffff) | slot << 16 | 2ULL << 32;
	} else {
		entry.second = entry.first;
		entry.first = word;
		entry.slots = slot | (entry.slots & 0xffff) << 16 | 2ULL << 32;
	}
	return bpf_map_update_elem(to->map[PIN_BY_HOLDER], &holder.who.id, &entry, BPF_ANY)
		       ? last_error()
		       : 0;
}

static int rebuild_entries(struct pin *to)
{
	int r = empty_hash(to, PIN_BY_HOLDER);

	for (__u32 slot = 0; slot < to->meta->slots && !r; slot++)
		if (slot_state(word_of(to, slot)) == IPAMD_HELD)
			r = add_to_entry(to, slot, word_of(to, slot));
	return r;
}

static void copy_meta(struct pin *from, struct pin *to)
{
	struct ipamd_meta meta = *from->meta;

	meta.layout = to->meta->layout;
	meta.slots = to->meta->slots;
	meta.moving = 0;
	*to->meta = meta;
	for (int i = 0; i < IPAMD_POOLS; i++)
		to->pools[i] = from->pools[i];
}

static int check_room(struct pin *from, struct pin *to)
{
	for (__u32 slot = to->meta->slots; slot < from->meta->slots; slot++)
		if (slot_state(word_of(from, slot)) != IPAMD_EMPTY)
			return PIN_TOO_SMALL;
	return 0;
}

int move_slots(struct pin *from, struct pin *to)
{
	int r = check_room(from, to);

	if (r)
		return r;
	copy_meta(from, to);
	r = copy_hash(from, to, PIN_NAMES, 2 * IPAMD_SLOTS_MAX + 1024);
	if (r)
		return r;
	/*
	 * Ordering: from here each DEL of the old map is told MOVING, or has left
	 * its tombstone where the copy below finds it; pairs with bury().
	 */
	mem_swap(&from->meta->moving, to->generation);
	for (__u32 slot = 0; slot < from->meta->slots && slot < to->meta->slots && !r; slot++)
		r = move_slot(from, to, slot);
	if (!r)
		r = rebuild_entries(to);
	if (!r)
		r = copy_hash(from, to, PIN_TOMBS, 1U << 20);
	return r;
}

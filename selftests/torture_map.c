// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The maps as they are when nobody runs: for the history checker, by the numbers that
 * the torture gave to attachments, addresses and workloads.
 */
#include "selftests/torture.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>

static __u32 find(const struct ipamd_digest *in, __u32 n, const struct ipamd_digest *what)
{
	for (__u32 i = 0; i < n; i++)
		if (digest_equal(&in[i], what))
			return i;
	return HISTORY_NONE;
}

static __u32 workload_of(const struct torture *t, const struct ipamd_digest *workload)
{
	for (__u32 key = HOT_KEYS; key < HOT_KEYS + 2 * WORKLOADS; key += 2)
		if (digest_equal(&t->key[key].request.workload, workload))
			return t->workload[key];
	return HISTORY_NONE;
}

static int look_at_slot(const struct torture *t, __u32 slot, struct history_place *ret)
{
	struct ipamd_address record;
	struct ipamd_holder holder;
	__u64 ref;

	if (bpf_map_lookup_elem(torture_pin->map[PIN_ADDRESSES], &slot, &record) ||
	    bpf_map_lookup_elem(torture_pin->map[PIN_HOLDERS], &slot, &holder))
		return -1;
	*ret = (struct history_place){
		.word = stock_word(torture_pin, slot),
		.address = HISTORY_NONE,
		.named = HISTORY_NONE,
		.workload = workload_of(t, &record.workload),
		.key = find(t->id, KEYS, &holder.who.id),
		.start_ns = holder.who.start_ns,
		.record = holder.word,
	};
	if (slot_state(ret->word) == IPAMD_EMPTY)
		return 0;
	ret->address = find(t->want, ADDRESSES, &record.key);
	if (!pin_name_get(torture_pin, &record.key, &ref) && ref_is_of(ref, &record.key))
		ret->named = ref_get(ref, torture_pools[slot_pool(ret->word)].family == 6);
	return 0;
}

int torture_look(const struct torture *t, struct history_map *ret)
{
	static struct history_place places[SLOTS];
	static struct history_entry entries[2 * SLOTS];
	struct ipamd_digest key, *last = NULL;
	int by_holder = torture_pin->map[PIN_BY_HOLDER];
	__u32 n = 0;

	for (__u32 slot = 0; slot < SLOTS; slot++)
		if (look_at_slot(t, slot, &places[slot]))
			return -1;
	for (; n < 2 * SLOTS && !bpf_map_get_next_key(by_holder, last, &key); n++) {
		last = &key;
		entries[n].key = find(t->id, KEYS, &key);
		if (bpf_map_lookup_elem(by_holder, &key, &entries[n].entry))
			return -1;
	}
	*ret = (struct history_map){places, entries, n};
	return 0;
}

unsigned int torture_names(void)
{
	struct ipamd_digest key, *last = NULL;
	unsigned int n = 0;

	for (; !bpf_map_get_next_key(torture_pin->map[PIN_NAMES], last, &key); n++)
		last = &key;
	return n;
}

/* Of the manager's making: addresses, and each workload that has any. */
unsigned int torture_names_expected(const struct torture *t)
{
	const struct torture_manager *m = &t->manager;
	unsigned int n = 0;

	for (__u32 a = 0; a < ADDRESSES; a++)
		n += m->slot_of[a] != HISTORY_NONE;
	for (__u32 w = 0; w < WORKLOADS; w++)
		n += m->fixed[w][0] != HISTORY_NONE || m->fixed[w][1] != HISTORY_NONE;
	return n;
}

int torture_stats(struct ipamd_stats *ret)
{
	int cpus = libbpf_num_possible_cpus();
	struct ipamd_stats *each = calloc((size_t)(cpus > 0 ? cpus : 1), sizeof(*each));
	__u32 zero = 0;
	int r = -1;

	memset(ret, 0, sizeof(*ret));
	if (each && cpus > 0)
		r = bpf_map_lookup_elem(torture_pin->map[PIN_STATS], &zero, each);
	for (int c = 0; !r && c < cpus; c++) {
		for (int i = 0; i < IPAMD_VERBS; i++)
			for (int v = 0; v < IPAMD_VERDICTS; v++)
				ret->count[i][v] += each[c].count[i][v];
		ret->events_lost += each[c].events_lost;
	}
	free(each);
	return r;
}

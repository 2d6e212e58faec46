// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Running the programs, and reading what is in the maps. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "bpf/request.h"
#include "bpf/slot.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"
#include "userspace/edge/pin.h"

int pin_run(const struct pin *pin, enum ipamd_verb verb, struct ipamd_request *req)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = req, .ctx_size_in = sizeof(*req));

	if (bpf_prog_test_run_opts(pin->prog[verb], &opts))
		return last_error();
	req->verdict = (__s32)opts.retval;
	return req->verdict;
}

/* The head of a record: a newer layout may have appended to it. */
static int read_record(const struct pin *pin, enum pin_map map, __u32 slot, void *ret, size_t size)
{
	auto_free void *value = malloc(pin->value_size[map]);

	if (!value)
		return -ENOMEM;
	if (bpf_map_lookup_elem(pin->map[map], &slot, value))
		return last_error();
	memcpy(ret, value, size);
	return 0;
}

int pin_holder(const struct pin *pin, __u32 slot, __u64 word, struct ipamd_holder *ret)
{
	struct ipamd_holder holder;
	int r = read_record(pin, PIN_HOLDERS, slot, &holder, sizeof(holder));

	if (r)
		return r;
	/* Ordering: the word after the copy; the system call is barrier enough. */
	if (!slot_same(holder.word, word) || mem_load(&pin->words[slot]) != word)
		return IPAMD_STALE;
	request_end_texts(&holder.who);
	*ret = holder;
	return 0;
}

int pin_last_holder(const struct pin *pin, __u32 slot, __u64 word, struct ipamd_holder *ret)
{
	struct ipamd_holder holder;
	int r = read_record(pin, PIN_HOLDERS, slot, &holder, sizeof(holder));

	if (r)
		return r;
	/* Ordering: as above. */
	if (slot_state(holder.word) != IPAMD_HELD || slot_gen(holder.word) != slot_gen(word) ||
	    slot_pool(holder.word) != slot_pool(word) || mem_load(&pin->words[slot]) != word)
		return IPAMD_STALE;
	request_end_texts(&holder.who);
	*ret = holder;
	return 0;
}

int pin_address(const struct pin *pin, __u32 slot, struct ipamd_address *ret)
{
	return read_record(pin, PIN_ADDRESSES, slot, ret, sizeof(*ret));
}

int pin_entry_add(const struct pin *pin, const struct ipamd_digest *id,
		  const struct ipamd_entry *entry)
{
	if (!bpf_map_update_elem(pin->map[PIN_BY_HOLDER], id, entry, BPF_NOEXIST))
		return 0;
	return errno == EEXIST ? IPAMD_DUPLICATE : errno == E2BIG ? IPAMD_FULL : last_error();
}

int pin_entry_delete(const struct pin *pin, const struct ipamd_digest *id)
{
	return bpf_map_delete_elem(pin->map[PIN_BY_HOLDER], id) && errno != ENOENT ? last_error()
										   : 0;
}

int pin_entry_get(const struct pin *pin, const struct ipamd_digest *id, struct ipamd_entry *ret)
{
	if (bpf_map_lookup_elem(pin->map[PIN_BY_HOLDER], id, ret))
		return errno == ENOENT ? IPAMD_NOTHING : last_error();
	return 0;
}

int pin_stats(const struct pin *pin, struct ipamd_stats *ret)
{
	size_t cpus = (size_t)libbpf_num_possible_cpus();
	size_t stride = pin->value_size[PIN_STATS];
	auto_free char *each = calloc(cpus, stride);
	struct ipamd_stats sum = {0};
	__u32 zero = 0;

	if (!each)
		return -ENOMEM;
	if (bpf_map_lookup_elem(pin->map[PIN_STATS], &zero, each))
		return last_error();
	for (size_t cpu = 0; cpu < cpus; cpu++) {
		const struct ipamd_stats *one = (const void *)(each + cpu * stride);

		for (int verb = 0; verb < IPAMD_VERBS; verb++)
			for (int v = 0; v < IPAMD_VERDICTS; v++)
				sum.count[verb][v] += one->count[verb][v];
		sum.events_lost += one->events_lost;
	}
	*ret = sum;
	return 0;
}

/* The events are hints to look at the words, and what they say is there to be seen. */
static int ignore(void *ctx, void *event, size_t size)
{
	(void)ctx, (void)event, (void)size;
	return 0;
}

int pin_wake_fd(struct pin *pin, int *ret)
{
	if (!pin->ring)
		pin->ring = ring_buffer__new(pin->map[PIN_EVENTS], ignore, NULL, NULL);
	if (!pin->ring)
		return last_error();
	*ret = ring_buffer__epoll_fd(pin->ring);
	return 0;
}

void pin_wake_read(struct pin *pin)
{
	if (pin->ring)
		ring_buffer__consume(pin->ring);
}

int pin_name_set(const struct pin *pin, const struct ipamd_digest *key, __u64 ref)
{
	return bpf_map_update_elem(pin->map[PIN_NAMES], key, &ref, BPF_ANY) ? last_error() : 0;
}

int pin_name_get(const struct pin *pin, const struct ipamd_digest *key, __u64 *ret)
{
	if (bpf_map_lookup_elem(pin->map[PIN_NAMES], key, ret))
		return errno == ENOENT ? BPFFS_ABSENT : last_error();
	return 0;
}

int pin_name_delete(const struct pin *pin, const struct ipamd_digest *key)
{
	return bpf_map_delete_elem(pin->map[PIN_NAMES], key) && errno != ENOENT ? last_error() : 0;
}

int pin_name_sweep(const struct pin *pin,
		   bool (*keep)(void *ctx, const struct ipamd_digest *key, __u64 ref), void *ctx)
{
	struct ipamd_digest key, next, *last = NULL;
	__u64 ref;
	int r = bpf_map_get_next_key(pin->map[PIN_NAMES], NULL, &key);

	while (!r) {
		/* The next one first: a deleted key leads back to the beginning. */
		last = &key;
		r = bpf_map_get_next_key(pin->map[PIN_NAMES], last, &next);
		if (r && errno != ENOENT)
			return last_error();
		if (!bpf_map_lookup_elem(pin->map[PIN_NAMES], &key, &ref) &&
		    !keep(ctx, &key, ref) && pin_name_delete(pin, &key))
			return last_error();
		key = next;
	}
	return 0;
}

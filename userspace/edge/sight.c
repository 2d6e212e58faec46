// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * netns_look(): what is seen is kept until everything was read, because a part of
 * it proves nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/edge/netns.h"
#include "userspace/edge/nsfs.h"

#define TRIES         16 /* of a dump in which something changed meanwhile */
#define ASKED         16384
#define ASKED_AT_ONCE 2048

struct ids {
	__s32 *id;
	size_t count, room;
};

struct look {
	struct netns *netns;
	struct ids seen; /* what a path leads to */
	struct ids ids;  /* what has an id */
	struct netns_sight *sight;
	size_t count, room;
};

static int more(void **array, size_t count, size_t *room, size_t size)
{
	size_t wanted = *room ? 2 * *room : 256;
	void *grown;

	if (count < *room)
		return 0;
	grown = reallocarray(*array, wanted, size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = wanted;
	return 0;
}

static int take_id(void *ctx, __s32 nsid)
{
	struct ids *ids = ctx;
	int r = more((void **)&ids->id, ids->count, &ids->room, sizeof(*ids->id));

	if (!r)
		ids->id[ids->count++] = nsid;
	return r;
}

static int compare(const void *a, const void *b)
{
	const __s32 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Where the kernel chooses, it takes the lowest free id: no id of its own is above. */
static int ask_all(struct netns *n, struct ids *ids)
{
	__s32 nsid[ASKED_AT_ONCE];
	int ret[ASKED_AT_ONCE], r = 0;

	for (__s32 first = 0; !r && first < ASKED; first += ASKED_AT_ONCE) {
		for (int i = 0; i < ASKED_AT_ONCE; i++)
			nsid[i] = first + i;
		r = netns_ask_many(n, nsid, ASKED_AT_ONCE, ret);
		for (int i = 0; !r && i < ASKED_AT_ONCE; i++)
			if (ret[i] != NETNS_GONE)
				r = ret[i] ? ret[i] : take_id(ids, nsid[i]);
	}
	return r;
}

static void sort(struct ids *ids)
{
	if (ids->count)
		qsort(ids->id, ids->count, sizeof(*ids->id), compare);
}

/* In order; some twice, maybe. */
static int list_ids(struct netns *n, struct ids *ids)
{
	bool whole;
	int r = netns_each_id(n, take_id, ids, &whole);

	if (!r && !whole)
		r = ask_all(n, ids);
	sort(ids);
	return r;
}

static int take_sight(void *ctx, const struct netns_sight *sight)
{
	struct look *l = ctx;
	int r = more((void **)&l->sight, l->count, &l->room, sizeof(*l->sight));

	if (!r)
		l->sight[l->count++] = *sight;
	return r;
}

static int look_into(struct look *l, __s32 nsid)
{
	size_t before = l->count;
	int r = NETNS_TORN;

	for (int i = 0; i < TRIES && r == NETNS_TORN; i++) {
		l->count = before;
		r = netns_each_address(l->netns, nsid, take_sight, l);
	}
	if (r == NETNS_GONE) {
		l->count = before;
		return 0;
	}
	return r == NETNS_TORN ? -EAGAIN : r;
}

/* While it is open its id is its own. */
static int look_at(void *ctx, int fd)
{
	struct look *l = ctx;
	__s32 nsid;
	int r = netns_id_of(l->netns, fd, &nsid);

	if (!r)
		r = take_id(&l->seen, nsid);
	return r ? r : look_into(l, nsid);
}

static bool is_in(const struct ids *ids, __s32 nsid)
{
	return ids->count && bsearch(&nsid, ids->id, ids->count, sizeof(nsid), compare);
}

/*
 * Ordering: paths first.  The other way round, one that gets its first id meanwhile
 * may get that of a dead one, and be passed over as looked into.
 */
static int look(struct look *l)
{
	int r = look_into(l, -1);

	if (!r)
		r = nsfs_each(look_at, l);
	sort(&l->seen);
	if (!r)
		r = list_ids(l->netns, &l->ids);
	for (size_t i = 0; !r && i < l->ids.count; i++)
		if ((!i || l->ids.id[i] != l->ids.id[i - 1]) && !is_in(&l->seen, l->ids.id[i]))
			r = look_into(l, l->ids.id[i]);
	return r;
}

int netns_look(struct netns *n, int (*see)(void *ctx, const struct netns_sight *sight), void *ctx)
{
	struct look l = {.netns = n};
	int r = look(&l);

	for (size_t i = 0; !r && i < l.count; i++)
		r = see(ctx, &l.sight[i]);
	free(l.seen.id);
	free(l.ids.id);
	free(l.sight);
	return r;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the witnesses saw at the last whole look: every address in any network
 * namespace of the node, and every address in the runtime's result cache.  They
 * may only add reasons to keep.  A look that failed half way is no look.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/edge/cache.h"
#include "userspace/ipamd.h"

enum { SIGHTS_MAX = 1 << 18 };

struct look {
	struct netns_sight *sight;
	unsigned int sights, sight_room;
	struct cache_hold *hold;
	unsigned int holds, hold_room;
};

static struct look last; /* whole, or empty */
static bool is_whole;
static bool is_complete; /* and the cache was there, and could be read to its end */

/* Room for one more; -E2BIG: a node with that many addresses is not one we know. */
static int grow(void **at, unsigned int count, unsigned int *room, size_t size)
{
	unsigned int more = *room ? 2 * *room : 64;
	void *p;

	if (count < *room)
		return 0;
	if (more > SIGHTS_MAX)
		return -E2BIG;
	p = realloc(*at, more * size);
	if (!p)
		return -ENOMEM;
	*at = p;
	*room = more;
	return 0;
}

static int see(void *ctx, const struct netns_sight *sight)
{
	struct look *l = ctx;
	int r = grow((void **)&l->sight, l->sights, &l->sight_room, sizeof(*sight));

	if (!r)
		l->sight[l->sights++] = *sight;
	return r;
}

static int take_hold(void *ctx, const struct cache_hold *hold)
{
	struct look *l = ctx;
	int r = grow((void **)&l->hold, l->holds, &l->hold_room, sizeof(*hold));

	if (!r)
		l->hold[l->holds++] = *hold;
	return r;
}

static int sight_order(const void *a, const void *b)
{
	const struct netns_sight *x = a, *y = b;

	return addr_compare(&x->address, &y->address);
}

static int hold_order(const void *a, const void *b)
{
	const struct cache_hold *x = a, *y = b;

	return addr_compare(&x->address, &y->address);
}

static void clear(struct look *l)
{
	free(l->sight);
	free(l->hold);
	*l = (struct look){0};
}

int witness_look(struct manager *m)
{
	struct look now = {0};
	unsigned int unreadable = 0;
	int r = netns_look(m->netns, see, &now);

	if (!r)
		r = cache_each(CACHE_DIR, take_hold, &now, &unreadable);
	/*
	 * Without libcni's cache nobody speaks for pods whose address is in no namespace
	 * (a virtual machine's), and a result that cannot be read may be that of any
	 * address: then what was not seen is no evidence.
	 */
	is_complete = !r && !unreadable;
	if (r == CACHE_ABSENT)
		r = 0;
	is_whole = false;
	clear(&last);
	if (r) {
		clear(&now);
		return r;
	}
	if (now.sights)
		qsort(now.sight, now.sights, sizeof(*now.sight), sight_order);
	if (now.holds)
		qsort(now.hold, now.holds, sizeof(*now.hold), hold_order);
	last = now;
	is_whole = true;
	return 0;
}

const struct netns_sight *witness_sight(const struct addr *a)
{
	struct netns_sight key = {.address = *a};

	return last.sights ? bsearch(&key, last.sight, last.sights, sizeof(key), sight_order)
			   : NULL;
}

const struct cache_hold *witness_cached(const struct addr *a)
{
	struct cache_hold key = {.address = *a};

	return last.holds ? bsearch(&key, last.hold, last.holds, sizeof(key), hold_order) : NULL;
}

enum recover_witness witness_of(const struct addr *a, bool with_cache)
{
	if (!is_whole)
		return WITNESS_UNREAD;
	return witness_sight(a) || (with_cache && witness_cached(a)) ? WITNESS_SEES_IT
								     : WITNESS_SEES_NOTHING;
}

bool witness_is_complete(unsigned int *ret_found)
{
	*ret_found = last.sights + last.holds;
	return is_whole && is_complete;
}

int witness_each(bool with_cache, int (*take)(void *ctx, const struct addr *address), void *ctx)
{
	int r = 0;

	for (unsigned int i = 0; i < last.sights && !r; i++)
		r = take(ctx, &last.sight[i].address);
	for (unsigned int i = 0; with_cache && i < last.holds && !r; i++)
		r = take(ctx, &last.hold[i].address);
	return r;
}

void witness_close(void)
{
	clear(&last);
}

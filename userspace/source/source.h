/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the addresses of a pool come from, and the authority on which are ours.
 * One file a kind; what they have in common is this table.
 */
#ifndef IPAMD_SOURCE_SOURCE_H
#define IPAMD_SOURCE_SOURCE_H

#include "userspace/core/config.h"
#include "userspace/core/recover.h"

struct source;

struct source_kind {
	const char *name;

	/* Whether an address of this pool and family is ours, as far as the source was read. */
	enum recover_source (*owns)(const struct source *s, const struct addr *address);

	/*
	 * Up to `wanted` addresses that are not known yet; how many there are in *ret_count.
	 * 0, or -errno and then none was taken.
	 */
	int (*take)(struct source *s, unsigned int wanted,
		    bool (*is_known)(void *ctx, const struct addr *address), void *ctx,
		    struct addr *ret, unsigned int *ret_count);

	/* Gives one back, which has left slot and stock; may be called twice for the same. */
	int (*give)(struct source *s, const struct addr *address);

	/* How many addresses it could hand out in all. */
	uint64_t (*size)(const struct source *s);
};

struct source {
	const struct source_kind *kind;
	struct config_pool pool;
	enum ipamd_family family;
	uint64_t next; /* range: where the search goes on */
};

/* The addresses that the configuration names. */
extern const struct source_kind source_range;

#endif

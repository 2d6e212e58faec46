// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The source of a pool with a range in its configuration: nobody has to be asked.
 * It goes round the range, so that an address that was given back is the last to
 * come again.
 */
#include "userspace/source/source.h"

static enum recover_source owns(const struct source *s, const struct addr *address)
{
	return config_owns(&s->pool, s->family, address) ? SOURCE_OURS : SOURCE_NOT_OURS;
}

static int take(struct source *s, unsigned int wanted,
		bool (*is_known)(void *ctx, const struct addr *address), void *ctx,
		struct addr *ret, unsigned int *ret_count)
{
	uint64_t all = config_count(&s->pool, s->family);
	unsigned int n = 0;

	/* Only known ones are passed over, so this ends with the stock, not with the range. */
	for (uint64_t tried = 0; tried < all && n < wanted; tried++) {
		struct addr a;

		if (!config_address(&s->pool, s->family, s->next % all, &a))
			break;
		s->next = (s->next + 1) % all;
		if (!is_known(ctx, &a))
			ret[n++] = a;
	}
	*ret_count = n;
	return 0;
}

static int give(struct source *s, const struct addr *address)
{
	(void)s, (void)address;
	return 0;
}

static uint64_t size(const struct source *s)
{
	return config_count(&s->pool, s->family);
}

const struct source_kind source_range = {
	.name = "range",
	.owns = owns,
	.take = take,
	.give = give,
	.size = size,
};

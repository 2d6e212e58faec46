// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Any bytes as a file of libcni's result cache (libFuzzer).  Links cache.c and addr.c. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/edge/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *ctx, const struct cache_hold *hold)
{
	(void)ctx;
	if ((hold->address.family != 4 && hold->address.family != 6) ||
	    strnlen(hold->network, sizeof(hold->network)) == sizeof(hold->network) ||
	    strnlen(hold->container, sizeof(hold->container)) == sizeof(hold->container) ||
	    strnlen(hold->ifname, sizeof(hold->ifname)) == sizeof(hold->ifname) ||
	    strnlen(hold->pod, sizeof(hold->pod)) == sizeof(hold->pod))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int r = cache_parse((const char *)data, size, take, NULL);

	if (r && r != CACHE_UNREADABLE)
		abort();
	return 0;
}

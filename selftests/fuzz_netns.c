// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any bytes as what netlink answered (libFuzzer).  Links netns_parse.c alone.
 * The first byte says what they are read as.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "userspace/edge/netns_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void dead(void *ctx, __s32 nsid)
{
	(void)ctx;
	(void)nsid;
}

static int take(void *ctx, __s32 nsid)
{
	(void)ctx;
	return nsid == 7 ? -ENOMEM : 0;
}

static int see(void *ctx, const struct netns_sight *sight)
{
	(void)ctx;
	if (sight->address.family != 4 && sight->address.family != 6)
		abort();
	return 0;
}

static void answers(const void *buf, size_t size, bool known)
{
	static const __s32 nsid[4] = {0, 1, 2, 3};
	int ret[4] = {-EINPROGRESS, -EINPROGRESS, -EINPROGRESS, -EINPROGRESS};
	struct netns_question q = {
		.count = 4, .nsid = known ? nsid : NULL, .ret = ret, .found = -1, .left = 4};
	unsigned int left = 0;

	netns_parse_answers(buf, size, &q);
	for (int i = 0; i < 4; i++)
		left += ret[i] == -EINPROGRESS;
	if (left < q.left)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct netns_dump d = {.nsid = size && data[0] & 8 ? 5 : -1};
	void *buf;

	if (!size)
		return 0;
	/* A copy of its very size, aligned as netlink's are. */
	buf = malloc(size - 1);
	if (!buf)
		return 0;
	memcpy(buf, data + 1, size - 1);
	d.family = data[0] & 16 ? AF_INET : AF_INET6;
	switch (data[0] & 3) {
	case 0:
		netns_parse_deaths(buf, size - 1, dead, NULL);
		break;
	case 1:
		answers(buf, size - 1, data[0] & 4);
		break;
	case 2:
		d.take = take;
		netns_parse_dump(buf, size - 1, &d);
		break;
	default:
		d.see = see;
		netns_parse_dump(buf, size - 1, &d);
	}
	free(buf);
	return 0;
}

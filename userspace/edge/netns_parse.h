/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What one buffer from netlink says, whatever is in it: for netns.c, and for the
 * fuzzer.  Messages of other sequence numbers are skipped; 0, or -EBADMSG for what
 * is no message or cut off.
 */
#ifndef IPAMD_EDGE_NETNS_PARSE_H
#define IPAMD_EDGE_NETNS_PARSE_H

#include "userspace/edge/netns.h"

/* Some may have been told before an -EBADMSG. */
int netns_parse_deaths(const void *buf, size_t size, void (*dead)(void *ctx, __s32 nsid),
		       void *ctx);

struct netns_question {
	__u32 first; /* sequence number of the first of them */
	unsigned int count;
	const __s32 *nsid; /* which id each asks for; NULL: for an id, stored in `found` */
	int *ret;          /* -EINPROGRESS: no answer yet */
	__s32 found;
	unsigned int left; /* without an answer */
};

int netns_parse_answers(const void *buf, size_t size, struct netns_question *q);

struct netns_dump {
	__u32 seq;
	bool ended;
	unsigned int parts; /* buffers with something in them */
	size_t size;        /* of the last of these */
	unsigned int items; /* in all of them, taken or not */
	int result;         /* 0, NETNS_TORN, or the first error, the kernel's or a callback's */
	int family;         /* addresses: of this family, and of this namespace */
	__s32 nsid;
	int (*take)(void *ctx, __s32 nsid);
	int (*see)(void *ctx, const struct netns_sight *sight);
	void *ctx;
};

int netns_parse_dump(const void *buf, size_t size, struct netns_dump *d);

#endif

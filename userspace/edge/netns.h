/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which network namespaces live, and which addresses are in them.
 *
 * A namespace has an id (nsid) in the manager's own namespace, for as long as it
 * lives; the kernel says RTM_DELNSID when it tears one down.  Ids that the kernel
 * chose are given again, the lowest first, so an id alone is no identity.
 *
 * What counts as proof.  netns_ask() = NETNS_GONE: whoever had this id before the
 * question is dead.  A death that was read says: somebody with this id died after
 * *ret_since_ms - so whoever had it by then is dead, but for a gap: the kernel gives
 * the id free an instant before it queues the message (in a work item that may sleep
 * in between), and who was given the id in that instant is not the one who died.
 * Ask before anything is concluded from a death.
 *
 * Functions return 0, -errno or an outcome.  Every wait has a limit.
 */
#ifndef IPAMD_EDGE_NETNS_H
#define IPAMD_EDGE_NETNS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "userspace/base/addr.h"

enum netns_outcome {
	NETNS_GONE = 140, /* there was no namespace of this id when it was asked for */
	NETNS_LOST = 141, /* messages were lost: ask for each id that matters */
	NETNS_TORN = 142, /* a dump was not of one moment: what was taken does not count */
};

struct netns;

/* A socket to ask on, and one that is told of deaths, from now on. */
int netns_open(struct netns **ret);
void netns_close(struct netns *n);

/* Readable when a namespace came or went. */
int netns_fd(const struct netns *n);

/*
 * Reads what is queued, without waiting, and calls dead() for each death.  0,
 * NETNS_LOST (the deaths that were not lost were told) or -errno.  *ret_since_ms:
 * boottime when the queue was last seen empty before these messages.
 */
int netns_read(struct netns *n, void (*dead)(void *ctx, __s32 nsid), void *ctx,
	       __u64 *ret_since_ms);

/*
 * Is there a namespace of this id?  0: alive; NETNS_GONE; -errno: nobody knows.
 * -EINVAL for an id below 0, which says nothing about anybody.
 */
int netns_ask(struct netns *n, __s32 nsid);

/*
 * The same for many, with few system calls.  0: each answer is in ret[i]; -errno:
 * it broke off, and ret[i] is that error where there is no answer.
 */
int netns_ask_many(struct netns *n, const __s32 *nsid, unsigned int count, int *ret);

struct netns_sight {
	struct addr address;
	__s32 nsid; /* -1: the manager's own namespace */
};

/*
 * Every address of the namespaces that can be found: the own one, each with an id,
 * and each that a process's /proc/<pid>/ns/net or a mount leads to (it gets an id
 * if it had none).  Loopback, link-local and multicast are left out.
 *
 * All or nothing: see() is called when everything was read, -errno otherwise; what
 * see() returns but 0 ends it and is returned.  A namespace that dies meanwhile is
 * no error; one that is born meanwhile may be missing.  A namespace that only a
 * descriptor, a thread other than its process's first, or a mount hidden below
 * another one keeps is found by its id, if it has one: below 16384, or among the
 * first hundred.
 */
int netns_look(struct netns *n, int (*see)(void *ctx, const struct netns_sight *sight), void *ctx);

/* What a plugin reads as its namespace's identity, of our own. */
int netns_own_cookie(__u64 *ret);

/* --- For sight.c -------------------------------------------------------------------- */

/*
 * The ids that the kernel lists.  *ret_whole: whether that is all of them.  Linux 6.18
 * lists what fits one buffer and calls that the end; one that goes on does so by
 * position, so that a death meanwhile hides the id of somebody who lives.
 */
int netns_each_id(struct netns *n, int (*take)(void *ctx, __s32 nsid), void *ctx, bool *ret_whole);

/* Each address in the namespace of this id, -1: the own one.  NETNS_GONE, NETNS_TORN. */
int netns_each_address(struct netns *n, __s32 nsid,
		       int (*see)(void *ctx, const struct netns_sight *sight), void *ctx);

/* The id of an open namespace, which is given one if it has none. */
int netns_id_of(struct netns *n, int fd, __s32 *ret);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pod's network namespace: by its id the manager is told of its death, and by
 * its cookie it is never taken for another one.
 */
#ifndef IPAMD_CNI_NETNS_H
#define IPAMD_CNI_NETNS_H

#include <stdbool.h>

#include "bpf/abi.h"

struct netns {
	int fd;  /* the pod's */
	int own; /* this process's */
};

enum netns_outcome {
	NETNS_OWN = 220,     /* it is the one of this process */
	NETNS_STRANGE = 221, /* the path leads to something else */
};

/* -errno when it cannot be opened. */
int netns_open(const char *path, bool own_allowed, struct netns *ret);

/*
 * Its cookie, and its id in the namespace whose cookie is `manager`; the id stays -1
 * where this is not that namespace.  A namespace without an id gets one, of the
 * kernel's choice.  -errno only when there is no way back into our own namespace.
 */
int netns_identify(const struct netns *n, __u64 manager, __s32 *ret_id, __u64 *ret_cookie);

#endif

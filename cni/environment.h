/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the runtime says by the environment, checked as libcni's skel does, in its
 * order.  Functions return 0 or the code of a problem that they have stated.
 */
#ifndef IPAMD_CNI_ENVIRONMENT_H
#define IPAMD_CNI_ENVIRONMENT_H

#include <stdbool.h>

enum verb { VERB_NONE, VERB_ADD, VERB_DEL, VERB_CHECK, VERB_GC, VERB_STATUS, VERB_VERSION };

struct environment {
	enum verb verb;                         /* NONE: nobody said; a person runs it by hand */
	const char *container, *netns, *ifname; /* "" where not given */
	bool own_netns_allowed;                 /* CNI_NETNS_OVERRIDE, an extension of skel's */
	/* Of CNI_ARGS; "" where not given. */
	char name_space[64], pod[256], uid[64], ip[128];
};

int environment_read(struct environment *ret);

/* The names that the runtime gave for the attachment. */
int environment_check(const struct environment *e);

/* CNI_ARGS, in any order. */
int environment_read_args(struct environment *e);

#endif

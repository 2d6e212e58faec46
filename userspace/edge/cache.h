/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The results that libcni keeps of each successful ADD until its DEL, one file an
 * attachment: by default /var/lib/cni/results/<network>-<container>-<ifname>.  A
 * witness that may only add reasons to keep an address: an ADD that still runs has
 * no file yet, and libcni neither writes nor removes one with care.
 */
#ifndef IPAMD_EDGE_CACHE_H
#define IPAMD_EDGE_CACHE_H

#include <stddef.h>

#include "bpf/abi.h"
#include "userspace/base/addr.h"

#define CACHE_DIR "/var/lib/cni/results"

enum cache_outcome {
	CACHE_ABSENT = 145,     /* there is no such directory */
	CACHE_UNREADABLE = 146, /* parse: some or all of the file says nothing */
};

/* Text is cut to its field, "" where unknown. */
struct cache_hold {
	struct addr address;
	struct ipamd_digest id; /* of the attachment, uncut; zero: unknown (libcni before 0.8) */
	char network[64];
	char container[72];
	char ifname[16];
	char name_space[64];
	char pod[128];
	char uid[40];
};

/*
 * Calls take() for each address of each result.  *ret_unreadable: files that are
 * empty, cut off, no JSON, of another kind, over 1 MiB or no regular file (links are
 * not followed; directories do not count); what could be read of them was taken.
 * What take() returns but 0 ends it and is returned.
 */
int cache_each(const char *dir, int (*take)(void *ctx, const struct cache_hold *hold), void *ctx,
	       unsigned int *ret_unreadable);

/* --- For tests -------------------------------------------------------------------- */

/* One file's text. */
int cache_parse(const char *text, size_t size,
		int (*take)(void *ctx, const struct cache_hold *hold), void *ctx);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Between history_life.c and history_key.c: the operations of one attachment, in each of
 * the orders that its rules ask for.
 */
#ifndef IPAMD_SELFTESTS_HISTORY_KEY_H
#define IPAMD_SELFTESTS_HISTORY_KEY_H

#include "selftests/history_round.h"

struct key {
	struct round *r;
	__u32 number;
	struct grant *grants;
	__u32 grant_count;

	/* DELs that may have released, by return; from each on the first two to be invoked */
	const struct history_op **dels, **first, **second;
	__u32 del_count;
	/* DELs that did, by invoke; from each on the first return */
	const struct history_op **sure;
	__u64 *sure_ret;
	__u32 sure_count;
	/* ADDs that may have undone what they claimed, by return */
	const struct history_op **undo;
	__u32 undo_count;
	/* DELs whose tombstone is there, by return; the newest start up to each; a tree of them */
	const struct history_op **buried;
	__u64 *buried_start, *tree;
	__u32 buried_count;
	/* ADDs that may have begun a grant, by invoke; the last return up to each */
	const struct history_op **births;
	__u64 *birth_ret;
	__u32 birth_count;
	/* DELs and reclaims that did, by return */
	const struct history_op **ends;
	__u32 end_count;
};

/* `most`: operations of any one attachment. */
void key_open(struct key *k, struct round *r, __u32 most);
void key_close(struct key *k);

/* The attachment of that number, and when each of its grants can have begun and ended. */
void key_load(struct key *k, __u32 number);

int key_by_return(const void *x, const void *y);

/* The first in an array sorted by return, or invoke, that was at `ns` or after it. */
__u32 key_from_return(const struct history_op *const *ops, __u32 n, __u64 ns);
__u32 key_from_invoke(const struct history_op *const *ops, __u32 n, __u64 ns);

#endif

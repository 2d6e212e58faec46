/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pinned programs and maps, by bpf(2).  bpffs is writable for all at its root, so
 * the directory is used only when it is root's, 0700 and no symlink; the process then
 * stands in the generation that `current` names, and opens by bare names.
 *
 * Functions return 0, -errno, a verdict (bpf/abi.h) or an outcome.
 */
#ifndef IPAMD_CNI_PINS_H
#define IPAMD_CNI_PINS_H

#include "bpf/abi.h"

enum pins_outcome {
	PINS_ABSENT = 200,   /* nothing is pinned there */
	PINS_SQUATTED = 201, /* not a directory of root's, 0700, on bpffs */
};

const char *pins_explain(int outcome);

/* The working directory becomes the current generation. */
int pins_enter(const char *path);

/* Whether the program is there and may be run. */
int pins_has(enum ipamd_verb verb);

/*
 * Runs the request's program.  What passes is tried again, 2 s at most: BUSY, and
 * MOVING by looking at `current` anew.
 */
int pins_run(const char *path, struct ipamd_request *req);

/* Once entered: an element, by its index or key, of a value of that size or larger. */
int pins_read(const char *map, const void *key, void *ret, __u32 size);

#endif

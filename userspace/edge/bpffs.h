/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The directory of the pins.  The root of bpffs is writable for all (1777), so
 * whoever comes first may put a directory or a symlink where ours should be:
 * it is used only when it is a directory of root's with mode 0700 on bpffs,
 * and from then on through its descriptor.
 */
#ifndef IPAMD_EDGE_BPFFS_H
#define IPAMD_EDGE_BPFFS_H

#include <stdbool.h>

enum bpffs_outcome {
	BPFFS_NOT_MOUNTED = 100, /* the path is not on bpffs */
	BPFFS_SQUATTED = 101,    /* a symlink, no directory, not root's, or not 0700 */
	BPFFS_ABSENT = 102,      /* and not to be created */
};

/* Opens the directory, and makes it first if `create`. */
int bpffs_open(const char *path, bool create, int *ret);

/* Mounts a bpffs on the directory above the path, unless there is one. */
int bpffs_mount(const char *path);

/* A generation directory "g<number>" inside, checked as above. */
int bpffs_open_generation(int dir, unsigned int number, bool create, int *ret);

/* The generation that `current` names; BPFFS_ABSENT. */
int bpffs_read_current(int dir, unsigned int *ret);

/* The commit: one rename of the symlink. */
int bpffs_write_current(int dir, unsigned int number);

/* Removes every generation but two (0: none). */
int bpffs_sweep(int dir, unsigned int keep, unsigned int keep2);

/* A path that leads into the open directory whatever happens to names above. */
#define BPFFS_PATH_MAX 64
void bpffs_path(int dir, const char *name, char ret[BPFFS_PATH_MAX]);

#endif

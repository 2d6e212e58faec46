/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The files of a database in their directory: the database itself, its rollback
 * journal and its write-ahead log, which belong together and are kept together.
 *
 * Nothing here opens a file that exists: to close it would take away the locks
 * that sqlite holds on it in the same process (fcntl(2)).
 */
#ifndef IPAMD_EDGE_PLACE_H
#define IPAMD_EDGE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#define PLACE_PATH 500 /* sqlite takes 512, with what it appends */

struct place {
	char path[PLACE_PATH]; /* of the database: no symlink on the way to its directory */
	int dir;
};

/*
 * Finds the directory and locks it, so that one at a time opens, makes or moves a
 * database there.  -EWOULDBLOCK: somebody else does just now.
 */
int place_open(const char *path, struct place *ret);
void place_close(struct place *place);

/*
 * Sees to a database file that can be written: makes an empty one, mode 0600, when
 * there is none.  -ELOOP: a symlink; -EISDIR; -EINVAL: another thing that is no
 * file; -EPERM: the file may not be written; -EACCES: the directory may not;
 * -EUCLEAN: there is a log without its database, so a move aside was cut off, or
 * the database was.
 */
int place_make(const struct place *place);

/*
 * Mode 0600 for what is there, no journal that a database with a log leaves behind,
 * and all of it lasting.
 */
int place_tidy(const struct place *place);

/* The bytes in the write-ahead log, 0 when there is none. */
int place_log_size(const struct place *place, uint64_t *ret);

/*
 * Moves all files of the database into a new directory, "<path>.damaged-<n>"; `ret`
 * is the database's new name.  Cut off at any point, by a kill or a power loss,
 * either the old place or the new one has them all, and never has the old place a
 * database without its log.  -EOPNOTSUPP: the file system has no hard links.
 */
int place_move_aside(const struct place *place, char ret[4096]);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The lock that decides who is the manager.  The kernel owns it: it ends with the
 * process, however that ends, and it is the kernel that says who has it.  The line
 * in the file is a remark of the holder's, no proof of anything.
 *
 * A lock of fcntl(2), since those alone tell the holder's pid; hence its trap: it
 * is lost when the process closes *any* descriptor of the file.  So within the
 * process that has the lock, both lock_take and lock_read of the same file refuse
 * to open it.  A child does not inherit it.
 *
 * Functions return 0, -errno or an outcome.
 */
#ifndef IPAMD_BASE_LOCK_H
#define IPAMD_BASE_LOCK_H

#include <sys/types.h>

enum lock_outcome {
	LOCK_HELD = 150, /* by *ret_owner; 0: by somebody in another pid namespace */
};

#define LOCK_TEXT_MAX 64

/*
 * Takes it at once or not at all, and empties the file.  The lock lasts until
 * lock_drop(), or the process ends.  *ret_owner is set on LOCK_HELD only.
 */
int lock_take(int dir, const char *name, int *ret_fd, pid_t *ret_owner);
void lock_drop(int fd);

/* The holder's line; at most LOCK_TEXT_MAX - 1 bytes, without an end of line. */
int lock_write(int fd, const char *text);

/* "" when the holder has not written it yet; -EDEADLK in the holder itself. */
int lock_read(int dir, const char *name, char ret[LOCK_TEXT_MAX]);

#endif

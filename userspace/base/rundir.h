/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The directory of the sockets and the lock (/run/ipamd), and sockets in it.  Who
 * may enter it may ask for addresses, so it is ours alone: a directory of our own
 * user with mode 0700, used through its descriptor from then on.
 *
 * Functions return 0, -errno or an outcome.
 */
#ifndef IPAMD_BASE_RUNDIR_H
#define IPAMD_BASE_RUNDIR_H

enum rundir_outcome {
	/* A symlink, no directory, somebody else's, or others could write into it. */
	RUNDIR_SQUATTED = 151,
};

/* What an outcome means and what to do, one sentence. */
const char *rundir_explain(int outcome);

/*
 * Makes it where it is missing (parents 0755), or checks it.  One that is ours and
 * that others could only read, as systemd's RuntimeDirectory= makes it, is closed
 * to them; what others could write into may hold their files, and is refused.
 */
int rundir_open(const char *path, int *ret_fd);

/*
 * A listening unix socket, SOCK_STREAM or SOCK_SEQPACKET, mode 0600, non-blocking.
 * It takes the place of an older one in one step: a client reaches either.  A name
 * too long for a socket's address is -ENAMETOOLONG.
 */
int rundir_listen(int dir, const char *name, int type, int *ret_fd);

#endif

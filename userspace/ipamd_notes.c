// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Notes: DELs that came while neither program nor manager could serve them.  The
 * plugin leaves the request as a file in RUN/notes; it is checked as a datagram is,
 * carried out with its own start, so that a younger hold stays, and removed when there
 * is nothing left to do.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"
#include "userspace/core/frame.h"
#include "userspace/ipamd.h"

enum { NOTES_A_TURN = 256, DRAFT_S = 60 };

/* -EINVAL: not a note; it would be none the next time either. */
static int read_note(int dir, const char *name, struct ipamd_request *ret)
{
	auto_close int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return errno == ELOOP ? -EINVAL : last_error();
	if (fstat(fd, &st))
		return last_error();
	if (!S_ISREG(st.st_mode) || st.st_uid || st.st_size != sizeof(*ret))
		return -EINVAL;
	n = read(fd, ret, sizeof(*ret));
	if (n < 0)
		return last_error();
	return frame_check(ret, (size_t)n) && ret->verb == IPAMD_RELEASE ? 0 : -EINVAL;
}

static bool is_settled(int r)
{
	return r == -EINVAL || r == IPAMD_OK || r == IPAMD_NOTHING || r == IPAMD_YOUNGER ||
	       r == IPAMD_LATE || r == IPAMD_FOREIGN;
}

/* A plugin that was killed while it wrote; one that writes now is quick. */
static void sweep_draft(int dir, const char *name)
{
	struct stat st;

	if (!fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) && time(NULL) - st.st_mtime > DRAFT_S)
		unlinkat(dir, name, 0);
}

static void settle(struct manager *m, int dir, const char *name)
{
	struct ipamd_request req;
	int r = read_note(dir, name, &req);

	if (!r)
		r = slow_run(m, &req);
	if (r == -EINVAL || r == IPAMD_FOREIGN)
		log_say(LOG_WARNING, "notes/%s: this is no request of a plugin: removed", name);
	else if (!r)
		log_say(LOG_INFO, "released %s %s by the note of its DEL", req.who.container,
			req.who.ifname);
	if (is_settled(r) && unlinkat(dir, name, 0) && errno != ENOENT)
		log_say(LOG_WARNING, "notes/%s: %s", name, strerror(errno));
}

void notes_turn(struct manager *m)
{
	int fd = openat(m->run_dir, "notes", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	unsigned int n = 0;

	if (!d) {
		cleanup_close(&fd);
		return;
	}
	while (n < NOTES_A_TURN && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (e->d_name[0] == '.')
			sweep_draft(dirfd(d), e->d_name);
		else
			settle(m, dirfd(d), e->d_name);
		n++;
	}
	closedir(d);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cni/note.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cni/manager.h"

/* RUN/notes, made where it is missing. */
static int open_notes(const char *run, int *ret)
{
	int dir, fd;

	if (mkdir(run, 0700) && errno != EEXIST)
		return -errno;
	dir = manager_open_run(run);
	if (dir < 0)
		return -EPERM;
	if (mkdirat(dir, NOTE_DIR, 0700) && errno != EEXIST) {
		int r = -errno;

		close(dir);
		return r;
	}
	fd = openat(dir, NOTE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	close(dir);
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

static int write_whole(int dir, const char *name, const struct ipamd_request *req)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, req, sizeof(*req)) != (ssize_t)sizeof(*req))
		r = errno ? -errno : -ENOSPC;
	close(fd);
	return r;
}

/* Not synced: the maps, whose release it is, do not outlive the boot either. */
int note_leave(const char *run, const struct ipamd_request *req)
{
	char name[40], draft[64];
	int dir = -1, r = open_notes(run, &dir);

	if (r)
		return r;
	snprintf(name, sizeof(name), "%016llx%016llx", (unsigned long long)req->who.id.half[0],
		 (unsigned long long)req->who.id.half[1]);
	/* Of this process alone: DELs of one attachment may come at once. */
	snprintf(draft, sizeof(draft), ".%s.%d", name, (int)getpid());
	errno = 0;
	r = write_whole(dir, draft, req);
	if (!r && renameat(dir, draft, dir, name))
		r = -errno;
	if (r)
		unlinkat(dir, draft, 0);
	close(dir);
	return r;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/base/rundir.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"

#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

const char *rundir_explain(int outcome)
{
	if (outcome == RUNDIR_SQUATTED)
		return "it is a symlink, no directory, somebody else's, or was writable by "
		       "others: find out who made it, and remove it";
	return outcome < 0 ? strerror(-outcome) : "unknown outcome";
}

/* --- The directory ------------------------------------------------------------- */

static int make(const char *path, mode_t mode)
{
	mode_t saved = umask(0);
	int r = mkdir(path, mode) && errno != EEXIST ? last_error() : 0;

	umask(saved);
	return r;
}

/* Every directory above the last name. */
static int make_parents(const char *path)
{
	char part[PATH_MAX];
	int r = 0;

	if (strlen(path) >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; path[i] && !r; i++) {
		if (path[i] != '/' || path[i - 1] == '/' || !path[i + strspn(path + i, "/")])
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		r = make(part, 0755);
	}
	return r;
}

static int check(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return last_error();
	if (st.st_uid != geteuid() || (st.st_mode & 0022))
		return RUNDIR_SQUATTED;
	if ((st.st_mode & 07777) != 0700 && fchmod(fd, 0700))
		return last_error();
	return 0;
}

/* A slash at the end would have a symlink followed. */
static int open_last(const char *path, int *ret)
{
	char last[PATH_MAX];
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	memcpy(last, path, n);
	last[n] = '\0';
	*ret = open(last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*ret < 0)
		return errno == ENOTDIR || errno == ELOOP ? RUNDIR_SQUATTED : last_error();
	return 0;
}

int rundir_open(const char *path, int *ret_fd)
{
	auto_close int fd = -1;
	int r = make_parents(path);

	if (!r)
		r = make(path, 0700);
	if (!r)
		r = open_last(path, &fd);
	if (!r)
		r = check(fd);
	if (r)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* --- A socket in it ------------------------------------------------------------ */

/* Its mode is that of its birth: there is no moment in which others may connect. */
static int bind_private(int fd, const struct sockaddr_un *at)
{
	mode_t saved = umask(0177);
	int r = bind(fd, (const struct sockaddr *)at, sizeof(*at)) ? last_error() : 0;

	umask(saved);
	return r;
}

/* It listens before it has its name, so a client is never refused. */
static int replace(int fd, int dir, const char *new, const char *name)
{
	if (listen(fd, BACKLOG) || renameat(dir, new, dir, name)) {
		int r = last_error();

		unlinkat(dir, new, 0);
		return r;
	}
	return 0;
}

int rundir_listen(int dir, const char *name, int type, int *ret_fd)
{
	struct sockaddr_un at = {AF_UNIX, ""};
	auto_close int fd = -1;
	char new[sizeof(at.sun_path)];
	int n, r;

	n = snprintf(new, sizeof(new), "%s.new", name);
	if (n >= (int)sizeof(new))
		return -ENAMETOOLONG;
	/* By way of the descriptor: nothing that happens to names above matters. */
	n = snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/%s", dir, new);
	if (n >= (int)sizeof(at.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || (unlinkat(dir, new, 0) && errno != ENOENT))
		return last_error();
	r = bind_private(fd, &at);
	if (!r)
		r = replace(fd, dir, new, name);
	if (r)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

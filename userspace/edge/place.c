// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/edge/place.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"

#define ASIDE_MOST 10000 /* directories of damaged databases beside one another */

/* In the order in which they leave their place: what is left over is seen by place_make(). */
static const char *const suffixes[] = {"", "-journal", "-wal"};

enum { DATABASE, JOURNAL, LOG, FILES };

static const char *name_of(const struct place *p)
{
	return strrchr(p->path, '/') + 1;
}

static void name_file(const struct place *p, int file, char ret[NAME_MAX + 1])
{
	snprintf(ret, NAME_MAX + 1, "%s%s", name_of(p), suffixes[file]);
}

/* -1: there is none. */
static int size_of(const struct place *p, int file, int64_t *ret)
{
	char name[NAME_MAX + 1];
	struct stat st;

	name_file(p, file, name);
	if (fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno != ENOENT)
			return last_error();
		*ret = -1;
		return 0;
	}
	*ret = st.st_size;
	return 0;
}

/* --- Opening ------------------------------------------------------------------------- */

static int find(const char *path, char real[PATH_MAX], char ret[PLACE_PATH])
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char parent[PATH_MAX] = ".";

	if (strlen(path) >= sizeof(parent) || strlen(name) > NAME_MAX - strlen(suffixes[JOURNAL]))
		return -ENAMETOOLONG;
	if (!*name)
		return -EISDIR;
	if (slash)
		snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path),
			 path);
	if (!realpath(parent, real))
		return last_error();
	if (snprintf(ret, PLACE_PATH, "%s/%s", strcmp(real, "/") ? real : "", name) >= PLACE_PATH)
		return -ENAMETOOLONG;
	return 0;
}

int place_open(const char *path, struct place *ret)
{
	char real[PATH_MAX];
	auto_close int dir = -1;
	struct place p;
	int r = find(path, real, p.path);

	if (r)
		return r;
	dir = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB))
		return last_error();
	p.dir = take_fd(&dir);
	*ret = p;
	return 0;
}

void place_close(struct place *p)
{
	close(p->dir);
}

static int make_empty(const struct place *p)
{
	auto_close int fd = openat(p->dir, name_of(p),
				   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return last_error();
	return fchmod(fd, 0600) ? last_error() : 0; /* whatever the umask left */
}

/* What stands there now is a file that can be written. */
static int check_file(const struct place *p)
{
	struct stat st;

	if (fstatat(p->dir, name_of(p), &st, AT_SYMLINK_NOFOLLOW))
		return last_error();
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (!faccessat(p->dir, name_of(p), R_OK | W_OK, AT_EACCESS))
		return 0;
	return errno == EACCES ? -EPERM : last_error();
}

int place_make(const struct place *p)
{
	int64_t size[FILES];

	for (int i = 0; i < FILES; i++) {
		int r = size_of(p, i, &size[i]);

		if (r)
			return r;
	}
	if (size[DATABASE] >= 0) {
		int r = check_file(p);

		if (r)
			return r;
	}
	/* sqlite would delete them; an empty database beside a journal is one in the making */
	if ((size[DATABASE] <= 0 && size[LOG] > 0) || (size[DATABASE] < 0 && size[JOURNAL] > 0))
		return -EUCLEAN;
	return size[DATABASE] < 0 ? make_empty(p) : 0;
}

int place_tidy(const struct place *p)
{
	char name[NAME_MAX + 1];
	struct stat st;

	name_file(p, JOURNAL, name);
	if (unlinkat(p->dir, name, 0) && errno != ENOENT)
		return last_error();
	for (int i = 0; i < FILES; i++) {
		name_file(p, i, name);
		if (fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW)) {
			if (errno != ENOENT)
				return last_error();
			continue;
		}
		if ((st.st_mode & 07777) != 0600 && fchmodat(p->dir, name, 0600, 0))
			return last_error();
	}
	/* sqlite does this too, and does not look at the answer */
	return fsync(p->dir) ? last_error() : 0;
}

int place_log_size(const struct place *p, uint64_t *ret)
{
	int64_t size = 0;
	int r = size_of(p, LOG, &size);

	if (!r)
		*ret = size > 0 ? (uint64_t)size : 0;
	return r;
}

/* --- Moving aside ----------------------------------------------------------------------- */

/* A directory that nobody had before. */
static int make_aside(const struct place *p, char name[NAME_MAX + 1], int *ret)
{
	int fd;

	for (unsigned int n = 1; n < ASIDE_MOST; n++) {
		if (snprintf(name, NAME_MAX + 1, "%s.damaged-%u", name_of(p), n) > NAME_MAX)
			return -ENAMETOOLONG;
		if (mkdirat(p->dir, name, 0700)) {
			if (errno == EEXIST)
				continue;
			return last_error();
		}
		fd = openat(p->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0) {
			int r = last_error();

			unlinkat(p->dir, name, AT_REMOVEDIR);
			return r;
		}
		*ret = fd;
		return 0;
	}
	return -EEXIST;
}

/* A second name for each file, lasting before the first one goes. */
static int link_all(const struct place *p, int aside)
{
	char name[NAME_MAX + 1];

	for (int i = 0; i < FILES; i++) {
		name_file(p, i, name);
		if (!linkat(p->dir, name, aside, name, 0) || errno == ENOENT)
			continue;
		return errno == EPERM || errno == EMLINK ? -EOPNOTSUPP : last_error();
	}
	return fsync(aside) || fsync(p->dir) ? last_error() : 0;
}

static void unlink_aside(const struct place *p, int aside, const char *directory)
{
	char name[NAME_MAX + 1];

	for (int i = 0; i < FILES; i++) {
		name_file(p, i, name);
		unlinkat(aside, name, 0);
	}
	unlinkat(p->dir, directory, AT_REMOVEDIR);
}

/*
 * Ordering: the database first, and that on the disk before the next goes.  A log
 * without its database is seen as what it is; a database without its log would
 * pass for a whole one, of some time ago.
 */
static int unlink_all(const struct place *p)
{
	char name[NAME_MAX + 1];

	for (int i = 0; i < FILES; i++) {
		name_file(p, i, name);
		if (!unlinkat(p->dir, name, 0)) {
			if (fsync(p->dir))
				return last_error();
		} else if (errno != ENOENT) {
			return last_error();
		}
	}
	return 0;
}

int place_move_aside(const struct place *p, char ret[4096])
{
	char directory[NAME_MAX + 1];
	auto_close int aside = -1;
	int r = make_aside(p, directory, &aside);

	if (r)
		return r;
	r = link_all(p, aside);
	if (r) {
		unlink_aside(p, aside, directory);
		return r;
	}
	r = unlink_all(p);
	if (!r)
		snprintf(ret, 4096, "%.*s%s/%s", (int)(name_of(p) - p->path), p->path, directory,
			 name_of(p));
	return r;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/base/lock.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"

/* What this process has locked, against the trap; a child's own pid differs. */
static struct {
	pid_t pid;
	dev_t device;
	ino_t inode;
} ours;

static bool is_ours(int dir, const char *name)
{
	struct stat st;

	return ours.pid == getpid() && !fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) &&
	       st.st_dev == ours.device && st.st_ino == ours.inode;
}

static int open_file(int dir, const char *name, int flags, int *ret, struct stat *ret_st)
{
	auto_close int fd = openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);

	if (fd < 0 || fstat(fd, ret_st))
		return last_error();
	if (!S_ISREG(ret_st->st_mode))
		return -EINVAL;
	*ret = take_fd(&fd);
	return 0;
}

/* 0, LOCK_HELD, or -EAGAIN when the holder has just gone. */
static int try_lock(int fd, pid_t *ret_owner)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (!fcntl(fd, F_SETLK, &all))
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return last_error();
	if (fcntl(fd, F_GETLK, &all))
		return last_error();
	if (all.l_type == F_UNLCK)
		return -EAGAIN;
	/* -1: an open file description has it, which names no process. */
	*ret_owner = all.l_pid > 0 ? all.l_pid : 0;
	return LOCK_HELD;
}

int lock_take(int dir, const char *name, int *ret_fd, pid_t *ret_owner)
{
	auto_close int fd = -1;
	struct stat st;
	int r;

	if (is_ours(dir, name)) {
		*ret_owner = getpid();
		return LOCK_HELD;
	}
	r = open_file(dir, name, O_RDWR | O_CREAT, &fd, &st);
	if (r)
		return r;
	r = -EAGAIN;
	for (int i = 0; i < 100 && r == -EAGAIN; i++)
		r = try_lock(fd, ret_owner);
	if (r)
		return r;
	if (ftruncate(fd, 0))
		return last_error();
	ours.pid = getpid();
	ours.device = st.st_dev;
	ours.inode = st.st_ino;
	*ret_fd = take_fd(&fd);
	return 0;
}

void lock_drop(int fd)
{
	if (fd < 0)
		return;
	close(fd);
	ours.pid = 0;
}

int lock_write(int fd, const char *text)
{
	char line[LOCK_TEXT_MAX];
	size_t n = strlen(text);

	if (n >= sizeof(line) || strchr(text, '\n'))
		return -EINVAL;
	memcpy(line, text, n);
	line[n++] = '\n';
	/* In this order a reader sees one line or the other, whole. */
	if (pwrite(fd, line, n, 0) != (ssize_t)n || ftruncate(fd, (off_t)n))
		return last_error();
	return 0;
}

int lock_read(int dir, const char *name, char ret[LOCK_TEXT_MAX])
{
	char line[LOCK_TEXT_MAX + 1];
	auto_close int fd = -1;
	struct stat st;
	char *end;
	ssize_t n;
	int r;

	if (is_ours(dir, name))
		return -EDEADLK;
	r = open_file(dir, name, O_RDONLY, &fd, &st);
	if (r)
		return r;
	n = pread(fd, line, LOCK_TEXT_MAX, 0);
	if (n < 0)
		return last_error();
	line[n] = '\0';
	end = strchr(line, '\n');
	if (!end)
		line[0] = '\0';
	else
		*end = '\0';
	memcpy(ret, line, strlen(line) + 1);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/edge/bpffs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bpf/abi.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"

#define NEXT IPAMD_CURRENT "_next"

static int open_checked(int at, const char *path, bool create, int *ret)
{
	auto_close int fd = -1;
	struct statfs fs;
	struct stat st;

	if (create && mkdirat(at, path, 0700) && errno != EEXIST)
		return errno == ENOENT ? BPFFS_NOT_MOUNTED : last_error();
	fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return BPFFS_ABSENT;
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? BPFFS_SQUATTED : last_error();
	if (fstatfs(fd, &fs) || fstat(fd, &st))
		return last_error();
	if (fs.f_type != BPF_FS_MAGIC)
		return BPFFS_NOT_MOUNTED;
	if (st.st_uid != 0 || (st.st_mode & 07777) != 0700)
		return BPFFS_SQUATTED;
	*ret = take_fd(&fd);
	return 0;
}

int bpffs_open(const char *path, bool create, int *ret)
{
	return open_checked(AT_FDCWD, path, create, ret);
}

int bpffs_mount(const char *path)
{
	auto_free char *above = strdup(path);
	char *slash = above ? strrchr(above, '/') : NULL;
	struct statfs fs;

	if (!above)
		return -ENOMEM;
	if (!slash || slash == above)
		return -EINVAL;
	*slash = '\0';
	if (statfs(above, &fs))
		return last_error();
	if (fs.f_type == BPF_FS_MAGIC)
		return 0;
	return mount("bpf", above, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700")
		       ? last_error()
		       : 0;
}

int bpffs_open_generation(int dir, unsigned int number, bool create, int *ret)
{
	char name[16];

	snprintf(name, sizeof(name), "g%u", number);
	return open_checked(dir, name, create, ret);
}

/* 0 when the name is not that of a generation. */
static unsigned int generation_of(const char *name)
{
	char *end;
	unsigned long n;

	if (name[0] != 'g' || name[1] < '1' || name[1] > '9')
		return 0;
	errno = 0;
	n = strtoul(name + 1, &end, 10);
	return *end || errno || n > 1000000000 ? 0 : (unsigned int)n;
}

int bpffs_read_current(int dir, unsigned int *ret)
{
	char name[16];
	unsigned int number;
	ssize_t n = readlinkat(dir, IPAMD_CURRENT, name, sizeof(name) - 1);

	if (n < 0)
		return errno == ENOENT ? BPFFS_ABSENT : last_error();
	name[n] = '\0';
	number = generation_of(name);
	if (!number)
		return BPFFS_SQUATTED;
	*ret = number;
	return 0;
}

int bpffs_write_current(int dir, unsigned int number)
{
	char name[16];

	snprintf(name, sizeof(name), "g%u", number);
	if (unlinkat(dir, NEXT, 0) && errno != ENOENT)
		return last_error();
	if (symlinkat(name, dir, NEXT) || renameat(dir, NEXT, dir, IPAMD_CURRENT))
		return last_error();
	return 0;
}

static int remove_generation(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!d) {
		r = last_error();
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (!r && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
		    unlinkat(dirfd(d), e->d_name, 0) && errno != ENOENT)
			r = last_error();
	closedir(d);
	if (!r && unlinkat(dir, name, AT_REMOVEDIR))
		r = last_error();
	return r;
}

int bpffs_sweep(int dir, unsigned int keep, unsigned int keep2)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!d) {
		r = last_error();
		if (fd >= 0)
			close(fd);
		return r;
	}
	if (unlinkat(dir, NEXT, 0) && errno != ENOENT)
		r = last_error();
	while (!r && (e = readdir(d))) {
		unsigned int n = generation_of(e->d_name);

		if (n && n != keep && n != keep2)
			r = remove_generation(dir, e->d_name);
	}
	closedir(d);
	return r;
}

void bpffs_path(int dir, const char *name, char ret[BPFFS_PATH_MAX])
{
	snprintf(ret, BPFFS_PATH_MAX, "/proc/self/fd/%d/%s", dir, name);
}

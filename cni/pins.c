// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cni/pins.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cni/clock.h"

enum { PATIENCE_MS = 2000, YIELDS = 64 };

const char *pins_explain(int outcome)
{
	switch (outcome) {
	case PINS_ABSENT:
		return "nothing is pinned there: start ipamd, which makes it";
	case PINS_SQUATTED:
		return "it is not a directory of root's with mode 0700 on bpffs: find out who "
		       "made it";
	case -EPERM:
		return "this process may not use bpf(2)";
	default:
		return outcome < 0 ? strerror(-outcome) : "unknown outcome";
	}
}

/* --- The directory ----------------------------------------------------------------------- */

static int open_checked(int at, const char *path, int *ret)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r = 0;
	struct statfs fs;
	struct stat st;

	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return PINS_SQUATTED;
	if (fd < 0)
		return errno == ENOENT ? PINS_ABSENT : -errno;
	if (fstatfs(fd, &fs) || fstat(fd, &st))
		r = -errno;
	else if (fs.f_type != BPF_FS_MAGIC || st.st_uid || (st.st_mode & 07777) != 0700)
		r = PINS_SQUATTED;
	if (r)
		close(fd);
	else
		*ret = fd;
	return r;
}

/* "g" and a number, nothing that leads elsewhere. */
static bool is_generation(const char *name)
{
	return name[0] == 'g' && name[1] >= '1' && name[1] <= '9' &&
	       !name[1 + strspn(name + 1, "0123456789")];
}

static int enter_generation(int dir)
{
	char name[16] = "";
	ssize_t n = readlinkat(dir, IPAMD_CURRENT, name, sizeof(name) - 1);
	int fd = -1, r;

	if (n < 0)
		return errno == ENOENT ? PINS_ABSENT : -errno;
	if (!is_generation(name))
		return PINS_SQUATTED;
	r = open_checked(dir, name, &fd);
	if (r)
		return r;
	r = fchdir(fd) ? -errno : 0;
	close(fd);
	return r;
}

int pins_enter(const char *path)
{
	int dir = -1, r = open_checked(AT_FDCWD, path, &dir);

	if (r)
		return r;
	r = enter_generation(dir);
	close(dir);
	return r;
}

/* --- bpf(2) ------------------------------------------------------------------------------ */

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

static int get(const char *name, __u32 flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.pathname = (__u64)(unsigned long)name;
	attr.file_flags = flags;
	return bpf(BPF_OBJ_GET, &attr);
}

static int open_program(enum ipamd_verb verb)
{
	return get(verb == IPAMD_CLAIM ? IPAMD_PIN_CLAIM : IPAMD_PIN_RELEASE, 0);
}

int pins_has(enum ipamd_verb verb)
{
	int fd = open_program(verb);

	if (fd < 0)
		return fd == -ENOENT ? PINS_ABSENT : fd;
	close(fd);
	return 0;
}

/* The verdict is in the request too: a kernel that gave none must not look like OK. */
static int run(int fd, struct ipamd_request *req)
{
	union bpf_attr attr;
	int r;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (__u32)fd;
	attr.test.ctx_in = (__u64)(unsigned long)req;
	attr.test.ctx_size_in = sizeof(*req);
	r = bpf(BPF_PROG_TEST_RUN, &attr);
	return r ? r : (int)attr.test.retval;
}

/* One visit: until it is not BUSY any more. */
static int visit(const char *path, struct ipamd_request *req, __u64 until_ms)
{
	int fd, r = pins_enter(path);

	if (r)
		return r;
	fd = open_program(req->verb);
	if (fd < 0)
		return fd == -ENOENT ? PINS_ABSENT : fd;
	r = run(fd, req);
	for (int i = 0; (r == IPAMD_BUSY || r == -EINTR) && clock_ms() < until_ms; i++) {
		if (i < YIELDS)
			sched_yield();
		else
			clock_nap_ms(1);
		r = run(fd, req);
	}
	close(fd);
	return r;
}

int pins_run(const char *path, struct ipamd_request *req)
{
	__u64 until_ms = clock_ms() + PATIENCE_MS;
	bool seen = false;
	int r;

	for (;;) {
		r = visit(path, req, until_ms);
		/* A generation that goes between two looks is not there any more, either. */
		if (r != IPAMD_MOVING && !(r == PINS_ABSENT && seen))
			return r;
		seen = true;
		if (clock_ms() >= until_ms)
			return r;
		clock_nap_ms(2);
	}
}

/* --- Maps -------------------------------------------------------------------------------- */

static int look_up(int fd, const void *key, void *value)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (__u32)fd;
	attr.key = (__u64)(unsigned long)key;
	attr.value = (__u64)(unsigned long)value;
	return bpf(BPF_MAP_LOOKUP_ELEM, &attr);
}

static int value_size(int fd, __u32 *ret)
{
	struct bpf_map_info info;
	union bpf_attr attr;
	int r;

	memset(&info, 0, sizeof(info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (__u32)fd;
	attr.info.info = (__u64)(unsigned long)&info;
	attr.info.info_len = sizeof(info);
	r = bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
	if (!r)
		*ret = info.value_size;
	return r;
}

/* A layout of tomorrow appends to a record: what is read is its beginning. */
int pins_read(const char *map, const void *key, void *ret, __u32 size)
{
	static char value[4096];
	__u32 whole = 0;
	int fd = get(map, BPF_F_RDONLY), r;

	if (fd < 0)
		return fd;
	r = value_size(fd, &whole);
	if (!r && (whole < size || whole > sizeof(value)))
		r = -EPROTO;
	if (!r)
		r = look_up(fd, key, value);
	close(fd);
	if (!r)
		memcpy(ret, value, size);
	return r;
}

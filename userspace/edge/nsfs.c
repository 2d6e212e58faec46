// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/edge/nsfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"

struct key {
	dev_t dev;
	ino_t ino;
};

/* Namespaces seen, in order: most processes are in one that is known. */
struct search {
	struct key *key;
	size_t count, room;
	int (*found)(void *ctx, int fd);
	void *ctx;
};

static int compare(const struct key *a, const struct key *b)
{
	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	return a->dev < b->dev ? -1 : a->dev > b->dev;
}

/* Where the key is, or would have to be. */
static size_t place(const struct search *s, const struct key *key)
{
	size_t from = 0, to = s->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (compare(&s->key[middle], key) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static bool is_known(const struct search *s, const struct key *key)
{
	size_t i = place(s, key);

	return i < s->count && !compare(&s->key[i], key);
}

static int add(struct search *s, const struct key *key)
{
	size_t i = place(s, key);

	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct key *more = reallocarray(s->key, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->key = more;
		s->room = room;
	}
	memmove(&s->key[i + 1], &s->key[i], (s->count - i) * sizeof(*key));
	s->key[i] = *key;
	s->count++;
	return 0;
}

/* It was there a moment ago, and now it is not. */
static bool is_gone(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -ESRCH;
}

/* Looks where the path leads to, if nobody did so yet. */
static int visit(struct search *s, int dir, const char *path)
{
	auto_close int fd = -1;
	struct statfs fs;
	struct stat st;
	struct key key;
	int r;

	if (fstatat(dir, path, &st, 0))
		return last_error();
	key = (struct key){st.st_dev, st.st_ino};
	/* A mount may be hidden below another one, of a device say. */
	if (!S_ISREG(st.st_mode) || is_known(s, &key))
		return 0;
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) || fstatfs(fd, &fs))
		return last_error();
	key = (struct key){st.st_dev, st.st_ino};
	if (fs.f_type != NSFS_MAGIC || is_known(s, &key))
		return 0;
	r = add(s, &key);
	return r ? r : s->found(s->ctx, fd);
}

static int visit_processes(struct search *s, DIR *proc)
{
	bool first = false;
	struct dirent *e;

	while (errno = 0, (e = readdir(proc))) {
		char path[sizeof(e->d_name) + 8];
		int r;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		first |= !strcmp(e->d_name, "1");
		snprintf(path, sizeof(path), "%s/ns/net", e->d_name);
		r = visit(s, dirfd(proc), path);
		if (r && !is_gone(r))
			return r;
	}
	if (errno)
		return last_error();
	/* hidepid= hides processes without a word, and then the first one too. */
	return first ? 0 : -EACCES;
}

/* Undoes \040 and its like, in place. */
static void unescape(char *text)
{
	char *to = text;

	for (char *c = text; *c; to++) {
		unsigned int byte;

		if (*c == '\\' && sscanf(c + 1, "%3o", &byte) == 1) {
			*to = (char)byte;
			c += 4;
		} else {
			*to = *c++;
		}
	}
	*to = '\0';
}

/* "id parent major:minor root place options ...": the place, if the root is a net. */
static const char *read_mount(char *line)
{
	char *save = NULL, *word = strtok_r(line, " ", &save);

	for (int i = 0; word && i < 3; i++)
		word = strtok_r(NULL, " ", &save);
	if (!word || strncmp(word, "net:[", 5) != 0)
		return NULL;
	word = strtok_r(NULL, " ", &save);
	if (word)
		unescape(word);
	return word;
}

static int visit_mounts(struct search *s, FILE *mounts)
{
	char auto_free *line = NULL;
	size_t room = 0;

	while (errno = 0, getline(&line, &room, mounts) > 0) {
		const char *path = read_mount(line);
		int r = path ? visit(s, AT_FDCWD, path) : 0;

		if (r && !is_gone(r))
			return r;
	}
	return errno ? last_error() : 0;
}

static int search(struct search *s)
{
	FILE *mounts;
	DIR *proc;
	struct stat own;
	struct key key;
	int r;

	if (stat("/proc/self/ns/net", &own))
		return last_error();
	key = (struct key){own.st_dev, own.st_ino};
	r = add(s, &key);
	proc = r ? NULL : opendir("/proc");
	if (!proc)
		return r ? r : last_error();
	r = visit_processes(s, proc);
	closedir(proc);
	mounts = r ? NULL : fopen("/proc/self/mountinfo", "re");
	if (!mounts)
		return r ? r : last_error();
	r = visit_mounts(s, mounts);
	fclose(mounts);
	return r;
}

int nsfs_each(int (*found)(void *ctx, int fd), void *ctx)
{
	struct search s = {.found = found, .ctx = ctx};
	int r = search(&s);

	free(s.key);
	return r;
}

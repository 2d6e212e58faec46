// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The configuration from its files: FILE, and then FILE.d/<anything>.conf in the
 * order of their names.  Without any, the embedded default.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"
#include "userspace/ipamd.h"

#define DEFAULT_PATH "/etc/ipamd/ipamd.conf"
#define FILE_MAX     (1U << 20)

static int cannot_read(struct conf_error *error, const char *path, int r)
{
	snprintf(error->text, sizeof(error->text), "%.300s: cannot be read: %s", path,
		 strerror(-r));
	return -EINVAL;
}

/* The whole file and a byte more, for conf_read(). */
static int read_whole(const char *path, char **ret, size_t *ret_size)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	auto_free char *text = NULL;
	struct stat st;
	size_t size = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return last_error();
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (st.st_size > FILE_MAX)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (size < (size_t)st.st_size &&
	       (n = read(fd, text + size, (size_t)st.st_size - size)) != 0) {
		if (n < 0 && errno != EINTR)
			return last_error();
		size += n > 0 ? (size_t)n : 0;
	}
	*ret = take_ptr(&text);
	*ret_size = size;
	return 0;
}

/* -ENOENT is the caller's to judge; everything else is in `error`. */
static int read_file(const char *path, struct config *c, struct conf_error *error)
{
	auto_free char *text = NULL;
	size_t size = 0;
	int r = read_whole(path, &text, &size);

	if (r == -ENOENT)
		return r;
	if (r)
		return cannot_read(error, path, r);
	return config_read(c, path, text, size, error);
}

static int is_conf(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return d->d_name[0] != '.' && dot && !strcmp(dot, ".conf");
}

static int read_directory(const char *path, struct config *c, unsigned int *files,
			  struct conf_error *error)
{
	struct dirent **entry = NULL;
	int n = scandir(path, &entry, is_conf, alphasort), r = 0;

	if (n < 0)
		return errno == ENOENT ? 0 : cannot_read(error, path, last_error());
	for (int i = 0; i < n; i++) {
		char name[512];

		if ((size_t)snprintf(name, sizeof(name), "%s/%s", path, entry[i]->d_name) >=
		    sizeof(name))
			r = r ? r : cannot_read(error, path, -ENAMETOOLONG);
		if (!r)
			r = read_file(name, c, error);
		if (r == -ENOENT) /* a link that leads nowhere, or gone since */
			r = cannot_read(error, name, r);
		free(entry[i]);
	}
	free(entry);
	*files += (unsigned int)n;
	return r;
}

int manager_read_config(const char *path, struct config *ret, struct conf_error *error)
{
	const char *main_file = path ? path : DEFAULT_PATH;
	char directory[512], embedded[256];
	struct config c;
	unsigned int files = 1;
	int r;

	config_init(&c);
	r = read_file(main_file, &c, error);
	if (r == -ENOENT && path)
		return cannot_read(error, path, r);
	if (r == -ENOENT)
		files = 0;
	else if (r)
		return r;
	if ((size_t)snprintf(directory, sizeof(directory), "%s.d", main_file) >= sizeof(directory))
		return cannot_read(error, main_file, -ENAMETOOLONG);
	r = read_directory(directory, &c, &files, error);
	if (!r && !files) {
		snprintf(embedded, sizeof(embedded), "%s", config_embedded);
		r = config_read(&c, "(embedded default)", embedded, strlen(embedded), error);
	}
	if (!r)
		r = config_check(&c, error);
	if (!r)
		*ret = c;
	return r;
}

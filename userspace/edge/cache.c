// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/edge/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bpf/digest.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"

#define FILE_MAX (1 << 20)

struct reader {
	struct cache_hold hold;
	int (*take)(void *ctx, const struct cache_hold *hold);
	void *ctx;
	bool damaged;
	int stopped; /* what take() returned */
};

/* --- One result ------------------------------------------------------------------ */

/* "10.0.0.2/24": the address; its prefix is of no interest. */
static bool read_address(const json_t *value, struct addr *ret)
{
	const char *text = json_string_value(value);
	char address[ADDR_TEXT];
	size_t length = text ? strcspn(text, "/") : 0;

	if (!length || length >= sizeof(address))
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	return !addr_parse(address, ret);
}

static void give_address(struct reader *r, const json_t *value)
{
	if (r->stopped)
		return;
	if (read_address(value, &r->hold.address))
		r->stopped = r->take(r->ctx, &r->hold);
	else
		r->damaged = true;
}

/* "ips" since 0.3.0; before, one of each family, which libcni keeps as they came. */
static void give_result(struct reader *r, const json_t *result)
{
	const json_t *ips = json_object_get(result, "ips"), *ip;
	size_t i;

	if (!json_is_object(result) || (ips && !json_is_null(ips) && !json_is_array(ips)))
		r->damaged = true;
	json_array_foreach(ips, i, ip) give_address(r, json_object_get(ip, "address"));
	ip = json_object_get(result, "ip4");
	if (ip && !json_is_null(ip))
		give_address(r, json_object_get(ip, "ip"));
	ip = json_object_get(result, "ip6");
	if (ip && !json_is_null(ip))
		give_address(r, json_object_get(ip, "ip"));
}

/* --- One file -------------------------------------------------------------------- */

static bool read_text(const json_t *file, const char *key, char *ret, size_t size)
{
	const char *text = json_string_value(json_object_get(file, key));

	snprintf(ret, size, "%s", text ? text : "");
	return text && *text;
}

/* [["K8S_POD_NAME", "web-1"], ...], as the runtime told the plugins in CNI_ARGS. */
static void read_pod(const json_t *args, struct cache_hold *hold)
{
	const json_t *pair;
	size_t i;

	json_array_foreach(args, i, pair)
	{
		const char *key = json_string_value(json_array_get(pair, 0));
		const char *value = json_string_value(json_array_get(pair, 1));

		if (!key || !value)
			continue;
		if (!strcmp(key, "K8S_POD_NAMESPACE"))
			snprintf(hold->name_space, sizeof(hold->name_space), "%s", value);
		else if (!strcmp(key, "K8S_POD_NAME"))
			snprintf(hold->pod, sizeof(hold->pod), "%s", value);
		else if (!strcmp(key, "K8S_POD_UID"))
			snprintf(hold->uid, sizeof(hold->uid), "%s", value);
	}
}

static void read_who(struct reader *r, const json_t *file)
{
	struct cache_hold *h = &r->hold;
	bool whole = read_text(file, "networkName", h->network, sizeof(h->network));

	whole &= read_text(file, "containerId", h->container, sizeof(h->container));
	whole &= read_text(file, "ifName", h->ifname, sizeof(h->ifname));
	read_pod(json_object_get(file, "cniArgs"), h);
	if (!whole) {
		r->damaged = true;
		return;
	}
	h->id = digest_attachment(json_string_value(json_object_get(file, "networkName")),
				  json_string_value(json_object_get(file, "containerId")),
				  json_string_value(json_object_get(file, "ifName")));
}

static void give_file(struct reader *r, const json_t *file)
{
	const json_t *kind = json_object_get(file, "kind"), *result;

	if (kind &&
	    strcmp(json_is_string(kind) ? json_string_value(kind) : "", "cniCacheV1") != 0) {
		r->damaged = true;
	} else if (kind) {
		read_who(r, file);
		/* Left out when the plugins gave no result. */
		result = json_object_get(file, "result");
		if (result && !json_is_null(result))
			give_result(r, result);
	} else if (json_object_get(file, "cniVersion") || json_object_get(file, "ips") ||
		   json_object_get(file, "ip4") || json_object_get(file, "ip6")) {
		/* libcni before 0.8 wrote the result and nothing else. */
		give_result(r, file);
	} else {
		r->damaged = true;
	}
}

int cache_parse(const char *text, size_t size,
		int (*take)(void *ctx, const struct cache_hold *hold), void *ctx)
{
	struct reader r = {.take = take, .ctx = ctx};
	json_error_t error;
	/* Go writes integers of 64 bits without a sign, which jansson has not. */
	json_t *file = json_loadb(text, size, JSON_DECODE_INT_AS_REAL, &error);

	if (!file)
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM
									   : CACHE_UNREADABLE;
	give_file(&r, file);
	json_decref(file);
	if (r.stopped)
		return r.stopped;
	return r.damaged ? CACHE_UNREADABLE : 0;
}

/* --- The directory --------------------------------------------------------------- */

/* How much of it was read: FILE_MAX + 1 when there is more than FILE_MAX. */
static int read_whole(int fd, char *buf, size_t *ret)
{
	size_t size = 0;

	while (size <= FILE_MAX) {
		ssize_t got = read(fd, buf + size, FILE_MAX + 1 - size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return last_error();
		if (!got)
			break;
		size += (size_t)got;
	}
	*ret = size;
	return 0;
}

static bool is_ours(int error) /* and not the file's */
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

/* 0: there is nothing of interest under this name; CACHE_UNREADABLE; or open, in *ret. */
static int open_file(int dir, const char *name, int *ret)
{
	auto_close int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int r = fd < 0 ? last_error() : 0;

	if (!r && fstat(fd, &st))
		r = last_error();
	if (r)
		return is_ours(r) || r == -ENOENT ? r : CACHE_UNREADABLE;
	if (S_ISDIR(st.st_mode))
		return -ENOENT;
	if (!S_ISREG(st.st_mode))
		return CACHE_UNREADABLE;
	*ret = take_fd(&fd);
	return 0;
}

static int read_file(int dir, const char *name, char *buf,
		     int (*take)(void *ctx, const struct cache_hold *hold), void *ctx)
{
	auto_close int fd = -1;
	size_t size;
	int r = open_file(dir, name, &fd);

	if (r)
		return r == -ENOENT ? 0 : r;
	r = read_whole(fd, buf, &size);
	if (r || size > FILE_MAX)
		return is_ours(r) ? r : CACHE_UNREADABLE;
	return cache_parse(buf, size, take, ctx);
}

static int read_dir(DIR *d, char *buf, int (*take)(void *ctx, const struct cache_hold *hold),
		    void *ctx, unsigned int *ret_unreadable)
{
	unsigned int unreadable = 0;
	struct dirent *e;

	while (errno = 0, (e = readdir(d))) {
		int r = read_file(dirfd(d), e->d_name, buf, take, ctx);

		if (r == CACHE_UNREADABLE)
			unreadable++;
		else if (r)
			return r;
	}
	if (errno)
		return last_error();
	*ret_unreadable = unreadable;
	return 0;
}

int cache_each(const char *dir, int (*take)(void *ctx, const struct cache_hold *hold), void *ctx,
	       unsigned int *ret_unreadable)
{
	char auto_free *buf = malloc(FILE_MAX + 1);
	DIR *d = buf ? opendir(dir) : NULL;
	int r;

	if (!buf)
		return -ENOMEM;
	if (!d)
		return errno == ENOENT ? CACHE_ABSENT : last_error();
	r = read_dir(d, buf, take, ctx, ret_unreadable);
	closedir(d);
	return r;
}

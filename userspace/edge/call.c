// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/edge/call.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/error.h"

static uint64_t now_ms(void)
{
	return clock_boot_ns() / 1000000;
}

/* 0 when the socket is ready for it. */
static int wait_for(int fd, short events, uint64_t until_ms)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		uint64_t now = now_ms();
		int n;

		if (now >= until_ms)
			return CALL_SILENT;
		n = poll(&p, 1, (int)(until_ms - now));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return last_error();
	}
}

/* A full backlog is EAGAIN, and nothing to poll for: a manager that hangs has one. */
static int open_connection(const char *path, uint64_t until_ms, int *ret)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return last_error();
	if ((size_t)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	while (connect(fd, (struct sockaddr *)&at, sizeof(at))) {
		if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)
			return CALL_ABSENT;
		if (errno != EAGAIN && errno != EINTR)
			return last_error();
		if (now_ms() >= until_ms)
			return CALL_SILENT;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	*ret = take_fd(&fd);
	return 0;
}

static int check_peer(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return last_error();
	return peer.uid == 0 ? 0 : CALL_FOREIGN;
}

static int send_all(int fd, const char *text, size_t size, uint64_t until_ms)
{
	while (size) {
		ssize_t n = send(fd, text, size, MSG_NOSIGNAL);
		int r;

		if (n >= 0) {
			text += n;
			size -= (size_t)n;
			continue;
		}
		if (errno == EPIPE || errno == ECONNRESET)
			return CALL_GARBLED;
		if (errno != EAGAIN && errno != EINTR)
			return last_error();
		r = wait_for(fd, POLLOUT, until_ms);
		if (r)
			return r;
	}
	return 0;
}

/* Until the other side closes; one byte behind it is ours. */
static int read_all(int fd, uint64_t until_ms, char **ret, size_t *ret_size)
{
	auto_free char *text = NULL;
	size_t size = 0, room = 0;

	for (;;) {
		ssize_t n;
		int r;

		if (room - size < 2) {
			char *larger = room < CALL_MAX ? realloc(text, room * 2 + 65536) : NULL;

			if (!larger)
				return room < CALL_MAX ? -ENOMEM : CALL_GARBLED;
			text = larger;
			room = room * 2 + 65536;
		}
		n = recv(fd, text + size, room - size - 1, 0);
		if (n == 0)
			break;
		if (n > 0) {
			size += (size_t)n;
			continue;
		}
		if (errno == ECONNRESET)
			return CALL_GARBLED;
		if (errno != EAGAIN && errno != EINTR)
			return last_error();
		r = wait_for(fd, POLLIN, until_ms);
		if (r)
			return r;
	}
	text[size] = '\0';
	*ret = take_ptr(&text);
	*ret_size = size;
	return 0;
}

/* The number behind a header's name, -1 when it is not there. */
static long long header(const char *head, const char *name)
{
	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
		if (!strncasecmp(line + 2, name, strlen(name)) && line[2 + strlen(name)] == ':')
			return atoll(line + 3 + strlen(name));
	return -1;
}

/* Cuts the body out; one that is shorter than announced was cut off. */
static int parse(char *text, size_t size, struct call_answer *ret)
{
	char *end = strstr(text, "\r\n\r\n");
	size_t body;
	int code = 0;

	if (!end || sscanf(text, "HTTP/1.%*1d %3d", &code) != 1 || code < 100)
		return CALL_GARBLED;
	*end = '\0';
	body = size - (size_t)(end + 4 - text);
	if (header(text, "Content-Length") != (long long)body)
		return CALL_GARBLED;
	ret->code = code;
	ret->size = body;
	ret->body = malloc(body + 1);
	if (!ret->body)
		return -ENOMEM;
	memcpy(ret->body, end + 4, body + 1);
	return 0;
}

int call_run(const char *socket_path, const char *method, const char *path, unsigned int limit_ms,
	     struct call_answer *ret)
{
	uint64_t until_ms = now_ms() + limit_ms;
	auto_close int fd = -1;
	auto_free char *text = NULL;
	char call[CALL_PATH + 128];
	size_t size = 0;
	int n = snprintf(call, sizeof(call),
			 "%s %s HTTP/1.1\r\nHost: ipamd\r\nContent-Length: 0\r\n"
			 "Connection: close\r\n\r\n",
			 method, path);
	int r = open_connection(socket_path, until_ms, &fd);

	if (!r)
		r = check_peer(fd);
	if (!r)
		r = send_all(fd, call, (size_t)n, until_ms);
	if (!r)
		r = read_all(fd, until_ms, &text, &size);
	return r ? r : parse(text, size, ret);
}

bool call_argument(char path[CALL_PATH], const char *key, const char *value)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~/:";
	size_t n = strlen(path);

	n += (size_t)snprintf(path + n, CALL_PATH - n, "%c%s=", strchr(path, '?') ? '&' : '?', key);
	for (; *value; value++) {
		if (n + 4 > CALL_PATH)
			return false;
		if (strchr(plain, *value))
			path[n++] = *value;
		else
			n += (size_t)snprintf(path + n, CALL_PATH - n, "%%%02X",
					      (unsigned char)*value);
		path[n] = '\0';
	}
	return n + 1 < CALL_PATH;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/base/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"

/* "/path" or "@abstract", as systemd writes them. */
static int read_address(const char *name, struct sockaddr_un *ret, socklen_t *ret_size)
{
	size_t n = strlen(name);

	if ((*name != '/' && *name != '@') || n < 2)
		return -EAFNOSUPPORT;
	if (n >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	memcpy(ret->sun_path, name, n);
	if (*name == '@')
		ret->sun_path[0] = '\0';
	/* An abstract name is as long as it is; a path has its NUL. */
	*ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*name == '/'));
	return 0;
}

int notify_send(const char *state)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to;
	socklen_t size;
	auto_close int fd = -1;
	int r;

	if (!name || !*name)
		return 0;
	r = read_address(name, &to, &size);
	if (r)
		return r;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return last_error();
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, size) < 0)
		return last_error();
	return 0;
}

int notify_ready(void)
{
	return notify_send("READY=1");
}

int notify_reloading(void)
{
	struct timespec now;
	char state[80];

	/* Newer systemd pairs the reload with its request by this time. */
	if (clock_gettime(CLOCK_MONOTONIC, &now))
		return last_error();
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	return notify_send(state);
}

int notify_stopping(void)
{
	return notify_send("STOPPING=1");
}

int notify_status(const char *format, ...)
{
	char state[512] = "STATUS=";
	size_t n = strlen(state);
	va_list args;

	va_start(args, format);
	vsnprintf(state + n, sizeof(state) - n, format, args);
	va_end(args);
	/* A line end would begin another key. */
	for (char *p = state; *p; p++)
		if ((unsigned char)*p < 0x20)
			*p = ' ';
	return notify_send(state);
}

/* False: not a number, or none at all. */
static bool read_number(const char *name, uint64_t *ret)
{
	const char *text = getenv(name);
	char *end;

	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !*end && !errno;
}

uint64_t notify_watchdog_ms(void)
{
	uint64_t usec, pid;

	if (!read_number("WATCHDOG_USEC", &usec) || !usec)
		return 0;
	if (getenv("WATCHDOG_PID") &&
	    (!read_number("WATCHDOG_PID", &pid) || pid != (uint64_t)getpid()))
		return 0;
	return usec < 2000 ? 1 : usec / 2000;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any bytes, sent to the server through a real unix socket in one process: each
 * input is a connection that sends it and then says that there is no more.  It must
 * end, and whatever serve() is given must be readable.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "userspace/edge/http.h"
#include "userspace/edge/loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static struct http *http;
static struct sockaddr_un at = {.sun_family = AF_UNIX};
static socklen_t at_size = sizeof(at);

static void serve(void *ctx, struct http_call *call)
{
	const char *path = http_path(call), *a = http_argument(call, "a");
	char body[256];
	int n;

	(void)ctx;
	assert(path && http_peer_pid(call) == (unsigned int)getpid());
	n = snprintf(body, sizeof(body), "%d %.99s %.99s\n", (int)http_method(call), path,
		     a ? a : "-");
	assert(!http_answer(call, 200, "text/plain", body, (size_t)n));
}

/* On a name of the kernel's choice. */
static void start(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	r = bind(fd, (struct sockaddr *)&at, sizeof(sa_family_t));
	assert(!r && !listen(fd, 128) && !getsockname(fd, (struct sockaddr *)&at, &at_size));
	r = loop_open(&loop);
	assert(!r);
	r = http_open(loop, fd, serve, NULL, &http);
	assert(!r);
}

static void hear(void *ctx)
{
	char answer[4096];
	ssize_t n = recv(*(int *)ctx, answer, sizeof(answer), MSG_DONTWAIT);

	if (!n || (n < 0 && errno != EAGAIN))
		loop_stop(loop, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct loop_event *event = NULL;
	int fd, r;

	if (!loop)
		start();
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r = connect(fd, (struct sockaddr *)&at, at_size);
	assert(!r);
	/* What does not fit into the socket's buffer is cut off, as a client may. */
	if (send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		assert(errno == EAGAIN || errno == EMSGSIZE);
	shutdown(fd, SHUT_WR);
	r = loop_on_readable(loop, fd, hear, &fd, &event);
	assert(!r);
	r = loop_run(loop);
	assert(!r);
	loop_remove(event);
	close(fd);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * HTTP/1.1 on a unix socket, over libevent's evhttp: for ipamctl, probes and
 * scrapers, so that curl is a client too.
 *
 * Only root is served.  No client can hold the manager's memory or time: a request
 * has 10 s from its connection, 8 KiB of line and headers and 64 KiB of body (read
 * and ignored: arguments travel in the query); an answer has a minute to be taken;
 * a connection carries one request; of 32 at once the next one waits.
 *
 * Unknown methods and malformed queries are answered here (405, 400); unknown
 * paths are for `serve` to answer.
 *
 * Functions return 0 or -errno.
 */
#ifndef IPAMD_EDGE_HTTP_H
#define IPAMD_EDGE_HTTP_H

#include <stddef.h>

#define HTTP_LIMIT_CONNECTIONS 32
#define HTTP_LIMIT_HEADERS     (8 << 10)
#define HTTP_LIMIT_BODY        (64 << 10)
#define HTTP_LIMIT_IDLE_S      10
#define HTTP_LIMIT_ANSWER_S    60

struct loop;
struct http;
struct http_call; /* valid until answered, which serve() must do before it returns */

enum http_method { HTTP_GET, HTTP_POST };

/*
 * On a socket that listens already; it stays the caller's, and outlives the server.
 * A call that serve() left unanswered is answered 500.
 */
int http_open(struct loop *loop, int listening_fd, void (*serve)(void *ctx, struct http_call *call),
	      void *ctx, struct http **ret);

/* Cuts off what is still being sent.  Not from within serve(). */
void http_close(struct http *http);

enum http_method http_method(const struct http_call *call);

/* Decoded, without the query. */
const char *http_path(const struct http_call *call);

/* Of the query, decoded; the first of that name (case ignored), or NULL. */
const char *http_argument(const struct http_call *call, const char *key);

/* 0: in a pid namespace that we do not see. */
unsigned int http_peer_pid(const struct http_call *call);

/* Once a call; `body` is copied. */
int http_answer(struct http_call *call, int code, const char *type, const void *body, size_t size);

#endif

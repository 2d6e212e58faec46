// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * evhttp (2.1) parses, and has limits for sizes and for silence.  What it lacks is
 * added here: how many connections there are, and how long each may take in all
 * (a byte every nine seconds is not silence).
 *
 * It tells nobody when it drops a connection, so each one's bufferevent is held by
 * a second reference: when its callbacks are gone, evhttp has let go of it, and the
 * descriptor is still open, so its number cannot mean another client yet.
 */
#include "userspace/edge/http.h"

#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "userspace/base/error.h"
#include "userspace/edge/loop_base.h"

struct connection {
	struct bufferevent *stream; /* NULL: not in use */
	struct event *deadline;
};

struct http {
	struct event_base *base;
	struct evhttp *server;
	struct evconnlistener *listener;
	struct event *resume; /* armed while the listener rests */
	void (*serve)(void *ctx, struct http_call *call);
	void *ctx;
	bool serving;
	struct http *next;
	struct connection connections[HTTP_LIMIT_CONNECTIONS];
};

struct http_call {
	struct evhttp_request *request;
	char *path;
	struct evkeyvalq query;
	struct ucred peer;
	bool answered;
};

/* For on_accept_error(): evhttp has put its own argument in the place of ours. */
static struct http *servers;

static const struct timeval idle = {.tv_sec = HTTP_LIMIT_IDLE_S};
static const struct timeval answer = {.tv_sec = HTTP_LIMIT_ANSWER_S};
static const struct timeval soon = {.tv_usec = 100000};

/* --- Connections --------------------------------------------------------------- */

static bool is_over(const struct connection *c)
{
	bufferevent_data_cb read, write;
	bufferevent_event_cb event;
	void *ctx;

	bufferevent_getcb(c->stream, &read, &write, &event, &ctx);
	return !read && !write && !event;
}

static void forget(struct connection *c)
{
	event_del(c->deadline);
	bufferevent_decref(c->stream);
	c->stream = NULL;
}

/* evhttp sees the end of the stream, and drops the connection in the next round. */
static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	(void)fd;
	(void)what;
	if (is_over(c)) {
		forget(c);
		return;
	}
	shutdown(bufferevent_getfd(c->stream), SHUT_RDWR);
	event_add(c->deadline, &soon);
}

/* Later, for evhttp is not done with it. */
static void on_close(struct evhttp_connection *evhttp, void *arg)
{
	const struct connection *c = arg;

	(void)evhttp;
	event_active(c->deadline, EV_TIMEOUT, 0);
}

static struct connection *find(struct http *http, const struct bufferevent *stream)
{
	for (int i = 0; i < HTTP_LIMIT_CONNECTIONS; i++)
		if (http->connections[i].stream == stream)
			return &http->connections[i];
	return NULL;
}

/* One that is not in use, or NULL. */
static struct connection *find_free(struct http *http)
{
	for (int i = 0; i < HTTP_LIMIT_CONNECTIONS; i++)
		if (http->connections[i].stream && is_over(&http->connections[i]))
			forget(&http->connections[i]);
	return find(http, NULL);
}

static void rest(struct http *http)
{
	evconnlistener_disable(http->listener);
	event_add(http->resume, &soon);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct http *http = arg;

	(void)fd;
	(void)what;
	if (!find_free(http) || evconnlistener_enable(http->listener))
		event_add(http->resume, &soon);
}

/* For evhttp, that has just accepted one.  The last free place ends accepting. */
static struct bufferevent *new_stream(struct event_base *base, void *arg)
{
	struct bufferevent *stream = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	struct http *http = arg;
	struct connection *c = find_free(http);

	if (stream && c) {
		c->stream = stream;
		bufferevent_incref(stream);
		event_add(c->deadline, &idle);
	}
	/* Not find_free(): without callbacks yet, this one would seem to be over. */
	if (!find(http, NULL))
		rest(http);
	return stream;
}

/* No descriptors, or no memory: it would be told again at once, for ever. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	(void)arg;
	for (struct http *http = servers; http; http = http->next)
		if (http->listener == listener)
			rest(http);
}

static void unlist(const struct http *http)
{
	for (struct http **p = &servers; *p; p = &(*p)->next)
		if (*p == http) {
			*p = http->next;
			return;
		}
}

/* --- One call ------------------------------------------------------------------ */

int http_answer(struct http_call *call, int code, const char *type, const void *body, size_t size)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(call->request);
	struct evbuffer *buffer = evbuffer_new();

	assert(!call->answered);
	if (!buffer)
		return -ENOMEM;
	if (evbuffer_add(buffer, body, size) || evhttp_add_header(headers, "Content-Type", type) ||
	    evhttp_add_header(headers, "Connection", "close")) {
		evbuffer_free(buffer);
		evhttp_clear_headers(headers);
		return -ENOMEM;
	}
	call->answered = true;
	evhttp_send_reply(call->request, code, NULL, buffer);
	evbuffer_free(buffer);
	return 0;
}

static void refuse(struct http_call *call, int code, const char *json)
{
	http_answer(call, code, "application/json", json, strlen(json));
}

/* Bytes that end a C string have no place in a name. */
static bool has_nul(const char *query)
{
	return strstr(query, "%00") != NULL;
}

/* False: it has no decent form. */
static bool read_uri(struct http_call *call)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(call->request);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	const char *query = uri ? evhttp_uri_get_query(uri) : NULL;
	size_t size;

	if (!path)
		return false;
	call->path = evhttp_uridecode(path, 0, &size);
	if (!call->path || strlen(call->path) != size)
		return false;
	return !query || !*query ||
	       (!has_nul(query) && !evhttp_parse_query_str(query, &call->query));
}

static bool read_peer(struct http_call *call, struct bufferevent *stream)
{
	socklen_t size = sizeof(call->peer);

	return !getsockopt(bufferevent_getfd(stream), SOL_SOCKET, SO_PEERCRED, &call->peer,
			   &size) &&
	       call->peer.uid == 0;
}

static void serve(struct http *http, struct http_call *call)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(call->request);
	struct evkeyvalq *headers = evhttp_request_get_output_headers(call->request);

	if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_POST) {
		evhttp_add_header(headers, "Allow", "GET, POST");
		refuse(call, 405, "{\"error\":\"only GET and POST are known here\"}\n");
	} else if (!read_uri(call)) {
		refuse(call, 400, "{\"error\":\"the path or the query is malformed\"}\n");
	} else {
		http->serving = true;
		http->serve(http->ctx, call);
		http->serving = false;
		if (!call->answered)
			refuse(call, 500, "{\"error\":\"there was no answer\"}\n");
	}
}

static void on_request(struct evhttp_request *request, void *arg)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	struct bufferevent *stream = evhttp_connection_get_bufferevent(connection);
	struct http_call call = {.request = request};
	struct connection *c = find(arg, stream);

	TAILQ_INIT(&call.query);
	if (c) {
		evhttp_connection_set_closecb(connection, on_close, c);
		event_add(c->deadline, &answer);
	}
	if (read_peer(&call, stream))
		serve(arg, &call);
	else
		refuse(&call, 403, "{\"error\":\"only root is served here\"}\n");
	evhttp_clear_headers(&call.query);
	free(call.path);
}

enum http_method http_method(const struct http_call *call)
{
	return evhttp_request_get_command(call->request) == EVHTTP_REQ_POST ? HTTP_POST : HTTP_GET;
}

const char *http_path(const struct http_call *call)
{
	return call->path;
}

const char *http_argument(const struct http_call *call, const char *key)
{
	return evhttp_find_header(&call->query, key);
}

unsigned int http_peer_pid(const struct http_call *call)
{
	return (unsigned int)call->peer.pid;
}

/* --- The server ---------------------------------------------------------------- */

static int make_connections(struct http *http)
{
	for (int i = 0; i < HTTP_LIMIT_CONNECTIONS; i++) {
		struct connection *c = &http->connections[i];

		c->deadline = evtimer_new(http->base, on_deadline, c);
		if (!c->deadline)
			return -ENOMEM;
	}
	return 0;
}

/* evhttp frees the listener; the caller's descriptor stays open. */
static int make_server(struct http *http, int listening_fd)
{
	http->server = evhttp_new(http->base);
	http->resume = evtimer_new(http->base, on_resume, http);
	http->listener =
		evconnlistener_new(http->base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0, listening_fd);
	if (!http->server || !http->resume || !http->listener)
		return -ENOMEM;
	if (!evhttp_bind_listener(http->server, http->listener)) {
		evconnlistener_free(http->listener);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(http->listener, on_accept_error);
	evhttp_set_bevcb(http->server, new_stream, http);
	evhttp_set_gencb(http->server, on_request, http);
	evhttp_set_allowed_methods(http->server, 0xffff); /* 405 is ours to say */
	evhttp_set_max_headers_size(http->server, HTTP_LIMIT_HEADERS);
	evhttp_set_max_body_size(http->server, HTTP_LIMIT_BODY);
	evhttp_set_timeout(http->server, HTTP_LIMIT_IDLE_S);
	/* Both calls before begin to listen without a word of failing; this one tells. */
	if (evconnlistener_enable(http->listener))
		return -ENOMEM;
	return 0;
}

int http_open(struct loop *loop, int listening_fd,
	      void (*serve_call)(void *ctx, struct http_call *call), void *ctx, struct http **ret)
{
	int flags = fcntl(listening_fd, F_GETFL), r;
	struct http *http;

	/* Or accepting would wait for the next client. */
	if (flags < 0 || fcntl(listening_fd, F_SETFL, flags | O_NONBLOCK))
		return last_error();
	http = calloc(1, sizeof(*http));
	if (!http)
		return -ENOMEM;
	http->base = loop_base(loop);
	http->serve = serve_call;
	http->ctx = ctx;
	r = make_connections(http);
	if (!r)
		r = make_server(http, listening_fd);
	if (r) {
		http_close(http);
		return r;
	}
	http->next = servers;
	servers = http;
	*ret = http;
	return 0;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	assert(!http->serving);
	unlist(http);
	if (http->server)
		evhttp_free(http->server);
	for (int i = 0; i < HTTP_LIMIT_CONNECTIONS; i++) {
		struct connection *c = &http->connections[i];

		if (c->stream)
			forget(c);
		if (c->deadline)
			event_free(c->deadline);
	}
	if (http->resume)
		event_free(http->resume);
	free(http);
}

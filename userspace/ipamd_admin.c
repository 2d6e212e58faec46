// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The socket for ipamctl and for the curious: HTTP and JSON on a unix socket.
 *
 *   GET  /v1/status   /v1/slots[?pool=&state=]   /v1/explain?q=
 *        /v1/history?address=   /metrics
 *   POST /v1/drain?pool=[&off=1]      /v1/reclaim?address=[&force=1]
 *        /v1/fix?address=&namespace=&pod=      /v1/unfix?address=
 *        /v1/reload      /v1/leave
 *
 * Every answer is an object; one that is no answer has "error", a sentence.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/edge/portrait.h"
#include "userspace/ipamd_view.h"

#define JSON "application/json"

static void fail(struct http_call *call, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* An answer that is built in memory and sent whole. */
struct answer {
	FILE *out;
	char *text;
	size_t size;
	struct json json;
};

static bool begin(struct answer *a)
{
	*a = (struct answer){0};
	a->out = open_memstream(&a->text, &a->size);
	if (!a->out)
		return false;
	json_init(&a->json, a->out);
	json_open_object(&a->json, NULL);
	return true;
}

static void end(struct answer *a, struct http_call *call, int code)
{
	json_close_object(&a->json);
	if (json_end(&a->json) | fclose(a->out))
		http_answer(call, 500, JSON, "{\"error\": \"out of memory\"}\n", 27);
	else
		http_answer(call, code, JSON, a->text, a->size);
	free(a->text);
}

static void fail(struct http_call *call, int code, const char *format, ...)
{
	struct answer a;
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!begin(&a)) {
		http_answer(call, 500, JSON, "{\"error\": \"out of memory\"}\n", 27);
		return;
	}
	json_text(&a.json, "error", text);
	end(&a, call, code);
}

/* The argument, or NULL and the call is answered. */
static const char *need(struct http_call *call, const char *key)
{
	const char *value = http_argument(call, key);

	if (!value || !*value)
		fail(call, 400, "%s: the argument \"%s\" is missing", http_path(call), key);
	return value && *value ? value : NULL;
}

static bool need_address(struct http_call *call, struct addr *ret)
{
	const char *text = need(call, "address");

	if (!text)
		return false;
	if (!addr_parse(text, ret))
		return true;
	fail(call, 400, "\"%.60s\" is no address", text);
	return false;
}

static void done(struct http_call *call)
{
	struct answer a;

	if (!begin(&a)) {
		fail(call, 500, "out of memory");
		return;
	}
	json_text(&a.json, "result", "done");
	end(&a, call, 200);
}

/* --- Reading ------------------------------------------------------------------------- */

static void get_status(struct manager *m, struct http_call *call)
{
	struct answer a;

	if (!begin(&a)) {
		fail(call, 500, "out of memory");
		return;
	}
	view_status(m, &a.json);
	end(&a, call, 200);
}

static bool has_pool(const struct manager *m, const char *name)
{
	for (unsigned int i = 0; i < IPAMD_POOLS; i++)
		if (m->pin->pools[i].family && !strcmp(m->pin->pools[i].name, name))
			return true;
	return false;
}

static void get_slots(struct manager *m, struct http_call *call)
{
	const char *pool = http_argument(call, "pool"), *state = http_argument(call, "state");
	struct answer a;

	if (state && !portrait_is_state(state)) {
		fail(call, 400, "there is no state \"%.60s\"", state);
		return;
	}
	if (pool && !has_pool(m, pool)) {
		fail(call, 404, "there is no pool \"%.60s\"", pool);
		return;
	}
	if (!begin(&a)) {
		fail(call, 500, "out of memory");
		return;
	}
	view_slots(m, pool, state, &a.json);
	end(&a, call, 200);
}

static void get_explain(struct manager *m, struct http_call *call)
{
	const char *q = need(call, "q");
	struct answer a;
	bool found;

	if (!q)
		return;
	if (!begin(&a)) {
		fail(call, 500, "out of memory");
		return;
	}
	json_text(&a.json, "query", q);
	found = view_explain(m, q, &a.json);
	if (!found)
		json_text(&a.json, "error", "nobody of that name holds an address here");
	end(&a, call, found ? 200 : 404);
}

static void get_history(struct manager *m, struct http_call *call)
{
	struct addr address;
	struct answer a;
	int r;

	if (!need_address(call, &address))
		return;
	if (!begin(&a)) {
		fail(call, 500, "out of memory");
		return;
	}
	r = view_history(m, &address, &a.json);
	if (r)
		json_text(&a.json, "error", store_explain(r));
	end(&a, call, r ? 500 : 200);
}

static void get_metrics(struct manager *m, struct http_call *call)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out) {
		fail(call, 500, "out of memory");
		return;
	}
	view_metrics(m, out);
	if (fclose(out))
		fail(call, 500, "out of memory");
	else
		http_answer(call, 200, "text/plain; version=0.0.4; charset=utf-8", text, size);
	free(text);
}

/* --- Changing ------------------------------------------------------------------------- */

static void post_drain(struct manager *m, struct http_call *call)
{
	const char *pool = need(call, "pool"), *off = http_argument(call, "off");

	if (!pool)
		return;
	if (pool_by_name(m, pool, IPAMD_V4) == IPAMD_POOLS &&
	    pool_by_name(m, pool, IPAMD_V6) == IPAMD_POOLS) {
		fail(call, 404, "there is no pool \"%.60s\"", pool);
		return;
	}
	pools_drain(m, pool, !off);
	log_say(LOG_NOTICE, "pool %s: %s", pool,
		off ? "open again" : "closed; its stock leaves as it becomes free");
	manager_soon(m);
	done(call);
}

/*
 * A pod that lives goes on using what is taken from it, and then two have it.  So
 * the namespace must be gone, or unknown; whoever knows better says force.
 */
static bool is_alive(struct manager *m, unsigned int slot, uint64_t word, struct ipamd_holder *h)
{
	return !pin_holder(m->pin, slot, word, h) && h->who.nsid >= 0 &&
	       netns_ask(m->netns, h->who.nsid) == 0;
}

static void post_reclaim(struct manager *m, struct http_call *call)
{
	struct ipamd_holder h;
	struct addr address;
	struct ledger_row *row;
	uint64_t word;

	if (!need_address(call, &address))
		return;
	row = ledger_find(m->ledger, &address);
	if (!row) {
		fail(call, 404, "it is not one of this node's addresses");
		return;
	}
	word = row->slot != IPAMD_NONE ? mem_load(&m->pin->words[row->slot]) : 0;
	if (slot_state(word) != IPAMD_HELD)
		fail(call, 409, "nobody holds it");
	else if (!http_argument(call, "force") && is_alive(m, row->slot, word, &h))
		fail(call, 409,
		     "the namespace of %s lives (id %d): end the pod, and it comes back by itself",
		     h.who.label, h.who.nsid);
	else if (zombie_reclaim(m, row->slot, word, "reclaimed by hand"))
		fail(call, 409, "it changed at this moment: look again, and try again");
	else {
		m->counters.reclaims_asked++;
		log_say(LOG_NOTICE, "reclaimed by hand, asked by pid %u: slot %u",
			http_peer_pid(call), row->slot);
		manager_soon(m);
		done(call);
	}
}

static void answer_fix(struct manager *m, struct http_call *call, int r, const char *why)
{
	if (r == FIX_REFUSED)
		fail(call, 409, "%s", why);
	else if (r)
		fail(call, 500, "%s", store_explain(r));
	else
		done(call);
	manager_soon(m);
}

static void post_fix(struct manager *m, struct http_call *call)
{
	const char *name_space = need(call, "namespace");
	const char *pod = name_space ? need(call, "pod") : NULL;
	struct addr address;
	char why[256] = "";

	if (pod && need_address(call, &address))
		answer_fix(m, call, fix_address(m, &address, name_space, pod, why), why);
}

static void post_unfix(struct manager *m, struct http_call *call)
{
	struct addr address;
	char why[256] = "";

	if (need_address(call, &address))
		answer_fix(m, call, fix_end(m, &address, why), why);
}

static void post_reload(struct manager *m, struct http_call *call)
{
	struct conf_error error = {""};

	if (manager_reload(m, &error))
		fail(call, 409, "%s; the configuration stays as it was", error.text);
	else
		done(call);
}

static void post_leave(struct manager *m, struct http_call *call)
{
	if (!m->idle_exit_s) {
		fail(call, 409, "this manager stays: stop its service, or send it SIGTERM");
		return;
	}
	log_say(LOG_INFO, "asked to leave by pid %u", http_peer_pid(call));
	done(call);
	loop_stop(m->loop, 0);
}

/* --- Who does what ----------------------------------------------------------------------- */

static const struct {
	enum http_method method;
	const char *path;
	void (*serve)(struct manager *m, struct http_call *call);
} routes[] = {
	{HTTP_GET, "/v1/status", get_status},     {HTTP_GET, "/v1/slots", get_slots},
	{HTTP_GET, "/v1/explain", get_explain},   {HTTP_GET, "/v1/history", get_history},
	{HTTP_GET, "/metrics", get_metrics},      {HTTP_POST, "/v1/drain", post_drain},
	{HTTP_POST, "/v1/reclaim", post_reclaim}, {HTTP_POST, "/v1/fix", post_fix},
	{HTTP_POST, "/v1/unfix", post_unfix},     {HTTP_POST, "/v1/reload", post_reload},
	{HTTP_POST, "/v1/leave", post_leave},
};

static void serve(void *ctx, struct http_call *call)
{
	struct manager *m = ctx;
	bool known = false;

	m->last_use_ms = now_ms();
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (strcmp(routes[i].path, http_path(call)))
			continue;
		known = true;
		if (routes[i].method == http_method(call)) {
			routes[i].serve(m, call);
			return;
		}
	}
	if (known)
		fail(call, 405, "%.60s: the other method, GET or POST, is allowed",
		     http_path(call));
	else
		fail(call, 404, "there is nothing at %.60s; see ipamd(8)", http_path(call));
}

int admin_open(struct manager *m)
{
	return http_open(m->loop, m->admin_socket, serve, m, &m->http);
}

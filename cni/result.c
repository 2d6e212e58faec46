// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cni/result.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void out_text(struct out *o, const char *text, ...)
{
	va_list ap;
	int n;

	if (o->used >= o->size)
		return;
	va_start(ap, text);
	n = vsnprintf(o->text + o->used, o->size - o->used, text, ap);
	va_end(ap);
	o->used += n > 0 ? (size_t)n : 0;
}

void out_string(struct out *o, const char *text)
{
	out_text(o, "\"");
	for (; *text; text++) {
		unsigned char b = (unsigned char)*text;

		if (b == '"' || b == '\\')
			out_text(o, "\\%c", b);
		else if (b < 0x20)
			out_text(o, "\\u%04x", b);
		else
			out_text(o, "%c", b < 0x7f ? b : '?');
	}
	out_text(o, "\"");
}

int out_write(const struct out *o)
{
	size_t done = 0;

	if (o->used >= o->size)
		return -EMSGSIZE;
	while (done < o->used) {
		ssize_t n = write(1, o->text + done, o->used - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* --- The result of an ADD ---------------------------------------------------------------- */

static bool is_set(const __u8 address[16])
{
	static const __u8 none[16];

	return memcmp(address, none, sizeof(none)) != 0;
}

static const char *print(int family, const __u8 address[16])
{
	static char text[INET6_ADDRSTRLEN];

	inet_ntop(family == IPAMD_V6 ? AF_INET6 : AF_INET, address, text, sizeof(text));
	return text;
}

/* A route without a gateway of its own goes by the pool's; main plugins would guess. */
static void write_routes(struct out *o, const char **comma, int family, const struct ipamd_lease *l)
{
	for (int i = 0; i < l->routes && i < IPAMD_ROUTES; i++) {
		const struct ipamd_route *r = &l->route[i];
		const __u8 *gateway = is_set(r->gateway) ? r->gateway : l->gateway;

		out_text(o, "%s{\"dst\":\"%s/%d\"", *comma, print(family, r->dst), r->prefix_len);
		if (is_set(gateway))
			out_text(o, ",\"gw\":\"%s\"", print(family, gateway));
		out_text(o, "}");
		*comma = ",";
	}
}

static void write_ip(struct out *o, const char *key, int family, const struct ipamd_lease *l)
{
	out_text(o, "\"%s\":\"%s/%d\"", key, print(family, l->address), l->prefix_len);
	if (is_set(l->gateway))
		out_text(o, ",\"gateway\":\"%s\"", print(family, l->gateway));
}

/* 0.1.0 and 0.2.0: an object a family. */
static void write_old(struct out *o, const struct ipamd_request *req)
{
	for (int f = 0; f < IPAMD_FAMILIES; f++) {
		const struct ipamd_lease *l = &req->lease[f];
		const char *comma = "";

		if (!l->word)
			continue;
		out_text(o, ",\"ip%d\":{", f == IPAMD_V6 ? 6 : 4);
		write_ip(o, "ip", f, l);
		if (l->routes) {
			out_text(o, ",\"routes\":[");
			write_routes(o, &comma, f, l);
			out_text(o, "]");
		}
		out_text(o, "}");
	}
}

static void write_new(struct out *o, enum conf_version form, const struct ipamd_request *req)
{
	const char *comma = "";

	out_text(o, ",\"ips\":[");
	for (int f = 0; f < IPAMD_FAMILIES; f++) {
		const struct ipamd_lease *l = &req->lease[f];

		if (!l->word)
			continue;
		out_text(o, "%s{", comma);
		if (form < CONF_1_0_0)
			out_text(o, "\"version\":\"%d\",", f == IPAMD_V6 ? 6 : 4);
		write_ip(o, "address", f, l);
		out_text(o, "}");
		comma = ",";
	}
	out_text(o, "]");
	comma = ",\"routes\":[";
	for (int f = 0; f < IPAMD_FAMILIES; f++)
		if (req->lease[f].word)
			write_routes(o, &comma, f, &req->lease[f]);
	if (!strcmp(comma, ","))
		out_text(o, "]");
}

int result_write(const char *version, enum conf_version form, const struct ipamd_request *req)
{
	static char text[8192];
	struct out o = {text, sizeof(text), 0};

	out_text(&o, "{\"cniVersion\":\"%s\"", version);
	if (form < CONF_0_3_0)
		write_old(&o, req);
	else
		write_new(&o, form, req);
	out_text(&o, "}\n");
	return out_write(&o);
}

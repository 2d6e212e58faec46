// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any bytes as a datagram of the slow path (libFuzzer): what passes is a claim or a
 * release whose texts end, that brings no answer along, and that is fit for JSON and
 * the log.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/json.h"
#include "userspace/base/log.h"
#include "userspace/base/utf8.h"
#include "userspace/core/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_shown(const char *text, size_t size)
{
	for (size_t n, i = 0; i < size; i += n) {
		uint32_t c = 0;

		n = utf8_read(text + i, size - i, &c);
		must(n && (!utf8_is_control(c) || c == '\n'));
	}
}

static void show(const char *text, size_t size)
{
	char line[4 * 128 + 8], *out = NULL;
	struct json json;
	size_t out_size;
	FILE *f;

	must(strnlen(text, size) < size);
	log_clean(text, line, sizeof(line));
	must(!strchr(line, '\n'));
	check_shown(line, strlen(line));
	f = open_memstream(&out, &out_size);
	must(f != NULL);
	json_init(&json, f);
	json_open_object(&json, NULL);
	json_text(&json, "text", text);
	json_close_object(&json);
	must(!json_end(&json) && !fclose(f));
	check_shown(out, out_size);
	free(out);
}

static bool is_zero(const void *p, size_t size)
{
	const unsigned char *bytes = p;

	while (size--)
		if (*bytes++)
			return false;
	return true;
}

static void check(const struct ipamd_request *r)
{
	const struct ipamd_who *w = &r->who;

	must(r->verb == IPAMD_CLAIM || r->verb == IPAMD_RELEASE);
	must(r->abi == IPAMD_ABI && r->size == sizeof(*r) && !r->verdict);
	must(is_zero(&r->change, sizeof(r->change)) && is_zero(r->lease, sizeof(r->lease)));
	show(w->network, sizeof(w->network));
	show(w->container, sizeof(w->container));
	show(w->ifname, sizeof(w->ifname));
	show(w->name_space, sizeof(w->name_space));
	show(w->pod, sizeof(w->pod));
	show(w->uid, sizeof(w->uid));
	show(w->label, sizeof(w->label));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* As in ipamd_slow.c: what was there before stays behind a short one. */
	static struct ipamd_request r;

	memcpy(&r, data, size < sizeof(r) ? size : sizeof(r));
	if (frame_check(&r, size)) {
		check(&r);
	} else {
		frame_refuse(&r);
		must(r.abi == IPAMD_ABI && r.size == sizeof(r) && r.verdict == IPAMD_FOREIGN);
		must(is_zero(&r.who, sizeof(r) - offsetof(struct ipamd_request, who)));
	}
	return 0;
}

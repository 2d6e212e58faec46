// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/edge/portrait.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bpf/slot.h"

static const char *const names[] = {
	[IPAMD_EMPTY] = "empty",           [IPAMD_FREE] = "free",
	[IPAMD_CLAIMING] = "claiming",     [IPAMD_HELD] = "held",
	[IPAMD_LEAVING] = "leaving",       [5] = "none",
	[IPAMD_QUARANTINE] = "quarantine", [IPAMD_MOVED] = "moved",
};

const char *const portrait_states[] = {"ready",   "cooling",    "claiming", "held",
				       "leaving", "quarantine", "waiting",  NULL};

const char *portrait_state(uint64_t word, uint64_t now_ms)
{
	if (slot_state(word) == IPAMD_FREE)
		return slot_is_ready(word, now_ms) ? "ready" : "cooling";
	return names[slot_state(word)];
}

bool portrait_is_state(const char *name)
{
	for (const char *const *s = portrait_states; *s; s++)
		if (!strcmp(*s, name))
			return true;
	return false;
}

static void draw_holder(const struct ipamd_holder *h, uint64_t now_ms, struct json *j)
{
	json_open_object(j, "holder");
	json_text(j, "network", h->who.network);
	json_text(j, "container", h->who.container);
	json_text(j, "ifname", h->who.ifname);
	json_text(j, "namespace", h->who.name_space);
	json_text(j, "pod", h->who.pod);
	json_text(j, "uid", h->who.uid);
	json_signed(j, "nsid", h->who.nsid);
	if (h->claimed_at_ms)
		json_unsigned(j, "for_ms", now_ms - h->claimed_at_ms);
	json_close_object(j);
}

void portrait_slot(const struct pin *pin, unsigned int slot, uint64_t word, uint64_t now_ms,
		   struct json *j)
{
	struct ipamd_holder h;

	json_unsigned(j, "slot", slot);
	json_text(j, "state", portrait_state(word, now_ms));
	json_bool(j, "fixed", word & SLOT_FIXED);
	json_unsigned(j, "claims", slot_gen(word));
	if (slot_state(word) == IPAMD_FREE && !slot_is_ready(word, now_ms))
		json_unsigned(j, "ready_in_ms", (slot_time(word) - now_ms) & SLOT_TIME);
	if (slot_state(word) == IPAMD_FREE && slot_is_ready(word, now_ms))
		json_unsigned(j, "idle_ms", (now_ms - slot_time(word)) & SLOT_TIME);
	if (slot_state(word) == IPAMD_HELD && !pin_holder(pin, slot, word, &h))
		draw_holder(&h, now_ms, j);
}

static const char *changed = "it changed while it was looked at: ask again";

static void say_held(const struct pin *pin, unsigned int slot, uint64_t word, struct json *j)
{
	struct ipamd_holder h;
	char text[512];

	if (pin_holder(pin, slot, word, &h)) {
		json_text(j, NULL, changed);
		return;
	}
	snprintf(text, sizeof(text), "held by %s (container %s, interface %s, network %s)",
		 h.who.label, h.who.container, h.who.ifname, h.who.network);
	json_text(j, NULL, text);
}

static void say_free(const struct pin *pin, unsigned int slot, uint64_t word, uint64_t now_ms,
		     struct json *j)
{
	struct ipamd_holder h;
	char text[256];

	if (slot_is_ready(word, now_ms))
		snprintf(text, sizeof(text), "in stock, idle for %" PRIu64 " s",
			 (uint64_t)((now_ms - slot_time(word)) & SLOT_TIME) / 1000);
	else
		snprintf(text, sizeof(text), "cooling down, ready in %.1f s",
			 (double)((slot_time(word) - now_ms) & SLOT_TIME) / 1000);
	json_text(j, NULL, text);
	if (!pin_last_holder(pin, slot, word, &h)) {
		snprintf(text, sizeof(text), "last held by %s (container %s)", h.who.label,
			 h.who.container);
		json_text(j, NULL, text);
	}
}

void portrait_why(const struct pin *pin, unsigned int slot, uint64_t word, uint64_t now_ms,
		  struct json *j)
{
	if (slot_state(word) == IPAMD_HELD)
		say_held(pin, slot, word, j);
	else if (slot_state(word) == IPAMD_FREE)
		say_free(pin, slot, word, now_ms, j);
	else if (slot_state(word) == IPAMD_CLAIMING)
		json_text(j, NULL, "a claim takes it at this moment");
	else if (slot_state(word) == IPAMD_LEAVING)
		json_text(j, NULL, "on its way back to its source; nobody can claim it");
	else if (slot_state(word) == IPAMD_QUARANTINE)
		json_text(j, NULL, "out of reach until its source and the namespaces were read");
	else
		json_text(j, NULL, changed);
}

bool portrait_is_of(const struct ipamd_who *who, const char *query)
{
	char pod[sizeof(who->name_space) + sizeof(who->pod) + 1];
	size_t n = strlen(query);

	snprintf(pod, sizeof(pod), "%s/%s", who->name_space, who->pod);
	return !strcmp(query, pod) || !strcmp(query, who->container) ||
	       (n >= 4 && !strncmp(query, who->container, n));
}

bool portrait_address(const struct pin *pin, unsigned int slot, uint64_t word, struct addr *ret)
{
	struct ipamd_address a;
	uint8_t family = pin->pools[slot_pool(word)].family;

	if (slot_state(word) == IPAMD_EMPTY || (family != 4 && family != 6) ||
	    pin_address(pin, slot, &a))
		return false;
	*ret = (struct addr){.family = family};
	memcpy(ret->bytes, a.bytes, family == 4 ? 4 : 16);
	return true;
}

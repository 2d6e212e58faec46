// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ipamctl check: invariant 10, by whom it can be seen.  The words in the kernel are
 * held against the records beside them, and against what the manager has in its rows.
 *
 * Pods come and go meanwhile, and rows follow their words within a turn; so what is
 * wrong counts only when it was wrong each time that was looked.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bpf/digest.h"
#include "bpf/slot.h"
#include "userspace/base/cleanup.h"
#include "userspace/ctl/ctl.h"
#include "userspace/edge/portrait.h"

enum { LOOKS = 6, BETWEEN_MS = 500, SHOWN = 40 };

/* Complaints of one look, in the order of the slots. */
struct complaints {
	char **text;
	size_t count, room;
};

static void drop(struct complaints *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->text[i]);
	free(w->text);
	*w = (struct complaints){0};
}

static void complain(struct complaints *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void complain(struct complaints *w, const char *format, ...)
{
	va_list args;
	int n;

	if (w->count == w->room) {
		char **larger = realloc(w->text, (w->room * 2 + 64) * sizeof(*larger));

		if (!larger)
			abort();
		w->text = larger;
		w->room = w->room * 2 + 64;
	}
	va_start(args, format);
	n = vasprintf(&w->text[w->count], format, args);
	va_end(args);
	if (n < 0)
		abort();
	w->count++;
}

/* Leaves in `w` what is in `other` too. */
static void keep_common(struct complaints *w, const struct complaints *other)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->count; i++) {
		size_t k = 0;

		while (k < other->count && strcmp(w->text[i], other->text[k]))
			k++;
		if (k < other->count)
			w->text[kept++] = w->text[i];
		else
			free(w->text[i]);
	}
	w->count = kept;
}

/* --- The maps among themselves ------------------------------------------------------- */

struct slots {
	const struct pin *pin;
	uint64_t word[IPAMD_SLOTS_MAX];
	char address[IPAMD_SLOTS_MAX][ADDR_TEXT]; /* "": none */
};

static struct slots slots;

static void look_at_entry(const struct slots *s, unsigned int slot, const struct ipamd_holder *h,
			  struct complaints *w)
{
	struct ipamd_entry entry;
	int r = pin_entry_get(s->pin, &h->who.id, &entry);

	if (r ||
	    (!slot_same(entry.first, s->word[slot]) && !slot_same(entry.second, s->word[slot])))
		complain(w, "%s: slot %u is held by %s, but by_holder does not say so",
			 s->address[slot], slot, h->who.label);
}

static void look_at_holder(const struct slots *s, unsigned int slot, struct complaints *w)
{
	struct ipamd_holder h;

	if (slot_state(s->word[slot]) == IPAMD_CLAIMING)
		complain(w, "%s: slot %u: a claim does not end", s->address[slot], slot);
	if (slot_state(s->word[slot]) != IPAMD_HELD)
		return;
	if (pin_holder(s->pin, slot, s->word[slot], &h))
		complain(w, "%s: slot %u is held, but the record is another holder's",
			 s->address[slot], slot);
	else
		look_at_entry(s, slot, &h, w);
}

/* The name of an address leads to its slot, and so to one only. */
static void look_at_name(const struct slots *s, unsigned int slot, const struct addr *a,
			 struct complaints *w)
{
	struct ipamd_digest key = digest_address(a->family, a->bytes);
	__u64 ref;

	if (pin_name_get(s->pin, &key, &ref) || !ref_is_of(ref, &key) ||
	    ref_get(ref, IPAMD_V4) != slot)
		complain(w, "%s: in slot %u, but its name leads elsewhere: is it in two slots?",
			 s->address[slot], slot);
}

static void look_at_maps(struct slots *s, struct complaints *w)
{
	if (s->pin->meta->moving)
		complain(w, "the slots are on their way to another generation: start ipamd to "
			    "finish it");
	for (unsigned int slot = 0; slot < s->pin->meta->slots; slot++) {
		struct addr a;

		s->word[slot] = mem_load(&s->pin->words[slot]);
		s->address[slot][0] = '\0';
		if (slot_state(s->word[slot]) == IPAMD_EMPTY)
			continue;
		if (!portrait_address(s->pin, slot, s->word[slot], &a)) {
			complain(w, "slot %u: in use, but its pool %u is none", slot,
				 slot_pool(s->word[slot]));
			continue;
		}
		addr_print(&a, s->address[slot]);
		look_at_name(s, slot, &a, w);
		look_at_holder(s, slot, w);
	}
}

/* --- And the manager's rows ------------------------------------------------------------- */

/* What a row may say while its word is so. */
static bool agrees(uint64_t word, const char *row)
{
	switch (slot_state(word)) {
	case IPAMD_FREE:
		return !strcmp(row, "stock") || !strcmp(row, "cooling");
	case IPAMD_CLAIMING:
		return true; /* a turn will see what became of it */
	case IPAMD_HELD:     /* not ours any more: away when it is released */
		return !strcmp(row, "held") || !strcmp(row, "quarantine");
	case IPAMD_LEAVING:
		return !strcmp(row, "leaving");
	case IPAMD_QUARANTINE:
		return !strcmp(row, "quarantine");
	default:
		return false;
	}
}

static void look_at_row(const struct slots *s, const struct tree *row, bool *known,
			struct complaints *w)
{
	const char *address = tree_text(row, "address"), *says = tree_text(row, "row");
	uint64_t slot = tree_number(row, "slot");

	if (!tree_get(row, "slot")) { /* waits: in no slot */
		for (unsigned int i = 0; i < s->pin->meta->slots; i++)
			if (!strcmp(s->address[i], address))
				complain(w, "%s: in slot %u, but the manager says in none", address,
					 i);
		return;
	}
	if (slot >= s->pin->meta->slots || strcmp(s->address[slot], address)) {
		complain(w, "%s: the manager says slot %" PRIu64 ", the kernel does not", address,
			 slot);
		return;
	}
	known[slot] = true;
	if (!agrees(s->word[slot], says))
		complain(w, "%s: slot %" PRIu64 " is %s, its row says %s", address, slot,
			 portrait_state(s->word[slot], now_ms()), says);
}

static void look_at_rows(const struct slots *s, const struct tree *rows, struct complaints *w)
{
	static bool known[IPAMD_SLOTS_MAX];

	memset(known, 0, sizeof(known));
	for (size_t i = 0; i < tree_count(rows); i++)
		look_at_row(s, tree_at(rows, i), known, w);
	for (unsigned int slot = 0; slot < s->pin->meta->slots; slot++)
		if (s->address[slot][0] && !known[slot])
			complain(w, "%s: in slot %u, but the manager does not know it",
				 s->address[slot], slot);
}

static void look_at_status(const struct tree *status, struct complaints *w)
{
	if (!tree_bool(status, "pins_current"))
		complain(w, "the manager serves other maps than those that are pinned: restart "
			    "ipamd");
	if (strcmp(tree_text(status, "database"), "ok"))
		complain(w, "the database cannot be written to: see the manager's log");
	if (!tree_bool(tree_get(status, "balance"), "holds"))
		complain(w, "the manager's sum is not what is in the slots");
}

/* One look at everything; `dead`: at the maps alone. */
static int look(const struct ctl *c, bool dead, struct complaints *w)
{
	auto_answer struct answer status = {0}, rows = {0};
	int r = 0;

	if (!dead)
		r = ask_read(c, "/v1/status", NULL, &status);
	if (!r && !dead)
		r = ask_read(c, "/v1/slots", NULL, &rows);
	if (r)
		return r;
	look_at_maps(&slots, w);
	if (!dead) {
		look_at_status(status.tree, w);
		look_at_rows(&slots, tree_get(rows.tree, "addresses"), w);
	}
	return CTL_OK;
}

static int look_often(const struct ctl *c, bool dead, struct complaints *ret)
{
	int r = look(c, dead, ret);

	for (int i = 1; i < LOOKS && !r && ret->count; i++) {
		struct complaints again = {0};

		nanosleep(&(struct timespec){.tv_nsec = BETWEEN_MS * 1000000L}, NULL);
		r = look(c, dead, &again);
		keep_common(ret, &again);
		drop(&again);
	}
	return r;
}

/* --- The result ----------------------------------------------------------------------------- */

static void print_json(const struct answer *a, const struct counts *n, const struct complaints *w)
{
	struct json j;

	json_init(&j, stdout);
	json_open_object(&j, NULL);
	json_text(&j, "from", a->from_maps ? "maps" : "manager");
	json_bool(&j, "holds", !w->count);
	json_unsigned(&j, "slots_used", n->used);
	json_unsigned(&j, "ready", n->ready);
	json_unsigned(&j, "cooling", n->cooling);
	json_unsigned(&j, "held", n->held + n->claiming);
	json_unsigned(&j, "leaving", n->leaving);
	json_unsigned(&j, "quarantine", n->quarantine);
	json_open_array(&j, "complaints");
	for (size_t i = 0; i < w->count; i++)
		json_text(&j, NULL, w->text[i]);
	json_close_array(&j);
	json_close_object(&j);
	json_end(&j);
}

static void print_result(const struct ctl *c, const struct answer *a, const struct counts *n,
			 const struct complaints *w)
{
	char line[256];

	for (size_t i = 0; i < w->count && i < SHOWN; i++) {
		print_text(w->text[i], stdout);
		putchar('\n');
	}
	if (w->count > SHOWN)
		printf("... and %zu more\n", w->count - SHOWN);
	if (w->count) {
		print_coloured(c, TABLE_BAD, "the balance does not hold", stdout);
		fputs(": keep this and the manager's log, then restart ipamd, which reconciles\n",
		      stdout);
		return;
	}
	print_coloured(c, TABLE_GOOD, "the balance holds", stdout);
	snprintf(line, sizeof(line),
		 ": %u slots in use = %u ready + %u cooling + %u held + %u leaving + %u in "
		 "quarantine%s\n",
		 n->used, n->ready, n->cooling, n->held + n->claiming, n->leaving, n->quarantine,
		 a->from_maps ? ", by the maps alone" : "");
	fputs(line, stdout);
}

int command_check(const struct ctl *c)
{
	auto_answer struct answer a = {0};
	auto_pin struct pin *pin = NULL;
	struct complaints w = {0};
	struct counts n;
	int r = ask_read(c, "/v1/status", kernel_status, &a);

	if (!r)
		r = ask_pins(c, tree_text(a.tree, "pins"), &pin);
	if (r)
		return r;
	slots.pin = pin;
	r = look_often(c, a.from_maps, &w);
	if (!r) {
		n = kernel_count(pin, IPAMD_POOLS, now_ms());
		if (c->json)
			print_json(&a, &n, &w);
		else
			print_result(c, &a, &n, &w);
		r = w.count ? CTL_FAILED : CTL_OK;
	}
	drop(&w);
	return r;
}

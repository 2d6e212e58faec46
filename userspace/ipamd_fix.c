// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Fixed addresses: kept for one workload, which takes its own from its cooldown at
 * once.  So an address that another pod holds, or that cools from another one, is
 * never fixed: the exception to invariant 4 would be more than that.
 *
 * The row says so first, durably; then the word gets its flag.  A kill in between
 * is mended at the next start.  When the database is lost, the map still has the
 * digest of the workload, and the last holder may tell its name; where he does not,
 * the row has the digest in hex behind a '#', which no name begins with.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bpf/request.h"
#include "userspace/ipamd.h"

static int refuse(char why[256], const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(char why[256], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, 256, format, args);
	va_end(args);
	return FIX_REFUSED;
}

/* DNS names, as Kubernetes has them. */
static bool is_name(const char *s, size_t most)
{
	size_t n = strlen(s);

	return n && n < most && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == n;
}

static uint64_t word_of(const struct manager *m, const struct ledger_row *row)
{
	return mem_load(&m->pin->words[row->slot]);
}

static bool is_of(const struct ipamd_who *w, const char *name_space, const char *pod)
{
	struct ipamd_digest a = digest_workload(w->name_space, w->pod),
			    b = digest_workload(name_space, pod);

	return w->pod[0] && digest_equal(&a, &b);
}

static struct ipamd_digest workload_of(const struct store_row *stored)
{
	unsigned long long half[2];

	if (sscanf(stored->fixed_pod, "#%16llx%16llx", &half[0], &half[1]) == 2)
		return (struct ipamd_digest){{half[0], half[1]}};
	return digest_workload(stored->fixed_space, stored->fixed_pod);
}

/* Whose it is now, or was until it began to cool. */
static int check_holder(struct manager *m, const struct ledger_row *row, const char *name_space,
			const char *pod, char why[256])
{
	uint64_t word = word_of(m, row);
	struct ipamd_holder h;

	switch (slot_state(word)) {
	case IPAMD_FREE:
		if (slot_is_ready(word, now_ms()) ||
		    (!pin_last_holder(m->pin, row->slot, word, &h) &&
		     is_of(&h.who, name_space, pod)))
			return 0;
		return refuse(why,
			      "it cools down from another pod for %llu ms more: try again then",
			      (unsigned long long)(slot_time(word) - now_ms()));
	case IPAMD_HELD:
		if (!pin_holder(m->pin, row->slot, word, &h) && is_of(&h.who, name_space, pod))
			return 0;
		return refuse(why, "another pod holds it");
	case IPAMD_CLAIMING:
		return refuse(why, "a claim takes it at this moment");
	default:
		return refuse(why, "it is leaving, or in quarantine");
	}
}

static int check_workload(struct manager *m, const struct ipamd_digest *workload, int family,
			  char why[256])
{
	__u64 ref;

	if (!pin_name_get(m->pin, workload, &ref) && ref_is_of(ref, workload) &&
	    ref_get(ref, family) != IPAMD_NONE)
		return refuse(why, "the workload has another fixed address of this family already");
	return 0;
}

/* The row, durable, with or without its workload. */
static int write_row(struct manager *m, const struct ledger_row *row, const char *name_space,
		     const char *pod)
{
	static struct store_row stored;
	int r = store_get(m->store, &row->address, &stored);

	if (r == STORE_ABSENT) {
		stored = (struct store_row){.address = row->address, .state = STORE_STOCK};
		snprintf(stored.pool, sizeof(stored.pool), "%s", pool_name(m, row->pool));
	} else if (r) {
		return r;
	}
	snprintf(stored.fixed_space, sizeof(stored.fixed_space), "%s", name_space);
	snprintf(stored.fixed_pod, sizeof(stored.fixed_pod), "%s", pod);
	r = rows_begin(m, true);
	if (!r)
		r = store_put(m->store, &stored);
	if (r) {
		store_abandon(m->store);
		return r;
	}
	return rows_commit(m);
}

static bool is_same_workload(const struct store_row *stored, const struct ipamd_digest *workload)
{
	struct ipamd_digest there = workload_of(stored);

	return digest_equal(&there, workload);
}

/* The flag of the word; tried again when a pod changes the word meanwhile. */
static int set_flag(struct manager *m, const struct ledger_row *row,
		    const struct ipamd_digest *workload, bool on)
{
	int r = IPAMD_STALE;

	for (int i = 0; i < 8 && r == IPAMD_STALE; i++) {
		struct ipamd_request req;
		uint64_t word = word_of(m, row);

		if (!!(word & SLOT_FIXED) == on)
			return 0;
		request_init(&req, IPAMD_STEP);
		req.workload = *workload;
		req.change.slot = row->slot;
		req.change.expected = word;
		req.change.word = word ^ SLOT_FIXED;
		r = pin_run(m->pin, IPAMD_STEP, &req);
	}
	return r;
}

/* Not in stock yet: its row, and then a slot. */
static int stock_it(struct manager *m, const struct addr *address, const char *name_space,
		    const char *pod, struct ledger_row **ret, char why[256])
{
	unsigned int pool = pool_of_address(m, address);
	struct ledger_row *row;
	int r;

	if (pool == IPAMD_POOLS)
		return refuse(why, "no pool hands it out");
	if (stock_empty_slot(m) == IPAMD_NONE)
		return refuse(why, "no slot is empty: raise \"slots\"");
	row = ledger_add(m->ledger, address);
	if (!row)
		return -ENOSPC;
	row->pool = (uint8_t)pool;
	r = write_row(m, row, name_space, pod);
	if (r) {
		ledger_remove(m->ledger, row);
		return r;
	}
	row->row = ROW_STOCK;
	row->fixed = true;
	r = stock_fill(m, row, stock_ready_at(m, pool));
	if (r)
		row->held_back = true;
	*ret = row;
	return r;
}

int fix_address(struct manager *m, const struct addr *address, const char *name_space,
		const char *pod, char why[256])
{
	struct ipamd_digest workload = digest_workload(name_space, pod);
	struct ledger_row *row = ledger_find(m->ledger, address);
	int r;

	if (!is_name(name_space, 64) || !is_name(pod, 254))
		return refuse(why, "namespace and pod are names as Kubernetes has them");
	if (row && row->slot == IPAMD_NONE)
		return refuse(why, "it is not in stock: it is leaving, or waits for its source");
	if (row && row->fixed) {
		static struct store_row stored;

		r = store_get(m->store, address, &stored);
		if (r)
			return r;
		if (!strcmp(stored.fixed_space, name_space) && !strcmp(stored.fixed_pod, pod))
			return 0;
		if (is_same_workload(&stored, &workload)) /* now its name is known */
			return write_row(m, row, name_space, pod);
		return refuse(why, "it is fixed for %.63s/%.120s already", stored.fixed_space,
			      stored.fixed_pod);
	}
	r = check_workload(m, &workload, address->family == 6 ? IPAMD_V6 : IPAMD_V4, why);
	if (!r && row)
		r = check_holder(m, row, name_space, pod, why);
	if (!r && row)
		r = write_row(m, row, name_space, pod);
	else if (!r)
		r = stock_it(m, address, name_space, pod, &row, why);
	if (r)
		return r;
	row->fixed = true;
	r = set_flag(m, row, &workload, true);
	if (!r)
		r = check_holder(m, row, name_space, pod, why); /* somebody quicker? */
	if (!r)
		return 0;
	set_flag(m, row, &workload, false);
	row->fixed = false;
	write_row(m, row, "", "");
	return r < 0 || r == FIX_REFUSED ? r : refuse(why, "it changed at this moment: try again");
}

int fix_end(struct manager *m, const struct addr *address, char why[256])
{
	struct ledger_row *row = ledger_find(m->ledger, address);
	int r;

	if (!row || !row->fixed)
		return refuse(why, "it is not fixed");
	r = write_row(m, row, "", "");
	if (r)
		return r;
	row->fixed = false;
	if (row->slot == IPAMD_NONE)
		return 0;
	r = fix_unflag(m, row);
	return r > 0 ? refuse(why, "it changed at this moment: try again") : r;
}

/* Of a slot that came without a row: for whom it is, by name if its holder tells it. */
static int adopt(struct manager *m, struct ledger_row *row)
{
	uint64_t word = word_of(m, row);
	struct ipamd_address a;
	struct ipamd_holder h;
	char digest[40];
	int r = pin_address(m->pin, row->slot, &a);

	if (r)
		return r;
	snprintf(digest, sizeof(digest), "#%016llx%016llx", (unsigned long long)a.workload.half[0],
		 (unsigned long long)a.workload.half[1]);
	r = slot_state(word) == IPAMD_HELD ? pin_holder(m->pin, row->slot, word, &h)
					   : pin_last_holder(m->pin, row->slot, word, &h);
	row->fixed = true;
	if (!r && h.who.pod[0]) {
		struct ipamd_digest named = digest_workload(h.who.name_space, h.who.pod);

		if (digest_equal(&named, &a.workload))
			return write_row(m, row, h.who.name_space, h.who.pod);
	}
	return write_row(m, row, "", digest);
}

int fix_flag(struct manager *m, const struct ledger_row *row)
{
	static struct store_row stored;
	struct ipamd_digest workload;
	int r = store_get(m->store, &row->address, &stored);

	if (r)
		return r;
	workload = workload_of(&stored);
	return set_flag(m, row, &workload, true);
}

int fix_unflag(struct manager *m, const struct ledger_row *row)
{
	struct ipamd_address a;
	int r = pin_address(m->pin, row->slot, &a);

	return r ? r : set_flag(m, row, &a.workload, false);
}

/* Row and flag agree again: without a row by the flag, else by the row. */
static int agree(struct manager *m, struct ledger_row *row)
{
	bool flag = word_of(m, row) & SLOT_FIXED;

	if (row->row == ROW_NONE)
		return flag ? adopt(m, row) : 0;
	if (row->fixed == flag || slot_state(word_of(m, row)) == IPAMD_LEAVING ||
	    slot_state(word_of(m, row)) == IPAMD_CLAIMING)
		return 0;
	return row->fixed ? fix_flag(m, row) : fix_unflag(m, row);
}

void fix_again(struct manager *m)
{
	for (unsigned int i = 0; i < m->ledger->used; i++) {
		struct ledger_row *row = &m->ledger->rows[i];
		int r;

		if (!row->address.family || row->slot == IPAMD_NONE)
			continue;
		r = agree(m, row);
		if (r && now_ms() >= m->fix_said_ms) {
			m->fix_said_ms = now_ms() + 60000;
			log_say(LOG_WARNING,
				"slot %u: what it is fixed for cannot be restored (%d)", row->slot,
				r);
		}
	}
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The configuration in the map of pools, and the names that lead there.
 *
 * What a claim answers with (prefix, gateway, routes) never changes in place: a
 * pool that is to answer otherwise gets another place, its name is made to lead
 * there in one write, and the stock at the old place leaves as it becomes ready.
 * So no pod is told half of the old and half of the new, and none gets an address
 * that cooled while the pool lost it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bpf/request.h"
#include "userspace/ipamd.h"

enum { FORGET_MS = 10000 };

const char *pool_name(const struct manager *m, unsigned int pool)
{
	return pool < IPAMD_POOLS && m->pin->pools[pool].family ? m->pin->pools[pool].name : "none";
}

unsigned int pool_of_address(const struct manager *m, const struct addr *address)
{
	for (unsigned int i = 0; i < IPAMD_POOLS; i++) {
		const struct pool *p = &m->pool[i];

		if (p->current && p->source.kind->owns(&p->source, address) == SOURCE_OURS)
			return i;
	}
	return IPAMD_POOLS;
}

unsigned int pool_by_name(const struct manager *m, const char *name, enum ipamd_family family)
{
	for (unsigned int i = 0; i < IPAMD_POOLS; i++)
		if (m->pool[i].current && m->pool[i].source.family == family &&
		    !strcmp(m->pool[i].source.pool.name, name))
			return i;
	return IPAMD_POOLS;
}

static void make_record(const struct config_pool *p, enum ipamd_family f, struct ipamd_pool *ret)
{
	const struct config_family *family = &p->family[f];

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, p->name, sizeof(ret->name));
	ret->family = f == IPAMD_V6 ? 6 : 4;
	ret->prefix_len = family->subnet.length;
	ret->routes = (__u8)family->routes;
	ret->cooldown_ms = (__u32)p->cooldown_ms;
	ret->valid_until_ms = IPAMD_FOREVER;
	memcpy(ret->gateway, family->gateway.bytes, sizeof(ret->gateway));
	for (unsigned int i = 0; i < family->routes; i++) {
		memcpy(ret->route[i].dst, family->route[i].to.base.bytes, 16);
		memcpy(ret->route[i].gateway, family->route[i].via.bytes, 16);
		ret->route[i].prefix_len = family->route[i].to.length;
	}
}

/* Alike in what a claim answers with. */
static bool is_alike(const struct ipamd_pool *a, const struct ipamd_pool *b)
{
	return !strcmp(a->name, b->name) && a->family == b->family &&
	       a->prefix_len == b->prefix_len && a->routes == b->routes &&
	       !memcmp(a->gateway, b->gateway, sizeof(a->gateway)) &&
	       !memcmp(a->route, b->route, sizeof(a->route));
}

/* An address at the place is none of this pool's: it must not be claimed there any more. */
static bool has_foreign(const struct manager *m, unsigned int place, const struct config_pool *p,
			enum ipamd_family f)
{
	for (unsigned int i = 0; i < m->ledger->used; i++) {
		const struct ledger_row *row = &m->ledger->rows[i];

		if (row->address.family && row->slot != IPAMD_NONE && row->pool == place &&
		    !config_owns(p, f, &row->address))
			return true;
	}
	return false;
}

/* Where the record is already, else a place that nobody uses. */
static unsigned int find_place(const struct manager *m, const struct config_pool *p,
			       enum ipamd_family f, const bool *taken)
{
	struct ipamd_pool record;

	make_record(p, f, &record);
	for (unsigned int i = 0; i < IPAMD_POOLS; i++)
		if (!taken[i] && is_alike(&m->pin->pools[i], &record) && !has_foreign(m, i, p, f))
			return i;
	for (unsigned int i = 0; i < IPAMD_POOLS; i++)
		if (!taken[i] && !m->pin->pools[i].family)
			return i;
	return IPAMD_POOLS;
}

struct plan {
	unsigned int place[CONFIG_POOLS][IPAMD_FAMILIES];
	bool draining[CONFIG_POOLS];
	bool taken[IPAMD_POOLS];
};

/* Somebody asked for it: the place to which the name leads until now knows. */
static int read_draining(const struct manager *m, const char *name, bool *ret)
{
	struct ipamd_digest key = digest_name(DIGEST_POOL, name);
	__u64 ref;
	int r = pin_name_get(m->pin, &key, &ref);

	for (int f = 0; f < IPAMD_FAMILIES && !r; f++)
		if (ref_get(ref, f) < IPAMD_POOLS && m->pin->pools[ref_get(ref, f)].draining)
			*ret = true;
	return r < 0 ? r : 0; /* no such name: a new pool, and open */
}

static int plan_pool(const struct manager *m, const struct config *c, unsigned int i,
		     struct plan *ret)
{
	for (int f = 0; f < IPAMD_FAMILIES; f++) {
		ret->place[i][f] = IPAMD_NONE;
		if (!c->pool[i].family[f].subnet.base.family)
			continue;
		ret->place[i][f] = find_place(m, &c->pool[i], f, ret->taken);
		if (ret->place[i][f] == IPAMD_POOLS)
			return -ENOSPC;
		ret->taken[ret->place[i][f]] = true;
	}
	return read_draining(m, c->pool[i].name, &ret->draining[i]);
}

/* Nothing is changed before everything has its place. */
static int plan_places(const struct manager *m, const struct config *c, struct plan *ret)
{
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	for (unsigned int i = 0; i < c->pools && !r; i++)
		r = plan_pool(m, c, i, ret);
	return r;
}

static void set_pool(struct manager *m, const struct config_pool *p, enum ipamd_family f,
		     unsigned int place, bool draining)
{
	struct ipamd_pool record, *at = &m->pin->pools[place];
	struct pool *pool = &m->pool[place];

	make_record(p, f, &record);
	record.draining = draining;
	record.valid_until_ms = record.draining ? 0 : IPAMD_FOREVER;
	if (!is_alike(at, &record)) {
		*at = record; /* nobody's until a name leads there */
	} else {
		at->cooldown_ms = record.cooldown_ms;
		at->draining = record.draining;
		mem_store(&at->valid_until_ms, at->draining ? 0 : IPAMD_FOREVER);
	}
	if (!pool->current)
		*pool = (struct pool){.current = true};
	pool->draining = at->draining;
	pool->source.kind = &source_range;
	pool->source.pool = *p;
	pool->source.family = f;
}

static int set_name(struct manager *m, const char *use, const char *name, const unsigned int *place)
{
	struct ipamd_digest key = digest_name(use, name);

	return pin_name_set(m->pin, &key, ref_make(&key, place[IPAMD_V4], place[IPAMD_V6]));
}

static struct plan plan; /* of the last pools_apply() */

static int set_names(struct manager *m, const struct config *c)
{
	unsigned int first = 0;
	int r = 0;

	for (unsigned int i = 0; i < c->pools && !r; i++) {
		const struct config_pool *p = &c->pool[i];

		if (!strcmp(p->name, "default"))
			first = i;
		r = set_name(m, DIGEST_POOL, p->name, plan.place[i]);
		for (unsigned int j = 0; j < p->name_spaces && !r; j++)
			r = set_name(m, DIGEST_NAMESPACE, p->name_space[j], plan.place[i]);
	}
	if (!r) /* the upper half only says that there is one */
		mem_store(&m->pin->meta->default_pools,
			  1ULL << 32 | (__u64)plan.place[first][IPAMD_V6] << 16 |
				  plan.place[first][IPAMD_V4]);
	return r;
}

struct wanted {
	struct ipamd_digest key[CONFIG_POOLS * (1 + CONFIG_NAMESPACES)];
	unsigned int count;
	struct manager *m;
};

/* Names of pools and namespaces of before go; those of addresses and workloads stay. */
static bool is_wanted(void *ctx, const struct ipamd_digest *key, __u64 ref)
{
	const struct wanted *w = ctx;
	unsigned int slots[] = {ref_get(ref, IPAMD_V4), ref_get(ref, IPAMD_V6)};

	for (unsigned int i = 0; i < w->count; i++)
		if (digest_equal(&w->key[i], key))
			return true;
	for (int i = 0; i < 2; i++) {
		struct ipamd_address a;

		if (slots[i] < w->m->pin->meta->slots && !pin_address(w->m->pin, slots[i], &a) &&
		    (digest_equal(&a.key, key) || digest_equal(&a.workload, key)))
			return true;
	}
	return false;
}

static int sweep_names(struct manager *m, const struct config *c)
{
	static struct wanted w;

	w.m = m;
	w.count = 0;
	for (unsigned int i = 0; i < c->pools; i++) {
		w.key[w.count++] = digest_name(DIGEST_POOL, c->pool[i].name);
		for (unsigned int j = 0; j < c->pool[i].name_spaces; j++)
			w.key[w.count++] = digest_name(DIGEST_NAMESPACE, c->pool[i].name_space[j]);
	}
	return pin_name_sweep(m->pin, is_wanted, &w);
}

int pools_apply(struct manager *m, const struct config *c)
{
	static struct plan next;
	int r = plan_places(m, c, &next);

	if (r)
		return r;
	plan = next;
	for (unsigned int i = 0; i < c->pools; i++)
		for (int f = 0; f < IPAMD_FAMILIES; f++)
			if (plan.place[i][f] != IPAMD_NONE)
				set_pool(m, &c->pool[i], f, plan.place[i][f], plan.draining[i]);
	for (unsigned int i = 0; i < IPAMD_POOLS; i++)
		if (!plan.taken[i])
			m->pool[i].current = false;
	return 0;
}

int pools_name(struct manager *m, const struct config *c)
{
	int r = set_names(m, c);

	if (r)
		return r;
	for (unsigned int i = 0; i < IPAMD_POOLS; i++)
		if (!m->pool[i].current) {
			mem_store(&m->pin->pools[i].valid_until_ms, 0);
			m->pin->pools[i].draining = 0;
		}
	return sweep_names(m, c);
}

static bool is_used(const struct manager *m, unsigned int pool)
{
	for (unsigned int slot = 0; slot < m->pin->meta->slots; slot++) {
		uint64_t word = mem_load(&m->pin->words[slot]);

		if (slot_state(word) != IPAMD_EMPTY && slot_pool(word) == pool)
			return true;
	}
	return false;
}

/*
 * By the words, for nothing else tells who still needs the place; and a while after
 * the last of them, for a claim that found the place before the name led away.
 */
void pools_forget(struct manager *m)
{
	uint64_t now = now_ms();

	for (unsigned int i = 0; i < IPAMD_POOLS; i++) {
		struct pool *p = &m->pool[i];

		if (p->current || !m->pin->pools[i].family)
			continue;
		if (is_used(m, i))
			p->unused_at_ms = 0;
		else if (!p->unused_at_ms)
			p->unused_at_ms = now;
		else if (now - p->unused_at_ms >= FORGET_MS) {
			m->pin->pools[i].family = 0;
			m->pin->pools[i].name[0] = '\0';
			p->unused_at_ms = 0;
		}
	}
}

/* Kept in the map, so that it survives the manager. */
void pools_drain(struct manager *m, const char *name, bool on)
{
	for (unsigned int i = 0; i < IPAMD_POOLS; i++) {
		struct ipamd_pool *at = &m->pin->pools[i];

		if (!m->pool[i].current || strcmp(at->name, name))
			continue;
		m->pool[i].draining = on;
		at->draining = on;
		mem_store(&at->valid_until_ms, on ? 0 : IPAMD_FOREVER);
	}
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What no line of a configuration can be blamed for by itself, and the addresses
 * that are handed out when nothing is to be blamed.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "userspace/core/config.h"

/* --- Checking ------------------------------------------------------------------------- */

static bool overlap(const struct addr_range *a, const struct addr_range *b)
{
	return addr_compare(&a->first, &b->last) <= 0 && addr_compare(&b->first, &a->last) <= 0;
}

static bool is_within(const struct addr_range *a, const struct addr_range *b)
{
	return addr_in_range(&a->first, b) && addr_in_range(&a->last, b);
}

#define blame(p, ...)                                                                           \
	(snprintf(error->text, sizeof(error->text), "%s: pool %s: ", (p)->where, (p)->name),    \
	 snprintf(error->text + strlen(error->text), sizeof(error->text) - strlen(error->text), \
		  __VA_ARGS__),                                                                 \
	 -EINVAL)

/* IPv4 has two addresses in a subnet that no host may have, but in one of one or two. */
static bool has_edges(const struct config_family *f)
{
	return f->subnet.base.family == 4 && f->subnet.length < 31;
}

/* Without ranges the whole subnet; IPv4 without its network and broadcast address. */
static void set_default_range(struct config_family *f)
{
	struct addr_range all = addr_prefix_range(&f->subnet);
	uint64_t n = addr_count(&all);

	f->ranges = 1;
	f->range[0] = all;
	if (has_edges(f)) {
		addr_add(&all.first, 1, &f->range[0].first);
		addr_add(&all.first, n - 2, &f->range[0].last);
	} else if (f->subnet.base.family == 6 && f->subnet.length < 127) {
		addr_add(&all.first, 1, &f->range[0].first); /* the routers' anycast address */
	}
}

static int check_range(struct config_pool *p, const struct config_family *f,
		       const struct addr_range *range, struct conf_error *error)
{
	struct addr_range subnet = addr_prefix_range(&f->subnet);
	char text[ADDR_TEXT];

	addr_print(&range->first, text);
	if (!is_within(range, &subnet))
		return blame(p, "the range from %s is not within the subnet", text);
	if (has_edges(f) &&
	    (addr_in_range(&subnet.first, range) || addr_in_range(&subnet.last, range)))
		return blame(p,
			     "the range from %s has the subnet's network or broadcast address; "
			     "without any range all others are handed out",
			     text);
	for (const struct addr_range *other = f->range; other != range; other++)
		if (overlap(range, other))
			return blame(p, "the range from %s overlaps another one", text);
	return 0;
}

static int check_gateway(struct config_pool *p, const struct config_family *f,
			 struct conf_error *error)
{
	struct addr_range subnet = addr_prefix_range(&f->subnet);
	char text[ADDR_TEXT];

	if (!f->gateway.family)
		return 0;
	addr_print(&f->gateway, text);
	if (!addr_in_range(&f->gateway, &subnet))
		return blame(p, "the gateway %s is not within the subnet", text);
	if (has_edges(f) &&
	    (!addr_compare(&f->gateway, &subnet.first) || !addr_compare(&f->gateway, &subnet.last)))
		return blame(p, "the gateway %s is the subnet's network or broadcast address",
			     text);
	return 0;
}

static int check_family(struct config_pool *p, struct config_family *f, struct conf_error *error)
{
	int r = 0;

	if (!f->subnet.base.family) {
		if (f->ranges || f->routes || f->gateway.family)
			return blame(p, "it has a range, route or gateway of a family in which it "
					"has no subnet");
		return 0;
	}
	if (!f->ranges)
		set_default_range(f);
	for (unsigned int i = 0; i < f->ranges && !r; i++)
		r = check_range(p, f, &f->range[i], error);
	return r ? r : check_gateway(p, f, error);
}

static int check_pool(struct config *c, struct config_pool *p, struct conf_error *error)
{
	bool any = false;
	int r = 0;

	for (int f = 0; f < IPAMD_FAMILIES && !r; f++) {
		any |= p->family[f].subnet.base.family != 0;
		r = check_family(p, &p->family[f], error);
	}
	if (r)
		return r;
	if (!any)
		return blame(p, "it needs a \"subnet\"");
	if (p->low > p->high)
		return blame(p, "low (%u) must not be above high (%u)", p->low, p->high);
	if (p->high > c->slots)
		return blame(p, "high (%u) does not fit into %u slots", p->high, c->slots);
	for (int f = 0; f < IPAMD_FAMILIES; f++)
		if (p->family[f].subnet.base.family && !config_count(p, f))
			return blame(p, "no IPv%d address is left to hand out", f ? 6 : 4);
	return 0;
}

/* The end of what keeps `a` from being handed out, or NULL. */
static const struct addr *barred_until(const struct config_pool *p, const struct config_family *f,
				       const struct addr *a)
{
	if (f->gateway.family && !addr_compare(&f->gateway, a))
		return &f->gateway;
	for (unsigned int i = 0; i < p->excludes; i++)
		if (addr_in_range(a, &p->exclude[i]))
			return &p->exclude[i].last;
	return NULL;
}

/* Two pools may share a subnet, but no address. */
static int check_apart(struct config_pool *p, const struct config_pool *q, struct conf_error *error)
{
	for (int f = 0; f < IPAMD_FAMILIES; f++)
		for (unsigned int i = 0; i < p->family[f].ranges; i++)
			for (unsigned int j = 0; j < q->family[f].ranges; j++)
				if (overlap(&p->family[f].range[i], &q->family[f].range[j]))
					return blame(p, "it shares addresses with pool %s (%s)",
						     q->name, q->where);
	return 0;
}

/* Would p hand out the gateway of q?  p's own it never does. */
static int check_gateways(struct config_pool *p, const struct config_pool *q,
			  struct conf_error *error)
{
	char text[ADDR_TEXT];

	for (int f = 0; f < IPAMD_FAMILIES; f++) {
		const struct addr *gateway = &q->family[f].gateway;

		if (!gateway->family || !config_owns(p, f, gateway))
			continue;
		addr_print(gateway, text);
		return blame(p, "it would hand out %s, the gateway of pool %s (%s): exclude it",
			     text, q->name, q->where);
	}
	return 0;
}

/* All pools together must be able to stand at their low marks; *sum: those before. */
static int check_slots(const struct config *c, struct config_pool *p, uint64_t *sum,
		       struct conf_error *error)
{
	for (int f = 0; f < IPAMD_FAMILIES; f++)
		if (p->family[f].subnet.base.family)
			*sum += p->low;
	if (*sum > c->slots)
		return blame(p,
			     "with it the low marks need %" PRIu64 " slots (a family of a pool "
			     "each), and there are %u",
			     *sum, c->slots);
	return 0;
}

int config_check(struct config *c, struct conf_error *error)
{
	uint64_t low = 0;
	int r = 0;

	if (!c->pools) {
		snprintf(error->text, sizeof(error->text),
			 "there is no pool: a section [pool NAME] with a \"subnet\" is needed");
		return -EINVAL;
	}
	for (unsigned int i = 0; i < c->pools && !r; i++) {
		r = check_pool(c, &c->pool[i], error);
		for (unsigned int j = 0; j < i && !r; j++)
			r = check_apart(&c->pool[i], &c->pool[j], error);
		for (unsigned int j = 0; j < i && !r; j++) {
			r = check_gateways(&c->pool[i], &c->pool[j], error);
			if (!r)
				r = check_gateways(&c->pool[j], &c->pool[i], error);
		}
		if (!r)
			r = check_slots(c, &c->pool[i], &low, error);
	}
	return r;
}

/* --- Addresses ---------------------------------------------------------------------------- */

/* The first bar at or after `a`; its beginning, or NULL. */
static const struct addr *next_bar(const struct config_pool *p, const struct config_family *f,
				   const struct addr *a)
{
	const struct addr *next = NULL;

	if (f->gateway.family && addr_compare(&f->gateway, a) >= 0)
		next = &f->gateway;
	for (unsigned int i = 0; i < p->excludes; i++) {
		const struct addr *first = &p->exclude[i].first;

		if (first->family == a->family && addr_compare(first, a) >= 0 &&
		    (!next || addr_compare(first, next) < 0))
			next = first;
	}
	return next;
}

/* Walks the free runs of a family; stops in the one that has the n-th address. */
static uint64_t walk(const struct config_pool *p, const struct config_family *f, uint64_t n,
		     struct addr *ret)
{
	uint64_t before = 0;

	for (unsigned int i = 0; i < f->ranges; i++) {
		struct addr_range run = {f->range[i].first, f->range[i].last};

		for (;;) {
			const struct addr *end = barred_until(p, f, &run.first), *bar;
			struct addr_range open = run;
			uint64_t count;

			if (end) {
				if (addr_compare(end, &run.last) >= 0 ||
				    !addr_add(end, 1, &run.first))
					break;
				continue;
			}
			bar = next_bar(p, f, &run.first);
			if (bar && addr_compare(bar, &run.last) <= 0)
				open.last = *bar;
			count = addr_count(&open) - (addr_compare(&open.last, &run.last) ||
						     (bar && !addr_compare(bar, &run.last)));
			if (ret && n - before < count) {
				addr_add(&open.first, n - before, ret);
				return n + 1;
			}
			before = before + count < before ? UINT64_MAX : before + count;
			if (!bar || addr_compare(bar, &run.last) > 0)
				break;
			run.first = *bar;
		}
	}
	return before;
}

bool config_address(const struct config_pool *p, enum ipamd_family f, uint64_t n, struct addr *ret)
{
	return walk(p, &p->family[f], n, ret) > n;
}

uint64_t config_count(const struct config_pool *p, enum ipamd_family f)
{
	return walk(p, &p->family[f], 0, NULL);
}

bool config_owns(const struct config_pool *p, enum ipamd_family f, const struct addr *a)
{
	const struct config_family *family = &p->family[f];

	for (unsigned int i = 0; i < family->ranges; i++)
		if (addr_in_range(a, &family->range[i]))
			return !barred_until(p, family, a);
	return false;
}

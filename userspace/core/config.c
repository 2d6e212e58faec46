// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/core/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* With a gateway: main plugins put themselves there, ptp insists on one. */
const char config_embedded[] = "[pool default]\n"
			       "subnet = 10.88.0.0/24\n"
			       "gateway = 10.88.0.1\n";

void config_init(struct config *c)
{
	*c = (struct config){
		.slots = 256,
		.pins = IPAMD_DIR,
		.run = "/run/ipamd",
		.state = "/var/lib/ipamd",
		.history_ms = 30 * 24 * 3600 * 1000ULL,
	};
}

/* --- Values ------------------------------------------------------------------- */

enum { KEYS = 16 }; /* of one section, at most */

/* One file: where it has each key that a section, or [manager] in all, has once. */
struct reading {
	struct config *config;
	unsigned int manager_line[KEYS], pool_line[KEYS];
};

/* What a key's reader is given. */
struct place {
	struct config *config;
	struct config_pool *pool; /* of the section, or NULL */
	const struct conf_item *item;
	struct conf_error *error;
};

#define fail(at, ...) conf_fail((at)->error, (at)->item->file, (at)->item->line, __VA_ARGS__)

static int read_number(struct place *at, uint32_t least, uint32_t most, uint32_t *ret)
{
	const char *s = at->item->value;
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(s, &end, 10);
	if (*s < '0' || *s > '9' || *end || errno || n < least || n > most)
		return fail(at, "%s = %.60s: a whole number from %u to %u is allowed",
			    at->item->key, s, least, most);
	*ret = (uint32_t)n;
	return 0;
}

static int read_duration(struct place *at, uint64_t most_ms, uint64_t *ret)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	const char *s = at->item->value;
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(s, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (*s >= '0' && *s <= '9' && !errno && !strcmp(end, units[i].name) &&
		    n <= most_ms / units[i].ms) {
			*ret = n * units[i].ms;
			return 0;
		}
	return fail(at,
		    "%s = %.60s: a whole number and its unit is allowed, ms, s, m, h or d, up to "
		    "%" PRIu64 "d",
		    at->item->key, s, most_ms / 86400000);
}

static int read_path(struct place *at, char ret[CONFIG_PATH])
{
	const char *s = at->item->value;

	if (*s != '/' || strlen(s) >= CONFIG_PATH)
		return fail(at, "%s = %.60s: an absolute path of at most %d bytes is allowed",
			    at->item->key, s, CONFIG_PATH - 1);
	memcpy(ret, s, strlen(s) + 1);
	return 0;
}

static struct config_family *family_of(struct place *at, const struct addr *a)
{
	return &at->pool->family[a->family == 6 ? IPAMD_V6 : IPAMD_V4];
}

static int full(struct place *at, int most)
{
	return fail(at, "more than %d \"%s\" lines in one pool", most, at->item->key);
}

/* --- Keys: [manager] ------------------------------------------------------------ */

static int key_slots(struct place *at)
{
	return read_number(at, IPAMD_SLOTS_MIN, IPAMD_SLOTS_MAX, &at->config->slots);
}

static int key_pins(struct place *at)
{
	return read_path(at, at->config->pins);
}

static int key_run(struct place *at)
{
	return read_path(at, at->config->run);
}

static int key_state(struct place *at)
{
	return read_path(at, at->config->state);
}

static int key_history(struct place *at)
{
	return read_duration(at, 3650 * 86400000ULL, &at->config->history_ms);
}

/* --- Keys: [pool NAME] ------------------------------------------------------------ */

static int key_subnet(struct place *at)
{
	struct addr_prefix p;
	int r = addr_parse_prefix(at->item->value, &p);

	if (r == -EDOM)
		return fail(at, "subnet = %.60s: there are bits set behind the prefix",
			    at->item->value);
	if (r || p.length == 0)
		return fail(at,
			    "subnet = %.60s: a prefix like 10.1.0.0/16 or 2001:db8:1::/64 is "
			    "allowed",
			    at->item->value);
	if (family_of(at, &p.base)->subnet.base.family)
		return fail(at, "a pool has one IPv%u subnet; for another one make another pool",
			    p.base.family);
	family_of(at, &p.base)->subnet = p;
	return 0;
}

static int read_range(struct place *at, struct addr_range *ret)
{
	int r = addr_parse_range(at->item->value, ret);

	if (r == -EDOM)
		return fail(at,
			    "%s = %.90s: it ends before it begins, changes its family, or has "
			    "bits set behind the prefix",
			    at->item->key, at->item->value);
	if (r)
		return fail(at, "%s = %.90s: FIRST-LAST, an address or a prefix is allowed",
			    at->item->key, at->item->value);
	return 0;
}

static int key_range(struct place *at)
{
	struct config_family *f;
	struct addr_range range;
	int r = read_range(at, &range);

	if (r)
		return r;
	f = family_of(at, &range.first);
	if (f->ranges == CONFIG_RANGES)
		return full(at, CONFIG_RANGES);
	f->range[f->ranges++] = range;
	return 0;
}

static int key_exclude(struct place *at)
{
	struct addr_range range;
	int r = read_range(at, &range);

	if (r)
		return r;
	if (at->pool->excludes == CONFIG_EXCLUDES)
		return full(at, CONFIG_EXCLUDES);
	at->pool->exclude[at->pool->excludes++] = range;
	return 0;
}

static int key_gateway(struct place *at)
{
	struct addr a;

	if (addr_parse(at->item->value, &a))
		return fail(at, "gateway = %.60s: an address is allowed", at->item->value);
	if (family_of(at, &a)->gateway.family)
		return fail(at, "a pool has one IPv%u gateway", a.family);
	family_of(at, &a)->gateway = a;
	return 0;
}

static int key_route(struct place *at)
{
	char text[128];
	char *via;
	struct config_route route = {0};
	struct config_family *f;

	snprintf(text, sizeof(text), "%s", at->item->value);
	via = strstr(text, " via ");
	if (via) {
		*via = '\0';
		via += strlen(" via ");
	}
	if (addr_parse_prefix(text, &route.to) || (via && addr_parse(via, &route.via)) ||
	    (via && route.via.family != route.to.base.family))
		return fail(at,
			    "route = %.90s: PREFIX, or PREFIX via ADDRESS of the same family, "
			    "is allowed",
			    at->item->value);
	f = family_of(at, &route.to.base);
	if (f->routes == IPAMD_ROUTES)
		return full(at, IPAMD_ROUTES);
	f->route[f->routes++] = route;
	return 0;
}

static int key_cooldown(struct place *at)
{
	return read_duration(at, 86400000ULL, &at->pool->cooldown_ms);
}

static int key_low(struct place *at)
{
	return read_number(at, 0, IPAMD_SLOTS_MAX, &at->pool->low);
}

static int key_high(struct place *at)
{
	return read_number(at, 1, IPAMD_SLOTS_MAX, &at->pool->high);
}

/* DNS labels, as Kubernetes has them; a pool's name is one too. */
static bool is_label(const char *s, size_t most)
{
	size_t n = strlen(s);

	return n && n <= most && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
	       *s != '-' && s[n - 1] != '-';
}

static int key_namespace(struct place *at)
{
	struct config_pool *p = at->pool;

	if (!is_label(at->item->value, CONFIG_NAMESPACE - 1))
		return fail(at, "namespace = %.80s: the name of a namespace is allowed",
			    at->item->value);
	for (unsigned int i = 0; i < at->config->pools; i++)
		for (unsigned int j = 0; j < at->config->pool[i].name_spaces; j++)
			if (!strcmp(at->config->pool[i].name_space[j], at->item->value))
				return fail(at, "namespace %s has pool %s already", at->item->value,
					    at->config->pool[i].name);
	if (p->name_spaces == CONFIG_NAMESPACES)
		return full(at, CONFIG_NAMESPACES);
	memcpy(p->name_space[p->name_spaces++], at->item->value, strlen(at->item->value) + 1);
	return 0;
}

/* --- Reading ------------------------------------------------------------------------ */

struct key {
	const char *name;
	int (*read)(struct place *at);
	bool once; /* in a section, or in the [manager] of a file; the others see to it themselves
		    */
};

static const struct key manager_keys[] = {
	{"slots", key_slots, true}, {"pins", key_pins, true},       {"run", key_run, true},
	{"state", key_state, true}, {"history", key_history, true}, {0},
};

static const struct key pool_keys[] = {
	{"subnet", key_subnet, false},
	{"range", key_range, false},
	{"exclude", key_exclude, false},
	{"gateway", key_gateway, false},
	{"route", key_route, false},
	{"cooldown", key_cooldown, true},
	{"low", key_low, true},
	{"high", key_high, true},
	{"namespace", key_namespace, false},
	{0},
};

_Static_assert(sizeof(manager_keys) / sizeof(manager_keys[0]) <= KEYS, "room for each key's line");
_Static_assert(sizeof(pool_keys) / sizeof(pool_keys[0]) <= KEYS, "room for each key's line");

static int begin_pool(struct place *at)
{
	struct config *c = at->config;
	struct config_pool *p = &c->pool[c->pools];

	if (!is_label(at->item->name, CONFIG_NAME - 1))
		return fail(at,
			    "[pool %.60s]: a name of at most %d lower-case letters, digits and "
			    "dashes is allowed",
			    at->item->name, CONFIG_NAME - 1);
	for (unsigned int i = 0; i < c->pools; i++)
		if (!strcmp(c->pool[i].name, at->item->name))
			return fail(at, "pool %s is at %s already", at->item->name,
				    c->pool[i].where);
	if (c->pools == CONFIG_POOLS)
		return fail(at, "more than %d pools", CONFIG_POOLS);
	*p = (struct config_pool){.cooldown_ms = 30000, .low = 5, .high = 50};
	snprintf(p->name, sizeof(p->name), "%s", at->item->name);
	snprintf(p->where, sizeof(p->where), "%.140s:%u", at->item->file, at->item->line);
	c->pools++;
	return 0;
}

static int begin_section(struct place *at)
{
	if (!strcmp(at->item->section, "manager") && !*at->item->name)
		return 0;
	if (!strcmp(at->item->section, "pool"))
		return begin_pool(at);
	return fail(at, "[%.40s%s%.40s]: [manager] and [pool NAME] are allowed", at->item->section,
		    *at->item->name ? " " : "", at->item->name);
}

static int read_once(struct place *at, const struct key *k, unsigned int *line)
{
	if (k->once && *line)
		return fail(at, "%s stands at line %u already", k->name, *line);
	*line = at->item->line;
	return k->read(at);
}

static int read_key(struct place *at, const struct key *keys, unsigned int line[KEYS])
{
	char allowed[256] = "";

	for (const struct key *k = keys; k->name; k++) {
		if (!strcmp(k->name, at->item->key))
			return read_once(at, k, &line[k - keys]);
		snprintf(allowed + strlen(allowed), sizeof(allowed) - strlen(allowed), "%s%s",
			 k == keys ? "" : ", ", k->name);
	}
	return fail(at, "there is no key \"%.60s\" in [%s]; allowed are %s", at->item->key,
		    at->item->section, allowed);
}

static int read_item(void *ctx, const struct conf_item *item, struct conf_error *error)
{
	struct reading *reading = ctx;
	struct config *c = reading->config;
	struct place at = {.config = c, .item = item, .error = error};

	if (!item->key) {
		memset(reading->pool_line, 0, sizeof(reading->pool_line));
		return begin_section(&at);
	}
	if (!strcmp(item->section, "manager"))
		return read_key(&at, manager_keys, reading->manager_line);
	if (!strcmp(item->section, "pool")) {
		at.pool = &c->pool[c->pools - 1];
		return read_key(&at, pool_keys, reading->pool_line);
	}
	return fail(&at, "\"%.60s\" stands in no section: [manager] or [pool NAME] goes before it",
		    item->key);
}

int config_read(struct config *c, const char *file, char *text, size_t size,
		struct conf_error *error)
{
	struct reading reading = {.config = c};

	return conf_read(file, text, size, read_item, &reading, error);
}

/* --- Printing -------------------------------------------------------------------------------- */

static void print_duration(const char *key, uint64_t ms, FILE *to)
{
	if (ms && ms % 86400000 == 0)
		fprintf(to, "%s = %" PRIu64 "d\n", key, ms / 86400000);
	else if (ms % 1000)
		fprintf(to, "%s = %" PRIu64 "ms\n", key, ms);
	else
		fprintf(to, "%s = %" PRIu64 "s\n", key, ms / 1000);
}

static void print_range(const char *key, const struct addr_range *range, FILE *to)
{
	char first[ADDR_TEXT], last[ADDR_TEXT];

	addr_print(&range->first, first);
	addr_print(&range->last, last);
	if (addr_compare(&range->first, &range->last))
		fprintf(to, "%s = %s-%s\n", key, first, last);
	else
		fprintf(to, "%s = %s\n", key, first);
}

static void print_family(const struct config_family *f, FILE *to)
{
	char text[ADDR_TEXT];

	if (!f->subnet.base.family)
		return;
	addr_print(&f->subnet.base, text);
	fprintf(to, "subnet = %s/%u\n", text, f->subnet.length);
	for (unsigned int i = 0; i < f->ranges; i++)
		print_range("range", &f->range[i], to);
	if (f->gateway.family) {
		addr_print(&f->gateway, text);
		fprintf(to, "gateway = %s\n", text);
	}
	for (unsigned int i = 0; i < f->routes; i++) {
		addr_print(&f->route[i].to.base, text);
		fprintf(to, "route = %s/%u", text, f->route[i].to.length);
		if (f->route[i].via.family) {
			addr_print(&f->route[i].via, text);
			fprintf(to, " via %s", text);
		}
		fputc('\n', to);
	}
}

void config_print(const struct config *c, FILE *to)
{
	fprintf(to, "[manager]\nslots = %u\npins = %s\nrun = %s\nstate = %s\n", c->slots, c->pins,
		c->run, c->state);
	print_duration("history", c->history_ms, to);
	for (unsigned int i = 0; i < c->pools; i++) {
		const struct config_pool *p = &c->pool[i];

		fprintf(to, "\n[pool %s]\n", p->name);
		for (int f = 0; f < IPAMD_FAMILIES; f++)
			print_family(&p->family[f], to);
		for (unsigned int j = 0; j < p->excludes; j++)
			print_range("exclude", &p->exclude[j], to);
		print_duration("cooldown", p->cooldown_ms, to);
		fprintf(to, "low = %u\nhigh = %u\n", p->low, p->high);
		for (unsigned int j = 0; j < p->name_spaces; j++)
			fprintf(to, "namespace = %s\n", p->name_space[j]);
	}
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ipamctl show: the addresses, sorted. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/ctl/ctl.h"
#include "userspace/edge/call.h"
#include "userspace/edge/portrait.h"

struct item {
	struct addr address;
	const struct tree *tree;
};

static int compare(const void *a, const void *b)
{
	return addr_compare(&((const struct item *)a)->address, &((const struct item *)b)->address);
}

/* How long it has been so, or for how long it will be. */
static int add_time(struct table *t, const struct tree *item)
{
	const struct tree *holder = tree_get(item, "holder");
	char time[PRINT_TIME];

	if (tree_get(item, "ready_in_ms"))
		return table_cell(t, TABLE_PLAIN, "%s left",
				  print_duration(tree_number(item, "ready_in_ms"), time));
	if (tree_get(item, "idle_ms"))
		return table_cell(t, TABLE_PLAIN, "%s",
				  print_duration(tree_number(item, "idle_ms"), time));
	if (tree_get(holder, "for_ms"))
		return table_cell(t, TABLE_PLAIN, "%s",
				  print_duration(tree_number(holder, "for_ms"), time));
	return table_cell(t, TABLE_PLAIN, "-");
}

static int add_holder(struct table *t, const struct tree *holder)
{
	if (!holder)
		return table_cell(t, TABLE_PLAIN, "-");
	if (*tree_text(holder, "pod"))
		return table_cell(t, TABLE_PLAIN, "%s/%s", tree_text(holder, "namespace"),
				  tree_text(holder, "pod"));
	return table_cell(t, TABLE_PLAIN, "%s", tree_text(holder, "container"));
}

static int add(struct table *t, const struct tree *item)
{
	const char *state = tree_text(item, "state"), *fixed = tree_text(item, "fixed_for");
	int r = table_row(t);

	r |= table_cell(t, TABLE_PLAIN, "%s", tree_text(item, "address"));
	r |= table_cell(t, TABLE_PLAIN, "%s", tree_text(item, "pool"));
	r |= table_cell(t, print_colour_of(state), "%s", state);
	r |= add_time(t, item);
	r |= table_cell(t, TABLE_PLAIN, "%" PRIu64, tree_number(item, "claims"));
	r |= add_holder(t, tree_get(item, "holder"));
	r |= table_cell(t, TABLE_PLAIN, "%s",
			*fixed                     ? fixed
			: tree_bool(item, "fixed") ? "(fixed)"
						   : "-");
	return r;
}

static int print_items(const struct ctl *c, const struct item *items, size_t count)
{
	static const struct table_column columns[] = {
		{"ADDRESS", false}, {"POOL", false},   {"STATE", false},     {"FOR", true},
		{"CLAIMS", true},   {"HOLDER", false}, {"FIXED FOR", false}, {0},
	};
	struct table *t = NULL;
	int r = table_open(columns, c->colours, &t);

	for (size_t i = 0; !r && i < count; i++)
		r = add(t, items[i].tree);
	if (!r)
		r = table_print(t, stdout);
	table_close(t);
	return r ? ctl_fail(CTL_FAILED, "the table cannot be printed") : CTL_OK;
}

static int print_addresses(const struct ctl *c, const struct tree *addresses)
{
	size_t count = tree_count(addresses);
	auto_free struct item *items = calloc(count + 1, sizeof(*items));

	if (!items)
		return ctl_fail(CTL_FAILED, "out of memory");
	if (!count)
		fputs("ipamctl: no such address\n", stderr);
	for (size_t i = 0; i < count; i++) {
		items[i].tree = tree_at(addresses, i);
		if (addr_parse(tree_text(items[i].tree, "address"), &items[i].address))
			items[i].address.family = 0; /* shown all the same */
	}
	qsort(items, count, sizeof(*items), compare);
	return print_items(c, items, count);
}

int command_show(const struct ctl *c)
{
	auto_answer struct answer a = {0};
	char path[CALL_PATH] = "/v1/slots";
	bool fits = true;
	int r;

	if (c->option[1] && !portrait_is_state(c->option[1]))
		return help_usage(c->command,
				  "--state %s: ready, cooling, claiming, held, leaving, "
				  "quarantine or waiting is allowed",
				  c->option[1]);
	if (c->option[0])
		fits = call_argument(path, "pool", c->option[0]);
	if (c->option[1])
		fits = fits && call_argument(path, "state", c->option[1]);
	r = ask_long(fits);
	if (!r)
		r = ask_read(c, path, kernel_slots, &a);
	if (r)
		return r;
	return c->json ? print_answer(&a) : print_addresses(c, tree_get(a.tree, "addresses"));
}

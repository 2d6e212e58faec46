// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ipamctl history: who held an address; the manager's database alone knows. */
#include <inttypes.h>
#include <string.h>

#include "userspace/ctl/ctl.h"
#include "userspace/edge/call.h"

static int add(struct table *t, const struct tree *hold)
{
	const char *end = tree_text(hold, "end"), *pod = tree_text(hold, "pod");
	char date[PRINT_TIME];
	int r = table_row(t);

	r |= table_cell(t, TABLE_PLAIN, "%s", print_date(tree_number(hold, "from_ms"), date));
	r |= table_cell(t, TABLE_PLAIN, "%s", print_date(tree_number(hold, "to_ms"), date));
	r |= table_cell(t, TABLE_PLAIN, "%" PRIu64, tree_number(hold, "unseen_before"));
	r |= table_cell(t, TABLE_PLAIN, "%s", *pod ? pod : "-");
	r |= table_cell(t, TABLE_PLAIN, "%s", tree_text(hold, "holder"));
	r |= table_cell(t, TABLE_PLAIN, "%s%s", *end ? end : "holds it",
			tree_bool(hold, "clock_went_back") ? " (the clock went back)" : "");
	return r;
}

static int print_holds(const struct ctl *c, const struct tree *holds)
{
	static const struct table_column columns[] = {
		{"FROM", false}, {"TO", false}, {"UNSEEN", true}, {"POD", false}, {"HOLDER", false},
		{"END", false},  {0},
	};
	struct table *t = NULL;
	int r = table_open(columns, c->colours, &t);

	for (size_t i = 0; !r && i < tree_count(holds); i++)
		r = add(t, tree_at(holds, i));
	if (!r)
		r = table_print(t, stdout);
	table_close(t);
	return r ? ctl_fail(CTL_FAILED, "the table cannot be printed") : CTL_OK;
}

int command_history(const struct ctl *c)
{
	auto_answer struct answer a = {0};
	char path[CALL_PATH] = "/v1/history";
	struct addr address;
	int r = ask_address(c, c->argument[0], &address);

	if (!r)
		r = ask_long(call_argument(path, "address", c->argument[0]));
	if (!r)
		r = ask_read(c, path, NULL, &a);
	if (r)
		return r;
	if (!tree_count(tree_get(a.tree, "holds")))
		return ctl_fail(CTL_NOT_FOUND, "nobody is remembered to have held %s",
				c->argument[0]);
	return c->json ? print_answer(&a) : print_holds(c, tree_get(a.tree, "holds"));
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ipamctl explain: why an address is where it is, in sentences. */
#include <string.h>

#include "userspace/ctl/ctl.h"
#include "userspace/edge/call.h"

static void print_one(const struct ctl *c, const struct tree *item)
{
	const struct tree *why = tree_get(item, "why");
	const char *state = tree_text(item, "state");

	print_text(tree_text(item, "address"), stdout);
	if (strcmp(tree_text(item, "pool"), "none"))
		printf(", pool %s", tree_text(item, "pool"));
	fputs(": ", stdout);
	print_coloured(c, print_colour_of(state), state, stdout);
	putchar('\n');
	for (size_t i = 0; i < tree_count(why); i++) {
		fputs("  ", stdout);
		print_text(tree_text_at(why, i), stdout);
		putchar('\n');
	}
}

int command_explain(const struct ctl *c)
{
	auto_answer struct answer a = {0};
	char path[CALL_PATH] = "/v1/explain";
	const struct tree *found;
	int r = ask_long(call_argument(path, "q", c->argument[0]));

	if (!r)
		r = ask_read(c, path, kernel_explain, &a);
	if (r || c->json)
		return r ? r : print_answer(&a);
	found = tree_get(a.tree, "found");
	for (size_t i = 0; i < tree_count(found); i++)
		print_one(c, tree_at(found, i));
	return CTL_OK;
}

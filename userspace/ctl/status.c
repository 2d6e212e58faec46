// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ipamctl status: the manager, the balance, and a line for each pool. */
#include <inttypes.h>
#include <string.h>

#include "userspace/ctl/ctl.h"

static void say_manager(const struct ctl *c, const struct answer *a, FILE *to)
{
	char time[PRINT_TIME], line[128];

	fputs("manager   ", to);
	if (!a->from_maps) {
		snprintf(line, sizeof(line), "pid %" PRIu64 ", up %s", tree_number(a->tree, "pid"),
			 print_duration(tree_number(a->tree, "up_ms"), time));
		print_coloured(c, TABLE_GOOD, line, to);
		if (strcmp(tree_text(a->tree, "kind"), "manager"))
			fputs("; leaves when nobody asks", to);
	} else if (tree_get(a->tree, "silent_ms")) {
		snprintf(line, sizeof(line), "silent for %s",
			 print_duration(tree_number(a->tree, "silent_ms"), time));
		print_coloured(c, TABLE_BAD, line, to);
	} else {
		print_coloured(c, TABLE_BAD, "none", to);
	}
	fputc('\n', to);
}

static void say_place(const struct ctl *c, const struct answer *a, FILE *to)
{
	const struct tree *balance = tree_get(a->tree, "balance");

	fprintf(to, "slots     %" PRIu64 " of %" PRIu64 " used, pinned at ",
		tree_number(balance, "slots_used"), tree_number(a->tree, "slots"));
	print_text(tree_text(a->tree, "pins"), to);
	if (!a->from_maps && !tree_bool(a->tree, "pins_current"))
		print_coloured(c, TABLE_BAD, " - not what the manager serves: restart ipamd", to);
	fputc('\n', to);
	if (a->from_maps)
		return;
	fputs("database  ", to);
	if (strcmp(tree_text(a->tree, "database"), "ok"))
		print_coloured(c, TABLE_BAD, "fails: see the manager's log", to);
	else
		fputs("ok", to);
	fputc('\n', to);
}

/* "132 addresses = 12 ready + 120 held", without what is zero. */
static void say_sum(const struct tree *balance, FILE *to)
{
	static const char *const parts[] = {"ready",   "cooling",    "held",
					    "leaving", "quarantine", "waiting"};
	const char *between = " = ";

	fprintf(to, "%" PRIu64 " addresses", tree_number(balance, "provisioned"));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!tree_number(balance, parts[i]))
			continue;
		fprintf(to, "%s%" PRIu64 " %s", between, tree_number(balance, parts[i]), parts[i]);
		between = " + ";
	}
}

static void say_balance(const struct ctl *c, const struct answer *a, FILE *to)
{
	const struct tree *balance = tree_get(a->tree, "balance");

	fputs("balance   ", to);
	say_sum(balance, to);
	if (!a->from_maps && !tree_bool(balance, "holds"))
		print_coloured(c, TABLE_BAD, " - does not hold: ipamctl check", to);
	fputc('\n', to);
}

/* A pool of IPv6 has more than anybody wants to count. */
static int add_mark(struct table *t, const struct tree *p, const char *key)
{
	if (!tree_get(p, key))
		return table_cell(t, TABLE_PLAIN, "-");
	if (tree_number(p, key) > 1000000000)
		return table_cell(t, TABLE_PLAIN, ">10^9");
	return table_cell(t, TABLE_PLAIN, "%" PRIu64, tree_number(p, key));
}

static int add_pool(struct table *t, const struct tree *p, bool from_maps)
{
	static const char *const numbers[] = {"ready", "cooling", "held", "leaving", "quarantine"};
	static const char *const marks[] = {"low", "high", "size"};
	const char *state = tree_text(p, "state");
	char time[PRINT_TIME];
	int r = table_row(t);

	r |= table_cell(t, TABLE_PLAIN, "%s", tree_text(p, "name"));
	r |= table_cell(t, TABLE_PLAIN, "v%" PRIu64, tree_number(p, "family"));
	r |= table_cell(t, print_colour_of(state), "%s", state);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint64_t n = tree_number(p, numbers[i]);
		bool bad = (i == 0 && !n && !strcmp(state, "open")) || (i == 4 && n);

		r |= table_cell(t, bad ? TABLE_BAD : TABLE_PLAIN, "%" PRIu64, n);
	}
	r |= table_cell(t, TABLE_PLAIN, "%s", print_duration(tree_number(p, "cooldown_ms"), time));
	for (size_t i = 0; !from_maps && i < sizeof(marks) / sizeof(marks[0]); i++)
		r |= add_mark(t, p, marks[i]);
	return r;
}

static int print_pools(const struct ctl *c, const struct answer *a, FILE *to)
{
	static const struct table_column with_marks[] = {
		{"POOL", false},
		{"IP", false},
		{"STATE", false},
		{"READY", true},
		{"COOLING", true},
		{"HELD", true},
		{"LEAVING", true},
		{"QUARANTINE", true},
		{"COOLDOWN", true},
		{"LOW", true},
		{"HIGH", true},
		{"SIZE", true},
		{0},
	};
	static const struct table_column without[] = {
		{"POOL", false},    {"IP", false},
		{"STATE", false},   {"READY", true},
		{"COOLING", true},  {"HELD", true},
		{"LEAVING", true},  {"QUARANTINE", true},
		{"COOLDOWN", true}, {0},
	};
	const struct tree *pools = tree_get(a->tree, "pools");
	struct table *t = NULL;
	int r = table_open(a->from_maps ? without : with_marks, c->colours, &t);

	for (size_t i = 0; !r && i < tree_count(pools); i++)
		r = add_pool(t, tree_at(pools, i), a->from_maps);
	if (!r)
		r = table_print(t, to);
	table_close(t);
	return r ? ctl_fail(CTL_FAILED, "the table cannot be printed") : CTL_OK;
}

int status_print(const struct ctl *c, const struct answer *a, bool head, FILE *to)
{
	if (head)
		say_manager(c, a, to);
	say_place(c, a, to);
	say_balance(c, a, to);
	fputc('\n', to);
	return print_pools(c, a, to);
}

int command_status(const struct ctl *c)
{
	auto_answer struct answer a = {0};
	int r = ask_read(c, "/v1/status", kernel_status, &a);

	if (r)
		return r;
	return c->json ? print_answer(&a) : status_print(c, &a, true, stdout);
}

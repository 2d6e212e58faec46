// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Prints docs/recovery.md: every combination of evidence is asked of the judge;
 * combinations that differ in nothing become one line.
 */
#include "selftests/recover_table.h"

#include <string.h>

static const char head[] =
	"# What recovery decides\n"
	"\n"
	"What becomes of an address when the manager starts, or looks again, and map,\n"
	"database, source and witnesses do not agree. This file is printed by the test of\n"
	"`userspace/core/recover.c`, which fails when it is not what the judge says:\n"
	"\n"
	"    build/selftests/recover_test table >docs/recovery.md\n"
	"\n"
	"A verdict is one step. When it was carried out (the row durable first, then the\n"
	"slot), the address is judged again, until nothing changes; recover_test walks all\n"
	"such ways to their ends.\n"
	"\n"
	"What stands above the cells:\n"
	"\n"
	"* A source that was read and says *not ours* wins over all but a hold. The address\n"
	"  goes through quarantine, so that one bad answer costs nothing.\n"
	"* An address that a witness sees in a namespace is not claimable and does not\n"
	"  leave. When its slot is gone, it is filled as held.\n"
	"* Nothing enters a slot claimable before the source was read and says *ours*, and\n"
	"  the witnesses were read and see nothing. What is in a slot of a whole map stays\n"
	"  claimable without them: a manager that restarts while its cloud is down serves\n"
	"  on.\n"
	"* Nothing leaves a quarantine, and no row is forgotten, before both were read.\n"
	"* What is held, and may not be ours when it is released, has a row in quarantine:\n"
	"  the next start knows of it too. A kernel that releases it makes it FREE after its\n"
	"  cooldown; the manager has that long to put it into quarantine.\n"
	"* Three ages of a map: *whole* (of this boot, with all its slots), *lost* (ipamd\n"
	"  ran in this boot, the map is gone: an ADD may have claimed and not yet\n"
	"  configured, so that no witness sees it; 120 s and a whole cooldown pass before\n"
	"  anything is claimable, 120 s before anything leaves, and then the witnesses are\n"
	"  read once more) and *of another boot* (no claim is older than this start;\n"
	"  a first start is that, with no rows). What a refill brings within that time\n"
	"  after a loss is judged, and waits, as an address without a row.\n"
	"* A database that was damaged or lost beside a map, or is another map's, has no\n"
	"  rows for its slots: the map is the truth on claims, and its rows are adopted.\n"
	"\n"
	"`unread`: not read, or not to its end. `-`: whatever it says. `old`: of the same\n"
	"pair, and the map's epoch is newer. Where a row is not named with `old` or `of\n"
	"another pair`, it makes no difference there.\n";

static const char *const maps[] = {
	[MAP_FREE] = "The map has it FREE, and ready",
	[MAP_COOLING] = "The map has it FREE, and not ready yet",
	[MAP_HELD] = "The map has it HELD (or CLAIMING)",
	[MAP_LEAVING] = "The map has it LEAVING",
	[MAP_QUARANTINE] = "The map has it in QUARANTINE",
	[MAP_NO_SLOT] = "The map is whole, and the address in no slot",
	[MAP_LOST] = "The map was lost in this boot",
	[MAP_OTHER_BOOT] = "ipamd has not run in this boot",
};

static const char *const rows[] = {
	[ROW_STOCK] = "stock",     [ROW_HELD] = "held", [ROW_COOLING] = "cooling",
	[ROW_LEAVING] = "leaving", [ROW_NONE] = "none", [ROW_QUARANTINE] = "quarantine",
};

static const char *const slots[] = {
	[KEEP_SLOT] = "keep",
	[HOLD_BACK] = "hold back",
	[FILL_READY] = "fill, ready",
	[FILL_COOLING] = "fill, cooling",
	[FILL_HELD] = "fill, held",
	[LATER_DEADLINE] = "later deadline",
	[TO_COOLING] = "to cooling",
	[TO_QUARANTINE] = "to quarantine",
	[GO_ON_LEAVING] = "go on leaving",
};

static const char *const changes[] = {
	[ROW_KEEP] = "keep",
	[ROW_BECOMES_STOCK] = "stock",
	[ROW_BECOMES_HELD] = "held",
	[ROW_BECOMES_COOLING] = "cooling",
	[ROW_BECOMES_LEAVING] = "leaving",
	[ROW_BECOMES_QUARANTINE] = "quarantine",
	[ROW_ADOPTED] = "adopted",
	[ROW_GOES] = "goes",
};

static const char *const sources[] = {"unread", "ours", "not ours"};
static const char *const witnesses[] = {"unread", "sees it", "sees nothing"};

/* What else is known; the plain row is the first. */
static const struct {
	const char *text;
	bool same_holder, row_is_old, other_pair;
} kinds[] = {
	{"", false, false, false},
	{", the same holder", true, false, false},
	{", old", false, true, false},
	{", of another pair", false, false, true},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

struct grid {
	struct recover_verdict at[SOURCES][WITNESSES];
};

static struct grid ask(enum recover_map map, enum recover_row row, int kind)
{
	struct grid g;

	for (int s = 0; s < SOURCES; s++)
		for (int w = 0; w < WITNESSES; w++) {
			struct recover_evidence e = {
				.map = map,
				.row = row,
				.source = s,
				.witness = w,
				.same_holder = kinds[kind].same_holder,
				.row_is_old = kinds[kind].row_is_old,
				.other_pair = kinds[kind].other_pair,
			};

			g.at[s][w] = recover_judge(&e);
		}
	return g;
}

bool table_same(const struct recover_verdict *a, const struct recover_verdict *b)
{
	return a->slot == b->slot && a->row == b->row && a->wait_ms == b->wait_ms &&
	       a->gap == b->gap && a->quarantine_on_release == b->quarantine_on_release &&
	       !strcmp(a->reason, b->reason);
}

static bool same_grid(const struct grid *a, const struct grid *b)
{
	for (int s = 0; s < SOURCES; s++)
		for (int w = 0; w < WITNESSES; w++)
			if (!table_same(&a->at[s][w], &b->at[s][w]))
				return false;
	return true;
}

/* Do the sources of the set `ss` and the witnesses of the set `ws` all say the same? */
static bool is_one(const struct grid *g, int ss, int ws)
{
	const struct recover_verdict *first = NULL;

	for (int i = 0; i < SOURCES * WITNESSES; i++) {
		const struct recover_verdict *v = &g->at[i / WITNESSES][i % WITNESSES];

		if (!(ss >> i / WITNESSES & 1) || !(ws >> i % WITNESSES & 1))
			continue;
		if (first && !table_same(first, v))
			return false;
		first = v;
	}
	return true;
}

static void print_set(int set, const char *const names[], FILE *to)
{
	const char *comma = "";

	if (set == 7) {
		fputs(" - |", to);
		return;
	}
	fputc(' ', to);
	for (int i = 0; i < 3; i++)
		if (set >> i & 1) {
			fprintf(to, "%s%s", comma, names[i]);
			comma = ", ";
		}
	fputs(" |", to);
}

static void print_line(const char *row, int kind, const struct grid *g, int ss, int ws, FILE *to)
{
	const struct recover_verdict *v = &g->at[__builtin_ctz(ss)][__builtin_ctz(ws)];

	fprintf(to, "| %s%s |", row, kinds[kind].text);
	print_set(ss, sources, to);
	print_set(ws, witnesses, to);
	fprintf(to, " %s%s%s |", slots[v->slot], v->wait_ms ? ", after the longest ADD" : "",
		v->quarantine_on_release ? ", quarantine on release" : "");
	fprintf(to, " %s%s | %s |\n", changes[v->row], v->gap ? ", a gap in history" : "",
		v->reason);
}

/* The largest block of what is not printed yet, and of those the first. */
static int largest(const struct grid *g, const bool done[SOURCES][WITNESSES])
{
	int best = 0, best_size = 0;

	for (int set = 0; set < 64; set++) {
		int ss = set & 7, ws = set >> 3,
		    size = __builtin_popcount(ss) * __builtin_popcount(ws);
		bool open = true;

		for (int i = 0; i < SOURCES * WITNESSES; i++)
			if (ss >> i / WITNESSES & 1 && ws >> i % WITNESSES & 1)
				open &= !done[i / WITNESSES][i % WITNESSES];
		if (open && size > best_size && is_one(g, ss, ws)) {
			best = set;
			best_size = size;
		}
	}
	return best;
}

static void print_grid(const char *row, int kind, const struct grid *g, FILE *to)
{
	bool done[SOURCES][WITNESSES] = {0};
	int set;

	while ((set = largest(g, done))) {
		print_line(row, kind, g, set & 7, set >> 3, to);
		for (int i = 0; i < SOURCES * WITNESSES; i++)
			if (set >> i / WITNESSES & 1 && set >> (3 + i % WITNESSES) & 1)
				done[i / WITNESSES][i % WITNESSES] = true;
	}
}

/* A row of one kind, unless a line above or the column without a row says it already. */
static void print_row(enum recover_map map, enum recover_row row, int kind, FILE *to)
{
	struct grid g = ask(map, row, kind), plain = ask(map, row, 0), none = ask(map, ROW_NONE, 0);
	struct grid before = ask(map, row, kind ? kind - 1 : 0);

	if (kind && same_grid(&g, &plain))
		return;
	if (kind && same_grid(&g, &none))
		fprintf(to, "| %s%s | | | as without a row | | |\n", rows[row], kinds[kind].text);
	else if (kind && same_grid(&g, &before))
		fprintf(to, "| %s%s | | | as%s | | |\n", rows[row], kinds[kind].text,
			kinds[kind - 1].text + 1);
	else
		print_grid(rows[row], kind, &g, to);
}

void table_print(FILE *to)
{
	fputs(head, to);
	for (int map = 0; map < RECOVER_MAPS; map++) {
		fprintf(to,
			"\n## %s\n\n"
			"| row | source | witnesses | slot | row becomes | because |\n"
			"|---|---|---|---|---|---|\n",
			maps[map]);
		for (int row = 0; row < RECOVER_ROWS; row++)
			for (int kind = 0; kind < KINDS; kind++)
				print_row(map, row, kind, to);
	}
}

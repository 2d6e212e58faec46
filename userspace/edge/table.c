// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/edge/table.h"

#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>

#include "userspace/base/cleanup.h"

struct table {
	struct libscols_table *scols;
	struct libscols_line *line;
	unsigned int cell;
};

int table_open(const struct table_column *columns, bool colours, struct table **ret)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->scols = scols_new_table();
	if (!t->scols) {
		free(t);
		return -ENOMEM;
	}
	scols_table_enable_colors(t->scols, colours);
	/* As wide as it gets: the terminal may wrap it, a pipe must not lose anything. */
	scols_table_set_termforce(t->scols, SCOLS_TERMFORCE_NEVER);
	scols_table_set_column_separator(t->scols, "  ");
	for (; columns->name; columns++)
		if (!scols_table_new_column(t->scols, columns->name, 0,
					    columns->right ? SCOLS_FL_RIGHT : 0)) {
			table_close(t);
			return -ENOMEM;
		}
	*ret = t;
	return 0;
}

void table_close(struct table *table)
{
	if (!table)
		return;
	scols_unref_table(table->scols);
	free(table);
}

int table_row(struct table *table)
{
	table->line = scols_table_new_line(table->scols, NULL);
	table->cell = 0;
	return table->line ? 0 : -ENOMEM;
}

int table_cell(struct table *table, enum table_colour colour, const char *format, ...)
{
	static const char *const sequence[] = {
		[TABLE_GOOD] = "\033[32m", [TABLE_ODD] = "\033[33m", [TABLE_BAD] = "\033[1;31m"};
	auto_free char *text = NULL;
	va_list args;
	int n, r;

	if (!table->line)
		return -ENOMEM;
	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	r = scols_line_set_data(table->line, table->cell, text);
	if (!r && colour != TABLE_PLAIN)
		r = scols_cell_set_color(scols_line_get_cell(table->line, table->cell),
					 sequence[colour]);
	table->cell++;
	return r;
}

int table_print(struct table *table, FILE *to)
{
	scols_table_set_stream(table->scols, to);
	return scols_table_is_empty(table->scols) ? 0 : scols_print_table(table->scols);
}

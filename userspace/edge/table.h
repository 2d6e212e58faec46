/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A table for people, over libsmartcols: columns as wide as they need to be,
 * numbers to the right, and what a terminal would obey shown as \x1b.  Nothing is
 * ever cut off.
 */
#ifndef IPAMD_EDGE_TABLE_H
#define IPAMD_EDGE_TABLE_H

#include <stdbool.h>
#include <stdio.h>

struct table;

enum table_colour { TABLE_PLAIN, TABLE_GOOD, TABLE_ODD, TABLE_BAD };

struct table_column {
	const char *name;
	bool right;
};

/* `columns` ends with one that has no name. */
int table_open(const struct table_column *columns, bool colours, struct table **ret);
void table_close(struct table *table);

/* A row, and its cells from left to right; one that is not given is empty. */
int table_row(struct table *table);
int table_cell(struct table *table, enum table_colour colour, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* -errno when it could not be written. */
int table_print(struct table *table, FILE *to);

#endif

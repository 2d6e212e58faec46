/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The lines of a configuration file:
 *
 *	# a comment, on a line of its own
 *	[section name]
 *	key = value
 *
 * No quotes, no continuation, no includes; a line of any length is one line.
 * What a key means is the caller's; where it stood goes with it, so that every
 * complaint names file and line.
 */
#ifndef IPAMD_BASE_CONF_H
#define IPAMD_BASE_CONF_H

#include <stddef.h>

struct conf_error {
	char text[512]; /* "file:line: what is wrong, and what is allowed" */
};

struct conf_item {
	const char *file;
	unsigned int line;
	const char *section; /* "" before the first */
	const char *name;    /* what follows the section's word, or "" */
	const char *key;     /* NULL: the section begins here */
	const char *value;
};

/* -EINVAL with the error filled in. */
int conf_fail(struct conf_error *error, const char *file, unsigned int line, const char *format,
	      ...) __attribute__((format(printf, 4, 5)));

/*
 * Hands each section and each key to `item`, in order, and stops at its first
 * error, or at a line that is none of the three.  `text` is cut up in place, and
 * has one byte behind `size`, for a last line without an end.
 */
int conf_read(const char *file, char *text, size_t size,
	      int (*item)(void *ctx, const struct conf_item *item, struct conf_error *error),
	      void *ctx, struct conf_error *error);

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/base/conf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int conf_fail(struct conf_error *error, const char *file, unsigned int line, const char *format,
	      ...)
{
	va_list args;
	int n = snprintf(error->text, sizeof(error->text), "%s:%u: ", file, line);

	va_start(args, format);
	if (n > 0 && (size_t)n < sizeof(error->text))
		vsnprintf(error->text + n, sizeof(error->text) - (size_t)n, format, args);
	va_end(args);
	return -EINVAL;
}

static char *trim(char *s)
{
	char *end;

	s += strspn(s, " \t");
	end = s + strlen(s);
	while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	return s;
}

/* NULL when all bytes may stand in a configuration. */
static const char *find_odd_byte(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' && *s != '\t')
			return s;
	return NULL;
}

static int read_section(struct conf_item *at, char *s, struct conf_error *error)
{
	size_t n = strlen(s);
	char *name;

	if (s[n - 1] != ']')
		return conf_fail(error, at->file, at->line,
				 "a section is written [word] or [word name], with nothing behind");
	s[n - 1] = '\0';
	s = trim(s + 1);
	name = s + strcspn(s, " \t");
	if (*name)
		*name++ = '\0';
	name = trim(name);
	if (!*s || strpbrk(s, "[]=#") || strpbrk(name, "[]=# \t"))
		return conf_fail(error, at->file, at->line,
				 "a section is written [word] or [word name]");
	at->section = s;
	at->name = name;
	at->key = at->value = NULL;
	return 0;
}

static int read_key(struct conf_item *at, char *s, struct conf_error *error)
{
	char *value = strchr(s, '=');

	if (!value)
		return conf_fail(error, at->file, at->line,
				 "\"%.60s\" is no \"key = value\", no [section] and no # comment",
				 s);
	*value++ = '\0';
	at->key = trim(s);
	at->value = trim(value);
	if (!*at->key)
		return conf_fail(error, at->file, at->line, "there is no key before the \"=\"");
	if (!*at->value)
		return conf_fail(error, at->file, at->line,
				 "\"%.60s\" has no value; leave the line out for the default",
				 at->key);
	return 0;
}

static int read_line(struct conf_item *at, char *s,
		     int (*item)(void *, const struct conf_item *, struct conf_error *), void *ctx,
		     struct conf_error *error)
{
	int r;

	if (find_odd_byte(s))
		return conf_fail(error, at->file, at->line, "a control character (0x%02x)",
				 (unsigned char)*find_odd_byte(s));
	s = trim(s);
	if (!*s || *s == '#')
		return 0;
	r = *s == '[' ? read_section(at, s, error) : read_key(at, s, error);
	return r ? r : item(ctx, at, error);
}

int conf_read(const char *file, char *text, size_t size,
	      int (*item)(void *, const struct conf_item *, struct conf_error *), void *ctx,
	      struct conf_error *error)
{
	struct conf_item at = {.file = file, .section = "", .name = ""};
	char *end = text + size;
	int r = 0;

	while (!r && text < end) {
		char *newline = memchr(text, '\n', (size_t)(end - text));
		char *stop = newline ? newline : end;

		at.line++;
		if (memchr(text, '\0', (size_t)(stop - text)))
			return conf_fail(error, file, at.line, "a NUL byte: this is no text");
		if (stop > text && stop[-1] == '\r' && newline)
			stop[-1] = '\0';
		*stop = '\0'; /* the caller's buffer has one byte more than `size` */
		r = read_line(&at, text, item, ctx, error);
		text = stop + 1;
	}
	return r;
}

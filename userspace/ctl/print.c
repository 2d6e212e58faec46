// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Times, counts and text as people read them. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "userspace/base/utf8.h"
#include "userspace/ctl/ctl.h"

/* The two largest units, the second when there is something of it. */
static const char *print_units(uint64_t first, const char *one, uint64_t second, const char *other,
			       char ret[PRINT_TIME])
{
	if (second)
		snprintf(ret, PRINT_TIME, "%" PRIu64 "%s %" PRIu64 "%s", first, one, second, other);
	else
		snprintf(ret, PRINT_TIME, "%" PRIu64 "%s", first, one);
	return ret;
}

const char *print_duration(uint64_t ms, char ret[PRINT_TIME])
{
	uint64_t s = ms / 1000;

	if (s < 10 && ms % 1000 / 100)
		snprintf(ret, PRINT_TIME, "%" PRIu64 ".%" PRIu64 "s", s, ms % 1000 / 100);
	else if (s < 60)
		snprintf(ret, PRINT_TIME, "%" PRIu64 "s", s);
	else if (s < 3600)
		print_units(s / 60, "m", s % 60, "s", ret);
	else if (s < 86400)
		print_units(s / 3600, "h", s / 60 % 60, "m", ret);
	else
		print_units(s / 86400, "d", s / 3600 % 24, "h", ret);
	return ret;
}

const char *print_date(uint64_t wall_ms, char ret[PRINT_TIME])
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (!wall_ms || !localtime_r(&t, &tm) ||
	    !strftime(ret, PRINT_TIME, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(ret, PRINT_TIME, "-");
	return ret;
}

void print_text(const char *text, FILE *to)
{
	while (*text) {
		uint32_t character = 0;
		size_t n = utf8_read(text, strlen(text), &character);

		if (n && !utf8_is_control(character))
			fwrite(text, 1, n, to);
		for (size_t i = 0; i < (n ? n : 1) && (!n || utf8_is_control(character)); i++)
			fprintf(to, "\\x%02x", (unsigned char)text[i]);
		text += n ? n : 1;
	}
}

void print_coloured(const struct ctl *c, enum table_colour colour, const char *text, FILE *to)
{
	static const char *const sequence[] = {
		[TABLE_GOOD] = "\033[32m", [TABLE_ODD] = "\033[33m", [TABLE_BAD] = "\033[1;31m"};

	if (!c->colours || colour == TABLE_PLAIN) {
		print_text(text, to);
		return;
	}
	fputs(sequence[colour], to);
	print_text(text, to);
	fputs("\033[0m", to);
}

enum table_colour print_colour_of(const char *state)
{
	if (!strcmp(state, "quarantine"))
		return TABLE_BAD;
	if (!strcmp(state, "draining") || !strcmp(state, "removed") || !strcmp(state, "leaving") ||
	    !strcmp(state, "waiting"))
		return TABLE_ODD;
	return TABLE_PLAIN;
}

int print_answer(const struct answer *a)
{
	fputs(a->text, stdout);
	return CTL_OK;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ipamctl watch: the status over and over.  A terminal is drawn anew each second; to
 * anything else it is written again when it has changed, so that a log stays short.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/ctl/ctl.h"

enum { EVERY_MS = 1000 };

/* The home position, each line to its end, and what is below: nothing flickers. */
static void draw(const char *text)
{
	fputs("\033[H", stdout);
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\033[K", stdout);
		putchar(*text);
	}
	fputs("\033[J", stdout);
}

static void append(const char *text)
{
	char date[PRINT_TIME];

	printf("--- %s\n%s", print_date((uint64_t)time(NULL) * 1000, date), text);
}

static int make_text(const struct ctl *c, const struct answer *a, char **ret)
{
	size_t size = 0;
	FILE *out = open_memstream(ret, &size);
	int r;

	if (!out)
		return ctl_fail(CTL_FAILED, "out of memory");
	r = status_print(c, a, isatty(1), out);
	return fclose(out) && !r ? ctl_fail(CTL_FAILED, "out of memory") : r;
}

/* What is said of it, on one line or as a table; *last: what was written last. */
static int look(struct ctl *c, char **last)
{
	auto_answer struct answer a = {0};
	char *text = NULL;
	int r = ask_read(c, "/v1/status", kernel_status, &a);

	if (r)
		return r;
	c->quiet = a.from_maps; /* said once, until the manager is back */
	if (c->json)
		return print_answer(&a);
	r = make_text(c, &a, &text);
	if (!r && isatty(1)) {
		draw(text);
	} else if (!r && (!*last || strcmp(*last, text))) {
		append(text);
		free(*last);
		*last = text;
		return CTL_OK;
	}
	free(text);
	return r;
}

int command_watch(const struct ctl *c)
{
	auto_free char *last = NULL;
	struct ctl mine = *c;
	int r;

	if (isatty(1) && !c->json)
		fputs("\033[2J", stdout);
	while (!(r = look(&mine, &last))) {
		if (fflush(stdout))
			return CTL_FAILED;
		nanosleep(&(struct timespec){.tv_sec = EVERY_MS / 1000}, NULL);
	}
	return r;
}

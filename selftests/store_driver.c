// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What store_faults.sh cuts off at every call, and what it asks afterwards:
 *
 *	store_driver make DATABASE         rows and a log, as a kill leaves them
 *	store_driver work DATABASE         three transactions, one line for each result
 *	store_driver check DATABASE FILE   is what FILE, the output of `work`, says true?
 *
 * Transaction n adds the rows 2n and 2n + 1 and a hold of the first, and removes
 * the rows 100 + 2n and 101 + 2n that `make` put there: all of that or nothing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "bpf/request.h"
#include "userspace/edge/store.h"

#define TRANSACTIONS 3

static char aside[4096];

/* One write a line, and no buffer: what was said is out when a kill comes. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	char line[512];
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (write(STDOUT_FILENO, line, (size_t)size) != size)
		_exit(3);
}

static void complain(const char *what, int r)
{
	say("error %s %s: %s\n", what, r < 0 ? strerrorname_np(-r) : "outcome", store_explain(r));
}

static struct store_row row_of(unsigned int n)
{
	struct store_row row = {
		.address = {4, {10, 0, (uint8_t)(n >> 8), (uint8_t)n}},
		.pool = "default",
		.state = STORE_HELD,
		.gen = n,
	};
	struct ipamd_request req;

	request_init(&req, IPAMD_CLAIM);
	request_attachment(&req, "net", "0123456789abcdef", "eth0", 77 + n);
	request_pod(&req, "default", "web-1", "8f6d");
	row.who = req.who;
	memset(row.who.label, 0, sizeof(row.who.label));
	return row;
}

static int change(struct store *s, unsigned int n)
{
	struct store_row row = row_of(2 * n), next = row_of(2 * n + 1), old = row_of(100 + 2 * n);
	int r = store_put(s, &row);

	if (!r)
		r = store_put(s, &next);
	if (!r)
		r = store_hold_begin(s, &row.address, &row.who, 1, 0);
	if (!r)
		r = store_delete(s, &old.address);
	old.address.bytes[3]++;
	return r ? r : store_delete(s, &old.address);
}

static int transact(struct store *s, unsigned int n, bool durable)
{
	int r = store_begin(s, durable);

	if (r)
		return r;
	r = change(s, n);
	if (!r)
		return store_commit(s);
	store_abandon(s);
	return r;
}

/* The manager would try again, too. */
static struct store *open_twice(const char *path)
{
	struct store *s = NULL;

	for (int i = 0; i < 2; i++) {
		int r = store_open(path, aside, &s);

		if (s) {
			say("opened %d\n", r);
			return s;
		}
		complain("open", r);
	}
	return NULL;
}

static int work(const char *path)
{
	struct store *s;
	int r;

	say("begin\n");
	s = open_twice(path);
	for (unsigned int n = 0; s && n < TRANSACTIONS; n++) {
		r = transact(s, n, n != 1);
		if (r)
			complain("transaction", r);
		else
			say("done %u\n", n);
		r = n == 1 ? store_idle(s) : 0;
		if (r)
			complain("idle", r);
	}
	store_close(s);
	say("end\n");
	return s ? 0 : 1;
}

static int make(const char *path)
{
	struct store *s = NULL;
	int r = store_open(path, aside, &s);

	if (!s)
		return 1;
	r = store_begin(s, true);
	for (unsigned int n = 100; !r && n < 600; n++) {
		struct store_row row = row_of(n);

		r = store_put(s, &row);
	}
	if (!r)
		r = store_commit(s);
	_exit(r ? 1 : 0);
}

/* --- Checking -------------------------------------------------------------------------- */

static int count_hold(void *ctx, const struct store_hold *hold)
{
	(void)hold;
	++*(unsigned int *)ctx;
	return 0;
}

/* 1, 0, or -1 when it is there and is not what was put. */
static int has_row(struct store *s, unsigned int n)
{
	struct store_row row = row_of(n), got;
	int r = store_get(s, &row.address, &got);

	if (r == STORE_ABSENT)
		return 0;
	return !r && got.gen == n && !memcmp(&got.who, &row.who, sizeof(row.who)) ? 1 : -1;
}

/* `filled`: the rows of `make` were there to be removed. */
static bool is_right(struct store *s, unsigned int n, bool acknowledged, bool filled)
{
	struct store_row row = row_of(2 * n);
	unsigned int holds = 0;
	int there = has_row(s, 2 * n), old = filled ? !there : 0;

	if (store_hold_each(s, &row.address, count_hold, &holds))
		return false;
	if (there >= 0 && there == has_row(s, 2 * n + 1) && (int)holds == there &&
	    has_row(s, 100 + 2 * n) == old && has_row(s, 101 + 2 * n) == old &&
	    (there || !acknowledged))
		return true;
	printf("transaction %u: row %d, %d, hold %u, old %d, %d, acknowledged %d\n", n, there,
	       has_row(s, 2 * n + 1), holds, has_row(s, 100 + 2 * n), has_row(s, 101 + 2 * n),
	       acknowledged);
	return false;
}

static int check(const char *path, const char *said)
{
	bool acknowledged[TRANSACTIONS] = {false}, any = false, filled;
	FILE *f = fopen(said, "r");
	struct store *s = NULL;
	unsigned int n, bad = 0;
	char line[600];
	int r;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "done %u", &n) == 1 && n < TRANSACTIONS)
			acknowledged[n] = true;
	if (f)
		fclose(f);
	for (n = 0; n < TRANSACTIONS; n++)
		any |= acknowledged[n];
	r = store_open(path, aside, &s);
	if (!s || (r && any)) {
		printf("open: %s\n", store_explain(r));
		return 1;
	}
	printf("opened %d %s\n", r, aside);
	filled = has_row(s, 500) == 1;
	for (n = 0; n < TRANSACTIONS; n++)
		bad += !is_right(s, n, acknowledged[n], filled);
	store_close(s);
	return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "make"))
		return make(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "work"))
		return work(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "check"))
		return check(argv[2], argv[3]);
	fprintf(stderr, "usage: store_driver make|work DATABASE, check DATABASE FILE\n");
	return 2;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A database on a small file system of its own, and rows that can be told apart. */
#ifndef IPAMD_SELFTESTS_STORE_ROWS_H
#define IPAMD_SELFTESTS_STORE_ROWS_H

#include "selftests/harness.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "bpf/request.h"
#include "userspace/edge/store.h"

#define PLACE    "/tmp/ipamd-test-store"
#define DATABASE PLACE "/ipamd.db"

static char aside[4096];

/* Gone with the process. */
static inline void make_place(const char *options)
{
	CHECK_EQ(unshare(CLONE_NEWNS), 0);
	mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mkdir(PLACE, 0700);
	CHECK_EQ(mount("tmpfs", PLACE, "tmpfs", 0, options), 0);
}

static inline struct store *open_store(int expected)
{
	struct store *s = NULL;

	CHECK_EQ(store_open(DATABASE, aside, &s), expected);
	CHECK((expected == 0 || expected == STORE_MADE || expected == STORE_REPLACED) == !!s);
	CHECK((expected == STORE_REPLACED) == !!aside[0]);
	return s;
}

static inline struct store_row row_of(unsigned int n, enum store_state state)
{
	struct store_row row = {
		.address = {4, {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}},
		.pool = "default",
		.state = state,
		.ready_at_ms = 1000 + n,
		.gen = n,
	};
	struct ipamd_request req;

	request_init(&req, IPAMD_CLAIM);
	request_attachment(&req, "net", "0123456789abcdef", "eth0", 77 + n);
	request_pod(&req, "default", "web-1", "8f6d");
	memset(req.who.label, 0, sizeof(req.who.label));
	req.who.netns_cookie = UINT64_MAX - n;
	row.who = req.who;
	return row;
}

static inline void put_rows(struct store *s, unsigned int from, unsigned int to)
{
	CHECK_EQ(store_begin(s, true), 0);
	for (unsigned int n = from; n < to; n++) {
		struct store_row row = row_of(n, STORE_HELD);

		CHECK_EQ(store_put(s, &row), 0);
	}
	CHECK_EQ(store_commit(s), 0);
}

static inline int count_row(void *ctx, const struct store_row *row)
{
	(void)row;
	++*(unsigned int *)ctx;
	return 0;
}

static inline unsigned int count_rows(struct store *s)
{
	unsigned int n = 0;

	CHECK_EQ(store_each(s, count_row, &n), 0);
	return n;
}

static inline int64_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

#endif

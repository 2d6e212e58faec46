// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The database on a real file system, whole and damaged, full, read-only, taken
 * by somebody else and cut off: what was committed is there, what was not is not,
 * and no old file is ever thrown away.
 */
#include "selftests/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "bpf/request.h"
#include "userspace/edge/store.h"

#define PLACE "/tmp/ipamd-test-store"
#define FILE_ PLACE "/ipamd.db"

static char aside[4096];

/* A small file system of its own, gone with the process. */
static void make_place(const char *options)
{
	CHECK_EQ(unshare(CLONE_NEWNS), 0);
	mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mkdir(PLACE, 0700);
	CHECK_EQ(mount("tmpfs", PLACE, "tmpfs", 0, options), 0);
}

static struct store *open_store(int expected)
{
	struct store *s = NULL;

	CHECK_EQ(store_open(FILE_, aside, &s), expected);
	return s;
}

static struct store_row row_of(unsigned int n, enum store_state state)
{
	struct store_row row = {
		.address = {4, {10, 0, (uint8_t)(n >> 8), (uint8_t)n}},
		.pool = "default",
		.state = state,
		.ready_at_ms = 1000 + n,
		.gen = n,
	};
	struct ipamd_request req;

	request_init(&req, IPAMD_CLAIM);
	request_attachment(&req, "net", "0123456789abcdef", "eth0", 77 + n);
	request_pod(&req, "default", "web-1", "8f6d");
	req.who.label[0] = '\0';
	memset(req.who.label, 0, sizeof(req.who.label));
	req.who.netns_cookie = UINT64_MAX - n;
	row.who = req.who;
	return row;
}

static void put_rows(struct store *s, unsigned int from, unsigned int to)
{
	CHECK_EQ(store_begin(s, true), 0);
	for (unsigned int n = from; n < to; n++) {
		struct store_row row = row_of(n, STORE_HELD);

		CHECK_EQ(store_put(s, &row), 0);
	}
	CHECK_EQ(store_commit(s), 0);
}

static int count_one(void *ctx, const struct store_row *row)
{
	(void)row;
	++*(unsigned int *)ctx;
	return 0;
}

static unsigned int count_rows(struct store *s)
{
	unsigned int n = 0;

	CHECK_EQ(store_each(s, count_one, &n), 0);
	return n;
}

TEST(rows_come_back_as_they_were_put)
{
	struct store_row in = row_of(300, STORE_HELD), out;
	struct store *s;

	make_place(NULL);
	s = open_store(STORE_MADE);
	CHECK_EQ(store_begin(s, true), 0);
	CHECK_EQ(store_put(s, &in), 0);
	CHECK_EQ(store_commit(s), 0);
	store_close(s);

	s = open_store(0);
	CHECK_EQ(store_get(s, &in.address, &out), 0);
	CHECK_EQ(addr_compare(&in.address, &out.address), 0);
	CHECK_EQ(out.state, STORE_HELD);
	CHECK_EQ(out.ready_at_ms, 1300);
	CHECK_EQ(out.gen, 300);
	CHECK(!memcmp(&in.who, &out.who, sizeof(in.who)));
	CHECK(!strcmp(out.pool, "default"));
	in.address.bytes[3]++;
	CHECK_EQ(store_get(s, &in.address, &out), STORE_ABSENT);
	store_close(s);
}

TEST(what_was_not_committed_is_not_there)
{
	struct store_row row = row_of(1, STORE_STOCK);
	struct store *s;

	make_place(NULL);
	s = open_store(STORE_MADE);
	CHECK_EQ(store_begin(s, false), 0);
	CHECK_EQ(store_put(s, &row), 0);
	store_abandon(s);
	CHECK_EQ(count_rows(s), 0);
	put_rows(s, 0, 10);
	CHECK_EQ(store_begin(s, true), 0);
	CHECK_EQ(store_delete(s, &row.address), 0);
	CHECK_EQ(store_commit(s), 0);
	CHECK_EQ(count_rows(s), 9);
	store_close(s);
}

TEST(which_map_it_belongs_to_is_kept)
{
	struct store_meta in = {.pair_id = {1, 2, 3}, .epoch = 9, .boot_id = "b", .boottime_ms = 5};
	struct store_meta out;
	struct store *s;

	make_place(NULL);
	s = open_store(STORE_MADE);
	CHECK_EQ(store_get_meta(s, &out), STORE_ABSENT);
	CHECK_EQ(store_begin(s, true), 0);
	CHECK_EQ(store_put_meta(s, &in), 0);
	CHECK_EQ(store_commit(s), 0);
	store_close(s);
	s = open_store(0);
	CHECK_EQ(store_get_meta(s, &out), 0);
	CHECK(!memcmp(&in, &out, sizeof(in)));
	store_close(s);
}

/* --- History ------------------------------------------------------------------------ */

static struct store_hold holds[8];

static int keep_hold(void *ctx, const struct store_hold *hold)
{
	unsigned int *n = ctx;

	CHECK(*n < 8);
	holds[(*n)++] = *hold;
	return 0;
}

TEST(history_tells_who_had_it_and_what_nobody_saw)
{
	struct store_row row = row_of(1, STORE_HELD);
	unsigned int n = 0, gone = 0;
	struct store *s;

	make_place(NULL);
	s = open_store(STORE_MADE);
	CHECK_EQ(store_begin(s, false), 0);
	CHECK_EQ(store_hold_begin(s, &row.address, &row.who, 1000, 0), 0);
	CHECK_EQ(store_hold_end(s, &row.address, 2000, "released"), 0);
	CHECK_EQ(store_hold_begin(s, &row.address, &row.who, 5000, 3), 0);
	CHECK_EQ(store_commit(s), 0);
	CHECK_EQ(store_hold_each(s, &row.address, keep_hold, &n), 0);
	CHECK_EQ(n, 2);
	CHECK(!strcmp(holds[0].holder, "net/0123456789abcdef/eth0"));
	CHECK(!strcmp(holds[0].pod, "default/web-1"));
	CHECK_EQ(holds[0].from_ms, 1000);
	CHECK_EQ(holds[0].to_ms, 2000);
	CHECK(!strcmp(holds[0].end, "released"));
	CHECK_EQ(holds[1].missed, 3);
	CHECK(!holds[1].end[0]);

	/* what is over is forgotten in time, what holds on is not */
	CHECK_EQ(store_begin(s, false), 0);
	CHECK_EQ(store_hold_forget(s, 9000, &gone), 0);
	CHECK_EQ(store_commit(s), 0);
	CHECK_EQ(gone, 1);
	n = 0;
	CHECK_EQ(store_hold_each(s, &row.address, keep_hold, &n), 0);
	CHECK_EQ(n, 1);
	store_close(s);
}

/* --- Damage ---------------------------------------------------------------------------- */

static void make_with_rows(void)
{
	struct store *s;

	make_place(NULL);
	s = open_store(STORE_MADE);
	put_rows(s, 0, 500);
	store_close(s);
}

static unsigned int count_files(const char *pattern)
{
	glob_t g;
	unsigned int n;

	if (glob(pattern, 0, NULL, &g))
		return 0;
	n = (unsigned int)g.gl_pathc;
	globfree(&g);
	return n;
}

static void check_replaced(void)
{
	struct store *s = open_store(STORE_REPLACED);
	struct stat st;

	CHECK_EQ(count_rows(s), 0);
	CHECK_EQ(stat(aside, &st), 0);
	CHECK_EQ(count_files(FILE_ ".damaged-*"), 1);
	store_close(s);
	s = open_store(0);
	store_close(s);
}

TEST(garbage_is_moved_aside)
{
	FILE *f;

	make_place(NULL);
	f = fopen(FILE_, "w");
	CHECK(f);
	for (int i = 0; i < 1000; i++)
		fputs("not a database ", f);
	fclose(f);
	check_replaced();
}

TEST(a_damaged_page_is_found_at_start)
{
	static const char junk[4096] = {1, 2, 3, 4};
	int fd;

	make_with_rows();
	fd = open(FILE_, O_WRONLY);
	CHECK_EQ(pwrite(fd, junk, sizeof(junk), 8 * 4096), sizeof(junk));
	close(fd);
	check_replaced();
}

TEST(a_truncated_file_is_found_at_start)
{
	struct stat st;

	make_with_rows();
	CHECK_EQ(stat(FILE_, &st), 0);
	CHECK_EQ(truncate(FILE_, st.st_size / 2 + 100), 0);
	check_replaced();
}

TEST(an_empty_file_is_a_new_database)
{
	struct store *s;
	int fd;

	make_place(NULL);
	fd = open(FILE_, O_CREAT | O_WRONLY, 0600);
	close(fd);
	s = open_store(STORE_MADE);
	store_close(s);
}

TEST(a_newer_schema_is_not_touched)
{
	static const unsigned char version[4] = {0, 0, 0, 99}; /* at byte 60 of the header */
	struct stat before, after;
	int fd;

	make_with_rows();
	fd = open(FILE_, O_WRONLY);
	CHECK_EQ(pwrite(fd, version, sizeof(version), 60), sizeof(version));
	close(fd);
	CHECK_EQ(stat(FILE_, &before), 0);
	open_store(STORE_NEWER);
	CHECK_EQ(stat(FILE_, &after), 0);
	CHECK_EQ(before.st_size, after.st_size);
	CHECK_EQ(count_files(FILE_ ".damaged-*"), 0);
}

TEST(a_second_process_is_refused)
{
	struct store *s;
	int status;
	pid_t pid;

	make_place(NULL);
	s = open_store(STORE_MADE);
	pid = fork();
	if (!pid) {
		struct store *other = NULL;

		_exit(store_open(FILE_, aside, &other) == STORE_LOCKED ? 0 : 1);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	put_rows(s, 0, 3);
	CHECK_EQ(count_rows(s), 3);
	store_close(s);
}

TEST(a_full_disk_is_told_and_loses_nothing)
{
	struct store *s;
	unsigned int kept = 0;
	int r = 0;

	make_place("size=160k");
	s = open_store(STORE_MADE);
	while (!r && kept < 100000) {
		struct store_row row = row_of(kept % 65536, STORE_HELD);

		r = store_begin(s, true);
		if (!r)
			r = store_put(s, &row);
		if (!r)
			r = store_commit(s);
		else
			store_abandon(s);
		kept += !r;
	}
	CHECK_EQ(r, -ENOSPC);
	CHECK(kept > 0);
	CHECK_EQ(count_rows(s), kept);
	store_close(s);
	CHECK_EQ(mount("tmpfs", PLACE, "tmpfs", MS_REMOUNT, "size=10m"), 0);
	s = open_store(0);
	CHECK_EQ(count_rows(s), kept);
	put_rows(s, kept, kept + 5);
	store_close(s);
}

TEST(a_read_only_disk_is_told)
{
	struct store *s = NULL;

	make_with_rows();
	CHECK_EQ(mount("tmpfs", PLACE, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
	CHECK_EQ(store_open(FILE_, aside, &s), -EROFS);
	CHECK_EQ(count_files(FILE_ ".damaged-*"), 0);
}

TEST(no_directory_is_told)
{
	struct store *s = NULL;

	CHECK_EQ(store_open("/nonexistent/ipamd.db", aside, &s), -ENOENT);
}

TEST(a_symlink_in_its_place_is_refused)
{
	struct store *s = NULL;

	make_place(NULL);
	CHECK_EQ(symlink("/etc/passwd", FILE_), 0);
	CHECK(store_open(FILE_, aside, &s) < 0);
}

/* Every commit that was answered is there after SIGKILL, whenever it comes. */
TEST(what_was_acknowledged_survives_a_kill)
{
	make_place(NULL);
	store_close(open_store(STORE_MADE));
	for (int round = 0; round < 40; round++) {
		unsigned int told = 0, n;
		int fds[2], status;
		struct store *s;
		pid_t pid;

		CHECK_EQ(pipe(fds), 0);
		pid = fork();
		if (!pid) {
			s = open_store(0);
			for (n = 0; n < 10000; n++) {
				put_rows(s, (unsigned int)round * 1000 + n,
					 (unsigned int)round * 1000 + n + 1);
				if (write(fds[1], &n, sizeof(n)) != sizeof(n))
					_exit(1);
			}
			_exit(0);
		}
		close(fds[1]);
		while (told < (unsigned int)round && read(fds[0], &n, sizeof(n)) == sizeof(n))
			told++;
		kill(pid, SIGKILL);
		while (read(fds[0], &n, sizeof(n)) == sizeof(n))
			told++;
		close(fds[0]);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		s = open_store(0);
		for (n = 0; n < told; n++) {
			struct store_row row = row_of((unsigned int)round * 1000 + n, STORE_HELD);

			CHECK_EQ(store_get(s, &row.address, &row), 0);
		}
		store_close(s);
	}
}

TEST(every_outcome_is_explained)
{
	for (int i = STORE_MADE; i <= STORE_ABSENT; i++)
		CHECK(strcmp(store_explain(i), "unknown outcome"));
	CHECK(!strcmp(store_explain(-ENOSPC), strerror(ENOSPC)));
}

TEST_MAIN

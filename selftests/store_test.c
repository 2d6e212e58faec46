// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The rows and the history: what was committed is there, what was not is not, on
 * a full disk and after a kill too, and the log stays small.  What the database
 * may find in its place is place_test.c's.
 */
#include "selftests/store_rows.h"

#include <errno.h>
#include <signal.h>

TEST(rows_come_back_as_they_were_put)
{
	struct store_row in = row_of(300, STORE_HELD), out;
	struct store *s;

	strcpy(in.note, "adopted");
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
	CHECK(!strcmp(out.note, "adopted"));
	CHECK(!out.fixed_pod[0]);
	in.address.bytes[3]++;
	CHECK_EQ(store_get(s, &in.address, &out), STORE_ABSENT);
	store_close(s);
}

TEST(a_fixed_address_stays_so_in_every_state)
{
	struct store *s;

	make_place(NULL);
	s = open_store(STORE_MADE);
	for (int state = STORE_STOCK; state <= STORE_QUARANTINE; state++) {
		struct store_row in = row_of(1, (enum store_state)state), out;

		strcpy(in.fixed_space, "default");
		memset(in.fixed_pod, 'p', sizeof(in.fixed_pod) - 1);
		CHECK_EQ(store_begin(s, false), 0);
		CHECK_EQ(store_put(s, &in), 0);
		CHECK_EQ(store_commit(s), 0);
		CHECK_EQ(store_get(s, &in.address, &out), 0);
		CHECK_EQ(out.state, state);
		CHECK(!strcmp(in.fixed_space, out.fixed_space));
		CHECK(!strcmp(in.fixed_pod, out.fixed_pod));
	}
	store_close(s);
}

TEST(a_field_without_an_end_is_cut_and_can_be_read)
{
	struct store_row in = row_of(1, STORE_HELD), out;
	struct store *s;

	make_place(NULL);
	s = open_store(STORE_MADE);
	memset(in.who.pod, 'p', sizeof(in.who.pod));
	memset(in.who.network, 'n', sizeof(in.who.network));
	memset(in.note, 'x', sizeof(in.note));
	CHECK_EQ(store_begin(s, true), 0);
	CHECK_EQ(store_put(s, &in), 0);
	CHECK_EQ(store_hold_begin(s, &in.address, &in.who, 1, 0), 0);
	CHECK_EQ(store_commit(s), 0);
	CHECK_EQ(store_get(s, &in.address, &out), 0);
	CHECK_EQ(strlen(out.who.pod), sizeof(out.who.pod) - 1);
	CHECK_EQ(strlen(out.note), sizeof(out.note) - 1);
	store_close(s);
	store_close(open_store(0));
}

TEST(after_a_failed_change_nothing_of_the_transaction_is_kept)
{
	struct store_row good = row_of(1, STORE_STOCK), bad = row_of(2, (enum store_state)9);
	struct store *s;

	make_place(NULL);
	s = open_store(STORE_MADE);
	CHECK_EQ(store_begin(s, true), 0);
	CHECK_EQ(store_put(s, &good), 0);
	CHECK_EQ(store_put(s, &bad), -ENOTRECOVERABLE);
	good.address.bytes[3]++;
	CHECK_EQ(store_put(s, &good), -ENOTRECOVERABLE);
	CHECK_EQ(store_commit(s), -ENOTRECOVERABLE);
	CHECK_EQ(count_rows(s), 0);
	put_rows(s, 0, 2);
	CHECK_EQ(count_rows(s), 2);
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

TEST(a_hold_whose_end_nobody_saw_ends_as_unknown)
{
	struct store_row row = row_of(1, STORE_HELD), other = row_of(2, STORE_HELD);
	unsigned int n = 0;
	struct store *s;

	make_place(NULL);
	s = open_store(STORE_MADE);
	CHECK_EQ(store_begin(s, false), 0);
	CHECK_EQ(store_hold_begin(s, &row.address, &row.who, 0, 0), 0);
	CHECK_EQ(store_hold_begin(s, &other.address, &other.who, 70, 0), 0);
	CHECK_EQ(store_hold_begin(s, &row.address, &row.who, 500, 2), 0);
	CHECK_EQ(store_commit(s), 0);

	CHECK_EQ(store_hold_each(s, &row.address, keep_hold, &n), 0);
	CHECK_EQ(n, 2);
	CHECK(!strcmp(holds[0].end, "unknown"));
	CHECK_EQ(holds[0].from_ms, 0);
	CHECK_EQ(holds[0].to_ms, 0);
	CHECK(!holds[1].end[0]);
	CHECK_EQ(holds[1].missed, 2);

	n = 0; /* the open ones, each with its address */
	CHECK_EQ(store_hold_open_each(s, keep_hold, &n), 0);
	CHECK_EQ(n, 2);
	if (addr_compare(&holds[0].address, &row.address))
		holds[2] = holds[0], holds[0] = holds[1], holds[1] = holds[2];
	CHECK(!addr_compare(&holds[0].address, &row.address));
	CHECK_EQ(holds[0].from_ms, 500);
	CHECK(!addr_compare(&holds[1].address, &other.address));
	CHECK_EQ(holds[1].from_ms, 70);
	store_close(s);
}

static unsigned int forget(struct store *s, uint64_t before_ms)
{
	unsigned int n = 0;

	CHECK_EQ(store_begin(s, false), 0);
	CHECK_EQ(store_hold_forget(s, before_ms, &n), 0);
	CHECK_EQ(store_commit(s), 0);
	return n;
}

TEST(holds_are_forgotten_a_thousand_at_a_time_and_the_oldest_first)
{
	struct store_row row = row_of(1, STORE_HELD);
	unsigned int n = 0;
	struct store *s;

	make_place(NULL);
	s = open_store(STORE_MADE);
	CHECK_EQ(store_begin(s, false), 0);
	for (unsigned int i = 0; i < 1500; i++) {
		CHECK_EQ(store_hold_begin(s, &row.address, &row.who, 3000 - 2 * i, 0), 0);
		CHECK_EQ(store_hold_end(s, &row.address, 3001 - 2 * i, "released"), 0);
	}
	CHECK_EQ(store_hold_begin(s, &row.address, &row.who, 1, 0), 0);
	CHECK_EQ(store_commit(s), 0);
	CHECK_EQ(forget(s, 3), 0);
	CHECK_EQ(forget(s, 5), 1);
	CHECK_EQ(forget(s, 2995), 1000);
	CHECK_EQ(forget(s, 2995), 495);
	CHECK_EQ(forget(s, 2995), 0);
	CHECK_EQ(store_hold_each(s, &row.address, keep_hold, &n), 0);
	CHECK_EQ(n, 5);
	CHECK_EQ(holds[0].to_ms, 3001);
	CHECK(!holds[4].end[0]);
	store_close(s);
}

/* --- The log -------------------------------------------------------------------------- */

TEST(the_log_stays_small_over_a_hundred_thousand_transactions)
{
	int64_t most = 0;
	struct store *s;

	alarm(600); /* a slow machine under a sanitizer */
	make_place(NULL);
	s = open_store(STORE_MADE);
	for (unsigned int n = 0; n < 100000; n++) {
		struct store_row row = row_of(n % 4096, STORE_HELD);

		CHECK_EQ(store_begin(s, n % 100 == 0), 0);
		CHECK_EQ(store_put(s, &row), 0);
		CHECK_EQ(store_commit(s), 0);
		if (n % 100 == 0 && size_of(DATABASE "-wal") > most)
			most = size_of(DATABASE "-wal");
	}
	CHECK(most > 65536);
	CHECK(most < 5 << 20);
	CHECK_EQ(store_idle(s), 0);
	CHECK_EQ(size_of(DATABASE "-wal"), 0);
	CHECK_EQ(count_rows(s), 4096);
	store_close(s);
}

TEST(a_log_left_by_a_kill_is_emptied_when_idle)
{
	struct store *s;
	pid_t pid;

	make_place(NULL);
	pid = fork();
	if (!pid) {
		put_rows(open_store(STORE_MADE), 0, 2000);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK(size_of(DATABASE "-wal") > 2 * 65536);
	s = open_store(0);
	CHECK_EQ(count_rows(s), 2000);
	CHECK_EQ(store_idle(s), 0);
	CHECK_EQ(size_of(DATABASE "-wal"), 0);
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

TEST_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/edge/store.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "userspace/base/error.h"

#define SCHEMA 1 /* PRAGMA user_version; migrations[] leads there from any older one */

static const char *const migrations[SCHEMA] = {
	"CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), pair_id BLOB NOT NULL,"
	"  epoch INTEGER NOT NULL, boot_id TEXT NOT NULL, boottime_ms INTEGER NOT NULL);"
	"CREATE TABLE address (address TEXT PRIMARY KEY, pool TEXT NOT NULL,"
	"  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5), ready_at_ms INTEGER NOT NULL,"
	"  gen INTEGER NOT NULL, id BLOB, start_ns INTEGER, netns_cookie INTEGER, nsid INTEGER,"
	"  cut INTEGER, network TEXT, container TEXT, ifname TEXT, name_space TEXT, pod TEXT,"
	"  uid TEXT) WITHOUT ROWID;"
	"CREATE TABLE hold (number INTEGER PRIMARY KEY, address TEXT NOT NULL,"
	"  holder TEXT NOT NULL, pod TEXT NOT NULL, from_ms INTEGER NOT NULL,"
	"  to_ms INTEGER NOT NULL, ending TEXT NOT NULL, missed INTEGER NOT NULL);"
	"CREATE INDEX hold_address ON hold (address, number);"
	"CREATE INDEX hold_to ON hold (to_ms);",
};

enum statement {
	PUT,
	GET,
	DELETE,
	EACH,
	PUT_META,
	GET_META,
	HOLD_BEGIN,
	HOLD_END,
	HOLD_EACH,
	HOLD_FORGET,
	STATEMENTS,
};

#define ROW                                                                                        \
	"address, pool, state, ready_at_ms, gen, id, start_ns, netns_cookie, nsid, cut, network, " \
	"container, ifname, name_space, pod, uid"

static const char *const texts[STATEMENTS] = {
	[PUT] = "REPLACE INTO address (" ROW ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[GET] = "SELECT " ROW " FROM address WHERE address = ?",
	[DELETE] = "DELETE FROM address WHERE address = ?",
	[EACH] = "SELECT " ROW " FROM address",
	[PUT_META] = "REPLACE INTO meta VALUES (1,?,?,?,?)",
	[GET_META] = "SELECT pair_id, epoch, boot_id, boottime_ms FROM meta",
	[HOLD_BEGIN] = "INSERT INTO hold (address, holder, pod, from_ms, to_ms, ending, missed) "
		       "VALUES (?,?,?,?,0,'',?)",
	[HOLD_END] = "UPDATE hold SET to_ms = ?, ending = ? WHERE address = ? AND ending = ''",
	[HOLD_EACH] = "SELECT holder, pod, from_ms, to_ms, ending, missed FROM hold "
		      "WHERE address = ? ORDER BY number",
	[HOLD_FORGET] = "DELETE FROM hold WHERE ending != '' AND to_ms < ?",
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statement[STATEMENTS];
};

/* --- sqlite's results as ours ------------------------------------------------------ */

static int translate(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return STORE_LOCKED;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	default:
		return -EIO;
	}
}

static int run(struct store *s, const char *sql)
{
	return translate(sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

const char *store_explain(int outcome)
{
	switch (outcome) {
	case STORE_MADE:
		return "there was no database: made a new one";
	case STORE_REPLACED:
		return "the database was damaged: moved aside, made a new one";
	case STORE_NEWER:
		return "the database is of a newer ipamd: install that version, or move the "
		       "database away to begin anew from the map and the source";
	case STORE_LOCKED:
		return "another process has the database: is a second ipamd running?";
	case STORE_ABSENT:
		return "no such row";
	case -EUCLEAN:
		return "the database is damaged";
	default:
		return outcome < 0 ? strerror(-outcome) : "unknown outcome";
	}
}

/* --- Opening ------------------------------------------------------------------------- */

void store_close(struct store *s)
{
	if (!s)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->statement[i]);
	sqlite3_close(s->db);
	free(s);
}

/* A single number or word that a statement answers; "" when none. */
static int ask(struct store *s, const char *sql, char ret[64])
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);

	ret[0] = '\0';
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		snprintf(ret, 64, "%s", (const char *)sqlite3_column_text(q, 0));
	sqlite3_finalize(q);
	return translate(rc);
}

static int migrate(struct store *s, bool *ret_made)
{
	char answer[64], sql[64];
	int version, r = ask(s, "PRAGMA user_version", answer);

	if (r)
		return r;
	version = atoi(answer);
	if (version < 0 || version > SCHEMA)
		return STORE_NEWER;
	*ret_made = version == 0;
	if (version == SCHEMA)
		return 0;
	r = run(s, "BEGIN IMMEDIATE");
	for (; !r && version < SCHEMA; version++)
		r = run(s, migrations[version]);
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", SCHEMA);
	if (!r)
		r = run(s, sql);
	return r ? r : run(s, "COMMIT");
}

/*
 * EXCLUSIVE before WAL: the lock is then held from the first access on, and there
 * is no shared memory file.
 */
static int set_up(struct store *s, bool *ret_made)
{
	char answer[64];
	int r = run(s, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF;"
		       "PRAGMA cell_size_check = ON; PRAGMA foreign_keys = ON");

	if (!r)
		r = ask(s, "PRAGMA journal_mode = WAL", answer);
	if (!r && strcmp(answer, "wal"))
		r = -EROFS;
	if (!r)
		r = run(s, "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 1048576;"
			   "BEGIN IMMEDIATE; COMMIT");
	if (!r)
		r = ask(s, "PRAGMA integrity_check(1)", answer);
	if (!r && strcmp(answer, "ok"))
		r = -EUCLEAN;
	if (!r)
		r = migrate(s, ret_made);
	for (int i = 0; !r && i < STATEMENTS; i++)
		r = translate(sqlite3_prepare_v3(s->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
						 &s->statement[i], NULL));
	return r;
}

static int try_open(const char *path, bool *ret_made, struct store **ret)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = translate(sqlite3_open_v2(path, &s->db,
				      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
					      SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE,
				      NULL));
	if (!r && sqlite3_db_readonly(s->db, NULL) == 1)
		r = -EROFS; /* sqlite opens read-only what it may not write, and says nothing */
	if (!r)
		r = set_up(s, ret_made);
	if (r) {
		store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* The database and its log under a new name, together or not at all. */
static int move_aside(const char *path, char aside[4096])
{
	char from[4096], to[4096 + 16];

	if ((size_t)snprintf(aside, 4096, "%s.damaged-%lld", path, (long long)time(NULL)) >= 4096)
		return -ENAMETOOLONG;
	snprintf(from, sizeof(from), "%s-wal", path);
	snprintf(to, sizeof(to), "%s-wal", aside);
	if (rename(from, to) && errno != ENOENT)
		return last_error();
	return rename(path, aside) ? last_error() : 0;
}

int store_open(const char *path, char aside[4096], struct store **ret)
{
	bool made = false;
	int r = try_open(path, &made, ret);

	aside[0] = '\0';
	if (r != -EUCLEAN)
		return r ? r : made ? STORE_MADE : 0;
	r = move_aside(path, aside);
	if (!r)
		r = try_open(path, &made, ret);
	return r ? r : STORE_REPLACED;
}

/* --- Transactions ------------------------------------------------------------------------ */

int store_begin(struct store *s, bool durable)
{
	/* Outside of a transaction: inside, sqlite ignores it without a word. */
	int r = run(s, durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");

	assert(sqlite3_get_autocommit(s->db));
	return r ? r : run(s, "BEGIN IMMEDIATE");
}

void store_abandon(struct store *s)
{
	if (!sqlite3_get_autocommit(s->db))
		run(s, "ROLLBACK");
}

int store_commit(struct store *s)
{
	int r = run(s, "COMMIT");

	if (r)
		store_abandon(s);
	return r;
}

/* --- Binding and reading -------------------------------------------------------------------- */

/* Column by column, and the first failure stays. */
struct binder {
	sqlite3_stmt *q;
	int n;
	int rc;
};

static void bind_text(struct binder *b, const char *text)
{
	if (!b->rc)
		b->rc = sqlite3_bind_text(b->q, ++b->n, text, -1, SQLITE_TRANSIENT);
}

static void bind_number(struct binder *b, uint64_t number)
{
	if (!b->rc)
		b->rc = sqlite3_bind_int64(b->q, ++b->n, (sqlite3_int64)number);
}

static void bind_bytes(struct binder *b, const void *bytes, int size)
{
	if (!b->rc)
		b->rc = sqlite3_bind_blob(b->q, ++b->n, bytes, size, SQLITE_TRANSIENT);
}

static void bind_address(struct binder *b, const struct addr *a)
{
	char text[ADDR_TEXT];

	addr_print(a, text);
	bind_text(b, text);
}

static struct binder start(struct store *s, enum statement which)
{
	sqlite3_reset(s->statement[which]);
	return (struct binder){.q = s->statement[which]};
}

/* Runs what changes; the statement is ready for the next use whatever happens. */
static int finish(struct binder *b)
{
	int rc = b->rc ? b->rc : sqlite3_step(b->q);

	sqlite3_reset(b->q);
	sqlite3_clear_bindings(b->q);
	return translate(rc);
}

static bool read_text(sqlite3_stmt *q, int column, char *ret, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(q, column);

	return (size_t)snprintf(ret, size, "%s", text ? text : "") < size;
}

static bool read_bytes(sqlite3_stmt *q, int column, void *ret, int size)
{
	const void *bytes = sqlite3_column_blob(q, column);

	if (sqlite3_column_bytes(q, column) != size || !bytes)
		return false;
	memcpy(ret, bytes, (size_t)size);
	return true;
}

/* A row that this program would not have written is damage, not an answer. */
static int read_row(sqlite3_stmt *q, struct store_row *ret)
{
	struct store_row row = {0};
	struct ipamd_who *w = &row.who;
	char address[ADDR_TEXT];
	bool ok = read_text(q, 0, address, sizeof(address)) && !addr_parse(address, &row.address) &&
		  read_text(q, 1, row.pool, sizeof(row.pool));

	row.state = (enum store_state)sqlite3_column_int(q, 2);
	row.ready_at_ms = (uint64_t)sqlite3_column_int64(q, 3);
	row.gen = (uint32_t)sqlite3_column_int64(q, 4);
	ok = ok && row.state >= STORE_STOCK && row.state <= STORE_QUARANTINE &&
	     read_bytes(q, 5, &w->id, sizeof(w->id));
	w->start_ns = (uint64_t)sqlite3_column_int64(q, 6);
	w->netns_cookie = (uint64_t)sqlite3_column_int64(q, 7);
	w->nsid = sqlite3_column_int(q, 8);
	w->cut = (uint32_t)sqlite3_column_int64(q, 9);
	ok = ok && read_text(q, 10, w->network, sizeof(w->network)) &&
	     read_text(q, 11, w->container, sizeof(w->container)) &&
	     read_text(q, 12, w->ifname, sizeof(w->ifname)) &&
	     read_text(q, 13, w->name_space, sizeof(w->name_space)) &&
	     read_text(q, 14, w->pod, sizeof(w->pod)) && read_text(q, 15, w->uid, sizeof(w->uid));
	if (!ok)
		return -EUCLEAN;
	*ret = row;
	return 0;
}

/* --- Rows ---------------------------------------------------------------------------------------
 */

int store_put(struct store *s, const struct store_row *row)
{
	struct binder b = start(s, PUT);
	const struct ipamd_who *w = &row->who;

	bind_address(&b, &row->address);
	bind_text(&b, row->pool);
	bind_number(&b, row->state);
	bind_number(&b, row->ready_at_ms);
	bind_number(&b, row->gen);
	bind_bytes(&b, &w->id, sizeof(w->id));
	bind_number(&b, w->start_ns);
	bind_number(&b, w->netns_cookie);
	bind_number(&b, (uint64_t)(int64_t)w->nsid);
	bind_number(&b, w->cut);
	bind_text(&b, w->network);
	bind_text(&b, w->container);
	bind_text(&b, w->ifname);
	bind_text(&b, w->name_space);
	bind_text(&b, w->pod);
	bind_text(&b, w->uid);
	return finish(&b);
}

int store_get(struct store *s, const struct addr *address, struct store_row *ret)
{
	struct binder b = start(s, GET);
	int rc, r;

	bind_address(&b, address);
	rc = b.rc ? b.rc : sqlite3_step(b.q);
	r = rc == SQLITE_ROW    ? read_row(b.q, ret)
	    : rc == SQLITE_DONE ? STORE_ABSENT
				: translate(rc);
	sqlite3_reset(b.q);
	return r;
}

int store_delete(struct store *s, const struct addr *address)
{
	struct binder b = start(s, DELETE);

	bind_address(&b, address);
	return finish(&b);
}

int store_each(struct store *s, int (*take)(void *ctx, const struct store_row *row), void *ctx)
{
	struct binder b = start(s, EACH);
	struct store_row row;
	int rc, r = 0;

	while (!r && (rc = sqlite3_step(b.q)) != SQLITE_DONE) {
		r = rc == SQLITE_ROW ? read_row(b.q, &row) : translate(rc);
		if (!r)
			r = take(ctx, &row);
	}
	sqlite3_reset(b.q);
	return r;
}

int store_put_meta(struct store *s, const struct store_meta *meta)
{
	struct binder b = start(s, PUT_META);

	bind_bytes(&b, meta->pair_id, sizeof(meta->pair_id));
	bind_number(&b, meta->epoch);
	bind_text(&b, meta->boot_id);
	bind_number(&b, meta->boottime_ms);
	return finish(&b);
}

int store_get_meta(struct store *s, struct store_meta *ret)
{
	struct binder b = start(s, GET_META);
	struct store_meta meta = {0};
	int rc = sqlite3_step(b.q), r = translate(rc);

	if (rc == SQLITE_DONE)
		r = STORE_ABSENT;
	if (rc == SQLITE_ROW) {
		meta.epoch = (uint64_t)sqlite3_column_int64(b.q, 1);
		meta.boottime_ms = (uint64_t)sqlite3_column_int64(b.q, 3);
		if (!read_bytes(b.q, 0, meta.pair_id, sizeof(meta.pair_id)) ||
		    !read_text(b.q, 2, meta.boot_id, sizeof(meta.boot_id)))
			r = -EUCLEAN;
	}
	sqlite3_reset(b.q);
	if (!r)
		*ret = meta;
	return r;
}

/* --- History
 * -------------------------------------------------------------------------------------- */

int store_hold_begin(struct store *s, const struct addr *address, const struct ipamd_who *who,
		     uint64_t now_ms, uint32_t missed)
{
	struct binder b = start(s, HOLD_BEGIN);
	char holder[200], pod[200];

	snprintf(holder, sizeof(holder), "%s/%s/%s", who->network, who->container, who->ifname);
	snprintf(pod, sizeof(pod), "%s%s%s", who->name_space, who->pod[0] ? "/" : "", who->pod);
	bind_address(&b, address);
	bind_text(&b, holder);
	bind_text(&b, pod);
	bind_number(&b, now_ms);
	bind_number(&b, missed);
	return finish(&b);
}

int store_hold_end(struct store *s, const struct addr *address, uint64_t now_ms, const char *end)
{
	struct binder b = start(s, HOLD_END);

	assert(*end);
	bind_number(&b, now_ms);
	bind_text(&b, end);
	bind_address(&b, address);
	return finish(&b);
}

int store_hold_each(struct store *s, const struct addr *address,
		    int (*take)(void *ctx, const struct store_hold *hold), void *ctx)
{
	struct binder b = start(s, HOLD_EACH);
	int rc, r;

	bind_address(&b, address);
	r = translate(b.rc);
	while (!r && (rc = sqlite3_step(b.q)) != SQLITE_DONE) {
		struct store_hold hold = {.address = *address};

		r = translate(rc);
		if (r)
			break;
		if (!read_text(b.q, 0, hold.holder, sizeof(hold.holder)) ||
		    !read_text(b.q, 1, hold.pod, sizeof(hold.pod)) ||
		    !read_text(b.q, 4, hold.end, sizeof(hold.end))) {
			r = -EUCLEAN;
			break;
		}
		hold.from_ms = (uint64_t)sqlite3_column_int64(b.q, 2);
		hold.to_ms = (uint64_t)sqlite3_column_int64(b.q, 3);
		hold.missed = (uint32_t)sqlite3_column_int64(b.q, 5);
		r = take(ctx, &hold);
	}
	sqlite3_reset(b.q);
	return r;
}

int store_hold_forget(struct store *s, uint64_t before_ms, unsigned int *ret)
{
	struct binder b = start(s, HOLD_FORGET);
	int r;

	bind_number(&b, before_ms);
	r = finish(&b);
	if (!r)
		*ret = (unsigned int)sqlite3_changes(s->db);
	return r;
}

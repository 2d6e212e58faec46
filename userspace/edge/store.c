// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/edge/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/error.h"
#include "userspace/edge/place.h"

#define SCHEMA      1 /* PRAGMA user_version; migrations[] leads there from any older one */
#define APPLICATION 0x6970616d /* PRAGMA application_id: "ipam" */
#define LOG_FRAMES  1000       /* pages in the log at which a transaction first empties it */
#define LOG_IDLE    16         /* pages in the log that store_idle() leaves alone */
#define LOG_FRAME   4120       /* a page and its header */

static const char *const migrations[SCHEMA] = {
	"CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), pair_id BLOB NOT NULL,"
	"  epoch INTEGER NOT NULL, boot_id TEXT NOT NULL, boottime_ms INTEGER NOT NULL);"
	"CREATE TABLE address (address TEXT PRIMARY KEY, pool TEXT NOT NULL,"
	"  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5), ready_at_ms INTEGER NOT NULL,"
	"  gen INTEGER NOT NULL, id BLOB, start_ns INTEGER, netns_cookie INTEGER, nsid INTEGER,"
	"  cut INTEGER, network TEXT, container TEXT, ifname TEXT, name_space TEXT, pod TEXT,"
	"  uid TEXT, fixed_space TEXT NOT NULL, fixed_pod TEXT NOT NULL, note TEXT NOT NULL)"
	"  WITHOUT ROWID;"
	"CREATE TABLE hold (number INTEGER PRIMARY KEY, address TEXT NOT NULL,"
	"  holder TEXT NOT NULL, pod TEXT NOT NULL, from_ms INTEGER NOT NULL,"
	"  to_ms INTEGER NOT NULL, ending TEXT NOT NULL, missed INTEGER NOT NULL,"
	"  last_ms INTEGER NOT NULL);" /* the latest time known of it: when it may be forgotten */
	"CREATE INDEX hold_address ON hold (address, number);"
	"CREATE UNIQUE INDEX hold_open ON hold (address) WHERE ending = '';"
	"CREATE INDEX hold_last ON hold (last_ms) WHERE ending != '';",
};

enum statement {
	PUT,
	GET,
	DELETE,
	EACH,
	PUT_META,
	GET_META,
	HOLD_BEGIN,
	HOLD_LOSE,
	HOLD_END,
	HOLD_EACH,
	HOLD_OPEN,
	HOLD_FORGET,
	STATEMENTS,
};

#define ROW                                                                                        \
	"address, pool, state, ready_at_ms, gen, id, start_ns, netns_cookie, nsid, cut, network, " \
	"container, ifname, name_space, pod, uid, fixed_space, fixed_pod, note"
#define HOLD "address, holder, pod, from_ms, to_ms, ending, missed"

static const char *const texts[STATEMENTS] = {
	[PUT] = "REPLACE INTO address (" ROW ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[GET] = "SELECT " ROW " FROM address WHERE address = ?",
	[DELETE] = "DELETE FROM address WHERE address = ?",
	[EACH] = "SELECT " ROW " FROM address",
	[PUT_META] = "REPLACE INTO meta VALUES (1,?,?,?,?)",
	[GET_META] = "SELECT pair_id, epoch, boot_id, boottime_ms FROM meta",
	[HOLD_BEGIN] = "INSERT INTO hold (" HOLD ", last_ms) VALUES (?1,?2,?3,?4,0,'',?5,?4)",
	[HOLD_LOSE] = "UPDATE hold SET ending = 'unknown', last_ms = max(last_ms, ?2) "
		      "WHERE address = ?1 AND ending = ''",
	[HOLD_END] = "UPDATE hold SET to_ms = ?2, ending = ?3, last_ms = max(last_ms, ?2) "
		     "WHERE address = ?1 AND ending = ''",
	[HOLD_EACH] = "SELECT " HOLD " FROM hold WHERE address = ? ORDER BY number",
	[HOLD_OPEN] = "SELECT " HOLD " FROM hold WHERE ending = ''",
	[HOLD_FORGET] = "DELETE FROM hold WHERE number IN (SELECT number FROM hold "
			"WHERE ending != '' AND last_ms < ? ORDER BY last_ms LIMIT 1000)",
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statement[STATEMENTS];
	bool open;          /* a transaction is */
	int failed;         /* in it: nothing more of it is taken, nor committed */
	bool durable;       /* synchronous is FULL */
	bool doubtful;      /* a commit failed: what the log has on the disk is not known */
	uint64_t frames;    /* in the log */
	int disk_errors[2]; /* see disk_error() */
};

/* --- sqlite's results as ours ------------------------------------------------------ */

/*
 * sqlite tries to open for reading what it cannot open for writing, and then tells
 * how that went.  There is one store in a process, so there is one such error.
 */
static int open_error;

static int open_noting(const char *path, int flags, int mode)
{
	int fd = open(path, flags, mode);

	if (fd < 0 && (flags & O_ACCMODE) == O_RDWR)
		open_error = last_error();
	return fd;
}

static int note_opens(void)
{
	sqlite3_vfs *vfs;

	if (sqlite3_initialize())
		return -ENOMEM; /* nothing else fails there */
	vfs = sqlite3_vfs_find("unix");
	open_error = 0;
	if (!vfs)
		return -ENOSYS;
	return vfs->xSetSystemCall(vfs, "open", (sqlite3_syscall_ptr)open_noting) ? -ENOSYS : 0;
}

/*
 * What the system answered last to a read, write or sync of the two files: a new
 * error before one that they had before, which stays with them.  0: nothing yet.
 */
static int disk_error(struct store *s)
{
	static const int whose[] = {SQLITE_FCNTL_FILE_POINTER, SQLITE_FCNTL_JOURNAL_POINTER};
	int fresh = 0, old = 0;

	for (int i = 0; s->db && i < 2; i++) {
		sqlite3_file *file = NULL;
		int e = 0;

		sqlite3_file_control(s->db, "main", whose[i], &file);
		if (file && file->pMethods)
			file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &e);
		if (e > 0)
			*(e == s->disk_errors[i] ? &old : &fresh) = -e;
		s->disk_errors[i] = e;
	}
	return fresh ? fresh : old;
}

static int translate_io(struct store *s)
{
	int r = disk_error(s), e = sqlite3_system_errno(s->db);

	return r ? r : e > 0 ? -e : -EIO;
}

static int translate_open(struct store *s, int otherwise)
{
	int r = open_error, e = sqlite3_system_errno(s->db);

	open_error = 0;
	return r ? r : otherwise ? otherwise : e > 0 ? -e : -EIO;
}

static int translate(struct store *s, int rc)
{
	int r;

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
		return translate_open(s, -EROFS);
	case SQLITE_CANTOPEN:
		return translate_open(s, 0);
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return STORE_LOCKED;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		r = disk_error(s); /* what the disk does not give, sqlite calls corrupt */
		return r ? r : -EUCLEAN;
	case SQLITE_ERROR:
	case SQLITE_CONSTRAINT:
		return -ENOTRECOVERABLE; /* the statement does not fit the tables */
	default:
		return translate_io(s);
	}
}

static int run(struct store *s, const char *sql)
{
	return translate(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

static const char *explain_outcome(int outcome)
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
	case STORE_FOREIGN:
		return "the file is the database of another program: name another path for ours";
	default:
		return "unknown outcome";
	}
}

static const char *explain_error(int e)
{
	switch (e) {
	case EUCLEAN:
		return "the database is damaged: start ipamd anew, which moves it aside";
	case ENOTRECOVERABLE:
		return "the tables are not those of this version: move the database away to begin "
		       "anew from the map and the source";
	case EOPNOTSUPP:
		return "the database is damaged, and its file system cannot keep it aside (no hard "
		       "links): move it and its -wal away together";
	case ELOOP:
		return "a symbolic link stands in the place of the database: name the file itself, "
		       "or remove the link";
	case EISDIR:
		return "a directory stands in the place of the database: name a file in it";
	case EINVAL:
		return "what stands in the place of the database is not a file: remove it, or name "
		       "another path";
	case ENOENT:
		return "the directory of the database does not exist: make it, mode 0700";
	case EACCES:
		return "no permission in the directory of the database: its owner must be who runs "
		       "ipamd";
	case EPERM:
		return "the database may not be written: look at its owner and mode, and lsattr";
	case EROFS:
		return "the file system of the database is read-only: mount it read-write (and see "
		       "dmesg for why it is not)";
	case ENOSPC:
		return "no space left on the file system of the database: free some there";
	case EDQUOT:
		return "the quota for the database is used up: raise it, or free some space";
	case EIO:
		return "the disk failed (input/output error): see dmesg";
	default:
		return strerror(e);
	}
}

const char *store_explain(int outcome)
{
	return outcome < 0 ? explain_error(-outcome) : explain_outcome(outcome);
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
	const char *text = "";
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		text = (const char *)sqlite3_column_text(q, 0);
	if (text)
		snprintf(ret, 64, "%s", text);
	sqlite3_finalize(q);
	return text ? translate(s, rc) : -ENOMEM;
}

/*
 * What it is, before sqlite does anything with it: a log or journal may belong to
 * it that is not ours to apply.  Read by sqlite's own descriptor, see place.h.
 */
static int recognize(struct store *s)
{
	static const unsigned char ours[4] = {0x69, 0x70, 0x61, 0x6d};
	unsigned char header[100];
	sqlite3_file *file = NULL;
	int rc = sqlite3_file_control(s->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);

	if (rc || !file || !file->pMethods)
		return -EIO;
	rc = file->pMethods->xRead(file, header, sizeof(header), 0);
	if (rc == SQLITE_IOERR_SHORT_READ)
		return 0; /* empty, or damaged */
	if (rc)
		return translate(s, rc);
	if (memcmp(header, "SQLite format 3", 16) || !memcmp(header + 68, ours, sizeof(ours)))
		return 0;
	return STORE_FOREIGN;
}

/*
 * integrity_check() calls a page damaged that the disk does not give, or for which
 * there is no memory just then: damage is what it finds twice, without an error.
 */
static int check(struct store *s)
{
	char answer[64] = "";
	int r = 0;

	for (int i = 0; !r && i < 2; i++) {
		r = ask(s, "PRAGMA integrity_check(1)", answer);
		if (!r && !strcmp(answer, "ok"))
			return 0;
		if (!r)
			r = disk_error(s);
	}
	return r ? r : -EUCLEAN;
}

/* In the transaction that took the lock, and in whichever journal mode there is. */
static int migrate(struct store *s, int version)
{
	char sql[128];
	int r = 0;

	if (version == SCHEMA)
		return 0;
	for (; !r && version < SCHEMA; version++)
		r = run(s, migrations[version]);
	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d",
		 APPLICATION, SCHEMA);
	return r ? r : run(s, sql);
}

static int check_version(struct store *s, int *ret)
{
	char answer[64];
	int r = ask(s, "PRAGMA user_version", answer);

	if (r)
		return r;
	*ret = atoi(answer);
	return *ret < 0 || *ret > SCHEMA ? STORE_NEWER : 0;
}

static int note_frames(void *store, sqlite3 *db, const char *name, int frames)
{
	struct store *s = store;

	(void)db, (void)name;
	s->frames = (unsigned int)frames;
	return SQLITE_OK;
}

/*
 * The log is emptied by us: sqlite would do it within a commit, and not tell when
 * that fails.
 */
static int use_log(struct store *s)
{
	char answer[64];
	int r = ask(s, "PRAGMA journal_mode = WAL", answer);

	if (!r && strcmp(answer, "wal"))
		r = -EROFS;
	if (!r)
		r = run(s, "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 1048576");
	s->durable = true;
	sqlite3_wal_hook(s->db, note_frames, s);
	return r;
}

static int prepare(struct store *s)
{
	for (int i = 0; i < STATEMENTS; i++) {
		int r = translate(s,
				  sqlite3_prepare_v3(s->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
						     &s->statement[i], NULL));

		if (r)
			return r == -ENOTRECOVERABLE ? -EUCLEAN : r; /* a table is missing */
	}
	return 0;
}

static int ignore_row(void *ctx, const struct store_row *row)
{
	(void)ctx, (void)row;
	return 0;
}

/*
 * EXCLUSIVE before anything is read: the lock is then held from the first access
 * on, and there is no shared memory file.  One transaction from there to the last
 * table: nothing is written before the version is known, and a file that is not
 * empty any more bears our application_id.  What fails goes with the connection.
 */
static int set_up(struct store *s, bool *ret_made)
{
	struct store_meta meta;
	int version = 0, r = recognize(s);

	if (!r)
		r = run(s, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF;"
			   "PRAGMA cell_size_check = ON; BEGIN EXCLUSIVE;"
			   "PRAGMA cache_size = -512");
	if (!r)
		r = check_version(s, &version);
	if (!r)
		r = check(s);
	if (!r)
		r = migrate(s, version);
	if (!r)
		r = run(s, "COMMIT");
	if (!r)
		r = use_log(s);
	if (!r)
		r = prepare(s);
	if (!r)
		r = store_each(s, ignore_row, NULL);
	if (!r)
		r = store_get_meta(s, &meta);
	if (r && r != STORE_ABSENT)
		return r;
	*ret_made = version == 0;
	return 0;
}

static int open_file(struct store *s, const struct place *place)
{
	uint64_t log;
	int r = place_make(place);

	if (!r)
		r = place_log_size(place, &log);
	if (!r)
		r = note_opens();
	if (r)
		return r;
	s->frames = log / LOG_FRAME;
	r = translate(s, sqlite3_open_v2(place->path, &s->db,
					 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW |
						 SQLITE_OPEN_PRIVATECACHE,
					 NULL));
	/* A refused database keeps its log as it is; sqlite would apply it at the end. */
	if (!r && log)
		r = translate(s,
			      sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL));
	if (!r && sqlite3_db_readonly(s->db, NULL) == 1)
		r = translate_open(s, -EROFS);
	return r;
}

static int try_open(const struct place *place, bool *ret_made, struct store **ret)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = open_file(s, place);
	if (!r)
		r = set_up(s, ret_made);
	if (!r)
		r = place_tidy(place);
	if (!r)
		r = translate(s,
			      sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL));
	if (r) {
		store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

static int open_at(const struct place *place, char aside[4096], struct store **ret)
{
	bool made = false;
	int r = try_open(place, &made, ret);

	if (r != -EUCLEAN)
		return r ? r : made ? STORE_MADE : 0;
	r = place_move_aside(place, aside);
	if (!r)
		r = try_open(place, &made, ret);
	return r ? r : STORE_REPLACED;
}

int store_open(const char *path, char aside[4096], struct store **ret)
{
	struct place place;
	int r = place_open(path, &place);

	aside[0] = '\0';
	if (r)
		return r == -EWOULDBLOCK ? STORE_LOCKED : r;
	r = open_at(&place, aside, ret);
	place_close(&place);
	return r;
}

/* --- Transactions ------------------------------------------------------------------------ */

static int empty_log(struct store *s, int mode)
{
	int r = translate(s, sqlite3_wal_checkpoint_v2(s->db, "main", mode, NULL, NULL));

	if (!r) {
		s->frames = 0;
		s->doubtful = false;
	}
	return r;
}

/*
 * A log that could not be synced is not built upon: the kernel may have dropped
 * what it could not write, and the next sync would say nothing of it.  What was
 * committed is in the page cache still, and goes into the database from there.
 */
static int ready_log(struct store *s)
{
	if (s->doubtful)
		return empty_log(s, SQLITE_CHECKPOINT_TRUNCATE);
	return s->frames >= LOG_FRAMES ? empty_log(s, SQLITE_CHECKPOINT_PASSIVE) : 0;
}

/* Outside of a transaction: inside, sqlite ignores it without a word. */
static int set_durable(struct store *s, bool durable)
{
	int r = 0;

	if (durable != s->durable)
		r = run(s, durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
	if (!r)
		s->durable = durable;
	return r;
}

int store_begin(struct store *s, bool durable)
{
	int r;

	assert(!s->open);
	r = ready_log(s);
	if (!r)
		r = set_durable(s, durable);
	if (!r)
		r = run(s, "BEGIN IMMEDIATE");
	if (r)
		return r;
	s->open = true;
	s->failed = 0;
	return 0;
}

void store_abandon(struct store *s)
{
	s->open = false;
	if (!sqlite3_get_autocommit(s->db))
		run(s, "ROLLBACK");
}

int store_commit(struct store *s)
{
	int r = s->failed;

	assert(s->open);
	if (!r)
		r = run(s, "COMMIT");
	if (r && (sqlite3_errcode(s->db) & 0xff) == SQLITE_IOERR)
		s->doubtful = true;
	store_abandon(s);
	return r;
}

int store_idle(struct store *s)
{
	assert(!s->open);
	return s->doubtful || s->frames > LOG_IDLE ? empty_log(s, SQLITE_CHECKPOINT_TRUNCATE) : 0;
}

/* --- Binding and reading -------------------------------------------------------------------- */

/* Column by column, and the first failure stays. */
struct binder {
	struct store *s;
	sqlite3_stmt *q;
	int n;
	int rc;
};

/* What has no end in a field of this size is cut to what can be read back. */
static void bind_field(struct binder *b, const char *text, size_t size)
{
	if (!b->rc)
		b->rc = sqlite3_bind_text(b->q, ++b->n, text, (int)strnlen(text, size - 1),
					  SQLITE_TRANSIENT);
}

static void bind_text(struct binder *b, const char *text)
{
	bind_field(b, text, strlen(text) + 1);
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
	return (struct binder){.s = s, .q = s->statement[which]};
}

/*
 * Runs what changes; the statement is ready for the next use whatever happens.
 * After an error sqlite may have ended the transaction, so that the next change
 * would stand alone: there is none.
 */
static int finish(struct binder *b)
{
	int rc = b->rc, r;

	assert(b->s->open);
	if (!rc && !b->s->failed)
		rc = sqlite3_step(b->q);
	r = b->s->failed ? b->s->failed : translate(b->s, rc);
	b->s->failed = r;
	sqlite3_reset(b->q);
	sqlite3_clear_bindings(b->q);
	return r;
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

/* As we write it; in any other form the row would be found by no address, and never deleted. */
static bool read_address(sqlite3_stmt *q, struct addr *ret)
{
	bool is_text = sqlite3_column_type(q, 0) == SQLITE_TEXT;
	char text[ADDR_TEXT], ours[ADDR_TEXT];
	struct addr a;

	if (!is_text || !read_text(q, 0, text, sizeof(text)) || addr_parse(text, &a))
		return false;
	addr_print(&a, ours);
	if (strcmp(text, ours) || (size_t)sqlite3_column_bytes(q, 0) != strlen(ours))
		return false;
	*ret = a;
	return true;
}

/* What did not fit: a row that this program would not have written, or no memory for it. */
static int misread(sqlite3_stmt *q)
{
	return sqlite3_errcode(sqlite3_db_handle(q)) == SQLITE_NOMEM ? -ENOMEM : -EUCLEAN;
}

/* A row that this program would not have written is damage, not an answer. */
static int read_row(sqlite3_stmt *q, struct store_row *ret)
{
	struct store_row row = {0};
	struct ipamd_who *w = &row.who;
	bool ok = read_address(q, &row.address) && read_text(q, 1, row.pool, sizeof(row.pool));

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
	     read_text(q, 14, w->pod, sizeof(w->pod)) && read_text(q, 15, w->uid, sizeof(w->uid)) &&
	     read_text(q, 16, row.fixed_space, sizeof(row.fixed_space)) &&
	     read_text(q, 17, row.fixed_pod, sizeof(row.fixed_pod)) &&
	     read_text(q, 18, row.note, sizeof(row.note));
	if (!ok)
		return misread(q);
	*ret = row;
	return 0;
}

/* --- Rows ------------------------------------------------------------------------------- */

int store_put(struct store *s, const struct store_row *row)
{
	struct binder b = start(s, PUT);
	const struct ipamd_who *w = &row->who;

	bind_address(&b, &row->address);
	bind_field(&b, row->pool, sizeof(row->pool));
	bind_number(&b, row->state);
	bind_number(&b, row->ready_at_ms);
	bind_number(&b, row->gen);
	bind_bytes(&b, &w->id, sizeof(w->id));
	bind_number(&b, w->start_ns);
	bind_number(&b, w->netns_cookie);
	bind_number(&b, (uint64_t)(int64_t)w->nsid);
	bind_number(&b, w->cut);
	bind_field(&b, w->network, sizeof(w->network));
	bind_field(&b, w->container, sizeof(w->container));
	bind_field(&b, w->ifname, sizeof(w->ifname));
	bind_field(&b, w->name_space, sizeof(w->name_space));
	bind_field(&b, w->pod, sizeof(w->pod));
	bind_field(&b, w->uid, sizeof(w->uid));
	bind_field(&b, row->fixed_space, sizeof(row->fixed_space));
	bind_field(&b, row->fixed_pod, sizeof(row->fixed_pod));
	bind_field(&b, row->note, sizeof(row->note));
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
				: translate(s, rc);
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
		r = rc == SQLITE_ROW ? read_row(b.q, &row) : translate(s, rc);
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
	bind_field(&b, meta->boot_id, sizeof(meta->boot_id));
	bind_number(&b, meta->boottime_ms);
	return finish(&b);
}

int store_get_meta(struct store *s, struct store_meta *ret)
{
	struct binder b = start(s, GET_META);
	struct store_meta meta = {0};
	int rc = sqlite3_step(b.q), r = translate(s, rc);

	if (rc == SQLITE_DONE)
		r = STORE_ABSENT;
	if (rc == SQLITE_ROW) {
		meta.epoch = (uint64_t)sqlite3_column_int64(b.q, 1);
		meta.boottime_ms = (uint64_t)sqlite3_column_int64(b.q, 3);
		if (!read_bytes(b.q, 0, meta.pair_id, sizeof(meta.pair_id)) ||
		    !read_text(b.q, 2, meta.boot_id, sizeof(meta.boot_id)))
			r = misread(b.q);
	}
	sqlite3_reset(b.q);
	if (!r)
		*ret = meta;
	return r;
}

/* --- History ------------------------------------------------------------------------------ */

/* An open hold whose end nobody saw. */
static int lose_hold(struct store *s, const struct addr *address, uint64_t now_ms)
{
	struct binder b = start(s, HOLD_LOSE);

	bind_address(&b, address);
	bind_number(&b, now_ms);
	return finish(&b);
}

/* The fields of a name may be full, and then have no end. */
#define PART(field) (int)sizeof(field), field

int store_hold_begin(struct store *s, const struct addr *address, const struct ipamd_who *who,
		     uint64_t from_ms, uint32_t missed)
{
	char holder[200], pod[200];
	struct binder b;
	int r = lose_hold(s, address, from_ms);

	if (r)
		return r;
	b = start(s, HOLD_BEGIN);
	snprintf(holder, sizeof(holder), "%.*s/%.*s/%.*s", PART(who->network), PART(who->container),
		 PART(who->ifname));
	snprintf(pod, sizeof(pod), "%.*s%s%.*s", PART(who->name_space), who->pod[0] ? "/" : "",
		 PART(who->pod));
	bind_address(&b, address);
	bind_text(&b, holder);
	bind_text(&b, pod);
	bind_number(&b, from_ms);
	bind_number(&b, missed);
	return finish(&b);
}

int store_hold_end(struct store *s, const struct addr *address, uint64_t now_ms, const char *end)
{
	struct binder b = start(s, HOLD_END);

	assert(*end);
	bind_address(&b, address);
	bind_number(&b, now_ms);
	bind_field(&b, end, sizeof(((struct store_hold *)0)->end));
	return finish(&b);
}

static int read_hold(sqlite3_stmt *q, struct store_hold *ret)
{
	struct store_hold hold = {0};

	if (!read_address(q, &hold.address) || !read_text(q, 1, hold.holder, sizeof(hold.holder)) ||
	    !read_text(q, 2, hold.pod, sizeof(hold.pod)) ||
	    !read_text(q, 5, hold.end, sizeof(hold.end)))
		return misread(q);
	hold.from_ms = (uint64_t)sqlite3_column_int64(q, 3);
	hold.to_ms = (uint64_t)sqlite3_column_int64(q, 4);
	hold.missed = (uint32_t)sqlite3_column_int64(q, 6);
	*ret = hold;
	return 0;
}

static int take_holds(struct binder *b, int (*take)(void *ctx, const struct store_hold *hold),
		      void *ctx)
{
	struct store_hold hold;
	int rc, r = translate(b->s, b->rc);

	while (!r && (rc = sqlite3_step(b->q)) != SQLITE_DONE) {
		r = rc == SQLITE_ROW ? read_hold(b->q, &hold) : translate(b->s, rc);
		if (!r)
			r = take(ctx, &hold);
	}
	sqlite3_reset(b->q);
	return r;
}

int store_hold_each(struct store *s, const struct addr *address,
		    int (*take)(void *ctx, const struct store_hold *hold), void *ctx)
{
	struct binder b = start(s, HOLD_EACH);

	bind_address(&b, address);
	return take_holds(&b, take, ctx);
}

int store_hold_open_each(struct store *s, int (*take)(void *ctx, const struct store_hold *hold),
			 void *ctx)
{
	struct binder b = start(s, HOLD_OPEN);

	return take_holds(&b, take, ctx);
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

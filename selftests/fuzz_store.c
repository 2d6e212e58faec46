// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any values in the rows of a real database (libFuzzer), as a stranger's tool or a
 * damaged page leaves them: each row is damage, or is what this program could have
 * written.  Holds store.c itself, for its connection.
 */
#include "userspace/edge/store.c" /* NOLINT: its connection is nobody else's business */

#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct store *store;

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* The file is gone at once, and its contents with this process. */
static void open_once(void)
{
	char path[] = "/dev/shm/ipamd-fuzz.XXXXXX", file[64], command[128], aside[4096];

	must(mkdtemp(path) != NULL);
	snprintf(file, sizeof(file), "%s/db", path);
	must(store_open(file, aside, &store) == STORE_MADE);
	must(!sqlite3_exec(store->db, "PRAGMA ignore_check_constraints = ON", NULL, NULL, NULL));
	snprintf(command, sizeof(command), "rm -rf %s", path);
	must(!system(command));
}

/* --- Values from bytes ------------------------------------------------------------- */

struct bytes {
	const uint8_t *at;
	size_t left;
};

static uint8_t next(struct bytes *b)
{
	if (!b->left)
		return 0;
	b->left--;
	return *b->at++;
}

/* One of sqlite's types, whatever the column is declared as. */
static void bind_any(sqlite3_stmt *q, int column, struct bytes *b)
{
	static const char *const usual[] = {"10.0.0.1", "2001:db8::1", "2001:DB8::1", "",
					    "default",  "web-1",       "::"};
	uint8_t kind = next(b), n = next(b);
	int64_t number = 0;

	switch (kind % 6) {
	case 0:
		sqlite3_bind_text(q, column, usual[n % 7], -1, SQLITE_STATIC);
		return;
	case 1:
		sqlite3_bind_int64(q, column, n);
		return;
	case 2:
		for (int i = 0; i < 8; i++)
			number = (int64_t)((uint64_t)number << 8 | next(b));
		sqlite3_bind_int64(q, column, number);
		return;
	case 3:
		sqlite3_bind_double(q, column, n / 3.0);
		return;
	default:
		n = n < b->left ? n : (uint8_t)b->left;
		if (kind % 6 == 4)
			sqlite3_bind_text(q, column, (const char *)b->at, n, SQLITE_STATIC);
		else
			sqlite3_bind_blob(q, column, b->at, n, SQLITE_STATIC);
		b->at += n;
		b->left -= n;
	}
}

static void insert(const char *sql, int columns, struct bytes *b)
{
	sqlite3_stmt *q = NULL;

	must(!sqlite3_prepare_v2(store->db, sql, -1, &q, NULL));
	for (int i = 1; i <= columns; i++)
		bind_any(q, i, b);
	sqlite3_step(q); /* what the tables refuse is refused */
	sqlite3_finalize(q);
}

/* --- What comes of it --------------------------------------------------------------- */

#define ends(field) must(strnlen(field, sizeof(field)) < sizeof(field))

static void check_address(const struct addr *a)
{
	char text[ADDR_TEXT];
	struct addr back;

	must(a->family == 4 || a->family == 6);
	addr_print(a, text);
	must(!addr_parse(text, &back) && !addr_compare(a, &back));
}

static int check_row(void *ctx, const struct store_row *row)
{
	struct store_row again;

	(void)ctx;
	check_address(&row->address);
	must(row->state >= STORE_STOCK && row->state <= STORE_QUARANTINE);
	ends(row->pool);
	ends(row->who.network);
	ends(row->who.container);
	ends(row->who.ifname);
	ends(row->who.name_space);
	ends(row->who.pod);
	ends(row->who.uid);
	ends(row->fixed_space);
	ends(row->fixed_pod);
	ends(row->note);
	/* It can be found, changed and deleted by its address. */
	must(!store_get(store, &row->address, &again) && again.state == row->state);
	return 0;
}

static int check_hold(void *ctx, const struct store_hold *hold)
{
	(void)ctx;
	check_address(&hold->address);
	ends(hold->holder);
	ends(hold->pod);
	ends(hold->end);
	return 0;
}

static void use(void)
{
	struct addr a = {.family = 4, .bytes = {10, 0, 0, 1}};
	struct ipamd_who who = {.network = "net"};
	struct store_row row = {.address = a, .state = STORE_STOCK};
	struct store_meta meta;
	unsigned int gone;

	store_each(store, check_row, NULL);
	store_get_meta(store, &meta);
	store_hold_each(store, &a, check_hold, NULL);
	store_hold_open_each(store, check_hold, NULL);
	store->open = true;
	store->failed = 0;
	store_put(store, &row);
	store_hold_begin(store, &a, &who, 5, 0);
	store_hold_end(store, &a, 7, "released");
	store_hold_forget(store, 6, &gone);
	store->open = false;
	store->failed = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = {data, size};

	if (!store)
		open_once();
	must(!sqlite3_exec(store->db, "BEGIN", NULL, NULL, NULL));
	insert("INSERT INTO address (" ROW ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", 19,
	       &b);
	insert("INSERT INTO hold (" HOLD ", last_ms) VALUES (?,?,?,?,?,?,?,?)", 8, &b);
	insert("REPLACE INTO meta VALUES (1,?,?,?,?)", 4, &b);
	insert("INSERT INTO hold (" HOLD ", last_ms) VALUES (?,?,?,?,?,?,?,?)", 8, &b);
	use();
	must(!sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL));
	return 0;
}

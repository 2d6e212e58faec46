// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the database may find in its place: nothing, damage, another's or a newer
 * one's file, things that are no file, places that may not be written.  Each has
 * its answer, and no old file is ever thrown away or, when refused, changed.
 */
#include "selftests/store_rows.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sqlite3.h>
#include <sys/file.h>

#define LOG     DATABASE "-wal"
#define JOURNAL DATABASE "-journal"
#define NOBODY  65534

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

/* What is in a file, to compare with later; "" and size 0 when there is none. */
struct copy {
	int64_t size;
	char bytes[1 << 20];
};

static void copy_file(const char *path, struct copy *ret)
{
	int fd = open(path, O_RDONLY);

	memset(ret, 0, sizeof(*ret));
	if (fd < 0) {
		ret->size = -1;
		return;
	}
	ret->size = read(fd, ret->bytes, sizeof(ret->bytes));
	CHECK(ret->size >= 0 && ret->size < (int64_t)sizeof(ret->bytes));
	close(fd);
}

static void check_same(const char *path, const struct copy *before)
{
	static struct copy now;

	copy_file(path, &now);
	CHECK_EQ(now.size, before->size);
	CHECK(!memcmp(now.bytes, before->bytes, sizeof(now.bytes)));
}

/* As a tool of the operator would, with a log left over if asked. */
static void run_sql(const char *text, bool leave_log)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		sqlite3 *db;

		if (sqlite3_open(DATABASE, &db) ||
		    sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL) ||
		    sqlite3_exec(db, text, NULL, NULL, NULL))
			_exit(1);
		if (!leave_log)
			sqlite3_close(db);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

static void make_with_rows(void)
{
	struct store *s;

	make_place(NULL);
	s = open_store(STORE_MADE);
	put_rows(s, 0, 500);
	store_close(s);
}

/* As a kill leaves it. */
static void make_with_log(void)
{
	pid_t pid;

	make_with_rows();
	pid = fork();
	if (!pid) {
		put_rows(open_store(0), 500, 600);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK(size_of(LOG) > 0);
}

static void damage(off_t at, size_t size)
{
	int fd = open(DATABASE, O_WRONLY);

	for (size_t i = 0; i < size; i++)
		CHECK_EQ(pwrite(fd, "\253", 1, at + (off_t)i), 1);
	close(fd);
}

/* --- Damage ---------------------------------------------------------------------------- */

static void check_replaced(void)
{
	static struct copy database, log;
	char name[4200];
	struct store *s;

	copy_file(DATABASE, &database);
	copy_file(LOG, &log);
	s = open_store(STORE_REPLACED);
	CHECK_EQ(count_rows(s), 0);
	check_same(aside, &database);
	snprintf(name, sizeof(name), "%s-wal", aside);
	check_same(name, &log);
	put_rows(s, 0, 3);
	store_close(s);
	s = open_store(0);
	CHECK_EQ(count_rows(s), 3);
	store_close(s);
}

TEST(garbage_is_moved_aside)
{
	FILE *f;

	make_place(NULL);
	f = fopen(DATABASE, "w");
	CHECK(f);
	for (int i = 0; i < 1000; i++)
		fputs("not a database ", f);
	fclose(f);
	check_replaced();
}

TEST(a_damaged_page_is_found_at_start)
{
	make_with_rows();
	damage(8 * 4096, 4096);
	check_replaced();
}

TEST(a_damaged_database_goes_aside_with_its_log)
{
	make_with_log();
	damage(1 * 4096, 4096);
	damage(2 * 4096, 4096);
	damage(20 * 4096, 4096);
	check_replaced();
	CHECK_EQ(count_files(DATABASE ".damaged-1/ipamd.db-wal"), 1);
}

TEST(a_truncated_file_is_found_at_start)
{
	make_with_rows();
	CHECK_EQ(truncate(DATABASE, size_of(DATABASE) / 2 + 100), 0);
	check_replaced();
}

TEST(a_header_alone_is_damage)
{
	make_with_rows();
	CHECK_EQ(truncate(DATABASE, 100), 0);
	check_replaced();
	CHECK_EQ(truncate(DATABASE, 16), 0);
	check_replaced();
	CHECK_EQ(count_files(DATABASE ".damaged-*"), 2); /* in one second, and both are there */
}

TEST(an_empty_file_is_a_new_database)
{
	make_place(NULL);
	close(open(DATABASE, O_CREAT | O_WRONLY, 0600));
	store_close(open_store(STORE_MADE));
}

TEST(a_log_without_its_database_is_kept)
{
	make_with_log();
	CHECK_EQ(truncate(DATABASE, 0), 0);
	check_replaced();
	make_with_log();
	CHECK_EQ(unlink(DATABASE), 0);
	check_replaced();
}

TEST(a_row_that_nobody_wrote_is_damage)
{
	make_with_rows();
	run_sql("UPDATE address SET address = 'nowhere' WHERE gen = 7", false);
	check_replaced();
}

TEST(a_missing_table_is_damage)
{
	make_with_rows();
	run_sql("DROP TABLE hold", false);
	check_replaced();
}

/* --- No memory --------------------------------------------------------------------------- */

static sqlite3_mem_methods memory;
static int until; /* the allocation that fails; 0: none */

static void *allocate(int size)
{
	return until && !--until ? NULL : memory.xMalloc(size);
}

static void *reallocate(void *p, int size)
{
	return until && !--until ? NULL : memory.xRealloc(p, size);
}

static void count_allocations(void)
{
	sqlite3_mem_methods ours;

	sqlite3_shutdown();
	CHECK_EQ(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory), SQLITE_OK);
	ours = memory;
	ours.xMalloc = allocate;
	ours.xRealloc = reallocate;
	CHECK_EQ(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours), SQLITE_OK);
}

static int put_one(struct store *s, unsigned int n)
{
	struct store_row row = row_of(n, STORE_STOCK);
	int r = store_begin(s, true);

	if (r)
		return r;
	r = store_put(s, &row);
	if (!r)
		r = store_hold_begin(s, &row.address, &row.who, 1, 0);
	if (!r)
		return store_commit(s);
	store_abandon(s);
	return r;
}

TEST(an_allocation_that_fails_is_told_and_is_no_damage)
{
	bool reached = true;
	unsigned int rows = 500;

	make_with_rows();
	alarm(600); /* a slow machine under a sanitizer */
	count_allocations();
	for (int k = 1; reached; k++) {
		struct store *s = NULL;
		int r;

		until = k;
		r = store_open(DATABASE, aside, &s);
		CHECK_EQ(r, s ? 0 : -ENOMEM);
		if (s) {
			r = put_one(s, rows);
			CHECK_EQ(r, r ? -ENOMEM : 0);
			rows += r == 0;
		}
		reached = until == 0;
		until = 0;
		store_close(s);
		s = open_store(0);
		CHECK_EQ(count_rows(s), rows);
		store_close(s);
		CHECK(k > 100 || reached);
	}
	CHECK_EQ(count_files(DATABASE ".damaged-*"), 0);
}

/* --- Versions --------------------------------------------------------------------------- */

static void check_refused(int expected)
{
	static struct copy database, log;

	copy_file(DATABASE, &database);
	copy_file(LOG, &log);
	open_store(expected);
	check_same(DATABASE, &database);
	check_same(LOG, &log);
	CHECK_EQ(count_files(PLACE "/*"), log.size < 0 ? 1 : 2);
}

TEST(a_newer_schema_is_not_touched)
{
	make_with_rows();
	run_sql("PRAGMA user_version = 99", false);
	check_refused(STORE_NEWER);
}

TEST(a_newer_schema_is_not_touched_when_only_its_log_knows)
{
	make_with_log();
	run_sql("PRAGMA user_version = 99", true);
	CHECK(size_of(LOG) > 0);
	check_refused(STORE_NEWER);
}

TEST(a_database_of_another_program_is_not_touched)
{
	make_place(NULL);
	run_sql("CREATE TABLE t (x); INSERT INTO t VALUES (1)", false);
	check_refused(STORE_FOREIGN);
	run_sql("PRAGMA application_id = 77", false);
	check_refused(STORE_FOREIGN);
	run_sql("PRAGMA journal_mode = WAL; INSERT INTO t VALUES (2)", true);
	CHECK(size_of(LOG) > 0);
	check_refused(STORE_FOREIGN);
}

TEST(an_older_schema_is_brought_up)
{
	struct store *s;

	make_place(NULL);
	run_sql("PRAGMA application_id = 0x6970616d", false);
	s = open_store(STORE_MADE);
	put_rows(s, 0, 3);
	store_close(s);
}

TEST(a_migration_that_fails_has_changed_nothing)
{
	make_place(NULL);
	run_sql("PRAGMA application_id = 0x6970616d; CREATE TABLE hold (mine)", false);
	check_refused(-ENOTRECOVERABLE); /* its second table but one was made, and went again */
}

/* --- Places ----------------------------------------------------------------------------- */

static unsigned int mode_of(const char *path)
{
	struct stat st;

	CHECK_EQ(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void check_modes(void)
{
	struct store *s = open_store(STORE_MADE);

	put_rows(s, 0, 3);
	CHECK_EQ(mode_of(DATABASE), 0600);
	CHECK_EQ(mode_of(LOG), 0600);
	store_close(s);
	CHECK_EQ(unlink(DATABASE), 0);
}

TEST(the_files_are_private_whatever_the_umask)
{
	struct store *s;

	make_place(NULL);
	umask(0);
	check_modes();
	umask(0777);
	check_modes();
	umask(022);
	make_with_log();
	CHECK_EQ(chmod(DATABASE, 0644), 0);
	CHECK_EQ(chmod(LOG, 0644), 0);
	s = open_store(0);
	CHECK_EQ(mode_of(DATABASE), 0600);
	CHECK_EQ(mode_of(LOG), 0600);
	store_close(s);
}

TEST(what_is_no_file_is_told)
{
	make_place(NULL);
	CHECK_EQ(symlink("/etc/passwd", DATABASE), 0);
	open_store(-ELOOP);
	CHECK_EQ(unlink(DATABASE), 0);
	CHECK_EQ(mkdir(DATABASE, 0700), 0);
	open_store(-EISDIR);
	CHECK_EQ(rmdir(DATABASE), 0);
	CHECK_EQ(mkfifo(DATABASE, 0600), 0);
	open_store(-EINVAL);
}

TEST(no_directory_is_told)
{
	struct store *s = NULL;

	CHECK_EQ(store_open("/nonexistent/ipamd.db", aside, &s), -ENOENT);
	CHECK_EQ(store_open("/etc/passwd/ipamd.db", aside, &s), -ENOTDIR);
	CHECK_EQ(store_open("/tmp/", aside, &s), -EISDIR);
}

TEST(a_symlink_on_the_way_is_fine)
{
	struct store *s = NULL;

	make_with_rows();
	CHECK_EQ(mkdir(PLACE "/real", 0700), 0);
	CHECK_EQ(symlink("real", PLACE "/way"), 0);
	CHECK_EQ(store_open(PLACE "/way/ipamd.db", aside, &s), STORE_MADE);
	CHECK(size_of(PLACE "/real/ipamd.db") > 0);
	store_close(s);
}

TEST(a_read_only_disk_is_told)
{
	make_with_rows();
	CHECK_EQ(mount("tmpfs", PLACE, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
	check_refused(-EROFS);
	CHECK_EQ(mount("tmpfs", PLACE, "tmpfs", MS_REMOUNT, NULL), 0);
	CHECK_EQ(unlink(DATABASE), 0);
	CHECK_EQ(mount("tmpfs", PLACE, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
	open_store(-EROFS);
}

TEST(a_full_disk_is_told)
{
	char zero[4096] = {0};
	int fd;

	make_place("size=64k");
	fd = open(PLACE "/filler", O_CREAT | O_WRONLY, 0600);
	while (write(fd, zero, sizeof(zero)) > 0)
		;
	CHECK_EQ(errno, ENOSPC);
	open_store(-ENOSPC);
	CHECK_EQ(ftruncate(fd, 0), 0);
	store_close(open_store(STORE_MADE));
}

/* Root may write anywhere. */
TEST(what_may_not_be_written_is_told)
{
	make_with_rows();
	CHECK_EQ(chmod(PLACE, 0755), 0);
	CHECK_EQ(chown(DATABASE, NOBODY, NOBODY), 0);
	CHECK_EQ(setresuid(NOBODY, NOBODY, NOBODY), 0);
	check_refused(-EACCES);
	CHECK_EQ(chmod(DATABASE, 0400), 0);
	check_refused(-EPERM);
}

TEST(a_directory_that_may_not_be_written_is_told)
{
	make_place(NULL);
	CHECK_EQ(chmod(PLACE, 0755), 0);
	CHECK_EQ(setresuid(NOBODY, NOBODY, NOBODY), 0);
	open_store(-EACCES);
}

/* --- Others ------------------------------------------------------------------------------- */

TEST(a_second_process_is_refused)
{
	struct store *s;
	int status;
	pid_t pid;

	make_place(NULL);
	s = open_store(STORE_MADE);
	pid = fork();
	if (!pid) {
		open_store(STORE_LOCKED);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	put_rows(s, 0, 3);
	CHECK_EQ(count_rows(s), 3);
	store_close(s);
}

TEST(while_one_opens_another_is_refused)
{
	int dir;

	make_place(NULL);
	dir = open(PLACE, O_RDONLY | O_DIRECTORY);
	CHECK_EQ(flock(dir, LOCK_EX), 0);
	open_store(STORE_LOCKED);
	CHECK_EQ(count_files(PLACE "/*"), 0);
	close(dir);
	store_close(open_store(STORE_MADE));
}

TEST(every_result_says_what_to_do)
{
	static const int results[] = {
		STORE_MADE,    STORE_REPLACED, STORE_NEWER, STORE_LOCKED,    STORE_ABSENT,
		STORE_FOREIGN, -ELOOP,         -EISDIR,     -EINVAL,         -ENOENT,
		-EACCES,       -EPERM,         -EROFS,      -ENOSPC,         -EIO,
		-EUCLEAN,      -EDQUOT,        -EOPNOTSUPP, -ENOTRECOVERABLE};
	const unsigned int n = sizeof(results) / sizeof(results[0]);

	for (unsigned int i = 0; i < n; i++) {
		CHECK(strcmp(store_explain(results[i]), "unknown outcome"));
		CHECK(results[i] > 0 || strcmp(store_explain(results[i]), strerror(-results[i])));
		for (unsigned int k = 0; k < i; k++)
			CHECK(strcmp(store_explain(results[i]), store_explain(results[k])));
	}
	CHECK(!strcmp(store_explain(-ENOTDIR), strerror(ENOTDIR)));
}

/* It would be found by no address, and could never be deleted. */
TEST(an_address_that_is_written_otherwise_is_damage)
{
	static const char *const changes[] = {
		"UPDATE address SET address = CAST(address AS BLOB)",
		"UPDATE address SET address = '2001:db8:0::1'",
		"UPDATE address SET address = '2001:DB8::1'",
		"UPDATE address SET address = address || char(0) || 'x'",
	};

	make_place(NULL);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct store *s = open_store(i ? 0 : STORE_MADE);

		put_rows(s, 1, 2);
		store_close(s);
		run_sql(changes[i], false);
		store_close(open_store(STORE_REPLACED));
	}
}

TEST_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What reaches stderr (a pipe) and the journal (a socket of the test, at the
 * journal's path in a mount namespace of its own).
 */
#include "selftests/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "userspace/base/log.h"

#define JOURNAL "/run/systemd/journal"

/* stderr is a pipe from now on; its other end. */
static int catch_stderr(void)
{
	int ends[2];

	CHECK_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	fcntl(ends[1], F_SETFL, 0);
	CHECK_EQ(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	return ends[0];
}

static const char *read_line(int fd)
{
	static char got[8192];
	ssize_t n = read(fd, got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

static void check_same(const char *got, const char *expected)
{
	if (strcmp(got, expected))
		test_stop(T_FAIL, "'%s', expected '%s'", got, expected);
}

/* Without the time stamp, whose form is checked. */
static const char *after_stamp(const char *line)
{
	static const char form[] = "0000-00-00T00:00:00.000Z ";

	for (size_t i = 0; form[i]; i++)
		CHECK(form[i] == '0' ? line[i] >= '0' && line[i] <= '9' : line[i] == form[i]);
	return line + strlen(form);
}

static void use_stderr(void)
{
	unsetenv("JOURNAL_STREAM");
	log_open("ipamd");
}

/* Makes stderr what $JOURNAL_STREAM names. */
static void use_journal(void)
{
	struct stat st;
	char text[64];

	CHECK_EQ(fstat(STDERR_FILENO, &st), 0);
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
	log_open("ipamd");
}

static int serve_journal(void)
{
	struct sockaddr_un at = {AF_UNIX, JOURNAL "/socket"};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	CHECK_EQ(unshare(CLONE_NEWNS), 0);
	mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	CHECK_EQ(mount("tmpfs", "/run", "tmpfs", 0, NULL), 0);
	mkdir("/run/systemd", 0755);
	mkdir(JOURNAL, 0755);
	CHECK_EQ(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

TEST(a_line_has_time_name_level_and_text)
{
	int fd = catch_stderr();

	use_stderr();
	log_say(LOG_WARNING, "pool %s: %d left", "default", 3);
	check_same(after_stamp(read_line(fd)), "ipamd: warning: pool default: 3 left\n");
	log_say(LOG_ERROR, "%s", "");
	check_same(after_stamp(read_line(fd)), "ipamd: error: \n");
}

TEST(data_cannot_make_a_line_or_move_the_cursor)
{
	int fd = catch_stderr();

	use_stderr();
	log_say(LOG_INFO, "pod %s", "a\nipamd: error: forged\r\x1b[2J\x7f");
	check_same(after_stamp(read_line(fd)),
		   "ipamd: info: pod a\\nipamd: error: forged\\x0d\\x1b[2J\\x7f\n");
	log_say(LOG_INFO, "%s", "\xc3\xa9 \xff \xc2\x9b");
	check_same(after_stamp(read_line(fd)), "ipamd: info: \xc3\xa9 \\xff \\xc2\\x9b\n");
}

TEST(levels_beyond_the_filter_are_silent)
{
	int fd = catch_stderr();

	use_stderr();
	log_say(LOG_DEBUG, "unsaid");
	check_same(read_line(fd), "");
	log_level = LOG_DEBUG;
	log_say(LOG_DEBUG, "said");
	check_same(after_stamp(read_line(fd)), "ipamd: debug: said\n");
	log_level = LOG_ERROR;
	log_say(LOG_WARNING, "unsaid");
	check_same(read_line(fd), "");
}

TEST(a_long_line_is_cut_and_says_so)
{
	static char text[10000];
	int fd = catch_stderr();
	const char *line;

	use_stderr();
	memset(text, '\n', sizeof(text) - 1); /* each becomes two */
	log_say(LOG_INFO, "%s", text);
	line = read_line(fd);
	CHECK(strlen(line) > 2000 && strlen(line) < 4096);
	check_same(line + strlen(line) - 6, "\\n...\n");
}

TEST(the_journal_gets_priority_and_name)
{
	int fd = serve_journal(), err = catch_stderr();

	use_journal();
	log_say(LOG_WARNING, "two\nlines");
	check_same(read_line(fd), "PRIORITY=4\nSYSLOG_IDENTIFIER=ipamd\nMESSAGE=two\\nlines\n");
	check_same(read_line(err), "");
}

TEST(without_the_journal_stderr_gets_the_line)
{
	int fd = serve_journal(), err = catch_stderr();

	use_journal();
	unlink(JOURNAL "/socket");
	log_say(LOG_NOTICE, "still here");
	check_same(read_line(fd), "");
	check_same(read_line(err), "<5>still here\n");
}

TEST(a_full_journal_does_not_block)
{
	int fd = serve_journal(), err = catch_stderr();

	use_journal();
	for (int i = 0; i < 100000; i++) {
		log_say(LOG_INFO, "line %d", i);
		if (*read_line(err))
			break;
	}
	check_same(read_line(fd), "PRIORITY=6\nSYSLOG_IDENTIFIER=ipamd\nMESSAGE=line 0\n");
	log_say(LOG_INFO, "again");
	check_same(read_line(err), "");
}

TEST(a_variable_that_names_another_file_is_no_journal)
{
	int fd = serve_journal(), err = catch_stderr();

	struct stat st;
	char other[64];

	/* The same device, another inode. */
	CHECK_EQ(fstat(STDERR_FILENO, &st), 0);
	snprintf(other, sizeof(other), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + 1);
	setenv("JOURNAL_STREAM", other, 1);
	log_open("ipamd");
	log_say(LOG_INFO, "x");
	check_same(read_line(fd), "");
	check_same(after_stamp(read_line(err)), "ipamd: info: x\n");
}

TEST(a_reader_that_stopped_costs_lines_and_learns_how_many)
{
	static char drain[1 << 20];
	int fd = catch_stderr();

	use_stderr();
	CHECK(fcntl(fd, F_SETPIPE_SZ, 4096) > 0);
	for (int i = 0; i < 1000; i++)
		log_say(LOG_INFO, "%0100d", i);
	CHECK(read(fd, drain, sizeof(drain)) > 0);
	log_say(LOG_INFO, "back");
	CHECK(strstr(read_line(fd), "lines before this one were lost\n"));
}

TEST(a_closed_stderr_is_survived)
{
	use_stderr();
	close(STDERR_FILENO);
	errno = 77;
	log_say(LOG_ERROR, "nobody hears");
	CHECK_EQ(errno, 77);
}

TEST_MAIN

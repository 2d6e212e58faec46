// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What an operator gets to see of a configuration or a command line that is wrong:
 * the real program, one line, the right exit status, and nothing on stdout.
 */
#include "selftests/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "selftests/config_corpus.h"

enum { USAGE = 2, BAD = 78, NOBODY = 65534 };

#define GOOD "[pool p]\nsubnet = 10.0.0.0/24\n"

static char dir[] = "/tmp/ipamd-test-dryrun.XXXXXX";

/* What the last run wrote. */
static char out[1 << 16], err[1 << 16];
static bool as_nobody;
static const char *stdout_path; /* NULL: into `out` */

/* --- Running it ------------------------------------------------------------------ */

static int open_binary(void)
{
	char path[512];
	const char *o = getenv("O");
	int fd;

	snprintf(path, sizeof(path), "%s/userspace/ipamd", o ? o : "build");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		test_stop(T_FAIL, "%s: %s", path, strerror(errno));
	return fd;
}

static void read_back(int fd, char *ret, size_t size)
{
	ssize_t n = pread(fd, ret, size - 1, 0);

	CHECK(n >= 0);
	ret[n] = '\0';
	close(fd);
}

static void become(int binary, int out_fd, int err_fd, char *const *argv)
{
	if (stdout_path)
		out_fd = open(stdout_path, O_WRONLY);
	dup2(out_fd, 1);
	dup2(err_fd, 2);
	if (as_nobody && (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY)))
		_exit(126);
	alarm(20);
	fexecve(binary, argv, (char *const[]){"PATH=/usr/bin", NULL});
	_exit(127);
}

/* ipamd with these arguments, NULL at the end: its exit status. */
static int run(const char *a, const char *b, const char *c, const char *d)
{
	char *const argv[] = {"ipamd", (char *)a, (char *)b, (char *)c, (char *)d, NULL};
	int out_fd = memfd_create("out", MFD_CLOEXEC), err_fd = memfd_create("err", MFD_CLOEXEC);
	int binary = open_binary(), status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		become(binary, out_fd, err_fd, argv);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	close(binary);
	read_back(out_fd, out, sizeof(out));
	read_back(err_fd, err, sizeof(err));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void in_place(void)
{
	CHECK(mkdtemp(dir) && !chmod(dir, 0755) && !chdir(dir));
}

/* The build directory may be named from where the test was started. */
static void begin(void)
{
	const char *o = getenv("O");
	char *full = realpath(o ? o : "build", NULL);

	CHECK(full && !setenv("O", full, 1));
	free(full);
	in_place();
}

static void end(void)
{
	char command[128];

	CHECK(!chdir("/"));
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	CHECK_EQ(system(command), 0);
}

static void write_file(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

static void write_text(const char *path, const char *text)
{
	write_file(path, text, strlen(text));
}

/* --- What it must say ---------------------------------------------------------------- */

static void check_line(int code, const char *complaint, const char *what)
{
	char *newline = strchr(err, '\n');

	if (code != BAD || out[0] || strncmp(err, "ipamd: ", 7) || !newline || newline[1] ||
	    !strstr(err, complaint))
		test_stop(T_FAIL, "%s: exit %d, \"%s\" lacks \"%s\"; stdout \"%.60s\"", what, code,
			  err, complaint, out);
}

/* `t.conf` as it is now. */
static void check_bad(const char *complaint, const char *what)
{
	check_line(run("-n", "-c", "t.conf", NULL), complaint, what);
}

static void check_good(const char *what)
{
	int code = run("-n", "-c", "t.conf", NULL);

	if (code || err[0] || !out[0])
		test_stop(T_FAIL, "%s: exit %d, \"%s\"", what, code, err);
}

TEST(every_mistake_in_the_text_is_one_line_with_file_and_line)
{
	begin();
	for (size_t i = 0; i < CONFIG_BAD; i++) {
		write_text("t.conf", config_bad[i].text);
		check_bad(config_bad[i].complaint, config_bad[i].text);
		if (!strstr(err, "there is no pool"))
			CHECK(!strncmp(err, "ipamd: t.conf:", 14) && atoi(err + 14) > 0);
	}
	printf("# %d mistakes\n", CONFIG_BAD);
	CHECK(CONFIG_BAD >= 60);
	end();
}

TEST(without_dry_run_a_mistake_ends_the_start_just_so)
{
	begin();
	write_text("t.conf", "[pool p]\n");
	check_line(run("-c", "t.conf", NULL, NULL), "t.conf:1: pool p: it needs", "no -n");
	check_line(run("--idle-exit", "5", "-c", "t.conf"), "t.conf:1: pool p: it needs", "idle");
	end();
}

TEST(what_is_good_prints_what_reads_back_to_the_same)
{
	static char once[sizeof(out)];

	begin();
	for (size_t i = 0; i < CONFIG_GOOD; i++) {
		write_text("t.conf", config_good[i]);
		check_good(config_good[i]);
		memcpy(once, out, sizeof(once));
		write_text("t.conf", once);
		check_good(once);
		if (strcmp(once, out))
			test_stop(T_FAIL, "%s\nis not\n%s", once, out);
	}
	printf("# %d good ones\n", CONFIG_GOOD);
	end();
}

/* --- Files -------------------------------------------------------------------------------- */

static void put_nothing(void)
{
}

static void put_directory(void)
{
	CHECK_EQ(mkdir("t.conf", 0755), 0);
}

static void put_fifo(void)
{
	CHECK_EQ(mkfifo("t.conf", 0644), 0);
}

static void put_socket(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "t.conf"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_EQ(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
}

static void put_device(void)
{
	CHECK_EQ(symlink("/dev/zero", "t.conf"), 0);
}

static void put_dangling(void)
{
	CHECK_EQ(symlink("nowhere", "t.conf"), 0);
}

static void put_loop(void)
{
	CHECK_EQ(symlink("t.conf", "t.conf"), 0);
}

static void put_binary(void)
{
	static unsigned char data[4096];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 2654435761U >> 13);
	write_file("t.conf", data, sizeof(data));
}

static void put_elf(void)
{
	write_file("t.conf", "\177ELF\2\1\1\0\0\0\0", 11);
}

static void put_large(void)
{
	static char data[2 << 20];

	memset(data, '\n', sizeof(data));
	write_file("t.conf", data, sizeof(data));
}

static void put_long_line(void)
{
	static char data[1 << 19];

	memset(data, 'x', sizeof(data));
	write_file("t.conf", data, sizeof(data));
}

static void put_nul(void)
{
	write_file("t.conf", GOOD "low\0 = 5\n", sizeof(GOOD "low\0 = 5\n") - 1);
}

static void put_late_nul(void)
{
	write_file("t.conf", GOOD "\0", sizeof(GOOD "\0") - 1);
}

static void put_utf16(void)
{
	write_file("t.conf", "\377\376[\0p\0", 6);
}

static void put_old_mac(void)
{
	write_text("t.conf", "[pool p]\rsubnet = 10.0.0.0/24\r");
}

static void put_long_value(void)
{
	static char data[1 << 16];

	strcpy(data, GOOD "gateway = ");
	memset(data + strlen(data), '1', 60000);
	write_text("t.conf", data);
}

static void put_escape(void)
{
	write_text("t.conf", GOOD "gateway = \302\233\377 31m\n");
}

static void put_dangling_part(void)
{
	write_text("t.conf", GOOD);
	CHECK(!mkdir("t.conf.d", 0755) && !symlink("nowhere", "t.conf.d/a.conf"));
}

static void put_part_directory(void)
{
	write_text("t.conf", GOOD);
	CHECK(!mkdir("t.conf.d", 0755) && !mkdir("t.conf.d/a.conf", 0755));
}

static void put_part_fifo(void)
{
	write_text("t.conf", GOOD);
	CHECK(!mkdir("t.conf.d", 0755) && !mkfifo("t.conf.d/a.conf", 0644));
}

static void put_bad_part(void)
{
	write_text("t.conf", GOOD);
	CHECK_EQ(mkdir("t.conf.d", 0755), 0);
	write_text("t.conf.d/a.conf", "[pool a]\nsubnet = 10.1.0.0/24\n");
	write_text("t.conf.d/b.conf", "[pool b]\n\nsubnet = 10.2.0.0/33\n");
}

static void put_twice(void)
{
	write_text("t.conf", GOOD);
	CHECK_EQ(mkdir("t.conf.d", 0755), 0);
	write_text("t.conf.d/a.conf", "# mine\n" GOOD);
}

static void put_newline_in_name(void)
{
	write_text("t.conf", GOOD);
	CHECK_EQ(mkdir("t.conf.d", 0755), 0);
	write_text("t.conf.d/a\nipamd: b\033[2J.conf", "[pool\n");
}

static void put_file_for_directory(void)
{
	write_text("t.conf", GOOD);
	write_text("t.conf.d", GOOD);
}

static void put_unclosed(void)
{
	write_text("t.conf", GOOD "low = "); /* and no end of line */
}

static const struct {
	void (*put)(void);
	const char *complaint;
} files[] = {
	{put_nothing, "t.conf: cannot be read: No such file or directory"},
	{put_directory, "t.conf: cannot be read: Is a directory"},
	{put_fifo, "t.conf: cannot be read: "},
	{put_socket, "t.conf: cannot be read: "},
	{put_device, "t.conf: cannot be read: "},
	{put_dangling, "t.conf: cannot be read: No such file or directory"},
	{put_loop, "t.conf: cannot be read: Too many levels of symbolic links"},
	{put_binary, "t.conf:1: "},
	{put_elf, "t.conf:1: a NUL byte"},
	{put_large, "t.conf: cannot be read: File too large"},
	{put_long_line, "t.conf:1: "},
	{put_nul, "t.conf:3: a NUL byte"},
	{put_late_nul, "t.conf:3: a NUL byte"},
	{put_utf16, "t.conf:1: a NUL byte"},
	{put_old_mac, "t.conf:1: a control character (0x0d)"},
	{put_long_value, "t.conf:3: gateway = 1111"},
	{put_escape, "t.conf:3: gateway = \\xc2\\x9b\\xff 31m: an address is allowed"},
	{put_unclosed, "t.conf:3: \"low\" has no value"},
	{put_dangling_part, "t.conf.d/a.conf: cannot be read: No such file"},
	{put_part_directory, "t.conf.d/a.conf: cannot be read: Is a directory"},
	{put_part_fifo, "t.conf.d/a.conf: cannot be read: "},
	{put_bad_part, "t.conf.d/b.conf:3: subnet = 10.2.0.0/33"},
	{put_twice, "t.conf.d/a.conf:2: pool p is at t.conf:1 already"},
	{put_newline_in_name, "t.conf.d/a\\nipamd: b\\x1b[2J.conf:1: "},
	{put_file_for_directory, "t.conf.d: cannot be read: Not a directory"},
};

TEST(every_file_that_is_no_configuration_is_one_line_with_its_name)
{
	begin();
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		CHECK_EQ(system("rm -rf t.conf t.conf.d"), 0);
		files[i].put();
		check_bad(files[i].complaint, files[i].complaint);
	}
	printf("# %zu files\n", sizeof(files) / sizeof(files[0]));
	end();
}

TEST(who_may_not_read_a_file_is_told_which)
{
	begin();
	as_nobody = true;
	write_text("t.conf", GOOD);
	check_good("as nobody");
	CHECK_EQ(chmod("t.conf", 0600), 0);
	check_bad("t.conf: cannot be read: Permission denied", "a file of root's");
	CHECK_EQ(chmod("t.conf", 0644), 0);
	CHECK_EQ(mkdir("t.conf.d", 0700), 0);
	check_bad("t.conf.d: cannot be read: Permission denied", "a directory of root's");
	end();
}

static void check_says(const char *text)
{
	check_good(text);
	if (!strstr(out, text))
		test_stop(T_FAIL, "no \"%s\" in %s", text, out);
}

TEST(parts_are_read_in_order_and_other_files_are_not)
{
	begin();
	write_text("t.conf", "[pool p]\nsubnet = 10.0.0.0/24"); /* no last end of line */
	check_says("[pool p]\nsubnet = 10.0.0.0/24\n");
	CHECK_EQ(mkdir("t.conf.d", 0755), 0);
	check_says("slots = 256\n");
	write_text("t.conf.d/b.conf", "[manager]\nslots = 128\n");
	write_text("t.conf.d/a.conf", "[manager]\nslots = 64\nhistory = 1d\n");
	check_says("slots = 128\n");
	check_says("history = 1d\n");
	write_text("t.conf.d/.hidden.conf", "nonsense");
	write_text("t.conf.d/c.conf~", "nonsense");
	write_text("t.conf.d/c.conf.dpkg-old", "nonsense");
	write_text("t.conf.d/README", "nonsense");
	check_says("slots = 128\n");
	end();
}

TEST(a_long_path_is_still_told)
{
	char path[600] = "./";

	begin();
	while (strlen(path) < 300)
		strcat(path, "./");
	strcat(path, "t.conf");
	write_text("t.conf", "[pool p]\nsubnet = x\n");
	check_line(run("-n", "-c", path, NULL), "t.conf:2: subnet = x", "a long path");
	while (strlen(path) < 590)
		strcat(path, "x");
	check_line(run("-n", "-c", path, NULL), "cannot be read: File name too long", "too long");
	end();
}

/* --- The command line ------------------------------------------------------------------------ */

static const char *const misuses[][4] = {
	{"-x"},
	{"--nope"},
	{"-c"},
	{"-n", "-c"},
	{"--config"},
	{"-n", "more"},
	{"more"},
	{"-n", "--", "more"},
	{"--dry-run=1"},
	{"--ver"}, /* which one */
	{"--idle-exit"},
	{"--idle-exit", "0"},
	{"--idle-exit", "-1"},
	{"--idle-exit", "+1"},
	{"--idle-exit", " 1"},
	{"--idle-exit", "1.5"},
	{"--idle-exit", "1m"},
	{"--idle-exit", "1ss"},
	{"--idle-exit", "s"},
	{"--idle-exit", ""},
	{"--idle-exit", "86401"},
	{"--idle-exit", "99999999999999999999"},
	{"--idle-exit=0x10"},
	{"-nx"},
	{"-"},
	{""},
};

TEST(a_command_line_that_is_wrong_is_told_and_ends_with_2)
{
	begin();
	for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
		const char *const *m = misuses[i];
		int code = run(m[0], m[1], m[2], m[3]);

		if (code != USAGE || out[0] || !err[0])
			test_stop(T_FAIL, "%s %s: exit %d, \"%s\", stdout \"%s\"", m[0],
				  m[1] ? m[1] : "", code, err, out);
		CHECK(!strncmp(err, "ipamd: ", 7));
	}
	printf("# %zu command lines\n", sizeof(misuses) / sizeof(misuses[0]));
	end();
}

TEST(help_and_version_are_asked_for_and_good)
{
	begin();
	CHECK_EQ(run("-h", NULL, NULL, NULL), 0);
	CHECK(strstr(out, "usage: ipamd") == out && !err[0]);
	CHECK_EQ(run("--help", NULL, NULL, NULL), 0);
	CHECK(strstr(out, "usage: ipamd") == out && !err[0]);
	CHECK_EQ(run("-V", NULL, NULL, NULL), 0);
	CHECK(strstr(out, "ipamd ") == out && !err[0]);
	end();
}

TEST(what_cannot_be_written_is_no_success)
{
	begin();
	write_text("t.conf", GOOD);
	stdout_path = "/dev/full";
	CHECK_EQ(run("-n", "-c", "t.conf", NULL), 1);
	CHECK(!strncmp(err, "ipamd: ", 7) && strstr(err, "No space left"));
	end();
}

TEST_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The run directory among directories that others prepared, and sockets that
 * change hands under clients that never stop connecting.
 */
#include "selftests/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "userspace/base/rundir.h"

#define PLACE "/tmp/ipamd-test-run"
#define DIR_  PLACE "/a/b/ipamd"

static void make_place(void)
{
	CHECK_EQ(unshare(CLONE_NEWNS), 0);
	mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mkdir(PLACE, 0755);
	CHECK_EQ(mount("tmpfs", PLACE, "tmpfs", 0, "mode=0755"), 0);
}

static unsigned int mode_of(const char *path)
{
	struct stat st;

	CHECK_EQ(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

/* A directory made by somebody, with this mode and owner. */
static int open_made(mode_t mode, uid_t owner)
{
	int fd = -1, r;

	rmdir(PLACE "/d");
	CHECK_EQ(mkdir(PLACE "/d", 0700), 0);
	CHECK_EQ(chmod(PLACE "/d", mode), 0);
	CHECK_EQ(chown(PLACE "/d", owner, (gid_t)-1), 0);
	r = rundir_open(PLACE "/d", &fd);
	if (!r)
		close(fd);
	return r;
}

static int open_dir(void)
{
	int fd = -1;

	make_place();
	CHECK_EQ(rundir_open(DIR_, &fd), 0);
	return fd;
}

TEST(it_is_made_with_its_parents_whatever_the_umask)
{
	int fd = -1, fd2 = -1;

	make_place();
	umask(0777);
	CHECK_EQ(rundir_open(DIR_, &fd), 0);
	CHECK_EQ(mode_of(PLACE "/a"), 0755);
	CHECK_EQ(mode_of(PLACE "/a/b"), 0755);
	CHECK_EQ(mode_of(DIR_), 0700);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(rundir_open(DIR_ "//", &fd2), 0);
	CHECK_EQ(umask(022), 0777);
	close(fd);
	close(fd2);
}

TEST(what_others_could_only_read_is_closed_to_them)
{
	make_place();
	CHECK_EQ(open_made(0755, 0), 0);
	CHECK_EQ(mode_of(PLACE "/d"), 0700);
	CHECK_EQ(open_made(02700, 0), 0);
	CHECK_EQ(mode_of(PLACE "/d"), 0700);
	CHECK_EQ(open_made(0500, 0), 0);
	CHECK_EQ(mode_of(PLACE "/d"), 0700);
}

TEST(what_others_prepared_is_refused)
{
	int fd = -1;

	make_place();
	CHECK_EQ(open_made(0700, 1000), RUNDIR_SQUATTED);
	CHECK_EQ(open_made(0777, 0), RUNDIR_SQUATTED);
	CHECK_EQ(open_made(01770, 0), RUNDIR_SQUATTED);
	CHECK_EQ(mode_of(PLACE "/d"), 01770);
	CHECK_EQ(symlink(PLACE "/d", PLACE "/link"), 0);
	CHECK_EQ(rundir_open(PLACE "/link", &fd), RUNDIR_SQUATTED);
	CHECK_EQ(rundir_open(PLACE "/link/", &fd), RUNDIR_SQUATTED);
	CHECK_EQ(symlink("nowhere", PLACE "/dangling"), 0);
	CHECK_EQ(rundir_open(PLACE "/dangling", &fd), RUNDIR_SQUATTED);
	CHECK_EQ(mknod(PLACE "/file", S_IFREG | 0600, 0), 0);
	CHECK_EQ(rundir_open(PLACE "/file", &fd), RUNDIR_SQUATTED);
	CHECK_EQ(fd, -1);
	CHECK(strstr(rundir_explain(RUNDIR_SQUATTED), "remove"));
}

TEST(a_parent_may_be_a_symlink)
{
	int fd = -1;

	make_place();
	CHECK_EQ(mkdir(PLACE "/run", 0755), 0);
	CHECK_EQ(mkdir(PLACE "/var", 0755), 0);
	CHECK_EQ(symlink("../run", PLACE "/var/run"), 0);
	CHECK_EQ(rundir_open(PLACE "/var/run/ipamd", &fd), 0);
	CHECK_EQ(mode_of(PLACE "/run/ipamd"), 0700);
	close(fd);
}

static int connect_to(const char *path, int type)
{
	struct sockaddr_un at = {AF_UNIX, ""};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0), r;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	r = connect(fd, (struct sockaddr *)&at, sizeof(at)) ? -errno : 0;
	close(fd);
	return r;
}

TEST(a_socket_is_private_and_does_not_block)
{
	int dir = open_dir(), fd = -1, fd2 = -1;

	umask(0);
	CHECK_EQ(rundir_listen(dir, "claim.sock", SOCK_SEQPACKET, &fd), 0);
	CHECK_EQ(rundir_listen(dir, "http.sock", SOCK_STREAM, &fd2), 0);
	CHECK_EQ(mode_of(DIR_ "/claim.sock"), 0600);
	CHECK_EQ(mode_of(DIR_ "/http.sock"), 0600);
	CHECK_EQ(umask(022), 0);
	CHECK_EQ(connect_to(DIR_ "/claim.sock", SOCK_SEQPACKET), 0);
	CHECK_EQ(connect_to(DIR_ "/http.sock", SOCK_STREAM), 0);
	CHECK_EQ(connect_to(DIR_ "/http.sock", SOCK_SEQPACKET), -EPROTOTYPE);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CHECK(accept(fd, NULL, NULL) >= 0);
	CHECK(accept(fd, NULL, NULL) < 0 && errno == EAGAIN);
	close(fd);
	close(fd2);
	close(dir);
}

TEST(a_backlog_takes_a_storm)
{
	int dir = open_dir(), fd = -1;

	CHECK_EQ(rundir_listen(dir, "claim.sock", SOCK_SEQPACKET, &fd), 0);
	for (int i = 0; i < 128; i++) {
		struct sockaddr_un at = {AF_UNIX, DIR_ "/claim.sock"};
		int c = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		CHECK_EQ(connect(c, (struct sockaddr *)&at, sizeof(at)), 0);
	}
	close(fd);
	close(dir);
}

TEST(clients_never_see_a_gap)
{
	int dir = open_dir(), fd = -1, st;
	pid_t pid;

	CHECK_EQ(rundir_listen(dir, "s", SOCK_STREAM, &fd), 0);
	pid = fork();
	if (!pid) {
		for (int i = 0; i < 20000; i++)
			CHECK_EQ(connect_to(DIR_ "/s", SOCK_STREAM), 0);
		_exit(T_PASS);
	}
	while (!waitpid(pid, &st, WNOHANG)) {
		int next = -1, c;

		CHECK_EQ(rundir_listen(dir, "s", SOCK_STREAM, &next), 0);
		while ((c = accept(fd, NULL, NULL)) >= 0)
			close(c);
		/* As the kernel does when the old manager has gone. */
		close(fd);
		fd = next;
	}
	CHECK_EQ(st, 0);
	CHECK(access(DIR_ "/s.new", F_OK) && errno == ENOENT);
	close(fd);
	close(dir);
}

TEST(what_an_earlier_run_left_is_no_obstacle)
{
	int dir = open_dir(), fd = -1;

	CHECK_EQ(mknodat(dir, "s.new", S_IFREG | 0644, 0), 0);
	CHECK_EQ(mknodat(dir, "s", S_IFSOCK | 0644, 0), 0);
	CHECK_EQ(rundir_listen(dir, "s", SOCK_STREAM, &fd), 0);
	CHECK_EQ(connect_to(DIR_ "/s", SOCK_STREAM), 0);
	close(fd);
	CHECK_EQ(mkdirat(dir, "d", 0700), 0);
	CHECK_EQ(rundir_listen(dir, "d", SOCK_STREAM, &fd), -EISDIR);
	CHECK(access(DIR_ "/d.new", F_OK) && errno == ENOENT);
	close(dir);
}

TEST(a_name_too_long_is_said)
{
	char name[128];
	int dir = open_dir(), fd = -1;

	memset(name, 'n', sizeof(name));
	name[127] = '\0';
	CHECK_EQ(rundir_listen(dir, name, SOCK_STREAM, &fd), -ENAMETOOLONG);
	name[100] = '\0';
	CHECK_EQ(rundir_listen(dir, name, SOCK_STREAM, &fd), -ENAMETOOLONG);
	name[60] = '\0';
	CHECK_EQ(rundir_listen(dir, name, SOCK_STREAM, &fd), 0);
	close(fd);
	close(dir);
}

TEST_MAIN

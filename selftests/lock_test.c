// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who has the lock, by the kernel's word, and that it ends with its process. */
#include "selftests/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "userspace/base/lock.h"

#define PLACE "/tmp/ipamd-test-lock"

static int open_place(void)
{
	CHECK_EQ(unshare(CLONE_NEWNS), 0);
	mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mkdir(PLACE, 0700);
	CHECK_EQ(mount("tmpfs", PLACE, "tmpfs", 0, NULL), 0);
	return open(PLACE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A child that takes it, says so, and waits to be killed. */
static pid_t start_holder(int dir, const char *text)
{
	int ends[2], fd = -1;
	pid_t pid, owner;
	char said = 'n';

	CHECK_EQ(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		said = !lock_take(dir, "lock", &fd, &owner) && !lock_write(fd, text) ? 'y' : 'n';
		CHECK_EQ(write(ends[1], &said, 1), 1);
		for (;;)
			pause();
	}
	CHECK_EQ(read(ends[0], &said, 1), 1);
	CHECK_EQ(said, 'y');
	close(ends[0]);
	close(ends[1]);
	return pid;
}

static void end_holder(pid_t pid)
{
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

TEST(a_killed_holder_has_no_lock)
{
	int dir = open_place(), fd = -1;
	pid_t holder = start_holder(dir, "manager"), owner = -1;

	CHECK_EQ(lock_take(dir, "lock", &fd, &owner), LOCK_HELD);
	CHECK_EQ(owner, holder);
	CHECK_EQ(fd, -1);
	end_holder(holder);
	CHECK_EQ(lock_take(dir, "lock", &fd, &owner), 0);
	lock_drop(fd);
	close(dir);
}

TEST(the_holder_says_what_it_is)
{
	int dir = open_place(), fd = -1;
	pid_t holder = start_holder(dir, "idle-exit"), owner;
	char text[LOCK_TEXT_MAX] = "?";

	CHECK_EQ(lock_read(dir, "lock", text), 0);
	CHECK(!strcmp(text, "idle-exit"));
	end_holder(holder);

	holder = start_holder(dir, "manager");
	CHECK_EQ(lock_read(dir, "lock", text), 0);
	CHECK(!strcmp(text, "manager"));
	end_holder(holder);

	/* The next one has not said it yet. */
	CHECK_EQ(lock_take(dir, "lock", &fd, &owner), 0);
	CHECK_EQ(lock_write(fd, "two\nlines"), -EINVAL);
	if (!fork()) {
		CHECK_EQ(lock_read(dir, "lock", text), 0);
		_exit(strcmp(text, "") ? T_FAIL : T_PASS);
	}
	int st;
	CHECK(wait(&st) > 0);
	CHECK_EQ(st, 0);
	lock_drop(fd);
	close(dir);
}

TEST(a_reader_does_not_cost_the_holder_its_lock)
{
	int dir = open_place(), fd = -1, fd2 = -1, st;
	char text[LOCK_TEXT_MAX];
	pid_t owner = 0, pid;

	CHECK_EQ(lock_take(dir, "lock", &fd, &owner), 0);
	CHECK_EQ(lock_read(dir, "lock", text), -EDEADLK);
	CHECK_EQ(lock_take(dir, "lock", &fd2, &owner), LOCK_HELD);
	CHECK_EQ(owner, getpid());
	pid = fork();
	if (!pid) {
		CHECK_EQ(lock_take(dir, "lock", &fd2, &owner), LOCK_HELD);
		_exit(owner == getppid() ? T_PASS : T_FAIL);
	}
	CHECK_EQ(waitpid(pid, &st, 0), pid);
	CHECK_EQ(st, 0);
	lock_drop(fd);
	CHECK_EQ(lock_take(dir, "lock", &fd, &owner), 0);
	lock_drop(fd);
	close(dir);
}

TEST(a_child_does_not_keep_it)
{
	int dir = open_place(), fd = -1;
	pid_t owner, pid;

	CHECK_EQ(lock_take(dir, "lock", &fd, &owner), 0);
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	lock_drop(fd);
	CHECK_EQ(lock_take(dir, "lock", &fd, &owner), 0);
	end_holder(pid);
	lock_drop(fd);
	close(dir);
}

/* The first process of a new pid namespace. */
static int look_from_inside(int dir)
{
	int fd = -1, st;
	pid_t owner = -1;

	if (unshare(CLONE_NEWPID))
		return T_SKIP;
	if (!fork()) {
		CHECK_EQ(lock_take(dir, "lock", &fd, &owner), LOCK_HELD);
		_exit(owner == 0 ? T_PASS : T_FAIL);
	}
	CHECK(wait(&st) > 0);
	return st ? T_FAIL : T_PASS;
}

TEST(a_holder_beyond_our_pid_namespace_is_nobody)
{
	int dir = open_place(), fd = -1, st;
	pid_t owner = -1;

	CHECK_EQ(lock_take(dir, "lock", &fd, &owner), 0);
	if (!fork())
		_exit(look_from_inside(dir));
	CHECK(wait(&st) > 0);
	lock_drop(fd);
	close(dir);
	if (WEXITSTATUS(st) == T_SKIP)
		SKIP("no pid namespaces here");
	CHECK_EQ(st, 0);
}

TEST(the_file_is_ours_and_a_file)
{
	int dir = open_place(), fd = -1;
	struct stat st;
	pid_t owner;

	CHECK_EQ(symlinkat("/tmp/elsewhere", dir, "link"), 0);
	CHECK_EQ(lock_take(dir, "link", &fd, &owner), -ELOOP);
	CHECK_EQ(mkfifoat(dir, "fifo", 0600), 0);
	CHECK_EQ(lock_take(dir, "fifo", &fd, &owner), -EINVAL);
	CHECK_EQ(mkdirat(dir, "dir", 0700), 0);
	CHECK_EQ(lock_take(dir, "dir", &fd, &owner), -EISDIR);
	CHECK_EQ(lock_take(dir, "lock", &fd, &owner), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0600);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	lock_drop(fd);
	close(dir);
}

TEST_MAIN

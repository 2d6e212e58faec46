// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* systemd's side is a datagram socket of the test. */
#include "selftests/harness.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "userspace/base/notify.h"

#define PATH "/tmp/ipamd-test-notify"

/* Bound at a path, or at "@name"; and the environment says so. */
static int listen_at(const char *name)
{
	struct sockaddr_un at = {AF_UNIX, ""};
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", name);
	if (*name == '@')
		at.sun_path[0] = '\0';
	else
		unlink(name);
	CHECK_EQ(bind(fd, (struct sockaddr *)&at, size), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void check_heard(int fd, const char *expected)
{
	char got[1024];
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	CHECK(n >= 0);
	got[n] = '\0';
	if (strcmp(got, expected))
		test_stop(T_FAIL, "'%s', expected '%s'", got, expected);
}

TEST(a_path_and_an_abstract_name_are_reached)
{
	char name[64];
	int fd = listen_at(PATH);

	CHECK_EQ(notify_ready(), 0);
	check_heard(fd, "READY=1");
	close(fd);
	unlink(PATH);

	snprintf(name, sizeof(name), "@ipamd-test-notify-%d", getpid());
	fd = listen_at(name);
	CHECK_EQ(notify_stopping(), 0);
	check_heard(fd, "STOPPING=1");
	CHECK_EQ(notify_send("WATCHDOG=1"), 0);
	check_heard(fd, "WATCHDOG=1");
	close(fd);
}

TEST(without_a_socket_all_is_well)
{
	unsetenv("NOTIFY_SOCKET");
	CHECK_EQ(notify_ready(), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	CHECK_EQ(notify_ready(), 0);
}

TEST(a_socket_that_is_not_there_is_an_error)
{
	char name[200];

	setenv("NOTIFY_SOCKET", PATH "-none", 1);
	CHECK_EQ(notify_ready(), -ENOENT);
	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	CHECK_EQ(notify_ready(), -EAFNOSUPPORT);
	memset(name, 'x', sizeof(name));
	name[0] = '/';
	name[108] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	CHECK_EQ(notify_ready(), -ENAMETOOLONG);
	name[107] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	CHECK_EQ(notify_ready(), -ENOENT);
}

TEST(a_status_is_one_line)
{
	int fd = listen_at(PATH);

	CHECK_EQ(notify_status("%u free\nREADY=0", 7U), 0);
	check_heard(fd, "STATUS=7 free READY=0");
	unlink(PATH);
}

TEST(a_reload_carries_the_time)
{
	int fd = listen_at(PATH);
	struct timespec now;
	uint64_t usec = 0;
	char got[128] = "";

	CHECK_EQ(notify_reloading(), 0);
	CHECK(recv(fd, got, sizeof(got) - 1, 0) > 0);
	CHECK_EQ(sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%" SCNu64, &usec), 1);
	clock_gettime(CLOCK_MONOTONIC, &now);
	CHECK_EQ(usec / 100000000, now.tv_sec / 100);
	unlink(PATH);
}

TEST(a_full_queue_does_not_block)
{
	int fd = listen_at(PATH), r = 0;

	for (int i = 0; i < 100000 && !r; i++)
		r = notify_send("WATCHDOG=1");
	CHECK_EQ(r, -EAGAIN);
	close(fd);
	unlink(PATH);
}

static uint64_t watchdog(const char *usec, const char *pid)
{
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	if (usec)
		setenv("WATCHDOG_USEC", usec, 1);
	if (pid)
		setenv("WATCHDOG_PID", pid, 1);
	return notify_watchdog_ms();
}

TEST(the_watchdog_is_fed_twice_as_often_as_asked)
{
	char self[16];

	snprintf(self, sizeof(self), "%d", getpid());
	CHECK_EQ(watchdog("30000000", NULL), 15000);
	CHECK_EQ(watchdog("30000000", self), 15000);
	CHECK_EQ(watchdog("1000", NULL), 1);
	CHECK_EQ(watchdog("30000000", "1"), 0);
	CHECK_EQ(watchdog("30000000", "x"), 0);
	CHECK_EQ(watchdog(NULL, NULL), 0);
	CHECK_EQ(watchdog("0", NULL), 0);
	CHECK_EQ(watchdog("-1", NULL), 0);
	CHECK_EQ(watchdog("30s", NULL), 0);
	CHECK_EQ(watchdog("99999999999999999999999", NULL), 0);
}

TEST_MAIN

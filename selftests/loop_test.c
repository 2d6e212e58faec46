// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The loop with real descriptors, signals and clocks. */
#include "selftests/harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "userspace/edge/loop.h"

static struct loop *loop;
static struct loop_event *event, *other;
static int count, ends[2];
static uint64_t armed_us;

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void start(void)
{
	CHECK_EQ(loop_open(&loop), 0);
	CHECK_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
}

static void finish(void)
{
	loop_remove(event);
	loop_remove(other);
	loop_close(loop);
	close(ends[0]);
	close(ends[1]);
}

static void read_one(void *ctx)
{
	char c;

	(void)ctx;
	CHECK_EQ(read(ends[0], &c, 1), 1);
	if (++count == 3)
		loop_stop(loop, 42);
}

TEST(what_is_left_unread_is_told_again)
{
	start();
	CHECK_EQ(loop_on_readable(loop, ends[0], read_one, NULL, &event), 0);
	CHECK_EQ(write(ends[1], "abc", 3), 3);
	CHECK_EQ(loop_run(loop), 42);
	CHECK_EQ(count, 3);
	finish();
}

static void stop_in_call(void *ctx)
{
	loop_stop(loop, *(int *)ctx);
}

TEST(a_loop_runs_again_and_a_stop_from_before_counts)
{
	int r = -5;

	start();
	loop_stop(loop, 7);
	CHECK_EQ(loop_run(loop), 7);
	CHECK_EQ(loop_on_time(loop, stop_in_call, &r, &event), 0);
	CHECK_EQ(loop_arm(event, 0), 0);
	CHECK_EQ(loop_run(loop), -5);
	r = 3;
	CHECK_EQ(loop_arm(event, 1), 0);
	CHECK_EQ(loop_run(loop), 3);
	finish();
}

static void hear_end(void *ctx)
{
	char c;

	CHECK_EQ(read(ends[0], &c, 1), 0);
	stop_in_call(ctx);
}

TEST(the_other_side_going_is_told)
{
	int r = 1;

	start();
	CHECK_EQ(loop_on_readable(loop, ends[0], hear_end, &r, &event), 0);
	close(ends[1]);
	CHECK_EQ(loop_run(loop), 1);
	ends[1] = -1;
	finish();
}

TEST(a_signal_is_a_call)
{
	int r = 9;

	start();
	CHECK_EQ(loop_on_signal(loop, SIGHUP, stop_in_call, &r, &event), 0);
	CHECK_EQ(kill(getpid(), SIGHUP), 0);
	CHECK_EQ(loop_run(loop), 9);
	r = 10;
	CHECK_EQ(kill(getpid(), SIGHUP), 0);
	CHECK_EQ(loop_run(loop), 10);
	finish();
}

/* Arms late in a long call: the cached time of a round would be too old. */
static void arm_late(void *ctx)
{
	uint64_t until = now_us() + 30000;

	(void)ctx;
	while (now_us() < until)
		;
	armed_us = now_us();
	CHECK_EQ(loop_arm(other, 20), 0);
}

static void check_late_enough(void *ctx)
{
	CHECK(now_us() - armed_us >= 20000);
	stop_in_call(ctx);
}

TEST(a_timer_is_never_early)
{
	int r = 0;

	start();
	CHECK_EQ(loop_on_time(loop, arm_late, NULL, &event), 0);
	CHECK_EQ(loop_on_time(loop, check_late_enough, &r, &other), 0);
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(loop_arm(event, (uint64_t)i), 0);
		CHECK_EQ(loop_run(loop), 0);
	}
	finish();
}

static void count_call(void *ctx)
{
	(void)ctx;
	count++;
}

TEST(a_disarmed_timer_is_silent_and_a_fired_one_stays_so)
{
	struct loop_event *last = NULL;
	int r = 0;

	start();
	CHECK_EQ(loop_on_time(loop, count_call, NULL, &event), 0);
	CHECK_EQ(loop_on_time(loop, count_call, NULL, &other), 0);
	CHECK_EQ(loop_on_time(loop, stop_in_call, &r, &last), 0);
	CHECK_EQ(loop_arm(event, 1), 0);
	CHECK_EQ(loop_arm(other, 5), 0);
	loop_disarm(other);
	CHECK_EQ(loop_arm(last, 40), 0);
	CHECK_EQ(loop_run(loop), 0);
	CHECK_EQ(count, 1);
	CHECK_EQ(loop_arm(event, UINT64_MAX), 0);
	CHECK_EQ(loop_arm(last, 1), 0);
	CHECK_EQ(loop_run(loop), 0);
	CHECK_EQ(count, 1);
	loop_remove(last);
	finish();
}

/* Both are due in one round; whoever is first removes both. */
static void remove_both(void *ctx)
{
	(void)ctx;
	count++;
	loop_remove(event);
	loop_remove(other);
	event = other = NULL;
	loop_stop(loop, 0);
}

TEST(what_is_removed_is_not_called)
{
	int pair[2];

	start();
	CHECK_EQ(pipe2(pair, O_CLOEXEC), 0);
	CHECK_EQ(loop_on_readable(loop, ends[0], remove_both, NULL, &event), 0);
	CHECK_EQ(loop_on_readable(loop, pair[0], remove_both, NULL, &other), 0);
	CHECK_EQ(write(ends[1], "a", 1), 1);
	CHECK_EQ(write(pair[1], "a", 1), 1);
	CHECK_EQ(loop_run(loop), 0);
	loop_stop(loop, 0);
	CHECK_EQ(loop_run(loop), 0);
	CHECK_EQ(count, 1);
	loop_remove(NULL);
	close(pair[0]);
	close(pair[1]);
	finish();
}

TEST(nonsense_is_refused)
{
	start();
	CHECK_EQ(loop_on_readable(loop, -1, count_call, NULL, &event), -EBADF);
	CHECK_EQ(loop_on_signal(loop, 0, count_call, NULL, &event), -EINVAL);
	CHECK(!event);
	finish();
}

TEST(a_client_that_left_does_not_end_the_process)
{
	start();
	close(ends[0]);
	CHECK_EQ(write(ends[1], "x", 1), -1);
	CHECK_EQ(errno, EPIPE);
	ends[0] = -1;
	finish();
}

/* --- Idle ------------------------------------------------------------------------ */

#ifndef SYS_epoll_wait
#define SYS_epoll_wait SYS_epoll_pwait /* newer architectures have that alone */
#endif

/* In epoll_wait() without a time limit. */
static bool sleeps_for_ever(pid_t pid)
{
	unsigned long long number, epoll, events, max, timeout;
	char path[64], line[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	f = fopen(path, "r");
	CHECK(f);
	CHECK(fgets(line, sizeof(line), f) || !ferror(f));
	fclose(f);
	return sscanf(line, "%llu %llx %llx %llx %llx", &number, &epoll, &events, &max, &timeout) ==
		       5 &&
	       (number == SYS_epoll_wait || number == SYS_epoll_pwait) &&
	       (unsigned int)timeout == UINT32_MAX;
}

/* Of the timerfds that it has, are any armed? */
static bool has_armed_timer(pid_t pid)
{
	char path[64], line[256];
	bool armed = false;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	d = opendir(path);
	CHECK(d);
	while ((e = readdir(d))) {
		int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC);
		FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

		while (f && fgets(line, sizeof(line), f))
			armed = armed || (strstr(line, "it_value:") && !strstr(line, "(0, 0)"));
		if (f)
			fclose(f);
	}
	closedir(d);
	return armed;
}

static pid_t start_loop(uint64_t timer_ms)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		start();
		CHECK_EQ(loop_on_readable(loop, ends[0], read_one, NULL, &event), 0);
		CHECK_EQ(loop_on_time(loop, count_call, NULL, &other), 0);
		if (timer_ms)
			CHECK_EQ(loop_arm(other, timer_ms), 0);
		_exit(loop_run(loop));
	}
	while (!sleeps_for_ever(pid))
		CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	return pid;
}

TEST(an_idle_loop_is_not_woken)
{
	pid_t pid = start_loop(0);

	CHECK(!has_armed_timer(pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);

	/* And the look is able to see one. */
	pid = start_loop(3600000);
	CHECK(has_armed_timer(pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_MAIN

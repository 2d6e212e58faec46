// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Namespaces that the test made, seen from one that it made too: who is told of a
 * death, what an id proves, and that a look misses nothing it could find.
 */
#include "selftests/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_addr.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "userspace/base/addr.h"
#include "userspace/base/clock.h"
#include "userspace/edge/netns.h"
#include "userspace/edge/netns_parse.h"

#define PLACE "/tmp/ipamd-test-netns"

static __u64 now_ms(void)
{
	return clock_boot_ns() / 1000000;
}

/* The test goes on in a child: the first process of a node of its own. */
static void become_first(void)
{
	pid_t pid;
	int st;

	CHECK_EQ(unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid) {
		CHECK_EQ(waitpid(pid, &st, 0), pid);
		_exit(WIFEXITED(st) ? WEXITSTATUS(st) : T_FAIL);
	}
	/* The first process ignores an alarm; its parent's ends both. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* A namespace for the manager, with mounts and processes of its own. */
static struct netns *start(void)
{
	struct rlimit files = {8192, 8192};
	struct netns *n = NULL;

	setrlimit(RLIMIT_NOFILE, &files);
	become_first();
	mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	CHECK_EQ(mount("proc", "/proc", "proc", 0, NULL), 0);
	mkdir(PLACE, 0700);
	CHECK_EQ(mount("tmpfs", PLACE, "tmpfs", 0, NULL), 0);
	CHECK_EQ(netns_open(&n), 0);
	return n;
}

static int own_fd(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static void enter(int fd)
{
	CHECK_EQ(setns(fd, CLONE_NEWNET), 0);
}

/* A new namespace, kept by its descriptor alone. */
static int make(void)
{
	int own = own_fd(), fd;

	CHECK_EQ(unshare(CLONE_NEWNET), 0);
	fd = own_fd();
	enter(own);
	close(own);
	return fd;
}

static int make_with_id(struct netns *n, __s32 *ret)
{
	int fd = make();

	CHECK_EQ(netns_id_of(n, fd, ret), 0);
	return fd;
}

/* Adds an address to lo, by a request of the test's own. */
static void configure(int netns, const char *text)
{
	struct {
		struct nlmsghdr h;
		struct ifaddrmsg m;
		struct rtattr a;
		uint8_t bytes[16];
	} q = {.h = {.nlmsg_type = RTM_NEWADDR,
		     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE}};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char rest[512];
	} answer;
	struct addr a;
	size_t size;
	int own = own_fd(), s;

	CHECK_EQ(addr_parse(text, &a), 0);
	size = a.family == 4 ? 4 : 16;
	enter(netns);
	s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	q.m = (struct ifaddrmsg){.ifa_family = a.family == 4 ? AF_INET : AF_INET6,
				 .ifa_prefixlen = (__u8)(8 * size),
				 .ifa_flags = IFA_F_NODAD,
				 .ifa_index = if_nametoindex("lo")};
	q.a = (struct rtattr){.rta_len = (unsigned short)(4 + size), .rta_type = IFA_LOCAL};
	memcpy(q.bytes, a.bytes, size);
	q.h.nlmsg_len = (__u32)(sizeof(q) - 16 + size);
	CHECK(send(s, &q, q.h.nlmsg_len, 0) > 0);
	CHECK(recv(s, &answer, sizeof(answer), 0) > 0);
	CHECK_EQ(answer.e.error, 0);
	close(s);
	enter(own);
	close(own);
}

static void lo_up(int netns)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int own = own_fd(), s;

	enter(netns);
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK_EQ(ioctl(s, SIOCSIFFLAGS, &r), 0);
	close(s);
	enter(own);
	close(own);
}

/* --- Deaths -------------------------------------------------------------------------- */

struct deaths {
	unsigned int count;
	__s32 last;
	bool seen[65536];
	bool lost;
	__u64 since;
};

static struct deaths deaths;

static void count_death(void *ctx, __s32 nsid)
{
	struct deaths *d = ctx;

	d->count++;
	d->last = nsid;
	if (nsid >= 0 && nsid < 65536)
		d->seen[nsid] = true;
}

static void read_deaths(struct netns *n)
{
	int r = netns_read(n, count_death, &deaths, &deaths.since);

	CHECK(r == 0 || r == NETNS_LOST);
	deaths.lost |= r == NETNS_LOST;
}

/* Until so many died, or for 30 s. */
static void await_deaths(struct netns *n, unsigned int count)
{
	__u64 end = now_ms() + 30000;

	while (deaths.count < count && !deaths.lost && now_ms() < end) {
		struct pollfd p = {netns_fd(n), POLLIN, 0};

		poll(&p, 1, 1000);
		read_deaths(n);
	}
}

/* Until nobody has the id, as the kernel says; it queues the death soon after. */
static void await_gone(struct netns *n, __s32 nsid)
{
	__u64 end = now_ms() + 30000;
	struct timespec pause = {0, 1000000};

	while (netns_ask(n, nsid) != NETNS_GONE && now_ms() < end)
		nanosleep(&pause, NULL);
	CHECK_EQ(netns_ask(n, nsid), NETNS_GONE);
}

TEST(a_death_is_told)
{
	struct netns *n = start();
	__s32 a, b;
	int keep = make_with_id(n, &a), fd = make_with_id(n, &b);

	CHECK(a != b);
	close(fd);
	await_deaths(n, 1);
	CHECK_EQ(deaths.count, 1);
	CHECK_EQ(deaths.last, b);
	CHECK(!deaths.lost);
	close(keep);
	netns_close(n);
}

TEST(a_birth_is_no_death)
{
	struct netns *n = start();
	struct pollfd p = {netns_fd(n), POLLIN, 0};
	__s32 id;
	int fd = make_with_id(n, &id);

	CHECK_EQ(poll(&p, 1, 10000), 1);
	read_deaths(n);
	CHECK_EQ(deaths.count, 0);
	CHECK_EQ(netns_ask(n, id), 0);
	close(fd);
	netns_close(n);
}

TEST(the_living_are_alive_and_the_dead_are_gone)
{
	struct netns *n = start();
	__s32 a, b;
	int keep = make_with_id(n, &a), fd = make_with_id(n, &b);

	CHECK_EQ(netns_ask(n, a), 0);
	CHECK_EQ(netns_ask(n, b), 0);
	close(fd);
	await_gone(n, b);
	CHECK_EQ(netns_ask(n, a), 0);
	CHECK_EQ(netns_ask(n, 0x7fffffff), NETNS_GONE);
	close(keep);
	netns_close(n);
}

TEST(an_id_below_0_proves_no_death)
{
	struct netns *n = start();
	__s32 ids[] = {-1, 0x12345, -2147483647};
	int ret[3];

	CHECK_EQ(netns_ask(n, -1), -EINVAL);
	CHECK_EQ(netns_ask_many(n, ids, 3, ret), 0);
	CHECK_EQ(ret[0], -EINVAL);
	CHECK_EQ(ret[1], NETNS_GONE);
	CHECK_EQ(ret[2], -EINVAL);
	netns_close(n);
}

TEST(a_new_namespace_under_an_old_id_is_alive)
{
	struct netns *n = start();
	__s32 old, new;
	int fd = make_with_id(n, &old);

	close(fd);
	await_deaths(n, 1);
	fd = make_with_id(n, &new);
	CHECK_EQ(new, old);
	CHECK_EQ(netns_ask(n, old), 0);
	close(fd);
	netns_close(n);
}

TEST(who_died_had_its_id_before_the_queue_was_empty)
{
	struct netns *n = start();
	__u64 before = now_ms(), read1, read2;
	__s32 a, b;
	int fd = make_with_id(n, &a), fd2 = make_with_id(n, &b);

	read_deaths(n);
	read1 = now_ms();
	CHECK(deaths.since <= before);
	read_deaths(n);
	read2 = now_ms();
	CHECK(deaths.since >= before && deaths.since <= read1);
	close(fd);
	await_deaths(n, 1);
	CHECK(deaths.since >= read1);
	close(fd2);
	await_deaths(n, 2);
	CHECK(deaths.since >= read2);
	CHECK(deaths.since <= now_ms());
	netns_close(n);
}

TEST(thousands_are_asked_for_at_once)
{
	enum { N = 4096, ALIVE = 150 };
	static __s32 ids[N];
	static int ret[N], fd[ALIVE];
	struct netns *n = start();

	for (int i = 0; i < N; i++)
		ids[i] = 1000000 + i;
	for (int i = 0; i < ALIVE; i++)
		fd[i] = make_with_id(n, &ids[i * 27]);
	CHECK_EQ(netns_ask_many(n, ids, N, ret), 0);
	for (int i = 0; i < N; i++)
		CHECK_EQ(ret[i], i % 27 || i / 27 >= ALIVE ? NETNS_GONE : 0);
	for (int i = 0; i < ALIVE; i++)
		close(fd[i]);
	netns_close(n);
}

/* Makes so many with ids, lets them die, and waits until the last is torn down. */
static void kill_many(struct netns *n, struct netns *witness, unsigned int count, int *fd,
		      __s32 *id)
{
	for (unsigned int i = 0; i < count; i++)
		fd[i] = make_with_id(n, &id[i]);
	read_deaths(n);
	CHECK_EQ(deaths.count, 0);
	read_deaths(witness);
	for (unsigned int i = 0; i < count; i++)
		close(fd[i]);
	await_deaths(witness, count);
	CHECK_EQ(deaths.count, count);
	memset(&deaths, 0, sizeof(deaths));
}

TEST(of_a_burst_of_a_thousand_deaths_none_is_lost)
{
	enum { N = 1000 };
	static int fd[N];
	static __s32 id[N];
	struct netns *n = start(), *witness;

	CHECK_EQ(netns_open(&witness), 0);
	kill_many(n, witness, N, fd, id);
	/* All are queued by now; the reader comes late. */
	read_deaths(n);
	CHECK(!deaths.lost);
	CHECK_EQ(deaths.count, N);
	for (int i = 0; i < N; i++)
		CHECK(deaths.seen[id[i]]);
	netns_close(witness);
	netns_close(n);
}

TEST(lost_messages_are_told_of)
{
	enum { N = 100 };
	static int fd[N], ret[N];
	static __s32 id[N];
	struct netns *n = start(), *witness;
	int tiny = 1, again;

	CHECK_EQ(netns_open(&witness), 0);
	CHECK_EQ(setsockopt(netns_fd(n), SOL_SOCKET, SO_RCVBUF, &tiny, sizeof(tiny)), 0);
	for (int i = 0; i < N; i++)
		fd[i] = make_with_id(n, &id[i]);
	netns_read(n, count_death, &deaths, &deaths.since); /* of the births */
	memset(&deaths, 0, sizeof(deaths));
	read_deaths(witness);
	for (int i = 0; i < N; i++)
		close(fd[i]);
	await_deaths(witness, N);
	CHECK_EQ(deaths.count, N);
	memset(&deaths, 0, sizeof(deaths));
	CHECK_EQ(netns_read(n, count_death, &deaths, &deaths.since), NETNS_LOST);
	CHECK(deaths.count < N);
	again = netns_read(n, count_death, &deaths, &deaths.since);
	CHECK_EQ(again, 0);
	CHECK_EQ(netns_ask_many(n, id, N, ret), 0);
	for (int i = 0; i < N; i++)
		CHECK_EQ(ret[i], NETNS_GONE);
	netns_close(witness);
	netns_close(n);
}

/* --- Looks --------------------------------------------------------------------------- */

#define SIGHTS 20000

struct view {
	unsigned int count;
	struct netns_sight sight[SIGHTS];
};

static struct view view;

static int keep_sight(void *ctx, const struct netns_sight *sight)
{
	struct view *v = ctx;

	CHECK(v->count < SIGHTS);
	v->sight[v->count++] = *sight;
	return 0;
}

/* How often it was seen; *ret: where, if not NULL. */
static int seen(const char *text, __s32 *ret)
{
	struct addr a;
	int count = 0;

	CHECK_EQ(addr_parse(text, &a), 0);
	for (unsigned int i = 0; i < view.count; i++) {
		if (addr_compare(&view.sight[i].address, &a))
			continue;
		count++;
		if (ret)
			*ret = view.sight[i].nsid;
	}
	return count;
}

static void look(struct netns *n)
{
	view.count = 0;
	CHECK_EQ(netns_look(n, keep_sight, &view), 0);
}

TEST(a_look_sees_the_own_namespace)
{
	struct netns *n = start();
	int own = own_fd();
	__s32 id = 7;

	configure(own, "10.77.0.1");
	configure(own, "fd77::1");
	look(n);
	CHECK_EQ(seen("10.77.0.1", &id), 1);
	CHECK_EQ(id, -1);
	CHECK_EQ(seen("fd77::1", &id), 1);
	CHECK_EQ(id, -1);
	netns_close(n);
}

TEST(a_look_sees_a_namespace_with_an_id_and_no_path)
{
	struct netns *n = start();
	__s32 id, found = -1;
	int fd = make_with_id(n, &id);

	configure(fd, "10.77.0.2");
	configure(fd, "fd77::2");
	look(n);
	CHECK_EQ(seen("10.77.0.2", &found), 1);
	CHECK_EQ(found, id);
	CHECK_EQ(seen("fd77::2", &found), 1);
	CHECK_EQ(found, id);
	close(fd);
	netns_close(n);
}

/* A process in the namespace, until the pipe is closed. */
static pid_t hold(int netns, int *ret_pipe)
{
	int ends[2], ready[2];
	char byte;
	pid_t pid;

	CHECK_EQ(pipe(ends) | pipe(ready), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[1]);
		enter(netns);
		close(netns);
		if (write(ready[1], "", 1) != 1 || read(ends[0], &byte, 1) < 0)
			_exit(1);
		_exit(0);
	}
	close(ends[0]);
	close(ready[1]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*ret_pipe = ends[1];
	return pid;
}

TEST(a_look_sees_a_namespace_that_only_a_process_keeps)
{
	struct netns *n = start();
	int fd = make(), end;
	__s32 id = -1;
	pid_t pid;

	configure(fd, "10.77.0.3");
	configure(fd, "fd77::3");
	pid = hold(fd, &end);
	close(fd);
	look(n);
	CHECK_EQ(seen("10.77.0.3", &id), 1);
	CHECK_EQ(seen("fd77::3", NULL), 1);
	CHECK_EQ(netns_ask(n, id), 0);
	close(end);
	waitpid(pid, NULL, 0);
	/* With the id that the look gave, its death is told. */
	await_deaths(n, 1);
	CHECK_EQ(deaths.last, id);
	look(n);
	CHECK_EQ(seen("10.77.0.3", NULL), 0);
	netns_close(n);
}

static void mount_netns(int fd, const char *path)
{
	char from[64];
	int file = open(path, O_CREAT | O_RDONLY | O_CLOEXEC, 0600);

	CHECK(file >= 0);
	close(file);
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	CHECK_EQ(mount(from, path, NULL, MS_BIND, NULL), 0);
}

TEST(a_look_sees_a_namespace_that_only_a_mount_keeps)
{
	struct netns *n = start();
	int fd = make();
	__s32 id = -1;

	configure(fd, "10.77.0.4");
	configure(fd, "fd77::4");
	mount_netns(fd, PLACE "/with \\ blank");
	close(fd);
	look(n);
	CHECK_EQ(seen("10.77.0.4", &id), 1);
	CHECK_EQ(seen("fd77::4", NULL), 1);
	CHECK_EQ(netns_ask(n, id), 0);
	CHECK_EQ(umount(PLACE "/with \\ blank"), 0);
	await_deaths(n, 1);
	CHECK_EQ(deaths.last, id);
	netns_close(n);
}

TEST(a_mount_that_another_one_hides_does_not_fail_the_look)
{
	struct netns *n = start();
	int fd = make();

	configure(fd, "10.77.0.4");
	mount_netns(fd, PLACE "/hidden");
	CHECK_EQ(mount("/dev/null", PLACE "/hidden", NULL, MS_BIND, NULL), 0);
	mount_netns(fd, PLACE "/by a file");
	close(open(PLACE "/file", O_CREAT | O_RDONLY | O_CLOEXEC, 0600));
	CHECK_EQ(mount(PLACE "/file", PLACE "/by a file", NULL, MS_BIND, NULL), 0);
	mkdir(PLACE "/d", 0700);
	mount_netns(fd, PLACE "/d/below");
	CHECK_EQ(mount("tmpfs", PLACE "/d", "tmpfs", 0, NULL), 0);
	look(n);
	close(fd);
	netns_close(n);
}

TEST(what_several_paths_lead_to_is_seen_once)
{
	struct netns *n = start();
	__s32 id;
	int fd = make_with_id(n, &id), end;
	pid_t pid = hold(fd, &end);

	configure(fd, "10.77.0.5");
	mount_netns(fd, PLACE "/a");
	mount_netns(fd, PLACE "/b");
	look(n);
	CHECK_EQ(seen("10.77.0.5", NULL), 1);
	close(end);
	waitpid(pid, NULL, 0);
	close(fd);
	netns_close(n);
}

TEST(loopback_and_link_local_are_left_out)
{
	struct netns *n = start();
	__s32 id;
	int fd = make_with_id(n, &id);

	lo_up(fd);
	configure(fd, "127.1.2.3");
	configure(fd, "169.254.7.7");
	configure(fd, "fe80::7");
	configure(fd, "240.0.0.7");
	configure(fd, "fec0::7");
	look(n);
	for (unsigned int i = 0; i < view.count; i++)
		if (view.sight[i].nsid == id)
			CHECK(view.sight[i].address.bytes[0] == 240 ||
			      view.sight[i].address.bytes[1] == 0xc0);
	CHECK_EQ(seen("127.1.2.3", NULL) + seen("169.254.7.7", NULL) + seen("fe80::7", NULL), 0);
	CHECK_EQ(seen("127.0.0.1", NULL) + seen("::1", NULL), 0);
	CHECK_EQ(seen("240.0.0.7", NULL), 1);
	CHECK_EQ(seen("fec0::7", NULL), 1);
	close(fd);
	netns_close(n);
}

static void name(char ret[64], int i, int j)
{
	snprintf(ret, 64, j ? "fd77::%d:%d:%d" : "10.77.%d.%d", i / 100, i % 100, j);
}

static int count_id(void *ctx, __s32 nsid)
{
	(void)nsid;
	++*(int *)ctx;
	return 0;
}

TEST(more_namespaces_than_one_buffer_lists_are_seen_whole)
{
	enum { N = 1300, ADDRESSES = 3 };
	static int fd[N];
	struct netns *n = start();
	bool whole = true;
	char text[64];
	int count = 0;
	__s32 id;

	for (int i = 0; i < N; i++) {
		fd[i] = make_with_id(n, &id);
		for (int j = 0; j < ADDRESSES; j++) {
			name(text, i, j);
			configure(fd[i], text);
		}
	}
	look(n);
	CHECK_EQ(view.count, N * ADDRESSES);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < ADDRESSES; j++) {
			name(text, i, j);
			CHECK_EQ(seen(text, NULL), 1);
		}
	/* The kernel's list alone is short (6.18), or came in parts (before). */
	CHECK_EQ(netns_each_id(n, count_id, &count, &whole), 0);
	CHECK(count > 0 && !whole);
	for (int i = 0; i < N; i++)
		close(fd[i]);
	netns_close(n);
}

TEST(a_namespace_with_more_addresses_than_one_buffer_is_seen_whole)
{
	enum { N = 2000 };
	struct netns *n = start();
	char text[64];
	__s32 id;
	int fd = make_with_id(n, &id), count = 0;

	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "10.78.%d.%d", i / 250, i % 250);
		configure(fd, text);
	}
	look(n);
	for (unsigned int i = 0; i < view.count; i++)
		count += view.sight[i].nsid == id;
	CHECK_EQ(count, N);
	close(fd);
	netns_close(n);
}

/* Namespaces and addresses come and go, as fast as a process can make them. */
static pid_t churn(int netns)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned int i = 0;; i++) {
		char text[64];
		struct netns *n = NULL;
		__s32 id;
		int fd;

		CHECK_EQ(netns_open(&n), 0);
		fd = make_with_id(n, &id);
		snprintf(text, sizeof(text), "10.79.%u.%u", i / 250 % 250, i % 250);
		configure(i % 2 ? fd : netns, text);
		close(fd);
		netns_close(n);
	}
}

/* Each of the first so many has its own address, and the first many more. */
static void check_churned(int count, int more)
{
	char text[64];

	for (int i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "10.77.0.%d", i + 1);
		CHECK_EQ(seen(text, NULL), 1);
	}
	for (int i = 0; i < more; i += 50) {
		snprintf(text, sizeof(text), "10.80.%d.%d", i / 250, i % 250);
		CHECK_EQ(seen(text, NULL), 1);
	}
}

TEST(what_lives_is_seen_while_others_come_and_go)
{
	enum { N = 200, MORE = 1500 };
	static int fd[N];
	struct netns *n = start();
	char text[64];
	int done = 0, torn = 0;
	pid_t pid;
	__s32 id;

	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "10.77.0.%d", i + 1);
		fd[i] = make_with_id(n, &id);
		configure(fd[i], text);
	}
	for (int i = 0; i < MORE; i++) {
		snprintf(text, sizeof(text), "10.80.%d.%d", i / 250, i % 250);
		configure(fd[0], text);
	}
	pid = churn(fd[0]);
	for (int i = 0; i < 30; i++) {
		int r;

		view.count = 0;
		r = netns_look(n, keep_sight, &view);
		CHECK(r == 0 || (r == -EAGAIN && !view.count));
		torn += r != 0;
		done += !r;
		if (!r)
			check_churned(N, MORE);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	printf("# %d looks whole, %d not\n", done, torn);
	CHECK(done > 0);
	netns_close(n);
}

TEST(a_process_that_may_not_be_looked_at_fails_the_look)
{
	struct netns *n = start();
	int fd = make(), end;
	pid_t pid = hold(fd, &end);

	configure(fd, "10.77.0.6");
	close(fd);
	CHECK_EQ(setuid(65534), 0);
	view.count = 0;
	CHECK_EQ(netns_look(n, keep_sight, &view), -EACCES);
	CHECK_EQ(view.count, 0);
	close(end);
	waitpid(pid, NULL, 0);
	netns_close(n);
}

TEST(processes_that_are_hidden_fail_the_look)
{
	struct netns *n = start();
	pid_t pid;
	int st;

	CHECK_EQ(mount("proc", "/proc", "proc", MS_REMOUNT, "hidepid=2"), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		CHECK_EQ(setgroups(0, NULL) | setgid(65534) | setuid(65534), 0);
		CHECK_EQ(netns_look(n, keep_sight, &view), -EACCES);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &st, 0), pid);
	CHECK_EQ(st, 0);
	CHECK_EQ(netns_look(n, keep_sight, &view), 0);
	netns_close(n);
}

static int stop(void *ctx, const struct netns_sight *sight)
{
	(void)sight;
	++*(int *)ctx;
	return -ECANCELED;
}

TEST(who_sees_may_end_the_look)
{
	struct netns *n = start();
	int count = 0, own = own_fd();

	configure(own, "10.77.0.1");
	configure(own, "10.77.0.2");
	CHECK_EQ(netns_look(n, stop, &count), -ECANCELED);
	CHECK_EQ(count, 1);
	netns_close(n);
}

TEST(the_cookie_tells_namespaces_apart)
{
	struct netns *n = start();
	__u64 a = 0, again = 0, b = 0;
	int fd = make(), own = own_fd();

	CHECK_EQ(netns_own_cookie(&a), 0);
	CHECK_EQ(netns_own_cookie(&again), 0);
	enter(fd);
	CHECK_EQ(netns_own_cookie(&b), 0);
	enter(own);
	CHECK(a && a == again && b && a != b);
	netns_close(n);
}

/* --- What a buffer says -------------------------------------------------------------- */

struct letter {
	struct nlmsghdr h;
	union {
		struct nlmsgerr error;
		struct {
			struct rtgenmsg m;
			_Alignas(4) struct nlattr a;
			__s32 nsid;
		} id;
	};
};

static struct letter id_letter(int type, __u32 seq, __s32 nsid)
{
	return (struct letter){
		.h = {.nlmsg_len = 28, .nlmsg_type = (__u16)type, .nlmsg_seq = seq},
		.id = {.a = {8, NETNSA_NSID}, .nsid = nsid},
	};
}

static struct letter error_letter(__u32 seq, int error)
{
	return (struct letter){
		.h = {.nlmsg_len = 36, .nlmsg_type = NLMSG_ERROR, .nlmsg_seq = seq},
		.error = {.error = error},
	};
}

TEST(an_answer_of_another_sequence_is_no_answer)
{
	__s32 ids[] = {5, 6};
	int ret[] = {-EINPROGRESS, -EINPROGRESS};
	struct netns_question q = {
		.first = 0xffffffff, .count = 2, .nsid = ids, .ret = ret, .left = 2};
	struct letter stale = error_letter(0xfffffffe, -ENOENT), late = error_letter(1, -ENOENT);
	struct letter five = id_letter(RTM_NEWNSID, 0xffffffff, 5), gone = error_letter(0, -ENOENT);

	CHECK_EQ(netns_parse_answers(&stale, 36, &q), 0);
	CHECK_EQ(netns_parse_answers(&late, 36, &q), 0);
	CHECK_EQ(q.left, 2);
	CHECK_EQ(netns_parse_answers(&gone, 36, &q), 0);
	CHECK_EQ(netns_parse_answers(&five, 28, &q), 0);
	CHECK_EQ(q.left, 0);
	CHECK_EQ(ret[0], 0);
	CHECK_EQ(ret[1], NETNS_GONE);
	/* What was answered stays answered. */
	gone.h.nlmsg_seq = 0xffffffff;
	CHECK_EQ(netns_parse_answers(&gone, 36, &q), 0);
	CHECK_EQ(ret[0], 0);
}

TEST(an_answer_about_another_id_proves_nothing)
{
	__s32 id = 5;
	int ret = -EINPROGRESS;
	struct netns_question q = {.count = 1, .nsid = &id, .ret = &ret, .left = 1};
	struct letter six = id_letter(RTM_NEWNSID, 0, 6), none = id_letter(RTM_NEWNSID, 0, 5);

	CHECK_EQ(netns_parse_answers(&six, 28, &q), 0);
	CHECK_EQ(ret, -EPROTO);
	ret = -EINPROGRESS;
	none.id.a.nla_type = NETNSA_PID;
	CHECK_EQ(netns_parse_answers(&none, 28, &q), 0);
	CHECK_EQ(ret, -EBADMSG);
	ret = -EINPROGRESS;
	none = error_letter(0, -EPERM);
	CHECK_EQ(netns_parse_answers(&none, 36, &q), 0);
	CHECK_EQ(ret, -EPERM);
}

TEST(a_cut_off_message_is_told_as_one)
{
	struct letter dead = id_letter(RTM_DELNSID, 0, 5), gone = error_letter(0, -ENOENT);
	__s32 id = 5;
	int ret = -EINPROGRESS;
	struct netns_question q = {.count = 1, .nsid = &id, .ret = &ret, .left = 1};

	for (size_t size = 1; size < 28; size++)
		CHECK_EQ(netns_parse_deaths(&dead, size, count_death, &deaths), -EBADMSG);
	CHECK_EQ(deaths.count, 0);
	for (size_t size = 1; size < 36; size++)
		CHECK_EQ(netns_parse_answers(&gone, size, &q), -EBADMSG);
	CHECK_EQ(ret, -EINPROGRESS);
	/* Whole by its length, but too short for what it says to be. */
	gone.h.nlmsg_len = 24;
	CHECK_EQ(netns_parse_answers(&gone, 24, &q), 0);
	CHECK_EQ(ret, -EBADMSG);
	dead.h.nlmsg_len = 20;
	CHECK_EQ(netns_parse_deaths(&dead, 20, count_death, &deaths), -EBADMSG);
	CHECK_EQ(deaths.count, 0);
}

TEST(a_length_that_wraps_ends_the_reading)
{
	struct letter born = id_letter(RTM_NEWNSID, 0, 5);

	for (__u32 length = 0xfffffff0; length; length++) {
		born.h.nlmsg_len = length;
		CHECK_EQ(netns_parse_deaths(&born, 28, count_death, &deaths), -EBADMSG);
	}
	CHECK_EQ(deaths.count, 0);
}

static int take_none(void *ctx, __s32 nsid)
{
	(void)nsid;
	++*(int *)ctx;
	return 0;
}

TEST(an_interrupted_dump_counts_for_nothing)
{
	struct letter id = id_letter(RTM_NEWNSID, 3, 5), done = error_letter(3, 0);
	int count = 0;
	struct netns_dump d = {.seq = 3, .take = take_none, .ctx = &count};

	id.h.nlmsg_flags = NLM_F_MULTI | NLM_F_DUMP_INTR;
	done.h.nlmsg_type = NLMSG_DONE;
	CHECK_EQ(netns_parse_dump(&id, 28, &d), 0);
	CHECK(!d.ended);
	CHECK_EQ(netns_parse_dump(&done, 36, &d), 0);
	CHECK(d.ended);
	CHECK_EQ(d.result, NETNS_TORN);
	/* Also when only the end says so. */
	d = (struct netns_dump){.seq = 3, .take = take_none, .ctx = &count};
	done.h.nlmsg_flags = NLM_F_DUMP_INTR;
	CHECK_EQ(netns_parse_dump(&done, 36, &d), 0);
	CHECK_EQ(d.result, NETNS_TORN);
	/* And its end may be an error. */
	d = (struct netns_dump){.seq = 3, .take = take_none, .ctx = &count};
	done.error.error = -EINVAL;
	CHECK_EQ(netns_parse_dump(&done, 36, &d), 0);
	CHECK(d.ended);
	CHECK_EQ(d.result, -EINVAL);
}

TEST_MAIN

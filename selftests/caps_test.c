// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the manager does after its start, done with the capabilities that it keeps;
 * and with each of them taken away, to know what it is for.
 */
#include "selftests/harness.h"
#include "selftests/stock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "userspace/base/caps.h"
#include "userspace/base/cleanup.h"

#define PRIVATE "/tmp/ipamd-test-private"

static struct pin *pin;
static pid_t pod; /* has a network namespace, and every capability */
static int pod_netns = -1;

static pid_t start_pod(void)
{
	int ends[2];
	char c;
	pid_t pid;

	CHECK_EQ(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CHECK_EQ(unshare(CLONE_NEWNET), 0);
		CHECK_EQ(write(ends[1], "x", 1), 1);
		for (;;)
			pause();
	}
	CHECK_EQ(read(ends[0], &c, 1), 1);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

/* The manager as it has started: stock, a pod, and a mount of another user's. */
static void start(void)
{
	char path[64];

	pin = stock_open(64, 1000);
	CHECK_EQ(stock_fill(pin, 0, POOL_4, 0), IPAMD_OK);
	CHECK_EQ(unshare(CLONE_NEWNET), 0);
	pod = start_pod();
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pod);
	pod_netns = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(pod_netns >= 0);
	mkdir(PRIVATE, 0700);
	CHECK_EQ(mount("tmpfs", PRIVATE, "tmpfs", 0, "mode=0700,uid=1000"), 0);
	CHECK_EQ(mknod(PRIVATE "/netns", S_IFREG | 0444, 0), 0);
}

static void finish(void)
{
	kill(pod, SIGKILL);
	waitpid(pod, NULL, 0);
	umount(PRIVATE);
	rmdir(PRIVATE);
	close(pod_netns);
	pin_close(pin);
}

/* --- What is done: 0 or -errno ---------------------------------------------------- */

/* Any verdict will do: the address may be cooling. */
static int use_programs(void)
{
	struct ipamd_request req;
	int r = stock_claim(pin, 7, "v4", &req);

	if (r >= 0)
		r = stock_release(pin, 7);
	return r < 0 ? r : 0;
}

static int use_pins(void)
{
	const struct ipamd_digest key = {{1, 2}};
	struct pin *again = NULL;
	int r = pin_attach(STOCK_DIR, &again);

	if (!r)
		r = pin_name_set(again, &key, 3);
	if (!r)
		r = pin_name_delete(again, &key);
	pin_close(again);
	return r > 0 ? -EPROTO : r;
}

static int grow_buffer(void)
{
	auto_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int size = 8 << 20;

	return setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ? -errno : 0;
}

struct message {
	struct nlmsghdr header;
	char rest[256];
};

static void add(struct message *m, unsigned short type, uint32_t value)
{
	struct rtattr a = {.rta_len = RTA_LENGTH(sizeof(value)), .rta_type = type};

	memcpy((char *)m + m->header.nlmsg_len, &a, sizeof(a));
	memcpy((char *)m + m->header.nlmsg_len + RTA_LENGTH(0), &value, sizeof(value));
	m->header.nlmsg_len += RTA_SPACE(sizeof(value));
}

/* The answer's first message; an error of the kernel's is ours. */
static int talk(struct message *m)
{
	auto_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	union {
		struct nlmsghdr header;
		char bytes[32768];
	} answer;
	int one = 1, error;

	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	if (send(fd, m, m->header.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
		return -errno;
	if (answer.header.nlmsg_type != NLMSG_ERROR && answer.header.nlmsg_type != NLMSG_DONE)
		return 0;
	memcpy(&error, NLMSG_DATA(&answer.header), sizeof(error));
	return error;
}

static struct message message(unsigned short type, unsigned short flags, size_t body)
{
	return (struct message){.header = {.nlmsg_len = (uint32_t)NLMSG_SPACE(body),
					   .nlmsg_type = type,
					   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)}};
}

/* An id that there is already is no error: it has had the right to ask. */
static int name_netns(void)
{
	struct message m = message(RTM_NEWNSID, NLM_F_ACK, sizeof(struct rtgenmsg));
	int r;

	add(&m, NETNSA_FD, (uint32_t)pod_netns);
	add(&m, NETNSA_NSID, 5);
	r = talk(&m);
	return r == -EEXIST ? 0 : r;
}

static int list_netns(void)
{
	struct message m = message(RTM_GETNSID, NLM_F_DUMP, sizeof(struct rtgenmsg));

	return talk(&m);
}

static int look_into_netns(void)
{
	struct message m = message(RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));

	add(&m, IFA_TARGET_NETNSID, 5);
	return talk(&m);
}

static int set_link_up(void)
{
	struct message m = message(RTM_NEWLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
	const struct ifinfomsg lo = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};

	memcpy(NLMSG_DATA(&m.header), &lo, sizeof(lo));
	return talk(&m);
}

static int open_process_netns(void)
{
	auto_close int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pod);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

static int open_mounted_netns(void)
{
	auto_close int fd = open(PRIVATE "/netns", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : 0;
}

static const struct deed {
	const char *name;
	int (*run)(void);
	uint64_t needs; /* on every kernel */
	int error;      /* without it */
} deeds[] = {
	{"use the programs", use_programs, 0, 0},
	{"use the pins", use_pins, 0, 0},
	{"grow a receive buffer", grow_buffer, CAPS_OF_NETLINK, -EPERM},
	{"give a namespace an id", name_netns, CAPS_OF_NETLINK, -EPERM},
	{"list namespaces", list_netns, 0, 0},
	{"look into a namespace", look_into_netns, CAPS_OF_NETLINK, -EACCES},
	{"set a link up", set_link_up, CAPS_OF_NETLINK, -EPERM},
	{"open a process's namespace", open_process_netns, CAPS_OF_WITNESS, -EACCES},
	{"open a mounted namespace", open_mounted_netns, CAPS_OF_MOUNTS, -EACCES},
};

/* In a child: the rights do not come back. */
static void check_deed(const struct deed *deed, uint64_t mask, int expected)
{
	pid_t pid;
	int st;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		int r = caps_keep(mask);

		if (!r)
			r = deed->run();
		if (r != expected)
			printf("# %s with %#llx: %d, expected %d\n", deed->name,
			       (unsigned long long)mask, r, expected);
		fflush(stdout);
		_exit(r == expected ? T_PASS : T_FAIL);
	}
	CHECK_EQ(waitpid(pid, &st, 0), pid);
	CHECK_EQ(st, 0);
}

#define each_deed(d) \
	for (const struct deed *d = deeds; d < deeds + sizeof(deeds) / sizeof(*deeds); d++)

TEST(what_is_kept_is_enough)
{
	start();
	each_deed(d) check_deed(d, CAPS_MANAGER, 0);
	finish();
}

/* Before 5.19, where unprivileged_bpf_disabled is set. */
static bool bpf_needs_caps(void)
{
	pid_t pid = fork();
	int st;

	if (!pid)
		_exit(!caps_keep(0) && use_programs() == -EPERM);
	CHECK_EQ(waitpid(pid, &st, 0), pid);
	return WEXITSTATUS(st);
}

/* What the deed gives when these rights are missing. */
static int expected_without(const struct deed *deed, uint64_t missing, bool old)
{
	if (old && missing == CAPS_OF_BPF && (deed->run == use_programs || deed->run == use_pins))
		return -EPERM;
	return deed->needs & missing ? deed->error : 0;
}

TEST(each_that_is_kept_is_needed)
{
	static const uint64_t each[] = {CAPS_OF_BPF, CAPS_OF_NETLINK, CAPS_OF_WITNESS,
					CAPS_OF_MOUNTS};
	bool old;

	start();
	CHECK_EQ(name_netns(), 0);
	old = bpf_needs_caps();
	if (!old)
		printf("# this kernel does not ask for CAP_BPF to use what is pinned\n");
	for (size_t i = 0; i < sizeof(each) / sizeof(*each); i++)
		each_deed(d)
			check_deed(d, CAPS_MANAGER & ~each[i], expected_without(d, each[i], old));
	finish();
}

/* --- What is gone ------------------------------------------------------------------ */

static void read_status(FILE *f, const char *key, uint64_t *ret)
{
	char line[256], *value;
	bool found = false;

	while (!found && fgets(line, sizeof(line), f))
		found = !strncmp(line, key, strlen(key)) && line[strlen(key)] == ':';
	CHECK(found);
	value = line + strlen(key) + 1;
	*ret = strtoull(value, NULL, 16);
}

/* In the order of the file. */
static void check_status(FILE *f, const uint64_t expected[6])
{
	static const char *const keys[] = {"CapInh", "CapPrm", "CapEff",
					   "CapBnd", "CapAmb", "NoNewPrivs"};
	uint64_t value;

	CHECK(f);
	for (int i = 0; i < 6; i++) {
		read_status(f, keys[i], &value);
		if (value != expected[i])
			test_stop(T_FAIL, "%s is %#llx", keys[i], (unsigned long long)value);
	}
}

/* As a careless parent may have left it. */
static void raise_ambient(int cap)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	CHECK_EQ(syscall(SYS_capget, &header, data), 0);
	data[0].inheritable |= 1U << cap;
	CHECK_EQ(syscall(SYS_capset, &header, data), 0);
	CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0), 0);
}

TEST(what_is_dropped_does_not_come_back)
{
	const uint64_t m = CAPS_MANAGER, now[] = {0, m, m, m, 0, 1};
	uint64_t effective = 0;
	FILE *f;

	raise_ambient(CAP_CHOWN);
	CHECK_EQ(caps_keep(m), 0);
	CHECK_EQ(caps_read(&effective), 0);
	CHECK_EQ(effective, m);
	f = fopen("/proc/self/status", "r");
	check_status(f, now);
	fclose(f);
	CHECK_EQ(mount("tmpfs", "/tmp", "tmpfs", 0, NULL), -1);
	CHECK_EQ(errno, EPERM);
	CHECK_EQ(caps_keep(m | CAPS_BIT(CAP_SYS_ADMIN)), CAPS_LACKING);
	CHECK_EQ(caps_read(&effective), 0);
	CHECK_EQ(effective, m);
}

TEST(a_program_that_it_starts_has_no_more)
{
	const uint64_t now[] = {0, 0, 0, 0, 0, 1};
	FILE *f;

	CHECK_EQ(caps_keep(0), 0);
	f = popen("exec cat /proc/self/status", "r");
	check_status(f, now);
	pclose(f);
}

TEST(what_cannot_be_dropped_is_said)
{
	const uint64_t some = CAPS_BIT(CAP_CHOWN) | CAPS_BIT(CAP_KILL), few = CAPS_BIT(CAP_CHOWN);
	uint64_t now = 0;

	/* Without CAP_SETPCAP the bounding set stays as it is. */
	CHECK_EQ(caps_keep(some), 0);
	CHECK_EQ(caps_keep(few), -EPERM);
	CHECK_EQ(caps_read(&now), 0);
	CHECK_EQ(now, few);
	CHECK_EQ(caps_keep(few | CAPS_BIT(CAP_BPF)), -EPERM);
}

TEST_MAIN

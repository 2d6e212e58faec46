// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who tries to get at a node's addresses without being root on it, and what root's
 * own stray programs may send: nobody gets in, and the service goes on.  Each way in
 * is tried by a process that really is nobody, on the real ipamd.
 */
#include "selftests/harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "bpf/request.h"
#include "bpf/slot.h"
#include "selftests/node.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

#define SLOW   NODE_RUN "/ipamd.sock"
#define ADMIN  NODE_RUN "/admin.sock"
#define LOOSE  NODE "/loose" /* the run directory again, by another path */
#define VICTIM NODE "/victim"

enum { NOBODY = 65534, CROWD = 300, ANSWER_S = 5 };

/* Kept from root for nobody, who inherits them. */
static struct ipamd_request recorded;
static pid_t served_by;
static int handed = -1;

static long long held(void)
{
	return node_number("/v1/status", "pools.0.held");
}

static bool balance_holds(void)
{
	return node_number("/v1/status", "balance.holds") == 1;
}

static void record(enum ipamd_verb verb, unsigned int number)
{
	char container[32];

	snprintf(container, sizeof(container), "attack-%u", number);
	request_init(&recorded, verb);
	request_attachment(&recorded, "net", container, "eth0", clock_boot_ns());
}

/* --- Who tries ----------------------------------------------------------------------- */

/* What a way in led to: 0: nowhere; else it is printed with errno, and the test fails. */
#define TRY(x)                                                            \
	do {                                                              \
		errno = 0;                                                \
		if (x)                                                    \
			test_stop(T_FAIL, "nobody got this far: %s", #x); \
	} while (0)

static void keep_bpf(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {{0}};

	d[CAP_BPF / 32].effective = d[CAP_BPF / 32].permitted = 1U << (CAP_BPF % 32);
	CHECK_EQ(syscall(SYS_capset, &h, d), 0);
}

static void become_nobody(bool with_bpf)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CHECK_EQ(prctl(PR_SET_KEEPCAPS, with_bpf), 0);
	CHECK_EQ(setgroups(0, NULL), 0);
	CHECK_EQ(setresgid(NOBODY, NOBODY, NOBODY), 0);
	CHECK_EQ(setresuid(NOBODY, NOBODY, NOBODY), 0);
	if (with_bpf)
		keep_bpf();
	CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0); /* else its own /proc/self is root's */
	CHECK(getuid() == NOBODY && setuid(0) < 0);
}

static void as(bool with_bpf, void (*attack)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		become_nobody(with_bpf);
		attack();
		fflush(stdout);
		_exit(T_PASS);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		test_stop(WIFEXITED(status) ? WEXITSTATUS(status) : T_FAIL, "as nobody: see above");
}

static void as_nobody(void (*attack)(void))
{
	as(false, attack);
}

/* Root, as far as it can see; nobody, as the node sees it. */
static void become_root_of_a_namespace(void)
{
	static const struct {
		const char *path, *text;
	} maps[] = {{"/proc/self/setgroups", "deny"},
		    {"/proc/self/uid_map", "0 65534 1"},
		    {"/proc/self/gid_map", "0 65534 1"}};

	if (unshare(CLONE_NEWUSER))
		SKIP("no user namespace for nobody: %s", strerror(errno));
	for (int i = 0; i < 3; i++) {
		auto_close int fd = open(maps[i].path, O_WRONLY | O_CLOEXEC);

		CHECK_EQ(write(fd, maps[i].text, strlen(maps[i].text)), strlen(maps[i].text));
	}
	CHECK_EQ(getuid(), 0);
}

/* --- How ---------------------------------------------------------------------------------- */

static int dial(const char *path, int type)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = ANSWER_S};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at))) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/* 0 when there is no such socket for the caller. */
static bool can_dial(const char *path, int type)
{
	int fd = dial(path, type);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Of the last exchange(). */
static struct ipamd_request answer;

/* The datagram and its answer: the verdict, or -1 when there is none. */
static int exchange(const char *path, const void *data, size_t size)
{
	auto_close int fd = dial(path, SOCK_SEQPACKET);

	CHECK(fd >= 0);
	if (send(fd, data, size, MSG_NOSIGNAL) < 0)
		return -1;
	if (recv(fd, &answer, sizeof(answer), 0) != sizeof(answer) || answer.abi != IPAMD_ABI)
		return -1;
	return answer.verdict;
}

static bool can_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool can_open_at(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, flags | O_CLOEXEC, 0666);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static bool can_get(const char *path, unsigned int flags)
{
	union bpf_attr attr = {.pathname = (__u64)(unsigned long)path, .file_flags = flags};
	int fd = bpf(BPF_OBJ_GET, &attr);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool can_get_by_id(int command, unsigned int id)
{
	union bpf_attr attr = {.map_id = id};
	int fd = bpf(command, &attr);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* --- Closed doors ------------------------------------------------------------------------ */

static void try_the_doors(void)
{
	TRY(can_dial(SLOW, SOCK_SEQPACKET));
	TRY(can_dial(ADMIN, SOCK_STREAM));
	TRY(can_open(NODE_RUN, O_RDONLY));
	TRY(can_open(NODE_RUN, O_PATH) && !chdir(NODE_RUN));
	TRY(can_open(NODE_RUN "/lock", O_RDONLY));
	TRY(can_open(NODE_STATE, O_RDONLY));
	TRY(can_open(NODE_DB, O_RDONLY));
	TRY(can_open(NODE_DB "-wal", O_RDONLY));
	TRY(can_open(NODE_PINS, O_RDONLY));
	TRY(!chmod(NODE_RUN, 0777));
	TRY(!rename(NODE_RUN, NODE "/away"));
	TRY(!unlink(SLOW));
}

TEST(nobody_opens_no_socket_no_pin_and_no_database)
{
	pid_t pid;

	node_make();
	pid = node_up();
	as_nobody(try_the_doors);
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

static void try_as_root_of_a_namespace(void)
{
	become_root_of_a_namespace();
	try_the_doors();
}

/* It may mount what it likes where only it sees that. */
static void try_in_a_mount_namespace(void)
{
	become_root_of_a_namespace();
	CHECK_EQ(unshare(CLONE_NEWNS), 0);
	CHECK_EQ(mount("tmpfs", "/mnt", "tmpfs", 0, NULL), 0);
	CHECK_EQ(mkdir("/mnt/run", 0777), 0);
	TRY(!mount(NODE_RUN, "/mnt/run", NULL, MS_BIND | MS_REC, NULL) &&
	    can_dial("/mnt/run/ipamd.sock", SOCK_SEQPACKET));
	TRY(!mount("bpf", "/mnt/run", "bpf", 0, NULL) && can_get("/mnt/run/ipamd/g1/claim_v1", 0));
	try_the_doors();
}

TEST(the_root_of_a_user_namespace_is_nobody_here)
{
	pid_t pid;

	node_make();
	pid = node_up();
	as_nobody(try_as_root_of_a_namespace);
	as_nobody(try_in_a_mount_namespace);
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

/* --- Descriptors that somebody let slip ------------------------------------------------------- */

static void try_the_descriptor(void)
{
	static const char *const names[] = {"lock",    "ipamd.sock", "admin.sock", "ipamd.db",
					    "current", "g1",         "."};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		TRY(can_open_at(handed, names[i], O_RDONLY));
		snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", handed, names[i]);
		TRY(can_dial(path, SOCK_SEQPACKET));
		TRY(can_dial(path, SOCK_STREAM));
		TRY(can_get(path, 0));
		TRY(!unlinkat(handed, names[i], 0));
	}
	TRY(can_open_at(handed, "new", O_WRONLY | O_CREAT));
	TRY(!symlinkat(VICTIM, handed, "lock"));
	TRY(!fchmod(handed, 0777));
	TRY(!fchdir(handed));
}

/* Over a socket too, as a service that hands out descriptors would. */
static void pass(int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int pair[2];

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_EQ(sendmsg(pair[0], &msg, 0), 1);
	CHECK_EQ(recvmsg(pair[1], &msg, 0), 1);
	memcpy(&handed, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	close(pair[0]);
	close(pair[1]);
}

TEST(a_descriptor_of_a_directory_leads_no_further)
{
	static const char *const paths[] = {NODE_RUN, NODE_STATE, NODE_PINS, NODE_PINS "/g1"};
	pid_t pid;

	node_make();
	pid = node_up();
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		auto_close int fd = open(paths[i], O_RDONLY | O_DIRECTORY);

		CHECK(fd >= 0);
		handed = fd;
		as_nobody(try_the_descriptor);
		pass(fd);
		as_nobody(try_the_descriptor);
		as(true, try_the_descriptor);
		close(handed);
	}
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

/* --- Only the peer's credentials are left
 * --------------------------------------------------------- */

static int http_code(const char *path, const char *call)
{
	char text[512] = "";
	auto_close int fd = dial(path, SOCK_STREAM);

	CHECK(fd >= 0);
	if (send(fd, call, strlen(call), MSG_NOSIGNAL) < 0 ||
	    recv(fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return atoi(text + strcspn(text, " "));
}

static void try_with_loose_modes(void)
{
	static const char *const calls[] = {"GET /v1/status",  "GET /metrics",
					    "GET /v1/slots",   "POST /v1/drain?pool=default",
					    "POST /v1/reload", "POST /v1/leave"};
	char call[256];

	/* That the doors are open shows that it is the credentials that keep nobody out. */
	CHECK(can_dial(LOOSE "/ipamd.sock", SOCK_SEQPACKET));
	TRY(exchange(SLOW, &recorded, sizeof(recorded)) >= 0);
	TRY(exchange(LOOSE "/ipamd.sock", &recorded, sizeof(recorded)) >= 0);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		snprintf(call, sizeof(call), "%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
			 calls[i]);
		CHECK_EQ(http_code(ADMIN, call), 403);
		CHECK_EQ(http_code(LOOSE "/admin.sock", call), 403);
	}
}

static void try_with_loose_modes_as_root(void)
{
	become_root_of_a_namespace();
	try_with_loose_modes();
}

static void loosen(void)
{
	CHECK_EQ(mkdir(LOOSE, 0755), 0);
	CHECK_EQ(mount(NODE_RUN, LOOSE, NULL, MS_BIND, NULL), 0);
	CHECK_EQ(chmod(LOOSE, 0777), 0);
	CHECK_EQ(chmod(SLOW, 0777), 0);
	CHECK_EQ(chmod(ADMIN, 0777), 0);
}

TEST(where_modes_were_loosened_the_peer_is_still_asked_for)
{
	pid_t pid;

	node_make();
	pid = node_up();
	loosen();
	record(IPAMD_CLAIM, 1);
	as_nobody(try_with_loose_modes);
	CHECK_EQ(held(), 0);
	as_nobody(try_with_loose_modes_as_root);
	CHECK_EQ(held(), 0);
	CHECK_EQ(exchange(LOOSE "/ipamd.sock", &recorded, sizeof(recorded)), IPAMD_OK); /* root's */
	CHECK(node_until(held() == 1));
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

TEST(what_root_recorded_releases_nothing_when_nobody_sends_it)
{
	pid_t pid;

	node_make();
	pid = node_up();
	loosen();
	record(IPAMD_CLAIM, 1);
	CHECK_EQ(exchange(SLOW, &recorded, sizeof(recorded)), IPAMD_OK);
	CHECK(node_until(held() == 1));
	record(IPAMD_RELEASE, 1);
	as_nobody(try_with_loose_modes);
	CHECK_EQ(held(), 1);
	CHECK_EQ(exchange(SLOW, &recorded, sizeof(recorded)), IPAMD_OK);
	CHECK(node_until(held() == 0));
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

TEST(an_old_claim_that_comes_again_after_the_end_is_late)
{
	struct ipamd_request claim;
	pid_t pid;

	node_make();
	pid = node_up();
	record(IPAMD_CLAIM, 1);
	claim = recorded;
	CHECK_EQ(exchange(SLOW, &claim, sizeof(claim)), IPAMD_OK);
	record(IPAMD_RELEASE, 1);
	CHECK_EQ(exchange(SLOW, &recorded, sizeof(recorded)), IPAMD_OK);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(exchange(SLOW, &claim, sizeof(claim)), IPAMD_LATE);
	CHECK(node_until(held() == 0));
	CHECK(balance_holds());
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

/* --- Pins
 * ------------------------------------------------------------------------------------------- */

#define GENERATION NODE_PINS "/g1"

static unsigned int each_pin(void (*look)(const char *path))
{
	DIR *d = opendir(GENERATION);
	struct dirent *e;
	unsigned int n = 0;

	CHECK(d != NULL);
	while ((e = readdir(d))) {
		char path[512];

		snprintf(path, sizeof(path), GENERATION "/%s", e->d_name);
		if (e->d_name[0] == '.')
			continue;
		look(path);
		n++;
	}
	closedir(d);
	return n;
}

static void try_pin(const char *path)
{
	TRY(can_get(path, 0));
	TRY(can_get(path, BPF_F_RDONLY));
	TRY(can_get(path, BPF_F_WRONLY));
	TRY(can_open(path, O_RDONLY));
	TRY(!unlink(path));
	TRY(!chmod(path, 0666));
}

static void try_pins(void)
{
	union bpf_attr attr = {0};

	CHECK(each_pin(try_pin) >= 10);
	TRY(!bpf(BPF_MAP_GET_NEXT_ID, &attr));
	for (unsigned int id = 1; id < 2000; id++) {
		TRY(can_get_by_id(BPF_MAP_GET_FD_BY_ID, id));
		TRY(can_get_by_id(BPF_PROG_GET_FD_BY_ID, id));
	}
}

static void check_pin(const char *path)
{
	struct stat st;

	CHECK_EQ(lstat(path, &st), 0);
	CHECK_EQ(st.st_uid, 0);
	CHECK_EQ(st.st_mode & 07777, 0600);
	CHECK(can_get(path, 0)); /* root does: what fails for nobody does not fail for all */
}

/*
 * Where nobody may call bpf(2) at all (unprivileged_bpf_disabled), the refusal says
 * nothing about the pins: so once more with CAP_BPF, through open directories.
 */
TEST(no_pin_opens_for_nobody_even_with_cap_bpf)
{
	pid_t pid;

	node_make();
	pid = node_up();
	CHECK(each_pin(check_pin) >= 10);
	as_nobody(try_the_doors);
	CHECK_EQ(chmod(NODE "/bpf", 0755), 0);
	CHECK_EQ(chmod(NODE_PINS, 0755), 0);
	CHECK_EQ(chmod(GENERATION, 0755), 0);
	as_nobody(try_pins);
	as(true, try_pins);
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

/* --- Squatters -----------------------------------------------------------------------------------
 */

enum squat { THEIR_DIRECTORY, LINK_TO_THEIRS, LINK_TO_OURS, DANGLING, FILE_OF_THEIRS, OPEN_TO_ALL };

static const char *const squats[] = {"a directory of nobody's",    "a symlink to one",
				     "a symlink to one of root's", "a dangling symlink",
				     "a file of nobody's",         "a directory open to all"};

/* false: this file system has no such thing. */
static bool squat(const char *path, enum squat how, bool on_bpffs)
{
	switch (how) {
	case THEIR_DIRECTORY:
		return !mkdir(path, 0700) && !chown(path, NOBODY, NOBODY);
	case LINK_TO_THEIRS:
		return !symlink(NODE "/theirs", path);
	case LINK_TO_OURS:
		return !symlink(NODE "/ours", path);
	case DANGLING:
		return !symlink(NODE "/nowhere", path);
	case FILE_OF_THEIRS:
		return !on_bpffs && !mknod(path, S_IFREG | 0666, 0) && !chown(path, NOBODY, NOBODY);
	case OPEN_TO_ALL:
		return !mkdir(path, 0777) && !chmod(path, 0777);
	}
	return false;
}

static unsigned int count_entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned int n = 0;

	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void check_refused(const char *path, enum squat how)
{
	char expected[256];
	pid_t pid;
	int status;

	unlink(NODE_LOG);
	pid = node_start(NULL);
	status = node_wait(pid, 10);
	snprintf(expected, sizeof(expected), " ipamd: error: %s: ", path);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 1 || !node_log_has(expected)) {
		node_log_show();
		test_stop(T_FAIL, "%s as %s: status 0x%x", path, squats[how], (unsigned)status);
	}
	CHECK_EQ(count_entries(path), 0);
	CHECK_EQ(count_entries(NODE "/theirs"), 0);
	CHECK_EQ(count_entries(NODE "/ours"), 0);
	CHECK(access(NODE "/nowhere", F_OK));
}

static void check_squatted(const char *path, bool on_bpffs)
{
	for (enum squat how = THEIR_DIRECTORY; how <= OPEN_TO_ALL; how++) {
		if (!squat(path, how, on_bpffs)) {
			if (!on_bpffs || how != FILE_OF_THEIRS)
				test_stop(T_FAIL, "%s: no %s: %s", path, squats[how],
					  strerror(errno));
			continue;
		}
		check_refused(path, how);
		CHECK(!unlink(path) || !rmdir(path));
	}
}

TEST(who_was_there_before_is_refused_by_name)
{
	pid_t pid;

	node_make();
	CHECK(!umount(NODE_STATE) && !rmdir(NODE_STATE));
	CHECK(!mkdir(NODE "/theirs", 0700) && !chown(NODE "/theirs", NOBODY, NOBODY));
	CHECK(!mkdir(NODE "/ours", 0700));
	check_squatted(NODE_RUN, false); /* in the order in which it makes them */
	check_squatted(NODE_STATE, false);
	check_squatted(NODE_PINS, true);
	pid = node_up(); /* and with all of them gone it starts */
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

/* --- Links where ipamd writes -------------------------------------------------------------------
 */

static void check_victim(void)
{
	char text[32] = "";
	struct stat st;
	auto_close int fd = open(VICTIM, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0 && read(fd, text, sizeof(text)) == 8);
	CHECK(!memcmp(text, "precious", 8));
	CHECK(!fstat(fd, &st) && (st.st_mode & 07777) == 0644);
}

TEST(links_in_its_directories_are_not_followed)
{
	static const struct {
		const char *path;
		bool starts;
	} links[] = {
		{NODE_RUN "/lock", false},          {NODE_RUN "/served", true},
		{NODE_RUN "/ipamd.sock", true},     {NODE_RUN "/admin.sock", true},
		{NODE_RUN "/ipamd.sock.new", true}, {NODE_DB, false},
	};
	FILE *f;

	node_make();
	f = fopen(VICTIM, "w");
	CHECK(f && fputs("precious", f) >= 0 && !fclose(f));
	CHECK(!chmod(VICTIM, 0644) && !mkdir(NODE_RUN, 0700));
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		pid_t pid;

		unlink(links[i].path);
		CHECK_EQ(symlink(VICTIM, links[i].path), 0);
		pid = node_start(NULL);
		if (node_is_up(pid) != links[i].starts) {
			node_log_show();
			test_stop(T_FAIL, "%s: started: %d", links[i].path, !links[i].starts);
		}
		check_victim();
		CHECK_EQ(node_end(pid, SIGTERM), links[i].starts ? 0 : 1 << 8);
		check_victim();
		unlink(links[i].path);
	}
}

/* --- The process
 * ------------------------------------------------------------------------------------ */

static void try_the_process(void)
{
	char path[64];

	TRY(!kill(served_by, SIGHUP));
	TRY(!kill(served_by, SIGTERM));
	TRY(!kill(served_by, SIGKILL));
	TRY(!ptrace(PTRACE_ATTACH, served_by, NULL, NULL));
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)served_by);
	TRY(can_open(path, O_RDONLY));
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)served_by);
	TRY(can_open(path, O_RDONLY));
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)served_by);
	TRY(can_open(path, O_RDONLY));
	snprintf(path, sizeof(path), "/proc/%d/root/", (int)served_by);
	TRY(can_open(path, O_RDONLY));
}

TEST(nobody_signals_traces_or_reads_the_process)
{
	pid_t pid;

	node_make();
	pid = served_by = node_up();
	as_nobody(try_the_process);
	CHECK(!node_log_has("configuration read again"));
	CHECK_EQ(kill(pid, SIGHUP), 0);
	CHECK(node_until(node_log_has("configuration read again")));
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

/* --- Root's own nonsense
 * ------------------------------------------------------------------------------ */

static void check_foreign(struct ipamd_request *r, size_t size)
{
	int verdict = exchange(SLOW, r, size);

	if (verdict != IPAMD_FOREIGN)
		test_stop(T_FAIL, "abi %u size %u verb %u in %zu bytes: %d", r->abi, r->size,
			  r->verb, size, verdict);
}

TEST(a_datagram_that_is_no_request_is_answered_foreign)
{
	static char large[64 << 10];
	static const __u32 verbs[] = {0, IPAMD_STEP, IPAMD_VERBS, 1U << 31, ~0U};
	static const __u32 abis[] = {0, 2, 256, ~0U};
	struct ipamd_request r;
	pid_t pid;

	node_make();
	pid = node_up();
	record(IPAMD_CLAIM, 1);
	memcpy(large, &recorded, sizeof(recorded));
	for (size_t size = 1; size < sizeof(r); size += size < 16 ? 1 : 97)
		check_foreign((void *)large, size);
	for (size_t size = sizeof(r) + 1; size <= sizeof(large); size = size * 2 - 1)
		check_foreign((void *)large, size);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		r = recorded;
		r.verb = verbs[i];
		check_foreign(&r, sizeof(r));
	}
	for (size_t i = 0; i < sizeof(abis) / sizeof(abis[0]); i++) {
		r = recorded;
		r.abi = abis[i];
		check_foreign(&r, sizeof(r));
		r.abi = IPAMD_ABI;
		r.size = abis[i];
		check_foreign(&r, sizeof(r));
	}
	CHECK_EQ(exchange(SLOW, "", 0), -1);
	CHECK_EQ(held(), 0);
	CHECK_EQ(exchange(SLOW, &recorded, sizeof(recorded)), IPAMD_OK);
	CHECK(balance_holds());
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

static void fill_texts(struct ipamd_request *r)
{
	struct ipamd_who *w = &r->who;

	memset(w->network, 'A', sizeof(*w) - offsetof(struct ipamd_who, network));
}

static size_t text_size(const char *key)
{
	int code;
	json_t *j = node_ask("GET", "/v1/slots", &code), *slot,
	       *slots = json_object_get(j, "addresses");
	size_t i, most = 0;

	CHECK(j && code == 200 && json_array_size(slots));
	json_array_foreach(slots, i, slot)
	{
		json_t *holder = json_object_get(slot, "holder");
		const char *text = json_string_value(json_object_get(holder, key));

		if (text && strlen(text) > most)
			most = strlen(text);
	}
	json_decref(j);
	return most;
}

static void check_texts(void)
{
	CHECK(node_until(held() == 1));
	CHECK_EQ(text_size("network"), sizeof(recorded.who.network) - 1);
	CHECK_EQ(text_size("container"), sizeof(recorded.who.container) - 1);
	CHECK_EQ(text_size("pod"), sizeof(recorded.who.pod) - 1);
	CHECK_EQ(text_size("uid"), sizeof(recorded.who.uid) - 1);
}

TEST(texts_that_do_not_end_are_ended)
{
	pid_t pid;

	node_make();
	pid = node_up();
	record(IPAMD_CLAIM, 1);
	fill_texts(&recorded);
	CHECK_EQ(exchange(SLOW, &recorded, sizeof(recorded)), IPAMD_OK);
	CHECK_EQ(strlen(answer.who.network), sizeof(answer.who.network) - 1);
	CHECK_EQ(strlen(answer.who.label), sizeof(answer.who.label) - 1);
	check_texts();
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

TEST(texts_that_do_not_end_are_ended_in_the_map_too)
{
	auto_pin struct pin *pin = NULL;
	pid_t pid;

	node_make();
	pid = node_up();
	record(IPAMD_CLAIM, 1);
	fill_texts(&recorded);
	pin = node_pins();
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &recorded), IPAMD_OK); /* past the manager */
	check_texts();
	CHECK_EQ(node_end(pid, SIGTERM), 0);
	pid = node_up();
	check_texts();
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

/* --- Crowds
 * -------------------------------------------------------------------------------------------- */

static int crowd[CROWD];

static void gather(const char *path, int type)
{
	for (int i = 0; i < CROWD; i++) {
		crowd[i] = dial(path, type);
		if (crowd[i] < 0)
			test_stop(T_FAIL, "connection %d: %s", i, strerror(-crowd[i]));
	}
}

static void scatter(void)
{
	for (int i = 0; i < CROWD; i++)
		close(crowd[i]);
}

TEST(a_crowd_that_says_nothing_keeps_no_claim_waiting)
{
	pid_t pid;

	node_make();
	pid = node_up();
	for (unsigned int round = 0; round < 3; round++) {
		gather(SLOW, SOCK_SEQPACKET);
		record(IPAMD_CLAIM, round);
		CHECK_EQ(exchange(SLOW, &recorded, sizeof(recorded)), IPAMD_OK);
		scatter();
	}
	CHECK(node_until(held() == 3));
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

TEST(a_crowd_that_says_nothing_takes_no_waiters_seat)
{
	auto_close int fd = -1;
	pid_t pid;

	node_make();
	node_configure("[pool default]\nsubnet = 10.77.0.4/32\nlow = 1\nhigh = 1\ncooldown = 0s\n");
	pid = node_up();
	CHECK_EQ(node_claim(1, NULL, NULL), IPAMD_OK);
	fd = dial(SLOW, SOCK_SEQPACKET);
	record(IPAMD_CLAIM, 2);
	CHECK_EQ(send(fd, &recorded, sizeof(recorded), 0), sizeof(recorded));
	CHECK(node_until(node_number("/v1/status", "pools.0.waiters") == 1));
	gather(SLOW, SOCK_SEQPACKET);
	CHECK_EQ(exchange(SLOW, "?", 1), IPAMD_FOREIGN); /* so all of them have been let in */
	CHECK_EQ(node_release(1), IPAMD_OK);
	CHECK_EQ(recv(fd, &answer, sizeof(answer), 0), sizeof(answer));
	CHECK_EQ(answer.verdict, IPAMD_OK);
	scatter();
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

TEST(a_crowd_at_the_other_socket_keeps_no_claim_waiting)
{
	pid_t pid;

	node_make();
	pid = node_up();
	gather(ADMIN, SOCK_STREAM);
	for (int i = 0; i < CROWD; i += 2) /* half a request, and no more of it */
		send(crowd[i], "GET /v1/st", 10, MSG_NOSIGNAL);
	record(IPAMD_CLAIM, 1);
	CHECK_EQ(exchange(SLOW, &recorded, sizeof(recorded)), IPAMD_OK);
	CHECK_EQ(node_claim(2, NULL, NULL), IPAMD_OK);
	scatter();
	CHECK(node_until(held() == 2));
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

TEST_MAIN

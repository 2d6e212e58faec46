// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "selftests/node.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/request.h"
#include "selftests/harness.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

/* --- Making it ---------------------------------------------------------------------- */

static void must(bool ok, const char *what)
{
	if (!ok)
		test_stop(T_FAIL, "%s: %s", what, strerror(errno));
}

/* The first process of a pid namespace is a child; who called waits and ends as it ends. */
static void become_first(void)
{
	int status;
	pid_t pid;

	must(!unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID), "unshare");
	fflush(stdout);
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	if (WIFSIGNALED(status))
		printf("# the node ended by signal %d\n", WTERMSIG(status));
	fflush(stdout);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : T_FAIL);
}

void node_make(void)
{
	become_first();
	must(!mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || errno == EINVAL, "private");
	must(!mount("proc", "/proc", "proc", 0, NULL), "mount /proc");
	must(!mkdir(NODE, 0755) || errno == EEXIST, "mkdir " NODE);
	must(!mount("tmpfs", NODE, "tmpfs", 0, "mode=755"), "mount " NODE);
	must(!mkdir(NODE "/bpf", 0700), "mkdir bpf");
	must(!mount("bpf", NODE "/bpf", "bpf", 0, "mode=700"), "mount bpffs");
	/* A file system of its own, which a test may fill up or make read-only. */
	must(!mkdir(NODE_STATE, 0700), "mkdir state");
	must(!mount("tmpfs", NODE_STATE, "tmpfs", 0, "mode=700,size=8m"), "mount state");
	/* The runtime's results, where ipamd looks for them. */
	must(!mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=755"), "mount /var/lib");
	must(!mkdir("/var/lib/cni", 0755) && !mkdir(NODE_RESULTS, 0755), "mkdir " NODE_RESULTS);
	must(system("ip link set lo up") == 0, "ip link set lo up");
	node_configure("");
}

void node_configure(const char *text)
{
	FILE *f = fopen(NODE_CONF, "w");

	must(f != NULL, NODE_CONF);
	fprintf(f,
		"[manager]\npins = " NODE_PINS "\nrun = " NODE_RUN "\nstate = " NODE_STATE "\n%s",
		*text ? text
		      : "[pool default]\nsubnet = 10.77.0.0/24\ngateway = 10.77.0.1\n"
			"cooldown = 1s\nlow = 5\nhigh = 20\n");
	must(!fclose(f), NODE_CONF);
}

/* --- Running ipamd -------------------------------------------------------------------- */

static const char *binary(void)
{
	static char path[512];
	const char *o = getenv("O"), *other = getenv("IPAMD");

	if (other)
		return other;
	snprintf(path, sizeof(path), "%s/userspace/ipamd", o ? o : "build");
	return path;
}

void node_exec(const char *const *more)
{
	const char *argv[16] = {binary(), "-c", NODE_CONF};
	int fd = open(NODE_LOG, O_WRONLY | O_CREAT | O_APPEND, 0644);

	for (int i = 0; more && more[i] && i < 12; i++)
		argv[3 + i] = more[i];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(0);
	dup2(fd, 1);
	dup2(fd, 2);
	execv(argv[0], (char *const *)argv);
	_exit(127);
}

pid_t node_start(const char *const *more)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid)
		node_exec(more);
	return pid;
}

int node_wait(pid_t pid, unsigned int seconds)
{
	for (unsigned int i = 0; i < 100 * seconds; i++) {
		int status;

		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(10000);
	}
	return -1;
}

int node_end(pid_t pid, int signal_number)
{
	kill(pid, signal_number);
	return node_wait(pid, 10);
}

bool node_is_up(pid_t pid)
{
	for (int i = 0; i < 1000; i++) {
		int code = 0, status;
		json_t *j = node_ask("GET", "/v1/status", &code);

		json_decref(j);
		if (code == 200)
			return true;
		if (waitpid(pid, &status, WNOHANG | WNOWAIT) == pid)
			return false;
		usleep(10000);
	}
	return false;
}

pid_t node_up(void)
{
	pid_t pid = node_start(NULL);

	if (!node_is_up(pid)) {
		node_log_show();
		test_stop(T_FAIL, "ipamd did not come up");
	}
	return pid;
}

/* --- Asking it ---------------------------------------------------------------------------- */

static int talk(const char *call, char *answer, size_t size)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = NODE_RUN "/admin.sock"};
	struct timeval limit = {.tv_sec = 5};
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = 0;
	ssize_t k;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) ||
	    send(fd, call, strlen(call), MSG_NOSIGNAL) < 0)
		return -errno;
	while (n + 1 < size && (k = recv(fd, answer + n, size - n - 1, 0)) > 0)
		n += (size_t)k;
	answer[n] = '\0';
	return n ? 0 : -EIO;
}

json_t *node_ask(const char *method, const char *path, int *ret_code)
{
	enum { SIZE = 8 << 20 };
	auto_free char *answer = malloc(SIZE);
	char call[1024];
	const char *body;

	snprintf(call, sizeof(call),
		 "%s %s HTTP/1.1\r\nHost: node\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		 method, path);
	if (!answer || talk(call, answer, SIZE))
		return NULL;
	*ret_code = atoi(answer + strcspn(answer, " "));
	body = strstr(answer, "\r\n\r\n");
	return body ? json_loads(body + 4, 0, NULL) : NULL;
}

long long node_number(const char *http_path, const char *path)
{
	int code;
	json_t *j = node_ask("GET", http_path, &code), *at = j;
	char copy[128], *save = NULL;
	long long n = -1;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *key = strtok_r(copy, ".", &save); key && at; key = strtok_r(NULL, ".", &save))
		at = json_is_array(at) ? json_array_get(at, (size_t)atoi(key))
				       : json_object_get(at, key);
	if (json_is_integer(at))
		n = json_integer_value(at);
	else if (json_is_boolean(at))
		n = json_is_true(at);
	json_decref(j);
	return n;
}

static char *log_text(void)
{
	FILE *f = fopen(NODE_LOG, "r");
	char *text = calloc(1, 1 << 20);

	if (f && text && fread(text, 1, (1 << 20) - 1, f) == 0)
		text[0] = '\0';
	if (f)
		fclose(f);
	return text;
}

bool node_log_has(const char *text)
{
	auto_free char *all = log_text();

	return all && strstr(all, text);
}

void node_log_show(void)
{
	auto_free char *all = log_text();
	char *save = NULL;

	for (char *line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		printf("# %s\n", line);
}

/* --- Losing things -------------------------------------------------------------------------- */

void node_lose_map(void)
{
	must(!umount(NODE_BPFFS), "umount bpffs");
	must(!mount("bpf", NODE_BPFFS, "bpf", 0, "mode=700"), "mount bpffs");
}

void node_change_boot(void)
{
	FILE *f = fopen(NODE "/boot_id", "w");

	must(f && fputs("11111111-2222-4333-8444-555555555555\n", f) >= 0 && !fclose(f), "boot_id");
	must(!mount(NODE "/boot_id", "/proc/sys/kernel/random/boot_id", NULL, MS_BIND, NULL),
	     "bind boot_id");
}

void node_empty_run(void)
{
	must(system("rm -rf " NODE_RUN "/*") == 0, "rm " NODE_RUN);
}

/* --- What a plugin does --------------------------------------------------------------------- */

struct pin *node_pins(void)
{
	struct pin *pin = NULL;
	int r = pin_attach(NODE_PINS, &pin);

	if (r)
		test_stop(T_FAIL, "attach: %s", pin_explain(r));
	return pin;
}

static int run(struct ipamd_request *req)
{
	auto_pin struct pin *pin = node_pins();
	int r = IPAMD_BUSY;

	for (int i = 0; i < 1000 && r == IPAMD_BUSY; i++)
		r = pin_run(pin, req->verb, req);
	return r;
}

static void make_request(struct ipamd_request *req, enum ipamd_verb verb, unsigned int number,
			 const char *pod)
{
	char container[32];

	snprintf(container, sizeof(container), "container-%u", number);
	request_init(req, verb);
	if (pod)
		request_pod(req, "default", pod, "uid");
	request_attachment(req, "net", container, "eth0", clock_boot_ns());
}

int node_claim(unsigned int number, const char *pod, struct ipamd_request *ret)
{
	struct ipamd_request req;

	make_request(ret ? ret : &req, IPAMD_CLAIM, number, pod);
	return run(ret ? ret : &req);
}

int node_release(unsigned int number)
{
	struct ipamd_request req;

	make_request(&req, IPAMD_RELEASE, number, NULL);
	return run(&req);
}

void node_result(unsigned int number, const char *first, const char *second)
{
	char path[128], ips[256];
	FILE *f;

	snprintf(path, sizeof(path), NODE_RESULTS "/net-container-%u-eth0", number);
	snprintf(ips, sizeof(ips), "{\"address\":\"%s\"}%s%s%s", first,
		 second ? ",{\"address\":\"" : "", second ? second : "", second ? "\"}" : "");
	f = fopen(path, "w");
	must(f != NULL, path);
	fprintf(f,
		"{\"kind\":\"cniCacheV1\",\"containerId\":\"container-%u\",\"config\":\"\","
		"\"ifName\":\"eth0\",\"networkName\":\"net\","
		"\"result\":{\"cniVersion\":\"1.0.0\",\"ips\":[%s]}}",
		number, ips);
	must(!fclose(f), path);
}

/* --- Pods ----------------------------------------------------------------------------------------
 */

/* Sends one netlink request and reads its answer's attribute NETNSA_NSID. */
static int nsid_call(int type, int fd, int nsid)
{
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g;
		char pad[3];
		struct rtattr a;
		__s32 a_value;
		struct rtattr b;
		__s32 b_value;
	} req = {
		.h = {sizeof(req), (__u16)type,
		      NLM_F_REQUEST | (type == RTM_NEWNSID ? NLM_F_ACK : 0), 1, 0},
		.a = {8, NETNSA_FD},
		.a_value = fd,
		.b = {8, NETNSA_NSID},
		.b_value = nsid,
	};
	char answer[4096];
	auto_close int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t n;

	if (type == RTM_GETNSID)
		req.h.nlmsg_len -= 8;
	must(send(s, &req, req.h.nlmsg_len, 0) > 0, "netlink");
	n = recv(s, answer, sizeof(answer), 0);
	must(n >= (ssize_t)sizeof(struct nlmsghdr), "netlink answer");
	if (((struct nlmsghdr *)answer)->nlmsg_type == NLMSG_ERROR)
		return ((struct nlmsgerr *)NLMSG_DATA(answer))->error;
	return *(__s32 *)(answer + NLMSG_HDRLEN + 4 + 4); /* rtgenmsg padded, attribute header */
}

void node_pod_start(struct node_pod *ret)
{
	int ready[2];
	char path[64];
	auto_close int fd = -1;

	must(!pipe2(ready, O_CLOEXEC), "pipe");
	fflush(stdout);
	ret->pid = fork();
	must(ret->pid >= 0, "fork");
	if (!ret->pid) {
		socklen_t size = sizeof(__u64);
		__u64 cookie;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET))
			_exit(1);
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) ||
		    write(ready[1], &cookie, sizeof(cookie)) != sizeof(cookie))
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	must(read(ready[0], &ret->cookie, sizeof(ret->cookie)) == sizeof(ret->cookie), "pod");
	close(ready[0]);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)ret->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0, path);
	must(nsid_call(RTM_NEWNSID, fd, -1) == 0, "RTM_NEWNSID");
	ret->nsid = nsid_call(RTM_GETNSID, fd, 0);
	must(ret->nsid >= 0, "RTM_GETNSID");
}

void node_pod_address(const struct node_pod *pod, const char *address_and_prefix)
{
	char command[256];

	snprintf(command, sizeof(command), "nsenter -t %d -n ip addr add %s dev lo", (int)pod->pid,
		 address_and_prefix);
	must(system(command) == 0, command);
}

void node_pod_end(struct node_pod *pod)
{
	int status;

	kill(pod->pid, SIGKILL);
	must(waitpid(pod->pid, &status, 0) == pod->pid, "pod's end");
}

int node_pod_claim(const struct node_pod *pod, unsigned int number, struct ipamd_request *ret)
{
	return node_pod_claim_from(pod, NULL, number, ret);
}

int node_pod_claim_from(const struct node_pod *pod, const char *pool, unsigned int number,
			struct ipamd_request *ret)
{
	struct ipamd_request req;

	if (!ret)
		ret = &req;
	make_request(ret, IPAMD_CLAIM, number, "web");
	if (pool)
		request_pool(ret, pool);
	ret->who.nsid = pod->nsid;
	ret->who.netns_cookie = pod->cookie;
	return run(ret);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cni/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cni/clock.h"

#define SOCKET "ipamd.sock"
#define LOCK   "lock"

enum { CONNECT_MS = 500, START_MS = 3000, NAP_MS = 5 };

const char *manager_explain(int outcome)
{
	switch (outcome) {
	case MANAGER_ABSENT:
		return "the manager is not running";
	case MANAGER_SILENT:
		return "the manager is there but does not answer";
	case MANAGER_STRANGER:
		return "whoever serves the manager's socket is not root";
	default:
		return outcome < 0 ? strerror(-outcome) : "the manager was asked";
	}
}

int manager_open_run(const char *run)
{
	int fd = open(run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && !st.st_uid && !(st.st_mode & 0022))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* --- Asking ------------------------------------------------------------------------------ */

/* EAGAIN: its queue is full, which may pass; a stopped manager's does not. */
static int connect_within(int s, const struct sockaddr_un *at, __u64 until_ms)
{
	while (connect(s, (const struct sockaddr *)at, sizeof(*at))) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return MANAGER_ABSENT;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (clock_ms() >= until_ms)
			return MANAGER_SILENT;
		clock_nap_ms(NAP_MS);
	}
	return 0;
}

static int check_peer(int s)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(s, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return -errno;
	return peer.uid ? MANAGER_STRANGER : 0;
}

/* Readable before then. */
static int wait_for(int s, __u64 until_ms)
{
	struct pollfd p = {.fd = s, .events = POLLIN};

	for (;;) {
		__u64 now = clock_ms();
		int n = poll(&p, 1, now < until_ms ? (int)(until_ms - now) : 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			return 0;
		if (!n)
			return MANAGER_SILENT;
	}
}

/* It closes without a word when it has too many to serve. */
static int receive(int s, struct ipamd_request *req)
{
	struct ipamd_request answer;
	ssize_t n = recv(s, &answer, sizeof(answer), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0)
		return -errno;
	if (n != sizeof(answer))
		return n ? -EPROTO : MANAGER_SILENT;
	if (answer.abi != IPAMD_ABI || answer.size != sizeof(answer))
		return -EPROTO;
	if (answer.verdict == IPAMD_FOREIGN)
		return IPAMD_FOREIGN;
	if (memcmp(&answer.who.id, &req->who.id, sizeof(answer.who.id)))
		return -EPROTO;
	*req = answer;
	return answer.verdict;
}

static int converse(int s, const struct sockaddr_un *at, struct ipamd_request *req,
		    unsigned int wait_ms)
{
	int r = connect_within(s, at, clock_ms() + CONNECT_MS);

	if (!r)
		r = check_peer(s);
	if (r)
		return r;
	if (send(s, req, sizeof(*req), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(*req))
		return MANAGER_SILENT;
	r = wait_for(s, clock_ms() + wait_ms);
	return r ? r : receive(s, req);
}

int manager_ask(const char *run, struct ipamd_request *req, unsigned int wait_ms)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int r, s, dir = manager_open_run(run);

	if (dir < 0)
		return MANAGER_ABSENT;
	s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/" SOCKET, dir);
	r = s < 0 ? -errno : converse(s, &at, req, wait_ms);
	if (s >= 0)
		close(s);
	close(dir);
	return r;
}

/* --- Starting one ------------------------------------------------------------------------------
 */

/* The kernel owns the lock: it ends with whoever has it. */
static bool is_served(const char *run)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int dir = manager_open_run(run);
	int fd = dir < 0 ? -1 : openat(dir, LOCK, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	bool held = fd >= 0 && !fcntl(fd, F_GETLK, &all) && all.l_type != F_UNLCK;

	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return held;
}

/* All other descriptors close by themselves; the runtime must not wait for its pipes. */
static void become_daemon(const char *daemon)
{
	char *const argv[] = {"ipamd", "--idle-exit", "10", NULL};
	char *const envp[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			      NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	if (null < 0 || setsid() < 0 || chdir("/"))
		_exit(127);
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execve(daemon, argv, envp);
	_exit(127);
}

/* Twice forked, so that it is nobody's child. */
static int spawn(const char *daemon)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid) {
		pid = fork();
		if (!pid)
			become_daemon(daemon);
		_exit(pid < 0 ? 127 : 0);
	}
	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EAGAIN;
}

/* The lock is nobody's: then one is started that leaves when it is idle. */
static int start(const struct conf *c)
{
	if (is_served(c->run))
		return 0; /* it is about to serve */
	if (access(c->daemon, X_OK))
		return MANAGER_ABSENT;
	return spawn(c->daemon);
}

int manager_ask_or_start(const struct conf *c, struct ipamd_request *req, unsigned int wait_ms)
{
	int r = manager_ask(c->run, req, wait_ms);
	__u64 until_ms = clock_ms() + START_MS;

	if (r != MANAGER_ABSENT || start(c))
		return r;
	while (r == MANAGER_ABSENT && clock_ms() < until_ms) {
		clock_nap_ms(NAP_MS);
		r = manager_ask(c->run, req, wait_ms);
	}
	return r;
}

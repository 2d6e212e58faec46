// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cni/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static int check(const struct netns *n, bool own_allowed)
{
	struct statfs fs;
	struct stat pod, own;

	if (fstatfs(n->fd, &fs) || fstat(n->fd, &pod) || fstat(n->own, &own))
		return -errno;
	if (fs.f_type != NSFS_MAGIC)
		return NETNS_STRANGE;
	return !own_allowed && pod.st_ino == own.st_ino && pod.st_dev == own.st_dev ? NETNS_OWN : 0;
}

int netns_open(const char *path, bool own_allowed, struct netns *ret)
{
	/* O_NONBLOCK: a path that leads to a fifo must not hold us up. */
	struct netns n = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
	int r;

	if (n.fd < 0)
		return -errno;
	n.own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	r = n.own < 0 ? -errno : check(&n, own_allowed);
	if (!r) {
		*ret = n;
		return 0;
	}
	close(n.fd);
	if (n.own >= 0)
		close(n.own);
	return r;
}

/* --- The id ------------------------------------------------------------------------------ */

struct call {
	struct nlmsghdr h;
	struct rtgenmsg g;
	char pad[3];
	struct rtattr fd;
	__s32 fd_value;
	struct rtattr id;
	__s32 id_value;
};

/* rtnetlink answers while it is sent to, so there is nothing to wait for. */
static int talk(int s, __u16 type, int fd, char answer[256])
{
	struct call c = {
		.h = {sizeof(c), type, NLM_F_REQUEST, 1, 0},
		.fd = {8, NETNSA_FD},
		.fd_value = fd,
		.id = {8, NETNSA_NSID},
		.id_value = -1,
	};
	struct nlmsghdr *h = (struct nlmsghdr *)answer;
	ssize_t n;

	if (type == RTM_NEWNSID)
		c.h.nlmsg_flags |= NLM_F_ACK;
	else
		c.h.nlmsg_len -= 8;
	if (send(s, &c, c.h.nlmsg_len, MSG_DONTWAIT) < 0)
		return -errno;
	n = recv(s, answer, 256, MSG_DONTWAIT);
	if (n < (ssize_t)sizeof(*h))
		return n < 0 ? -errno : -EPROTO;
	if (h->nlmsg_type == NLMSG_ERROR)
		return n < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr))
			       ? -EPROTO
			       : ((struct nlmsgerr *)NLMSG_DATA(h))->error;
	return n < (ssize_t)sizeof(struct call) - 8 ? -EPROTO : 0;
}

/*
 * The kernel chooses, although it gives the id of a dead namespace to the next one:
 * the manager compares times and cookies, and so no plugin has to write to its maps.
 */
static __s32 id_of(int s, int fd)
{
	/* Aligned for the headers that are read in place. */
	union {
		char bytes[256];
		struct call call;
	} answer;
	int r = talk(s, RTM_NEWNSID, fd, answer.bytes);

	if (r && r != -EEXIST) /* a veth pair has made one already */
		return -1;
	r = talk(s, RTM_GETNSID, fd, answer.bytes);
	return r || answer.call.fd.rta_type != NETNSA_NSID ? -1 : answer.call.fd_value;
}

/* --- The cookie -------------------------------------------------------------------------- */

static __u64 cookie_of_socket(int s)
{
	__u64 cookie = 0;
	socklen_t size = sizeof(cookie);

	return s < 0 || getsockopt(s, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) ? 0 : cookie;
}

/* Only a socket inside knows it.  The way back must work: a manager may be started from here. */
static int read_cookie(const struct netns *n, __u64 *ret)
{
	int s;

	if (setns(n->fd, CLONE_NEWNET))
		return 0;
	s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	*ret = cookie_of_socket(s);
	if (s >= 0)
		close(s);
	return setns(n->own, CLONE_NEWNET) ? -errno : 0;
}

int netns_identify(const struct netns *n, __u64 manager, __s32 *ret_id, __u64 *ret_cookie)
{
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	__u64 own = cookie_of_socket(s);

	if (own && own == manager)
		*ret_id = id_of(s, n->fd);
	if (s >= 0)
		close(s);
	return read_cookie(n, ret_cookie);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/edge/netns.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/error.h"
#include "userspace/edge/netns_parse.h"

#define LISTEN_BYTES   (8 << 20) /* ten thousand deaths */
#define WAIT_S         2
#define LETTERS        64 /* questions at once: their answers fit the smallest buffer */
#define LETTER_BYTES   256
#define QUESTION_MAX   32
#define DUMP_BYTES     32768 /* the most that the kernel puts into one part of a dump */
#define ADMINISTRATION 896   /* skb_shared_info, at its largest, and a message */
#define LETTERS_A_READ (1 << 16)

struct netns {
	struct mnl_socket *told;
	struct mnl_socket *ask; /* NULL after a failure: made anew when needed */
	__u32 seq;
	__u64 empty_ms;
	bool lost;
};

/* --- Sockets ------------------------------------------------------------------------- */

static int open_socket(int flags, unsigned int groups, int bytes, struct mnl_socket **ret)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);
	const struct timeval limit = {.tv_sec = WAIT_S};
	int fd, r = 0, one = 1;

	if (!s)
		return last_error();
	fd = mnl_socket_get_fd(s);
	/* Without CAP_NET_ADMIN, as much as everybody may have. */
	if (bytes && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)))
		r = last_error();
	if (!r && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
		   mnl_socket_setsockopt(s, NETLINK_GET_STRICT_CHK, &one, sizeof(one)) ||
		   mnl_socket_setsockopt(s, NETLINK_CAP_ACK, &one, sizeof(one)) ||
		   mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID)))
		r = last_error();
	if (r)
		mnl_socket_close(s);
	else
		*ret = s;
	return r;
}

static __u64 now_ms(void)
{
	return clock_boot_ns() / 1000000;
}

int netns_open(struct netns **ret)
{
	struct netns *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	n->empty_ms = now_ms();
	r = open_socket(SOCK_NONBLOCK, 1U << (RTNLGRP_NSID - 1), LISTEN_BYTES, &n->told);
	if (!r)
		r = open_socket(0, 0, 0, &n->ask);
	if (r)
		netns_close(n);
	else
		*ret = n;
	return r;
}

void netns_close(struct netns *n)
{
	if (!n)
		return;
	if (n->told)
		mnl_socket_close(n->told);
	if (n->ask)
		mnl_socket_close(n->ask);
	free(n);
}

int netns_fd(const struct netns *n)
{
	return mnl_socket_get_fd(n->told);
}

/* The next sequence number of `count`, and a socket to use it on. */
static int begin(struct netns *n, unsigned int count, __u32 *ret)
{
	int r = n->ask ? 0 : open_socket(0, 0, 0, &n->ask);

	if (r)
		return r;
	*ret = n->seq;
	n->seq += count;
	return 0;
}

/* What else is on its way to this socket would only confuse the next question. */
static int give_up(struct netns *n, int error)
{
	mnl_socket_close(n->ask);
	n->ask = NULL;
	return error;
}

struct inbox {
	struct mmsghdr letter[LETTERS];
	struct iovec iov[LETTERS];
	struct sockaddr_nl from[LETTERS];
	_Alignas(struct nlmsghdr) char text[LETTERS][LETTER_BYTES];
};

/* How many came.  Only the kernel's word counts: anybody else's is emptied. */
static int collect(const struct mnl_socket *s, struct inbox *in, int flags)
{
	int count;

	for (int i = 0; i < LETTERS; i++) {
		in->iov[i] = (struct iovec){in->text[i], LETTER_BYTES};
		in->letter[i].msg_hdr = (struct msghdr){
			.msg_name = &in->from[i],
			.msg_namelen = sizeof(in->from[i]),
			.msg_iov = &in->iov[i],
			.msg_iovlen = 1,
		};
	}
	do
		count = recvmmsg(mnl_socket_get_fd(s), in->letter, LETTERS, flags, NULL);
	while (count < 0 && errno == EINTR);
	for (int i = 0; i < count; i++)
		if (in->from[i].nl_pid)
			in->letter[i].msg_len = 0;
	return count < 0 ? last_error() : count;
}

/* --- Deaths -------------------------------------------------------------------------- */

static int read_some(struct netns *n, void (*dead)(void *ctx, __s32 nsid), void *ctx)
{
	struct inbox in;
	int count = collect(n->told, &in, MSG_DONTWAIT);

	for (int i = 0; i < count; i++)
		if (netns_parse_deaths(in.text[i], in.letter[i].msg_len, dead, ctx))
			n->lost = true;
	return count;
}

int netns_read(struct netns *n, void (*dead)(void *ctx, __s32 nsid), void *ctx, __u64 *ret_since_ms)
{
	__u64 since = n->empty_ms, now;
	unsigned int letters = 0;
	int r;

	do {
		now = now_ms(); /* before the look that may find it empty */
		r = read_some(n, dead, ctx);
		letters += r > 0 ? (unsigned int)r : 0;
		if (r == -ENOBUFS)
			n->lost = true;
		else if (r < 0 && r != -EAGAIN)
			return r;
	} while (r != -EAGAIN && letters < LETTERS_A_READ);
	*ret_since_ms = since;
	r = n->lost ? NETNS_LOST : 0;
	if (letters < LETTERS_A_READ) {
		/* Until it was empty once the kernel drops on, and says so no second time. */
		n->lost = false;
		n->empty_ms = now;
	}
	return r;
}

/* --- Questions ----------------------------------------------------------------------- */

static struct nlmsghdr *put_request(void *buf, int type, int flags, __u32 seq)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = (__u16)type;
	h->nlmsg_flags = (__u16)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = seq;
	mnl_nlmsg_put_extra_header(h, sizeof(struct rtgenmsg));
	return h;
}

static int exchange(struct netns *n, const void *request, size_t size, struct netns_question *q)
{
	struct inbox in;
	int count;

	if (mnl_socket_sendto(n->ask, request, size) < 0)
		return give_up(n, last_error());
	while (q->left) {
		count = collect(n->ask, &in, MSG_WAITFORONE);
		if (count < 0)
			return give_up(n, count == -EAGAIN ? -ETIMEDOUT : count);
		for (int i = 0; i < count; i++)
			if (netns_parse_answers(in.text[i], in.letter[i].msg_len, q))
				return give_up(n, -EBADMSG);
	}
	return 0;
}

static int ask_some(struct netns *n, const __s32 *nsid, unsigned int count, int *ret)
{
	_Alignas(struct nlmsghdr) char request[LETTERS * QUESTION_MAX];
	struct netns_question q = {.count = count, .nsid = nsid, .ret = ret};
	size_t size = 0;
	int r = begin(n, count, &q.first);

	for (unsigned int i = 0; !r && i < count; i++) {
		struct nlmsghdr *h;

		if (ret[i] != -EINPROGRESS)
			continue;
		h = put_request(request + size, RTM_GETNSID, 0, q.first + i);
		mnl_attr_put_u32(h, NETNSA_NSID, (__u32)nsid[i]);
		size += h->nlmsg_len;
		q.left++;
	}
	return r || !q.left ? r : exchange(n, request, size, &q);
}

int netns_ask_many(struct netns *n, const __s32 *nsid, unsigned int count, int *ret)
{
	int r = 0;

	/* The kernel says of every id below 0 that nobody has it. */
	for (unsigned int i = 0; i < count; i++)
		ret[i] = nsid[i] < 0 ? -EINVAL : -EINPROGRESS;
	for (unsigned int i = 0; !r && i < count; i += LETTERS)
		r = ask_some(n, nsid + i, count - i < LETTERS ? count - i : LETTERS, ret + i);
	for (unsigned int i = 0; r && i < count; i++)
		if (ret[i] == -EINPROGRESS)
			ret[i] = r;
	return r;
}

int netns_ask(struct netns *n, __s32 nsid)
{
	int answer, r = netns_ask_many(n, &nsid, 1, &answer);

	return r ? r : answer;
}

/* One request about an open namespace: its id, or the answer alone. */
static int about(struct netns *n, int type, int fd, __s32 *ret)
{
	_Alignas(struct nlmsghdr) char request[2 * QUESTION_MAX];
	int answer = -EINPROGRESS, r;
	struct netns_question q = {.count = 1, .ret = &answer, .left = 1, .found = -1};
	struct nlmsghdr *h;

	r = begin(n, 1, &q.first);
	if (r)
		return r;
	h = put_request(request, type, type == RTM_NEWNSID ? NLM_F_ACK : 0, q.first);
	mnl_attr_put_u32(h, NETNSA_FD, (__u32)fd);
	if (type == RTM_NEWNSID)
		mnl_attr_put_u32(h, NETNSA_NSID, (__u32)NETNSA_NSID_NOT_ASSIGNED);
	r = exchange(n, request, h->nlmsg_len, &q);
	if (r || answer)
		return r ? r : answer;
	*ret = q.found;
	return 0;
}

int netns_id_of(struct netns *n, int fd, __s32 *ret)
{
	__s32 nsid = -1, unused;
	int r = about(n, RTM_GETNSID, fd, &nsid);

	if (!r && nsid < 0) {
		r = about(n, RTM_NEWNSID, fd, &unused);
		if (!r || r == -EEXIST)
			r = about(n, RTM_GETNSID, fd, &nsid);
	}
	if (!r && nsid < 0)
		r = -EPROTO;
	if (!r)
		*ret = nsid;
	return r;
}

/* --- Dumps --------------------------------------------------------------------------- */

static int receive(const struct mnl_socket *s, void *buf, size_t size)
{
	struct sockaddr_nl from;
	ssize_t got;

	do {
		socklen_t length = sizeof(from);

		got = recvfrom(mnl_socket_get_fd(s), buf, size, 0, (struct sockaddr *)&from,
			       &length);
	} while ((got < 0 && errno == EINTR) || (got >= 0 && from.nl_pid));
	if (got < 0)
		return errno == EAGAIN ? -ETIMEDOUT : last_error();
	return (int)got;
}

static int dump(struct netns *n, struct nlmsghdr *request, struct netns_dump *d)
{
	_Alignas(struct nlmsghdr) char buf[DUMP_BYTES];
	int r = begin(n, 1, &d->seq);

	if (r)
		return r;
	request->nlmsg_seq = d->seq;
	if (mnl_socket_sendto(n->ask, request, request->nlmsg_len) < 0)
		return give_up(n, last_error());
	while (!d->ended) {
		r = receive(n->ask, buf, sizeof(buf));
		if (r >= 0)
			r = netns_parse_dump(buf, (size_t)r, d);
		if (r)
			return give_up(n, r);
	}
	return d->result;
}

/* The kernel's buffers for a dump have these sizes, less their administration. */
static bool is_full(size_t size)
{
	static const size_t sizes[] = {4096, 8192, DUMP_BYTES};

	for (int i = 0; i < 3; i++)
		if (size > sizes[i] - ADMINISTRATION && size <= sizes[i])
			return true;
	return false;
}

int netns_each_id(struct netns *n, int (*take)(void *ctx, __s32 nsid), void *ctx, bool *ret_whole)
{
	_Alignas(struct nlmsghdr) char request[2 * QUESTION_MAX];
	struct netns_dump d = {.take = take, .ctx = ctx};
	int r = dump(n, put_request(request, RTM_GETNSID, NLM_F_DUMP, 0), &d);

	if (!r)
		*ret_whole = d.parts <= 1 && !is_full(d.size);
	return r;
}

static int each_of_family(struct netns *n, struct netns_dump *d)
{
	_Alignas(struct nlmsghdr) char request[2 * QUESTION_MAX];
	struct nlmsghdr *h = mnl_nlmsg_put_header(request);
	struct ifaddrmsg *m;

	h->nlmsg_type = RTM_GETADDR;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifa_family = (__u8)d->family;
	if (d->nsid >= 0)
		mnl_attr_put_u32(h, IFA_TARGET_NETNSID, (__u32)d->nsid);
	return dump(n, h, d);
}

int netns_each_address(struct netns *n, __s32 nsid,
		       int (*see)(void *ctx, const struct netns_sight *sight), void *ctx)
{
	static const int families[] = {AF_INET, AF_INET6};
	int r = 0;

	for (int i = 0; !r && i < 2; i++) {
		struct netns_dump d = {.family = families[i], .nsid = nsid, .see = see, .ctx = ctx};

		r = each_of_family(n, &d);
	}
	if (r != -EINVAL || nsid < 0)
		return r;
	/* So says the kernel when nobody has the id; who has it now came since. */
	r = netns_ask(n, nsid);
	return r ? r : NETNS_TORN;
}

int netns_own_cookie(__u64 *ret)
{
	auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(*ret);
	__u64 cookie;

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size))
		return last_error();
	*ret = cookie;
	return 0;
}

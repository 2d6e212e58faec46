// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/edge/netns_parse.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

static int walk(const void *buf, size_t size, int (*each)(void *ctx, const struct nlmsghdr *h),
		void *ctx)
{
	const struct nlmsghdr *h = buf;
	int left = (int)size;

	/*
	 * libmnl takes a length of 2^31 and more for a small one, and its attributes
	 * reach to the aligned end: that must be inside, too.
	 */
	while (mnl_nlmsg_ok(h, left) && h->nlmsg_len <= (__u32)left &&
	       MNL_ALIGN(h->nlmsg_len) <= (__u32)left) {
		int r = each(ctx, h);

		if (r)
			return r;
		h = mnl_nlmsg_next(h, &left);
	}
	return left ? -EBADMSG : 0;
}

static const struct nlattr *find(const struct nlmsghdr *h, size_t header, int type, size_t size)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, h,
			  (unsigned int)header) if (mnl_attr_get_type(a) == type &&
						    mnl_attr_get_payload_len(a) == size) return a;
	return NULL;
}

static bool read_nsid(const struct nlmsghdr *h, size_t header, int type, __s32 *ret)
{
	const struct nlattr *a = find(h, header, type, sizeof(*ret));

	if (!a)
		return false;
	memcpy(ret, mnl_attr_get_payload(a), sizeof(*ret));
	return true;
}

struct ear {
	void (*dead)(void *ctx, __s32 nsid);
	void *ctx;
};

static int hear(void *ctx, const struct nlmsghdr *h)
{
	const struct ear *ear = ctx;
	__s32 nsid;

	if (h->nlmsg_type != RTM_DELNSID)
		return 0;
	if (!read_nsid(h, sizeof(struct rtgenmsg), NETNSA_NSID, &nsid))
		return -EBADMSG;
	ear->dead(ear->ctx, nsid);
	return 0;
}

int netns_parse_deaths(const void *buf, size_t size, void (*dead)(void *ctx, __s32 nsid), void *ctx)
{
	struct ear ear = {dead, ctx};

	return walk(buf, size, hear, &ear);
}

/* The error in a message that has one in front; 1 when it is cut off. */
static int read_error(const struct nlmsghdr *h, size_t size)
{
	int e;

	if (mnl_nlmsg_get_payload_len(h) < size)
		return 1;
	memcpy(&e, mnl_nlmsg_get_payload(h), sizeof(e));
	return e <= 0 ? e : 1;
}

static int read_answer(const struct nlmsghdr *h, struct netns_question *q, unsigned int i)
{
	__s32 nsid;
	int e;

	if (h->nlmsg_type == NLMSG_ERROR) {
		e = read_error(h, sizeof(struct nlmsgerr));
		if (e == -ENOENT && q->nsid)
			return NETNS_GONE;
		return e > 0 ? -EBADMSG : e;
	}
	if (h->nlmsg_type != RTM_NEWNSID ||
	    !read_nsid(h, sizeof(struct rtgenmsg), NETNSA_NSID, &nsid))
		return -EBADMSG;
	if (!q->nsid)
		q->found = nsid;
	else if (nsid != q->nsid[i])
		return -EPROTO;
	return 0;
}

static int take_answer(void *ctx, const struct nlmsghdr *h)
{
	struct netns_question *q = ctx;
	__u32 i = h->nlmsg_seq - q->first;

	/* Stale: of a question that was given up, or answered already. */
	if (i >= q->count || q->ret[i] != -EINPROGRESS)
		return 0;
	q->ret[i] = read_answer(h, q, i);
	q->left--;
	return 0;
}

int netns_parse_answers(const void *buf, size_t size, struct netns_question *q)
{
	return walk(buf, size, take_answer, q);
}

/* Where a pod's address cannot be. */
static bool left_out(const struct addr *a)
{
	static const __u8 none[16], loopback6[16] = {[15] = 1};
	const uint8_t *b = a->bytes;

	if (a->family == 4)
		return b[0] == 127 || b[0] >> 4 == 14 || (b[0] == 169 && b[1] == 254);
	return b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) || !memcmp(b, none, 16) ||
	       !memcmp(b, loopback6, 16);
}

static int read_address(const struct nlmsghdr *h, struct netns_dump *d)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	struct netns_sight sight = {.nsid = d->nsid};
	size_t size = d->family == AF_INET ? 4 : 16;
	const struct nlattr *a;
	__s32 nsid;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return -EBADMSG;
	/* A kernel without IPv6 answers that question with every other family. */
	if (m->ifa_family != d->family)
		return 0;
	if (d->nsid >= 0 &&
	    (!read_nsid(h, sizeof(*m), IFA_TARGET_NETNSID, &nsid) || nsid != d->nsid))
		return -EOPNOTSUPP;
	/* On a point-to-point link IFA_ADDRESS is the other end's. */
	a = find(h, sizeof(*m), IFA_LOCAL, size);
	if (!a)
		a = find(h, sizeof(*m), IFA_ADDRESS, size);
	if (!a)
		return -EBADMSG;
	sight.address.family = d->family == AF_INET ? 4 : 6;
	memcpy(sight.address.bytes, mnl_attr_get_payload(a), size);
	return left_out(&sight.address) ? 0 : d->see(d->ctx, &sight);
}

static int read_item(const struct nlmsghdr *h, struct netns_dump *d)
{
	__s32 nsid;

	if (h->nlmsg_type == RTM_NEWADDR && d->see)
		return read_address(h, d);
	if (h->nlmsg_type != RTM_NEWNSID || !d->take)
		return 0;
	if (!read_nsid(h, sizeof(struct rtgenmsg), NETNSA_NSID, &nsid))
		return -EBADMSG;
	return d->take(d->ctx, nsid);
}

/* After an error too it goes on to the end, or the socket would keep the rest. */
static int take_item(void *ctx, const struct nlmsghdr *h)
{
	struct netns_dump *d = ctx;
	int r = 0;

	if (h->nlmsg_seq != d->seq || d->ended)
		return 0;
	if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
		d->ended = true;
		r = read_error(h,
			       h->nlmsg_type == NLMSG_DONE ? sizeof(int) : sizeof(struct nlmsgerr));
		r = r > 0 ? -EBADMSG : r;
	} else {
		d->items++;
		r = d->result ? 0 : read_item(h, d);
	}
	if (!r && h->nlmsg_flags & NLM_F_DUMP_INTR)
		r = NETNS_TORN;
	if (!d->result)
		d->result = r;
	return 0;
}

int netns_parse_dump(const void *buf, size_t size, struct netns_dump *d)
{
	unsigned int before = d->items;
	int r = walk(buf, size, take_item, d);

	if (d->items > before) {
		d->parts++;
		d->size = size;
	}
	return r;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a request is filled in.  User space only; the plugin, the manager and the
 * tests all ask by these, so that one name has one digest everywhere.
 */
#ifndef IPAMD_BPF_REQUEST_H
#define IPAMD_BPF_REQUEST_H

#include <string.h>

#include "bpf/abi.h"
#include "bpf/digest.h"

static inline void request_init(struct ipamd_request *r, enum ipamd_verb verb)
{
	memset(r, 0, sizeof(*r));
	r->abi = IPAMD_ABI;
	r->size = sizeof(*r);
	r->verb = verb;
	r->who.nsid = -1;
}

/* Copies what fits and ends it; returns `bit` when something was cut. */
static inline __u32 request_text(char *to, size_t size, const char *from, __u32 bit)
{
	size_t n = strlen(from);

	if (n >= size)
		n = size - 1;
	else
		bit = 0;
	memcpy(to, from, n);
	to[n] = '\0';
	return bit;
}

/* Whose request it is.  start_ns: boottime, when the ADD or DEL began. */
static inline void request_attachment(struct ipamd_request *r, const char *network,
				      const char *container, const char *ifname, __u64 start_ns)
{
	struct ipamd_who *w = &r->who;

	w->id = digest_attachment(network, container, ifname);
	w->start_ns = start_ns;
	w->cut |= request_text(w->network, sizeof(w->network), network, IPAMD_CUT_NETWORK);
	w->cut |= request_text(w->container, sizeof(w->container), container, IPAMD_CUT_CONTAINER);
	request_text(w->ifname, sizeof(w->ifname), ifname, 0);
	if (!w->label[0])
		request_text(w->label, sizeof(w->label), container, 0);
}

/* The pod behind it, where the runtime tells: for rules, fixed addresses and people. */
static inline void request_pod(struct ipamd_request *r, const char *name_space, const char *pod,
			       const char *uid)
{
	struct ipamd_who *w = &r->who;
	size_t n;

	r->name_space = digest_name(DIGEST_NAMESPACE, name_space);
	r->workload = digest_workload(name_space, pod);
	request_text(w->name_space, sizeof(w->name_space), name_space, 0);
	w->cut |= request_text(w->pod, sizeof(w->pod), pod, IPAMD_CUT_POD);
	request_text(w->uid, sizeof(w->uid), uid, 0);
	request_text(w->label, sizeof(w->label) - 1, name_space, 0);
	n = strlen(w->label);
	w->label[n++] = '/';
	request_text(w->label + n, sizeof(w->label) - n, pod, 0);
}

/* Texts of a stranger end where ours do. */
static inline void request_end_texts(struct ipamd_who *w)
{
	w->network[sizeof(w->network) - 1] = '\0';
	w->container[sizeof(w->container) - 1] = '\0';
	w->ifname[sizeof(w->ifname) - 1] = '\0';
	w->name_space[sizeof(w->name_space) - 1] = '\0';
	w->pod[sizeof(w->pod) - 1] = '\0';
	w->uid[sizeof(w->uid) - 1] = '\0';
	w->label[sizeof(w->label) - 1] = '\0';
}

static inline void request_pool(struct ipamd_request *r, const char *name)
{
	r->pool = digest_name(DIGEST_POOL, name);
}

/* family: 4 or 6; address in network order. */
static inline void request_want(struct ipamd_request *r, int family, const __u8 address[16])
{
	r->want[family == 6 ? IPAMD_V6 : IPAMD_V4] = digest_address(family, address);
}

#endif

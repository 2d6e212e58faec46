// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * CHECK: the attachment holds addresses, and each of them is in prevResult.  Others
 * may have added addresses to that; it is membership, not equality.  Reading only: a
 * claim, even one that is answered "again", would take an address where there is none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "bpf/request.h"
#include "cni/clock.h"
#include "cni/doc.h"
#include "cni/pins.h"
#include "cni/plugin.h"
#include "cni/problem.h"
#include "cni/stock.h"

enum { TRIES = 50, NAP_MS = 5 };

/* A renewal or a move may be half way through. */
static int read_holds(const struct plugin *p, const struct ipamd_request *req,
		      struct ipamd_address held[IPAMD_FAMILIES], int family[IPAMD_FAMILIES])
{
	int r = -EBUSY;

	for (int i = 0; i < TRIES && r == -EBUSY; i++) {
		r = pins_enter(p->conf.pins);
		if (!r)
			r = stock_held_by(&req->who.id, held, family);
		else
			return r < 0 ? r : -EACCES;
		if (r == -EBUSY)
			clock_nap_ms(NAP_MS);
	}
	return r;
}

static bool is_same(int ip, int family, const struct ipamd_address *held)
{
	enum ipamd_family f;
	char text[64];
	__u8 address[16];
	int v;

	return doc_kind(ip) == DOC_OBJECT && !doc_get(ip, "address", &v) && v != DOC_ABSENT &&
	       !doc_string(v, text, sizeof(text)) && conf_read_address(text, &f, address) &&
	       (f == IPAMD_V6 ? 6 : 4) == family &&
	       !memcmp(address, held->bytes, family == 6 ? 16 : 4);
}

static bool is_listed(int ips, int family, const struct ipamd_address *held)
{
	for (int ip = doc_first(ips); ip != DOC_ABSENT; ip = doc_next(ips, ip))
		if (is_same(ip, family, held))
			return true;
	return false;
}

static int find_ips(int *ret)
{
	int prev, ips;

	if (doc_get(DOC_ROOT, "prevResult", &prev) || prev == DOC_ABSENT ||
	    doc_kind(prev) != DOC_OBJECT)
		return problem(PROBLEM_CONFIG, "required prevResult missing");
	if (doc_get(prev, "ips", &ips) || ips == DOC_ABSENT || doc_kind(ips) != DOC_ARRAY)
		return problem(PROBLEM_CONFIG, "prevResult has no list of ips");
	*ret = ips;
	return 0;
}

static int unlisted(int family, const struct ipamd_address *held)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(family == 6 ? AF_INET6 : AF_INET, held->bytes, text, sizeof(text));
	return problem(PROBLEM_OURS + IPAMD_TAKEN,
		       "this attachment holds %s, which is not in prevResult", text);
}

int check_holds(struct plugin *p)
{
	struct ipamd_request req;
	struct ipamd_address held[IPAMD_FAMILIES];
	int family[IPAMD_FAMILIES], ips = DOC_ABSENT, n, r = find_ips(&ips);

	if (!r)
		r = environment_read_args(&p->env);
	if (r)
		return r;
	plugin_request(p, IPAMD_CLAIM, &req);
	n = read_holds(p, &req, held, family);
	if (n <= 0)
		return claim_explain(p, &req, n == -EBUSY ? IPAMD_BUSY : n ? n : IPAMD_NOTHING);
	for (int i = 0; i < n; i++)
		if (!is_listed(ips, family[i], &held[i]))
			return unlisted(family[i], &held[i]);
	return 0;
}

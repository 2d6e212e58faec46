// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * STATUS: whether an ADD can be served.  An error makes the node NotReady and evicts
 * its pods, so a pool that is exhausted is no error: its pods are being served.  One
 * that never had an address is: no pod should come here yet.  Never waits.
 */
#include "cni/pins.h"
#include "cni/plugin.h"
#include "cni/problem.h"
#include "cni/stock.h"

static int unavailable(const struct plugin *p, int r)
{
	problem(PROBLEM_UNAVAILABLE, "ipamd is not ready on this node");
	problem_details("%s: %s; try: systemctl status ipamd", p->conf.pins, pins_explain(r));
	return PROBLEM_UNAVAILABLE;
}

static bool is_provisioned(const struct stock *s)
{
	return !s->family || s->ready + s->cooling + s->held + s->other;
}

static int check_pool(const struct plugin *p)
{
	struct stock stock[IPAMD_FAMILIES];
	struct ipamd_request req;
	int r;

	plugin_request(p, IPAMD_CLAIM, &req);
	r = stock_count(&req, stock);
	if (r == IPAMD_NO_POOL) {
		problem(PROBLEM_UNAVAILABLE, "there is no such pool on this node");
		problem_details("\"%s\"; try: ipamctl status", p->conf.pool);
		return PROBLEM_UNAVAILABLE;
	}
	if (r)
		return unavailable(p, r);
	if (is_provisioned(&stock[IPAMD_V4]) && is_provisioned(&stock[IPAMD_V6]))
		return 0;
	problem(PROBLEM_UNAVAILABLE, "the first addresses have not come yet");
	stock_explain(stock);
	problem_details("try: systemctl status ipamd");
	return PROBLEM_UNAVAILABLE;
}

int status_tell(struct plugin *p)
{
	int r = pins_enter(p->conf.pins);

	if (!r)
		r = pins_has(IPAMD_CLAIM);
	if (!r)
		r = pins_has(IPAMD_RELEASE);
	return r ? unavailable(p, r) : check_pool(p);
}

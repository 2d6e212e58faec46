// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ADD.  The claim program takes an address, or it is told why not: fast path.  Who
 * finds nothing ready, or no program, asks the manager with the same request; where
 * none runs, one is started for it.  What cannot be told to the runtime is given
 * back.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bpf/request.h"
#include "cni/clock.h"
#include "cni/manager.h"
#include "cni/netns.h"
#include "cni/pins.h"
#include "cni/plugin.h"
#include "cni/problem.h"
#include "cni/result.h"
#include "cni/stock.h"

enum {
	ANSWER_MS = 6000, /* the manager waits 5 s for stock */
	COOL_MS = 5000,   /* without one: for an address that will be ready by then */
};

/* --- The request ------------------------------------------------------------------------- */

static int open_netns(const struct plugin *p, struct netns *ret)
{
	const char *path = p->env.netns;
	int r = netns_open(path, p->env.own_netns_allowed, ret);

	if (r == NETNS_OWN)
		return problem(PROBLEM_NETNS,
			       "plugin's netns and netns from CNI_NETNS should not be the same: %s",
			       path);
	if (r == NETNS_STRANGE)
		return problem(PROBLEM_NETNS, "CNI_NETNS is no network namespace: %s", path);
	if (r)
		return problem(PROBLEM_NETNS, "CNI_NETNS cannot be opened: %s: %s", path,
			       strerror(-r));
	return 0;
}

/* Best effort: without id and cookie the hold is found by weaker evidence. */
static int identify(const struct plugin *p, struct ipamd_request *req)
{
	struct ipamd_meta meta = {0};
	struct netns n;
	int r = open_netns(p, &n);

	if (r)
		return r;
	if (pins_enter(p->conf.pins) || stock_meta(&meta))
		meta.netns_cookie = 0;
	r = netns_identify(&n, meta.netns_cookie, &req->who.nsid, &req->who.netns_cookie);
	close(n.fd);
	close(n.own);
	return r ? problem(PROBLEM_IO, "cannot go back into my own network namespace: %s",
			   strerror(-r))
		 : 0;
}

static int prepare(struct plugin *p, struct ipamd_request *req)
{
	int r = environment_read_args(&p->env);

	if (!r)
		r = conf_read_wants(&p->conf, p->env.ip);
	if (r)
		return r;
	plugin_request(p, IPAMD_CLAIM, req);
	return identify(p, req);
}

/* --- Fast, slow, slower ------------------------------------------------------------------------
 */

/* Where a manager can help. */
static bool is_for_manager(int r)
{
	return r < 0 || r == IPAMD_EXHAUSTED || r == IPAMD_CLOSED || r == IPAMD_FULL ||
	       r == PINS_ABSENT;
}

/* Nobody fills, but an address may have cooled down in a moment. */
static int wait_for_cooling(const struct plugin *p, struct ipamd_request *req)
{
	__u64 until_ms = clock_ms() + COOL_MS;
	int r = IPAMD_EXHAUSTED;

	while (r == IPAMD_EXHAUSTED && req->next_ready_ms && req->next_ready_ms < until_ms) {
		__u64 now = clock_ms();

		clock_nap_ms(req->next_ready_ms > now ? req->next_ready_ms - now : 1);
		r = pins_run(p->conf.pins, req);
	}
	return r;
}

/* The verdict; *ret_manager: what asking the manager came to, if it was. */
static int obtain(const struct plugin *p, struct ipamd_request *req, int *ret_manager)
{
	int r = pins_run(p->conf.pins, req), m;

	if (!is_for_manager(r))
		return r;
	m = manager_ask_or_start(&p->conf, req, ANSWER_MS);
	*ret_manager = m;
	if (m >= 0 && m < IPAMD_VERDICTS)
		return m;
	return r == IPAMD_EXHAUSTED ? wait_for_cooling(p, req) : r;
}

int claim_add(struct plugin *p)
{
	struct ipamd_request req;
	int manager = 0, r = prepare(p, &req);

	if (r)
		return r;
	r = obtain(p, &req, &manager);
	if (r) {
		r = claim_explain(p, &req, r);
		if (manager < 0 || manager >= IPAMD_VERDICTS)
			problem_details("%s (%s; try: systemctl status ipamd)",
					manager_explain(manager), p->conf.run);
		return r;
	}
	r = result_write(p->conf.version, p->conf.form, &req);
	if (!r)
		return 0;
	if (!req.again)
		release_now(p, &req);
	return problem(PROBLEM_IO, "the result could not be written: %s", strerror(-r));
}

/* --- What it means ------------------------------------------------------------------------------
 */

static const struct {
	int code; /* 0: 100 + verdict */
	const char *msg;
} verdicts[IPAMD_VERDICTS] = {
	[IPAMD_BUSY] = {PROBLEM_TRY_LATER, "another ADD or DEL of this attachment is under way"},
	[IPAMD_EXHAUSTED] = {PROBLEM_TRY_LATER, "no address is ready"},
	[IPAMD_LATE] = {0, "this attachment was deleted after this ADD had begun"},
	[IPAMD_NOTHING] = {0, "this attachment holds no address"},
	[IPAMD_NO_POOL] = {PROBLEM_CONFIG, "there is no such pool"},
	[IPAMD_CLOSED] = {PROBLEM_TRY_LATER, "the pool is closed: its lease on the addresses has "
					     "run out or it is being drained"},
	[IPAMD_MOVING] = {PROBLEM_TRY_LATER, "the maps are being replaced"},
	[IPAMD_NOT_OURS] = {0, "the requested address is not in stock in this pool"},
	[IPAMD_TAKEN] = {0, "the requested address is held by another attachment"},
	[IPAMD_COOLING] = {PROBLEM_TRY_LATER, "the requested address is cooling down"},
	[IPAMD_RESERVED] = {0, "the requested address is fixed for another workload"},
	[IPAMD_PREDECESSOR] = {PROBLEM_TRY_LATER,
			       "the workload's fixed address is still held by its last pod"},
	[IPAMD_AWAY] = {PROBLEM_TRY_LATER, "the address is leaving or in quarantine"},
	[IPAMD_FULL] = {PROBLEM_TRY_LATER, "the maps have no room for another attachment"},
	[IPAMD_FOREIGN] = {0, "plugin and programs are of different versions"},
	[IPAMD_BROKEN] = {0, "an invariant of the maps does not hold"},
};

static int state(const struct plugin *p, int r)
{
	if (r < 0 || r >= IPAMD_VERDICTS) {
		problem(PROBLEM_TRY_LATER, "the programs cannot be run");
		problem_details("%s: %s; ", p->conf.pins, pins_explain(r));
		return PROBLEM_TRY_LATER;
	}
	return problem(verdicts[r].code ? verdicts[r].code : PROBLEM_OURS + r, "%s",
		       verdicts[r].msg ? verdicts[r].msg : "unexpected verdict");
}

/* What the attachment holds explains nothing where the pool is what fails. */
static bool is_of_pool(int r)
{
	return r < 0 || r >= IPAMD_VERDICTS || r == IPAMD_EXHAUSTED || r == IPAMD_NO_POOL ||
	       r == IPAMD_CLOSED || r == IPAMD_FULL;
}

static void tell_next(const struct environment *e, int r)
{
	if (is_of_pool(r))
		problem_details("try: ipamctl status; ");
	else if (e->pod[0] && e->name_space[0])
		problem_details("try: ipamctl explain %s/%s; ", e->name_space, e->pod);
	else if (*e->container)
		problem_details("try: ipamctl explain %s; ", e->container);
}

int claim_explain(const struct plugin *p, const struct ipamd_request *req, int r)
{
	struct stock stock[IPAMD_FAMILIES];
	int code = state(p, r);

	if (r == IPAMD_NO_POOL && p->conf.pool[0])
		problem_details("\"%s\" is not in ipamd's configuration; ", p->conf.pool);
	else if (!pins_enter(p->conf.pins) && !stock_count(req, stock))
		stock_explain(stock);
	tell_next(&p->env, r);
	return code;
}

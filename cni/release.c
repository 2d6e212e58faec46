// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * DEL.  It succeeds whatever is missing, and it is quick: the runtime would keep the
 * pod otherwise, and come again for ever.  The program; else the manager; else a note
 * for its next start; else a line on stderr, and the manager finds the address by the
 * death of its namespace.
 *
 * No text here may look like "not found" or "no such file": runtimes take such an
 * error for success.
 */
#include <errno.h>
#include <string.h>

#include "bpf/request.h"
#include "cni/manager.h"
#include "cni/note.h"
#include "cni/pins.h"
#include "cni/plugin.h"
#include "cni/problem.h"
#include "cni/stock.h"

enum { ANSWER_MS = 1000 };

/* Nothing is left to do. */
static bool is_done(int r)
{
	return r == IPAMD_OK || r == IPAMD_NOTHING || r == IPAMD_YOUNGER || r == IPAMD_LATE;
}

void release_now(const struct plugin *p, struct ipamd_request *req)
{
	int r;

	req->verb = IPAMD_RELEASE;
	if (is_done(pins_run(p->conf.pins, req)) ||
	    is_done(manager_ask(p->conf.run, req, ANSWER_MS)))
		return;
	r = note_leave(p->conf.run, req);
	if (r)
		problem_warn("DEL of %s %s could neither be carried out nor noted in %s (error "
			     "%d): the manager will see it by the end of its namespace",
			     req->who.container, req->who.ifname, p->conf.run, -r);
}

/* --- Without a network name --------------------------------------------------------------------
 */

/* Who the attachment is, is known by container and interface: no other has both. */
static int release_match(void *ctx, const struct ipamd_holder *h)
{
	const struct plugin *p = ctx;
	struct ipamd_request req;

	if (h->who.cut & IPAMD_CUT_CONTAINER || strcmp(h->who.container, p->env.container) ||
	    strcmp(h->who.ifname, p->env.ifname))
		return 0;
	plugin_request(p, IPAMD_RELEASE, &req);
	req.who.id = h->who.id;
	release_now(p, &req);
	return -ECANCELED; /* one was it */
}

static void release_unnamed(struct plugin *p)
{
	problem_warn("DEL of %s %s: %s: looking for it by container and interface",
		     p->env.container, p->env.ifname, problem_text());
	if (!pins_enter(p->conf.pins))
		stock_each_hold(release_match, p);
}

int release_del(struct plugin *p)
{
	struct ipamd_request req;

	if (!p->conf.name[0]) {
		release_unnamed(p);
		return 0;
	}
	if (p->conf_problem)
		problem_warn("DEL of %s %s goes on although: %s", p->env.container, p->env.ifname,
			     problem_text());
	plugin_request(p, IPAMD_RELEASE, &req);
	release_now(p, &req);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * GC: what this network's attachments hold and the runtime does not know is released.
 *
 * Another runtime may share the network, and an ADD may be under way that the list
 * does not show yet.  So: only holds of our network, proven by the digest of their
 * names; none younger than two minutes; and each released as of the start that its
 * record has, so that a hold that was renewed meanwhile is younger and stays.  Without
 * a list nothing is done; an empty list is one.
 */
#include <errno.h>
#include <string.h>

#include "bpf/request.h"
#include "cni/clock.h"
#include "cni/doc.h"
#include "cni/pins.h"
#include "cni/plugin.h"
#include "cni/problem.h"
#include "cni/stock.h"

enum { YOUNG_MS = 120000, VALID_MAX = 32768 };

/* libcni sends both: one of them was misspelt once. */
static const char *const keys[] = {"cni.dev/valid-attachments", "cni.dev/attachments"};

static struct ipamd_digest valid[VALID_MAX];
static int valids;

struct round {
	struct plugin *p;
	__u64 now_ms;
	unsigned int kept, failed;
};

/* --- The list ---------------------------------------------------------------------------- */

static int member(int object, const char *key, char *ret, size_t size)
{
	int v;

	return doc_get(object, key, &v) || v == DOC_ABSENT || doc_string(v, ret, size) || !*ret;
}

static int add_valid(const struct plugin *p, int attachment)
{
	char container[512], ifname[64];

	if (doc_kind(attachment) != DOC_OBJECT ||
	    member(attachment, "containerID", container, sizeof(container)) ||
	    member(attachment, "ifname", ifname, sizeof(ifname)))
		return problem(PROBLEM_CONFIG,
			       "%s: an element has no \"containerID\" or no \"ifname\"", keys[0]);
	if (valids == VALID_MAX)
		return problem(PROBLEM_CONFIG, "%s: more than %d elements", keys[0], VALID_MAX);
	valid[valids++] = digest_attachment(p->conf.name, container, ifname);
	return 0;
}

/* Both lists count: an attachment in either stays. */
static int read_list(const struct plugin *p, const char *key, bool *ret_given)
{
	int list;

	if (doc_get(DOC_ROOT, key, &list))
		return problem(PROBLEM_CONFIG, "\"%s\" is there twice", key);
	if (list == DOC_ABSENT || doc_kind(list) == DOC_NULL)
		return 0;
	if (doc_kind(list) != DOC_ARRAY)
		return problem(PROBLEM_CONFIG, "\"%s\" is no list", key);
	*ret_given = true;
	for (int a = doc_first(list); a != DOC_ABSENT; a = doc_next(list, a)) {
		int r = add_valid(p, a);

		if (r)
			return r;
	}
	return 0;
}

/* --- The holds --------------------------------------------------------------------------- */

static bool is_valid(const struct ipamd_digest *id)
{
	for (int i = 0; i < valids; i++)
		if (digest_equal(&valid[i], id))
			return true;
	return false;
}

static bool is_of_network(const struct plugin *p, const struct ipamd_who *w)
{
	struct ipamd_digest id = digest_attachment(p->conf.name, w->container, w->ifname);

	return digest_equal(&id, &w->id);
}

static int judge(void *ctx, const struct ipamd_holder *h)
{
	struct round *round = ctx;
	struct ipamd_request req;
	int r;

	if (!is_of_network(round->p, &h->who) || is_valid(&h->who.id))
		return 0;
	/* 0: restored, with an age that nobody knows; it has had its grace. */
	if (h->claimed_at_ms && round->now_ms - h->claimed_at_ms < YOUNG_MS) {
		round->kept++;
		return 0;
	}
	plugin_request(round->p, IPAMD_RELEASE, &req);
	req.who.id = h->who.id;
	req.who.start_ns = h->who.start_ns ? h->who.start_ns : 1;
	r = pins_run(round->p->conf.pins, &req);
	if (r && r != IPAMD_NOTHING && r != IPAMD_YOUNGER)
		round->failed++;
	return 0; /* the others all the same */
}

int gc_collect(struct plugin *p)
{
	struct round round = {.p = p, .now_ms = clock_ms()};
	bool given = false;
	int r = read_list(p, keys[0], &given);

	if (!r)
		r = read_list(p, keys[1], &given);
	if (r || !given)
		return r;
	r = pins_enter(p->conf.pins);
	if (!r)
		r = stock_each_hold(judge, &round);
	if (r) {
		problem(PROBLEM_TRY_LATER, "the holds cannot be read");
		problem_details("%s: %s", p->conf.pins, pins_explain(r));
		return PROBLEM_TRY_LATER;
	}
	if (round.kept)
		problem_warn("GC of %s: %u holds are unknown to the runtime but younger than two "
			     "minutes: kept",
			     p->conf.name, round.kept);
	if (round.failed)
		return problem(PROBLEM_TRY_LATER, "%u holds could not be released", round.failed);
	return 0;
}

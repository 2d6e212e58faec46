// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/core/recover.h"

#include <assert.h>

#define FINE(why)          ((struct recover_verdict){KEEP_SLOT, ROW_KEEP, .reason = (why)})
#define VERDICT(s, r, why) ((struct recover_verdict){(s), (r), .reason = (why)})
#define WAIT_FOR_SOURCE    VERDICT(HOLD_BACK, ROW_KEEP, "waiting until the source was read")
#define WAIT_FOR_WITNESSES VERDICT(HOLD_BACK, ROW_KEEP, "waiting until the namespaces were read")

/* The map is whole and the slot is there. */

static struct recover_verdict judge_free(const struct recover_evidence *e)
{
	switch (e->row) {
	case ROW_STOCK:
		return FINE("in stock");
	case ROW_HELD: {
		struct recover_verdict v = VERDICT(KEEP_SLOT, ROW_BECOMES_STOCK,
						   "released while nobody wrote it down");

		v.gap = true;
		return v;
	}
	case ROW_COOLING:
		return VERDICT(KEEP_SLOT, ROW_BECOMES_STOCK, "its cooldown has ended");
	default:
		break;
	}
	if (e->source == SOURCE_OURS)
		return VERDICT(KEEP_SLOT, ROW_BECOMES_STOCK, "the source says it is ours");
	return VERDICT(TO_QUARANTINE, ROW_BECOMES_QUARANTINE,
		       e->row == ROW_LEAVING ? "it was leaving: the source decides"
					     : "in the map without a row: the source decides");
}

static struct recover_verdict judge_cooling(const struct recover_evidence *e)
{
	switch (e->row) {
	case ROW_STOCK:
	case ROW_HELD:
		return VERDICT(KEEP_SLOT, ROW_BECOMES_COOLING, "released since the last write");
	case ROW_COOLING:
		return VERDICT(LATER_DEADLINE, ROW_BECOMES_COOLING, "the later deadline counts");
	case ROW_LEAVING:
		return VERDICT(TO_QUARANTINE, ROW_BECOMES_QUARANTINE,
			       "it was leaving and is cooling: the source decides");
	default:
		return VERDICT(KEEP_SLOT, ROW_ADOPTED, "adopted from the map");
	}
}

static struct recover_verdict judge_held(const struct recover_evidence *e)
{
	struct recover_verdict v;

	switch (e->row) {
	case ROW_STOCK:
	case ROW_COOLING:
		return VERDICT(KEEP_SLOT, ROW_BECOMES_HELD, "claimed since the last write");
	case ROW_HELD:
		if (e->same_holder)
			return FINE("held");
		v = VERDICT(KEEP_SLOT, ROW_BECOMES_HELD, "another holder since the last write");
		v.gap = true;
		return v;
	case ROW_LEAVING:
		v = VERDICT(KEEP_SLOT, ROW_BECOMES_HELD, "it was to leave, but a pod has it");
		v.quarantine_on_release = true;
		return v;
	default:
		v = VERDICT(KEEP_SLOT, ROW_ADOPTED, "adopted: a pod has it");
		v.quarantine_on_release = e->source == SOURCE_NOT_OURS;
		return v;
	}
}

static struct recover_verdict judge_leaving(const struct recover_evidence *e)
{
	switch (e->row) {
	case ROW_STOCK:
		return VERDICT(GO_ON_LEAVING, ROW_BECOMES_LEAVING, "on its way to the source");
	case ROW_HELD:
	case ROW_COOLING:
		return VERDICT(TO_QUARANTINE, ROW_BECOMES_QUARANTINE,
			       "the map lets it leave, the database does not: the source decides");
	default:
		return VERDICT(GO_ON_LEAVING, ROW_BECOMES_LEAVING, "on its way to the source");
	}
}

/* The slot is not there.  What is handed out from here on must be provably nobody's. */

static struct recover_verdict judge_no_slot(const struct recover_evidence *e)
{
	switch (e->row) {
	case ROW_STOCK:
		if (e->source == SOURCE_UNREAD)
			return WAIT_FOR_SOURCE;
		if (e->source == SOURCE_NOT_OURS)
			return VERDICT(HOLD_BACK, ROW_BECOMES_QUARANTINE,
				       "the source does not list it");
		return VERDICT(FILL_READY, ROW_KEEP, "its fill was cut off");
	case ROW_HELD:
		if (e->row_is_old)
			return VERDICT(FILL_COOLING, ROW_BECOMES_COOLING,
				       "the map is newer and has no holder of it");
		return VERDICT(FILL_HELD, ROW_KEEP, "held by its row");
	case ROW_COOLING:
		return VERDICT(FILL_COOLING, ROW_KEEP, "cooling anew");
	case ROW_LEAVING:
		return VERDICT(GO_ON_LEAVING, ROW_KEEP, "on its way to the source");
	default:
		return FINE("unknown to both");
	}
}

static struct recover_verdict judge_lost(const struct recover_evidence *e)
{
	if (e->row == ROW_LEAVING)
		return VERDICT(GO_ON_LEAVING, ROW_KEEP, "on its way to the source");
	if (e->witness == WITNESS_UNREAD)
		return WAIT_FOR_WITNESSES;
	if (e->row == ROW_HELD)
		return VERDICT(FILL_HELD, ROW_KEEP, "held by its row");
	if (e->witness == WITNESS_SEES_IT)
		return VERDICT(FILL_HELD, e->row == ROW_NONE ? ROW_ADOPTED : ROW_BECOMES_HELD,
			       "a namespace has it");
	if (e->row != ROW_NONE)
		return VERDICT(FILL_COOLING, ROW_BECOMES_COOLING,
			       "the map was lost: a claim may be under way");
	if (e->source == SOURCE_UNREAD)
		return WAIT_FOR_SOURCE;
	if (e->source == SOURCE_OURS)
		return VERDICT(FILL_COOLING, ROW_ADOPTED, "the source says it is ours");
	return FINE("not ours");
}

/* No pod outlives a boot; what was promised to others does. */
static struct recover_verdict judge_other_boot(const struct recover_evidence *e)
{
	struct recover_verdict v;

	switch (e->row) {
	case ROW_HELD:
		v = VERDICT(FILL_COOLING, ROW_BECOMES_COOLING, "its pod ended with the last boot");
		break;
	case ROW_COOLING:
		v = VERDICT(FILL_COOLING, ROW_KEEP, "a new boot starts its cooldown over");
		break;
	case ROW_LEAVING:
		return VERDICT(GO_ON_LEAVING, ROW_KEEP, "on its way to the source");
	case ROW_STOCK:
		v = VERDICT(FILL_READY, ROW_KEEP, "in stock, and the source agrees");
		break;
	default:
		v = VERDICT(FILL_COOLING, ROW_ADOPTED, "the source says it is ours");
		break;
	}
	if (e->witness == WITNESS_SEES_IT) /* somebody was quicker than we */
		return VERDICT(FILL_HELD, e->row == ROW_NONE ? ROW_ADOPTED : ROW_BECOMES_HELD,
			       "a namespace has it");
	if (e->source == SOURCE_OURS || e->row == ROW_HELD || e->row == ROW_COOLING)
		return v;
	if (e->source == SOURCE_UNREAD)
		return WAIT_FOR_SOURCE;
	return e->row == ROW_NONE
		       ? FINE("not ours")
		       : VERDICT(HOLD_BACK, ROW_BECOMES_QUARANTINE, "the source does not list it");
}

struct recover_verdict recover_judge(const struct recover_evidence *e)
{
	switch (e->map) {
	case MAP_FREE:
		return judge_free(e);
	case MAP_COOLING:
		return judge_cooling(e);
	case MAP_HELD:
		return judge_held(e);
	case MAP_LEAVING:
		return judge_leaving(e);
	case MAP_NO_SLOT:
		return judge_no_slot(e);
	case MAP_LOST:
		return judge_lost(e);
	case MAP_OTHER_BOOT:
		return judge_other_boot(e);
	default:
		assert(!"no such map");
		return WAIT_FOR_SOURCE;
	}
}

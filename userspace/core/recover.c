// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Why each cell is as it is.  Two rules stand above the cells:
 *
 *  - not ours: what the source has read and disowned is nobody's to hand out here;
 *    it goes through quarantine, so that one bad read costs no address (invariant 6).
 *    Only a hold outweighs it: a pod uses the address, whoever owns it.
 *  - seen: an address in a live namespace is not claimable and does not leave,
 *    whatever else is known of it (invariants 2 and 10).
 *
 * Whoever is quarantined on release has a row in QUARANTINE: else a restart between
 * now and the release would forget it.
 */
#include "userspace/core/recover.h"

#include <assert.h>

static struct recover_verdict verdict(enum recover_slot slot, enum recover_change row,
				      const char *reason)
{
	return (struct recover_verdict){.slot = slot, .row = row, .reason = reason};
}

/* A row is not written again as what it is. */
static struct recover_verdict state(const struct recover_evidence *e, enum recover_slot slot,
				    enum recover_row row, const char *reason)
{
	static const enum recover_change become[] = {
		[ROW_STOCK] = ROW_BECOMES_STOCK,           [ROW_HELD] = ROW_BECOMES_HELD,
		[ROW_COOLING] = ROW_BECOMES_COOLING,       [ROW_LEAVING] = ROW_BECOMES_LEAVING,
		[ROW_QUARANTINE] = ROW_BECOMES_QUARANTINE,
	};
	bool new_deadline = row == ROW_COOLING && slot != KEEP_SLOT;

	if (e->row == ROW_NONE && row != ROW_QUARANTINE && row != ROW_LEAVING)
		return verdict(slot, ROW_ADOPTED, reason);
	return verdict(slot, e->row == row && !new_deadline ? ROW_KEEP : become[row], reason);
}

static struct recover_verdict quarantine(const struct recover_evidence *e, const char *reason)
{
	return state(e, TO_QUARANTINE, ROW_QUARANTINE, reason);
}

static struct recover_verdict hold(const struct recover_evidence *e, enum recover_slot slot,
				   const char *reason)
{
	return state(e, slot, ROW_HELD, reason);
}

/* Held, and what comes after is for the source to say. */
static struct recover_verdict hold_in_doubt(const struct recover_evidence *e,
					    enum recover_slot slot, const char *reason)
{
	struct recover_verdict v = state(e, slot, ROW_QUARANTINE, reason);

	v.quarantine_on_release = true;
	return v;
}

static struct recover_verdict other_holder(enum recover_slot slot, const char *reason)
{
	struct recover_verdict v = verdict(slot, ROW_BECOMES_HELD, reason);

	v.gap = true;
	return v;
}

static struct recover_verdict wait_for_source(void)
{
	return verdict(HOLD_BACK, ROW_KEEP, "waiting until the source was read");
}

static struct recover_verdict wait_for_witnesses(void)
{
	return verdict(HOLD_BACK, ROW_KEEP, "waiting until the namespaces were read");
}

/* --- The map is whole and the slot is there ------------------------------------ */

/* FREE, ready or not: what is said of both. */
static bool judge_reach(const struct recover_evidence *e, struct recover_verdict *ret)
{
	if (e->source == SOURCE_NOT_OURS)
		*ret = quarantine(e, "the source says it is not ours");
	else if (e->witness == WITNESS_SEES_IT)
		*ret = quarantine(e, "free in the map, but a namespace has it");
	else if (e->row == ROW_QUARANTINE)
		*ret = quarantine(e, "on its way into quarantine");
	else
		return false;
	return true;
}

static struct recover_verdict judge_free(const struct recover_evidence *e)
{
	struct recover_verdict v;

	if (judge_reach(e, &v))
		return v;
	switch (e->row) {
	case ROW_STOCK:
		return state(e, KEEP_SLOT, ROW_STOCK, "in stock");
	case ROW_HELD:
		v = state(e, KEEP_SLOT, ROW_STOCK, "released while nobody wrote it down");
		v.gap = true;
		return v;
	case ROW_COOLING:
		return state(e, KEEP_SLOT, ROW_STOCK, "its cooldown has ended");
	default:
		break;
	}
	/* No slot is filled before its row is durable: without one, the map is all there is. */
	if (e->source == SOURCE_OURS)
		return state(e, KEEP_SLOT, ROW_STOCK, "the source says it is ours");
	return quarantine(e, e->row == ROW_LEAVING
				     ? "it was about to leave: the source decides"
				     : "in the map without a row: the source decides");
}

static struct recover_verdict judge_cooling(const struct recover_evidence *e)
{
	struct recover_verdict v;

	if (judge_reach(e, &v))
		return v;
	switch (e->row) {
	case ROW_COOLING:
		return state(e, LATER_DEADLINE, ROW_COOLING, "the later deadline counts");
	case ROW_LEAVING:
		if (e->source == SOURCE_UNREAD)
			return quarantine(e, "it was about to leave: the source decides");
		return state(e, KEEP_SLOT, ROW_COOLING, "the source says it is ours");
	case ROW_NONE: /* a pod had it a moment ago: it was ours in this boot */
		return state(e, KEEP_SLOT, ROW_COOLING, "adopted from the map");
	default:
		return state(e, KEEP_SLOT, ROW_COOLING, "released since the last write");
	}
}

/* The words are the truth on claims: the slot stays, whatever anybody says. */
static struct recover_verdict judge_held(const struct recover_evidence *e)
{
	if (e->source == SOURCE_NOT_OURS)
		return hold_in_doubt(e, KEEP_SLOT, "a pod has it, but it is not ours");
	switch (e->row) {
	case ROW_HELD:
		return e->same_holder
			       ? hold(e, KEEP_SLOT, "held")
			       : other_holder(KEEP_SLOT, "another holder since the last write");
	case ROW_LEAVING:
		return hold_in_doubt(e, KEEP_SLOT, "it was to leave, but a pod has it");
	case ROW_QUARANTINE:
		return hold_in_doubt(e, KEEP_SLOT, "in quarantine when the pod lets go");
	case ROW_NONE:
		return hold(e, KEEP_SLOT, "adopted: a pod has it");
	default:
		return hold(e, KEEP_SLOT, "claimed since the last write");
	}
}

static struct recover_verdict judge_leaving(const struct recover_evidence *e)
{
	bool intended = e->row == ROW_STOCK || e->row == ROW_LEAVING || e->row == ROW_NONE;

	if (e->witness == WITNESS_SEES_IT)
		return intended ? state(e, KEEP_SLOT, ROW_LEAVING,
					"it stays as long as a namespace has it")
				: quarantine(e, "leaving in the map, but a namespace has it");
	if (intended || e->source == SOURCE_NOT_OURS)
		return state(e, GO_ON_LEAVING, ROW_LEAVING, "on its way to the source");
	return quarantine(e, "the map lets it leave, the database does not: the source decides");
}

/* Out by a source that was read and witnesses that see nothing, and by nothing less. */
static struct recover_verdict judge_quarantine(const struct recover_evidence *e)
{
	if (e->witness == WITNESS_SEES_IT)
		return state(e, KEEP_SLOT, ROW_QUARANTINE, "in quarantine: a namespace has it");
	if (e->source == SOURCE_UNREAD)
		return state(e, KEEP_SLOT, ROW_QUARANTINE, "in quarantine: the source decides");
	if (e->witness == WITNESS_UNREAD)
		return state(e, KEEP_SLOT, ROW_QUARANTINE,
			     "in quarantine until the namespaces were read");
	if (e->source == SOURCE_NOT_OURS)
		return state(e, GO_ON_LEAVING, ROW_LEAVING, "the source says it is not ours");
	if (e->row == ROW_LEAVING) /* its call may have been made, and may still work */
		return state(e, GO_ON_LEAVING, ROW_LEAVING, "it was leaving, and goes on");
	return state(e, TO_COOLING, ROW_COOLING, "the source says it is ours");
}

/* --- The slot is not there ------------------------------------------------------- */

/* The row tells of a time that is over: its holder, if any, is gone. */
static bool is_past(const struct recover_evidence *e)
{
	return e->map == MAP_OTHER_BOOT ||
	       (e->map == MAP_NO_SLOT && (e->row_is_old || e->other_pair));
}

/* In a lost map an ADD may have claimed it, and no witness sees that yet. */
static struct recover_verdict after_the_longest_add(const struct recover_evidence *e,
						    struct recover_verdict v)
{
	if (e->map == MAP_LOST)
		v.wait_ms = RECOVER_LONGEST_ADD_MS;
	return v;
}

/* No row: a new address, a refill's or an unknown one. */
static struct recover_verdict judge_unknown(const struct recover_evidence *e)
{
	if (e->source == SOURCE_NOT_OURS)
		return verdict(KEEP_SLOT, ROW_KEEP, "not ours");
	if (e->source == SOURCE_UNREAD)
		return e->map == MAP_NO_SLOT ? verdict(KEEP_SLOT, ROW_KEEP, "unknown to both")
					     : wait_for_source();
	if (e->witness == WITNESS_SEES_IT)
		return hold(e, FILL_HELD, "ours, and a namespace has it");
	if (e->map == MAP_NO_SLOT)
		return verdict(KEEP_SLOT, ROW_KEEP, "ours, for a refill to take");
	if (e->witness == WITNESS_UNREAD)
		return wait_for_witnesses();
	if (e->map == MAP_OTHER_BOOT && !e->other_pair)
		return state(e, FILL_READY, ROW_STOCK, "new, and the source says it is ours");
	return after_the_longest_add(e, state(e, FILL_COOLING, ROW_COOLING,
					      "the source says it is ours"));
}

/* A row, and a namespace has the address: whoever it is, they hold it. */
static struct recover_verdict judge_seen(const struct recover_evidence *e)
{
	if (e->source == SOURCE_NOT_OURS)
		return hold_in_doubt(e, FILL_HELD, "a namespace has it, but it is not ours");
	if (e->row == ROW_LEAVING)
		return hold_in_doubt(e, FILL_HELD, "it was leaving, but a namespace has it");
	if (e->row == ROW_QUARANTINE)
		return hold_in_doubt(e, FILL_HELD, "in quarantine, but a namespace has it");
	if (e->row == ROW_HELD && is_past(e))
		return other_holder(FILL_HELD, "held by another pod than its row says");
	return hold(e, FILL_HELD, e->row == ROW_HELD ? "held by its row" : "a namespace has it");
}

/* The source has disowned it, and no namespace has it. */
static struct recover_verdict judge_disowned(const struct recover_evidence *e)
{
	if (e->row == ROW_LEAVING)
		return verdict(KEEP_SLOT, ROW_GOES, "the source has it back");
	if (e->row == ROW_QUARANTINE)
		return verdict(KEEP_SLOT, ROW_GOES, "out of quarantine: it is not ours");
	return state(e, HOLD_BACK, ROW_QUARANTINE, "the source says it is not ours");
}

/* Ours, seen by nobody, and the database means it to be here. */
static struct recover_verdict judge_refilled(const struct recover_evidence *e)
{
	bool stale = e->map == MAP_NO_SLOT && is_past(e);
	struct recover_verdict v;

	if (e->row == ROW_STOCK && e->map != MAP_LOST && !stale)
		return state(e, FILL_READY, ROW_STOCK,
			     e->map == MAP_NO_SLOT ? "its fill was cut off"
						   : "in stock, and the source agrees");
	v = state(e, FILL_COOLING, ROW_COOLING,
		  e->map == MAP_LOST         ? "the map was lost: a claim may be under way"
		  : e->row == ROW_QUARANTINE ? "out of quarantine: the source says it is ours"
		  : e->row == ROW_COOLING    ? "a whole cooldown anew"
		  : stale                    ? "the map is newer than its row"
					     : "its pod ended with the last boot");
	return after_the_longest_add(e, v);
}

static struct recover_verdict judge_absent(const struct recover_evidence *e)
{
	bool held = e->row == ROW_HELD && !is_past(e);

	if (e->row == ROW_NONE)
		return judge_unknown(e);
	if (e->witness == WITNESS_SEES_IT)
		return judge_seen(e);
	if (held && e->source != SOURCE_NOT_OURS) /* that none has it proves nothing */
		return state(e, FILL_HELD, ROW_HELD, "held by its row");
	if (e->witness == WITNESS_UNREAD)
		return wait_for_witnesses();
	if (e->source == SOURCE_NOT_OURS)
		return judge_disowned(e);
	if (e->row == ROW_LEAVING) /* the source's answer, ours or unread, is of before its call */
		return after_the_longest_add(e, state(e, GO_ON_LEAVING, ROW_LEAVING,
						      "on its way to the source"));
	return e->source == SOURCE_UNREAD ? wait_for_source() : judge_refilled(e);
}

/* --- All of it --------------------------------------------------------------------- */

static struct recover_verdict judge_present(const struct recover_evidence *e)
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
	default:
		return judge_quarantine(e);
	}
}

struct recover_verdict recover_judge(const struct recover_evidence *e)
{
	struct recover_evidence without = *e;

	assert(e->map < RECOVER_MAPS && e->row < RECOVER_ROWS);
	if (e->map >= MAP_NO_SLOT)
		return judge_absent(e);
	/* What another map's database says of a slot of this one is no row of it. */
	if (e->other_pair)
		without.row = ROW_NONE;
	return judge_present(&without);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/core/zombie.h"

#include <stddef.h>

#include "bpf/slot.h"

static bool is_held(const struct zombie_hold *hold)
{
	return slot_state(hold->word) == IPAMD_HELD;
}

/* --- Proof ---------------------------------------------------------------------------- */

/*
 * The hold's namespace had the id when it was claimed, before since_ms.  At a moment
 * after that the id was nobody's, so the namespace has died: by this death, or by an
 * earlier one whose message was lost and whose id another took over meanwhile.
 *
 * A claim in the same millisecond, or later, may be the next owner's: the death in
 * hand may be of who had the id before.  That is for a new question to answer.
 */
bool zombie_is_dead(const struct zombie_hold *hold, const struct zombie_death *death)
{
	return is_held(hold) && hold->nsid >= 0 && hold->nsid == death->nsid &&
	       hold->claimed_at_ms && hold->claimed_at_ms < death->since_ms;
}

bool zombie_is_doubtful(const struct zombie_hold *hold, const struct zombie_death *death)
{
	return is_held(hold) && hold->nsid >= 0 && hold->nsid == death->nsid &&
	       !zombie_is_dead(hold, death);
}

/* A restored hold is not known to be younger than anybody: its claim came before. */
bool zombie_is_displaced(const struct zombie_hold *hold, const struct zombie_hold *younger)
{
	return is_held(hold) && is_held(younger) && hold->nsid >= 0 &&
	       hold->nsid == younger->nsid && hold->cookie && younger->cookie &&
	       hold->cookie != younger->cookie && !younger->restored && hold->claimed_at_ms &&
	       hold->claimed_at_ms < younger->claimed_at_ms;
}

static bool prove(struct zombie_hold *hold)
{
	bool news = hold->evidence != ZOMBIE_PROOF;

	hold->evidence = ZOMBIE_PROOF;
	return news;
}

unsigned int zombie_prove_dead(struct zombie_hold *holds, unsigned int n,
			       const struct zombie_death *deaths, unsigned int m)
{
	unsigned int proven = 0;

	for (unsigned int i = 0; i < n; i++)
		for (unsigned int j = 0; j < m; j++)
			if (zombie_is_dead(&holds[i], &deaths[j])) {
				proven += prove(&holds[i]);
				break;
			}
	return proven;
}

unsigned int zombie_prove_displaced(struct zombie_hold *holds, unsigned int n)
{
	unsigned int proven = 0;

	for (unsigned int i = 0; i < n; i++)
		for (unsigned int j = 0; j < n; j++)
			if (zombie_is_displaced(&holds[i], &holds[j])) {
				proven += prove(&holds[i]);
				break;
			}
	return proven;
}

/* --- Weak evidence --------------------------------------------------------------------- */

static bool is_one(const struct zombie_hold *a, const struct zombie_hold *b)
{
	return is_held(a) && is_held(b) && slot_tag(a->word) == slot_tag(b->word);
}

/* Weak, and not a claim that had no time yet to put its address anywhere. */
static bool is_suspect(const struct zombie_hold *hold, const struct zombie_look *look)
{
	return is_held(hold) && hold->evidence == ZOMBIE_WEAK &&
	       hold->claimed_at_ms + look->grace_ms <= look->began_ms;
}

/* So is all that its attachment holds. */
static bool are_suspect(const struct zombie_hold *holds, unsigned int n, unsigned int i,
			const struct zombie_look *look)
{
	if (!is_suspect(&holds[i], look))
		return false;
	for (unsigned int j = 0; j < n; j++)
		if (is_one(&holds[i], &holds[j]) && !is_suspect(&holds[j], look))
			return false;
	return true;
}

/* A look counts once, and only when it began after what it is to confirm. */
static void mark(struct zombie_mark *m, uint64_t word, const struct zombie_look *look)
{
	if (m->word != word)
		*m = (struct zombie_mark){.word = word, .since_ms = look->ended_ms, .looks = 1};
	else if (look->began_ms >= m->since_ms)
		m->looks++;
}

static bool is_ripe(const struct zombie_mark *m, uint64_t word, const struct zombie_look *look)
{
	return m->word == word && m->looks >= 2 && look->began_ms >= m->since_ms &&
	       look->began_ms - m->since_ms >= look->grace_ms;
}

/* What a look found clears marks, whole or not; what it lacks counts when it is whole. */
static void update_marks(struct zombie_mark *marks, const struct zombie_hold *holds, unsigned int n,
			 const struct zombie_look *look)
{
	bool counts = look->whole && look->found;

	for (unsigned int i = 0; i < n; i++) {
		if (!are_suspect(holds, n, i, look))
			marks[i] = (struct zombie_mark){0};
		else if (counts)
			mark(&marks[i], holds[i].word, look);
		else if (marks[i].word != holds[i].word)
			marks[i] = (struct zombie_mark){0};
	}
}

unsigned int zombie_budget(unsigned int held)
{
	unsigned int part = (unsigned int)((uint64_t)held * ZOMBIE_BUDGET_PERCENT / 100);

	return part > ZOMBIE_BUDGET_LEAST ? part : ZOMBIE_BUDGET_LEAST;
}

/* How many slots the attachment of slot i holds; 0: not all of them are ripe. */
static unsigned int count_ripe(const struct zombie_mark *marks, const struct zombie_hold *holds,
			       unsigned int n, unsigned int i, const struct zombie_look *look)
{
	unsigned int count = 0;

	for (unsigned int j = 0; j < n; j++) {
		if (!is_one(&holds[i], &holds[j]))
			continue;
		if (!is_ripe(&marks[j], holds[j].word, look))
			return 0;
		count++;
	}
	return count;
}

/*
 * Whole attachments within the budget.  Whoever is handed out loses the mark: if its
 * reclaim fails, it starts over, behind those who still wait for their round.
 */
static unsigned int take_ripe(struct zombie_mark *marks, const struct zombie_hold *holds,
			      unsigned int n, const struct zombie_look *look, unsigned int budget,
			      uint32_t *ret)
{
	unsigned int taken = 0;

	for (unsigned int i = 0; i < n && taken < budget; i++) {
		unsigned int count;

		if (!is_held(&holds[i]) || !is_ripe(&marks[i], holds[i].word, look))
			continue;
		count = count_ripe(marks, holds, n, i, look);
		if (!count || count > budget - taken)
			continue;
		for (unsigned int j = i; j < n; j++)
			if (is_one(&holds[i], &holds[j])) {
				ret[taken++] = j;
				if (j != i)
					marks[j] = (struct zombie_mark){0};
			}
		marks[i] = (struct zombie_mark){0};
	}
	return taken;
}

unsigned int zombie_judge(struct zombie_mark *marks, const struct zombie_hold *holds,
			  unsigned int n, const struct zombie_look *look, uint32_t *ret)
{
	unsigned int held = 0, taken = 0;

	for (unsigned int i = 0; i < n; i++) {
		held += is_held(&holds[i]);
		if (!is_held(&holds[i]) || holds[i].evidence != ZOMBIE_PROOF)
			continue;
		ret[taken++] = i;
		marks[i] = (struct zombie_mark){0};
	}
	if (!look)
		return taken;
	update_marks(marks, holds, n, look);
	if (!look->whole || !look->found)
		return taken;
	return taken + take_ripe(marks, holds, n, look, zombie_budget(held), ret + taken);
}

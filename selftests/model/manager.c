// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The manager as the programs meet it: it reads words and records in the order of
 * pin_holder(), changes a slot by `step` alone, and moves to another generation in
 * the order of userspace/edge/move.c.
 *
 * To the generation that `current` does not name yet it writes directly: nobody
 * else has those maps open.
 */
#include "selftests/model/helpers.h"
#include "selftests/model/mem.h"

#include <string.h>

#include "bpf/slot.h"

/* `step`, whole: the manager can be killed before and after, not inside. */
static int step_slot(struct ipamd_request *req, unsigned int slot, uint64_t expected, uint64_t word)
{
	int r;

	req->change.slot = slot;
	req->change.expected = expected;
	req->change.word = word;
	self()->in_step = true;
	r = product_run(IPAMD_STEP, req);
	self()->in_step = false;
	return r;
}

static __u64 *word_of(unsigned int slot)
{
	return &own_view()->words[slot / IPAMD_CHUNK].word[slot % IPAMD_CHUNK];
}

static uint64_t load_word(unsigned int slot)
{
	return mem_load(word_of(slot));
}

/* --- Zombies ------------------------------------------------------------------------- */

/* That the netns of an attachment is gone may be learned at any time; it stays so. */
static bool is_dead(unsigned int who, uint64_t start)
{
	uint8_t tag = tag_of(__LINE__, 11);
	uint64_t dead;

	if (replayed(tag, &dead))
		return dead;
	arrive(0);
	dead = who < ATTACHMENTS && now->promise.dead[who] && start <= now->promise.dead[who];
	show(__func__, __LINE__, "evidence: %c of %llu is %s", 'a' + who, (unsigned long long)start,
	     dead ? "dead" : "alive");
	return finish(tag, dead);
}

/*
 * Word, record, the record's own word, the word again; then on evidence the step.
 * Nobody says in which order the kernel copies a record: forwards or backwards.
 */
static int look(unsigned int slot, bool backwards)
{
	struct ipamd_holder *h = &own_view()->holders[slot];
	uint64_t word = load_word(slot), start, mirrored = 0;
	struct ipamd_digest id;

	if (slot_state(word) != IPAMD_HELD)
		return IPAMD_NOTHING;
	if (backwards)
		mirrored = mem_load(&h->word);
	id.half[0] = mem_load(&h->who.id.half[0]);
	start = mem_load(&h->who.start_ns);
	if (!backwards)
		mirrored = mem_load(&h->word);
	if (!slot_same(mirrored, word) || load_word(slot) != word)
		return IPAMD_STALE;
	if (!is_dead(key_of(&id) - KEY_ATTACHMENT, start))
		return IPAMD_NOTHING;
	return step_slot(request_new(IPAMD_STEP), slot, word, slot_released(word, 0));
}

/* --- Filling and draining ------------------------------------------------------------- */

/* A hash may refuse to delete; what a step leaves behind then, the manager takes away. */
static void forget_name(unsigned int key)
{
	struct ipamd_digest digest = key_digest(key);
	int r;

	do {
		run.delete_failing = false; /* this is another loop than that of `step` */
		r = model_delete(MAP_HASH + NAMES, &digest, __func__, __LINE__);
	} while (r && run.delete_failing);
}

static int drain_slot(unsigned int slot)
{
	uint64_t word = load_word(slot), leaving = slot_set_state(word, IPAMD_LEAVING);
	unsigned int key;
	int r;

	if (slot_state(word) != IPAMD_FREE || word & SLOT_FIXED)
		return IPAMD_STALE;
	key = (unsigned int)own_generation()->cell[CELL_RECORD + 3 * slot];
	r = step_slot(request_new(IPAMD_STEP), slot, word, leaving);
	if (r)
		return r;
	r = step_slot(request_new(IPAMD_STEP), slot, leaving,
		      slot_word(IPAMD_EMPTY, 0, 0, slot_gen(leaving)));
	if (r != IPAMD_BROKEN)
		return r;
	forget_name(key);
	return IPAMD_OK;
}

static int fill_slot(unsigned int slot, unsigned int address)
{
	uint64_t word = load_word(slot);
	struct ipamd_request *req = request_new(IPAMD_STEP);

	if (slot_state(word) != IPAMD_EMPTY)
		return IPAMD_STALE;
	req->change.key = key_digest((unsigned int)address_key(address));
	req->change.address[0] = (uint8_t)address;
	return step_slot(req, slot, word, slot_filled(word, 0, CLOCK_MS));
}

static int fix(unsigned int slot, bool on)
{
	uint64_t word = load_word(slot);
	struct ipamd_request *req = request_new(IPAMD_STEP);
	int r;

	if (!!(word & SLOT_FIXED) == on ||
	    (slot_state(word) != IPAMD_FREE && slot_state(word) != IPAMD_HELD))
		return IPAMD_STALE;
	req->workload = key_digest(KEY_WORKLOAD);
	r = step_slot(req, slot, word, word ^ SLOT_FIXED);
	/* Not fixed, or no longer: the name must not stay, or its ADDs are BUSY for ever. */
	if (r && now->failed && (r == IPAMD_BUSY || (on && r == IPAMD_STALE)))
		forget_name(KEY_WORKLOAD);
	return r;
}

/* --- To the other generation -------------------------------------------------------------- */

static struct generation *next_generation(void)
{
	return &now->generation[1];
}

/* From here on releases of the old map answer MOVING, or left their tombstone. */
static int move_start(void)
{
	mem_swap(&own_view()->meta.moving, 2);
	if (run.fresh) {
		const struct generation *from = own_generation();

		memcpy(&next_generation()->cell[CELL_NAME], &from->cell[CELL_NAME],
		       ELEMENTS * sizeof(*from->cell));
		memcpy(next_generation()->key[NAMES], from->key[NAMES], ELEMENTS);
		memcpy(next_generation()->element[NAMES], from->element[NAMES], ELEMENTS);
	}
	return IPAMD_OK;
}

/* The word, once it is not CLAIMING: copies wait for claims. */
static uint64_t load_settled_word(unsigned int slot)
{
	uint8_t tag = tag_of(__LINE__, 12);
	uint64_t word;

	if (replayed(tag, &word))
		return word;
	arrive(0);
	word = own_generation()->cell[CELL_WORD + slot];
	wait_while(slot_state(word) == IPAMD_CLAIMING);
	show(__func__, __LINE__, "load  %s", show_cell(0, CELL_WORD + slot, word));
	return finish(tag, word);
}

/* STALE: the slot changed meanwhile; again. */
static int move_slot(unsigned int slot)
{
	struct ipamd_holder *h = &own_view()->holders[slot];
	uint64_t word = load_settled_word(slot), record[3];
	struct ipamd_digest id;

	if (slot_state(word) == IPAMD_MOVED)
		return IPAMD_OK;
	id.half[0] = mem_load(&h->who.id.half[0]);
	record[0] = key_of(&id);
	record[1] = mem_load(&h->who.start_ns);
	record[2] = mem_load(&h->word);
	/* Once, after the last load: then the rest of this step is ours. */
	if (run.fresh) {
		struct generation *to = next_generation();

		memcpy(&to->cell[CELL_HOLDER + 3 * slot], record, sizeof(record));
		memcpy(&to->cell[CELL_RECORD + 3 * slot],
		       &own_generation()->cell[CELL_RECORD + 3 * slot], sizeof(record));
		to->cell[CELL_WORD + slot] = word;
	}
	return step_slot(request_new(IPAMD_STEP), slot, word, slot_set_state(word, IPAMD_MOVED));
}

/* The entry of a holder, from the words: v4 first, as claim does it. */
static void add_to_entry(unsigned int slot, uint64_t word)
{
	struct generation *to = next_generation();
	const uint64_t *record = &to->cell[CELL_HOLDER + 3 * slot];
	unsigned int first, key = (unsigned int)record[0];
	uint64_t entry[3] = {word, 0, slot | 1ULL << 32}, old[3];
	int found = element_find(1, BY_HOLDER, key, run.actor);

	if (!slot_same(record[2], word))
		return; /* an orphan; reconcile sees to it */
	if (found >= 0) {
		element_cells(BY_HOLDER, &first, (unsigned int)found);
		memcpy(old, &to->cell[first], sizeof(old));
		if (own_view()->pools[slot_pool(word)].family == 6) {
			entry[0] = old[0];
			entry[1] = word;
			entry[2] = (old[2] & 0xffff) | slot << 16 | 2ULL << 32;
		} else {
			entry[1] = old[0];
			entry[2] = slot | (old[2] & 0xffff) << 16 | 2ULL << 32;
		}
	}
	element_put(1, BY_HOLDER, key, entry);
}

static void rebuild_entries(void)
{
	struct generation *to = next_generation();

	memset(to->element[BY_HOLDER], ELEMENT_FREE, ELEMENTS);
	for (unsigned int slot = 0; slot < scenario->slots; slot++)
		if (slot_state(to->cell[CELL_WORD + slot]) == IPAMD_HELD)
			add_to_entry(slot, to->cell[CELL_WORD + slot]);
}

/* Whether the old map has one for this attachment, and which; -1: none. */
static int find_tomb(unsigned int who)
{
	uint8_t tag = tag_of(__LINE__, 13);
	uint64_t found;

	if (replayed(tag, &found))
		return (int)found - 1;
	arrive(0);
	found = (uint64_t)(element_find(0, TOMBS, KEY_ATTACHMENT + who, run.actor) + 1);
	show(__func__, __LINE__, "tombstone of %c: %s", 'a' + who, found ? "there" : "none");
	return (int)finish(tag, found) - 1;
}

static int move_tombs(void)
{
	for (unsigned int who = 0; who < scenario->attachments; who++) {
		int found = find_tomb(who);
		uint64_t tomb[2];

		if (run.fresh && !who)
			rebuild_entries();
		if (found < 0)
			continue;
		tomb[0] = mem_load(&own_view()->tombs[found].check);
		tomb[1] = mem_load(&own_view()->tombs[found].start_ns);
		if (run.fresh)
			element_put(1, TOMBS, KEY_ATTACHMENT + who, tomb);
	}
	return IPAMD_OK;
}

/* One rename. */
static int move_commit(void)
{
	uint8_t tag = tag_of(__LINE__, 14);
	uint64_t ignored;

	if (!replayed(tag, &ignored)) {
		arrive(NEEDS_DRAIN);
		now->current = 1;
		show(__func__, __LINE__, "current names the other generation");
		finish(tag, 0);
	}
	return IPAMD_OK;
}

int manager_run(const struct op *op)
{
	switch (op->verb) {
	case OP_LOOK:
		return look(op->slot, op->backwards);
	case OP_DRAIN:
		return drain_slot(op->slot);
	case OP_FILL:
		return fill_slot(op->slot, op->address);
	case OP_FIX:
		return fix(op->slot, true);
	case OP_UNFIX:
		return fix(op->slot, false);
	case OP_MOVE_START:
		return move_start();
	case OP_MOVE_SLOT:
		return move_slot(op->slot);
	case OP_MOVE_TOMBS:
		return move_tombs();
	case OP_MOVE_COMMIT:
		return move_commit();
	default:
		model_bug("no such operation");
	}
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What must hold: in every state, at every answer, and when everybody is done.
 * The numbers are those of the invariants in docs/design.md.
 *
 * An answered address counts as owned from the answer on until a DEL of the
 * attachment that began no earlier than the ADD begins to run, or until its pod
 * dies.  A DEL that began earlier than the ADD may not touch it.
 */
#include "selftests/model/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bpf/slot.h"

enum rule rule_broken;
char rule_text[256];
uint32_t rule_verdicts[OP_MOVE_COMMIT + 1];

static const struct {
	const char *name;
	const char *says;
} rules[RULES] = {
	[RULE_NONE] = {"none", ""},
	[RULE_TWO_HOLDERS] = {"two-holders", "2: one address has one holder"},
	[RULE_RECORD] = {"record", "3: a HELD word has the record of its holder"},
	[RULE_COOLDOWN] = {"cooldown", "4: no address is handed out before its cooldown ends"},
	[RULE_DUPLICATE] = {"duplicate", "2, 10: no address is answered to two attachments"},
	[RULE_TAKEN_AWAY] = {"taken-away",
			     "3: an answered address stays until its own DEL or its pod's death"},
	[RULE_TWO_ADDRESSES] = {"two-addresses", "10: an attachment has one address of a family"},
	[RULE_TWO_ANSWERS] = {"two-answers", "10: the same ADD twice gets the same answer"},
	[RULE_FALSE_ANSWER] = {"false-answer", "2: an answer is what the attachment holds or held"},
	[RULE_OVERTAKEN] = {"overtaken", "10: an ADD that its DEL overtook holds nothing"},
	[RULE_LEFTOVER] = {"leftover", "10: who was answered no address holds none"},
	[RULE_ORPHAN] = {"orphan", "10: every HELD word has an entry that leads to it"},
	[RULE_ENTRY] = {"entry", "9, 10: every entry leads to HELD words, and none stays pending"},
	[RULE_CONSERVED] = {"conserved", "10: free + held + leaving = provisioned"},
	[RULE_NAME] = {"name", "10: every name leads to its slot"},
	[RULE_RESERVED] = {"reserved", "4: a fixed address is for its workload alone"},
	[RULE_WANTED] = {"wanted", "a requested address is given or refused"},
	[RULE_HALF] = {"half", "an attachment gets all its families or none"},
	[RULE_READY_TIME] = {"ready-time", "next_ready_ms is when an address will be ready"},
	[RULE_BUSY_ALONE] = {"busy-alone", "5, 9: BUSY ends when the others do"},
	[RULE_STUCK] = {"stuck", "9: every wait has an end"},
	[RULE_BROKEN] = {"broken", "no program answers BROKEN"},
};

const char *rule_name(enum rule rule)
{
	return rules[rule].name;
}

const char *rule_says(enum rule rule)
{
	return rules[rule].says;
}

/* The first one counts. */
void rule_break(enum rule rule, const char *format, ...)
{
	va_list args;

	if (rule_broken)
		return;
	rule_broken = rule;
	va_start(args, format);
	vsnprintf(rule_text, sizeof(rule_text), format, args);
	va_end(args);
}

/* --- What slots say -------------------------------------------------------------------- */

static uint64_t word_at(unsigned int slot)
{
	return slot_home(slot)->cell[CELL_WORD + slot];
}

static unsigned int address_at(unsigned int slot)
{
	return (unsigned int)slot_home(slot)->cell[CELL_RECORD + 3 * slot + 2];
}

static bool is_taken(uint64_t word)
{
	return slot_state(word) == IPAMD_HELD || slot_state(word) == IPAMD_CLAIMING;
}

static unsigned int who_of(uint64_t word)
{
	return key_of_tag(slot_tag(word)) - KEY_ATTACHMENT;
}

static int family_of(uint64_t word)
{
	return slot_pool(word) == IPAMD_V6 ? IPAMD_V6 : IPAMD_V4;
}

static bool names_workload(const struct op *op, unsigned int who)
{
	for (; op->verb; op++)
		if (op->verb == OP_ADD && op->who == who && op->workload)
			return true;
	return false;
}

static bool has_workload(unsigned int who)
{
	bool has = names_workload(scenario->setup, who);

	for (unsigned int i = 0; i < ACTORS; i++)
		has |= names_workload(scenario->actor[i].op, who);
	return has;
}

/* --- Each change of a word ------------------------------------------------------------------ */

/* The cooldown counts from when the release began to run. */
static void released(unsigned int address, uint64_t from, uint64_t to)
{
	uint64_t cooldown = scenario->cooldown_ms, ready;

	if (actor_op(run.actor)->verb == OP_LOOK && cooldown < 1000)
		cooldown = 1000;
	ready = slot_ready_at(clock_ns(self()->begin_tick), cooldown);
	now->promise.ready_ms[address] = (uint16_t)(ready - CLOCK_MS);
	now->promise.of_workload &= (uint8_t) ~(1U << address);
	if (who_of(from) < ATTACHMENTS && has_workload(who_of(from)))
		now->promise.of_workload |= (uint8_t)(1U << address);
	if (slot_time(to) < ready)
		rule_break(RULE_COOLDOWN, "address %u is released with too early a time", address);
}

static void taken(unsigned int address, uint64_t to)
{
	const struct promise *p = &now->promise;

	if (to & SLOT_FIXED && p->of_workload & 1U << address)
		return;
	if (clock_ns(now->ticks) / 1000000 < CLOCK_MS + p->ready_ms[address])
		rule_break(RULE_COOLDOWN, "address %u is taken before its time", address);
}

void rule_word(unsigned int generation, unsigned int slot, uint64_t from, uint64_t to)
{
	const uint64_t *record = &now->generation[generation].cell[CELL_RECORD + 3 * slot];
	enum ipamd_state a = slot_state(from), b = slot_state(to);
	unsigned int address = (unsigned int)record[2];

	if (a == IPAMD_HELD && b == IPAMD_FREE)
		released(address, from, to);
	if (a == IPAMD_FREE && (b == IPAMD_CLAIMING || b == IPAMD_HELD))
		taken(address, to);
	if (b == IPAMD_HELD && a != IPAMD_HELD && to & SLOT_FIXED &&
	    !(actor_op(run.actor)->workload && record[1] == KEY_WORKLOAD))
		rule_break(RULE_RESERVED, "address %u is fixed", address);
	if (b == IPAMD_HELD && who_of(to) < ATTACHMENTS)
		now->promise.held[who_of(to)] |= (uint8_t)(1U << address);
	if (b == IPAMD_EMPTY)
		now->promise.in_stock &= (uint8_t) ~(1U << address);
	if (a == IPAMD_EMPTY)
		now->promise.in_stock |= (uint8_t)(1U << address);
}

/* --- Each program's begin and end ------------------------------------------------------------- */

static void give_up(unsigned int who, unsigned int start)
{
	struct promise *p = &now->promise;

	if (p->own_start[who] > start)
		return;
	memset(p->own[who], 0, sizeof(p->own[who]));
	p->own_start[who] = 0;
}

void rule_begin(const struct op *op, unsigned int start)
{
	struct promise *p = &now->promise;

	if (op->verb != OP_DEL && op->verb != OP_DIE)
		return;
	give_up(op->who, start);
	if (op->verb == OP_DEL && p->del_begun[op->who] < start)
		p->del_begun[op->who] = (uint8_t)start;
	if (op->verb == OP_DIE && p->dead[op->who] < start)
		p->dead[op->who] = (uint8_t)start;
}

static void own(unsigned int who, int family, unsigned int address)
{
	struct promise *p = &now->promise;

	for (unsigned int other = 0; other < ATTACHMENTS; other++)
		if (other != who && p->own[other][family] == address)
			rule_break(RULE_DUPLICATE, "address %u is answered to %c, and %c has it",
				   address, 'a' + who, 'a' + other);
	if (p->own[who][family] && p->own[who][family] != address)
		rule_break(RULE_TWO_ANSWERS, "%c has address %u and is answered %u", 'a' + who,
			   p->own[who][family], address);
	p->own[who][family] = (uint8_t)address;
}

static void answered(const struct op *op, unsigned int start, const struct ipamd_request *req)
{
	struct promise *p = &now->promise;

	p->answered[op->who] = 1;
	for (int f = 0; f < IPAMD_FAMILIES; f++) {
		const struct ipamd_lease *l = &req->lease[f];

		if (!!l->word != !!(scenario->families & 1U << f))
			rule_break(RULE_HALF, "%s is answered the wrong families",
				   show_op(op, start));
		if (!l->word)
			continue;
		if (op->address && f == IPAMD_V4 && l->address[0] != op->address)
			rule_break(RULE_WANTED, "%s is answered address %u", show_op(op, start),
				   l->address[0]);
		if (!(p->held[op->who] & 1U << l->address[0]))
			rule_break(RULE_FALSE_ANSWER, "%s is answered address %u",
				   show_op(op, start), l->address[0]);
		if (start > p->del_begun[op->who] && start > p->dead[op->who])
			own(op->who, f, l->address[0]);
	}
	if (start > p->del_begun[op->who] && start > p->dead[op->who] &&
	    start > p->own_start[op->who])
		p->own_start[op->who] = (uint8_t)start;
}

void rule_end(const struct op *op, unsigned int start, int verdict, const struct ipamd_request *req)
{
	struct promise *p = &now->promise;

	if (verdict >= 0 && verdict < IPAMD_VERDICTS)
		rule_verdicts[op->verb] |= 1U << verdict;
	if (verdict == IPAMD_BROKEN || verdict == IPAMD_FOREIGN || verdict == IPAMD_ILLEGAL)
		rule_break(RULE_BROKEN, "%s is answered %s", show_op(op, start),
			   show_verdict(verdict));
	if (op->verb == OP_ADD && verdict == IPAMD_OK)
		answered(op, start, req);
	if (op->verb == OP_ADD && req->next_ready_ms) {
		uint64_t most = clock_ns(now->ticks + 1U) / 1000000 + 1000 + scenario->cooldown_ms;

		if (req->next_ready_ms > most)
			rule_break(RULE_READY_TIME, "%s is told to come back in %llu years",
				   show_op(op, start),
				   (unsigned long long)req->next_ready_ms / 1000 / 86400 / 365);
	}
	if (op->verb == OP_DEL && (verdict == IPAMD_OK || verdict == IPAMD_NOTHING) &&
	    p->del_done[op->who] < start)
		p->del_done[op->who] = (uint8_t)start;
}

/* --- Every state ---------------------------------------------------------------------------------
 */

static void check_slot(unsigned int slot)
{
	const uint64_t *record = &slot_home(slot)->cell[CELL_HOLDER + 3 * slot];
	uint64_t word = word_at(slot);
	unsigned int address = address_at(slot);

	if (slot_state(word) == IPAMD_HELD &&
	    (!slot_same(record[2], word) || record[0] != key_of_tag(slot_tag(word))))
		rule_break(RULE_RECORD, "slot %u is %s, its record is of %s", slot, show_word(word),
			   show_word(record[2]));
	if (slot_state(word) == IPAMD_FREE && now->promise.ready_ms[address] &&
	    slot_time(word) < CLOCK_MS + now->promise.ready_ms[address])
		rule_break(RULE_COOLDOWN, "address %u is FREE with too early a time", address);
}

/* The same address, or the same attachment and family, in two slots. */
static void check_pair(unsigned int slot, unsigned int other)
{
	uint64_t a = word_at(slot), b = word_at(other);

	if (!is_taken(a) || !is_taken(b))
		return;
	if (address_at(slot) == address_at(other))
		rule_break(RULE_TWO_HOLDERS, "address %u is in slots %u and %u", address_at(slot),
			   slot, other);
	if (slot_tag(a) == slot_tag(b) && family_of(a) == family_of(b))
		rule_break(RULE_TWO_ADDRESSES, "%s has slots %u and %u",
			   show_key(key_of_tag(slot_tag(a))), slot, other);
}

static void check_generations(unsigned int slot)
{
	uint64_t old = now->generation[0].cell[CELL_WORD + slot];
	uint64_t new = now->generation[1].cell[CELL_WORD + slot];

	if (is_taken(old) && is_taken(new) && slot_tag(old) != slot_tag(new))
		rule_break(RULE_TWO_HOLDERS, "slot %u is %s in the old map and %s in the new", slot,
			   show_word(old), show_word(new));
}

static void check_stock(void)
{
	unsigned int seen = 0;

	for (unsigned int slot = 0; slot < scenario->slots; slot++) {
		unsigned int bit = 1U << address_at(slot);

		if (slot_state(word_at(slot)) == IPAMD_EMPTY)
			continue;
		if (seen & bit)
			rule_break(RULE_CONSERVED, "address %u is in two slots", address_at(slot));
		seen |= bit;
	}
	if (seen != now->promise.in_stock)
		rule_break(RULE_CONSERVED, "the addresses (bits) are %#x, not %#x", seen,
			   now->promise.in_stock);
}

static void check_promise(unsigned int who, int family)
{
	unsigned int address = now->promise.own[who][family];

	if (!address)
		return;
	for (unsigned int slot = 0; slot < scenario->slots; slot++)
		if (address_at(slot) == address && is_taken(word_at(slot)) &&
		    who_of(word_at(slot)) == who)
			return;
	rule_break(RULE_TAKEN_AWAY, "%c was answered address %u and did not give it back",
		   'a' + who, address);
}

void rule_state(void)
{
	for (unsigned int slot = 0; slot < scenario->slots; slot++) {
		check_slot(slot);
		for (unsigned int other = 0; other < slot; other++)
			check_pair(slot, other);
		if (now->current)
			check_generations(slot);
	}
	check_stock();
	for (unsigned int who = 0; who < scenario->attachments; who++)
		for (int f = 0; f < IPAMD_FAMILIES; f++)
			check_promise(who, f);
}

/* --- When everybody is done
 * ------------------------------------------------------------------------ */

/* Does the entry lead to this word, as first or as second? */
static bool leads_to(const uint64_t entry[3], unsigned int slot, uint64_t word)
{
	if (slot_same(entry[0], word) && (entry[2] & 0xffff) == slot)
		return true;
	return entry[2] >> 32 == 2 && slot_same(entry[1], word) &&
	       (entry[2] >> 16 & 0xffff) == slot;
}

static const uint64_t *entry_of(unsigned int who)
{
	int found = element_find(now->current, BY_HOLDER, KEY_ATTACHMENT + who, ACTORS - 1);
	unsigned int first;

	if (found < 0)
		return NULL;
	element_cells(BY_HOLDER, &first, (unsigned int)found);
	return &now->generation[now->current].cell[first];
}

static void rest_slot(unsigned int slot)
{
	uint64_t word = word_at(slot);
	unsigned int who = who_of(word);
	const uint64_t *entry;

	if (slot_state(word) == IPAMD_CLAIMING)
		rule_break(RULE_ORPHAN, "slot %u stays %s", slot, show_word(word));
	if (slot_state(word) != IPAMD_HELD || who >= ATTACHMENTS)
		return;
	entry = entry_of(who);
	/* With too little room for tombstones old ones go: a leak then, and documented. */
	if (!scenario->tombs &&
	    slot_home(slot)->cell[CELL_HOLDER + 3 * slot + 1] <= now->promise.del_done[who])
		rule_break(RULE_OVERTAKEN, "slot %u is %s, though its DEL is done", slot,
			   show_word(word));
	if (!now->promise.answered[who])
		rule_break(RULE_LEFTOVER, "slot %u is %s, but no ADD was answered", slot,
			   show_word(word));
	if (!entry || !leads_to(entry, slot, word))
		rule_break(RULE_ORPHAN, "slot %u is %s, and no entry leads there", slot,
			   show_word(word));
}

static void rest_entry(unsigned int who)
{
	const uint64_t *entry = entry_of(who);
	unsigned int held = 0;

	if (!entry)
		return;
	if (slot_state(entry[0]) == IPAMD_FREE && now->failed)
		return; /* spent: a hash refused to delete it */
	for (unsigned int slot = 0; slot < scenario->slots; slot++)
		held += slot_state(word_at(slot)) == IPAMD_HELD &&
			leads_to(entry, slot, word_at(slot));
	if (slot_state(entry[0]) != IPAMD_HELD || held != entry[2] >> 32)
		rule_break(RULE_ENTRY, "the entry of %c stays %s and leads to %u of %u words",
			   'a' + who, show_word(entry[0]), held, (unsigned int)(entry[2] >> 32));
}

static unsigned int name_slot(unsigned int key, int family)
{
	int found = element_find(now->current, NAMES, key, ACTORS - 1);
	unsigned int first;

	if (found < 0)
		return IPAMD_NONE;
	element_cells(NAMES, &first, (unsigned int)found);
	return ref_get(now->generation[now->current].cell[first], family);
}

static void rest_names(void)
{
	unsigned int fixed = IPAMD_NONE;

	for (unsigned int slot = 0; slot < scenario->slots; slot++) {
		uint64_t word = word_at(slot);

		if (word & SLOT_FIXED)
			fixed = slot;
		if (slot_state(word) != IPAMD_EMPTY &&
		    name_slot((unsigned int)address_key(address_at(slot)), IPAMD_V4) != slot)
			rule_break(RULE_NAME, "the name of address %u does not lead to slot %u",
				   address_at(slot), slot);
	}
	for (unsigned int address = 1; address <= ADDRESSES; address++)
		if (!(now->promise.in_stock & 1U << address) &&
		    name_slot((unsigned int)address_key(address), IPAMD_V4) != IPAMD_NONE)
			rule_break(RULE_NAME, "the name of address %u is left over", address);
	if (name_slot(KEY_WORKLOAD, IPAMD_V4) != fixed)
		rule_break(RULE_NAME, "the workload's name leads to slot %#x, fixed is %#x",
			   name_slot(KEY_WORKLOAD, IPAMD_V4), fixed);
}

void rule_rest(void)
{
	for (unsigned int slot = 0; slot < scenario->slots; slot++)
		rest_slot(slot);
	for (unsigned int who = 0; who < scenario->attachments; who++)
		rest_entry(who);
	rest_names();
}

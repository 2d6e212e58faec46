// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Words, cells and operations as people read them.  Texts live in a ring, so that
 * one line may have several.
 */
#include "selftests/model/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/slot.h"

bool show_on;

static char *text(void)
{
	static char ring[8][128];
	static unsigned int at;

	return ring[at++ % 8];
}

__attribute__((format(printf, 1, 2))) static const char *say(const char *format, ...)
{
	char *s = text();
	va_list args;

	va_start(args, format);
	vsnprintf(s, 128, format, args);
	va_end(args);
	return s;
}

const char *show_key(unsigned int key)
{
	if (key == KEY_NONE)
		return "nobody";
	if (key < KEY_ADDRESS)
		return say("%c", 'a' + key - KEY_ATTACHMENT);
	return key < KEY_WORKLOAD ? say("address %u", key - KEY_ADDRESS) : "the workload";
}

const char *show_word(uint64_t word)
{
	static const char *const names[] = {"EMPTY",   "FREE", "CLAIMING",   "HELD",
					    "LEAVING", "?",    "QUARANTINE", "MOVED"};
	enum ipamd_state state = slot_state(word);
	const char *fixed = word & SLOT_FIXED ? ", fixed" : "";

	if (!word)
		return "nothing";
	if (state == IPAMD_CLAIMING || state == IPAMD_HELD)
		return say("%s(%s%s)#%u", names[state], show_key(key_of_tag(slot_tag(word))), fixed,
			   slot_gen(word));
	if (state == IPAMD_FREE && slot_time(word) - CLOCK_MS + 10000 > 20000)
		return say("spent(%s)", show_key(key_of_tag(slot_tag(word))));
	return say("%s(%lld ms%s)#%u", names[state], (long long)(slot_time(word) - CLOCK_MS), fixed,
		   slot_gen(word));
}

static const char *show_slots(uint64_t slots)
{
	return slots >> 32 == 2 ? say("%u and %u", (unsigned int)slots & 0xffff,
				      (unsigned int)(slots >> 16) & 0xffff)
				: say("%u", (unsigned int)slots & 0xffff);
}

static const char *show_in(unsigned int cell, uint64_t value)
{
	static const char *const record[] = {"key", "workload", "address"};
	unsigned int at;

	if (cell < CELL_HOLDER)
		return say("word[%u] = %s", cell, show_word(value));
	if (cell < CELL_RECORD) {
		at = cell - CELL_HOLDER;
		if (at % 3 == 0)
			return say("holder[%u].id = %s", at / 3, show_key((unsigned int)value));
		if (at % 3 == 1)
			return say("holder[%u].start = %llu", at / 3, (unsigned long long)value);
		return say("holder[%u].word = %s", at / 3, show_word(value));
	}
	if (cell < CELL_MOVING) {
		at = cell - CELL_RECORD;
		return say("slot[%u].%s = %llu", at / 3, record[at % 3], (unsigned long long)value);
	}
	if (cell == CELL_MOVING)
		return say("moving = %llu", (unsigned long long)value);
	if (cell < CELL_NAME) {
		at = cell - CELL_ENTRY;
		if (at % 3 == 2)
			return say("entry[%u].slots = %s", at / 3, show_slots(value));
		return say("entry[%u].%s = %s", at / 3, at % 3 ? "second" : "first",
			   show_word(value));
	}
	if (cell < CELL_TOMB)
		return say("name[%u] = slots %u, %u", cell - CELL_NAME, ref_get(value, IPAMD_V4),
			   ref_get(value, IPAMD_V6));
	at = cell - CELL_TOMB;
	if (at % 2)
		return say("tomb[%u].start = %llu", at / 2, (unsigned long long)value);
	return say("tomb[%u].check = %s", at / 2, show_key(value & 0xff));
}

const char *show_cell(unsigned int generation, unsigned int cell, uint64_t value)
{
	if (!show_on)
		return "";
	return variable.moving ? say("g%u %s", generation + 1, show_in(cell, value))
			       : show_in(cell, value);
}

const char *show_element(unsigned int generation, enum hash hash, unsigned int element)
{
	unsigned int first;

	if (!show_on)
		return "";
	element_cells(hash, &first, element);
	return show_cell(generation, first, now->generation[generation].cell[first]);
}

const char *show_verdict(int verdict)
{
	static const char *const names[IPAMD_VERDICTS] = {
		"OK",     "BUSY",   "EXHAUSTED", "LATE",    "YOUNGER", "NOTHING",   "NO_POOL",
		"CLOSED", "MOVING", "NOT_OURS",  "TAKEN",   "COOLING", "RESERVED",  "PREDECESSOR",
		"AWAY",   "FULL",   "FOREIGN",   "ILLEGAL", "STALE",   "DUPLICATE", "BROKEN",
	};

	return verdict >= 0 && verdict < IPAMD_VERDICTS ? names[verdict] : say("%d", verdict);
}

const char *show_op(const struct op *op, unsigned int start)
{
	switch (op->verb) {
	case OP_ADD:
	case OP_DEL:
	case OP_DIE:
		return say("%s %c%s%s (began at %u)",
			   op->verb == OP_ADD   ? "ADD"
			   : op->verb == OP_DEL ? "DEL"
						: "death of",
			   'a' + op->who, op->address ? say(", address %u", op->address) : "",
			   op->workload ? ", the workload" : "", start ? start : op->start);
	case OP_LOOK:
		return say("look at slot %u", op->slot);
	case OP_DRAIN:
		return say("drain slot %u", op->slot);
	case OP_FILL:
		return say("fill slot %u with address %u", op->slot, op->address);
	case OP_FIX:
		return say("fix slot %u", op->slot);
	case OP_UNFIX:
		return say("unfix slot %u", op->slot);
	case OP_MOVE_START:
		return "move: start";
	case OP_MOVE_SLOT:
		return say("move: slot %u", op->slot);
	case OP_MOVE_TOMBS:
		return "move: entries and tombstones";
	case OP_MOVE_COMMIT:
		return "move: commit";
	default:
		return "nothing";
	}
}

/* One line of a trace. */
void show(const char *func, int line, const char *format, ...)
{
	char where[64] = "", what[256];
	va_list args;

	if (!show_on)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (line)
		snprintf(where, sizeof(where), "%s:%d", func, line);
	else
		snprintf(where, sizeof(where), "%s", func);
	printf("#   %*s%u | %-20s %s\n", 2 * run.actor, "", run.actor + 1, where, what);
}

void model_bug(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	printf("# the model itself is wrong: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	_Exit(1);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The knife: every access of a program comes through here, those to hashes by way
 * of hash.c.
 *
 * A step of an actor is one access that others can see, and whatever follows it
 * up to the next one.  What may follow without a step of its own, and why no order
 * is lost by it:
 *
 *   a plain store: it goes into the actor's own buffer, where nobody sees it; the
 *   flush is a step;
 *   a load of what no script of the scenario changes (model_bug() if one does);
 *   an access whose result nobody decides by: statistics, `spare`, the mirror;
 *   a barrier, when the buffer is empty;
 *   what concerns an attachment that no other script has any more: see
 *   is_private_cell().  No other actor can see it or change it from here on, and
 *   no rule looks at it before everybody is done.
 */
#include "selftests/model/helpers.h"
#include "selftests/model/mem.h"

#include <string.h>

struct run run;

/* --- The knife ------------------------------------------------------------------------ */

/* Tells one access of a program from the next: a replay that diverges is a bug. */
uint8_t tag_of(int line, unsigned int kind)
{
	return (uint8_t)(1 + ((unsigned int)line * 5 + kind) % 0x7e);
}

enum { TAG_SCAN = 0x7f };

/* True: this access was made in an earlier step. */
bool replayed(uint8_t tag, uint64_t *ret)
{
	const struct actor *a = self();

	if (run.pos == a->logged)
		return false;
	if (a->tag[run.pos] != tag)
		model_bug("actor %u: a replay went another way", run.actor);
	*ret = a->log[run.pos++];
	run.delete_failing = false;
	return true;
}

/* Before an access that is to be made: goes on when this is the one of this step. */
void arrive(unsigned int needs)
{
	self()->next = (uint8_t)needs;
	if (run.spent || (needs & NEEDS_DRAIN && self()->buffered))
		longjmp(run.halt, 1);
}

/* For an access that is no step of its own, but is locked. */
void drain(void)
{
	self()->next = NEEDS_DRAIN;
	if (self()->buffered)
		longjmp(run.halt, 1);
}

/* Spins, which is to say waits, for others: they do not see it. */
void wait_while(bool blocked)
{
	if (blocked)
		longjmp(run.halt, 1);
}

static void append(uint8_t tag, uint64_t result)
{
	struct actor *a = self();

	if (a->logged == LOG)
		model_bug("a program needs a longer log");
	a->tag[a->logged] = tag;
	a->log[a->logged++] = result;
	run.pos = a->logged;
	run.delete_failing = false;
}

/* An access was made that is no step of its own.  Logged: replays know what came before. */
uint64_t finish_quietly(uint8_t tag, uint64_t result)
{
	append(tag, result);
	run.fresh = true;
	return result;
}

/* The access of this step was made. */
uint64_t finish(uint8_t tag, uint64_t result)
{
	run.spent = true;
	return finish_quietly(tag, result);
}

/* Cells that are digests hold the number of the key. */
static bool is_key(unsigned int cell)
{
	if (cell >= CELL_HOLDER && cell < CELL_RECORD)
		return (cell - CELL_HOLDER) % 3 == 0;
	return cell >= CELL_RECORD && cell < CELL_MOVING && (cell - CELL_RECORD) % 3 < 2;
}

static uint64_t value_of(const struct place *at, uint64_t cell)
{
	return is_key(at->cell) ? key_digest((unsigned int)cell).half[at->half] : cell;
}

/* --- The face: mem.h ---------------------------------------------------------------------- */

__u64 model_load(const __u64 *p, const char *func, int line)
{
	uint8_t tag = tag_of(line, 1);
	struct place at;
	uint64_t value;
	bool quiet;

	if (!locate(p, &at) || at.cell == CELL_NONE)
		return *p;
	/* Nobody decides by the mirror; it may read at any time. */
	if (is_constant(&at) || !strcmp(func, "mirror"))
		return value_of(&at, read_cell(&at));
	if (replayed(tag, &value))
		return value;
	quiet = is_private_cell(&at);
	if (!quiet)
		arrive(0);
	value = read_cell(&at);
	show(func, line, "load  %s", show_cell(at.generation, at.cell, value));
	return quiet ? finish_quietly(tag, value_of(&at, value))
		     : finish(tag, value_of(&at, value));
}

static void store(const struct place *at, uint64_t value, const char *func, int line)
{
	if (at->cell == CELL_NONE || !run.fresh)
		return;
	if (is_constant(at))
		model_bug("%s:%d stores to what this scenario takes for constant", func, line);
	if (is_private_cell(at) && !find_waiting(at)) {
		write_cell(at->generation, at->cell, value);
		show(func, line, "store %s", show_cell(at->generation, at->cell, value));
		return;
	}
	buffer_push(at->generation, at->cell, value);
	show(func, line, "store %s, buffered", show_cell(at->generation, at->cell, value));
}

void model_store(__u64 *p, __u64 v, const char *func, int line)
{
	struct place at;

	if (locate(p, &at))
		store(&at, v, func, line);
	else
		*p = v;
}

/* Statistics: nobody decides by the value, but it orders what is around it. */
static void barrier(int line)
{
	uint8_t tag = tag_of(line, 2);
	uint64_t ignored;

	if (replayed(tag, &ignored))
		return;
	drain();
	finish_quietly(tag, 0);
}

/*
 * One locked read-modify-write: true when it was made earlier, or is none.  Else
 * *ret_quiet says whether it is a step.
 */
static bool rmw(__u64 *p, uint8_t tag, int line, struct place *ret_at, uint64_t *ret_old,
		bool *ret_quiet)
{
	if (!locate(p, ret_at))
		model_bug("line %d: an atomic on private memory", line);
	if (ret_at->cell == CELL_NONE) {
		barrier(line);
		*ret_old = 0;
		return true;
	}
	if (replayed(tag, ret_old))
		return true;
	if (is_constant(ret_at))
		model_bug("line %d: an atomic on what this scenario takes for constant", line);
	*ret_quiet = is_private_cell(ret_at);
	if (*ret_quiet)
		drain();
	else
		arrive(NEEDS_DRAIN);
	*ret_old = read_cell(ret_at);
	return false;
}

__u64 model_cas(__u64 *p, __u64 expected, __u64 word, const char *func, int line)
{
	uint8_t tag = tag_of(line, 3);
	struct place at;
	uint64_t old;
	bool quiet;

	if (rmw(p, tag, line, &at, &old, &quiet))
		return old;
	show(func, line, "cas   %s", show_cell(at.generation, at.cell, expected));
	if (old == expected) {
		show(func, line, "      -> %s", show_cell(at.generation, at.cell, word));
		write_cell(at.generation, at.cell, word);
	} else {
		show(func, line, "      lost to %s", show_cell(at.generation, at.cell, old));
	}
	return quiet ? finish_quietly(tag, old) : finish(tag, old);
}

__u64 model_swap(__u64 *p, __u64 v, const char *func, int line)
{
	uint8_t tag = tag_of(line, 4);
	struct place at;
	uint64_t old;
	bool quiet;

	if (rmw(p, tag, line, &at, &old, &quiet))
		return old;
	show(func, line, "swap  %s", show_cell(at.generation, at.cell, v));
	write_cell(at.generation, at.cell, v);
	return quiet ? finish_quietly(tag, old) : finish(tag, old);
}

__u64 model_add(__u64 *p, __u64 v, const char *func, int line)
{
	uint8_t tag = tag_of(line, 5);
	struct place at;
	uint64_t old;
	bool quiet;

	if (rmw(p, tag, line, &at, &old, &quiet))
		return old;
	show(func, line, "add   %s", show_cell(at.generation, at.cell, old + v));
	write_cell(at.generation, at.cell, old + v);
	return quiet ? finish_quietly(tag, old) : finish(tag, old);
}

/*
 * Of records only what somebody decides by.  A digest is one store: the keys of a
 * scenario differ in both halves, so half of each equals no key, like any other.
 */
void model_copy_in(void *to, const void *from, const char *func, int line)
{
	struct place at;

	if (!locate(to, &at))
		model_bug("%s:%d copies to nowhere", func, line);
	if (at.cell == CELL_NONE)
		return; /* text */
	if (at.cell < CELL_RECORD) {
		const struct ipamd_who *who = from;

		store(&at, key_of(&who->id), func, line);
		at.cell++;
		store(&at, who->start_ns, func, line);
	} else if ((at.cell - CELL_RECORD) % 3 == 2) {
		store(&at, *(const uint8_t *)from, func, line);
	} else {
		store(&at, key_of(from), func, line);
	}
}

void model_copy_out(void *to, const void *from, __u32 size, const char *func, int line)
{
	uint8_t tag = tag_of(line, 6);
	struct place at;
	uint64_t value;

	if (!locate(from, &at) || at.cell == CELL_NONE) {
		memcpy(to, from, size);
		return;
	}
	if (is_constant(&at)) {
		value = read_cell(&at);
	} else if (!replayed(tag, &value)) {
		arrive(0);
		value = finish(tag, read_cell(&at));
		show(func, line, "load  %s", show_cell(at.generation, at.cell, value));
	}
	*(uint8_t *)to = (uint8_t)value;
}

int model_digest_equal(const struct ipamd_digest *a, const struct ipamd_digest *b, const char *func,
		       int line)
{
	return model_load(&a->half[0], func, line) == b->half[0];
}

/* --- The face: helpers.h, but for the hashes --------------------------------------------- */

__u64 model_clock(const char *func, int line)
{
	uint8_t tag = tag_of(line, 7);
	uint64_t value;

	/* Nothing to decide: no pool closes. */
	if (!strcmp(func, "is_closed") && !scenario->closes_us)
		return CLOCK_NS;
	if (replayed(tag, &value))
		return value;
	/* Nothing to see: the clock stands from now on. */
	if (now->ticks == scenario->ticks)
		return finish_quietly(tag, clock_ns(now->ticks));
	arrive(READS_CLOCK);
	show(func, line, "clock is %llu us",
	     (unsigned long long)(clock_ns(now->ticks) - CLOCK_NS) / 1000);
	return finish(tag, clock_ns(now->ticks));
}

bool model_scan_replayed(void *context, unsigned int size)
{
	struct actor *a = self();

	if (run.pos == a->logged || a->tag[run.pos] != TAG_SCAN)
		return false;
	for (unsigned int i = 0; i < size / 8; i++)
		memcpy((char *)context + 8 * i, &a->log[run.pos++], 8);
	return true;
}

unsigned int model_scan_begin(void)
{
	return run.pos;
}

void model_scan_end(unsigned int from, const void *context, unsigned int size)
{
	struct actor *a = self();

	memset(a->tag + from, 0, (size_t)(a->logged - from));
	memset(a->log + from, 0, (size_t)(a->logged - from) * sizeof(*a->log));
	a->logged = (uint8_t)from;
	for (unsigned int i = 0; i < size / 8; i++) {
		uint64_t part;

		memcpy(&part, (const char *)context + 8 * i, 8);
		append(TAG_SCAN, part);
	}
}

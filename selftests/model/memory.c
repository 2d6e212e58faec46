// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Memory: which cell a pointer of the programs leads to, who else may come there,
 * and the store buffers before it.
 */
#include "selftests/model/mem.h"

#include <string.h>

#include "bpf/slot.h"

struct state *now;
struct variable variable;
struct view view[GENERATIONS];

struct actor *self(void)
{
	return &now->actor[run.actor];
}

struct generation *own_generation(void)
{
	return &now->generation[self()->generation];
}

struct view *own_view(void)
{
	return &view[self()->generation];
}

/* --- Keys --------------------------------------------------------------------- */

/* Apart in each half, and in the 40 bits that are the tag. */
struct ipamd_digest key_digest(unsigned int key)
{
	if (key == KEY_NONE)
		return (struct ipamd_digest){{0, 0}};
	return (struct ipamd_digest){{0xa0a0a00000000000ULL | key * 0x0101010101ULL,
				      0xb0b0b0b000000000ULL | key * 0x01010101ULL}};
}

unsigned int key_of(const struct ipamd_digest *digest)
{
	return digest->half[0] & 0xff;
}

unsigned int key_of_tag(uint64_t tag)
{
	return tag & 0xff;
}

uint64_t clock_ns(unsigned int tick)
{
	return CLOCK_NS + (uint64_t)tick * scenario->tick_us * 1000;
}

/* --- Where a pointer of the programs leads ---------------------------------------- */

#define AT_FIELD(array, type, member)                                             \
	((size_t)(offset - offsetof(struct view, array)) % sizeof(struct type) == \
	 offsetof(struct type, member))
#define INDEX_IN(array, size) ((unsigned int)((offset - offsetof(struct view, array)) / (size)))
#define IS_IN(array)                               \
	(offset >= offsetof(struct view, array) && \
	 offset < offsetof(struct view, array) + sizeof(((struct view *)0)->array))

static unsigned int cell_of_holder(size_t offset, uint8_t *ret_half)
{
	unsigned int first = CELL_HOLDER + 3 * INDEX_IN(holders, sizeof(struct ipamd_holder));

	*ret_half = AT_FIELD(holders, ipamd_holder, who.id.half[1]);
	if (*ret_half || AT_FIELD(holders, ipamd_holder, who.id))
		return first;
	if (AT_FIELD(holders, ipamd_holder, who.start_ns))
		return first + 1;
	return AT_FIELD(holders, ipamd_holder, word) ? first + 2 : CELL_NONE;
}

static unsigned int cell_of_record(size_t offset)
{
	unsigned int first = CELL_RECORD + 3 * INDEX_IN(addresses, sizeof(struct ipamd_address));

	if (AT_FIELD(addresses, ipamd_address, key))
		return first;
	if (AT_FIELD(addresses, ipamd_address, workload))
		return first + 1;
	return AT_FIELD(addresses, ipamd_address, bytes) ? first + 2 : CELL_NONE;
}

static unsigned int cell_of(size_t offset, uint8_t *ret_half)
{
	if (IS_IN(words))
		return CELL_WORD + INDEX_IN(words, 8);
	if (IS_IN(holders))
		return cell_of_holder(offset, ret_half);
	if (IS_IN(addresses))
		return cell_of_record(offset);
	if (IS_IN(entries))
		return CELL_ENTRY + INDEX_IN(entries, 8);
	if (IS_IN(names))
		return CELL_NAME + INDEX_IN(names, 8);
	if (IS_IN(tombs))
		return CELL_TOMB + INDEX_IN(tombs, 8);
	if (offset == offsetof(struct view, meta.moving))
		return CELL_MOVING;
	return CELL_NONE;
}

/* false: the caller's own memory. */
bool locate(const void *p, struct place *ret)
{
	*ret = (struct place){.cell = CELL_NONE};
	if ((uintptr_t)p - (uintptr_t)view >= sizeof(view))
		return false;
	ret->generation = (uintptr_t)p >= (uintptr_t)&view[1];
	ret->cell = (uint8_t)cell_of((uintptr_t)p - (uintptr_t)&view[ret->generation], &ret->half);
	return true;
}

bool is_constant(const struct place *at)
{
	unsigned int c = at->cell;

	if (c == CELL_MOVING)
		return !variable.moving;
	if (c >= CELL_RECORD && c < CELL_MOVING)
		return !variable.names;
	if (c >= CELL_NAME && c < CELL_TOMB)
		return !variable.names;
	/* No scenario fills a slot beyond its own. */
	return c < CELL_HOLDER && c >= CELL_WORD + scenario->slots;
}

/*
 * Can nobody else ever come to this cell, as long as it is what it is?  Entries and
 * tombstones of an attachment are reached by its own ADDs and DELs, and by a pointer
 * from the time when the element was another's; records of holders are read by any
 * DEL, but their last word by the manager alone.
 */
bool is_private_cell(const struct place *at)
{
	unsigned int c = at->cell;

	if (c >= CELL_HOLDER && c < CELL_RECORD)
		return (c - CELL_HOLDER) % 3 == 2 && !run.watched;
	if (c >= CELL_ENTRY && c < CELL_NAME)
		return is_private_element(at->generation, BY_HOLDER, (c - CELL_ENTRY) / 3);
	if (c >= CELL_TOMB && c < CELLS)
		return is_private_element(at->generation, TOMBS, (c - CELL_TOMB) / 2);
	return false;
}

/* --- Store buffers -------------------------------------------------------------------- */

void buffer_push(unsigned int generation, unsigned int cell, uint64_t value)
{
	struct actor *a = self();

	if (a->buffered == BUFFER)
		model_bug("a program needs a longer buffer");
	a->buffer[a->buffered++] = (struct waiting){
		.value = value,
		.generation = (uint8_t)generation,
		.cell = (uint8_t)cell,
	};
}

void write_cell(unsigned int generation, unsigned int cell, uint64_t value)
{
	uint64_t *p = &now->generation[generation].cell[cell], old = *p;

	*p = value;
	if (cell < CELL_HOLDER && old != value)
		rule_word(generation, cell, old, value);
}

/* The oldest store becomes visible. */
void buffer_flush(struct actor *a)
{
	struct waiting w = a->buffer[0];

	a->buffered--;
	memmove(a->buffer, a->buffer + 1, a->buffered * sizeof(w));
	memset(a->buffer + a->buffered, 0, sizeof(w));
	if (w.cell >= CELLS) {
		now->generation[w.generation].element[w.cell - CELLS][w.value] = ELEMENT_LINKED;
		show("(flush)", 0, "links the element of %s",
		     show_key(now->generation[w.generation].key[w.cell - CELLS][w.value]));
		return;
	}
	write_cell(w.generation, w.cell, w.value);
	show("(flush)", 0, "%s", show_cell(w.generation, w.cell, w.value));
}

/* The actor's own newest store to it that others do not see yet. */
const struct waiting *find_waiting(const struct place *at)
{
	const struct actor *a = self();

	for (int i = a->buffered - 1; i >= 0; i--)
		if (a->buffer[i].cell == at->cell && a->buffer[i].generation == at->generation)
			return &a->buffer[i];
	return NULL;
}

uint64_t read_cell(const struct place *at)
{
	const struct waiting *w = find_waiting(at);

	return w ? w->value : now->generation[at->generation].cell[at->cell];
}

/* Before a program runs: `step` reads one field of a record as it is, which it alone writes. */
void memory_show_keys(void)
{
	for (unsigned int slot = 0; slot < SLOTS; slot++)
		own_view()->addresses[slot].key =
			key_digest((unsigned int)own_generation()->cell[CELL_RECORD + 3 * slot]);
}

/* --- For the rules, and at the start -------------------------------------------------------- */

struct generation *slot_home(unsigned int slot)
{
	struct generation *g = &now->generation[now->current];

	if (!now->current && slot_state(g->cell[CELL_WORD + slot]) == IPAMD_MOVED)
		g++;
	return g;
}

static unsigned int pool_of(unsigned int slot)
{
	if (scenario->families == DUAL)
		return slot % 2 ? IPAMD_V6 : IPAMD_V4;
	return scenario->families == V6 ? IPAMD_V6 : IPAMD_V4;
}

static void init_view(struct view *v)
{
	uint64_t v4 = scenario->families & V4 ? IPAMD_V4 : IPAMD_NONE;
	uint64_t v6 = scenario->families & V6 ? IPAMD_V6 : IPAMD_NONE;

	v->meta.slots = scenario->slots;
	v->meta.default_pools = 1ULL << 32 | v6 << 16 | v4;
	for (unsigned int family = 0; family < IPAMD_FAMILIES; family++)
		v->pools[family] = (struct ipamd_pool){
			.family = family == IPAMD_V6 ? 6 : 4,
			.cooldown_ms = scenario->cooldown_ms,
			.valid_until_ms = scenario->closes_us
						  ? CLOCK_MS + scenario->closes_us / 1000
						  : IPAMD_FOREVER,
		};
}

/* Every slot FREE and ready, slot 0 for the longest time; address n in slot n - 1. */
void memory_init(void)
{
	struct generation *g = &now->generation[0];

	for (unsigned int i = 0; i < GENERATIONS; i++)
		init_view(&view[i]);
	for (unsigned int slot = 0; slot < scenario->slots; slot++) {
		uint64_t *record = &g->cell[CELL_RECORD + 3 * slot];
		struct ipamd_digest key = key_digest((unsigned int)address_key(slot + 1));
		uint64_t ref = ref_make(&key, slot, slot);

		g->cell[CELL_WORD + slot] =
			slot_word(IPAMD_FREE, pool_of(slot), CLOCK_MS - 100 + slot, 0);
		record[0] = address_key(slot + 1);
		record[2] = slot + 1;
		element_put(0, NAMES, (unsigned int)record[0], &ref);
		now->promise.in_stock |= (uint8_t)(1U << (slot + 1));
	}
}

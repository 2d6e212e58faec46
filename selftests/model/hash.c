// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The kernel's preallocated hashes, as a program sees them.
 *
 *   A lookup answers a pointer to the element and takes no lock.  An element that
 *   is deleted goes to the next insert, of any key, while others may still read
 *   through their pointer.  It keeps its value until then.
 *
 *   An insert takes the bucket's lock, so it needs the store buffer empty; it
 *   writes the value, then links the element, then unlocks.  These are plain
 *   stores: the link (and with it the unlock) waits in the buffer, so that others
 *   may miss an element whose inserter is already further.  Until it is flushed
 *   they wait for the lock.
 *
 *   A delete pushes the element on a free list behind a lock of its own, which
 *   drains the buffer: it is whole at once.
 *
 * The value of an insert is written together with taking the lock.  In between
 * there is nothing to see but the lock, so this only moves the lock closer.  Its
 * words are written at once: of an entry that is inserted as pending, readers look
 * no further than at the first of them.
 *
 * Each key has a bucket of its own; a shared one would only make others wait.
 */
#include "selftests/model/helpers.h"
#include "selftests/model/mem.h"

#include <linux/bpf.h>
#include <string.h>

#define EBUSY_  16
#define EEXIST_ 17
#define ENOENT_ 2
#define E2BIG_  7

/* The cells of an element's value. */
unsigned int element_cells(enum hash hash, unsigned int *ret_first, unsigned int element)
{
	static const unsigned int first[HASHES] = {CELL_ENTRY, CELL_NAME, CELL_TOMB};
	static const unsigned int cells[HASHES] = {3, 1, 2};

	*ret_first = first[hash] + cells[hash] * element;
	return cells[hash];
}

static void *element_pointer(enum hash hash, unsigned int element)
{
	struct view *v = own_view();

	switch (hash) {
	case BY_HOLDER:
		return &v->entries[element];
	case NAMES:
		return &v->names[element];
	default:
		return &v->tombs[element];
	}
}

unsigned int hash_room(enum hash hash)
{
	if (hash == BY_HOLDER)
		return scenario->entries ? scenario->entries : scenario->attachments + 1U;
	if (hash == TOMBS)
		return scenario->tombs ? scenario->tombs : scenario->attachments;
	return ELEMENTS;
}

/* Has this actor linked it, for its own eyes only so far? */
static bool is_linking(unsigned int generation, enum hash hash, unsigned int element,
		       unsigned int actor)
{
	const struct actor *a = &now->actor[actor];

	for (unsigned int i = 0; i < a->buffered; i++)
		if (a->buffer[i].cell == CELLS + hash && a->buffer[i].generation == generation &&
		    a->buffer[i].value == element)
			return true;
	return false;
}

/* As `actor` sees it; -1: not there. */
int element_find(unsigned int generation, enum hash hash, unsigned int key, unsigned int actor)
{
	const struct generation *g = &now->generation[generation];

	for (unsigned int i = 0; i < ELEMENTS; i++) {
		if (g->key[hash][i] != key)
			continue;
		if (g->element[hash][i] == ELEMENT_LINKED ||
		    (g->element[hash][i] == ELEMENT_LINKING &&
		     is_linking(generation, hash, i, actor)))
			return (int)i;
	}
	return -1;
}

/* Does somebody else hold the lock of its bucket? */
static bool is_locked(unsigned int generation, enum hash hash, unsigned int key)
{
	const struct generation *g = &now->generation[generation];

	for (unsigned int i = 0; i < ELEMENTS; i++)
		if (g->key[hash][i] == key && g->element[hash][i] == ELEMENT_LINKING &&
		    !is_linking(generation, hash, i, run.actor))
			return true;
	return false;
}

static void write_element(unsigned int generation, enum hash hash, unsigned int element,
			  unsigned int key, const uint64_t *value)
{
	struct generation *g = &now->generation[generation];
	unsigned int first, n = element_cells(hash, &first, element);

	g->key[hash][element] = (uint8_t)key;
	memcpy(&g->cell[first], value, n * sizeof(*value));
}

/* By one who is alone with the map; replaces. */
unsigned int element_put(unsigned int generation, enum hash hash, unsigned int key,
			 const uint64_t *value)
{
	struct generation *g = &now->generation[generation];
	int found = element_find(generation, hash, key, run.actor);
	unsigned int i = 0;

	if (found >= 0)
		i = (unsigned int)found;
	else
		while (g->element[hash][i] != ELEMENT_FREE)
			if (++i == hash_room(hash))
				model_bug("a hash of the model is too small");
	write_element(generation, hash, i, key, value);
	g->element[hash][i] = ELEMENT_LINKED;
	return i;
}

/* --- Elements that are free --------------------------------------------------------- */

static uint64_t element_code(unsigned int generation, enum hash hash, unsigned int element)
{
	return (uint64_t)generation << 16 | (uint64_t)hash << 8 | (element + 1);
}

/* Does a program that is under way have a pointer to it, other than this actor's? */
static bool is_pointed_at(uint64_t code, unsigned int but)
{
	for (unsigned int i = 0; i < ACTORS; i++) {
		const struct actor *a = &now->actor[i];

		for (unsigned int j = 0; i != but && j < a->logged; j++)
			if (a->tag[j] & TAG_POINTER && a->log[j] == code)
				return true;
	}
	return false;
}

bool is_private_key(unsigned int key)
{
	return key >= KEY_ATTACHMENT && key < KEY_ATTACHMENT + ATTACHMENTS &&
	       run.private & 1U << (key - KEY_ATTACHMENT);
}

/* In use for a private key, and nobody kept a pointer from before. */
bool is_private_element(unsigned int generation, enum hash hash, unsigned int element)
{
	const struct generation *g = &now->generation[generation];

	return g->element[hash][element] != ELEMENT_FREE && is_private_key(g->key[hash][element]) &&
	       !(hash == TOMBS && scenario->tombs) &&
	       !is_pointed_at(element_code(generation, hash, element), run.actor);
}

/*
 * What a free element holds matters only to who has a pointer to it; else it is
 * wiped, so that states are equal that differ in nothing else.
 */
void hash_tidy(void)
{
	for (unsigned int generation = 0; generation < GENERATIONS; generation++) {
		struct generation *g = &now->generation[generation];

		for (enum hash hash = 0; hash < HASHES; hash++) {
			for (unsigned int i = 0; i < ELEMENTS; i++) {
				static const uint64_t nothing[3];

				if (g->element[hash][i] == ELEMENT_FREE && g->key[hash][i] &&
				    !is_pointed_at(element_code(generation, hash, i), ACTORS))
					write_element(generation, hash, i, 0, nothing);
			}
		}
	}
}

/*
 * Which free elements an insert may get, the best first: one that somebody still
 * points at, which is what the kernel does to the one who looks at it too long.
 * All untouched ones are alike.
 */
static unsigned int candidates(enum hash hash, uint8_t ret[ELEMENTS])
{
	const struct generation *g = own_generation();
	unsigned int n = 0, clean = ELEMENTS;

	for (unsigned int i = 0; i < hash_room(hash); i++) {
		if (g->element[hash][i] != ELEMENT_FREE)
			continue;
		if (g->key[hash][i])
			ret[n++] = (uint8_t)i;
		else if (clean == ELEMENTS)
			clean = i;
	}
	if (clean < ELEMENTS && (!n || scenario->fresh_elements))
		ret[n++] = (uint8_t)clean;
	return n;
}

/* An LRU hash throws out an element that is in use rather than refuse. */
static unsigned int victims(unsigned int key, uint8_t ret[ELEMENTS])
{
	const struct generation *g = own_generation();
	unsigned int n = 0;

	for (unsigned int i = 0; i < hash_room(TOMBS); i++)
		if (g->element[TOMBS][i] == ELEMENT_LINKED && g->key[TOMBS][i] != key)
			ret[n++] = (uint8_t)i;
	return n;
}

/* --- The face ------------------------------------------------------------------------- */

static void *lookup_array(unsigned int map, uint32_t index)
{
	struct view *v = own_view();

	switch (map) {
	case MAP_META:
		return index ? NULL : &v->meta;
	case MAP_POOLS:
		return index < IPAMD_FAMILIES ? &v->pools[index] : NULL;
	case MAP_WORDS:
		return index < SLOTS / IPAMD_CHUNK ? &v->words[index] : NULL;
	case MAP_SLOTS:
		return index < SLOTS ? &v->slots[index] : NULL;
	case MAP_ADDRESSES:
		return index < SLOTS ? &v->addresses[index] : NULL;
	case MAP_HOLDERS:
		return index < SLOTS ? &v->holders[index] : NULL;
	case MAP_STATS:
		return index ? NULL : &v->stats;
	default:
		model_bug("a lookup in a map that has none");
	}
}

static const char *hash_name(enum hash hash)
{
	static const char *const names[HASHES] = {"by_holder", "names", "tombs"};

	return names[hash];
}

void *model_lookup(unsigned int map, const void *key, const char *func, int line)
{
	uint8_t tag = tag_of(line, 8) | TAG_POINTER;
	enum hash hash = map - MAP_HASH;
	unsigned int k, generation = self()->generation;
	uint64_t code;
	bool quiet;
	int found;

	if (map < MAP_HASH) {
		uint32_t index;

		memcpy(&index, key, sizeof(index));
		return lookup_array(map, index);
	}
	k = key_of(key);
	if (hash == NAMES && !variable.names) {
		found = element_find(generation, hash, k, run.actor);
		return found < 0 ? NULL : element_pointer(hash, (unsigned int)found);
	}
	if (!replayed(tag, &code)) {
		quiet = is_private_key(k) && !(hash == TOMBS && scenario->tombs);
		if (!quiet)
			arrive(0);
		found = element_find(generation, hash, k, run.actor);
		code = found < 0 ? 0 : element_code(generation, hash, (unsigned int)found);
		show(func, line, "lookup %s of %s: %s", hash_name(hash), show_key(k),
		     found < 0 ? "none" : show_element(generation, hash, (unsigned int)found));
		code = quiet ? finish_quietly(tag, code) : finish(tag, code);
	}
	return code ? element_pointer(hash, (unsigned int)(code & 0xff) - 1) : NULL;
}

static bool may_fail(enum hash hash, uint8_t left)
{
	return left && (hash != NAMES || scenario->names_fail);
}

/* The insert gets this element, and its link waits in the buffer if anybody looks for it. */
static void insert(enum hash hash, unsigned int element, unsigned int key, const uint64_t *value)
{
	struct generation *g = own_generation();

	write_element(self()->generation, hash, element, key, value);
	if (is_private_key(key)) {
		g->element[hash][element] = ELEMENT_LINKED;
		return;
	}
	g->element[hash][element] = ELEMENT_LINKING;
	buffer_push(self()->generation, CELLS + hash, element);
}

/* In place of the one there: the new is linked before the old is unlinked, under the lock. */
static void replace(enum hash hash, unsigned int old, unsigned int element, unsigned int key,
		    const uint64_t *value)
{
	struct generation *g = own_generation();

	write_element(self()->generation, hash, element, key, value);
	g->element[hash][element] = ELEMENT_LINKED;
	g->element[hash][old] = ELEMENT_FREE;
}

static int update(enum hash hash, unsigned int key, const uint64_t *value, __u64 flags)
{
	uint8_t element[ELEMENTS];
	int found = element_find(self()->generation, hash, key, run.actor);
	bool fails = may_fail(hash, now->insert_fails), taken = found >= 0 && flags == BPF_NOEXIST;
	unsigned int n = taken ? 0 : candidates(hash, element);

	if (!n && !taken && hash == TOMBS)
		n = victims(key, element);
	run.choices = (uint8_t)((n ? n : 1) + fails);
	if (fails && run.choice == run.choices - 1) {
		now->insert_fails--;
		now->failed++;
		return -EBUSY_;
	}
	if (taken)
		return -EEXIST_;
	if (!n)
		return -E2BIG_;
	if (found >= 0)
		replace(hash, (unsigned int)found, element[run.choice], key, value);
	else
		insert(hash, element[run.choice], key, value);
	return 0;
}

int model_update(unsigned int map, const void *key, const void *value, __u64 flags,
		 const char *func, int line)
{
	uint8_t tag = tag_of(line, 9);
	enum hash hash = map - MAP_HASH;
	unsigned int k = key_of(key);
	uint64_t parts[3] = {0}, logged;
	unsigned int first;
	bool quiet;
	int r;

	if (replayed(tag, &logged))
		return (int)(int64_t)logged;
	if (map < MAP_HASH || (hash == NAMES && !variable.names))
		model_bug("%s:%d updates what this scenario takes for constant", func, line);
	/* There is an untouched element for each tombstone: they do not meet. */
	quiet = hash == TOMBS && is_private_key(k) && !scenario->tombs && !now->insert_fails;
	if (quiet)
		drain();
	else
		arrive(NEEDS_DRAIN);
	wait_while(is_locked(self()->generation, hash, k));
	memcpy(parts, value, element_cells(hash, &first, 0) * sizeof(*parts));
	r = update(hash, k, parts, flags);
	show(func, line, "insert %s of %s: %s", hash_name(hash), show_key(k),
	     r == -EEXIST_  ? "there already"
	     : r == -E2BIG_ ? "no room"
	     : r            ? "EBUSY"
			    : "done");
	if (quiet)
		finish_quietly(tag, (uint64_t)(int64_t)r);
	else
		finish(tag, (uint64_t)(int64_t)r);
	return r;
}

/*
 * A delete that fails changes nothing, so others cannot tell one from many: either
 * the next tries of the same loop fail too, or the failure might as well not have been.
 */
int model_delete(unsigned int map, const void *key, const char *func, int line)
{
	uint8_t tag = tag_of(line, 10);
	enum hash hash = map - MAP_HASH;
	unsigned int k = key_of(key);
	uint64_t logged;
	int found, r = 0;

	if (run.delete_failing)
		return -EBUSY_;
	if (replayed(tag, &logged)) {
		run.delete_failing = (int64_t)logged == -EBUSY_;
		return (int)(int64_t)logged;
	}
	if (map < MAP_HASH || (hash == NAMES && !variable.names))
		model_bug("%s:%d deletes what this scenario takes for constant", func, line);
	arrive(NEEDS_DRAIN);
	wait_while(is_locked(self()->generation, hash, k));
	found = element_find(self()->generation, hash, k, run.actor);
	if (may_fail(hash, now->delete_fails)) {
		run.choices = 2;
		if (run.choice == 1)
			r = -EBUSY_;
	}
	if (r) {
		now->delete_fails--;
		now->failed++;
	} else if (found < 0) {
		r = -ENOENT_;
	} else {
		own_generation()->element[hash][found] = ELEMENT_FREE;
	}
	show(func, line, "delete %s of %s: %s", hash_name(hash), show_key(k),
	     r == -ENOENT_ ? "none there"
	     : r           ? "EBUSY, and again"
			   : "done");
	finish(tag, (uint64_t)(int64_t)r);
	run.delete_failing = r == -EBUSY_;
	return r;
}

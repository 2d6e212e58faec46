// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The states that were seen.  Of each only its 128-bit hash stays, with the move
 * that led to it: that two of some 10^7 states share one happens once in 10^24 runs.
 */
#include "selftests/model/model.h"

#include <stdlib.h>
#include <string.h>

struct node {
	uint64_t hash[2];
	uint32_t parent;
	struct move move;
};

/* All states that were seen, in the order in which they were; and by hash. */
static struct {
	struct node *node;
	uint32_t nodes, room;
	uint32_t *bucket; /* number + 1 */
	uint32_t buckets;
} seen;

enum { ENDS = 1 << 17 };

static struct {
	uint64_t hash[ENDS];
	uint32_t n;
} ends;

/* --- Packed states ------------------------------------------------------------------- */

static char *put(char *at, const void *from, size_t size)
{
	memcpy(at, from, size);
	return at + size;
}

static const char *get(const char *at, void *to, size_t size)
{
	memcpy(to, at, size);
	return at + size;
}

static size_t shared_size(void)
{
	return variable.moving ? offsetof(struct state, actor)
			       : offsetof(struct state, generation[1]);
}

void pack(const struct state *s, struct packed *ret)
{
	char *at = put(ret->bytes, s, shared_size());

	for (unsigned int i = 0; i < ACTORS; i++) {
		const struct actor *a = &s->actor[i];

		at = put(at, a, offsetof(struct actor, buffer));
		for (unsigned int j = 0; j < a->buffered; j++) {
			at = put(at, &a->buffer[j].value, sizeof(a->buffer[j].value));
			*at++ = (char)a->buffer[j].generation;
			*at++ = (char)a->buffer[j].cell;
		}
		at = put(at, a->tag, a->logged);
		at = put(at, a->log, a->logged * sizeof(*a->log));
	}
	ret->size = (uint16_t)(at - ret->bytes);
}

void unpack(const char *at, struct state *ret)
{
	memset(ret, 0, sizeof(*ret));
	at = get(at, ret, shared_size());
	for (unsigned int i = 0; i < ACTORS; i++) {
		struct actor *a = &ret->actor[i];

		at = get(at, a, offsetof(struct actor, buffer));
		for (unsigned int j = 0; j < a->buffered; j++) {
			at = get(at, &a->buffer[j].value, sizeof(a->buffer[j].value));
			a->buffer[j].generation = (uint8_t)*at++;
			a->buffer[j].cell = (uint8_t)*at++;
		}
		at = get(at, a->tag, a->logged);
		at = get(at, a->log, a->logged * sizeof(*a->log));
	}
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static void hash_packed(const struct packed *p, uint64_t ret[2])
{
	uint64_t x = p->size, y = ~(uint64_t)p->size;

	for (size_t i = 0; i < p->size; i += 8) {
		uint64_t part = 0;

		memcpy(&part, p->bytes + i, p->size - i < 8 ? p->size - i : 8);
		x = mix(x ^ part ^ 0x9e3779b97f4a7c15ULL, 0xd6e8feb86659fd93ULL);
		y = mix(y ^ part ^ 0xc2b2ae3d27d4eb4fULL, 0xa0761d6478bd642fULL);
	}
	ret[0] = mix(x ^ 0x8ebc6af09c88c6e3ULL, 0x589965cc75374cc3ULL);
	ret[1] = mix(y ^ 0x1d8e4e27c47d124fULL, 0xe7037ed1a0b428dbULL);
}

/* --- What was seen ---------------------------------------------------------------------- */

static void rehash(void)
{
	seen.buckets = seen.buckets ? 2 * seen.buckets : 1U << 16;
	free(seen.bucket);
	seen.bucket = calloc(seen.buckets, sizeof(*seen.bucket));
	if (!seen.bucket)
		model_bug("no memory left; smaller bounds are needed");
	for (uint32_t i = 0; i < seen.nodes; i++) {
		uint32_t b = (uint32_t)seen.node[i].hash[0];

		while (seen.bucket[b & (seen.buckets - 1)])
			b++;
		seen.bucket[b & (seen.buckets - 1)] = i + 1;
	}
}

static void add_node(const uint64_t hash[2], uint32_t parent, struct move move)
{
	if (seen.nodes == seen.room) {
		seen.room = seen.room ? 2 * seen.room : 1U << 15;
		seen.node = realloc(seen.node, seen.room * sizeof(*seen.node));
		if (!seen.node)
			model_bug("no memory left; smaller bounds are needed");
	}
	seen.node[seen.nodes++] = (struct node){{hash[0], hash[1]}, parent, move};
}

bool seen_note(const struct packed *p, uint32_t parent, struct move move)
{
	uint64_t hash[2];
	uint32_t b, found;

	hash_packed(p, hash);
	if (2 * (seen.nodes + 1) > seen.buckets)
		rehash();
	for (b = (uint32_t)hash[0]; (found = seen.bucket[b & (seen.buckets - 1)]); b++)
		if (!memcmp(seen.node[found - 1].hash, hash, sizeof(hash)))
			return false;
	seen.bucket[b & (seen.buckets - 1)] = seen.nodes + 1;
	add_node(hash, parent, move);
	return true;
}

void seen_add(uint32_t parent, struct move move)
{
	add_node((uint64_t[2]){0}, parent, move);
}

void seen_init(void)
{
	seen.nodes = 0;
	if (seen.bucket)
		memset(seen.bucket, 0, seen.buckets * sizeof(*seen.bucket));
	memset(&ends, 0, sizeof(ends));
}

uint32_t seen_last(void)
{
	return seen.nodes - 1;
}

uint32_t seen_parent(uint32_t number)
{
	return seen.node[number].parent;
}

struct move seen_move(uint32_t number)
{
	return seen.node[number].move;
}

size_t seen_bytes(void)
{
	return seen.room * sizeof(*seen.node) + seen.buckets * sizeof(*seen.bucket);
}

/* --- How it may end -----------------------------------------------------------------------------
 */

/* Words, their holders, and what was promised; not which element of a hash is used. */
void seen_end(const struct state *s)
{
	struct packed p;
	char *at = put(p.bytes, &s->promise, sizeof(s->promise));
	uint64_t hash[2];
	uint32_t b;

	for (unsigned int slot = 0; slot < scenario->slots; slot++) {
		const struct generation *g = slot_home(slot);

		at = put(at, &g->cell[CELL_WORD + slot], sizeof(uint64_t));
		at = put(at, &g->cell[CELL_HOLDER + 3 * slot], 3 * sizeof(uint64_t));
	}
	p.size = (uint16_t)(at - p.bytes);
	hash_packed(&p, hash);
	for (b = (uint32_t)hash[0] % ENDS; ends.hash[b]; b = (b + 1) % ENDS)
		if (ends.hash[b] == hash[1])
			return;
	ends.hash[b] = hash[1];
	if (++ends.n > ENDS / 2)
		model_bug("too many ends");
}

uint32_t seen_ends(void)
{
	return ends.n;
}

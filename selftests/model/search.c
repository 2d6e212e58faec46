// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Breadth-first through all states that a scenario can reach, so that the first
 * broken rule has the shortest trace.
 *
 * Whole states are kept for two layers alone.  Every move adds to a log or takes from a
 * store buffer, a script or a bound, so there are no circles and the search ends.
 */
#include "selftests/model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct scenario *scenario;
bool search_plain;

/* A layer: packed states, one behind the other. */
struct layer {
	char *bytes;
	size_t size, room;
	uint32_t states;
};

static struct {
	uint64_t transitions;
	unsigned int depth;
	uint32_t most; /* states, before the search gives up */
	size_t bytes;
} count;

static void *grow(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		model_bug("no memory left; smaller bounds are needed");
	return p;
}

static void layer_add(struct layer *l, const struct packed *p, uint32_t number)
{
	size_t need = l->size + sizeof(number) + sizeof(p->size) + p->size;

	if (!l->bytes || need > l->room) {
		l->room = l->room ? 2 * l->room : 1U << 20;
		l->bytes = grow(l->bytes, l->room);
	}
	memcpy(l->bytes + l->size, &number, sizeof(number));
	memcpy(l->bytes + l->size + sizeof(number), &p->size, sizeof(p->size));
	memcpy(l->bytes + need - p->size, p->bytes, p->size);
	l->size = need;
	l->states++;
}

/* --- Moves --------------------------------------------------------------------------------- */

static void check(void)
{
	struct move moves[3 * ACTORS + 4];

	if (!rule_broken)
		rule_state();
	if (rule_broken || actor_moves(moves))
		return;
	if (actor_all_done())
		rule_rest();
	else
		rule_break(RULE_STUCK, "nobody can go on, and not everybody is done");
}

/* All outcomes of one move; false when a rule broke.  *progress: some lead elsewhere. */
static bool explore(const struct state *from, uint32_t number, struct move move, struct layer *next,
		    bool *progress)
{
	unsigned int outcomes;

	do {
		static struct state to;
		struct packed p;

		memcpy(&to, from, sizeof(to));
		now = &to;
		outcomes = actor_do(move);
		count.transitions++;
		check();
		if (rule_broken) { /* perhaps by the move, not by where it leads */
			seen_add(number, move);
			return false;
		}
		pack(&to, &p);
		*progress |= memcmp(&to, from, sizeof(to)) != 0;
		/* Not when it was seen, or when the move was blocked. */
		if (!seen_note(&p, number, move))
			continue;
		layer_add(next, &p, seen_last());
		if (actor_all_done())
			seen_end(&to);
	} while (++move.choice < outcomes);
	return true;
}

static void explore_layer(const struct layer *layer, struct layer *next)
{
	const char *at = layer->bytes;

	for (uint32_t i = 0; i < layer->states; i++) {
		struct move moves[3 * ACTORS + 4];
		struct state from;
		uint32_t number;
		uint16_t size;
		bool progress = false;
		unsigned int n;

		memcpy(&number, at, sizeof(number));
		memcpy(&size, at + sizeof(number), sizeof(size));
		unpack(at + sizeof(number) + sizeof(size), &from);
		at += sizeof(number) + sizeof(size) + size;
		now = &from;
		n = actor_moves(moves);
		for (unsigned int j = 0; j < n; j++)
			if (!explore(&from, number, moves[j], next, &progress))
				return;
		if (n && !progress) {
			rule_break(RULE_STUCK, "all wait for each other");
			seen_add(number, (struct move){.kind = MOVE_NONE});
			return;
		}
		if (seen_last() >= count.most)
			model_bug("more than %u states; MODEL_STATES lifts the bound", count.most);
	}
}

/* --- At the start ---------------------------------------------------------------------------- */

static bool any_op(const struct scenario *s, enum verb from, enum verb to)
{
	for (unsigned int i = 0; i < ACTORS; i++)
		for (const struct op *op = s->actor[i].op; op->verb; op++)
			if (op->verb >= from && op->verb <= to)
				return true;
	return false;
}

static void start_actors(struct state *s)
{
	memset(s->actor, 0, sizeof(s->actor));
	for (unsigned int i = 0; i < ACTORS; i++)
		s->actor[i].phase = scenario->actor[i].op[0].verb ? IDLE : DONE;
}

/* The setup runs alone, as actor 1, with none of the scenario's accidents. */
static void run_setup(const struct scenario *s)
{
	static struct scenario setup;
	struct move moves[3 * ACTORS + 4];
	bool aloud;

	setup = *s;
	setup.crashes = setup.kills = setup.delete_fails = setup.insert_fails = 0;
	setup.ticks = 0;
	memset(setup.actor, 0, sizeof(setup.actor));
	memcpy(setup.actor[0].op, s->setup, sizeof(s->setup));
	scenario = &setup;
	variable = (struct variable){.names = true, .moving = false};
	start_actors(now);
	aloud = show_on;
	while (actor_moves(moves)) {
		show_on = aloud && now->actor[0].phase == IDLE;
		actor_do(moves[0]);
	}
	show_on = aloud;
}

static void start(const struct scenario *s, struct state *ret)
{
	memset(ret, 0, sizeof(*ret));
	rule_broken = RULE_NONE;
	now = ret;
	scenario = s;
	memory_init();
	if (s->setup[0].verb) {
		run_setup(s);
		show("", 0, "is done, and now:");
	}
	scenario = s;
	variable = (struct variable){
		.names = any_op(s, OP_DRAIN, OP_UNFIX),
		.moving = any_op(s, OP_MOVE_START, OP_MOVE_COMMIT),
	};
	start_actors(ret);
	ret->crashes = s->crashes;
	ret->kills = s->kills;
	ret->delete_fails = s->delete_fails;
	ret->insert_fails = s->insert_fails;
}

/* --- The way to a node, told --------------------------------------------------------------------
 */

static void tell(uint32_t number)
{
	enum rule broken = rule_broken;
	uint32_t *way = NULL, n = 0;
	static struct state s;

	for (uint32_t at = number; at; at = seen_parent(at)) {
		way = grow(way, (n + 1) * sizeof(*way));
		way[n++] = at;
	}
	show_on = true;
	start(scenario, &s);
	while (n--) {
		actor_do(seen_move(way[n]));
		check();
	}
	show_on = false;
	free(way);
	rule_broken = broken;
	printf("# rule: %s\n# broken: invariant %s\n# because: %s\n", rule_name(broken),
	       rule_says(broken), rule_text);
}

/* Every verdict that somebody got. */
static void tell_verdicts(const struct scenario *s)
{
	static const char *const names[] = {"",      "ADD",     "DEL",   "death", "look",
					    "drain", "fill",    "fix",   "unfix", "move",
					    "copy",  "rebuild", "commit"};

	printf("# %s:", s->name);
	for (unsigned int verb = 1; verb <= OP_MOVE_COMMIT; verb++) {
		if (!rule_verdicts[verb])
			continue;
		printf(" %s", names[verb]);
		for (int v = 0; v < IPAMD_VERDICTS; v++)
			if (rule_verdicts[verb] & 1U << v)
				printf(" %s", show_verdict(v));
		printf(";");
	}
	putchar('\n');
}

static void tell_bounds(const struct scenario *s, double took, bool complete)
{
	unsigned int actors = 0;

	for (unsigned int i = 0; i < ACTORS; i++)
		actors += s->actor[i].op[0].verb != OP_END;
	printf("# %s: actors %u, addresses %u, attachments %u, crashes %u, kills %u, ticks %u, "
	       "failures %u, retries %u: %u states, %llu transitions, depth %u, %u ends, %.1f s, "
	       "%zu MB%s\n",
	       s->name, actors, s->slots, s->attachments, s->crashes, s->kills, s->ticks,
	       s->delete_fails + s->insert_fails, s->retries, seen_last() + 1,
	       (unsigned long long)count.transitions, count.depth, seen_ends(), took,
	       count.bytes >> 20, complete ? "" : ", until a rule broke");
	tell_verdicts(s);
	fflush(stdout);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t most_states(void)
{
	const char *s = getenv("MODEL_STATES");

	return s ? (uint32_t)strtoul(s, NULL, 10) : 20000000;
}

/* What a scenario leaves open; and how much wider its bounds are wanted. */
static struct scenario whole(const struct scenario *s)
{
	const char *wanted = getenv("MODEL_MORE");
	uint8_t more = (uint8_t)(wanted ? atoi(wanted) : 0);
	struct scenario ret = *s;

	ret.slots = s->slots ? s->slots : 2;
	ret.families = s->families ? s->families : V4;
	ret.retries = (uint8_t)((s->retries ? s->retries : 1) + more);
	ret.crashes += s->crashes ? more : 0;
	ret.kills += s->kills ? more : 0;
	ret.ticks += s->ticks ? more : 0;
	ret.delete_fails += s->delete_fails ? more : 0;
	ret.insert_fails += s->insert_fails ? more : 0;
	ret.fresh_elements |= more != 0;
	return ret;
}

static void explore_from(const struct state *first)
{
	struct layer here = {0}, next = {0};
	struct packed p;

	pack(first, &p);
	seen_note(&p, 0, (struct move){0});
	layer_add(&here, &p, 0);
	while (!rule_broken && here.states) {
		struct layer done = here;

		count.depth++;
		explore_layer(&here, &next);
		if (count.bytes < here.room + next.room)
			count.bytes = here.room + next.room;
		here = next;
		next = (struct layer){.bytes = done.bytes, .room = done.room};
	}
	count.bytes += seen_bytes();
	free(here.bytes);
	free(next.bytes);
}

struct result search(const struct scenario *given)
{
	static struct scenario s;
	static struct state first;
	double began = seconds();

	s = whole(given);
	search_plain |= getenv("MODEL_PLAIN") != NULL;
	seen_init();
	memset(&count, 0, sizeof(count));
	memset(rule_verdicts, 0, sizeof(rule_verdicts));
	count.most = most_states();
	start(&s, &first);
	check();
	explore_from(&first);
	tell_bounds(&s, seconds() - began, !rule_broken);
	if (rule_broken)
		tell(seen_last());
	return (struct result){.rule = rule_broken, .states = seen_last() + 1, .ends = seen_ends()};
}

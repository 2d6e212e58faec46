/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A small exhaustive model of the programs in bpf/ipamd.bpf.c.
 *
 * The real source is compiled for the host; mem.h and helpers.h of this
 * directory stand in for memory and for the kernel's helpers, and cut the
 * programs at each access that others can see.  Breadth-first, every order of
 * these accesses is tried, up to the bounds of a scenario.
 *
 *	product.c   the programs under test, and the headers that stand in
 *	access.c    how a program is cut: its loads, stores and atomics
 *	memory.c    where they lead to, and the store buffers in between
 *	hash.c      the kernel's hashes: elements that are recycled at once
 *	actor.c     callers: scripts of ADDs and DELs, retries, crashes
 *	manager.c   the manager: zombie look, drain, fill, fix, move
 *	rules.c     what must hold
 *	seen.c      states, packed and hashed
 *	search.c    breadth-first search, and the shortest way to a broken rule
 *	show.c      values and traces for people
 *
 * A program that is under way is no saved stack but the list of results that its
 * accesses got so far (its log): its next access is made by running it from the
 * start with the same request, answering from the log, and leaving by longjmp at
 * the access after the next.  So a state is plain bytes that can be copied and
 * hashed, and equal logs mean equal programs.
 *
 * Memory is that of x86: plain stores wait in a buffer of their own, first in
 * first out, their owner sees them at once, others when they are flushed, which
 * is a step of its own; whatever is locked needs the buffer empty.  What weaker
 * machines may reorder beyond that is not modelled.
 */
#ifndef IPAMD_SELFTESTS_MODEL_H
#define IPAMD_SELFTESTS_MODEL_H

/* Two words a chunk: a scan of two slots is one chunk and two loads. */
#define IPAMD_CHUNK 2

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

enum {
	GENERATIONS = 2,
	ACTORS = 4,
	ATTACHMENTS = 3,
	ADDRESSES = 4,
	SLOTS = 4,
	ELEMENTS = 6, /* of one hash, at most */
	OPS = 8,      /* of one script */
	LOG = 56,     /* results that one program may need */
	BUFFER = 12,  /* stores that wait */
};

#define CLOCK_NS 1000000000000ULL /* what the clock shows at the start */
#define CLOCK_MS (CLOCK_NS / 1000000)

/* --- Scenarios --------------------------------------------------------------- */

enum verb {
	OP_END,
	OP_ADD,
	OP_DEL,
	OP_DIE,   /* the network namespace of (who, start) is gone */
	OP_LOOK,  /* the manager at a slot: held by a dead one? reclaim */
	OP_DRAIN, /* FREE -> LEAVING -> EMPTY */
	OP_FILL,  /* EMPTY -> FREE with another address */
	OP_FIX,   /* a slot for the workload */
	OP_UNFIX,
	OP_MOVE_START, /* to the other generation, as userspace/edge/move.c does it */
	OP_MOVE_SLOT,
	OP_MOVE_TOMBS,
	OP_MOVE_COMMIT,
};

enum family_set { V4 = 1, V6 = 2, DUAL = 3 };

/* Attachments by letter; addresses by number from 1, 0 is none. */
struct op {
	enum verb verb;
	uint8_t who;
	uint8_t start;    /* when the ADD or DEL began; 0: when it runs, see state.seq */
	uint8_t slot;     /* of a step */
	uint8_t address;  /* wanted, or filled */
	uint8_t workload; /* 1: the request names the workload */
	bool backwards;   /* a look copies the record from its end */
};

#define ADD(a, s, ...) ((struct op){.verb = OP_ADD, .who = (a) - 'a', .start = (s), __VA_ARGS__})
#define DEL(a, s)      ((struct op){.verb = OP_DEL, .who = (a) - 'a', .start = (s)})
#define DIE(a, s)      ((struct op){.verb = OP_DIE, .who = (a) - 'a', .start = (s)})
#define AT(v, s, ...)  ((struct op){.verb = OP_##v, .slot = (s), __VA_ARGS__})

/* To the other generation, of a scenario with two slots. */
#define MOVE \
	AT(MOVE_START, 0), AT(MOVE_SLOT, 0), AT(MOVE_SLOT, 1), AT(MOVE_TOMBS, 0), AT(MOVE_COMMIT, 0)

struct script {
	struct op op[OPS];
	bool may_crash; /* its caller may be killed between two programs */
	bool may_die;   /* the manager may be killed anywhere outside `step`: starts over */
};

struct scenario {
	const char *name;
	uint8_t slots;    /* 0: two */
	uint8_t families; /* 0: V4; of DUAL every second slot is v6 */
	uint8_t attachments;
	uint8_t cooldown_ms;
	uint8_t ticks; /* how often the clock moves, and how far */
	uint32_t tick_us;
	uint32_t closes_us; /* the pools' valid_until, from the start; 0: never */
	uint8_t crashes, kills;
	uint8_t delete_fails, insert_fails; /* how many hash calls answer EBUSY */
	uint8_t retries;     /* after BUSY, among others (0: one); later ones alone */
	uint8_t entries;     /* room in by_holder; 0: enough */
	uint8_t tombs;       /* room for tombstones; 0: enough; else the oldest goes */
	bool names_fail;     /* the failures count for `names` too */
	bool fresh_elements; /* a hash may also hand out another than the last freed */
	struct op setup[OPS];
	struct script actor[ACTORS];
};

extern const struct scenario *scenario;

/* What the scripts can change; the rest of memory is constant, and no step. */
struct variable {
	bool names, moving;
};
extern struct variable variable;

/* --- State --------------------------------------------------------------------- */

/* Eight bytes each; see cell_of() for what of the maps is where. */
enum cell {
	CELL_WORD = 0,
	CELL_HOLDER = CELL_WORD + SLOTS,       /* id, start, word */
	CELL_RECORD = CELL_HOLDER + 3 * SLOTS, /* key, workload, address */
	CELL_MOVING = CELL_RECORD + 3 * SLOTS,
	CELL_ENTRY = CELL_MOVING + 1, /* first, second, slots */
	CELL_NAME = CELL_ENTRY + 3 * ELEMENTS,
	CELL_TOMB = CELL_NAME + ELEMENTS, /* check, start */
	CELLS = CELL_TOMB + 2 * ELEMENTS,
	CELL_NONE = 0xff, /* nobody decides by it */
};

enum hash { BY_HOLDER, NAMES, TOMBS, HASHES };

enum element_state { ELEMENT_FREE, ELEMENT_LINKING, ELEMENT_LINKED };

struct generation {
	uint64_t cell[CELLS];
	uint8_t key[HASHES][ELEMENTS];
	uint8_t element[HASHES][ELEMENTS]; /* enum element_state */
};

enum need { NEEDS_DRAIN = 1, READS_CLOCK = 2 };

struct waiting { /* a store in a buffer */
	uint64_t value;
	uint8_t generation;
	uint8_t cell; /* or CELLS + hash: links element `value` */
};

enum phase {
	IDLE, /* before its next program */
	RUNNING,
	ALONE,  /* was told BUSY often enough: next try when nobody else runs */
	MOVING, /* was told MOVING: next try when `current` has changed */
	DONE,
};

struct actor {
	uint8_t op, phase, retries;
	uint8_t generation; /* whose maps it has open */
	uint8_t start, begin_tick, begin_failed;
	uint8_t next;    /* enum need of its next access */
	uint8_t in_step; /* the manager, inside a program */
	uint8_t buffered, logged;
	struct waiting buffer[BUFFER];
	uint8_t tag[LOG];
	uint64_t log[LOG];
};

/* What was promised to whom; changes with the answers, not with memory. */
struct promise {
	uint8_t own[ATTACHMENTS][IPAMD_FAMILIES]; /* answered, not yet given back */
	uint8_t own_start[ATTACHMENTS];
	uint8_t answered[ATTACHMENTS]; /* some ADD got OK */
	uint8_t held[ATTACHMENTS];     /* bits: addresses that it ever held */
	uint8_t del_begun[ATTACHMENTS], del_done[ATTACHMENTS];
	uint8_t dead[ATTACHMENTS];        /* everything that began until then */
	uint16_t ready_ms[ADDRESSES + 1]; /* after CLOCK_MS; not to be handed out before */
	uint8_t in_stock;                 /* bits: addresses that some slot must have */
	uint8_t of_workload;              /* bits: last released by the workload's own pod */
};

struct state {
	struct promise promise;
	uint8_t current, alone, seq, ticks;
	uint8_t crashes, kills, delete_fails, insert_fails, failed;
	struct generation generation[GENERATIONS];
	struct actor actor[ACTORS];
};

/* The state that the running actor works on. */
extern struct state *now;

uint64_t clock_ns(unsigned int tick);

/* --- Keys: digests by number ------------------------------------------------------ */

enum key {
	KEY_NONE = 0,
	KEY_ATTACHMENT = 1,
	KEY_ADDRESS = 0x10,
	KEY_WORKLOAD = 0x20,
};

struct ipamd_digest key_digest(unsigned int key);
unsigned int key_of(const struct ipamd_digest *digest);
unsigned int key_of_tag(uint64_t tag);

/* --- memory.c ---------------------------------------------------------------------- */

/* What the programs point at.  Only what never changes is read from it. */
struct view {
	struct ipamd_meta meta;
	struct ipamd_pool pools[IPAMD_FAMILIES];
	struct ipamd_chunk words[SLOTS / IPAMD_CHUNK];
	struct ipamd_slot slots[SLOTS];
	struct ipamd_address addresses[SLOTS];
	struct ipamd_holder holders[SLOTS];
	struct ipamd_entry entries[ELEMENTS];
	__u64 names[ELEMENTS];
	struct ipamd_tomb tombs[ELEMENTS];
	struct ipamd_stats stats;
};
extern struct view view[GENERATIONS];

/* Where a pointer into the views leads. */
struct place {
	uint8_t generation, cell;
	uint8_t half; /* of a digest */
};

/* The running actor, and the maps that it has open. */
struct actor *self(void);
struct generation *own_generation(void);
struct view *own_view(void);

/* false: the caller's own memory. */
bool locate(const void *p, struct place *ret);
bool is_constant(const struct place *at);
bool is_private_cell(const struct place *at);

/* As the running actor sees it. */
uint64_t read_cell(const struct place *at);
void write_cell(unsigned int generation, unsigned int cell, uint64_t value);

/* The actor's own newest store to it that others do not see yet, or NULL. */
const struct waiting *find_waiting(const struct place *at);
void buffer_push(unsigned int generation, unsigned int cell, uint64_t value);
void buffer_flush(struct actor *a);

/* The map that counts for this slot now. */
struct generation *slot_home(unsigned int slot);

/* The start of a scenario, and of a program. */
void memory_init(void);
void memory_show_keys(void);

/* --- access.c ---------------------------------------------------------------------- */

/* One run of a program, from its start to where it is cut. */
struct run {
	uint8_t actor;
	uint8_t pos; /* in the log */
	bool spent;  /* the one access of this step is made */
	bool fresh;  /* past what the log remembers: stores count */
	bool delete_failing;
	uint8_t choice;  /* which of the outcomes of the access */
	uint8_t choices; /* how many it has */
	uint8_t private; /* bits: attachments that no other script has any more */
	bool watched;    /* others read every slot and record */
	jmp_buf halt;
};
extern struct run run;

/*
 * An access, whatever it is to:
 *
 *	if (replayed(tag, &result))	made in an earlier step
 *		return result;
 *	arrive(needs);			does not return when it is one too many for this step
 *	wait_while(...);		does not return when others must go on first
 *	... it is made ...
 *	return finish(tag, result);
 *
 * One that is no step of its own has drain(), if it is locked, and finish_quietly().
 */
uint8_t tag_of(int line, unsigned int kind);
bool replayed(uint8_t tag, uint64_t *ret);
void arrive(unsigned int needs);
void drain(void);
void wait_while(bool blocked);
uint64_t finish(uint8_t tag, uint64_t result);
uint64_t finish_quietly(uint8_t tag, uint64_t result);

enum { TAG_POINTER = 0x80 }; /* a result that is an element: element_code() */

/* --- hash.c -------------------------------------------------------------------------- */

bool is_private_key(unsigned int key);
bool is_private_element(unsigned int generation, enum hash hash, unsigned int element);
unsigned int element_cells(enum hash hash, unsigned int *ret_first, unsigned int element);
int element_find(unsigned int generation, enum hash hash, unsigned int key, unsigned int actor);
unsigned int element_put(unsigned int generation, enum hash hash, unsigned int key,
			 const uint64_t *value);
unsigned int hash_room(enum hash hash);
void hash_tidy(void);

/* --- actor.c ------------------------------------------------------------------------- */

enum move_kind { MOVE_RUN, MOVE_FLUSH, MOVE_CRASH, MOVE_KILL, MOVE_TICK, MOVE_NONE };

/* What the scheduler does next. */
struct move {
	uint8_t kind, actor, choice;
};

const struct op *actor_op(unsigned int actor);
unsigned int actor_moves(struct move *ret);
/* Does it to *now; returns how many outcomes the access had. */
unsigned int actor_do(struct move move);
void actor_init(void);
bool actor_all_done(void);

/* In product.c and manager.c; they run under the scheduler. */
int product_run(enum ipamd_verb verb, struct ipamd_request *req);
int manager_run(const struct op *op);
struct ipamd_request *request_new(enum ipamd_verb verb);
uint64_t address_key(unsigned int address);

/* --- rules.c ------------------------------------------------------------------------- */

enum rule {
	RULE_NONE,
	RULE_TWO_HOLDERS,
	RULE_RECORD,
	RULE_COOLDOWN,
	RULE_DUPLICATE,
	RULE_TAKEN_AWAY,
	RULE_TWO_ADDRESSES,
	RULE_TWO_ANSWERS,
	RULE_FALSE_ANSWER,
	RULE_OVERTAKEN,
	RULE_LEFTOVER,
	RULE_ORPHAN,
	RULE_ENTRY,
	RULE_CONSERVED,
	RULE_NAME,
	RULE_RESERVED,
	RULE_WANTED,
	RULE_HALF,
	RULE_READY_TIME,
	RULE_BUSY_ALONE,
	RULE_STUCK,
	RULE_BROKEN,
	RULES,
};

/* What was found, or RULE_NONE. */
extern enum rule rule_broken;
extern char rule_text[256];

__attribute__((format(printf, 2, 3))) void rule_break(enum rule rule, const char *format, ...);
const char *rule_name(enum rule rule);
const char *rule_says(enum rule rule);

void rule_word(unsigned int generation, unsigned int slot, uint64_t from, uint64_t to);
void rule_begin(const struct op *op, unsigned int start);
void rule_end(const struct op *op, unsigned int start, int verdict,
	      const struct ipamd_request *req);
void rule_state(void);
void rule_rest(void);

/* Which verdicts were answered, and to what: shows what a scenario reaches. */
extern uint32_t rule_verdicts[OP_MOVE_COMMIT + 1];

/* --- seen.c -------------------------------------------------------------------------- */

/* Without the unused ends of logs and buffers. */
struct packed {
	char bytes[sizeof(struct state) + 16];
	uint16_t size;
};

void pack(const struct state *s, struct packed *ret);
void unpack(const char *bytes, struct state *ret);

/* Forgets all. */
void seen_init(void);

/* True when it is new; it is the last one then. */
bool seen_note(const struct packed *p, uint32_t parent, struct move move);

/* One that has no state: a move that broke a rule. */
void seen_add(uint32_t parent, struct move move);
uint32_t seen_last(void);
uint32_t seen_parent(uint32_t number);
struct move seen_move(uint32_t number);
size_t seen_bytes(void);

/* A state in which everybody is done; how many different ones there were. */
void seen_end(const struct state *s);
uint32_t seen_ends(void);

/* --- search.c ------------------------------------------------------------------------ */

struct result {
	enum rule rule; /* the one that broke, or RULE_NONE */
	uint32_t states;
	uint32_t ends; /* how many different ones there are when everybody is done */
};

/* Every access is a step, however private: what the reductions are measured by. */
extern bool search_plain;

/* Prints bounds and counts, and the trace when a rule is broken. */
struct result search(const struct scenario *s);

/* --- show.c -------------------------------------------------------------------------- */

extern bool show_on;

const char *show_word(uint64_t word);
const char *show_cell(unsigned int generation, unsigned int cell, uint64_t value);
const char *show_key(unsigned int key);
const char *show_element(unsigned int generation, enum hash hash, unsigned int element);
const char *show_verdict(int verdict);
const char *show_op(const struct op *op, unsigned int start);
__attribute__((format(printf, 3, 4))) void show(const char *func, int line, const char *format,
						...);

_Noreturn __attribute__((format(printf, 1, 2))) void model_bug(const char *format, ...);

#endif

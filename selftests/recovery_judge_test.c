// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Every cell of the judge's table (docs/recovery.md) that a range as source can
 * bring about, on the real thing: while ipamd is away, map and database are made as
 * the cell wants them, one address a cell; then it starts, and slot and row must be
 * what recover_judge() says of that evidence, judged again until nothing changes.
 */
#include "selftests/harness.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>

#include "bpf/request.h"
#include "bpf/slot.h"
#include "selftests/node.h"
#include "userspace/base/addr.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/core/recover.h"
#include "userspace/edge/store.h"

enum { CELLS = 256, FAR_MS = 400000 };

/* Which map and which database meet. */
enum era { WHOLE, OLD_ROWS, OTHER_PAIR, LOST, OTHER_BOOT };

struct cell {
	struct recover_evidence e;
	struct addr address;
	unsigned int slot;
	uint64_t ready_at; /* of a cooling one, at least */
	/* In the end. */
	enum recover_map map;
	enum recover_row row;
	bool away, waits, gone;
};

static struct cell cells[CELLS];
static unsigned int count;

static const char *const maps[] = {"FREE",       "COOLING", "HELD", "LEAVING",
				   "QUARANTINE", "no slot", "lost", "other boot"};
static const char *const rows[] = {"stock", "held", "cooling", "leaving", "quarantine", "none"};

/* --- Which cells there are --------------------------------------------------------------- */

static void add(struct recover_evidence e)
{
	struct cell *c = &cells[count];

	CHECK(count < CELLS);
	*c = (struct cell){.e = e, .slot = IPAMD_NONE};
	c->address = (struct addr){.family = 4};
	c->address.bytes[0] = 10;
	c->address.bytes[1] = e.source == SOURCE_OURS ? 77 : 99;
	c->address.bytes[2] = (uint8_t)(100 + count / 200);
	c->address.bytes[3] = (uint8_t)(1 + count % 200);
	count++;
}

/* Another map's database is set aside: what counts is that there is no row. */
static void add_rows(enum era era, enum recover_map map, bool unread, int source, int witness)
{
	for (int row = 0; row < RECOVER_ROWS; row++) {
		struct recover_evidence e = {
			.map = map,
			.row = row,
			.source = source,
			.witness = unread ? WITNESS_UNREAD : witness,
			.row_is_old = era == OLD_ROWS,
			.other_pair = era == OTHER_PAIR,
		};

		add(e);
		if (map == MAP_HELD && row == ROW_HELD) {
			e.same_holder = true;
			add(e);
		}
	}
}

static void add_all(enum era era, bool unread)
{
	enum recover_map first = era == LOST         ? MAP_LOST
				 : era == OTHER_BOOT ? MAP_OTHER_BOOT
						     : MAP_FREE;
	enum recover_map last = era >= LOST ? first : MAP_NO_SLOT;

	for (enum recover_map map = first; map <= last; map++)
		for (int source = SOURCE_OURS; source <= SOURCE_NOT_OURS; source++)
			for (int w = WITNESS_SEES_IT; w <= WITNESS_SEES_NOTHING; w++)
				add_rows(era, map, unread, source, w);
}

/* --- Bringing them about ------------------------------------------------------------------- */

static void make_who(struct ipamd_request *req, enum ipamd_verb verb, const struct cell *c, int who)
{
	char container[32];

	snprintf(container, sizeof(container), "c%u-%d", (unsigned int)(c - cells), who);
	request_init(req, verb);
	request_attachment(req, "net", container, "eth0", clock_boot_ns());
}

static unsigned int empty_slot(const struct pin *pin)
{
	for (unsigned int slot = 0; slot < pin->meta->slots; slot++)
		if (slot_state(mem_load(&pin->words[slot])) == IPAMD_EMPTY)
			return slot;
	test_stop(T_FAIL, "no slot is empty");
}

static int step(struct pin *pin, struct ipamd_request *req, unsigned int slot, uint64_t word)
{
	req->change.slot = slot;
	req->change.expected = mem_load(&pin->words[slot]);
	req->change.word = word;
	return pin_run(pin, IPAMD_STEP, req);
}

static uint64_t first_word(const struct cell *c, const struct ipamd_request *req, uint64_t gen)
{
	uint64_t now = slot_now_ms(clock_boot_ns());

	switch (c->e.map) {
	case MAP_HELD:
		return slot_word(IPAMD_HELD, 0, slot_tag_of(&req->who.id), gen);
	case MAP_QUARANTINE:
		return slot_word(IPAMD_QUARANTINE, 0, now, gen);
	case MAP_COOLING:
		return slot_word(IPAMD_FREE, 0, c->ready_at, gen);
	default:
		return slot_word(IPAMD_FREE, 0, now, gen);
	}
}

static void fill(struct pin *pin, struct cell *c)
{
	struct ipamd_request req;
	uint64_t word;

	if (c->e.map >= MAP_NO_SLOT)
		return;
	c->slot = empty_slot(pin);
	c->ready_at = slot_now_ms(clock_boot_ns()) + FAR_MS;
	make_who(&req, IPAMD_STEP, c, 0);
	memcpy(req.change.address, c->address.bytes, sizeof(req.change.address));
	addr_print(&c->address, req.change.text);
	req.change.key = digest_address(4, c->address.bytes);
	word = first_word(c, &req, slot_gen(mem_load(&pin->words[c->slot])));
	CHECK_EQ(step(pin, &req, c->slot, word), IPAMD_OK);
	if (c->e.map != MAP_LEAVING)
		return;
	request_init(&req, IPAMD_STEP);
	CHECK_EQ(step(pin, &req, c->slot, slot_set_state(word, IPAMD_LEAVING)), IPAMD_OK);
}

static enum store_state state_of(enum recover_row row)
{
	static const enum store_state state[] = {
		[ROW_STOCK] = STORE_STOCK,           [ROW_HELD] = STORE_HELD,
		[ROW_COOLING] = STORE_COOLING,       [ROW_LEAVING] = STORE_LEAVING,
		[ROW_QUARANTINE] = STORE_QUARANTINE,
	};

	return state[row];
}

/* A cooling row has the later deadline of the two. */
static void put(struct store *store, struct pin *pin, struct cell *c)
{
	struct store_row row = {.address = c->address, .pool = "default"};
	struct ipamd_request req;

	if (c->e.row == ROW_NONE)
		return;
	make_who(&req, IPAMD_CLAIM, c, c->e.same_holder ? 0 : 1);
	row.state = state_of(c->e.row);
	if (c->slot != IPAMD_NONE)
		row.gen = slot_gen(mem_load(&pin->words[c->slot]));
	if (c->e.row == ROW_HELD)
		row.who = req.who;
	if (c->e.row == ROW_COOLING) {
		row.ready_at_ms = slot_now_ms(clock_boot_ns()) + FAR_MS + 50000;
		if (c->e.map == MAP_COOLING && !c->e.other_pair && c->e.source == SOURCE_OURS &&
		    c->e.witness != WITNESS_SEES_IT)
			c->ready_at = row.ready_at_ms;
	}
	CHECK_EQ(store_put(store, &row), 0);
}

static struct store *open_store(void)
{
	static char aside[4096];
	struct store *store = NULL;

	CHECK_EQ(store_open(NODE_DB, aside, &store), 0);
	return store;
}

static void write_cells(enum era era)
{
	auto_pin struct pin *pin = node_pins();
	struct store *store = open_store();
	struct store_meta meta;

	CHECK_EQ(store_begin(store, true), 0);
	for (unsigned int i = 0; i < count; i++) {
		fill(pin, &cells[i]);
		put(store, pin, &cells[i]);
	}
	CHECK_EQ(store_get_meta(store, &meta), 0);
	if (era == OTHER_PAIR)
		meta.pair_id[0] ^= 1;
	if (era == OLD_ROWS)
		pin->meta->epoch = meta.epoch + 5;
	CHECK_EQ(store_put_meta(store, &meta), 0);
	CHECK_EQ(store_commit(store), 0);
	store_close(store);
}

static void show_to_witnesses(struct node_pod *pod)
{
	FILE *f = fopen(NODE "/addresses", "w");
	char command[128];

	CHECK(f != NULL);
	for (unsigned int i = 0; i < count; i++) {
		/* Where nothing can be read, what a witness would see is there all the same. */
		bool seen = cells[i].e.witness == WITNESS_UNREAD
				    ? i % 2
				    : cells[i].e.witness == WITNESS_SEES_IT;
		char text[ADDR_TEXT];

		addr_print(&cells[i].address, text);
		if (seen)
			fprintf(f, "address add %s/32 dev lo\n", text);
	}
	CHECK_EQ(fclose(f), 0);
	node_pod_start(pod);
	snprintf(command, sizeof(command), "nsenter -t %d -n ip -b " NODE "/addresses",
		 (int)pod->pid);
	CHECK_EQ(system(command), 0);
}

/* --- What is to become of them ------------------------------------------------------------------
 */

static void apply(struct cell *c, const struct recover_verdict *v)
{
	static const enum recover_row becomes[] = {
		[ROW_BECOMES_STOCK] = ROW_STOCK,           [ROW_BECOMES_HELD] = ROW_HELD,
		[ROW_BECOMES_COOLING] = ROW_COOLING,       [ROW_BECOMES_LEAVING] = ROW_LEAVING,
		[ROW_BECOMES_QUARANTINE] = ROW_QUARANTINE,
	};
	static const enum recover_map next[RECOVER_SLOTS] = {
		[FILL_READY] = MAP_FREE,    [FILL_COOLING] = MAP_COOLING,
		[FILL_HELD] = MAP_HELD,     [LATER_DEADLINE] = MAP_COOLING,
		[TO_COOLING] = MAP_COOLING, [TO_QUARANTINE] = MAP_QUARANTINE,
	};

	c->waits = v->slot == HOLD_BACK;
	c->away = v->quarantine_on_release;
	c->gone = v->row == ROW_GOES || (v->slot == GO_ON_LEAVING && !v->wait_ms);
	if (v->slot == GO_ON_LEAVING && c->map < MAP_NO_SLOT)
		c->map = MAP_LEAVING;
	else if (v->slot != KEEP_SLOT && v->slot != HOLD_BACK && v->slot != GO_ON_LEAVING)
		c->map = next[v->slot];
	if (v->row == ROW_ADOPTED)
		c->row = c->map == MAP_HELD ? ROW_HELD : ROW_STOCK;
	else if (v->row != ROW_KEEP && v->row != ROW_GOES)
		c->row = becomes[v->row];
}

/* The turn writes the row as the word is. */
static void write_down(struct cell *c)
{
	static const enum recover_row row[] = {
		[MAP_FREE] = ROW_STOCK,
		[MAP_COOLING] = ROW_COOLING,
		[MAP_HELD] = ROW_HELD,
		[MAP_LEAVING] = ROW_LEAVING,
		[MAP_QUARANTINE] = ROW_QUARANTINE,
	};

	if (c->map < MAP_NO_SLOT)
		c->row = c->away ? ROW_QUARANTINE : row[c->map];
	/* A new address is one that a refill takes, in its own order: none of these. */
	if (c->e.map >= MAP_LOST && c->e.row == ROW_NONE && c->map != MAP_HELD)
		c->gone = true;
	if (c->gone) {
		c->map = MAP_NO_SLOT;
		c->row = ROW_NONE;
	}
}

/* Who waits, and who is in quarantine, is judged again. */
static void foresee(struct cell *c)
{
	c->map = c->e.map;
	c->row = c->e.other_pair ? ROW_NONE : c->e.row;
	for (int round = 0; round < 4; round++) {
		struct recover_evidence e = c->e;
		struct recover_verdict v;

		if (c->gone || (round && !c->waits && c->map != MAP_QUARANTINE))
			break;
		e.map = c->map;
		e.row = c->row;
		v = recover_judge(&e);
		apply(c, &v);
	}
	write_down(c);
}

static enum recover_map map_of(uint64_t word)
{
	switch (slot_state(word)) {
	case IPAMD_FREE:
		return slot_is_ready(word, slot_now_ms(clock_boot_ns())) ? MAP_FREE : MAP_COOLING;
	case IPAMD_HELD:
		return MAP_HELD;
	case IPAMD_LEAVING:
		return MAP_LEAVING;
	default:
		return MAP_QUARANTINE;
	}
}

static unsigned int find(const struct pin *pin, const struct cell *c, uint64_t *ret_word)
{
	for (unsigned int slot = 0; slot < pin->meta->slots; slot++) {
		struct ipamd_address a;

		*ret_word = mem_load(&pin->words[slot]);
		if (slot_state(*ret_word) != IPAMD_EMPTY && !pin_address(pin, slot, &a) &&
		    !memcmp(a.bytes, c->address.bytes, sizeof(a.bytes)))
			return slot;
	}
	return IPAMD_NONE;
}

static bool is_as(const struct cell *c, const char *what, const char *is, const char *wanted)
{
	char text[ADDR_TEXT];

	if (!strcmp(is, wanted))
		return true;
	addr_print(&c->address, text);
	printf("# %s: map %s, row %s, source %d, witness %d, same %d: %s is %s, not %s\n", text,
	       maps[c->e.map], rows[c->e.row], c->e.source, c->e.witness, c->e.same_holder, what,
	       is, wanted);
	return false;
}

/* No slot, and which age of the map that is, is the same to see. */
static bool slot_is_right(const struct pin *pin, const struct cell *c)
{
	uint64_t word = 0;
	unsigned int slot = find(pin, c, &word);
	enum recover_map is = slot == IPAMD_NONE ? MAP_NO_SLOT : map_of(word);
	enum recover_map wanted = c->map < MAP_NO_SLOT ? c->map : MAP_NO_SLOT;

	if (!is_as(c, "the slot", maps[is], maps[wanted]))
		return false;
	if (is == MAP_COOLING && c->e.map == MAP_COOLING)
		CHECK(slot_time(word) >= c->ready_at);
	if (is == MAP_COOLING && c->e.map == MAP_LOST)
		CHECK(slot_time(word) >= slot_now_ms(clock_boot_ns()) + RECOVER_LONGEST_ADD_MS);
	return true;
}

static bool row_is_right(struct store *store, const struct cell *c)
{
	static struct store_row row;
	int r = store_get(store, &c->address, &row), is = ROW_NONE;

	CHECK(!r || r == STORE_ABSENT);
	for (int i = 0; !r && i < ROW_NONE; i++)
		if (state_of(i) == row.state)
			is = i;
	return is_as(c, "the row", rows[is], rows[c->row]);
}

static void check_cells(pid_t pid)
{
	auto_pin struct pin *pin = node_pins();
	struct store *store;
	unsigned int wrong = 0;

	CHECK_EQ(node_number("/v1/status", "balance.holds"), 1);
	for (unsigned int i = 0; i < count; i++)
		wrong += !slot_is_right(pin, &cells[i]);
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	store = open_store();
	for (unsigned int i = 0; i < count; i++)
		wrong += !row_is_right(store, &cells[i]);
	store_close(store);
	CHECK_EQ(wrong, 0);
}

static void play(enum era era, bool unread)
{
	struct node_pod pod;
	pid_t pid;

	node_make();
	node_configure("[pool default]\nsubnet = 10.77.0.0/16\ncooldown = 600s\nlow = 1\n"
		       "high = 200\n");
	CHECK(WIFSIGNALED(node_end(node_up(), SIGKILL)));
	add_all(era, unread);
	write_cells(era);
	show_to_witnesses(&pod);
	if (era >= LOST)
		node_lose_map();
	if (era == OTHER_BOOT) {
		node_change_boot();
		node_empty_run();
	}
	for (unsigned int i = 0; i < count; i++)
		foresee(&cells[i]);
	if (unread) /* without it ipamd cannot look into the namespaces of our children */
		CHECK_EQ(prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0), 0);
	pid = node_up();
	if (unread && era >= LOST) { /* nor is anything new filled: a pod may have it */
		CHECK_EQ(node_number("/v1/status", "balance.ready"), 0);
		CHECK_EQ(node_number("/v1/status", "balance.cooling"), 0);
	}
	check_cells(pid);
	CHECK_EQ(node_log_has("the namespaces cannot be read yet"), unread);
}

/* --- The tests -----------------------------------------------------------------------------------
 */

TEST(a_whole_map_and_its_database)
{
	play(WHOLE, false);
}

TEST(a_whole_map_and_its_database_before_the_namespaces_can_be_read)
{
	play(WHOLE, true);
}

TEST(a_whole_map_and_an_older_database)
{
	play(OLD_ROWS, false);
}

TEST(a_whole_map_and_an_older_database_before_the_namespaces_can_be_read)
{
	play(OLD_ROWS, true);
}

TEST(a_whole_map_and_the_database_of_another)
{
	play(OTHER_PAIR, false);
}

TEST(a_whole_map_and_the_database_of_another_before_the_namespaces_can_be_read)
{
	play(OTHER_PAIR, true);
}

TEST(a_lost_map)
{
	play(LOST, false);
}

TEST(a_lost_map_before_the_namespaces_can_be_read)
{
	play(LOST, true);
}

TEST(another_boot)
{
	play(OTHER_BOOT, false);
}

TEST(another_boot_before_the_namespaces_can_be_read)
{
	play(OTHER_BOOT, true);
}

TEST_MAIN

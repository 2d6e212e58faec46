// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The manager's side: one process, one step at a time, at random.  What it knows lies
 * in shared memory; when it was killed, its successor reads the words to find out
 * what became of the step under way, as the real one does.
 */
#include "selftests/torture.h"

#include <bpf/bpf.h>
#include <time.h>

#define AWAY_MOST     12          /* slots leaving, empty or in quarantine at once */
#define RECLAIM_EVERY 40000000ULL /* ns; each costs its slot a second */
#define CLOSED_NS     500000

static __u64 dice;

static __u32 roll(__u32 n)
{
	return torture_pick(&dice, n);
}

static __u32 family_of(__u64 word)
{
	return torture_pools[slot_pool(word)].family == 6 ? IPAMD_V6 : IPAMD_V4;
}

static int step(struct torture *t, __u32 slot, __u64 expected, __u64 word, __u32 address,
		__u32 workload)
{
	int r = torture_step(t, MANAGER, slot, expected, word, address, workload);

	if (r == IPAMD_OK)
		torture_manager_learn(t, &t->log[MANAGER].op[t->log[MANAGER].count - 1]);
	return r;
}

/* --- What it knows -------------------------------------------------------- */

/* Twice is as good as once. */
void torture_manager_learn(struct torture *t, const struct history_op *op)
{
	struct torture_manager *m = &t->manager;
	__u64 word = op->got[0].word;
	__u32 slot = op->got[0].slot;

	if ((op->expected ^ word) == SLOT_FIXED) {
		m->fixed[op->key][family_of(word)] = word & SLOT_FIXED ? slot : HISTORY_NONE;
	} else if (slot_state(op->expected) == IPAMD_EMPTY) {
		m->slot_of[op->got[0].address] = slot;
		m->address_in[slot] = op->got[0].address;
	} else if (slot_state(word) == IPAMD_EMPTY && m->address_in[slot] != HISTORY_NONE) {
		m->ready_ms[m->address_in[slot]] = slot_time(op->expected);
		m->slot_of[m->address_in[slot]] = HISTORY_NONE;
		m->address_in[slot] = HISTORY_NONE;
	}
}

/* Only the manager takes these steps, so the word tells whether one was taken. */
static int what_became(const struct history_op *op)
{
	__u64 word = stock_word(torture_pin, op->got[0].slot);
	enum ipamd_state from = slot_state(op->expected), to = slot_state(op->got[0].word);
	bool done;

	if (history_is_reclaim(op))
		return HISTORY_UNKNOWN; /* a DEL may have been it */
	if ((op->expected ^ op->got[0].word) == SLOT_FIXED)
		done = !((word ^ op->got[0].word) & SLOT_FIXED);
	else if (from == IPAMD_FREE || to == IPAMD_EMPTY || to == IPAMD_QUARANTINE)
		done = slot_state(word) == to;
	else
		done = slot_state(word) != from;
	return done ? IPAMD_OK : IPAMD_STALE;
}

/* --- Pools' deadlines ----------------------------------------------------- */

/* A deadline that has passed, or one that is to come in a moment. */
static void set_deadline(struct torture *t, __u32 pool, enum history_what what, __u64 until_ms)
{
	const struct timespec moment = {.tv_nsec = 50000};
	struct torture_log *log = &t->log[MANAGER];
	struct history_op *op = &log->op[log->count];

	if (log->count == LOG_OPS)
		return;
	*op = (struct history_op){
		.what = (__u8)what, .process = MANAGER, .pool = {(__u8)pool, IPAMD_POOLS}};
	asm volatile("" ::: "memory"); /* as in torture_run() */
	log->count++;
	mem_store(&op->invoke_ns, clock_boot_ns());
	mem_store(&torture_pin->pools[pool].valid_until_ms, until_ms);
	while (what == HISTORY_CLOSE && stock_now_ms() < until_ms)
		nanosleep(&moment, NULL);
	mem_store(&op->return_ns, clock_boot_ns());
}

static void open_pools(struct torture *t)
{
	for (__u32 p = 0; p < POOLS; p++)
		if (torture_pin->pools[p].valid_until_ms != IPAMD_FOREVER)
			set_deadline(t, p, HISTORY_OPEN, IPAMD_FOREVER);
}

static void close_for_a_moment(struct torture *t)
{
	struct timespec moment = {.tv_nsec = (long)roll(CLOSED_NS)};
	__u32 pool = roll(POOLS);

	set_deadline(t, pool, HISTORY_CLOSE, roll(2) ? 0 : stock_now_ms() + 1);
	nanosleep(&moment, NULL);
	set_deadline(t, pool, HISTORY_OPEN, IPAMD_FOREVER);
}

/* --- After a kill --------------------------------------------------------- */

static void resume(struct torture *t)
{
	struct torture_log *log = &t->log[MANAGER];
	struct history_op *op = torture_last(log);

	if (op && op->what == HISTORY_STEP) {
		op->verdict = (__s16)what_became(op);
		op->again = 1; /* seen, not answered */
	}
	if (op && op->what == HISTORY_CLOSE &&
	    torture_pin->pools[op->pool[0]].valid_until_ms > stock_now_ms())
		log->count--; /* it did not come to it, and never will */
	else if (op)
		op->return_ns = clock_boot_ns();
	op = log->count ? &log->op[log->count - 1] : NULL;
	if (op && op->what == HISTORY_STEP && op->verdict == IPAMD_OK)
		torture_manager_learn(t, op);
	open_pools(t);
}

/* --- Its work: one thing at a time ---------------------------------------- */

static bool may_reclaim(struct torture *t)
{
	__u64 now = clock_boot_ns();

	if (now - t->manager.reclaimed_ns < RECLAIM_EVERY)
		return false;
	t->manager.reclaimed_ns = now;
	return true;
}

static void try_reclaim(struct torture *t, __u32 slot, __u64 word)
{
	step(t, slot, word, slot_set_state(word, IPAMD_FREE) & ~(SLOT_TIME << 14), HISTORY_NONE,
	     HISTORY_NONE);
}

/* By a word read some time ago: mostly stale, and then it must have no effect. */
static void reclaim_late(struct torture *t)
{
	__u32 i = roll(16), slot = t->manager.read[i].slot;
	__u64 word = t->manager.read[i].word, now;

	if (slot_state(word) == IPAMD_HELD &&
	    (stock_word(torture_pin, slot) != word || may_reclaim(t)))
		try_reclaim(t, slot, word);
	slot = roll(SLOTS);
	now = stock_word(torture_pin, slot);
	if (slot_state(now) == IPAMD_HELD) {
		t->manager.read[i].slot = slot;
		t->manager.read[i].word = now;
	}
}

/* A word the moment it says HELD: its claim may not be through yet. */
static void reclaim_at_once(struct torture *t)
{
	__u32 from = roll(SLOTS / 16) * 16;
	__u64 before[16];

	if (!may_reclaim(t))
		return;
	for (__u32 i = 0; i < 16; i++)
		before[i] = stock_word(torture_pin, from + i);
	for (int n = 0; n < 5000; n++)
		for (__u32 i = 0; i < 16; i++) {
			__u64 now = stock_word(torture_pin, from + i);

			if (now != before[i] && slot_state(now) == IPAMD_HELD) {
				try_reclaim(t, from + i, now);
				return;
			}
			before[i] = now;
		}
}

/*
 * Held, and no entry leads there: an orphan, so the real manager thinks.  There are
 * none; what looks like one was released between the two looks, and the step is stale.
 */
static void reclaim_orphans(struct torture *t)
{
	for (int i = 0; i < 16; i++) {
		__u32 slot = roll(SLOTS);
		__u64 word = stock_word(torture_pin, slot);
		struct ipamd_holder holder;
		struct ipamd_entry entry;

		if (slot_state(word) == IPAMD_HELD &&
		    !pin_holder(torture_pin, slot, word, &holder) &&
		    bpf_map_lookup_elem(torture_pin->map[PIN_BY_HOLDER], &holder.who.id, &entry))
			try_reclaim(t, slot, word);
	}
}

static __u32 count_away(const struct torture *t)
{
	__u32 n = 0;

	for (__u32 a = 0; a < ADDRESSES; a++) {
		__u32 slot = t->manager.slot_of[a];
		enum ipamd_state s = slot == HISTORY_NONE
					     ? IPAMD_EMPTY
					     : slot_state(stock_word(torture_pin, slot));

		n += s == IPAMD_EMPTY || s == IPAMD_LEAVING || s == IPAMD_QUARANTINE;
	}
	return n;
}

static void take_away(struct torture *t)
{
	__u32 slot = roll(SLOTS);
	__u64 word = stock_word(torture_pin, slot);

	if (slot_state(word) == IPAMD_FREE && count_away(t) < AWAY_MOST)
		step(t, slot, word,
		     slot_set_state(word, roll(3) ? IPAMD_LEAVING : IPAMD_QUARANTINE), HISTORY_NONE,
		     HISTORY_NONE);
}

/* A slot that is away comes back as it was, or is emptied, or is away otherwise. */
static void see_to_away(struct torture *t)
{
	__u32 first = roll(SLOTS);

	for (__u32 i = 0; i < SLOTS; i++) {
		__u32 slot = (first + i) % SLOTS;
		__u64 word = stock_word(torture_pin, slot), to = slot_set_state(word, IPAMD_FREE);

		if (slot_state(word) != IPAMD_LEAVING && slot_state(word) != IPAMD_QUARANTINE)
			continue;
		if (!(word & SLOT_FIXED) && roll(2))
			to = slot_word(IPAMD_EMPTY, 0, 0, slot_gen(word));
		else if (slot_state(word) == IPAMD_LEAVING && !roll(4))
			to = slot_set_state(word, IPAMD_QUARANTINE);
		step(t, slot, word, to, HISTORY_NONE, HISTORY_NONE);
		return;
	}
}

/* Into any empty slot any address that is nowhere; at times one that is somewhere. */
static void fill(struct torture *t)
{
	__u32 first = roll(SLOTS), address = roll(ADDRESSES), pool = POOLS - 1;
	bool twice = !roll(4);
	__u64 now = stock_now_ms(), word, ready;

	for (__u32 i = 0; i < ADDRESSES && !twice; i++)
		if (t->manager.slot_of[(address + i) % ADDRESSES] == HISTORY_NONE) {
			address = (address + i) % ADDRESSES;
			break;
		}
	while (torture_pools[pool].first > address)
		pool--;
	ready = t->manager.ready_ms[address] > now ? t->manager.ready_ms[address] : now;
	for (__u32 i = 0; i < SLOTS; i++) {
		word = stock_word(torture_pin, (first + i) % SLOTS);
		if (slot_state(word) != IPAMD_EMPTY)
			continue;
		step(t, (first + i) % SLOTS, word, slot_filled(word, pool, ready + roll(3)),
		     address, HISTORY_NONE);
		return;
	}
}

static bool is_in_use(__u64 word)
{
	return slot_state(word) == IPAMD_FREE || slot_state(word) == IPAMD_HELD;
}

static void fix(struct torture *t)
{
	__u32 slot = roll(SLOTS), workload = roll(WORKLOADS);
	__u64 word = stock_word(torture_pin, slot);

	/* The small pool is for all. */
	if (is_in_use(word) && !(word & SLOT_FIXED) && torture_pools[slot_pool(word)].count > 8)
		step(t, slot, word, word | SLOT_FIXED, HISTORY_NONE, workload);
}

static void unfix(struct torture *t)
{
	__u32 workload = roll(WORKLOADS), slot = t->manager.fixed[workload][roll(2)];
	__u64 word;

	if (slot == HISTORY_NONE)
		return;
	word = stock_word(torture_pin, slot);
	if (is_in_use(word) && word & SLOT_FIXED)
		step(t, slot, word, word & ~SLOT_FIXED, HISTORY_NONE, workload);
}

void torture_manager(struct torture *t, __u64 seed)
{
	static void (*const work[])(struct torture *) = {
		reclaim_late,
		reclaim_late,
		reclaim_late,
		reclaim_at_once,
		take_away,
		take_away,
		see_to_away,
		see_to_away,
		fill,
		fill,
		fix,
		fix,
		unfix,
		unfix,
		reclaim_orphans,
		reclaim_orphans,
	};

	dice = seed;
	torture_go_first(0);
	resume(t);
	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED) && !torture_is_full(&t->log[MANAGER])) {
		struct timespec pause = {.tv_nsec = (long)roll(100000)};

		if (roll(200))
			work[roll(sizeof(work) / sizeof(work[0]))](t);
		else
			close_for_a_moment(t);
		nanosleep(&pause, NULL);
	}
	open_pools(t);
}

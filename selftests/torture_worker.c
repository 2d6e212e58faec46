// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A worker: the plugin's side.  It serves whatever attachment comes, as all others do
 * at the same time, so that the ADDs and DELs of one attachment meet; some requests
 * are stamped and then kept back, so that a DEL overtakes its ADD, or an ADD its DEL.
 */
#include "selftests/torture.h"

#include <sched.h>

struct asked { /* a request that is ready to run */
	struct history_op plan;
	struct ipamd_request req;
	__u32 after; /* so many others; 0: there is none */
};

static struct asked kept[2];
static __u64 dice;

static __u32 roll(__u32 n)
{
	return torture_pick(&dice, n);
}

static __u32 choose_key(void)
{
	return roll(3) ? roll(KEYS) : roll(HOT_KEYS);
}

/* Mostly of its own pool; else it is to be refused. */
static void want(struct torture *t, struct asked *a, int family, __u32 p)
{
	__u32 other = roll(8) ? p : roll(POOLS);
	const struct torture_pool *pool = &torture_pools[p];

	if (torture_pools[other].family == pool->family)
		pool = &torture_pools[other];
	a->plan.want = pool->first + roll(pool->count);
	a->req.want[family] = t->want[a->plan.want];
}

static void choose_addresses(struct torture *t, struct asked *a, const struct torture_key *k)
{
	__u32 kind = roll(16) ? k->kind : roll(KINDS);
	int family = (int)roll(2);

	a->req.pool = t->kind[kind];
	for (int f = 0; f < IPAMD_FAMILIES; f++)
		if (torture_kinds[kind].pool[f] != IPAMD_NONE)
			a->plan.pool[f] = (__u8)torture_kinds[kind].pool[f];
	if (k->workload == HISTORY_NONE && a->plan.pool[family] < POOLS && !roll(12))
		want(t, a, family, a->plan.pool[family]);
}

/*
 * All ADDs of a life began together, as a runtime's retries do.  A younger ADD would
 * renew the hold in new words, which the model walks and the checker does not know.
 */
static __u64 life_of(struct torture_key *k)
{
	__u64 none = 0;

	__atomic_compare_exchange_n(&k->life_ns, &none, clock_boot_ns(), 0, __ATOMIC_SEQ_CST,
				    __ATOMIC_SEQ_CST);
	return __atomic_load_n(&k->life_ns, __ATOMIC_SEQ_CST);
}

/* A DEL is through: for ADDs that began before it, it is too late. */
static void end_life(struct torture_key *k, __u64 del_ns)
{
	__u64 old = __atomic_load_n(&k->life_ns, __ATOMIC_SEQ_CST);

	while (old <= del_ns && !__atomic_compare_exchange_n(&k->life_ns, &old, del_ns + 1, 0,
							     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

/* Stamped now.  Mostly what is due: an ADD when nothing is held, else a DEL. */
static void ask(struct torture *t, struct asked *ret)
{
	__u32 key = choose_key();
	struct torture_key *k = &t->key[key];
	bool del = __atomic_load_n(&k->held, __ATOMIC_RELAXED);

	if (!roll(8))
		del = !del;
	ret->req = k->request;
	ret->req.verb = del ? IPAMD_RELEASE : IPAMD_CLAIM;
	ret->req.who.start_ns = del ? clock_boot_ns() : life_of(k);
	ret->plan = (struct history_op){
		.what = del ? HISTORY_DEL : HISTORY_ADD,
		.key = key,
		.start_ns = ret->req.who.start_ns,
		.want = HISTORY_NONE,
		.pool = {IPAMD_POOLS, IPAMD_POOLS},
	};
	if (!del)
		choose_addresses(t, ret, k);
}

/* As asked, again and again when others are at it: but not for ever. */
static void run(struct torture *t, __u32 number, const struct asked *a)
{
	__u32 *held = &t->key[a->plan.key].held;
	int r = IPAMD_BUSY;

	for (int i = 0; i < 4 && r == IPAMD_BUSY; i++) {
		struct ipamd_request req = a->req;

		r = torture_run(t, number, &a->plan, &req);
	}
	if (a->plan.what == HISTORY_ADD && r == IPAMD_OK)
		__atomic_store_n(held, 1, __ATOMIC_RELAXED);
	else if (a->plan.what == HISTORY_DEL && (r == IPAMD_OK || r == IPAMD_NOTHING)) {
		__atomic_store_n(held, 0, __ATOMIC_RELAXED);
		end_life(&t->key[a->plan.key], a->plan.start_ns);
	}
}

static void run_kept(struct torture *t, __u32 number)
{
	for (__u32 i = 0; i < 2; i++)
		if (kept[i].after && !--kept[i].after)
			run(t, number, &kept[i]);
}

void torture_worker(struct torture *t, __u32 number, __u64 seed)
{
	dice = seed;
	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED) && !torture_is_full(&t->log[number])) {
		struct asked now, *spare = kept[0].after ? &kept[1] : &kept[0];

		run_kept(t, number);
		ask(t, &now);
		if (!spare->after && !roll(6)) {
			*spare = now;
			spare->after = 1 + roll(24);
			continue;
		}
		run(t, number, &now);
		if (!roll(256))
			sched_yield();
	}
}

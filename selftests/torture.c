// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "selftests/torture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>

const struct torture_pool torture_pools[POOLS] = {
	{4, 1, 0, 224}, {6, 3, 224, 256}, {4, 5, 480, 6}, {6, 0, 486, 64}, {4, 0, 550, 64},
};

const struct torture_kind torture_kinds[KINDS] = {
	{"a", {0, IPAMD_NONE}, 25},   {"b", {IPAMD_NONE, 1}, 20}, {"both", {0, 1}, 25},
	{"dry", {2, IPAMD_NONE}, 10}, {"dry-both", {2, 3}, 5},    {"at-once", {4, 3}, 15},
};

struct pin *torture_pin;

__u64 torture_random(__u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* --- The stage ------------------------------------------------------------ */

static __u32 kind_of(__u32 key)
{
	__u32 at = key * 37 % 100, kind = 0; /* spread over hot and cold ones alike */

	while (at >= torture_kinds[kind].of_100)
		at -= torture_kinds[kind++].of_100;
	return kind;
}

static void make_key(struct torture *t, __u32 key)
{
	struct torture_key *k = &t->key[key];
	char pod[16];

	stock_request(&k->request, IPAMD_CLAIM, key);
	k->kind = kind_of(key);
	k->workload = key >= HOT_KEYS && key < HOT_KEYS + 2 * WORKLOADS ? (key - HOT_KEYS) / 2
									: HISTORY_NONE;
	if (k->workload != HISTORY_NONE) {
		snprintf(pod, sizeof(pod), "w%u", k->workload);
		request_pod(&k->request, "ns", pod, "uid");
	}
	t->id[key] = k->request.who.id;
	t->workload[key] = k->workload;
}

static void make_pools(struct torture *t)
{
	for (__u32 p = 0; p < POOLS; p++) {
		char name[16];

		snprintf(name, sizeof(name), "p%u", p);
		stock_pool(torture_pin, p, name, torture_pools[p].family,
			   torture_pools[p].cooldown_ms);
		for (__u32 a = torture_pools[p].first; a < ADDRESSES; a++) {
			__u8 bytes[16];

			if (a - torture_pools[p].first >= torture_pools[p].count)
				break;
			stock_address(torture_pools[p].family, p, a, bytes);
			t->want[a] = digest_address(torture_pools[p].family, bytes);
		}
	}
	for (__u32 k = 0; k < KINDS; k++) {
		stock_pool_name(torture_pin, torture_kinds[k].name, torture_kinds[k].pool[0],
				torture_kinds[k].pool[1]);
		t->kind[k] = digest_name(DIGEST_POOL, torture_kinds[k].name);
	}
}

struct torture *torture_open(void)
{
	struct torture *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (t == MAP_FAILED)
		return NULL;
	torture_pin = stock_open(SLOTS, 1);
	make_pools(t);
	for (__u32 key = 0; key < KEYS; key++)
		make_key(t, key);
	memset(&t->manager.slot_of, 0xff, sizeof(t->manager.slot_of));
	memset(&t->manager.address_in, 0xff, sizeof(t->manager.address_in));
	memset(&t->manager.fixed, 0xff, sizeof(t->manager.fixed));
	return t;
}

/*
 * Before all workers, which would leave it no time; and so that they are preempted
 * half way through an operation, not where they please.  Without the right to it the
 * torture is a milder one.
 */
void torture_go_first(pid_t pid)
{
	struct sched_param first = {.sched_priority = 1};

	sched_setscheduler(pid, SCHED_FIFO | SCHED_RESET_ON_FORK, &first);
}

/* --- Running and writing down --------------------------------------------- */

/* A round's last operations, and those of a manager that comes back, still find room. */
bool torture_is_full(const struct torture_log *log)
{
	return log->count >= LOG_OPS - 64;
}

struct history_op *torture_last(struct torture_log *log)
{
	struct history_op *op = log->count ? &log->op[log->count - 1] : NULL;

	if (!op || op->return_ns)
		return NULL;
	if (op->invoke_ns)
		return op;
	log->count--; /* it never began */
	return NULL;
}

static __u32 address_of(int family, const struct ipamd_lease *lease)
{
	const __u8 *last = lease->address + (family == IPAMD_V4 ? 2 : 14);
	__u32 number = (__u32)last[0] << 8 | last[1];
	__u8 bytes[16];

	stock_address(family == IPAMD_V4 ? 4 : 6, lease->pool, number, bytes);
	return number < ADDRESSES && !memcmp(bytes, lease->address, 16) ? number : HISTORY_NONE;
}

static void take_answer(struct history_op *op, const struct ipamd_request *req)
{
	op->again = (__u8)req->again;
	for (int f = 0; f < IPAMD_FAMILIES; f++)
		if (req->lease[f].word)
			op->got[f] = (struct history_got){req->lease[f].word, req->lease[f].slot,
							  address_of(f, &req->lease[f])};
}

int torture_run(struct torture *t, __u32 process, const struct history_op *plan,
		struct ipamd_request *req)
{
	static const enum ipamd_verb verb[] = {IPAMD_CLAIM, IPAMD_RELEASE, IPAMD_STEP};
	struct torture_log *log = &t->log[process];
	struct history_op *op = &log->op[log->count];
	int r;

	if (log->count == LOG_OPS)
		return -ENOSPC;
	*op = *plan;
	op->process = (__u16)process;
	op->invoke_ns = op->return_ns = 0;
	/* Ordering: only against a kill of this process, so the compiler's is enough. */
	asm volatile("" ::: "memory");
	log->count++;
	mem_store(&op->invoke_ns, clock_boot_ns());
	r = pin_run(torture_pin, verb[plan->what], req);
	op->verdict = (__s16)r;
	if (plan->what == HISTORY_ADD && !r)
		take_answer(op, req);
	mem_store(&op->return_ns, clock_boot_ns());
	log->claims += plan->what == HISTORY_ADD && !r && !op->again;
	return r;
}

int torture_step(struct torture *t, __u32 process, __u32 slot, __u64 expected, __u64 word,
		 __u32 address, __u32 workload)
{
	struct history_op plan = {
		.what = HISTORY_STEP,
		.expected = expected,
		.got = {{word, slot, address}},
		.key = workload,
		.want = HISTORY_NONE,
	};
	struct ipamd_request req;
	char pod[16];

	request_init(&req, IPAMD_STEP);
	req.change.slot = slot;
	req.change.expected = expected;
	req.change.word = word;
	if (address != HISTORY_NONE) {
		int family = torture_pools[slot_pool(word)].family;

		stock_address(family, slot_pool(word), address, req.change.address);
		req.change.key = t->want[address];
		inet_ntop(family == 4 ? AF_INET : AF_INET6, req.change.address, req.change.text,
			  sizeof(req.change.text));
	}
	if (workload != HISTORY_NONE) {
		snprintf(pod, sizeof(pod), "w%u", workload);
		req.workload = digest_workload("ns", pod);
	}
	return torture_run(t, process, &plan, &req);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The torture: 64 processes claim and release on the real pinned maps, a manager moves
 * the slots under them, and all of them are killed and stopped at random.  In rounds:
 * after each, everybody is gone, the history of the round is checked (history.h, V1 to
 * V8) against the map as it then is, and the next goes on with the same maps.
 *
 *	CLAIMS		claims to be answered OK, in all (1000000)
 *	TORTURE_SEED	for another run; what the scheduler does cannot be repeated
 *
 * The programs are those of bpf/ipamd.skel.h: with a directory that has another one
 * on the include path before the tree's, pin.c and this test torture that one
 * (selftests/torture_mistakes.sh).
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include "selftests/harness.h"
#include "selftests/torture.h"

#define ROUND_CLAIMS 100000
#define ROUND_NS     10000000000ULL /* a round that gets nowhere ends, too */
#define PATIENCE_NS  20000000000ULL /* for a process to end when it is asked to */
#define STOPPED_NS   8000000

struct child {
	pid_t pid;
	__u64 stopped_until; /* 0: runs */
};

struct run {
	struct torture *t;
	struct history *h;
	struct child child[WORKERS + 1]; /* the last is the manager */
	__u64 dice;
	unsigned int names; /* of pools, not of addresses or workloads */
	__u64 began_ns, round_ns, checking_ns;
	unsigned long rounds, claims, kills, stops, findings;
	unsigned long begun[IPAMD_VERBS], unknown[IPAMD_VERBS];
	unsigned long told[IPAMD_VERBS][IPAMD_VERDICTS];
};

static const char *const verb_names[IPAMD_VERBS] = {"", "claim", "release", "step"};

static void pause_ns(long ns)
{
	nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* --- Processes ------------------------------------------------------------ */

static void be_child(struct run *run, __u32 number, __u64 seed)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Half of them as a plugin does it: by descriptors of their own. */
	if (number % 2 && pin_attach(STOCK_DIR, &torture_pin))
		_exit(1);
	if (number == MANAGER)
		torture_manager(run->t, seed);
	else
		torture_worker(run->t, number, seed);
	_exit(0);
}

static void spawn(struct run *run, __u32 number)
{
	__u64 seed = torture_random(&run->dice);
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		be_child(run, number, seed);
	CHECK(pid > 0);
	run->child[number] = (struct child){.pid = pid};
}

/* What it was about may have happened or not; it cannot happen any more. */
static void bury_worker(struct run *run, __u32 number)
{
	struct history_op *op = torture_last(&run->t->log[number]);

	if (!op)
		return;
	op->verdict = HISTORY_UNKNOWN;
	op->again = 0;
	memset(op->got, 0, sizeof(op->got));
	op->return_ns = clock_boot_ns();
}

static void kill_one(struct run *run, __u32 number)
{
	struct child *c = &run->child[number];

	kill(c->pid, SIGKILL);
	torture_go_first(c->pid); /* into its grave: nobody has time to wait */
	CHECK_EQ(waitpid(c->pid, NULL, 0), c->pid);
	run->kills++;
	if (number != MANAGER)
		bury_worker(run, number);
	spawn(run, number);
}

static void stop_one(struct run *run, __u32 number)
{
	struct child *c = &run->child[number];

	if (c->stopped_until)
		return;
	c->stopped_until = clock_boot_ns() + torture_pick(&run->dice, STOPPED_NS);
	kill(c->pid, SIGSTOP);
	run->stops++;
}

static void go_on(struct run *run, __u64 now)
{
	for (__u32 i = 0; i <= WORKERS; i++)
		if (run->child[i].stopped_until && run->child[i].stopped_until <= now) {
			kill(run->child[i].pid, SIGCONT);
			run->child[i].stopped_until = 0;
		}
}

/* Asked to end, all do, without a kill. */
static void end_all(struct run *run)
{
	__u64 limit = clock_boot_ns() + PATIENCE_NS;
	int left = WORKERS + 1;

	__atomic_store_n(&run->t->stop, 1, __ATOMIC_SEQ_CST);
	go_on(run, ~0ULL);
	while (left) {
		CHECK(clock_boot_ns() < limit);
		for (__u32 i = 0; i <= WORKERS; i++) {
			int status;

			if (!run->child[i].pid ||
			    waitpid(run->child[i].pid, &status, WNOHANG) != run->child[i].pid)
				continue;
			CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
			run->child[i].pid = 0;
			left--;
		}
		pause_ns(200000);
	}
}

/* --- A round -------------------------------------------------------------- */

static unsigned long round_claims(const struct run *run)
{
	unsigned long n = 0;

	for (__u32 i = 0; i < WORKERS; i++)
		n += __atomic_load_n(&run->t->log[i].claims, __ATOMIC_RELAXED);
	return n;
}

static bool is_over(const struct run *run, unsigned long enough)
{
	for (__u32 i = 0; i <= WORKERS; i++)
		if (torture_is_full(&run->t->log[i]))
			return true;
	return round_claims(run) >= enough || clock_boot_ns() - run->round_ns > ROUND_NS;
}

/* Workers more often than the manager, but that one, too. */
static __u32 victim(struct run *run)
{
	return torture_pick(&run->dice, 8) ? torture_pick(&run->dice, WORKERS) : MANAGER;
}

static void harass(struct run *run)
{
	if (!torture_pick(&run->dice, 6))
		kill_one(run, victim(run));
	if (!torture_pick(&run->dice, 3))
		stop_one(run, victim(run));
	go_on(run, clock_boot_ns());
}

static void count_ops(struct run *run)
{
	for (__u32 i = 0; i < LOGS; i++)
		for (__u32 n = 0; n < run->t->log[i].count; n++) {
			static const enum ipamd_verb verb[] = {IPAMD_CLAIM, IPAMD_RELEASE,
							       IPAMD_STEP};
			const struct history_op *op = &run->t->log[i].op[n];

			if (op->what > HISTORY_STEP)
				continue;
			run->begun[verb[op->what]]++;
			/* A step's successor saw what became of it, not what it answered. */
			if (op->verdict == HISTORY_UNKNOWN ||
			    (op->what == HISTORY_STEP && op->again))
				run->unknown[verb[op->what]]++;
			else if (op->verdict >= 0 && op->verdict < IPAMD_VERDICTS)
				run->told[verb[op->what]][op->verdict]++;
			run->claims += op->what == HISTORY_ADD && !op->verdict && !op->again;
		}
}

static void print_op(const struct run *run, const struct history_op *op, const char *before)
{
	char line[512];

	history_print(op, run->round_ns, line, sizeof(line));
	printf("# %s%s\n", before, line);
}

static int by_invoke(const void *x, const void *y)
{
	const struct history_op *a = *(const struct history_op *const *)x;
	const struct history_op *b = *(const struct history_op *const *)y;

	return (a->invoke_ns > b->invoke_ns) - (a->invoke_ns < b->invoke_ns);
}

static bool is_about(const struct history_op *op, const struct history_finding *f)
{
	bool about = false;

	if (op->what > HISTORY_STEP)
		return false;
	for (int i = 0; i < IPAMD_FAMILIES; i++)
		about |= op->got[i].word && op->got[i].slot == f->slot;
	if (op->what == HISTORY_STEP)
		return about;
	about |= op->key == f->key;
	for (int i = 0; i < 3; i++)
		about |= f->op[i] && f->op[i]->what < HISTORY_STEP && f->op[i]->key == op->key;
	return about;
}

/* What else went on with those attachments and that slot, the last of it. */
static void print_around(const struct run *run, const struct history_finding *f)
{
	enum { MOST = 24 };
	const struct history_op **ops = calloc(LOGS * LOG_OPS, sizeof(*ops));
	const struct history_op *last = f->op[1] ? f->op[1] : f->op[0];
	unsigned int n = 0, to;

	CHECK(ops);
	for (__u32 i = 0; i < LOGS; i++)
		for (__u32 k = 0; k < run->t->log[i].count; k++)
			if (is_about(&run->t->log[i].op[k], f))
				ops[n++] = &run->t->log[i].op[k];
	qsort(ops, n, sizeof(*ops), by_invoke);
	for (to = 0; to < n && (!last || ops[to]->invoke_ns <= last->return_ns); to++)
		;
	for (unsigned int i = to > MOST ? to - MOST : 0; i < to; i++)
		print_op(run, ops[i], "        . ");
	free(ops);
}

static void print_findings(struct run *run)
{
	const struct history_finding *f;

	for (enum history_rule v = HISTORY_V1; v < HISTORY_RULES; v++)
		if (history_count(run->h, v))
			printf("# V%d: %u findings in round %lu\n", v, history_count(run->h, v),
			       run->rounds + 1);
	for (unsigned int i = 0; (f = history_finding(run->h, i)); i++) {
		printf("# V%d: %s (slot %d, key %d)\n", f->rule, f->text, (int)f->slot,
		       (int)f->key);
		for (int n = 0; n < 3; n++)
			if (f->op[n])
				print_op(run, f->op[n], "    ");
		if (i < 3)
			print_around(run, f);
	}
}

/* Nobody runs: what was written down, against the rules and the map. */
static void check_round(struct run *run)
{
	__u64 began = clock_boot_ns();
	struct history_map map;
	unsigned int names = torture_names();
	int found;

	CHECK(!torture_look(run->t, &map));
	for (__u32 i = 0; i < LOGS; i++)
		for (__u32 n = 0; n < run->t->log[i].count; n++)
			CHECK_EQ(history_add(run->h, &run->t->log[i].op[n]), 0);
	found = history_check(run->h, &map);
	CHECK(found >= 0);
	print_findings(run);
	if (names != run->names + torture_names_expected(run->t)) {
		printf("# V7: %u names are in the map, not %u\n", names,
		       run->names + torture_names_expected(run->t));
		found++;
	}
	run->findings += (unsigned long)found;
	count_ops(run);
	for (__u32 i = 0; i < LOGS; i++)
		run->t->log[i].count = run->t->log[i].claims = 0;
	run->rounds++;
	run->checking_ns += clock_boot_ns() - began;
}

static void play_round(struct run *run, unsigned long claims)
{
	run->t->stop = 0;
	run->round_ns = clock_boot_ns();
	for (__u32 i = 0; i <= WORKERS; i++)
		spawn(run, i);
	while (!is_over(run, claims)) {
		harass(run);
		pause_ns(500000);
	}
	end_all(run);
	check_round(run);
}

/* --- Before and after ----------------------------------------------------- */

static void fill_all(struct run *run)
{
	struct torture *t = run->t;

	run->round_ns = clock_boot_ns();
	for (__u32 p = 0, slot = 0; p < POOLS; p++)
		for (__u32 i = 0; i < torture_pools[p].count; i++, slot++) {
			__u64 word = slot_filled(0, p, stock_now_ms());

			CHECK_EQ(torture_step(t, PARENT, slot, 0, word, torture_pools[p].first + i,
					      HISTORY_NONE),
				 IPAMD_OK);
			torture_manager_learn(t, &t->log[PARENT].op[t->log[PARENT].count - 1]);
		}
}

static void release_all(struct run *run)
{
	for (__u32 key = 0; key < KEYS; key++) {
		struct ipamd_request req = run->t->key[key].request;
		struct history_op plan = {.what = HISTORY_DEL, .key = key, .want = HISTORY_NONE};

		plan.start_ns = req.who.start_ns = clock_boot_ns();
		torture_run(run->t, PARENT, &plan, &req);
	}
}

static void check_empty(struct run *run)
{
	unsigned int held = stock_count(torture_pin, IPAMD_HELD);
	unsigned int entries = stock_entries(torture_pin);

	if (held || entries) {
		printf("# V7: all was released, but %u words are held, %u entries left\n", held,
		       entries);
		run->findings++;
	}
}

static void miscounted(struct run *run, int verb)
{
	printf("# V7: %s: the history is not what the programs counted\n", verb_names[verb]);
	run->findings++;
}

/* The programs counted what they answered; each answer is in the history, or its asker dead. */
static void check_stats(struct run *run)
{
	struct ipamd_stats s;

	CHECK(!torture_stats(&s));
	for (int verb = 1; verb < IPAMD_VERBS; verb++) {
		unsigned long ran = 0, told = 0;
		char text[512] = "";
		size_t at = 0;

		for (int v = 0; v < IPAMD_VERDICTS; v++) {
			ran += s.count[verb][v];
			told += run->told[verb][v];
			if (s.count[verb][v] < run->told[verb][v])
				miscounted(run, verb);
			if (s.count[verb][v])
				at += (size_t)snprintf(text + at, sizeof(text) - at, " %s %llu",
						       history_verdict(v),
						       (unsigned long long)s.count[verb][v]);
		}
		printf("# %s:%s; killed %lu, of which %lu ran\n", verb_names[verb], text,
		       run->unknown[verb], ran - told);
		if (ran > run->begun[verb] || ran - told > run->unknown[verb])
			miscounted(run, verb);
	}
	for (int verb = 1; verb < IPAMD_VERBS; verb++) /* the torture's own mistakes */
		CHECK(!s.count[verb][IPAMD_FOREIGN] && !s.count[verb][IPAMD_ILLEGAL] &&
		      !s.count[verb][IPAMD_MOVING] && !s.count[verb][IPAMD_FULL]);
}

static unsigned long number(const char *name, unsigned long otherwise)
{
	const char *s = getenv(name);

	return s ? strtoul(s, NULL, 10) : otherwise;
}

static void run_open(struct run *run)
{
	struct history_shape shape = {
		.keys = KEYS,
		.slots = SLOTS,
		.addresses = ADDRESSES,
		.reclaim_ms = RECLAIM_MS,
	};

	run->t = torture_open();
	CHECK(run->t);
	run->names = torture_names();
	shape.ids = run->t->id;
	shape.workloads = run->t->workload;
	for (__u32 p = 0; p < POOLS; p++)
		shape.cooldown_ms[p] = torture_pools[p].cooldown_ms;
	run->h = history_open(&shape);
	run->began_ns = clock_boot_ns();
}

static void report(struct run *run, unsigned long seed)
{
	double seconds = (double)(clock_boot_ns() - run->began_ns) / 1e9;
	double checking = (double)run->checking_ns / 1e9;

	printf("# seed %lu, %lu rounds, %lu claims, %lu releases, %lu kills, %lu stops\n", seed,
	       run->rounds, run->claims, run->told[IPAMD_RELEASE][IPAMD_OK], run->kills,
	       run->stops);
	check_stats(run);
	printf("# answered again, and then ended by an older DEL: %lu\n",
	       history_overtaken(run->h));
	printf("# %lu findings, %.1f seconds (%.1f of them checking), %.0f claims/s\n",
	       run->findings, seconds, checking, (double)run->claims / (seconds - checking));
}

TEST(torture_raises_no_finding)
{
	unsigned long claims = number("CLAIMS", 1000000);
	unsigned long seed = number("TORTURE_SEED", (unsigned long)time(NULL));
	static struct run run;

	alarm((unsigned int)(120 + claims / 5000 + test_seconds()));
	run.dice = seed * 0x9e3779b97f4a7c15ULL | 1;
	torture_go_first(0);
	run_open(&run);
	fill_all(&run);
	while (run.claims < claims && !run.findings) {
		unsigned long before = run.claims, left = claims - run.claims;

		play_round(&run, left < ROUND_CLAIMS ? left : ROUND_CLAIMS);
		if (run.claims == before) {
			printf("# a round without a claim\n");
			break;
		}
	}
	release_all(&run);
	check_round(&run);
	check_empty(&run);
	report(&run, seed);
	CHECK_EQ(run.findings, 0);
	CHECK(run.claims >= claims);
	history_close(run.h);
}

TEST_MAIN

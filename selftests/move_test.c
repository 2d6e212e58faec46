// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * To another capacity and to the layout of tomorrow, with pods on the node:
 * nothing is lost, nothing is given out twice, and a crash at any point of the
 * way is mended by the next start.
 */
#include "selftests/harness.h"
#include "selftests/stock.h"
#include "userspace/edge/move.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>

static struct pin *reopen(__u32 layout, __u32 slots)
{
	struct pin_shape shape = {
		.layout = layout, .slots = slots, .tail = layout > IPAMD_LAYOUT ? 64 : 0};
	struct pin *pin = NULL;

	CHECK_EQ(pin_open_shape(STOCK_DIR, &shape, &pin), 0);
	return pin;
}

/* Eight held (two of them dual stack), one cooling, one fixed, one leaving. */
static struct pin *busy_stock(void)
{
	struct pin *pin = stock_open(64, 600000);
	struct ipamd_request req;

	for (__u32 slot = 0; slot < 16; slot++)
		CHECK_EQ(stock_fill(pin, slot, POOL_4, slot), IPAMD_OK);
	for (__u32 slot = 16; slot < 20; slot++)
		CHECK_EQ(stock_fill(pin, slot, POOL_6, slot), IPAMD_OK);
	for (unsigned int i = 0; i < 6; i++)
		CHECK_EQ(stock_claim(pin, i, "v4", NULL), IPAMD_OK);
	for (unsigned int i = 6; i < 8; i++)
		CHECK_EQ(stock_claim(pin, i, NULL, NULL), IPAMD_OK);
	CHECK_EQ(stock_claim(pin, 9, "v4", NULL), IPAMD_OK);
	CHECK_EQ(stock_release(pin, 9), IPAMD_OK);

	request_init(&req, IPAMD_STEP);
	CHECK_EQ(stock_step(pin, &req, 14, slot_set_state(stock_word(pin, 14), IPAMD_LEAVING)),
		 IPAMD_OK);
	request_init(&req, IPAMD_STEP);
	req.workload = digest_workload("ns", "db-0");
	CHECK_EQ(stock_step(pin, &req, 15, stock_word(pin, 15) ^ SLOT_FIXED), IPAMD_OK);
	pin->meta->epoch = 42;
	memset(pin->meta->pair_id, 7, sizeof(pin->meta->pair_id));
	return pin;
}

static void check_same_words(const __u64 before[20], struct pin *pin)
{
	for (__u32 slot = 0; slot < 20; slot++)
		CHECK_EQ(stock_word(pin, slot), before[slot]);
	for (__u32 slot = 20; slot < pin->meta->slots; slot++)
		CHECK_EQ(stock_word(pin, slot), 0);
}

static void copy_words(struct pin *pin, __u64 ret[20])
{
	for (__u32 slot = 0; slot < 20; slot++)
		ret[slot] = stock_word(pin, slot);
}

/* Everybody still has what they had, and the rest is as usable as it was. */
static void check_life_goes_on(struct pin *pin)
{
	struct ipamd_request req;

	for (unsigned int i = 0; i < 8; i++) {
		CHECK_EQ(stock_claim(pin, i, i < 6 ? "v4" : NULL, &req), IPAMD_OK);
		CHECK_EQ(req.again, 1);
		CHECK_EQ(req.lease[0].slot, i);
		CHECK_EQ(!!req.lease[1].word, i >= 6);
	}
	for (unsigned int i = 0; i < 8; i++)
		CHECK_EQ(stock_release(pin, i), IPAMD_OK);
	CHECK_EQ(stock_entries(pin), 0);
	CHECK_EQ(stock_count(pin, IPAMD_HELD), 0);
	CHECK_EQ(stock_count(pin, IPAMD_FREE), 19);
	stock_request(&req, IPAMD_CLAIM, 20);
	request_pod(&req, "ns", "db-0", "uid");
	request_pool(&req, "v4");
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_OK);
	CHECK_EQ(req.lease[0].slot, 15);
	CHECK_EQ(stock_claim(pin, 21, "v4", &req), IPAMD_OK);
	CHECK_EQ(req.lease[0].slot, 9);
}

TEST(capacity_grows_under_pods)
{
	auto_pin struct pin *pin = busy_stock();
	auto_pin struct pin *big = NULL;
	__u64 before[20];

	copy_words(pin, before);
	big = reopen(IPAMD_LAYOUT, 1000);
	CHECK_EQ(big->generation, 2);
	CHECK_EQ(big->meta->slots, 1000);
	CHECK_EQ(big->meta->epoch, 42);
	CHECK_EQ(big->meta->pair_id[15], 7);
	check_same_words(before, big);
	CHECK_EQ(stock_fill(big, 999, POOL_4, 0), IPAMD_OK);
	CHECK_EQ(stock_claim(big, 99, "v4", NULL), IPAMD_OK);
	CHECK_EQ(stock_release(big, 99), IPAMD_OK);
	CHECK_EQ(access(STOCK_DIR "/g1", F_OK), -1);
	pin_close(reopen(IPAMD_LAYOUT, 1000));
}

TEST(capacity_shrinks_only_over_empty_slots)
{
	auto_pin struct pin *pin = stock_open(256, 1000);
	auto_pin struct pin *small = NULL;
	struct ipamd_request req;

	CHECK_EQ(stock_fill(pin, 3, POOL_4, 0), IPAMD_OK);
	CHECK_EQ(stock_fill(pin, 200, POOL_4, 0), IPAMD_OK);
	CHECK_EQ(pin_open(STOCK_DIR, 64, &small), PIN_TOO_SMALL);
	CHECK_EQ(stock_claim(pin, 1, "v4", NULL), IPAMD_OK); /* serves on as it was */
	request_init(&req, IPAMD_STEP);
	CHECK_EQ(stock_step(pin, &req, 200, slot_set_state(stock_word(pin, 200), IPAMD_LEAVING)),
		 IPAMD_OK);
	CHECK_EQ(stock_step(pin, &req, 200, slot_set_state(stock_word(pin, 200), IPAMD_EMPTY)),
		 IPAMD_OK);
	small = reopen(IPAMD_LAYOUT, 64);
	CHECK_EQ(stock_claim(small, 1, "v4", &req), IPAMD_OK);
	CHECK_EQ(req.again, 1);
}

TEST(the_next_layout_takes_everything_over)
{
	auto_pin struct pin *pin = busy_stock();
	auto_pin struct pin *next = NULL;
	__u64 before[20];

	copy_words(pin, before);
	next = reopen(IPAMD_LAYOUT + 1, 64);
	CHECK_EQ(next->meta->layout, IPAMD_LAYOUT + 1);
	CHECK_EQ(next->value_size[PIN_HOLDERS], sizeof(struct ipamd_holder) + 64);
	check_same_words(before, next);
	check_life_goes_on(next);
}

TEST(the_old_map_gives_nothing_any_more)
{
	auto_pin struct pin *old = busy_stock();
	struct ipamd_request req, stale;

	/* stamped before, run on the old map after: an orphan of the move */
	stock_request(&stale, IPAMD_RELEASE, 3);
	pin_close(reopen(IPAMD_LAYOUT + 1, 64));
	CHECK_EQ(stock_count(old, IPAMD_MOVED), 64);
	CHECK_EQ(stock_claim(old, 50, "v4", &req), IPAMD_MOVING);
	CHECK_EQ(stock_claim(old, 3, "v4", &req), IPAMD_MOVING);
	CHECK_EQ(pin_run(old, IPAMD_RELEASE, &stale), IPAMD_MOVING);
	CHECK_EQ(stock_count(old, IPAMD_MOVED), 64);
}

TEST(tombstones_move_too)
{
	auto_pin struct pin *old = busy_stock();
	auto_pin struct pin *next = NULL;
	struct ipamd_request add;

	stock_request(&add, IPAMD_CLAIM, 70);
	CHECK_EQ(stock_release(old, 70), IPAMD_NOTHING);
	next = reopen(IPAMD_LAYOUT + 1, 64);
	CHECK_EQ(pin_run(next, IPAMD_CLAIM, &add), IPAMD_LATE);
}

/* --- Killed on the way -------------------------------------------------------- */

/* Runs the move in a child and kills it at its k-th system call; 0: it got through. */
static int move_killed_at(const struct pin_shape *shape, long k)
{
	struct pin *next = NULL;
	int status;
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(pin_open_shape(STOCK_DIR, shape, &next) ? 1 : 0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	for (long stops = 0; WIFSTOPPED(status); stops++) {
		CHECK_EQ(ptrace(stops == 2 * k ? PTRACE_KILL : PTRACE_SYSCALL, pid, NULL, NULL), 0);
		if (stops == 2 * k)
			kill(pid, SIGKILL);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
	}
	CHECK(WIFSIGNALED(status) || !WEXITSTATUS(status));
	return WIFSIGNALED(status);
}

/*
 * Invariant 10 at every STRIDE-th system call of load, copy and commit; MOVE_STRIDE=1
 * takes them all.
 */
TEST(a_move_killed_anywhere_is_finished_by_the_next_start)
{
	struct pin_shape shape = {.layout = IPAMD_LAYOUT + 1, .slots = 64, .tail = 64};
	const char *s = getenv("MOVE_STRIDE");
	long stride = s ? atol(s) : 37, points = 0;

	CHECK(stride > 0);
	alarm(600);
	for (long k = 1;; k += stride) {
		struct pin *old = busy_stock(), *next = NULL;
		__u64 before[20];
		int killed;

		copy_words(old, before);
		killed = move_killed_at(&shape, k);
		CHECK_EQ(pin_open_shape(STOCK_DIR, &shape, &next), 0);
		check_same_words(before, next);
		check_life_goes_on(next);
		pin_close(next);
		pin_close(old);
		CHECK_EQ(umount2("/tmp/ipamd-test-bpffs", MNT_DETACH), 0);
		if (!killed)
			break;
		points++;
	}
	printf("# killed at %ld points, every %ldth system call\n", points, stride);
	CHECK(points > 5);
}

/* --- With pods coming and going -------------------------------------------- */

enum { WORKERS = 4, MOVES = 30 };

struct witness {
	int stop;
	__u64 holder[64]; /* of each address, as the workers see it */
	__u64 claims[WORKERS];
};

/* As the plugin does: told MOVING, it looks at `current` again, for a while. */
static int run_through(struct pin **pin, enum ipamd_verb verb, struct ipamd_request *req)
{
	for (int i = 0; i < 100000; i++) {
		struct pin *again;
		int r = pin_run(*pin, verb, req);

		if (r != IPAMD_MOVING && r != IPAMD_BUSY)
			return r;
		if (r == IPAMD_MOVING && !pin_attach(STOCK_DIR, &again)) {
			pin_close(*pin);
			*pin = again;
		}
	}
	return -ETIMEDOUT;
}

static void work(struct witness *w, unsigned int me)
{
	struct pin *pin;
	struct ipamd_request req;

	CHECK_EQ(pin_attach(STOCK_DIR, &pin), 0);
	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		__u64 mine = me + 1, free = 0;
		__u32 slot;
		int r;

		stock_request(&req, IPAMD_CLAIM, me);
		request_pool(&req, "v4");
		r = run_through(&pin, IPAMD_CLAIM, &req);
		if (r == IPAMD_EXHAUSTED)
			continue;
		CHECK_EQ(r, IPAMD_OK);
		slot = req.lease[0].slot;
		CHECK(__atomic_compare_exchange_n(&w->holder[slot], &free, mine, 0,
						  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
		w->claims[me]++;
		__atomic_store_n(&w->holder[slot], 0, __ATOMIC_SEQ_CST);
		stock_request(&req, IPAMD_RELEASE, me);
		CHECK_EQ(run_through(&pin, IPAMD_RELEASE, &req), IPAMD_OK);
	}
	pin_close(pin);
}

TEST(claims_and_releases_go_on_through_thirty_moves)
{
	struct witness *w =
		mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct pin *pin = stock_open(64, 0);
	pid_t pid[WORKERS];
	__u64 claims = 0;
	int status;

	CHECK(w != MAP_FAILED);
	alarm(600); /* thirty times load and verify, perhaps on an emulated machine */
	for (__u32 slot = 0; slot < 6; slot++)
		CHECK_EQ(stock_fill(pin, slot, POOL_4, 0), IPAMD_OK);
	pin_close(pin);
	for (unsigned int i = 0; i < WORKERS; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			work(w, i);
			_exit(0);
		}
	}
	for (__u32 i = 0; i < MOVES; i++) {
		pin = reopen(IPAMD_LAYOUT + i / 10, 64 + 64 * (i % 3));
		CHECK(pin->generation >= i);
		if (i < MOVES - 1)
			pin_close(pin);
	}
	__atomic_store_n(&w->stop, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < WORKERS; i++) {
		CHECK_EQ(waitpid(pid[i], &status, 0), pid[i]);
		CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
		CHECK(w->claims[i] > 0);
		claims += w->claims[i];
	}
	printf("# %llu claims through %d moves\n", (unsigned long long)claims, MOVES);
	CHECK_EQ(stock_count(pin, IPAMD_FREE), 6);
	CHECK_EQ(stock_entries(pin), 0);
	pin_close(pin);
}

TEST_MAIN

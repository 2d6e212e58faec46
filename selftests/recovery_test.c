// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The table of what may be lost: every state of the map with every state of the
 * database, done to the real ipamd with real pods, and what it must make of it.
 *
 * Before each damage there is one address of each sort (enum sort).  In every cell:
 * what ipamd does (it starts, or refuses and says why), what became of each sort,
 * that a pod's second ADD and its DEL find what it has, that whoever claims all that
 * is ready gets nothing of a live pod's or of what cools, that the balance holds,
 * and that no database file is lost.  A refusal changes nothing, and when its cause
 * is mended the next start does what it would have done.
 */
#include "selftests/harness.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "bpf/request.h"
#include "bpf/slot.h"
#include "selftests/node.h"
#include "userspace/base/addr.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/core/recover.h"

enum { COOLDOWN_MS = 600000 };

#define POOLS                                                                   \
	"[pool default]\nsubnet = 10.77.0.0/24\ncooldown = 600s\nlow = 3\n"     \
	"high = 6\n[pool dual]\nsubnet = 10.78.0.0/24\nsubnet = fd00:78::/64\n" \
	"cooldown = 600s\nlow = 1\nhigh = 3\n"

/* --- What is there before ------------------------------------------------------------ */

enum sort {
	LIVE,    /* a pod has it in its namespace; the runtime has no result of it */
	CACHED,  /* a pod holds it that is in no namespace (a virtual machine's): the result */
	COOLING, /* released a moment ago */
	READY,   /* in stock */
	FIXED,   /* in stock, for one workload */
	DUAL,    /* a pod has two, IPv4 and IPv6, in its namespace and in its result */
	DUAL6,
	SORTS,
};

/* What it is in the end. */
enum fate {
	SAME,     /* held: by the same attachment, whose ADD and DEL find it */
	HELD,     /* held, by nobody knows whom */
	COOLS,    /* not ready before the time that it had */
	COOLS2,   /* nor before a whole cooldown from the start on */
	COOLS3,   /* nor before the longest ADD and then a whole cooldown */
	IS_READY, /* anybody may claim it */
	IS_FIXED, /* its workload may claim it, and nobody else */
	FIXED3,   /* fixed, and cools as COOLS3 */
	UNKNOWN,  /* nobody remembers it: it may come new from its source, and at once */
};

static const struct fates {
	enum fate of[SORTS];
} whole = {{SAME, SAME, COOLS, IS_READY, IS_FIXED, SAME, SAME}},
  lost = {{SAME, SAME, COOLS3, COOLS3, FIXED3, SAME, SAME}},
  lost_both = {{HELD, SAME, COOLS3, COOLS3, COOLS3, SAME, SAME}},
  next_boot = {{HELD, COOLS2, COOLS2, IS_READY, IS_FIXED, HELD, HELD}},
  next_boot_damaged = {{HELD, COOLS2, COOLS2, COOLS2, COOLS2, HELD, HELD}},
  first_start = {{HELD, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, HELD, HELD}};

/* --- The table -------------------------------------------------------------------------- */

enum map { M_WHOLE, M_LOST, M_OTHER_BOOT, M_OTHER_LAYOUT, M_CLAIMING, MAPS };
enum db {
	D_WHOLE,
	D_MISSING,
	D_CORRUPT,
	D_TRUNCATED,
	D_EMPTY,
	D_READ_ONLY,
	D_FULL,
	D_NEWER,
	D_OTHER_PAIR,
	DBS,
};

static const char *const map_names[] = {"whole", "lost in this boot", "of another boot",
					"of another layout", "with a claim left over"};
static const char *const db_names[] = {"whole",     "missing", "corrupt", "truncated",     "empty",
				       "read-only", "full",    "newer",   "of another map"};

#define SAYS_LOST  "the maps of this boot are lost"
#define SAYS_MADE  "there was no database: made a new one"
#define SAYS_ASIDE "the database was damaged: moved aside"
#define SAYS_RO    "the file system of the database is read-only"
#define SAYS_FULL  "no space left on the file system of the database"
#define SAYS_NEWER "the database is of a newer ipamd"
#define SAYS_PAIR  "belongs to another map: it is kept at"
#define SAYS_MAPS  "the maps are of a newer ipamd"
#define SAYS_START "serving 2 pools"

/* What the log must say, and what becomes of the addresses; refuses: once it is mended. */
struct cell {
	bool refuses;
	const char *says, *also;
	const struct fates *then;
};

/* clang-format off */
#define STARTS(says, also, then) {false, says, also, &(then)}
#define REFUSES(says, then)      {true, says, NULL, &(then)}

static const struct cell cells[MAPS][DBS] = {
	[M_WHOLE] = {
		[D_WHOLE]        = STARTS(SAYS_START, NULL, whole),
		[D_MISSING]      = STARTS(SAYS_MADE, NULL, whole),
		[D_CORRUPT]      = STARTS(SAYS_ASIDE, NULL, whole),
		[D_TRUNCATED]    = STARTS(SAYS_ASIDE, NULL, whole),
		[D_EMPTY]        = STARTS(SAYS_MADE, NULL, whole),
		[D_READ_ONLY]    = REFUSES(SAYS_RO, whole),
		[D_FULL]         = REFUSES(SAYS_FULL, whole),
		[D_NEWER]        = REFUSES(SAYS_NEWER, whole),
		[D_OTHER_PAIR]   = STARTS(SAYS_PAIR, NULL, whole),
	},
	/* No map is there to say that the database is another one's. */
	[M_LOST] = {
		[D_WHOLE]        = STARTS(SAYS_LOST, NULL, lost),
		[D_MISSING]      = STARTS(SAYS_LOST, SAYS_MADE, lost_both),
		[D_CORRUPT]      = STARTS(SAYS_LOST, SAYS_ASIDE, lost_both),
		[D_TRUNCATED]    = STARTS(SAYS_LOST, SAYS_ASIDE, lost_both),
		[D_EMPTY]        = STARTS(SAYS_LOST, SAYS_MADE, lost_both),
		[D_READ_ONLY]    = REFUSES(SAYS_RO, lost),
		[D_FULL]         = REFUSES(SAYS_FULL, lost),
		[D_NEWER]        = REFUSES(SAYS_NEWER, lost),
		[D_OTHER_PAIR]   = STARTS(SAYS_LOST, NULL, lost),
	},
	[M_OTHER_BOOT] = {
		[D_WHOLE]        = STARTS(SAYS_START, NULL, next_boot),
		[D_MISSING]      = STARTS(SAYS_MADE, NULL, first_start),
		[D_CORRUPT]      = STARTS(SAYS_ASIDE, NULL, next_boot_damaged),
		[D_TRUNCATED]    = STARTS(SAYS_ASIDE, NULL, next_boot_damaged),
		[D_EMPTY]        = STARTS(SAYS_MADE, NULL, first_start),
		[D_READ_ONLY]    = REFUSES(SAYS_RO, next_boot),
		[D_FULL]         = REFUSES(SAYS_FULL, next_boot),
		[D_NEWER]        = REFUSES(SAYS_NEWER, next_boot),
		[D_OTHER_PAIR]   = STARTS(SAYS_START, NULL, next_boot),
	},
	/* The database is not even looked at: it is damaged, or not, after the mending. */
	[M_OTHER_LAYOUT] = {
		[D_WHOLE]        = REFUSES(SAYS_MAPS, whole),
		[D_MISSING]      = REFUSES(SAYS_MAPS, whole),
		[D_CORRUPT]      = REFUSES(SAYS_MAPS, whole),
		[D_TRUNCATED]    = REFUSES(SAYS_MAPS, whole),
		[D_EMPTY]        = REFUSES(SAYS_MAPS, whole),
		[D_READ_ONLY]    = REFUSES(SAYS_MAPS, whole),
		[D_FULL]         = REFUSES(SAYS_MAPS, whole),
		[D_NEWER]        = REFUSES(SAYS_MAPS, whole),
		[D_OTHER_PAIR]   = REFUSES(SAYS_MAPS, whole),
	},
	[M_CLAIMING] = {
		[D_WHOLE]        = STARTS(SAYS_START, NULL, whole),
		[D_MISSING]      = STARTS(SAYS_MADE, NULL, whole),
		[D_CORRUPT]      = STARTS(SAYS_ASIDE, NULL, whole),
		[D_TRUNCATED]    = STARTS(SAYS_ASIDE, NULL, whole),
		[D_EMPTY]        = STARTS(SAYS_MADE, NULL, whole),
		[D_READ_ONLY]    = REFUSES(SAYS_RO, whole),
		[D_FULL]         = REFUSES(SAYS_FULL, whole),
		[D_NEWER]        = REFUSES(SAYS_NEWER, whole),
		[D_OTHER_PAIR]   = STARTS(SAYS_PAIR, NULL, whole),
	},
};
/* clang-format on */

/* --- The scene ---------------------------------------------------------------------------- */

struct scene {
	struct addr address[SORTS];
	__u64 ready_at[SORTS]; /* as it was when it was damaged */
	struct node_pod live, dual;
	__u64 claiming;       /* M_CLAIMING: that word */
	unsigned int claimed; /* and its slot */
	__u64 started_ms;     /* the start after the damage began */
	__u64 sum;            /* of the database file after the damage */
	off_t size;
};

/* Numbers of the attachments. */
enum { N_LIVE = 1, N_CACHED, N_COOLING, N_DUAL, N_FIXED, N_EXTRA, N_SWEEP = 100 };

static const unsigned int number_of[SORTS] = {
	[LIVE] = N_LIVE, [CACHED] = N_CACHED, [DUAL] = N_DUAL, [DUAL6] = N_DUAL};

static struct scene scene;

static struct addr leased(const struct ipamd_request *req, enum ipamd_family f)
{
	struct addr a = {.family = f == IPAMD_V6 ? 6 : 4};

	memcpy(a.bytes, req->lease[f].address, sizeof(a.bytes));
	return a;
}

static void with_prefix(const struct addr *a, char ret[ADDR_TEXT + 8])
{
	addr_print(a, ret);
	strcat(ret, a->family == 6 ? "/64" : "/24");
}

/* The slot of the address in the map that is there, or IPAMD_NONE. */
static unsigned int slot_of(struct pin *pin, const struct addr *a, __u64 *ret_word)
{
	for (unsigned int slot = 0; slot < pin->meta->slots; slot++) {
		__u64 word = mem_load(&pin->words[slot]);
		struct ipamd_address there;

		*ret_word = word;
		if (slot_state(word) != IPAMD_EMPTY && !pin_address(pin, slot, &there) &&
		    pin->pools[slot_pool(word)].family == a->family &&
		    !memcmp(there.bytes, a->bytes, sizeof(there.bytes)))
			return slot;
	}
	return IPAMD_NONE;
}

static long long pools(const char *key)
{
	long long sum = 0;
	char path[64];

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "pools.%d.%s", i, key);
		sum += node_number("/v1/status", path);
	}
	return sum;
}

static void make_live(void)
{
	struct ipamd_request req;
	char text[ADDR_TEXT + 8];

	node_pod_start(&scene.live);
	CHECK_EQ(node_pod_claim(&scene.live, N_LIVE, &req), IPAMD_OK);
	scene.address[LIVE] = leased(&req, IPAMD_V4);
	with_prefix(&scene.address[LIVE], text);
	node_pod_address(&scene.live, text);
}

static void make_dual(void)
{
	struct ipamd_request req;
	char v4[ADDR_TEXT + 8], v6[ADDR_TEXT + 8];

	node_pod_start(&scene.dual);
	CHECK_EQ(node_pod_claim_from(&scene.dual, "dual", N_DUAL, &req), IPAMD_OK);
	scene.address[DUAL] = leased(&req, IPAMD_V4);
	scene.address[DUAL6] = leased(&req, IPAMD_V6);
	with_prefix(&scene.address[DUAL], v4);
	with_prefix(&scene.address[DUAL6], v6);
	node_pod_address(&scene.dual, v4);
	node_pod_address(&scene.dual, v6);
	node_result(N_DUAL, v4, v6);
}

static void make_cached(void)
{
	struct ipamd_request req;
	char text[ADDR_TEXT + 8];

	CHECK_EQ(node_claim(N_CACHED, "vm", &req), IPAMD_OK);
	scene.address[CACHED] = leased(&req, IPAMD_V4);
	with_prefix(&scene.address[CACHED], text);
	node_result(N_CACHED, text, NULL);
}

static void make_rest(void)
{
	struct ipamd_request req;
	int code;

	CHECK_EQ(node_claim(N_COOLING, "web", &req), IPAMD_OK);
	scene.address[COOLING] = leased(&req, IPAMD_V4);
	CHECK_EQ(node_release(N_COOLING), IPAMD_OK);
	json_decref(
		node_ask("POST", "/v1/fix?address=10.77.0.99&namespace=default&pod=db-0", &code));
	CHECK_EQ(code, 200);
	CHECK_EQ(addr_parse("10.77.0.99", &scene.address[FIXED]), 0);
}

/* One that is ready in the pool of LIVE, and no other sort; `skip`: not the first ones. */
static unsigned int some_ready(struct pin *pin, unsigned int skip)
{
	for (unsigned int slot = 0; slot < pin->meta->slots; slot++) {
		__u64 word = mem_load(&pin->words[slot]);
		const struct ipamd_pool *p = &pin->pools[slot_pool(word)];

		if (slot_state(word) == IPAMD_FREE && !(word & SLOT_FIXED) && p->family == 4 &&
		    !strcmp(p->name, "default") &&
		    slot_is_ready(word, slot_now_ms(clock_boot_ns())) && !skip--)
			return slot;
	}
	test_stop(T_FAIL, "nothing is ready");
}

static void note_map(void)
{
	auto_pin struct pin *pin = node_pins();
	struct ipamd_address a;
	__u64 word;

	CHECK_EQ(pin_address(pin, some_ready(pin, 0), &a), 0);
	scene.address[READY] = (struct addr){.family = 4};
	memcpy(scene.address[READY].bytes, a.bytes, sizeof(a.bytes));
	for (int i = 0; i < SORTS; i++)
		if (slot_of(pin, &scene.address[i], &word) != IPAMD_NONE &&
		    slot_state(word) == IPAMD_FREE)
			scene.ready_at[i] = slot_time(word);
}

/* All sorts, written down, and then ipamd is killed. */
static void make_scene(void)
{
	pid_t pid;

	node_make();
	node_configure(POOLS);
	pid = node_up();
	make_live();
	make_dual();
	make_cached();
	make_rest();
	CHECK(node_until(pools("held") == 4 && pools("cooling") == 1));
	note_map();
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
}

/* --- Damage: the database --------------------------------------------------------------------- */

static void sql(const char *text)
{
	sqlite3 *db;

	CHECK_EQ(sqlite3_open_v2(NODE_DB, &db, SQLITE_OPEN_READWRITE, NULL), 0);
	CHECK_EQ(sqlite3_exec(db, text, NULL, NULL, NULL), 0);
	CHECK_EQ(sqlite3_close(db), 0);
}

static void overwrite(off_t at, size_t size)
{
	auto_close int fd = open(NODE_DB, O_WRONLY | O_CLOEXEC);
	char junk[8192];

	memset(junk, 0x5a, sizeof(junk));
	CHECK_EQ(pwrite(fd, junk, size, at), size);
}

static void fill_disk(void)
{
	auto_close int fd = open(NODE_STATE "/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	static const char junk[4096];

	while (write(fd, junk, sizeof(junk)) > 0)
		;
	CHECK_EQ(errno, ENOSPC);
}

/* All of it is in one file first, but where nothing is done to it: there it is as it fell. */
static void damage_db(enum db d)
{
	struct stat st;

	if (d != D_WHOLE)
		sql("PRAGMA wal_checkpoint(TRUNCATE)");
	if (d == D_MISSING)
		CHECK_EQ(unlink(NODE_DB), 0);
	if (d == D_CORRUPT)
		overwrite(4096, 8192);
	if (d == D_TRUNCATED && !stat(NODE_DB, &st))
		CHECK_EQ(truncate(NODE_DB, st.st_size / 2), 0);
	if (d == D_EMPTY)
		CHECK_EQ(truncate(NODE_DB, 0), 0);
	if (d == D_NEWER)
		sql("PRAGMA user_version = 99");
	if (d == D_OTHER_PAIR)
		sql("UPDATE meta SET pair_id = x'00112233445566778899aabbccddeeff'");
	if (d == D_FULL)
		fill_disk();
	if (d == D_READ_ONLY)
		CHECK_EQ(mount(NULL, NODE_STATE, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
}

static void mend_db(enum db d)
{
	if (d == D_READ_ONLY)
		CHECK_EQ(mount(NULL, NODE_STATE, NULL, MS_REMOUNT, NULL), 0);
	if (d == D_FULL)
		CHECK_EQ(unlink(NODE_STATE "/filler"), 0);
	if (d == D_NEWER)
		sql("PRAGMA user_version = 1");
}

/* FNV-1a of the file; 0: there is none. */
static __u64 sum_of(const char *path, off_t *ret_size)
{
	FILE *f = fopen(path, "re");
	__u64 h = 14695981039346656037ULL;
	int c;

	*ret_size = 0;
	if (!f)
		return 0;
	for (; (c = getc(f)) != EOF; ++*ret_size)
		h = (h ^ (unsigned char)c) * 1099511628211ULL;
	fclose(f);
	return h;
}

/* The database of before stands, byte for byte, in the only directory beside. */
static void check_aside(void)
{
	DIR *dir = opendir(NODE_STATE);
	struct dirent *e;
	unsigned int found = 0;

	CHECK(dir != NULL);
	while ((e = readdir(dir))) {
		char path[512];
		off_t size;

		if (strncmp(e->d_name, "ipamd.db.damaged-", 17))
			continue;
		snprintf(path, sizeof(path), NODE_STATE "/%s/ipamd.db", e->d_name);
		CHECK_EQ(sum_of(path, &size), scene.sum);
		CHECK_EQ(size, scene.size);
		found++;
	}
	closedir(dir);
	CHECK_EQ(found, 1);
}

/* --- Damage: the map -------------------------------------------------------------------------- */

static void set_layout(__u32 layout)
{
	auto_pin struct pin *pin = node_pins();

	pin->meta->layout = layout;
}

/* As if a program had been cut off between its two steps. */
static void leave_claim(void)
{
	auto_pin struct pin *pin = node_pins();
	unsigned int slot = some_ready(pin, 1);
	__u32 chunk = slot / IPAMD_CHUNK;
	__u64 word = mem_load(&pin->words[slot]);
	struct ipamd_chunk c;

	CHECK_EQ(bpf_map_lookup_elem(pin->map[PIN_WORDS], &chunk, &c), 0);
	c.word[slot % IPAMD_CHUNK] = slot_claimed(word, IPAMD_CLAIMING, 0x1234567890);
	CHECK_EQ(bpf_map_update_elem(pin->map[PIN_WORDS], &chunk, &c, BPF_ANY), 0);
	scene.claimed = slot;
	scene.claiming = c.word[slot % IPAMD_CHUNK];
}

static void damage_map(enum map m)
{
	if (m == M_LOST || m == M_OTHER_BOOT)
		node_lose_map();
	if (m == M_OTHER_BOOT) {
		node_change_boot();
		node_empty_run();
	}
	if (m == M_OTHER_LAYOUT)
		set_layout(IPAMD_LAYOUT + 1);
	if (m == M_CLAIMING)
		leave_claim();
}

/* --- What became of it ---------------------------------------------------------------------- */

static void check_word(enum sort sort, enum fate fate, unsigned int slot, __u64 word)
{
	__u64 least = scene.started_ms + COOLDOWN_MS;

	switch (fate) {
	case SAME:
	case HELD:
		CHECK(slot != IPAMD_NONE);
		CHECK_EQ(slot_state(word), IPAMD_HELD);
		return;
	case COOLS:
		CHECK(slot != IPAMD_NONE);
		CHECK_EQ(slot_time(word), scene.ready_at[sort]); /* to the millisecond */
		break;
	case FIXED3:
		CHECK(slot != IPAMD_NONE && word & SLOT_FIXED);
		least += RECOVER_LONGEST_ADD_MS;
		break;
	case COOLS3:
		least += RECOVER_LONGEST_ADD_MS;
		break;
	case COOLS2:
		break;
	case IS_READY:
	case IS_FIXED:
		CHECK(slot != IPAMD_NONE);
		CHECK_EQ(!!(word & SLOT_FIXED), fate == IS_FIXED);
		CHECK(slot_is_ready(word, slot_now_ms(clock_boot_ns())));
		return;
	case UNKNOWN:
		return;
	}
	if (slot == IPAMD_NONE) /* nobody knew it, and it has not come again */
		return;
	CHECK_EQ(slot_state(word), IPAMD_FREE);
	CHECK(fate == COOLS || slot_time(word) >= least);
}

static void check_words(const struct fates *f)
{
	auto_pin struct pin *pin = node_pins();

	for (int i = 0; i < SORTS; i++) {
		__u64 word = 0;
		unsigned int slot = slot_of(pin, &scene.address[i], &word);

		check_word(i, f->of[i], slot, word);
	}
	if (scene.claiming)
		CHECK_EQ(mem_load(&pin->words[scene.claimed]), scene.claiming);
}

static void check_no_double(void)
{
	auto_pin struct pin *pin = node_pins();

	for (unsigned int slot = 0; slot < pin->meta->slots; slot++) {
		__u64 word = mem_load(&pin->words[slot]);
		struct ipamd_address a;
		struct addr there = {0};

		if (slot_state(word) == IPAMD_EMPTY)
			continue;
		CHECK_EQ(pin_address(pin, slot, &a), 0);
		there.family = pin->pools[slot_pool(word)].family;
		memcpy(there.bytes, a.bytes, sizeof(there.bytes));
		CHECK_EQ(slot_of(pin, &there, &word), slot);
	}
}

static const char *pool_of(enum sort sort)
{
	return sort == DUAL || sort == DUAL6 ? "dual" : "default";
}

static int claim(const char *pool, const char *pod, unsigned int number, struct ipamd_request *ret)
{
	auto_pin struct pin *pin = node_pins();
	char container[32];

	snprintf(container, sizeof(container), "container-%u", number);
	request_init(ret, IPAMD_CLAIM);
	request_pod(ret, "default", pod, "uid");
	request_pool(ret, pool);
	request_attachment(ret, "net", container, "eth0", clock_boot_ns());
	return pin_run(pin, IPAMD_CLAIM, ret);
}

/* The runtime asks again for a pod that it has. */
static void check_second_add(enum sort sort)
{
	struct ipamd_request req;
	struct addr a;

	CHECK_EQ(claim(pool_of(sort), "web", number_of[sort], &req), IPAMD_OK);
	CHECK_EQ(req.again, 1);
	a = leased(&req, scene.address[sort].family == 6 ? IPAMD_V6 : IPAMD_V4);
	CHECK(!addr_compare(&a, &scene.address[sort]));
}

static bool may_be_claimed(enum fate fate)
{
	return fate == IS_READY || fate == UNKNOWN;
}

/* Claims all that is ready, also of what is filled meanwhile: nobody gets what is not free. */
static void check_sweep(const char *pool, const struct fates *f)
{
	for (unsigned int i = 0; i < 12; i++) {
		struct ipamd_request req;

		if (claim(pool, "other", N_SWEEP + i + 100 * (pool[1] == 'u'), &req))
			break;
		for (int s = 0; s < SORTS; s++) {
			struct addr v4 = leased(&req, IPAMD_V4), v6 = leased(&req, IPAMD_V6);

			CHECK(may_be_claimed(f->of[s]) || (addr_compare(&v4, &scene.address[s]) &&
							   addr_compare(&v6, &scene.address[s])));
		}
	}
}

static void check_fixed(enum fate fate)
{
	struct ipamd_request req;
	struct addr a;

	if (fate != IS_FIXED && fate != FIXED3) /* from its cooldown at once, too */
		return;
	CHECK_EQ(claim("default", "db-0", N_FIXED, &req), IPAMD_OK);
	a = leased(&req, IPAMD_V4);
	CHECK(!addr_compare(&a, &scene.address[FIXED]));
}

/* The pod of before the boot is gone, and its late DEL is not about who has it now. */
static void check_late_del(enum sort sort)
{
	auto_pin struct pin *pin = node_pins();
	__u64 word;

	node_release(number_of[sort]);
	CHECK(slot_of(pin, &scene.address[sort], &word) != IPAMD_NONE);
	CHECK_EQ(slot_state(word), IPAMD_HELD);
}

/* Its DEL, too, finds what it holds, and nothing but that. */
static void check_del(enum sort sort)
{
	auto_pin struct pin *pin = node_pins();
	__u64 word, now = slot_now_ms(clock_boot_ns());

	CHECK_EQ(node_release(number_of[sort]), IPAMD_OK);
	CHECK(slot_of(pin, &scene.address[sort], &word) != IPAMD_NONE);
	CHECK_EQ(slot_state(word), IPAMD_FREE);
	CHECK(slot_time(word) >= now + COOLDOWN_MS);
}

static void check_fates(const struct fates *f)
{
	CHECK_EQ(node_number("/v1/status", "balance.holds"), 1);
	check_no_double();
	check_words(f);
	for (int i = 0; i < SORTS; i++)
		if (f->of[i] == SAME)
			check_second_add(i);
	check_sweep("default", f);
	check_sweep("dual", f);
	check_fixed(f->of[FIXED]);
	for (int i = 0; i < SORTS; i++)
		if (f->of[i] == HELD)
			check_late_del(i);
	if (f->of[LIVE] == SAME)
		check_del(LIVE);
	if (f->of[DUAL] == SAME)
		check_del(DUAL);
	CHECK(node_until(node_number("/v1/status", "balance.holds") == 1));
}

/* --- One cell --------------------------------------------------------------------------------- */

static void start_again(void)
{
	scene.started_ms = slot_now_ms(clock_boot_ns());
	node_up();
}

/* Pods are served, if there is a map; the database is as it was. */
static void check_refusal(enum map m, const struct cell *c)
{
	struct ipamd_request req;
	__u64 sum;
	off_t size;

	CHECK_EQ(node_wait(node_start(NULL), 10), 1 << 8);
	CHECK(node_log_has(c->says));
	sum = sum_of(NODE_DB, &size);
	CHECK_EQ(size, scene.size);
	CHECK_EQ(sum, scene.sum);
	if (m == M_LOST || m == M_OTHER_BOOT) {
		CHECK(access(NODE_PINS, F_OK) || claim("default", "web", N_EXTRA, &req));
		return;
	}
	check_words(&whole);
	check_second_add(LIVE);
	check_second_add(DUAL);
	CHECK_EQ(claim("dual", "web", N_EXTRA, &req), IPAMD_OK);
}

static void run_cell(enum map m, enum db d)
{
	const struct cell *c = &cells[m][d];

	make_scene();
	damage_map(m);
	damage_db(d);
	scene.sum = sum_of(NODE_DB, &scene.size);
	if (c->refuses) {
		check_refusal(m, c);
		if (m == M_OTHER_LAYOUT)
			set_layout(IPAMD_LAYOUT);
		mend_db(d);
	}
	start_again();
	CHECK(c->refuses || (node_log_has(c->says) && (!c->also || node_log_has(c->also))));
	check_fates(c->then);
	if (d == D_CORRUPT || d == D_TRUNCATED || (d == D_OTHER_PAIR && c->then == &whole))
		check_aside();
}

/* In a process of its own: true when all held. */
static bool cell_holds(enum map m, enum db d)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		run_cell(m, d);
		fflush(stdout);
		_exit(T_PASS);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	if (status)
		printf("# the map %s, the database %s\n", map_names[m], db_names[d]);
	return !status;
}

static void run_cells(enum map m)
{
	unsigned int failed = 0;
	const char *only = getenv("CELL"); /* one of them alone, by its number */

	for (int d = 0; d < DBS; d++)
		if (!only || atoi(only) == d)
			failed += !cell_holds(m, d);
	CHECK_EQ(failed, 0);
}

TEST(a_whole_map_with_any_database)
{
	run_cells(M_WHOLE);
}

TEST(a_lost_map_with_any_database)
{
	run_cells(M_LOST);
}

TEST(another_boot_with_any_database)
{
	run_cells(M_OTHER_BOOT);
}

TEST(another_layout_with_any_database)
{
	run_cells(M_OTHER_LAYOUT);
}

TEST(a_claim_left_over_with_any_database)
{
	run_cells(M_CLAIMING);
}

/* --- Beside the table --------------------------------------------------------------------- */

TEST(a_first_start_hands_out_nothing_that_a_namespace_has)
{
	make_scene();
	node_lose_map();
	node_empty_run();
	damage_db(D_MISSING);
	start_again();
	CHECK(!node_log_has(SAYS_LOST));
	CHECK(pools("ready") >= 4); /* at once */
	check_fates(&first_start);
}

TEST(maps_of_another_boot_are_begun_anew)
{
	make_scene();
	node_change_boot();
	start_again();
	CHECK(node_log_has("the maps are of another boot"));
	CHECK(!node_log_has(SAYS_LOST));
	check_fates(&next_boot);
}

/* Nothing that was not there before the restart may be ready before what was. */
TEST(a_restart_does_not_end_the_doubt_about_a_lost_map)
{
	make_scene();
	node_lose_map();
	damage_db(D_MISSING);
	start_again();
	CHECK(node_until(pools("cooling") >= 4));
	CHECK(WIFSIGNALED(node_end((pid_t)node_number("/v1/status", "pid"), SIGKILL)));
	node_up();
	CHECK_EQ(pools("ready"), 0);
	check_fates(&lost_both);
}

/* New stock that cools is as much as new stock that does not: not more each turn. */
TEST(a_lost_map_is_not_filled_up)
{
	long long turns, used;

	make_scene();
	node_lose_map();
	damage_db(D_MISSING);
	start_again();
	used = node_number("/v1/status", "balance.slots_used");
	turns = node_number("/v1/status", "up_ms") / 1000;
	CHECK(node_until(node_number("/v1/status", "up_ms") / 1000 >= turns + 3));
	CHECK_EQ(node_number("/v1/status", "balance.slots_used"), used);
}

TEST(a_map_of_another_size_is_moved_whole)
{
	for (int i = 0; i < 2; i++) {
		pid_t pid;

		if (!i)
			make_scene();
		node_configure(i ? "slots = 256\n" POOLS : "slots = 1024\n" POOLS);
		scene.started_ms = slot_now_ms(clock_boot_ns());
		pid = node_up();
		CHECK_EQ(node_number("/v1/status", "slots"), i ? 256 : 1024);
		if (i)
			check_fates(&whole);
		else
			CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	}
}

TEST(a_claim_left_over_is_said)
{
	make_scene();
	leave_claim();
	start_again();
	CHECK(node_until(node_log_has("a claim has not ended")));
	check_fates(&whole);
}

/* Started again in the doubt about a lost map, which now ends in a moment. */
static void start_in_doubt(unsigned int for_ms)
{
	char boot_id[40] = "";
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	CHECK(f && fscanf(f, "%39s", boot_id) == 1 && !fclose(f));
	f = fopen(NODE_RUN "/served", "we");
	CHECK(f && fprintf(f, "%s %llu\n", boot_id,
			   (unsigned long long)slot_now_ms(clock_boot_ns()) + for_ms) > 0);
	CHECK_EQ(fclose(f), 0);
	start_again();
}

static __u64 word_of(const char *address)
{
	auto_pin struct pin *pin = node_pins();
	struct addr a;
	__u64 word;

	CHECK_EQ(addr_parse(address, &a), 0);
	return slot_of(pin, &a, &word) == IPAMD_NONE ? 0 : word;
}

/* An ADD that had claimed from the lost map configures what it got after the start. */
TEST(the_second_look_finds_who_configured_an_address_of_a_lost_map)
{
	char cooling[ADDR_TEXT + 8];

	make_scene();
	node_lose_map();
	start_again();
	CHECK(WIFSIGNALED(node_end((pid_t)node_number("/v1/status", "pid"), SIGKILL)));
	start_in_doubt(1500);
	with_prefix(&scene.address[READY], cooling);
	node_pod_address(&scene.live, cooling);
	node_pod_address(&scene.live, "10.77.0.200/24");
	CHECK(node_until(slot_state(word_of("10.77.0.200")) == IPAMD_HELD));
	*strchr(cooling, '/') = '\0';
	CHECK_EQ(slot_state(word_of(cooling)), IPAMD_QUARANTINE);
	CHECK_EQ(node_number("/v1/status", "balance.holds"), 1);
}

/* All of one pool that is not held is FREE, and not before that time. */
static bool none_is_ready_before(__u64 ms)
{
	auto_pin struct pin *pin = node_pins();
	unsigned int free = 0;

	for (unsigned int slot = 0; slot < pin->meta->slots; slot++) {
		__u64 word = mem_load(&pin->words[slot]);

		free += slot_state(word) == IPAMD_FREE;
		if (slot_state(word) == IPAMD_FREE && slot_time(word) < ms)
			return false;
	}
	return free;
}

TEST(nothing_of_a_lost_map_becomes_ready_before_the_second_look_succeeds)
{
	struct node_pod pod;
	__u64 doubt;

	node_make();
	node_configure("[pool default]\nsubnet = 10.77.0.0/24\ncooldown = 0s\nlow = 5\n"
		       "high = 5\n");
	CHECK(WIFSIGNALED(node_end(node_up(), SIGKILL)));
	node_pod_start(&pod);
	/* Without it ipamd cannot look into the namespaces of our children. */
	CHECK_EQ(prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0), 0);
	for (unsigned int i = 0; i < 5; i++)
		CHECK_EQ(node_claim(i, NULL, NULL), IPAMD_OK);
	doubt = slot_now_ms(clock_boot_ns()) + 500;
	start_in_doubt(500);
	CHECK(node_until(none_is_ready_before(doubt + 10000)));
	CHECK(node_until(node_log_has("cools on until the namespaces can be read")));
	CHECK(node_until(none_is_ready_before(doubt + 14000))); /* and further, with each try */
}

/* The map knows for whom it is, if not by name. */
TEST(a_fixed_address_stays_fixed_when_the_database_is_lost)
{
	make_scene();
	damage_db(D_MISSING);
	for (int i = 0; i < 3; i++) { /* by the map, by the new database, and by that alone */
		start_again();
		check_words(i < 2 ? &whole : &lost);
		CHECK(WIFSIGNALED(node_end((pid_t)node_number("/v1/status", "pid"), SIGKILL)));
		if (i == 1)
			node_lose_map();
	}
	start_again();
	check_fixed(FIXED3);
}

TEST(a_row_of_another_boot_puts_no_address_off)
{
	make_scene();
	sql("UPDATE address SET ready_at_ms = ready_at_ms + 86400000 WHERE state = 3;"
	    "UPDATE meta SET boot_id = '11111111-2222-4333-8444-555555555555'");
	start_again();
	{
		auto_pin struct pin *pin = node_pins();
		__u64 word;

		CHECK(slot_of(pin, &scene.address[COOLING], &word) != IPAMD_NONE);
		CHECK(slot_time(word) >= scene.ready_at[COOLING]);
		CHECK(slot_time(word) <= slot_now_ms(clock_boot_ns()) + COOLDOWN_MS);
	}
}

TEST(a_database_of_a_later_time_is_said_and_changes_nothing)
{
	make_scene();
	sql("UPDATE meta SET boottime_ms = boottime_ms + 86400000");
	start_again();
	CHECK(node_log_has("restored from a snapshot"));
	check_fates(&whole);
}

TEST_MAIN

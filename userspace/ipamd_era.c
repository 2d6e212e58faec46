// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How map and database came to us: whole, lost, of another boot, of another pair.
 * Whoever was cut off before era_seal() leaves the next start what it found itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"
#include "userspace/edge/place.h"
#include "userspace/ipamd_recover.h"

struct era era;

static int read_boot_id(char ret[40])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	char *end;

	if (!f)
		return last_error();
	memset(ret, 0, 40);
	if (!fgets(ret, 40, f))
		ret[0] = '\0';
	fclose(f);
	end = strchr(ret, '\n');
	if (end)
		*end = '\0';
	return ret[0] ? 0 : -EIO;
}

/* Pins that outlived their boot are a copy: what they say of pods is over. */
static int discard_foreign_map(struct manager *m)
{
	auto_pin struct pin *old = NULL;

	if (pin_attach(m->config.pins, &old)) /* none, or pin_open() says what is wrong */
		return 0;
	if (!old->meta->boot_id[0] || !strncmp(old->meta->boot_id, m->boot_id, sizeof(m->boot_id)))
		return 0;
	log_say(LOG_WARNING, "the maps are of another boot: begun anew from the database");
	return pin_discard(m->config.pins);
}

static int open_pins(struct manager *m)
{
	int r = bpffs_mount(m->config.pins);

	if (r) {
		log_say(LOG_ERROR, "%s: cannot mount a bpffs there: %s", m->config.pins,
			strerror(-r));
		return r;
	}
	r = discard_foreign_map(m);
	if (!r)
		r = pin_open(m->config.pins, m->config.slots, &m->pin);
	if (r)
		log_say(LOG_ERROR, "%s: %s", m->config.pins, pin_explain(r));
	return r;
}

static int open_store(struct manager *m)
{
	static char aside[4096];
	char path[CONFIG_PATH + 16];
	int r;

	snprintf(path, sizeof(path), "%s/ipamd.db", m->config.state);
	r = store_open(path, aside, &m->store);
	m->store_is_new = r == STORE_MADE || r == STORE_REPLACED;
	m->store_is_damaged = r == STORE_REPLACED;
	if (r == STORE_MADE) {
		log_say(LOG_NOTICE, "%s: %s", path, store_explain(r));
		return 0;
	}
	if (r == STORE_REPLACED) {
		log_say(LOG_ERROR, "%s: %s; the old one is kept at %s", path, store_explain(r),
			aside);
		return 0;
	}
	if (r)
		log_say(LOG_ERROR, "%s: %s", path, store_explain(r));
	return r;
}

/* Of another pair: its rows are not about the pods of this map.  Kept, but not believed. */
static int set_foreign_store_aside(struct manager *m)
{
	static char aside[4096];
	char path[CONFIG_PATH + 16];
	struct place place;
	int r;

	snprintf(path, sizeof(path), "%s/ipamd.db", m->config.state);
	store_close(m->store);
	m->store = NULL;
	r = place_open(path, &place);
	if (!r) {
		r = place_move_aside(&place, aside);
		place_close(&place);
	}
	if (r) {
		log_say(LOG_ERROR, "%s belongs to another map and cannot be moved aside: %s", path,
			store_explain(r));
		return r;
	}
	log_say(LOG_ERROR,
		"%s belongs to another map: it is kept at %s, and a new one is made from the map",
		path, aside);
	return open_store(m);
}

/*
 * A mark in the run directory: there has been a manager in this boot, and until when
 * there was doubt about pods that nobody sees.  Without it a loss of map and
 * database together would look like a first start, and a restart would end the doubt.
 */
static bool was_here(struct manager *m, uint64_t *ret_doubt_ms)
{
	auto_close int fd = openat(m->run_dir, "served", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char text[128] = "", boot_id[40] = "";
	unsigned long long doubt = 0;

	*ret_doubt_ms = 0;
	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) < 0 || sscanf(text, "%39s %llu", boot_id, &doubt) != 2)
		return true; /* not readable: rather too careful */
	if (strcmp(boot_id, m->boot_id))
		return false; /* this directory outlives a boot */
	*ret_doubt_ms = doubt;
	return true;
}

static int write_mark(struct manager *m)
{
	auto_close int fd = openat(m->run_dir, "served.next",
				   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 ||
	    dprintf(fd, "%s %llu\n", m->boot_id, (unsigned long long)m->doubt_until_ms) < 0 ||
	    renameat(m->run_dir, "served.next", m->run_dir, "served"))
		return last_error();
	return 0;
}

static void leave_mark(struct manager *m)
{
	int r = write_mark(m);

	if (r)
		log_say(LOG_WARNING, "%s/served: cannot be made: %s", m->config.run, strerror(-r));
}

static void say_era(void)
{
	if (era.row_is_old)
		log_say(LOG_WARNING, "the database is older than the map: the map is believed");
	if (era.lost)
		log_say(LOG_ERROR, "the maps of this boot are lost: made anew from the database, "
				   "the namespaces and the source; what is free cools down first");
}

/*
 * Of the same boot, and later than now: the memory of this machine went back and its
 * disk did not.  The addresses are of a range that is ours alone, so nothing else
 * follows from it here; a source that others share is to be read again.
 */
static bool is_ahead(const struct manager *m, const struct store_meta *db)
{
	uint64_t now = now_ms();

	if (strcmp(db->boot_id, m->boot_id) || db->boottime_ms <= now)
		return false;
	log_say(LOG_WARNING,
		"the database was written %llu s after now: was this machine restored from a "
		"snapshot?  The map is believed",
		(unsigned long long)(db->boottime_ms - now + 999) / 1000);
	return true;
}

/* What there is no row of is to be taken with care for a while. */
static void find_doubt(struct manager *m, uint64_t before)
{
	m->doubt_until_ms = before;
	if (era.lost)
		m->doubt_until_ms = now_ms() + RECOVER_LONGEST_ADD_MS;
	else if (!era.map_whole && m->store_is_damaged)
		m->doubt_until_ms = now_ms();
	m->second_look_ms = m->doubt_until_ms;
}

static int find_pair(struct manager *m, const struct store_meta *db)
{
	if (era.map_whole)
		memcpy(m->pair_id, m->pin->meta->pair_id, sizeof(m->pair_id));
	else if (db)
		memcpy(m->pair_id, db->pair_id, sizeof(m->pair_id));
	else if (getrandom(m->pair_id, sizeof(m->pair_id), 0) != sizeof(m->pair_id))
		return -EIO;
	return 0;
}

static int find_era(struct manager *m)
{
	struct ipamd_meta *map = m->pin->meta;
	struct store_meta db = {0};
	uint64_t doubt_ms;
	int r = store_get_meta(m->store, &db);
	bool known = !r, here = was_here(m, &doubt_ms);

	if (r && r != STORE_ABSENT)
		return r;
	era = (struct era){
		.map_whole = map->boot_id[0] != '\0',
		.same_boot = known && !strcmp(db.boot_id, m->boot_id),
	};
	if (era.map_whole && known && memcmp(db.pair_id, map->pair_id, 16)) {
		r = set_foreign_store_aside(m);
		if (r)
			return r;
		known = false;
	}
	era.row_is_old = era.map_whole && known && map->epoch > db.epoch;
	era.lost = !era.map_whole && ((known && !strcmp(db.boot_id, m->boot_id)) || here);
	era.other_pair = era.map_whole ? m->store_is_new : m->store_is_damaged && !era.lost;
	era.other_time = known && (strcmp(db.boot_id, m->boot_id) || is_ahead(m, &db));
	say_era();
	find_doubt(m, doubt_ms);
	if (known && db.epoch > map->epoch)
		map->epoch = db.epoch;
	if (known)
		memcpy(m->rows_boot_id, db.boot_id, sizeof(m->rows_boot_id));
	return find_pair(m, known ? &db : NULL);
}

/* Ids of namespaces count in the namespace of whoever gave them. */
static int find_netns(struct manager *m)
{
	struct ipamd_meta *map = m->pin->meta;
	__u64 cookie;
	int r = netns_own_cookie(&cookie);

	if (r)
		return r;
	if (map->netns_cookie && map->netns_cookie != cookie) {
		log_say(LOG_WARNING,
			"started in another network namespace than before: the death of pods that "
			"are here already will not be noticed at once");
		/* Ordering: a kill in between says it once more. */
		mem_store(&map->netns_since_ms, now_ms());
	}
	mem_store(&map->netns_cookie, cookie);
	m->netns_since_ms = map->netns_since_ms;
	return 0;
}

bool era_counts_cache(void)
{
	return era.map_whole || era.lost;
}

int era_open(struct manager *m)
{
	int r = read_boot_id(m->boot_id);

	if (r) {
		log_say(LOG_ERROR, "the id of this boot cannot be read: %s", strerror(-r));
		return r;
	}
	r = open_pins(m);
	if (!r)
		r = open_store(m);
	if (r)
		return r;
	r = find_era(m);
	if (!r)
		r = netns_open(&m->netns);
	if (!r)
		r = find_netns(m);
	if (r)
		log_say(LOG_ERROR, "start: %s", r < 0 ? strerror(-r) : store_explain(r));
	return r;
}

/*
 * Ordering: the first letter of the
 * boot id says so, and is the last to be written, in one store.
 */
static void write_seal(struct manager *m)
{
	struct ipamd_meta *map = m->pin->meta;

	memcpy(map->pair_id, m->pair_id, sizeof(map->pair_id));
	memcpy(map->boot_id + 1, m->boot_id + 1, sizeof(map->boot_id) - 1);
	__atomic_store_n(&map->boot_id[0], m->boot_id[0], __ATOMIC_RELEASE);
}

void era_seal(struct manager *m)
{
	/* A doubt must not be forgotten; without one the mark must not make it a loss. */
	if (m->doubt_until_ms)
		leave_mark(m);
	write_seal(m);
	/* Of a start that was cut off the next one must not think that there was a map. */
	memcpy(m->rows_boot_id, m->boot_id, sizeof(m->rows_boot_id));
	if (!m->doubt_until_ms)
		leave_mark(m);
}

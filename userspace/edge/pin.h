/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pinned maps and programs.  Who keeps them (the manager) opens with
 * pin_open(): it loads, pins, swaps the programs, and moves the slots to a new
 * generation when layout or capacity changed.  Who only uses them attaches.
 *
 * Functions return 0, -errno, a bpffs_outcome or one of these.
 */
#ifndef IPAMD_EDGE_PIN_H
#define IPAMD_EDGE_PIN_H

#include "bpf/abi.h"
#include "userspace/edge/bpffs.h"

enum pin_outcome {
	PIN_NEWER = 110,     /* the maps are of a newer ipamd: not touched */
	PIN_FOREIGN = 111,   /* what is pinned there is not ours, or not whole */
	PIN_TOO_SMALL = 112, /* slots beyond the new capacity are in use */
	PIN_STUCK = 113,     /* a claim, or a change of maps, did not end: try again */
};

/* What an outcome means and what to do, one sentence. */
const char *pin_explain(int outcome);

enum pin_map {
	PIN_META,
	PIN_POOLS,
	PIN_WORDS,
	PIN_SLOTS,
	PIN_ADDRESSES,
	PIN_HOLDERS,
	PIN_BY_HOLDER,
	PIN_NAMES,
	PIN_TOMBS,
	PIN_EVENTS,
	PIN_STATS,
	PIN_MAPS,
};

struct pin {
	int dir; /* /sys/fs/bpf/ipamd */
	int generation_dir;
	unsigned int generation;
	int map[PIN_MAPS];
	int prog[IPAMD_VERBS]; /* by enum ipamd_verb; -1 where there is none */
	__u32 value_size[PIN_MAPS];
	__u32 chunks;
	const __u64 *words; /* read-only: they change by the programs alone */
	struct ipamd_meta *meta;
	struct ipamd_pool *pools;
	struct ring_buffer *ring; /* once somebody listens */
};

/* What the maps are to be; tests build the layouts of tomorrow with it. */
struct pin_shape {
	__u32 layout;
	__u32 slots;
	__u32 tail; /* bytes appended to each record of a slot */
};

int pin_open(const char *dir, __u32 slots, struct pin **ret);
int pin_open_shape(const char *dir, const struct pin_shape *shape, struct pin **ret);

/* What `current` names, as it is, without loading anything.  BPFFS_ABSENT. */
int pin_attach(const char *dir, struct pin **ret);

/*
 * The same for who only looks: without programs, and nothing of it can be written
 * to, by mistake neither.  A write to `meta` or `pools` ends the process.
 */
int pin_attach_readonly(const char *dir, struct pin **ret);

void pin_close(struct pin *pin);

/* Whether what is pinned at the path is still this: PIN_FOREIGN when somebody replaced it. */
int pin_check(const struct pin *pin, const char *dir);

/* Forgets what is pinned; the next pin_open() begins anew.  For the maps of another boot. */
int pin_discard(const char *dir);

/* Runs a program: its verdict, or -errno. */
int pin_run(const struct pin *pin, enum ipamd_verb verb, struct ipamd_request *req);

/* The holder's record, if it is that of the word; IPAMD_STALE when it is not. */
int pin_holder(const struct pin *pin, __u32 slot, __u64 word, struct ipamd_holder *ret);

/* The record of who held a FREE slot last; IPAMD_STALE when it is not that life's. */
int pin_last_holder(const struct pin *pin, __u32 slot, __u64 word, struct ipamd_holder *ret);

/* What is in the slot. */
int pin_address(const struct pin *pin, __u32 slot, struct ipamd_address *ret);

/* The entry of a holder whose words say HELD, where there is none: IPAMD_DUPLICATE, IPAMD_FULL. */
int pin_entry_add(const struct pin *pin, const struct ipamd_digest *id,
		  const struct ipamd_entry *entry);

/* Of an entry whose words nobody holds any more, and that its holder's release did not see. */
int pin_entry_delete(const struct pin *pin, const struct ipamd_digest *id);
int pin_entry_get(const struct pin *pin, const struct ipamd_digest *id, struct ipamd_entry *ret);

/* The counters, summed over the CPUs. */
int pin_stats(const struct pin *pin, struct ipamd_stats *ret);

/* A descriptor that is readable when a program wants the manager to look; read clears it. */
int pin_wake_fd(struct pin *pin, int *ret);
void pin_wake_read(struct pin *pin);

/* The names in the way of people: keys by digest.  BPFFS_ABSENT from get. */
int pin_name_set(const struct pin *pin, const struct ipamd_digest *key, __u64 ref);
int pin_name_get(const struct pin *pin, const struct ipamd_digest *key, __u64 *ret);
int pin_name_delete(const struct pin *pin, const struct ipamd_digest *key);

/* Deletes every name that `keep` does not want. */
int pin_name_sweep(const struct pin *pin,
		   bool (*keep)(void *ctx, const struct ipamd_digest *key, __u64 ref), void *ctx);

/* Where libbpf's words go while it loads; default: nowhere. */
extern void (*pin_say)(const char *text);

/* --- For move.c ----------------------------------------------------------- */

int pin_attach_generation(int dir, unsigned int number, struct pin **ret);

static inline void cleanup_pin(struct pin **pin)
{
	pin_close(*pin);
}

#define auto_pin __attribute__((cleanup(cleanup_pin)))

#endif

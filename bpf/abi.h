/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Everything that crosses a boundary, written once: between the kernel and
 * user space, between the plugin and the manager, between two versions of
 * ipamd.  Nothing here may change its meaning without a new number:
 *
 *   IPAMD_ABI     the request; it is part of the program pins' names, so that
 *                 a plugin and the programs of another version never meet.
 *   IPAMD_LAYOUT  the maps; another layout is another generation directory, and
 *                 the slots move there one by one (userspace/edge/move.h).
 *                 A new layout may only append to a record.
 *
 * Pins (0600, in directories 0700 that belong to root):
 *
 *   /sys/fs/bpf/ipamd/current -> g1       the symlink is the commit
 *   /sys/fs/bpf/ipamd/g1/{meta,pools,words,...,claim_v1,release_v1,step_v1}
 *
 * Digests are BLAKE2s-128 over length-prefixed fields, one salt per use, see
 * bpf/digest.h; selftests/digest_test.c holds the test vectors.
 */
#ifndef IPAMD_BPF_ABI_H
#define IPAMD_BPF_ABI_H

#include <linux/types.h>

#define IPAMD_ABI    1
#define IPAMD_LAYOUT 1

#define IPAMD_DIR     "/sys/fs/bpf/ipamd"
#define IPAMD_CURRENT "current"

#define IPAMD_PIN_CLAIM   "claim_v1"
#define IPAMD_PIN_RELEASE "release_v1"
#define IPAMD_PIN_STEP    "step_v1"

/* How much there is of everything. */
#define IPAMD_SLOTS_MIN 64
#define IPAMD_SLOTS_MAX 4096
#define IPAMD_POOLS     64      /* the word has 6 bits for it */
#define IPAMD_ROUTES    8       /* a pool */
#define IPAMD_NONE      0xffffU /* no slot, no pool */
#ifndef IPAMD_CHUNK
#define IPAMD_CHUNK 64 /* words in one element of the map `words` */
#endif

#define IPAMD_FOREVER (~0ULL)

/* The states of a slot. */
enum ipamd_state {
	IPAMD_EMPTY = 0,      /* no address */
	IPAMD_FREE = 1,       /* in stock; ready when its time has come */
	IPAMD_CLAIMING = 2,   /* a claim runs; nobody else may touch it */
	IPAMD_HELD = 3,       /* an attachment has it */
	IPAMD_LEAVING = 4,    /* on its way back to its source */
	IPAMD_QUARANTINE = 6, /* source or wire says "not yours" */
	IPAMD_MOVED = 7,      /* this map was replaced: look again at `current` */
};

/* What a program, the plugin or the manager answers: 0, -errno or one of these. */
enum ipamd_verdict {
	IPAMD_OK = 0,
	IPAMD_BUSY = 1,         /* another step on the same thing runs: try again */
	IPAMD_EXHAUSTED = 2,    /* no address of the pool is ready; see next_ready_ms */
	IPAMD_LATE = 3,         /* a DEL of this attachment came after this ADD began */
	IPAMD_YOUNGER = 4,      /* held since after this DEL began: not released */
	IPAMD_NOTHING = 5,      /* release: the attachment holds nothing */
	IPAMD_NO_POOL = 6,      /* no pool of this name, or no default pool */
	IPAMD_CLOSED = 7,       /* the pool's valid_until has passed */
	IPAMD_MOVING = 8,       /* the map was, or is being, replaced: reopen `current` */
	IPAMD_NOT_OURS = 9,     /* requested address: in no slot of the pool */
	IPAMD_TAKEN = 10,       /* requested address: somebody holds it */
	IPAMD_COOLING = 11,     /* requested address: not ready; see next_ready_ms */
	IPAMD_RESERVED = 12,    /* requested address: fixed for another workload */
	IPAMD_PREDECESSOR = 13, /* fixed address: the workload's last pod still has it */
	IPAMD_AWAY = 14,        /* requested or fixed address: leaving or in quarantine */
	IPAMD_FULL = 15,        /* a hash has no room: nothing was changed */
	IPAMD_FOREIGN = 16,     /* the request is of another ABI or malformed */
	IPAMD_ILLEGAL = 17,     /* step: the life of an address has no such step */
	IPAMD_STALE = 18,       /* step: the word is not the expected one (any more) */
	IPAMD_DUPLICATE = 19,   /* step: the address is in another slot already */
	IPAMD_BROKEN = 20,      /* an invariant does not hold; the manager must look */
	IPAMD_VERDICTS = 21,
};

enum ipamd_verb {
	IPAMD_CLAIM = 1,
	IPAMD_RELEASE = 2,
	IPAMD_STEP = 3,
	IPAMD_VERBS = 4,
};

enum ipamd_family { IPAMD_V4 = 0, IPAMD_V6 = 1, IPAMD_FAMILIES = 2 };

struct ipamd_digest {
	__u64 half[2]; /* all zero: not given */
};

struct ipamd_route {
	__u8 dst[16];     /* IPv4 in the first four bytes */
	__u8 gateway[16]; /* zero: the pool's */
	__u8 prefix_len;
	__u8 reserved[7];
};

/* --- The maps ---------------------------------------------------------- */

struct ipamd_meta {
	__u32 layout;
	__u32 slots;      /* how many of the words may be used */
	__u64 moving;     /* not 0: slots are on their way to another map */
	__u8 pair_id[16]; /* shared with the database that belongs to this map */
	__u64 epoch;      /* bumped in both by each durable batch */
	char boot_id[40];
	__u64 heartbeat_ms; /* the manager was alive then */
	__u64 netns_cookie; /* the manager's own network namespace */
	__u32 nsid_next;    /* counter for namespace ids given by plugins */
	__u32 reserved;
	__u64 default_pools;  /* a ref, for who names none */
	__u64 netns_since_ms; /* since when it is that one: older ids are another one's; 0: ever */
};

struct ipamd_pool {
	char name[32];
	__u8 family; /* 4, 6; 0: no pool */
	__u8 prefix_len;
	__u8 routes;   /* how many of route[] count */
	__u8 draining; /* for the manager: closed and emptied until somebody says otherwise */
	__u32 cooldown_ms;
	__u64 valid_until_ms; /* claims refuse from then on; IPAMD_FOREVER; 0: closed */
	__s64 spare;          /* claims until the manager wants to be woken */
	__u8 gateway[16];
	struct ipamd_route route[IPAMD_ROUTES];
};

struct ipamd_chunk {
	__u64 word[IPAMD_CHUNK];
};

/* For people and tools: `bpftool map dump` of it reads like a table.  Nothing decides by it. */
struct ipamd_slot {
	char address[48]; /* as people write it */
	enum ipamd_state state;
	__u32 pool;
	__u32 fixed;
	__u32 claims;      /* the generation: how often it was claimed */
	__u64 ready_at_ms; /* boottime; of a FREE word */
	char holder[72];   /* namespace/pod or container; the last one when FREE */
	__u64 word;        /* what this mirrors; stale when not the slot's word */
};

/* What is in the slot.  Only `step` writes it, while nobody can claim the slot. */
struct ipamd_address {
	__u8 bytes[16];               /* IPv4 in the first four */
	struct ipamd_digest key;      /* of these bytes */
	struct ipamd_digest workload; /* whom it is fixed for; means nothing unless fixed */
};

/* A name was longer than its field. */
enum ipamd_cut {
	IPAMD_CUT_NETWORK = 1 << 0,
	IPAMD_CUT_CONTAINER = 1 << 1,
	IPAMD_CUT_POD = 1 << 2,
};

/* Who asks, and from then on who holds.  Text ends in NUL. */
struct ipamd_who {
	struct ipamd_digest id; /* of (network, container, ifname), uncut */
	__u64 start_ns;         /* boottime: when this ADD or DEL began */
	__u64 netns_cookie;     /* 0: unknown */
	__s32 nsid;             /* in the manager's namespace; -1: unknown */
	__u32 cut;
	char network[64];
	char container[72];
	char ifname[16];
	char name_space[64];
	char pod[128];
	char uid[40];
	char label[72]; /* one line for the mirror */
};

/* Counts only if `word` is the slot's word, both read again after the copy. */
struct ipamd_holder {
	struct ipamd_who who;
	__u64 claimed_at_ms;
	__u64 word;
};

/*
 * Which attachment is being served.  `first` has the form of a word:
 * CLAIMING with the attachment's tag while a claim runs, HELD (the slot's own
 * word) from then on, FREE with the tag when spent but not yet deleted.
 */
struct ipamd_entry {
	__u64 first;
	__u64 second; /* the other family's word, or 0 */
	__u64 slots;  /* slot of first | slot of second << 16 | families << 32 */
};

struct ipamd_tomb {
	__u64 check;    /* half[0] of the digest it belongs to */
	__u64 start_ns; /* the newest DEL's start */
};

/*
 * A ref: what a digest in `names` leads to, in one 64-bit read.
 * check << 32 | v6 << 16 | v4: pools for the name of a pool or a namespace,
 * slots for a workload; for an address its slot stands in both.
 */

struct ipamd_event {
	__u64 time_ns;
	__u64 word; /* after */
	struct ipamd_digest id;
	__u32 slot;
	__u16 verb;
	__u16 verdict;
};

struct ipamd_stats {
	__u64 count[IPAMD_VERBS][IPAMD_VERDICTS];
	__u64 events_lost;
	__u64 fence; /* stays 0: adding that to it is a barrier */
};

/*
 * --- The request: for the programs, and as one datagram for the manager ---
 *
 * The programs read and write it by whole words of eight bytes at constant
 * offsets, little endian.
 */

/* What a claim got, one a family. */
struct ipamd_lease {
	__u64 word; /* 0: no address of this family */
	__u32 slot;
	__u8 pool;
	__u8 prefix_len;
	__u8 routes;
	__u8 reserved;
	__u8 address[16];
	__u8 gateway[16];
	struct ipamd_route route[IPAMD_ROUTES];
};

struct ipamd_change { /* of a slot, for `step` */
	__u64 expected;
	__u64 word; /* the new one */
	__u64 slot;
	__u8 address[16];
	char text[48];
	struct ipamd_digest key;  /* of the address; needed when the slot is filled */
	struct ipamd_entry entry; /* of the attachment, when filled as HELD; else zero */
};

struct ipamd_request {
	__u32 abi;
	__u32 size;
	__u32 verb;
	__s32 verdict; /* out: as the program's return value */
	struct ipamd_who who;
	struct ipamd_digest pool;                 /* a pool by name */
	struct ipamd_digest name_space;           /* for pools by namespace */
	struct ipamd_digest workload;             /* for fixed addresses: namespace/pod */
	struct ipamd_digest want[IPAMD_FAMILIES]; /* requested addresses */
	struct ipamd_change change;
	/* out */
	__u64 next_ready_ms; /* EXHAUSTED, COOLING: boottime; 0: nothing is cooling */
	__u64 again;         /* 1: the attachment held these addresses already */
	struct ipamd_lease lease[IPAMD_FAMILIES];
};

#define ipamd_assert_size(what, size) _Static_assert(sizeof(struct what) == (size), #what " is ABI")
ipamd_assert_size(ipamd_digest, 16);
ipamd_assert_size(ipamd_route, 40);
ipamd_assert_size(ipamd_meta, 120);
ipamd_assert_size(ipamd_pool, 392);
ipamd_assert_size(ipamd_chunk, 8 * IPAMD_CHUNK);
ipamd_assert_size(ipamd_slot, 152);
ipamd_assert_size(ipamd_address, 48);
ipamd_assert_size(ipamd_who, 496);
ipamd_assert_size(ipamd_holder, 512);
ipamd_assert_size(ipamd_entry, 24);
ipamd_assert_size(ipamd_tomb, 16);
ipamd_assert_size(ipamd_event, 40);
ipamd_assert_size(ipamd_stats, 8 * (4 * 21 + 2));
ipamd_assert_size(ipamd_lease, 368);
ipamd_assert_size(ipamd_change, 128);
ipamd_assert_size(ipamd_request, 1472);

#define ipamd_assert_at(what, field, at) \
	_Static_assert(__builtin_offsetof(struct what, field) == (at), #what "." #field " is ABI")
ipamd_assert_at(ipamd_meta, moving, 8);
ipamd_assert_at(ipamd_meta, default_pools, 104);
ipamd_assert_at(ipamd_pool, valid_until_ms, 40);
ipamd_assert_at(ipamd_pool, gateway, 56);
ipamd_assert_at(ipamd_slot, word, 144);
ipamd_assert_at(ipamd_address, workload, 32);
ipamd_assert_at(ipamd_who, start_ns, 16);
ipamd_assert_at(ipamd_who, network, 40);
ipamd_assert_at(ipamd_who, pod, 256);
ipamd_assert_at(ipamd_who, label, 424);
ipamd_assert_at(ipamd_holder, word, 504);
ipamd_assert_at(ipamd_request, who, 16);
ipamd_assert_at(ipamd_request, pool, 512);
ipamd_assert_at(ipamd_request, change, 592);
ipamd_assert_at(ipamd_request, lease, 736);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A stock of its own for a test: a fresh bpffs in a mount namespace of its own,
 * the real maps and programs in it, and the steps that a manager and a plugin
 * would take.  Everything ends with the process.
 */
#ifndef IPAMD_SELFTESTS_STOCK_H
#define IPAMD_SELFTESTS_STOCK_H

#include "bpf/request.h"
#include "bpf/slot.h"
#include "userspace/base/clock.h"
#include "userspace/edge/pin.h"

#define STOCK_DIR "/tmp/ipamd-test-bpffs/ipamd"

enum { POOL_4 = 0, POOL_6 = 1, POOL_OTHER = 2 };

/*
 * Mounts, opens, and makes the pools "default" (POOL_4 and POOL_6), "v4"
 * (POOL_4 alone), "v6" and "other" (POOL_OTHER, IPv4).  Exits on failure.
 */
struct pin *stock_open(__u32 slots, __u32 cooldown_ms);

/* A bpffs at STOCK_DIR's parent, empty. */
void stock_mount(void);
void stock_pool(struct pin *pin, __u32 pool, const char *name, int family, __u32 cooldown_ms);
void stock_pool_name(struct pin *pin, const char *name, __u32 v4, __u32 v6);

/* 10.<pool>.<slot>, 2001:db8:<pool>::<slot> */
void stock_address(int family, __u32 pool, __u32 slot, __u8 ret[16]);

/* EMPTY to FREE, ready at that boottime; a verdict. */
int stock_fill(struct pin *pin, __u32 slot, __u32 pool, __u64 ready_at_ms);

/* Any step, the rest of the request as the caller made it. */
int stock_step(struct pin *pin, struct ipamd_request *req, __u32 slot, __u64 word);

/* A request of attachment "net"/c<number>/eth0 that began now. */
void stock_request(struct ipamd_request *req, enum ipamd_verb verb, unsigned int number);

int stock_claim(struct pin *pin, unsigned int number, const char *pool, struct ipamd_request *ret);
int stock_release(struct pin *pin, unsigned int number);

__u64 stock_word(const struct pin *pin, __u32 slot);
__u64 stock_now_ms(void);

/* How many slots are in a state. */
unsigned int stock_count(const struct pin *pin, enum ipamd_state state);

/* Entries in by_holder. */
unsigned int stock_entries(const struct pin *pin);

#endif

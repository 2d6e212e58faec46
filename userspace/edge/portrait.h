/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A slot as people are shown it, in JSON: drawn from the pinned maps alone, so that
 * the manager and, when there is none, ipamctl show the same.
 */
#ifndef IPAMD_EDGE_PORTRAIT_H
#define IPAMD_EDGE_PORTRAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "userspace/base/addr.h"
#include "userspace/base/json.h"
#include "userspace/edge/pin.h"

/* FREE is "ready" or "cooling", by the time. */
const char *portrait_state(uint64_t word, uint64_t now_ms);

/* All names that portrait_state() has, and "waiting", which is no word's; NULL ends them. */
extern const char *const portrait_states[];
bool portrait_is_state(const char *name);

/* Into an open object: slot, state, fixed, claims, times, holder. */
void portrait_slot(const struct pin *pin, unsigned int slot, uint64_t word, uint64_t now_ms,
		   struct json *j);

/* Sentences into an open array: who holds it, or how long it is idle and who had it last. */
void portrait_why(const struct pin *pin, unsigned int slot, uint64_t word, uint64_t now_ms,
		  struct json *j);

/* By namespace/pod, or by the container or at least four letters of its beginning. */
bool portrait_is_of(const struct ipamd_who *who, const char *query);

/* The address in the slot, by its pool's family; false: there is none. */
bool portrait_address(const struct pin *pin, unsigned int slot, uint64_t word, struct addr *ret);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading what the maps say, for messages, CHECK, GC and STATUS.  The process has
 * entered the pins.  Nothing here changes anything.
 */
#ifndef IPAMD_CNI_STOCK_H
#define IPAMD_CNI_STOCK_H

#include <stdbool.h>

#include "bpf/slot.h"

struct stock {
	char pool[32];
	int family; /* 4, 6; 0: no such pool */
	unsigned int ready, cooling, held, other;
	__u64 next_ready_ms; /* boottime; 0: nothing cools */
};

int stock_meta(struct ipamd_meta *ret);

/* What its pools have.  0, -errno, IPAMD_NO_POOL. */
int stock_count(const struct ipamd_request *req, struct stock ret[IPAMD_FAMILIES]);

/* "pool default (IPv4): 0 ready, ..." appended to the problem's details. */
void stock_explain(const struct stock stock[IPAMD_FAMILIES]);

/* What take() returns but 0 ends it and is returned. */
int stock_each_hold(int (*take)(void *ctx, const struct ipamd_holder *holder), void *ctx);

/* The addresses of an attachment, as many as returned (0 to 2), or -errno; -EBUSY. */
int stock_held_by(const struct ipamd_digest *id, struct ipamd_address ret[IPAMD_FAMILIES],
		  int ret_family[IPAMD_FAMILIES]);

#endif

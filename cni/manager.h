/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The slow path: the same request, as one datagram for the manager.  Each wait has a
 * limit.  Functions return a verdict, -errno or an outcome.
 */
#ifndef IPAMD_CNI_MANAGER_H
#define IPAMD_CNI_MANAGER_H

#include "cni/conf.h"

enum manager_outcome {
	MANAGER_ABSENT = 240,   /* nobody serves */
	MANAGER_SILENT = 241,   /* it is there and does not answer */
	MANAGER_STRANGER = 242, /* who serves there is not root */
};

const char *manager_explain(int outcome);

/* Sends it and waits so long for the answer. */
int manager_ask(const char *run, struct ipamd_request *req, unsigned int wait_ms);

/* Where nobody serves, one is started that leaves when it is idle. */
int manager_ask_or_start(const struct conf *c, struct ipamd_request *req, unsigned int wait_ms);

/* The directory of its socket, checked; -1. */
int manager_open_run(const char *run);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One datagram of the slow path: whether it is a request that the manager runs.
 * It comes from a plugin of any version, or from a stray program of root's; what
 * passes here goes into the programs, the log, the database and JSON as it is.
 */
#ifndef IPAMD_CORE_FRAME_H
#define IPAMD_CORE_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/abi.h"

/*
 * size: of the whole datagram, of which `r` has as much as fits.  Of our ABI, and a
 * claim or a release: `step` is the manager's own.  Then its texts end in NUL, and
 * it asks for no change and brings no answer.
 */
bool frame_check(struct ipamd_request *r, size_t size);

/* What whoever sent something else is answered. */
void frame_refuse(struct ipamd_request *r);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From one generation of the maps to the next while pods come and go.
 *
 * Copying a slot is its fence: the new map gets the word first, then the old
 * word becomes MOVED by compare-and-swap, and if that fails the slot is copied
 * again.  So nothing can be claimed twice: a claim in flight on the old map
 * loses its CAS.  Claims go on meanwhile, releases are told MOVING and come
 * again.  No freeze, no waiting for readers: no grace period that user space
 * can reach covers sleepable programs.
 *
 * A crash in between rolls forward at the next start: every part of it may be
 * done twice.
 */
#ifndef IPAMD_EDGE_MOVE_H
#define IPAMD_EDGE_MOVE_H

#include "userspace/edge/pin.h"

/*
 * PIN_TOO_SMALL: nothing was begun.  PIN_STUCK or -errno: it is half done, `from`
 * still serves claims, and releases wait until it is done again.
 */
int move_slots(struct pin *from, struct pin *to);

#endif

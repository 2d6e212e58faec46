/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The manager's one loop, over libevent.  It sleeps until something happens: it
 * has no tick of its own.
 *
 * A call may add, arm and remove any event, its own too.  What is removed is not
 * called again, not even if it was due in the same round.  Signals are for one
 * loop of a process.  Opening a loop makes the process ignore SIGPIPE, since a
 * client that left must not end the manager.
 *
 * Functions return 0 or -errno.
 */
#ifndef IPAMD_EDGE_LOOP_H
#define IPAMD_EDGE_LOOP_H

#include <stdint.h>

struct loop;
struct loop_event;

int loop_open(struct loop **ret);

/* Its events are to be removed before. */
void loop_close(struct loop *loop);

/* Until loop_stop(), also one from before: its argument, or -errno. */
int loop_run(struct loop *loop);

/* loop_run() returns when the call that is running does. */
void loop_stop(struct loop *loop, int r);

/* As long as there is something to read, or the other side has gone. */
int loop_on_readable(struct loop *loop, int fd, void (*call)(void *ctx), void *ctx,
		     struct loop_event **ret);

int loop_on_signal(struct loop *loop, int signal_number, void (*call)(void *ctx), void *ctx,
		   struct loop_event **ret);

/* Once for each loop_arm(). */
int loop_on_time(struct loop *loop, void (*call)(void *ctx), void *ctx, struct loop_event **ret);

/*
 * Never early, by the monotonic clock: it stands still while the machine is
 * suspended, so ask the clock that decides (base/clock.h) what is really due.
 * An armed one is armed anew.
 */
int loop_arm(struct loop_event *event, uint64_t after_ms);
void loop_disarm(struct loop_event *event);

void loop_remove(struct loop_event *event); /* NULL is fine */

#endif

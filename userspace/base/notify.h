/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Telling systemd: one datagram to $NOTIFY_SOCKET.  By hand, because libsystemd
 * would bring a megabyte of libraries for it.  Nothing here waits.
 *
 * 0 also when nobody wants to know; -errno (-EAGAIN: the queue is full).
 */
#ifndef IPAMD_BASE_NOTIFY_H
#define IPAMD_BASE_NOTIFY_H

#include <stdint.h>

/* Lines of "KEY=value", such as "WATCHDOG=1". */
int notify_send(const char *state);

int notify_ready(void);
int notify_reloading(void); /* notify_ready() says that it is over */
int notify_stopping(void);

/* What `systemctl status` shows; one line, whatever the data holds. */
int notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* How often "WATCHDOG=1" is to be sent: half of what systemd waits.  0: never. */
uint64_t notify_watchdog_ms(void);

#endif

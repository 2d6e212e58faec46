/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the operator reads.  Under systemd a line goes to the journal's own socket
 * with its priority, otherwise to stderr:
 *
 *	2026-01-31T12:00:00.123Z ipamd: warning: pool default: 3 addresses left
 *
 * Only programs log; base, core and edge return what happened.  Whatever the data
 * holds, a line stays a line: control characters, and bytes that are no UTF-8, are
 * written as \n or \x1b.  A reader that has stopped reading costs lines, not the
 * manager's time: they are dropped and counted.
 *
 * Not with <syslog.h>, which has some of these names as macros.
 */
#ifndef IPAMD_BASE_LOG_H
#define IPAMD_BASE_LOG_H

#include <stddef.h>

enum log_level { LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };

/* What is said at all: this level and those more urgent.  At first LOG_INFO. */
extern enum log_level log_level;

/*
 * `name` is kept.  The journal is used when $JOURNAL_STREAM names what stderr is;
 * may be called again.  Before it, lines go to stderr.
 */
void log_open(const char *name);

/* One line, without an end of line.  Leaves errno alone. */
void log_say(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a line that goes elsewhere: harmless, and cut short where it does not fit. */
void log_clean(const char *text, char *ret, size_t size);

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A line is made in one buffer and leaves in one call, shorter than PIPE_BUF, so
 * that lines of two processes do not mix and a pipe that polls as writable takes
 * it without waiting.
 */
#include "userspace/base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "userspace/base/utf8.h"

#define LINE_MAX_ 4000 /* with what stands before the text, below PIPE_BUF */
#define TEXT_MAX_ 3000
#define WAIT_MS   50 /* for a slow reader; only while it has missed nothing */

enum log_level log_level = LOG_INFO;

static const char *log_name = "ipamd";
static int journal = -1; /* a datagram socket: stderr is the journal's */
static unsigned int dropped;

static const char *const level_names[] = {
	[LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",   [LOG_DEBUG] = "debug",
};

static bool stderr_is_the_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       !fstat(STDERR_FILENO, &st) && st.st_dev == device && st.st_ino == inode;
}

void log_open(const char *name)
{
	log_name = name;
	if (journal >= 0)
		close(journal);
	journal = -1;
	if (stderr_is_the_journal())
		journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* --- One line ------------------------------------------------------------------ */

/* Up to four bytes for one of `text`; how many. */
static size_t escape(unsigned char byte, char ret[5])
{
	if (byte == '\n')
		return (size_t)snprintf(ret, 5, "\\n");
	return (size_t)snprintf(ret, 5, "\\x%02x", byte);
}

void log_clean(const char *text, char *ret, size_t size)
{
	static const char cut[] = "...";
	size_t left = strlen(text), used = 0;

	while (left && used + 4 + sizeof(cut) <= size) {
		uint32_t c = 0;
		size_t n = utf8_read(text, left, &c);

		if (n && !utf8_is_control(c)) {
			memcpy(ret + used, text, n);
			used += n;
		} else {
			n = 1;
			used += escape((unsigned char)*text, ret + used);
		}
		text += n;
		left -= n;
	}
	memcpy(ret + used, left ? cut : "", left ? sizeof(cut) : 1);
}

/* False: the journal did not take it. */
static bool to_journal(enum log_level level, const char *text)
{
	struct sockaddr_un to = {AF_UNIX, "/run/systemd/journal/socket"};
	char record[LINE_MAX_];
	int n;

	n = snprintf(record, sizeof(record), "PRIORITY=%d\nSYSLOG_IDENTIFIER=%.64s\nMESSAGE=%s\n",
		     (int)level, log_name, text);
	return n > 0 && (size_t)n < sizeof(record) &&
	       sendto(journal, record, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL,
		      (struct sockaddr *)&to, sizeof(to)) == n;
}

/* systemd reads "<4>" as the priority, and has the time and the name itself. */
static void format_line(enum log_level level, const char *text, char ret[LINE_MAX_])
{
	char stamp[32] = "";
	struct timespec now = {0};
	struct tm tm = {0};

	if (journal >= 0) {
		snprintf(ret, LINE_MAX_, "<%d>%s\n", (int)level, text);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret, LINE_MAX_, "%s.%03ldZ %.64s: %s: %s\n", stamp, now.tv_nsec / 1000000,
		 log_name, level_names[level], text);
}

static bool to_stderr(enum log_level level, const char *text)
{
	struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
	char line[LINE_MAX_];

	if (poll(&ready, 1, dropped ? 0 : WAIT_MS) != 1 || !(ready.revents & POLLOUT))
		return false;
	format_line(level, text, line);
	return write(STDERR_FILENO, line, strlen(line)) >= 0;
}

static bool put(enum log_level level, const char *text)
{
	return (journal >= 0 && to_journal(level, text)) || to_stderr(level, text);
}

/* What was missed is told first, once there is somebody to tell. */
static void put_counted(enum log_level level, const char *text)
{
	char missed[64];

	if (dropped) {
		snprintf(missed, sizeof(missed), "%u lines before this one were lost", dropped);
		if (!put(LOG_WARNING, missed)) {
			dropped++;
			return;
		}
		dropped = 0;
	}
	if (!put(level, text))
		dropped++;
}

void log_say(enum log_level level, const char *format, ...)
{
	/* Each byte of it may become four, but what is cut is cut once, in log_clean(). */
	char text[TEXT_MAX_], raw[TEXT_MAX_];
	int saved = errno;
	va_list args;

	if (level > log_level)
		return;
	va_start(args, format);
	vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	log_clean(raw, text, sizeof(text));
	put_counted(level, text);
	errno = saved;
}

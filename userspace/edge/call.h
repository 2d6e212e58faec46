/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One HTTP call on the manager's unix socket, and its whole answer.  By hand: a
 * library for HTTP would be larger than ipamctl is.
 *
 * Every wait together lasts `limit_ms` at most.  Who listens must be root, since
 * what it says is believed.
 *
 * Functions return 0, -errno or an outcome; an HTTP error is 0 and its code.
 */
#ifndef IPAMD_EDGE_CALL_H
#define IPAMD_EDGE_CALL_H

#include <stdbool.h>
#include <stddef.h>

enum call_outcome {
	CALL_ABSENT = 160,  /* nobody listens there */
	CALL_SILENT = 161,  /* no whole answer in time; what was asked may have been done */
	CALL_FOREIGN = 162, /* who listens is not root: nothing was sent */
	CALL_GARBLED = 163, /* not HTTP, cut off, or larger than CALL_MAX */
};

#define CALL_MAX  (32U << 20)
#define CALL_PATH 2048

struct call_answer {
	int code;
	char *body; /* ends in NUL; the caller's to free */
	size_t size;
};

int call_run(const char *socket_path, const char *method, const char *path, unsigned int limit_ms,
	     struct call_answer *ret);

/* "path?key=value", the value escaped; again for more of them.  false: too long, and cut. */
bool call_argument(char path[CALL_PATH], const char *key, const char *value);

#endif

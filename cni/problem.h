/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What went wrong, for the runtime and for people.  Who detects it says so once and
 * returns the code; main() writes the error object.  People read it as
 * "<msg>; <details>" in `kubectl describe pod`: what happened, in which pool, how
 * much of it is ready, and what to run next.
 */
#ifndef IPAMD_CNI_PROBLEM_H
#define IPAMD_CNI_PROBLEM_H

/* The specification's codes, and ours from 100 on: 100 + enum ipamd_verdict. */
enum problem_code {
	PROBLEM_VERSION = 1,
	PROBLEM_UNSUPPORTED = 2,
	PROBLEM_ENVIRONMENT = 4,
	PROBLEM_IO = 5,
	PROBLEM_DECODING = 6,
	PROBLEM_CONFIG = 7,
	PROBLEM_NETNS = 8,
	PROBLEM_TRY_LATER = 11,
	PROBLEM_UNAVAILABLE = 50,
	PROBLEM_OURS = 100,
};

/* Both return the code. */
int problem(int code, const char *msg, ...) __attribute__((format(printf, 2, 3)));

/* Appends to the details of the last one. */
void problem_details(const char *details, ...) __attribute__((format(printf, 1, 2)));

/* The error object, on stdout. */
void problem_print(const char *version);

/* "msg; details", for a line on stderr. */
const char *problem_text(void);

/* A line of its own on stderr. */
void problem_warn(const char *text, ...) __attribute__((format(printf, 1, 2)));

#endif

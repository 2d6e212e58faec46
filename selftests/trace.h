/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A process cut off at one of its system calls, or with one of them failing.
 *
 * Two kills leave the same behind when nothing but calls without an effect outside
 * of the process (a close, a read) lies between them, and no store to a map that
 * it has mapped: those are one point.
 *
 * As strace's injection does it, but the count begins where a phase does (strace
 * counts each call by its name, from the start of the process), and the tracer is
 * the test itself: no other process to start for each of some thousand points.
 */
#ifndef IPAMD_SELFTESTS_TRACE_H
#define IPAMD_SELFTESTS_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum trace_end {
	TRACE_WHOLE, /* the phase was over before the point */
	TRACE_CUT,   /* killed at the point */
	TRACE_ENDED, /* it ended by itself: status */
	TRACE_STUCK, /* neither, within the limit */
};

struct trace {
	pid_t pid;
	bool fails;         /* the call fails; else the process is killed instead of it */
	bool every;         /* even if nothing has changed since the call before */
	unsigned int point; /* the first call from this one on that can be hit; from 1 */
	unsigned int kind;  /* which of the failures that the call can have */
	long begin;         /* the number of the call that the count begins with; -1: any */
	bool (*is_over)(void);

	unsigned int calls; /* of the phase, until now */
	unsigned int hit;   /* the call that was hit; 0: none was */
	long nr;            /* its number */
	int error;          /* and its errno */
	unsigned int kinds; /* how many failures it can have */
	int status;         /* TRACE_ENDED */

	bool changed;    /* something is left behind, since the call before the point */
	uint64_t memory; /* of the mapped maps, at that call */
};

/* Both leave it stopped, and traced. */
void trace_exec(struct trace *t, void (*exec)(void));
void trace_attach(struct trace *t, pid_t pid);

/* Runs it to its end, in seconds at most; only after TRACE_WHOLE and TRACE_STUCK it lives on. */
enum trace_end trace_run(struct trace *t, unsigned int seconds);

/* The name of a call that can fail, else its number. */
const char *trace_name(long nr);

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Whether an ADD or a DEL came first is decided by when each began.
 *
 * The clock at main() alone orders what follows one another exactly, but an orphan
 * that was forked and then held up (a stopped cgroup, a slow disk) reads it after a
 * DEL that came later.  The birth of the process in /proc/self/stat does not move,
 * but has ticks of 10 ms, rounded down: an ADD within the tick of an earlier DEL
 * would look older than it, and a DEL within the tick of its ADD too.
 *
 * So: the earlier of the clock and the *end* of the tick of birth.  Both lie behind
 * the birth and the clock before the end of the process, so of two processes one
 * after the other the second has the later time, always; and an orphan is at most
 * one tick late.
 */
#include "cni/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TICK_NS = 10000000, FIELDS_TO_STARTTIME = 20 }; /* USER_HZ is 100 wherever we run */

/* Field 22, counted behind the name, which may hold anything; 0: unknown. */
static __u64 birth_ticks(void)
{
	char text[1024];
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *at;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strrchr(text, ')');
	for (int i = 0; at && i < FIELDS_TO_STARTTIME; i++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

__u64 clock_start_ns(void)
{
	__u64 now = clock_ns(), born = (birth_ticks() + 1) * TICK_NS;

	return born > TICK_NS && born < now ? born : now;
}

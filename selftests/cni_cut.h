/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The plugin cut off at every system call of a verb, or with every one of them failing
 * once, with a manager that serves, is dead or is stopped.  Then the manager is up
 * again and the runtime does what runtimes do, and everything is where it belongs.
 *
 * POINT=number, or POINT=number:kind of failure, tries that one alone.
 */
#ifndef IPAMD_SELFTESTS_CNI_CUT_H
#define IPAMD_SELFTESTS_CNI_CUT_H

#include <stdbool.h>

enum cut_manager { CUT_ALIVE, CUT_DEAD, CUT_STOPPED, CUT_MANAGERS };

/* One verb, with the programs pinned, and each of these managers; one a test. */
void cut_verb(const char *command, enum cut_manager from, enum cut_manager to, bool fails);

/* The same without pins, where it asks the manager; DEL leaves a note, ADD starts one. */
void cut_unpinned(const char *command, enum cut_manager manager, bool fails);

/* An ADD that is killed, and nobody sends a DEL: the pod ends. */
void cut_pod(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the manager shows of itself, for ipamd_admin.c to send. */
#ifndef IPAMD_IPAMD_VIEW_H
#define IPAMD_IPAMD_VIEW_H

#include "userspace/base/json.h"
#include "userspace/ipamd.h"

void view_status(struct manager *m, struct json *j);

/* Those of the pool and in the state alone, unless NULL. */
void view_slots(struct manager *m, const char *pool, const char *state, struct json *j);
int view_history(struct manager *m, const struct addr *address, struct json *j);

/*
 * By address, container or its beginning, or namespace/pod (also of a workload that
 * has a fixed address and no pod now); false: nothing was found.
 */
bool view_explain(struct manager *m, const char *q, struct json *j);

void view_metrics(struct manager *m, FILE *out);

#endif

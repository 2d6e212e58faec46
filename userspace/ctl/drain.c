// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ipamctl drain: a pool closed, or open again. */
#include "userspace/ctl/ctl.h"
#include "userspace/edge/call.h"

int command_drain(const struct ctl *c)
{
	char path[CALL_PATH] = "/v1/drain";
	bool fits = call_argument(path, "pool", c->argument[0]);

	if (c->option[0])
		fits = fits && call_argument(path, "off", "1");
	if (ask_long(fits))
		return CTL_USAGE;
	return ask_change(c, path,
			  c->option[0] ? "pool %s is open again"
				       : "pool %s is closed; its stock leaves as it becomes free",
			  c->argument[0]);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ipamctl unfix: an address that was kept for a pod is anybody's again. */
#include "userspace/ctl/ctl.h"
#include "userspace/edge/call.h"

int command_unfix(const struct ctl *c)
{
	char path[CALL_PATH] = "/v1/unfix";
	struct addr address;
	int r = ask_address(c, c->argument[0], &address);

	if (!r)
		r = ask_long(call_argument(path, "address", c->argument[0]));
	return r ? r : ask_change(c, path, "%s is anybody's again", c->argument[0]);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ipamctl reclaim: an address taken back whose pod is gone. */
#include "userspace/ctl/ctl.h"
#include "userspace/edge/call.h"

int command_reclaim(const struct ctl *c)
{
	char path[CALL_PATH] = "/v1/reclaim";
	struct addr address;
	bool fits;
	int r = ask_address(c, c->argument[0], &address);

	if (r)
		return r;
	fits = call_argument(path, "address", c->argument[0]);
	if (c->option[0])
		fits = fits && call_argument(path, "force", "1");
	r = ask_long(fits);
	return r ? r
		 : ask_change(c, path, "%s was taken back; it is ready after its cooldown",
			      c->argument[0]);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ipamctl fix: an address kept for the pod of a name, however often it is made anew. */
#include <string.h>

#include "userspace/ctl/ctl.h"
#include "userspace/edge/call.h"

int command_fix(const struct ctl *c)
{
	const char *workload = c->argument[1], *slash = strchr(workload, '/');
	char path[CALL_PATH] = "/v1/fix", name_space[256];
	struct addr address;
	bool fits;
	int r = ask_address(c, c->argument[0], &address);

	if (r)
		return r;
	if (!slash || slash == workload || !slash[1] || strchr(slash + 1, '/') ||
	    (size_t)(slash - workload) >= sizeof(name_space))
		return help_usage(c->command, "\"%s\": NAMESPACE/POD is needed, as default/db-0",
				  workload);
	snprintf(name_space, sizeof(name_space), "%.*s", (int)(slash - workload), workload);
	fits = call_argument(path, "address", c->argument[0]) &&
	       call_argument(path, "namespace", name_space) &&
	       call_argument(path, "pod", slash + 1);
	r = ask_long(fits);
	return r ? r : ask_change(c, path, "%s is kept for %s", c->argument[0], workload);
}

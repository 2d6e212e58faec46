// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ipamctl reload: the configuration is read again, or stays whole as it was. */
#include "userspace/ctl/ctl.h"
#include "userspace/edge/call.h"

int command_reload(const struct ctl *c)
{
	char path[CALL_PATH] = "/v1/reload";

	return ask_change(c, path, "the configuration was read again");
}

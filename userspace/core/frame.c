// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/core/frame.h"

#include <string.h>

#include "bpf/request.h"

bool frame_check(struct ipamd_request *r, size_t size)
{
	if (size != sizeof(*r) || r->abi != IPAMD_ABI || r->size != sizeof(*r) ||
	    (r->verb != IPAMD_CLAIM && r->verb != IPAMD_RELEASE))
		return false;
	request_end_texts(&r->who);
	memset(&r->change, 0, sizeof(r->change));
	r->verdict = 0;
	r->next_ready_ms = r->again = 0;
	memset(r->lease, 0, sizeof(r->lease));
	return true;
}

void frame_refuse(struct ipamd_request *r)
{
	memset(r, 0, sizeof(*r));
	r->abi = IPAMD_ABI;
	r->size = sizeof(*r);
	r->verdict = IPAMD_FOREIGN;
}

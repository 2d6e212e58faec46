/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The error rule: 0, -errno, or a positive outcome with a name. */
#ifndef IPAMD_BASE_ERROR_H
#define IPAMD_BASE_ERROR_H

#include <errno.h>

/* What the call that just failed left in errno; never 0, which would be success. */
static inline int last_error(void)
{
	int e = errno;

	return e > 0 ? -e : -EIO;
}

#endif

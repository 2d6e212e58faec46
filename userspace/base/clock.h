/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one clock that decides: boottime, as the programs read it. */
#ifndef IPAMD_BASE_CLOCK_H
#define IPAMD_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_boot_ns(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The judge's verdicts as the document that docs/recovery.md is. */
#ifndef IPAMD_SELFTESTS_RECOVER_TABLE_H
#define IPAMD_SELFTESTS_RECOVER_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "userspace/core/recover.h"

enum { SOURCES = 3, WITNESSES = 3 };

void table_print(FILE *to);

/* Equal but for the words of the reason, or in all. */
bool table_same(const struct recover_verdict *a, const struct recover_verdict *b);

#endif

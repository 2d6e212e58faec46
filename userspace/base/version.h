/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One version for all programs; a package may say another by -DIPAMD_VERSION. */
#ifndef IPAMD_BASE_VERSION_H
#define IPAMD_BASE_VERSION_H

#ifndef IPAMD_VERSION
#define IPAMD_VERSION "0.1"
#endif

#endif

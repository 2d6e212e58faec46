/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A DEL that nobody could serve: its request, left for the manager (ipamd_notes.c). */
#ifndef IPAMD_CNI_NOTE_H
#define IPAMD_CNI_NOTE_H

#include "bpf/abi.h"

#define NOTE_DIR "notes"

/* In `run`, one file an attachment, whole or not at all.  0 or -errno. */
int note_leave(const char *run, const struct ipamd_request *req);

#endif

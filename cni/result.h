/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What goes to stdout: JSON into memory of the caller, and the result of an ADD. */
#ifndef IPAMD_CNI_RESULT_H
#define IPAMD_CNI_RESULT_H

#include <stddef.h>

#include "bpf/abi.h"
#include "cni/conf.h"

/* Grows to `size` and no further; what did not fit makes out_write() fail. */
struct out {
	char *text;
	size_t size, used;
};

void out_text(struct out *o, const char *text, ...) __attribute__((format(printf, 2, 3)));

/* Quoted and escaped; bytes that are no ASCII become "?": messages only. */
void out_string(struct out *o, const char *text);

/* All of it to stdout, or -errno. */
int out_write(const struct out *o);

/* The leases of a request, in the form of that version. */
int result_write(const char *version, enum conf_version form, const struct ipamd_request *req);

#endif

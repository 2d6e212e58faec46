/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The network configuration: what of it is ours.
 *
 *	{"cniVersion": "1.0.0", "name": "net", "ipam": {
 *		"type":   "ipamd-ipam",
 *		"pool":   by name; else by the pod's namespace; else the default one
 *		"pins":   "/sys/fs/bpf/ipamd"
 *		"run":    "/run/ipamd"
 *		"daemon": "/usr/sbin/ipamd", started when nobody serves and nothing is in stock
 *	}}
 *
 * Functions return 0 or the code of a problem that they have stated.
 */
#ifndef IPAMD_CNI_CONF_H
#define IPAMD_CNI_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/abi.h"

enum conf_version {
	CONF_0_1_0,
	CONF_0_2_0,
	CONF_0_3_0,
	CONF_0_3_1,
	CONF_0_4_0,
	CONF_1_0_0,
	CONF_1_1_0,
	CONF_VERSIONS,
};

extern const char *const conf_versions[CONF_VERSIONS];

#define CONF_NEWEST "1.1.0"

enum { CONF_PATH = 256 };

struct conf_want {
	bool is_set;
	__u8 address[16];
};

struct conf {
	enum conf_version form;
	const char *version; /* the same, as text; the newest while unknown */
	char name[256];      /* "" while unknown */
	char pool[64];       /* "": not by name */
	char pins[CONF_PATH], run[CONF_PATH], daemon[CONF_PATH];
	struct conf_want want[IPAMD_FAMILIES];
};

/* The defaults. */
void conf_init(struct conf *c);

/*
 * Of an initialized one.  All that can be read is in *ret, also when something else is wrong with
 * it: a DEL does with what there is.
 */
int conf_read(const char *text, size_t size, struct conf *ret);

/* Only its version, if it is one: VERSION is answered whatever comes. */
void conf_read_version(const char *text, size_t size, struct conf *ret);

/* The addresses that were asked for; ip: from CNI_ARGS, "" for none. */
int conf_read_wants(struct conf *c, const char *ip);

/* Letters, digits, "_.-", and a letter or digit first. */
bool conf_is_name(const char *text);

/* An address, with or without "/prefix". */
bool conf_read_address(const char *text, enum ipamd_family *ret_family, __u8 ret[16]);

#endif

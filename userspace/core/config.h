/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an operator asked for: the sections [manager] and [pool NAME], read
 * strictly, checked as a whole, and printed back as they were understood.
 *
 * A file is either taken whole or refused with one line that says where, what,
 * and what is allowed.  Sized at start; no allocation, no I/O but the printing.
 */
#ifndef IPAMD_CORE_CONFIG_H
#define IPAMD_CORE_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "bpf/abi.h"
#include "userspace/base/addr.h"
#include "userspace/base/conf.h"

enum {
	CONFIG_POOLS = IPAMD_POOLS / IPAMD_FAMILIES,
	CONFIG_RANGES = 16,
	CONFIG_EXCLUDES = 32,
	CONFIG_NAMESPACES = 32,
	CONFIG_NAME = 32, /* with its NUL, as in struct ipamd_pool */
	CONFIG_NAMESPACE = 64,
	CONFIG_PATH = 100, /* a unix socket's name must fit behind it */
};

struct config_route {
	struct addr_prefix to;
	struct addr via; /* family 0: the pool's gateway */
};

/* One family of a pool. */
struct config_family {
	struct addr_prefix subnet; /* family 0: the pool has none of this family */
	struct addr gateway;       /* family 0: none */
	struct addr_range range[CONFIG_RANGES];
	unsigned int ranges;
	struct config_route route[IPAMD_ROUTES];
	unsigned int routes;
};

struct config_pool {
	char name[CONFIG_NAME];
	char where[160]; /* "file:line" of its section, for complaints */
	struct config_family family[IPAMD_FAMILIES];
	struct addr_range exclude[CONFIG_EXCLUDES];
	unsigned int excludes;
	char name_space[CONFIG_NAMESPACES][CONFIG_NAMESPACE];
	unsigned int name_spaces;
	uint64_t cooldown_ms;
	uint32_t low, high;
};

struct config {
	uint32_t slots;
	char pins[CONFIG_PATH];  /* the directory on bpffs */
	char run[CONFIG_PATH];   /* sockets and the lock */
	char state[CONFIG_PATH]; /* the database */
	uint64_t history_ms;
	struct config_pool pool[CONFIG_POOLS];
	unsigned int pools;
};

/* The defaults, without any pool. */
void config_init(struct config *c);

/* What runs without any configuration, as the text of a file. */
extern const char config_embedded[];

/* One file more; `text` as conf_read() wants it. */
int config_read(struct config *c, const char *file, char *text, size_t size,
		struct conf_error *error);

/* After the last file: what no single line can be blamed for. */
int config_check(struct config *c, struct conf_error *error);

/* As a file that reads back to the same. */
void config_print(const struct config *c, FILE *to);

/* The n-th address that a family of a pool may hand out, 0 first; false: no more. */
bool config_address(const struct config_pool *p, enum ipamd_family f, uint64_t n, struct addr *ret);

/* How many there are. */
uint64_t config_count(const struct config_pool *p, enum ipamd_family f);

/* Whether this is one of them. */
bool config_owns(const struct config_pool *p, enum ipamd_family f, const struct addr *a);

#endif

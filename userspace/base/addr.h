/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IP addresses as values: text to bytes and back, order, distance, prefixes.
 * Text is what inet_pton() takes and nothing else: no leading zeros, no zone.
 */
#ifndef IPAMD_BASE_ADDR_H
#define IPAMD_BASE_ADDR_H

#include <stdbool.h>
#include <stdint.h>

#define ADDR_TEXT 48 /* an address, or an address and its prefix length */

struct addr {
	uint8_t family;    /* 4 or 6; 0: none */
	uint8_t bytes[16]; /* network order; IPv4 in the first four, the rest zero */
};

struct addr_prefix {
	struct addr base; /* host bits zero */
	uint8_t length;
};

/* From and to, both counted. */
struct addr_range {
	struct addr first, last;
};

/* -EINVAL when it is none. */
int addr_parse(const char *text, struct addr *ret);

/* "10.0.0.0/8"; -EINVAL, and -EDOM when bits are set behind the prefix. */
int addr_parse_prefix(const char *text, struct addr_prefix *ret);

/* "first-last", an address alone, or a prefix; -EINVAL, -EDOM as above or when last < first. */
int addr_parse_range(const char *text, struct addr_range *ret);

void addr_print(const struct addr *a, char ret[ADDR_TEXT]);

/* By family, then by value. */
int addr_compare(const struct addr *a, const struct addr *b);

/* a + n; false when it would leave the family's space. */
bool addr_add(const struct addr *a, uint64_t n, struct addr *ret);

/* How many addresses the range has, UINT64_MAX when more. */
uint64_t addr_count(const struct addr_range *range);

bool addr_in_range(const struct addr *a, const struct addr_range *range);
struct addr_range addr_prefix_range(const struct addr_prefix *prefix);

#endif

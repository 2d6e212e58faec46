// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

typedef unsigned __int128 number;

static unsigned int width(const struct addr *a)
{
	return a->family == 4 ? 4 : 16;
}

static number to_number(const struct addr *a)
{
	number n = 0;

	for (unsigned int i = 0; i < width(a); i++)
		n = n << 8 | a->bytes[i];
	return n;
}

static struct addr from_number(number n, uint8_t family)
{
	struct addr a = {.family = family};

	for (unsigned int i = width(&a); i-- > 0; n >>= 8)
		a.bytes[i] = (uint8_t)n;
	return a;
}

/* All ones behind a prefix of this length. */
static number host_bits(const struct addr *a, unsigned int length)
{
	unsigned int bits = 8 * width(a) - length;

	return bits == 128 ? ~(number)0 : ((number)1 << bits) - 1;
}

int addr_parse(const char *text, struct addr *ret)
{
	struct addr a = {.family = strchr(text, ':') ? 6 : 4};

	if (inet_pton(a.family == 4 ? AF_INET : AF_INET6, text, a.bytes) != 1)
		return -EINVAL;
	*ret = a;
	return 0;
}

static int parse_length(const char *text, unsigned int most, uint8_t *ret)
{
	unsigned int n = 0;

	if (!text[0] || (text[0] == '0' && text[1]))
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		n = n * 10 + (unsigned int)(*text - '0');
		if (n > most)
			return -EINVAL;
	}
	*ret = (uint8_t)n;
	return 0;
}

/* Splits at the first `at`; the left side into a buffer. NULL: it is not there, or too long. */
static const char *split(const char *text, char at, char left[ADDR_TEXT])
{
	const char *p = strchr(text, at);

	if (!p || p - text >= ADDR_TEXT)
		return NULL;
	memcpy(left, text, (size_t)(p - text));
	left[p - text] = '\0';
	return p + 1;
}

int addr_parse_prefix(const char *text, struct addr_prefix *ret)
{
	char left[ADDR_TEXT];
	const char *right = split(text, '/', left);
	struct addr_prefix p;
	int r = right ? addr_parse(left, &p.base) : -EINVAL;

	if (!r)
		r = parse_length(right, 8 * width(&p.base), &p.length);
	if (r)
		return r;
	if (to_number(&p.base) & host_bits(&p.base, p.length))
		return -EDOM;
	*ret = p;
	return 0;
}

struct addr_range addr_prefix_range(const struct addr_prefix *prefix)
{
	number last = to_number(&prefix->base) | host_bits(&prefix->base, prefix->length);

	return (struct addr_range){prefix->base, from_number(last, prefix->base.family)};
}

int addr_parse_range(const char *text, struct addr_range *ret)
{
	char left[ADDR_TEXT];
	const char *right = split(text, '-', left);
	struct addr_prefix prefix;
	struct addr_range range;
	int r;

	if (strchr(text, '/')) {
		r = addr_parse_prefix(text, &prefix);
		if (!r)
			*ret = addr_prefix_range(&prefix);
		return r;
	}
	r = addr_parse(right ? left : text, &range.first);
	range.last = range.first;
	if (!r && right)
		r = addr_parse(right, &range.last);
	if (r)
		return r;
	if (range.first.family != range.last.family || addr_compare(&range.first, &range.last) > 0)
		return -EDOM;
	*ret = range;
	return 0;
}

void addr_print(const struct addr *a, char ret[ADDR_TEXT])
{
	if (!a->family || !inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->bytes, ret, ADDR_TEXT))
		memcpy(ret, "none", sizeof("none"));
}

int addr_compare(const struct addr *a, const struct addr *b)
{
	return a->family != b->family ? a->family - b->family
				      : memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool addr_add(const struct addr *a, uint64_t n, struct addr *ret)
{
	number from = to_number(a), to = from + n;

	if (to < from || to > host_bits(a, 0))
		return false;
	*ret = from_number(to, a->family);
	return true;
}

uint64_t addr_count(const struct addr_range *range)
{
	number n = to_number(&range->last) - to_number(&range->first);

	return n >= UINT64_MAX ? UINT64_MAX : (uint64_t)n + 1;
}

bool addr_in_range(const struct addr *a, const struct addr_range *range)
{
	return addr_compare(a, &range->first) >= 0 && addr_compare(a, &range->last) <= 0;
}

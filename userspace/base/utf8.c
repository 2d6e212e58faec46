// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/base/utf8.h"

/* How many bytes the first one announces; 0: it is no first byte. */
static size_t length_of(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first < 0xe0)
		return 2;
	if (first >= 0xe0 && first < 0xf0)
		return 3;
	return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

static bool is_allowed(uint32_t c, size_t length)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	return c >= least[length] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

size_t utf8_read(const char *text, size_t size, uint32_t *ret)
{
	static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	size_t length = size && *text ? length_of((unsigned char)*text) : 0;
	uint32_t c;

	if (!length || length > size)
		return 0;
	c = (unsigned char)*text & mask[length];
	for (size_t i = 1; i < length; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((unsigned char)text[i] & 0x3f);
	}
	if (!is_allowed(c, length))
		return 0;
	*ret = c;
	return length;
}

bool utf8_is_control(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

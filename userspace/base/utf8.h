/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Text from outside, as characters: names of pods and interfaces travel into
 * JSON and logs, and from there to terminals.
 */
#ifndef IPAMD_BASE_UTF8_H
#define IPAMD_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The length in bytes of the character at `text`, and the character; 0 when there
 * is none: a stray or missing byte, a form longer than needed, a surrogate, or
 * beyond U+10FFFF.  A NUL byte ends the text before `size` does.
 */
size_t utf8_read(const char *text, size_t size, uint32_t *ret);

/* C0, DEL and C1: what a terminal obeys instead of showing it. */
bool utf8_is_control(uint32_t character);

#endif

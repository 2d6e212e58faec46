// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cni/doc.h"

#include <string.h>

#define JSMN_PARENT_LINKS /* else a closing bracket searches all that lies before it */
#define JSMN_STATIC
#include <jsmn.h>

/* Only pages that are used take memory. */
static jsmntok_t tokens[DOC_MAX / 2 + 1];
static int count;
static const char *document;

/* --- The grammar (RFC 8259), checked ----------------------------------------------------- */

struct cursor {
	const unsigned char *at, *end;
};

static int peek(const struct cursor *c)
{
	return c->at < c->end ? *c->at : -1;
}

static bool accept(struct cursor *c, int byte)
{
	if (peek(c) != byte)
		return false;
	c->at++;
	return true;
}

static void skip_blanks(struct cursor *c)
{
	while (c->at < c->end && *c->at && strchr(" \t\r\n", *c->at))
		c->at++;
}

static bool digits(struct cursor *c)
{
	const unsigned char *from = c->at;

	while (peek(c) >= '0' && peek(c) <= '9')
		c->at++;
	return c->at > from;
}

static bool number(struct cursor *c)
{
	accept(c, '-');
	if (!accept(c, '0') && !digits(c))
		return false;
	if (accept(c, '.') && !digits(c))
		return false;
	if (peek(c) != 'e' && peek(c) != 'E')
		return true;
	c->at++;
	if (!accept(c, '+'))
		accept(c, '-');
	return digits(c);
}

static bool word(struct cursor *c, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(c->end - c->at) < n || memcmp(c->at, text, n))
		return false;
	c->at += n;
	return true;
}

/* Four hexadecimal digits; -1. */
static int unit(const unsigned char *at, const unsigned char *end)
{
	int v = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int b = at[i], lower = b | 0x20;

		if (b >= '0' && b <= '9')
			v = v << 4 | (b - '0');
		else if (lower >= 'a' && lower <= 'f')
			v = v << 4 | (lower - 'a' + 10);
		else
			return -1;
	}
	return v;
}

/* Behind a "\u": a character, from a pair where it takes one; not NUL, which ends text in C. */
static int escaped(struct cursor *c)
{
	int high = unit(c->at, c->end), low;

	if (high <= 0 || (high >= 0xdc00 && high < 0xe000))
		return -1;
	c->at += 4;
	if (high < 0xd800 || high >= 0xe000)
		return high;
	if (!word(c, "\\u"))
		return -1;
	low = unit(c->at, c->end);
	if (low < 0xdc00 || low >= 0xe000)
		return -1;
	c->at += 4;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* A character of two to four bytes; no overlong form, no surrogate, nothing over U+10FFFF. */
static bool utf8(struct cursor *c)
{
	static const int least[] = {0, 0x80, 0x800, 0x10000};
	int lead = *c->at, more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
	int v = lead & (0x3f >> more);

	if (lead < 0xc2 || lead > 0xf4 || c->end - c->at <= more)
		return false;
	for (int i = 1; i <= more; i++) {
		if ((c->at[i] & 0xc0) != 0x80)
			return false;
		v = v << 6 | (c->at[i] & 0x3f);
	}
	c->at += more + 1;
	return v >= least[more] && v <= 0x10ffff && (v < 0xd800 || v > 0xdfff);
}

static bool string(struct cursor *c)
{
	if (!accept(c, '"'))
		return false;
	while (peek(c) != '"') {
		if (peek(c) < 0x20)
			return false; /* the end, too */
		if (accept(c, '\\')) {
			if (accept(c, 'u') ? escaped(c) < 0
					   : peek(c) <= 0 || !strchr("\"\\/bfnrt", *c->at++))
				return false;
		} else if (*c->at < 0x80) {
			c->at++;
		} else if (!utf8(c)) {
			return false;
		}
	}
	c->at++;
	return true;
}

static int value(struct cursor *c, int depth);

static int members(struct cursor *c, int depth, int end)
{
	c->at++;
	skip_blanks(c);
	if (accept(c, end))
		return 0;
	do {
		int r;

		skip_blanks(c);
		if (end == '}') {
			if (!string(c))
				return DOC_MALFORMED;
			skip_blanks(c);
			if (!accept(c, ':'))
				return DOC_MALFORMED;
		}
		r = value(c, depth);
		if (r)
			return r;
		skip_blanks(c);
	} while (accept(c, ','));
	return accept(c, end) ? 0 : DOC_MALFORMED;
}

static int value(struct cursor *c, int depth)
{
	bool good;

	skip_blanks(c);
	switch (peek(c)) {
	case '{':
		return depth == DOC_DEPTH ? DOC_TOO_DEEP : members(c, depth + 1, '}');
	case '[':
		return depth == DOC_DEPTH ? DOC_TOO_DEEP : members(c, depth + 1, ']');
	case '"':
		good = string(c);
		break;
	case 't':
		good = word(c, "true");
		break;
	case 'f':
		good = word(c, "false");
		break;
	case 'n':
		good = word(c, "null");
		break;
	default:
		good = number(c);
	}
	return good ? 0 : DOC_MALFORMED;
}

/* --- Reading ----------------------------------------------------------------------------- */

int doc_read(const char *text, size_t size, size_t *ret_offset)
{
	struct cursor c = {(const unsigned char *)text, (const unsigned char *)text + size};
	jsmn_parser parser;
	int r = value(&c, 0);

	skip_blanks(&c);
	*ret_offset = (size_t)(c.at - (const unsigned char *)text);
	if (r)
		return r;
	if (c.at < c.end)
		return DOC_MALFORMED;
	jsmn_init(&parser);
	r = jsmn_parse(&parser, text, size, tokens, sizeof(tokens) / sizeof(tokens[0]));
	if (r < 1)
		return r == JSMN_ERROR_NOMEM ? DOC_TOO_MANY : DOC_MALFORMED;
	count = r;
	document = text;
	return 0;
}

enum doc_kind doc_kind(int v)
{
	switch (tokens[v].type) {
	case JSMN_OBJECT:
		return DOC_OBJECT;
	case JSMN_ARRAY:
		return DOC_ARRAY;
	case JSMN_STRING:
		return DOC_STRING;
	default:
		break;
	}
	switch (document[tokens[v].start]) {
	case 'n':
		return DOC_NULL;
	case 't':
	case 'f':
		return DOC_BOOL;
	default:
		return DOC_NUMBER;
	}
}

int doc_size(int v)
{
	return tokens[v].size;
}

/* The first token that lies behind a value. */
static int behind(int v)
{
	int end = tokens[v].end;

	for (v++; v < count && tokens[v].start < end;)
		v++;
	return v;
}

int doc_value(int key)
{
	return key + 1;
}

int doc_first(int container)
{
	return doc_size(container) ? container + 1 : DOC_ABSENT;
}

int doc_next(int container, int child)
{
	int next = behind(doc_kind(container) == DOC_OBJECT ? doc_value(child) : child);

	return next < count && tokens[next].start < tokens[container].end ? next : DOC_ABSENT;
}

/* --- Strings ----------------------------------------------------------------------------- */

static size_t encode(int v, char out[4])
{
	if (v < 0x80) {
		out[0] = (char)v;
		return 1;
	}
	if (v < 0x800) {
		out[0] = (char)(0xc0 | v >> 6);
		out[1] = (char)(0x80 | (v & 0x3f));
		return 2;
	}
	if (v < 0x10000) {
		out[0] = (char)(0xe0 | v >> 12);
		out[1] = (char)(0x80 | (v >> 6 & 0x3f));
		out[2] = (char)(0x80 | (v & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | v >> 18);
	out[1] = (char)(0x80 | (v >> 12 & 0x3f));
	out[2] = (char)(0x80 | (v >> 6 & 0x3f));
	out[3] = (char)(0x80 | (v & 0x3f));
	return 4;
}

/* One character, decoded; the text was checked. */
static size_t decode(struct cursor *c, char out[4])
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *p;

	if (!accept(c, '\\')) {
		out[0] = (char)*c->at++;
		return 1;
	}
	if (accept(c, 'u'))
		return encode(escaped(c), out);
	p = strchr(from, *c->at);
	out[0] = p ? to[p - from] : (char)*c->at;
	c->at++;
	return 1;
}

static struct cursor inside(int v)
{
	const unsigned char *text = (const unsigned char *)document;

	return (struct cursor){text + tokens[v].start, text + tokens[v].end};
}

int doc_string(int v, char *ret, size_t size)
{
	struct cursor c = inside(v);
	size_t n = 0;

	if (doc_kind(v) != DOC_STRING)
		return DOC_NO_STRING;
	while (c.at < c.end) {
		char out[4];
		size_t k = decode(&c, out);

		if (n + k >= size)
			return DOC_TOO_LONG;
		memcpy(ret + n, out, k);
		n += k;
	}
	ret[n] = '\0';
	return 0;
}

void doc_excerpt(int v, char *ret, size_t size)
{
	size_t n = (size_t)(tokens[v].end - tokens[v].start);

	if (n >= size)
		n = size - 1;
	memcpy(ret, document + tokens[v].start, n);
	ret[n] = '\0';
}

static bool is_key(int key, const char *text)
{
	struct cursor c = inside(key);

	while (c.at < c.end) {
		char out[4];
		size_t k = decode(&c, out);

		if (strncmp(text, out, k))
			return false;
		text += k;
	}
	return !*text;
}

int doc_get(int object, const char *key, int *ret)
{
	int found = DOC_ABSENT;

	for (int k = doc_first(object); k != DOC_ABSENT; k = doc_next(object, k)) {
		if (!is_key(k, key))
			continue;
		if (found != DOC_ABSENT)
			return DOC_TWICE;
		found = doc_value(k);
	}
	*ret = found;
	return 0;
}

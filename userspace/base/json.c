// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/base/json.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "userspace/base/utf8.h"

void json_init(struct json *json, FILE *out)
{
	memset(json, 0, sizeof(*json));
	json->out = out;
}

int json_end(struct json *json)
{
	assert(json->depth == 0 && json->begun[0]);
	fputc('\n', json->out);
	return fflush(json->out) || ferror(json->out) ? -EIO : 0;
}

static void put_character(FILE *out, const char *text, size_t length, uint32_t c)
{
	if (c == '"' || c == '\\')
		fprintf(out, "\\%c", (char)c);
	else if (c == '\n')
		fputs("\\n", out);
	else if (c == '\t')
		fputs("\\t", out);
	else if (utf8_is_control(c))
		fprintf(out, "\\u%04" PRIx32, c);
	else
		fwrite(text, 1, length, out);
}

static void put_string(FILE *out, const char *text)
{
	size_t left = strlen(text);

	fputc('"', out);
	while (left) {
		uint32_t c = 0;
		size_t n = utf8_read(text, left, &c);

		if (n)
			put_character(out, text, n, c);
		else
			fputs("\xef\xbf\xbd", out); /* U+FFFD */
		n = n ? n : 1;
		text += n;
		left -= n;
	}
	fputc('"', out);
}

/* What stands before any value: the comma, and the key. */
static void begin(struct json *json, const char *key)
{
	bool *begun = &json->begun[json->depth];
	char end = json->end[json->depth];

	assert((end == '}') == (key != NULL));
	assert(end || !*begun);
	if (*begun)
		fputc(',', json->out);
	*begun = true;
	if (key) {
		put_string(json->out, key);
		fputc(':', json->out);
	}
}

static void open_level(struct json *json, const char *key, const char brackets[2])
{
	begin(json, key);
	assert(json->depth < JSON_DEPTH);
	fputc(brackets[0], json->out);
	json->depth++;
	json->end[json->depth] = brackets[1];
	json->begun[json->depth] = false;
}

static void close_level(struct json *json, char end)
{
	assert(json->end[json->depth] == end);
	fputc(end, json->out);
	json->depth--;
}

void json_open_object(struct json *json, const char *key)
{
	open_level(json, key, "{}");
}

void json_close_object(struct json *json)
{
	close_level(json, '}');
}

void json_open_array(struct json *json, const char *key)
{
	open_level(json, key, "[]");
}

void json_close_array(struct json *json)
{
	close_level(json, ']');
}

void json_text(struct json *json, const char *key, const char *text)
{
	begin(json, key);
	if (text)
		put_string(json->out, text);
	else
		fputs("null", json->out);
}

void json_signed(struct json *json, const char *key, int64_t number)
{
	begin(json, key);
	fprintf(json->out, "%" PRId64, number);
}

void json_unsigned(struct json *json, const char *key, uint64_t number)
{
	begin(json, key);
	fprintf(json->out, "%" PRIu64, number);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin(json, key);
	fputs(value ? "true" : "false", json->out);
}

void json_null(struct json *json, const char *key)
{
	begin(json, key);
	fputs("null", json->out);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * JSON as a stream, on one line: thousands of slots are written without a tree of
 * them in memory, which is why this is not jansson's work (that reads).
 *
 *	json_init(&json, file);
 *	json_open_object(&json, NULL);
 *	json_text(&json, "address", "10.0.0.1");
 *	json_close_object(&json);
 *	r = json_end(&json);
 *
 * Commas, nesting and escapes are the writer's.  A `key` is given inside an object,
 * and nowhere else; the wrong end, a second value at the top and more than
 * JSON_DEPTH levels are mistakes of the program: assert.
 */
#ifndef IPAMD_BASE_JSON_H
#define IPAMD_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH 16

struct json {
	FILE *out;
	unsigned int depth;         /* 0: at the top */
	char end[JSON_DEPTH + 1];   /* by depth: the bracket that ends it; '\0' at the top */
	bool begun[JSON_DEPTH + 1]; /* by depth: it has a value already */
};

void json_init(struct json *json, FILE *out);

/* Everything must be closed by now.  -EIO when something could not be written. */
int json_end(struct json *json);

void json_open_object(struct json *json, const char *key);
void json_close_object(struct json *json);
void json_open_array(struct json *json, const char *key);
void json_close_array(struct json *json);

/* A byte that is no UTF-8 becomes U+FFFD.  NULL is written as null. */
void json_text(struct json *json, const char *key, const char *text);
void json_signed(struct json *json, const char *key, int64_t number);

/* Readers that count in doubles (jq, JavaScript) are exact up to 2^53 only. */
void json_unsigned(struct json *json, const char *key, uint64_t number);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

#endif

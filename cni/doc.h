/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The JSON on stdin, strictly: jsmn finds the tokens but takes nearly anything, so
 * the text is checked first, in one pass.  One document a process, in static memory.
 * A value is named by the number of its token; the document itself is DOC_ROOT.
 */
#ifndef IPAMD_CNI_DOC_H
#define IPAMD_CNI_DOC_H

#include <stdbool.h>
#include <stddef.h>

enum {
	DOC_MAX = 1 << 20, /* bytes; annotations of pods travel in it */
	DOC_DEPTH = 32,
};

enum { DOC_ROOT = 0, DOC_ABSENT = -1 };

enum doc_kind { DOC_NULL, DOC_BOOL, DOC_NUMBER, DOC_STRING, DOC_ARRAY, DOC_OBJECT };

enum doc_outcome {
	DOC_MALFORMED = 1, /* not JSON; the offset says where */
	DOC_TOO_DEEP = 2,
	DOC_TOO_MANY = 3, /* values */
	DOC_TWICE = 4,    /* the object has the key more than once */
	DOC_NO_STRING = 5,
	DOC_TOO_LONG = 6,
};

/* The text stays the caller's, and where it is.  *ret_offset: where the error is. */
int doc_read(const char *text, size_t size, size_t *ret_offset);

enum doc_kind doc_kind(int value);

/* How many elements or members. */
int doc_size(int value);

/* A member by its key, escapes decoded; *ret is DOC_ABSENT when there is none.  DOC_TWICE. */
int doc_get(int object, const char *key, int *ret);

/* The first member's key or first element, and each next one; of an object, keys only. */
int doc_first(int container);
int doc_next(int container, int child);

/* The value of a key. */
int doc_value(int key);

/* Decoded.  DOC_NO_STRING, DOC_TOO_LONG. */
int doc_string(int value, char *ret, size_t size);

/* The text of a value as it stands, cut to what fits: for messages. */
void doc_excerpt(int value, char *ret, size_t size);

#endif

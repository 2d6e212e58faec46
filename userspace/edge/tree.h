/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * JSON that is read: a tree, over jansson.  What is not there, or of another kind,
 * reads as NULL, "", 0 or false, so that an older or newer manager can be shown too.
 */
#ifndef IPAMD_EDGE_TREE_H
#define IPAMD_EDGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree;

/* -EBADMSG: not an object, or not JSON. */
int tree_parse(const char *text, size_t size, struct tree **ret);
void tree_free(struct tree *tree);

/* Parts belong to the whole. */
const struct tree *tree_get(const struct tree *tree, const char *key);
size_t tree_count(const struct tree *array);
const struct tree *tree_at(const struct tree *array, size_t index);

const char *tree_text(const struct tree *tree, const char *key);
const char *tree_text_at(const struct tree *array, size_t index);
uint64_t tree_number(const struct tree *tree, const char *key);
bool tree_bool(const struct tree *tree, const char *key);

#endif

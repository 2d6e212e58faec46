// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/edge/tree.h"

#include <errno.h>
#include <jansson.h>

static json_t *of(const struct tree *tree)
{
	return (json_t *)(uintptr_t)tree;
}

int tree_parse(const char *text, size_t size, struct tree **ret)
{
	json_t *j = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(j)) {
		json_decref(j);
		return -EBADMSG;
	}
	*ret = (struct tree *)j;
	return 0;
}

void tree_free(struct tree *tree)
{
	json_decref(of(tree));
}

const struct tree *tree_get(const struct tree *tree, const char *key)
{
	return (const struct tree *)json_object_get(of(tree), key);
}

size_t tree_count(const struct tree *array)
{
	return json_array_size(of(array));
}

const struct tree *tree_at(const struct tree *array, size_t index)
{
	return (const struct tree *)json_array_get(of(array), index);
}

static const char *text_of(const json_t *j)
{
	const char *text = json_string_value(j);

	return text ? text : "";
}

const char *tree_text(const struct tree *tree, const char *key)
{
	return text_of(json_object_get(of(tree), key));
}

const char *tree_text_at(const struct tree *array, size_t index)
{
	return text_of(json_array_get(of(array), index));
}

uint64_t tree_number(const struct tree *tree, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(of(tree), key));

	return n > 0 ? (uint64_t)n : 0;
}

bool tree_bool(const struct tree *tree, const char *key)
{
	return json_is_true(json_object_get(of(tree), key));
}

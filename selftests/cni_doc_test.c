// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The plugin's JSON against jansson's: what one takes the other takes, over many
 * documents that are nearly right, and each string that both read is the same.
 */
#include "selftests/harness.h"

#include <jansson.h>
#include <stdbool.h>

#include "cni/doc.c"

static const char *const seeds[] = {
	"{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"ipam\":{\"type\":\"x\",\"a\":[1,2.5e-3,-0]}}",
	"{\"a\":\"\\u00e9\\ud83d\\ude00\\n\\\"\\\\\\/\\b\\f\\r\\t\",\"b\":[[],{},[{}]],\"c\":null}",
	"{\"a\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\",\"t\":true,\"f\":false}",
	" [ 0 , 1E+2 , \"\" , [ ] , { \"k\" : { \"k\" : \"v\" } } ] ",
};

static const char bytes[] = "{}[]\",:\\u/bfnrtd89aceE+-.0123 \t\n\x01\x7f\x80\xbf\xc0\xc3\xe0\xed"
			    "\xef\xf0\xf4\xf5\xff";

static unsigned int state = 1;

static unsigned int dice(unsigned int sides)
{
	state = state * 1664525 + 1013904223;
	return (state >> 8) % sides;
}

static size_t mutate(char *text, size_t n, size_t size)
{
	for (unsigned int i = 1 + dice(3); i; i--) {
		size_t at = dice((unsigned int)n + 1);
		unsigned int how = dice(3);

		if (how == 0 && n > 1 && at < n) {
			memmove(text + at, text + at + 1, n - at - 1);
			n--;
		} else if (how == 1 && n + 1 < size) {
			memmove(text + at + 1, text + at, n - at);
			text[at] = bytes[dice(sizeof(bytes) - 1)];
			n++;
		} else if (at < n) {
			text[at] = bytes[dice(sizeof(bytes) - 1)];
		}
	}
	return n;
}

/* jansson keeps numbers, and what does not fit it refuses; we do not look at them. */
static bool is_about_numbers(const json_error_t *e)
{
	return strstr(e->text, "too big") || strstr(e->text, "overflow");
}

static void compare(int ours, const json_t *theirs)
{
	char text[512];
	int key, at = 0;

	if (json_is_string(theirs)) {
		CHECK_EQ(doc_string(ours, text, sizeof(text)), 0);
		CHECK(!strcmp(text, json_string_value(theirs)));
	} else if (json_is_array(theirs)) {
		CHECK_EQ(doc_size(ours), json_array_size(theirs));
		for (int v = doc_first(ours); v != DOC_ABSENT; v = doc_next(ours, v))
			compare(v, json_array_get(theirs, (size_t)at++));
		CHECK_EQ(at, json_array_size(theirs));
	} else if (json_is_object(theirs)) {
		for (key = doc_first(ours); key != DOC_ABSENT; key = doc_next(ours, key)) {
			int v;

			CHECK_EQ(doc_string(key, text, sizeof(text)), 0);
			CHECK(json_object_get(theirs, text));
			if (!doc_get(ours, text, &v))
				compare(v, json_object_get(theirs, text));
		}
	}
}

TEST(it_takes_what_jansson_takes_and_reads_the_same)
{
	unsigned int taken = 0, refused = 0;

	for (unsigned int i = 0; i < 300000; i++) {
		char text[512];
		const char *seed = seeds[i % 4];
		size_t at, n = strlen(seed);
		json_error_t e;
		json_t *j;
		int r;

		memcpy(text, seed, n);
		if (i >= 4)
			n = mutate(text, n, sizeof(text));
		j = json_loadb(text, n, JSON_DECODE_ANY, &e);
		if (!j && is_about_numbers(&e))
			continue;
		r = doc_read(text, n, &at);
		if (!r != !!j)
			test_stop(T_FAIL, "%.*s: %d at %zu, jansson: %s", (int)n, text, r, at,
				  j ? "takes it" : e.text);
		if (j)
			compare(DOC_ROOT, j);
		*(j ? &taken : &refused) += 1;
		json_decref(j);
	}
	printf("# %u taken, %u refused\n", taken, refused);
	CHECK(taken > 10000 && refused > 10000);
}

TEST_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The JSON writer: the bytes it writes, what it makes of bytes that are no text,
 * and that misuse ends the process.
 */
#include "selftests/harness.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "userspace/base/json.h"
#include "userspace/base/utf8.h"

static char *text;
static size_t size;

static void begin(struct json *json)
{
	FILE *f = open_memstream(&text, &size);

	CHECK(f);
	json_init(json, f);
}

static void check_text(struct json *json, const char *expected)
{
	CHECK_EQ(json_end(json), 0);
	fclose(json->out);
	if (strcmp(text, expected))
		test_stop(T_FAIL, "%s, expected %s", text, expected);
	free(text);
}

/* What one string becomes. */
static void check_string(const char *in, const char *expected)
{
	struct json json;

	begin(&json);
	json_text(&json, NULL, in);
	check_text(&json, expected);
}

TEST(commas_and_nesting_are_right)
{
	struct json j;

	begin(&j);
	json_open_object(&j, NULL);
	json_open_array(&j, "empty");
	json_close_array(&j);
	json_open_array(&j, "list");
	json_signed(&j, NULL, INT64_MIN);
	json_unsigned(&j, NULL, UINT64_MAX);
	json_open_object(&j, NULL);
	json_close_object(&j);
	json_open_object(&j, NULL);
	json_bool(&j, "a", true);
	json_bool(&j, "b", false);
	json_null(&j, "c");
	json_close_object(&j);
	json_close_array(&j);
	json_text(&j, "last", NULL);
	json_close_object(&j);
	check_text(&j, "{\"empty\":[],\"list\":[-9223372036854775808,18446744073709551615,{},"
		       "{\"a\":true,\"b\":false,\"c\":null}],\"last\":null}\n");
}

TEST(strings_are_escaped)
{
	check_string("plain \xc3\xa9 \xf0\x9f\x90\xa7", "\"plain \xc3\xa9 \xf0\x9f\x90\xa7\"\n");
	check_string("a\"b\\c/", "\"a\\\"b\\\\c/\"\n");
	check_string("\x01\n\t\r\x1b[31m\x7f", "\"\\u0001\\n\\t\\u000d\\u001b[31m\\u007f\"\n");
	check_string("\xc2\x9b", "\"\\u009b\"\n");
	check_string("", "\"\"\n");
}

#define FFFD "\xef\xbf\xbd"

TEST(bytes_that_are_no_text_are_replaced)
{
	check_string("a\xff"
		     "b",
		     "\"a" FFFD "b\"\n");
	check_string("\x80", "\"" FFFD "\"\n");
	check_string("\xc3", "\"" FFFD "\"\n");
	check_string("\xc3(", "\"" FFFD "(\"\n");
	check_string("\xc0\xaf", "\"" FFFD FFFD "\"\n");
	check_string("\xe0\x80\xaf", "\"" FFFD FFFD FFFD "\"\n");
	check_string("\xed\xa0\x80", "\"" FFFD FFFD FFFD "\"\n");
	check_string("\xf4\x90\x80\x80", "\"" FFFD FFFD FFFD FFFD "\"\n");
	check_string("\xf0\x9f\x90\"", "\"" FFFD FFFD FFFD "\\\"\"\n");
}

static size_t encode(uint32_t c, char ret[5])
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	memset(ret, 0, 5);
	for (size_t i = n - 1; i; i--, c >>= 6)
		ret[i] = (char)(0x80 | (c & 0x3f));
	ret[0] = (char)(lead[n] | c);
	return n;
}

TEST(every_character_is_read_and_no_surrogate)
{
	for (uint32_t c = 1; c < 0x110800; c++) {
		bool is_text = c < 0x110000 && (c < 0xd800 || c > 0xdfff);
		uint32_t back = 0;
		char bytes[5];
		size_t n = encode(c, bytes);

		CHECK_EQ(utf8_read(bytes, n, &back), is_text ? n : 0);
		CHECK_EQ(back, is_text ? c : 0);
		CHECK_EQ(utf8_read(bytes, n - 1, &back), 0);
	}
}

/* In a child, without a core file. */
static void check_aborts(void (*misuse)(struct json *json))
{
	pid_t pid = fork();
	int st;

	if (!pid) {
		struct rlimit none = {0, 0};
		struct json j;

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		CHECK(freopen("/dev/null", "w", stderr));
		begin(&j);
		misuse(&j);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &st, 0), pid);
	CHECK(WIFSIGNALED(st));
	CHECK_EQ(WTERMSIG(st), SIGABRT);
}

static void key_in_array(struct json *j)
{
	json_open_array(j, NULL);
	json_null(j, "key");
}

static void no_key_in_object(struct json *j)
{
	json_open_object(j, NULL);
	json_null(j, NULL);
}

static void two_values_at_the_top(struct json *j)
{
	json_null(j, NULL);
	json_null(j, NULL);
}

static void wrong_end(struct json *j)
{
	json_open_object(j, NULL);
	json_close_array(j);
}

static void end_without_begin(struct json *j)
{
	json_close_object(j);
}

static void end_while_open(struct json *j)
{
	json_open_array(j, NULL);
	json_end(j);
}

static void end_of_nothing(struct json *j)
{
	json_end(j);
}

static void too_deep(struct json *j)
{
	for (int i = 0; i <= JSON_DEPTH; i++)
		json_open_array(j, NULL);
}

TEST(misuse_ends_the_process)
{
	check_aborts(key_in_array);
	check_aborts(no_key_in_object);
	check_aborts(two_values_at_the_top);
	check_aborts(wrong_end);
	check_aborts(end_without_begin);
	check_aborts(end_while_open);
	check_aborts(end_of_nothing);
	check_aborts(too_deep);
}

TEST(sixteen_levels_are_allowed)
{
	struct json j;

	begin(&j);
	for (int i = 0; i < JSON_DEPTH; i++)
		json_open_array(&j, NULL);
	for (int i = 0; i < JSON_DEPTH; i++)
		json_close_array(&j);
	check_text(&j, "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]\n");
}

TEST(a_full_disk_is_told_at_the_end)
{
	FILE *f = fopen("/dev/full", "w");
	struct json j;

	CHECK(f);
	json_init(&j, f);
	json_null(&j, NULL);
	CHECK_EQ(json_end(&j), -EIO);
	fclose(f);
}

TEST_MAIN

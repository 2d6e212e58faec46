// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Addresses as values; the texts that others have misread are refused. */
#include "selftests/harness.h"

#include <errno.h>

#include "userspace/base/addr.h"

static int parse(const char *text)
{
	struct addr a;

	return addr_parse(text, &a);
}

static struct addr address(const char *text)
{
	struct addr a;

	CHECK_EQ(addr_parse(text, &a), 0);
	return a;
}

static void check_print(const char *text, const char *expected)
{
	struct addr a = address(text);
	char out[ADDR_TEXT];

	addr_print(&a, out);
	CHECK(!strcmp(out, expected));
}

TEST(text_goes_to_bytes_and_back)
{
	check_print("10.0.0.7", "10.0.0.7");
	check_print("255.255.255.255", "255.255.255.255");
	check_print("2001:DB8:0:0::7", "2001:db8::7");
	check_print("::", "::");
}

TEST(odd_texts_are_refused)
{
	static const char *const bad[] = {
		"",          "10.0.0",       "10.0.0.07",    "10.0.0.256",
		"10.0.0.7 ", " 10.0.0.7",    "10.0.0.7/32",  "0x0a.0.0.7",
		"167772167", "1::2::3",      "fe80::1%eth0", ":",
		"10.0.0.7.", "::ffff:1.2.3", "12345::",      "1.2.3.4:80"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(parse(bad[i]), -EINVAL);
}

TEST(prefixes_and_ranges_are_read_strictly)
{
	struct addr_prefix p;
	struct addr_range r;

	CHECK_EQ(addr_parse_prefix("10.0.0.0/8", &p), 0);
	CHECK_EQ(p.length, 8);
	CHECK_EQ(addr_parse_prefix("10.0.0.1/8", &p), -EDOM);
	CHECK_EQ(addr_parse_prefix("10.0.0.0/33", &p), -EINVAL);
	CHECK_EQ(addr_parse_prefix("10.0.0.0/08", &p), -EINVAL);
	CHECK_EQ(addr_parse_prefix("10.0.0.0/", &p), -EINVAL);
	CHECK_EQ(addr_parse_prefix("10.0.0.0", &p), -EINVAL);
	CHECK_EQ(addr_parse_prefix("::/0", &p), 0);
	CHECK_EQ(addr_parse_prefix("0.0.0.0/0", &p), 0);
	CHECK_EQ(addr_parse_prefix("2001:db8::/129", &p), -EINVAL);

	CHECK_EQ(addr_parse_range("10.0.0.5-10.0.0.9", &r), 0);
	CHECK_EQ(addr_count(&r), 5);
	CHECK_EQ(addr_parse_range("10.0.0.5", &r), 0);
	CHECK_EQ(addr_count(&r), 1);
	CHECK_EQ(addr_parse_range("10.0.0.0/24", &r), 0);
	CHECK_EQ(addr_count(&r), 256);
	CHECK_EQ(addr_parse_range("::/0", &r), 0);
	CHECK_EQ(addr_count(&r), UINT64_MAX);
	CHECK_EQ(addr_parse_range("10.0.0.9-10.0.0.5", &r), -EDOM);
	CHECK_EQ(addr_parse_range("10.0.0.5-::9", &r), -EDOM);
	CHECK_EQ(addr_parse_range("10.0.0.5-", &r), -EINVAL);
	CHECK_EQ(addr_parse_range("-10.0.0.5", &r), -EINVAL);
}

TEST(arithmetic_stays_in_its_family)
{
	struct addr a = address("10.0.0.254"), b;

	CHECK(addr_add(&a, 2, &b));
	CHECK(!addr_compare(&b, &(struct addr){4, {10, 0, 1, 0}}));
	a = address("255.255.255.255");
	CHECK(!addr_add(&a, 1, &b));
	a = address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	CHECK(!addr_add(&a, 1, &b));
	a = address("2001:db8::ffff:ffff");
	CHECK(addr_add(&a, 1, &b));
	a = address("2001:db8::1:0:0");
	CHECK(!addr_compare(&a, &b));
}

TEST(order_is_that_of_numbers)
{
	struct addr a = address("9.255.255.255"), b = address("10.0.0.0"), c = address("::1");
	struct addr_prefix p;
	struct addr_range r;

	CHECK(addr_compare(&a, &b) < 0);
	CHECK(addr_compare(&b, &c) < 0);
	CHECK_EQ(addr_parse_prefix("10.0.0.0/8", &p), 0);
	r = addr_prefix_range(&p);
	CHECK(addr_in_range(&b, &r));
	CHECK(!addr_in_range(&a, &r));
	CHECK(!addr_in_range(&c, &r));
}

TEST_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Every bad configuration has one clear line that names file and line; every
 * good one is printed back and reads to the same.
 */
#include "selftests/harness.h"

#include <errno.h>

#include "selftests/config_corpus.h"
#include "userspace/core/config.h"

static struct config config, again;

static int read_text(struct config *c, const char *text, size_t size, struct conf_error *error)
{
	static char buffer[1 << 16];
	int r;

	CHECK(size < sizeof(buffer));
	memcpy(buffer, text, size);
	config_init(c);
	memset(error, 0, sizeof(*error));
	r = config_read(c, "t.conf", buffer, size, error);
	return r ? r : config_check(c, error);
}

static int read_string(const char *text, struct conf_error *error)
{
	return read_text(&config, text, strlen(text), error);
}

TEST(every_bad_configuration_has_one_clear_line)
{
	struct conf_error error;

	for (size_t i = 0; i < CONFIG_BAD; i++) {
		if (read_string(config_bad[i].text, &error) != -EINVAL)
			test_stop(T_FAIL, "taken: %s", config_bad[i].text);
		if (!strstr(error.text, config_bad[i].complaint))
			test_stop(T_FAIL, "%s: \"%s\" lacks \"%s\"", config_bad[i].text, error.text,
				  config_bad[i].complaint);
		CHECK(!strchr(error.text, '\n'));
	}
	printf("# %d bad configurations\n", CONFIG_BAD);
	CHECK(CONFIG_BAD >= 60);
}

TEST(a_nul_byte_and_an_endless_line_are_told)
{
	static char text[60000];
	struct conf_error error;

	CHECK_EQ(read_text(&config, "[pool p]\nsub\0net", 16, &error), -EINVAL);
	CHECK(strstr(error.text, "t.conf:2: a NUL byte"));
	memset(text, 'x', sizeof(text));
	CHECK_EQ(read_text(&config, text, sizeof(text), &error), -EINVAL);
	CHECK(strstr(error.text, "t.conf:1:"));
}

static void check_prints_back(const char *text)
{
	struct conf_error error;
	char *printed = NULL, *twice = NULL;
	size_t size;
	FILE *f;

	CHECK_EQ(read_string(text, &error), 0);
	f = open_memstream(&printed, &size);
	config_print(&config, f);
	fclose(f);
	if (read_text(&again, printed, size, &error))
		test_stop(T_FAIL, "%s\n%s", error.text, printed);
	f = open_memstream(&twice, &size);
	config_print(&again, f);
	fclose(f);
	CHECK(!strcmp(printed, twice));
	free(printed);
	free(twice);
}

TEST(a_good_configuration_prints_back_to_the_same)
{
	check_prints_back(config_embedded);
	for (size_t i = 0; i < CONFIG_GOOD; i++)
		check_prints_back(config_good[i]);
}

TEST(a_later_file_overrides_the_manager_and_adds_pools)
{
	char first[] = "[manager]\nslots = 64\nrun = /a\n" POOL;
	char second[] = "[manager]\nslots = 128\n[pool q]\nsubnet = 10.1.0.0/24\n";
	char third[] = "[pool p]\nsubnet = 10.2.0.0/24\n";
	struct conf_error error;

	config_init(&config);
	CHECK_EQ(config_read(&config, "a.conf", first, sizeof(first) - 1, &error), 0);
	CHECK_EQ(config_read(&config, "b.conf", second, sizeof(second) - 1, &error), 0);
	CHECK_EQ(config_check(&config, &error), 0);
	CHECK_EQ(config.slots, 128);
	CHECK(!strcmp(config.run, "/a"));
	CHECK_EQ(config.pools, 2);
	CHECK_EQ(config_read(&config, "c.conf", third, sizeof(third) - 1, &error), -EINVAL);
	CHECK(strstr(error.text, "c.conf:1: pool p is at a.conf:4 already"));
}

TEST(what_was_written_is_what_is_understood)
{
	struct conf_error error;
	struct config_pool *p = &config.pool[0];

	CHECK_EQ(read_string(config_full, &error), 0);
	CHECK_EQ(config.slots, 1024);
	CHECK_EQ(config.history_ms, 7 * 86400000ULL);
	CHECK_EQ(config.pools, 2);
	CHECK_EQ(p->cooldown_ms, 1500);
	CHECK_EQ(p->low, 10);
	CHECK_EQ(p->family[IPAMD_V4].ranges, 2);
	CHECK_EQ(p->family[IPAMD_V4].routes, 2);
	CHECK_EQ(p->family[IPAMD_V4].route[1].via.bytes[3], 2);
	CHECK_EQ(p->family[IPAMD_V6].routes, 1);
	CHECK_EQ(config.pool[1].cooldown_ms, 120000);
	CHECK_EQ(config.pool[1].high, 50);
	CHECK_EQ(config.pool[1].name_spaces, 2);
}

static void check_address(uint64_t n, const char *expected)
{
	char text[ADDR_TEXT];
	struct addr a;

	CHECK(config_address(&config.pool[0], IPAMD_V4, n, &a));
	addr_print(&a, text);
	if (strcmp(text, expected))
		test_stop(T_FAIL, "address %llu is %s, not %s", (unsigned long long)n, text,
			  expected);
}

TEST(ranges_give_every_address_once_and_none_that_is_barred)
{
	struct conf_error error;
	struct addr a;

	CHECK_EQ(read_string("[pool p]\nsubnet = 10.0.0.0/24\ngateway = 10.0.0.1\n"
			     "range = 10.0.0.1-10.0.0.5\nrange = 10.0.0.10-10.0.0.20\n"
			     "exclude = 10.0.0.3\nexclude = 10.0.0.5-10.0.0.12\n"
			     "exclude = 10.0.0.11-10.0.0.14\nexclude = 10.0.0.20\n",
			     &error),
		 0);
	check_address(0, "10.0.0.2");
	check_address(1, "10.0.0.4");
	check_address(2, "10.0.0.15");
	check_address(6, "10.0.0.19");
	CHECK(!config_address(&config.pool[0], IPAMD_V4, 7, &a));
	CHECK_EQ(config_count(&config.pool[0], IPAMD_V4), 7);
	CHECK_EQ(config_count(&config.pool[0], IPAMD_V6), 0);

	CHECK_EQ(read_string("[pool p]\nsubnet = 10.0.0.0/24\ngateway = 10.0.0.1\n", &error), 0);
	CHECK_EQ(config_count(&config.pool[0], IPAMD_V4), 253);
	check_address(0, "10.0.0.2");
	check_address(252, "10.0.0.254");
	CHECK_EQ(read_string("[pool p]\nsubnet = 2001:db8::/32\n", &error), 0);
	CHECK_EQ(config_count(&config.pool[0], IPAMD_V6), UINT64_MAX);
}

TEST(the_embedded_default_leaves_the_first_address_to_the_gateway)
{
	struct conf_error error;

	CHECK_EQ(read_string(config_embedded, &error), 0);
	CHECK_EQ(config_count(&config.pool[0], IPAMD_V4), 253);
	check_address(0, "10.88.0.2");
}

TEST_MAIN

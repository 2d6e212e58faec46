// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Every bad configuration has one clear line that names file and line; every
 * good one is printed back and reads to the same.
 */
#include "selftests/harness.h"

#include <errno.h>

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

#define POOL "[pool p]\nsubnet = 10.0.0.0/24\n"

static const struct {
	const char *text;
	const char *complaint;
} bad[] = {
	{"", "there is no pool"},
	{"# nothing\n\n", "there is no pool"},
	{"[manager]\n", "there is no pool"},
	{"slots = 64\n", "t.conf:1: \"slots\" stands in no section"},
	{"[pool]\n", "t.conf:1: [pool ]: a name"},
	{"[pool a b]\n", "t.conf:1: a section is written"},
	{"[pool A]\n", "t.conf:1: [pool A]: a name"},
	{"[pool -a]\n", "t.conf:1: [pool -a]: a name"},
	{"[pool a_b]\n", "t.conf:1: [pool a_b]: a name"},
	{"[pool abcdefghijabcdefghijabcdefghijab]\n", "a name of at most 31"},
	{"[pool a\n", "t.conf:1: a section is written"},
	{"[pool a] x\n", "t.conf:1: a section is written"},
	{"[]\n", "t.conf:1: a section is written"},
	{"[[pool a]]\n", "t.conf:1: a section is written"},
	{"[poll a]\n", "t.conf:1: [poll a]: [manager] and [pool NAME] are allowed"},
	{"[manager x]\n", "t.conf:1: [manager x]: [manager] and"},
	{"[manager]\nslot = 64\n",
	 "t.conf:2: there is no key \"slot\" in [manager]; allowed are slots,"},
	{"[pool a]\nrnage = 10.0.0.1\n",
	 "t.conf:2: there is no key \"rnage\" in [pool]; allowed are"},
	{"[manager]\nslots\n", "t.conf:2: \"slots\" is no \"key = value\""},
	{"[manager]\nslots =\n", "t.conf:2: \"slots\" has no value"},
	{"[manager]\n= 5\n", "t.conf:2: there is no key before"},
	{"[manager]\nslots = 63\n", "t.conf:2: slots = 63: a whole number from 64 to 4096"},
	{"[manager]\nslots = 4097\n", "slots = 4097"},
	{"[manager]\nslots = -5\n", "slots = -5"},
	{"[manager]\nslots = 0x40\n", "slots = 0x40"},
	{"[manager]\nslots = 64 # x\n", "slots = 64 # x"},
	{"[manager]\nslots = 99999999999999999999\n", "slots = 9999"},
	{"[manager]\nslots = \"64\"\n", "slots = \"64\""},
	{"[manager]\npins = relative\n", "t.conf:2: pins = relative: an absolute path"},
	{"[manager]\nrun = "
	 "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
	 "at most 99 bytes"},
	{"[manager]\nhistory = 30\n", "t.conf:2: history = 30: a whole number and its unit"},
	{"[manager]\nhistory = 4000d\n", "up to 3650d"},
	{"[manager]\nhistory = 1y\n", "history = 1y"},
	{POOL "cooldown = 30\n", "t.conf:3: cooldown = 30: a whole number and its unit"},
	{POOL "cooldown = s\n", "cooldown = s"},
	{POOL "cooldown = 1.5s\n", "cooldown = 1.5s"},
	{POOL "cooldown = -1s\n", "cooldown = -1s"},
	{POOL "cooldown = 2d\n", "up to 1d"},
	{POOL "low = 5x\n", "low = 5x"},
	{POOL "high = 0\n", "high = 0"},
	{POOL "low = 51\n", "t.conf:1: pool p: low (51) must not be above high (50)"},
	{POOL "high = 300\n", "high (300) does not fit into 256 slots"},
	{"[pool p]\n", "t.conf:1: pool p: it needs a \"subnet\""},
	{"[pool p]\nsubnet = 10.0.0.0\n", "t.conf:2: subnet = 10.0.0.0: a prefix"},
	{"[pool p]\nsubnet = 10.0.0.1/24\n", "bits set behind the prefix"},
	{"[pool p]\nsubnet = 10.0.0.0/33\n", "a prefix"},
	{"[pool p]\nsubnet = 0.0.0.0/0\n", "a prefix"},
	{"[pool p]\nsubnet = 010.0.0.0/24\n", "a prefix"},
	{POOL "subnet = 10.1.0.0/24\n", "t.conf:3: a pool has one IPv4 subnet"},
	{"[pool p]\nrange = 10.0.0.1-10.0.0.9\n", "of a family in which it has no subnet"},
	{POOL "range = 2001:db8::1\n", "of a family in which it has no subnet"},
	{POOL "range = 10.0.0.9-10.0.0.1\n", "t.conf:3: range = 10.0.0.9-10.0.0.1: it ends before"},
	{POOL "range = 10.0.0.1-2001:db8::1\n", "changes its family"},
	{POOL "range = 10.0.0.1 - 10.0.0.9\n", "t.conf:3: range = 10.0.0.1 - 10.0.0.9: FIRST-LAST"},
	{POOL "range = 10.0.1.1\n", "the range from 10.0.1.1 is not within the subnet"},
	{POOL "range = 10.0.0.1-10.0.0.9\nrange = 10.0.0.9\n",
	 "from 10.0.0.9 overlaps another one"},
	{POOL "exclude = web\n", "t.conf:3: exclude = web"},
	{POOL "exclude = 10.0.0.0/24\n", "no IPv4 address is left"},
	{POOL "gateway = 10.0.0.1/24\n", "t.conf:3: gateway = 10.0.0.1/24: an address"},
	{POOL "gateway = 10.0.1.1\n", "the gateway 10.0.1.1 is not within the subnet"},
	{POOL "gateway = 10.0.0.1\ngateway = 10.0.0.2\n", "t.conf:4: a pool has one IPv4 gateway"},
	{POOL "route = 10.0.0.0\n", "t.conf:3: route = 10.0.0.0: PREFIX"},
	{POOL "route = 0.0.0.0/0 via\n", "PREFIX via ADDRESS"},
	{POOL "route = 0.0.0.0/0 via 2001:db8::1\n", "of the same family"},
	{POOL "route = 0.0.0.0/0 10.0.0.1\n", "PREFIX via ADDRESS"},
	{POOL "namespace = Kube\n", "t.conf:3: namespace = Kube: the name of a namespace"},
	{POOL "namespace = a\nnamespace = a\n", "t.conf:4: namespace a has pool p already"},
	{POOL "[pool q]\nsubnet = 10.0.0.128/25\n",
	 "t.conf:3: pool q: it shares addresses with pool p"},
	{POOL "[pool p]\nsubnet = 10.1.0.0/24\n", "t.conf:3: pool p is at t.conf:1 already"},
	{POOL "bl\001ah = 5\n", "t.conf:3: a control character (0x01)"},
	{POOL "\033[31m\n", "a control character (0x1b)"},
	{"\357\273\277[pool p]\n", "is no \"key = value\""},
	{"[pool p]\nsubnet: 10.0.0.0/24\n", "t.conf:2: \"subnet: 10.0.0.0/24\" is no"},
};

enum { BAD = sizeof(bad) / sizeof(bad[0]) };

TEST(every_bad_configuration_has_one_clear_line)
{
	struct conf_error error;

	for (size_t i = 0; i < BAD; i++) {
		if (read_string(bad[i].text, &error) != -EINVAL)
			test_stop(T_FAIL, "taken: %s", bad[i].text);
		if (!strstr(error.text, bad[i].complaint))
			test_stop(T_FAIL, "%s: \"%s\" lacks \"%s\"", bad[i].text, error.text,
				  bad[i].complaint);
		CHECK(!strchr(error.text, '\n'));
	}
	printf("# %d bad configurations\n", BAD);
	CHECK(BAD >= 60);
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

static const char full_config[] = "# all that there is\n"
				  "[manager]\n"
				  "slots = 1024\n"
				  "history=7d\n"
				  "pins = /sys/fs/bpf/other\n"
				  "run = /tmp/run\n"
				  "state = /tmp/state\n"
				  "\n"
				  "[pool default]\r\n"
				  "subnet = 10.1.0.0/16\n"
				  "subnet = 2001:db8:1::/64\n"
				  "range = 10.1.1.10-10.1.1.99\n"
				  "range = 10.1.2.0/24\n"
				  "  exclude = 10.1.1.20-10.1.1.29  \n"
				  "exclude = 10.1.2.1\n"
				  "gateway = 10.1.0.1\n"
				  "gateway = 2001:db8:1::1\n"
				  "route = 0.0.0.0/0\n"
				  "route = 10.96.0.0/12 via 10.1.0.2\n"
				  "route = ::/0\n"
				  "cooldown = 1500ms\n"
				  "low = 10\n"
				  "high = 80\n"
				  "[pool other]\n"
				  "subnet = 10.2.0.0/24\n"
				  "cooldown = 2m\n"
				  "namespace = team-a\n"
				  "namespace = team-b";

TEST(a_good_configuration_prints_back_to_the_same)
{
	check_prints_back(full_config);
	check_prints_back(config_embedded);
	check_prints_back("[pool p]\nsubnet = 10.0.0.0/31\n");
	check_prints_back("[pool p]\nsubnet = 10.0.0.7/32\n");
	check_prints_back("[pool p]\nsubnet = 2001:db8::/127\n");
}

TEST(what_was_written_is_what_is_understood)
{
	struct conf_error error;
	struct config_pool *p = &config.pool[0];

	CHECK_EQ(read_string(full_config, &error), 0);
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
			     "range = 10.0.0.0-10.0.0.5\nrange = 10.0.0.10-10.0.0.20\n"
			     "exclude = 10.0.0.3\nexclude = 10.0.0.5-10.0.0.12\n"
			     "exclude = 10.0.0.11-10.0.0.14\nexclude = 10.0.0.20\n",
			     &error),
		 0);
	check_address(0, "10.0.0.0");
	check_address(1, "10.0.0.2");
	check_address(2, "10.0.0.4");
	check_address(3, "10.0.0.15");
	check_address(7, "10.0.0.19");
	CHECK(!config_address(&config.pool[0], IPAMD_V4, 8, &a));
	CHECK_EQ(config_count(&config.pool[0], IPAMD_V4), 8);
	CHECK_EQ(config_count(&config.pool[0], IPAMD_V6), 0);

	CHECK_EQ(read_string("[pool p]\nsubnet = 10.0.0.0/24\ngateway = 10.0.0.1\n", &error), 0);
	CHECK_EQ(config_count(&config.pool[0], IPAMD_V4), 253);
	check_address(0, "10.0.0.2");
	check_address(252, "10.0.0.254");
	CHECK_EQ(read_string("[pool p]\nsubnet = 2001:db8::/32\n", &error), 0);
	CHECK_EQ(config_count(&config.pool[0], IPAMD_V6), UINT64_MAX);
}

TEST_MAIN

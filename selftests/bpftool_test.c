// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What docs/bpftool.md tells people to type is typed here, on a stock of known
 * content.
 */
#include "selftests/harness.h"
#include "selftests/stock.h"

/* The n-th code block of the document, with the pins where the test has them. */
static void read_recipe(int n, char *ret, size_t size)
{
	static const char pins[] = "/sys/fs/bpf/ipamd";
	char line[256];
	FILE *f = fopen("docs/bpftool.md", "r");
	int block = 0;

	if (!f)
		SKIP("run from the top of the tree: docs/bpftool.md is not here");
	ret[0] = '\0';
	while (fgets(line, sizeof(line), f)) {
		char *at;

		if (!strncmp(line, "```", 3)) {
			block++;
			continue;
		}
		if (block != 2 * n - 1)
			continue;
		at = strstr(line, pins);
		if (at) {
			*at = '\0';
			strncat(ret, line, size - strlen(ret) - 1);
			strncat(ret, STOCK_DIR, size - strlen(ret) - 1);
			at += strlen(pins);
		}
		strncat(ret, at ? at : line, size - strlen(ret) - 1);
	}
	fclose(f);
	CHECK(ret[0]);
}

static void run(const char *command, char *ret, size_t size)
{
	FILE *f = popen(command, "r");
	size_t n;

	CHECK(f);
	n = fread(ret, 1, size - 1, f);
	ret[n] = '\0';
	CHECK_EQ(pclose(f), 0);
}

static struct pin *known_stock(void)
{
	struct pin *pin = stock_open(64, 30000);
	struct ipamd_request req;

	CHECK_EQ(stock_fill(pin, 0, POOL_4, 5), IPAMD_OK);
	CHECK_EQ(stock_fill(pin, 1, POOL_4, 77), IPAMD_OK);
	CHECK_EQ(stock_fill(pin, 2, POOL_6, 9), IPAMD_OK);
	stock_request(&req, IPAMD_CLAIM, 1);
	request_pod(&req, "kube-system", "coredns-5d78c9869d-x2x9z", "uid");
	CHECK_EQ(pin_run(pin, IPAMD_CLAIM, &req), IPAMD_OK);
	return pin;
}

TEST(the_table_of_the_recipe_is_a_table)
{
	auto_pin struct pin *pin = known_stock();
	char recipe[1024], table[4096];

	read_recipe(2, recipe, sizeof(recipe));
	run(recipe, table, sizeof(table));
	printf("# %s\n", table);
	CHECK(!strcmp(table, "ADDRESS        STATE       POOL  CLAIMS  READY_AT  HOLDER\n"
			     "10.0.0.0       IPAMD_HELD  0     1       0         "
			     "kube-system/coredns-5d78c9869d-x2x9z\n"
			     "10.0.0.1       IPAMD_FREE  0     0       77        \n"
			     "2001:db8:1::2  IPAMD_HELD  1     1       0         "
			     "kube-system/coredns-5d78c9869d-x2x9z\n"));
}

TEST(the_plain_dump_names_its_fields)
{
	auto_pin struct pin *pin = known_stock();
	static char dump[1 << 16];
	char recipe[256];

	read_recipe(1, recipe, sizeof(recipe));
	run(recipe, dump, sizeof(dump));
	CHECK(strstr(dump, "\"address\": \"10.0.0.1\""));
	CHECK(strstr(dump, "\"state\": \"IPAMD_HELD\""));
	CHECK(strstr(dump, "\"ready_at_ms\": 77"));
	CHECK(strstr(dump, "\"holder\": \"kube-system/coredns-5d78c9869d-x2x9z\""));
}

TEST_MAIN

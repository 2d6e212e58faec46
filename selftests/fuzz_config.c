// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any bytes as the text of a configuration (libFuzzer): refused with one line that
 * names the file, or taken, and then it prints back to the same, and each address
 * that it hands out is one of its own.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/core/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config config, again;

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* A copy of its very size, and the one byte more that conf_read() may write. */
static int read_text(struct config *c, const void *data, size_t size)
{
	struct conf_error error = {""};
	char *text = malloc(size + 1);
	int r;

	must(text != NULL);
	memcpy(text, data, size);
	config_init(c);
	r = config_read(c, "t.conf", text, size, &error);
	free(text);
	if (!r)
		r = config_check(c, &error);
	must(!r == !error.text[0] && !strchr(error.text, '\n'));
	must(!r || !strncmp(error.text, "t.conf:", 7) || !strncmp(error.text, "there is", 8));
	return r;
}

static char *print(const struct config *c, size_t *ret_size)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_size);

	must(f != NULL);
	config_print(c, f);
	must(!fclose(f));
	return text;
}

static void check_addresses(const struct config_pool *p, enum ipamd_family f)
{
	uint64_t count = config_count(p, f);
	struct addr a;

	for (uint64_t n = 0; n < count && n < 20; n++)
		must(config_address(p, f, n, &a) && config_owns(p, f, &a) &&
		     a.family == (f == IPAMD_V6 ? 6 : 4));
	must(count == UINT64_MAX || !config_address(p, f, count, &a));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t once_size, twice_size;
	char *once, *twice;

	if (read_text(&config, data, size))
		return 0;
	once = print(&config, &once_size);
	must(!read_text(&again, once, once_size));
	twice = print(&again, &twice_size);
	must(once_size == twice_size && !memcmp(once, twice, once_size));
	for (unsigned int i = 0; i < config.pools; i++)
		for (int f = 0; f < IPAMD_FAMILIES; f++)
			check_addresses(&config.pool[i], f);
	free(once);
	free(twice);
	return 0;
}

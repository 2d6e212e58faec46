// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The ledger against a plain list: what was added is found, by address and by slot,
 * and what was removed is not; and the range that fills it goes round its addresses.
 */
#include "selftests/harness.h"

#include "userspace/core/ledger.h"
#include "userspace/source/source.h"

static struct addr address(unsigned int n)
{
	return (struct addr){4, {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

static struct ledger *open_ledger(void)
{
	struct ledger *l = NULL;

	CHECK_EQ(ledger_open(&l), 0);
	return l;
}

TEST(what_was_added_is_found_by_address_and_by_slot)
{
	struct ledger *l = open_ledger();

	for (unsigned int n = 0; n < IPAMD_SLOTS_MAX; n++) {
		struct addr a = address(n * 7919);
		struct ledger_row *row = ledger_add(l, &a);

		CHECK(row && row->row == ROW_NONE && row->slot == IPAMD_NONE);
		CHECK(ledger_add(l, &a) == row);
		ledger_place(l, row, n);
	}
	for (unsigned int n = 0; n < IPAMD_SLOTS_MAX; n++) {
		struct addr a = address(n * 7919);

		CHECK(ledger_find(l, &a) && ledger_find(l, &a) == ledger_at(l, n));
		CHECK(!addr_compare(&ledger_at(l, n)->address, &a));
	}
	CHECK_EQ(l->count, IPAMD_SLOTS_MAX);
	ledger_close(l);
}

TEST(one_too_many_is_refused_and_a_removed_one_makes_room)
{
	struct ledger *l = open_ledger();
	struct addr a = address(LEDGER_ROWS);

	for (unsigned int n = 0; n < LEDGER_ROWS; n++) {
		struct addr each = address(n);

		CHECK(ledger_add(l, &each));
	}
	CHECK(!ledger_add(l, &a));
	a = address(5);
	ledger_remove(l, ledger_find(l, &a));
	a = address(LEDGER_ROWS);
	CHECK(ledger_add(l, &a));
	ledger_close(l);
}

/* Random adds and removes beside a table of what should be there. */
TEST(whatever_comes_and_goes_the_rest_is_found)
{
	enum { SPACE = 3000, STEPS = 400000 };
	static bool there[SPACE];
	struct ledger *l = open_ledger();
	unsigned int count = 0, seed = 1;

	for (unsigned int step = 0; step < STEPS; step++) {
		unsigned int n;
		struct addr a;

		seed = seed * 1664525 + 1013904223;
		n = (seed >> 8) % SPACE;
		a = address(n * 4096); /* many share a bucket's neighbourhood */
		CHECK_EQ(ledger_find(l, &a) != NULL, there[n]);
		if (there[n]) {
			ledger_remove(l, ledger_find(l, &a));
			count--;
		} else {
			struct ledger_row *row = ledger_add(l, &a);

			CHECK(row);
			if (!ledger_at(l, n))
				ledger_place(l, row, n);
			count++;
		}
		there[n] = !there[n];
		CHECK_EQ(l->count, count);
	}
	for (unsigned int n = 0; n < SPACE; n++) {
		struct addr a = address(n * 4096);

		CHECK_EQ(ledger_find(l, &a) != NULL, there[n]);
		CHECK_EQ(ledger_at(l, n) != NULL, there[n]);
	}
	ledger_close(l);
}

/* --- The range --------------------------------------------------------------------- */

static struct source range_of(const char *text)
{
	static struct config c;
	struct conf_error error = {""};
	char copy[512];

	config_init(&c);
	snprintf(copy, sizeof(copy), "%s", text);
	CHECK_EQ(config_read(&c, "test", copy, strlen(copy), &error), 0);
	CHECK_EQ(config_check(&c, &error), 0);
	return (struct source){.kind = &source_range, .pool = c.pool[0], .family = IPAMD_V4};
}

static bool is_in_ledger(void *ctx, const struct addr *a)
{
	return ledger_find(ctx, a) != NULL;
}

TEST(the_range_gives_what_it_owns_once_and_then_nothing)
{
	struct source s = range_of("[pool default]\nsubnet = 10.0.0.0/28\ngateway = 10.0.0.1\n"
				   "exclude = 10.0.0.5-10.0.0.7\n");
	struct ledger *l = open_ledger();
	struct addr a[32];
	unsigned int n = 0;

	CHECK_EQ(s.kind->size(&s), 10);
	CHECK_EQ(s.kind->take(&s, 32, is_in_ledger, l, a, &n), 0);
	CHECK_EQ(n, 10);
	for (unsigned int i = 0; i < n; i++) {
		CHECK_EQ(s.kind->owns(&s, &a[i]), SOURCE_OURS);
		for (unsigned int j = 0; j < i; j++)
			CHECK(addr_compare(&a[i], &a[j]));
		CHECK(ledger_add(l, &a[i]));
	}
	CHECK_EQ(s.kind->take(&s, 32, is_in_ledger, l, a, &n), 0);
	CHECK_EQ(n, 0);
	CHECK_EQ(s.kind->owns(&s, &(struct addr){4, {10, 0, 0, 1}}), SOURCE_NOT_OURS);
	CHECK_EQ(s.kind->owns(&s, &(struct addr){4, {10, 0, 0, 6}}), SOURCE_NOT_OURS);
	CHECK_EQ(s.kind->owns(&s, &(struct addr){4, {10, 0, 0, 16}}), SOURCE_NOT_OURS);
	ledger_close(l);
}

TEST(what_was_given_back_is_the_last_to_come_again)
{
	struct source s = range_of("[pool default]\nsubnet = 10.0.0.0/28\n");
	struct ledger *l = open_ledger();
	struct addr first, a;
	unsigned int n = 0;

	CHECK_EQ(s.kind->take(&s, 1, is_in_ledger, l, &first, &n), 0);
	CHECK_EQ(s.kind->give(&s, &first), 0);
	for (int i = 1; i < 14; i++) {
		CHECK_EQ(s.kind->take(&s, 1, is_in_ledger, l, &a, &n), 0);
		CHECK(n == 1 && addr_compare(&a, &first));
	}
	CHECK_EQ(s.kind->take(&s, 1, is_in_ledger, l, &a, &n), 0);
	CHECK(n == 1 && !addr_compare(&a, &first));
	ledger_close(l);
}

TEST_MAIN

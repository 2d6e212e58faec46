// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The programs under test, as they are: the two headers before them stand in for
 * memory and kernel, and what slot.h compares in place becomes an access.
 */
#include "selftests/model/helpers.h"
#include "selftests/model/mem.h"

#include "bpf/slot.h"

/* A slot's key and workload are read without mem_load(). */
#define digest_equal(a, b) model_digest_equal(a, b, __func__, __LINE__)

int claim(struct ipamd_request *req);
int release(struct ipamd_request *req);
int step(struct ipamd_request *req);
__u64 oldest(__u32 pool, __u64 now_ms);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include "bpf/ipamd.bpf.c"
#pragma GCC diagnostic pop
#undef inline

unsigned int model_map(const void *map)
{
	static const void *const maps[] = {
		[MAP_META] = &meta,           [MAP_POOLS] = &pools,
		[MAP_WORDS] = &words,         [MAP_SLOTS] = &slots,
		[MAP_ADDRESSES] = &addresses, [MAP_HOLDERS] = &holders,
		[MAP_STATS] = &stats,         [MAP_HASH + BY_HOLDER] = &by_holder,
		[MAP_HASH + NAMES] = &names,  [MAP_HASH + TOMBS] = &tombs,
	};

	for (unsigned int i = 0; i < sizeof(maps) / sizeof(*maps); i++)
		if (maps[i] == map)
			return i;
	model_bug("a map that the model does not know");
}

int product_run(enum ipamd_verb verb, struct ipamd_request *req)
{
	switch (verb) {
	case IPAMD_CLAIM:
		return claim(req);
	case IPAMD_RELEASE:
		return release(req);
	case IPAMD_STEP:
		return step(req);
	default:
		model_bug("no such program");
	}
}

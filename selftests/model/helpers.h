/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The model's <bpf/bpf_helpers.h>: included first, it takes that file's guard and
 * its place.
 */
#ifndef __BPF_HELPERS__
#define __BPF_HELPERS__

#include "selftests/model/model.h"

#define SEC(name)         __attribute__((used))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) __typeof__(val) *name
#undef __always_inline
#define __always_inline __inline __attribute__((always_inline))
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif

enum map {
	MAP_META,
	MAP_POOLS,
	MAP_WORDS,
	MAP_SLOTS,
	MAP_ADDRESSES,
	MAP_HOLDERS,
	MAP_STATS,
	MAP_HASH
};

/* Which of the program's maps this is; MAP_HASH + enum hash for a hash.  In product.c. */
unsigned int model_map(const void *map);

void *model_lookup(unsigned int map, const void *key, const char *func, int line);
int model_update(unsigned int map, const void *key, const void *value, __u64 flags,
		 const char *func, int line);
int model_delete(unsigned int map, const void *key, const char *func, int line);
__u64 model_clock(const char *func, int line);

/*
 * A scan's callback changes its context and nothing else, so once it is through,
 * the context replaces all that was loaded: scans with one outcome are one state.
 */
bool model_scan_replayed(void *context, unsigned int size);
unsigned int model_scan_begin(void);
void model_scan_end(unsigned int from, const void *context, unsigned int size);

#define bpf_map_lookup_elem(map, key) model_lookup(model_map(map), key, __func__, __LINE__)
#define bpf_map_update_elem(map, key, value, flags) \
	model_update(model_map(map), key, value, flags, __func__, __LINE__)
#define bpf_map_delete_elem(map, key) model_delete(model_map(map), key, __func__, __LINE__)
#define bpf_ktime_get_boot_ns()       model_clock(__func__, __LINE__)

#define bpf_for_each_map_elem(map, callback, context, flags)                  \
	do {                                                                  \
		unsigned int from_;                                           \
                                                                              \
		if (model_scan_replayed(context, sizeof(*(context))))         \
			break;                                                \
		from_ = model_scan_begin();                                   \
		for (__u32 i_ = 0; i_ * IPAMD_CHUNK < scenario->slots; i_++)  \
			callback(NULL, &i_, &own_view()->words[i_], context); \
		model_scan_end(from_, context, sizeof(*(context)));           \
	} while (0)

/* A hint that nobody's decisions depend on: not modelled. */
#define bpf_ringbuf_output(ring, event, size, flags) ((void)(ring), (void)(event), (void)(flags), 0)

#endif

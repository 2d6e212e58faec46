/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The model's face of bpf/mem.h: included first, it takes that file's guard and
 * its place.  Every access knows the line it was made from.
 */
#ifndef IPAMD_BPF_MEM_H
#define IPAMD_BPF_MEM_H

#include "selftests/model/model.h"

__u64 model_load(const __u64 *p, const char *func, int line);
void model_store(__u64 *p, __u64 v, const char *func, int line);
__u64 model_cas(__u64 *p, __u64 expected, __u64 word, const char *func, int line);
__u64 model_swap(__u64 *p, __u64 v, const char *func, int line);
__u64 model_add(__u64 *p, __u64 v, const char *func, int line);
void model_copy_in(void *to, const void *from, const char *func, int line);
void model_copy_out(void *to, const void *from, __u32 size, const char *func, int line);
int model_digest_equal(const struct ipamd_digest *a, const struct ipamd_digest *b, const char *func,
		       int line);

#define mem_load(p)                model_load(p, __func__, __LINE__)
#define mem_store(p, v)            model_store(p, v, __func__, __LINE__)
#define mem_cas(p, expected, word) model_cas(p, expected, word, __func__, __LINE__)
#define mem_swap(p, v)             model_swap(p, v, __func__, __LINE__)
#define mem_add(p, v)              model_add(p, v, __func__, __LINE__)

/* The request belongs to its caller alone. */
#define mem_ctx_load(ctx, at)     (*(const __u64 *)((const char *)(ctx) + (at)))
#define mem_ctx_store(ctx, at, v) (*(__u64 *)((char *)(ctx) + (at)) = (v))

#define mem_ctx_copy_in(to, ctx, at, size) \
	model_copy_in(to, (const char *)(ctx) + (at), __func__, __LINE__)
#define mem_ctx_copy_out(ctx, at, from, size) \
	model_copy_out((char *)(ctx) + (at), from, size, __func__, __LINE__)

/* Only mirror() copies from map to map, for people. */
#define mem_copy(to, from, size) ((void)(to), (void)(from))

#endif

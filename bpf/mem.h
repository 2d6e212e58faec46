/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Each access to memory that others see, by name.  Three faces: BPF, user space
 * (C11 atomics underneath, so that TSan understands them), and the model of
 * selftests/, which brings its own and cuts the programs at each of them.
 *
 * Ordering: every read-modify-write is a full barrier, as LKMM has it for BPF
 * atomics that fetch; plain loads and stores promise nothing but to be whole.
 */
#ifndef IPAMD_BPF_MEM_H
#define IPAMD_BPF_MEM_H

#include "bpf/abi.h"

#if defined(__bpf__)

static inline __u64 mem_load(const __u64 *p)
{
	return *(const volatile __u64 *)p;
}

static inline void mem_store(__u64 *p, __u64 v)
{
	*(volatile __u64 *)p = v;
}

static inline __u64 mem_cas(__u64 *p, __u64 expected, __u64 word)
{
	return __sync_val_compare_and_swap(p, expected, word);
}

static inline __u64 mem_swap(__u64 *p, __u64 v)
{
	return __sync_lock_test_and_set(p, v);
}

static inline __u64 mem_add(__u64 *p, __u64 v)
{
	__u64 old = __sync_fetch_and_add(p, v);

	/* Unused, the result turns this into an add without a barrier. */
	asm volatile("" : "+r"(old));
	return old;
}

/*
 * The context of a program.  The verifier takes its pointer with no offset added
 * (before 6.x not even a constant), and clang adds one as soon as two branches
 * store to the same place; so the access is written out.
 */
#define mem_ctx_load(ctx, at)                                                          \
	({                                                                             \
		__u64 v_;                                                              \
		asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(v_) : "r"(ctx), "i"(at)); \
		v_;                                                                    \
	})

#define mem_ctx_store(ctx, at, v) \
	asm volatile("*(u64 *)(%0 + %1) = %2" ::"r"(ctx), "i"(at), "r"((__u64)(v)) : "memory")

#else

static inline __u64 mem_load(const __u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void mem_store(__u64 *p, __u64 v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline __u64 mem_cas(__u64 *p, __u64 expected, __u64 word)
{
	__atomic_compare_exchange_n(p, &expected, word, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return expected;
}

static inline __u64 mem_swap(__u64 *p, __u64 v)
{
	return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}

static inline __u64 mem_add(__u64 *p, __u64 v)
{
	return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}

#define mem_ctx_load(ctx, at)     (*(const __u64 *)((const char *)(ctx) + (at)))
#define mem_ctx_store(ctx, at, v) (*(__u64 *)((char *)(ctx) + (at)) = (v))

#endif

#define mem_unrolled _Pragma("GCC unroll 64")

/* Eight bytes at a time, and nothing promised between them. */
static inline void mem_copy(void *to, const void *from, __u32 size)
{
	mem_unrolled
	for (__u32 i = 0; i < size; i += 8)
		mem_store((__u64 *)((char *)to + i), *(const __u64 *)((const char *)from + i));
}

/* From and to a context, at a constant place of it. */
#define mem_ctx_copy_in(to, ctx, at, size)                                                     \
	do {                                                                                   \
		mem_unrolled                                                                   \
		for (__u32 i_ = 0; i_ < (size); i_ += 8)                                       \
			mem_store((__u64 *)((char *)(to) + i_), mem_ctx_load(ctx, (at) + i_)); \
	} while (0)

#define mem_ctx_copy_out(ctx, at, from, size)                                       \
	do {                                                                        \
		mem_unrolled                                                        \
		for (__u32 i_ = 0; i_ < (size); i_ += 8)                            \
			mem_ctx_store(ctx, (at) + i_,                               \
				      *(const __u64 *)((const char *)(from) + i_)); \
	} while (0)

#endif

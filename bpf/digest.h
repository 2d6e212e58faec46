/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The digests that stand for names of any length: BLAKE2s (RFC 7693) with 16
 * bytes of output, no key, and one personalization a use, so that the same name
 * in two uses never meets.  Each field goes in as its length, 32 bits little
 * endian, and its bytes.  User space only; ABI.
 *
 * Names come from people who must not be able to forge another workload's
 * digest, hence a cryptographic hash; written here because the plugin links no
 * library.  The words are read as little endian: x86-64 and arm64 are.
 */
#ifndef IPAMD_BPF_DIGEST_H
#define IPAMD_BPF_DIGEST_H

#include <string.h>

#include "bpf/abi.h"

#define DIGEST_ATTACHMENT "ipamd-at" /* network, container, ifname */
#define DIGEST_POOL       "ipamd-po" /* name */
#define DIGEST_NAMESPACE  "ipamd-ns" /* name */
#define DIGEST_WORKLOAD   "ipamd-wl" /* namespace, pod */
#define DIGEST_ADDRESS    "ipamd-ad" /* 4 or 16 bytes, network order */

struct digest {
	__u32 h[8];
	__u64 total;
	__u32 fill;
	__u8 block[64];
};

static inline __u32 digest_ror(__u32 x, int n)
{
	return x >> n | x << (32 - n);
}

static const __u32 digest_iv[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static const __u8 digest_sigma[10][16] = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static inline void digest_mix(__u32 *v, int a, int b, int c, int d, __u32 x, __u32 y)
{
	v[a] += v[b] + x;
	v[d] = digest_ror(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = digest_ror(v[b] ^ v[c], 12);
	v[a] += v[b] + y;
	v[d] = digest_ror(v[d] ^ v[a], 8);
	v[c] += v[d];
	v[b] = digest_ror(v[b] ^ v[c], 7);
}

static inline void digest_compress(struct digest *d, int last)
{
	__u32 v[16], m[16];

	memcpy(m, d->block, sizeof(m));
	memcpy(v, d->h, sizeof(d->h));
	memcpy(v + 8, digest_iv, sizeof(digest_iv));
	v[12] ^= (__u32)d->total;
	v[13] ^= (__u32)(d->total >> 32);
	v[14] ^= last ? ~0U : 0;
	for (int r = 0; r < 10; r++) {
		const __u8 *s = digest_sigma[r];

		for (int i = 0; i < 4; i++)
			digest_mix(v, i, i + 4, i + 8, i + 12, m[s[2 * i]], m[s[2 * i + 1]]);
		for (int i = 0; i < 4; i++)
			digest_mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4,
				   m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
	}
	for (int i = 0; i < 8; i++)
		d->h[i] ^= v[i] ^ v[i + 8];
	d->fill = 0;
}

/* use: one of the eight-byte DIGEST_ names above. */
static inline void digest_init(struct digest *d, const char *use)
{
	__u32 person[2];

	memset(d, 0, sizeof(*d));
	memcpy(d->h, digest_iv, sizeof(d->h));
	memcpy(person, use, sizeof(person));
	d->h[0] ^= 0x01010000 ^ 16; /* depth 1, fanout 1, 16 bytes of output */
	d->h[6] ^= person[0];
	d->h[7] ^= person[1];
}

static inline void digest_bytes(struct digest *d, const void *bytes, size_t n)
{
	const __u8 *p = bytes;

	while (n) {
		size_t k = sizeof(d->block) - d->fill;

		if (!k) { /* the last block waits for digest_done() */
			digest_compress(d, 0);
			continue;
		}
		if (k > n)
			k = n;
		memcpy(d->block + d->fill, p, k);
		d->fill += k;
		d->total += k;
		p += k;
		n -= k;
	}
}

static inline void digest_field(struct digest *d, const void *field, size_t n)
{
	__u32 length = n;

	digest_bytes(d, &length, sizeof(length));
	digest_bytes(d, field, n);
}

static inline struct ipamd_digest digest_done(struct digest *d)
{
	struct ipamd_digest out;

	memset(d->block + d->fill, 0, sizeof(d->block) - d->fill);
	digest_compress(d, 1);
	memcpy(&out, d->h, sizeof(out));
	return out;
}

/* --- One for each use ----------------------------------------------------- */

static inline struct ipamd_digest digest_attachment(const char *network, const char *container,
						    const char *ifname)
{
	struct digest d;

	digest_init(&d, DIGEST_ATTACHMENT);
	digest_field(&d, network, strlen(network));
	digest_field(&d, container, strlen(container));
	digest_field(&d, ifname, strlen(ifname));
	return digest_done(&d);
}

static inline struct ipamd_digest digest_name(const char *use, const char *name)
{
	struct digest d;

	digest_init(&d, use);
	digest_field(&d, name, strlen(name));
	return digest_done(&d);
}

static inline struct ipamd_digest digest_workload(const char *name_space, const char *pod)
{
	struct digest d;

	digest_init(&d, DIGEST_WORKLOAD);
	digest_field(&d, name_space, strlen(name_space));
	digest_field(&d, pod, strlen(pod));
	return digest_done(&d);
}

/* family: 4 or 6. */
static inline struct ipamd_digest digest_address(int family, const __u8 address[16])
{
	struct digest d;

	digest_init(&d, DIGEST_ADDRESS);
	digest_field(&d, address, family == 4 ? 4 : 16);
	return digest_done(&d);
}

#endif

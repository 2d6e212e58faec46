// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The digests are ABI: two versions of ipamd must give a name the same one.  The
 * vectors come from another implementation, Python's hashlib:
 *
 *	h = hashlib.blake2s(digest_size=16, person=b'ipamd-at')
 *	for field in fields: h.update(struct.pack('<I', len(field)) + field)
 */
#include "selftests/harness.h"

#include "bpf/request.h"
#include "bpf/slot.h"

static const char *hex(struct ipamd_digest d)
{
	static char text[33];
	const __u8 *p = (const __u8 *)&d;

	for (int i = 0; i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", p[i]);
	return text;
}

#define CHECK_DIGEST(d, expected) CHECK(!strcmp(hex(d), expected))

static const char *repeat(char c, int n)
{
	static char text[3][300];
	static int turn;
	char *t = text[turn++ % 3];

	memset(t, c, n);
	t[n] = '\0';
	return t;
}

TEST(every_use_has_its_vector)
{
	const __u8 v4[16] = {10, 0, 0, 7};
	const __u8 v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 7};

	CHECK_DIGEST(digest_attachment("net", "c0ffee", "eth0"),
		     "86bf2d234c692f79a59abd1a10ba52ed");
	CHECK_DIGEST(digest_name(DIGEST_POOL, "default"), "909b5a0365b5a3de2f7f9fda27816e48");
	CHECK_DIGEST(digest_name(DIGEST_NAMESPACE, "kube-system"),
		     "529e1db68e783a0d948a0693d2fb1df6");
	CHECK_DIGEST(digest_address(4, v4), "4837e323e8107fac678a3d99184b5a87");
	CHECK_DIGEST(digest_address(6, v6), "8810c38d800e3c8f561693656a828e53");
}

TEST(fields_do_not_run_into_each_other)
{
	CHECK_DIGEST(digest_workload("a", "bc"), "366a0b7d1f2e99059143d893e00666a5");
	CHECK_DIGEST(digest_workload("ab", "c"), "be48d86cc52d79bcce84593edd123a72");
}

TEST(any_length_is_digested_whole)
{
	CHECK_DIGEST(digest_attachment(repeat('n', 60), repeat('c', 253), repeat('e', 15)),
		     "835da3709c41a2722108b8bf7c166f7f");
	CHECK_DIGEST(digest_name(DIGEST_POOL, ""), "d447e317efef3681f45bc4218053cb81");
	/* the length and 60 bytes are one block to the byte */
	CHECK_DIGEST(digest_name(DIGEST_POOL, repeat('x', 60)), "0a369fbee26d83170168bb357c03979e");
}

TEST(long_names_are_cut_and_say_so_but_differ)
{
	char long_one[254], long_two[254];
	struct ipamd_request a, b;

	memset(long_one, 'p', sizeof(long_one));
	long_one[253] = '\0';
	memcpy(long_two, long_one, sizeof(long_two));
	long_two[252] = 'q';
	request_init(&a, IPAMD_CLAIM);
	request_attachment(&a, "net", "c1", "eth0", 1);
	CHECK_EQ(a.who.cut, 0);
	b = a;
	request_pod(&a, repeat('n', 63), long_one, "uid");
	request_pod(&b, repeat('n', 63), long_two, "uid");
	CHECK_EQ(a.who.cut, IPAMD_CUT_POD);
	CHECK(!strcmp(a.who.pod, b.who.pod));
	CHECK_EQ(strlen(a.who.pod), sizeof(a.who.pod) - 1);
	CHECK_EQ(strlen(a.who.label), sizeof(a.who.label) - 1);
	CHECK(!digest_equal(&a.workload, &b.workload));

	request_attachment(&a, long_one, long_one, "eth0", 1);
	CHECK_EQ(a.who.cut, IPAMD_CUT_POD | IPAMD_CUT_NETWORK | IPAMD_CUT_CONTAINER);
}

TEST(a_label_fits_whatever_the_namespace)
{
	struct ipamd_request r;

	request_init(&r, IPAMD_CLAIM);
	request_pod(&r, repeat('n', 200), repeat('p', 200), "uid");
	CHECK_EQ(strlen(r.who.label), sizeof(r.who.label) - 1);
	CHECK(strchr(r.who.label, '/'));
}

TEST_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the fuzzers begin with: seeds KIND DIRECTORY writes some inputs that go deep.
 */
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/request.h"
#include "selftests/config_corpus.h"
#include "userspace/core/config.h"

static const char *directory;
static unsigned int written;

static void put(const void *data, size_t size)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/seed-%u", directory, written++);
	f = fopen(path, "w");
	if (!f || fwrite(data, 1, size, f) != size || fclose(f)) {
		perror(path);
		exit(1);
	}
}

static void put_text(const char *text)
{
	put(text, strlen(text));
}

/* As many lines as there may be, and one more, so that the fuzzer stands at the edge. */
static void put_lines(const char *format, unsigned int count)
{
	char text[8192] = POOL;

	for (unsigned int i = 0; i <= count; i++) {
		size_t n = strlen(text);

		if (i == count)
			put_text(text);
		snprintf(text + n, sizeof(text) - n, format, i, i);
	}
	put_text(text);
}

static void put_config(void)
{
	put_lines("exclude = 10.0.0.%u\n", CONFIG_EXCLUDES);
	put_lines("range = 10.0.0.1%u\n", CONFIG_RANGES);
	put_lines("route = 10.%u.0.0/16 via 10.0.0.%u\n", IPAMD_ROUTES);
	put_lines("namespace = n%u\n", CONFIG_NAMESPACES);
	put_lines("[pool p%u]\nsubnet = 10.1.%u.0/24\n", CONFIG_POOLS - 1);
	for (size_t i = 0; i < CONFIG_BAD; i++)
		put_text(config_bad[i].text);
	for (size_t i = 0; i < CONFIG_GOOD; i++)
		put_text(config_good[i]);
}

static void put_frame(void)
{
	for (int verb = 0; verb < IPAMD_VERBS; verb++) {
		struct ipamd_request r;

		request_init(&r, verb);
		request_pod(&r, "default", "web-\303\251\302\233", "8f6d");
		request_attachment(&r, "net", "0123456789abcdef", "eth0", 77);
		put(&r, sizeof(r));
		memset(r.who.network, 0xff, sizeof(r.who) - offsetof(struct ipamd_who, network));
		put(&r, sizeof(r));
	}
	put("", 0);
}

static void put_http(void)
{
	put_text("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n");
	put_text("POST /v1/fix?a=10.0.0.1&b=%41%20+ HTTP/1.1\r\nContent-Length: 2\r\n\r\nab");
	put_text("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
	put_text("GET http://x/p?a=%00 HTTP/1.0\r\nConnection: keep-alive\r\nX: y\r\n z\r\n\r\n");
	put_text("DELETE / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n");
	put_text("CONNECT x:1 HTTP/1.1\r\n\r\n");
}

/* One value of bind_any(): its kind, its size or number, its bytes. */
static size_t value(unsigned char *to, unsigned char kind, const void *bytes, size_t size)
{
	to[0] = kind;
	to[1] = (unsigned char)size;
	memcpy(to + 2, bytes, size);
	return 2 + size;
}

/* A row and a hold that fit: text 4, number 1 (in the byte of the size), blob 5. */
static void put_store(void)
{
	static const char kinds[] = "4411151111444444444" /* address */
				    "44411411"            /* hold */
				    "5141";               /* meta */
	unsigned char all[1024];
	size_t n = 0;

	for (size_t i = 0; kinds[i]; i++) {
		if (kinds[i] == '1') {
			all[n++] = 1;
			all[n++] = 2;
		} else if (kinds[i] == '5') {
			n += value(all + n, 5, "0123456789abcdef", 16);
		} else if (i == 0 || i == 19) {
			n += value(all + n, 4, "10.0.0.1", 8);
		} else {
			n += value(all + n, 4, "web-1", i == 24 ? 0 : 5);
		}
	}
	put(all, n);
	all[0] = 5; /* an address that is no text */
	put(all, n);
}

/* The mode byte of fuzz_netns, and one message with one attribute. */
static void put_letter(unsigned char mode, int type, int family, int attribute, const void *value_,
		       size_t size)
{
	struct {
		unsigned char pad[3], mode;
		struct nlmsghdr h;
		struct ifaddrmsg m;
		struct rtattr a;
		unsigned char value[16];
		struct rtattr id;
		__s32 nsid;
		struct nlmsghdr done;
		int zero;
	} l;
	size_t header = type == RTM_NEWADDR ? sizeof(l.m) : NLMSG_ALIGN(sizeof(struct rtgenmsg));
	unsigned char *at;

	memset(&l, 0, sizeof(l));
	l.mode = mode;
	l.h.nlmsg_type = (__u16)type;
	l.h.nlmsg_len = (__u32)(NLMSG_HDRLEN + header + RTA_LENGTH(size));
	l.m.ifa_family = (__u8)family;
	at = (unsigned char *)&l.m + header;
	((struct rtattr *)at)->rta_type = (unsigned short)attribute;
	((struct rtattr *)at)->rta_len = (unsigned short)RTA_LENGTH(size);
	memcpy(at + RTA_LENGTH(0), value_, size);
	at = (unsigned char *)&l.h + NLMSG_ALIGN(l.h.nlmsg_len);
	((struct nlmsghdr *)at)->nlmsg_len = NLMSG_LENGTH(sizeof(int));
	((struct nlmsghdr *)at)->nlmsg_type = NLMSG_DONE;
	put(&l.mode, (size_t)(at + NLMSG_LENGTH(sizeof(int)) - &l.mode));
}

static void put_netns(void)
{
	static const __s32 five = 5, one = 1;
	static const unsigned char v4[4] = {10, 0, 0, 1}, v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};

	put_letter(0, RTM_DELNSID, 0, NETNSA_NSID, &five, sizeof(five));
	put_letter(1, RTM_NEWNSID, 0, NETNSA_NSID, &five, sizeof(five));
	put_letter(5, RTM_NEWNSID, 0, NETNSA_NSID, &one, sizeof(one));
	put_letter(2, RTM_NEWNSID, 0, NETNSA_NSID, &five, sizeof(five));
	put_letter(3 | 16, RTM_NEWADDR, AF_INET, IFA_LOCAL, v4, sizeof(v4));
	put_letter(3, RTM_NEWADDR, AF_INET6, IFA_ADDRESS, v6, sizeof(v6));
	put_letter(1, NLMSG_ERROR, 0, 0, v6, sizeof(v6));
}

static void put_cache(void)
{
	put_text("{\"kind\":\"cniCacheV1\",\"containerId\":\"c\",\"ifName\":\"eth0\","
		 "\"networkName\":\"n\",\"cniArgs\":[[\"K8S_POD_NAMESPACE\",\"s\"],"
		 "[\"K8S_POD_NAME\",\"p\"]],\"result\":{\"cniVersion\":\"1.0.0\","
		 "\"ips\":[{\"interface\":0,\"address\":\"10.0.0.1/24\"}]}}");
	put_text("{\"kind\":\"cniCacheV1\",\"containerId\":\"c\",\"ifName\":\"e\","
		 "\"networkName\":\"n\",\"result\":{\"cniVersion\":\"0.1.0\","
		 "\"ip4\":{\"ip\":\"10.0.0.1/24\"},\"ip6\":{\"ip\":\"2001:db8::1/64\"}}}");
	put_text("{\"cniVersion\":\"0.3.1\",\"ips\":[{\"version\":\"4\",\"address\":\"1.2.3.4/"
		 "8\"}]}");
}

static const struct {
	const char *kind;
	void (*put)(void);
} kinds[] = {
	{"config", put_config}, {"frame", put_frame}, {"http", put_http},
	{"store", put_store},   {"netns", put_netns}, {"cache", put_cache},
};

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: seeds KIND DIRECTORY\n");
		return 2;
	}
	directory = argv[2];
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].kind, argv[1]))
			kinds[i].put();
	return written == 0;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "selftests/stock.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void die(const char *what, int r)
{
	printf("# %s: %s\n", what, r > 0 ? pin_explain(r) : strerror(-r));
	fflush(stdout);
	_exit(1);
}

void stock_mount(void)
{
	static const char at[] = "/tmp/ipamd-test-bpffs";

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		if (errno != EINVAL) /* an initramfs is no mount point that could be private */
			die("mount namespace", -errno);
	mkdir(at, 0700);
	if (mount("bpf", at, "bpf", 0, NULL))
		die("mount bpffs", -errno);
}

static void say(const char *text)
{
	printf("# libbpf: %s", text);
}

struct pin *stock_open(__u32 slots, __u32 cooldown_ms)
{
	struct pin *pin;
	int r;

	stock_mount();
	if (getenv("V"))
		pin_say = say;
	r = pin_open(STOCK_DIR, slots, &pin);
	if (r)
		die("pin_open", r);
	stock_pool(pin, POOL_4, "default", 4, cooldown_ms);
	stock_pool(pin, POOL_6, "default", 6, cooldown_ms);
	stock_pool(pin, POOL_OTHER, "other", 4, cooldown_ms);
	stock_pool_name(pin, "default", POOL_4, POOL_6);
	stock_pool_name(pin, "v4", POOL_4, IPAMD_NONE);
	stock_pool_name(pin, "v6", IPAMD_NONE, POOL_6);
	stock_pool_name(pin, "other", POOL_OTHER, IPAMD_NONE);
	pin->meta->default_pools = (__u64)POOL_6 << 16 | POOL_4 | 1ULL << 32;
	return pin;
}

void stock_pool(struct pin *pin, __u32 pool, const char *name, int family, __u32 cooldown_ms)
{
	struct ipamd_pool p = {
		.family = (__u8)family,
		.prefix_len = family == 4 ? 16 : 64,
		.routes = 1,
		.cooldown_ms = cooldown_ms,
		.valid_until_ms = IPAMD_FOREVER,
	};

	snprintf(p.name, sizeof(p.name), "%s", name);
	stock_address(family, pool, 0xfe, p.gateway);
	stock_address(family, pool, 0, p.route[0].dst);
	p.route[0].prefix_len = p.prefix_len;
	pin->pools[pool] = p;
}

void stock_pool_name(struct pin *pin, const char *name, __u32 v4, __u32 v6)
{
	struct ipamd_digest key = digest_name(DIGEST_POOL, name);
	int r = pin_name_set(pin, &key, ref_make(&key, v4, v6));

	if (r)
		die("pin_name_set", r);
}

void stock_address(int family, __u32 pool, __u32 slot, __u8 ret[16])
{
	const __u8 v4[16] = {10, (__u8)pool, (__u8)(slot >> 8), (__u8)slot};
	const __u8 v6[16] = {0x20, 0x01, 0x0d, 0xb8, 0, (__u8)pool,        0,         0, 0,
			     0,    0,    0,    0,    0, (__u8)(slot >> 8), (__u8)slot};

	memcpy(ret, family == 4 ? v4 : v6, 16);
}

int stock_step(struct pin *pin, struct ipamd_request *req, __u32 slot, __u64 word)
{
	req->change.slot = slot;
	req->change.expected = stock_word(pin, slot);
	req->change.word = word;
	return pin_run(pin, IPAMD_STEP, req);
}

int stock_fill(struct pin *pin, __u32 slot, __u32 pool, __u64 ready_at_ms)
{
	int family = pin->pools[pool].family;
	struct ipamd_request req;

	request_init(&req, IPAMD_STEP);
	stock_address(family, pool, slot, req.change.address);
	req.change.key = digest_address(family, req.change.address);
	inet_ntop(family == 4 ? AF_INET : AF_INET6, req.change.address, req.change.text,
		  sizeof(req.change.text));
	return stock_step(pin, &req, slot, slot_filled(stock_word(pin, slot), pool, ready_at_ms));
}

void stock_request(struct ipamd_request *req, enum ipamd_verb verb, unsigned int number)
{
	char container[16];

	snprintf(container, sizeof(container), "c%u", number);
	request_init(req, verb);
	request_attachment(req, "net", container, "eth0", clock_boot_ns());
}

int stock_claim(struct pin *pin, unsigned int number, const char *pool, struct ipamd_request *ret)
{
	struct ipamd_request req;

	if (!ret)
		ret = &req;
	stock_request(ret, IPAMD_CLAIM, number);
	if (pool)
		request_pool(ret, pool);
	return pin_run(pin, IPAMD_CLAIM, ret);
}

int stock_release(struct pin *pin, unsigned int number)
{
	struct ipamd_request req;

	stock_request(&req, IPAMD_RELEASE, number);
	return pin_run(pin, IPAMD_RELEASE, &req);
}

__u64 stock_word(const struct pin *pin, __u32 slot)
{
	return mem_load(&pin->words[slot]);
}

__u64 stock_now_ms(void)
{
	return slot_now_ms(clock_boot_ns());
}

unsigned int stock_count(const struct pin *pin, enum ipamd_state state)
{
	unsigned int n = 0;

	for (__u32 slot = 0; slot < pin->meta->slots; slot++)
		n += slot_state(stock_word(pin, slot)) == state;
	return n;
}

unsigned int stock_entries(const struct pin *pin)
{
	struct ipamd_digest key, *last = NULL;
	unsigned int n = 0;

	for (; !bpf_map_get_next_key(pin->map[PIN_BY_HOLDER], last, &key); n++)
		last = &key;
	return n;
}

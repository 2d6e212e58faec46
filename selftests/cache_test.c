// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libcni's result cache as each of its versions writes it, and as a crash, a full
 * disk or a stranger leaves it: what can be read is taken, the rest is counted.
 */
#include "selftests/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "bpf/digest.h"
#include "userspace/edge/cache.h"

#define PLACE   "/tmp/ipamd-test-cache"
#define RESULTS PLACE "/results"

#define HEAD                                                                            \
	"{\"kind\":\"cniCacheV1\",\"containerId\":\"c0ffee\",\"config\":\"eyJ9\","      \
	"\"ifName\":\"eth0\",\"networkName\":\"podnet\",\"netns\":\"/run/netns/cni-1\"" \
	",\"cniArgs\":[[\"IgnoreUnknown\",\"1\"],[\"K8S_POD_NAMESPACE\",\"shop\"],"     \
	"[\"K8S_POD_NAME\",\"web-1\"],[\"K8S_POD_UID\",\"8f6d\"]],"                     \
	"\"capabilityArgs\":{\"bandwidth\":{\"ingressRate\":18446744073709551615}}"

#define V1                                                                             \
	HEAD ",\"result\":{\"cniVersion\":\"1.0.0\",\"dns\":{},\"interfaces\":"        \
	     "[{\"name\":\"eth0\",\"sandbox\":\"/run/netns/cni-1\"}],\"ips\":[{"       \
	     "\"address\":\"10.0.0.2/24\",\"gateway\":\"10.0.0.1\",\"interface\":0},{" \
	     "\"address\":\"fd00::2/64\"}],\"routes\":[{\"dst\":\"0.0.0.0/0\"}]}}\n"

struct view {
	unsigned int count;
	struct cache_hold hold[64];
	unsigned int unreadable;
};

static struct view view;

static int keep(void *ctx, const struct cache_hold *hold)
{
	struct view *v = ctx;

	CHECK(v->count < 64);
	v->hold[v->count++] = *hold;
	return 0;
}

static int parse(const char *text)
{
	memset(&view, 0, sizeof(view));
	return cache_parse(text, strlen(text), keep, &view);
}

static bool holds(unsigned int i, const char *text)
{
	char address[ADDR_TEXT];

	if (i >= view.count)
		return false;
	addr_print(&view.hold[i].address, address);
	return !strcmp(address, text);
}

static void make_place(void)
{
	CHECK_EQ(unshare(CLONE_NEWNS), 0);
	mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mkdir(PLACE, 0700);
	CHECK_EQ(mount("tmpfs", PLACE, "tmpfs", 0, NULL), 0);
	CHECK_EQ(mkdir(RESULTS, 0700), 0);
}

static void put(const char *name, const char *text, size_t size)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), RESULTS "/%s", name);
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, text, size), size);
	close(fd);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static int each(void)
{
	memset(&view, 0, sizeof(view));
	return cache_each(RESULTS, keep, &view, &view.unreadable);
}

/* --- One file's text --------------------------------------------------------------- */

TEST(a_result_of_this_time_is_read_with_its_holder)
{
	struct ipamd_digest id = digest_attachment("podnet", "c0ffee", "eth0");
	const struct cache_hold *h = view.hold;

	CHECK_EQ(parse(V1), 0);
	CHECK_EQ(view.count, 2);
	CHECK(holds(0, "10.0.0.2"));
	CHECK(holds(1, "fd00::2"));
	for (int i = 0; i < 2; i++, h++) {
		CHECK(!strcmp(h->network, "podnet"));
		CHECK(!strcmp(h->container, "c0ffee"));
		CHECK(!strcmp(h->ifname, "eth0"));
		CHECK(!strcmp(h->name_space, "shop"));
		CHECK(!strcmp(h->pod, "web-1"));
		CHECK(!strcmp(h->uid, "8f6d"));
		CHECK(!memcmp(&h->id, &id, sizeof(id)));
	}
}

TEST(a_result_of_0_3_and_0_4_is_read)
{
	CHECK_EQ(parse(HEAD ",\"result\":{\"cniVersion\":\"0.3.1\",\"ips\":[{\"version\":\"4\","
			    "\"address\":\"10.0.0.3/24\"},{\"version\":\"6\",\"address\":"
			    "\"fd00::3/64\",\"gateway\":\"fd00::1\"}],\"dns\":{}}}"),
		 0);
	CHECK_EQ(view.count, 2);
	CHECK(holds(0, "10.0.0.3"));
	CHECK(holds(1, "fd00::3"));
}

TEST(a_result_of_0_1_and_0_2_is_read)
{
	CHECK_EQ(parse(HEAD ",\"result\":{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":"
			    "\"10.0.0.4/24\",\"gateway\":\"10.0.0.1\"},\"ip6\":{\"ip\":"
			    "\"fd00::4/64\"},\"dns\":{}}}"),
		 0);
	CHECK_EQ(view.count, 2);
	CHECK(holds(0, "10.0.0.4"));
	CHECK(holds(1, "fd00::4"));
}

TEST(a_file_of_an_old_libcni_is_the_result_alone)
{
	const struct ipamd_digest none = {{0, 0}};

	CHECK_EQ(parse("{\"cniVersion\":\"0.3.1\",\"ips\":[{\"version\":\"4\","
		       "\"address\":\"10.0.0.5/24\"}],\"dns\":{}}"),
		 0);
	CHECK_EQ(view.count, 1);
	CHECK(holds(0, "10.0.0.5"));
	CHECK(!view.hold[0].network[0] && !view.hold[0].container[0] && !view.hold[0].pod[0]);
	CHECK(!memcmp(&view.hold[0].id, &none, sizeof(none)));
	CHECK_EQ(parse("{\"ip4\":{\"ip\":\"10.0.0.6/24\"}}"), 0);
	CHECK(holds(0, "10.0.0.6"));
}

TEST(a_result_without_addresses_is_none_but_whole)
{
	CHECK_EQ(parse(HEAD "}"), 0);
	CHECK_EQ(parse(HEAD ",\"result\":null}"), 0);
	CHECK_EQ(parse(HEAD ",\"result\":{\"cniVersion\":\"1.0.0\",\"ips\":null}}"), 0);
	CHECK_EQ(view.count, 0);
}

TEST(names_longer_than_their_field_are_cut_but_the_digest_is_not)
{
	static char network[301], text[4096];
	struct ipamd_digest id;

	memset(network, 'n', 300);
	snprintf(text, sizeof(text),
		 "{\"kind\":\"cniCacheV1\",\"containerId\":\"c\",\"ifName\":\"eth0\","
		 "\"networkName\":\"%s\",\"result\":{\"ips\":[{\"address\":\"10.0.0.2/24\"}]}}",
		 network);
	id = digest_attachment(network, "c", "eth0");
	CHECK_EQ(parse(text), 0);
	CHECK_EQ(view.count, 1);
	CHECK_EQ(strlen(view.hold[0].network), 63);
	CHECK(!memcmp(&view.hold[0].id, &id, sizeof(id)));
}

TEST(a_file_cut_off_anywhere_is_unreadable)
{
	size_t size = strlen(V1) - 1; /* without the newline */

	memset(&view, 0, sizeof(view));
	for (size_t i = 0; i < size; i++)
		CHECK_EQ(cache_parse(V1, i, keep, &view), CACHE_UNREADABLE);
	CHECK_EQ(view.count, 0);
	CHECK_EQ(cache_parse(V1, size, keep, &view), 0);
}

TEST(what_is_no_result_is_unreadable)
{
	static const char *const texts[] = {
		"",
		"   ",
		"null",
		"[]",
		"{}",
		"{\"a\":1}",
		"{\"kind\":\"cniCacheV2\",\"result\":{}}",
		"{\"kind\":7}",
		"{\"kind\":\"cniCacheV2\",\"containerId\":\"c\",\"ifName\":\"e\",\"networkName\":"
		"\"n\",\"result\":{\"ips\":[{\"address\":\"10.0.0.2/24\"}]}}",
		"{\"kind\":\"cniCacheV1\",\"result\":{\"ips\":[]}}",
		HEAD ",\"result\":7}",
		HEAD ",\"result\":{\"ips\":{}}}",
		HEAD ",\"result\":{\"ips\":[{}]}}",
		HEAD ",\"result\":{\"ips\":[7]}}",
		HEAD ",\"result\":{\"ips\":[{\"address\":\"/24\"}]}}",
		HEAD ",\"result\":{\"ips\":[{\"address\":\"10.0.0.256/24\"}]}}",
		HEAD ",\"result\":{\"ips\":[{\"address\":\"10.0.0.2\\u0000/24\"}]}}",
		HEAD ",\"result\":{\"ip4\":\"10.0.0.2/24\"}}",
		V1 "}",
		"\x1f\x8b\x08",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		int r = parse(texts[i]);

		if (r != CACHE_UNREADABLE || view.count)
			test_stop(T_FAIL, "%s: %d, %u addresses", texts[i], r, view.count);
	}
}

TEST(a_damaged_file_still_gives_what_is_whole)
{
	CHECK_EQ(parse(HEAD ",\"result\":{\"ips\":[{\"address\":\"rubbish\"},"
			    "{\"address\":\"10.0.0.9/24\"}]}}"),
		 CACHE_UNREADABLE);
	CHECK_EQ(view.count, 1);
	CHECK(holds(0, "10.0.0.9"));
	/* Without its names too an address is a reason to keep it. */
	CHECK_EQ(parse("{\"kind\":\"cniCacheV1\",\"ifName\":7,\"cniArgs\":[7,[],[\"K8S_POD_NAME\"],"
		       "[\"K8S_POD_NAME\",7]],\"result\":{\"ips\":[{\"address\":\"10.0.0.9/"
		       "24\"}]}}"),
		 CACHE_UNREADABLE);
	CHECK_EQ(view.count, 1);
}

/* --- The directory ----------------------------------------------------------------- */

TEST(no_directory_has_a_name)
{
	make_place();
	CHECK_EQ(cache_each(PLACE "/none", keep, &view, &view.unreadable), CACHE_ABSENT);
	put_text("file", "");
	CHECK_EQ(cache_each(RESULTS "/file", keep, &view, &view.unreadable), -ENOTDIR);
}

TEST(every_file_is_read)
{
	char name[64], text[1024];

	make_place();
	CHECK_EQ(each(), 0);
	CHECK_EQ(view.count, 0);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "podnet-%d-eth0", i);
		snprintf(text, sizeof(text),
			 HEAD ",\"result\":{\"ips\":[{\"address\":"
			      "\"10.0.1.%d/24\"}]}}",
			 i);
		put_text(name, text);
	}
	CHECK_EQ(each(), 0);
	CHECK_EQ(view.count, 50);
	CHECK_EQ(view.unreadable, 0);
	for (unsigned int i = 0; i < 50; i++) {
		unsigned int found = 0;

		for (unsigned int k = 0; k < view.count; k++)
			found += view.hold[k].address.bytes[3] == i;
		CHECK_EQ(found, 1);
	}
}

TEST(what_cannot_be_read_is_counted)
{
	make_place();
	put_text("podnet-good-eth0", V1);
	put_text("podnet-empty-eth0", "");
	put("podnet-cut-eth0", V1, 200);
	put_text("podnet-other-eth0", "{\"kind\":\"cniCacheV9\"}");
	CHECK_EQ(each(), 0);
	CHECK_EQ(view.count, 2);
	CHECK_EQ(view.unreadable, 3);
}

TEST(only_regular_files_are_opened_and_no_link_is_followed)
{
	make_place();
	put_text("podnet-good-eth0", V1);
	CHECK_EQ(rename(RESULTS "/podnet-good-eth0", PLACE "/target"), 0);
	CHECK_EQ(symlink(PLACE "/target", RESULTS "/link"), 0);
	CHECK_EQ(mkfifo(RESULTS "/fifo", 0600), 0);
	CHECK_EQ(mkdir(RESULTS "/lost+found", 0700), 0);
	CHECK_EQ(each(), 0);
	CHECK_EQ(view.count, 0);
	CHECK_EQ(view.unreadable, 2);
}

/* A result of exactly this size, blanks at its end. */
static void put_sized(const char *name, size_t size)
{
	char *text = malloc(size);

	CHECK(text);
	memset(text, ' ', size);
	memcpy(text, V1, strlen(V1));
	put(name, text, size);
	free(text);
}

TEST(a_file_over_its_limit_is_unreadable)
{
	make_place();
	put_sized("largest", 1 << 20);
	CHECK_EQ(each(), 0);
	CHECK_EQ(view.count, 2);
	put_sized("larger", (1 << 20) + 1);
	CHECK_EQ(each(), 0);
	CHECK_EQ(view.count, 2);
	CHECK_EQ(view.unreadable, 1);
}

TEST(our_own_shortage_is_an_error_and_no_damage)
{
	struct rlimit before, none;

	make_place();
	put_text("podnet-good-eth0", V1);
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	/* Enough for the directory, not for a file in it. */
	none = before;
	none.rlim_cur = (rlim_t)dup(0) + 1;
	close((int)none.rlim_cur - 1);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	CHECK_EQ(each(), -EMFILE);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
	CHECK_EQ(each(), 0);
	CHECK_EQ(view.count, 2);
}

static int stop(void *ctx, const struct cache_hold *hold)
{
	(void)hold;
	++*(int *)ctx;
	return -ECANCELED;
}

TEST(who_takes_may_end_it)
{
	unsigned int unreadable = 77;
	int count = 0;

	make_place();
	put_text("a", V1);
	put_text("b", V1);
	CHECK_EQ(cache_each(RESULTS, stop, &count, &unreadable), -ECANCELED);
	CHECK_EQ(count, 1);
	CHECK_EQ(unreadable, 77);
}

TEST_MAIN

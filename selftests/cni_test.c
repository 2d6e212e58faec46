// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The plugin as runtimes use and misuse it: on a node of its own with the real ipamd,
 * with a manager that is dead or stopped, and with nothing at all.
 */
#include "selftests/harness.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "bpf/request.h"
#include "bpf/slot.h"
#include "selftests/cni.h"
#include "selftests/node.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

#define IPAM                                                                               \
	"\"ipam\":{\"type\":\"ipamd-ipam\",\"pins\":\"" NODE_PINS "\",\"run\":\"" NODE_RUN \
	"\",\"daemon\":\"" NODE "/daemon\"}"
#define CONF(version, more) "{\"cniVersion\":\"" version "\",\"name\":\"net\"," IPAM more "}"

static const char conf[] = CONF("1.0.0", "");
static const char *const versions[] = {"0.1.0", "0.2.0", "0.3.0", "0.3.1",
				       "0.4.0", "1.0.0", "1.1.0"};

static struct cni c;
static struct node_pod pod;
static char netns[64];

static void start_pod(void)
{
	node_pod_start(&pod);
	snprintf(netns, sizeof(netns), "/proc/%d/ns/net", (int)pod.pid);
}

/* A node with ipamd and one pod. */
static pid_t make_node(const char *text)
{
	pid_t pid;

	node_make();
	node_configure(text);
	pid = node_up();
	start_pod();
	return pid;
}

static int call(const char *command, unsigned int number, const char *text)
{
	cni_init(&c, command, number, netns, text);
	cni_run(&c);
	if (c.code > 1)
		printf("# exit %d: %s%s\n", c.code, c.out, c.err);
	return c.code;
}

/* The code of the error object on stdout; -1: it is none. */
static int error_code(void)
{
	json_t *j = json_loads(c.out, 0, NULL);
	int code = -1;

	if (json_is_string(json_object_get(j, "msg")) &&
	    json_is_string(json_object_get(j, "cniVersion")))
		code = (int)json_integer_value(json_object_get(j, "code"));
	json_decref(j);
	return code;
}

static bool says(const char *text)
{
	if (strstr(c.out, text) || strstr(c.err, text))
		return true;
	printf("# \"%s\" is not in: %s%s\n", text, c.out, c.err);
	return false;
}

static unsigned int held(void)
{
	auto_pin struct pin *pin = node_pins();
	unsigned int n = 0;

	for (__u32 i = 0; i < pin->meta->slots; i++)
		n += slot_state(mem_load(&pin->words[i])) == IPAMD_HELD;
	return n;
}

/* --- The binary -------------------------------------------------------------------------- */

static char binary[8 << 20];

static size_t read_binary(void)
{
	FILE *f = fopen(cni_binary(), "r");
	size_t size;

	CHECK(f);
	size = fread(binary, 1, sizeof(binary), f);
	fclose(f);
	return size;
}

static bool binary_has(const char *text)
{
	return memmem(binary, read_binary(), text, strlen(text));
}

static bool is_for_sanitizer(void)
{
	return binary_has("__asan") || binary_has("__tsan");
}

TEST(it_is_static_and_made_with_musl_where_there_is_musl)
{
	if (is_for_sanitizer())
		SKIP("built for a sanitizer");
	CHECK(!binary_has("/lib64/ld-"));
	if (!access("/usr/bin/musl-gcc", X_OK))
		CHECK(!binary_has("GNU C Library"));
}

TEST(stripped_it_has_at_most_128_kib)
{
	struct stat st;
	char command[700];

	if (is_for_sanitizer() || binary_has("GNU C Library"))
		SKIP("not the one that is shipped");
	snprintf(command, sizeof(command), "strip -o /tmp/ipamd-test-stripped.%d %s", getpid(),
		 cni_binary());
	CHECK(!system(command));
	snprintf(command, sizeof(command), "/tmp/ipamd-test-stripped.%d", getpid());
	CHECK(!stat(command, &st) && !unlink(command));
	printf("# %lld bytes\n", (long long)st.st_size);
	CHECK(st.st_size <= 128 << 10);
}

/* --- Environment ------------------------------------------------------------------------- */

TEST(without_a_command_it_says_what_it_is)
{
	CHECK_EQ(call("", 1, ""), 0);
	CHECK(!*c.out && says("CNI") && says("0.1.0 to 1.1.0"));
}

TEST(versions_are_told_in_the_version_that_was_asked_in)
{
	char want[256], text[64];

	for (unsigned int i = 0; i < 7; i++) {
		snprintf(text, sizeof(text), "{\"cniVersion\":\"%s\"}", versions[i]);
		snprintf(want, sizeof(want),
			 "{\"cniVersion\":\"%s\",\"supportedVersions\":[\"0.1.0\",\"0.2.0\","
			 "\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n",
			 versions[i]);
		CHECK_EQ(call("VERSION", 1, text), 0);
		CHECK(!strcmp(c.out, want) && !*c.err);
	}
	CHECK_EQ(call("VERSION", 1, "garbage"), 0);
	CHECK(says("{\"cniVersion\":\"1.1.0\",\"supp"));
	CHECK_EQ(call("VERSION", 1, "{\"cniVersion\":\"7\"}"), 0);
	CHECK(says("{\"cniVersion\":\"1.1.0\",\"supp"));
	cni_init(&c, "VERSION", 1, "", "");
	c.stdin_closed = true;
	cni_run(&c);
	CHECK(c.code == 0 && says("{\"cniVersion\":\"1.1.0\",\"supp"));
}

/* Which variables are missing, and what is said. */
static const struct {
	const char *command, *container, *netns, *ifname, *path, *text;
} environments[] = {
	{"ADD", "", "", "", "", "[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing"},
	{"ADD", "a", "n", "e", "", "[CNI_PATH] missing"},
	{"ADD", "a", "", "e", "p", "[CNI_NETNS] missing"},
	{"ADD", "", "n", "e", "p", "[CNI_CONTAINERID] missing"},
	{"ADD", "a", "n", "", "p", "[CNI_IFNAME] missing"},
	{"CHECK", "", "", "", "", "[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing"},
	{"DEL", "", "", "", "", "[CNI_CONTAINERID,CNI_IFNAME] missing"},
	{"DEL", "", "", "e", "p", "[CNI_CONTAINERID] missing"},
	{"DEL", "a", "", "", "p", "[CNI_IFNAME] missing"},
	{"GC", "", "", "", "", "[CNI_PATH] missing"},
	{"STATUS", "", "", "", "", "[CNI_PATH] missing"},
	{"add", "a", "n", "e", "p", "unknown CNI_COMMAND: add"},
	{"ADDX", "a", "n", "e", "p", "unknown CNI_COMMAND: ADDX"},
	{"ADD", "-a", "n", "e", "p", "CNI_CONTAINERID: invalid"},
	{"ADD", "a/b", "n", "e", "p", "CNI_CONTAINERID: invalid"},
	{"ADD", "a b", "n", "e", "p", "CNI_CONTAINERID: invalid"},
	{"ADD", "a\xc3\xa4", "n", "e", "p", "CNI_CONTAINERID: invalid"},
	{"ADD", "a;b", "n", "e", "p", "CNI_CONTAINERID: invalid"},
	{"ADD", "a", "n", ".", "p", "is . or .."},
	{"ADD", "a", "n", "..", "p", "is . or .."},
	{"ADD", "a", "n", "e/", "p", "contains / or :"},
	{"ADD", "a", "n", "e:0", "p", "contains / or :"},
	{"ADD", "a", "n", "e\t0", "p", "contains / or :"},
	{"ADD", "a", "n", "sixteen-letters.", "p", "too long"},
	{"DEL", "../etc", "", "e", "p", "CNI_CONTAINERID: invalid"},
};

TEST(a_variable_that_is_missing_or_wrong_is_named)
{
	for (size_t i = 0; i < sizeof(environments) / sizeof(environments[0]); i++) {
		cni_init(&c, environments[i].command, 1, environments[i].netns, "not even JSON");
		c.container = environments[i].container;
		c.ifname = environments[i].ifname;
		c.path = environments[i].path;
		cni_run(&c);
		CHECK(says(environments[i].text));
		CHECK_EQ(c.code, 1);
		CHECK_EQ(error_code(), 4);
	}
}

/* --- Configuration ----------------------------------------------------------------------- */

#define IN(name, ipam) "{\"cniVersion\":\"1.0.0\",\"name\":\"" name "\",\"ipam\":" ipam "}"

static const struct {
	int code;
	const char *text, *message;
} configurations[] = {
	{6, "", "no network configuration"},
	{6, "[]", "no JSON object"},
	{6, "\"name\"", "no JSON object"},
	{6, "{", "not JSON from byte 1"},
	{6, "{\"name\":\"net\"}}", "not JSON from byte 14"},
	{6, "{\"name\":\"net\",}", "not JSON from byte 14"},
	{6, "{\"name\" \"net\"}", "not JSON"},
	{6, "{name:\"net\"}", "not JSON"},
	{6, "{'name':'net'}", "not JSON"},
	{6, "{\"a\":01}", "not JSON"},
	{6, "{\"a\":+1}", "not JSON"},
	{6, "{\"a\":.5}", "not JSON"},
	{6, "{\"a\":1.}", "not JSON"},
	{6, "{\"a\":1e}", "not JSON"},
	{6, "{\"a\":NaN}", "not JSON"},
	{6, "{\"a\":tru}", "not JSON"},
	{6, "{\"a\":truex}", "not JSON"},
	{6, "{\"a\":[1 2]}", "not JSON"},
	{6, "{\"a\":[1,]}", "not JSON"},
	{6, "{\"a\":\"\\x\"}", "not JSON"},
	{6, "{\"a\":\"\\u12g4\"}", "not JSON"},
	{6, "{\"a\":\"\\u0000\"}", "not JSON"},
	{6, "{\"a\":\"\\ud800\"}", "not JSON"},
	{6, "{\"a\":\"\\ud800\\u0041\"}", "not JSON"},
	{6, "{\"a\":\"\\udc00\"}", "not JSON"},
	{6, "{\"a\":\"\t\"}", "not JSON"},
	{6, "{\"a\":\"\xff\"}", "not JSON"},
	{6, "{\"a\":\"\xc0\x80\"}", "not JSON"},
	{6, "{\"a\":\"\xed\xa0\x80\"}", "not JSON"},
	{6, "{\"a\":\"\xf4\x90\x80\x80\"}", "not JSON"},
	{6, "{\"a\":\"\xe2\x82\"}", "not JSON"},
	{6, "{\"a\":\"\xe0\x9f\xbf\"}", "not JSON"},
	{6, "{\"a\":\"\xf0\x8f\xbf\xbf\"}", "not JSON"},
	{7, "{\"cniVersion\":\"1.0.0\"}", "missing network name"},
	{7, IN("", "{}"), "missing network name"},
	{7, IN("a b", "{}"), "invalid characters in network name"},
	{7, IN("../x", "{}"), "invalid characters in network name"},
	{7, IN("a\\u0009", "{}"), "invalid characters in network name"},
	{7, "{\"name\":1}", "\\\"name\\\" is not a string"},
	{7, "{\"name\":\"a\",\"na\\u006de\":\"b\"}", "\\\"name\\\" is there twice"},
	{7, "{\"name\":\"a\",\"ipam\":{},\"ipam\":{}}", "\\\"ipam\\\" is there twice"},
	{7, "{\"name\":\"a\",\"cniVersion\":1}", "\\\"cniVersion\\\" is not a string"},
	{1, "{\"name\":\"a\",\"cniVersion\":\"2.0.0\"}", "config is \\\"2.0.0\\\""},
	{1, "{\"name\":\"a\",\"cniVersion\":\"\"}", "incompatible"},
	{1, "{\"name\":\"a\",\"cniVersion\":\"1.0\"}", "incompatible"},
	{7, "{\"name\":\"a\"}", "\\\"ipam\\\" is missing"},
	{7, "{\"name\":\"a\",\"ipam\":\"x\"}", "\\\"ipam\\\" is not an object"},
	{1, "{\"name\":\"a\",\"cniVersion\":\"3\",\"ipam\":{\"x\":1}}", "incompatible"},
	{7, "{\"name\":\"a b\",\"cniVersion\":\"3\"}", "invalid characters in network name"},
	{7, IN("a", "{\"pool\":5}"), "\\\"pool\\\" is not a string"},
	{7, IN("a", "{\"pins\":\"x/y\"}"), "\\\"pins\\\" is no absolute path"},
	{7, IN("a", "{\"run\":\"a\",\"run\":\"b\"}"), "\\\"run\\\" is there twice"},
	{2, IN("a", "{\"pol\":\"x\"}"), "ipam: \\\"pol\\\": x"},
	{2, IN("a", "{\"ranges\":[[{}]]}"), "ipam: \\\"ranges\\\": [[{}]]"},
	{2, IN("a", "{\"subnet\":\"10.0.0.0/8\"}"), "\\\"subnet\\\": 10.0.0.0/8"},
};

TEST(a_configuration_that_is_wrong_is_told_so)
{
	for (size_t i = 0; i < sizeof(configurations) / sizeof(configurations[0]); i++) {
		strcpy(netns, "/proc/self/ns/net");
		call("ADD", 1, configurations[i].text);
		CHECK(says(configurations[i].message));
		CHECK_EQ(c.code, 1);
		CHECK_EQ(error_code(), configurations[i].code);
	}
}

TEST(nul_and_depth_and_size_have_their_limits)
{
	static char big[(1 << 20) + 4096];
	char deep[256] = "";

	strcpy(netns, "/proc/self/ns/net");
	cni_init(&c, "ADD", 1, "x", "{\"name\":\"a\0b\"}");
	c.conf_size = 14;
	cni_run(&c);
	CHECK_EQ(error_code(), 6);
	for (int i = 0; i < 33; i++)
		strcat(deep, "[");
	call("ADD", 1, deep);
	CHECK(error_code() == 6 && says("deeper than 32"));

	memset(big, ' ', sizeof(big) - 1);
	memcpy(big, conf, strlen(conf));
	call("ADD", 1, big);
	CHECK(error_code() == 6 && says("larger than 1048576"));
	/* As large as may be, and then something else is wrong. */
	cni_init(&c, "STATUS", 1, "", big);
	memcpy(big, CONF("1.1.0", ""), strlen(CONF("1.1.0", "")));
	c.conf_size = 1 << 20;
	cni_run(&c);
	CHECK_EQ(error_code(), 50);
	/* A million values, nested and not, are read in no time. */
	memset(big, ',', sizeof(big));
	for (unsigned int i = 2; i < 1 << 20; i += 2)
		big[i] = '1';
	memcpy(big, "{\"a\":[[[1", 9);
	memcpy(big + (1 << 20) - 5, "]]]} ", 5);
	cni_init(&c, "STATUS", 1, "", big);
	c.conf_size = 1 << 20;
	cni_run(&c);
	CHECK(says("missing network name"));
}

TEST(stdin_that_never_ends_is_given_up_and_closed_stdin_is_an_error)
{
	strcpy(netns, "/proc/self/ns/net");
	cni_init(&c, "ADD", 1, netns, "{");
	c.stdin_open = true;
	cni_run(&c);
	CHECK(error_code() == 5 && c.ms >= 9000);
	cni_init(&c, "ADD", 1, netns, "");
	c.stdin_closed = true;
	cni_run(&c);
	CHECK_EQ(error_code(), 6);
}

TEST(control_bytes_do_not_reach_the_log)
{
	CHECK_EQ(call("DEL", 1, IN("a\\n\\u001b[31mipamd: all is well", "{}")), 0);
	CHECK(says("a??[31mipamd"));
	CHECK(strchr(c.err, '\n') == c.err + strlen(c.err) - 1);
}

TEST(verbs_are_refused_in_versions_that_do_not_have_them)
{
	static const struct {
		const char *verb;
		unsigned int since;
	} since[] = {{"CHECK", 4}, {"GC", 6}, {"STATUS", 6}};
	char text[512];

	strcpy(netns, "/proc/self/ns/net");
	for (int v = 0; v < 3; v++)
		for (unsigned int i = 0; i < 7; i++) {
			snprintf(text, sizeof(text),
				 "{\"cniVersion\":\"%s\",\"name\":\"net\"," IPAM "}", versions[i]);
			call(since[v].verb, 1, text);
			CHECK((error_code() == 1) == (i < since[v].since));
		}
}

/* --- Results -----------------------------------------------------------------------------------
 */

#define TWO_FAMILIES                                                                      \
	"[pool default]\nsubnet = 10.77.0.0/24\ngateway = 10.77.0.1\nroute = 0.0.0.0/0\n" \
	"route = 10.9.0.0/16 via 10.77.0.9\nsubnet = fd77::/120\ngateway = fd77::1\n"     \
	"route = ::/0\ncooldown = 1s\nlow = 5\nhigh = 20\n"

static const char new_result[] =
	"{\"cniVersion\":\"%s\",\"ips\":[{%s\"address\":\"10.77.0.4/24\",\"gateway\":\"10.77.0.1\"}"
	",{%s\"address\":\"fd77::5/120\",\"gateway\":\"fd77::1\"}],\"routes\":["
	"{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.77.0.1\"},{\"dst\":\"10.9.0.0/"
	"16\",\"gw\":\"10.77.0.9\"},"
	"{\"dst\":\"::/0\",\"gw\":\"fd77::1\"}]}\n";
static const char old_result[] =
	"{\"cniVersion\":\"%s\",\"ip4\":{\"ip\":\"10.77.0.4/24\",\"gateway\":\"10.77.0.1\","
	"\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.77.0.1\"},"
	"{\"dst\":\"10.9.0.0/16\",\"gw\":\"10.77.0.9\"}]},\"ip6\":{\"ip\":\"fd77::5/120\","
	"\"gateway\":\"fd77::1\",\"routes\":[{\"dst\":\"::/0\",\"gw\":\"fd77::1\"}]}}\n";

TEST(each_version_has_its_form_of_the_result)
{
	pid_t pid = make_node(TWO_FAMILIES);

	for (unsigned int i = 0; i < 7; i++) {
		char text[1024], want[1024];

		snprintf(text, sizeof(text),
			 "{\"cniVersion\":\"%s\",\"name\":\"net\"," IPAM
			 ",\"runtimeConfig\":{\"ips\":[\"10.77.0.4/24\",\"fd77::5\"]}}",
			 versions[i]);
		snprintf(want, sizeof(want), i < 2 ? old_result : new_result, versions[i],
			 i < 5 ? "\"version\":\"4\"," : "", i < 5 ? "\"version\":\"6\"," : "");
		CHECK_EQ(call("ADD", 1, text), 0);
		if (strcmp(c.out, want))
			printf("# %s# %s", c.out, want);
		CHECK(!strcmp(c.out, want) && !*c.err);
	}
	CHECK_EQ(held(), 2); /* the same attachment, the same addresses */
	CHECK_EQ(call("DEL", 1, conf), 0);
	CHECK(!*c.out && !*c.err);
	CHECK_EQ(held(), 0);
	node_end(pid, SIGTERM);
}

TEST(without_cniVersion_it_is_0_1_0)
{
	pid_t pid = make_node("");

	CHECK_EQ(call("ADD", 1, "{\"name\":\"net\"," IPAM "}"), 0);
	CHECK(says("{\"cniVersion\":\"0.1.0\",\"ip4\":{\"ip\":\"10.77.0."));
	node_end(pid, SIGTERM);
}

/* --- Who holds --------------------------------------------------------------------------- */

static struct ipamd_holder holder_of(unsigned int nth)
{
	auto_pin struct pin *pin = node_pins();
	struct ipamd_holder h;

	for (__u32 i = 0; i < pin->meta->slots; i++) {
		__u64 word = mem_load(&pin->words[i]);

		if (slot_state(word) == IPAMD_HELD && !nth--) {
			CHECK_EQ(pin_holder(pin, i, word, &h), 0);
			return h;
		}
	}
	test_stop(T_FAIL, "nobody holds");
}

TEST(the_holder_is_known_by_pod_namespace_id_and_cookie)
{
	static const char *const orders[] = {
		"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_UID=u-1",
		"K8S_POD_UID=u-1;K8S_POD_INFRA_CONTAINER_ID=x;K8S_POD_NAME=web-1;IgnoreUnknown=1;"
		"K8S_POD_NAMESPACE=shop",
		";FOO=a=b;IgnoreUnknown=true;K8S_POD_NAME=web-1;K8S_POD_UID=u-1;"
		"K8S_POD_NAMESPACE=shop;",
	};
	pid_t pid = make_node("");

	for (int i = 0; i < 3; i++) {
		__u64 before = clock_boot_ns();
		struct ipamd_holder h;

		cni_init(&c, "ADD", 1, netns, conf);
		c.args = orders[i];
		cni_run(&c);
		CHECK_EQ(c.code, 0);
		h = holder_of(0);
		CHECK(!strcmp(h.who.name_space, "shop") && !strcmp(h.who.pod, "web-1"));
		CHECK(!strcmp(h.who.uid, "u-1") && !strcmp(h.who.container, "container-1"));
		CHECK(!strcmp(h.who.network, "net") && !strcmp(h.who.ifname, "eth0"));
		CHECK_EQ(h.who.nsid, pod.nsid);
		CHECK(h.who.netns_cookie == pod.cookie);
		CHECK(h.who.start_ns > before && h.who.start_ns < clock_boot_ns());
		CHECK_EQ(call("DEL", 1, conf), 0);
	}
	node_end(pid, SIGTERM);
}

TEST(a_namespace_without_an_id_gets_one_and_its_death_frees_the_address)
{
	pid_t manager = make_node(""), p;
	int ready[2];
	char byte, path[64];

	CHECK(!pipe2(ready, O_CLOEXEC));
	p = fork();
	if (!p) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	CHECK(read(ready[0], &byte, 1) == 1);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)p);
	strcpy(netns, path);
	CHECK_EQ(call("ADD", 1, conf), 0);
	CHECK(holder_of(0).who.nsid >= 0);
	CHECK(holder_of(0).who.netns_cookie != 0);
	kill(p, SIGKILL);
	CHECK(waitpid(p, NULL, 0) == p);
	CHECK(node_until(held() == 0));
	node_end(manager, SIGTERM);
}

TEST(from_another_namespace_than_the_managers_no_id_is_given)
{
	pid_t pid = make_node("");

	CHECK(!unshare(CLONE_NEWNET));
	CHECK_EQ(call("ADD", 1, conf), 0);
	CHECK_EQ(holder_of(0).who.nsid, -1);
	CHECK(holder_of(0).who.netns_cookie == pod.cookie);
	node_end(pid, SIGTERM);
}

TEST(its_own_namespace_or_none_is_refused_before_anything_is_taken)
{
	pid_t pid = make_node("");

	strcpy(netns, "/proc/self/ns/net");
	CHECK_EQ(call("ADD", 1, conf), 1);
	CHECK(error_code() == 8 && held() == 0);
	cni_init(&c, "ADD", 1, netns, conf);
	c.more = "CNI_NETNS_OVERRIDE=1";
	cni_run(&c);
	CHECK(c.code == 0 && held() == 1);
	CHECK_EQ(call("DEL", 1, conf), 0);
	strcpy(netns, "/proc/self/status");
	CHECK(call("ADD", 1, conf) == 1 && error_code() == 8);
	strcpy(netns, "/nowhere");
	CHECK(call("ADD", 1, conf) == 1 && error_code() == 8);
	CHECK_EQ(held(), 0);
	node_end(pid, SIGTERM);
}

TEST(arguments_that_are_wrong_are_named)
{
	static const struct {
		const char *args, *message;
	} bad[] = {
		{"FOO=1", "unknown key FOO"},
		{"IgnoreUnknown=0;FOO=1", "unknown key FOO"},
		{"K8S_POD_NAME=a=b", "invalid characters in K8S_POD_NAME"},
		{"K8S_POD_NAME=a\nb", "invalid characters in K8S_POD_NAME"},
		{"K8S_POD_NAME=a;K8S_POD_NAME=b", "K8S_POD_NAME is there twice"},
	};
	pid_t pid = make_node("");

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cni_init(&c, "ADD", 1, netns, conf);
		c.args = bad[i].args;
		cni_run(&c);
		CHECK(says(bad[i].message));
		CHECK_EQ(error_code(), 4);
	}
	cni_init(&c, "DEL", 1, netns, conf);
	c.args = "FOO=1";
	cni_run(&c);
	CHECK_EQ(c.code, 0);
	node_end(pid, SIGTERM);
}

TEST(names_of_253_letters_are_whole_names)
{
	char args[600], name[260];
	pid_t pid = make_node("");

	memset(name, 'n', 253);
	strcpy(name + 253, "");
	snprintf(args, sizeof(args), "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=%s", name);
	cni_init(&c, "ADD", 1, netns, conf);
	c.args = args;
	cni_run(&c);
	CHECK_EQ(c.code, 0);
	CHECK(holder_of(0).who.cut & IPAMD_CUT_POD);
	node_end(pid, SIGTERM);
}

/* Nothing cools: each address may be asked for. */
static bool pool_is_ready(void)
{
	auto_pin struct pin *pin = node_pins();
	__u64 now = slot_now_ms(clock_boot_ns());

	for (__u32 i = 0; i < pin->meta->slots; i++) {
		__u64 word = mem_load(&pin->words[i]);

		if (slot_state(word) == IPAMD_FREE && !slot_is_ready(word, now))
			return false;
	}
	return true;
}

/* --- Requested addresses ------------------------------------------------------------------------
 */

TEST(requested_addresses_come_by_their_precedence)
{
#define RUNTIME ",\"runtimeConfig\":{\"ips\":[\"10.77.0.3\"]}"
#define ARGS    ",\"args\":{\"cni\":{\"ips\":[\"10.77.0.4/24\"]}}"
	static const struct {
		const char *conf, *args, *address;
	} asks[] = {
		{CONF("1.0.0", RUNTIME ARGS), "IP=10.77.0.5", "10.77.0.3/24"},
		{CONF("1.0.0", ARGS), "IP=10.77.0.5", "10.77.0.4/24"},
		{CONF("1.0.0", ",\"runtimeConfig\":{\"ips\":[]}" ARGS), "", "10.77.0.4/24"},
		{CONF("1.0.0", ",\"runtimeConfig\":null"), "IP=10.77.0.5", "10.77.0.5/24"},
	};
	static const char *const bad[] = {
		CONF("1.0.0", ",\"runtimeConfig\":{\"ips\":[\"10.77.0.03\"]}"),
		CONF("1.0.0", ",\"runtimeConfig\":{\"ips\":[\"10.77.0.3/33\"]}"),
		CONF("1.0.0", ",\"runtimeConfig\":{\"ips\":[7]}"),
		CONF("1.0.0", ",\"runtimeConfig\":{\"ips\":\"10.77.0.3\"}"),
		CONF("1.0.0", ",\"args\":[]"),
	};
	pid_t pid = make_node("");

	for (unsigned int i = 0; i < 4; i++) {
		cni_init(&c, "ADD", i, netns, asks[i].conf);
		c.args = asks[i].args;
		cni_run(&c);
		CHECK(c.code == 0 && says(asks[i].address));
		CHECK_EQ(call("DEL", i, conf), 0);
		CHECK(node_until(pool_is_ready()));
	}
	for (unsigned int i = 0; i < 5; i++)
		CHECK(call("ADD", 9, bad[i]) == 1 && error_code() == 7);
	CHECK(call("ADD", 9,
		   CONF("1.0.0", ",\"runtimeConfig\":{\"ips\":[\"10.77.0.3\",\"10.77.0.4\"]}")) ==
	      1);
	CHECK_EQ(error_code(), 2);
	node_end(pid, SIGTERM);
}

/* --- Too many, too late, twice ------------------------------------------------------------------
 */

TEST(the_same_add_again_gets_the_same_address)
{
	char first[1024];
	pid_t pid = make_node("");

	CHECK_EQ(call("ADD", 1, conf), 0);
	strcpy(first, c.out);
	CHECK_EQ(call("ADD", 1, conf), 0);
	CHECK(!strcmp(first, c.out));
	CHECK_EQ(held(), 1);
	node_end(pid, SIGTERM);
}

TEST(a_del_may_come_any_number_of_times_and_an_add_at_once_behind_it)
{
	pid_t pid = make_node("");

	for (int i = 0; i < 50; i++) {
		CHECK_EQ(call("ADD", 1, conf), 0);
		CHECK_EQ(call("DEL", 1, conf), 0);
		CHECK_EQ(call("DEL", 1, conf), 0);
		CHECK(!*c.out && !*c.err);
		CHECK_EQ(held(), 0);
	}
	node_end(pid, SIGTERM);
}

/* C9: the pod's name is nobody's identity. */
TEST(the_old_sandboxs_del_leaves_the_new_sandbox_alone)
{
	pid_t pid = make_node("");

	for (unsigned int i = 1; i <= 2; i++) {
		cni_init(&c, "ADD", i, netns, conf);
		c.args = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1";
		cni_run(&c);
		CHECK_EQ(c.code, 0);
	}
	CHECK_EQ(call("DEL", 1, conf), 0);
	CHECK_EQ(held(), 1);
	CHECK(!strcmp(holder_of(0).who.container, "container-2"));
	node_end(pid, SIGTERM);
}

/* C1: forked, held up before its first instruction, and overtaken. */
TEST(an_add_that_a_del_overtook_is_refused)
{
	pid_t pid = make_node("");
	struct cni add;
	pid_t plugin;
	__u64 born;
	int status;

	cni_init(&add, "ADD", 1, netns, conf);
	add.held_up = true;
	plugin = cni_start(&add);
	born = clock_boot_ns();
	CHECK(waitpid(plugin, &status, WUNTRACED) == plugin && WIFSTOPPED(status));
	CHECK(node_until(clock_boot_ns() > born + 20000000));
	CHECK_EQ(node_release(1), IPAMD_NOTHING);
	kill(plugin, SIGCONT);
	cni_finish(&add);
	c = add;
	CHECK_EQ(add.code, 1);
	CHECK(error_code() == 100 + IPAMD_LATE && says("deleted after this ADD had begun"));
	CHECK_EQ(held(), 0);
	node_end(pid, SIGTERM);
}

TEST(a_result_that_nobody_reads_is_given_back)
{
	pid_t pid = make_node("");

	cni_init(&c, "ADD", 1, netns, conf);
	c.stdout_closed = true;
	cni_run(&c);
	CHECK_EQ(c.code, 1);
	CHECK_EQ(held(), 0);
	node_end(pid, SIGTERM);
}

TEST(fifty_adds_at_once_get_fifty_addresses)
{
	pid_t pid = make_node("[pool default]\nsubnet = 10.77.0.0/24\ncooldown = 1s\nlow = 60\n"
			      "high = 80\n");
	pid_t child[50];

	for (unsigned int i = 0; i < 50; i++) {
		child[i] = fork();
		if (!child[i]) {
			signal(SIGALRM, SIG_DFL);
			_exit(call("ADD", i, conf));
		}
	}
	for (unsigned int i = 0; i < 50; i++) {
		int status;

		CHECK(waitpid(child[i], &status, 0) == child[i]);
		CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	}
	CHECK_EQ(held(), 50);
	node_end(pid, SIGTERM);
}

/* --- DEL, whatever is missing ------------------------------------------------------------ */

TEST(a_del_needs_neither_namespace_nor_path_nor_a_whole_configuration)
{
	static const char *const confs[] = {
		conf,
		CONF("1.0.0", ",\"prevResult\":{\"garbage\":1}"),
		CONF("9.9.9", ""),
		"{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"ipam\":{\"pins\":\"" NODE_PINS
		"\",\"future\":1}}",
	};
	pid_t pid = make_node("");

	for (unsigned int i = 0; i < 4; i++) {
		CHECK_EQ(call("ADD", 1, conf), 0);
		cni_init(&c, "DEL", 1, i % 2 ? "" : "/proc/4000000/ns/net", confs[i]);
		c.path = "";
		cni_run(&c);
		CHECK_EQ(c.code, 0);
		CHECK(!*c.out && held() == 0);
	}
	node_end(pid, SIGTERM);
}

/* The default pins are then the only ones there can be: they lead to the node's. */
static void bind_default_pins(void)
{
	CHECK(!mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=700"));
	CHECK(!mkdir("/sys/fs/bpf/ipamd", 0700));
	CHECK(!mount(NODE_PINS, "/sys/fs/bpf/ipamd", NULL, MS_BIND, NULL));
}

TEST(a_del_without_a_readable_configuration_goes_by_container_and_interface)
{
	static const char *const confs[] = {"", "{\"name\":\"net", "[]", "\xff",
					    "{\"name\":\"a b\"}"};
	pid_t pid = make_node("");

	bind_default_pins();
	for (unsigned int i = 0; i < 5; i++) {
		CHECK_EQ(call("ADD", 1, conf), 0);
		CHECK_EQ(call("ADD", 2, conf), 0);
		CHECK_EQ(call("DEL", 1 + i % 2, confs[i]), 0);
		CHECK(!*c.out && says("looking for it"));
		CHECK_EQ(held(), 1);
		CHECK(!strcmp(holder_of(0).who.container, i % 2 ? "container-1" : "container-2"));
		CHECK_EQ(call("DEL", 2 - i % 2, conf), 0);
	}
	node_end(pid, SIGTERM);
}

static unsigned int notes(void)
{
	DIR *d = opendir(NODE_RUN "/notes");
	unsigned int n = 0;

	for (struct dirent *e; d && (e = readdir(d));)
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

/* The pins under another name, as if nobody had ever made them. */
static void hide_pins(bool hide)
{
	CHECK(!rename(hide ? NODE_PINS : NODE "/bpf/hidden",
		      hide ? NODE "/bpf/hidden" : NODE_PINS));
}

TEST(a_del_that_nobody_serves_leaves_a_note_for_the_next_manager)
{
	struct stat st;
	char path[512] = "";
	pid_t pid = make_node("");
	DIR *d;

	CHECK_EQ(call("ADD", 1, conf), 0);
	CHECK_EQ(call("ADD", 2, conf), 0);
	node_end(pid, SIGTERM);
	hide_pins(true);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(call("DEL", 1, conf), 0);
	CHECK(!*c.out && !*c.err && notes() == 1);
	d = opendir(NODE_RUN "/notes");
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.')
			snprintf(path, sizeof(path), NODE_RUN "/notes/%s", e->d_name);
	closedir(d);
	CHECK(!stat(path, &st) && (st.st_mode & 07777) == 0600);
	CHECK_EQ(st.st_size, sizeof(struct ipamd_request));
	hide_pins(false);
	CHECK_EQ(held(), 2);
	pid = node_up();
	CHECK(node_until(notes() == 0));
	CHECK_EQ(held(), 1);
	node_end(pid, SIGTERM);
}

TEST(what_is_no_note_is_removed_and_a_younger_hold_stays)
{
	pid_t pid = make_node("");
	struct ipamd_request req;
	FILE *f;

	request_init(&req, IPAMD_RELEASE);
	request_attachment(&req, "net", "container-1", "eth0", clock_boot_ns());
	CHECK_EQ(call("ADD", 1, conf), 0);
	CHECK(!mkdir(NODE_RUN "/notes", 0700));
	f = fopen(NODE_RUN "/notes/.draft", "w");
	CHECK(f && fwrite(&req, sizeof(req), 1, f) == 1 && !fclose(f));
	CHECK(!rename(NODE_RUN "/notes/.draft", NODE_RUN "/notes/old"));
	f = fopen(NODE_RUN "/notes/garbage", "w");
	CHECK(f && fputs("x", f) > 0 && !fclose(f));
	CHECK(!symlink("/etc/passwd", NODE_RUN "/notes/link"));
	CHECK(node_until(notes() == 0));
	CHECK_EQ(held(), 1);
	CHECK(node_log_has("no request of a plugin"));
	node_end(pid, SIGTERM);
}

TEST(a_del_with_nothing_at_all_succeeds)
{
	node_make();
	CHECK_EQ(call("DEL", 1,
		      "{\"name\":\"net\",\"ipam\":{\"pins\":\"/nowhere\",\"run\":"
		      "\"/nowhere/either\"}}"),
		 0);
	CHECK(!*c.out && says("could neither be carried out nor noted"));
	CHECK(!strcasestr(c.err, "not found") && !strcasestr(c.err, "no such file"));
}

TEST(a_manager_that_is_stopped_delays_neither_add_nor_del)
{
	pid_t pid = make_node("");

	kill(pid, SIGSTOP);
	for (unsigned int i = 0; i < 5; i++)
		CHECK_EQ(call("ADD", i, conf), 0);
	for (unsigned int i = 0; i < 5; i++)
		CHECK_EQ(call("DEL", i, conf), 0);
	CHECK_EQ(held(), 0);
	/* Without programs it is asked, for a second, and then noted. */
	hide_pins(true);
	CHECK_EQ(call("DEL", 7, conf), 0);
	CHECK(c.ms < 10000 && notes() == 1);
	hide_pins(false);
	kill(pid, SIGCONT);
	CHECK(node_until(notes() == 0));
	node_end(pid, SIGTERM);
}

/* --- Nothing in stock -------------------------------------------------------------------- */

#define FOUR "[pool default]\nsubnet = 10.77.0.0/29\ngateway = 10.77.0.1\nlow = 5\nhigh = 6\n"

static unsigned int take_all(void)
{
	unsigned int n = 0;

	while (n < 8 && node_claim(100 + n, NULL, NULL) == IPAMD_OK)
		n++;
	return n;
}

TEST(an_exhausted_pool_is_explained_and_is_no_error_of_the_node)
{
	pid_t pid = make_node(FOUR "cooldown = 60s\n");
	unsigned int n = take_all();
	char text[64];

	CHECK_EQ(node_release(100), IPAMD_OK);
	cni_init(&c, "ADD", 1, netns, conf);
	c.args = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1";
	cni_run(&c);
	CHECK(c.code == 1 && error_code() == 11);
	CHECK(c.ms >= 4000 && c.ms < 20000);
	CHECK(says("no address is ready") && says("pool default (IPv4): 0 ready, 1 cooling"));
	snprintf(text, sizeof(text), "%u held", n - 1);
	CHECK(says(text) && says("try: ipamctl status"));
	CHECK(!says("ipamctl explain")); /* the pod holds nothing to be explained */
	CHECK_EQ(call("STATUS", 1, CONF("1.1.0", "")), 0);
	CHECK(!*c.out && !*c.err);
	node_end(pid, SIGTERM);
}

TEST(who_finds_nothing_waits_for_the_manager_to_fill)
{
	pid_t pid = make_node(FOUR "cooldown = 2s\n");

	CHECK(take_all() > 1);
	CHECK_EQ(node_release(100), IPAMD_OK);
	CHECK_EQ(call("ADD", 1, conf), 0);
	CHECK(says("10.77.0."));
	node_end(pid, SIGTERM);
}

TEST(without_a_manager_it_waits_for_an_address_that_cools)
{
	pid_t pid = make_node(FOUR "cooldown = 2s\n");

	CHECK(take_all() > 1);
	CHECK_EQ(node_release(100), IPAMD_OK);
	node_end(pid, SIGTERM);
	CHECK_EQ(call("ADD", 1, conf), 0);
	CHECK(says("10.77.0."));
	CHECK_EQ(call("ADD", 2, conf), 1);
	CHECK(error_code() == 11 && says("the manager is not running") &&
	      says("systemctl status ipamd"));
	node_end(pid, SIGTERM);
}

TEST(a_stopped_manager_and_no_stock_is_an_error_in_time)
{
	pid_t pid = make_node(FOUR "cooldown = 60s\n");

	take_all();
	kill(pid, SIGSTOP);
	CHECK_EQ(call("ADD", 1, conf), 1);
	CHECK(error_code() == 11 && says("does not answer") && c.ms < 20000);
	kill(pid, SIGCONT);
	/* What it may have done for the waiter meanwhile, it takes back. */
	CHECK_EQ(node_release(100), IPAMD_OK);
	node_end(pid, SIGTERM);
}

/* A daemon that has the node's configuration; it tells that it was started. */
static void write_daemon(void)
{
	char here[512];
	FILE *f = fopen(NODE "/daemon", "w");

	CHECK(f && getcwd(here, sizeof(here)));
	fprintf(f,
		"#!/bin/sh\nreadlink /proc/self/ns/net >>" NODE "/started\n"
		"cd %s && exec %s/userspace/ipamd -c " NODE_CONF " \"$@\" >>" NODE_LOG " 2>&1\n",
		here, getenv("O") ? getenv("O") : "build");
	CHECK(!fclose(f) && !chmod(NODE "/daemon", 0700));
}

static unsigned int starts(void)
{
	FILE *f = fopen(NODE "/started", "r");
	char line[64], own[64] = "";
	unsigned int n = 0;

	if (!f)
		return 0;
	CHECK(readlink("/proc/self/ns/net", own, sizeof(own) - 1) > 0);
	while (fgets(line, sizeof(line), f)) {
		CHECK(!strncmp(line, own, strlen(own))); /* never in the pod's namespace */
		n++;
	}
	fclose(f);
	return n;
}

TEST(where_no_manager_runs_the_plugin_starts_one_that_leaves_again)
{
	node_make();
	write_daemon();
	start_pod();
	CHECK_EQ(call("ADD", 1, conf), 0); /* nothing was ever pinned */
	CHECK_EQ(starts(), 1);
	CHECK_EQ(holder_of(0).who.container[0], 'c');
	CHECK_EQ(call("ADD", 2, conf), 0);
	CHECK_EQ(call("DEL", 1, conf), 0);
	CHECK_EQ(starts(), 1);
	CHECK_EQ(held(), 1);
	for (int i = 0; i < 30 && access("/proc/self", F_OK) == 0; i++) {
		if (node_log_has("leaving"))
			break;
		node_until(node_log_has("leaving"));
	}
	CHECK(node_log_has("leaving"));
	CHECK_EQ(call("ADD", 3, conf), 0);
	CHECK_EQ(starts(), 1); /* there is stock */
}

TEST(without_programs_a_manager_serves)
{
	pid_t pid = make_node("");

	hide_pins(true);
	CHECK_EQ(call("ADD", 1, conf), 0);
	CHECK(says("10.77.0."));
	CHECK_EQ(call("ADD", 2, conf), 0);
	CHECK_EQ(call("DEL", 1, conf), 0);
	hide_pins(false);
	CHECK(held() == 1 && notes() == 0);
	CHECK(!strcmp(holder_of(0).who.container, "container-2"));
	node_end(pid, SIGTERM);
}

/* --- Nothing there ----------------------------------------------------------------------- */

TEST(without_pins_an_add_says_what_to_do)
{
	node_make();
	start_pod();
	CHECK_EQ(call("ADD", 1, conf), 1);
	CHECK(error_code() == 11 && says("nothing is pinned there: start ipamd"));
	CHECK(says("systemctl status ipamd"));
	CHECK(call("STATUS", 1, CONF("1.1.0", "")) == 1 && error_code() == 50);
	CHECK(says("start ipamd") && says("systemctl status ipamd") && c.ms < 2000);
}

TEST(pins_that_anybody_could_have_made_are_not_used)
{
	pid_t pid = make_node("");

	CHECK(!chmod(NODE_PINS, 0755));
	CHECK(call("STATUS", 1, CONF("1.1.0", "")) == 1 && error_code() == 50);
	CHECK(says("not a directory of root's"));
	CHECK(!chmod(NODE_PINS, 0700) && !chown(NODE_PINS, 65534, 0));
	CHECK(call("STATUS", 1, CONF("1.1.0", "")) == 1 && error_code() == 50);
	CHECK(!chown(NODE_PINS, 0, 0));
	CHECK_EQ(call("STATUS", 1, CONF("1.1.0", "")), 0);
	hide_pins(true);
	CHECK(!symlink(NODE "/bpf/hidden", NODE_PINS));
	CHECK(call("STATUS", 1, CONF("1.1.0", "")) == 1 && error_code() == 50);
	CHECK(!unlink(NODE_PINS));
	hide_pins(false);
	node_end(pid, SIGTERM);
}

TEST(a_pool_by_name_must_be_there)
{
	static const char text[] =
		"{\"cniVersion\":\"1.1.0\",\"name\":\"net\",\"ipam\":{\"pins\":\"" NODE_PINS
		"\",\"run\":\"" NODE_RUN "\",\"pool\":\"%s\",\"_comment\":1,\"cni.dev/x\":2}}";
	char good[512], bad[512];
	pid_t pid = make_node("[pool default]\nsubnet = 10.77.0.0/24\ncooldown = 1s\n"
			      "[pool red]\nsubnet = 10.88.0.0/24\ncooldown = 1s\n"
			      "[pool blue]\nsubnet = 10.99.0.0/24\nnamespace = shop\n");

	snprintf(good, sizeof(good), text, "red");
	snprintf(bad, sizeof(bad), text, "rde");
	CHECK_EQ(call("ADD", 1, good), 0);
	CHECK(says("10.88.0."));
	CHECK_EQ(call("STATUS", 1, good), 0);
	cni_init(&c, "ADD", 2, netns, conf);
	c.args = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1";
	cni_run(&c);
	CHECK(c.code == 0 && says("10.99.0."));
	CHECK_EQ(call("ADD", 3, bad), 1);
	CHECK(error_code() == 7 && says("rde"));
	CHECK_EQ(call("STATUS", 1, bad), 1);
	CHECK_EQ(error_code(), 50);
	node_end(pid, SIGTERM);
}

TEST(a_pool_that_never_had_an_address_is_not_ready_yet)
{
	struct pin *pin = NULL;

	node_make();
	CHECK_EQ(pin_open(NODE_PINS, 64, &pin), 0);
	CHECK(call("STATUS", 1, CONF("1.1.0", "")) == 1 && error_code() == 50);
	strcpy(pin->pools[0].name, "default");
	pin->pools[0].family = 4;
	mem_store(&pin->meta->default_pools, 1ULL << 32 | IPAMD_NONE << 16);
	CHECK(call("STATUS", 1, CONF("1.1.0", "")) == 1 && error_code() == 50);
	CHECK(says("first addresses have not come") && says("pool default (IPv4): 0 ready"));
	pin_close(pin);
}

/* --- What passes ------------------------------------------------------------------------- */

static __u64 count(const struct pin *pin, enum ipamd_verb verb, enum ipamd_verdict verdict)
{
	struct ipamd_stats stats;

	CHECK_EQ(pin_stats(pin, &stats), 0);
	return stats.count[verb][verdict];
}

TEST(maps_that_are_being_replaced_are_waited_for)
{
	pid_t pid = make_node("");
	auto_pin struct pin *pin = node_pins();

	CHECK_EQ(call("ADD", 1, conf), 0);
	mem_store(&pin->meta->moving, 1);
	cni_init(&c, "DEL", 1, netns, conf);
	cni_start(&c);
	cni_feed(&c);
	CHECK(node_until(count(pin, IPAMD_RELEASE, IPAMD_MOVING) > 2));
	mem_store(&pin->meta->moving, 0);
	cni_finish(&c);
	CHECK(c.code == 0 && !*c.err && held() == 0 && notes() == 0);
	node_end(pid, SIGTERM);
}

TEST(an_attachment_that_is_busy_is_waited_for)
{
	pid_t pid = make_node("");
	auto_pin struct pin *pin = node_pins();
	struct ipamd_digest id = digest_attachment("net", "container-1", "eth0");
	struct ipamd_entry pending = {
		.first = slot_word(IPAMD_CLAIMING, 0, slot_tag_of(&id), 0),
	};

	CHECK(!bpf_map_update_elem(pin->map[PIN_BY_HOLDER], &id, &pending, BPF_NOEXIST));
	cni_init(&c, "ADD", 1, netns, conf);
	cni_start(&c);
	cni_feed(&c);
	CHECK(node_until(count(pin, IPAMD_CLAIM, IPAMD_BUSY) > 100));
	CHECK(!bpf_map_delete_elem(pin->map[PIN_BY_HOLDER], &id));
	cni_finish(&c);
	CHECK(c.code == 0 && held() == 1);
	node_end(pid, SIGTERM);
}

/* Who listens on the manager's socket, in the eyes of its peers. */
static pid_t serve_as(uid_t uid)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = NODE_RUN "/ipamd.sock"};
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), ready[2];
	char byte;
	pid_t pid;

	CHECK(!mkdir(NODE_RUN, 0700) && !bind(s, (struct sockaddr *)&at, sizeof(at)));
	CHECK(!pipe2(ready, O_CLOEXEC));
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setresuid(uid, uid, uid) || listen(s, 8) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(s);
	CHECK(read(ready[0], &byte, 1) == 1);
	return pid;
}

TEST(a_manager_that_is_not_root_is_told_nothing)
{
	pid_t pid;

	node_make();
	start_pod();
	pid = serve_as(65534);
	CHECK_EQ(call("ADD", 1, conf), 1);
	CHECK(error_code() == 11 && says("is not root") && c.ms < 5000);
	CHECK(!chmod(NODE_RUN, 0777));
	CHECK_EQ(call("ADD", 1, conf), 1);
	CHECK(says("the manager is not running"));
	node_end(pid, SIGKILL);
}

/* --- CHECK ------------------------------------------------------------------------------- */

static const char *with_prev(const char *version, const char *address)
{
	static char text[1024];

	snprintf(text, sizeof(text),
		 "{\"cniVersion\":\"%s\",\"name\":\"net\"," IPAM
		 ",\"prevResult\":{\"interfaces\":[],\"ips\":[{\"address\":\"192.0.2.1/24\"},"
		 "{\"address\":\"%s\",\"interface\":0}]}}",
		 version, address);
	return text;
}

TEST(check_holds_as_long_as_the_attachment_does)
{
	char address[64];
	pid_t pid = make_node("");

	CHECK(call("CHECK", 1, with_prev("1.0.0", "10.77.0.2/24")) == 1);
	CHECK(error_code() == 100 + IPAMD_NOTHING && says("holds no address"));
	CHECK_EQ(call("ADD", 1, conf), 0);
	CHECK(sscanf(strstr(c.out, "10.77."), "%63[^\"]", address) == 1);
	for (int i = 4; i < 7; i++) {
		CHECK_EQ(call("CHECK", 1, with_prev(versions[i], address)), 0);
		CHECK(!*c.out && !*c.err);
	}
	CHECK(call("CHECK", 1, with_prev("1.0.0", "10.77.0.99/24")) == 1);
	CHECK(error_code() >= 100 && says("not in prevResult"));
	CHECK(call("CHECK", 1, conf) == 1 && error_code() == 7 && says("prevResult"));
	CHECK_EQ(call("DEL", 1, conf), 0);
	CHECK(call("CHECK", 1, with_prev("1.0.0", address)) == 1);
	CHECK_EQ(held(), 0);
	node_end(pid, SIGTERM);
}

/* --- GC ---------------------------------------------------------------------------------- */

/* All that is held was claimed five minutes ago. */
static void age(void)
{
	auto_pin struct pin *pin = node_pins();

	for (__u32 i = 0; i < pin->meta->slots; i++) {
		struct ipamd_holder h;

		if (slot_state(mem_load(&pin->words[i])) != IPAMD_HELD)
			continue;
		CHECK(!bpf_map_lookup_elem(pin->map[PIN_HOLDERS], &i, &h));
		h.claimed_at_ms -= 300000;
		CHECK(!bpf_map_update_elem(pin->map[PIN_HOLDERS], &i, &h, 0));
	}
}

#define GC(list) CONF("1.1.0", list)
#define ENTRY(n) "{\"containerID\":\"container-" n "\",\"ifname\":\"eth0\"}"

TEST(gc_frees_what_the_runtime_does_not_know_and_nothing_else)
{
	static const struct {
		const char *conf;
		int code;
		unsigned int left; /* of three of ours and one of another network */
	} gcs[] = {
		{GC(""), 0, 4},
		{GC(",\"cni.dev/valid-attachments\":null"), 0, 4},
		{GC(",\"cni.dev/valid-attachments\":7"), 7, 4},
		{GC(",\"cni.dev/valid-attachments\":[{}]"), 7, 4},
		{GC(",\"cni.dev/valid-attachments\":[{\"containerID\":\"container-1\"}]"), 7, 4},
		{GC(",\"cni.dev/valid-attachments\":[],\"cni.dev/valid-attachments\":[]"), 7, 4},
		{GC(",\"cni.dev/valid-attachments\":[" ENTRY("1") "," ENTRY("2") "," ENTRY(
			 "3") "]"),
		 0, 4},
		/* In either list is in a list. */
		{GC(",\"cni.dev/valid-attachments\":[" ENTRY("1") "," ENTRY(
			 "2") "],"
			      "\"cni.dev/attachments\":[" ENTRY("3") "]"),
		 0, 4},
		{GC(",\"cni.dev/attachments\":[" ENTRY("1") "," ENTRY("2") "]"), 0, 3},
		{GC(",\"cni.dev/valid-attachments\":[" ENTRY("2") "," ENTRY("9") "]"), 0, 2},
		{GC(",\"cni.dev/valid-attachments\":[]"), 0, 1},
		{GC(",\"cni.dev/valid-attachments\":[]"), 0, 1},
	};
	pid_t pid = make_node("");

	for (unsigned int i = 1; i <= 3; i++)
		CHECK_EQ(call("ADD", i, conf), 0);
	CHECK_EQ(call("ADD", 1, "{\"name\":\"other\"," IPAM "}"), 0);
	age();
	for (size_t i = 0; i < sizeof(gcs) / sizeof(gcs[0]); i++) {
		CHECK_EQ(call("GC", 0, gcs[i].conf), gcs[i].code ? 1 : 0);
		CHECK_EQ(gcs[i].code, gcs[i].code ? error_code() : 0);
		CHECK_EQ(held(), gcs[i].left);
	}
	CHECK(!strcmp(holder_of(0).who.network, "other"));
	node_end(pid, SIGTERM);
}

TEST(gc_keeps_what_is_younger_than_two_minutes)
{
	pid_t pid = make_node("");

	CHECK_EQ(call("ADD", 1, conf), 0);
	CHECK_EQ(call("GC", 0, GC(",\"cni.dev/valid-attachments\":[]")), 0);
	CHECK(says("younger than two minutes"));
	CHECK_EQ(held(), 1);
	node_end(pid, SIGTERM);
}

/* --- Killed ------------------------------------------------------------------------------ */

TEST(a_plugin_killed_at_any_moment_loses_nothing)
{
	pid_t pid = make_node("");

	for (unsigned int i = 0; i < 200; i++) {
		pid_t plugin;

		cni_init(&c, i % 2 ? "DEL" : "ADD", i / 2 % 5, netns, conf);
		plugin = cni_start(&c);
		usleep(i * 7 % 1000);
		kill(plugin, SIGKILL);
		cni_finish(&c);
	}
	for (unsigned int i = 0; i < 5; i++)
		CHECK_EQ(call("DEL", i, conf), 0);
	CHECK_EQ(held(), 0);
	CHECK(node_until(node_number("/v1/status", "balance.holds") == 1));
	node_end(pid, SIGTERM);
}

TEST_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cni/conf.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "cni/doc.h"
#include "cni/problem.h"

const char *const conf_versions[CONF_VERSIONS] = {
	"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0",
};

bool conf_is_name(const char *text)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	return *text && !strchr("_.-", *text) && !text[strspn(text, letters)];
}

static int bad(const char *key, int outcome, const char *kind)
{
	if (outcome == DOC_TWICE)
		return problem(PROBLEM_CONFIG, "network configuration: \"%s\" is there twice", key);
	if (outcome == DOC_TOO_LONG)
		return problem(PROBLEM_CONFIG, "network configuration: \"%s\" is too long", key);
	return problem(PROBLEM_CONFIG, "network configuration: \"%s\" is not %s", key, kind);
}

/* A string member; what is absent, or null, leaves *ret as it was. */
static int read_string(int object, const char *key, char *ret, size_t size)
{
	int v, r = doc_get(object, key, &v);

	if (r)
		return bad(key, r, "");
	if (v == DOC_ABSENT || doc_kind(v) == DOC_NULL)
		return 0;
	r = doc_string(v, ret, size);
	return r ? bad(key, r, "a string") : 0;
}

/* A member that holds others; *ret is DOC_ABSENT when it is absent, or null. */
static int read_container(int object, const char *key, enum doc_kind kind, int *ret)
{
	int v, r = doc_get(object, key, &v);

	if (r)
		return bad(key, r, "");
	if (v != DOC_ABSENT && doc_kind(v) == DOC_NULL)
		v = DOC_ABSENT;
	if (v != DOC_ABSENT && doc_kind(v) != kind)
		return bad(key, 0, kind == DOC_ARRAY ? "a list" : "an object");
	*ret = v;
	return 0;
}

static int read_path(int object, const char *key, char ret[CONF_PATH])
{
	char path[CONF_PATH] = "";
	int r = read_string(object, key, path, sizeof(path));

	if (r || !*path)
		return r;
	if (*path != '/')
		return problem(PROBLEM_CONFIG, "ipam: \"%s\" is no absolute path: %s", key, path);
	memcpy(ret, path, sizeof(path));
	return 0;
}

/* An option that was misspelt must not pass for the default. */
static int check_keys(int ipam)
{
	static const char *const known[] = {"type", "pool", "pins", "run", "daemon"};

	for (int k = doc_first(ipam); k != DOC_ABSENT; k = doc_next(ipam, k)) {
		char key[64] = "", text[64];
		bool fine = !doc_string(k, key, sizeof(key)) &&
			    (key[0] == '_' || !strncmp(key, "cni.dev/", 8));

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			fine = fine || !strcmp(key, known[i]);
		if (fine)
			continue;
		doc_excerpt(k, key, sizeof(key));
		doc_excerpt(doc_value(k), text, sizeof(text));
		return problem(PROBLEM_UNSUPPORTED, "unsupported field in ipam: \"%s\": %s", key,
			       text);
	}
	return 0;
}

static int read_ipam(struct conf *c)
{
	char type[64] = "";
	int ipam, r = read_container(DOC_ROOT, "ipam", DOC_OBJECT, &ipam);

	if (r)
		return r;
	if (ipam == DOC_ABSENT)
		return problem(PROBLEM_CONFIG, "network configuration: \"ipam\" is missing");
	r = read_path(ipam, "pins", c->pins);
	if (!r)
		r = read_path(ipam, "run", c->run);
	if (!r)
		r = read_path(ipam, "daemon", c->daemon);
	if (!r)
		r = read_string(ipam, "pool", c->pool, sizeof(c->pool));
	if (!r)
		r = read_string(ipam, "type", type, sizeof(type));
	return r ? r : check_keys(ipam);
}

static int read_version(struct conf *c)
{
	char text[32] = "0.1.0"; /* what a configuration without one means */
	int r = read_string(DOC_ROOT, "cniVersion", text, sizeof(text));

	if (r)
		return r;
	for (int i = 0; i < CONF_VERSIONS; i++)
		if (!strcmp(text, conf_versions[i])) {
			c->form = (enum conf_version)i;
			c->version = conf_versions[i];
			return 0;
		}
	r = problem(PROBLEM_VERSION, "incompatible CNI versions");
	problem_details("config is \"%s\", plugin supports "
			"[\"0.1.0\" \"0.2.0\" \"0.3.0\" \"0.3.1\" \"0.4.0\" \"1.0.0\" \"1.1.0\"]",
			text);
	return r;
}

static int read_name(struct conf *c)
{
	char name[sizeof(c->name)] = "";
	int r = read_string(DOC_ROOT, "name", name, sizeof(name));

	if (r)
		return r;
	if (!*name)
		return problem(PROBLEM_CONFIG, "missing network name");
	if (!conf_is_name(name)) {
		r = problem(PROBLEM_CONFIG, "invalid characters in network name");
		problem_details("\"%s\"", name);
		return r;
	}
	memcpy(c->name, name, sizeof(name));
	return 0;
}

static int read_document(const char *text, size_t size)
{
	size_t at;
	int code = PROBLEM_DECODING, r = doc_read(text, size, &at);

	if (r == DOC_TOO_DEEP)
		return problem(code, "the network configuration is nested deeper than %d levels",
			       DOC_DEPTH);
	if (r == DOC_TOO_MANY)
		return problem(code, "the network configuration has too many values");
	if (!size)
		return problem(code, "there is no network configuration on stdin");
	if (r)
		return problem(code, "the network configuration is not JSON from byte %zu on", at);
	if (doc_kind(DOC_ROOT) != DOC_OBJECT)
		return problem(code, "the network configuration is no JSON object");
	return 0;
}

void conf_init(struct conf *c)
{
	*c = (struct conf){
		.form = CONF_1_1_0,
		.version = CONF_NEWEST,
		.pins = IPAMD_DIR,
		.run = "/run/ipamd",
		.daemon = "/usr/sbin/ipamd",
	};
}

int conf_read(const char *text, size_t size, struct conf *ret)
{
	int r, ipam, version, name;

	r = read_document(text, size);
	if (r)
		return r;
	/* All three, whatever the others say; in this order the gravest is stated last. */
	ipam = read_ipam(ret);
	version = read_version(ret);
	name = read_name(ret);
	return name ? name : version ? version : ipam;
}

void conf_read_version(const char *text, size_t size, struct conf *ret)
{
	if (!read_document(text, size))
		read_version(ret);
}

/* --- Requested addresses ----------------------------------------------------------------- */

bool conf_read_address(const char *text, enum ipamd_family *ret_family, __u8 ret[16])
{
	char host[INET6_ADDRSTRLEN] = "", *end;
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	__u8 address[16] = {0};
	enum ipamd_family family = IPAMD_V4;

	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	if (inet_pton(AF_INET, host, address) != 1) {
		family = IPAMD_V6;
		if (inet_pton(AF_INET6, host, address) != 1)
			return false;
	}
	if (slash && (slash[1] < '0' || slash[1] > '9' ||
		      strtoul(slash + 1, &end, 10) > (family == IPAMD_V6 ? 128 : 32) || *end))
		return false;
	memcpy(ret, address, sizeof(address));
	*ret_family = family;
	return true;
}

static int want(struct conf *c, const char *text, const char *where)
{
	__u8 address[16];
	enum ipamd_family f;

	if (!conf_read_address(text, &f, address))
		return problem(PROBLEM_CONFIG, "%s: \"%s\" is no IP address", where, text);
	if (c->want[f].is_set && memcmp(c->want[f].address, address, sizeof(address)))
		return problem(PROBLEM_UNSUPPORTED,
			       "%s: \"%s\" is the second IPv%d address that is asked for", where,
			       text, f == IPAMD_V6 ? 6 : 4);
	c->want[f].is_set = true;
	memcpy(c->want[f].address, address, sizeof(address));
	return 0;
}

static int want_list(struct conf *c, int list, const char *where)
{
	for (int v = doc_first(list); v != DOC_ABSENT; v = doc_next(list, v)) {
		char text[64];
		int r = doc_string(v, text, sizeof(text));

		if (r)
			return bad(where, r, "a list of addresses");
		r = want(c, text, where);
		if (r)
			return r;
	}
	return 0;
}

/* IP= of CNI_ARGS: one, or several with commas. */
static int want_arg(struct conf *c, const char *ip)
{
	while (*ip) {
		char text[64] = "";
		size_t n = strcspn(ip, ",");
		int r;

		memcpy(text, ip, n < sizeof(text) ? n : sizeof(text) - 1);
		r = want(c, text, "CNI_ARGS: IP");
		if (r)
			return r;
		ip += n + (ip[n] == ',');
	}
	return 0;
}

/* The conventions: runtimeConfig first, then args over CNI_ARGS; who comes first is heard alone. */
int conf_read_wants(struct conf *c, const char *ip)
{
	int runtime, args, cni = DOC_ABSENT, list = DOC_ABSENT;
	int r = read_container(DOC_ROOT, "runtimeConfig", DOC_OBJECT, &runtime);

	if (!r && runtime != DOC_ABSENT)
		r = read_container(runtime, "ips", DOC_ARRAY, &list);
	if (r)
		return r;
	if (list != DOC_ABSENT && doc_size(list))
		return want_list(c, list, "runtimeConfig.ips");
	r = read_container(DOC_ROOT, "args", DOC_OBJECT, &args);
	if (!r && args != DOC_ABSENT)
		r = read_container(args, "cni", DOC_OBJECT, &cni);
	if (!r && cni != DOC_ABSENT)
		r = read_container(cni, "ips", DOC_ARRAY, &list);
	if (r)
		return r;
	if (list != DOC_ABSENT && doc_size(list))
		return want_list(c, list, "args.cni.ips");
	return want_arg(c, ip);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cni/environment.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cni/conf.h"
#include "cni/problem.h"

enum { IFNAME_MAX = 15, ARGS_MAX = 64 };

static const char *get(const char *name)
{
	const char *v = getenv(name);

	return v ? v : "";
}

static bool is_true(const char *text)
{
	static const char *const words[] = {"1", "t", "T", "true", "True", "TRUE"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(text, words[i]))
			return true;
	return false;
}

/* --- Which variables a verb needs -------------------------------------------------------- */

#define NEEDS(verb) (1U << (verb))

/* As skel has it, but for a DEL without CNI_PATH: an address is not kept for that. */
static const struct {
	const char *name;
	unsigned int verbs;
} needed[] = {
	{"CNI_CONTAINERID", NEEDS(VERB_ADD) | NEEDS(VERB_DEL) | NEEDS(VERB_CHECK)},
	{"CNI_NETNS", NEEDS(VERB_ADD) | NEEDS(VERB_CHECK)},
	{"CNI_IFNAME", NEEDS(VERB_ADD) | NEEDS(VERB_DEL) | NEEDS(VERB_CHECK)},
	{"CNI_PATH", NEEDS(VERB_ADD) | NEEDS(VERB_CHECK) | NEEDS(VERB_GC) | NEEDS(VERB_STATUS)},
};

static int check_needed(enum verb verb)
{
	char missing[64] = "";

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!(needed[i].verbs & NEEDS(verb)) || *get(needed[i].name))
			continue;
		if (*missing)
			strcat(missing, ",");
		strcat(missing, needed[i].name);
	}
	if (!*missing)
		return 0;
	return problem(PROBLEM_ENVIRONMENT, "required env variables [%s] missing", missing);
}

int environment_read(struct environment *ret)
{
	static const char *const names[] = {"", "ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"};
	const char *command = get("CNI_COMMAND");
	struct environment e = {
		.container = get("CNI_CONTAINERID"),
		.netns = get("CNI_NETNS"),
		.ifname = get("CNI_IFNAME"),
		.own_netns_allowed = is_true(get("CNI_NETNS_OVERRIDE")),
	};

	while (e.verb <= VERB_VERSION && strcmp(command, names[e.verb]))
		e.verb++;
	if (e.verb > VERB_VERSION)
		return problem(PROBLEM_ENVIRONMENT, "unknown CNI_COMMAND: %s", command);
	*ret = e;
	return check_needed(e.verb);
}

static int check_ifname(const char *ifname)
{
	if (strlen(ifname) > IFNAME_MAX)
		return problem(PROBLEM_ENVIRONMENT, "CNI_IFNAME: interface name is too long");
	if (!strcmp(ifname, ".") || !strcmp(ifname, ".."))
		return problem(PROBLEM_ENVIRONMENT, "CNI_IFNAME: interface name is . or ..");
	for (const char *p = ifname; *p; p++)
		if (*p == '/' || *p == ':' || isspace((unsigned char)*p))
			return problem(PROBLEM_ENVIRONMENT, "CNI_IFNAME: interface name contains "
							    "/ or : or whitespace characters");
	return 0;
}

int environment_check(const struct environment *e)
{
	if (*e->container && !conf_is_name(e->container)) {
		int r = problem(PROBLEM_ENVIRONMENT, "CNI_CONTAINERID: invalid characters");

		problem_details("\"%s\"", e->container);
		return r;
	}
	return check_ifname(e->ifname);
}

/* --- CNI_ARGS: KEY=VALUE;KEY=VALUE ------------------------------------------------------- */

/* Names go into records that people read: printable, and no second "=". */
static int take(const char *key, const char *value, size_t n, char *ret, size_t size)
{
	if (*ret)
		return problem(PROBLEM_ENVIRONMENT, "CNI_ARGS: %s is there twice", key);
	if (n >= size)
		return problem(PROBLEM_ENVIRONMENT, "CNI_ARGS: %s is too long", key);
	for (size_t i = 0; i < n; i++)
		if (value[i] <= ' ' || value[i] > '~' || value[i] == '=')
			return problem(PROBLEM_ENVIRONMENT, "CNI_ARGS: invalid characters in %s",
				       key);
	memcpy(ret, value, n);
	ret[n] = '\0';
	return 0;
}

static int take_known(struct environment *e, const char *key, const char *value, size_t n,
		      bool *ret_unknown)
{
	char ignored[128] = "";
	const struct {
		const char *key;
		char *to;
		size_t size;
	} known[] = {
		{"K8S_POD_NAMESPACE", e->name_space, sizeof(e->name_space)},
		{"K8S_POD_NAME", e->pod, sizeof(e->pod)},
		{"K8S_POD_UID", e->uid, sizeof(e->uid)},
		{"K8S_POD_INFRA_CONTAINER_ID", ignored, sizeof(ignored)},
		{"IP", e->ip, sizeof(e->ip)},
		{"IgnoreUnknown", ignored, sizeof(ignored)},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(key, known[i].key))
			return take(key, value, n, known[i].to, known[i].size);
	*ret_unknown = true;
	return 0;
}

static int unknown(const char *key)
{
	return problem(PROBLEM_ENVIRONMENT, "CNI_ARGS: unknown key %s, and no IgnoreUnknown=1",
		       key);
}

int environment_read_args(struct environment *e)
{
	char stranger[64] = "";
	bool ignore = false;
	int pairs = 0;

	for (const char *p = get("CNI_ARGS"); *p;) {
		size_t all = strcspn(p, ";"), n = strcspn(p, "=;");
		const char *value = p + n + (p[n] == '=');
		char key[64] = "";
		bool is_unknown = false;
		int r;

		memcpy(key, p, n < sizeof(key) ? n : sizeof(key) - 1);
		if (++pairs > ARGS_MAX)
			return problem(PROBLEM_ENVIRONMENT, "CNI_ARGS: more than %d pairs",
				       ARGS_MAX);
		r = take_known(e, key, value, (size_t)(p + all - value), &is_unknown);
		if (r)
			return r;
		if (is_unknown && *key && !*stranger)
			memcpy(stranger, key, sizeof(stranger));
		if (!strcmp(key, "IgnoreUnknown"))
			ignore = value[0] == '1' || !strncmp(value, "true", 4);
		p += all + (p[all] == ';');
	}
	return *stranger && !ignore ? unknown(stranger) : 0;
}

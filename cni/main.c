// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The verbs.  Environment first, then the configuration on stdin, then the work; each
 * step may state a problem, and this is the one place that tells it to the runtime.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/request.h"
#include "cni/clock.h"
#include "cni/doc.h"
#include "cni/plugin.h"
#include "cni/problem.h"
#include "cni/result.h"

enum { STDIN_MS = 10000, VERSION_MS = 1000 };

static struct plugin plugin;
static char input[DOC_MAX + 1];

/* All of stdin; 0 or the code of a problem. */
static int read_input(unsigned int limit_ms, size_t *ret)
{
	struct pollfd in = {.fd = 0, .events = POLLIN};
	__u64 until_ms = clock_ms() + limit_ms;
	size_t used = 0;

	while (used < sizeof(input)) {
		__u64 now = clock_ms();
		int ready = poll(&in, 1, now < until_ms ? (int)(until_ms - now) : 0);
		ssize_t n = ready > 0 ? read(0, input + used, sizeof(input) - used) : -1;

		if (!ready)
			return problem(PROBLEM_IO, "stdin did not end in time");
		if (n < 0 && errno != EINTR)
			return problem(PROBLEM_IO, "stdin cannot be read: %s", strerror(errno));
		if (!n) {
			*ret = used;
			return 0;
		}
		used += n > 0 ? (size_t)n : 0;
	}
	return problem(PROBLEM_DECODING, "the network configuration is larger than %d bytes",
		       DOC_MAX);
}

void plugin_request(const struct plugin *p, enum ipamd_verb verb, struct ipamd_request *ret)
{
	const struct environment *e = &p->env;

	request_init(ret, verb);
	if (e->name_space[0] && e->pod[0])
		request_pod(ret, e->name_space, e->pod, e->uid);
	else if (e->name_space[0])
		ret->name_space = digest_name(DIGEST_NAMESPACE, e->name_space);
	request_attachment(ret, p->conf.name, e->container, e->ifname, p->start_ns);
	if (p->conf.pool[0])
		request_pool(ret, p->conf.pool);
	for (int f = 0; f < IPAMD_FAMILIES; f++)
		if (p->conf.want[f].is_set)
			request_want(ret, f == IPAMD_V6 ? 6 : 4, p->conf.want[f].address);
}

/* --- Verbs -------------------------------------------------------------------------------------
 */

static const struct {
	enum conf_version since;
	const char *name;
	int (*run)(struct plugin *p);
} verbs[] = {
	[VERB_ADD] = {CONF_0_1_0, "ADD", claim_add},
	[VERB_DEL] = {CONF_0_1_0, "DEL", release_del},
	[VERB_CHECK] = {CONF_0_4_0, "CHECK", check_holds},
	[VERB_GC] = {CONF_1_1_0, "GC", gc_collect},
	[VERB_STATUS] = {CONF_1_1_0, "STATUS", status_tell},
};

static void read_conf(struct plugin *p)
{
	size_t n;

	conf_init(&p->conf);
	p->conf_problem = read_input(STDIN_MS, &n);
	if (!p->conf_problem)
		p->conf_problem = conf_read(input, n, &p->conf);
}

static int run_verb(struct plugin *p)
{
	enum verb v = p->env.verb;
	int r = environment_check(&p->env);

	if (r)
		return r;
	read_conf(p);
	if (p->conf_problem && v != VERB_DEL)
		return p->conf_problem;
	if (p->conf.form < verbs[v].since && v != VERB_DEL) {
		r = problem(PROBLEM_VERSION, "config version does not allow %s", verbs[v].name);
		problem_details("cniVersion is %s, %s came with %s", p->conf.version, verbs[v].name,
				conf_versions[verbs[v].since]);
		return r;
	}
	return verbs[v].run(p);
}

/* As asked, if it says so on stdin; but it is answered without, and nobody waits long. */
static int tell_versions(struct plugin *p)
{
	static char text[256];
	struct out o = {text, sizeof(text), 0};
	size_t n;

	conf_init(&p->conf);
	if (!isatty(0) && !read_input(VERSION_MS, &n))
		conf_read_version(input, n, &p->conf);
	out_text(&o, "{\"cniVersion\":\"%s\",\"supportedVersions\":[", p->conf.version);
	for (int i = 0; i < CONF_VERSIONS; i++)
		out_text(&o, "%s\"%s\"", i ? "," : "", conf_versions[i]);
	out_text(&o, "]}\n");
	return out_write(&o) ? problem(PROBLEM_IO, "stdout cannot be written") : 0;
}

/* What we open must not become somebody's stdout; who closed it is told by a failing write. */
static void keep_standard(void)
{
	int fd = 0;

	while (fd >= 0 && fd <= 2)
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd > 2)
		close(fd);
}

int main(void)
{
	struct plugin *p = &plugin;
	int r;

	p->start_ns = clock_start_ns();
	p->conf.version = CONF_NEWEST;
	keep_standard();
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	r = environment_read(&p->env);
	if (!r && p->env.verb == VERB_NONE) {
		problem_warn("a CNI plugin that gives pods their addresses; runtimes run it with "
			     "CNI_COMMAND. CNI versions 0.1.0 to " CONF_NEWEST);
		return 0;
	}
	if (!r)
		r = p->env.verb == VERB_VERSION ? tell_versions(p) : run_verb(p);
	if (r)
		problem_print(p->conf.version);
	return r ? 1 : 0;
}

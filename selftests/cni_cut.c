// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "selftests/cni_cut.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "bpf/slot.h"
#include "selftests/cni.h"
#include "selftests/harness.h"
#include "selftests/node.h"
#include "selftests/trace.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

enum { RESIDENT = 1, PASSING = 2, LIMIT_S = 20, AGE_MS = 300000 };

#define CONF(pins, more)                                                                        \
	"{\"cniVersion\":\"1.1.0\",\"name\":\"net\",\"ipam\":{\"pins\":\"" pins                 \
	"\",\"run\":\"" NODE_RUN "\",\"daemon\":\"" NODE "/daemon\"},\"prevResult\":{\"ips\":[" \
	"{\"address\":\"%s\"}]},\"cni.dev/valid-attachments\":[{\"containerID\":"               \
	"\"container-1\",\"ifname\":\"eth0\"}]}"

struct phase {
	const char *command;
	enum cut_manager manager;
	bool unpinned; /* the plugin finds no programs */
	bool pod_ends; /* instead of a DEL */
	bool waits;    /* a second and more: points with the same left behind are one */
};

/* What is acknowledged: the address of a container; "": it holds none. */
static char resident[64], passing[64];

static char wrong[4096];

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
	size_t n = strlen(wrong);
	va_list args;

	va_start(args, format);
	vsnprintf(wrong + n, sizeof(wrong) - n, format, args);
	va_end(args);
	n = strlen(wrong);
	snprintf(wrong + n, sizeof(wrong) - n, "\n");
}

/* --- The manager ------------------------------------------------------------------------- */

static pid_t manager;

/* Whoever serves: one that a plugin has started, too.  0: nobody. */
static pid_t server(void)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	auto_close int fd = open(NODE_RUN "/lock", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fcntl(fd, F_GETLK, &all) || all.l_type == F_UNLCK)
		return 0;
	return all.l_pid;
}

static void kill_manager(void)
{
	pid_t pid = server();
	int status;

	if (pid > 0)
		kill(pid, SIGKILL);
	if (manager > 0) {
		kill(manager, SIGKILL);
		waitpid(manager, &status, 0);
	}
	manager = 0;
	if (!node_until(server() == 0))
		test_stop(T_FAIL, "the manager does not die");
}

static void set_manager(enum cut_manager to)
{
	if (to == CUT_DEAD)
		kill_manager();
	else if (to == CUT_STOPPED)
		kill(manager, SIGSTOP);
}

/* Of two that start at once one has the lock, and the other one is gone. */
static void have_manager(void)
{
	int status;

	if (manager > 0)
		kill(manager, SIGCONT);
	else if (!server())
		manager = node_start(NULL);
	if (!node_is_up(getpid()))
		complain("the manager does not come up again");
	if (manager > 0 && waitpid(manager, &status, WNOHANG) == manager)
		manager = 0;
}

/* --- The plugin ----------------------------------------------------------------------------- */

static struct node_pod pod;
static char netns[64];
static struct cni c;

static void start_pod(void)
{
	node_pod_start(&pod);
	snprintf(netns, sizeof(netns), "/proc/%d/ns/net", (int)pod.pid);
}

static const char *conf_of(bool unpinned, const char *address)
{
	static char text[1024];

	snprintf(text, sizeof(text), unpinned ? CONF(NODE_BPFFS "/none", "") : CONF(NODE_PINS, ""),
		 address);
	return text;
}

/* The exit code of one that nobody disturbs. */
static int call(const char *command, unsigned int number)
{
	cni_init(&c, command, number, netns, conf_of(false, resident));
	cni_run(&c);
	return c.code;
}

static void must_call(const char *command, unsigned int number)
{
	if (call(command, number))
		complain("%s of container-%u: exit %d: %s%s", command, number, c.code, c.out,
			 c.err);
}

/* The address in the result; false: there is none. */
static bool read_result(char ret[64])
{
	json_t *j = json_loads(c.out, 0, NULL);
	const char *text = json_string_value(
		json_object_get(json_array_get(json_object_get(j, "ips"), 0), "address"));

	snprintf(ret, 64, "%s", text ? text : "");
	json_decref(j);
	return *ret;
}

static bool is_error_object(void)
{
	json_t *j = json_loads(c.out, 0, NULL);
	bool is = json_is_integer(json_object_get(j, "code")) &&
		  json_is_string(json_object_get(j, "msg"));

	json_decref(j);
	return is;
}

static void add(unsigned int number, char ret[64])
{
	must_call("ADD", number);
	if (!read_result(ret))
		complain("ADD of container-%u has no address: %s", number, c.out);
}

/* --- The same, traced --------------------------------------------------------------------------
 */

static int files[3]; /* its standard ones: no pipes, the tracer lets calls on those alone */

static void exec_plugin(void)
{
	cni_exec(&c, files[0], files[1], files[2]);
}

static void open_files(void)
{
	for (int i = 0; i < 3; i++)
		files[i] = memfd_create("standard", MFD_CLOEXEC);
	CHECK(files[2] >= 0);
}

static void fill_files(void)
{
	ssize_t size = (ssize_t)strlen(c.conf);

	for (int i = 0; i < 3; i++)
		CHECK(!ftruncate(files[i], 0) && !lseek(files[i], 0, SEEK_SET));
	CHECK(pwrite(files[0], c.conf, (size_t)size, 0) == size);
}

static void read_files(void)
{
	ssize_t out = pread(files[1], c.out, sizeof(c.out) - 1, 0);
	ssize_t err = pread(files[2], c.err, sizeof(c.err) - 1, 0);

	CHECK(out >= 0 && err >= 0);
	c.out[out] = c.err[err] = '\0';
}

static bool never(void)
{
	return false;
}

static struct trace trace;

/* What became of it; c has what it said. */
static enum trace_end run_traced(const struct phase *p, unsigned int number, bool fails,
				 unsigned int point, unsigned int kind)
{
	enum trace_end end;

	trace = (struct trace){
		.fails = fails,
		.every = !p->waits,
		.point = point,
		.kind = kind,
		.begin = -1,
		.is_over = never,
	};
	cni_init(&c, p->command, number, netns, conf_of(p->unpinned, resident));
	fill_files();
	trace_exec(&trace, exec_plugin);
	end = trace_run(&trace, LIMIT_S);
	read_files();
	c.code = end == TRACE_ENDED && WIFEXITED(trace.status) ? WEXITSTATUS(trace.status) : -1;
	if (end == TRACE_STUCK) {
		complain("it hangs");
		kill(trace.pid, SIGKILL);
		waitpid(trace.pid, &trace.status, 0);
	} else if (end == TRACE_ENDED && c.code < 0) {
		complain("it died by signal %d", WTERMSIG(trace.status));
	}
	return end;
}

/* --- Whether everything is where it belongs -----------------------------------------------------
 */

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

/* The container of its record; "": it is not held, or by nobody who is known. */
static bool read_holder(const struct pin *pin, __u32 slot, struct ipamd_holder *ret)
{
	__u64 word = mem_load(&pin->words[slot]);

	return slot_state(word) == IPAMD_HELD && !pin_holder(pin, slot, word, ret);
}

/* How many slots are held, or being claimed. */
static unsigned int count_taken(const struct pin *pin)
{
	unsigned int n = 0;

	for (__u32 i = 0; i < pin->meta->slots; i++) {
		enum ipamd_state s = slot_state(mem_load(&pin->words[i]));

		n += s == IPAMD_HELD || s == IPAMD_CLAIMING;
	}
	return n;
}

/* Whether that container holds that address, and no other. */
static bool holds(const struct pin *pin, const char *container, const char *address)
{
	unsigned int n = 0;
	bool is_it = false;

	for (__u32 i = 0; i < pin->meta->slots; i++) {
		struct ipamd_address a;
		struct ipamd_holder h;
		char text[64];

		if (!read_holder(pin, i, &h) || strcmp(h.who.container, container))
			continue;
		if (pin_address(pin, i, &a))
			return false;
		snprintf(text, sizeof(text), "%u.%u.%u.%u/24", a.bytes[0], a.bytes[1], a.bytes[2],
			 a.bytes[3]);
		is_it |= !strcmp(text, address);
		n++;
	}
	return is_it && n == 1;
}

static void check_doubles(const struct pin *pin)
{
	static struct ipamd_address seen[IPAMD_SLOTS_MAX];
	unsigned int n = 0;

	for (__u32 i = 0; i < pin->meta->slots; i++) {
		if (slot_state(mem_load(&pin->words[i])) == IPAMD_EMPTY ||
		    pin_address(pin, i, &seen[n]))
			continue;
		for (unsigned int k = 0; k < n; k++)
			if (!memcmp(&seen[k], &seen[n], sizeof(seen[n])))
				complain("10.77.0.%u is in two slots", seen[n].bytes[3]);
		n++;
	}
}

static bool is_settled(const struct pin *pin)
{
	unsigned int taken = (*resident ? 1 : 0) + (*passing ? 1 : 0);

	return !notes() && count_taken(pin) == taken &&
	       node_number("/v1/status", "balance.holds") == 1;
}

static void check(void)
{
	auto_pin struct pin *pin = node_pins();

	if (!node_until(is_settled(pin)))
		complain("%u taken, %u notes, balance.holds %lld", count_taken(pin), notes(),
			 node_number("/v1/status", "balance.holds"));
	if (*resident && !holds(pin, "container-1", resident))
		complain("container-1 does not hold %s any more", resident);
	if (*passing && !holds(pin, "container-2", passing))
		complain("container-2 does not hold %s, which it was given", passing);
	check_doubles(pin);
}

/* --- The verbs ---------------------------------------------------------------------------------
 */

static bool is(const struct phase *p, const char *command)
{
	return !strcmp(p->command, command);
}

/* What is held was claimed some minutes ago: GC spares the young. */
static void age(void)
{
	auto_pin struct pin *pin = node_pins();

	for (__u32 i = 0; i < pin->meta->slots; i++) {
		struct ipamd_holder h;

		if (!read_holder(pin, i, &h) || h.claimed_at_ms < AGE_MS)
			continue;
		h.claimed_at_ms -= AGE_MS;
		if (bpf_map_update_elem(pin->map[PIN_HOLDERS], &i, &h, 0))
			complain("a record cannot be written");
	}
}

/* DEL and GC have something to release. */
static void prepare(const struct phase *p)
{
	if (is(p, "DEL") || is(p, "GC"))
		add(PASSING, passing);
	if (is(p, "GC"))
		age();
	if (p->pod_ends)
		start_pod();
}

/* Where programs and manager are away, and then the note fails, all that is left is to say so. */
static bool is_told(const struct phase *p)
{
	return p->unpinned && trace.hit && strstr(c.err, "could neither be carried out nor noted");
}

/* Who is told of an error has nothing; what a manager did for it meanwhile is the DEL's. */
static void check_empty(const struct phase *p)
{
	auto_pin struct pin *pin = node_pins();

	if (!p->unpinned && count_taken(pin) != 1)
		complain("it failed and %u are taken: %s%s", count_taken(pin), c.out, c.err);
}

/* An exit of its own. */
static void check_answer(const struct phase *p, bool fails)
{
	if (is(p, "DEL") && c.code)
		complain("DEL failed: %s%s", c.out, c.err);
	else if (c.code && (!fails || !trace.hit) && !p->unpinned)
		complain("nothing was done to it, and it failed: %s%s", c.out, c.err);
	else if (c.code && !is_error_object() && !(p->unpinned && trace.nr == SYS_write))
		complain("it failed without an error object: %s%s", c.out, c.err);
	if (is(p, "ADD") && c.code)
		check_empty(p);
	else if (is(p, "ADD") && !read_result(passing))
		complain("it has no address: %s", c.out);
}

/* What a runtime does about it: after an ADD that failed a DEL, the others again. */
static void answer_as_runtime(const struct phase *p, bool is_done)
{
	if (p->pod_ends) {
		node_pod_end(&pod);
		passing[0] = '\0';
	} else if (is(p, "ADD") && !is_done)
		must_call("DEL", PASSING);
	else if (is(p, "DEL") && (!is_done || is_told(p)))
		must_call("DEL", PASSING);
	else if (is(p, "GC") && !is_done)
		must_call("GC", 0);
	if (is(p, "DEL") || is(p, "GC"))
		passing[0] = '\0';
}

/* False: it was over before the point. */
static bool try_point(const struct phase *p, bool fails, unsigned int point, unsigned int kind)
{
	enum trace_end end;

	prepare(p);
	set_manager(p->manager);
	end = run_traced(p, is(p, "CHECK") ? RESIDENT : PASSING, fails, point, kind);
	if (end == TRACE_ENDED)
		check_answer(p, fails);
	have_manager();
	answer_as_runtime(p, end == TRACE_ENDED && !c.code);
	check();
	return trace.hit != 0;
}

static void clean_up(const struct phase *p)
{
	passing[0] = '\0';
	must_call("DEL", PASSING);
	if (is(p, "ADD"))
		check();
}

/* --- Points ------------------------------------------------------------------------------------
 */

static const char *const names[CUT_MANAGERS] = {"serves", "is dead", "is stopped"};

static bool report(const struct phase *p, bool fails, unsigned int kind)
{
	char *save = NULL;

	if (!*wrong && !getenv("POINT"))
		return true;
	printf("# %s%s, the manager %s, call %u, %s %s%s: POINT=%u:%u\n", p->command,
	       p->unpinned ? " without pins" : "", names[p->manager], trace.hit,
	       trace_name(trace.nr), fails ? "fails with " : "is not made",
	       fails ? strerrorname_np(trace.error) : "", trace.hit, kind);
	for (char *line = strtok_r(wrong, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		printf("#   %s\n", line);
	fflush(stdout);
	if (!*wrong)
		return true;
	wrong[0] = '\0';
	return false;
}

/* Where it waits the calls may be some more or less: the end must be seen twice. */
static void run_phase(const struct phase *p, bool fails)
{
	unsigned int point = 1, kind = 0, last = ~0U, misses = 0, tried = 0, bad = 0;
	uint64_t began = clock_boot_ns();
	const char *only = getenv("POINT");

	if (only && sscanf(only, "%u:%u", &point, &kind) > 0)
		last = point;
	while (misses < 2 && point <= last && bad < 10) {
		bool hit = try_point(p, fails, point, kind);

		clean_up(p);
		bad += !report(p, fails, kind);
		tried += hit;
		misses = hit ? 0 : misses + 1;
		if (hit && fails && !only && ++kind < trace.kinds) {
			point = trace.hit;
			continue;
		}
		kind = 0;
		point = hit ? trace.hit + 1 : point + 1;
	}
	printf("# %s%s, the manager %s: %u points, %u of its own calls, in %llu ms, %u bad\n",
	       p->command, p->unpinned ? " without pins" : "", names[p->manager], tried,
	       trace.calls, (unsigned long long)(clock_boot_ns() - began) / 1000000, bad);
	CHECK(!bad);
	CHECK(tried > (only ? 0 : 5));
}

/* --- The world ---------------------------------------------------------------------------------
 */

/* What it starts is this node's. */
static void write_daemon(void)
{
	char here[512];
	FILE *f = fopen(NODE "/daemon", "w");

	CHECK(f && getcwd(here, sizeof(here)));
	fprintf(f,
		"#!/bin/sh\ncd %s && exec %s/userspace/ipamd -c " NODE_CONF " \"$@\" >>" NODE_LOG
		" 2>&1\n",
		here, getenv("O") ? getenv("O") : "build");
	CHECK(!fclose(f) && !chmod(NODE "/daemon", 0700));
}

/* Who cannot read its configuration looks where pins are by default. */
static void bind_default_pins(void)
{
	CHECK(!mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=700"));
	CHECK(!mkdir("/sys/fs/bpf/ipamd", 0700));
	CHECK(!mount(NODE_PINS, "/sys/fs/bpf/ipamd", NULL, MS_BIND, NULL));
}

static void make_world(bool has_daemon)
{
	node_make();
	node_configure("[pool default]\nsubnet = 10.77.0.0/24\ngateway = 10.77.0.1\n"
		       "cooldown = 1s\nlow = 40\nhigh = 80\n");
	if (has_daemon)
		write_daemon();
	manager = node_up();
	bind_default_pins();
	start_pod();
	open_files();
	add(RESIDENT, resident);
	check();
	if (*wrong)
		test_stop(T_FAIL, "before any point: %s", wrong);
}

void cut_verb(const char *command, enum cut_manager from, enum cut_manager to, bool fails)
{
	make_world(false);
	for (int m = from; m <= (int)to; m++)
		run_phase(&(struct phase){.command = command, .manager = (enum cut_manager)m},
			  fails);
	kill_manager();
}

void cut_unpinned(const char *command, enum cut_manager m, bool fails)
{
	make_world(m == CUT_DEAD && !strcmp(command, "ADD"));
	run_phase(&(struct phase){.command = command,
				  .manager = m,
				  .unpinned = true,
				  .waits = m == CUT_STOPPED},
		  fails);
	kill_manager();
}

void cut_pod(void)
{
	make_world(false);
	run_phase(&(struct phase){.command = "ADD", .pod_ends = true}, false);
	kill_manager();
}

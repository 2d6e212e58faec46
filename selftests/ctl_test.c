// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The real ipamctl on a node of its own, as people and scripts meet it: what it
 * prints, with which exit status, with the manager and without.
 */
#include "selftests/harness.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <sys/stat.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bpf/slot.h"
#include "selftests/node.h"
#include "userspace/base/cleanup.h"

enum {
	OK = 0,
	FAILED = 1,
	USAGE = 2,
	NO_MANAGER = 3,
	NOT_FOUND = 4,
	NO_PERMISSION = 5,
	REFUSED = 7
};

#define BIN NODE "/bin"

/* Five addresses, all of them in stock. */
#define SMALL                                                                             \
	"[pool default]\nsubnet = 10.77.0.0/29\ngateway = 10.77.0.1\nlow = 5\nhigh = 5\n" \
	"cooldown = 60s\n[pool web]\nsubnet = 10.9.0.0/30\nlow = 1\nhigh = 1\n"

static char out[1 << 20], err[1 << 16];

static void slurp(const char *path, char *to, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(to, 1, size - 1, f) : 0;

	to[n] = '\0';
	if (f)
		fclose(f);
}

/* A command for the shell, in which `ipamctl` is ours on this node; stdout and stderr in out, err.
 */
static int sh(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int sh(const char *format, ...)
{
	char command[4096];
	va_list args;
	int status, n;

	n = snprintf(command, sizeof(command), "PATH=" BIN ":$PATH; (");
	va_start(args, format);
	n += vsnprintf(command + n, sizeof(command) - (size_t)n, format, args);
	va_end(args);
	snprintf(command + n, sizeof(command) - (size_t)n, ") >" NODE "/out 2>" NODE "/err");
	fflush(stdout);
	status = system(command);
	slurp(NODE "/out", out, sizeof(out));
	slurp(NODE "/err", err, sizeof(err));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define CHECK_SH(code, ...)                                                                      \
	do {                                                                                     \
		int r_ = sh(__VA_ARGS__);                                                        \
		if (r_ != (code))                                                                \
			test_stop(T_FAIL, "%s: exit %d, not %d; out: %s; err: %s", #__VA_ARGS__, \
				  r_, code, out, err);                                           \
	} while (0)

static void check_has(const char *text, const char *what)
{
	if (!strstr(text, what))
		test_stop(T_FAIL, "\"%s\" is not in \"%s\"", what, text);
}

/* What differs from run to run becomes a letter, and blanks in a row one. */
static void normalize(char *text)
{
	static const struct {
		const char *pattern, *with;
	} rules[] = {
		{"pid [0-9]+", "pid N"},
		{"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}", "D"},
		{"\\b[0-9]+(\\.[0-9])?[smhd]( [0-9]+[smhd])?", "T"},
		{"idle for [0-9]+ s", "idle for T"},
		{"ready in [0-9.]+ s", "ready in T"},
		{"  +", " "},
		{" +\n", "\n"},
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		static char next[sizeof(out)];
		const char *from = text;
		regmatch_t m;
		regex_t re;
		size_t n = 0;

		CHECK_EQ(regcomp(&re, rules[i].pattern, REG_EXTENDED), 0);
		while (!regexec(&re, from, 1, &m, from == text ? 0 : REG_NOTBOL)) {
			n += (size_t)snprintf(next + n, sizeof(next) - n, "%.*s%s", (int)m.rm_so,
					      from, rules[i].with);
			from += m.rm_eo;
		}
		snprintf(next + n, sizeof(next) - n, "%s", from);
		strcpy(text, next);
		regfree(&re);
	}
}

static void check_is(const char *expected)
{
	if (strcmp(out, expected))
		test_stop(T_FAIL, "printed:\n%s\nexpected:\n%s", out, expected);
}

static void check_golden(const char *expected)
{
	normalize(out);
	check_is(expected);
}

/* The node, and `ipamctl` in the PATH that finds it. */
static void make_node(void)
{
	const char *o = getenv("O");
	char here[512];

	CHECK(getcwd(here, sizeof(here)) != NULL);
	node_make();
	node_configure(SMALL);
	CHECK_EQ(mkdir(BIN, 0755), 0);
	CHECK_SH(0,
		 "case %1$s in /*) p=%1$s ;; *) p=%2$s/%1$s ;; esac; "
		 "cp $p/userspace/ctl/ipamctl " BIN "/real; "
		 "printf '#!/bin/sh\\nexec " BIN "/real --run " NODE_RUN " --pins " NODE_PINS
		 " \"$@\"\\n' >" BIN "/ipamctl; chmod 755 " BIN "/ipamctl",
		 o ? o : "build", here);
}

static pid_t make_manager(void)
{
	pid_t pid;

	make_node();
	pid = node_up();
	CHECK(node_until(node_number("/v1/status", "balance.ready") == 6));
	return pid;
}

/* --- What is printed ---------------------------------------------------------------------- */

TEST(status_is_a_head_and_a_line_for_each_pool)
{
	pid_t pid = make_manager();

	CHECK_EQ(node_claim(1, "web-1", NULL), IPAMD_OK);
	CHECK(node_until(node_number("/v1/status", "pools.0.held") == 1));
	CHECK_SH(OK, "ipamctl status | tail -n +5");
	check_is(
		"\n"
		"POOL     IP  STATE  READY  COOLING  HELD  LEAVING  QUARANTINE  COOLDOWN  LOW  HIGH"
		"  SIZE\n"
		"default  v4  open       4        0     1        0           0        1m    5     5"
		"     5\n"
		"web      v4  open       1        0     0        0           0       30s    1     1"
		"     2\n");
	CHECK_SH(OK, "ipamctl status | head -4");
	CHECK_EQ(err[0], '\0');
	check_golden("manager pid N, up T\n"
		     "slots 6 of 256 used, pinned at " NODE_PINS "\n"
		     "database ok\n"
		     "balance 6 addresses = 5 ready + 1 held\n");
	node_end(pid, SIGTERM);
}

TEST(show_lists_the_addresses_in_order_and_filters_them)
{
	pid_t pid = make_manager();

	CHECK_EQ(node_claim(1, "web-1", NULL), IPAMD_OK);
	CHECK_EQ(node_claim(2, NULL, NULL), IPAMD_OK);
	CHECK_EQ(node_release(2), IPAMD_OK);
	CHECK_SH(OK, "ipamctl fix 10.77.0.6 default/db-0");
	CHECK(node_until(node_number("/v1/status", "pools.0.held") == 1));
	CHECK_SH(OK, "ipamctl show");
	check_golden("ADDRESS POOL STATE FOR CLAIMS HOLDER FIXED FOR\n"
		     "10.9.0.1 web ready T 0 - -\n"
		     "10.77.0.2 default held T 1 default/web-1 -\n"
		     "10.77.0.3 default cooling T left 1 - -\n"
		     "10.77.0.4 default ready T 0 - -\n"
		     "10.77.0.5 default ready T 0 - -\n"
		     "10.77.0.6 default ready T 0 - default/db-0\n");
	CHECK_SH(OK, "ipamctl show --pool=web --state ready | wc -l");
	CHECK_EQ(atoi(out), 2);
	CHECK_SH(OK, "ipamctl show --state leaving");
	check_has(err, "no such address");
	CHECK_EQ(out[0], '\0');
	node_end(pid, SIGTERM);
}

TEST(explain_and_history_tell_the_story_of_an_address)
{
	pid_t pid = make_manager();

	CHECK_EQ(node_claim(1, "web-1", NULL), IPAMD_OK);
	CHECK_SH(OK, "ipamctl explain default/web-1");
	check_golden(
		"10.77.0.2, pool default: held\n"
		" held by default/web-1 (container container-1, interface eth0, network net)\n"
		" its namespace has no id here: only its DEL, or weak evidence, can free it\n");
	CHECK_SH(OK, "ipamctl explain contain");
	check_has(out, "10.77.0.2");
	CHECK_EQ(node_release(1), IPAMD_OK);
	CHECK(node_until(node_number("/v1/status", "pools.0.cooling") == 1));
	CHECK_SH(OK, "ipamctl history 10.77.0.2");
	check_golden("FROM TO UNSEEN POD HOLDER END\n"
		     "D D 0 default/web-1 net/container-1/eth0 released\n");
	CHECK_SH(OK, "ipamctl explain 10.77.0.2");
	check_golden("10.77.0.2, pool default: cooling\n"
		     " cooling down, ready in T\n"
		     " last held by default/web-1 (container container-1)\n");
	CHECK_SH(OK, "ipamctl explain 10.1.1.1");
	check_has(out, "no pool of this node hands it out");
	CHECK_SH(OK, "ipamctl explain 10.77.0.1");
	check_has(out, "the gateway of pool default: given to no pod");
	node_end(pid, SIGTERM);
}

TEST(every_json_is_one_object_on_one_line)
{
	static const char *const commands[] = {
		"status",
		"show",
		"show --state held",
		"explain 10.77.0.2",
		"history 10.77.0.2",
		"check",
		"drain web",
		"drain web --off",
		"fix 10.77.0.6 default/db-0",
		"unfix 10.77.0.6",
		"reload",
		"reclaim 10.77.0.2",
	};
	pid_t pid = make_manager();

	CHECK_EQ(node_claim(1, "web-1", NULL), IPAMD_OK);
	CHECK(node_until(sh("ipamctl history 10.77.0.2") == OK));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		CHECK_SH(OK, "ipamctl -o json %s", commands[i]);
		CHECK(strchr(out, '\n') == out + strlen(out) - 1);
		CHECK_SH(OK, "ipamctl %s -ojson | jq -e 'type == \"object\"'", commands[i]);
		if (!strncmp(commands[i], "unfix", 5) || !strncmp(commands[i], "reload", 6))
			continue;
	}
	node_end(pid, SIGTERM);
}

/* --- Changing ------------------------------------------------------------------------------- */

TEST(what_is_changed_has_its_effect)
{
	struct ipamd_request req;
	struct node_pod pod;
	pid_t pid = make_manager();

	CHECK_SH(OK, "ipamctl fix 10.77.0.6 default/db-0");
	CHECK_EQ(node_claim(1, "db-0", &req), IPAMD_OK);
	CHECK_EQ(req.lease[0].address[3], 6);
	CHECK_SH(REFUSED, "ipamctl fix 10.77.0.6 default/db-1");
	check_has(err, "it is fixed for default/db-0 already");
	CHECK_SH(OK, "ipamctl unfix 10.77.0.6");
	CHECK_SH(REFUSED, "ipamctl unfix 10.77.0.6");
	CHECK_SH(OK, "ipamctl drain default");
	CHECK(node_claim(2, NULL, NULL) != IPAMD_OK);
	CHECK_SH(OK, "ipamctl drain --off default");
	CHECK(node_until(node_claim(2, NULL, NULL) == IPAMD_OK));
	node_pod_start(&pod);
	CHECK(node_until(node_pod_claim(&pod, 3, &req) == IPAMD_OK));
	CHECK_SH(REFUSED, "ipamctl reclaim 10.77.0.%d", req.lease[0].address[3]);
	check_has(err, "the namespace of default/web lives");
	CHECK_SH(OK, "ipamctl reclaim --force 10.77.0.%d", req.lease[0].address[3]);
	CHECK_SH(OK, "ipamctl explain 10.77.0.%d", req.lease[0].address[3]);
	check_has(out, "cooling");
	CHECK_SH(REFUSED, "ipamctl reclaim 10.77.0.%d", req.lease[0].address[3]);
	node_configure("[pool default]\nsubnet = 10.77.0.0/33\n");
	CHECK_SH(REFUSED, "ipamctl reload");
	check_has(err, "the configuration stays as it was");
	node_configure(SMALL "[pool more]\nsubnet = 10.79.0.0/29\n");
	CHECK_SH(OK, "ipamctl reload");
	CHECK(node_until(sh("ipamctl status | grep -q '^more '") == OK));
	node_pod_end(&pod);
	node_end(pid, SIGTERM);
}

/* --- Exit status ------------------------------------------------------------------------------ */

TEST(mistakes_on_the_command_line_are_2_and_say_how_it_is_done)
{
	static const char *const mistakes[] = {
		"",
		"nix",
		"--nix status",
		"-x",
		"status more",
		"status --pool x",
		"show --state nix",
		"show --pool",
		"-o yaml status",
		"-o",
		"status --help=1",
		"explain",
		"history 10.0.0",
		"history",
		"reclaim x",
		"fix 10.77.0.6",
		"fix 10.77.0.6 db-0",
		"fix x default/db-0",
		"fix 10.77.0.6 /db-0",
		"unfix y",
		"drain",
		"completion tcsh",
		"completion",
	};

	make_node();
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		CHECK_SH(USAGE, "ipamctl %s", mistakes[i]);
		check_has(err, "usage: ipamctl");
		CHECK_EQ(out[0], '\0');
	}
}

TEST(what_is_not_there_is_4)
{
	pid_t pid = make_manager();

	CHECK_SH(NOT_FOUND, "ipamctl explain default/nobody");
	CHECK_SH(NOT_FOUND, "ipamctl explain 'a b/%%?&=#'");
	CHECK_SH(NOT_FOUND, "ipamctl history 10.77.0.99");
	CHECK_SH(NOT_FOUND, "ipamctl show --pool nix");
	CHECK_SH(NOT_FOUND, "ipamctl drain nix");
	CHECK_SH(NOT_FOUND, "ipamctl reclaim 10.99.0.1");
	CHECK_EQ(out[0], '\0');
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	CHECK_SH(NOT_FOUND, "ipamctl explain default/nobody");
	CHECK_SH(NOT_FOUND, "ipamctl show --pool nix");
}

TEST(who_is_not_root_gets_5)
{
	pid_t pid = make_manager();

	CHECK_SH(NO_PERMISSION,
		 "setpriv --reuid 65534 --regid 65534 --clear-groups " BIN "/ipamctl status");
	check_has(err, "only root may ask");
	CHECK_SH(NO_PERMISSION,
		 "setpriv --reuid 65534 --regid 65534 --clear-groups " BIN "/ipamctl reload");
	CHECK_SH(NO_PERMISSION, "setpriv --reuid 65534 --regid 65534 --clear-groups " BIN
				"/real --run /nowhere --pins " NODE_PINS " status");
	node_end(pid, SIGTERM);
}

TEST(a_full_disk_behind_stdout_is_no_success)
{
	pid_t pid = make_manager();

	CHECK_SH(FAILED, "ipamctl status >/dev/full");
	CHECK_SH(FAILED, "ipamctl --help >/dev/full");
	CHECK_SH(FAILED, "ipamctl -o json show >/dev/full");
	node_end(pid, SIGTERM);
}

/* --- Without a manager --------------------------------------------------------------------------
 */

static const char *const says_so = "the manager does not answer: shown from the kernel's maps";

TEST(a_dead_manager_leaves_the_reading_commands)
{
	pid_t pid = make_manager();

	CHECK_EQ(node_claim(1, "web-1", NULL), IPAMD_OK);
	CHECK_SH(OK, "ipamctl show | cut -c 1-27");
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	CHECK_SH(OK, "ipamctl status");
	check_has(err, says_so);
	check_golden("manager silent for T\n"
		     "slots 6 of 256 used, pinned at " NODE_PINS "\n"
		     "balance 6 addresses = 5 ready + 1 held\n"
		     "\n"
		     "POOL IP STATE READY COOLING HELD LEAVING QUARANTINE COOLDOWN\n"
		     "default v4 open 4 0 1 0 0 T\n"
		     "web v4 open 1 0 0 0 0 T\n");
	CHECK_SH(OK, "ipamctl show --state held");
	check_has(err, says_so);
	check_golden("ADDRESS POOL STATE FOR CLAIMS HOLDER FIXED FOR\n"
		     "10.77.0.2 default held T 1 default/web-1 -\n");
	CHECK_SH(OK, "ipamctl explain default/web-1");
	check_golden("10.77.0.2, pool default: held\n"
		     " held by default/web-1 (container container-1, interface eth0, network "
		     "net)\n");
	CHECK_SH(OK, "ipamctl explain 10.77.0.2");
	CHECK_SH(OK, "ipamctl explain container-1");
	CHECK_SH(OK, "ipamctl check");
	check_has(out, "by the maps alone");
	CHECK_SH(OK,
		 "ipamctl -o json show | jq -e '.from == \"maps\" and (.addresses | length) == 6'");
	CHECK_SH(OK, "ipamctl -o json check | jq -e .holds");
}

TEST(a_dead_manager_cannot_be_told_to_do_anything)
{
	pid_t pid = make_manager();

	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	CHECK_SH(NO_MANAGER, "ipamctl reload");
	check_has(err, "start the manager");
	CHECK_SH(NO_MANAGER, "ipamctl drain web");
	CHECK_SH(NO_MANAGER, "ipamctl reclaim 10.77.0.2");
	CHECK_SH(NO_MANAGER, "ipamctl fix 10.77.0.2 a/b");
	CHECK_SH(NO_MANAGER, "ipamctl unfix 10.77.0.2");
	CHECK_SH(NO_MANAGER, "ipamctl history 10.77.0.2");
	CHECK_SH(NO_MANAGER, BIN "/real --run /nowhere --pins " NODE "/bpf/nothing status");
	check_has(err, "name its directories with --run and --pins");
}

TEST(a_manager_that_hangs_is_given_up)
{
	pid_t pid = make_manager();

	kill(pid, SIGSTOP);
	CHECK_SH(OK, "ipamctl status");
	check_has(err, says_so);
	CHECK_SH(NO_MANAGER, "ipamctl history 10.77.0.2");
	check_has(err, "does not answer");
	kill(pid, SIGCONT);
	CHECK(node_until(sh("ipamctl reload") == OK));
	node_end(pid, SIGTERM);
}

/* Answers each connection with the text, as the user. */
static pid_t start_impostor(uid_t user, const char *text)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = NODE_RUN "/admin.sock"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), c;
	pid_t pid;

	unlink(at.sun_path);
	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid) {
		close(fd);
		CHECK(node_until(!access(at.sun_path, F_OK)));
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Whose socket it is, is who called listen(). */
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || (user && setresuid(user, user, user)) ||
	    listen(fd, 8))
		_exit(1);
	for (;;) {
		c = accept(fd, NULL, NULL);
		if (c < 0 || write(c, text, strlen(text)) < 0 || shutdown(c, SHUT_WR))
			_exit(1);
		while (read(c, out, sizeof(out)) > 0)
			;
		close(c);
	}
}

TEST(who_is_not_the_manager_is_not_believed)
{
	static const char good[] = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n"
				   "{\"holds\": [3]}";
	static const char *const bad[] = {
		"",
		"SSH-2.0-OpenSSH\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"holds\": [3]}",
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1,2]",
		"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"a\": 1,",
	};
	pid_t pid = make_manager(), impostor;

	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	impostor = start_impostor(0, good);
	CHECK_SH(OK, "ipamctl history 10.77.0.2"); /* the control: root would be believed */
	node_end(impostor, SIGKILL);
	impostor = start_impostor(65534, good);
	CHECK_SH(FAILED, "ipamctl history 10.77.0.2");
	check_has(err, "is not root");
	node_end(impostor, SIGKILL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		impostor = start_impostor(0, bad[i]);
		CHECK_SH(FAILED, "ipamctl history 10.77.0.2");
		node_end(impostor, SIGKILL);
	}
}

/* --- The balance -------------------------------------------------------------------------------
 */

TEST(check_finds_what_does_not_hold)
{
	auto_pin struct pin *pin = NULL;
	struct ipamd_request req;
	struct ipamd_address a;
	pid_t pid = make_manager();

	CHECK_EQ(node_claim(1, "web-1", &req), IPAMD_OK);
	CHECK_SH(OK, "ipamctl check");
	check_golden("the balance holds: 6 slots in use = 5 ready + 0 cooling + 1 held + 0 leaving"
		     " + 0 in quarantine\n");
	pin = node_pins();
	CHECK_EQ(bpf_map_delete_elem(pin->map[PIN_BY_HOLDER], &req.who.id), 0);
	CHECK_EQ(pin_address(pin, req.lease[0].slot == 3 ? 2 : 3, &a), 0);
	CHECK_EQ(pin_name_delete(pin, &a.key), 0);
	CHECK_SH(FAILED, "ipamctl check");
	check_has(out, "is held by default/web-1, but by_holder does not say so");
	check_has(out, "but its name leads elsewhere");
	check_has(out, "the balance does not hold");
	CHECK_SH(FAILED, "ipamctl -o json check");
	check_has(out, "\"holds\":false");
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	CHECK_SH(FAILED, "ipamctl check");
	check_has(out, "but by_holder does not say so");
}

TEST(everything_agrees_while_a_pool_is_removed_in_which_an_address_is_fixed)
{
	pid_t pid = make_manager();

	CHECK_SH(OK, "ipamctl fix 10.9.0.2 default/db-0");
	CHECK_EQ(node_claim(1, "db-0", NULL), IPAMD_OK);
	node_configure("[pool default]\nsubnet = 10.77.0.0/29\nlow = 1\nhigh = 5\n");
	CHECK_SH(OK, "ipamctl reload");
	CHECK(node_until(sh("ipamctl show --pool web | grep -q 10.9.0.1") != OK));
	CHECK_SH(OK, "ipamctl check");
	CHECK_EQ(node_release(1), IPAMD_OK);
	CHECK_SH(OK, "ipamctl check");
	CHECK(node_until(sh("ipamctl status | grep -q '^web '") != OK));
	CHECK_SH(OK, "ipamctl check");
	node_end(pid, SIGTERM);
}

/* What the manager would say, were it wrong: one object that answers both questions. */
TEST(check_finds_rows_that_are_not_what_the_slots_are)
{
	static const char body[] =
		"{\"pins\": \"" NODE_PINS "\", \"pins_current\": true, \"database\": \"failing\","
		" \"balance\": {\"holds\": true}, \"addresses\": ["
		"{\"address\": \"10.77.0.2\", \"slot\": 0, \"row\": \"leaving\"},"
		"{\"address\": \"10.77.0.3\", \"slot\": 0, \"row\": \"stock\"},"
		"{\"address\": \"10.77.0.4\", \"state\": \"waiting\"}]}";
	pid_t pid = make_manager(), impostor;
	char text[1024];

	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
	impostor = start_impostor(0, text);
	CHECK_SH(FAILED, "ipamctl check");
	check_has(out, "10.77.0.2: slot 0 is ready, its row says leaving");
	check_has(out, "10.77.0.3: the manager says slot 0, the kernel does not");
	check_has(out, "10.77.0.4: in slot 2, but the manager says in none");
	check_has(out, "10.77.0.5: in slot 3, but the manager does not know it");
	check_has(out, "the database cannot be written to");
	CHECK(!strstr(out, "sum"));
	node_end(impostor, SIGKILL);
}

/* --- Eyes and pipes ------------------------------------------------------------------------------
 */

/* What a terminal is sent by it. */
static void on_terminal(const char *command)
{
	size_t n = 0;
	ssize_t k;
	pid_t pid;
	int fd;

	fflush(stdout);
	pid = forkpty(&fd, NULL, NULL, NULL);
	CHECK(pid >= 0);
	if (!pid) {
		setenv("TERM", "xterm", 1);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	while ((k = read(fd, out + n, sizeof(out) - n - 1)) > 0)
		n += (size_t)k;
	out[n] = '\0';
	close(fd);
	CHECK_EQ(node_wait(pid, 10), 0);
}

TEST(colours_are_for_terminals_that_want_them)
{
	pid_t pid = make_manager();

	unsetenv("NO_COLOR");
	CHECK_SH(OK, "TERM=xterm ipamctl status");
	CHECK(!strchr(out, '\033'));
	on_terminal(BIN "/ipamctl status");
	CHECK(strchr(out, '\033') != NULL);
	on_terminal("NO_COLOR=1 " BIN "/ipamctl status");
	check_has(out, "default");
	CHECK(!strchr(out, '\033'));
	on_terminal("TERM=dumb " BIN "/ipamctl check");
	CHECK(!strchr(out, '\033'));
	node_end(pid, SIGTERM);
}

TEST(what_a_name_holds_does_not_reach_the_terminal)
{
	pid_t pid = make_manager();

	CHECK_EQ(node_claim(1, "\033]0;evil\a\n\xc2\x9b", NULL), IPAMD_OK);
	CHECK_SH(OK, "ipamctl show; ipamctl explain 10.77.0.2; ipamctl -o json show");
	CHECK(!strpbrk(out, "\033\a") && !strstr(out, "\xc2\x9b"));
	check_has(out, "evil");
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	CHECK_SH(OK, "ipamctl show; ipamctl explain 10.77.0.2; ipamctl -o json show");
	CHECK(!strpbrk(out, "\033\a") && !strstr(out, "\xc2\x9b"));
}

static int count_looks(void)
{
	int n = 0;

	slurp(NODE "/watched", out, sizeof(out));
	for (const char *at = out; (at = strstr(at, "--- ")); at++)
		n++;
	return n;
}

TEST(watch_appends_when_something_changed)
{
	pid_t pid = make_manager(), watcher;
	int fd = open(NODE "/watched", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	fflush(stdout);
	watcher = fork();
	CHECK(watcher >= 0);
	if (!watcher) {
		dup2(fd, 1);
		execl(BIN "/ipamctl", "ipamctl", "watch", NULL);
		_exit(127);
	}
	CHECK(node_until(count_looks() == 1));
	CHECK_EQ(node_claim(1, "web-1", NULL), IPAMD_OK);
	CHECK(node_until(count_looks() >= 2 && strstr(out, "+ 1 held")));
	CHECK(!strchr(out, '\033'));
	CHECK(WIFSIGNALED(node_end(watcher, SIGINT)));
	node_end(pid, SIGTERM);
}

/* --- Help and completions
 * ------------------------------------------------------------------------- */

static int has(const char *program)
{
	return sh("command -v %s", program) == 0;
}

TEST(each_command_has_help_and_the_table_is_whole)
{
	char commands[2048], *save = NULL;

	make_node();
	CHECK_SH(OK, "ipamctl --help");
	check_has(out, "Exit status: 0 ok, 1 failed");
	CHECK_SH(OK, "ipamctl -V");
	CHECK_EQ(strncmp(out, "ipamctl ", 8), 0);
	CHECK_SH(OK, "ipamctl --help | sed -n '/^Commands:/,/^$/s/^  \\([a-z]*\\).*/\\1/p'");
	snprintf(commands, sizeof(commands), "%.2000s", out);
	check_has(commands, "watch");
	for (char *c = strtok_r(commands, "\n", &save); c; c = strtok_r(NULL, "\n", &save)) {
		CHECK_SH(OK, "ipamctl %s --help", c);
		check_has(out, "usage: ipamctl ");
		CHECK_SH(OK, "ipamctl -h %s", c);
	}
}

TEST(bash_completes_commands_options_pools_and_addresses)
{
	static const struct {
		const char *words, *reply;
	} cases[] = {
		{"s", "status show"},
		{"show --state c", "cooling claiming"},
		{"--run /x show --p", "--pool --pins"},
		{"drain w", "web"},
		{"history 10.9", "10.9.0.1"},
		{"-o j", "json"},
		{"completion z", "zsh"},
		{"status \"\"", ""},
	};
	pid_t pid = make_manager();

	if (!has("bash"))
		SKIP("no bash");
	CHECK_SH(OK, "ipamctl completion bash >" NODE "/complete && bash -n " NODE "/complete");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_SH(OK,
			 "bash -c '. " NODE "/complete; COMP_WORDS=(ipamctl %s); "
			 "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _ipamctl; echo ${COMPREPLY[@]}'",
			 cases[i].words);
		out[strcspn(out, "\n")] = '\0';
		if (strcmp(out, cases[i].reply))
			test_stop(T_FAIL, "%s: %s, not %s; %s", cases[i].words, out, cases[i].reply,
				  err);
	}
	node_end(pid, SIGTERM);
}

TEST(zsh_takes_its_completions)
{
	make_node();
	if (!has("zsh"))
		SKIP("no zsh");
	CHECK_SH(OK, "ipamctl completion zsh >" BIN "/_ipamctl && zsh -n " BIN "/_ipamctl");
	CHECK_SH(OK, "zsh -fc 'autoload -U compinit && compinit -D -u && . " BIN
		     "/_ipamctl && echo $_comps[ipamctl]'");
	CHECK_EQ(strcmp(out, "_ipamctl\n"), 0);
	CHECK_EQ(err[0], '\0');
}

TEST(fish_completes_commands_pools_and_addresses)
{
	pid_t pid = make_manager();

	if (!has("fish"))
		SKIP("no fish");
	setenv("HOME", NODE, 1);
	CHECK_SH(OK, "ipamctl completion fish >" NODE "/complete && fish -n " NODE "/complete");
	CHECK_SH(OK, "fish -c 'source " NODE "/complete; complete -C \"ipamctl st\"' | cut -f 1");
	check_has(out, "status\n");
	CHECK_SH(OK, "fish -c 'source " NODE "/complete; complete -C \"ipamctl drain w\"'");
	check_has(out, "web");
	CHECK_SH(OK, "fish -c 'source " NODE "/complete; complete -C \"ipamctl history 10.9\"'");
	check_has(out, "10.9.0.1");
	node_end(pid, SIGTERM);
}

TEST_MAIN

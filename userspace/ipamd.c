// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The manager of a node's addresses.
 *
 *   what happens                        who looks              what then
 *   ----------------------------------  ---------------------  ---------------------
 *   a second went by                    turn_timer             a turn
 *   the stock fell to the low mark      wake (ring of events)  a turn
 *   a namespace died                    deaths (netlink)       reclaim, a turn
 *   somebody found nothing in stock     slow_socket            claim for him, a turn
 *   ipamctl asks                        admin_socket           an answer, maybe a turn
 *   SIGHUP                                                     read the files again
 *   SIGTERM, SIGINT                                            a last turn, and stop
 *
 * A turn writes down what the pods did, reclaims, drains and fills, and serves who
 * waits.  When the manager is not there, claims, releases and cooldowns go on: the
 * maps serve, and the first turn of the next one catches up.
 */
#include "userspace/ipamd.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "userspace/base/caps.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"
#include "userspace/base/lock.h"
#include "userspace/base/notify.h"
#include "userspace/base/rundir.h"

enum { EXIT_USAGE = 2, EXIT_CONFIG = 78, TAKE_OVER_MS = 5000, CHECK_MS = 10000 };

static struct manager manager;

static const char usage[] =
	"usage: ipamd [-n] [-c FILE] [--idle-exit SECONDS] [-v]\n"
	"       ipamd -h | -V\n"
	"\n"
	"  -c, --config FILE        read FILE and FILE.d/*.conf; default /etc/ipamd/ipamd.conf\n"
	"  -n, --dry-run            print the configuration as it was understood, and exit\n"
	"      --idle-exit SECONDS  serve as long as somebody asks, then leave\n"
	"  -v, --verbose            say more\n"
	"  -h, --help               this text\n"
	"  -V, --version            the version\n"
	"\n"
	"Exit status: 0 stopped as asked, 1 failed, 2 usage, 78 configuration.\n";

struct options {
	const char *config;
	unsigned int idle_exit_s;
	bool dry_run;
};

/* --- The turn ------------------------------------------------------------------------ */

/* Somebody may have mounted over the pins, or removed them: plugins then see other maps. */
static void check_pins(struct manager *m)
{
	uint64_t now = now_ms();
	int r;

	if (now < m->check_at_ms)
		return;
	m->check_at_ms = now + CHECK_MS;
	r = pin_check(m->pin, m->config.pins);
	if (r && !m->pins_gone)
		log_say(LOG_ERROR,
			"%s: what is pinned there is not what ipamd serves (%s); if something was "
			"mounted over it or removed, restart ipamd",
			m->config.pins, pin_explain(r));
	else if (!r && m->pins_gone)
		log_say(LOG_NOTICE, "%s: the pins are back", m->config.pins);
	m->pins_gone = r != 0;
}

static void beat(struct manager *m)
{
	uint64_t now = now_ms();

	mem_store(&m->pin->meta->heartbeat_ms, now);
	if (m->watchdog_ms && now >= m->watchdog_at_ms) {
		notify_send("WATCHDOG=1");
		m->watchdog_at_ms = now + m->watchdog_ms;
	}
}

static void turn(void *ctx)
{
	struct manager *m = ctx;

	m->counters.turns++;
	loop_arm(m->turn_timer, TURN_MS);
	recover_again(m);
	notes_turn(m);
	rows_turn(m);
	zombie_turn(m);
	slow_count(m);
	stock_turn(m);
	slow_turn(m);
	rows_idle(m);
	check_pins(m);
	beat(m);
	if (m->idle_exit_s && slow_is_idle(m) &&
	    now_ms() - m->last_use_ms > m->idle_exit_s * 1000ULL) {
		log_say(LOG_INFO, "nobody asked for %u s: leaving", m->idle_exit_s);
		loop_stop(m->loop, 0);
	}
}

void manager_soon(struct manager *m)
{
	loop_arm(m->turn_timer, 0);
}

/* --- Events ---------------------------------------------------------------------------- */

static void on_wake(void *ctx)
{
	struct manager *m = ctx;

	pin_wake_read(m->pin);
	turn(m);
}

static void on_deaths(void *ctx)
{
	struct manager *m = ctx;

	zombie_deaths(m); /* what came of it is written by the next turn: more may follow */
}

static void on_stop(void *ctx)
{
	struct manager *m = ctx;

	log_say(LOG_INFO, "stopping; the stock in the kernel goes on serving");
	notify_stopping();
	loop_stop(m->loop, 0);
}

/* What cannot change while pods hold addresses in the maps that are there. */
static const char *what_needs_restart(const struct config *a, const struct config *b)
{
	if (a->slots != b->slots)
		return "slots";
	if (strcmp(a->pins, b->pins))
		return "pins";
	if (strcmp(a->run, b->run))
		return "run";
	if (strcmp(a->state, b->state))
		return "state";
	return NULL;
}

static int reload(struct manager *m, struct conf_error *error)
{
	static struct config next;
	const char *key;
	int r = manager_read_config(m->config_path, &next, error);

	if (r)
		return r;
	key = what_needs_restart(&m->config, &next);
	if (key) {
		snprintf(error->text, sizeof(error->text),
			 "[manager] %s has changed: that needs a restart of ipamd", key);
		return -EINVAL;
	}
	r = pools_apply(m, &next);
	if (!r) {
		r = pools_name(m, &next);
		if (r && (pools_apply(m, &m->config) || pools_name(m, &m->config)))
			log_say(LOG_ERROR, "the pools are half changed: reload once more");
	}
	if (r) {
		snprintf(error->text, sizeof(error->text), "the pools cannot be changed: %s",
			 r == -ENOSPC ? "more than 64 families of pools, with those that are "
					"still leaving"
				      : strerror(-r));
		return r;
	}
	m->config = next;
	return 0;
}

int manager_reload(struct manager *m, struct conf_error *error)
{
	int r;

	notify_reloading();
	r = reload(m, error);
	if (r) {
		m->counters.reload_failures++;
		log_say(LOG_ERROR, "%s; the configuration stays as it was", error->text);
	} else {
		m->counters.reloads++;
		log_say(LOG_NOTICE, "configuration read again: %u pool%s", m->config.pools,
			m->config.pools == 1 ? "" : "s");
	}
	notify_ready();
	manager_soon(m);
	return r;
}

static void on_reload(void *ctx)
{
	struct conf_error error = {""};

	manager_reload(ctx, &error);
}

static int watch(struct manager *m)
{
	struct loop_event **e = m->event;
	int wake_fd = -1, r = pin_wake_fd(m->pin, &wake_fd);

	if (!r)
		r = loop_on_time(m->loop, turn, m, &m->turn_timer);
	if (!r)
		r = loop_on_readable(m->loop, wake_fd, on_wake, m, &e[0]);
	if (!r)
		r = loop_on_readable(m->loop, netns_fd(m->netns), on_deaths, m, &e[1]);
	if (!r)
		r = loop_on_signal(m->loop, SIGTERM, on_stop, m, &e[2]);
	if (!r)
		r = loop_on_signal(m->loop, SIGINT, on_stop, m, &e[3]);
	if (!r)
		r = loop_on_signal(m->loop, SIGHUP, on_reload, m, &e[4]);
	if (!r)
		r = slow_open(m, &e[5]);
	return r ? r : admin_open(m);
}

/* --- One manager only ------------------------------------------------------------------------ */

/* A manager that serves until it is idle leaves when a lasting one asks it to. */
static int ask_to_leave(int run_dir)
{
	static const char call[] = "POST /v1/leave HTTP/1.1\r\nHost: ipamd\r\n"
				   "Connection: close\r\nContent-Length: 0\r\n\r\n";
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/%s", run_dir, IPAMD_ADMIN);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) ||
	    send(fd, call, sizeof(call) - 1, MSG_NOSIGNAL) < 0)
		return last_error();
	for (int i = 0; i < 50; i++) { /* it answers first: closing now might lose the call */
		char byte;

		if (recv(fd, &byte, 1, MSG_DONTWAIT) >= 0)
			return 0;
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	return 0;
}

static int take_lock(struct manager *m)
{
	uint64_t until = now_ms() + TAKE_OVER_MS;
	char kind[LOCK_TEXT_MAX] = "";
	pid_t owner = 0;
	int r;

	while ((r = lock_take(m->run_dir, "lock", &m->lock, &owner)) == LOCK_HELD) {
		if (lock_read(m->run_dir, "lock", kind))
			kind[0] = '\0';
		if (m->idle_exit_s || !strcmp(kind, "manager") || now_ms() > until)
			break;
		if (!strcmp(kind, "idle-exit"))
			ask_to_leave(m->run_dir);
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	if (r == LOCK_HELD)
		log_say(m->idle_exit_s ? LOG_INFO : LOG_ERROR,
			"another ipamd serves this node already: pid %d", (int)owner);
	else if (!r)
		r = lock_write(m->lock, m->idle_exit_s ? "idle-exit" : "manager");
	if (r < 0)
		log_say(LOG_ERROR, "%s/lock: %s", m->config.run, strerror(-r));
	return r;
}

/* --- Start and stop ----------------------------------------------------------------------------
 */

static int open_directories(struct manager *m)
{
	auto_close int state = -1;
	int r = rundir_open(m->config.run, &m->run_dir);

	if (r) {
		log_say(LOG_ERROR, "%s: %s", m->config.run, rundir_explain(r));
		return r;
	}
	r = rundir_open(m->config.state, &state);
	if (r)
		log_say(LOG_ERROR, "%s: %s", m->config.state, rundir_explain(r));
	return r;
}

static int open_sockets(struct manager *m)
{
	int r = rundir_listen(m->run_dir, IPAMD_SOCKET, SOCK_SEQPACKET, &m->slow_socket);

	if (!r)
		r = rundir_listen(m->run_dir, IPAMD_ADMIN, SOCK_STREAM, &m->admin_socket);
	if (r)
		log_say(LOG_ERROR, "%s: cannot listen there: %s", m->config.run,
			r < 0 ? strerror(-r) : rundir_explain(r));
	return r;
}

/* A time namespace shifts what we call now; the programs in the kernel do not follow. */
static int check_clock(void)
{
	FILE *f = fopen("/proc/self/timens_offsets", "re");
	char name[32];
	long long s, ns;
	bool shifted = false;

	if (!f)
		return 0; /* no such namespaces here */
	while (fscanf(f, "%31s %lld %lld", name, &s, &ns) == 3)
		shifted |= !strcmp(name, "boottime") && (s || ns);
	fclose(f);
	if (shifted)
		log_say(LOG_ERROR, "in a time namespace with its own boot time cooldowns would be "
				   "wrong: start ipamd outside of it");
	return shifted ? -EINVAL : 0;
}

/* Not fatal: what is missing is said again by whoever misses it. */
static void drop_privileges(void)
{
	int r = caps_keep(CAPS_MANAGER);

	if (r == CAPS_LACKING)
		log_say(LOG_WARNING, "not all capabilities are there (bpf, net_admin, sys_ptrace, "
				     "dac_read_search): some witnesses may stay unread");
	else if (r)
		log_say(LOG_INFO, "capabilities: %s", strerror(-r));
}

static int start(struct manager *m)
{
	int r = check_clock();

	if (!r)
		r = open_directories(m);
	if (!r)
		r = take_lock(m);
	if (r)
		return r;
	r = ledger_open(&m->ledger);
	if (!r)
		r = loop_open(&m->loop);
	if (r) {
		log_say(LOG_ERROR, "start: %s", strerror(-r));
		return r;
	}
	r = recover_start(m);
	if (!r)
		r = open_sockets(m);
	if (r)
		return r;
	r = watch(m);
	if (r)
		log_say(LOG_ERROR, "start: events cannot be watched: %s", strerror(-r));
	else
		drop_privileges();
	return r;
}

static void stop(struct manager *m)
{
	if (m->turn_timer) /* not of a start that failed: its ledger is not whole */
		rows_turn(m);
	slow_close(m);
	http_close(m->http);
	loop_remove(m->turn_timer);
	for (int i = 0; i < EVENTS; i++)
		loop_remove(m->event[i]);
	netns_close(m->netns);
	store_close(m->store);
	pin_close(m->pin);
	ledger_close(m->ledger);
	loop_close(m->loop);
	witness_close();
	cleanup_close(&m->slow_socket);
	cleanup_close(&m->admin_socket);
	lock_drop(m->lock);
	cleanup_close(&m->run_dir);
}

static int run(struct manager *m)
{
	int r;

	m->started_ms = m->last_use_ms = now_ms();
	m->watchdog_ms = notify_watchdog_ms();
	r = start(m);
	if (!r) {
		turn(m);
		log_say(LOG_NOTICE, "serving %u pool%s from %u slots at %s", m->config.pools,
			m->config.pools == 1 ? "" : "s", m->config.slots, m->config.pins);
		notify_ready();
		r = loop_run(m->loop);
	}
	stop(m);
	return r;
}

/* --- Options
 * -------------------------------------------------------------------------------------- */

static int parse_seconds(const char *text, unsigned int *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || (*end && strcmp(end, "s")) || !n || n > 86400)
		return -EINVAL;
	*ret = (unsigned int)n;
	return 0;
}

/* 0: go on; else exit with *ret_code. */
static int parse_options(int argc, char **argv, struct options *ret, int *ret_code)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"dry-run", no_argument, NULL, 'n'},
		{"idle-exit", required_argument, NULL, 'i'},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	int c;

	*ret_code = EXIT_USAGE;
	while ((c = getopt_long(argc, argv, "c:nvhV", longs, NULL)) != -1) {
		if (c == 'c') {
			ret->config = optarg;
		} else if (c == 'n') {
			ret->dry_run = true;
		} else if (c == 'v') {
			log_level = LOG_DEBUG;
		} else if (c == 'i') {
			if (parse_seconds(optarg, &ret->idle_exit_s)) {
				fprintf(stderr,
					"ipamd: --idle-exit %s: 1 to 86400 seconds are "
					"allowed\n",
					optarg);
				return -EINVAL;
			}
		} else if (c == 'h' || c == 'V') {
			fputs(c == 'h' ? usage : "ipamd " IPAMD_VERSION "\n", stdout);
			*ret_code = 0;
			return -EINVAL;
		} else {
			fputs(usage, stderr);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "ipamd: \"%s\": it takes no arguments\n%s", argv[optind], usage);
		return -EINVAL;
	}
	return 0;
}

/* Names and values are a stranger's: one line stays one line. */
static int refuse(const struct conf_error *error)
{
	char text[4 * sizeof(error->text)];

	log_clean(error->text, text, sizeof(text));
	fprintf(stderr, "ipamd: %s\n", text);
	return EXIT_CONFIG;
}

static int print(const struct config *c)
{
	config_print(c, stdout);
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	fprintf(stderr, "ipamd: the configuration is good, but cannot be written: %s\n",
		strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	struct manager *m = &manager;
	struct conf_error error = {""};
	struct options o = {0};
	int code;

	if (parse_options(argc, argv, &o, &code))
		return code;
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	*m = (struct manager){
		.config_path = o.config,
		.idle_exit_s = o.idle_exit_s,
		.run_dir = -1,
		.lock = -1,
		.slow_socket = -1,
		.admin_socket = -1,
	};
	if (manager_read_config(o.config, &m->config, &error))
		return refuse(&error);
	if (o.dry_run)
		return print(&m->config);
	log_open("ipamd");
	code = run(m);
	if (code == LOCK_HELD && m->idle_exit_s)
		return 0; /* somebody serves: that is what was wanted */
	return code ? 1 : 0;
}

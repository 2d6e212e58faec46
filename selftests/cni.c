// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "selftests/cni.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "selftests/harness.h"
#include "userspace/base/clock.h"

enum { LIMIT_MS = 30000 };

static char containers[64][32];

const char *cni_binary(void)
{
	static char path[512];
	const char *o = getenv("O");

	snprintf(path, sizeof(path), "%s/cni/ipamd-ipam", o ? o : "build");
	return path;
}

void cni_init(struct cni *c, const char *command, unsigned int number, const char *netns,
	      const char *conf)
{
	char *container = containers[number % 64];

	snprintf(container, sizeof(containers[0]), "container-%u", number);
	*c = (struct cni){
		.command = command,
		.container = container,
		.netns = netns,
		.ifname = "eth0",
		.args = "",
		.path = "/opt/cni/bin",
		.more = "",
		.conf = conf,
	};
}

/* --- One run at a time ------------------------------------------------------------------- */

static struct {
	pid_t pid;
	int in, out, err;
	uint64_t started_ns;
} now;

static void add(char **env, int *n, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	CHECK(asprintf(&env[*n], "%s=%s", name, value) > 0);
	++*n;
}

void cni_exec(const struct cni *c, int in, int out, int err)
{
	char *env[16] = {NULL};
	int n = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(0);
	add(env, &n, "CNI_COMMAND", c->command);
	add(env, &n, "CNI_CONTAINERID", c->container);
	add(env, &n, "CNI_NETNS", c->netns);
	add(env, &n, "CNI_IFNAME", c->ifname);
	add(env, &n, "CNI_ARGS", c->args);
	add(env, &n, "CNI_PATH", c->path);
	if (c->more && *c->more)
		env[n] = strdup(c->more);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	if (c->stdin_closed)
		close(0);
	if (c->stdout_closed)
		close(1);
	if (c->held_up)
		raise(SIGSTOP);
	execve(cni_binary(), (char *[]){"ipamd-ipam", NULL}, env);
	_exit(127);
}

pid_t cni_start(struct cni *c)
{
	int in[2], out[2], err[2];

	signal(SIGPIPE, SIG_IGN);
	CHECK(!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC) && !pipe2(err, O_CLOEXEC));
	fflush(stdout);
	now.started_ns = clock_boot_ns();
	now.pid = fork();
	CHECK(now.pid >= 0);
	if (!now.pid)
		cni_exec(c, in[0], out[1], err[1]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	now.in = in[1];
	now.out = out[0];
	now.err = err[0];
	return now.pid;
}

static void feed(const struct cni *c, size_t *done)
{
	size_t size = c->conf_size ? c->conf_size : strlen(c->conf);
	ssize_t n = *done < size ? write(now.in, c->conf + *done, size - *done) : -1;

	if (n > 0)
		*done += (size_t)n;
	if (n > 0 && *done < size)
		return;
	if (c->stdin_open && n > 0)
		return;
	close(now.in);
	now.in = -1;
}

void cni_feed(struct cni *c)
{
	size_t done = 0;

	feed(c, &done);
	CHECK(now.in < 0);
}

static bool drain(int fd, char *to, size_t size)
{
	size_t used = strlen(to);
	ssize_t n = read(fd, to + used, size - 1 - used);

	if (n > 0)
		to[used + (size_t)n] = '\0';
	return n > 0;
}

void cni_finish(struct cni *c)
{
	size_t done = 0, size = c->conf_size ? c->conf_size : strlen(c->conf);
	bool out = true, err = true;
	int status;

	while (out || err) {
		bool feeding = now.in >= 0 && !(c->stdin_open && done == size);
		struct pollfd p[] = {{feeding ? now.in : -1, POLLOUT, 0},
				     {out ? now.out : -1, POLLIN, 0},
				     {err ? now.err : -1, POLLIN, 0}};

		if (poll(p, 3, LIMIT_MS) <= 0) {
			kill(now.pid, SIGKILL);
			test_stop(T_FAIL, "the plugin did not end (%s)", c->command);
		}
		if (p[0].revents)
			feed(c, &done);
		if (p[1].revents)
			out = drain(now.out, c->out, sizeof(c->out));
		if (p[2].revents)
			err = drain(now.err, c->err, sizeof(c->err));
	}
	CHECK(waitpid(now.pid, &status, 0) == now.pid);
	c->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	c->ms = (unsigned int)((clock_boot_ns() - now.started_ns) / 1000000);
	if (now.in >= 0)
		close(now.in);
	close(now.out);
	close(now.err);
}

void cni_run(struct cni *c)
{
	cni_start(c);
	cni_finish(c);
}

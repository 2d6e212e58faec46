// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What an ADD and a DEL cost as whole processes, beside one that does nothing and
 * beside Debian's host-local: from before the fork until the exit status is there.
 * They take turns, so that what else the machine does meets them alike.
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "selftests/cni.h"
#include "selftests/harness.h"
#include "selftests/node.h"
#include "userspace/base/clock.h"

#define HOST_LOCAL "/usr/lib/cni/host-local"

enum { ROUNDS = 31, HELD = 1000, IN_ALL = 64 };
enum kind { EMPTY, ADD, DEL, LOCAL_ADD, LOCAL_DEL, KINDS };

/* Both plugins read the part that is theirs. */
static const char conf[] =
	"{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"ipam\":{\"pins\":\"" NODE_PINS
	"\",\"run\":\"" NODE_RUN "\"}}";
static const char local_conf[] =
	"{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"ipam\":{\"type\":\"host-local\","
	"\"dataDir\":\"" NODE "/host-local\",\"ranges\":[[{\"subnet\":\"10.66.0.0/16\"}]]}}";

static char netns[64], empty[512];
static int input, local_input;

static const struct {
	const char *name, *command;
} kinds[KINDS] = {
	[EMPTY] = {"empty static process", ""},  [ADD] = {"ipamd-ipam ADD", "ADD"},
	[DEL] = {"ipamd-ipam DEL", "DEL"},       [LOCAL_ADD] = {"host-local ADD", "ADD"},
	[LOCAL_DEL] = {"host-local DEL", "DEL"},
};

/* --- One process --------------------------------------------------------------------------- */

static const char *path_of(enum kind k)
{
	return k == EMPTY ? empty : k >= LOCAL_ADD ? HOST_LOCAL : cni_binary();
}

/* A descriptor of its own for each, at its beginning: several run at once. */
static int open_input(enum kind k)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", k >= LOCAL_ADD ? local_input : input);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static pid_t start(enum kind k, unsigned int number)
{
	char set[5][96], *env[] = {set[0], set[1], set[2], set[3], set[4], NULL};
	char *argv[] = {"plugin", NULL};
	posix_spawn_file_actions_t files;
	int in = open_input(k);
	pid_t pid;

	snprintf(set[0], sizeof(set[0]), "CNI_COMMAND=%s", kinds[k].command);
	snprintf(set[1], sizeof(set[1]), "CNI_CONTAINERID=bench-%u", number);
	snprintf(set[2], sizeof(set[2]), "CNI_NETNS=%s", netns);
	snprintf(set[3], sizeof(set[3]), "CNI_IFNAME=eth0");
	snprintf(set[4], sizeof(set[4]), "CNI_PATH=/opt/cni/bin");
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, 0);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	CHECK(!posix_spawn(&pid, path_of(k), &files, NULL, argv, env));
	posix_spawn_file_actions_destroy(&files);
	close(in);
	return pid;
}

static void finish(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) > 0 && !status);
}

static double run(enum kind k, unsigned int number)
{
	uint64_t before = clock_boot_ns();

	finish(start(k, number));
	return (double)(clock_boot_ns() - before) / 1000;
}

static int smaller(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double ratio(double us[KINDS][ROUNDS], enum kind a, enum kind b)
{
	double each[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		each[i] = us[a][i] / us[b][i];
	qsort(each, ROUNDS, sizeof(each[0]), smaller);
	return each[ROUNDS / 2];
}

/* --- In turns -------------------------------------------------------------------------------- */

static void show(double us[KINDS][ROUNDS], int n)
{
	double add = 0, del = 0;

	if (n == KINDS) {
		add = ratio(us, LOCAL_ADD, ADD);
		del = ratio(us, LOCAL_DEL, DEL);
	}
	for (int k = 0; k < n; k++) {
		qsort(us[k], ROUNDS, sizeof(us[k][0]), smaller);
		printf("%-22s %6.0f us  (%.0f to %.0f)\n", kinds[k].name, us[k][ROUNDS / 2],
		       us[k][ROUNDS / 4], us[k][3 * ROUNDS / 4]);
	}
	if (n == KINDS)
		printf("%-22s ADD %.1f, DEL %.1f times (median of the pairs)\n", "host-local takes",
		       add, del);
}

/* To and fro: who comes behind a large process finds the caches cold. */
static void take_turns(int n)
{
	static const enum kind order[2][KINDS] = {{EMPTY, ADD, DEL, LOCAL_ADD, LOCAL_DEL},
						  {LOCAL_ADD, LOCAL_DEL, ADD, DEL, EMPTY}};
	static double us[KINDS][ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		for (int at = 0; at < KINDS; at++) {
			enum kind k = order[i % 2][at];

			if ((int)k < n)
				us[k][i] = run(k, 0);
		}
	show(us, n);
}

/* --- At once --------------------------------------------------------------------------------- */

/* That many at a time, until IN_ALL are done; how many a second. */
static double rate(enum kind k, int at_once)
{
	uint64_t before = clock_boot_ns();
	int started = 0, done = 0;

	while (done < IN_ALL) {
		if (started < IN_ALL && started - done < at_once) {
			start(k, 1 + (unsigned int)started++);
			continue;
		}
		finish(-1);
		done++;
	}
	return IN_ALL * 1e9 / (double)(clock_boot_ns() - before);
}

static void show_rates(int n)
{
	static const int widths[] = {1, 2, 8};

	printf("# ADDs and DELs a second, so many at once\n");
	for (int k = ADD; k < n; k += 2)
		for (int i = 0; i < 3; i++) {
			double adds = rate((enum kind)k, widths[i]);
			double dels = rate((enum kind)(k + 1), widths[i]);

			printf("%-11.10s %d at once: %6.0f ADD/s, %6.0f DEL/s\n", kinds[k].name,
			       widths[i], adds, dels);
		}
}

/* --- The world ------------------------------------------------------------------------------- */

static int open_conf(const char *text)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	return fd;
}

static void hold_many(int n)
{
	for (unsigned int i = 0; i < HELD; i++) {
		CHECK(!node_claim(10000 + i, NULL, NULL));
		if (n == KINDS)
			run(LOCAL_ADD, 10000 + i);
	}
}

int main(void)
{
	const char *o = getenv("O");
	int n = access(HOST_LOCAL, X_OK) ? LOCAL_ADD : KINDS;
	struct node_pod pod;
	pid_t pid;

	snprintf(empty, sizeof(empty), "%s/selftests/cni_empty", o ? o : "build");
	node_make();
	node_configure("slots = 2048\n[pool default]\nsubnet = 10.77.0.0/16\n"
		       "gateway = 10.77.0.1\ncooldown = 1s\nlow = 1500\nhigh = 1900\n");
	pid = node_up();
	CHECK(node_until(node_number("/v1/status", "pools.0.ready") > 1400));
	node_pod_start(&pod);
	snprintf(netns, sizeof(netns), "/proc/%d/ns/net", (int)pod.pid);
	input = open_conf(conf);
	local_input = open_conf(local_conf);
	kill(pid, SIGSTOP); /* it wakes for what a claim leaves behind, and the CPUs are few */
	printf("# median of %d runs that take turns, and their quartiles; nothing held\n", ROUNDS);
	take_turns(n);
	show_rates(n);
	hold_many(n);
	printf("# the same with %d held\n", HELD);
	take_turns(n);
	show_rates(n);
	node_pod_end(&pod);
	kill(pid, SIGCONT);
	node_end(pid, SIGTERM);
	return 0;
}

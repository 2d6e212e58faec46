// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What an ADD and a DEL cost as whole processes, beside one that does nothing: from
 * before the fork until the exit status is there.  The three take turns, so that what
 * else the machine does meets them alike.
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

enum { ROUNDS = 31, EMPTY = 0, ADD = 1, DEL = 2, KINDS = 3 };

static const char conf[] =
	"{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"ipam\":{\"pins\":\"" NODE_PINS
	"\",\"run\":\"" NODE_RUN "\"}}";
static char netns[64];

static double run(const char *path, const char *command, int in)
{
	char set[5][96], *env[] = {set[0], set[1], set[2], set[3], set[4], NULL};
	char *argv[] = {"plugin", NULL};
	posix_spawn_file_actions_t files;
	uint64_t before;
	int status;
	pid_t pid;

	snprintf(set[0], sizeof(set[0]), "CNI_COMMAND=%s", command);
	snprintf(set[1], sizeof(set[1]), "CNI_CONTAINERID=bench");
	snprintf(set[2], sizeof(set[2]), "CNI_NETNS=%s", netns);
	snprintf(set[3], sizeof(set[3]), "CNI_IFNAME=eth0");
	snprintf(set[4], sizeof(set[4]), "CNI_PATH=/opt/cni/bin");
	CHECK(lseek(in, 0, SEEK_SET) == 0);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, 0);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	before = clock_boot_ns();
	CHECK(!posix_spawn(&pid, path, &files, NULL, argv, env));
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	posix_spawn_file_actions_destroy(&files);
	return (double)(clock_boot_ns() - before) / 1000;
}

static int smaller(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int main(void)
{
	static const char *const names[KINDS] = {"empty static process", "ADD", "DEL"};
	static double us[KINDS][ROUNDS];
	const char *o = getenv("O");
	struct node_pod pod;
	char empty[512];
	int in;
	pid_t pid;

	snprintf(empty, sizeof(empty), "%s/selftests/cni_empty", o ? o : "build");
	node_make();
	pid = node_up();
	node_pod_start(&pod);
	snprintf(netns, sizeof(netns), "/proc/%d/ns/net", (int)pod.pid);
	kill(pid, SIGSTOP); /* it wakes for what a claim leaves behind, and the CPUs are few */
	in = memfd_create("conf", MFD_CLOEXEC);
	CHECK(in >= 0 && write(in, conf, strlen(conf)) == (ssize_t)strlen(conf));
	for (int i = 0; i < ROUNDS; i++) {
		us[EMPTY][i] = run(empty, "", in);
		us[ADD][i] = run(cni_binary(), "ADD", in);
		us[DEL][i] = run(cni_binary(), "DEL", in);
	}
	printf("# median of %d runs that take turns, and their quartiles\n", ROUNDS);
	for (int k = 0; k < KINDS; k++) {
		qsort(us[k], ROUNDS, sizeof(us[k][0]), smaller);
		printf("%-22s %6.0f us  (%.0f to %.0f)\n", names[k], us[k][ROUNDS / 2],
		       us[k][ROUNDS / 4], us[k][3 * ROUNDS / 4]);
	}
	node_pod_end(&pod);
	kill(pid, SIGCONT);
	node_end(pid, SIGTERM);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the manager costs: memory, start, idle, CPU a claim, and how long a dead
 * namespace keeps its address.  `make bench` runs it; no number here passes or fails.
 *
 * The manager's own share of a death is from RTM_DELNSID at a listener of ours, which
 * the kernel tells at the same time, to the word's change.  Both wait for the same
 * kernel; what the listener is late itself is on the manager's side of the account.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/slot.h"
#include "selftests/harness.h"
#include "selftests/node.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

enum { SLOTS = 4096, DEATHS = 1000, IDLE_S = 10 };

static const char large[] = "slots = 4096\n"
			    "[pool default]\nsubnet = 10.64.0.0/16\ncooldown = 1s\n"
			    "low = 4096\nhigh = 4096\n";

static long status_of(pid_t pid, const char *key)
{
	char path[64], line[256];
	FILE *f;
	long n = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			n = atol(line + strlen(key) + 1);
	if (f)
		fclose(f);
	return n;
}

/* User and system time, in us (the clock ticks in 10 ms). */
static long cpu_of(pid_t pid)
{
	char path[64], text[1024] = "", *p;
	long user = 0, sys = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (f && fgets(text, sizeof(text), f) && (p = strrchr(text, ')')))
		sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &sys);
	if (f)
		fclose(f);
	return (user + sys) * (1000000 / sysconf(_SC_CLK_TCK));
}

static unsigned int count(const struct pin *pin, enum ipamd_state state)
{
	unsigned int n = 0;

	for (unsigned int slot = 0; slot < pin->meta->slots; slot++)
		n += slot_state(mem_load(&pin->words[slot])) == state;
	return n;
}

static void wait_count(const struct pin *pin, enum ipamd_state state, unsigned int n)
{
	for (int i = 0; i < 60000 && count(pin, state) != n; i++)
		usleep(1000);
	if (count(pin, state) != n)
		test_stop(T_FAIL, "not reached: %u in state %d", n, state);
}

static void memory_and_start(void)
{
	auto_pin struct pin *pin = NULL;
	uint64_t began;
	long cpu, wakes;
	pid_t pid;

	node_make();
	node_configure(large);
	pid = node_up();
	pin = node_pins();
	wait_count(pin, IPAMD_FREE, SLOTS);
	printf("# resident with %d addresses: %ld KiB (at most %ld)\n", SLOTS,
	       status_of(pid, "VmRSS:"), status_of(pid, "VmHWM:"));

	node_number("/v1/status", "pid");
	wakes = status_of(pid, "voluntary_ctxt_switches:");
	cpu = cpu_of(pid);
	sleep(IDLE_S);
	printf("# idle: %.1f wake-ups a second, %.3f %% of a CPU\n",
	       (double)(status_of(pid, "voluntary_ctxt_switches:") - wakes) / IDLE_S,
	       (double)(cpu_of(pid) - cpu) / (IDLE_S * 10000.0));

	cpu = cpu_of(pid);
	began = clock_boot_ns();
	for (unsigned int i = 0; i < SLOTS; i++)
		if (node_claim(i, "pod", NULL))
			test_stop(T_FAIL, "claim %u", i);
	while (node_number("/v1/status", "pools.0.held") != SLOTS)
		usleep(100000);
	printf("# %d claims in %.2f s; manager: %.1f us of CPU a claim, written down\n", SLOTS,
	       (double)(clock_boot_ns() - began) / 1e9, (double)(cpu_of(pid) - cpu) / SLOTS);
	printf("# resident with %d held: %ld KiB (at most %ld)\n", SLOTS, status_of(pid, "VmRSS:"),
	       status_of(pid, "VmHWM:"));

	for (int i = 0; i < 5; i++) {
		node_end(pid, SIGKILL);
		began = clock_boot_ns();
		pid = node_start(NULL);
		if (!node_is_up(pid))
			test_stop(T_FAIL, "did not come up");
		printf("# start with %d held, after SIGKILL: %.0f ms until it answers\n", SLOTS,
		       (double)(clock_boot_ns() - began) / 1e6);
	}
	node_end(pid, SIGTERM);
}

/* --- Deaths ------------------------------------------------------------------------- */

static struct node_pod pods[DEATHS];
static uint64_t told_at[DEATHS], freed_at[DEATHS];
static unsigned int slot_of[DEATHS];

static int listen_for_deaths(void)
{
	struct sockaddr_nl at = {.nl_family = AF_NETLINK};
	int group = RTNLGRP_NSID, size = 8 << 20;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		test_stop(T_FAIL, "netlink: %s", strerror(errno));
	return fd;
}

static void read_deaths(int fd)
{
	char buffer[8192];
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
		uint64_t now = clock_boot_ns();

		for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			__s32 id = *(__s32 *)((char *)h + NLMSG_HDRLEN + 8);

			for (unsigned int i = 0; h->nlmsg_type == RTM_DELNSID && i < DEATHS; i++)
				if (pods[i].nsid == id)
					told_at[i] = now;
		}
	}
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void deaths(void)
{
	auto_pin struct pin *pin = NULL;
	uint64_t began, share[DEATHS], whole[DEATHS];
	unsigned int left = DEATHS;
	pid_t pid;
	int fd;

	node_make();
	node_configure(large);
	pid = node_up();
	pin = node_pins();
	for (unsigned int i = 0; i < DEATHS; i++) {
		struct ipamd_request req;

		node_pod_start(&pods[i]);
		if (node_pod_claim(&pods[i], i, &req))
			test_stop(T_FAIL, "claim %u", i);
		slot_of[i] = req.lease[IPAMD_V4].slot;
	}
	while (node_number("/v1/status", "pools.0.held") != DEATHS)
		usleep(100000);
	fd = listen_for_deaths();
	began = clock_boot_ns();
	for (unsigned int i = 0; i < DEATHS; i++)
		kill(pods[i].pid, SIGKILL);
	while (left && clock_boot_ns() - began < 60000000000ULL) {
		uint64_t now;

		read_deaths(fd);
		now = clock_boot_ns();
		for (unsigned int i = 0; i < DEATHS; i++)
			if (!freed_at[i] &&
			    slot_state(mem_load(&pin->words[slot_of[i]])) == IPAMD_FREE) {
				freed_at[i] = now;
				left--;
			}
	}
	read_deaths(fd);
	for (unsigned int i = 0; i < DEATHS; i++) {
		if (!freed_at[i] || !told_at[i])
			test_stop(T_FAIL, "pod %u: told %d, freed %d", i, !!told_at[i],
				  !!freed_at[i]);
		share[i] = freed_at[i] > told_at[i] ? freed_at[i] - told_at[i] : 0;
		whole[i] = freed_at[i] - began;
	}
	qsort(share, DEATHS, sizeof(*share), by_value);
	qsort(whole, DEATHS, sizeof(*whole), by_value);
	printf("# %d pods killed at once: message to cooling %.2f ms median, %.2f ms p99; kill to "
	       "cooling %.0f ms median, %.0f ms p99\n",
	       DEATHS, (double)share[DEATHS / 2] / 1e6, (double)share[DEATHS * 99 / 100] / 1e6,
	       (double)whole[DEATHS / 2] / 1e6, (double)whole[DEATHS * 99 / 100] / 1e6);
	node_end(pid, SIGTERM);
}

static int in_process(void (*run)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		run();
		exit(0);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(void)
{
	return in_process(memory_and_start) | in_process(deaths);
}

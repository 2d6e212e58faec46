// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The real ipamd on a node of its own, as its users meet it: stock, claims, history,
 * deaths of pods, restarts, reload.
 */
#include "selftests/harness.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bpf/request.h"
#include "bpf/slot.h"
#include "selftests/node.h"
#include "userspace/base/addr.h"
#include "userspace/base/caps.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

static long long pool(const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "pools.0.%s", key);
	return node_number("/v1/status", path);
}

static bool balance_holds(void)
{
	return node_number("/v1/status", "balance.holds") == 1;
}

TEST(a_fresh_node_has_stock_at_once)
{
	struct ipamd_request req;
	pid_t pid;

	node_make();
	pid = node_up();
	CHECK(pool("ready") >= 5);
	CHECK_EQ(node_claim(1, "default/web-1", &req), IPAMD_OK);
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

/* A line of /proc/<pid>/status that holds a mask. */
static unsigned long long mask_of(pid_t pid, const char *key)
{
	unsigned long long mask = ~0ULL;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			mask = strtoull(line + strlen(key), NULL, 16);
	fclose(f);
	return mask;
}

TEST(it_mounts_a_bpffs_where_there_is_none_and_keeps_four_capabilities)
{
	pid_t pid;

	node_make();
	CHECK_EQ(umount(NODE "/bpf"), 0);
	pid = node_up();
	CHECK_EQ(node_claim(1, NULL, NULL), IPAMD_OK);
	CHECK_EQ(mask_of(pid, "CapEff:") & ~CAPS_MANAGER, 0);
	CHECK_EQ(mask_of(pid, "CapPrm:") & ~CAPS_MANAGER, 0);
	CHECK_EQ(mask_of(pid, "CapInh:"), 0);
	CHECK_EQ(mask_of(pid, "NoNewPrivs:"), 1);
	CHECK_EQ(node_end(pid, SIGTERM), 0);
	pid = node_up(); /* over the mount that is there now */
	CHECK_EQ(pool("held"), 1);
	node_end(pid, SIGTERM);
}

TEST(the_stock_is_refilled_before_it_is_empty)
{
	pid_t pid;

	node_make();
	pid = node_up();
	for (unsigned int i = 0; i < 60; i++) {
		CHECK_EQ(node_claim(i, NULL, NULL), IPAMD_OK);
		if (i % 5 == 4) /* it may have been woken by now, or looks within a second */
			CHECK(node_until(pool("ready") >= 5 && pool("held") == i + 1));
	}
	CHECK(node_until(pool("held") == 60));
	CHECK(balance_holds());
	node_end(pid, SIGTERM);
}

TEST(above_the_high_mark_the_longest_idle_leave)
{
	pid_t pid;

	node_make();
	pid = node_up();
	for (unsigned int i = 0; i < 40; i++) {
		CHECK(node_until(node_claim(i, NULL, NULL) == IPAMD_OK));
	}
	for (unsigned int i = 0; i < 40; i++)
		CHECK_EQ(node_release(i), IPAMD_OK);
	CHECK(node_until(pool("held") == 0));
	CHECK(node_until(pool("cooling") == 0 && pool("ready") <= 20));
	CHECK(node_until(pool("leaving") == 0));
	CHECK(balance_holds());
	CHECK_EQ(node_number("/v1/status", "balance.provisioned"), pool("ready"));
	node_end(pid, SIGTERM);
}

TEST(an_empty_pool_serves_who_waits_when_an_address_is_ready)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = NODE_RUN "/ipamd.sock"};
	struct ipamd_request req;
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	pid_t pid;

	node_make();
	node_configure("[pool default]\nsubnet = 10.77.0.0/30\nlow = 1\nhigh = 2\ncooldown = 1s\n");
	pid = node_up();
	CHECK_EQ(node_claim(1, NULL, NULL), IPAMD_OK);
	CHECK(node_until(node_claim(2, NULL, NULL) == IPAMD_OK));
	CHECK_EQ(node_claim(3, NULL, &req), IPAMD_EXHAUSTED);
	CHECK_EQ(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	CHECK_EQ(send(fd, &req, sizeof(req), 0), sizeof(req));
	CHECK_EQ(node_release(1), IPAMD_OK);
	CHECK_EQ(recv(fd, &req, sizeof(req), 0), sizeof(req));
	CHECK_EQ(req.verdict, IPAMD_OK);
	CHECK_EQ(node_claim(3, NULL, &req), IPAMD_OK);
	CHECK(balance_holds());
	node_end(pid, SIGTERM);
}

static int count_holds(const char *address)
{
	char path[128];
	int code, n;
	json_t *j;

	snprintf(path, sizeof(path), "/v1/history?address=%s", address);
	j = node_ask("GET", path, &code);
	n = (int)json_array_size(json_object_get(j, "holds"));
	json_decref(j);
	return n;
}

static void address_of(const struct ipamd_request *req, char ret[ADDR_TEXT])
{
	struct addr a = {.family = 4};

	memcpy(a.bytes, req->lease[IPAMD_V4].address, 16);
	addr_print(&a, ret);
}

TEST(history_tells_who_held_it_and_what_ended_it)
{
	struct ipamd_request req;
	char address[ADDR_TEXT], path[128];
	json_t *j, *hold;
	pid_t pid;
	int code;

	node_make();
	pid = node_up();
	CHECK_EQ(node_claim(1, "web-1", &req), IPAMD_OK);
	address_of(&req, address);
	CHECK_EQ(node_release(1), IPAMD_OK);
	CHECK(node_until(count_holds(address) == 1));
	snprintf(path, sizeof(path), "/v1/history?address=%s", address);
	j = node_ask("GET", path, &code);
	hold = json_array_get(json_object_get(j, "holds"), 0);
	CHECK_EQ(strcmp(json_string_value(json_object_get(hold, "pod")), "default/web-1"), 0);
	CHECK_EQ(strcmp(json_string_value(json_object_get(hold, "end")), "released"), 0);
	CHECK(json_integer_value(json_object_get(hold, "to_ms")) >=
	      json_integer_value(json_object_get(hold, "from_ms")));
	json_decref(j);
	node_end(pid, SIGTERM);
}

TEST(what_was_missed_while_it_was_away_is_written_down_or_called_a_gap)
{
	struct ipamd_request req;
	char first[ADDR_TEXT], again[ADDR_TEXT];
	pid_t pid;

	node_make();
	node_configure("[pool default]\nsubnet = 10.77.0.4/32\nlow = 1\nhigh = 1\ncooldown = 0s\n");
	pid = node_up();
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	for (unsigned int i = 0; i < 4; i++) { /* nobody looks */
		CHECK(node_until(node_claim(i, "web", &req) == IPAMD_OK));
		address_of(&req, i ? again : first);
		CHECK_EQ(node_release(i), IPAMD_OK);
	}
	CHECK_EQ(strcmp(first, again), 0);
	pid = node_up();
	CHECK(node_until(count_holds(first) == 1));
	CHECK_EQ(node_number("/v1/status", "gaps"), 3);
	node_end(pid, SIGTERM);
}

TEST(a_pod_that_holds_is_held_after_kill_and_restart)
{
	struct ipamd_request req, again;
	pid_t pid;

	node_make();
	pid = node_up();
	CHECK_EQ(node_claim(1, "web-1", &req), IPAMD_OK);
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	pid = node_up();
	CHECK_EQ(pool("held"), 1);
	CHECK_EQ(node_claim(1, "web-1", &again), IPAMD_OK);
	CHECK_EQ(memcmp(req.lease[0].address, again.lease[0].address, 16), 0);
	CHECK_EQ(node_release(1), IPAMD_OK);
	CHECK(node_until(pool("held") == 0));
	CHECK(balance_holds());
	node_end(pid, SIGTERM);
}

TEST(a_dead_namespace_gives_its_address_back)
{
	struct ipamd_request req;
	struct node_pod pod;
	char address[ADDR_TEXT];
	pid_t pid;

	node_make();
	pid = node_up();
	node_pod_start(&pod);
	CHECK_EQ(node_pod_claim(&pod, 1, &req), IPAMD_OK);
	address_of(&req, address);
	CHECK(node_until(pool("held") == 1));
	node_pod_end(&pod);
	CHECK(node_until(pool("held") == 0));
	CHECK_EQ(node_number("/v1/status", "reclaimed"), 1);
	CHECK(node_until(count_holds(address) == 1));
	CHECK(node_log_has("its network namespace is gone"));
	node_end(pid, SIGTERM);
}

/* Within the millisecond often enough: the claim is then no older than the question. */
TEST(a_pod_that_dies_as_it_claims_gives_its_address_back)
{
	struct node_pod pod;
	pid_t pid;

	node_make();
	pid = node_up();
	for (unsigned int i = 1; i <= 5; i++) {
		/* And with the kernel at rest, or it takes its time to bury the last one. */
		CHECK(node_until(pool("cooling") == 0));
		node_pod_start(&pod);
		CHECK(node_until(node_pod_claim(&pod, i, NULL) == IPAMD_OK));
		node_pod_end(&pod);
		CHECK(node_until(node_number("/v1/status", "reclaimed") == i));
	}
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

TEST(a_pod_that_died_while_it_was_away_is_found_at_the_start)
{
	struct node_pod pod, other;
	pid_t pid;

	node_make();
	pid = node_up();
	node_pod_start(&pod);
	node_pod_start(&other);
	CHECK_EQ(node_pod_claim(&pod, 1, NULL), IPAMD_OK);
	CHECK_EQ(node_pod_claim(&other, 2, NULL), IPAMD_OK);
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	node_pod_end(&pod);
	pid = node_up();
	CHECK(node_until(pool("held") == 1));
	CHECK_EQ(node_claim(1, NULL, NULL), IPAMD_OK); /* anew */
	node_pod_end(&other);
	node_end(pid, SIGTERM);
}

TEST(a_reader_late_by_three_seconds_loses_no_death)
{
	enum { PODS = 50 };
	struct node_pod pods[PODS];
	pid_t pid;

	node_make();
	node_configure("[pool default]\nsubnet = 10.77.0.0/24\nlow = 60\nhigh = 90\n");
	pid = node_up();
	CHECK(node_until(pool("ready") >= PODS));
	for (unsigned int i = 0; i < PODS; i++) {
		node_pod_start(&pods[i]);
		CHECK_EQ(node_pod_claim(&pods[i], i, NULL), IPAMD_OK);
	}
	CHECK(node_until(pool("held") == PODS));
	CHECK_EQ(kill(pid, SIGSTOP), 0);
	for (unsigned int i = 0; i < PODS - 1; i++)
		node_pod_end(&pods[i]);
	usleep(3000000);
	CHECK_EQ(kill(pid, SIGCONT), 0);
	CHECK(node_until(pool("held") == 1));
	CHECK_EQ(node_number("/v1/status", "reclaimed"), PODS - 1);
	CHECK(balance_holds());
	node_pod_end(&pods[PODS - 1]);
	node_end(pid, SIGTERM);
}

TEST(an_id_that_is_given_again_frees_no_live_pod)
{
	struct ipamd_request first, second, again;
	struct node_pod dead, live;
	pid_t pid;

	node_make();
	pid = node_up();
	node_pod_start(&dead);
	CHECK_EQ(node_pod_claim(&dead, 1, &first), IPAMD_OK);
	CHECK(node_until(pool("held") == 1));
	CHECK_EQ(kill(pid, SIGSTOP), 0); /* it learns of the death when the id is another's */
	node_pod_end(&dead);
	for (int i = 0; i < 500; i++) {
		node_pod_start(&live);
		if (live.nsid == dead.nsid)
			break;
		node_pod_end(&live); /* the first one is not torn down yet */
		usleep(10000);
	}
	CHECK_EQ(live.nsid, dead.nsid);
	CHECK(live.cookie != dead.cookie);
	CHECK_EQ(node_pod_claim(&live, 2, &second), IPAMD_OK);
	CHECK_EQ(kill(pid, SIGCONT), 0);
	CHECK(node_until(pool("held") == 1));
	CHECK_EQ(node_pod_claim(&live, 2, &again), IPAMD_OK);
	CHECK_EQ(again.again, 1);
	CHECK_EQ(memcmp(second.lease[0].address, again.lease[0].address, 16), 0);
	node_pod_end(&live);
	CHECK(node_until(pool("held") == 0));
	node_end(pid, SIGTERM);
}

static int notify_socket(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = NODE "/notify"};
	struct timeval limit = {.tv_sec = 10};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof(at)));
	CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	return fd;
}

static bool is_notified(int fd, const char *what)
{
	char text[512];
	ssize_t n;

	while ((n = recv(fd, text, sizeof(text) - 1, 0)) > 0) {
		text[n] = '\0';
		if (strstr(text, what))
			return true;
	}
	return false;
}

TEST(the_service_manager_is_told_what_it_does)
{
	pid_t pid;
	int fd;

	node_make();
	fd = notify_socket();
	setenv("WATCHDOG_USEC", "2000000", 1);
	pid = node_start(NULL);
	CHECK(is_notified(fd, "READY=1"));
	CHECK_EQ(node_number("/v1/status", "balance.holds"), 1); /* and it is */
	CHECK(is_notified(fd, "WATCHDOG=1"));
	CHECK(is_notified(fd, "WATCHDOG=1"));
	kill(pid, SIGHUP);
	CHECK(is_notified(fd, "RELOADING=1"));
	CHECK(is_notified(fd, "READY=1"));
	kill(pid, SIGTERM);
	CHECK(is_notified(fd, "STOPPING=1"));
	CHECK_EQ(node_wait(pid, 10), 0);
}

TEST(the_disk_may_fill_up_while_pods_come_and_go)
{
	pid_t pid;
	int code;

	node_make();
	CHECK(!mount("tmpfs", NODE_STATE, "tmpfs", 0, "mode=700,size=256k"));
	pid = node_up();
	CHECK_EQ(node_claim(1, NULL, NULL), IPAMD_OK);
	CHECK(node_until(pool("held") == 1));
	CHECK_EQ(system("dd if=/dev/zero of=" NODE_STATE "/ballast bs=4k 2>/dev/null") & 0xff, 0);
	for (unsigned int i = 2; i < 40;
	     i++) { /* until it has something to write that does not fit */
		if (node_claim(i, "a-pod-with-a-long-name-that-takes-room", NULL) == IPAMD_OK)
			node_release(i);
		json_decref(
			node_ask("POST", "/v1/fix?address=10.77.0.200&namespace=d&pod=p", &code));
	}
	CHECK(node_until(node_log_has("nothing is written down until this is mended") ||
			 code == 500));
	CHECK_EQ(node_claim(1, NULL, NULL), IPAMD_OK); /* again */
	CHECK_EQ(node_release(1), IPAMD_OK);
	CHECK_EQ(unlink(NODE_STATE "/ballast"), 0);
	CHECK(node_until(pool("held") == 0 && node_number("/v1/status", "balance.holds") == 1));
	CHECK(node_until(node_number("/v1/status", "pools.0.ready") > 0));
	CHECK_EQ(node_end(pid, SIGTERM), 0);
	pid = node_up();
	CHECK(balance_holds());
	node_end(pid, SIGTERM);
}

TEST(an_address_is_fixed_for_its_workload)
{
	struct ipamd_request req;
	char address[ADDR_TEXT];
	json_t *j;
	pid_t pid;
	int code;

	node_make();
	pid = node_up();
	j = node_ask("POST", "/v1/fix?address=10.77.0.99&namespace=default&pod=db-0", &code);
	json_decref(j);
	CHECK_EQ(code, 200);
	CHECK_EQ(node_claim(1, "db-0", &req), IPAMD_OK);
	address_of(&req, address);
	CHECK_EQ(strcmp(address, "10.77.0.99"), 0);
	CHECK(WIFSIGNALED(node_end(pid, SIGKILL)));
	pid = node_up();
	CHECK_EQ(node_release(1), IPAMD_OK);
	CHECK_EQ(node_claim(2, "db-0", &req), IPAMD_OK); /* from its cooldown, at once */
	address_of(&req, address);
	CHECK_EQ(strcmp(address, "10.77.0.99"), 0);
	j = node_ask("POST", "/v1/fix?address=10.77.0.99&namespace=default&pod=other", &code);
	json_decref(j);
	CHECK_EQ(code, 409);
	node_end(pid, SIGTERM);
}

TEST(a_second_one_is_refused_with_the_pid_of_the_first)
{
	pid_t first, second;
	char text[64];

	node_make();
	first = node_up();
	second = node_start(NULL);
	CHECK_EQ(node_wait(second, 10), 1 << 8);
	snprintf(text, sizeof(text), "serves this node already: pid %d", (int)first);
	CHECK(node_log_has(text));
	node_end(first, SIGTERM);
}

TEST(who_leaves_when_idle_makes_room_for_who_stays)
{
	const char *idle[] = {"--idle-exit", "600", NULL};
	pid_t first, second;

	node_make();
	first = node_start(idle);
	CHECK(node_is_up(first));
	second = node_start(NULL);
	CHECK_EQ(node_wait(first, 10), 0);
	CHECK(node_is_up(second));
	node_end(second, SIGTERM);
}

TEST(it_leaves_when_nobody_asks)
{
	const char *idle[] = {"--idle-exit", "1", NULL};
	pid_t pid;

	node_make();
	pid = node_start(idle);
	CHECK_EQ(node_wait(pid, 10), 0);
	CHECK(node_log_has("nobody asked for 1 s"));
}

TEST(a_reload_applies_what_changed_or_refuses_whole)
{
	pid_t pid;

	node_make();
	pid = node_up();
	CHECK_EQ(node_claim(1, NULL, NULL), IPAMD_OK);
	node_configure("[pool default]\nsubnet = 10.77.0.0/24\ngateway = 10.77.0.254\n"
		       "low = 2\nhigh = 9\n");
	kill(pid, SIGHUP);
	CHECK(node_until(pool("low") == 2 || node_number("/v1/status", "pools.1.low") == 2));
	CHECK(node_until(node_number("/v1/status", "balance.held") == 1));
	CHECK_EQ(node_claim(2, NULL, NULL), IPAMD_OK);
	node_configure("[pool default]\nsubnet = 10.77.0.0/33\n");
	kill(pid, SIGHUP);
	CHECK(node_until(node_log_has("the configuration stays as it was")));
	CHECK_EQ(node_claim(3, NULL, NULL), IPAMD_OK);
	CHECK_EQ(node_release(1), IPAMD_OK);
	CHECK(node_until(balance_holds()));
	node_end(pid, SIGTERM);
}

/* As if what is held had been claimed then; 0: nothing is changed.  How many are held. */
static unsigned int claims_are_of(uint64_t ms)
{
	auto_pin struct pin *pin = node_pins();
	unsigned int n = 0;

	for (__u32 i = 0; i < pin->meta->slots; i++) {
		struct ipamd_holder h;

		if (slot_state(mem_load(&pin->words[i])) != IPAMD_HELD)
			continue;
		n++;
		if (!ms)
			continue;
		CHECK(!bpf_map_lookup_elem(pin->map[PIN_HOLDERS], &i, &h));
		h.claimed_at_ms = ms;
		CHECK(!bpf_map_update_elem(pin->map[PIN_HOLDERS], &i, &h, 0));
	}
	return n;
}

TEST(a_death_in_the_moment_of_the_claim_is_asked_for_again)
{
	struct node_pod pod;
	pid_t pid;

	node_make();
	pid = node_up();
	node_pod_start(&pod);
	CHECK_EQ(node_pod_claim(&pod, 1, NULL), IPAMD_OK);
	CHECK_EQ(claims_are_of(slot_now_ms(clock_boot_ns()) + 2000), 1);
	node_pod_end(&pod);
	CHECK(node_until(claims_are_of(0) == 0)); /* all ids are asked for each 30 s only */
	node_end(pid, SIGTERM);
}

TEST_MAIN

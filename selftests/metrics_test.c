// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a real ipamd tells Prometheus: its own linter has no complaint, every counter
 * is there, and a series that exists goes on under the same labels.
 */
#include "selftests/harness.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "selftests/node.h"
#include "userspace/base/addr.h"
#include "userspace/base/cleanup.h"

#define FIRST  NODE "/metrics-1"
#define SECOND NODE "/metrics-2"

static const char two_pools[] = "[pool default]\nsubnet = 10.77.0.0/24\ncooldown = 1s\n"
				"[pool other]\nsubnet = 10.78.0.0/30\nsubnet = 2001:db8::/64\n"
				"low = 1\nhigh = 2\ncooldown = 1s\n";

static int shell(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void scrape(const char *to)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "curl -fsS --max-time 10 --unix-socket " NODE_RUN
		 "/admin.sock -o %s http://ipamd/metrics",
		 to);
	CHECK_EQ(shell(command), 0);
}

/* Its value now, by the whole name with labels; -1: there is none. */
static long long value(const char *series)
{
	char line[512];
	size_t n = strlen(series);
	long long found = -1;
	FILE *f;

	scrape(SECOND);
	f = fopen(SECOND, "r");
	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, series, n) && line[n] == ' ')
			found = atoll(line + n);
	fclose(f);
	return found;
}

static void must_have_promtool(void)
{
	if (shell("command -v promtool >/dev/null"))
		SKIP("no promtool: install the package prometheus");
}

/* --- A busy life ------------------------------------------------------------------------ */

/* Its stock is one address; who asks for a second one waits for it. */
static void wait_for_one(unsigned int number, bool in_vain)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = NODE_RUN "/ipamd.sock"};
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct ipamd_request req;

	CHECK_EQ(node_claim(number, NULL, NULL), IPAMD_OK);
	CHECK_EQ(node_claim(number + 1, NULL, &req), IPAMD_EXHAUSTED);
	CHECK_EQ(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	CHECK_EQ(send(fd, &req, sizeof(req), 0), sizeof(req));
	CHECK(node_until(value("ipamd_pool_waiters{pool=\"default\",family=\"4\"}") == 1));
	if (!in_vain)
		CHECK_EQ(node_release(number), IPAMD_OK);
	CHECK_EQ(recv(fd, &req, sizeof(req), 0), sizeof(req));
	CHECK_EQ(req.verdict, in_vain ? IPAMD_EXHAUSTED : IPAMD_OK);
	CHECK_EQ(node_release(in_vain ? number : number + 1), IPAMD_OK);
}

static int post(const char *path)
{
	int code = 0;

	json_decref(node_ask("POST", path, &code));
	return code;
}

static void reclaim(unsigned int number)
{
	struct ipamd_request req;
	struct addr a = {.family = 4};
	char path[128] = "/v1/reclaim?address=";

	CHECK(node_until(node_claim(number, "web-1", &req) == IPAMD_OK));
	CHECK(node_until(node_number("/v1/status", "pools.0.held") == 1));
	memcpy(a.bytes, req.lease[IPAMD_V4].address, 16);
	addr_print(&a, path + strlen(path));
	CHECK_EQ(post(path), 200);
}

static void live(void)
{
	struct node_pod pod;

	reclaim(1);
	CHECK(node_until(node_claim(2, NULL, NULL) == IPAMD_OK));
	CHECK_EQ(node_release(2), IPAMD_OK);
	node_pod_start(&pod);
	CHECK(node_until(node_pod_claim(&pod, 3, NULL) == IPAMD_OK));
	node_pod_end(&pod);
	CHECK(node_until(node_number("/v1/status", "pools.0.held") == 0));
	CHECK_EQ(post("/v1/drain?pool=default"), 200);
	CHECK_EQ(post("/v1/drain?pool=default&off=1"), 200);
	CHECK_EQ(post("/v1/reload"), 200);
}

/* --- Tests ---------------------------------------------------------------------------------- */

TEST(promtool_has_no_complaint)
{
	pid_t pid;

	must_have_promtool();
	node_make();
	CHECK(shell("printf '# TYPE bad_total gauge\\nbad_total 1\\n' |"
		    "promtool check metrics >/dev/null 2>&1") > 0);
	node_configure(two_pools);
	pid = node_up();
	scrape(FIRST);
	CHECK_EQ(shell("promtool check metrics <" FIRST " 2>&1 | sed 's/^/# /' | tee " NODE
		       "/said; test ! -s " NODE "/said"),
		 0);
	live();
	scrape(FIRST);
	CHECK_EQ(shell("promtool check metrics <" FIRST " 2>&1"), 0);
	CHECK_EQ(shell("promtool check metrics <" FIRST " 2>&1 | grep ."), 1);
	CHECK_EQ(shell("grep -v '^#' " FIRST " | grep -v '^ipamd_\\|^process_'"), 1);
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

/* Every name twice or more in a family has HELP and TYPE once, in front of it. */
TEST(each_family_stands_together_under_its_own_head)
{
	pid_t pid;

	node_make();
	node_configure(two_pools);
	pid = node_up();
	scrape(FIRST);
	CHECK_EQ(shell("awk '/^# HELP/ { head = $3; if (seen[head]++) exit 1; next }"
		       " /^# TYPE/ { if ($3 != head) exit 1; next }"
		       " { n = $1; sub(/[{].*/, \"\", n); if (n != head) exit 1 }' " FIRST),
		 0);
	CHECK_EQ(shell("grep -v '^#' " FIRST " | sed 's/ [0-9]*$//' | sort | uniq -d | grep ."), 1);
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

static char *read_text(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 16);

	if (!f)
		test_stop(T_FAIL, "%s: run this from the top of the tree", path);
	CHECK(text && fread(text, 1, (1 << 16) - 1, f) > 0);
	fclose(f);
	return text;
}

TEST(every_counter_of_the_manager_is_exported)
{
	char *header = read_text("userspace/ipamd.h"), *save = NULL;
	char *metrics = read_text("userspace/ipamd_metrics.c");
	char *begin = strstr(header, "struct counters {"), *end, name[64];
	int n = 0;

	CHECK(begin != NULL);
	begin = strchr(begin, '{') + 1;
	end = strchr(begin, '}');
	CHECK(end != NULL);
	*end = '\0';
	for (char *word = strtok_r(begin, " \t\n,;", &save); word;
	     word = strtok_r(NULL, " \t\n,;", &save)) {
		if (!strcmp(word, "uint64_t"))
			continue;
		snprintf(name, sizeof(name), "c->%s)", word);
		if (!strstr(metrics, name))
			test_stop(T_FAIL, "counter %s is not exported", word);
		n++;
	}
	printf("# %d counters\n", n);
	CHECK(n >= 11);
	free(header);
	free(metrics);
}

/* For a family: the names of its labels, as often as they differ. */
#define LABELS(file) \
	"grep -v '^#' " file " | sed 's/=\"[^\"]*\"//g; s/ [0-9]*$//' | sort -u >" file ".labels"

/* The series that belong to no pool. */
#define STEADY(file) "grep -v '^#\\|pool=' " file " | sed 's/ [0-9]*$//' >" file ".steady"

TEST(labels_stay_what_they_were)
{
	pid_t pid;

	node_make();
	pid = node_up();
	scrape(FIRST);
	node_configure(two_pools);
	live();
	CHECK(node_until(value("ipamd_pool_waiters{pool=\"other\",family=\"6\"}") == 0));
	CHECK_EQ(shell(LABELS(FIRST) "; " LABELS(SECOND) "; diff " FIRST ".labels " SECOND
							 ".labels"),
		 0);
	CHECK_EQ(shell(STEADY(FIRST) "; " STEADY(SECOND) "; diff " FIRST ".steady " SECOND
							 ".steady"),
		 0);
	CHECK_EQ(shell("sed 's/{.*//; s/ .*//; /#/d' " FIRST " | sort -u >" NODE "/names; "
		       "sed 's/{.*//; s/ .*//; /#/d' " FIRST ".labels | sort | uniq -d | grep ."),
		 1);
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

TEST(counters_go_up_and_say_what_happened)
{
	pid_t pid;

	node_make();
	node_configure(two_pools);
	pid = node_up();
	live();
	CHECK(value("ipamd_claims_total{verdict=\"ok\"}") >= 3);
	CHECK_EQ(value("ipamd_releases_total{verdict=\"ok\"}"), 1);
	CHECK_EQ(value("ipamd_reclaims_total{evidence=\"asked\"}"), 1);
	CHECK_EQ(value("ipamd_reclaims_total{evidence=\"proof\"}"), 1);
	CHECK_EQ(value("ipamd_reclaims_total{evidence=\"weak\"}"), 0);
	CHECK_EQ(value("ipamd_reloads_total{result=\"ok\"}"), 1);
	CHECK_EQ(value("ipamd_reloads_total{result=\"refused\"}"), 0);
	CHECK(value("ipamd_fills_total") >= 5);
	CHECK(value("ipamd_turns_total") > 0);
	node_configure("[pool default]\n");
	CHECK_EQ(post("/v1/reload"), 409);
	CHECK_EQ(value("ipamd_reloads_total{result=\"refused\"}"), 1);
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

TEST(who_waited_is_counted)
{
	pid_t pid;

	node_make();
	node_configure("[pool default]\nsubnet = 10.77.0.4/32\nlow = 1\nhigh = 1\ncooldown = 0s\n");
	pid = node_up();
	wait_for_one(1, false);
	CHECK_EQ(value("ipamd_slow_claims_total"), 1);
	CHECK_EQ(value("ipamd_slow_timeouts_total"), 0);
	CHECK(node_until(
		value("ipamd_pool_addresses{pool=\"default\",family=\"4\",state=\"ready\"}") == 1));
	wait_for_one(3, true);
	CHECK_EQ(value("ipamd_slow_timeouts_total"), 1);
	CHECK_EQ(node_end(pid, SIGTERM), 0);
}

TEST_MAIN

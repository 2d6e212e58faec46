/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A node of its own for a test: fresh mount, network and pid namespaces, a bpffs,
 * directories for run and state, and the real ipamd in it.  Everything ends with
 * the process that made it.
 */
#ifndef IPAMD_SELFTESTS_NODE_H
#define IPAMD_SELFTESTS_NODE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/types.h>

#include "userspace/edge/pin.h"

#define NODE       "/tmp/ipamd-test-node"
#define NODE_CONF  NODE "/ipamd.conf"
#define NODE_PINS  NODE "/bpf/ipamd"
#define NODE_RUN   NODE "/run"
#define NODE_STATE NODE "/state"
#define NODE_DB    NODE_STATE "/ipamd.db"
#define NODE_LOG   NODE "/log"

/* Of its own, so that a test may unmount it, fill it or make it read-only. */
#define NODE_BPFFS   NODE "/bpf"
#define NODE_RESULTS "/var/lib/cni/results"

/* From here on the caller is the first process of the node.  Exits on failure. */
void node_make(void);

/* The [manager] section is there already; text: what follows it, "" for a small pool. */
void node_configure(const char *text);

/* Starts ipamd with what NODE_CONF says, output to NODE_LOG; more: NULL-terminated, or NULL. */
pid_t node_start(const char *const *more);

/* The same in this process, which it becomes. */
void node_exec(const char *const *more);

/* Until it answers, 10 s at most; false: it ended, or did not. */
bool node_is_up(pid_t pid);

/* Starts and waits; exits the test, with the log, when it does not come up. */
pid_t node_up(void);

/* Sends the signal and waits, 10 s at most; the wait status, -1 when it did not end. */
int node_end(pid_t pid, int signal_number);

/* Waits for the process to end by itself. */
int node_wait(pid_t pid, unsigned int seconds);

/* The HTTP answer as JSON, NULL when there was none; method "GET" or "POST". */
json_t *node_ask(const char *method, const char *path, int *ret_code);

/* A number in it, by a path like "balance.held"; -1: not there. */
long long node_number(const char *http_path, const char *path);

/* Whether the log has this text; and printing all of it, for a test that fails. */
bool node_log_has(const char *text);
void node_log_show(void);

/* Ways to lose what ipamd lives on; while it does not run. */
void node_lose_map(void);    /* a fresh bpffs */
void node_change_boot(void); /* another boot id; maps and directories stay */
void node_empty_run(void);

/* For how long things are waited for: 10 s, or NODE_SECONDS on a slow machine. */
static inline int node_patience(void)
{
	const char *s = getenv("NODE_SECONDS");

	return 100 * (s && atoi(s) > 0 ? atoi(s) : 10);
}

/* Waits until the expression holds; false: it never did. */
#define node_until(x)                                                    \
	({                                                               \
		bool held_ = false;                                      \
		for (int i_ = node_patience(); i_ > 0 && !held_; i_--) { \
			held_ = (x);                                     \
			if (!held_)                                      \
				usleep(10000);                           \
		}                                                        \
		held_;                                                   \
	})

/* What a plugin does: attaches, runs the program, and lets go. */
int node_claim(unsigned int number, const char *pod, struct ipamd_request *ret);
int node_release(unsigned int number);

/* The runtime's result of that claim, as libcni keeps it; the second address may be NULL. */
void node_result(unsigned int number, const char *first, const char *second);

/* The pinned maps as they are; the caller closes. */
struct pin *node_pins(void);

/*
 * A pod: a process in a network namespace of its own, with an id in the node's, that
 * has the address on its lo.  Fills who of a request when req is not NULL.
 */
struct node_pod {
	pid_t pid;
	int nsid;
	__u64 cookie;
};

void node_pod_start(struct node_pod *ret);
void node_pod_address(const struct node_pod *pod, const char *address_and_prefix);
void node_pod_end(struct node_pod *pod);

/* Claims with the pod's namespace in the request. */
int node_pod_claim(const struct node_pod *pod, unsigned int number, struct ipamd_request *ret);
int node_pod_claim_from(const struct node_pod *pod, const char *pool, unsigned int number,
			struct ipamd_request *ret);

#endif

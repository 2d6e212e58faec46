/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ipamd-ipam: an address for a pod, under macvlan, ipvlan, bridge, ptp and others.
 *
 *   main.c         the verbs: what each needs, and the one exit
 *   environment.c  what the runtime says by the environment
 *   conf.c doc.c   the network configuration, strictly read
 *   claim.c        ADD                release.c  DEL
 *   check.c        CHECK              gc.c       GC
 *   status.c       STATUS
 *   pins.c         the programs and maps in the kernel: the fast path
 *   manager.c      the socket, and a manager of its own: the slow path
 *   note.c         a DEL that nobody could serve
 *   netns.c        the pod's namespace: id and cookie
 *   stock.c        what the maps say
 *   result.c       what goes to stdout    problem.c  what goes wrong
 *   clock.c        when an ADD or a DEL began
 *
 * Small and static: most of what an ADD costs is starting the process.  No memory is
 * asked for, every wait has a limit.
 */
#ifndef IPAMD_CNI_PLUGIN_H
#define IPAMD_CNI_PLUGIN_H

#include "bpf/abi.h"
#include "cni/conf.h"
#include "cni/environment.h"

struct plugin {
	struct environment env;
	struct conf conf;
	int conf_problem; /* what conf_read() said; for a DEL no reason to fail */
	__u64 start_ns;
};

/* The request of this attachment, as far as it is known. */
void plugin_request(const struct plugin *p, enum ipamd_verb verb, struct ipamd_request *ret);

/* The verbs: 0, or the code of a problem that was stated. */
int claim_add(struct plugin *p);
int release_del(struct plugin *p);
int check_holds(struct plugin *p);
int gc_collect(struct plugin *p);
int status_tell(struct plugin *p);

/* For claim.c: gives back what nobody will ever hear of. */
void release_now(const struct plugin *p, struct ipamd_request *req);

/* For claim.c and others: what a verdict or outcome means, stated as a problem. */
int claim_explain(const struct plugin *p, const struct ipamd_request *req, int verdict);

#endif

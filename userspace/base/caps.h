/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the manager may do once it runs: a few capabilities for good, nothing that
 * a program it might start would inherit, and no way back.
 *
 * Functions return 0, -errno or an outcome.
 */
#ifndef IPAMD_BASE_CAPS_H
#define IPAMD_BASE_CAPS_H

#include <linux/capability.h>
#include <stdint.h>

enum caps_outcome {
	CAPS_LACKING = 155, /* not all of the mask was there; the rest is as asked */
};

#define CAPS_BIT(cap) ((uint64_t)1 << (cap))

/*
 * Every bpf(2) call before Linux 5.19 where unprivileged_bpf_disabled is set, as it
 * is on Debian.  Not enough to load our programs, which is done before: without
 * CAP_PERFMON the verifier refuses some of their pointer arithmetic.
 */
#define CAPS_OF_BPF CAPS_BIT(CAP_BPF)

/*
 * Links, addresses, routes and rules; giving a namespace an id (RTM_NEWNSID);
 * looking into one by its id (IFA_TARGET_NETNSID); SO_RCVBUFFORCE.
 */
#define CAPS_OF_NETLINK CAPS_BIT(CAP_NET_ADMIN)

/* /proc/<pid>/ns/net of a process that has another user or more capabilities. */
#define CAPS_OF_WITNESS CAPS_BIT(CAP_SYS_PTRACE)

/* A namespace mounted below a directory that another user keeps to himself. */
#define CAPS_OF_MOUNTS CAPS_BIT(CAP_DAC_READ_SEARCH)

/* What the manager needs after its start; each is tested by being taken away. */
#define CAPS_MANAGER (CAPS_OF_BPF | CAPS_OF_NETLINK | CAPS_OF_WITNESS | CAPS_OF_MOUNTS)

/*
 * Permitted and effective become `mask`, inheritable and ambient empty, the bounding
 * set loses the rest, and no_new_privs is set.  For the calling thread: call it
 * while there is one.  -EPERM: the bounding set could not be cut (that needs
 * CAP_SETPCAP), and everything else is as asked.
 */
int caps_keep(uint64_t mask);

/* The effective ones. */
int caps_read(uint64_t *ret);

#endif

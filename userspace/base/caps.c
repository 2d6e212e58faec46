// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* By the system calls: libcap would be a dependency for twenty lines. */
#include "userspace/base/caps.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "userspace/base/error.h"

#define WORDS _LINUX_CAPABILITY_U32S_3

static int get(struct __user_cap_data_struct data[WORDS])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capget, &header, data) ? last_error() : 0;
}

static int set(const struct __user_cap_data_struct data[WORDS])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capset, &header, data) ? last_error() : 0;
}

int caps_read(uint64_t *ret)
{
	struct __user_cap_data_struct data[WORDS] = {0};
	int r = get(data);

	if (r)
		return r;
	*ret = data[0].effective | (uint64_t)data[1].effective << 32;
	return 0;
}

/* Up to the last that this kernel knows (EINVAL).  Goes on after an error. */
static int cut_bounding(uint64_t mask)
{
	int r = 0;

	for (int cap = 0; cap < 64; cap++) {
		int has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

		if (has < 0)
			break;
		if (has && !(mask & CAPS_BIT(cap)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			r = last_error();
	}
	return r;
}

/* 0, or CAPS_LACKING. */
static int keep_sets(uint64_t mask)
{
	struct __user_cap_data_struct data[WORDS] = {0};
	uint64_t kept;
	int r = get(data);

	if (r)
		return r;
	kept = mask & (data[0].permitted | (uint64_t)data[1].permitted << 32);
	for (int i = 0; i < WORDS; i++) {
		data[i].permitted = data[i].effective = (uint32_t)(kept >> (32 * i));
		data[i].inheritable = 0;
	}
	r = set(data);
	if (r)
		return r;
	return kept == mask ? 0 : CAPS_LACKING;
}

int caps_keep(uint64_t mask)
{
	/* First, while there is CAP_SETPCAP. */
	int bounding = cut_bounding(mask), r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return last_error();
	r = keep_sets(mask);
	return r < 0 || !bounding ? r : bounding;
}

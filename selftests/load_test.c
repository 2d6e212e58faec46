// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the verifier of this kernel thinks of the programs.  The kernel's limit is
 * a million; ours is far below, since 5.15 counts about a quarter more than 6.x
 * and later ones may count differently.
 */
#include "selftests/harness.h"
#include "selftests/stock.h"

#include <bpf/bpf.h>
#include <sys/utsname.h>

enum { MOST_INSTRUCTIONS = 25000 };

TEST(every_program_loads_within_25000_verified_instructions)
{
	static const char *const names[] = {
		[IPAMD_CLAIM] = "claim", [IPAMD_RELEASE] = "release", [IPAMD_STEP] = "step"};
	auto_pin struct pin *pin = stock_open(IPAMD_SLOTS_MAX, 0);
	struct utsname kernel;

	CHECK_EQ(uname(&kernel), 0);
	for (int v = 1; v < IPAMD_VERBS; v++) {
		struct bpf_prog_info info = {0};
		__u32 size = sizeof(info);

		CHECK_EQ(bpf_obj_get_info_by_fd(pin->prog[v], &info, &size), 0);
		/* Kernels before 5.16 do not tell. */
		printf("# %s: %s: %u verified instructions, %u bytes of machine code\n",
		       kernel.release, names[v], info.verified_insns, info.jited_prog_len);
		CHECK(info.verified_insns <= MOST_INSTRUCTIONS);
		CHECK(info.jited_prog_len > 0);
	}
}

TEST_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What is pinned outlives who pinned it, is found again, and is not taken for
 * ours when it is somebody else's.
 */
#include "selftests/harness.h"
#include "selftests/stock.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PARENT "/tmp/ipamd-test-bpffs"

static __u32 map_id(const struct pin *pin, enum pin_map map)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);

	CHECK_EQ(bpf_obj_get_info_by_fd(pin->map[map], &info, &size), 0);
	return info.id;
}

static __u32 prog_id(const struct pin *pin, enum ipamd_verb verb)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	CHECK_EQ(bpf_obj_get_info_by_fd(pin->prog[verb], &info, &size), 0);
	return info.id;
}

static unsigned int entries_in(const char *path)
{
	struct stat st;

	/* bpffs counts no links; so the names that must be there are asked for */
	return stat(path, &st) ? 0 : 1;
}

TEST(claims_outlive_the_manager_and_programs_are_swapped)
{
	struct pin *pin = stock_open(64, 1000), *again;
	__u32 words, program;
	struct ipamd_request req;

	CHECK_EQ(stock_fill(pin, 0, POOL_4, 0), IPAMD_OK);
	CHECK_EQ(stock_claim(pin, 1, "v4", &req), IPAMD_OK);
	words = map_id(pin, PIN_WORDS);
	program = prog_id(pin, IPAMD_CLAIM);
	pin_close(pin);

	CHECK_EQ(pin_open(STOCK_DIR, 64, &again), 0);
	CHECK_EQ(map_id(again, PIN_WORDS), words);
	CHECK(prog_id(again, IPAMD_CLAIM) != program);
	CHECK_EQ(again->generation, 1);
	CHECK_EQ(stock_word(again, 0), req.lease[0].word);
	CHECK_EQ(stock_claim(again, 1, "v4", &req), IPAMD_OK);
	CHECK_EQ(req.again, 1);
	pin_close(again);
}

TEST(who_only_uses_the_pins_loads_nothing)
{
	auto_pin struct pin *pin = stock_open(64, 1000);
	struct pin *user;
	struct ipamd_request req;

	CHECK_EQ(stock_fill(pin, 0, POOL_4, 0), IPAMD_OK);
	CHECK_EQ(pin_attach(STOCK_DIR, &user), 0);
	CHECK_EQ(prog_id(user, IPAMD_CLAIM), prog_id(pin, IPAMD_CLAIM));
	CHECK_EQ(stock_claim(user, 1, "v4", &req), IPAMD_OK);
	CHECK_EQ(stock_word(pin, 0), req.lease[0].word);
	pin_close(user);
	CHECK_EQ(pin_attach(PARENT "/nothing", &user), BPFFS_ABSENT);
	CHECK_EQ(pin_attach("/tmp", &user), BPFFS_NOT_MOUNTED);
}

TEST(pins_are_for_root_alone)
{
	static const char *const names[] = {
		"meta",    "pools",         "words",           "slots",       "addresses",
		"holders", "by_holder",     "names",           "tombs",       "events",
		"stats",   IPAMD_PIN_CLAIM, IPAMD_PIN_RELEASE, IPAMD_PIN_STEP};
	char path[128];
	struct stat st;

	umask(0);
	pin_close(stock_open(64, 0));
	CHECK_EQ(stat(STOCK_DIR, &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0700);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), STOCK_DIR "/current/%s", names[i]);
		CHECK_EQ(stat(path, &st), 0);
		CHECK_EQ(st.st_mode & 07777, 0600);
		CHECK_EQ(st.st_uid, 0);
	}
}

static int open_once(void)
{
	struct pin *pin = NULL;
	int r = pin_open(STOCK_DIR, 64, &pin);

	pin_close(pin);
	return r;
}

TEST(a_squatted_directory_is_refused)
{
	stock_mount();
	CHECK_EQ(mkdir(STOCK_DIR, 0700), 0);
	CHECK_EQ(chown(STOCK_DIR, 65534, 65534), 0);
	CHECK_EQ(open_once(), BPFFS_SQUATTED);
	CHECK_EQ(chown(STOCK_DIR, 0, 0), 0);
	CHECK_EQ(chmod(STOCK_DIR, 0755), 0);
	CHECK_EQ(open_once(), BPFFS_SQUATTED);
	CHECK_EQ(chmod(STOCK_DIR, 0700), 0);
	CHECK_EQ(open_once(), 0);
}

TEST(a_symlink_in_its_place_is_refused)
{
	stock_mount();
	CHECK_EQ(mkdir(PARENT "/elsewhere", 0700), 0);
	CHECK_EQ(symlink("elsewhere", STOCK_DIR), 0);
	CHECK_EQ(open_once(), BPFFS_SQUATTED);
	CHECK_EQ(rmdir(PARENT "/elsewhere"), 0); /* nothing was put in it */
}

TEST(another_file_system_is_refused)
{
	auto_pin struct pin *pin = NULL;

	CHECK_EQ(pin_open("/tmp/ipamd-no-bpffs", 64, &pin), BPFFS_NOT_MOUNTED);
	rmdir("/tmp/ipamd-no-bpffs");
	CHECK_EQ(pin_open("/nonexistent/ipamd", 64, &pin), BPFFS_NOT_MOUNTED);
}

TEST(maps_that_are_not_ours_are_refused)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "stranger", 4, 8, 1, NULL);

	pin_close(stock_open(64, 0));
	CHECK(fd >= 0);
	CHECK_EQ(unlink(STOCK_DIR "/current/holders"), 0);
	CHECK_EQ(open_once(), PIN_FOREIGN);
	CHECK_EQ(bpf_obj_pin(fd, STOCK_DIR "/g1/holders"), 0);
	CHECK_EQ(open_once(), PIN_FOREIGN);
}

TEST(a_newer_layout_is_left_alone)
{
	auto_pin struct pin *pin = stock_open(64, 0);

	pin->meta->layout = IPAMD_LAYOUT + 1;
	CHECK_EQ(open_once(), PIN_NEWER);
	CHECK_EQ(pin->meta->layout, IPAMD_LAYOUT + 1);
	pin->meta->layout = 0;
	CHECK_EQ(open_once(), PIN_FOREIGN);
}

TEST(missing_programs_are_pinned_again)
{
	auto_pin struct pin *pin = stock_open(64, 0);
	struct pin *user;
	struct ipamd_request req;

	CHECK_EQ(stock_fill(pin, 0, POOL_4, 0), IPAMD_OK);
	CHECK_EQ(unlink(STOCK_DIR "/current/" IPAMD_PIN_CLAIM), 0);
	CHECK_EQ(pin_attach(STOCK_DIR, &user), 0);
	CHECK_EQ(stock_claim(user, 1, "v4", &req), -EBADF);
	pin_close(user);
	CHECK_EQ(open_once(), 0);
	CHECK_EQ(pin_attach(STOCK_DIR, &user), 0);
	CHECK_EQ(stock_claim(user, 1, "v4", &req), IPAMD_OK);
	pin_close(user);
}

TEST(half_built_leftovers_are_swept_away)
{
	struct stat st;

	stock_mount();
	CHECK_EQ(mkdir(STOCK_DIR, 0700), 0);
	CHECK_EQ(mkdir(STOCK_DIR "/g1", 0700), 0);
	CHECK_EQ(mkdir(STOCK_DIR "/g7", 0700), 0);
	CHECK_EQ(symlink("g7", STOCK_DIR "/current_next"), 0);
	CHECK_EQ(open_once(), 0);
	CHECK_EQ(entries_in(STOCK_DIR "/g7"), 0);
	CHECK_EQ(entries_in(STOCK_DIR "/g1/words"), 1);
	CHECK_EQ(access(STOCK_DIR "/g7", F_OK), -1);
	CHECK_EQ(lstat(STOCK_DIR "/current_next", &st), -1);
}

TEST(a_capacity_out_of_bounds_is_refused)
{
	struct pin *pin;

	stock_mount();
	CHECK_EQ(pin_open(STOCK_DIR, IPAMD_SLOTS_MIN - 1, &pin), -EINVAL);
	CHECK_EQ(pin_open(STOCK_DIR, IPAMD_SLOTS_MAX + 1, &pin), -EINVAL);
	CHECK_EQ(pin_open(STOCK_DIR, IPAMD_SLOTS_MAX, &pin), 0);
	pin_close(pin);
}

TEST(words_are_read_only_for_user_space)
{
	auto_pin struct pin *pin = stock_open(64, 0);
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler would only talk */
		*(volatile __u64 *)(size_t)pin->words = 0;
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

TEST(every_outcome_says_what_to_do)
{
	for (int i = 100; i < 114; i++)
		if (i <= BPFFS_ABSENT || i >= PIN_NEWER)
			CHECK(strcmp(pin_explain(i), "unknown outcome"));
	CHECK(!strcmp(pin_explain(-ENOMEM), strerror(ENOMEM)));
}

TEST(who_only_looks_can_write_nothing)
{
	struct pin *pin = stock_open(64, 1000), *looking;
	__u32 zero = 0;
	__u64 word;
	int status;
	pid_t pid;

	CHECK_EQ(stock_fill(pin, 0, POOL_4, 0), IPAMD_OK);
	CHECK_EQ(pin_attach_readonly(STOCK_DIR, &looking), 0);
	word = stock_word(looking, 0);
	CHECK_EQ(word, stock_word(pin, 0));
	CHECK_EQ(looking->meta->slots, 64);
	CHECK_EQ(looking->prog[IPAMD_STEP], -1);
	CHECK(bpf_map_update_elem(looking->map[PIN_META], &zero, looking->meta, 0) < 0);
	CHECK_EQ(errno, EPERM);
	CHECK(mprotect(looking->pools, 4096, PROT_READ | PROT_WRITE) < 0);
	pid = fork();
	if (!pid) {
		looking->meta->slots = 0;
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) || WEXITSTATUS(status)); /* a sanitizer exits by itself */
	CHECK_EQ(pin->meta->slots, 64);
	pin_close(looking);
	pin_close(pin);
}

TEST_MAIN

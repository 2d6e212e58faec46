// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libbpf lives here: the skeleton is opened, sized, loaded and pinned, and then
 * closed again.  What stays are descriptors and three mappings.
 *
 * Invariant 10 is kept by order: a generation is built whole before `current`
 * names it, and a program pin is replaced by rename, never removed.
 */
#include "userspace/edge/pin.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bpf/ipamd.skel.h"
#include "bpf/slot.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/error.h"
#include "userspace/edge/move.h"

void (*pin_say)(const char *text);

static const char *const map_names[PIN_MAPS] = {
	[PIN_META] = "meta",           [PIN_POOLS] = "pools",         [PIN_WORDS] = "words",
	[PIN_SLOTS] = "slots",         [PIN_ADDRESSES] = "addresses", [PIN_HOLDERS] = "holders",
	[PIN_BY_HOLDER] = "by_holder", [PIN_NAMES] = "names",         [PIN_TOMBS] = "tombs",
	[PIN_EVENTS] = "events",       [PIN_STATS] = "stats",
};

static const char *const prog_names[IPAMD_VERBS] = {
	[IPAMD_CLAIM] = "claim",
	[IPAMD_RELEASE] = "release",
	[IPAMD_STEP] = "step",
};

static const char *const prog_pins[IPAMD_VERBS] = {
	[IPAMD_CLAIM] = IPAMD_PIN_CLAIM,
	[IPAMD_RELEASE] = IPAMD_PIN_RELEASE,
	[IPAMD_STEP] = IPAMD_PIN_STEP,
};

const char *pin_explain(int outcome)
{
	switch (outcome) {
	case BPFFS_NOT_MOUNTED:
		return "no bpffs there: mount -t bpf bpf /sys/fs/bpf";
	case BPFFS_SQUATTED:
		return "the directory of the pins is a symlink, not root's or not mode 0700: if it "
		       "is root's own, chmod 0700; if not, find out who made it and remove it";
	case BPFFS_ABSENT:
		return "nothing is pinned there: start ipamd";
	case PIN_NEWER:
		return "the maps are of a newer ipamd: install that version, or drain this node, "
		       "remove the directory and start again";
	case PIN_FOREIGN:
		return "what is pinned there is not ipamd's, or not whole: drain the node, then "
		       "remove the directory and start again";
	case PIN_TOO_SMALL:
		return "slots beyond the new capacity are in use: drain first, or keep the old "
		       "capacity";
	case PIN_STUCK:
		return "a claim, or another change of the maps, has not ended: try again";
	default:
		return outcome < 0 ? strerror(-outcome) : "unknown outcome";
	}
}

static int say(enum libbpf_print_level level, const char *format, va_list args)
{
	char text[4096];

	if (!pin_say || level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(text, sizeof(text), format, args);
	pin_say(text);
	return 0;
}

/* --- One generation -------------------------------------------------------- */

static void *map_memory(int fd, size_t size, int prot)
{
	void *p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t words_size(const struct pin *pin)
{
	return (size_t)pin->chunks * sizeof(struct ipamd_chunk);
}

static int open_mappings(struct pin *pin, bool may_write)
{
	int prot = PROT_READ | (may_write ? PROT_WRITE : 0);

	pin->words = map_memory(pin->map[PIN_WORDS], words_size(pin), PROT_READ);
	pin->meta = map_memory(pin->map[PIN_META], sizeof(*pin->meta), prot);
	pin->pools = map_memory(pin->map[PIN_POOLS], sizeof(*pin->pools) * IPAMD_POOLS, prot);
	return pin->words && pin->meta && pin->pools ? 0 : last_error();
}

static struct pin *pin_new(void)
{
	struct pin *pin = calloc(1, sizeof(*pin));

	if (!pin)
		return NULL;
	pin->dir = pin->generation_dir = -1;
	memset(pin->map, -1, sizeof(pin->map));
	memset(pin->prog, -1, sizeof(pin->prog));
	return pin;
}

void pin_close(struct pin *pin)
{
	if (!pin)
		return;
	ring_buffer__free(pin->ring);
	if (pin->words)
		munmap((void *)(uintptr_t)pin->words, words_size(pin));
	if (pin->meta)
		munmap(pin->meta, sizeof(*pin->meta));
	if (pin->pools)
		munmap(pin->pools, sizeof(*pin->pools) * IPAMD_POOLS);
	for (int i = 0; i < PIN_MAPS; i++)
		cleanup_close(&pin->map[i]);
	for (int i = 0; i < IPAMD_VERBS; i++)
		cleanup_close(&pin->prog[i]);
	cleanup_close(&pin->generation_dir);
	cleanup_close(&pin->dir);
	free(pin);
}

static int open_pinned(int dir, const char *name, bool may_write)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = may_write ? 0 : BPF_F_RDONLY);
	char path[BPFFS_PATH_MAX];

	bpffs_path(dir, name, path);
	return bpf_obj_get_opts(path, &opts);
}

/* Every map there and at least as large as what we would read of it. */
static int check_map(struct pin *pin, enum pin_map i, const struct bpf_map_info *info)
{
	static const __u32 least[PIN_MAPS] = {
		[PIN_META] = sizeof(struct ipamd_meta),
		[PIN_POOLS] = sizeof(struct ipamd_pool),
		[PIN_WORDS] = sizeof(struct ipamd_chunk),
		[PIN_SLOTS] = sizeof(struct ipamd_slot),
		[PIN_ADDRESSES] = sizeof(struct ipamd_address),
		[PIN_HOLDERS] = sizeof(struct ipamd_holder),
		[PIN_BY_HOLDER] = sizeof(struct ipamd_entry),
		[PIN_NAMES] = sizeof(__u64),
		[PIN_TOMBS] = sizeof(struct ipamd_tomb),
		[PIN_STATS] = sizeof(struct ipamd_stats),
	};
	static const __u32 type[PIN_MAPS] = {
		[PIN_META] = BPF_MAP_TYPE_ARRAY,         [PIN_POOLS] = BPF_MAP_TYPE_ARRAY,
		[PIN_WORDS] = BPF_MAP_TYPE_ARRAY,        [PIN_SLOTS] = BPF_MAP_TYPE_ARRAY,
		[PIN_ADDRESSES] = BPF_MAP_TYPE_ARRAY,    [PIN_HOLDERS] = BPF_MAP_TYPE_ARRAY,
		[PIN_BY_HOLDER] = BPF_MAP_TYPE_HASH,     [PIN_NAMES] = BPF_MAP_TYPE_HASH,
		[PIN_TOMBS] = BPF_MAP_TYPE_LRU_HASH,     [PIN_EVENTS] = BPF_MAP_TYPE_RINGBUF,
		[PIN_STATS] = BPF_MAP_TYPE_PERCPU_ARRAY,
	};

	if (info->type != type[i] || info->value_size < least[i])
		return PIN_FOREIGN;
	pin->value_size[i] = info->value_size;
	if (i == PIN_WORDS)
		pin->chunks = info->max_entries;
	return 0;
}

/* A map can be mapped by a descriptor alone that may write; from then on none is needed. */
static int close_for_writing(struct pin *pin)
{
	for (int i = 0; i < PIN_MAPS; i++) {
		cleanup_close(&pin->map[i]);
		pin->map[i] = open_pinned(pin->generation_dir, map_names[i], false);
		if (pin->map[i] < 0)
			return last_error();
	}
	return 0;
}

static int open_maps(struct pin *pin, bool may_write)
{
	int r;

	for (int i = 0; i < PIN_MAPS; i++) {
		struct bpf_map_info info = {0};
		__u32 size = sizeof(info);

		pin->map[i] = open_pinned(pin->generation_dir, map_names[i], true);
		if (pin->map[i] < 0)
			return errno == ENOENT || errno == EINVAL ? PIN_FOREIGN : last_error();
		if (bpf_obj_get_info_by_fd(pin->map[i], &info, &size))
			return errno == EINVAL ? PIN_FOREIGN : last_error();
		r = check_map(pin, i, &info);
		if (r)
			return r;
	}
	r = open_mappings(pin, may_write);
	return r || may_write ? r : close_for_writing(pin);
}

static int attach_generation(int dir, unsigned int number, bool may_write, struct pin **ret)
{
	auto_pin struct pin *pin = pin_new();
	int r;

	if (!pin)
		return -ENOMEM;
	pin->generation = number;
	pin->dir = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	if (pin->dir < 0)
		return last_error();
	r = bpffs_open_generation(dir, number, false, &pin->generation_dir);
	if (r)
		return r == BPFFS_ABSENT ? PIN_FOREIGN : r;
	r = open_maps(pin, may_write);
	if (r)
		return r;
	for (int v = 1; may_write && v < IPAMD_VERBS; v++)
		pin->prog[v] = open_pinned(pin->generation_dir, prog_pins[v], true);
	*ret = take_ptr(&pin);
	return 0;
}

int pin_attach_generation(int dir, unsigned int number, struct pin **ret)
{
	return attach_generation(dir, number, true, ret);
}

/* Between two looks at `current` a generation may be replaced and swept away. */
static int attach(const char *dir, bool may_write, struct pin **ret)
{
	auto_close int fd = -1;
	unsigned int number, after;
	int r = bpffs_open(dir, false, &fd);

	for (int i = 0; i < 8 && !r; i++) {
		struct pin *pin = NULL;

		r = bpffs_read_current(fd, &number);
		if (r)
			return r;
		r = attach_generation(fd, number, may_write, &pin);
		if (!bpffs_read_current(fd, &after) && after == number) {
			if (!r)
				*ret = pin;
			return r;
		}
		pin_close(pin);
		r = 0;
	}
	return r ? r : PIN_STUCK;
}

int pin_attach(const char *dir, struct pin **ret)
{
	return attach(dir, true, ret);
}

int pin_attach_readonly(const char *dir, struct pin **ret)
{
	return attach(dir, false, ret);
}

static int map_id(int fd, __u32 *ret)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return last_error();
	*ret = info.id;
	return 0;
}

int pin_check(const struct pin *pin, const char *dir)
{
	auto_pin struct pin *there = NULL;
	__u32 ours = 0, theirs = 0;
	int r = pin_attach_readonly(dir, &there);

	if (!r)
		r = map_id(pin->map[PIN_WORDS], &ours);
	if (!r)
		r = map_id(there->map[PIN_WORDS], &theirs);
	return r ? r : ours == theirs ? 0 : PIN_FOREIGN;
}

int pin_discard(const char *dir)
{
	auto_close int fd = -1;
	int r = bpffs_open(dir, false, &fd);

	if (!r && unlinkat(fd, IPAMD_CURRENT, 0) && errno != ENOENT)
		r = last_error();
	return r;
}

/* --- Loading ------------------------------------------------------------------ */

static struct bpf_map *map_of(struct ipamd_bpf *skel, enum pin_map i)
{
	return bpf_object__find_map_by_name(skel->obj, map_names[i]);
}

static int size_maps(struct ipamd_bpf *skel, const struct pin_shape *shape)
{
	__u32 slots = shape->slots, cpus = (__u32)libbpf_num_possible_cpus();
	const __u32 entries[PIN_MAPS] = {
		[PIN_WORDS] = (slots + IPAMD_CHUNK - 1) / IPAMD_CHUNK,
		[PIN_SLOTS] = slots,
		[PIN_ADDRESSES] = slots,
		[PIN_HOLDERS] = slots,
		/* An attachment holds one or two slots; a released one lingers a moment. */
		[PIN_BY_HOLDER] = 2 * slots,
		/* Addresses, workloads; pools and namespaces. */
		[PIN_NAMES] = 2 * slots + 1024,
		/* The kernel keeps up to 128 free LRU elements back on each CPU. */
		[PIN_TOMBS] = 4 * slots + 256 * cpus,
	};
	int r = 0;

	for (int i = 0; i < PIN_MAPS && !r; i++)
		if (entries[i])
			r = bpf_map__set_max_entries(map_of(skel, i), entries[i]);
	for (int i = PIN_SLOTS; shape->tail && i <= PIN_HOLDERS && !r; i++) {
		struct bpf_map *map = map_of(skel, i);

		r = bpf_map__set_value_size(map, bpf_map__value_size(map) + shape->tail);
	}
	return r;
}

static int reuse_maps(struct ipamd_bpf *skel, const struct pin *pin)
{
	int r = 0;

	for (int i = 0; i < PIN_MAPS && !r; i++)
		r = bpf_map__reuse_fd(map_of(skel, i), pin->map[i]);
	return r;
}

/* The skeleton, loaded over the maps of `reuse`, or over new ones. */
static int load(const struct pin_shape *shape, const struct pin *reuse, struct ipamd_bpf **ret)
{
	struct ipamd_bpf *skel;
	int r;

	libbpf_set_print(say);
	skel = ipamd_bpf__open();
	if (!skel)
		return last_error();
	r = reuse ? reuse_maps(skel, reuse) : size_maps(skel, shape);
	if (!r)
		r = ipamd_bpf__load(skel);
	if (!r) {
		*ret = skel;
		return 0;
	}
	ipamd_bpf__destroy(skel);
	return r < 0 ? r : -EIO;
}

/* Over the old pin in one rename; plugins open either the old one or the new. */
static int pin_program(int dir, int fd, const char *name)
{
	char next[32], path[BPFFS_PATH_MAX];

	snprintf(next, sizeof(next), "%s_next", name);
	bpffs_path(dir, next, path);
	if (unlinkat(dir, next, 0) && errno != ENOENT)
		return last_error();
	if (bpf_obj_pin(fd, path) || renameat(dir, next, dir, name))
		return last_error();
	return 0;
}

static int pin_programs(struct ipamd_bpf *skel, int dir)
{
	int r = 0;

	for (int v = 1; v < IPAMD_VERBS && !r; v++) {
		struct bpf_program *p = bpf_object__find_program_by_name(skel->obj, prog_names[v]);

		r = pin_program(dir, bpf_program__fd(p), prog_pins[v]);
	}
	return r;
}

static int pin_maps(struct ipamd_bpf *skel, int dir)
{
	for (int i = 0; i < PIN_MAPS; i++) {
		char path[BPFFS_PATH_MAX];

		bpffs_path(dir, map_names[i], path);
		if (bpf_obj_pin(bpf_map__fd(map_of(skel, i)), path))
			return last_error();
	}
	return 0;
}

static int build_generation(int dir, unsigned int number, const struct pin_shape *shape,
			    struct pin **ret)
{
	struct ipamd_bpf *skel = NULL;
	auto_pin struct pin *pin = NULL;
	auto_close int generation_dir = -1;
	int r = bpffs_open_generation(dir, number, true, &generation_dir);

	if (!r)
		r = load(shape, NULL, &skel);
	if (!r)
		r = pin_maps(skel, generation_dir);
	if (!r)
		r = pin_programs(skel, generation_dir);
	ipamd_bpf__destroy(skel);
	if (!r)
		r = pin_attach_generation(dir, number, &pin);
	if (r)
		return r;
	pin->meta->slots = shape->slots;
	pin->meta->layout = shape->layout;
	*ret = take_ptr(&pin);
	return 0;
}

static int swap_programs(struct pin *pin)
{
	struct ipamd_bpf *skel = NULL;
	int r = load(NULL, pin, &skel);

	if (r)
		return r;
	assert(skel);
	r = pin_programs(skel, pin->generation_dir);
	ipamd_bpf__destroy(skel);
	for (int v = 1; v < IPAMD_VERBS && !r; v++) {
		int fd = open_pinned(pin->generation_dir, prog_pins[v], true);

		if (fd < 0)
			return last_error();
		cleanup_close(&pin->prog[v]);
		pin->prog[v] = fd;
	}
	return r;
}

/* --- Opening -------------------------------------------------------------------- */

static int create(int dir, const struct pin_shape *shape)
{
	auto_pin struct pin *pin = NULL;
	int r = bpffs_sweep(dir, 0, 0);

	if (!r)
		r = build_generation(dir, 1, shape, &pin);
	return r ? r : bpffs_write_current(dir, 1);
}

/* The next generation: the one that a move was going to, or a new one. */
static int prepare_next(struct pin *from, const struct pin_shape *shape, struct pin **ret)
{
	unsigned int number = from->generation + 1;
	int r;

	if (from->meta->moving == number) {
		r = pin_attach_generation(from->dir, number, ret);
		return r ? r : (*ret)->meta->layout > shape->layout ? PIN_NEWER : 0;
	}
	r = bpffs_sweep(from->dir, from->generation, 0);
	return r ? r : build_generation(from->dir, number, shape, ret);
}

static int move_on(struct pin *from, const struct pin_shape *shape)
{
	auto_pin struct pin *to = NULL;
	int r = 0;

	/* `step` does the moving; where it is missing, a map of our own layout gets ours. */
	if (from->prog[IPAMD_STEP] < 0 && from->meta->layout == shape->layout)
		r = swap_programs(from);
	if (!r)
		r = prepare_next(from, shape, &to);
	if (!r)
		r = move_slots(from, to);
	if (!r)
		r = bpffs_write_current(from->dir, to->generation);
	return r;
}

static bool is_of_shape(const struct pin *pin, const struct pin_shape *shape)
{
	return pin->meta->layout == shape->layout && pin->meta->slots == shape->slots;
}

/* One state of the directory closer to what is wanted; *ret once it is reached. */
static int advance(int dir, const struct pin_shape *shape, struct pin **ret)
{
	auto_pin struct pin *pin = NULL;
	unsigned int number;
	int r = bpffs_read_current(dir, &number);

	if (r == BPFFS_ABSENT)
		return create(dir, shape);
	if (!r)
		r = pin_attach_generation(dir, number, &pin);
	if (r)
		return r;
	if (pin->meta->layout > shape->layout)
		return PIN_NEWER;
	if (pin->meta->layout == 0)
		return PIN_FOREIGN;
	if (pin->meta->moving || !is_of_shape(pin, shape))
		return move_on(pin, shape);
	r = bpffs_sweep(dir, number, 0);
	if (!r)
		r = swap_programs(pin);
	if (!r)
		*ret = take_ptr(&pin);
	return r;
}

int pin_open_shape(const char *dir, const struct pin_shape *shape, struct pin **ret)
{
	struct pin *pin = NULL;
	auto_close int fd = -1;
	int r;

	if (shape->slots < IPAMD_SLOTS_MIN || shape->slots > IPAMD_SLOTS_MAX)
		return -EINVAL;
	r = bpffs_open(dir, true, &fd);
	/* Created, moved on, reached; and one interrupted move to another shape before. */
	for (int i = 0; i < 4 && !r && !pin; i++)
		r = advance(fd, shape, &pin);
	if (r)
		return r;
	if (!pin)
		return PIN_FOREIGN;
	*ret = pin;
	return 0;
}

int pin_open(const char *dir, __u32 slots, struct pin **ret)
{
	struct pin_shape shape = {.layout = IPAMD_LAYOUT, .slots = slots};

	return pin_open_shape(dir, &shape, ret);
}

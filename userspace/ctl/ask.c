// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The manager is asked; when it is dead, what can be read is read from the pinned
 * maps, which need no manager.  Each failure is said here, once, with what to do.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/ctl/ctl.h"
#include "userspace/edge/call.h"

enum {
	READ_MS = 2000,
	CHANGE_MS = 15000, /* it may sync a disk, or read files */
};

void answer_free(struct answer *a)
{
	free(a->text);
	tree_free(a->tree);
}

static int call(const struct ctl *c, const char *method, const char *path, unsigned int limit_ms,
		struct call_answer *ret)
{
	char at[512];

	if ((size_t)snprintf(at, sizeof(at), "%s/admin.sock", c->run) >= sizeof(at))
		return -ENAMETOOLONG;
	return call_run(at, method, path, limit_ms, ret);
}

static int explain_call(const struct ctl *c, int r)
{
	switch (r) {
	case CALL_ABSENT:
		return ctl_fail(CTL_NO_MANAGER,
				"nobody listens at %s/admin.sock: start the manager (systemctl "
				"start ipamd), or name its directory with --run",
				c->run);
	case CALL_SILENT:
		return ctl_fail(CTL_NO_MANAGER,
				"the manager does not answer at %s/admin.sock; what was asked may "
				"have been done: look at its log (journalctl -u ipamd)",
				c->run);
	case CALL_FOREIGN:
		return ctl_fail(CTL_FAILED,
				"who listens at %s/admin.sock is not root: find out who made it",
				c->run);
	case CALL_GARBLED:
		return ctl_fail(CTL_FAILED,
				"%s/admin.sock: the answer was cut off, or is none: ask again",
				c->run);
	case -EACCES:
	case -EPERM:
		return ctl_fail(CTL_NO_PERMISSION, "%s: only root may ask: use sudo", c->run);
	default:
		return ctl_fail(CTL_FAILED, "%s/admin.sock: %s", c->run, strerror(-r));
	}
}

/* An HTTP code that is no success, with the manager's own sentence. */
static int explain_code(int code, const struct tree *tree)
{
	const char *error = tree_text(tree, "error");
	enum ctl_exit result = code == 404   ? CTL_NOT_FOUND
			       : code == 403 ? CTL_NO_PERMISSION
			       : code == 409 ? CTL_REFUSED
					     : CTL_FAILED;

	return ctl_fail(result, "%s", *error ? error : "the manager answers with an error");
}

/* What was answered, as a tree; a ctl_exit. */
static int take_answer(struct call_answer *from, struct answer *ret)
{
	struct tree *tree = NULL;
	int r = tree_parse(from->body, from->size, &tree);

	if (!r && from->code == 200) {
		*ret = (struct answer){.text = take_ptr(&from->body), .tree = tree};
		return CTL_OK;
	}
	r = r ? ctl_fail(CTL_FAILED, "the manager's answer is not JSON: is it another version?")
	      : explain_code(from->code, tree);
	free(take_ptr(&from->body));
	tree_free(tree);
	return r;
}

/* --- Without a manager -------------------------------------------------------------------- */

int ask_pins(const struct ctl *c, const char *dir, struct pin **ret)
{
	int r;

	if (c->pins)
		dir = c->pins;
	if (!dir || !*dir)
		dir = IPAMD_DIR;
	r = pin_attach_readonly(dir, ret);
	if (!r)
		return CTL_OK;
	if (r == -EACCES || r == -EPERM)
		return ctl_fail(CTL_NO_PERMISSION, "%s: only root may look: use sudo", dir);
	if (r != BPFFS_ABSENT && r != BPFFS_NOT_MOUNTED)
		return ctl_fail(CTL_FAILED, "%s: %s", dir, pin_explain(r));
	return ctl_fail(CTL_NO_MANAGER,
			"nobody answers at %s, and nothing is pinned at %s: start the manager "
			"(systemctl start ipamd), or name its directories with --run and --pins",
			c->run, dir);
}

static int make_answer(const struct ctl *c, ctl_make *make, struct answer *ret)
{
	auto_pin struct pin *pin = NULL;
	struct json j;
	size_t size = 0;
	FILE *out;
	int r = ask_pins(c, NULL, &pin);

	if (r)
		return r;
	out = open_memstream(&ret->text, &size);
	if (!out)
		return ctl_fail(CTL_FAILED, "out of memory");
	json_init(&j, out);
	json_open_object(&j, NULL);
	json_text(&j, "from", "maps");
	r = make(c, pin, &j);
	json_close_object(&j);
	if ((json_end(&j) | fclose(out) | tree_parse(ret->text, size, &ret->tree)) && !r)
		return ctl_fail(CTL_FAILED, "out of memory");
	ret->from_maps = true;
	return r;
}

/* What says that there is no manager, and nothing more. */
static bool is_dead(int r)
{
	return r == CALL_ABSENT || r == CALL_SILENT || r == CALL_FOREIGN || r == CALL_GARBLED;
}

int ask_read(const struct ctl *c, const char *path, ctl_make *make, struct answer *ret)
{
	struct call_answer got = {0};
	int r = call(c, "GET", path, READ_MS, &got);

	if (!r)
		return take_answer(&got, ret);
	if (!make || !is_dead(r))
		return explain_call(c, r);
	r = make_answer(c, make, ret);
	if (!r && !c->quiet)
		fputs("ipamctl: the manager does not answer: shown from the kernel's maps\n",
		      stderr);
	return r;
}

/* --- With one ------------------------------------------------------------------------------ */

int ask_change(const struct ctl *c, const char *path, const char *what, ...)
{
	struct call_answer got = {0};
	auto_answer struct answer a = {0};
	va_list args;
	char text[512];
	int r = call(c, "POST", path, CHANGE_MS, &got);

	if (r)
		return explain_call(c, r);
	r = take_answer(&got, &a);
	if (r)
		return r;
	if (c->json)
		return print_answer(&a);
	va_start(args, what);
	vsnprintf(text, sizeof(text), what, args);
	va_end(args);
	print_text(text, stdout);
	putchar('\n');
	return CTL_OK;
}

int ask_address(const struct ctl *c, const char *text, struct addr *ret)
{
	return addr_parse(text, ret) ? help_usage(c->command, "\"%s\" is no address", text) : 0;
}

int ask_long(bool fits)
{
	return fits ? 0 : ctl_fail(CTL_USAGE, "an argument is too long");
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ipamctl: what its commands share.
 *
 *   ipamctl.c      options, the command table, main
 *   help.c         --help and usage errors from the table
 *   completion.c   what the shells are told, from the table
 *   ask.c          the manager asked; when it is dead, the pinned maps read
 *   kernel.c       the manager's answers, made from the maps alone
 *   print.c        times, counts and text as people read them
 *   <command>.c    one each
 *
 * A command's result is the exit status.  What was asked for goes to stdout,
 * everything else to stderr.
 */
#ifndef IPAMD_CTL_CTL_H
#define IPAMD_CTL_CTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "userspace/base/addr.h"
#include "userspace/base/json.h"
#include "userspace/edge/pin.h"
#include "userspace/edge/table.h"
#include "userspace/edge/tree.h"

enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_NO_MANAGER = 3,
	CTL_NOT_FOUND = 4,
	CTL_NO_PERMISSION = 5,
	CTL_REFUSED = 7,
};

/* What a word on the command line stands for; the shells complete it. */
enum ctl_word { CTL_NOTHING, CTL_ANY, CTL_ADDRESS, CTL_POOL, CTL_STATE, CTL_SHELL, CTL_DIRECTORY };

struct ctl_option {
	const char *name;  /* without its dashes */
	const char *value; /* its name in --help; NULL: it takes none */
	enum ctl_word word;
	const char *help;
};

enum { CTL_OPTIONS = 2, CTL_ARGUMENTS = 2 };

struct ctl;

struct ctl_command {
	const char *name;
	const char *arguments; /* as usage shows them */
	enum ctl_word argument[CTL_ARGUMENTS];
	unsigned int least, most;
	struct ctl_option option[CTL_OPTIONS];
	const char *help;
	int (*run)(const struct ctl *c);
};

/* One call of ipamctl, understood. */
struct ctl {
	const char *run;
	const char *pins; /* NULL: what the manager says, or the default */
	bool json;
	bool colours;
	bool quiet; /* that there is no manager was said already */
	const struct ctl_command *command;
	const char *argument[CTL_ARGUMENTS];
	const char *option[CTL_OPTIONS]; /* by the command's own: NULL when not given */
};

/* --- ipamctl.c --- */

extern const struct ctl_command ctl_commands[]; /* ends with one that has no name */
extern const struct ctl_option ctl_globals[];

/* "ipamctl: ..." on stderr; returns `code`. */
int ctl_fail(enum ctl_exit code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- help.c --- */

void help_print(FILE *to);
void help_command(const struct ctl_command *command, FILE *to);

/* A mistake on the command line, and how it is done. */
int help_usage(const struct ctl_command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* --- ask.c --- */

struct answer {
	char *text;
	struct tree *tree;
	bool from_maps;
};

void answer_free(struct answer *a);

#define auto_answer __attribute__((cleanup(answer_free)))

/* Makes of the maps what the manager would have answered: a ctl_exit. */
typedef int ctl_make(const struct ctl *c, const struct pin *pin, struct json *j);

/* Asks; when nobody answers, makes the answer; else says why not.  A ctl_exit. */
int ask_read(const struct ctl *c, const char *path, ctl_make *make, struct answer *ret);

/* Has the manager do something, and says `what` was done. */
int ask_change(const struct ctl *c, const char *path, const char *what, ...)
	__attribute__((format(printf, 3, 4)));

/* The maps to look at, read-only; says what is wrong. */
int ask_pins(const struct ctl *c, const char *dir, struct pin **ret);

/* An address on the command line: 0, or CTL_USAGE and it was said. */
int ask_address(const struct ctl *c, const char *text, struct addr *ret);

/* Says that the path is too long for a call, when `fits` is false. */
int ask_long(bool fits);

/* --- kernel.c --- */

struct counts {
	unsigned int ready, cooling, claiming, held, leaving, quarantine, fixed, used;
};

/* Of one pool, or of all: IPAMD_POOLS. */
struct counts kernel_count(const struct pin *pin, unsigned int pool, uint64_t now_ms);
ctl_make kernel_status, kernel_slots, kernel_explain;
uint64_t now_ms(void);

/* --- print.c --- */

/* "3d 4h", "12m 5s", "30s", "0.3s" */
#define PRINT_TIME 32
const char *print_duration(uint64_t ms, char ret[PRINT_TIME]);

/* Date and time here; "-" for 0. */
const char *print_date(uint64_t wall_ms, char ret[PRINT_TIME]);

/* Text from outside: what a terminal would obey is shown as \x1b. */
void print_text(const char *text, FILE *to);

/* "coloured" as the terminal shows it, when colours are wanted. */
void print_coloured(const struct ctl *c, enum table_colour colour, const char *text, FILE *to);
enum table_colour print_colour_of(const char *state);

/* What goes to stdout as JSON is the answer, as it came. */
int print_answer(const struct answer *a);

/* --- One command each --- */

int command_status(const struct ctl *c);
int command_show(const struct ctl *c);
int command_explain(const struct ctl *c);
int command_history(const struct ctl *c);
int command_check(const struct ctl *c);
int command_drain(const struct ctl *c);
int command_reclaim(const struct ctl *c);
int command_fix(const struct ctl *c);
int command_unfix(const struct ctl *c);
int command_reload(const struct ctl *c);
int command_watch(const struct ctl *c);
int command_completion(const struct ctl *c);

/* For `watch`: the status into a stream; `head`: with what changes every second. */
int status_print(const struct ctl *c, const struct answer *a, bool head, FILE *to);

#endif

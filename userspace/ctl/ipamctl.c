// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Shows and steers the manager of this node's addresses, and shows what is in the
 * kernel when there is no manager.
 */
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "userspace/base/version.h"
#include "userspace/ctl/ctl.h"

const struct ctl_command ctl_commands[] = {
	{
		.name = "status",
		.help = "how the manager, the stock and the pools are",
		.run = command_status,
	},
	{
		.name = "show",
		.help = "the addresses: where each is, and who has it",
		.option = {{"pool", "NAME", CTL_POOL, "those of this pool alone"},
			   {"state", "STATE", CTL_STATE, "those in this state alone"}},
		.run = command_show,
	},
	{
		.name = "explain",
		.arguments = "ADDRESS | CONTAINER | NAMESPACE/POD",
		.argument = {CTL_ADDRESS},
		.least = 1,
		.most = 1,
		.help = "why an address is where it is; a container by its id or its beginning",
		.run = command_explain,
	},
	{
		.name = "history",
		.arguments = "ADDRESS",
		.argument = {CTL_ADDRESS},
		.least = 1,
		.most = 1,
		.help = "who held it, from when to when, and what ended that",
		.run = command_history,
	},
	{
		.name = "check",
		.help = "whether kernel, manager and rows agree; exits 1, and says where not",
		.run = command_check,
	},
	{
		.name = "drain",
		.arguments = "POOL",
		.argument = {CTL_POOL},
		.least = 1,
		.most = 1,
		.option = {{"off", NULL, CTL_NOTHING, "open the pool again"}},
		.help = "close a pool; its stock leaves as it becomes free",
		.run = command_drain,
	},
	{
		.name = "reclaim",
		.arguments = "ADDRESS",
		.argument = {CTL_ADDRESS},
		.least = 1,
		.most = 1,
		.option = {{"force", NULL, CTL_NOTHING,
			    "although its pod lives: two pods may then have the address"}},
		.help = "take an address back whose pod is gone",
		.run = command_reclaim,
	},
	{
		.name = "fix",
		.arguments = "ADDRESS NAMESPACE/POD",
		.argument = {CTL_ADDRESS, CTL_ANY},
		.least = 2,
		.most = 2,
		.help = "keep an address for the pod of that name",
		.run = command_fix,
	},
	{
		.name = "unfix",
		.arguments = "ADDRESS",
		.argument = {CTL_ADDRESS},
		.least = 1,
		.most = 1,
		.help = "let anybody have it again",
		.run = command_unfix,
	},
	{
		.name = "reload",
		.help = "have the manager read its configuration again",
		.run = command_reload,
	},
	{
		.name = "watch",
		.help = "the status, each second, until ^C; to a file, when it changes",
		.run = command_watch,
	},
	{
		.name = "completion",
		.arguments = "bash | zsh | fish",
		.argument = {CTL_SHELL},
		.least = 1,
		.most = 1,
		.help = "what makes that shell complete these commands",
		.run = command_completion,
	},
	{0},
};

enum { G_RUN, G_PINS, G_OUTPUT, G_HELP, G_VERSION };

const struct ctl_option ctl_globals[] = {
	[G_RUN] = {"run", "DIR", CTL_DIRECTORY,
		   "where the manager's socket is; default /run/ipamd"},
	[G_PINS] = {"pins", "DIR", CTL_DIRECTORY,
		    "where the maps are pinned; default: as the manager says, or " IPAMD_DIR},
	[G_OUTPUT] = {"output", "json", CTL_ANY, "-o json: JSON on stdout"},
	[G_HELP] = {"help", NULL, CTL_NOTHING, "-h: this text, or that of the command"},
	[G_VERSION] = {"version", NULL, CTL_NOTHING, "-V: the version"},
	{0},
};

int ctl_fail(enum ctl_exit code, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fputs("ipamctl: ", stderr);
	print_text(text, stderr);
	fputc('\n', stderr);
	return code;
}

/* --- The command line ------------------------------------------------------------------ */

/* What is left to read, and the option at hand. */
struct line {
	struct ctl ctl;
	char **next;
	unsigned int arguments;
	bool help, version, only_arguments;
};

static int apply_global(struct line *l, int which, const char *value)
{
	switch (which) {
	case G_RUN:
		l->ctl.run = value;
		break;
	case G_PINS:
		l->ctl.pins = value;
		break;
	case G_OUTPUT:
		if (strcmp(value, "json"))
			return help_usage(l->ctl.command, "-o %s: json is allowed", value);
		l->ctl.json = true;
		break;
	case G_HELP:
		l->help = true;
		break;
	default:
		l->version = true;
	}
	return 0;
}

/* The value behind '=', or the next word. */
static int take_value(struct line *l, const struct ctl_option *o, const char *equals,
		      const char **ret)
{
	if (!o->value) {
		*ret = "";
		return equals ? help_usage(l->ctl.command, "--%s takes no value", o->name) : 0;
	}
	if (!equals && !*l->next)
		return help_usage(l->ctl.command, "--%s needs a value: --%s %s", o->name, o->name,
				  o->value);
	*ret = equals ? equals + 1 : *l->next++;
	return 0;
}

static bool is_named(const struct ctl_option *o, const char *word, size_t n)
{
	return strlen(o->name) == n && !strncmp(o->name, word, n);
}

static int read_long(struct line *l, const char *word)
{
	const struct ctl_command *command = l->ctl.command;
	const char *equals = strchr(word, '='), *value = "";
	size_t n = equals ? (size_t)(equals - word) : strlen(word);
	int r;

	for (int i = 0; ctl_globals[i].name; i++)
		if (is_named(&ctl_globals[i], word, n)) {
			r = take_value(l, &ctl_globals[i], equals, &value);
			return r ? r : apply_global(l, i, value);
		}
	for (int i = 0; command && i < CTL_OPTIONS && command->option[i].name; i++)
		if (is_named(&command->option[i], word, n)) {
			r = take_value(l, &command->option[i], equals, &value);
			if (!r)
				l->ctl.option[i] = value;
			return r;
		}
	return help_usage(command, "there is no option --%.*s%s", (int)n, word,
			  command ? "" : " in front of a command");
}

static int read_short(struct line *l, const char *word)
{
	static const char letters[] = {'o', 'h', 'V'};
	static const int which[] = {G_OUTPUT, G_HELP, G_VERSION};
	const char *value = "";

	for (size_t i = 0; i < sizeof(letters); i++) {
		if (*word != letters[i] || (word[1] && *word != 'o'))
			continue;
		if (*word == 'o' && !word[1] && !*l->next)
			return help_usage(l->ctl.command, "-o needs a value: -o json");
		if (*word == 'o')
			value = word[1] ? word + 1 : *l->next++;
		return apply_global(l, which[i], value);
	}
	return help_usage(l->ctl.command, "there is no option -%s", word);
}

static int read_word(struct line *l, const char *word)
{
	if (!l->ctl.command) {
		for (const struct ctl_command *command = ctl_commands; command->name; command++)
			if (!strcmp(command->name, word))
				l->ctl.command = command;
		return l->ctl.command ? 0 : help_usage(NULL, "there is no command \"%s\"", word);
	}
	if (l->arguments == l->ctl.command->most)
		return help_usage(l->ctl.command, "\"%s\" is too much", word);
	l->ctl.argument[l->arguments++] = word;
	return 0;
}

static int read_line(struct line *l)
{
	int r = 0;

	while (*l->next && !r) {
		const char *word = *l->next++;

		if (l->only_arguments || word[0] != '-' || !word[1])
			r = read_word(l, word);
		else if (!strcmp(word, "--"))
			l->only_arguments = true;
		else
			r = word[1] == '-' ? read_long(l, word + 2) : read_short(l, word + 1);
	}
	return r;
}

/* Colours are for eyes, and for those who want them. */
static bool wants_colours(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(1) && !(no && *no) && term && strcmp(term, "dumb");
}

static int run(struct line *l)
{
	const struct ctl_command *command = l->ctl.command;
	int code = CTL_OK;

	if (l->version)
		puts("ipamctl " IPAMD_VERSION);
	else if (l->help && command)
		help_command(command, stdout);
	else if (l->help)
		help_print(stdout);
	else if (!command)
		return help_usage(NULL, "which command?");
	else if (l->arguments < command->least)
		return help_usage(command, "%s needs %s", command->name, command->arguments);
	else
		code = command->run(&l->ctl);
	/* A full disk behind > must not look like success. */
	if ((fflush(stdout) || ferror(stdout)) && code == CTL_OK)
		return ctl_fail(CTL_FAILED, "stdout cannot be written to");
	return code;
}

int main(int argc, char **argv)
{
	struct line l = {.ctl.run = "/run/ipamd"};
	int r;

	(void)argc;
	setlocale(LC_ALL, "");
	l.ctl.colours = wants_colours();
	l.next = argv + (argv[0] != NULL);
	r = read_line(&l);
	return r ? r : run(&l);
}

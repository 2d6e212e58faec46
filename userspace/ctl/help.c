// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the command table says, in words. */
#include <stdarg.h>
#include <string.h>

#include "userspace/ctl/ctl.h"

static void print_option(const struct ctl_option *o, FILE *to)
{
	char left[40];

	snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "",
		 o->value ? o->value : "");
	fprintf(to, "  %-16s %s\n", left, o->help);
}

static void print_usage(const struct ctl_command *command, FILE *to)
{
	if (!command) {
		fputs("usage: ipamctl [options] COMMAND ...\n", to);
		return;
	}
	fprintf(to, "usage: ipamctl %s", command->name);
	for (int i = 0; i < CTL_OPTIONS && command->option[i].name; i++)
		fprintf(to, " [--%s%s%s]", command->option[i].name,
			command->option[i].value ? " " : "",
			command->option[i].value ? command->option[i].value : "");
	fprintf(to, "%s%s\n", command->arguments ? " " : "",
		command->arguments ? command->arguments : "");
}

void help_print(FILE *to)
{
	print_usage(NULL, to);
	fputs("\nShows and steers the addresses of this node; see ipamctl(8).\n\nCommands:\n", to);
	for (const struct ctl_command *c = ctl_commands; c->name; c++)
		fprintf(to, "  %-16s %s\n", c->name, c->help);
	fputs("\nOptions:\n", to);
	for (const struct ctl_option *o = ctl_globals; o->name; o++)
		print_option(o, to);
	fputs("\nExit status: 0 ok, 1 failed or does not hold, 2 usage, 3 manager not reachable,\n"
	      "4 not found, 5 no permission, 7 refused.\n",
	      to);
}

void help_command(const struct ctl_command *command, FILE *to)
{
	print_usage(command, to);
	fprintf(to, "\n%s\n", command->help);
	if (!command->option[0].name)
		return;
	fputs("\nOptions:\n", to);
	for (int i = 0; i < CTL_OPTIONS && command->option[i].name; i++)
		print_option(&command->option[i], to);
}

int help_usage(const struct ctl_command *command, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ctl_fail(CTL_USAGE, "%s", text);
	print_usage(command, stderr);
	fprintf(stderr, "More: ipamctl %s%s--help\n", command ? command->name : "",
		command ? " " : "");
	return CTL_USAGE;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ipamctl completion: the command table in the words of three shells.  The names of
 * pools and addresses are asked for when they are needed.
 */
#include <string.h>

#include "userspace/ctl/ctl.h"
#include "userspace/edge/portrait.h"

/* What a shell runs to learn the words of a kind; NULL: there is nothing to learn. */
static const char *source_of(enum ctl_word word)
{
	switch (word) {
	case CTL_ADDRESS:
		return "ipamctl show 2>/dev/null | sed -n '2,$s/ .*//p'";
	case CTL_POOL:
		return "ipamctl status 2>/dev/null | sed -n '/^POOL /,$p' | "
		       "sed -n '2,$s/ .*//p' | sort -u";
	case CTL_STATE:
		return "echo ready cooling claiming held leaving quarantine waiting";
	case CTL_SHELL:
		return "echo bash zsh fish";
	default:
		return NULL;
	}
}

static void print_options(const struct ctl_option *o, size_t most)
{
	for (size_t i = 0; i < most && o[i].name; i++)
		printf(" --%s", o[i].name);
}

static void print_globals(void)
{
	print_options(ctl_globals, 99);
	fputs(" -o -h -V", stdout);
}

/* --- bash ------------------------------------------------------------------------------ */

static void bash_value(const struct ctl_option *o)
{
	if (!o->value)
		return;
	printf("\t--%s)", o->name);
	if (o->word == CTL_DIRECTORY)
		puts(" COMPREPLY=($(compgen -d -- \"$cur\")); return ;;");
	else if (source_of(o->word))
		printf(" COMPREPLY=($(compgen -W \"$(%s)\" -- \"$cur\")); return ;;\n",
		       source_of(o->word));
	else
		puts(" COMPREPLY=($(compgen -W json -- \"$cur\")); return ;;");
}

static void bash(void)
{
	puts("# bash completion for ipamctl; made by: ipamctl completion bash\n"
	     "_ipamctl() {\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} word command= "
	     "n=0 i\n"
	     "\tCOMPREPLY=()\n"
	     "\tcase $prev in\n"
	     "\t-o) COMPREPLY=($(compgen -W json -- \"$cur\")); return ;;");
	for (const struct ctl_option *o = ctl_globals; o->name; o++)
		bash_value(o);
	for (const struct ctl_command *c = ctl_commands; c->name; c++)
		for (int i = 0; i < CTL_OPTIONS && c->option[i].name; i++)
			bash_value(&c->option[i]);
	puts("\tesac\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tword=${COMP_WORDS[i]}\n"
	     "\t\tcase $word in\n"
	     "\t\t-o|--output|--run|--pins|--pool|--state) ((i++)) ;;\n"
	     "\t\t-*) ;;\n"
	     "\t\t*) if [[ -n $command ]]; then ((n++)); else command=$word; fi ;;\n"
	     "\t\tesac\n"
	     "\tdone\n"
	     "\tcase $command/$n in");
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		if (source_of(c->argument[0]))
			printf("\t%s/0) COMPREPLY=($(compgen -W \"$(%s)\" -- \"$cur\")) ;;\n",
			       c->name, source_of(c->argument[0]));
	}
	fputs("\t/0) COMPREPLY=($(compgen -W \"", stdout);
	for (const struct ctl_command *c = ctl_commands; c->name; c++)
		printf("%s%s", c->name, c[1].name ? " " : "");
	puts("\" -- \"$cur\")) ;;\n\tesac\n\t[[ $cur == -* ]] || return\n\tcase $command in");
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		if (!c->option[0].name)
			continue;
		printf("\t%s) COMPREPLY=($(compgen -W \"", c->name);
		print_options(c->option, CTL_OPTIONS);
		print_globals();
		puts("\" -- \"$cur\")) ;;");
	}
	fputs("\t*) COMPREPLY=($(compgen -W \"", stdout);
	print_globals();
	puts("\" -- \"$cur\")) ;;\n\tesac\n}\ncomplete -F _ipamctl ipamctl");
}

/* --- zsh ------------------------------------------------------------------------------- */

/* In single quotes, and without what _arguments would read into it. */
static void zsh_text(const char *text)
{
	for (; *text; text++) {
		if (strchr("[]:\\", *text))
			putchar('\\');
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	}
}

static void zsh_action(enum ctl_word word)
{
	if (word == CTL_DIRECTORY)
		fputs("_directories", stdout);
	else if (word == CTL_ADDRESS)
		fputs("_ipamctl_addresses", stdout);
	else if (word == CTL_POOL)
		fputs("_ipamctl_pools", stdout);
	else if (word == CTL_STATE)
		fputs("(ready cooling claiming held leaving quarantine waiting)", stdout);
	else if (word == CTL_SHELL)
		fputs("(bash zsh fish)", stdout);
}

static void zsh_option(const struct ctl_option *o)
{
	printf(" \\\n\t\t'--%s[", o->name);
	zsh_text(o->help);
	putchar(']');
	if (o->value) {
		printf(":%s:", o->value);
		if (!strcmp(o->name, "output"))
			fputs("(json)", stdout);
		zsh_action(o->word);
	}
	putchar('\'');
}

static void zsh(void)
{
	printf("#compdef ipamctl\n# zsh completion for ipamctl; made by: ipamctl completion zsh\n"
	       "_ipamctl_addresses() {\n\tlocal -a words=(${(f)\"$(%s)\"})\n"
	       "\tcompadd -a words\n}\n",
	       source_of(CTL_ADDRESS));
	printf("_ipamctl_pools() {\n\tlocal -a words=(${(f)\"$(%s)\"})\n\tcompadd -a words\n}\n",
	       source_of(CTL_POOL));
	puts("_ipamctl() {\n\tlocal context state state_descr line\n\ttypeset -A opt_args\n"
	     "\tlocal -a commands=(");
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		printf("\t\t'%s:", c->name);
		zsh_text(c->help);
		puts("'");
	}
	fputs("\t)\n\t_arguments -C", stdout);
	for (const struct ctl_option *o = ctl_globals; o->name; o++)
		zsh_option(o);
	puts(" \\\n\t\t'-o[JSON on stdout]:json:(json)' '1:command:->command' "
	     "'*::argument:->argument'\n"
	     "\tcase $state in\n\tcommand) _describe command commands ;;\n"
	     "\targument)\n\t\tcase $line[1] in");
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		printf("\t\t%s) _arguments", c->name);
		for (int i = 0; i < CTL_OPTIONS && c->option[i].name; i++)
			zsh_option(&c->option[i]);
		if (c->argument[0]) {
			fputs(" '1:argument:", stdout);
			zsh_action(c->argument[0]);
			putchar('\'');
		} else {
			fputs(" '*: :'", stdout);
		}
		puts(" ;;");
	}
	puts("\t\tesac ;;\n\tesac\n}\nif [[ $funcstack[1] = _ipamctl ]]; then\n\t_ipamctl \"$@\"\n"
	     "else\n\tcompdef _ipamctl ipamctl\nfi");
}

/* --- fish ------------------------------------------------------------------------------ */

static void fish_text(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('\'');
}

/* The words, in single quotes: in double ones fish would expand what sed is told. */
static void fish_words(enum ctl_word word)
{
	char text[256];

	snprintf(text, sizeof(text), "(%s | string split ' ')", source_of(word));
	fish_text(text);
}

static void fish_option(const char *condition, const struct ctl_option *o)
{
	printf("complete -c ipamctl%s -l %s -d ", condition, o->name);
	fish_text(o->help);
	if (o->value && source_of(o->word)) {
		fputs(" -x -a ", stdout);
		fish_words(o->word);
	} else if (o->value) {
		fputs(o->word == CTL_DIRECTORY ? " -r -a '(__fish_complete_directories)'"
					       : " -x -a json",
		      stdout);
	}
	putchar('\n');
}

static void fish(void)
{
	char condition[96];

	puts("# fish completion for ipamctl; made by: ipamctl completion fish\n"
	     "complete -c ipamctl -f\ncomplete -c ipamctl -s o -x -a json");
	for (const struct ctl_option *o = ctl_globals; o->name; o++)
		fish_option("", o);
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		printf("complete -c ipamctl -n __fish_use_subcommand -a %s -d ", c->name);
		fish_text(c->help);
		putchar('\n');
		snprintf(condition, sizeof(condition), " -n '__fish_seen_subcommand_from %s'",
			 c->name);
		for (int i = 0; i < CTL_OPTIONS && c->option[i].name; i++)
			fish_option(condition, &c->option[i]);
		if (!source_of(c->argument[0]))
			continue;
		printf("complete -c ipamctl%s -a ", condition);
		fish_words(c->argument[0]);
		putchar('\n');
	}
}

int command_completion(const struct ctl *c)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
		if (!strcmp(shells[i].name, c->argument[0])) {
			shells[i].print();
			return CTL_OK;
		}
	return help_usage(c->command, "\"%s\": bash, zsh or fish is allowed", c->argument[0]);
}

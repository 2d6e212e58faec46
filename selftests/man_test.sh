#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The man pages say what the programs say: every option, command, configuration key
# with its default, path of the socket and exit status, and none that is not there.

cd "$(dirname "$0")/.." || exit 1
O=${O:-build}
n=0 bad=0
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

report() { # name, what is wrong: empty is good
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n $1"
	else
		printf '%s\n' "$2" | head -20 | sed 's/^/# /'
		echo "not ok $n $1"
		bad=1
	fi
}

# Two lists, one word a line, must be the same and not empty.
same() { # name, what the code has, what the page has
	printf '%s\n' "$2" | sort -u >"$tmp/code"
	printf '%s\n' "$3" | sort -u >"$tmp/page"
	if [ -z "$2" ]; then
		report "$1" "nothing found in the code: has it moved?"
	else
		report "$1" "$(diff "$tmp/code" "$tmp/page" | sed -n 's/^</only in the code:/p; s/^>/only in the page:/p')"
	fi
}

longs() { # of a --help
	grep -o -e '--[a-z][a-z-]*' | sort -u
}

page_longs() {
	sed 's/Fl -/Fl --/g' "$1" | grep -o -e 'Fl --[a-z][a-z-]*' | sed 's/^Fl //' | sort -u
}

page_codes() {
	sed -n '/^\.Sh EXIT STATUS/,/^\.Sh EX\|^\.Sh SEE/s/^\.It \([0-9]*\)$/\1/p' "$1"
}

# The numbers in front of a word, behind "Exit status:".
help_codes() {
	tr '\n' ' ' | sed 's/.*Exit status: //' | grep -o '\b[0-9][0-9]* [a-z]' | sed 's/ .*//'
}

echo "TAP version 13"
if command -v mandoc >/dev/null; then
	# Ours are not installed where mandoc looks for them.
	report "mandoc finds nothing wrong" "$(for page in docs/*.[1-9]; do
		mandoc -Tlint "$page" 2>&1 | grep -v 'referenced manual not found\|mandoc.db'
	done)"
else
	n=$((n + 1))
	echo "ok $n mandoc finds nothing wrong # SKIP no mandoc"
fi

ipamd=$O/userspace/ipamd ipamctl=$O/userspace/ctl/ipamctl
same "ipamd(8) has the options of ipamd" "$($ipamd --help | longs)" "$(page_longs docs/ipamd.8)"
same "ipamd(8) has the exit status of ipamd" "$($ipamd --help | help_codes)" \
	"$(page_codes docs/ipamd.8)"
same "ipamd(8) has the paths of the socket" \
	"$(grep -o 'HTTP_[A-Z]*, "/[a-z0-9/]*"' userspace/ipamd_admin.c | sed 's/HTTP_//; s/[,"]//g')" \
	"$(grep -o '^\.It Li [A-Z]* /[a-z0-9/]*' docs/ipamd.8 | sed 's/.It Li //')"

commands=$($ipamctl --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\).*/\1/p')
same "ipamctl(8) has the commands of ipamctl" "$commands" \
	"$(sed -n '/^The commands/,/^The options/s/^\.It Cm \([a-z]*\).*/\1/p' docs/ipamctl.8)"
same "ipamctl(8) has the options of ipamctl and its commands" \
	"$(for c in --help $commands; do $ipamctl "$c" --help; done | longs)" \
	"$(page_longs docs/ipamctl.8)"
for c in $commands; do
	same "ipamctl(8) has the options and arguments of $c" \
		"$($ipamctl "$c" --help | sed -n '1s/.*ipamctl //p' | tr -d '[]|' | tr -s ' ' '\n')" \
		"$(sed -n "s/^\.It Cm \($c\( .*\)*\)$/\1/p" docs/ipamctl.8 |
			sed 's/Fl -/--/g; s/\b\(Oo\|Oc\|Op\|Ar\|Cm\) //g; s/ Oc$//' |
			tr -d '|' | tr -s ' ' '\n')"
done
same "ipamctl(8) has the exit status that --help has" "$($ipamctl --help | help_codes)" \
	"$(page_codes docs/ipamctl.8)"
same "--help has the exit status of the code" \
	"$(sed -n 's/^\tCTL_[A-Z_]* = \([0-9]\),$/\1/p' userspace/ctl/ctl.h)" \
	"$($ipamctl --help | help_codes)"

told=$(grep -rhoE 'try: ipamctl [a-z]+' cni userspace --include='*.c' | sed 's/.* //' | sort -u)
report "what an error tells to try is a command of ipamctl" "$(
	[ -n "$told" ] || echo "nothing found in the code: has it moved?"
	for c in $told; do
		printf '%s\n' "$commands" | grep -qx "$c" || echo "ipamctl $c"
	done
)"

keys() { # of a table in core/config.c
	sed -n "/$1\[\] = {/,/};/p" userspace/core/config.c | grep -o '{"[a-z]*"' | tr -d '{"'
}
page_keys() { # of a section of ipamd.conf(5)
	sed -n "/^\.Ss \[$1/,/^\.S/s/^\.It Cm \([a-z]*\).*/\1/p" docs/ipamd.conf.5
}
same "ipamd.conf(5) has the keys of [manager]" "$(keys manager_keys)" "$(page_keys manager)"
same "ipamd.conf(5) has the keys of [pool]" "$(keys pool_keys)" "$(page_keys pool)"
printf '[pool x]\nsubnet = 10.0.0.0/24\n' >"$tmp/conf"
same "ipamd.conf(5) has their defaults" \
	"$($ipamd -n -c "$tmp/conf" | grep -v '^\[\|^$\|^subnet\|^range' | tr -d ' ')" \
	"$(sed -n 's/^\.It Cm \([a-z]*\) Li = \(.*\)/\1=\2/p' docs/ipamd.conf.5)"
sed -n '/^\.Bd -literal/,/^\.Ed/p' docs/ipamd.conf.5 | grep -v '^\.' >"$tmp/example"
report "ipamd takes the example of ipamd.conf(5)" "$($ipamd -n -c "$tmp/example" 2>&1 >/dev/null)"
# --- The plugin: its code has tables, and a text for each error ----------------------------

page=docs/ipamd-ipam.8
quoted() { # the strings on stdin
	grep -o '"[^"]*"' | tr -d '"'
}
page_items() { # section, macro: the words of its .It lines
	sed -n "/^\.S[hs] $1/,/^\.S[hs]/s/^\.It $2 \([A-Za-z_]*\).*/\1/p" $page
}
same "ipamd-ipam(8) has the verbs of the plugin" \
	"$({
		sed -n 's/^\t\[VERB_[A-Z]*\] = {CONF_[0-9_]*, \("[A-Z]*"\),.*/\1/p' cni/main.c | quoted
		echo VERSION # it is answered whatever the configuration is
	})" "$(page_items Verbs Cm)"
same "ipamd-ipam(8) has the keys of ipam" \
	"$(grep 'const known\[\]' cni/conf.c | quoted)" "$(page_items CONFIGURATION Cm)"
same "ipamd-ipam(8) has their defaults" \
	"$(sed -n '/^void conf_init/,/^}/p' cni/conf.c |
		sed "s|IPAMD_DIR|$(sed -n 's/^#define IPAMD_DIR *//p' bpf/abi.h)|" |
		sed -n 's/^\t\t\.\([a-z]*\) = "\(.*\)",/\1=\2/p')" \
	"$(sed -n 's/^\.It Cm \([a-z]*\) Li = \(.*\)/\1=\2/p' $page)"
same "ipamd-ipam(8) has the variables of the plugin" \
	"$(grep -o 'get("CNI_[A-Z_]*")\|{"CNI_[A-Z_]*"' cni/environment.c | quoted)" \
	"$(page_items ENVIRONMENT Ev)"
same "ipamd-ipam(8) has the keys of CNI_ARGS" \
	"$(sed -n '/} known\[\] = {/,/};/s/^\t\t{\("[A-Za-z0-9_]*"\),.*/\1/p' cni/environment.c | quoted)" \
	"$(sed -n '/^\.It Ev CNI_ARGS/,/^\.El/s/^\.Li //p' $page | tr -s ' ,' '\n' | grep .)"

# "code text", with three dots for what is filled in.
code_texts() {
	{
		sed -n 's/^\t\(PROBLEM_[A-Z_]*\) = \([0-9]*\),$/n \1 \2/p' cni/problem.h
		sed -n 's/^\t\(IPAMD_[A-Z_]*\) = \([0-9]*\),.*/n \1 \2/p' bpf/abi.h
		cat cni/*.c | tr -s '\n\t ' '   ' | sed 's/\([^\\]\)" "/\1/g' |
			grep -oE '(problem\(|\[IPAMD_[A-Z_]*\] = \{)[a-zA-Z_0 +]*, "([^"\\]|\\.)*"' |
			sed 's/problem(code,/problem(PROBLEM_DECODING,/; s/^problem(/t /
				s/^\[\(IPAMD_[A-Z_]*\)\] = {0,/t PROBLEM_OURS + \1,/
				s/^\[IPAMD_[A-Z_]*\] = {/t /; s/%[a-z]*/.../g; s/\\"/"/g'
	} | awk '$1 == "n" { number[$2] = $3; next }
		{ sub(/,$/, "", $2) }
		{ text = substr($0, index($0, "\"") + 1)
		  sub(/,$/, "", $4)
		  print number[$2] + ($3 == "+" ? number[$4] : 0), substr(text, 1, length(text) - 1) }'
}
page_texts() {
	sed -n '/^\.Sh DIAGNOSTICS/,/^\.Sh SEE/p' $page | awk '/^\.It Li/ { code = $3 }
		/^\.Bd/ { on = 1; next } /^\.Ed/ { on = 0 }
		on { sub(/^\\&/, ""); print code, $0 }'
}
same "ipamd-ipam(8) has the codes and texts of the plugin's errors" "$(code_texts)" "$(page_texts)"
sed -n '/^\.Bd -literal$/,/^\.Ed/p' $page | grep -v '^\.' >"$tmp/conflist"
report "the configuration in ipamd-ipam(8) is one" "$(jq . "$tmp/conflist" 2>&1 >/dev/null)"

echo "1..$n"
exit $bad

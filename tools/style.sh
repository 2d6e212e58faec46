#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# How the tree looks: formatting, licences, shell.  Prints TAP, changes nothing;
# `tools/style.sh fix` formats the C files instead.

cd "$(dirname "$0")/.." || exit 1
n=0 bad=0

report() { # name, output of the check: empty is good
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n $1"
	else
		printf '%s\n' "$2" | head -40 | sed 's/^/# /'
		echo "not ok $n $1"
		bad=1
	fi
}

files() { # of these kinds, as git knows them or will
	git ls-files --cached --others --exclude-standard -- "$@" | sort -u
}

git() { # also in a clone that belongs to another user, as CI's may
	command git -c safe.directory="$PWD" "$@"
}

c_files=$(files '*.c' '*.h')
[ -n "$c_files" ] || {
	echo "not ok - git lists no C files here: nothing could be checked"
	exit 1
}
exec </dev/null
# shellcheck disable=SC2086 # a list of names without spaces
if [ "$1" = fix ]; then
	clang-format -i $c_files
	exit
fi

echo "TAP version 13"
# shellcheck disable=SC2086
report "C files are formatted (tools/style.sh fix)" "$(clang-format --dry-run $c_files 2>&1)"
# shellcheck disable=SC2046
report "shell scripts pass shellcheck" "$(shellcheck $(files '*.sh') .ci/run 2>&1)"
# shellcheck disable=SC2046
report "every source names its licence in its first lines" "$(
	for f in $c_files $(files '*.sh' '*Kbuild' Makefile .ci/run .clang-format); do
		head -2 "$f" | grep -q 'SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause' ||
			echo "$f"
	done
)"
# shellcheck disable=SC2046
report "no trailing blanks" "$(grep -nE '[[:blank:]]+$' $(files '*.c' '*.h' '*.sh' '*.md' '*Kbuild' Makefile))"
# shellcheck disable=SC2086
report "includes name their folder" "$(grep -nE '^#include "[^/]*"' $c_files)"
echo "1..$n"
exit $bad

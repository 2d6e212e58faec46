#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Would the model find a mistake?  Each of selftests/mistakes/*.diff is one: it is
# applied to a copy of the sources, the model is built from that, and must break
# the rule that the diff names in the scenario that it names, which without the
# mistake breaks none.  A diff that does not apply is a failure.
#
#	selftests/mistakes_test.sh [MISTAKE...]
#
# What the model found is left under $O/mistakes/MISTAKE.

cd "$(dirname "$0")/.." || exit 1
O=${O:-build}
CC=${CC:-gcc}
HOST_CFLAGS=${HOST_CFLAGS:--std=gnu11 -D_GNU_SOURCE -iquote . -O2}
FOUND=3
top=$O/mistakes
tree=$top/tree
n=0 bad=0

report() { # name, why it is wrong: empty is good
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n $1"
	else
		echo "# $2"
		echo "not ok $n $1"
		bad=1
	fi
}

compile() { # arguments of the compiler
	# shellcheck disable=SC2086 # flags are words
	$CC -iquote "$tree" $HOST_CFLAGS "$@"
}

# Only these two sources are ever wrong; the others are compiled once.
build() { # directory for the result
	compile "$tree/selftests/model/product.c" "$tree/selftests/model/manager.c" \
		"$top"/right/*.o -o "$1/model"
}

fresh_tree() {
	rm -rf "$tree" && mkdir -p "$tree/selftests" && cp -R bpf "$tree/" &&
		cp -R selftests/model "$tree/selftests/"
}

says() { # field, diff
	sed -n "s/^# $1: //p" "$2" | head -1
}

# What the model says to a mistake, or nothing if that is what it should say.
look_for() { # diff
	name=$(basename "$1" .diff)
	scenario=$(says scenario "$1")
	rule=$(says rule "$1")
	out=$top/$name
	mkdir -p "$out"
	if ! fresh_tree; then
		echo "the sources cannot be copied to $tree"
	elif ! patch -s -d "$tree" -p1 <"$1" >"$out/patch.log" 2>&1; then
		echo "the diff does not apply, see $out/patch.log"
	elif ! build "$out" >"$out/build.log" 2>&1; then
		echo "it does not build, see $out/build.log"
	elif ! "$top/model" find "$scenario" >"$out/without.log" 2>&1; then
		echo "scenario $scenario breaks without the mistake, see $out/without.log"
	else
		"$out/model" find "$scenario" >"$out/with.log" 2>&1
		rc=$?
		found=$(says rule "$out/with.log")
		if [ $rc -ne $FOUND ]; then
			echo "scenario $scenario ends with $rc, see $out/with.log"
		elif [ "$found" != "$rule" ]; then
			echo "scenario $scenario breaks rule $found, not $rule; see $out/with.log"
		fi
	fi
}

echo "TAP version 13"
rm -rf "$top" && mkdir -p "$top/right" && fresh_tree || exit 1
for f in selftests/model_test.c selftests/model/*.c; do
	case $f in */product.c | */manager.c) continue ;; esac
	compile -c "$f" -o "$top/right/$(basename "$f" .c).o" || exit 1
done
build "$top" || exit 1

if [ $# -eq 0 ]; then
	set -- selftests/mistakes/*.diff
fi
for diff in "$@"; do
	[ -f "$diff" ] || diff=selftests/mistakes/$diff.diff
	report "the model finds: $(basename "$diff" .diff)" "$(look_for "$diff")"
	sed -n 's/^# \(.*states.*\)/#   \1/p' "$top/$(basename "$diff" .diff)/with.log" 2>/dev/null
done
echo "1..$n"
exit $bad

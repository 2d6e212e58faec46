#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Run test programs and scripts one after another and count their TAP lines.
# A program that dies, hangs or says nothing is one more failure.  With TALLY set,
# the counts are appended to that file, for whoever sums up several runs.

passed=0 failed=0 skipped=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

for t in "$@"; do
	echo "# $t"
	rc=0
	timeout "${TIMEOUT:-1500}" "$t" >"$log" 2>&1 || rc=$?
	sed "s|^\(\(not \)\?ok [0-9]*\) |\1 ${t##*/}: |" "$log" | grep -v '^TAP version\|^1\.\.'
	bad=$(grep -c '^not ok ' "$log")
	skip=$(grep -c '^ok .*# SKIP' "$log")
	good=$(grep -c '^ok ' "$log")
	plan=$(sed -n 's/^1\.\.//p' "$log" | tail -1)
	if [ "$bad" -eq 0 ] && [ "${plan:-$good}" != "$good" ]; then
		echo "not ok - $t: $plan tests planned, $good seen"
		bad=1
	fi
	if [ "$bad" -eq 0 ]; then
		case $rc in
		0 | 4) [ "$good" -gt 0 ] || {
			echo "not ok - $t: no test ran"
			bad=1
		} ;;
		*)
			echo "not ok - $t: exit $rc"
			bad=1
			;;
		esac
	fi
	passed=$((passed + good - skip)) failed=$((failed + bad)) skipped=$((skipped + skip))
done
[ -z "$TALLY" ] || echo "$passed $failed $skipped" >>"$TALLY"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

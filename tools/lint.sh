#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What an analyzer sees: the whole tree built with gcc -fanalyzer into a directory
# of its own; any finding is an error.  Prints TAP.

cd "$(dirname "$0")/.." || exit 1
O=${O:-build}
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

echo "TAP version 13"
echo "1..1"
if make -s -j"$(nproc)" O="$O/lint" CFLAGS="-O1 -g -fanalyzer" all tests >"$log" 2>&1; then
	echo "ok 1 gcc -fanalyzer finds nothing"
else
	sed 's/^/# /' "$log" | tail -60
	echo "not ok 1 gcc -fanalyzer finds nothing"
	exit 1
fi

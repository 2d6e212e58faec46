#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs each selftests/fuzz_*.c under the sanitizers for FUZZ_SECONDS (5), or those
# that are named: `selftests/fuzz.sh config store`.  What a run learns stays in
# $O/fuzz/NAME and is where the next one begins; an input that breaks something is
# kept beside it, and its name is printed.

cd "$(dirname "$0")/.." || exit 1
O=${O:-build}
seconds=${FUZZ_SECONDS:-5}
clang=${CLANG:-clang}
flags="-std=gnu11 -D_GNU_SOURCE -iquote . -iquote $O -O1 -g -fno-omit-frame-pointer
	-Wall -Wextra -Werror -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all"
base=userspace/base edge=userspace/edge core=userspace/core

# The sources and packages of a fuzzer, besides itself.
parts() {
	case $1 in
	cache) echo "$edge/cache.c $base/addr.c jansson" ;;
	config) echo "$core/config.c $core/config_check.c $base/conf.c $base/addr.c" ;;
	frame) echo "$core/frame.c $base/json.c $base/log.c $base/utf8.c" ;;
	http) echo "$edge/http.c $edge/loop.c libevent_core libevent_extra" ;;
	netns) echo "$edge/netns_parse.c libmnl" ;;
	store) echo "$edge/place.c $base/addr.c sqlite3" ;;
	*) return 1 ;;
	esac
}

build() { # name
	list=$(parts "$1") || {
		echo "fuzz.sh: which sources fuzz_$1 needs is not said in parts()"
		return 1
	}
	sources='' packages=''
	for p in $list; do
		case $p in
		*.c) sources="$sources $p" ;;
		*) packages="$packages $p" ;;
		esac
	done
	libs=
	# shellcheck disable=SC2086 # lists of words
	[ -z "$packages" ] || libs=$(pkg-config --cflags --libs $packages) || return 1
	# shellcheck disable=SC2086
	$clang $flags "selftests/fuzz_$1.c" $sources $libs -o "$O/fuzz/fuzz_$1"
}

fuzz() { # name
	mkdir -p "$O/fuzz/$1" "$O/fuzz/seeds-$1"
	"$O/fuzz/seeds" "$1" "$O/fuzz/seeds-$1" || return 1
	dict=
	[ ! -f "selftests/fuzz_$1.dict" ] || dict=-dict=selftests/fuzz_$1.dict
	# shellcheck disable=SC2086
	"$O/fuzz/fuzz_$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
		-print_final_stats=1 -max_len=8192 -artifact_prefix="$O/fuzz/$1-" $dict \
		"$O/fuzz/$1" "$O/fuzz/seeds-$1"
}

mkdir -p "$O/fuzz"
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
n=0 bad=0
echo "TAP version 13"
${CC:-gcc} -std=gnu11 -D_GNU_SOURCE -Wall -Werror -iquote . selftests/seeds.c -o "$O/fuzz/seeds" || exit 1
if [ $# -eq 0 ]; then
	set -- selftests/fuzz_*.c
fi
for name in "$@"; do
	name=${name##*/fuzz_}
	name=${name%.c}
	n=$((n + 1))
	if build "$name" >"$log" 2>&1 && fuzz "$name" >"$log" 2>&1; then
		sed -n 's/^stat::\(number_of_executed_units\|average_exec_per_sec\): */\1 /p' "$log" |
			tr '\n' ' ' | sed 's/^/# /; s/$/\n/'
		echo "ok $n fuzz_$name finds nothing in $seconds s"
	else
		grep -a . "$log" | tail -60 | cut -c1-300 | sed 's/^/# /'
		echo "not ok $n fuzz_$name finds nothing in $seconds s"
		bad=1
	fi
done
echo "1..$n"
exit $bad

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The torture finds what it is for.  Each selftests/mistakes/NAME.diff puts a mistake
# into the programs; the torture test is built around those, run, and must raise a
# finding.
#
#	O		build directory; torture_test is built there (build)
#	SECONDS_EACH	how long a mistake may stay unfound (60)
#	MISTAKES	directory of the diffs (selftests/mistakes)

set -u
cd "$(dirname "$0")/.." || exit 1
O=${O:-build}
CC=${CC:-cc}
CLANG=${CLANG:-clang}
BPFTOOL=${BPFTOOL:-$(PATH="$PATH:/usr/sbin:/sbin" command -v bpftool)}
BPF_CFLAGS=${BPF_CFLAGS:--std=gnu11 --target=bpf -mcpu=v3 -O2 -g -iquote . -idirafter \
	/usr/include/$("$CC" -print-multiarch)}
HOST_CFLAGS=${HOST_CFLAGS:--std=gnu11 -D_GNU_SOURCE -O2 -g -iquote . -iquote $O}
MISTAKES=${MISTAKES:-selftests/mistakes}
limit=${SECONDS_EACH:-60}
n=0 failed=0

say() {
	n=$((n + 1))
	[ "$1" = ok ] || failed=1
	echo "$1 $n $2"
}

# The programs of the directory $1, as they are built; the flags are lists.
# shellcheck disable=SC2086
compile() {
	"$CLANG" -iquote "$1" $BPF_CFLAGS -c "$1/bpf/ipamd.bpf.c" -o "$1/bpf/ipamd.bpf.o" &&
		"${LLVM_STRIP:-llvm-strip}" -g "$1/bpf/ipamd.bpf.o" &&
		"$BPFTOOL" gen skeleton "$1/bpf/ipamd.bpf.o" name ipamd_bpf >"$1/bpf/ipamd.skel.h" &&
		"$CC" -iquote "$1" $HOST_CFLAGS -c userspace/edge/pin.c -o "$1/pin.o"
}

# The torture around them; edge.a's own pin.o is not asked for any more.
# shellcheck disable=SC2046,SC2086
link() {
	to=$1
	set --
	for o in "$O"/selftests/torture*.o "$O"/selftests/history*.o "$O/selftests/stock.o"; do
		case $o in
		*/history*_test.o) ;;
		*) set -- "$@" "$o" ;;
		esac
	done
	"$CC" $HOST_CFLAGS "$to/pin.o" "$@" "$O/userspace/edge/edge.a" \
		"$O/userspace/base/base.a" $("${PKG_CONFIG:-pkg-config}" --libs libbpf) \
		-o "$to/torture_test"
}

build() {
	cp -R bpf "$1/bpf" && patch -s -f -d "$1" -p1 <"$2" && compile "$1" && link "$1"
}

[ -e "$O/selftests/torture_test" ] || make -s O="$O" "$O/selftests/torture_test" || exit 1
dir=$(mktemp -d "$O/mistakes.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
echo "TAP version 13"
# The others have windows of a few instructions, or need what the torture does not do
# (moves, refused deletes, younger ADDs): those are the model's, see mistakes_test.sh.
for name in entry-after-pop deadline-apart loser-deletes-entry ready-ignored reclaim-at-once; do
	diff=$MISTAKES/$name.diff
	at=$dir/$name
	mkdir "$at"
	if ! build "$at" "$diff" >"$at/log" 2>&1; then
		sed 's/^/# /' "$at/log"
		say "not ok" "$name: does not build"
		continue
	fi
	began=$(date +%s)
	CLAIMS=100000000 timeout -k 5 "$limit" "$at/torture_test" >"$at/log" 2>&1
	took=$(($(date +%s) - began))
	rules=$(sed -n 's/^# \(V[1-8]\): .*/\1/p' "$at/log" | sort -u | tr '\n' ' ')
	if [ -n "$rules" ]; then
		say ok "torture finds $name: ${rules}in $took s"
	else
		tail -n 8 "$at/log" | sed 's/^# */# /;s/^[^#]/# &/'
		say "not ok" "torture finds $name: not in $took s"
	fi
done
[ "$n" -gt 0 ] || echo "ok 1 no mistakes in $MISTAKES # SKIP"
echo "1..$((n > 0 ? n : 1))"
exit "$failed"

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The store cut off at every system call, and with every one of them failing once:
# the database opens again, has every transaction that was acknowledged, and none
# by half; one failing call costs at most one operation, whose error names it.
#
#	selftests/store_faults.sh [SCENARIO CALL NUMBER KILL|ERRNO]
#
# Without arguments: all calls that store_driver makes between its first and last
# words, in each scenario.  With: that point alone, as a failure tells.

cd "$(dirname "$0")/.." || exit 1
O=${O:-build}
driver=$O/selftests/store_driver
[ -x "$driver" ] || driver=build/selftests/store_driver
[ -d /dev/shm ] && TMPDIR=${TMPDIR:-/dev/shm}
export TMPDIR ASAN_OPTIONS=detect_leaks=0 # which traces, and so does strace
top=$(mktemp -d) || exit 1
trap 'rm -rf "$top"' EXIT
db=$top/place/ipamd.db
n=0 bad=0

# --- What the database finds ---------------------------------------------------

prepare() { # scenario
	rm -rf "$top/place"
	cp -a "$top/$1" "$top/place"
}

make_scenarios() {
	mkdir "$top/new" "$top/place" && "$driver" make "$db" &&
		cp -a "$top/place" "$top/old" && mv "$top/place" "$top/damaged" &&
		dd if=/dev/zero of="$top/damaged/ipamd.db" bs=4096 seek=1 count=2 \
			conv=notrunc status=none &&
		dd if=/dev/zero of="$top/damaged/ipamd.db-wal" bs=4096 seek=1 count=2 \
			conv=notrunc status=none
}

# "name number", one for each call between begin and end.
points() { # trace
	awk '{ sub(/^[0-9]+ +/, "") } !/^[a-z]/ { next }
	     { name = $0; sub(/\(.*/, "", name); count[name]++ }
	     /^write\(1, "end/ { exit }
	     begun && !/^write\(1, / { print name, count[name] }
	     /^write\(1, "begin/ { begun = 1 }' "$1"
}

# --- One point -------------------------------------------------------------------

cut_off() { # scenario, call, number, KILL or errno: prints what is wrong
	case $2:$4 in
	*:KILL) how=signal=KILL quick= ;; # no signal leaves a stop of seccomp's
	brk:*) how=retval=0 quick=--seccomp-bpf ;; # which answers no errno
	*) how=error=$4 quick=--seccomp-bpf ;;
	esac
	prepare "$1"
	# shellcheck disable=SC2086 # a word or none
	strace -f $quick -o "$top/trace" -e "trace=$2,ftruncate,write" -e "inject=$2:$how:when=$3" \
		"$driver" work "$db" >"$top/said" 2>"$top/noise"
	rc=$?
	if [ "$4" = KILL ]; then
		[ $rc -eq 137 ] || echo "not killed, exit $rc"
	else
		grep -q INJECTED "$top/trace" || echo "not reached"
		[ $rc -eq 0 ] || echo "exit $rc"
		told "$4"
		[ "$2" != fdatasync ] || emptied
	fi
	[ "$1" != damaged ] || together
	"$driver" check "$db" "$top/said" >"$top/checked" 2>&1 ||
		sed 's/^/afterwards: /' "$top/checked"
	if [ "$1" = damaged ]; then
		kept_aside
	else
		grep -q '^opened 121' "$top/said" "$top/checked" && echo "whole, but replaced"
	fi
}

# What the driver was told of the one call that failed.
told() { # errno
	[ "$(grep -c ^error "$top/said")" -le 1 ] || echo "more than one operation failed"
	grep '^error' "$top/said" | while read -r _ what name rest; do
		[ "$name" = "$1:" ] || echo "$what says $name $rest"
	done
}

# A log that could not be synced is emptied before more is built upon it.
emptied() {
	awk '/"error transaction/ { doubtful = 1 } /ftruncate\(.*, 0\)/ { doubtful = 0 }
	     doubtful && /"done/ { print "goes on in a log that was not synced"; exit }' "$top/trace"
}

# The damaged database never stands without its log, nor another with that log.
together() {
	was=0
	cmp -s "$db" "$top/damaged/ipamd.db" && was=1
	if cmp -s "$db-wal" "$top/damaged/ipamd.db-wal"; then
		[ $was = 1 ] || [ ! -e "$db" ] || echo "another database has the old log"
	elif [ $was = 1 ]; then
		echo "the old database stands without its log"
	fi
}

# Every file of the damaged database, in one place together.
kept_aside() {
	for d in "$top/place" "$top/place"/*.damaged-*; do
		cmp -s "$d/ipamd.db" "$top/damaged/ipamd.db" &&
			cmp -s "$d/ipamd.db-wal" "$top/damaged/ipamd.db-wal" && return
	done
	echo "the damaged database is nowhere whole"
}

# --- All -----------------------------------------------------------------------------

# Which failures a call can have.
failures() { # call
	case $1 in
	getpid | geteuid | exit_group) ;;
	brk | mmap | munmap | mremap) echo ENOMEM ;;
	close) echo EIO EINTR ;;
	read | pread64) echo EIO ENOMEM EINTR ;;
	fsync | fdatasync | ftruncate) echo EIO ENOSPC EINTR ;;
	unlink | unlinkat | linkat | mkdirat) echo EIO ENOSPC ENOMEM ;;
	*stat* | *access* | *chmod | *chown | readlink* | fcntl | flock) echo EIO ENOMEM ;;
	*) echo EIO ENOSPC ENOMEM EINTR ;;
	esac
}

report() { # name, file of what is wrong, number of points
	n=$((n + 1))
	if [ ! -s "$2" ] && [ "$3" -gt 50 ]; then
		echo "ok $n $1"
	else
		head -60 "$2" | sed 's/^/# /'
		echo "not ok $n $1"
		bad=1
	fi
	echo "# $3 points"
}

try() { # scenario, call, number, KILL or errno
	tried=$((tried + 1))
	wrong=$(cut_off "$@")
	[ -z "$wrong" ] || {
		echo "$wrong"
		echo "again: selftests/store_faults.sh $*"
	} >>"$top/wrong"
}

each_point() { # scenario, kill or fail
	tried=0
	: >"$top/wrong"
	while read -r name number; do
		kinds=KILL
		[ "$2" = kill ] || kinds=$(failures "$name")
		for kind in $kinds; do
			try "$1" "$name" "$number" "$kind"
		done
	done <"$top/points-$1"
}

make_scenarios || {
	echo "not ok - cannot make the databases to begin with"
	exit 1
}
if [ $# -eq 4 ]; then
	wrong=$(cut_off "$@")
	cat "$top/trace" "$top/said" "$top/noise" "$top/checked"
	printf '%s\n' "${wrong:-nothing wrong}"
	[ -z "$wrong" ]
	exit
fi
echo "TAP version 13"
echo "1..6"
for scenario in new old damaged; do
	prepare $scenario
	strace -f -o "$top/trace" "$driver" work "$db" >"$top/said"
	points "$top/trace" >"$top/points-$scenario"
	each_point $scenario kill
	report "$scenario: the database outlives a kill at every call" "$top/wrong" "$tried"
	each_point $scenario fail
	report "$scenario: the database outlives every call failing once" "$top/wrong" "$tried"
done
exit $bad

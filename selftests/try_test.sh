#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The first run of a newcomer: tools/try.sh goes to its end, leaves nothing behind,
# whatever ends it, and does not touch an ipamd that runs on the machine.
#
# The machine is one of its own too, so that what is left is its own and no stranger's.

cd "$(dirname "$0")/.." || exit 1
O=${O:-build}
PATH=$PATH:/usr/sbin:/sbin
export O PATH

skip() { # why
	echo "TAP version 13"
	echo "ok 1 the first run # SKIP $1"
	echo "1..1"
	exit 4
}

if [ "$1" != --inside ]; then
	[ "$(id -u)" = 0 ] || skip "not root"
	need=$(sed -n '/^need="/,/"$/s/need=\|"//gp' tools/try.sh)
	# shellcheck disable=SC2086
	missing=$(tools/install.sh --missing $need) || skip "not installed:$missing"
	# try.sh builds what is missing; here that is done, by whoever runs this.
	unset MAKEFLAGS MAKELEVEL MFLAGS
	exec unshare --mount --net --pid --fork --mount-proc --kill-child "$0" --inside
fi

n=0 bad=0
report() { # name, what is wrong: empty is good
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n $1"
	else
		printf '%s\n' "$2" | tail -20 | sed 's/^/# /'
		echo "not ok $n $1"
		bad=1
	fi
}

ctl() {
	"$O/userspace/ctl/ipamctl" "$@"
}

until_true() { # command...: 10 s at most
	i=0
	until "$@"; do
		i=$((i + 1))
		[ $i -lt 200 ] || return 1
		sleep 0.05
	done
}

# Processes, mounts, namespaces and interfaces.  No process is started to list them.
left() {
	for p in /proc/[0-9]*; do
		read -r _ name state _ <"$p/stat"
		[ "$state" = Z ] || [ "$name" = "(try_test.sh)" ] || echo "$name"
	done
	cat /proc/mounts
	find /run /var/lib/ipamd /sys/fs/bpf
	ip netns list
	ip -o link | cut -d: -f2
}

same() {
	left >/run/after 2>&1
	cmp -s /run/before /run/after
}

manager_says() {
	ctl -o json status | jq -c '[.from, .pid, .balance]'
}

echo "TAP version 13"
trap 'exit 130' INT TERM
if ! mount -t tmpfs -o mode=755 tmpfs /run || ! mount -t sysfs sysfs /sys ||
	! mount -t bpf -o mode=700 bpf /sys/fs/bpf; then
	echo "not ok 1 a machine of its own"
	exit 1
fi
# Where an ipamd of the machine is, but for the database: /var/lib has dpkg's too.
printf '[manager]\nstate = /run/state\n[pool mine]\nsubnet = 10.9.0.0/24\n' >/run/mine.conf
"$O/userspace/ipamd" -c /run/mine.conf 2>/run/mine.log &
mine=$!
# shellcheck disable=SC2317 # by until_true
serves() {
	manager_says 2>/dev/null | grep -q '"ready":16\b'
}
until_true serves || {
	cat /run/mine.log
	echo "not ok 1 an ipamd of the machine"
	exit 1
}
touch /run/before /run/after /run/out /run/cut /run/said
left >/run/before 2>&1
manager_says >/run/said

tools/try.sh >/run/out 2>&1
rc=$?
report "the tour goes to its end" "$(
	if [ $rc != 0 ] || ! grep -q '^the balance holds' /run/out; then
		cat /run/out
		echo "exit $rc"
	fi
)"
report "no colours in a pipe" "$(grep "$(printf '\033')" /run/out)"
report "it leaves nothing behind" "$(same || diff /run/before /run/after)"
report "it does not touch the ipamd of the machine" "$(
	manager_says | diff /run/said - 2>&1
	grep -q 10.9.0 /run/out && echo "and talks to it"
)"

# Cut off in its middle, by what nobody can catch.
tools/try.sh >/run/cut 2>&1 &
tour=$!
until_true grep -q 'netns add web' /run/cut && ! same && kill -KILL $tour
killed=$?
wait $tour 2>/dev/null
report "killed, it leaves nothing behind" "$(
	[ $killed = 0 ] || echo "it was not there to be killed"
	until_true same || diff /run/before /run/after
	grep 'That was it' /run/cut
)"
kill $mine
wait $mine
echo "1..$n"
exit $bad

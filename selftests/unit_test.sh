#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The systemd unit: systemd takes it as it is meant, it is as closed as promised, and
# what the manager needs is in it.

cd "$(dirname "$0")/.." || exit 1
n=0 bad=0
unit=tools/ipamd.service
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

echo "TAP version 13"
command -v systemd-analyze >/dev/null || {
	echo "ok 1 the systemd unit # SKIP no systemd-analyze"
	echo "1..1"
	exit 4
}

# The program and its pages are not installed here: the file is checked with stand-ins.
sed "s|^ExecStart=.*|ExecStart=$(command -v true)|; /^Documentation=/d" $unit >"$tmp/ipamd.service"
report "systemd-analyze verify has nothing to say" \
	"$(systemd-analyze verify --man=no "$tmp/ipamd.service" 2>&1 | grep ipamd)"
report "its exposure is at most 3.6" "$(
	systemd-analyze security --offline=true --threshold=36 $unit >"$tmp/security" 2>&1 ||
		tail -3 "$tmp/security"
	grep -q '^→ Overall exposure level for ipamd.service: [0-9]' "$tmp/security" ||
		echo "there was no result"
)"

# What caps.h keeps, and what the start needs beside it.
caps=$(sed -n 's/^CapabilityBoundingSet=//p' $unit | tr ' ' '\n' | sort | tr '\n' ' ')
need=$({
	grep '^#define CAPS_OF_' userspace/base/caps.h | grep -o 'CAP_[A-Z_]*'
	printf 'CAP_PERFMON\nCAP_SETPCAP\n'
} | sort | tr '\n' ' ')
report "its capabilities are those of caps.h and of the start" "$(
	[ "$caps" = "$need" ] || printf 'has: %s\nneeds: %s\n' "$caps" "$need"
)"

# ReadWritePaths may not be taken back, nor /proc hidden, by a well-meant line.
report "nothing in it hides what the manager looks at" "$(
	grep -E '^(ProtectKernelTunables|PrivateNetwork|PrivateUsers|ProtectProc|ProcSubset)=' $unit
	grep -q '^ReadWritePaths=.*/sys/fs/bpf' $unit || echo "/sys/fs/bpf is read-only"
	grep -q '^SystemCallFilter=.*\<bpf\>' $unit || echo "bpf(2) is not in @system-service"
)"
echo "1..$n"
exit $bad

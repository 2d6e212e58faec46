#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Everything that must hold, on a fresh Debian 12 with git and root: installs what
# is missing, builds, and tests - on this kernel, under the sanitizers, and on
# other kernels under qemu.  The last line counts:
#
#	N passed, N failed, N skipped
#
# QUICK=1 leaves out the other kernels and the sanitizers.

cd "$(dirname "$0")/.." || exit 1
PATH=$PATH:/usr/sbin:/sbin
export PATH
export O=build
jobs=$(nproc)
mkdir -p $O
export TALLY=$O/tally
: >$TALLY

# --- What is missing --------------------------------------------------------

need="gcc musl-tools libjsmn-dev make pkg-config clang llvm bpftool libbpf-dev libsqlite3-dev
	libmnl-dev libjansson-dev libevent-dev libsmartcols-dev libclang-rt-dev prometheus curl strace
	faketime clang-format shellcheck patch jq mandoc systemd zsh fish
	bsdextrautils qemu-system-x86 busybox-static cpio iproute2 iputils-ping
	containernetworking-plugins"
# shellcheck disable=SC2086
tools/install.sh $O/apt.log $need || {
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

# The kernels come from the package lists, which an image may lack.
[ -n "$QUICK" ] || apt-cache search --names-only 'linux-image-6.1.*-cloud' 2>/dev/null | grep -q . ||
	apt-get update >>$O/apt.log 2>&1

# --- Stages -------------------------------------------------------------------

stage() { # name, command...
	echo "## $1"
	shift
	before=$(wc -l <$TALLY)
	"$@"
	rc=$?
	# A stage that died before it could count is a failure of its own.
	[ "$(wc -l <$TALLY)" -gt "$before" ] || echo "0 1 0" >>$TALLY
	return $rc
}

build() { # O=..., more make arguments...
	make -s -j"$jobs" "$@" all tests || {
		echo "not ok - build $*"
		return 1
	}
}

on_this_kernel() {
	build && make -s check
}

asan() {
	O=$O/asan
	build O="$O" CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all" &&
		CLAIMS=${CLAIMS:-100000} MOVE_STRIDE=97 selftests/run.sh $O/selftests/*_test
}

tsan() {
	O=$O/tsan
	build O="$O" CFLAGS="-O1 -g -fsanitize=thread" && selftests/run.sh $O/selftests/slot_test
}

on_kernel() { # series
	selftests/run.sh "$O/kernel-$1"
}

stage "style and analyzer" selftests/run.sh tools/style.sh tools/lint.sh
stage "this kernel" on_this_kernel
if [ -z "$QUICK" ]; then
	(stage "address and undefined-behaviour sanitizers" asan)
	(stage "thread sanitizer" tsan)
	for series in 6.1 6.12; do
		cat >$O/kernel-$series <<-EOT
			#!/bin/sh
			export IPAMD_VM_LIMIT=900 IPAMD_VM_TOTAL=1600 IPAMD_VM_DAEMON=$O/userspace/ipamd
			exec selftests/vm.sh $series $O/selftests/load_test $O/selftests/claim_test \
				$O/selftests/step_test $O/selftests/pin_test $O/selftests/move_test \
				$O/selftests/manager_test $O/selftests/netns_test
		EOT
		chmod +x $O/kernel-$series
		stage "kernel $series" on_kernel $series
	done
fi

# --- The sum --------------------------------------------------------------------

awk '{ p += $1; f += $2; s += $3 }
     END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 }' $TALLY

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# usage: tools/fresh.sh [try] [check]
#
# The README's commands where nothing is: a minimal Debian 12 with git and nothing
# else, made with debootstrap, in which the last commit of this tree is cloned.
# `try` runs tools/try.sh there, `check` runs QUICK=1 tools/check.sh; both without
# arguments.  Each with its time.  For the hand: it loads some 200 MB and takes minutes.
#
# In mount and process namespaces of its own; what is written is removed at the end.

# shellcheck disable=SC2317 # functions are called by timed()
cd "$(dirname "$0")/.." || exit 1
PATH=$PATH:/usr/sbin:/sbin
export PATH

if [ "$1" != --inside ]; then
	[ "$(id -u)" = 0 ] || {
		echo "fresh.sh: run it as root: it makes a chroot"
		exit 1
	}
	tools/install.sh /dev/stderr debootstrap git || exit 1
	dir=$(mktemp -d /var/tmp/ipamd-fresh.XXXXXX) || exit 1
	trap 'rm -rf --one-file-system "$dir"' EXIT
	trap 'exit 130' INT TERM
	unshare --mount --pid --fork --mount-proc --kill-child tools/fresh.sh --inside "$dir" "$@"
	exit
fi

dir=$2 root=$2/root
shift 2
[ $$ = 1 ] || exit 1
trap 'exit 130' INT TERM
bad=0

timed() { # name, command...
	name=$1 start=$(date +%s)
	shift
	if "$@"; then said=well; else said=FAILED bad=1; fi
	times="$times
$name: $(($(date +%s) - start)) s, ended $said"
}

# From where this machine has its packages.
mirror() {
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
		awk '$2 == "bookworm" { print $1; exit }'
}

make_root() {
	# Bound to itself, it is a mount, and can be the / of a namespace.
	if ! { mkdir "$root" && mount --bind "$root" "$root" &&
		debootstrap --variant=minbase --include=git,ca-certificates bookworm "$root" \
			"${MIRROR:-$(mirror)}"; } >"$dir/log" 2>&1; then
		tail -20 "$dir/log"
		return 1
	fi
	cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
	mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" &&
		mount --rbind /dev "$root/dev" && mount -t tmpfs -o mode=755 tmpfs "$root/run" &&
		git clone -q --no-local --bare . "$root/srv/ipamd.git"
}

inside() { # a command of the README
	chroot "$root" env -i HOME=/root TERM=dumb \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		sh -c "cd /root/ipamd && $1"
}

timed "a minimal Debian 12" make_root
[ $bad = 1 ] || timed "git clone" chroot "$root" git clone -q /srv/ipamd.git /root/ipamd
[ $# -gt 0 ] || set -- try check
for what; do
	[ $bad = 0 ] || break
	case $what in
	try) timed "sh tools/try.sh" inside "sh tools/try.sh" ;;
	check) timed "QUICK=1 sh tools/check.sh" inside "QUICK=1 sh tools/check.sh" ;;
	*) timed "there is no command $what:" false ;;
	esac
done
echo "$times"
exit $bad

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A first look: a manager, two pods and their addresses, each command as one would
# type it and what it said.  Installs what that needs and is missing, and builds.
#
# Nothing of this machine is touched beyond that, nor is an ipamd that runs on it:
# the tour is in mount, network and process namespaces of its own, with an own
# /run, /var/lib and bpffs, and no /etc/ipamd.  They end with it, however it ends, and
# take all processes, interfaces and maps along.

cd "$(dirname "$0")/.." || exit 1
PATH=$PATH:/usr/sbin:/sbin
export PATH
O=${O:-build}
log=$O/try.log
need="gcc libc6-dev musl-tools make pkg-config clang llvm bpftool libbpf-dev libsqlite3-dev
	libmnl-dev libjansson-dev libevent-dev libsmartcols-dev libjsmn-dev
	containernetworking-plugins iproute2 iputils-ping jq"

# --- Outside: what it needs -----------------------------------------------------------

if [ "$1" != --inside ]; then
	[ "$(id -u)" = 0 ] || {
		echo "try.sh: run it as root: it loads BPF programs and makes namespaces"
		exit 1
	}
	mkdir -p "$O" || exit 1
	# shellcheck disable=SC2086
	tools/install.sh "$log" $need || exit 1
	echo "# building, in $O"
	make -s -j"$(nproc)" "$O/userspace/ipamd" "$O/userspace/ctl/ipamctl" \
		"$O/cni/ipamd-ipam" >"$log" 2>&1 || {
		tail -20 "$log"
		exit 1
	}
	# Killed by whatever, it takes what is inside along.
	exec unshare --mount --net --pid --fork --mount-proc --kill-child \
		tools/try.sh --inside "$(readlink /proc/self/ns/mnt)"
fi

# --- Inside: a node of its own --------------------------------------------------------

exec 2>&1 # a tour is read in its order

fail() { # what
	echo "try.sh: $1"
	for f in /run/ipamd.log /run/*.json; do
		[ ! -s "$f" ] || tail -n 5 "$f"
	done
	exit 1
}

# What follows mounts over the directories of whoever is here.
if [ $$ != 1 ] || [ "${2:-none}" = "$(readlink /proc/self/ns/mnt)" ]; then
	echo "try.sh: --inside is for itself alone"
	exit 1
fi
trap 'exit 130' INT TERM # the first process of a namespace ignores them otherwise
{ mount -t tmpfs -o mode=755 tmpfs /run && mount -t tmpfs -o mode=755 tmpfs /var/lib &&
	mount -t sysfs sysfs /sys && mount -t bpf -o mode=700 bpf /sys/fs/bpf; } ||
	fail "a node of its own cannot be made here"
[ ! -d /etc/ipamd ] || mount -t tmpfs tmpfs /etc/ipamd || fail "/etc/ipamd cannot be hidden"
ip link set lo up

bold='' plain=''
if [ -t 1 ] && [ -z "$NO_COLOR" ]; then
	bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi

step=0
say() {
	step=$((step + 1))
	printf '\n%s. %s\n' $step "$1"
}

type_in() {
	printf '%s# %s%s\n' "$bold" "$1" "$plain"
}

# In this very shell: what one command exports, the next ones have.
run() {
	type_in "$1"
	eval "$1" || fail "that failed"
}

# In the background, as typed, until it serves; who types is slower than that.
start_manager() {
	type_in 'ipamd 2>>/run/ipamd.log &'
	ipamd 2>>/run/ipamd.log &
	manager=$!
	i=0
	until [ "$(ipamctl -o json status 2>/dev/null |
		jq '.from == "manager" and .balance.ready > 0')" = true ]; do
		i=$((i + 1))
		{ [ $i -lt 100 ] && kill -0 $manager 2>/dev/null; } || fail "ipamd does not come up"
		sleep 0.05
	done
}

stop_manager() { # signal
	kill "-$1" $manager
	wait $manager 2>/dev/null
}

echo "ipamd, on a node of its own: nothing of this machine is touched."

case $O in
/*) built=$O ;;
*) built=\$PWD/$O ;;
esac

say "The programs that were built, and Debian's CNI plugins."
run "PATH=$built/userspace:$built/userspace/ctl:\$PATH"
run "export CNI_PATH=$built/cni:/usr/lib/cni"

say "The manager puts a stock of addresses into eBPF maps.  Without a configuration it has
   one pool, 10.88.0.0/24."
start_manager
run 'ipamctl status'

say "A network: Debian's bridge, with addresses by ipamd-ipam.  The bridge itself takes the
   pool's gateway, 10.88.0.1, which is given to no pod.  A pod is a network namespace."
run 'cat >/run/pods.conf <<EOF
{ "cniVersion": "1.0.0", "name": "pods", "type": "bridge", "bridge": "cni0",
  "isGateway": true, "ipam": { "type": "ipamd-ipam" } }
EOF'
run 'ip netns add web'

say "Attaching it, as a runtime does.  ipamd-ipam takes the address by one run of a pinned
   BPF program; nobody else is asked."
run 'export CNI_IFNAME=eth0'
run 'CNI_COMMAND=ADD CNI_CONTAINERID=c1 CNI_NETNS=/run/netns/web \
  CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0" \
  /usr/lib/cni/bridge </run/pods.conf >/run/web.json'
run 'jq -c .ips /run/web.json'
run 'ip -n web -br -4 addr show eth0'
run 'ip netns exec web ping -c 1 -W 2 10.88.0.1 | grep ttl'

say "What the kernel has of that, by bpftool (docs/bpftool.md)."
run 'bpftool -j map dump pinned /sys/fs/bpf/ipamd/current/slots |
  jq -c ".[].formatted.value | select(.state == \"IPAMD_HELD\") | {address, state, holder}"'

say "Kill the manager: pods start all the same, and ipamctl reads the maps."
type_in "kill -KILL $manager"
stop_manager KILL
run 'ip netns add db'
run 'CNI_COMMAND=ADD CNI_CONTAINERID=c2 CNI_NETNS=/run/netns/db \
  CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=db-0" \
  /usr/lib/cni/bridge </run/pods.conf >/run/db.json'
run 'ip netns exec db ping -c 1 -W 2 10.88.0.2 | grep ttl'
run 'ipamctl show --state held'

say "The first pod ends.  Nobody gets its address before it has cooled down."
run 'CNI_COMMAND=DEL CNI_CONTAINERID=c1 CNI_NETNS=/run/netns/web \
  /usr/lib/cni/bridge </run/pods.conf'
run 'ipamctl explain 10.88.0.2'

say "The manager again.  It has caught up with what it missed, and the balance holds."
start_manager
run 'ipamctl history 10.88.0.2'
run 'ipamctl check'

stop_manager TERM
echo
echo "That was it: with this line its namespaces and all in them are gone.  Next: README.md,"
echo "docs/operations.md, and \`sh tools/check.sh\` for the tests."

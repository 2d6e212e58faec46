#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Under the main plugins that Debian has (ptp, bridge, macvlan), called as a runtime
# calls them: the pods have the addresses that ipamd-ipam gave, reach the node and
# each other, and give them back.  All in namespaces that end with this script.

cd "$(dirname "$0")/.." || exit 1
build=$PWD/${O:-build}
case ${O:-build} in /*) build=$O ;; esac
real=/usr/lib/cni
node=/tmp/ipamd-test-node
n=0 bad=0

if [ "$1" != inside ]; then
	echo "TAP version 13"
	[ -x $real/ptp ] || {
		echo "ok 1 main plugins # SKIP no containernetworking-plugins"
		echo "1..1"
		exit 4
	}
	exec unshare -mnpf --kill-child --mount-proc --propagation private "$0" inside
fi

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

until_true() { # command...: for 10 s at most
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || return 1
		sleep 0.05
	done
}

# --- The node ---------------------------------------------------------------------

mkdir -p $node && mount -t tmpfs -o mode=755 tmpfs $node || exit 1
mkdir -m 700 $node/bpf $node/state $node/plugins
mount -t bpf -o mode=700 bpf $node/bpf || exit 1
mount -t tmpfs -o mode=755 tmpfs /run && mount -t tmpfs -o mode=755 tmpfs /var/lib || exit 1
mkdir -p /run/netns /var/lib/cni/results
ln -s $real/ptp $real/bridge $real/macvlan "$build/cni/ipamd-ipam" $node/plugins/
ip link set lo up
ip link add uplink type veth peer name far || exit 1
ip link set uplink up && ip link set far up || exit 1
cat >$node/conf <<-EOT
	[manager]
	pins = $node/bpf/ipamd
	run = $node/run
	state = $node/state
	[pool four]
	subnet = 10.77.0.0/24
	gateway = 10.77.0.1
	cooldown = 60s
	namespace = four
	[pool six]
	subnet = fd77::/112
	gateway = fd77::1
	cooldown = 60s
	namespace = six
	[pool both]
	subnet = 10.78.0.0/24
	gateway = 10.78.0.1
	cooldown = 60s
	namespace = both
	subnet = fd78::/112
	gateway = fd78::1
EOT
"$build/userspace/ipamd" -c $node/conf >$node/log 2>&1 &
status() { # jq expression
	curl -s --max-time 5 --unix-socket $node/run/admin.sock http://node/v1/status | jq -r "$1"
}
# shellcheck disable=SC2317 # by until_true, as others below
has_stock() {
	[ "$(status '[.pools[].ready] | min > 3')" = true ]
}
until_true has_stock || {
	sed 's/^/# /' $node/log
	echo "Bail out! ipamd has no stock"
	exit 1
}

# --- What a runtime does ------------------------------------------------------------

conf_of() { # kind
	case $1 in
	ptp) more='"ipMasq":false' ;;
	bridge) more='"bridge":"br0","isGateway":true' ;;
	macvlan) more='"master":"uplink","mode":"bridge"' ;;
	esac
	printf '{"cniVersion":"1.0.0","name":"net","type":"%s",%s,"ipam":{"type":"ipamd-ipam",' \
		"$1" "$more"
	printf '"pins":"%s/bpf/ipamd","run":"%s/run"}%s}' $node $node "$2"
}

call() { # verb, kind, namespace of the pod, pod, prevResult as a member
	conf_of "$2" "$5" | CNI_COMMAND=$1 CNI_CONTAINERID=$4 CNI_NETNS=/run/netns/$4 \
		CNI_IFNAME=eth0 CNI_PATH=$node/plugins \
		CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=$3;K8S_POD_NAME=$4" \
		$node/plugins/"$2" >"$node/$4.out" 2>&1 || {
		echo "$1 of $4: $(cat "$node/$4.out")"
		return 1
	}
	[ "$1" != ADD ] || cp "$node/$4.out" "$node/$4.result"
}

addresses() { # pod
	jq -r '.ips[].address' "$node/$1.result"
}

# Each address of the result is on the pod's interface; as many as there should be.
configured() { # pod, how many
	[ "$(addresses "$1" | wc -l)" = "$2" ] || echo "$1: $(cat "$node/$1.result")"
	for a in $(addresses "$1"); do
		ip -n "$1" -o addr show dev eth0 | grep -qw "$a" || {
			echo "$1 has no $a:"
			ip -n "$1" -o addr show dev eth0
		}
	done
}

# From a pod to addresses; the first packet may wait for the neighbour.
reaches() { # pod, address...
	pod=$1
	shift
	for a in "$@"; do
		until_true ip netns exec "$pod" ping -n -c 1 -W 1 "${a%/*}" || {
			echo "$pod does not reach $a"
			ip -n "$pod" addr
			ip -n "$pod" route
			ip -n "$pod" -6 route
		}
	done
}

count() { # state
	status "[.pools[].$1] | add"
}

# shellcheck disable=SC2317
holds() { # how many
	[ "$(count held)" = "$1" ]
}

add() { # kind, namespace, pod
	ip netns add "$3" && call ADD "$1" "$2" "$3"
}

has_macvlan() {
	ip link add link uplink probe type macvlan mode bridge 2>/dev/null && ip link del probe
}

# What an on-link gateway is: on the bridge, and at the pod's veth.
gateways() { # pod
	jq -r '.ips[].gateway' "$node/$1.result"
}

life() { # kind, namespace, how many addresses
	p=$1-$2
	was=$(count cooling)
	add "$1" "$2" "$p-1" && add "$1" "$2" "$p-2" || return
	configured "$p-1" "$3"
	configured "$p-2" "$3"
	# shellcheck disable=SC2046
	[ "$1" = macvlan ] || reaches "$p-1" $(gateways "$p-1")
	# shellcheck disable=SC2046
	[ "$1" = ptp ] || reaches "$p-1" $(addresses "$p-2")
	until_true holds $((2 * $3)) || echo "held: $(count held)"
	call CHECK "$1" "$2" "$p-1" ",\"prevResult\":$(cat "$node/$p-1.result")"
	for i in 1 2; do
		call DEL "$1" "$2" "$p-$i" ",\"prevResult\":$(cat "$node/$p-$i.result")"
		call DEL "$1" "$2" "$p-$i" # again, after a restart of the runtime
	done
	[ "$1" != bridge ] || ip link del br0
	# As long as the namespaces live nobody but DEL can have done it.
	until_true cools $((was + 2 * $3)) || echo "cooling: $(count cooling), before: $was"
	until_true holds 0 || echo "still held: $(count held)"
	ip netns del "$p-1" && ip netns del "$p-2"
	[ "$(status .balance.holds)" = true ] || echo "the balance does not hold"
}

# shellcheck disable=SC2317
cools() { # how many; what others left may come to it
	[ "$(count cooling)" -ge "$1" ]
}

# What ipamd-ipam took is given back when the main plugin cannot use it.
fails() {
	ip netns add broken && ip -n broken link add eth0 type veth peer name other
	call ADD "$1" four broken >/dev/null && echo "ADD succeeds although eth0 is there"
	call DEL "$1" four broken
	ip netns del broken
	until_true holds 0 || echo "still held: $(count held)"
}

for kind in ptp bridge macvlan; do
	[ $kind != macvlan ] || has_macvlan || {
		n=$((n + 1))
		echo "ok $n macvlan # SKIP this kernel has none"
		continue
	}
	report "$kind: IPv4" "$(life $kind four 1)"
	report "$kind: IPv6" "$(life $kind six 1)"
	report "$kind: dual stack" "$(life $kind both 2)"
	report "$kind: an ADD that fails behind it keeps nothing" "$(fails $kind)"
done
echo "1..$n"
exit $bad

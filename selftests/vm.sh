#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# vm.sh - run test programs on another kernel: selftests/vm.sh SERIES program...
#
# Boots Debian's newest cloud kernel of SERIES (6.1, 6.12) in an emulated
# machine that holds nothing but busybox, the programs and the libraries ldd
# names for them, runs the programs there as root one after the other, and
# merges their TAP into one stream.  Exits 0 if nothing in it is "not ok".
#
#	O		build directory; kernels are kept in $O/vm (build)
#	IPAMD_VM_KERNEL	bzImage to boot instead; SERIES then is just a label
#	IPAMD_VM_LIMIT	seconds for each program (300)
#	IPAMD_VM_TOTAL	seconds for the whole machine (900)
#	IPAMD_VM_DAEMON	the ipamd for those programs that start one
#
# There are no kernel modules, other files or dlopen-ed libraries in there.
# Needs qemu-system-x86, busybox-static, cpio, and apt's lists for a download.

set -eu
[ $# -ge 2 ] || set -- ''
for arg; do
	case ${arg##*/} in
	'' | *[!A-Za-z0-9._+-]*)
		echo "usage: $0 SERIES program... (plain names only)" >&2
		exit 2
	esac
done
series=$1
shift
limit=${IPAMD_VM_LIMIT:-300}
total=${IPAMD_VM_TOTAL:-900}
kernel=${IPAMD_VM_KERNEL:-}
cache=${O:-build}/vm

die() {
	printf 'not ok 1 %s: %s\n1..1\n' "$series" "$*"
	exit 1
}

mkdir -p "$cache"
tmp=$(mktemp -d "$cache/tmp.XXXXXX")
vm=
trap '[ -z "$vm" ] || kill "$vm" || :; wait; rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
echo "TAP version 13"

if [ -z "$kernel" ]; then
	pkg=$(apt-cache pkgnames "linux-image-$series." |
		grep -e '-cloud-amd64-unsigned$' | sort -V | tail -n 1)
	[ -n "$pkg" ] || die "apt knows no cloud kernel of this series"
	if [ ! -d "$cache/$pkg" ]; then
		(cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download "$pkg" &&
			dpkg -x "$pkg"_*.deb unpacked) >&2 || die "cannot get $pkg"
		# fails only if another vm.sh was faster, which is as good
		mv -T "$tmp/unpacked" "$cache/$pkg" || :
	fi
	kernel=$(echo "$cache/$pkg/boot/vmlinuz-"*)
fi
[ -r "$kernel" ] || die "cannot read kernel $kernel"

root=$tmp/root
mkdir "$root"
(cd "$root" && mkdir -p bin dev proc run sys t tmp var/lib)
cp "$(command -v busybox)" "$root/bin/busybox" || die "no busybox"
for prog in "$@" ${IPAMD_VM_DAEMON:+"$IPAMD_VM_DAEMON"}; do
	name=${prog##*/}
	[ ! -e "$root/t/$name" ] || die "two programs named $name"
	cp -L "$prog" "$root/t/$name" || die "cannot copy $prog"
	[ "$prog" = "${IPAMD_VM_DAEMON:-}" ] || echo "$name" >>"$root/programs"
	# ldd fails for a static program and prints no path then
	ldd "$prog" 2>/dev/null | sed -n 's/ (0x.*//; s/.*[[:space:]]//; /^\//p' |
		while read -r lib; do cp -L --parents "$lib" "$root"; done
done
echo "$limit" >"$root/limit"
cat >"$root/init" <<'EOF'
#!/bin/busybox sh
export PATH=/bin HOME=/tmp IPAMD=/t/ipamd NODE_SECONDS=120 TEST_SECONDS=400
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
exec </dev/null >/dev/console 2>&1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
read -r limit </limit
read -r up idle </proc/uptime
printf '\n# GUEST %s, up after %s s\n' "$(uname -r)" "$up"
cd /tmp
while read -r name <&3; do
	echo "# RUN $name"
	timeout -k 5 "$limit" "/t/$name" 3<&-
	printf '\n# EXIT %s %s\n' "$name" $?
	kill -9 -1	# whatever it left behind; spares process 1
done 3</programs
echo "# END"
sleep 1	# let the serial port drain
reboot -f
EOF
chmod 755 "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$tmp/initramfs"

# in the background: the shell would not see a signal before its child ended
timeout -k 10 "$total" qemu-system-x86_64 -accel tcg -smp 2 -m 1024 -cpu max \
	-nographic -nodefaults -serial stdio -no-reboot \
	-kernel "$kernel" -initrd "$tmp/initramfs" \
	-append "console=ttyS0 quiet loglevel=3 oops=panic panic=-1" \
	</dev/null >"$tmp/console" 2>&1 &
vm=$!
code=0
wait "$vm" || code=$?
vm=
[ "$code" -ne 124 ] || code="124: limit of $total s"

# without \r and other control characters, and what comes before "# GUEST"
tr -d '\000-\010\013-\037' <"$tmp/console" |
	awk -v series="$series" -v code="$code" -v limit="$limit" \
		-v programs="$root/programs" '
function result(verdict, text) {
	printf "%s %d %s%s\n", verdict, ++n, series, text
	if (verdict != "ok")
		bad = 1
}
{ last[NR] = $0 }
/^# GUEST / { up = 1 }
!up || /^$/ || /^TAP version / { next }
/^# RUN / { run = $3; tests = 0; plan = "no" }
/^# END$/ { end = 1 }
run && /^1\.\.[0-9]+/ { plan = substr($1, 4); next }
run && /^(not )?ok( |$)/ {
	verdict = /^not/ ? "not ok" : "ok"
	sub(/^(not )?ok *[0-9]* *(- *)?/, "")
	result(verdict, "/" run ": " $0)
	tests++
	next
}
{ print (/^#/ ? "" : "# ") $0 }
/^# EXIT / && $3 == run {
	why = $4 == 0 || $4 == 4 ? "" : ", exit code " $4
	if ($4 == 143 || $4 == 137)
		why = why " (limit of " limit " s?)"
	if (!tests)
		why = why ", no test line"
	else if (plan != tests)
		why = why ", " plan " tests planned, " tests " seen"
	if (why)
		result("not ok", "/" run ": program failed" why)
	ended[run] = 1
	run = ""
}
END {
	while ((getline name <programs) > 0)
		if (!(name in ended))
			result("not ok", "/" name ": program never " (name == run ? "ended" : "ran"))
	if (!end) {
		why = up ? "end well" : "boot, its console ended with"
		result("not ok", ": machine (exit code " code ") did not " why)
		for (i = NR > 20 ? NR - 19 : 1; i <= NR && !up; i++)
			print "# " last[i]
	}
	printf "1..%d\n", n
	exit bad
}'

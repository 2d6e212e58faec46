#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# usage: tools/install.sh LOG PACKAGE...
#        tools/install.sh --missing PACKAGE...
#
# Installs those of the Debian packages that are missing, and says which; what apt
# says goes to the file LOG.  Nothing missing: nothing done, nobody need be root.
# --missing: only says which.

log=$1
shift
missing=
for p in "$@"; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' ||
		missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$log" = --missing ]; then
	echo "$missing"
	exit 1
fi
echo "# installing:$missing"
# shellcheck disable=SC2086
{ apt-get update && DEBIAN_FRONTEND=noninteractive \
	apt-get install -y --no-install-recommends $missing; } </dev/null >"$log" 2>&1 && exit 0
tail -20 "$log"
echo "cannot install:$missing (are you root, and is there a package mirror?)"
exit 1

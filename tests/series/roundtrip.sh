#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tools/kernel tree and export: the way round changes no byte, a commit becomes
# a patch, and work that was not exported is not thrown away. On a copy of the
# series; needs 2 GB below TMPDIR. No VM is booted. Prints TAP.

set -eu

top=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
kver=${KVER:-6.12}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
number=0
export GIT_CONFIG_GLOBAL=/dev/null

# expect NAME EXPECTED ACTUAL
expect()
{
	number=$((number + 1))
	if [ "$2" = "$3" ]; then
		printf 'ok %d - %s\n' "$number" "$1"
	else
		printf 'not ok %d - %s\n' "$number" "$1"
		printf "expected: %s\nactual: %s\n" "$2" "$3" | sed "s/^/# /"
		sed "s/^/# log: /" "$dir/log"
	fi
}

# Runs the copy's tools/kernel; prints its exit status.
kernel()
{
	local status=0

	"$dir/copy/tools/kernel" "$@" >"$dir/log" 2>&1 || status=$?
	printf '%d\n' "$status"
}

sums()
{
	(cd "$dir/copy/kernel-patches/linux-$kver" && sha256sum ./*.patch)
}

mkdir "$dir/copy"
cp -r "$top/tools" "$top/kernel-patches" "$dir/copy"
tree=$dir/copy/build/linux-$kver

sums >"$dir/before"
expect "tree" 0 "$(kernel tree "$kver")"
expect "export" 0 "$(kernel export "$kver")"
expect "the way round changes no byte" "$(cat "$dir/before")" "$(sums)"

echo more >>"$tree/README"
git -C "$tree" commit -q -a -m "README: one more line"
expect "tree refuses while a commit is not exported" 1 "$(kernel tree "$kver")"
expect "the commit is still there" "README: one more line" \
	"$(git -C "$tree" log -1 --format=%s)"
expect "export of one more commit" 0 "$(kernel export "$kver")"
expect "earlier patches stay as they were" "$(cat "$dir/before")" \
	"$(sums | head -n "$(wc -l <"$dir/before")")"
expect "one more patch" $(($(wc -l <"$dir/before") + 1)) "$(sums | wc -l)"
expect "tree, now that all is exported" 0 "$(kernel tree "$kver")"
expect "has the commit" "README: one more line" \
	"$(git -C "$tree" log -1 --format=%s)"
printf '1..%d\n' "$number"

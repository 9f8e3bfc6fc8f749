#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tools/kernel tree and export: the way round changes no byte, a commit becomes
# a patch, and work that was not exported is not thrown away. On a copy of the
# series; needs 2 GB below TMPDIR. No VM is booted. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

set -e

kver=${KVER:-6.12}
export GIT_CONFIG_GLOBAL=/dev/null

context()
{
	sed 's/^/log: /' "$dir/log"
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
cp -r tools kernel-patches "$dir/copy"
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
finish

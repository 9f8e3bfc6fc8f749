#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The series as a maintainer gets them: every patch is clean under checkpatch and says
# no Signed-off-by. Prints TAP.
#
# usage: tests/series/patches.sh [KERNEL...]	(default: all)
. "$(dirname "$0")/../common/tap.bash"

# What checkpatch says of each patch of a folder, in files of the same names. It looks
# at copies: a file that git knows is taken for source.
if [ "${1-}" = --checkpatch ]; then
	for patch in "$2"/*.patch; do
		cp "$patch" "$dir"
		perl "$KERNEL_SRC/scripts/checkpatch.pl" --root="$KERNEL_SRC" --strict --no-signoff \
			--no-summary -q "$dir/${patch##*/}" > "$3/${patch##*/}" 2> /dev/null ||
			echo "status $?" >> "$3/${patch##*/}"
	done
	exit 0
fi

for kver in $(kernels "$@"); do
	series=kernel-patches/linux-$kver
	mkdir "$dir/$kver"
	expect_success "$kver: checkpatch runs" tools/kernel with "$kver" \
		tests/series/patches.sh --checkpatch "$series" "$dir/$kver" || continue
	for patch in "$series"/*.patch; do
		expect "$kver ${patch##*/}: checkpatch --strict says nothing" "" \
			"$(cat "$dir/$kver/${patch##*/}")"
		expect "$kver ${patch##*/}: nobody signs" "" "$(grep -n '^Signed-off-by' "$patch")"
	done
done
finish

#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the series add is the same, byte for byte, for each kernel: the core of the call,
# the header, the selftests, the documentation. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

reference=kernel-patches/linux-6.12

# The files that a series adds, as its last patch leaves them, below $dir/NAME.
extract()
{
	local patch files=()

	mkdir "$dir/${1##*/}"
	mapfile -t files < <(sed -n '/^--- \/dev\/null$/{n;s,^+++ b/,--include=,p}' "$1"/*.patch)
	for patch in "$PWD/$1"/*.patch; do
		(cd "$dir/${1##*/}" && GIT_CEILING_DIRECTORIES=$dir git apply "${files[@]}" "$patch")
	done
}

added()
{
	(cd "$dir/${1##*/}" && find . -type f | sort)
}

for series in kernel-patches/linux-*; do
	expect_success "${series##*/}: what it adds can be extracted" extract "$series"
	expect "${series##*/}: adds the core" 1 \
		"$(added "$series" | grep -cx ./kernel/sched/cpu_opv.c)"
done
for series in kernel-patches/linux-*; do
	[ "$series" != "$reference" ] || continue
	expect "${series##*/}: adds the files of ${reference##*/}" "$(added "$reference")" \
		"$(added "$series")"
	for file in $(comm -12 <(added "$reference") <(added "$series")); do
		expect_same "${series##*/}: ${file#./}" "$dir/${reference##*/}/$file" \
			"$dir/${series##*/}/$file"
	done
done
finish

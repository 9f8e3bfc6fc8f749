#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The series as a maintainer gets it: every patch is clean under checkpatch, says no
# Signed-off-by, and the source compiles after each of them. Prints TAP.
set -eu
cd "$(dirname "$0")/../.."

kver=6.12
number=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# result STATUS NAME [FILE]: a line of TAP, with the file as its explanation.
result() {
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		[ -z "${3-}" ] || sed 's/^/# /' "$3"
	fi
}

check_style() {
	local status=0

	# From a copy: a file that git knows is taken for source.
	cp "$1" "$dir"
	perl "$tree/scripts/checkpatch.pl" --root="$tree" --strict --no-signoff --no-summary \
		-q "$dir/${1##*/}" > "$dir/log" 2> /dev/null || status=1
	[ ! -s "$dir/log" ] || status=1
	result $status "checkpatch --strict: ${1##*/}" "$dir/log"
	status=0
	! grep -n '^Signed-off-by' "$1" > "$dir/log" || status=1
	result $status "nobody signs: ${1##*/}" "$dir/log"
}

# What the patches touch; our own file without a warning.
compile() {
	local status=0
	local -a build=(make -s -C "$tree" O="$dir/obj" -j"$(nproc)")

	git -C "$tree" checkout -q "$1"
	{
		"${build[@]}" olddefconfig prepare &&
			"${build[@]}" mm/gup.o kernel/sys_ni.o arch/x86/entry/ &&
			if [ -e "$tree/kernel/sched/cpu_opv.c" ]; then
				"${build[@]}" W=1 KCFLAGS=-Werror kernel/sched/cpu_opv.o
			fi
	} > "$dir/log" 2>&1 || status=1
	result $status "compiles: $(git -C "$tree" log -1 --format=%s "$1")" "$dir/log"
}

tree=$dir/linux
tools/kernel tree "$kver" "$tree" > "$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
for patch in kernel-patches/linux-"$kver"/*.patch; do
	check_style "$patch"
done
mkdir "$dir/obj"
cp "$(dirname "$(tools/kernel build "$kver" debug)")/config" "$dir/obj/.config"
for commit in $(git -C "$tree" rev-list --reverse base..HEAD); do
	compile "$commit"
done
echo "1..$number"

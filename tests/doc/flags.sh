#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What has sequences in the library compiles for i386 with the options that leave the fewest
# registers: a frame pointer, and code that may lie anywhere. A compiler that does not find
# enough gives up, or takes all the memory there is. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

compiles()
{
	(
		ulimit -v 4000000
		"$@" -D_GNU_SOURCE -std=gnu11 -Iinclude -Ilib -c -o "$dir/x.o"
	)
}

for optimize in -O0 -O1 -Os -O2 -O3; do
	for kind in -fno-pie -fPIC "-fno-pie -fno-omit-frame-pointer" \
		"-fPIC -fno-omit-frame-pointer"; do
		for file in slow program; do
			# shellcheck disable=SC2086 # two options
			expect_success "$file.c, gcc -m32 $optimize $kind" compiles \
				gcc -m32 $optimize $kind "lib/$file.c"
		done
	done
done
finish

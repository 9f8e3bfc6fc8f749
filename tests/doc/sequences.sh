#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the sequences look like in the end: their descriptors against the disassembly, of the
# library and of a program, built by gcc and by clang. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

if [ "$(uname -m)" != x86_64 ]; then
	skip "descriptors against the disassembly" "sequences.pl knows x86-64 only"
	finish
fi

# checked FILE LEAST: without a fault, and at least so many.
checked()
{
	local output

	output=$(perl tests/doc/sequences.pl "$1" 2>&1)
	expect_match "$3" "checked [0-9]+" "$output"
	expect "$3: at least $2" yes \
		"$([ "${output##*checked }" -ge "$2" ] 2> /dev/null && echo yes || echo "$output")"
}

checked build/librseq_op.so 90 "library"
checked build/tests/unit/typed 200 "program"
for cc in gcc clang; do
	for level in -O0 -O1 -O3 "-O2 -fno-pie -no-pie" "-Os -fPIC"; do
		# shellcheck disable=SC2086 # options
		expect_success "$cc $level builds" "$cc" $level -std=gnu11 -D_GNU_SOURCE -Iinclude \
			-Itests/common -Itests/unit -pthread -o "$dir/typed" tests/unit/typed.c \
			tests/common/*.c build/librseq_op.a -lcmocka -lnuma &&
			checked "$dir/typed" 190 "$cc $level"
	done
done
finish

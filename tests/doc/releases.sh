#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The last store of a sequence is a release where the operation's name says so, and only
# there. It shows where the processor tells the two apart: in code for aarch64. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

# Headers that do not differ between processors are taken from this one's.
expect_success "the sequences for aarch64 compile" clang --target=aarch64-linux-gnu -O2 \
	-std=gnu11 -D_GNU_SOURCE -ffreestanding -Iinclude -Ilib -idirafter /usr/include \
	-idirafter "/usr/include/$(cc -print-multiarch)" -c -o "$dir/slow.o" lib/slow.c || finish
llvm-objdump -d --no-show-raw-insn "$dir/slow.o" |
	awk '/^[0-9a-f]+ <rseq_op_slow_/ { name = substr($2, 2, length($2) - 3); releases[name] = 0 }
	     name && $2 == "stlr" { releases[name]++ }
	     END { for (name in releases) print releases[name], name }' | sort > "$dir/functions"

expect "functions, of 11 operations in 8 variants and 2 in 4" 96 "$(wc -l < "$dir/functions")"
expect "releases that are none" "" "$(grep '^0 .*_release' "$dir/functions")"
expect "releases that nobody asked for" "" "$(grep '^[1-9]' "$dir/functions" | grep -v _release)"
finish

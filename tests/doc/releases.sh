#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The last store of a sequence is a release where the operation's name says so, and only
# there. It shows where the processor tells the two apart: in code for aarch64. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

# Headers that do not differ between processors are taken from this one's.
echo '#include <rseq_op/rseq_op.h>' > "$dir/header.c"
expect_success "the sequences for aarch64 compile" clang --target=aarch64-linux-gnu -O2 \
	-std=gnu11 -D_GNU_SOURCE -ffreestanding -Dinline='__attribute__((used, noinline))' \
	-Iinclude -idirafter /usr/include -idirafter "/usr/include/$(cc -print-multiarch)" \
	-c -o "$dir/header.o" "$dir/header.c" || finish
llvm-objdump -d --no-show-raw-insn "$dir/header.o" |
	awk '/^[0-9a-f]+ <rseq_op_seq_/ { name = substr($2, 2, length($2) - 3); releases[name] = 0 }
	     name && $2 == "stlr" { releases[name]++ }
	     END { for (name in releases) print releases[name], name }' | sort > "$dir/functions"

expect "functions, of 11 operations in 8 variants and 2 in 4" 96 "$(wc -l < "$dir/functions")"
expect "releases that are none" "" "$(grep '^0 .*_release' "$dir/functions")"
expect "releases that nobody asked for" "" "$(grep '^[1-9]' "$dir/functions" | grep -v _release)"

# The slow path has one sequence for all operations, in twelve variants.
expect_success "the library's sequences for aarch64 compile" clang --target=aarch64-linux-gnu -O2 \
	-std=gnu11 -D_GNU_SOURCE -ffreestanding -Iinclude -Ilib -idirafter /usr/include \
	-idirafter "/usr/include/$(cc -print-multiarch)" -fno-inline -c -o "$dir/program.o" \
	lib/program.c || finish
llvm-objdump -d --no-show-raw-insn "$dir/program.o" |
	awk '/^[0-9a-f]+ <(cpu|cid|lease)_/ { name = substr($2, 2, length($2) - 3); releases[name] = 0 }
	     /^[0-9a-f]+ <[a-z]/ && !/<(cpu|cid|lease)_/ { name = "" }
	     name && $2 == "stlr" { releases[name]++ }
	     END { for (name in releases) print releases[name], name }' | sort > "$dir/functions"
expect "variants of the sequence" 12 "$(wc -l < "$dir/functions")"
expect "releases of these that are none" "" "$(grep '^0 .*_release' "$dir/functions")"
expect "releases of these that nobody asked for" "" \
	"$(grep '^[1-9]' "$dir/functions" | grep -v _release)"
finish

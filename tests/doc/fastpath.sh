#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What each operation is in its caller: instructions without a lock, and without a call
# but to where it goes on when its sequence did not commit. The constructor that keeps a
# shared object loaded is none of it. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

if [ "$(uname -m)" != x86_64 ]; then
	skip "instructions of the fast path" "it is those of x86-64 that are read"
	finish
fi

# A function call_OP for each operation of a variant, from what typed.h says of it.
perl -0777 -ne '
	s/\A.*?(?=^static inline)//ms;
	my $definition = qr/^static inline int RSEQ_OP_NAME\((?!seq_)(\w+)\)\((.*?)\)\n/ms;
	while (/^(#if RSEQ_OP_POINTERS|#endif)$|$definition/msg) {
		print "$1\n" and next if $1;
		my ($op, $parameters) = ($2, $3);
		my $names = join ", ", map { /(\w+)$/ } split /,\s*/, $parameters;
		print "int RSEQ_OP_NAME(call_$op)($parameters)\n{\n",
			"\treturn RSEQ_OP_NAME($op)($names);\n}\n";
	}
' include/rseq_op/typed.h > "$dir/call.h"
cat > "$dir/call.c" << 'END'
#include <rseq_op/rseq_op.h>
#define RSEQ_OP_TEMPLATE "call.h"
#include <rseq_op/detail/variants.h>
END
expected=96	# 13 operations on words in 4 variants, 11 on 32 bits in 4

for cc in gcc clang; do
	for level in -O1 -O2 -O3 "-O2 -fPIC" -Os; do
		# shellcheck disable=SC2086 # options
		expect_success "$cc $level builds" "$cc" $level -std=gnu11 -Iinclude -I"$dir" -c \
			-o "$dir/call.o" "$dir/call.c" || continue
		objdump -dr --no-show-raw-insn "$dir/call.o" > "$dir/code"
		expect "$cc $level: all operations" "$expected" \
			"$(grep -c '<rseq_op_call_.*>:$' "$dir/code")"
		expect "$cc $level: no lock, no system call" "" \
			"$(grep -E '\s(lock|xchg .*\(|.*fence|syscall|sysenter|int )' \
				"$dir/code" | head -3)"
		expect "$cc $level: no call but to the slow path" "" \
			"$(grep R_X86_64_PLT32 "$dir/code" |
				grep -vE 'rseq_op_slow|rseq_op_keep_loaded|\.text' | head -3)"
	done
done
finish

#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Each header by itself, as C11 and as C++17, with all that a strict caller warns of; and
# for each architecture. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

warnings=(-Wall -Wextra -Wpedantic -Wstrict-aliasing -Wcast-qual -Wundef -Werror)

# try COMPILER STANDARD HEADER [OPTION...]
try()
{
	local compiler=$1 std=$2 header=$3 language=c
	shift 3

	[[ $std != *++* ]] || language=c++
	echo "#include <$header>" > "$dir/use.c"
	echo "int nothing;" >> "$dir/use.c"
	expect_success "$header, $compiler -std=$std${1+ $1}" "$compiler" -x "$language" "-std=$std" \
		"${warnings[@]}" "$@" -Iinclude -Iinclude/rseq_op/librseq -O2 -c \
		-o "$dir/use.o" "$dir/use.c"
}

for header in include/*/*.h include/rseq_op/detail/*.h include/rseq_op/librseq/*/*.h; do
	case $header in
	*/sequences.h|*/typed.h|*/variants.h)	continue ;;	# templates
	esac
	header=${header#include/}
	header=${header#rseq_op/librseq/}
	try gcc c11 "$header"
	try g++ c++17 "$header"
	try clang c11 "$header"
	try clang++ c++17 "$header" -Wdeprecated-volatile
done

# The sequences of each architecture, assembled: clang's assembler knows all of them.
for machine in x86_64 i386 aarch64; do
	try clang c11 rseq_op/rseq_op.h --target="$machine-linux-gnu" -ffreestanding \
		-isystem "/usr/include/$(gcc -print-multiarch)" -Dinline='__attribute__((used))'
done
finish

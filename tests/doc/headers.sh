#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Each header by itself, as C11 and as C++17, with all that a strict caller warns of.
# Prints TAP.
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
	expect_success "$header, $compiler -std=$std" "$compiler" -x "$language" "-std=$std" \
		"${warnings[@]}" "$@" -Iinclude -Iinclude/rseq_op/librseq -O2 -c \
		-o "$dir/use.o" "$dir/use.c"
}

for header in linux/cpu_opv.h rseq_op/{rseq_op,sites,pool,counter,lock,stack,buffer}.h rseq/rseq.h; do
	try gcc c11 "$header"
	try g++ c++17 "$header"
	try clang c11 "$header"
	try clang++ c++17 "$header" -Wdeprecated-volatile
done
finish

#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The report of call sites: addr2line finds each line of the program by it, whatever way the
# program is linked. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

cat > "$dir/program.c" <<'END'
#include <rseq_op/rseq_op.h>
static intptr_t word;
int use(int n);
int use(int n)
{
	int i, ret = 0;

	for (i = 0; i < n; i++)
		ret |= rseq_op_addv(&word, 1, 0);
	ret |= rseq_op_storev(&word, 1, 0);
	return ret;
}
#ifndef PLUGIN
int main(void)
{
	return use(3);
}
#endif
END
echo 'int use(int n); int main(void) { return use(3); }' > "$dir/main.c"

# "LINE forced N" for each line of the report, in its order.
lines()
{
	local file offset forced

	sed -nE 's/.*: site (.*) (0x[0-9a-f]+); by it: .* forced ([0-9]+),.*/\1 \2 \3/p' "$1" |
		while read -r file offset forced; do
			"$addr2line" -i -e "$file" "$offset" |
				sed -nE "s/.*program\.c:([0-9]+).*/\1 forced $forced/p" | head -n 1
		done
}

# reported NAME PROGRAM
reported()
{
	RSEQ_OP_REPORT=1 RSEQ_OP_SITES=1 RSEQ_OP_FORCE_FALLBACK=1 LD_LIBRARY_PATH=build:$dir \
		"$2" 2> "$dir/log"
	expect "$1: lines, most first" "9 forced 3
10 forced 1" "$(lines "$dir/log")"
	expect "$1: one line for the process" 1 "$(grep -c ': backend ' "$dir/log")"
}

context() { [ ! -s "$dir/log" ] || cat "$dir/log"; }

for cc in gcc clang; do
	build=("$cc" -g -O2 -Iinclude)
	# Binutils 2.40 do not find what clang says of inline functions.
	addr2line=addr2line
	[ "$cc" = gcc ] || addr2line=llvm-addr2line
	expect_success "$cc, static" "${build[@]}" -o "$dir/program" "$dir/program.c" \
		build/librseq_op.a -pthread && reported "$cc, static" "$dir/program"
	expect_success "$cc, not PIE" "${build[@]}" -fno-pie -no-pie -o "$dir/program" \
		"$dir/program.c" build/librseq_op.a -pthread &&
		reported "$cc, not PIE" "$dir/program"
	expect_success "$cc, shared" "${build[@]}" -o "$dir/program" "$dir/program.c" -Lbuild \
		-lrseq_op && reported "$cc, shared" "$dir/program"
	expect_success "$cc, the caller is a library" "${build[@]}" -DPLUGIN -fPIC -shared \
		-Wl,-z,nodelete -o "$dir/libplugin.so" "$dir/program.c" -Lbuild -lrseq_op &&
		expect_success "$cc, and its program" "${build[@]}" -o "$dir/program" \
			"$dir/main.c" -L"$dir" -lplugin -Wl,-rpath-link,build &&
		reported "$cc, library" "$dir/program"
done

RSEQ_OP_REPORT=1 RSEQ_OP_FORCE_FALLBACK=1 LD_LIBRARY_PATH=build:$dir "$dir/program" 2> "$dir/log"
expect "without RSEQ_OP_SITES: no sites" "1 line, 0 sites" \
	"$(wc -l < "$dir/log") line, $(grep -c ' site ' "$dir/log") sites"
finish

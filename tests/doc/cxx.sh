#!/bin/bash
# SPDX-License-Identifier: MIT
#
# An operation in a member function of a class that two C++ files use: the linker
# drops one of the copies, and what the operation put into other sections with it.
# Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

cat > "$dir/counter.h" <<'END'
#include <rseq_op/rseq_op.h>
struct Counter {
	intptr_t v = 0;
	int bump(int cpu) { return rseq_op_addv(&v, 1, cpu); }
};
int other(Counter &c);
END
cat > "$dir/a.cc" <<'END'
#include "counter.h"
int main()
{
	Counter c;
	return c.bump(rseq_op_current_cpu()) || other(c) || c.v != 2;
}
END
cat > "$dir/b.cc" <<'END'
#include "counter.h"
int other(Counter &c) { return c.bump(rseq_op_current_cpu()); }
END

for compiler in g++ clang++; do
	for level in -O0 -O1 -O2; do
		expect_success "$compiler $level links" "$compiler" $level -std=c++17 \
			-Wall -Wextra -Werror -Iinclude -o "$dir/program" \
			"$dir/a.cc" "$dir/b.cc" build/librseq_op.a -pthread &&
			expect_success "$compiler $level runs" "$dir/program"
	done
done
finish

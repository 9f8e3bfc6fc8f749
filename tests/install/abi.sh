#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The interface of the library against that of the last release: what was there still is,
# as it was. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

if [ "$(uname -m)" != x86_64 ]; then
	skip "interface" "the last release's is kept for x86-64 only"
	finish
fi

# Status 4: something has changed. What was only added is no change here.
compatible() { abidiff --no-added-syms --headers-dir2 include lib/librseq_op.abi "$1"; }

expect_success "as in the last release, or more" compatible build/librseq_op.so

# That it would show:
cp -r lib include Makefile mk "$dir"
sed -i 's/rseq_op_fence(int cpu)/rseq_op_fence(long cpu)/' "$dir"/include/rseq_op/rseq_op.h \
	"$dir"/lib/*.c
expect_success "another library builds" make -s -C "$dir" build/librseq_op.so
expect_match "another type of an argument is seen" "(.|
)*rseq_op_fence(.|
)*" "$(compatible "$dir/build/librseq_op.so" 2>&1)"
finish

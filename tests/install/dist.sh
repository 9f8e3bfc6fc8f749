#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The tarball: the library builds from what is in it, and no more, and can be installed.
# Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

if ! git rev-parse --show-toplevel > /dev/null 2>&1; then
	skip "tarball" "not a git tree"
	finish
fi

version=$(sed -n 's/^VERSION.*= *//p' Makefile)
expect_success "make dist" make dist B="$dir" &&
	expect_success "it unpacks" tar -xzf "$dir/rseq_op-$version.tar.gz" -C "$dir"
expect "all is in a folder with the version" "rseq_op-$version/" \
	"$(cd "$dir" && echo */)"
expect_success "the library builds, and is installed" \
	make -s -C "$dir/rseq_op-$version" install DESTDIR="$dir/dest"
expect "in /usr/local" yes "$([ -e "$dir/dest/usr/local/lib/librseq_op.so.0" ] && echo yes)"
finish

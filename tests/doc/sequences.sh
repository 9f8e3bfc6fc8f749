#!/bin/bash
# SPDX-License-Identifier: MIT
#
# sequences.sh [i386 | aarch64]: what the sequences look like in the end: their descriptors
# against the disassembly, of the library and of a program, built by gcc and by clang; or of
# those that "make i386" made, and both; or "tools/aarch64 build", and clang. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

build=build
compilers=(gcc clang)
case ${1-$(uname -m)}-$(uname -m) in
x86_64-x86_64 | i?86-i?86 | aarch64-aarch64)
	;;
i386-*)
	build=build/i386
	libs=$(tools/sysroot i386)/usr/lib/i386-linux-gnu
	compilers=("gcc -m32 -L$libs -Wl,-rpath-link,$libs" "clang -m32 -L$libs")
	;;
aarch64-*)
	build=build/aarch64
	compilers=("clang --target=aarch64-linux-gnu --sysroot=$(tools/aarch64 sysroot) -fuse-ld=lld")
	;;
*)
	skip "descriptors against the disassembly" "sequences.pl does not know $(uname -m)"
	finish
	;;
esac

# checked FILE LEAST: without a fault, and at least so many.
checked()
{
	local output

	output=$(perl tests/doc/sequences.pl "$1" 2>&1)
	expect_match "$3" "checked [0-9]+" "$output"
	expect "$3: at least $2" yes \
		"$([ "${output##*checked }" -ge "$2" ] 2> /dev/null && echo yes || echo "$output")"
}

# The twelve that run programs, and each of the header as a function of its own: 11 operations in 8
# variants and 2 in 4.
checked $build/librseq_op.so 12 "library"
echo '#include <rseq_op/rseq_op.h>' > "$dir/header.c"
expect_success "the header's sequences compile" cc -O2 -fPIC -shared -std=gnu11 -D_GNU_SOURCE \
	-Iinclude -Dinline='__attribute__((used, noinline))' -o "$dir/header.so" "$dir/header.c" &&
	checked "$dir/header.so" 96 "header"
checked $build/tests/unit/typed 200 "program"
for cc in "${compilers[@]}"; do
	name=${cc%% *}
	for level in -O0 -O1 -O3 "-O2 -fno-pie -no-pie" "-Os -fPIC"; do
		# shellcheck disable=SC2086 # options
		expect_success "$name $level builds" $cc $level -std=gnu11 -D_GNU_SOURCE -Iinclude \
			-Itests/common -Itests/unit -pthread -o "$dir/typed" tests/unit/typed.c \
			tests/common/*.c $build/librseq_op.a -lcmocka -lnuma &&
			checked "$dir/typed" 100 "$name $level"
	done
done
finish
